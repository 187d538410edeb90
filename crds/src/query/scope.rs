//! Expressions of a query as expressions of a step: without the names of tables, and with the bounds of windows by
//! Weir's names.

use weir_plan::aggregate::{self, WINDOW_END, WINDOW_START};
use weir_plan::expr::{Word, WordKind};

use super::cursor::{closing, is_name, is_word};
use super::places::{Mark, Spot};

/// The names of the tables that a SELECT reads.
#[derive(Debug, Default)]
pub(super) struct Scope {
    tables: Vec<String>,
    /// Whether `window.start` and the like are the bounds of the window that rows are grouped by.
    has_bounds: bool,
}

/// An expression for a step.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) marks: Vec<Mark>,
}

impl Piece {
    pub(super) fn of(words: &[Word]) -> Self {
        let (mut text, mut marks) = (String::new(), Vec::new());
        let mut column = 1_u64;
        for word in words {
            if word.is_apart && !text.is_empty() {
                text.push(' ');
                column += 1;
            }
            marks.push(Mark::of(word, column));
            text += &word.written;
            column += word.written.chars().count() as u64;
        }
        Self { text, marks }
    }

    pub(super) fn spot(&self) -> Spot {
        Spot::Words(self.marks.clone())
    }
}

impl Scope {
    pub(super) fn add(&mut self, table: &str) {
        self.tables.push(table.to_owned());
    }

    pub(super) fn with_bounds(self, has_bounds: bool) -> Self {
        Self { has_bounds, ..self }
    }

    /// The words without the names of tables before columns, and with `window_start` for `TUMBLE_START(…)` and
    /// `window.start`.
    pub(super) fn resolved(&self, words: &[Word]) -> Vec<Word> {
        let (mut resolved, mut i) = (Vec::with_capacity(words.len()), 0);
        while let Some(word) = words.get(i) {
            let is_field = i > 0 && is_word(&words[i - 1], ".");
            let next = words.get(i + 1);
            let is_before = |sign| next.is_some_and(|next| is_word(next, sign));
            if !is_field && is_name(word) && is_before(".") && self.tables.contains(&word.value) {
                i += 2;
                // What follows stands where the table's name stood.
                if let Some(column) = words.get(i) {
                    resolved.push(Word { is_apart: word.is_apart, ..column.clone() });
                }
                i += 1;
                continue;
            }
            if let Some((bound, words_of_it)) = bound(words, i).filter(|_| self.has_bounds && !is_field) {
                let (written, value) = (bound.to_owned(), bound.to_owned());
                resolved.push(Word { written, value, ..word.clone() });
                i += words_of_it;
                continue;
            }
            resolved.push(word.clone());
            i += 1;
        }
        resolved
    }

    pub(super) fn piece(&self, words: &[Word]) -> Piece {
        Piece::of(&self.resolved(words))
    }

    /// The name of the column that the words are; `None` if they are anything else.
    pub(super) fn column(&self, words: &[Word]) -> Option<String> {
        column_of(&self.resolved(words))
    }
}

/// The name of the column that the words are, without tables; `None` if they are anything else.
pub(super) fn column_of(words: &[Word]) -> Option<String> {
    const VALUES: [&str; 3] = ["null", "true", "false"];
    match words {
        [name] if is_name(name) && !VALUES.iter().any(|value| is_word(name, value)) => Some(name.value.clone()),
        _ => None,
    }
}

/// The bound of the window that the words at `i` stand for in other SQL, and how many words that are.
fn bound(words: &[Word], i: usize) -> Option<(&'static str, usize)> {
    let (word, next) = (&words[i], words.get(i + 1)?);
    if is_word(word, "window") && is_word(next, ".") {
        let field = words.get(i + 2)?;
        let bounds = [("start", WINDOW_START), ("end", WINDOW_END)];
        return bounds.iter().find(|(name, _)| is_word(field, name)).map(|(_, bound)| (*bound, 3));
    }
    if word.kind != WordKind::Plain || !is_word(next, "(") {
        return None;
    }
    let (function, bound) = word.written.rsplit_once('_')?;
    let is_window = ["tumble", "hop", "session"].iter().any(|window| function.eq_ignore_ascii_case(window));
    let bounds = [("start", WINDOW_START), ("end", WINDOW_END)];
    let (_, bound) = bounds.iter().find(|(name, _)| is_window && bound.eq_ignore_ascii_case(name))?;
    Some((bound, closing(words, i + 1) + 1 - i))
}

/// Whether both are the same words.
pub(super) fn is_same(one: &[Word], other: &[Word]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| one.kind == other.kind && one.value == other.value)
}

/// The place behind a call of an aggregate that begins at `i`; `None` if none does.
pub(super) fn behind_aggregate(words: &[Word], i: usize) -> Option<usize> {
    let is_called = words.get(i + 1).is_some_and(|next| is_word(next, "("));
    let is_aggregate = is_called && aggregate::names().any(|name| is_word(&words[i], name));
    is_aggregate.then(|| closing(words, i + 1) + 1)
}

pub(super) fn has_aggregate(words: &[Word]) -> bool {
    (0..words.len()).any(|i| behind_aggregate(words, i).is_some())
}

/// The words with each name outside of aggregates for which `meaning` has words replaced by these in parentheses.
pub(super) fn with_names_resolved<'w>(words: &[Word], meaning: impl Fn(&str) -> Option<&'w [Word]>) -> Vec<Word> {
    let (mut resolved, mut i) = (Vec::new(), 0);
    while let Some(word) = words.get(i) {
        if let Some(behind) = behind_aggregate(words, i) {
            resolved.extend_from_slice(&words[i..behind]);
            i = behind;
            continue;
        }
        let is_part = i > 0 && is_word(&words[i - 1], ".") || words.get(i + 1).is_some_and(|next| is_word(next, "("));
        match meaning(&word.value).filter(|_| is_name(word) && !is_part) {
            Some(meant) => {
                let sign = |sign: &str, is_apart| Word {
                    kind: WordKind::Sign,
                    written: sign.to_owned(),
                    value: sign.to_owned(),
                    at: word.at,
                    is_apart,
                };
                resolved.push(sign("(", word.is_apart));
                resolved.extend(
                    meant.iter().enumerate().map(|(i, word)| Word { is_apart: word.is_apart && i > 0, ..word.clone() }),
                );
                resolved.push(sign(")", false));
            }
            None => resolved.push(word.clone()),
        }
        i += 1;
    }
    resolved
}
