//! Figures become bars, each contestant's in relation to Envoy's.
//!
//! Colours of middle brightness on no ground, so that it can be read on a light page and on a dark
//! one.

use std::fmt::{Error, Write as _};

use crate::bars::{BARE, Better, COPIER, ENVOY, HAPROXY, MEASURES, Measure, SIDEGATE};

/// One picture.
pub(crate) struct Plot {
    pub(crate) file: &'static str,
    pub(crate) title: &'static str,
    measures: &'static [&'static str],
}

/// What is drawn.
pub(crate) fn plots() -> [Plot; 2] {
    [
        Plot {
            file: "time.svg",
            title: "Processor time and latency, Envoy = 1",
            measures: &[
                "h1-repeated-rs256",
                "h1-fresh-es256",
                "h1-fresh-rs256",
                "h2-fresh-es256",
                "handshake",
                "up",
                "down",
                "latency-p50",
                "latency-p99",
                "throughput",
            ],
        },
        Plot {
            file: "memory.svg",
            title: "Memory, start and size, Envoy = 1",
            measures: &[
                "idle",
                "idle-private",
                "held-1000",
                "held-10000",
                "start",
                "binary",
            ],
        },
    ]
}

/// From the costliest in most rows to ours.
const BARS: [(&str, &str, &str); 5] = [
    (HAPROXY, "HAProxy", "#a66bbe"),
    (ENVOY, "Envoy", "#d9763a"),
    (SIDEGATE, "sidegate", "#3b82c4"),
    (BARE, "bare gate", "#3a9d6b"),
    (COPIER, "byte copier", "#8a8a8a"),
];

const WIDTH: f64 = 560.0;
const LEFT: f64 = 12.0;
const RIGHT: f64 = 64.0;
const TOP: f64 = 64.0;
const BAR: f64 = 11.0;
const TITLE: f64 = 20.0;
const GAP: f64 = 12.0;
/// A bar that would be longer is cut; its number says how long it is.
const LONGEST: f64 = 2.0;

/// The picture; `figure` gives a contestant's figure of a measure.
pub(crate) fn draw(
    plot: &Plot,
    figure: impl Fn(&str, &str) -> Option<f64>,
) -> Result<String, Error> {
    let mut body = String::new();
    let mut y = TOP;
    for measure in MEASURES.iter().filter(|m| plot.measures.contains(&m.name)) {
        let Some(unit) = figure(measure.name, ENVOY) else {
            continue;
        };
        y = group(&mut body, measure, y, |name| {
            Some(figure(measure.name, name)? / unit)
        })?;
    }
    let mut svg = String::new();
    writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {y}\" font-family=\"sans-serif\" \
         font-size=\"12\" fill=\"#808080\">",
        LEFT + WIDTH + RIGHT
    )?;
    writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"18\" font-size=\"14\">{}</text>",
        plot.title
    )?;
    let mut x = LEFT;
    for (_, title, colour) in BARS {
        writeln!(
            svg,
            "<rect x=\"{x}\" y=\"31\" width=\"10\" height=\"10\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"40\">{title}</text>",
            x + 15.0
        )?;
        x += 100.0;
    }
    writeln!(
        svg,
        "<path d=\"M{:.1} {}V{}\" stroke=\"#80808060\" stroke-dasharray=\"3 3\"/>",
        LEFT + WIDTH / LONGEST,
        TOP - 8.0,
        y - GAP
    )?;
    svg.push_str(&body);
    writeln!(svg, "</svg>")?;
    Ok(svg)
}

/// One measure's bars from `y` on; gives where the next group begins.
fn group(
    body: &mut String,
    measure: &Measure,
    mut y: f64,
    share: impl Fn(&str) -> Option<f64>,
) -> Result<f64, Error> {
    let note = match measure.better {
        Better::Less => "",
        Better::More => " (more is better)",
    };
    writeln!(
        body,
        "<text x=\"{LEFT}\" y=\"{:.1}\">{}{note}</text>",
        y + 10.0,
        measure.title
    )?;
    y += TITLE - 4.0;
    for (name, _, colour) in BARS {
        let Some(share) = share(name) else { continue };
        let length = WIDTH * share.min(LONGEST) / LONGEST;
        writeln!(
            body,
            "<rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"10\">{share:.2}{}</text>",
            BAR - 1.0,
            LEFT + length + 5.0,
            y + 9.0,
            if share > LONGEST { " (cut)" } else { "" }
        )?;
        y += BAR;
    }
    Ok(y + GAP)
}
