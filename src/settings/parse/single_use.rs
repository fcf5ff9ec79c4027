//! `issuer.single_use`: whether a token passes once, and what that may cost.

use super::value;
use crate::settings::place::At;
use crate::settings::problem::{Report, join};
use crate::settings::single_use::{RawSingleUse, Switch};
use crate::settings::{SingleUseSettings, WhenFull, defaults};

/// The settings where it is on; `None` only after a problem was reported.
pub(super) fn single_use(
    written: Option<&At<Switch<RawSingleUse>>>,
    table: &str,
    report: &mut Report<'_>,
) -> Option<Option<SingleUseSettings>> {
    let plain = RawSingleUse::default();
    let raw = match written.map(|at| &at.value) {
        None | Some(Switch::Plain(false)) => return Some(None),
        Some(Switch::Plain(true)) => &plain,
        Some(Switch::With(raw)) => raw,
    };
    let table = join(table, "single_use");
    let remember = raw.remember.as_ref();
    let bounds = &defaults::REMEMBER;
    let remember = value::count(remember, &join(&table, "remember"), bounds, report);
    let key = join(&table, "when_full");
    let words = [
        ("refuse", WhenFull::Refuse),
        ("forget-oldest", WhenFull::ForgetOldest),
    ];
    let written = raw.when_full.as_ref();
    let when_full = value::word(written, &key, &words, defaults::WHEN_FULL, report)?;
    if let (Some(at), WhenFull::ForgetOldest) = (written, when_full) {
        let text =
            "a token that was forgotten passes again: whoever can fill the memory can replay";
        let fix = "write \"refuse\" with a larger remember, unless losing requests is worse";
        report.warn(&at.place, &key, text, fix);
    }
    let grace = raw.retry_grace.as_ref();
    let bounds = &defaults::RETRY_GRACE;
    let retry_grace = value::duration(grace, &join(&table, "retry_grace"), bounds, report);
    Some(Some(SingleUseSettings {
        remember: usize::try_from(remember).unwrap_or(usize::MAX),
        when_full,
        retry_grace,
    }))
}
