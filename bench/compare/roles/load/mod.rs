//! The load: does one job after the other, told on standard input, and says on standard output what
//! came of each. An answer that is not 200 and whole ends the job, and with it the run.

mod client;
mod pace;

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderValue;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::client::{Client, Line};
use crate::Failure;
use crate::protocol::{Answer, Batch, Job, Payload, Target, Tokens};

/// How long a contestant may take from its start to its first answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two tries of a contestant that starts.
const AGAIN: Duration = Duration::from_micros(100);
/// New connections at once.
const AT_ONCE: usize = 4;
/// The same where connections are opened to be held, which nobody times.
const OPENING: usize = 32;

/// Does jobs until standard input ends.
pub(crate) async fn serve(world: &Path) -> Result<(), Failure> {
    let mut load = Load {
        client: Arc::new(Client::new(world)?),
        files: HashMap::new(),
        lines: Vec::new(),
    };
    // A thread of its own: open connections must be looked after between jobs, too.
    let (jobs, mut next) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if jobs.send(line).is_err() {
                break;
            }
        }
    });
    while let Some(line) = next.recv().await {
        let began = Instant::now();
        let mut answer = match load.work(serde_json::from_str(&line)?).await {
            Ok(answer) => answer,
            Err(failure) => Answer {
                failure: Some(failure.to_string()),
                ..Answer::default()
            },
        };
        if answer.seconds == 0.0 {
            answer.seconds = began.elapsed().as_secs_f64();
        }
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", serde_json::to_string(&answer)?)?;
        out.flush()?;
    }
    Ok(())
}

struct Load {
    client: Arc<Client>,
    files: HashMap<PathBuf, Arc<Vec<HeaderValue>>>,
    lines: Vec<Line>,
}

/// What the requests of a batch are made of.
#[derive(Clone)]
struct Requests {
    tokens: Arc<Vec<HeaderValue>>,
    from: usize,
    repeated: bool,
    payload: Payload,
    path: Bytes,
}

impl Load {
    async fn work(&mut self, job: Job) -> Result<Answer, Failure> {
        match job {
            Job::Probe {
                target,
                path,
                tokens,
            } => self.probe(target, path, &tokens).await,
            Job::Refusals { target, tokens } => self.refusals(target, &tokens).await,
            Job::Open {
                target,
                connections,
                streams,
            } => self.open(target, connections, streams).await,
            Job::Send(batch) => self.send(&batch).await,
            Job::Pace { per_second, batch } => {
                let requests = self.requests(&batch)?;
                pace::run(&mut self.lines, per_second, batch.requests, &requests).await
            }
            Job::Handshakes { target, batch } => self.handshakes(target, &batch).await,
            Job::Hold {
                target,
                connections,
                tokens,
            } => self.hold(target, connections, &tokens).await,
            Job::Count => Ok(Answer {
                open: self.lines.iter().filter(|line| line.is_open()).count(),
                ..Answer::default()
            }),
            Job::Close => {
                self.lines.clear();
                Ok(Answer::default())
            }
        }
    }

    async fn probe(
        &mut self,
        target: Target,
        path: String,
        tokens: &Tokens,
    ) -> Result<Answer, Failure> {
        let mut requests = self.one(tokens)?;
        requests.path = path.into();
        let began = Instant::now();
        let mut last: Failure = "not tried".into();
        while began.elapsed() < PATIENCE {
            let tried = async {
                let mut line = self.client.open(target).await?;
                requests.send(&mut line, 0).await?;
                Ok::<_, Failure>(line)
            };
            match tokio::time::timeout(PATIENCE, tried).await? {
                Ok(line) => {
                    return Ok(Answer {
                        exchange: line.exchange(),
                        ..Answer::default()
                    });
                }
                Err(failure) => last = failure,
            }
            // Not the runtime's timer, which is ten times as coarse; nothing else goes on here.
            std::thread::sleep(AGAIN);
        }
        Err(format!("no good answer in {PATIENCE:?}: {last}").into())
    }

    async fn refusals(&mut self, target: Target, tokens: &Tokens) -> Result<Answer, Failure> {
        let mut requests = self.one(tokens)?;
        let good = requests.token(0)?.as_bytes().to_vec();
        for forged in forgeries(&good) {
            // A connection for each: a refusal may end it.
            let mut line = self.client.open(target).await?;
            requests.tokens = Arc::new(vec![HeaderValue::from_bytes(&forged)?]);
            requests.from = 0;
            match requests.send(&mut line, 0).await {
                Err(error) if error.to_string().starts_with("answered 401") => {}
                other => return Err(format!("a forged token was not refused: {other:?}").into()),
            }
        }
        requests.tokens = Arc::new(vec![HeaderValue::from_bytes(&good)?]);
        let stranger = async {
            let mut line = self.client.open_without_certificate(target).await?;
            requests.send(&mut line, 0).await
        };
        match stranger.await {
            Err(_) => Ok(Answer::default()),
            Ok(()) => Err("a client without a certificate was let in".into()),
        }
    }

    async fn open(
        &mut self,
        target: Target,
        connections: usize,
        streams: usize,
    ) -> Result<Answer, Failure> {
        for _ in 0..connections {
            let line = self.client.open(target).await?;
            self.lines.extend(line.streams(streams));
        }
        Ok(Answer::default())
    }

    async fn send(&mut self, batch: &Batch) -> Result<Answer, Failure> {
        let requests = Arc::new(self.requests(batch)?);
        let (next, total) = (Arc::new(AtomicUsize::new(0)), batch.requests);
        let mut tasks = JoinSet::new();
        let began = Instant::now();
        for mut line in self.lines.drain(..) {
            let (requests, next) = (Arc::clone(&requests), Arc::clone(&next));
            tasks.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= total {
                        return Ok::<_, Failure>(line);
                    }
                    requests.send(&mut line, number).await?;
                }
            });
        }
        while let Some(line) = tasks.join_next().await {
            self.lines.push(line??);
        }
        Ok(Answer {
            seconds: began.elapsed().as_secs_f64(),
            ..Answer::default()
        })
    }

    async fn handshakes(&mut self, target: Target, batch: &Batch) -> Result<Answer, Failure> {
        let requests = Arc::new(self.requests(batch)?);
        let (next, total) = (Arc::new(AtomicUsize::new(0)), batch.requests);
        let mut tasks = JoinSet::new();
        for _ in 0..AT_ONCE {
            let (requests, next) = (Arc::clone(&requests), Arc::clone(&next));
            let client = Arc::clone(&self.client);
            tasks.spawn(async move {
                let mut exchange = None;
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= total {
                        return Ok::<_, Failure>(exchange);
                    }
                    let mut line = client.open(target).await?;
                    requests.send(&mut line, number).await?;
                    exchange = line.exchange();
                }
            });
        }
        let mut exchange = None;
        while let Some(agreed) = tasks.join_next().await {
            exchange = agreed??.or(exchange);
        }
        Ok(Answer {
            exchange,
            ..Answer::default()
        })
    }

    async fn hold(
        &mut self,
        target: Target,
        connections: usize,
        tokens: &Tokens,
    ) -> Result<Answer, Failure> {
        let requests = Arc::new(self.one(tokens)?);
        let next = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..OPENING {
            let (requests, next) = (Arc::clone(&requests), Arc::clone(&next));
            let client = Arc::clone(&self.client);
            tasks.spawn(async move {
                let mut lines = Vec::new();
                while next.fetch_add(1, Ordering::Relaxed) < connections {
                    let mut line = client.open(target).await?;
                    requests.send(&mut line, 0).await?;
                    lines.push(line);
                }
                Ok::<_, Failure>(lines)
            });
        }
        while let Some(lines) = tasks.join_next().await {
            self.lines.extend(lines??);
        }
        Ok(Answer::default())
    }

    fn requests(&mut self, batch: &Batch) -> Result<Requests, Failure> {
        let needed = batch.tokens.from
            + if batch.tokens.repeated {
                1
            } else {
                batch.requests
            };
        let file = &batch.tokens.file;
        let tokens = match self.files.get(file) {
            Some(tokens) if tokens.len() >= needed => Arc::clone(tokens),
            _ => {
                let lines = Bytes::from(fs::read(file)?);
                let tokens = lines
                    .split(|byte| *byte == b'\n')
                    .filter(|line| !line.is_empty())
                    .map(|line| HeaderValue::from_maybe_shared(lines.slice_ref(line)))
                    .collect::<Result<Vec<_>, _>>()?;
                let tokens = Arc::new(tokens);
                self.files.insert(file.clone(), Arc::clone(&tokens));
                tokens
            }
        };
        if tokens.len() < needed {
            let there = tokens.len();
            return Err(format!("{needed} tokens are needed, {there} are there").into());
        }
        let path = match batch.payload {
            Payload::Small | Payload::Up => "/bench",
            Payload::Down => crate::protocol::LARGE,
        };
        Ok(Requests {
            tokens,
            from: batch.tokens.from,
            repeated: batch.tokens.repeated,
            payload: batch.payload,
            path: Bytes::from_static(path.as_bytes()),
        })
    }

    fn one(&mut self, tokens: &Tokens) -> Result<Requests, Failure> {
        self.requests(&Batch {
            requests: 1,
            tokens: Tokens {
                repeated: true,
                ..tokens.clone()
            },
            payload: Payload::Small,
        })
    }
}

impl Requests {
    fn token(&self, number: usize) -> Result<&HeaderValue, Failure> {
        let at = if self.repeated {
            self.from
        } else {
            self.from + number
        };
        self.tokens.get(at).ok_or_else(|| "no token left".into())
    }

    async fn send(&self, line: &mut Line, number: usize) -> Result<(), Failure> {
        let token = self.token(number)?.clone();
        line.send(&self.path, token, self.payload).await
    }
}

/// `Bearer` and a token whose signature is another's, and one that is none at all.
fn forgeries(good: &[u8]) -> [Vec<u8>; 2] {
    let mut other = good.to_vec();
    let last = other.len().saturating_sub(20);
    if let Some(letter) = other.get_mut(last) {
        *letter = if *letter == b'A' { b'B' } else { b'A' };
    }
    [other, b"Bearer aaaa.bbbb.cccc".to_vec()]
}
