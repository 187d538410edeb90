//! Sorts an object store's errors by their remedy. The client has no type for S3's error codes, so they are read from
//! the error's text.

use std::error::Error as _;
use std::io::ErrorKind;

use object_store::Error;
use weir_plan::plan::S3Encryption;
use weir_plan::quote::quoted;

use super::access::Access;
use super::certificates;
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
    if let Some(refusal) = certificates::refusal(error, endpoint, ca.as_ref()) {
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
        || certificates::is_refused(error)
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
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::failure::Remedy;
    use crate::storage::Credentials;

    fn s3() -> Access {
        let credentials = Credentials { origin: "the Secret `lake`".into(), keys: None };
        Access::S3 { bucket: "lake".into(), endpoint: "http://s3:9000".into(), credentials, ca: None, encryption: None }
    }

    fn answer(status: u16, code: &str) -> Error {
        answer_saying(status, code, "")
    }

    fn answer_saying(status: u16, code: &str, message: &str) -> Error {
        let text = format!(
            "Server returned non-2xx status code: {status} X: <?xml version=\"1.0\"?><Error><Code>{code}</Code>\
             <Message>{message}</Message></Error>"
        );
        match status {
            403 => Error::PermissionDenied { path: "p".into(), source: text.into() },
            404 => Error::NotFound { path: "p".into(), source: text.into() },
            _ => Error::Generic { store: "S3", source: text.into() },
        }
    }

    #[test]
    fn answers_of_s3_are_sorted_by_remedy() {
        let refused = |why: &str| format!("the bucket `lake` can't be used: {why}");
        for (status, code, remedy, says) in [
            (
                404,
                "NoSuchBucket",
                Remedy::Config,
                "the bucket `lake` does not exist at http://s3:9000; create it or correct the URI".into(),
            ),
            (
                403,
                "InvalidAccessKeyId",
                Remedy::Config,
                refused("http://s3:9000 does not know the access key of the Secret `lake`; put keys there that it knows"),
            ),
            (
                403,
                "SignatureDoesNotMatch",
                Remedy::Config,
                refused(
                    "http://s3:9000 refused the secret key of the Secret `lake`; put the one there that belongs to the \
                     access key",
                ),
            ),
            (
                400,
                "InvalidToken",
                Remedy::Config,
                refused(
                    "http://s3:9000 refused the session token of the Secret `lake`; put the one there that belongs to \
                     the access key",
                ),
            ),
            (
                400,
                "ExpiredToken",
                Remedy::Retry,
                refused(
                    "the session token of the Secret `lake` has expired, says http://s3:9000; put new keys there",
                ),
            ),
            (
                403,
                "RequestTimeTooSkewed",
                Remedy::Retry,
                refused(
                    "the clocks of this machine and of http://s3:9000 are too far apart; set the one right that is \
                     wrong",
                ),
            ),
            (
                301,
                "PermanentRedirect",
                Remedy::Config,
                "the bucket `lake` is in another region; correct the region".into(),
            ),
            (
                403,
                "AccessDenied",
                Remedy::Config,
                "http://s3:9000 denied access to the bucket `lake` (AccessDenied): the Secret `lake` was used; reading, \
                 writing, listing and deleting must be allowed to it"
                    .into(),
            ),
            (
                503,
                "SlowDown",
                Remedy::Retry,
                "the bucket `lake` at http://s3:9000 can't be used now: Server returned non-2xx status code: 503 X \
                 (SlowDown)"
                    .into(),
            ),
        ] {
            assert_eq!(sort(&answer(status, code), &s3()), Failure { remedy, message: says });
        }
    }

    #[test]
    fn a_server_without_a_key_management_service_says_it_in_its_own_words() {
        let error = answer_saying(501, "NotImplemented", "Server side encryption specified but KMS is not configured");
        let says = "http://s3:9000 can't do what is needed: Server side encryption specified but KMS is not configured";
        assert_eq!(sort(&error, &s3()), Failure::config(says));
    }

    #[test]
    fn the_refusal_of_a_key_names_it_and_the_bucket() {
        let by_name = S3Encryption::SseKms { key_id: Some("k".to_owned()) };
        for (encryption, named) in [
            (Some(by_name), "the key `k`"),
            (Some(S3Encryption::SseKms { key_id: None }), "the bucket's key"),
            (None, "the bucket's key"),
        ] {
            let Access::S3 { bucket, endpoint, credentials, ca, .. } = s3() else { unreachable!() };
            let access = Access::S3 { bucket, endpoint, credentials, ca, encryption };
            for code in ["KMS.NotFoundException", "KMS.DisabledException"] {
                let says = format!(
                    "http://s3:9000 can't use {named} to encrypt the bucket `lake` ({code}); enable that key, or name \
                     another one in s3.encryption.keyId"
                );
                assert_eq!(sort(&answer(400, code), &access), Failure::config(says));
                assert!(is_refusal(&answer(400, code)));
            }
            for right in ["kms:GenerateDataKey", "kms:Decrypt"] {
                let denied = answer_saying(
                    403,
                    "AccessDenied",
                    &format!("User: arn:u is not authorized to perform: {right} on resource: arn:k because"),
                );
                let says = format!(
                    "http://s3:9000 does not let the Secret `lake` use {named}, which encrypts the bucket `lake` \
                     ({right}); allow kms:GenerateDataKey and kms:Decrypt on that key"
                );
                assert_eq!(sort(&denied, &access), Failure::config(says));
                assert!(is_refusal(&denied));
            }
            let other = "User: arn:u is not authorized to perform: s3:PutObject on resource: arn:o";
            let denied = sort(&answer_saying(403, "AccessDenied", other), &access).message;
            assert!(denied.starts_with("http://s3:9000 denied access to the bucket `lake`"), "{denied}");
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
        // The second one is the answer to a HEAD request.
        let without_body = Error::NotFound { path: "p".into(), source: "404 Not Found".into() };
        assert!([answer(404, "NoSuchKey"), without_body].iter().all(is_missing_object));
        let others = [answer(404, "NoSuchBucket"), answer(404, "XAdminUserNotFound"), answer(403, "NoSuchKey")];
        assert!(!others.iter().any(is_missing_object));
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
