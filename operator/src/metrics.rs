//! The operator's own metrics, as OpenMetrics text.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    failures: Counter,
    status_writes: Counter,
    leader: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("weir_operator");
        let (failures, status_writes, leader) = (Counter::default(), Counter::default(), Gauge::default());
        registry.register("reconcile_failures", "Reconciles that ended with an error", failures.clone());
        registry.register("status_writes", "Statuses written", status_writes.clone());
        registry.register("leader", "1 if this process is the leader", leader.clone());
        Self { registry, failures, status_writes, leader }
    }
}

impl Metrics {
    pub fn reconcile_failed(&self) {
        self.failures.inc();
    }

    pub fn status_written(&self) {
        self.status_writes.inc();
    }

    pub fn set_leader(&self, is_leader: bool) {
        self.leader.set(i64::from(is_leader));
    }

    /// # Errors
    /// If a metric can't be written as text, which is a bug.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
