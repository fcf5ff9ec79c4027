//! Curves become a picture: one panel for each thing that grows, the number of it on a logarithmic
//! scale, instructions for a request on a linear one that begins at nothing.
//!
//! Colours of middle brightness on no ground, so that it can be read on a light page and on a dark
//! one.

use std::fmt::{Error, Write as _};

use super::axes::Work;
use super::{Point, curves};

const COLUMNS: usize = 3;
const PANEL: f64 = 280.0;
const WIDTH: f64 = 210.0;
const HEIGHT: f64 = 110.0;
const LEFT: f64 = 52.0;
const TOP: f64 = 40.0;
const ROW: f64 = TOP + HEIGHT + 44.0;
const HEAD: f64 = 28.0;

/// The picture.
pub(crate) fn draw(points: &[Point]) -> Result<String, Error> {
    let curves = curves(points);
    let mut axes: Vec<&str> = curves
        .iter()
        .filter_map(|curve| curve.first())
        .map(|point| point.axis)
        .collect();
    axes.dedup();
    let rows = axes.len().div_ceil(COLUMNS);
    let mut svg = String::new();
    writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" \
         font-size=\"11\" fill=\"#808080\">",
        PANEL * number(COLUMNS),
        HEAD + ROW * number(rows)
    )?;
    let mut x = LEFT;
    for work in [Work::Repeated, Work::Fresh, Work::Handshake] {
        let (name, colour) = (work.name(), colour(work));
        writeln!(
            svg,
            "<text x=\"{x}\" y=\"16\" fill=\"{colour}\">{name}</text>"
        )?;
        x += 110.0;
    }
    writeln!(
        svg,
        "<text x=\"{x}\" y=\"16\">thousand instructions for one request, without the crypto library</text>"
    )?;
    for (at, axis) in axes.iter().enumerate() {
        let left = PANEL * number(at % COLUMNS) + LEFT;
        let top = HEAD + ROW * number(at / COLUMNS) + TOP;
        let of_axis = |curve: &&Vec<&Point>| curve.first().is_some_and(|point| point.axis == *axis);
        let curves: Vec<&Vec<&Point>> = curves.iter().filter(of_axis).collect();
        panel(&mut svg, (left, top), axis, &curves)?;
    }
    writeln!(svg, "</svg>")?;
    Ok(svg)
}

fn panel(
    svg: &mut String,
    (left, top): (f64, f64),
    axis: &str,
    curves: &[&Vec<&Point>],
) -> Result<(), Error> {
    let all = || curves.iter().flat_map(|curve| curve.iter());
    let most = all().map(|point| point.instructions).max().unwrap_or(1);
    let largest = all().map(|point| point.count).max().unwrap_or(1);
    let edge = step(most) * (most / step(most) + 1);
    let x = |count: usize| left + WIDTH * decades(count) / decades(largest).max(1.0);
    let y = |cost: u64| top + HEIGHT * (1.0 - cost as f64 / edge as f64);
    writeln!(
        svg,
        "<text x=\"{left}\" y=\"{:.1}\" font-weight=\"bold\">{axis}</text>",
        top - 10.0
    )?;
    let mut line = 0;
    while line <= edge {
        let at = y(line);
        writeln!(
            svg,
            "<path d=\"M{left} {at:.1}h{WIDTH}\" stroke=\"#80808040\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 6.0,
            at + 4.0,
            line / 1000
        )?;
        line += step(most);
    }
    let mut counts: Vec<usize> = all().map(|point| point.count).collect();
    counts.sort_unstable();
    counts.dedup();
    for count in counts {
        writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            x(count),
            top + HEIGHT + 16.0,
            short(count)
        )?;
    }
    for curve in curves {
        let colour = curve.first().map_or("", |point| colour(point.work));
        let mut path = String::new();
        for point in curve.iter() {
            let (x, y) = (x(point.count), y(point.instructions));
            write!(path, "{x:.1},{y:.1} ")?;
            writeln!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\" fill=\"{colour}\"/>"
            )?;
        }
        writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{path}\"/>"
        )?;
    }
    Ok(())
}

const fn colour(work: Work) -> &'static str {
    match work {
        Work::Repeated => "#3b82c4",
        Work::Fresh => "#d9763a",
        Work::Handshake => "#3a9d6b",
    }
}

/// None is where one is.
fn decades(count: usize) -> f64 {
    number(count.max(1)).log10()
}

/// Between the lines, so that there are two to five: 1, 2 or 5 and zeros.
fn step(most: u64) -> u64 {
    let decades = (3..12).map(|decade| 10_u64.pow(decade));
    let mut steps = decades.flat_map(|decade| [decade, 2 * decade, 5 * decade]);
    steps
        .find(|step| most / step < 5)
        .unwrap_or_else(|| most.max(1))
}

fn short(count: usize) -> String {
    match count {
        1_000_000.. => format!("{}M", count / 1_000_000),
        1_000.. => format!("{}k", count / 1_000),
        _ => count.to_string(),
    }
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
