//! A process of ours: where it runs, what it has used, and that it ends.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::sched_setaffinity;

use crate::Failure;
use crate::figures::{kilobytes, on_processor};
use crate::place::{Cores, Place, Seat};
use crate::protocol::{Answer, Job};

/// A program that counts what it runs writes that down when it ends by itself, to where this says.
const COUNTS: &str = "LLVM_PROFILE_FILE";
/// As long as sidegate takes to end, when it is told to: its delay and its drain.
const LAST_LINES: Duration = Duration::from_secs(30);

/// A process that is ended when this is dropped.
pub(crate) struct Process {
    child: Child,
    /// When it was started.
    pub(crate) began: Instant,
    /// Where what it says goes.
    said: PathBuf,
}

impl Process {
    /// Starts it on the processors of `seat`; what it says goes to a file.
    pub(crate) fn start(
        mut command: Command,
        name: &str,
        seat: Seat,
        place: &Place,
    ) -> Result<Self, Failure> {
        let said = place.output().join(name);
        let file = fs::File::create(&said)?;
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let began = Instant::now();
        let child = spawn(&mut command, seat, &place.cores)
            .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
        Ok(Self { child, began, said })
    }

    /// Time on a processor, user and system, of all threads. Those that ended are not counted: no
    /// contestant ends threads while it serves.
    pub(crate) fn processor_time(&self) -> Result<Duration, Failure> {
        let mut sum = Duration::ZERO;
        for task in fs::read_dir(self.proc("task"))? {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            sum += on_processor(&text).ok_or("schedstat has another form")?;
        }
        Ok(sum)
    }

    /// The same in ticks of the clock, coarser and with threads that ended.
    pub(crate) fn ticks(&self) -> Result<u64, Failure> {
        let text = fs::read_to_string(self.proc("stat"))?;
        Ok(crate::figures::ticks(&text).ok_or("stat has another form")?)
    }

    /// Memory in bytes: `VmRSS` or `RssAnon`.
    pub(crate) fn memory(&self, field: &str) -> Result<f64, Failure> {
        let text = fs::read_to_string(self.proc("status"))?;
        let bytes = kilobytes(&text, field).ok_or("status has another form")?;
        Ok(bytes as f64)
    }

    fn proc(&self, file: &str) -> PathBuf {
        Path::new("/proc")
            .join(self.child.id().to_string())
            .join(file)
    }

    /// The end of what it said, for a person who wants to know why it failed.
    pub(crate) fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.said).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(12).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Tells it to end, and waits until it has.
    fn ask_to_end(&mut self) {
        let told = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let until = Instant::now() + LAST_LINES;
        while told.is_ok() && matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::env::var_os(COUNTS).is_some() {
            self.ask_to_end();
        }
        // It is ours, and there is nobody left to tell.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A child inherits the processors of the thread that starts it, from its first instruction.
fn spawn(command: &mut Command, seat: Seat, cores: &Cores) -> Result<Child, Failure> {
    sched_setaffinity(None, &cores.of(seat))?;
    let child = command.spawn();
    sched_setaffinity(None, &cores.of(Seat::Any))?;
    Ok(child?)
}

/// This program in another role.
pub(crate) fn role(name: &str) -> Result<Command, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["role", name]);
    Ok(command)
}

/// A role that is spoken to by lines.
pub(crate) struct Dialogue {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Dialogue {
    pub(crate) fn start(mut command: Command, seat: Seat, cores: &Cores) -> Result<Self, Failure> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = spawn(&mut command, seat, cores)?;
        let to = child.stdin.take().ok_or("no way to speak to it")?;
        let from = child.stdout.take().ok_or("no way to hear it")?;
        Ok(Self {
            child,
            to,
            from: BufReader::new(from),
        })
    }

    pub(crate) fn hear(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    /// Gives the load a job and does not wait for it.
    pub(crate) fn tell(&mut self, job: &Job) -> Result<(), Failure> {
        writeln!(self.to, "{}", serde_json::to_string(job)?)?;
        Ok(())
    }

    /// What came of the job.
    pub(crate) fn answer(&mut self) -> Result<Answer, Failure> {
        let line = self.hear()?;
        if line.is_empty() {
            return Err("the load ended".into());
        }
        let answer: Answer = serde_json::from_str(&line)?;
        match answer.failure {
            Some(failure) => Err(failure.into()),
            None => Ok(answer),
        }
    }

    /// Gives the load a job and waits for what comes of it.
    pub(crate) fn ask(&mut self, job: &Job) -> Result<Answer, Failure> {
        self.tell(job)?;
        self.answer()
    }
}

impl Drop for Dialogue {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
