//! What of a pipeline may change without another revision, and what is to run now.

/// What may change without a new revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    pub replicas: i32,
    /// The versions of the Secrets, for the annotation of the pods: see [`crate::secrets::versions_for_pods`].
    pub secrets: String,
    pub run: Run,
}

/// The run that should be running now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Run {
    /// A pipeline that runs without an end.
    Endless,
    /// The run with this id, of an AvailableNow pipeline.
    Unfinished(String),
    /// No run until the next one is due. The Job of a completed run is not created again, even if somebody deletes it.
    None,
}
