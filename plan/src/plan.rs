//! The validated plan: the document with every default filled in, every reference resolved and every expression
//! compiled.
//!
//! A `Plan` that exists is right: lowering (in `weir-crds`) refuses wrong documents, with the path to the field.

mod connection;
mod http;
mod sink;
mod source;
mod step;

use std::collections::BTreeSet;
use std::time::Duration;

use arrow::datatypes::SchemaRef;

use crate::ids::Epoch;
pub use crate::input::Input;

pub use connection::{KafkaConnection, Oauth, PasswordMechanism, Sasl, SecretKey, Tls, Username};
pub use http::Http;
pub use sink::{CONSOLE, ConsoleSink, DeltaSink, Maintenance, Mode, Sink, SinkKind};
pub use source::{
    BadRecords, BadRecordsPolicy, Clock, EventTime, Format, JsonFormat, KafkaSource, OnLostOffsets, Source, StartFrom,
    TimestampNumbers, Tombstones,
};
pub use step::{Map, OperatorFingerprint, OtherOperator, Step, StepOp, Union, Unnest};

/// The least memory limit of a pipeline, in bytes: what the process needs before it reads a record, and some room to
/// work.
pub const MEMORY_BYTES_MIN: u64 = 64 << 20;

/// A pipeline that is ready to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// `namespace/name`, or the name alone when the document has no namespace.
    pub pipeline: String,
    pub trigger: Trigger,
    pub on_end: OnEnd,
    pub checkpoint: Checkpoint,
    pub storage: Vec<Storage>,
    pub limits: Limits,
    pub http: Http,
    pub state_action: Option<StateAction>,
    pub sources: Vec<Source>,
    /// The steps in topological order: a step comes after all nodes that it reads.
    pub steps: Vec<Step>,
    pub sinks: Vec<Sink>,
}

impl Plan {
    /// The schema of the rows that `input` produces, with `_event_time` as the last column if the rows have one.
    #[must_use]
    pub fn schema_of(&self, input: Input) -> &SchemaRef {
        match input {
            Input::Source(i) => &self.sources[i].schema,
            Input::Step(i) => &self.steps[i].schema,
        }
    }

    /// The name of the node that `input` refers to.
    #[must_use]
    pub fn name_of(&self, input: Input) -> &str {
        match input {
            Input::Source(i) => &self.sources[i].name,
            Input::Step(i) => &self.steps[i].name,
        }
    }

    /// The indices of the sources whose rows reach `input`.
    #[must_use]
    pub fn sources_of(&self, input: Input) -> BTreeSet<usize> {
        let (mut sources, mut seen, mut left) = (BTreeSet::new(), BTreeSet::new(), vec![input]);
        while let Some(input) = left.pop() {
            match input {
                Input::Source(i) => {
                    sources.insert(i);
                }
                Input::Step(i) if seen.insert(i) => left.extend(self.steps[i].inputs()),
                Input::Step(_) => {}
            }
        }
        sources
    }

    /// Whether the rows of a step reach a sink that gets the whole result in each epoch.
    #[must_use]
    pub fn is_complete(&self, step: usize) -> bool {
        let mut reached = BTreeSet::from([step]);
        for (i, other) in self.steps.iter().enumerate().skip(step + 1) {
            if other.inputs().iter().any(|input| matches!(input, Input::Step(from) if reached.contains(from))) {
                reached.insert(i);
            }
        }
        let is_behind = |sink: &Sink| matches!(sink.input, Input::Step(from) if reached.contains(&from));
        self.sinks.iter().any(|sink| sink.mode == Mode::Complete && is_behind(sink))
    }

    /// The storage settings for a URI: those with the longest matching prefix. A prefix matches whole path segments:
    /// `s3://lake` does not match `s3://lake2/x`.
    #[must_use]
    pub fn storage_for(&self, uri: &str) -> Option<&Storage> {
        let reaches = |prefix: &str| {
            uri.strip_prefix(prefix.trim_end_matches('/')).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.storage.iter().filter(|s| reaches(&s.uri_prefix)).max_by_key(|s| s.uri_prefix.len())
    }
}

/// What a person wants done with the saved state, once per token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateAction {
    pub token: String,
    pub kind: StateActionKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateActionKind {
    /// Discards the state and begins without any.
    Discard { offsets: Offsets },
    /// Returns to the state and offsets of this epoch.
    Restore { epoch: Epoch },
}

/// Where reading goes on when the state is discarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offsets {
    /// From the offsets that were reached.
    Keep,
    /// From where a new pipeline would start.
    StartFrom,
}

/// When an epoch is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// Closes the next epoch as soon as the last one is committed and there is something new.
    AsSoonAsPossible,
    /// Closes epochs at a fixed interval, counted from the start of the last one.
    Interval(Duration),
    /// Reads up to the end offsets that are found at the start, then ends.
    AvailableNow,
}

/// What happens to open windows when an AvailableNow run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnEnd {
    /// They stay open, and the next run continues them.
    KeepOpen,
    /// They are closed and their results are written.
    EmitAll,
}

#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// `s3://bucket/prefix` or `file:///path`, without a slash at the end.
    pub uri: String,
    /// How many manifests garbage collection keeps.
    pub keep: u32,
    /// After how many epochs of changes the whole state is written again.
    pub snapshot_every: u32,
}

/// How to reach the URIs that have a prefix.
#[derive(Debug, Clone)]
pub struct Storage {
    pub uri_prefix: String,
    pub s3: S3,
}

#[derive(Debug, Clone, Default)]
pub struct S3 {
    pub endpoint: Option<String>,
    pub region: Option<String>,
    pub force_path_style: bool,
    /// The name of a Secret with the keys `accessKeyId` and `secretAccessKey` (and `sessionToken`, if temporary).
    /// `None`: credentials come from the environment's usual chain.
    pub credentials_secret: Option<String>,
    /// Certificates of CAs that the server's certificate may come from, in PEM, beside those of the system.
    pub ca: Option<SecretKey>,
    /// How the server encrypts what is written. `None`: as the environment or the bucket says.
    pub encryption: Option<S3Encryption>,
}

/// How an S3 server encrypts objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum S3Encryption {
    /// With the server's own keys.
    SseS3,
    /// With a key of the key management service; `None` is the bucket's.
    SseKms { key_id: Option<String> },
}

/// The limits of one epoch. The first that is reached closes the epoch early.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub records_per_epoch: u64,
    pub bytes_per_epoch: u64,
}
