//! Sorts an object store's errors by their remedy. The client has no type for S3's error codes, so they are read from
//! the error's text.

use std::error::Error as _;
use std::io::ErrorKind;

use object_store::Error;
use weir_plan::plan::S3Encryption;
use weir_plan::quote::quoted;

use super::access::Access;
use super::tls;
use crate::failure::Failure;

/// Hosts that AWS's clients ask for a role: of instances, EKS and ECS.
const METADATA_SERVICES: [&str; 3] = ["169.254.169.254", "169.254.170.23", "169.254.170.2"];

impl Access {
    /// One sentence for an error of this store, and its remedy.
    #[must_use]
    pub fn sort(&self, error: &Error) -> Failure {
        sort(error, self)
    }
}

fn sort(error: &Error, access: &Access) -> Failure {
    if let Some(io) = io_cause(error) {
        return match error {
            Error::NotFound { path, .. } => Failure::config(format!("{path} is missing")),
            _ => sort_io(io),
        };
    }
    let text = error.to_string();
    let code = s3_code(&text);
    let Access::S3 { bucket, endpoint, credentials, ca, encryption } = access else {
        return sort_unknown_store(error, code, &text);
    };
    if let Some(refusal) = tls::refusal(error, endpoint, ca.as_ref()) {
        return Failure::config(refusal);
    }
    let refused = |why: String| format!("the bucket `{bucket}` can't be used: {why}");
    if let Some(kms) = KmsRefusal::of(code, &text) {
        let key = kms_key(encryption.as_ref());
        return Failure::config(match kms {
            KmsRefusal::CantUse(code) => format!(
                "{endpoint} can't use {key} to encrypt the bucket `{bucket}` ({code}); enable that key, or name \
                 another one in s3.encryption.keyId"
            ),
            KmsRefusal::Denied(right) => format!(
                "{endpoint} does not let {credentials} use {key}, which encrypts the bucket `{bucket}` ({right}); \
                 allow kms:GenerateDataKey and kms:Decrypt on that key"
            ),
        });
    }
    match (code, error) {
        (Some("NoSuchBucket"), _) => {
            Failure::config(format!("the bucket `{bucket}` does not exist at {endpoint}; create it or correct the URI"))
        }
        // versitygw answers with the second code, and with status 404.
        (Some("InvalidAccessKeyId" | "XAdminUserNotFound"), _) => Failure::config(refused(format!(
            "{endpoint} does not know the access key of {credentials}; put keys there that it knows"
        ))),
        (Some("SignatureDoesNotMatch"), _) => Failure::config(refused(format!(
            "{endpoint} refused the secret key of {credentials}; put the one there that belongs to the access key"
        ))),
        (Some("InvalidToken"), _) => Failure::config(refused(format!(
            "{endpoint} refused the session token of {credentials}; put the one there that belongs to the access key"
        ))),
        (Some("ExpiredToken"), _) => Failure::retry(refused(format!(
            "the session token of {credentials} has expired, says {endpoint}; put new keys there"
        ))),
        (Some("RequestTimeTooSkewed"), _) => Failure::retry(refused(format!(
            "the clocks of this machine and of {endpoint} are too far apart; set the one right that is wrong"
        ))),
        (Some("PermanentRedirect" | "AuthorizationHeaderMalformed"), _) => other_region(bucket),
        _ if text.contains("redirect without LOCATION") => other_region(bucket),
        (_, Error::PermissionDenied { .. } | Error::Unauthenticated { .. }) => {
            let code = code.unwrap_or("403");
            Failure::config(format!(
                "{endpoint} denied access to the bucket `{bucket}` ({code}): {credentials} was used; reading, writing, \
                 listing and deleting must be allowed to it"
            ))
        }
        (_, Error::NotImplemented { operation, .. }) => {
            Failure::config(format!("{endpoint} can't do what is needed: {operation}"))
        }
        (Some("NotImplemented"), _) => {
            Failure::config(format!("{endpoint} can't do what is needed: {}", message(&text)))
        }
        (Some("NoSuchKey"), Error::NotFound { path, .. }) => {
            Failure::config(format!("the object {path} is missing from the bucket `{bucket}` at {endpoint}"))
        }
        // The client never reached S3: it asked this machine's metadata service for a role, and there is none.
        _ if METADATA_SERVICES.iter().any(|host| text.contains(host)) => Failure::config(format!(
            "no credentials for the bucket `{bucket}` at {endpoint}: {credentials} was tried; name a Secret or set \
             AWS_ACCESS_KEY_ID"
        )),
        _ => Failure::retry(format!("the bucket `{bucket}` at {endpoint} can't be used now: {}", innermost(error))),
    }
}

fn other_region(bucket: &str) -> Failure {
    Failure::config(format!("the bucket `{bucket}` is in another region; correct the region"))
}

/// Whether the store was asked for an object that is not there. The bucket is there, and the store knows the user.
#[must_use]
pub fn is_missing_object(error: &Error) -> bool {
    // The answer to a HEAD request has no body, and so no code.
    matches!(error, Error::NotFound { .. }) && matches!(s3_code(&error.to_string()), None | Some("NoSuchKey"))
}

/// Whether the store understands the request and does not allow it to this user, or shows a certificate that this user
/// does not accept.
pub fn is_refusal(error: &Error) -> bool {
    let by_disk = || {
        io_cause(error)
            .is_some_and(|io| matches!(io.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem))
    };
    let text = error.to_string();
    let by_key = || {
        s3_code(&text).is_some_and(|code| {
            KmsRefusal::of(Some(code), &text).is_some()
                || ["InvalidAccessKeyId", "XAdminUserNotFound", "SignatureDoesNotMatch", "InvalidToken"].contains(&code)
        })
    };
    matches!(error, Error::PermissionDenied { .. } | Error::Unauthenticated { .. })
        || by_key()
        || by_disk()
        || tls::is_certificate_refused(error)
}

/// One sentence for an error of the machine's own file system, and its remedy.
pub(super) fn sort_io(error: &std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Failure::retry(format!("the disk is full: make room and it goes on ({error})"))
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            Failure::config(format!("this user may not do that: {error}"))
        }
        ErrorKind::NotADirectory | ErrorKind::IsADirectory => {
            Failure::config(format!("a file is where a folder should be, or the reverse: {error}"))
        }
        ErrorKind::Unsupported => {
            Failure::config(format!("the file system can't do what is needed (hard links, for one): {error}"))
        }
        _ => Failure::retry(error.to_string()),
    }
}

fn sort_unknown_store(error: &Error, code: Option<&str>, text: &str) -> Failure {
    match (code, error) {
        (Some("NoSuchBucket"), _) => Failure::config(format!("the bucket does not exist: {}", brief(text))),
        (_, Error::PermissionDenied { .. } | Error::Unauthenticated { .. }) => {
            Failure::config(format!("access was denied: {}", brief(text)))
        }
        (_, Error::NotImplemented { .. } | Error::NotSupported { .. } | Error::InvalidPath { .. }) => {
            Failure::config(brief(text))
        }
        _ => Failure::retry(innermost(error)),
    }
}

fn io_cause(error: &Error) -> Option<&std::io::Error> {
    // HTTP errors also end in an `io::Error` ("connection refused"), which says nothing about this machine's disk.
    let local = matches!(
        error,
        Error::Generic { store: "LocalFileSystem", .. } | Error::NotFound { .. } | Error::AlreadyExists { .. }
    );
    let mut cause = error.source();
    while let Some(e) = cause.filter(|_| local) {
        if let Some(io) = e.downcast_ref::<std::io::Error>() {
            return Some(io);
        }
        cause = e.source();
    }
    None
}

/// Finds `NoSuchBucket` in `…<Code>NoSuchBucket</Code>…`.
fn s3_code(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("<Code>")?;
    rest.split_once("</Code>").map(|(code, _)| code)
}

/// The deepest cause: "connection refused" rather than five wrappers around it. For S3's XML it is the status line.
pub fn innermost(error: &Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    brief(&cause.to_string())
}

/// What the key management service refused to the store.
enum KmsRefusal<'a> {
    /// The key is not there, disabled or of another kind; the code, as in `KMS.DisabledException`.
    CantUse(&'a str),
    /// This user may not use the key; the right that is missing, as in `kms:GenerateDataKey`.
    Denied(&'a str),
}

impl<'a> KmsRefusal<'a> {
    fn of(code: Option<&'a str>, text: &'a str) -> Option<Self> {
        let code = code?;
        if code.starts_with("KMS.") {
            return Some(Self::CantUse(code));
        }
        // "User: … is not authorized to perform: kms:GenerateDataKey on resource: …"
        let (_, right) = text.split_once("perform: ").filter(|_| code == "AccessDenied")?;
        right.split_whitespace().next().filter(|right| right.starts_with("kms:")).map(Self::Denied)
    }
}

/// The key that the document names for encryption, for messages.
fn kms_key(encryption: Option<&S3Encryption>) -> String {
    match encryption {
        Some(S3Encryption::SseKms { key_id: Some(id) }) => format!("the key {}", quoted(id)),
        Some(S3Encryption::SseKms { key_id: None } | S3Encryption::SseS3) | None => "the bucket's key".to_owned(),
    }
}

/// The server's own words, if its answer has any.
fn message(text: &str) -> String {
    let words = text.split_once("<Message>").and_then(|(_, rest)| rest.split_once("</Message>"));
    words.map_or_else(|| brief(text), |(words, _)| words.chars().take(300).collect())
}

/// An answer without its XML or HTML body.
fn brief(text: &str) -> String {
    // The body begins after the status line.
    let head = text.split(['<', '\n']).next().unwrap_or(text).trim().trim_end_matches(':');
    match s3_code(text) {
        Some(code) => format!("{head} ({code})"),
        None => head.chars().take(300).collect(),
    }
}

#[cfg(test)]
mod tests;
