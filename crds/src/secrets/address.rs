//! The secrets in an address: the user before its host, what it asks for (`?…`), its fragment (`#…`), and what a name
//! of a secret is set to (`;password=…`).

use super::{HIDDEN, Place};

/// The most characters of what stands in the place of a port and was meant to be one.
const PORT_CHARS_MAX: usize = 5;

/// A text with the secrets of the addresses in it replaced; `None` if there are none. A text at a place for addresses
/// may be one without a scheme.
pub(super) fn hidden(text: &str, is_address: bool) -> Option<String> {
    // An image may end with its digest, which is no host.
    let (whole, digest) = match text.rfind("@sha").filter(|at| text[at + 4..].starts_with(['2', '5'])) {
        Some(at) if !is_address => text.split_at(at),
        _ => (text, ""),
    };
    let set = without_set(whole, is_address);
    let named = without_user(set.as_deref().unwrap_or(whole), is_address);
    let shorter = named.as_deref().or(set.as_deref()).unwrap_or(whole);
    let asked = without_query(shorter, is_address);
    asked.or(named).or(set).map(|text| text + digest)
}

/// Without the users before hosts. A password may contain any character, so everything up to the last `@` is taken for
/// user info if there is a colon before it.
fn without_user(text: &str, is_address: bool) -> Option<String> {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_asked = |at: usize| !authority.contains(['@', ':']) && rest[..at].contains(['?', '#']);
    let ends = rest.match_indices('@').map(|(at, _)| (at, 1)).chain(escaped(rest, "%40").map(|at| (at, 3)));
    if let Some((at, length)) = ends.max().filter(|(at, _)| !is_asked(*at)) {
        let before = &rest[..at];
        let has_colon = before.replace("://", "").contains(':') || escaped(before, "%3a").next().is_some();
        let is_user = match scheme.is_empty() {
            true => is_address || has_colon,
            false => has_colon || authority.contains('@') || escaped(authority, "%40").next().is_some(),
        };
        // Either the password has the sign, or what the address asks for has the `@`.
        if is_user && before.find('@').is_some_and(|first| before[first..].contains(['?', '#'])) {
            return Some(format!("{scheme}{HIDDEN}"));
        }
        if is_user {
            return Some(format!("{scheme}{HIDDEN}@{}", &rest[at + length..]));
        }
    }
    // A user and a password whose host is missing, or stands behind something else than `@`.
    if scheme.is_empty() && !is_address {
        return None;
    }
    // An IPv6 address is in brackets.
    let behind = rest.find(']').filter(|_| rest.starts_with('[')).unwrap_or(0);
    let colon = rest[behind..].match_indices(':').map(|(at, _)| behind + at).find(|at| {
        let port = rest[at + 1..].split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        let ends = rest[at + 1 + port.len()..].starts_with(':');
        *at < authority.len().max(usize::from(is_address) * rest.len()) && (port.len() > PORT_CHARS_MAX || ends)
    })?;
    Some(format!("{scheme}{}:{HIDDEN}", &rest[..colon])).filter(|shown| shown != text)
}

/// Where a character stands as a URI escapes it, with lower-case letters in `escape`.
fn escaped<'a>(text: &'a str, escape: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices('%')
        .map(|(at, _)| at)
        .filter(move |at| text.get(*at..at + escape.len()).is_some_and(|found| found.eq_ignore_ascii_case(escape)))
}

/// Without what an address asks for. Elsewhere, a text asks if it has a scheme, or sets something behind the sign.
fn without_query(text: &str, is_address: bool) -> Option<String> {
    let sets = |rest: &str| {
        let name = rest.split(|c: char| !c.is_ascii_alphanumeric() && !"._-%".contains(c)).next().unwrap_or_default();
        !name.is_empty() && rest[name.len()..].starts_with('=')
    };
    let scheme = text.find("://").unwrap_or(text.len());
    let asks = |(at, _): &(usize, &str)| {
        let rest = &text[at + 1..];
        !rest.is_empty() && (is_address || *at > scheme || sets(rest))
    };
    let (at, sign) = text.match_indices(['?', '#']).find(asks)?;
    Some(format!("{}{sign}{HIDDEN}", &text[..at])).filter(|shown| shown != text)
}

/// Without what a name of a secret is set to, and all behind it: `password=…`, and `password:…` in an address.
fn without_set(text: &str, is_address: bool) -> Option<String> {
    let end = text.match_indices(['=', ':']).find_map(|(at, sign)| {
        let before = text[..at].trim_end_matches([' ', '"', '\'']);
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '%');
        let name = before.rsplit(|c| !is_name(c)).next().unwrap_or_default();
        let name = name.rsplit('%').next().unwrap_or(name);
        let rest = &text[at + 1..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        // `my-secret:9092` is a host with its port.
        let is_host =
            sign == ":" && (!is_address || name.contains(['-', '.']) || (1..=PORT_CHARS_MAX).contains(&digits));
        let is_secret = matches!(Place::of(name), Place::Secret) || is_escaped_name(name);
        (is_secret && !is_host && !rest.is_empty() && !rest.starts_with("//")).then_some(at)
    })?;
    Some(format!("{}{HIDDEN}", &text[..=end])).filter(|shown| shown != text)
}

/// Whether a name begins with the rest of an escaped `?` or `&` (`%3Fsig`).
fn is_escaped_name(name: &str) -> bool {
    let behind = name.get(..2).filter(|escape| escape.eq_ignore_ascii_case("3f") || *escape == "26");
    behind.is_some() && Place::of(&name[2..]) == Place::Secret
}

/// An expression with the secrets of the addresses in it replaced; `None` if it has none. Its quotes stay where they
/// are, so that what is said of the rest stays true.
pub(super) fn in_expression(text: &str) -> Option<String> {
    if text.matches('\'').count() % 2 == 1 {
        return without_user(text, false);
    }
    let parts = text.split('\'').enumerate().map(|(i, part)| match i % 2 {
        1 if part.contains("://") => hidden(part, false).unwrap_or_else(|| part.to_owned()),
        _ => words(part),
    });
    let shown = parts.collect::<Vec<_>>().join("'");
    (shown != text).then_some(shown)
}

/// A text with the users in its words replaced.
fn words(text: &str) -> String {
    let is_between = |c: char| c.is_whitespace() || "\"`(),".contains(c);
    let shown = text.split_inclusive(is_between).map(|word| {
        let body = word.trim_end_matches(is_between);
        let has_host = body.rsplit_once('@').is_some_and(|(_, host)| host.starts_with(|c: char| c.is_alphanumeric()));
        let is_address = has_host && body.contains(':') || body.contains("://");
        match hidden(body, false).filter(|_| is_address) {
            Some(shown) => shown + &word[body.len()..],
            None => word.to_owned(),
        }
    });
    shown.collect()
}

/// Whether a word of the text is an address with a secret.
pub(super) fn is_in_a_word(text: &str) -> bool {
    words(text) != text
}

/// A sentence without the secrets of an address in it.
pub(crate) fn in_sentence(sentence: String) -> String {
    let sentence = match sentence.contains("://") {
        true => without_user(&sentence, false).unwrap_or(sentence),
        false => sentence,
    };
    words(&sentence)
}
