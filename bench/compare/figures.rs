//! Numbers from samples and from what the kernel says of a process. Whatever is wrong here bends
//! every figure of the bench, so it is tested (by `tests/it`, which includes this file).

use std::time::Duration;

/// The middle one, or the mean of the two in the middle; nothing of nothing.
pub(crate) fn median(samples: &[f64]) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    let upper = *sorted.get(half)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get(half.checked_sub(1)?)?;
    Some(f64::midpoint(lower, upper))
}

/// The least sample that at least `share` (0 to 1) of all do not exceed.
pub(crate) fn percentile(samples: &[f64], share: f64) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

/// The least and the most.
pub(crate) fn spread(samples: &[f64]) -> Option<(f64, f64)> {
    let least = samples.iter().copied().min_by(f64::total_cmp)?;
    let most = samples.iter().copied().max_by(f64::total_cmp)?;
    Some((least, most))
}

/// `/proc/PID/task/TID/schedstat`: the first number is the time on a processor in nanoseconds.
pub(crate) fn on_processor(schedstat: &str) -> Option<Duration> {
    let first = schedstat.split_ascii_whitespace().next()?;
    first.parse().ok().map(Duration::from_nanos)
}

/// `/proc/PID/stat`: user and system time, in ticks. The program's name, in parentheses, may hold
/// anything, also spaces and parentheses.
pub(crate) fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// `/proc/PID/status`: a field that is given in kB, in bytes.
pub(crate) fn kilobytes(status: &str, field: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    let (number, unit) = line.trim().split_once(' ')?;
    let number: u64 = number.parse().ok()?;
    (unit == "kB").then_some(number * 1024)
}

/// `/proc/stat`: ticks in which processors did anything, of all programs together.
pub(crate) fn busy_ticks(stat: &str) -> Option<u64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let fields: Vec<u64> = line
        .split_ascii_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    // user, nice, system; then idle and iowait, which are not work; then irq and softirq.
    let worked = [0, 1, 2, 5, 6];
    worked.iter().map(|at| fields.get(*at).copied()).sum()
}
