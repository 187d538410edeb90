//! Why a reconcile could not be finished. It is a condition of the pipeline too, and is tried again with backoff.

use kube::runtime::watcher;
use weir_crds::resource::Reason;

/// What is in the way.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{doing}: {source}")]
    Kube { doing: String, source: Box<kube::Error> },
    #[error("{doing}: no answer from the API server within {seconds} s")]
    Deadline { doing: String, seconds: u64 },
    #[error("{doing}: {why}")]
    Unexpected { doing: String, why: String },
    /// An object of a name that the pipeline needs is somebody else's.
    #[error("{message}")]
    NotOurs { message: String },
}

impl Error {
    /// As a condition says it.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::NotOurs { .. } => Reason::NameInUse,
            _ => Reason::ApplyFailed,
        }
    }
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Puts what was being done before the API server's answer, and a deadline over it.
pub async fn asking<T>(doing: impl Into<String>, answer: impl Future<Output = kube::Result<T>>) -> Result<T> {
    let doing = doing.into();
    match tokio::time::timeout(DEADLINE, answer).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(Error::Kube { doing, source: Box::new(source) }),
        Err(_) => Err(Error::Deadline { doing, seconds: DEADLINE.as_secs() }),
    }
}

/// Of one request. Less than a leader's lease, so that nothing is written long after it was lost.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(8);

/// Errors by what the API server did: few, since each is a label of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A right is missing, or an admission webhook says no.
    Forbidden,
    /// Somebody else has written at the same time.
    Conflict,
    /// It does not take the object.
    Invalid,
    /// It is busy, or something behind it is away.
    Unavailable,
    /// Any other answer that is no.
    Refused,
    /// There was no answer, or none in time.
    Unreachable,
    /// A watch was too far behind: it is begun again with a list.
    Expired,
    /// The answer is not what it should be.
    Unexpected,
    /// An object of a name that a pipeline needs is somebody else's.
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

    /// Of an error of this crate.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        match error {
            Error::Kube { source, .. } => Self::of_answer(source),
            Error::Deadline { .. } => Self::Unreachable,
            Error::Unexpected { .. } => Self::Unexpected,
            Error::NotOurs { .. } => Self::NotOurs,
        }
    }

    /// Of a watch that broke.
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

    /// Whether a person has to act: trying again would have the same answer.
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
