//! Errors that interrupt a reconcile. They become conditions of the pipeline, and the reconcile is retried with
//! backoff.

use kube::runtime::watcher;
use weir_crds::resource::Reason;

/// An error that interrupts a reconcile.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{doing}: {source}")]
    Kube { doing: String, source: Box<kube::Error> },
    #[error("{doing}: no answer from the API server within {seconds} s")]
    Deadline { doing: String, seconds: u64 },
    #[error("{doing}: {why}")]
    Unexpected { doing: String, why: String },
    /// An object with a name that the pipeline needs belongs to someone else.
    #[error("{message}")]
    NotOurs { message: String },
}

impl Error {
    /// The error's reason in a condition.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::NotOurs { .. } => Reason::NameInUse,
            _ => Reason::ApplyFailed,
        }
    }
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Awaits the API server's answer under a deadline. An error says what was being done.
pub async fn asking<T>(doing: impl Into<String>, answer: impl Future<Output = kube::Result<T>>) -> Result<T> {
    let doing = doing.into();
    match tokio::time::timeout(DEADLINE, answer).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(Error::Kube { doing, source: Box::new(source) }),
        Err(_) => Err(Error::Deadline { doing, seconds: DEADLINE.as_secs() }),
    }
}

/// The deadline of one request. It is shorter than a leader's lease, so that nothing is written long after the lease
/// was lost.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(8);

/// The causes of errors, by the API server's answer. They are few, since each is a label of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A permission is missing, or an admission webhook refuses the request.
    Forbidden,
    /// Another client wrote at the same time.
    Conflict,
    /// The API server considers the object invalid.
    Invalid,
    /// The API server is busy, or something that it depends on is unavailable.
    Unavailable,
    /// The API server refused the request for another reason.
    Refused,
    /// There was no answer in time.
    Unreachable,
    /// A watch was too far behind, and starts again with a list.
    Expired,
    /// The answer has an unexpected form.
    Unexpected,
    /// An object with a name that a pipeline needs belongs to someone else.
    NotOurs,
}

impl Cause {
    pub const ALL: [Self; 9] = [
        Self::Forbidden,
        Self::Conflict,
        Self::Invalid,
        Self::Unavailable,
        Self::Refused,
        Self::Unreachable,
        Self::Expired,
        Self::Unexpected,
        Self::NotOurs,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Forbidden => "Forbidden",
            Self::Conflict => "Conflict",
            Self::Invalid => "Invalid",
            Self::Unavailable => "Unavailable",
            Self::Refused => "Refused",
            Self::Unreachable => "Unreachable",
            Self::Expired => "Expired",
            Self::Unexpected => "Unexpected",
            Self::NotOurs => "NotOurs",
        }
    }

    /// The cause of an error of this crate.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        match error {
            Error::Kube { source, .. } => Self::of_answer(source),
            Error::Deadline { .. } => Self::Unreachable,
            Error::Unexpected { .. } => Self::Unexpected,
            Error::NotOurs { .. } => Self::NotOurs,
        }
    }

    /// The cause of a broken watch.
    #[must_use]
    pub fn of_watch(error: &watcher::Error) -> Self {
        match error {
            watcher::Error::InitialListFailed(e)
            | watcher::Error::WatchStartFailed(e)
            | watcher::Error::WatchFailed(e) => Self::of_answer(e),
            watcher::Error::WatchError(status) => Self::of_code(status.code),
            watcher::Error::NoResourceVersion => Self::Unexpected,
        }
    }

    /// Whether a person has to act, because another try would get the same answer.
    #[must_use]
    pub fn needs_person(self) -> bool {
        matches!(self, Self::Forbidden | Self::Invalid | Self::Refused | Self::Unexpected | Self::NotOurs)
    }

    fn of_answer(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::of_code(status.code),
            kube::Error::SerdeError(_) => Self::Unexpected,
            _ => Self::Unreachable,
        }
    }

    fn of_code(code: u16) -> Self {
        match code {
            401 | 403 => Self::Forbidden,
            409 => Self::Conflict,
            410 => Self::Expired,
            400 | 422 => Self::Invalid,
            429 | 500.. => Self::Unavailable,
            _ => Self::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_sorted_by_what_is_the_matter() {
        let of = |code: u16| Cause::of_code(code).as_str();
        assert_eq!(
            [403, 409, 410, 422, 429, 503, 404].map(of),
            ["Forbidden", "Conflict", "Expired", "Invalid", "Unavailable", "Unavailable", "Refused"]
        );
        assert_eq!(Cause::of(&Error::Deadline { doing: String::new(), seconds: 8 }), Cause::Unreachable);
    }
}
