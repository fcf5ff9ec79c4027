//! Courses become a plot: fetches per second over time, the former on a logarithmic scale.
//!
//! Colours of middle brightness on no ground, so that it can be read on a light page and on a dark
//! one.

use std::fmt::{Error, Write as _};

use sidegate::lab::fleet::Course;

use super::scenes::Scene;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 56.0;
const TOP: f64 = 56.0;
/// One hundred thousand is the upper edge.
const DECADES: f64 = 5.0;
/// The most points of a line; each is the highest of its stretch.
const POINTS: usize = 360;
const COLOURS: [&str; 6] = [
    "#3b82c4", "#d9763a", "#3a9d6b", "#a66bbe", "#8a8a8a", "#c9485b",
];

/// The picture.
pub(crate) fn draw(scene: &Scene, courses: &[(&str, Course)]) -> Result<String, Error> {
    let mut svg = String::new();
    writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" \
         font-size=\"12\" fill=\"#808080\">",
        LEFT + WIDTH + 16.0,
        TOP + HEIGHT + 40.0
    )?;
    writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"16\">{}: fetches per second</text>",
        scene.title
    )?;
    let length = courses
        .iter()
        .map(|(_, course)| course.arrivals().len())
        .max();
    let length = length.unwrap_or_default();
    for (decade, label) in ["1", "10", "100", "1,000", "10,000"].iter().enumerate() {
        let y = height(10_f64.powf(number(decade)));
        writeln!(
            svg,
            "<path d=\"M{LEFT} {y:.1}h{WIDTH}\" stroke=\"#80808040\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            LEFT - 6.0,
            y + 4.0
        )?;
    }
    for sixth in 0..=6 {
        let x = LEFT + WIDTH * number(sixth) / 6.0;
        writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{} s</text>",
            TOP + HEIGHT + 18.0,
            length * sixth / 6
        )?;
    }
    for (at, ((name, course), colour)) in courses.iter().zip(COLOURS).enumerate() {
        let x = LEFT + 240.0 * number(at % 3);
        let y = 32.0 + 14.0 * number(at / 3);
        writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{colour}\">{name}</text>"
        )?;
        writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{}\"/>",
            points(course, length)?
        )?;
    }
    writeln!(svg, "</svg>")?;
    Ok(svg)
}

fn points(course: &Course, length: usize) -> Result<String, Error> {
    let stretch = length.div_ceil(POINTS).max(1);
    let mut points = String::new();
    for (at, counts) in course.arrivals().chunks(stretch).enumerate() {
        let most = counts.iter().copied().max().unwrap_or_default();
        let x = LEFT + WIDTH * number(at * stretch) / number(length);
        write!(points, "{x:.1},{:.1} ", height(f64::from(most)))?;
    }
    Ok(points)
}

/// Where so many fetches are; none are where one is.
fn height(fetches: f64) -> f64 {
    TOP + HEIGHT * (1.0 - fetches.max(1.0).log10() / DECADES)
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
