//! The fingerprint of an aggregate: its window, its keys, and the partial states that its calls keep.

use arrow::datatypes::FieldRef;
use serde::{Deserialize, Serialize};

use super::{Aggregate, Call, Key};
use crate::expr::stored_type;
use crate::window::WindowFingerprint;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AggregateFingerprint {
    pub window: WindowFingerprint,
    /// `name type` per key, in order; `name type = expression over columns` for a computed key.
    pub keys: Vec<String>,
    /// The calls; their order does not matter.
    pub calls: Vec<CallFingerprint>,
}

/// An aggregate call that a step keeps partial states of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallFingerprint {
    /// The call's [`Call::name`].
    pub name: String,
    /// The types of the partial state, without the columns that older versions did not keep.
    pub state: Vec<String>,
    /// `name type` of each column that the call reads, sorted by name. Empty in manifests of older versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<String>,
}

impl AggregateFingerprint {
    pub(crate) fn of(aggregate: &Aggregate) -> Self {
        Self {
            window: aggregate.window.fingerprint(),
            keys: aggregate.group_by.iter().map(key).collect(),
            calls: aggregate.calls.iter().map(CallFingerprint::of).collect(),
        }
    }

    /// The reasons why state saved under this fingerprint does not fit `now`. Each begins with what the step did then.
    pub(crate) fn differences(&self, now: &Self) -> Vec<String> {
        let mut found = Vec::new();
        found.extend(self.window.difference(&now.window));
        if now.keys != self.keys {
            found.push(format!("was grouped by [{}] and is now by [{}]", self.keys.join(", "), now.keys.join(", ")));
        }
        for call in &now.calls {
            match self.calls.iter().find(|c| c.name == call.name) {
                None => found.push(format!("now needs {}, which its open windows have not kept", call.name)),
                Some(kept) if kept.state != call.state => {
                    let (name, kept, needed) = (&call.name, kept.state.join(", "), call.state.join(", "));
                    found.push(format!("kept {name} as ({kept}) and now needs it as ({needed})"));
                }
                Some(kept) if kept.reads != call.reads && !kept.reads.is_empty() => {
                    let (name, then, now) = (&call.name, kept.reads.join(", "), call.reads.join(", "));
                    found.push(format!("kept {name} over {then} and now reads {now}"));
                }
                Some(_) => {}
            }
        }
        found
    }
}

impl CallFingerprint {
    fn of(call: &Call) -> Self {
        Self {
            name: call.name.clone(),
            state: call.first_state().iter().map(|f| stored_type(f.data_type())).collect(),
            reads: call.reads.iter().map(named).collect(),
        }
    }
}

fn key(key: &Key) -> String {
    let name = named(&key.value.field);
    match &key.computed {
        None => name,
        Some(computed) => {
            let reads: Vec<_> = computed.reads.iter().map(named).collect();
            format!("{name} = {} over {}", computed.text, reads.join(", "))
        }
    }
}

/// `name type`.
fn named(field: &FieldRef) -> String {
    format!("{} {}", field.name(), stored_type(field.data_type()))
}
