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
            refused("the session token of the Secret `lake` has expired, says http://s3:9000; put new keys there"),
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
        (301, "PermanentRedirect", Remedy::Config, "the bucket `lake` is in another region; correct the region".into()),
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
    let denied = [answer(403, "AccessDenied"), answer(403, "SignatureDoesNotMatch"), answer(404, "XAdminUserNotFound")];
    assert!(denied.iter().all(is_refusal));
    assert!(![answer(404, "NoSuchBucket"), answer(404, "NoSuchKey"), answer(503, "SlowDown")].iter().any(is_refusal));
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
    let html = Error::Generic { store: "S3", source: "status code: 404 Not Found: <!DOCTYPE HTML>\n<html>…".into() };
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
