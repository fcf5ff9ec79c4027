//! A Markdown file, as links, headings and fenced blocks.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

pub(super) const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Folders of other programs' making.
const NOT_OURS: [&str; 2] = ["target", "out"];

/// A Markdown file of the repository.
#[derive(Debug)]
pub(super) struct Page {
    /// Its path from the root.
    pub(super) name: String,
    pub(super) text: String,
}

/// A fenced block.
#[derive(Debug)]
pub(super) struct Fence {
    pub(super) language: String,
    /// The line where it begins.
    pub(super) line: usize,
    pub(super) text: String,
    /// The comment right before it, without its marks.
    pub(super) note: String,
}

/// Every Markdown file there is.
pub(super) fn pages() -> Vec<Page> {
    let mut names = Vec::new();
    collect(Path::new(ROOT), "", &mut names);
    names.sort();
    names.iter().map(|name| Page::read(name)).collect()
}

fn collect(folder: &Path, prefix: &str, names: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{prefix}{name}");
        if entry.file_type().unwrap().is_dir() {
            if !name.starts_with('.') && !NOT_OURS.contains(&&*name) {
                collect(&entry.path(), &format!("{path}/"), names);
            }
        } else if name.ends_with(".md") {
            names.push(path);
        }
    }
}

impl Page {
    pub(super) fn read(name: &str) -> Self {
        let text = fs::read_to_string(Path::new(ROOT).join(name));
        Self {
            name: name.to_owned(),
            text: text.unwrap_or_else(|error| panic!("{name}: {error}")),
        }
    }

    /// Where its links lead inside of the repository.
    pub(super) fn links(&self) -> Vec<String> {
        let prose = self.prose();
        let targets = prose.split("](").skip(1);
        targets
            .map(|rest| rest.split(')').next().unwrap().to_owned())
            .filter(|target| !target.contains("://"))
            .collect()
    }

    /// The text without its fenced blocks.
    fn prose(&self) -> String {
        let mut inside = false;
        let mut prose = String::new();
        for line in self.text.lines() {
            if line.trim_start().starts_with("```") {
                inside = !inside;
            } else if !inside {
                prose.push_str(line);
                prose.push('\n');
            }
        }
        prose
    }

    /// Its fenced blocks, in order.
    pub(super) fn fences(&self) -> Vec<Fence> {
        let mut fences = Vec::new();
        let mut open: Option<Fence> = None;
        let mut last = "";
        for (number, line) in self.text.lines().enumerate() {
            match (&mut open, line.strip_prefix("```")) {
                (None, Some(language)) => {
                    let note = last.strip_prefix("<!-- ");
                    let note = note.and_then(|note| note.strip_suffix(" -->"));
                    open = Some(Fence {
                        language: language.to_owned(),
                        line: number + 1,
                        text: String::new(),
                        note: note.unwrap_or_default().to_owned(),
                    });
                }
                (Some(_), Some(_)) => fences.extend(open.take()),
                (Some(fence), None) => {
                    fence.text.push_str(line);
                    fence.text.push('\n');
                }
                (None, None) => {}
            }
            if !line.is_empty() {
                last = line;
            }
        }
        assert!(open.is_none(), "{}: a fence is not closed", self.name);
        fences
    }
}

/// The names under which the headings of a page can be linked to.
pub(super) fn anchors(text: &str) -> BTreeSet<String> {
    let page = Page {
        name: String::new(),
        text: text.to_owned(),
    };
    page.prose()
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches('#').trim()))
        .collect()
}

fn anchor(heading: &str) -> String {
    let lower = heading.to_lowercase();
    let kept = lower.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
        _ => None,
    });
    kept.collect()
}
