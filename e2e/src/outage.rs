//! A pod that nobody can reach, because of a rule in its node's firewall. Its processes and their data are left alone.

use crate::cluster::kubectl;
use crate::node::Node;

/// A rule that is in force until this is dropped. The node's own probes still get through, so the pod stays ready.
#[derive(Debug)]
pub struct Outage {
    node: Node,
    rule: Vec<String>,
}

impl Outage {
    /// New connections to the pod are refused, and open connections are cut.
    #[must_use]
    pub fn refusing(namespace: &str, pod: &str) -> Self {
        Self::new(namespace, pod, "--destination", &["REJECT", "--reject-with", "tcp-reset"])
    }

    /// Packets to the pod are silently dropped.
    #[must_use]
    pub fn silent(namespace: &str, pod: &str) -> Self {
        Self::new(namespace, pod, "--destination", &["DROP"])
    }

    /// Packets from the pod are silently dropped: it is cut off, and others can't tell why it is quiet.
    #[must_use]
    pub fn cut_off(namespace: &str, pod: &str) -> Self {
        Self::new(namespace, pod, "--source", &["DROP"])
    }

    fn new(namespace: &str, pod: &str, side: &str, action: &[&str]) -> Self {
        let address = kubectl(&["--namespace", namespace, "get", "pod", pod, "--output=jsonpath={.status.podIP}"]);
        let rule = [&["FORWARD", "--protocol", "tcp", side, &address, "--jump"], action].concat();
        let outage = Self { node: Node::of(namespace, pod), rule: rule.into_iter().map(str::to_owned).collect() };
        outage.iptables("--insert");
        outage
    }

    fn iptables(&self, verb: &str) {
        let rule: Vec<_> = self.rule.iter().map(String::as_str).collect();
        self.node.run(&[&["iptables", "--wait", verb], rule.as_slice()].concat());
    }
}

impl Drop for Outage {
    fn drop(&mut self) {
        self.iptables("--delete");
    }
}
