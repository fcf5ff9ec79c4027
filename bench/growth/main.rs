//! What a request costs as what the gate has to know grows: issuers, keys, peers, routes, entries of the
//! deny list, claims. Writes `bench/results/growth.json`, `.md` and `.svg` anew.
//!
//! Counted in instructions outside the crypto library, not in time: the curves are to show whether a
//! count of a thousand things is felt by one request, and times of a microsecond would say as much about
//! the machine. Run it with `make growth`; `AXES=routes,peers` takes those alone and writes nothing.

mod axes;
mod chart;
#[path = "../counted/mod.rs"]
mod counted;

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::json;
use sidegate::lab::{Caller, Http, World, world};
use sidegate::model::Timestamp;

use self::axes::{AXES, Axis, Scene, Work};
use self::counted::load::{Connections, Lengths, Load, upstream};
use self::counted::profile::Cost;
use self::counted::{Counted, Failure, binary};

const LENGTHS: Lengths = Lengths {
    first: 10,
    runs: 3,
    run: 20,
};

/// One measurement.
pub(crate) struct Point {
    pub(crate) axis: &'static str,
    pub(crate) work: Work,
    pub(crate) count: usize,
    pub(crate) instructions: u64,
    pub(crate) with_crypto: u64,
    pub(crate) allocations: u64,
}

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let wanted = env::var("AXES").ok();
    let points = runtime.block_on(measure(wanted.as_deref()))?;
    if wanted.is_some() {
        return Ok(());
    }
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/results");
    fs::create_dir_all(&results)?;
    fs::write(results.join("growth.json"), json(&points)?)?;
    fs::write(results.join("growth.md"), table(&points)?)?;
    fs::write(results.join("growth.svg"), chart::draw(&points)?)?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "it takes minutes, and somebody waits")]
async fn measure(wanted: Option<&str>) -> Result<Vec<Point>, Failure> {
    let mut points = Vec::new();
    let is_wanted = |axis: &&Axis| {
        wanted.is_none_or(|wanted| wanted.split(',').any(|word| axis.name.contains(word)))
    };
    for axis in AXES.iter().filter(is_wanted) {
        for count in axis.points {
            for point in one(axis, *count).await? {
                let Point {
                    work,
                    instructions,
                    with_crypto,
                    ..
                } = &point;
                let (name, work) = (axis.name, work.name());
                println!("{count:>9} {name:<32} {work:<16} {instructions:>9} {with_crypto:>9}");
                points.push(point);
            }
        }
    }
    Ok(points)
}

/// All works of an axis at one of its points, in one gate.
async fn one(axis: &Axis, count: usize) -> Result<Vec<Point>, Failure> {
    let folder = tempfile::tempdir()?;
    let world = World::create(folder.path(), Timestamp::now())?;
    let scene = (axis.scene)(&world, count)?;
    let upstream = upstream().await?.to_string();
    let mut gate = Counted::start(
        &binary()?,
        &folder.path().join("sidegate.toml"),
        |listen, admin| {
            // As in the instruction guard.
            let upstream = format!("{upstream}\"\nidle_timeout = \"1h");
            let mut config = world.config(&listen.to_string(), &admin.to_string(), &upstream);
            for (old, new) in &scene.instead {
                config = config.replacen(old, new, 1);
            }
            let more = &scene.more;
            format!("{config}\n[runtime]\nthreads = 1\n{more}")
        },
    )
    .await?;
    gate.begin().await?;
    let mut points = Vec::new();
    for work in axis.works {
        let load = load(&world, &scene, *work)?;
        let runs = load.count(&mut gate, LENGTHS).await?;
        let costs: Vec<Cost> = runs.iter().map(|run| run.per(LENGTHS.run as u64)).collect();
        let cost = Cost::median(&costs);
        points.push(Point {
            axis: axis.name,
            work: *work,
            count,
            instructions: cost.ours,
            with_crypto: cost.all,
            allocations: cost.allocations,
        });
    }
    Ok(points)
}

fn load(world: &World, scene: &Scene, work: Work) -> Result<Load, Failure> {
    let key = scene.key.as_ref().unwrap_or(&world.key);
    let tokens = match work {
        Work::Repeated | Work::Handshake => 1,
        Work::Fresh => LENGTHS.all(),
    };
    let token = |number: usize| {
        let spec = scene.token.clone().claim("jti", format!("{number:06}"));
        Ok(format!("{}{}", scene.scheme, spec.sign(key)?))
    };
    let certificate = Some(&world.front);
    Ok(Load {
        caller: Caller::new(world.ca.pem(), world::SERVER_NAME, certificate, Http::One)?,
        path: scene.path.clone(),
        field: scene.field.clone(),
        tokens: (0..tokens).map(token).collect::<Result<_, Failure>>()?,
        status: 200,
        connections: match work {
            Work::Repeated | Work::Fresh => Connections::One,
            Work::Handshake => Connections::Each,
        },
    })
}

/// The curves: for each axis and each work, its points in their order.
pub(crate) fn curves(points: &[Point]) -> Vec<Vec<&Point>> {
    let mut curves: Vec<Vec<&Point>> = Vec::new();
    for point in points {
        let same = |curve: &&mut Vec<&Point>| {
            let first = curve.first();
            first.is_some_and(|first| first.axis == point.axis && first.work == point.work)
        };
        match curves.iter_mut().find(same) {
            Some(curve) => curve.push(point),
            None => curves.push(vec![point]),
        }
    }
    curves
}

fn json(points: &[Point]) -> Result<String, Failure> {
    let point = |point: &Point| {
        json!({
            "axis": point.axis,
            "work": point.work.name(),
            "count": point.count,
            "instructions": point.instructions,
            "with_crypto": point.with_crypto,
            "allocations": point.allocations,
        })
    };
    let points: Vec<_> = points.iter().map(point).collect();
    Ok(format!("{:#}\n", json!(points)))
}

fn table(points: &[Point]) -> Result<String, Failure> {
    let mut text = String::from(
        "Instructions for one request, outside the crypto library, by `make growth`.\n\n\
         | what grows | request with | from | to | instructions on the way | growth | each one more |\n\
         |---|---|--:|--:|--:|--:|--:|\n",
    );
    for curve in curves(points) {
        let (Some(first), Some(last)) = (curve.first(), curve.last()) else {
            continue;
        };
        let costs: Vec<String> = curve
            .iter()
            .map(|point| grouped(point.instructions))
            .collect();
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {:.2} x | {:.2} |",
            first.axis,
            first.work.name(),
            grouped(first.count as u64),
            grouped(last.count as u64),
            costs.join(" · "),
            last.instructions as f64 / first.instructions.max(1) as f64,
            (last.instructions as f64 - first.instructions as f64)
                / last.count.abs_diff(first.count).max(1) as f64
        )?;
    }
    Ok(text)
}

/// Digits in threes.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
