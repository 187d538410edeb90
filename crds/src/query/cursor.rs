//! A place among the words of a query, from which one reads on.

use weir_plan::expr::{TextPlace, Word, WordKind};
use weir_plan::quote::quoted;

/// Why a query is refused, and where.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) at: TextPlace,
    pub(super) message: String,
}

pub(super) type Read<T> = Result<T, Wrong>;

pub(super) fn wrong<T>(at: TextPlace, message: impl Into<String>) -> Read<T> {
    Err(Wrong { at, message: message.into() })
}

/// Words that begin what comes behind an expression.
const CLAUSES: [&str; 14] = [
    "from",
    "where",
    "group",
    "having",
    "qualify",
    "window",
    "order",
    "limit",
    "offset",
    "fetch",
    "union",
    "intersect",
    "except",
    "minus",
];
/// Words behind which an expression goes on.
const OPERATORS: [&str; 21] = [
    "and", "or", "not", "in", "like", "ilike", "rlike", "regexp", "between", "is", "distinct", "case", "when", "then",
    "else", "escape", "div", "interval", "all", "select", "by",
];

#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'q> {
    words: &'q [Word],
    next: usize,
    /// Where the text ends.
    end: TextPlace,
}

impl<'q> Cursor<'q> {
    pub(super) fn new(words: &'q [Word], end: TextPlace) -> Self {
        Self { words, next: 0, end }
    }

    pub(super) fn peek(&self) -> Option<&'q Word> {
        self.words.get(self.next)
    }

    /// Where the next word stands.
    pub(super) fn at(&self) -> TextPlace {
        self.peek().map_or(self.end, |word| word.at)
    }

    /// Whether the next words are these.
    pub(super) fn is(&self, expected: &[&str]) -> bool {
        let there = self.words[self.next..].iter().take(expected.len());
        self.next + expected.len() <= self.words.len()
            && there.zip(expected).all(|(word, expected)| is_word(word, expected))
    }

    /// Passes these words if they come next.
    pub(super) fn take(&mut self, expected: &[&str]) -> bool {
        let is = self.is(expected);
        self.next += if is { expected.len() } else { 0 };
        is
    }

    pub(super) fn expect(&mut self, expected: &[&str], example: &str) -> Read<()> {
        if self.take(expected) {
            return Ok(());
        }
        self.wanted(&format!("{}, as in {}", quoted(expected.join(" ").to_uppercase()), quoted(example)))
    }

    /// The refusal of what comes next.
    pub(super) fn wanted<T>(&self, what: &str) -> Read<T> {
        let found = self.peek().map_or("the end".to_owned(), |word| quoted(&word.written));
        wrong(self.at(), format!("expected {what}, found {found}"))
    }

    /// The next word, which must be a name.
    pub(super) fn name(&mut self, what: &str) -> Read<&'q Word> {
        match self.peek().filter(|word| is_name(word)) {
            Some(word) => {
                self.next += 1;
                Ok(word)
            }
            None => self.wanted(what),
        }
    }

    /// What stands in the parentheses that come next.
    pub(super) fn group(&mut self) -> Option<Cursor<'q>> {
        if !self.is(&["("]) {
            return None;
        }
        let close = closing(self.words, self.next);
        let inner = self.words.get(self.next + 1..close)?;
        let end = self.words.get(close).map_or(self.end, |word| word.at);
        self.next = close + 1;
        Some(Cursor::new(inner, end))
    }

    pub(super) fn skip(&mut self, words: usize) {
        self.next = (self.next + words).min(self.words.len());
    }

    /// The words that are left.
    pub(super) fn rest(&self) -> &'q [Word] {
        &self.words[self.next..]
    }

    /// The words up to a comma or a clause, outside of brackets.
    pub(super) fn expression(&mut self) -> &'q [Word] {
        let start = self.next;
        while let Some(word) = self.peek() {
            if is_word(word, ",") || is_word(word, ";") || self.begins_a_clause(start) {
                break;
            }
            self.next = closing(self.words, self.next) + 1;
        }
        &self.words[start..self.next]
    }

    /// Whether the next word begins a clause behind an expression that began at `start`.
    fn begins_a_clause(&self, start: usize) -> bool {
        let (Some(word), Some(before)) = (self.peek(), self.next.checked_sub(1).map(|i| &self.words[i])) else {
            return false;
        };
        let is_called = self.words.get(self.next + 1).is_some_and(|next| is_word(next, "(") || is_word(next, "."));
        self.next > start
            && ends_an_operand(before)
            && CLAUSES.iter().any(|clause| is_word(word, clause))
            && !(is_word(word, "window") && is_called)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.next >= self.words.len()
    }
}

/// Whether the word is this keyword or sign.
pub(super) fn is_word(word: &Word, expected: &str) -> bool {
    matches!(word.kind, WordKind::Plain | WordKind::Sign) && word.written.eq_ignore_ascii_case(expected)
}

/// Whether the word may be a name.
pub(super) fn is_name(word: &Word) -> bool {
    matches!(word.kind, WordKind::Plain | WordKind::InQuotes)
}

/// Whether an expression may end with this word.
pub(super) fn ends_an_operand(word: &Word) -> bool {
    match word.kind {
        WordKind::InQuotes | WordKind::Text | WordKind::Number => true,
        WordKind::Sign => [")", "]", "}"].contains(&word.written.as_str()),
        WordKind::Plain => !OPERATORS.iter().any(|operator| is_word(word, operator)),
    }
}

/// The place of the bracket that closes the one at `open`; `open` itself if there is none.
pub(super) fn closing(words: &[Word], open: usize) -> usize {
    let mut depth = 0_usize;
    for (i, word) in words.iter().enumerate().skip(open) {
        match bracket(word) {
            Some(Bracket::Opens(_)) => depth += 1,
            Some(Bracket::Closes(_)) => depth = depth.saturating_sub(1),
            None => {}
        }
        if depth == 0 {
            return i;
        }
    }
    open
}

/// The words that are in no brackets among these, each with its place.
pub(super) fn outside_brackets(words: &[Word]) -> impl Iterator<Item = (usize, &Word)> {
    let mut next = 0;
    std::iter::from_fn(move || {
        let i = next;
        let word = words.get(i)?;
        next = closing(words, i) + 1;
        Some((i, word))
    })
}

/// The parts between commas, outside of brackets.
pub(super) fn by_commas(words: &[Word]) -> Vec<&[Word]> {
    let (mut parts, mut start, mut i) = (Vec::new(), 0, 0);
    while let Some(word) = words.get(i) {
        if is_word(word, ",") {
            parts.push(&words[start..i]);
            start = i + 1;
        }
        i = closing(words, i) + 1;
    }
    if start < words.len() || !parts.is_empty() {
        parts.push(&words[start..]);
    }
    parts
}

enum Bracket {
    /// With the bracket that closes it.
    Opens(&'static str),
    Closes(&'static str),
}

fn bracket(word: &Word) -> Option<Bracket> {
    if word.kind != WordKind::Sign {
        return None;
    }
    Some(match word.written.as_str() {
        "(" => Bracket::Opens(")"),
        "[" => Bracket::Opens("]"),
        "{" => Bracket::Opens("}"),
        ")" => Bracket::Closes(")"),
        "]" => Bracket::Closes("]"),
        "}" => Bracket::Closes("}"),
        _ => return None,
    })
}

/// Checks that each bracket is closed by its own.
pub(super) fn check_brackets(words: &[Word], end: TextPlace) -> Read<()> {
    let mut open = Vec::new();
    for word in words {
        match bracket(word) {
            Some(Bracket::Opens(close)) => open.push((close, word)),
            Some(Bracket::Closes(found)) => match open.pop() {
                Some((close, _)) if close == found => {}
                Some((close, _)) => {
                    return wrong(word.at, format!("expected {}, found {}", quoted(close), quoted(found)));
                }
                None => return wrong(word.at, format!("{} closes nothing: leave it out", quoted(found))),
            },
            None => {}
        }
    }
    match open.pop() {
        Some((close, word)) => {
            let TextPlace { line, column } = word.at;
            let opens = quoted(&word.written);
            wrong(
                end,
                format!(
                    "expected {}, which closes {opens} of line {line}, column {column}, found the end",
                    quoted(close)
                ),
            )
        }
        None => Ok(()),
    }
}
