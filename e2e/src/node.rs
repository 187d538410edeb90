//! Faults of nodes, and commands on them as root: kind's nodes are containers of a docker engine. A node that was taken
//! away comes back when its guard is dropped, so that a failing test leaves the next one a whole cluster.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use weir_tests::deadline;

use crate::cluster::{kubectl, try_kubectl};

/// The time until a node is back. The kubelet of a node that was frozen or started again is back in seconds; the
/// cluster notices a moment later.
const BACK_LIMIT: Duration = Duration::from_secs(120);
/// Spares Kafka and S3, which lose their data with their pod; no test is about that.
const NOT_DATA: &str = "--pod-selector=app!=kafka,app!=s3";

/// A node, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node(pub String);

impl Node {
    /// The node on which a pod runs.
    #[must_use]
    pub fn of(namespace: &str, pod: &str) -> Self {
        Self(kubectl(&["--namespace", namespace, "get", "pod", pod, "--output=jsonpath={.spec.nodeName}"]))
    }

    /// Sends a signal to the processes whose command line matches. It is sent on the node, since images have no shell.
    /// Data in a pod's volume stays.
    pub fn signal(&self, signal: &str, command_line: &str) {
        self.run(&["pkill", &format!("-{signal}"), "-f", command_line]);
    }

    /// Runs a command in the node.
    ///
    /// # Panics
    /// If it fails.
    pub fn run(&self, command: &[&str]) -> String {
        docker(&[&["exec", &self.0], command].concat()).unwrap_or_else(|said| panic!("on the node {}: {said}", self.0))
    }

    /// Runs `kubectl drain` for all pods except Kafka and S3.
    #[must_use]
    pub fn drain(&self) -> Drained {
        let drained = Drained(self.clone());
        kubectl(&["drain", &self.0, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=150s", NOT_DATA]);
        drained
    }

    /// Stops every process on the node, like a machine that hangs: no connection is closed, and later everything
    /// continues where it was.
    #[must_use]
    pub fn freeze(&self) -> Away {
        docker(&["pause", &self.0]).unwrap_or_else(|said| panic!("{said}"));
        Away { node: self.clone(), back: "unpause" }
    }

    /// Kills every process on the node, like a power cut. Its disk is unchanged when it comes back.
    #[must_use]
    pub fn kill(&self) -> Away {
        docker(&["kill", &self.0]).unwrap_or_else(|said| panic!("{said}"));
        Away { node: self.clone(), back: "start" }
    }

    /// Whether the cluster has given up the node: it then has the taint that evicts its pods.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        let taints =
            kubectl(&["get", "node", &self.0, "--output=jsonpath={.spec.taints[?(@.effect==\"NoExecute\")].key}"]);
        taints.contains("node.kubernetes.io/unreachable")
    }

    fn is_ready(&self) -> bool {
        let Ok(node) = try_kubectl(&["get", "node", &self.0, "--output=json"], None) else { return false };
        let node: Value = serde_json::from_str(&node).unwrap();
        let is_ready = node["status"]["conditions"]
            .as_array()
            .unwrap()
            .iter()
            .any(|c| c["type"] == "Ready" && c["status"] == "True");
        is_ready
            && node["spec"]["taints"].as_array().is_none_or(|taints| taints.iter().all(|t| t["effect"] != "NoExecute"))
    }
}

/// A node that accepts no pods until this is dropped.
#[derive(Debug)]
pub struct Drained(Node);

impl Drop for Drained {
    fn drop(&mut self) {
        let _ = try_kubectl(&["uncordon", &self.0.0], None);
    }
}

/// A node that does nothing until this is dropped; dropping waits until the node is back.
#[derive(Debug)]
pub struct Away {
    node: Node,
    back: &'static str,
}

impl Drop for Away {
    fn drop(&mut self) {
        if let Err(said) = docker(&[self.back, &self.node.0]) {
            eprintln!("the node {} does not come back: {said}", self.node.0);
        } else if !std::thread::panicking() {
            deadline::until("the node is back", BACK_LIMIT, || self.node.is_ready().then_some(()));
        }
    }
}

fn docker(args: &[&str]) -> Result<String, String> {
    let out = Command::new("docker").args(args).output().map_err(|e| format!("docker {args:?}: {e}"))?;
    match out.status.success() {
        true => Ok(String::from_utf8_lossy(&out.stdout).into_owned()),
        false => Err(format!(
            "docker {args:?}: {}{}",
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        )),
    }
}
