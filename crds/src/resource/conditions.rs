//! The conditions of a pipeline and every reason that one can have. `docs/reference/status.md` has them by state.
//!
//! kstatus (Flux) reads Reconciling and Stalled, `kubectl wait` reads Ready: those two are true only while something is
//! the matter.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Every condition, in the order in which they are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConditionType {
    /// Does what the accepted document says: the last epoch that was due has been committed.
    Ready,
    /// The operator is bringing the cluster to what the spec says.
    Reconciling,
    /// It can't get there by itself: a person has to act.
    Stalled,
    /// The document, its Secrets and its checkpoint are all right.
    Validated,
    /// Records arrive.
    DataFlowing,
    /// Windows are being closed.
    WatermarkAdvancing,
    /// No pods, on purpose.
    Suspended,
}

impl ConditionType {
    pub const ALL: [Self; 7] = [
        Self::Ready,
        Self::Reconciling,
        Self::Stalled,
        Self::Validated,
        Self::DataFlowing,
        Self::WatermarkAdvancing,
        Self::Suspended,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::Validated => "Validated",
            Self::DataFlowing => "DataFlowing",
            Self::WatermarkAdvancing => "WatermarkAdvancing",
            Self::Suspended => "Suspended",
        }
    }
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// Why a condition is what it is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[doc = $doc])+ $name,)+ }

        impl Reason {
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }
        }
    };
}

reasons! {
    /// Pods run, and epochs are committed when they are due.
    Running,
    /// An AvailableNow run has read everything.
    Completed,
    /// No run was due yet.
    Scheduled,
    /// No pods, since `spec.suspend` is true.
    Suspended,
    /// `spec.suspend` is not true.
    NotSuspended,
    /// Pods are being created, or take over the checkpoint.
    Starting,
    /// Pods of another revision are being replaced.
    RollingOut,
    /// The pods are being stopped for `spec.suspend`.
    Stopping,
    /// The resource is being deleted.
    Deleting,
    /// What is there is what the spec says.
    UpToDate,
    /// The document is right.
    Valid,
    /// The document is wrong: the message has each path, what was found and what to write instead.
    InvalidDocument,
    /// A Secret or one of its keys is not there.
    SecretMissing,
    /// Another pipeline was there first with this checkpoint, or with a place that overlaps it.
    CheckpointInUse,
    /// Another pipeline writes a table there already, or in a place that overlaps it.
    TableInUse,
    /// The operator's own planner failed over the document, or took too long.
    PlannerFailed,
    /// The ControllerRevision of what runs is gone, or was written by a newer operator: nothing that runs is changed.
    RevisionUnreadable,
    /// An object of a name that the pipeline needs is somebody else's, and is left alone.
    NameInUse,
    /// The API server does not take an object of the pipeline.
    ApplyFailed,
    /// The changed document can't go on with the saved state.
    StateIncompatible,
    /// The runtime refused the changed document before its first epoch: the last good revision runs again.
    RolledBack,
    /// An epoch is overdue.
    EpochOverdue,
    /// The runtime's progress can't be read.
    Unreachable,
    /// The image can't be pulled.
    ImagePullFailed,
    /// The container was killed for its memory.
    OutOfMemory,
    /// No node takes the pod.
    Unschedulable,
    /// The cluster does not let the pod be created: a quota, or a policy.
    PodRefused,
    /// The runtime ended: a person must act.
    ConfigError,
    /// The runtime ended: something outside was away for too long. It starts again.
    DependencyUnavailable,
    /// The runtime ended: a record can't be processed.
    BadRecord,
    /// The runtime ended: another writer has taken over its checkpoint.
    Fenced,
    /// The runtime ended: a bug.
    RuntimeBug,
    /// The container ends again and again, and does not say why.
    CrashLoop,
    /// Records arrive.
    RecordsArriving,
    /// No record has arrived lately: a quiet topic is no failure.
    NoRecords,
    /// The watermark moves.
    Advancing,
    /// The watermark stands, though records arrive.
    HeldBack,
    /// No source has an event time, or nothing was read yet.
    NoWatermark,
    /// Nothing is known, since no pod runs.
    NoPods,
}

/// How a condition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    True,
    False,
    Unknown,
}

impl Severity {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// Messages longer than this are cut: an API server refuses more than 32 KiB.
const MESSAGE_BYTES_MAX: usize = 4096;

/// A condition that has just been found to be so.
#[must_use]
pub fn condition(
    kind: ConditionType,
    status: Severity,
    reason: Reason,
    message: &str,
    generation: i64,
    now: Time,
) -> Condition {
    let end = (0..=message.len().min(MESSAGE_BYTES_MAX)).rev().find(|end| message.is_char_boundary(*end)).unwrap_or(0);
    Condition {
        type_: kind.as_str().to_owned(),
        status: status.as_str().to_owned(),
        reason: reason.as_str().to_owned(),
        message: message[..end].to_owned(),
        observed_generation: Some(generation),
        last_transition_time: now,
    }
}
