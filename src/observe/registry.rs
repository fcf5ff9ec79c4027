//! A line of the table of metrics becomes a handle, registered under its name.

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use super::described::Described;

/// Seconds; from a cached verdict to a slow legacy service.
const SECONDS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0, 10.0, 30.0,
];

fn opts(metric: &Described) -> Opts {
    Opts::new(metric.name, metric.help)
}

pub(super) fn counters(
    registry: &Registry,
    metric: &Described,
) -> Result<IntCounterVec, prometheus::Error> {
    let made = IntCounterVec::new(opts(metric), metric.labels)?;
    registry.register(Box::new(made.clone()))?;
    Ok(made)
}

pub(super) fn counter(
    registry: &Registry,
    metric: &Described,
) -> Result<IntCounter, prometheus::Error> {
    let made = IntCounter::with_opts(opts(metric))?;
    registry.register(Box::new(made.clone()))?;
    Ok(made)
}

pub(super) fn gauges(
    registry: &Registry,
    metric: &Described,
) -> Result<IntGaugeVec, prometheus::Error> {
    let made = IntGaugeVec::new(opts(metric), metric.labels)?;
    registry.register(Box::new(made.clone()))?;
    Ok(made)
}

pub(super) fn gauge(
    registry: &Registry,
    metric: &Described,
) -> Result<IntGauge, prometheus::Error> {
    let made = IntGauge::with_opts(opts(metric))?;
    registry.register(Box::new(made.clone()))?;
    Ok(made)
}

pub(super) fn histogram(
    registry: &Registry,
    metric: &Described,
) -> Result<Histogram, prometheus::Error> {
    let options = HistogramOpts::new(metric.name, metric.help).buckets(SECONDS.to_vec());
    let made = Histogram::with_opts(options)?;
    registry.register(Box::new(made.clone()))?;
    Ok(made)
}
