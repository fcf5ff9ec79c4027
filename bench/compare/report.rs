//! Figures become a table that says beside each bar whether it was met, and by how much it was not.

use std::fs;
use std::path::Path;

use crate::Failure;
use crate::bars::{BARE, Bar, Better, COPIER, ENVOY, HAPROXY, MEASURES, Measure, SIDEGATE};
use crate::figures::{median, spread};
use crate::plot;
use crate::results::Results;

const COLUMNS: [(&str, &str); 5] = [
    (ENVOY, "Envoy"),
    (HAPROXY, "HAProxy"),
    (COPIER, "byte copier"),
    (BARE, "bare gate"),
    (SIDEGATE, "sidegate"),
];

/// More than this share of the work for others, and a run says so.
const QUIET: f64 = 0.05;

/// Several runs become `README.md` and the plots in `folder`.
pub(crate) fn combine(folder: &str, files: &[&str]) -> Result<(), Failure> {
    let runs = files
        .iter()
        .map(|file| Results::read(Path::new(file)))
        .collect::<Result<Vec<_>, _>>()?;
    let runs: Vec<&Results> = runs.iter().collect();
    let folder = Path::new(folder);
    fs::create_dir_all(folder)?;
    for plot in plot::plots() {
        let svg = plot::draw(&plot, |measure, contestant| {
            middle(&runs, measure, contestant)
        })?;
        fs::write(folder.join(plot.file), svg)?;
    }
    let mut text = String::from(
        "# Side by side\n\n\
         Written by `make bench-report` from the runs below; [the bench](../README.md) says what was done\n\
         and how to repeat it. Each figure is the median of the runs' medians, with the least and the\n\
         most of all samples. A ratio is taken within a run; where there are several, each run's stands\n\
         in parentheses.\n\n",
    );
    for plot in plot::plots() {
        text += &format!("![{}]({})\n\n", plot.title, plot.file);
    }
    text += &table(&runs);
    fs::write(folder.join("README.md"), text)?;
    Ok(())
}

/// The tables of these runs.
pub(crate) fn table(runs: &[&Results]) -> String {
    let mut text = String::from("| work |");
    for (_, title) in COLUMNS {
        text += &format!(" {title} |");
    }
    text += " sidegate against | bar | met? |\n|---|--:|--:|--:|--:|--:|---|---|---|\n";
    for measure in &MEASURES {
        if middle(runs, measure.name, SIDEGATE).is_none() {
            continue;
        }
        text += &format!("| {} |", measure.title);
        for (name, _) in COLUMNS {
            text += &format!(" {} |", figure(runs, measure, name));
        }
        let (ratios, bars, verdicts) = judged(runs, measure);
        text += &format!(" {ratios} | {bars} | {verdicts} |\n");
    }
    text + &editions(runs) + &exchanges(runs) + &taken(runs)
}

/// The median of the runs' medians.
fn middle(runs: &[&Results], measure: &str, contestant: &str) -> Option<f64> {
    let medians: Vec<f64> = runs
        .iter()
        .filter_map(|run| run.median(measure, contestant))
        .collect();
    median(&medians)
}

fn figure(runs: &[&Results], measure: &Measure, contestant: &str) -> String {
    let Some(middle) = middle(runs, measure.name, contestant) else {
        return "-".to_owned();
    };
    let samples: Vec<f64> = runs
        .iter()
        .filter_map(|run| run.series(measure.name, contestant))
        .flat_map(|series| series.samples.iter().copied())
        .collect();
    let (unit, digits) = (measure.unit, measure.digits);
    let shown = |number: f64| grouped(number, digits);
    match spread(&samples) {
        Some((least, most)) if shown(least) != shown(most) => {
            let (middle, least, most) = (shown(middle), shown(least), shown(most));
            format!("{middle} {unit} ({least} to {most})")
        }
        _ => format!("{} {unit}", shown(middle)),
    }
}

/// Ratios, bars and the verdict of one measure.
fn judged(runs: &[&Results], measure: &Measure) -> (String, String, String) {
    let (mut ratios, mut bars, mut missed) = (Vec::new(), Vec::new(), Vec::new());
    let word = match measure.better {
        Better::Less => "at most",
        Better::More => "at least",
    };
    for bar in measure.bars {
        let (own, other, against) = match bar {
            Bar::Most(most) => {
                bars.push(format!("{word} {most} {}", measure.unit));
                let own = middle(runs, measure.name, SIDEGATE);
                (own, None, "".to_owned())
            }
            Bar::Times(times, rival) => {
                let title = title(rival);
                bars.push(format!("{word} {times:.2} x {title}"));
                let each = ratios_of(runs, measure.name, SIDEGATE, rival);
                let ratio = median(&each);
                if let Some(ratio) = ratio {
                    ratios.push(format!("{ratio:.2} x {title}{}", in_each(&each)));
                }
                (ratio, Some(1.0), format!(" ({title})"))
            }
        };
        match own.and_then(|own| bar.met(measure.better, own, other)) {
            Some(true) => {}
            Some(false) => missed.push(format!("**missed**{against}")),
            None => missed.push(format!("not measured{against}")),
        }
    }
    if missed.is_empty() {
        missed.push("yes".to_owned());
    }
    (ratios.join(", "), bars.join(", "), missed.join(", "))
}

fn ratios_of(runs: &[&Results], measure: &str, own: &str, other: &str) -> Vec<f64> {
    runs.iter()
        .filter_map(|run| Some(run.median(measure, own)? / run.median(measure, other)?))
        .collect()
}

fn in_each(ratios: &[f64]) -> String {
    if ratios.len() < 2 {
        return String::new();
    }
    let each: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
    format!(" ({})", each.join(", "))
}

fn title(contestant: &str) -> &str {
    COLUMNS
        .iter()
        .find(|(name, _)| *name == contestant)
        .map_or(contestant, |(_, title)| title)
}

/// Further editions of sidegate, against the first.
fn editions(runs: &[&Results]) -> String {
    let prefix = format!("{SIDEGATE}-");
    let mut names: Vec<&str> = runs
        .iter()
        .flat_map(|run| run.software.keys())
        .filter(|name| name.starts_with(&prefix))
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names.dedup();
    let mut text = String::new();
    for name in names {
        text += &format!("\n| work | sidegate | {name} | {name} / sidegate |\n|---|--:|--:|--:|\n");
        for measure in &MEASURES {
            let each = ratios_of(runs, measure.name, name, SIDEGATE);
            let Some(ratio) = median(&each) else { continue };
            text += &format!(
                "| {} | {} | {} | {ratio:.3}{} |\n",
                measure.title,
                figure(runs, measure, SIDEGATE),
                figure(runs, measure, name),
                in_each(&each)
            );
        }
    }
    text
}

/// What the two sides agreed on where the client had a choice.
fn exchanges(runs: &[&Results]) -> String {
    let Some(agreed) = runs
        .iter()
        .find_map(|run| run.exchanges.get("handshake-hybrid"))
    else {
        return String::new();
    };
    let each: Vec<String> = agreed
        .iter()
        .map(|(name, exchange)| format!("{} {exchange}", title(name)))
        .collect();
    format!(
        "\nWith X25519MLKEM768 offered first, the key exchange was: {}.\n",
        each.join(", ")
    )
}

/// When, where and with what.
fn taken(runs: &[&Results]) -> String {
    let mut text = String::from(
        "\n| run | day | rounds | requests | latency at | other programs' share |\n|---|---|--:|--:|--:|--:|\n",
    );
    for run in runs {
        let rate = match run.settings.per_second {
            0 => "-".to_owned(),
            rate => format!("{}/s", grouped(rate as f64, 0)),
        };
        text += &format!(
            "| {} | {} | {} | {} | {rate} | {:.1} % |\n",
            run.name,
            run.taken,
            run.settings.rounds,
            grouped(run.settings.requests as f64, 0),
            run.elsewhere * 100.0
        );
    }
    if runs.iter().any(|run| run.elsewhere > QUIET) {
        text += "\n**The machine was not quiet: these figures are worth little.**\n";
    }
    let Some(run) = runs.first() else { return text };
    let machine = &run.machine;
    text += &format!(
        "\n{}, {} cores, {} GB, Linux {}.\n\n| contestant | what |\n|---|---|\n",
        machine.processor, machine.cores, machine.memory_gigabytes, machine.kernel
    );
    for (name, what) in &run.software {
        text += &format!("| {} | {what} |\n", title(name));
    }
    if runs.iter().any(|other| other.machine != run.machine) {
        text += "\nThe runs are of different machines.\n";
    }
    if runs.iter().any(|other| other.software != run.software) {
        text += "\nThe runs are of different programs; those of the first are named.\n";
    }
    text
}

/// A number with a comma at each thousand.
fn grouped(number: f64, digits: usize) -> String {
    let plain = format!("{number:.digits$}");
    let (whole, rest) = plain
        .split_once('.')
        .map_or((&*plain, None), |(w, r)| (w, Some(r)));
    let mut text = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    match rest {
        Some(rest) => format!("{text}.{rest}"),
        None => text,
    }
}
