//! `sidegate explain`, as a person or a script meets it.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use sidegate::lab::World;
use tempfile::TempDir;

use crate::harness::process::fresh_world;

struct Shell {
    world: World,
    _folder: TempDir,
}

impl Shell {
    fn open() -> Self {
        let (world, _folder) = fresh_world();
        let config = world.config("127.0.0.1:0", "off", "127.0.0.1:1");
        world.write("sidegate.toml", &config).unwrap();
        Self { world, _folder }
    }

    fn token(&self) -> String {
        self.world.token().sign(&self.world.key).unwrap()
    }

    /// The command with this on its standard input.
    fn explain(&self, args: &[&str], input: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sidegate"));
        command
            .arg("explain")
            .args(args)
            .env_clear()
            .env("SIDEGATE_CONFIG", "sidegate.toml")
            .current_dir(&self.world.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that refuses its arguments may be gone before it reads.
        drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
        child.wait_with_output().unwrap()
    }

    fn json(&self, args: &[&str], input: &str) -> (i32, Value) {
        let output = self.explain(&[args, &["--json"]].concat(), input);
        let code = output.status.code().unwrap();
        (code, serde_json::from_slice(&output.stdout).unwrap())
    }
}

fn text(output: &Output) -> String {
    String::from_utf8([&*output.stdout, &output.stderr].concat()).unwrap()
}

#[test]
fn a_good_pair_is_allowed_from_a_file_and_from_standard_input() {
    let shell = Shell::open();
    let front = ["--certificate", "front.crt"];
    let (code, report) = shell.json(&front, &format!("{}\n", shell.token()));
    assert_eq!((code, &report["verdict"]), (0, &Value::from("allowed")));
    let (code, _) = shell.json(&front, &format!("Bearer {}", shell.token()));
    assert_eq!(code, 0);
    let file = [&front[..], &["--token-file", "token"]].concat();
    let output = shell.explain(&file, "");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(!text(&output).contains('\u{1b}'), "no colour into a pipe");
}

#[test]
fn a_refused_pair_is_told_with_its_reason_and_exit_status_1() {
    let shell = Shell::open();
    let partner = ["--certificate", "partner.crt", "--token-file", "token"];
    let output = shell.explain(&partner, "");
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output);
    assert!(
        told.contains("FAILED  this peer may bring its tokens"),
        "{told}"
    );
    assert!(
        told.contains("refused: issuer_not_for_peer (stage pair)"),
        "{told}"
    );
    assert!(told.contains("issuers = [\"partner\", \"main\"]"), "{told}");
    let (code, report) = shell.json(&["--certificate", "front.crt"], "");
    assert_eq!(
        (code, &report["reason"]),
        (1, &Value::from("token_missing"))
    );
}

#[test]
fn the_json_has_the_members_that_scripts_count_on() {
    let shell = Shell::open();
    let late = ["--certificate", "front.crt", "--at", "2200-01-01T00:00:00Z"];
    let (_, report) = shell.json(&late, &shell.token());
    assert_eq!(report["verdict"], "refused");
    assert_eq!(report["reason"], "certificate_expired");
    assert_eq!(report["stage"], "tls");
    assert_eq!(report["at"], 7_258_118_400_u64);
    let steps = report["steps"].as_array().unwrap();
    assert_eq!(steps[0]["check"], "certificate");
    let outcomes: Vec<&str> = steps
        .iter()
        .map(|step| step["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(&outcomes[..3], ["passed", "failed", "not_reached"]);
    for step in steps {
        for member in ["check", "outcome", "found", "expected", "fix"] {
            assert!(step[member].is_string(), "{member} in {step}");
        }
        let fixed = !step["fix"].as_str().unwrap().is_empty();
        assert_eq!(fixed, step["outcome"] == "failed", "{step}");
    }
}

#[test]
fn the_token_is_never_an_argument() {
    let shell = Shell::open();
    let token = shell.token();
    for args in [
        vec!["--certificate", "front.crt", token.as_str()],
        vec!["--certificate", "front.crt", "--token", token.as_str()],
    ] {
        let output = shell.explain(&args, "");
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
    }
    let output = shell.explain(&["--help"], "");
    assert!(text(&output).contains("never from an argument"));
}

#[test]
fn what_cannot_be_asked_is_said_with_exit_status_2() {
    let shell = Shell::open();
    let front = "front.crt";
    for (args, words) in [
        (
            vec!["--certificate", "nowhere.crt"],
            "nowhere.crt: cannot be read",
        ),
        (
            vec!["--certificate", "front.key"],
            "CERTIFICATE sections are expected",
        ),
        (
            vec!["--certificate", front, "--token-file", "nowhere"],
            "nowhere: cannot be read",
        ),
        (
            vec!["--certificate", front, "--issuer", "nobody"],
            "write one of main, partner",
        ),
        (
            vec!["--certificate", front, "--path", "/a b"],
            "no such request",
        ),
        (
            vec!["--certificate", front, "--at", "yesterday"],
            "seconds since 1970",
        ),
        (
            vec!["--certificate", front, "--config", "nowhere.toml"],
            "nowhere.toml",
        ),
        (vec![], "--certificate"),
    ] {
        let output = shell.explain(&args, "");
        let told = text(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {told}");
        assert!(told.contains(words), "{args:?}: {told}");
    }
}

/// A variable that nobody knows is somebody's mistake, where variables are read at all.
#[test]
fn a_stray_variable_stops_only_commands_that_read_them() {
    let shell = Shell::open();
    for (args, code) in [
        (&["schema"][..], 0),
        (&["reference", "presets"], 0),
        (&["dev", "jwks", "--out", "new.key"], 0),
        (&["explain", "--certificate", "front.crt"], 2),
        (&["check", "--config", "sidegate.toml"], 64),
        (&["probe"], 64),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sidegate"));
        command.args(args).env_clear().env("SIDEGATE_FOO", "1");
        command
            .current_dir(&shell.world.folder)
            .stdin(Stdio::null());
        let output = command.output().unwrap();
        let told = text(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {told}");
        assert_eq!(told.contains("SIDEGATE_FOO"), code != 0, "{args:?}: {told}");
    }
}

#[test]
fn the_token_is_put_where_the_named_issuer_expects_it() {
    let shell = Shell::open();
    let token = shell.token();
    let partner = ["--certificate", "partner.crt", "--issuer", "partner"];
    let (_, report) = shell.json(&partner, &token);
    assert_eq!(report["issuer"], "partner");
    assert_ne!(report["reason"], "issuer_not_for_peer");
}
