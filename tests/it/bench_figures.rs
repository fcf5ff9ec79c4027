//! The arithmetic of `bench/compare`: a slip in it would bend every figure, and a bench has no tests
//! of its own.

#[path = "../../bench/compare/figures.rs"]
mod figures;

use std::time::Duration;

use self::figures::{busy_ticks, kilobytes, median, on_processor, percentile, spread, ticks};

#[test]
fn the_median_is_the_middle_of_the_sorted_samples() {
    assert_eq!(median(&[]), None);
    assert_eq!(median(&[3.0]), Some(3.0));
    assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
    assert_eq!(median(&[9.0, 1.0, 2.0, 4.0]), Some(3.0));
}

#[test]
fn a_percentile_is_the_nearest_rank() {
    let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
    assert_eq!(percentile(&hundred, 0.5), Some(50.0));
    assert_eq!(percentile(&hundred, 0.99), Some(99.0));
    assert_eq!(percentile(&hundred, 1.0), Some(100.0));
    assert_eq!(percentile(&[7.0], 0.99), Some(7.0));
    assert_eq!(percentile(&[1.0, 2.0], 0.5), Some(1.0));
    assert_eq!(percentile(&[], 0.5), None);
}

#[test]
fn the_spread_is_the_least_and_the_most() {
    assert_eq!(spread(&[2.0, 1.0, 5.0]), Some((1.0, 5.0)));
    assert_eq!(spread(&[]), None);
}

#[test]
fn schedstat_begins_with_the_time_on_a_processor() {
    let time = on_processor("1675578 9000000000 12\n");
    assert_eq!(time, Some(Duration::from_nanos(1_675_578)));
    assert_eq!(on_processor(""), None);
}

#[test]
fn user_and_system_time_are_found_behind_any_name() {
    let stat = "77 (a) b ) S 1 77 77 0 -1 4194560 10 11 12 13 250 50 1 2 20 0 3 0 99";
    assert_eq!(ticks(stat), Some(300));
}

#[test]
fn memory_is_read_from_the_field_of_that_very_name() {
    let status = "VmRSSX:\t 1 kB\nVmRSS:\t   67000 kB\nRssAnon:\t  14000 kB\n";
    assert_eq!(kilobytes(status, "VmRSS"), Some(67_000 * 1024));
    assert_eq!(kilobytes(status, "RssAnon"), Some(14_000 * 1024));
    assert_eq!(kilobytes(status, "VmSwap"), None);
}

#[test]
fn waiting_is_not_work() {
    let stat = "cpu  100 10 50 9999 8888 3 2 77 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n";
    assert_eq!(busy_ticks(stat), Some(165));
}
