//! What a gate's exposition says, read as seldom as it goes: rendering it takes longer than a request.

use std::collections::BTreeMap;

use sidegate::observe::Metrics;

/// The exposition of a gate in this process.
pub(crate) fn exposition(metrics: &Metrics) -> String {
    String::from_utf8(metrics.render()).unwrap()
}

/// The value of one sample, if it is there.
pub(crate) fn sample(exposition: &str, name: &str) -> Option<u64> {
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
    exposition.lines().find_map(value)
}

/// The samples of a counter by reason; those that never counted are left out.
pub(crate) fn by_reason(metrics: &Metrics, counter: &str) -> BTreeMap<String, u64> {
    let text = exposition(metrics);
    let samples = text.lines().filter_map(|line| {
        let labels = line.strip_prefix(counter)?.strip_prefix('{')?;
        let (labels, count) = labels.split_once("} ")?;
        let (_, reason) = labels.split_once("reason=\"")?;
        Some((reason.split('"').next()?.to_owned(), count.parse().unwrap()))
    });
    samples.filter(|(_, count)| *count > 0).collect()
}

/// Which refusals have been counted, from one look to the next.
pub(crate) struct Refusals(BTreeMap<String, u64>);

impl Refusals {
    /// From now on.
    pub(crate) fn watch(metrics: &Metrics) -> Self {
        Self(by_reason(metrics, "sidegate_refused_total"))
    }

    /// The reasons that were counted since the last look, each as often as it was.
    pub(crate) fn new_ones(&mut self, metrics: &Metrics) -> Vec<String> {
        let now = by_reason(metrics, "sidegate_refused_total");
        let before = std::mem::replace(&mut self.0, now);
        let again = self.0.iter().flat_map(|(reason, count)| {
            let more = count - before.get(reason).copied().unwrap_or(0);
            (0..more).map(|_| reason.clone())
        });
        again.collect()
    }
}
