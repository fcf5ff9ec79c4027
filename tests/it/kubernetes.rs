//! The Kubernetes manifests: every overlay renders, fits the schemas and obeys the rules; the rules
//! notice when one is broken; the configurations in them are understood.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

use sidegate::settings::{Overrides, Settings};

use crate::harness::peer::python;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn validate(arguments: &[&str]) -> Option<Output> {
    let mut command = python("../../k8s/validate", Some("kubernetes_validate"))?;
    Some(command.args(arguments).output().unwrap())
}

fn said(output: &Output) -> String {
    let all = [output.stdout.clone(), output.stderr.clone()].concat();
    String::from_utf8(all).unwrap()
}

#[test]
fn every_overlay_fits_the_schemas_and_obeys_the_rules() {
    let Some(output) = validate(&[]) else { return };
    let said = said(&output);
    print!("{said}");
    assert!(output.status.success(), "{said}");
    let overlays = fs::read_dir(Path::new(ROOT).join("k8s/overlays")).unwrap();
    for overlay in overlays {
        let name = overlay.unwrap().file_name();
        let good = format!("{}: ", name.to_str().unwrap());
        let line = said.lines().find(|line| line.starts_with(&good)).unwrap();
        assert!(line.contains("are good for Kubernetes 1."), "{line}");
    }
}

#[test]
fn the_configuration_in_every_overlay_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    if validate(&["--policy-only", "--write", out]).is_none() {
        return;
    }
    let mut read = 0;
    for entry in folder.path().read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let text = fs::read_to_string(&path).unwrap();
            let name = path.to_str().unwrap();
            let settings = Settings::from_text(&text, name, &Overrides::default());
            let (_, warnings) = settings.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(warnings, [], "{name}");
            read += 1;
        }
    }
    assert_eq!(read, 5);
}

/// A file, what is replaced in it by what, the overlay that is judged, and what must be said then.
type Fault = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

const SIDECAR: &str = "components/sidegate/sidecar.yaml";
const SECRET: &str = "overlays/secret/sidegate.toml";

/// What only a schema finds; the rest is found without reading any.
const FOUND_BY_SCHEMA: [&str; 2] = ["periodSecond", "podMetricsEndpoints is missing"];

const FAULTS: [Fault; 22] = [
    (
        SIDECAR,
        "restartPolicy: Always",
        "restartPolicy: always",
        "secret",
        "restartPolicy is 'always'",
    ),
    (
        SIDECAR,
        "restartPolicy: Always",
        "# none",
        "secret",
        "the Pod would never start",
    ),
    (
        SIDECAR,
        "periodSeconds: 10",
        "periodSecond: 10",
        "secret",
        "periodSecond",
    ),
    (
        SIDECAR,
        "path: /livez, port: 9090 }\n            periodSeconds: 10",
        "path: /readyz, port: 9090 }\n            periodSeconds: 10",
        "secret",
        "livenessProbe does not ask /livez",
    ),
    (
        SIDECAR,
        "startupProbe:",
        "startProbe:",
        "secret",
        "startupProbe does not ask /livez",
    ),
    (
        SIDECAR,
        "drop: [ALL]",
        "drop: [NET_RAW]",
        "secret",
        "sidegate: capabilities",
    ),
    (
        SIDECAR,
        "allowPrivilegeEscalation: false",
        "allowPrivilegeEscalation: true",
        "secret",
        "sidegate: allowPrivilegeEscalation",
    ),
    (
        SIDECAR,
        "readOnlyRootFilesystem: true",
        "readOnlyRootFilesystem: false",
        "secret",
        "the root is not read-only",
    ),
    (
        SIDECAR,
        "limits: { memory: 256Mi }",
        "limits: {}",
        "secret",
        "no memory limit",
    ),
    (
        SIDECAR,
        "image: sidegate:0.1.0",
        "image: sidegate:latest",
        "secret",
        "no fixed tag",
    ),
    (
        SIDECAR,
        "mountPath: /etc/sidegate,",
        "mountPath: /etc/sidegate/sidegate.toml, subPath: sidegate.toml,",
        "secret",
        "subPath",
    ),
    (
        SIDECAR,
        "value: \"0.0.0.0:9090\"",
        "value: \"127.0.0.1:9090\"",
        "secret",
        "not where the kubelet asks",
    ),
    (
        "components/sidegate/service.yaml",
        "targetPort: 8443 }",
        "targetPort: 8443 }\n    - { name: http, port: 80, targetPort: 8080 }",
        "secret",
        "port 80 leads around the gate",
    ),
    (
        "base/service.yaml",
        "labels: { sidegate: behind }",
        "labels: {}",
        "secret",
        "port 80 leads around the gate",
    ),
    (
        "components/sidegate/networkpolicy.yaml",
        "port: 8443",
        "port: 8080",
        "secret",
        "opens other ports",
    ),
    (
        "components/sidegate/networkpolicy.yaml",
        "matchLabels: { sidegate: behind }",
        "matchLabels: { sidegate: behnd }",
        "secret",
        "no NetworkPolicy selects the Pod",
    ),
    (
        "components/sidegate/podmonitor.yaml",
        "podMetricsEndpoints:",
        "podMetricEndpoints:",
        "secret",
        "podMetricsEndpoints is missing",
    ),
    (
        SECRET,
        "drain = \"5s\"",
        "drain = \"20s\"",
        "secret",
        "37 s are needed",
    ),
    (
        SECRET,
        "address = \"127.0.0.1:8080\"",
        "address = \"10.0.0.1:8080\"\nunsafe_address = true",
        "secret",
        "upstream.address is 10.0.0.1:8080",
    ),
    (
        "base/deployment.yaml",
        "sleep: { seconds: 5 }",
        "sleep: { seconds: 1 }",
        "secret",
        "no preStop that waits",
    ),
    (
        "overlays/plain/wait.yaml",
        "\"22\"",
        "\"12\"",
        "plain",
        "the gate drains until 20 s",
    ),
    (
        "base/namespace.yaml",
        "enforce: restricted",
        "enforce: privileged",
        "secret",
        "enforce is privileged",
    ),
];

#[test]
fn each_fault_that_is_planted_in_the_manifests_is_found() {
    if python("../../k8s/validate", Some("kubernetes_validate")).is_none() {
        return;
    }
    // Each is a program of a second or so, and most machines run two.
    let (one, other) = FAULTS.split_at(FAULTS.len() / 2);
    thread::scope(|scope| {
        for half in [one, other] {
            scope.spawn(|| half.iter().for_each(is_found));
        }
    });
}

fn is_found((file, old, new, overlay, complaint): &Fault) {
    let folder = tempfile::tempdir().unwrap();
    let mut copy = Command::new("cp");
    let source = Path::new(ROOT).join("k8s/.");
    copy.arg("-r").arg(source).arg(folder.path());
    assert!(copy.status().unwrap().success());
    let path = folder.path().join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(old), "{file} has no {old}");
    fs::write(&path, text.replacen(old, new, 1)).unwrap();
    let root = folder.path().to_str().unwrap();
    let mut arguments = vec!["--root", root, "--only", overlay];
    if !FOUND_BY_SCHEMA.contains(complaint) {
        arguments.push("--policy-only");
    }
    let output = validate(&arguments).unwrap();
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{file}: {new}: {said}");
    assert!(said.contains(complaint), "{file}: {new}: {said}");
}
