//! `sidegate reference`: the tables of the documentation, from what the program itself goes by.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::args::Reference;
use super::flags::commands;
use super::{DONE, FAILED, complain, say};
use crate::deny::Answer;
use crate::model::{Denial, Stage};
use crate::observe::metrics::DESCRIBED;
use crate::settings::{config_reference, preset_reference};

pub(super) fn reference(args: &Reference) -> u8 {
    if !args.into.is_empty() {
        return match write_into(&args.into) {
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

fn tables() -> [(&'static str, String); 5] {
    [
        ("config", config_reference()),
        ("reasons", reasons()),
        ("metrics", metrics()),
        ("commands", commands()),
        ("presets", preset_reference()),
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

/// Why the files were left as they were.
#[derive(Debug, thiserror::Error)]
enum IntoError {
    #[error("{0}: {1}")]
    File(String, std::io::Error),
    #[error("{0}: no line \"{1}\"")]
    Marker(String, String),
    #[error("none of these files has a line \"{0}\"")]
    Nowhere(String),
}

/// Puts each table between its markers, in whichever of the files they stand. Either every table has
/// its place, or no file is changed.
fn write_into(paths: &[PathBuf]) -> Result<(), IntoError> {
    let name = |path: &Path| path.display().to_string();
    let file = |path: &Path| {
        let name = name(path);
        |error| IntoError::File(name, error)
    };
    let mut pages = Vec::with_capacity(paths.len());
    for path in paths {
        pages.push((path, std::fs::read_to_string(path).map_err(file(path))?));
    }
    for (table, content) in tables() {
        let start = format!("<!-- {table}-reference:start -->\n");
        let end = format!("<!-- {table}-reference:end -->");
        let mut placed = false;
        for (path, text) in &mut pages {
            let Some((before, rest)) = text.split_once(&start) else {
                continue;
            };
            let missing = || IntoError::Marker(name(path), end.clone());
            let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
            *text = format!("{before}{start}\n{content}\n{end}{after}");
            placed = true;
        }
        if !placed {
            return Err(IntoError::Nowhere(start.trim_end().to_owned()));
        }
    }
    for (path, text) in pages {
        std::fs::write(path, text).map_err(file(path))?;
    }
    Ok(())
}
