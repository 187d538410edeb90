//! How the HTTP port is guarded.

use super::SecretKey;

/// What guards the HTTP port. Nothing by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Http {
    /// The Secret with the server's certificate (`tls.crt`) and its key (`tls.key`). `None`: plain HTTP.
    pub tls_secret: Option<String>,
    /// The token that requests must have. `None`: they need none.
    pub token: Option<SecretKey>,
}
