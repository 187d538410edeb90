//! The token that a request must have.

use subtle::ConstantTimeEq;
use weir_plan::plan::SecretKey;

use crate::failure::{Failure, Result};

/// The fewest characters. Who may ask as often as they like could guess a shorter token.
const CHARS_MIN: usize = 16;
/// The most characters: a header with it still fits into what the server reads.
const CHARS_MAX: usize = 4096;

/// A token. It can be compared, and not shown.
pub(super) struct Token(Box<[u8]>);

impl Token {
    /// Takes the text of this key of a Secret.
    ///
    /// # Errors
    /// `Config` for a text that is no token. The message does not say which characters it has.
    pub(super) fn new(text: &str, SecretKey { secret, key }: &SecretKey) -> Result<Self> {
        // What RFC 6750 allows in the header.
        let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if (CHARS_MIN..=CHARS_MAX).contains(&text.len()) && text.bytes().all(is_fit) {
            return Ok(Self(text.as_bytes().into()));
        }
        Err(Failure::config(format!(
            "the key `{key}` of the Secret `{secret}` (http.tokenSecretRef) has no token of {CHARS_MIN} to {CHARS_MAX} \
             letters, digits and characters of -._~+/= in it: put one there such as `openssl rand -hex 32` prints"
        )))
    }

    /// Whether this is the token. How long that takes does not depend on where the two differ.
    pub(super) fn is(&self, found: &[u8]) -> bool {
        self.0.ct_eq(found).into()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn token(text: &str) -> Result<Token> {
        Token::new(text, &SecretKey { secret: "page".into(), key: "token".into() })
    }

    #[test]
    fn only_the_whole_token_is_the_token() {
        let token = token("0123456789abcdef").unwrap();
        assert!(token.is(b"0123456789abcdef"));
        for other in ["", "0123456789abcde", "0123456789abcdeg", "1123456789abcdef", "0123456789abcdef0"] {
            assert!(!token.is(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn what_could_be_guessed_or_not_be_sent_is_refused_and_not_shown() {
        for text in ["", "0123456789abcde", "0123456789 abcdef", "0123456789abcdef\n", &"a".repeat(4097)] {
            let said = token(text).err().unwrap().message;
            let begin = "the key `token` of the Secret `page` (http.tokenSecretRef) has no token of 16 to 4096 letters";
            assert!(said.starts_with(begin) && !said.contains("456789"), "{said}");
        }
    }
}
