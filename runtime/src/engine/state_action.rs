//! Whether the document's state action (`docs/decisions/0007-state-actions.md`) is still to be done. Pure.

use weir_plan::ids::Epoch;
use weir_plan::plan::{StateAction, StateActionKind};

use crate::checkpoint::manifest::Manifest;

/// The action, if it has to be done now. Each token acts once.
#[must_use]
pub fn due<'a>(action: Option<&'a StateAction>, newest: Option<&Manifest>) -> Option<&'a StateAction> {
    action.filter(|action| !newest.is_some_and(|newest| newest.has_done(&action.token)))
}

/// The epoch to go back to, if `action` asks for that and was not done yet.
#[must_use]
pub fn epoch_to_restore(action: Option<&StateAction>, newest: Option<&Manifest>) -> Option<Epoch> {
    match due(action, newest)?.kind {
        StateActionKind::Restore { epoch } => Some(epoch),
        StateActionKind::Discard { .. } => None,
    }
}
