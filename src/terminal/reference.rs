//! `sidegate reference`: the tables of the README, from what the program itself goes by.

use std::fmt::Write as _;
use std::path::Path;

use super::args::Reference;
use super::{DONE, FAILED, complain, say};
use crate::deny::Answer;
use crate::model::{Denial, Stage};
use crate::observe::metrics::DESCRIBED;
use crate::settings::config_reference;

pub(super) fn reference(args: &Reference) -> u8 {
    if let Some(path) = &args.into {
        return match write_into(path) {
            Ok(()) => DONE,
            Err(error) => {
                complain(&error);
                FAILED
            }
        };
    }
    let wanted = |name: &str| args.table.as_deref().is_none_or(|table| table == name);
    let tables = tables().into_iter().filter(|(name, _)| wanted(name));
    let tables: Vec<String> = tables.map(|(_, table)| table).collect();
    say(&tables.join("\n"))
}

fn tables() -> [(&'static str, String); 3] {
    [
        ("config", config_reference()),
        ("reasons", reasons()),
        ("metrics", metrics()),
    ]
}

fn reasons() -> String {
    let mut text = "| stage | reason | the caller gets | meaning |\n|---|---|---|---|\n".to_owned();
    for denial in Denial::ALL.iter().copied() {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| {} | `{}` | {} | {} |",
            denial.stage().code(),
            denial.code(),
            answer(denial),
            denial.meaning()
        );
    }
    text
}

fn answer(denial: Denial) -> String {
    use Denial as D;
    match (denial, denial.stage()) {
        (D::HandshakeTooSlow | D::ConnectionLimit | D::PeerConnectionLimit, _) => {
            return "the connection closed".to_owned();
        }
        (_, Stage::Tls) => return "TLS alert".to_owned(),
        _ => {}
    }
    let answer = Answer::to(denial);
    let mut text = answer.status.as_u16().to_string();
    if let Some(challenge) = answer.challenge {
        let _ = write!(text, ", `{challenge}`");
    }
    if let Some(wait) = answer.retry_after {
        let _ = write!(text, ", `Retry-After: {}`", wait.as_secs());
    }
    text
}

fn metrics() -> String {
    let mut text = "| metric | type | labels | meaning |\n|---|---|---|---|\n".to_owned();
    for metric in DESCRIBED {
        let labels: Vec<String> = metric.labels.iter().map(|l| format!("`{l}`")).collect();
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} |",
            metric.name,
            metric.kind,
            labels.join(", "),
            metric.help
        );
    }
    text
}

/// Why a file was left as it was.
#[derive(Debug, thiserror::Error)]
enum IntoError {
    #[error("{0}: {1}")]
    File(String, std::io::Error),
    #[error("{0}: no line \"{1}\" followed by its end")]
    Marker(String, String),
}

/// Puts each table between its markers.
fn write_into(path: &Path) -> Result<(), IntoError> {
    let name = path.display().to_string();
    let file = |error| IntoError::File(name.clone(), error);
    let mut text = std::fs::read_to_string(path).map_err(file)?;
    for (table, content) in tables() {
        let start = format!("<!-- {table}-reference:start -->\n");
        let end = format!("<!-- {table}-reference:end -->");
        let missing = || IntoError::Marker(name.clone(), start.trim_end().to_owned());
        let (before, rest) = text.split_once(&start).ok_or_else(missing)?;
        let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
        text = format!("{before}{start}\n{content}\n{end}{after}");
    }
    std::fs::write(path, text).map_err(file)
}
