//! `OVER (PARTITION BY … ORDER BY … RANGE BETWEEN … AND CURRENT ROW)`, and rankings by it.

use weir_plan::expr::{TextPlace, Word, WordKind};
use weir_plan::quote::quoted;

use super::cursor::{Cursor, Read, by_commas, closing, ends_an_operand, is_word, wrong};
use super::windows::interval;
use crate::document::{Direction, Duration, Nulls, Ties};

/// What stands in the parentheses behind `OVER`.
#[derive(Debug, Clone)]
pub(super) struct Over<'q> {
    pub(super) at: TextPlace,
    /// All of it, to compare it with another.
    pub(super) words: &'q [Word],
    pub(super) partition: Vec<&'q [Word]>,
    pub(super) order: Vec<By<'q>>,
    frame: Option<Cursor<'q>>,
}

/// One of the expressions behind `ORDER BY`.
#[derive(Debug, Clone)]
pub(super) struct By<'q> {
    pub(super) words: &'q [Word],
    pub(super) direction: Option<Direction>,
    pub(super) nulls: Option<Nulls>,
}

/// The column of a SELECT that ranks its rows.
#[derive(Debug, Clone)]
pub(super) struct Ranking<'q> {
    pub(super) over: Over<'q>,
    pub(super) ties: Option<Ties>,
}

const RANGE: &str = "RANGE BETWEEN INTERVAL '10 minutes' PRECEDING AND CURRENT ROW";

/// The expression without its `OVER (…)`, and these.
pub(super) fn split(words: &[Word]) -> Read<(Vec<Word>, Vec<Over<'_>>)> {
    let (mut rest, mut overs, mut i) = (Vec::new(), Vec::new(), 0);
    while let Some(word) = words.get(i) {
        let is_over = is_word(word, "over") && i > 0 && ends_an_operand(&words[i - 1]);
        if is_over && words.get(i + 1).is_some_and(|next| is_word(next, "(")) {
            let close = closing(words, i + 1);
            overs.push(over(words.get(i + 2..close).unwrap_or_default(), word.at, words[close].at)?);
            i = close + 1;
        } else if is_over && words.get(i + 1).is_some_and(|next| next.kind == WordKind::Plain) {
            return wrong(
                word.at,
                format!("named windows are not read: write OVER (PARTITION BY … ORDER BY … {RANGE})"),
            );
        } else {
            rest.push(word.clone());
            i += 1;
        }
    }
    Ok((rest, overs))
}

/// The ranking that a column is; `None` if it is something else.
pub(super) fn ranking(words: &[Word]) -> Read<Option<Ranking<'_>>> {
    let [name, open, close, over, ..] = words else { return Ok(None) };
    if !is_word(open, "(") || !is_word(close, ")") || !is_word(over, "over") {
        return Ok(None);
    }
    let ties = match name.written.to_lowercase().as_str() {
        "row_number" => None,
        "rank" => Some(Ties::Keep),
        "dense_rank" | "percent_rank" | "cume_dist" | "ntile" => {
            let message = format!("{} is not supported: write ROW_NUMBER() or RANK()", quoted(&name.written));
            return wrong(name.at, message);
        }
        _ => return Ok(None),
    };
    let (rest, mut overs) = split(words)?;
    if rest.len() > 3 || overs.len() != 1 {
        return wrong(name.at, "a rank stands alone, as in ROW_NUMBER() OVER (PARTITION BY … ORDER BY …) AS rn");
    }
    Ok(overs.pop().map(|over| Ranking { over, ties }))
}

fn over(words: &[Word], at: TextPlace, end: TextPlace) -> Read<Over<'_>> {
    let mut cursor = Cursor::new(words, end);
    let partition = if cursor.take(&["partition", "by"]) { listed(&mut cursor) } else { Vec::new() };
    let order = if cursor.take(&["order", "by"]) { listed(&mut cursor) } else { Vec::new() };
    let order = order.into_iter().map(|words| by(words, end)).collect::<Read<_>>()?;
    let frame = (!cursor.is_at_end()).then_some(cursor);
    if let Some(cursor) = frame.filter(|frame| !begins_a_frame(frame)) {
        return cursor.wanted("PARTITION BY, ORDER BY or RANGE");
    }
    Ok(Over { at, words, partition, order, frame })
}

fn begins_a_frame(cursor: &Cursor<'_>) -> bool {
    ["range", "rows", "groups"].iter().any(|frame| cursor.is(&[frame]))
}

/// The expressions of a list, up to the next clause of an `OVER`.
fn listed<'q>(cursor: &mut Cursor<'q>) -> Vec<&'q [Word]> {
    let words = cursor.rest();
    let mut end = 0;
    while let Some(word) = words.get(end) {
        let is_clause = ["order", "range", "rows", "groups"].iter().any(|clause| is_word(word, clause));
        if is_clause && end > 0 && ends_an_operand(&words[end - 1]) {
            break;
        }
        end = closing(words, end) + 1;
    }
    cursor.skip(end);
    by_commas(&words[..end])
}

fn by(words: &[Word], end: TextPlace) -> Read<By<'_>> {
    let ends_with = |words: &[Word], expected: &[&str]| {
        words.len() > expected.len()
            && words[words.len() - expected.len()..]
                .iter()
                .zip(expected)
                .all(|(word, expected)| is_word(word, expected))
    };
    let mut words = words;
    let mut nulls = None;
    for (last, meant) in [("first", Nulls::First), ("last", Nulls::Last)] {
        if ends_with(words, &["nulls", last]) {
            (words, nulls) = (&words[..words.len() - 2], Some(meant));
        }
    }
    let mut direction = None;
    for (last, meant) in [("asc", Direction::Asc), ("desc", Direction::Desc)] {
        if ends_with(words, &[last]) {
            (words, direction) = (&words[..words.len() - 1], Some(meant));
        }
    }
    if words.is_empty() { Cursor::new(words, end).wanted("an expression") } else { Ok(By { words, direction, nulls }) }
}

impl Over<'_> {
    /// How far back the frame reaches.
    pub(super) fn preceding(&self) -> Read<Duration> {
        let Some(mut frame) = self.frame else {
            let message = format!("the frame is missing, without which every row would be kept: write {RANGE}");
            return wrong(self.at, message);
        };
        if frame.is(&["rows"]) {
            let message = "nothing in SQL says how long rows are kept for a frame of ROWS: write a step `over` with rows \
                           and expireAfter, or RANGE with an interval";
            return wrong(frame.at(), message);
        }
        let at = frame.at();
        let is_between = frame.take(&["range", "between"]);
        if !is_between && !frame.take(&["range"]) {
            return frame.wanted(&quoted(RANGE));
        }
        let words = frame.rest();
        let Some(end) = words.iter().position(|word| is_word(word, "preceding")) else {
            return wrong(at, format!("a frame ends at the row and begins before it: write {RANGE}"));
        };
        if words[..end].iter().any(|word| is_word(word, "unbounded")) {
            return wrong(at, format!("a frame without a bound would keep every row: write {RANGE}"));
        }
        let preceding = interval(&words[..end], at)?;
        frame.skip(end + 1);
        if is_between && !frame.take(&["and", "current", "row"]) || !frame.is_at_end() {
            return wrong(frame.at(), format!("a frame ends at the row: write {RANGE}"));
        }
        Ok(preceding)
    }

    /// Refuses a frame, which a ranking does not have.
    pub(super) fn without_frame(&self) -> Read<()> {
        match &self.frame {
            Some(frame) => wrong(frame.at(), "a ranking has no frame: leave it out"),
            None => Ok(()),
        }
    }

    /// Whether both say the same.
    pub(super) fn is_like(&self, other: &Over<'_>) -> bool {
        let written = |over: &Over<'_>| over.words.iter().map(|word| word.written.to_lowercase()).collect::<Vec<_>>();
        written(self) == written(other)
    }
}

/// A condition cut at `AND`, outside of brackets. It is one part if it has an `OR`, which binds less.
pub(super) fn by_and(words: &[Word]) -> Vec<&[Word]> {
    let (mut parts, mut start, mut i) = (Vec::new(), 0, 0);
    let (mut between, mut cases) = (0_usize, 0_usize);
    while let Some(word) = words.get(i) {
        match () {
            () if is_word(word, "case") => cases += 1,
            () if is_word(word, "end") => cases = cases.saturating_sub(1),
            () if is_word(word, "between") => between += 1,
            () if is_word(word, "and") && between > 0 => between -= 1,
            () if is_word(word, "or") && cases == 0 => return vec![words],
            () if is_word(word, "and") && cases == 0 => {
                parts.push(&words[start..i]);
                start = i + 1;
            }
            () => {}
        }
        i = closing(words, i) + 1;
    }
    parts.push(&words[start..]);
    parts
}

/// The greatest rank for which a condition such as `rn <= 3` holds; `None` if it is something else.
pub(super) fn limit(condition: &[Word], rank: &str) -> Option<i64> {
    let [left, sign, right] = condition else { return None };
    let is_rank = |word: &Word| matches!(word.kind, WordKind::Plain | WordKind::InQuotes) && word.value == rank;
    let (number, sign) = match sign.written.as_str() {
        sign @ ("<" | "<=" | "=") if is_rank(left) => (right, sign),
        ">" if is_rank(right) => (left, "<"),
        ">=" if is_rank(right) => (left, "<="),
        "=" if is_rank(right) => (left, "="),
        _ => return None,
    };
    let number: i64 = number.value.parse().ok()?;
    match sign {
        "<" => number.checked_sub(1),
        "=" if number != 1 => None,
        _ => Some(number),
    }
}
