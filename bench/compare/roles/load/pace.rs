//! Requests at fixed times, whether or not earlier ones were answered: how long each took from the
//! time at which it was due, so that waiting for a slow answer before it counts.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::client::Line;
use super::{Answer, Failure, Requests};
use crate::figures::percentile;

/// Sends `total` requests over `lines`, in turns, and measures all but the first tenth.
pub(super) async fn run(
    lines: &mut Vec<Line>,
    per_second: u64,
    total: usize,
    requests: &Requests,
) -> Result<Answer, Failure> {
    let per_second = NonZeroU64::new(per_second).ok_or("no rate")?;
    let interval = Duration::from_secs(1) / u32::try_from(per_second.get())?;
    let mut tasks = JoinSet::new();
    let mut turns = Vec::new();
    for mut line in lines.drain(..) {
        let (turn, mut next) = mpsc::unbounded_channel::<(usize, Instant)>();
        turns.push(turn);
        let requests = requests.clone();
        tasks.spawn(async move {
            let mut took = Vec::new();
            while let Some((number, due)) = next.recv().await {
                requests.send(&mut line, number).await?;
                if number >= total / 10 {
                    took.push(due.elapsed().as_secs_f64() * 1e6);
                }
            }
            Ok::<_, Failure>((line, took))
        });
    }
    call(&turns, interval, total).await?;
    drop(turns);
    let mut all = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let (line, took) = done??;
        lines.push(line);
        all.extend(took);
    }
    Ok(Answer {
        p50: percentile(&all, 0.50).ok_or("nothing measured")?,
        p99: percentile(&all, 0.99).ok_or("nothing measured")?,
        ..Answer::default()
    })
}

type Turns = [mpsc::UnboundedSender<(usize, Instant)>];

/// Calls one line after the other. The runtime's own timers are a millisecond coarse, which is
/// several answers' time: so the kernel's are used.
async fn call(turns: &Turns, interval: Duration, total: usize) -> Result<(), Failure> {
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)?;
    #[expect(
        deprecated,
        reason = "it is unsound for a handle that may close its file by itself: an OwnedFd does not"
    )]
    let timer = AsyncFd::new(timer)?;
    let each = Timespec::try_from(interval)?;
    let times = Itimerspec {
        it_interval: each,
        it_value: each,
    };
    let began = Instant::now();
    timerfd_settime(timer.get_ref(), TimerfdTimerFlags::empty(), &times)?;
    let mut number = 0;
    while number < total {
        let mut ready = timer.readable().await?;
        let mut passed = [0; 8];
        let read = ready.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut passed)?));
        let Ok(read) = read else { continue };
        read?;
        for _ in 0..u64::from_ne_bytes(passed) {
            if number == total {
                break;
            }
            let due = began + interval * u32::try_from(number + 1)?;
            let turn = turns.get(number % turns.len()).ok_or("no connection")?;
            if turn.send((number, due)).is_err() {
                // That line failed: its failure is told when the others are done.
                return Ok(());
            }
            number += 1;
        }
    }
    Ok(())
}
