//! Whether a document may go on with the state that another version of it left.
//!
//! A fingerprint is what saved state and pinned offsets depend on, by name: never by position, so that adding a step moves nothing.
//! It is stored in every manifest (`fingerprint`), and [`differences`] compares a stored one with the plan that is about to start.

use serde::{Deserialize, Serialize};

use crate::plan::{Plan, StepOp};

/// What saved state depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fingerprint {
    pub sources: Vec<SourceFingerprint>,
    pub steps: Vec<StepFingerprint>,
    pub sinks: Vec<SinkFingerprint>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceFingerprint {
    pub name: String,
    pub topics: Vec<String>,
}

/// A step with state. Steps without state may change freely.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepFingerprint {
    pub name: String,
    pub window_size_us: i64,
    /// `name type`, in order.
    pub keys: Vec<String>,
    /// Each aggregate call with the types of its partial state.
    pub calls: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SinkFingerprint {
    pub name: String,
    pub uri: String,
}

/// The fingerprint of a plan.
#[must_use]
pub fn fingerprint(plan: &Plan) -> Fingerprint {
    let steps = plan.steps.iter().filter_map(|step| {
        let StepOp::Aggregate(a) = &step.op else { return None };
        Some(StepFingerprint {
            name: step.name.clone(),
            window_size_us: a.window.size_us(),
            keys: a.key_schema.fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect(),
            calls: a.calls.iter().map(call_text).collect(),
        })
    });
    Fingerprint {
        sources: plan.sources.iter().map(|s| SourceFingerprint { name: s.name.clone(), topics: s.kafka.topics.clone() }).collect(),
        steps: steps.collect(),
        sinks: plan.sinks.iter().map(|s| SinkFingerprint { name: s.name.clone(), uri: s.delta.uri.clone() }).collect(),
    }
}

fn call_text(call: &crate::aggregate::Call) -> String {
    let types: Vec<_> = call.state_fields.iter().map(|f| f.data_type().to_string()).collect();
    format!("{} -> [{}]", call.function.name(), types.join(", "))
}

/// Why state saved under `saved` does not fit `now`: one sentence per difference, none if it fits.
#[must_use]
pub fn differences(saved: &Fingerprint, now: &Fingerprint) -> Vec<String> {
    let mut found = Vec::new();
    for old in &saved.sources {
        match now.sources.iter().find(|s| s.name == old.name) {
            None => found.push(format!("source {:?} is gone, and with it the offsets that were read", old.name)),
            Some(new) if new.topics != old.topics => {
                found.push(format!("source {:?} read the topics {:?} and now reads {:?}", old.name, old.topics, new.topics));
            }
            Some(_) => {}
        }
    }
    for old in &saved.steps {
        let Some(new) = now.steps.iter().find(|s| s.name == old.name) else {
            found.push(format!("step {:?} has saved windows and is no longer in the document", old.name));
            continue;
        };
        if new.window_size_us != old.window_size_us {
            found.push(format!("step {:?} had windows of {} µs and now has {} µs", old.name, old.window_size_us, new.window_size_us));
        }
        if new.keys != old.keys {
            found.push(format!("step {:?} was grouped by [{}] and is now by [{}]", old.name, old.keys.join(", "), new.keys.join(", ")));
        }
        if new.calls != old.calls {
            found.push(format!("step {:?} kept [{}] and now needs [{}]", old.name, old.calls.join("; "), new.calls.join("; ")));
        }
    }
    found
}
