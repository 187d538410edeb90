//! The windows of a query: `TUMBLE(INTERVAL '5 minutes')` and what else Flink and Spark write for them.

use weir_plan::expr::{TextPlace, Word, WordKind};
use weir_plan::quote::quoted;

use super::cursor::{Cursor, Read, by_commas, closing, is_name, is_word, outside_brackets, wrong};
use crate::document::{Cumulate, Duration, Session, Sliding, Tumbling, Window};
use crate::lower::duration;

/// A call of a window function.
#[derive(Debug, Clone)]
pub(super) struct WindowCall<'q> {
    pub(super) words: &'q [Word],
    pub(super) window: Window,
    /// The column that it names as the time.
    pub(super) time: Option<&'q [Word]>,
    /// The columns of `PARTITION BY` in Flink's function of sessions.
    pub(super) partition: Option<Vec<&'q Word>>,
}

const NAMES: [&str; 6] = ["tumble", "hop", "session", "cumulate", "window", "session_window"];
/// The functions that give a table rows with windows.
const OF_TABLES: [&str; 4] = ["tumble", "hop", "session", "cumulate"];

/// The window that these words are; `None` if they are something else.
pub(super) fn window(words: &[Word]) -> Read<Option<WindowCall<'_>>> {
    let Some(arguments) = arguments_of(words, &NAMES) else { return Ok(None) };
    call(words, &by_commas(arguments), None).map(Some)
}

/// The table and the window in `TABLE(TUMBLE(TABLE rides, DESCRIPTOR(ts), INTERVAL '5' MINUTE))`, or in the same
/// without `TABLE(…)`; `None` if something else comes.
pub(super) fn of_a_table<'q>(cursor: &mut Cursor<'q>) -> Read<Option<(Cursor<'q>, WindowCall<'q>)>> {
    let mut ahead = *cursor;
    let is_wrapped = ahead.take(&["table"]);
    let mut inner = if is_wrapped {
        match ahead.group() {
            Some(inner) => inner,
            None => {
                return ahead.wanted("`(`, as in `TABLE(TUMBLE(TABLE rides, DESCRIPTOR(ts), INTERVAL '5' MINUTE))`");
            }
        }
    } else if OF_TABLES.iter().any(|name| ahead.is(&[name, "("])) {
        ahead
    } else {
        return Ok(None);
    };
    let words = inner.rest();
    let Some(arguments) = arguments_at(words, &OF_TABLES) else {
        return inner.wanted("a window, as in `TUMBLE(TABLE rides, DESCRIPTOR(ts), INTERVAL '5' MINUTE)`");
    };
    let words = &words[..arguments.len() + 3];
    inner.name("a window")?;
    inner.group();
    let arguments = by_commas(arguments);
    let Some((table, rest)) = arguments.split_first() else {
        return wrong(
            words[0].at,
            "the table is missing: write `TUMBLE(TABLE rides, DESCRIPTOR(ts), INTERVAL '5' MINUTE)`",
        );
    };
    let mut table = Cursor::new(table, words[words.len() - 1].at);
    table.take(&["table"]);
    let partition = outside_brackets(table.rest()).find(|(_, word)| is_word(word, "partition")).map(|(i, _)| i);
    let partition = partition.map(|i| {
        let (before, by) = table.rest().split_at(i);
        table = Cursor::new(before, by[0].at);
        by.iter().skip(2).filter(|word| is_name(word)).collect()
    });
    let call = call(words, rest, partition)?;
    if !is_wrapped {
        ahead = inner;
    } else if !inner.is_at_end() {
        return inner.wanted("`)`");
    }
    *cursor = ahead;
    Ok(Some((table, call)))
}

/// The arguments if the words are nothing but a call of one of these functions.
fn arguments_of<'q>(words: &'q [Word], names: &[&str]) -> Option<&'q [Word]> {
    arguments_at(words, names).filter(|arguments| arguments.len() + 3 == words.len())
}

/// The arguments of a call of one of these functions with which the words begin.
fn arguments_at<'q>(words: &'q [Word], names: &[&str]) -> Option<&'q [Word]> {
    let (function, parenthesis) = (words.first()?, words.get(1)?);
    let is_call = names.iter().any(|name| is_word(function, name)) && is_word(parenthesis, "(");
    words.get(2..closing(words, 1)).filter(|_| is_call)
}

fn call<'q>(words: &'q [Word], arguments: &[&'q [Word]], partition: Option<Vec<&'q Word>>) -> Read<WindowCall<'q>> {
    let (name, at) = (words[0].written.to_uppercase(), words[0].at);
    let (time, intervals) = match arguments.split_first() {
        Some((first, rest)) if !is_interval(first) => (Some(described(first)), rest),
        _ => (None, arguments),
    };
    let intervals = intervals.iter().map(|words| interval(words, at)).collect::<Read<Vec<_>>>()?;
    let none = Window { tumbling: None, sliding: None, session: None, cumulate: None, calendar: None, of_input: None };
    let tumbling = |size: &Duration, offset: Option<&Duration>| Window {
        tumbling: Some(Tumbling { size: size.clone(), offset: offset.cloned() }),
        ..none.clone()
    };
    let sliding = |slide: &Duration, size: &Duration, offset: Option<&Duration>| Window {
        sliding: Some(Sliding { size: size.clone(), slide: slide.clone(), offset: offset.cloned() }),
        ..none.clone()
    };
    let window = match (name.as_str(), &intervals[..]) {
        ("TUMBLE" | "WINDOW", [size]) => tumbling(size, None),
        ("TUMBLE", [size, offset]) => tumbling(size, Some(offset)),
        ("HOP", [slide, size]) => sliding(slide, size, None),
        ("HOP", [slide, size, offset]) => sliding(slide, size, Some(offset)),
        ("WINDOW", [size, slide]) => sliding(slide, size, None),
        ("WINDOW", [size, slide, start]) => sliding(slide, size, Some(start)),
        ("CUMULATE", [step, size] | [step, size, _]) => {
            let offset = intervals.get(2).cloned();
            Window { cumulate: Some(Cumulate { size: size.clone(), step: step.clone(), offset }), ..none }
        }
        ("SESSION" | "SESSION_WINDOW", [gap]) => Window { session: Some(Session { gap: gap.clone() }), ..none },
        _ => {
            let (what, right) = match name.as_str() {
                "HOP" => ("the slide and the size", "HOP(INTERVAL '1 minute', INTERVAL '10 minutes')"),
                "CUMULATE" => ("the step and the size", "CUMULATE(INTERVAL '1 hour', INTERVAL '24 hours')"),
                "SESSION" => ("the gap", "SESSION(INTERVAL '30 minutes')"),
                "SESSION_WINDOW" => ("the time and the gap", "session_window(ts, '30 minutes')"),
                "WINDOW" => ("the time, the size and the slide", "window(ts, '10 minutes', '5 minutes')"),
                _ => ("the size", "TUMBLE(INTERVAL '5 minutes')"),
            };
            let message = format!("{name} takes {what}: write {}", quoted(right));
            return wrong(at, message);
        }
    };
    Ok(WindowCall { words, window, time, partition })
}

/// The column in `DESCRIPTOR(ts)`.
fn described(words: &[Word]) -> &[Word] {
    arguments_of(words, &["descriptor"]).unwrap_or(words)
}

fn is_interval(words: &[Word]) -> bool {
    words.first().is_some_and(|first| is_word(first, "interval") || first.kind == WordKind::Text)
}

/// The duration that an interval is: `INTERVAL '5 minutes'`, `INTERVAL '5' MINUTE`, `INTERVAL 5 MINUTES` or `'5
/// minutes'`.
pub(super) fn interval(words: &[Word], at: TextPlace) -> Read<Duration> {
    let at = words.first().map_or(at, |word| word.at);
    let value = match words {
        [first, rest @ ..] if is_word(first, "interval") => rest,
        other => other,
    };
    let text = match value {
        [text] if text.kind == WordKind::Text => Some(text.value.clone()),
        [number, unit] if matches!(number.kind, WordKind::Text | WordKind::Number) && unit.kind == WordKind::Plain => {
            Some(format!("{} {}", number.value, unit.value))
        }
        _ => None,
    };
    if let Some(meant) = text.as_deref().and_then(duration::meant) {
        return Ok(Duration(meant));
    }
    let found = words.iter().map(|word| word.written.as_str()).collect::<Vec<_>>().join(" ");
    let message = format!(
        "found {}: write an interval of days, hours, minutes, seconds or milliseconds, as in `INTERVAL '5 minutes'`",
        quoted(found)
    );
    wrong(at, message)
}
