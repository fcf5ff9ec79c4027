//! The demo in containers shows what it must, and notices when it does not hold.

use std::path::Path;
use std::process::{Command, Output};

use crate::harness::docker::{docker, image};
use crate::harness::peer::{finished, installed};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Runs the demo as this Compose project, with some environment; nothing of it may be left.
async fn demo(name: &str, environment: &[(&str, &str)]) -> Option<Output> {
    let image = image()?;
    for program in ["docker-compose", "haproxy", "curl", "openssl"] {
        installed(program)?;
    }
    let name = format!("sidegate-{name}-{}", std::process::id());
    let mut command = Command::new(Path::new(ROOT).join("compose/demo/run"));
    command.env("SIDEGATE_IMAGE", image);
    command.env("COMPOSE_PROJECT_NAME", &name);
    command.envs(environment.iter().copied());
    let output = finished(command, &[]).await;
    let left = [
        docker(["ps", "--all", "--format", "{{.Names}}"]),
        docker(["network", "ls", "--format", "{{.Name}}"]),
        docker(["image", "ls", "--format", "{{.Repository}}"]),
    ];
    let left = left.concat();
    assert!(!left.contains(&name), "{left}");
    Some(output)
}

#[tokio::test]
async fn the_compose_demo_lets_the_user_in_and_keeps_the_intruder_out() {
    let Some(output) = demo("demo", &[]).await else {
        return;
    };
    let table = String::from_utf8_lossy(&output.stdout);
    print!("{table}");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let rows = |who: &str| table.lines().filter(|row| row.starts_with(who)).count();
    assert!(rows("intruder ") >= 10 && rows("user ") >= 10, "{table}");
    assert!(table.contains("each as it must"), "{table}");
}

#[tokio::test]
async fn the_compose_demo_fails_when_the_service_can_be_reached_around_the_gate() {
    let open = [
        ("DEMO_LISTEN", "0.0.0.0:8080"),
        ("DEMO_ROWS", "around the gate"),
    ];
    let Some(output) = demo("opened", &open).await else {
        return;
    };
    let table = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{table}");
    let wrong = table.lines().filter(|row| row.contains("<-- WRONG"));
    let wrong: Vec<_> = wrong.collect();
    assert_eq!(wrong.len(), 2, "{table}");
    for row in wrong {
        assert!(row.contains("around the gate"), "{row}");
    }
}
