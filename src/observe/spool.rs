//! Lines of the log become few large writes, by a thread of its own, in the order they came.
//!
//! Whoever logs only appends to a buffer. The thread writes what has gathered, then lets more come
//! for [`PACE`]; while nothing is logged it sleeps, and while much is logged nobody wakes it. It must
//! never drop a line: when the reader of the log stands still and the buffer is full, callers wait.
//!
//! Nothing under the lock can panic: a panic is told through [`Spool::flush`], too.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a line waits for others, and so the most that a process loses that is killed.
const PACE: Duration = Duration::from_millis(10);

/// What callers may have waiting. As much again may be on its way out.
const CAPACITY: usize = 512 * 1024;

/// From here on the thread does not wait for more.
const PLENTY: usize = CAPACITY / 2;

/// The room that is kept when nothing is logged.
const KEPT: usize = 16 * 1024;

/// How long a caller waits for its own line at the end. Nothing else is to be written then.
const LAST_LINE: Duration = Duration::from_secs(1);

/// The thread only hands buffers on.
const STACK: usize = 128 * 1024;

/// Where lines wait to be written.
#[derive(Debug)]
pub(super) struct Spool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Where the thread waits for lines or for a reason to hurry.
    work: Condvar,
    /// Where callers wait for room or until their lines are out.
    progress: Condvar,
}

#[derive(Debug)]
struct State {
    lines: Vec<u8>,
    /// How many bytes ever came, and how many of them are out.
    came: u64,
    out: u64,
    /// The thread sleeps until it is woken, however long that is.
    resting: bool,
    /// Somebody waits: no time to let more come.
    hurried: bool,
    /// How many callers wait.
    waiting: usize,
    /// A line is out before its caller goes on.
    ending: bool,
}

// === impl Spool ===

impl Spool {
    /// Starts the thread that writes to `output`.
    ///
    /// # Errors
    ///
    /// When there is no thread to be had.
    pub(super) fn start(mut output: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                lines: Vec::with_capacity(KEPT),
                came: 0,
                out: 0,
                resting: false,
                hurried: false,
                waiting: 0,
                ending: false,
            }),
            work: Condvar::new(),
            progress: Condvar::new(),
        });
        let spool = Self {
            shared: Arc::clone(&shared),
        };
        thread::Builder::new()
            .name("sidegate-log".to_owned())
            .stack_size(STACK)
            .spawn(move || shared.write_all(&mut output))?;
        Ok(spool)
    }

    /// Takes a whole line, or several. Waits only where there is no room.
    pub(super) fn append(&self, line: &[u8]) {
        let mut state = self.shared.state();
        // A line that is longer than the room there is goes alone.
        while !state.lines.is_empty() && state.lines.len() + line.len() > CAPACITY {
            state.hurried = true;
            state = self.shared.wait(state, None);
        }
        state.lines.extend_from_slice(line);
        state.came = state.came.wrapping_add(line.len() as u64);
        let ending = state.ending;
        // One that is on its way will find this line by itself: waking costs more than a write.
        let plenty = state.lines.len() > PLENTY && !mem::replace(&mut state.hurried, true);
        let wake = mem::replace(&mut state.resting, false) || plenty;
        drop(state);
        if wake {
            self.shared.work.notify_one();
        }
        if ending {
            self.flush(Some(LAST_LINE));
        }
    }

    /// Waits until everything is written that came before this call, but not longer than `patience`.
    /// Says whether it was.
    pub(super) fn flush(&self, patience: Option<Duration>) -> bool {
        let deadline = patience.and_then(|patience| Instant::now().checked_add(patience));
        let mut state = self.shared.state();
        let mine = state.came;
        while state.out < mine {
            let left = deadline.map(|it| it.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return false;
            }
            state.hurried = true;
            self.shared.work.notify_one();
            state = self.shared.wait(state, left);
        }
        true
    }

    /// The process is about to end: what is logged from now on is written before its caller goes on.
    /// What came before is waited for, as in [`Spool::flush`].
    pub(super) fn end(&self, patience: Duration) -> bool {
        self.shared.state().ending = true;
        self.flush(Some(patience))
    }
}

// === impl Shared ===

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics under the lock, and whole lines are all that is in there.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a caller wait for the thread.
    fn wait<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        longest: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        state.waiting += 1;
        let mut state = match longest {
            Some(longest) => {
                let woken = self.progress.wait_timeout(state, longest);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
            None => {
                let woken = self.progress.wait(state);
                woken.unwrap_or_else(PoisonError::into_inner)
            }
        };
        state.waiting -= 1;
        state
    }

    /// The thread.
    fn write_all(&self, output: &mut impl Write) {
        let mut batch = Vec::new();
        loop {
            batch.shrink_to(KEPT);
            self.rest();
            while self.take(&mut batch) {
                deliver(&batch, output);
                self.delivered(batch.len());
                batch.clear();
                self.let_more_come();
            }
        }
    }

    /// Sleeps until there is a line.
    fn rest(&self) {
        let mut state = self.state();
        if state.lines.is_empty() {
            state.lines.shrink_to(KEPT);
            state.resting = true;
        }
        let resting = |state: &mut State| state.resting;
        drop(self.work.wait_while(state, resting));
    }

    /// Takes all lines there are, if there are any.
    fn take(&self, batch: &mut Vec<u8>) -> bool {
        let mut state = self.state();
        state.hurried = false;
        mem::swap(&mut state.lines, batch);
        self.tell(&state);
        !batch.is_empty()
    }

    fn delivered(&self, bytes: usize) {
        let mut state = self.state();
        state.out = state.out.wrapping_add(bytes as u64);
        self.tell(&state);
    }

    /// Wakes the callers that wait. Without one this is no system call.
    fn tell(&self, state: &State) {
        if state.waiting > 0 {
            self.progress.notify_all();
        }
    }

    fn let_more_come(&self) {
        let calm = |state: &mut State| !state.hurried;
        drop(self.work.wait_timeout_while(self.state(), PACE, calm));
    }
}

/// Writes it all. An output that takes nothing for now is asked again; one that is broken is not, for
/// there is nobody left to tell.
fn deliver(mut rest: &[u8], output: &mut impl Write) {
    while !rest.is_empty() {
        match output.write(rest) {
            Ok(0) => return,
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Somebody shares it with us and has made it non-blocking.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(PACE),
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::sync::mpsc;

    use super::*;

    /// Longer than anything takes here, and the end of a test that hangs.
    const LONG: Option<Duration> = Some(Duration::from_secs(60));

    /// Counts the writes.
    struct Counted(mpsc::Sender<Vec<u8>>);

    impl Write for Counted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn line(number: usize) -> String {
        format!(
            "{{\"line\":{number},\"padding\":\"{}\"}}\n",
            "x".repeat(400)
        )
    }

    #[test]
    fn a_reader_that_stands_still_holds_callers_up_and_then_gets_every_line_in_order() {
        const LINES: usize = 6_000;
        let (reader, writer) = io::pipe().unwrap();
        let spool = Arc::new(Spool::start(writer).unwrap());
        let (done, all_in) = mpsc::channel();
        let caller = thread::spawn({
            let spool = Arc::clone(&spool);
            move || {
                for number in 0..LINES {
                    spool.append(line(number).as_bytes());
                }
                done.send(()).unwrap();
            }
        });
        // Twice the room and the pipe's own: it cannot get in until somebody reads.
        assert!(LINES * line(0).len() > 2 * CAPACITY + 512 * 1024);
        while spool.shared.state().waiting == 0 {
            thread::yield_now();
        }
        assert!(all_in.try_recv().is_err());
        assert!(!spool.flush(Some(Duration::from_millis(1))));
        {
            let state = spool.shared.state();
            assert!(state.lines.len() <= CAPACITY && state.lines.capacity() <= 2 * CAPACITY);
        }
        let read = thread::spawn(move || {
            let lines = BufReader::new(reader).lines().take(LINES);
            lines.map(Result::unwrap).collect::<Vec<_>>()
        });
        caller.join().unwrap();
        assert!(spool.flush(LONG));
        for (number, read) in read.join().unwrap().iter().enumerate() {
            assert_eq!(*read, line(number).trim_end());
        }
    }

    #[test]
    fn each_of_many_callers_finds_its_lines_in_its_order() {
        let (sender, writes) = mpsc::channel();
        let spool = Spool::start(Counted(sender)).unwrap();
        thread::scope(|scope| {
            for caller in 0..4 {
                let spool = &spool;
                scope.spawn(move || {
                    for number in 0..5_000 {
                        spool.append(format!("{caller} {number}\n").as_bytes());
                    }
                });
            }
        });
        assert!(spool.flush(LONG));
        let text = writes.try_iter().collect::<Vec<_>>().concat();
        let text = String::from_utf8(text).unwrap();
        for caller in 0..4 {
            let name = format!("{caller} ");
            let numbers = text.lines().filter_map(|line| line.strip_prefix(&name));
            let expected = (0..5_000).map(|number| number.to_string());
            assert!(numbers.eq(expected), "of caller {caller}");
        }
    }

    #[test]
    fn at_the_end_a_line_is_out_before_its_caller_goes_on() {
        let (sender, writes) = mpsc::channel();
        let spool = Spool::start(Counted(sender)).unwrap();
        spool.append(b"before\n");
        assert!(spool.end(Duration::from_secs(60)));
        assert_eq!(writes.try_iter().collect::<Vec<_>>(), [b"before\n"]);
        spool.append(b"after\n");
        assert_eq!(writes.try_iter().collect::<Vec<_>>(), [b"after\n"]);
    }

    #[test]
    fn an_output_that_is_broken_holds_nobody_up() {
        let (reader, writer) = io::pipe().unwrap();
        let spool = Spool::start(writer).unwrap();
        drop(reader);
        for number in 0..5_000 {
            spool.append(line(number).as_bytes());
        }
        assert!(spool.flush(LONG));
    }

    #[test]
    fn what_comes_at_once_is_written_at_once() {
        let (sender, writes) = mpsc::channel();
        let spool = Spool::start(Counted(sender)).unwrap();
        for number in 0..1_000 {
            spool.append(line(number).as_bytes());
        }
        assert!(spool.flush(LONG));
        let writes: Vec<Vec<u8>> = writes.try_iter().collect();
        assert!(writes.len() < 100, "{} writes", writes.len());
        for write in &writes {
            assert!(write.ends_with(b"\n"), "a write ends inside a line");
        }
        let expected: String = (0..1_000).map(line).collect();
        assert_eq!(String::from_utf8(writes.concat()).unwrap(), expected);
    }
}
