//! What the state of an aggregate depends on: how it cuts time, its keys, and the partial states that its calls keep.

use serde::{Deserialize, Serialize};

use crate::aggregate::{Aggregate, Call};
use crate::expr::stored_type;
use crate::window::Window;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AggregateFingerprint {
    pub window: WindowFingerprint,
    /// `name type`, in order.
    pub keys: Vec<String>,
    /// In no order that matters.
    pub calls: Vec<CallFingerprint>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum WindowFingerprint {
    Tumbling { size_us: i64 },
}

/// An aggregate call that a step keeps partial states of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallFingerprint {
    /// [`Call::name`].
    pub name: String,
    /// The types of its partial state, without what older versions did not keep.
    pub state: Vec<String>,
    /// `name type` of each column that it reads, by name. Older versions did not say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<String>,
}

impl AggregateFingerprint {
    pub(super) fn of(aggregate: &Aggregate) -> Self {
        Self {
            window: WindowFingerprint::of(aggregate.window),
            keys: aggregate
                .key_schema
                .fields()
                .iter()
                .map(|f| format!("{} {}", f.name(), stored_type(f.data_type())))
                .collect(),
            calls: aggregate.calls.iter().map(CallFingerprint::of).collect(),
        }
    }

    /// Why state saved under this does not fit `now`, each beginning with what the step did.
    pub(super) fn differences(&self, now: &Self) -> Vec<String> {
        let mut found = Vec::new();
        let (WindowFingerprint::Tumbling { size_us: then_us }, WindowFingerprint::Tumbling { size_us: now_us }) =
            (self.window, now.window);
        if then_us != now_us {
            found.push(format!("had windows of {} and now has {}", seconds(then_us), seconds(now_us)));
        }
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

impl WindowFingerprint {
    fn of(window: Window) -> Self {
        match window {
            Window::Tumbling(window) => Self::Tumbling { size_us: window.size_us() },
        }
    }
}

impl CallFingerprint {
    fn of(call: &Call) -> Self {
        Self {
            name: call.name.clone(),
            state: call.first_state().iter().map(|f| stored_type(f.data_type())).collect(),
            reads: call.reads.iter().map(|f| format!("{} {}", f.name(), stored_type(f.data_type()))).collect(),
        }
    }
}

/// `300 s`.
fn seconds(us: i64) -> String {
    let (whole, rest) = (us / 1_000_000, us % 1_000_000);
    if rest == 0 { format!("{whole} s") } else { format!("{whole}.{rest:06} s") }
}
