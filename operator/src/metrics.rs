//! The operator's own metrics, in the OpenMetrics text format.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::error::Cause;

/// All metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    failures: Family<Reason, Counter>,
    watch_failures: Family<Reason, Counter>,
    status_writes: Counter,
    looks: Counter,
    leader: Gauge,
    conditions: Family<ConditionLabels, Gauge>,
    /// The current conditions of each pipeline, by namespace and name.
    standing: Mutex<HashMap<(String, String), Vec<ConditionLabels>>>,
}

/// The same labels as in kube-state-metrics, and the reason.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConditionLabels {
    namespace: String,
    pipeline: String,
    condition: String,
    status: String,
    reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("weir_operator");
        let (failures, watch_failures) = (Family::<Reason, Counter>::default(), Family::<Reason, Counter>::default());
        let (status_writes, looks, leader) = (Counter::default(), Counter::default(), Gauge::default());
        let conditions = Family::<ConditionLabels, Gauge>::default();
        // All counters exist from the start, so that the first failure shows as an increase.
        for cause in Cause::ALL {
            failures.get_or_create(&Reason { reason: cause.as_str() }).inc_by(0);
            watch_failures.get_or_create(&Reason { reason: cause.as_str() }).inc_by(0);
        }
        registry.register(
            "reconcile_failures",
            "Reconciles that ended with an error, by what the API server did",
            failures.clone(),
        );
        registry.register(
            "watch_failures",
            "Watches that broke and are begun again, by what the API server did",
            watch_failures.clone(),
        );
        registry.register("status_writes", "Statuses written", status_writes.clone());
        registry.register("looks", "Times that everything of a pipeline was read from the API server", looks.clone());
        registry.register("leader", "1 if this process is the leader", leader.clone());
        registry.register(
            "pipeline_condition",
            "1 for each condition of each pipeline, as it is now",
            conditions.clone(),
        );
        Self {
            registry,
            failures,
            watch_failures,
            status_writes,
            looks,
            leader,
            conditions,
            standing: Mutex::default(),
        }
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

    pub fn looked(&self) {
        self.looks.inc();
    }

    pub fn set_leader(&self, is_leader: bool) {
        self.leader.set(i64::from(is_leader));
    }

    /// Replaces the conditions of a pipeline.
    pub fn pipeline_is(&self, namespace: &str, pipeline: &str, conditions: &[Condition]) {
        let labels = |condition: &Condition| ConditionLabels {
            namespace: namespace.to_owned(),
            pipeline: pipeline.to_owned(),
            condition: condition.type_.clone(),
            status: condition.status.clone(),
            reason: condition.reason.clone(),
        };
        let now: Vec<_> = conditions.iter().map(labels).collect();
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = standing.insert((namespace.to_owned(), pipeline.to_owned()), now.clone()).unwrap_or_default();
        for labels in before.iter().filter(|labels| !now.contains(labels)) {
            self.conditions.remove(labels);
        }
        for labels in &now {
            self.conditions.get_or_create(labels).set(1);
        }
    }

    pub fn pipeline_gone(&self, namespace: &str, pipeline: &str) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = standing.remove(&(namespace.to_owned(), pipeline.to_owned()));
        for labels in before.iter().flatten() {
            self.conditions.remove(labels);
        }
    }

    /// Removes the conditions of all pipelines that are not in `live`.
    pub fn pipelines_are(&self, live: &HashSet<(String, String)>) {
        let known: Vec<_> = self.standing.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        known
            .iter()
            .filter(|known| !live.contains(known))
            .for_each(|(namespace, name)| self.pipeline_gone(namespace, name));
    }

    /// The metrics as text.
    ///
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

    #[test]
    fn a_pipeline_has_the_conditions_that_it_has_now_and_none_when_it_is_gone() {
        let metrics = Metrics::default();
        let condition = |status: &str, reason: &str| {
            let condition = serde_json::json!({"type": "Stalled", "status": status, "reason": reason, "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"});
            [serde_json::from_value::<Condition>(condition).unwrap()]
        };
        let lines = || {
            metrics
                .text()
                .unwrap()
                .lines()
                .filter(|l| l.starts_with("weir_operator_pipeline_condition{"))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let line = |name: &str, status: &str, reason: &str| {
            format!(
                "weir_operator_pipeline_condition{{namespace=\"data\",pipeline=\"{name}\",condition=\"Stalled\",status=\"{status}\",reason=\"{reason}\"}} 1"
            )
        };
        metrics.pipeline_is("data", "rides", &condition("False", "UpToDate"));
        metrics.pipeline_is("data", "rides", &condition("True", "ImagePullFailed"));
        assert_eq!(lines(), [line("rides", "True", "ImagePullFailed")]);
        metrics.pipeline_is("data", "other", &condition("False", "UpToDate"));
        metrics.pipelines_are(&[("data".to_owned(), "other".to_owned())].into());
        assert_eq!(lines(), [line("other", "False", "UpToDate")]);
        metrics.pipeline_gone("data", "other");
        assert_eq!(lines(), Vec::<String>::new());
    }
}
