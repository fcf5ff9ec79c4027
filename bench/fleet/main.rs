//! Ten thousand gates and one key server, simulated: what the rules of fetching do to it, and what
//! other rules would do. Writes the tables and plots of `docs/explanation/fleet.md` anew.
//!
//! Run it with `make fleet`. It takes no time of a clock, so it says the same on every machine.

mod chart;
mod scenes;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use sidegate::lab::fleet::Course;

use self::scenes::{Scene, scenes};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The same courses each time.
const SEED: u64 = 1;
/// After so many seconds the first crowd has been there.
const SETTLED: usize = 5;

fn main() -> Result<(), Failure> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/explanation");
    let page = folder.join("fleet.md");
    let mut text = fs::read_to_string(&page)?;
    for scene in scenes() {
        let courses: Vec<(&str, Course)> = scene
            .runs
            .iter()
            .map(|run| (run.name, run.fleet.run(run.manner, SEED)))
            .collect();
        text = put(&text, scene.name, &table(&scene, &courses))?;
        let plot = folder.join(format!("fleet-{}.svg", scene.name));
        fs::write(plot, chart::draw(&scene, &courses)?)?;
    }
    fs::write(page, text)?;
    Ok(())
}

/// Replaces what stands between the markers of this name.
fn put(text: &str, name: &str, table: &str) -> Result<String, Failure> {
    let (begin, end) = (
        format!("<!-- {name}: written by make fleet -->\n"),
        format!("<!-- /{name} -->"),
    );
    let missing = || format!("docs/explanation/fleet.md has no marks for {name}");
    let (before, rest) = text.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
    Ok(format!("{before}{begin}{table}{end}{after}"))
}

fn table(scene: &Scene, courses: &[(&str, Course)]) -> String {
    let mut text = String::from(
        "| the gates | most fetches in 1 s | and later | 50 % | 99 % | all | mean | fetches per gate | in vain | requests refused per gate |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for ((name, course), run) in courses.iter().zip(&scene.runs) {
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        let each = |count: u64| count as f64 / run.fleet.gates as f64;
        let (fetches, in_vain) = (each(course.fetches()), each(course.in_vain()));
        let share = if fetches > 0.0 {
            100.0 * in_vain / fetches
        } else {
            0.0
        };
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} | {} | {} | {} | {fetches:.1} | {share:.0} % | {:.1} |",
            course.peak(scene.from),
            course.peak(scene.from + SETTLED),
            seconds(course.supplied_after(50)),
            seconds(course.supplied_after(99)),
            seconds(course.supplied_after(100)),
            seconds(course.mean_lack()),
            each(course.refused_requests()),
        );
    }
    text
}

fn seconds(time: Option<Duration>) -> String {
    match time.map(|time| time.as_secs_f64()) {
        None => "never".to_owned(),
        Some(time) if time < 9.95 => format!("{time:.1} s"),
        Some(time) => format!("{time:.0} s"),
    }
}
