//! The URIs of tables and checkpoints: `s3://bucket/path` or `file:///absolute/path`. Each has only one spelling, so
//! that two URIs can be compared.

use weir_plan::quote::quoted;

/// Parses a URI and returns it without a slash at its end.
pub(crate) fn parse(text: &str) -> Result<String, String> {
    if let Some(path) = text.strip_prefix("s3://") {
        let (bucket, path) = path.split_once('/').unwrap_or((path, ""));
        check_bucket(bucket)?;
        let path = check_path(text, path)?;
        if path.is_empty() {
            return Err(format!("found {}, a whole bucket: write a path in it, s3://{bucket}/some/path", quoted(text)));
        }
        return Ok(format!("s3://{bucket}/{path}"));
    }
    if let Some(rest) = text.strip_prefix("file://") {
        let Some(path) = rest.strip_prefix('/') else {
            return Err(format!(
                "found {}; a local path has three slashes and is absolute: file:///{rest}",
                quoted(text)
            ));
        };
        let path = check_path(text, path)?;
        if path.is_empty() {
            return Err(format!(
                "found {}, the root of the file system: write a path in it, file:///some/path",
                quoted(text)
            ));
        }
        return Ok(format!("file:///{path}"));
    }
    let hint = match text.split_once("://") {
        Some(("s3a" | "s3n", rest)) => format!("; here it is s3://{rest}"),
        None if text.starts_with('/') => format!("; did you mean {}?", quoted(format_args!("file://{text}"))),
        None if text.starts_with("./") || text.starts_with("../") => {
            "; a relative path is refused, since it would name another place in each folder that the program is \
             started from"
                .to_owned()
        }
        _ => String::new(),
    };
    Err(format!("found {}: write s3://bucket/path or file:///absolute/path{hint}", quoted(text)))
}

/// Parses a prefix of URIs for `storage`, which matches whole path segments and may be a bucket alone. It is returned
/// without a slash at its end.
pub(crate) fn parse_prefix(text: &str) -> Result<String, String> {
    let Some(rest) = text.strip_prefix("s3://") else {
        return Err(format!("found {}: write a prefix such as s3://bucket/", quoted(text)));
    };
    let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
    check_bucket(bucket)?;
    let path = check_path(text, path)?;
    Ok(if path.is_empty() { format!("s3://{bucket}") } else { format!("s3://{bucket}/{path}") })
}

/// Whether one of the URIs lies in the other, or they are equal.
pub(crate) fn overlap(a: &str, b: &str) -> bool {
    is_within(a, b) || is_within(b, a)
}

/// Whether `inner` lies in `outer` or is equal to it, by whole path segments.
pub(crate) fn is_within(inner: &str, outer: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Checks Amazon's rules for bucket names, as far as they help to find mistakes.
fn check_bucket(bucket: &str) -> Result<(), String> {
    let plain = bucket.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.');
    if plain && (3..=63).contains(&bucket.len()) {
        return Ok(());
    }
    Err(format!("found {} as the bucket: write 3 to 63 lower-case letters, digits, hyphens and dots", quoted(bucket)))
}

/// Whether every engine spells the character the same way in paths and URIs.
fn is_path_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.=+@,~!$&'()*:/".contains(c)
}

fn check_path<'a>(whole: &str, path: &'a str) -> Result<&'a str, String> {
    if let Some(bad) = path.chars().find(|c| !is_path_char(*c)) {
        return Err(format!(
            "found {} in {}: write ASCII letters, digits and any of -_.=+@,~!$&'()*:",
            quoted(bad),
            quoted(whole)
        ));
    }
    let path = path.strip_suffix('/').unwrap_or(path);
    if !path.is_empty() && path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(format!("found {}: write a path without empty, `.` or `..` parts", quoted(whole)));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_has_one_spelling() {
        assert_eq!(parse("s3://lake/silver/rides/"), Ok("s3://lake/silver/rides".to_owned()));
        assert_eq!(parse("file:///tmp/weir"), Ok("file:///tmp/weir".to_owned()));
        assert_eq!(parse_prefix("s3://lake/"), Ok("s3://lake".to_owned()));
        assert_eq!(parse_prefix("s3://lake/a"), Ok("s3://lake/a".to_owned()));
    }

    #[test]
    fn what_could_name_two_places_is_refused_with_a_hint() {
        for (text, hint) in [
            ("s3a://lake/x", "here it is s3://lake/x"),
            ("/tmp/x", "did you mean `file:///tmp/x`?"),
            ("./x", "a relative path is refused"),
            ("file://tmp/x", "three slashes"),
            ("file:///", "root of the file system"),
            ("s3://lake", "a whole bucket"),
            ("s3://Lake/x", "as the bucket"),
            ("s3://lake/a//b", "without empty"),
            ("s3://lake/a/../b", "`..` parts"),
            ("s3://lake/a b", "found ` ` in"),
            ("s3://lake/a?versionId=1", "found `?` in"),
            ("gs://lake/x", ": write "),
            ("", ": write "),
        ] {
            assert!(parse(text).is_err_and(|said| said.contains(hint)), "{text}: {:?}", parse(text));
        }
    }

    #[test]
    fn uris_overlap_by_whole_segments() {
        assert!(overlap("s3://lake/a", "s3://lake/a/b"));
        assert!(overlap("s3://lake/a/b", "s3://lake/a"));
        assert!(overlap("s3://lake/a", "s3://lake/a"));
        assert!(!overlap("s3://lake/a", "s3://lake/ab"));
    }
}
