//! The commands and their arguments as Markdown tables, from what clap itself goes by.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};

use super::args::Cli;

/// One section for each command that does something, in the order of `--help`.
pub(super) fn commands() -> String {
    let mut text = String::new();
    let program = Cli::command();
    sections(&mut text, program.get_name(), &program);
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn sections(text: &mut String, name: &str, command: &Command) {
    for inner in command.get_subcommands() {
        let name = format!("{name} {}", inner.get_name());
        if inner.has_subcommands() {
            sections(text, &name, inner);
        } else {
            section(text, &name, inner);
        }
    }
}

fn section(text: &mut String, name: &str, command: &Command) {
    let about = command.get_about().map(ToString::to_string);
    // Writing to a String cannot fail.
    let _ = writeln!(text, "#### `{name}`\n\n{}\n", about.unwrap_or_default());
    let mut arguments = command.get_arguments().peekable();
    if arguments.peek().is_none() {
        return;
    }
    text.push_str("| argument | default | meaning |\n|---|---|---|\n");
    for argument in arguments {
        let help = argument.get_help().map(ToString::to_string);
        let cells = [
            spelling(argument),
            default(argument),
            help.unwrap_or_default(),
        ];
        let cells = cells.map(|cell| cell.replace('|', "\\|"));
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text.push('\n');
}

/// As it is typed: `--config FILE`, or `-c`.
fn spelling(argument: &Arg) -> String {
    let values: Vec<String> = if argument.get_action().takes_values() {
        let choices = argument.get_possible_values();
        let choices: Vec<&str> = choices.iter().map(|choice| choice.get_name()).collect();
        let names = argument.get_value_names().unwrap_or_default();
        if choices.is_empty() {
            names.iter().map(ToString::to_string).collect()
        } else {
            vec![choices.join("|")]
        }
    } else {
        Vec::new()
    };
    let flag = argument.get_long().map(|long| format!("--{long}"));
    let words: Vec<String> = flag.into_iter().chain(values).collect();
    let mut text = format!("`{}`", words.join(" "));
    if let Some(short) = argument.get_short() {
        let _ = write!(text, ", `-{short}`");
    }
    text
}

fn default(argument: &Arg) -> String {
    if argument.is_required_set() {
        return "required".to_owned();
    }
    if !argument.get_action().takes_values() {
        return String::new();
    }
    let values = argument.get_default_values().iter();
    let values = values.map(|value| format!("`{}`", value.to_string_lossy()));
    values.collect::<Vec<_>>().join(" ")
}
