//! The operator's own metrics, as OpenMetrics text.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::error::Cause;

/// What is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    failures: Family<Reason, Counter>,
    watch_failures: Family<Reason, Counter>,
    status_writes: Counter,
    leader: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("weir_operator");
        let (failures, watch_failures) = (Family::<Reason, Counter>::default(), Family::<Reason, Counter>::default());
        let (status_writes, leader) = (Counter::default(), Gauge::default());
        // From the beginning, so that the first failure is an increase.
        for cause in Cause::ALL {
            failures.get_or_create(&Reason { reason: cause.as_str() }).inc_by(0);
            watch_failures.get_or_create(&Reason { reason: cause.as_str() }).inc_by(0);
        }
        registry.register("reconcile_failures", "Reconciles that ended with an error, by what the API server did", failures.clone());
        registry.register("watch_failures", "Watches that broke and are begun again, by what the API server did", watch_failures.clone());
        registry.register("status_writes", "Statuses written", status_writes.clone());
        registry.register("leader", "1 if this process is the leader", leader.clone());
        Self { registry, failures, watch_failures, status_writes, leader }
    }
}

impl Metrics {
    pub fn reconcile_failed(&self, cause: Cause) {
        self.failures.get_or_create(&Reason { reason: cause.as_str() }).inc();
    }

    pub fn watch_failed(&self, cause: Cause) {
        self.watch_failures.get_or_create(&Reason { reason: cause.as_str() }).inc();
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn failures_are_counted_by_their_cause_and_all_causes_are_there_from_the_beginning() {
        let metrics = Metrics::default();
        metrics.reconcile_failed(Cause::Forbidden);
        metrics.watch_failed(Cause::Unreachable);
        let text = metrics.text().unwrap();
        for line in [
            r#"weir_operator_reconcile_failures_total{reason="Forbidden"} 1"#,
            r#"weir_operator_reconcile_failures_total{reason="Conflict"} 0"#,
            r#"weir_operator_watch_failures_total{reason="Unreachable"} 1"#,
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
