//! The conditions of a pipeline, and every reason that they can have. `docs/reference/status.md` lists them by state.
//!
//! kstatus (Flux) reads Reconciling and Stalled, which are true only if something needs attention; `kubectl wait` reads
//! Ready.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// All conditions, in the order of the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConditionType {
    /// The pipeline does what the accepted document says: the last epoch that was due is committed.
    Ready,
    /// The operator is bringing the cluster to what the spec says.
    Reconciling,
    /// The operator can't bring the cluster to the spec by itself: a person has to act.
    Stalled,
    /// The document, its Secrets and its checkpoint are right.
    Validated,
    /// Records arrive.
    DataFlowing,
    /// Windows are being closed.
    WatermarkAdvancing,
    /// There are no pods, on purpose.
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
        /// The reason for a condition's status.
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
    /// The pods are being stopped because of `spec.suspend`.
    Stopping,
    /// The resource is being deleted.
    Deleting,
    /// The cluster matches the spec.
    UpToDate,
    /// The document is right.
    Valid,
    /// The document is wrong: the message has each path, what was found and what to write instead.
    InvalidDocument,
    /// A Secret or one of its keys is missing.
    SecretMissing,
    /// A Secret lacks a label without which the operator's settings allow no pipeline to use it.
    SecretNotAllowed,
    /// Another pipeline was first to use this checkpoint, or a place that overlaps it.
    CheckpointInUse,
    /// Another pipeline already writes a table there, or in a place that overlaps it.
    TableInUse,
    /// The operator's own planner failed on the document, or took too long.
    PlannerFailed,
    /// The ControllerRevision of the running pods is missing, or was written by a newer operator: running pods are not
    /// changed.
    RevisionUnreadable,
    /// An object with a name that the pipeline needs belongs to someone else and is not changed.
    NameInUse,
    /// The API server refuses an object of the pipeline.
    ApplyFailed,
    /// The changed document can't continue with the saved state.
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
    /// No node can take the pod.
    Unschedulable,
    /// A quota or a policy of the cluster refuses the pod.
    PodRefused,
    /// The runtime ended, and a person must act.
    ConfigError,
    /// The runtime ended because an external system was unavailable for too long. It starts again.
    DependencyUnavailable,
    /// The runtime ended because it can't process a record.
    BadRecord,
    /// The runtime ended because another writer has taken over its checkpoint.
    Fenced,
    /// The runtime ended because of a bug.
    RuntimeBug,
    /// The container ends repeatedly without giving a reason.
    CrashLoop,
    /// Records arrive.
    RecordsArriving,
    /// No record has arrived lately, which is normal for a quiet topic.
    NoRecords,
    /// The watermark moves.
    Advancing,
    /// The watermark does not move, although records arrive.
    HeldBack,
    /// No source has an event time, or nothing was read yet.
    NoWatermark,
    /// No pod runs, so this is not known.
    NoPods,
}

/// The status of a condition.
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

/// The most bytes of a message; longer ones are cut. An API server refuses more than 32 KiB.
const MESSAGE_BYTES_MAX: usize = 4096;

/// A condition whose last transition is now. A message that is too long is cut.
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
