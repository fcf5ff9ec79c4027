//! The instruction guard fails when it should and not otherwise, and its own inputs stay usable.

#[path = "../../bench/counted/profile.rs"]
mod profile;
#[path = "../../bench/instructions/verdict.rs"]
mod verdict;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use self::profile::{Cost, Profile};
use self::verdict::{Expected, Figures, TOLERANCE, Tools};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const FILE: &str = "bench/instructions/expected.toml";

fn figures(instructions: u64, allocations: u64) -> BTreeMap<String, Figures> {
    let figures = Figures {
        instructions,
        with_crypto: 2 * instructions,
        allocations,
    };
    BTreeMap::from([("a-case".to_owned(), figures)])
}

fn expected(instructions: u64, allocations: u64) -> Expected {
    let text = String::from("anything");
    Expected {
        taken_with: Tools {
            rustc: text.clone(),
            valgrind: text.clone(),
            processor: text,
        },
        case: figures(instructions, allocations),
    }
}

#[test]
fn a_request_that_grew_beyond_the_tolerance_fails_by_name_and_number() {
    let expected = expected(40_000, 50);
    let most = 40_000 + 40_000 * TOLERANCE / 1000;
    assert_eq!(expected.judge(&figures(most, 50)).grown, [""; 0]);
    let verdict = expected.judge(&figures(most + 1, 50));
    let [line] = &verdict.grown[..] else {
        panic!("{verdict:?}")
    };
    for word in ["a-case", "40000 expected", &format!("{} seen", most + 1)] {
        assert!(line.contains(word), "{line}");
    }
}

#[test]
fn two_allocations_more_fail() {
    let verdict = expected(40_000, 50).judge(&figures(40_000, 52));
    assert_eq!(verdict.grown.len(), 1, "{verdict:?}");
}

#[test]
fn a_request_that_shrank_is_told_and_passes() {
    let verdict = expected(40_000, 50).judge(&figures(30_000, 40));
    assert_eq!(
        (verdict.grown.len(), verdict.shrunk.len()),
        (0, 2),
        "{verdict:?}"
    );
}

#[test]
fn a_case_without_its_counterpart_fails() {
    let mut other = expected(40_000, 50);
    other.case = BTreeMap::from([("another".to_owned(), other.case["a-case"])]);
    let verdict = other.judge(&figures(40_000, 50));
    assert_eq!(verdict.grown.len(), 2, "{verdict:?}");
}

#[test]
fn of_two_measurements_the_lesser_counts_number_by_number() {
    let figures = |instructions, with_crypto, allocations| Figures {
        instructions,
        with_crypto,
        allocations,
    };
    let least = figures(10, 99, 3).least(figures(11, 50, 2));
    assert_eq!(least, figures(10, 50, 2));
}

#[test]
fn the_crypto_library_is_not_judged() {
    let mut seen = figures(40_000, 50);
    seen.values_mut()
        .for_each(|figures| figures.with_crypto *= 3);
    assert_eq!(
        expected(40_000, 50).judge(&seen),
        verdict::Verdict::default()
    );
}

#[test]
fn the_file_of_expected_figures_is_as_it_would_be_written_and_could_not_be_a_twentieth_lower() {
    let text = fs::read_to_string(Path::new(ROOT).join(FILE)).unwrap();
    let expected = Expected::parse(&text).unwrap();
    assert_eq!(expected.write(), text);
    let seen = &expected.case;
    assert_eq!(expected.lowered(5).judge(seen).grown.len(), seen.len());
}

#[test]
fn the_planted_mistake_and_every_promise_can_still_be_patched() {
    let mut patches = vec!["bench/instructions/planted.patch".to_owned()];
    for entry in fs::read_dir(Path::new(ROOT).join("bench/instructions/without")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        patches.push(format!("bench/instructions/without/{name}"));
    }
    assert!(patches.len() > 4, "{patches:?}");
    for patch in patches {
        let output = Command::new("git")
            .args(["apply", "--check", &patch])
            .current_dir(ROOT)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "mend {patch}: {said}");
    }
}

#[test]
fn what_rust_calls_of_the_crypto_library_is_counted_whole_and_apart() {
    let dump = |times: u64| {
        format!(
            "# callgrind format\nevents: Ir\n\n\
             fn=_ZN8sidegate4gate5judge17hE\n0 {ours}\n\
             cfn=aws_lc_1_verify\ncalls={times} 0\n0 {verify}\n\
             cfn=malloc\ncalls={mallocs} 0\n0 {malloc}\n\n\
             fn=aws_lc_1_verify\n0 {own}\n\
             cfn=inside\ncalls={times} 0\n0 {inside}\n\n\
             fn=inside\n0 {inside}\n\n\
             fn=malloc\n0 {malloc}\n",
            ours = 100 * times,
            verify = 1000 * times,
            mallocs = 3 * times,
            malloc = 60 * times,
            own = 300 * times,
            inside = 700 * times,
        )
    };
    let read = |times| {
        let mut profile = Profile::default();
        profile.add(&dump(times));
        profile
    };
    let expected = Cost {
        all: 1160,
        ours: 160,
        allocations: 3,
    };
    assert_eq!(read(20).per(20), expected);
    assert_eq!(read(30).functions["inside"], 21_000);
}

#[test]
fn one_run_that_differs_does_not_count() {
    let cost = |all, ours, allocations| Cost {
        all,
        ours,
        allocations,
    };
    let costs = [cost(10, 5, 1), cost(99, 4, 1), cost(11, 77, 9)];
    assert_eq!(Cost::median(&costs), cost(11, 5, 1));
}
