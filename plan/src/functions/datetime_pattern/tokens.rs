//! A pattern taken apart: runs of one letter, text, and the brackets of optional sections. The letters get their
//! meaning when a time is formatted or read.

use super::percent;

pub(super) const LETTERS: &str = "G y M L d D E a H h k K m s S Q q V z O X x Z";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// Text, never empty. Two quotes mean one quote, inside and outside of quotes, as in Spark.
    Text(String),
    Letters {
        letter: char,
        count: usize,
        place: String,
    },
    Open {
        place: String,
    },
    Close,
}

pub(super) fn letters(letter: char, count: usize) -> String {
    letter.to_string().repeat(count)
}

/// Takes a pattern apart.
///
/// # Errors
/// One sentence with the place, counted in characters from 1.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    if let Some(why) = percent::of_percent_signs(text) {
        return Err(why);
    }
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut open_sections = 0_usize;
    let mut at = 0;
    while at < chars.len() {
        let c = chars[at];
        let place = || format!("character {} of the pattern {}", at + 1, crate::quote::quoted(text));
        match c {
            '\'' => {
                at =
                    quoted(&chars, at, &mut tokens).ok_or_else(|| format!("the quote at {} is not closed", place()))?;
                continue;
            }
            '[' => {
                open_sections += 1;
                tokens.push(Token::Open { place: place() });
            }
            ']' => {
                open_sections =
                    open_sections.checked_sub(1).ok_or_else(|| format!("the `]` at {} closes nothing", place()))?;
                tokens.push(Token::Close);
            }
            '#' | '{' | '}' => return Err(format!("`{c}` at {} is reserved; put it in quotes", place())),
            _ if c.is_ascii_alphabetic() => {
                let count = chars[at..].iter().take_while(|next| **next == c).count();
                tokens.push(Token::Letters { letter: c, count, place: place() });
                at += count;
                continue;
            }
            _ => push_text(&mut tokens, c),
        }
        at += 1;
    }
    Ok(tokens)
}

/// Reads quoted text from the quote at `start`, and returns where it ends. Two quotes mean one quote.
fn quoted(chars: &[char], start: usize, tokens: &mut Vec<Token>) -> Option<usize> {
    if chars.get(start + 1) == Some(&'\'') {
        push_text(tokens, '\'');
        return Some(start + 2);
    }
    let mut at = start + 1;
    loop {
        match (chars.get(at)?, chars.get(at + 1)) {
            ('\'', Some('\'')) => {
                push_text(tokens, '\'');
                at += 2;
            }
            ('\'', _) => return Some(at + 1),
            (c, _) => {
                push_text(tokens, *c);
                at += 1;
            }
        }
    }
}

fn push_text(tokens: &mut Vec<Token>, c: char) {
    if let Some(Token::Text(text)) = tokens.last_mut() { text.push(c) } else { tokens.push(Token::Text(c.to_string())) }
}
