//! Everything that can happen to files, in any order: what they hold in the end is always told.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::super::{FileWatch, Pace};
use super::{NEVER, PATIENCE, folder, put, relink};

type Known = BTreeMap<PathBuf, Option<String>>;

const OPERATIONS: usize = 200;

/// Small and repeatable; what it yields is not used for anything that must be hard to guess.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit).unwrap()).unwrap()
    }
}

/// Three files: a plain one in a folder, one in a Kubernetes volume, and a link to elsewhere.
struct Playground {
    root: PathBuf,
    dice: Dice,
    edition: usize,
}

impl Playground {
    fn files(&self) -> [PathBuf; 3] {
        ["plain/live/cert.pem", "volume/cert.pem", "linked/cert.pem"]
            .map(|file| self.root.join(file))
    }

    fn set_up(&self) {
        for folder in ["plain/live", "volume/..0", "linked", "elsewhere"] {
            fs::create_dir_all(self.root.join(folder)).unwrap();
        }
        symlink("..0", self.root.join("volume/..data")).unwrap();
        symlink("..data/cert.pem", self.root.join("volume/cert.pem")).unwrap();
        symlink("../elsewhere/0", self.root.join("linked/cert.pem")).unwrap();
    }

    /// One random thing happens. What is not possible just now does not happen.
    fn act(&mut self) {
        self.edition += 1;
        let content = format!("edition {}", self.edition);
        let files = self.files();
        let live = self.root.join("plain/live");
        let away = self.root.join("plain/away");
        match self.dice.below(12) {
            0 if live.exists() => put(&files[0], &content),
            1 => drop(fs::write(&files[self.dice.below(3)], content)),
            2 => drop(fs::remove_file(&files[0])),
            3 => drop(fs::rename(&live, &away)),
            4 => drop(fs::rename(&away, &live)),
            5 => drop(fs::remove_dir_all(&live)),
            6 => {
                drop(fs::create_dir(&live));
                drop(fs::write(&files[0], content));
            }
            7 => {
                let other = self.root.join(format!("other_{}", self.edition));
                drop(fs::hard_link(&files[0], &other));
                drop(fs::write(&other, content));
            }
            8 | 9 => self.swap(&content),
            10 => {
                let target = self.root.join(format!("elsewhere/{}", self.dice.below(3)));
                put(&target, &content);
            }
            11 => {
                let target = format!("../elsewhere/{}", self.dice.below(3));
                relink(Path::new(&target), &files[2]);
            }
            _ => {}
        }
    }

    fn swap(&self, content: &str) {
        let volume = self.root.join("volume");
        let old = fs::read_link(volume.join("..data")).unwrap();
        let new = format!("..{}", self.edition);
        fs::create_dir(volume.join(&new)).unwrap();
        fs::write(volume.join(&new).join("cert.pem"), content).unwrap();
        relink(Path::new(&new), &volume.join("..data"));
        fs::remove_dir_all(volume.join(old)).unwrap();
    }

    fn contents(&self) -> Known {
        let read = |file: PathBuf| (file.clone(), held(&file, fs::read(&file)));
        self.files().into_iter().map(read).collect()
    }
}

/// What there is, for a file that is there.
fn held(file: &Path, outcome: io::Result<Vec<u8>>) -> Option<String> {
    match outcome {
        Ok(content) => Some(String::from_utf8(content).unwrap()),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => panic!("{}: {error}", file.display()),
    }
}

fn learn(watch: &mut FileWatch, known: &mut Known, told: Vec<PathBuf>) {
    for file in told {
        let content = held(&file, fs::read(&file));
        known.insert(file, content);
    }
    watch.were_read();
}

async fn nothing_is_lost(seed: u64, pace: Pace) {
    let (_folder, root) = folder();
    let mut playground = Playground {
        root,
        dice: Dice(seed),
        edition: 0,
    };
    playground.set_up();
    let mut watch = FileWatch::start_at(pace, playground.files());
    // Read again only when told: a change that is not told leaves it behind.
    let mut known = playground.contents();
    let mut slowest = Duration::ZERO;
    let mut left = OPERATIONS;
    while left > 0 {
        let burst = left.min(1 + playground.dice.below(9));
        left -= burst;
        // On a thread of its own: things happen while the watch is armed and while it looks.
        let mut actor = tokio::task::spawn_blocking(move || {
            for _ in 0..burst {
                playground.act();
                let pause = [0, 0, 1, 15][playground.dice.below(4)];
                thread::sleep(Duration::from_millis(pause));
            }
            playground
        });
        playground = loop {
            tokio::select! {
                told = watch.changed() => learn(&mut watch, &mut known, told),
                done = &mut actor => break done.unwrap(),
            }
        };
        let start = Instant::now();
        while known != playground.contents() {
            let told = timeout(PATIENCE, watch.changed()).await;
            let told = told.unwrap_or_else(|_| {
                panic!(
                    "seed {seed}, {left} left: {known:?} is not {:?}",
                    playground.contents()
                )
            });
            learn(&mut watch, &mut known, told);
        }
        slowest = slowest.max(start.elapsed());
    }
    println!("seed {seed}: slowest {} ms", slowest.as_millis());
}

#[tokio::test]
async fn the_last_of_many_mixed_changes_is_always_told() {
    let pace = Pace {
        quiet: Duration::from_millis(100),
        longest: Duration::from_millis(400),
        poll: NEVER,
    };
    nothing_is_lost(0x5eed, pace).await;
}

/// Looks while files are in the middle of a change, and arms while the way turns.
#[tokio::test]
async fn nothing_is_lost_when_it_looks_all_the_time() {
    let pace = Pace {
        quiet: Duration::ZERO,
        longest: Duration::ZERO,
        poll: NEVER,
    };
    for seed in 1..=5 {
        nothing_is_lost(seed, pace).await;
    }
}
