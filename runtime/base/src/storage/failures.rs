//! Sorts an object store's errors by their remedy. The client has no type for S3's error codes, so they are read from
//! the error's text.

use std::error::Error as _;
use std::io::ErrorKind;

use object_store::Error;

use super::access::Access;
use crate::failure::Failure;

/// Hosts that AWS's clients ask for a role: of instances, EKS and ECS.
const METADATA_SERVICES: [&str; 3] = ["169.254.169.254", "169.254.170.23", "169.254.170.2"];

/// One sentence for an error, and its remedy.
pub(super) fn sort(error: &Error, access: &Access) -> Failure {
    if let Some(io) = io_cause(error) {
        return match error {
            Error::NotFound { path, .. } => Failure::config(format!("{path} is missing")),
            _ => sort_io(io),
        };
    }
    let text = error.to_string();
    let code = s3_code(&text);
    let Access::S3 { bucket, endpoint, credentials } = access else { return sort_unknown_store(error, code, &text) };
    match (code, error) {
        (Some("NoSuchBucket"), _) => {
            Failure::config(format!("the bucket `{bucket}` does not exist at {endpoint}; create it or correct the URI"))
        }
        // versitygw answers with the second code, and with status 404.
        (Some("InvalidAccessKeyId" | "XAdminUserNotFound"), _) => {
            Failure::config(format!("{endpoint} does not know the access key: {credentials} was used"))
        }
        (Some("SignatureDoesNotMatch"), _) => {
            Failure::config(format!("{endpoint} refused the secret key: {credentials} was used"))
        }
        (Some("ExpiredToken" | "RequestTimeTooSkewed"), _) => Failure::retry(format!(
            "{endpoint} refused an expired token or a wrong clock ({}): {credentials} was used",
            code.unwrap_or_default()
        )),
        (_, Error::PermissionDenied { .. } | Error::Unauthenticated { .. }) => {
            let code = code.unwrap_or("403");
            Failure::config(format!(
                "{endpoint} denied access to the bucket `{bucket}` ({code}): {credentials} was used"
            ))
        }
        (_, Error::NotImplemented { operation, .. }) => {
            Failure::config(format!("{endpoint} can't do what is needed: {operation}"))
        }
        (Some("NotImplemented"), _) => Failure::config(format!("{endpoint} can't do what is needed: {}", brief(&text))),
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

/// Whether the store understands the request and does not allow it to this user.
pub fn is_refusal(error: &Error) -> bool {
    let by_disk = || {
        io_cause(error)
            .is_some_and(|io| matches!(io.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem))
    };
    let text = error.to_string();
    let by_key = || {
        matches!(
            s3_code(&text),
            Some("InvalidAccessKeyId" | "XAdminUserNotFound" | "SignatureDoesNotMatch" | "InvalidToken")
        )
    };
    matches!(error, Error::PermissionDenied { .. } | Error::Unauthenticated { .. }) || by_key() || by_disk()
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
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::failure::Remedy;
    use crate::storage::Credentials;

    fn s3() -> Access {
        let credentials = Credentials { origin: "the Secret `lake`".into(), keys: None };
        Access::S3 { bucket: "lake".into(), endpoint: "http://s3:9000".into(), credentials }
    }

    fn answer(status: u16, code: &str) -> Error {
        let text = format!(
            "Server returned non-2xx status code: {status} X: <?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>"
        );
        match status {
            403 => Error::PermissionDenied { path: "p".into(), source: text.into() },
            404 => Error::NotFound { path: "p".into(), source: text.into() },
            _ => Error::Generic { store: "S3", source: text.into() },
        }
    }

    #[test]
    fn answers_of_s3_are_sorted_by_remedy() {
        for (status, code, remedy, says) in [
            (
                404,
                "NoSuchBucket",
                Remedy::Config,
                "the bucket `lake` does not exist at http://s3:9000; create it or correct the URI",
            ),
            (
                403,
                "InvalidAccessKeyId",
                Remedy::Config,
                "http://s3:9000 does not know the access key: the Secret `lake` was used",
            ),
            (
                403,
                "SignatureDoesNotMatch",
                Remedy::Config,
                "http://s3:9000 refused the secret key: the Secret `lake` was used",
            ),
            (
                403,
                "AccessDenied",
                Remedy::Config,
                "http://s3:9000 denied access to the bucket `lake` (AccessDenied): the Secret `lake` was used",
            ),
            (
                503,
                "SlowDown",
                Remedy::Retry,
                "the bucket `lake` at http://s3:9000 can't be used now: Server returned non-2xx status code: 503 X \
                 (SlowDown)",
            ),
        ] {
            assert_eq!(sort(&answer(status, code), &s3()), Failure { remedy, message: says.into() });
        }
    }

    #[test]
    fn refusals_are_told_from_what_is_missing_or_away() {
        let denied =
            [answer(403, "AccessDenied"), answer(403, "SignatureDoesNotMatch"), answer(404, "XAdminUserNotFound")];
        assert!(denied.iter().all(is_refusal));
        assert!(
            ![answer(404, "NoSuchBucket"), answer(404, "NoSuchKey"), answer(503, "SlowDown")].iter().any(is_refusal)
        );
        let local =
            |kind: ErrorKind| Error::Generic { store: "LocalFileSystem", source: Box::new(std::io::Error::from(kind)) };
        assert!(is_refusal(&local(ErrorKind::ReadOnlyFilesystem)) && is_refusal(&local(ErrorKind::PermissionDenied)));
        assert!(!is_refusal(&local(ErrorKind::StorageFull)));
    }

    #[test]
    fn an_answer_that_is_not_s3s_is_one_line() {
        let html =
            Error::Generic { store: "S3", source: "status code: 404 Not Found: <!DOCTYPE HTML>\n<html>…".into() };
        let says = "the bucket `lake` at http://s3:9000 can't be used now: status code: 404 Not Found";
        assert_eq!(sort(&html, &s3()), Failure::retry(says));
    }

    #[test]
    fn a_machine_without_a_role_is_told_to_name_keys() {
        let text = "Error performing PUT http://169.254.169.254/latest/api/token in 1s: timed out";
        let failure = sort(&Error::Generic { store: "S3", source: text.into() }, &s3());
        let says = "no credentials for the bucket `lake` at http://s3:9000: the Secret `lake` was tried; \
                    name a Secret or set AWS_ACCESS_KEY_ID";
        assert_eq!(failure, Failure::config(says));
    }

    #[test]
    fn a_full_disk_is_retried_and_a_forbidden_one_is_not() {
        let local = |kind: ErrorKind| Error::Generic {
            store: "LocalFileSystem",
            source: Box::new(std::io::Error::new(kind, "os error")),
        };
        let full = sort(&local(ErrorKind::StorageFull), &Access::Folder);
        assert_eq!(full, Failure::retry("the disk is full: make room and it goes on (os error)"));
        assert_eq!(
            sort(&local(ErrorKind::PermissionDenied), &Access::Folder),
            Failure::config("this user may not do that: os error")
        );
    }
}
