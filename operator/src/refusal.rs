//! Why a spec is refused: in the words of whoever found it, and for the conditions by a reason.

use weir_crds::resource::Reason;

/// Why a spec is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub reason: Reason,
    /// One sentence, or several lines of the form `path: sentence`.
    pub message: String,
}

impl Refusal {
    /// Whether the document itself, its Secrets or its checkpoint are wrong; a document that only does not fit the
    /// saved state is valid.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        matches!(
            self.reason,
            Reason::InvalidDocument
                | Reason::SecretMissing
                | Reason::SecretNotAllowed
                | Reason::CheckpointInUse
                | Reason::TableInUse
        )
    }
}
