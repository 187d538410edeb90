//! Failures, sorted by their remedy. A message is one sentence for the person on call: where, what was found, and what
//! to write instead.

use std::fmt;

/// What has to happen before the failed work can succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// A person must change the document, a Secret, a table or a bucket. Trying again does not help.
    Config,
    /// Something outside of Weir did not answer. Back off and try again.
    Retry,
    /// A record can't be processed and the pipeline was told to stop at such records.
    Data,
    /// Another writer has taken over. Stop at once and touch nothing.
    Fenced,
    /// What the pipeline holds open does not fit into the memory limit. A person raises the limit or makes the pipeline
    /// hold less; a restart may also get further by itself.
    Memory,
    /// Weir has a bug. Crash with everything that is known.
    Bug,
}

impl Remedy {
    /// The exit code of a process that ends with this failure.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Config => 2,
            Self::Retry => 3,
            Self::Data => 4,
            Self::Fenced => 5,
            Self::Memory => 6,
            Self::Bug => 70,
        }
    }
}

/// A sentence and its remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub remedy: Remedy,
    pub message: String,
}

impl Failure {
    pub fn config(message: impl Into<String>) -> Self {
        Self { remedy: Remedy::Config, message: message.into() }
    }

    pub fn retry(message: impl Into<String>) -> Self {
        Self { remedy: Remedy::Retry, message: message.into() }
    }

    pub fn data(message: impl Into<String>) -> Self {
        Self { remedy: Remedy::Data, message: message.into() }
    }

    pub fn fenced(message: impl Into<String>) -> Self {
        Self { remedy: Remedy::Fenced, message: message.into() }
    }

    pub fn memory(message: impl Into<String>) -> Self {
        Self { remedy: Remedy::Memory, message: message.into() }
    }

    pub fn bug(message: impl Into<String>) -> Self {
        Self { remedy: Remedy::Bug, message: message.into() }
    }

    /// Puts the activity that failed before the message: `commit epoch 7: <message>`.
    #[must_use]
    pub fn context(self, doing: impl fmt::Display) -> Self {
        Self { message: format!("{doing}: {}", self.message), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

pub type Result<T, E = Failure> = std::result::Result<T, E>;
