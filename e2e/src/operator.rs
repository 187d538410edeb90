//! The operator as its administrator sees it: its Deployment, its pods, its Lease, its chart.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use weir_tests::deadline;
use weir_tests::engine::repository_file;

use crate::cluster::kubectl;
use crate::node::Node;

/// The namespace in which `e2e/run` installs the operator.
pub const NAMESPACE: &str = "weir";
const SELECTOR: &str = "--selector=app.kubernetes.io/component=operator";
/// The chart's default number of replicas.
const REPLICAS: u32 = 2;
/// The time until another pod leads. It takes over 15 s after the leader last renewed its Lease.
const ELECTION_LIMIT: Duration = Duration::from_secs(60);
const ROLLOUT: &str = "--timeout=90s";

/// The pod that leads.
#[must_use]
pub fn leader() -> String {
    lease()["holderIdentity"].as_str().unwrap_or_default().to_owned()
}

/// The Lease's spec.
#[must_use]
pub fn lease() -> Value {
    let lease: Value =
        serde_json::from_str(&kubectl(&["--namespace", NAMESPACE, "get", "lease", "weir-operator", "--output=json"]))
            .unwrap();
    lease["spec"].clone()
}

/// Waits for a leader that is not this one; returns its name.
pub fn wait_for_leader_other_than(pod: &str) -> String {
    deadline::until("another leader", ELECTION_LIMIT, || {
        Some(leader()).filter(|leader| !leader.is_empty() && leader != pod)
    })
}

/// The one container of an operator's pod.
#[must_use]
pub fn container(pod: &str) -> Value {
    let pod: Value =
        serde_json::from_str(&kubectl(&["--namespace", NAMESPACE, "get", "pod", pod, "--output=json"])).unwrap();
    pod["status"]["containerStatuses"][0].clone()
}

/// Sends a signal to the operator's process in a pod.
pub fn signal(pod: &str, signal: &str) {
    Node::of(NAMESPACE, pod).signal(signal, &format!("weir-operator run .*{pod}"));
}

/// Sets the number of replicas and waits for them. The previous pods are gone when this returns.
fn scale(replicas: u32) {
    kubectl(&["--namespace", NAMESPACE, "scale", "deployment", SELECTOR, &format!("--replicas={replicas}")]);
    wait_until_rolled_out();
    deadline::until("the other pods are gone", Duration::from_secs(90), || {
        (pods().len() == replicas as usize).then_some(())
    });
}

/// No operator runs until this is dropped; dropping waits until it runs again.
#[derive(Debug)]
pub struct Gone {
    pub since: Instant,
}

impl Gone {
    #[must_use]
    pub fn now() -> Self {
        scale(0);
        Self { since: Instant::now() }
    }
}

impl Drop for Gone {
    fn drop(&mut self) {
        scale(REPLICAS);
    }
}

/// The names of its pods.
#[must_use]
pub fn pods() -> Vec<String> {
    let names =
        kubectl(&["--namespace", NAMESPACE, "get", "pods", SELECTOR, "--output=jsonpath={.items[*].metadata.name}"]);
    names.split_whitespace().map(str::to_owned).collect()
}

pub fn wait_until_rolled_out() {
    let said = kubectl(&["--namespace", NAMESPACE, "rollout", "status", "deployment", SELECTOR, ROLLOUT]);
    // A selector that matches nothing is not an error for kubectl.
    assert!(said.contains("successfully rolled out"), "{said}");
}

/// The chart of this repository.
#[must_use]
pub fn chart() -> std::path::PathBuf {
    repository_file("charts/weir")
}

/// Runs `helm upgrade` on the installed release, with its values and these in addition.
///
/// # Panics
/// If it fails.
pub fn helm_upgrade(chart: &Path, settings: &[&str]) {
    let mut command = Command::new(std::env::var("HELM").unwrap_or_else(|_| "helm".into()));
    command.args(["upgrade", "weir"]).arg(chart).args([
        "--namespace",
        NAMESPACE,
        "--reuse-values",
        "--wait",
        "--timeout=150s",
    ]);
    let out = command.args(settings.iter().flat_map(|s| ["--set", s])).output().unwrap();
    assert!(out.status.success(), "helm upgrade: {}", String::from_utf8_lossy(&out.stderr));
}
