//! Why a reconcile could not be finished. Everything that a user can mend is a condition, not an error: these are tried again with backoff.

/// What went wrong with the API server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{doing}: {source}")]
    Kube { doing: String, source: Box<kube::Error> },
    #[error("{doing}: no answer from the API server within {seconds} s")]
    Deadline { doing: String, seconds: u64 },
    #[error("{doing}: {why}")]
    Unexpected { doing: String, why: String },
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
