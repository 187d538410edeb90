//! A YAML text as its parser sees it: one event after the other, each with its place in the text. serde gives values
//! without places, and it reads the whole text before it gives the first value.
//!
//! This is the only unsafe code in the crate: the parser has a C-like interface.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::Range;

use unsafe_libyaml as unsafe_yaml;

#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) kind: Kind,
    /// The name of the value's anchor, by which aliases refer to it.
    pub(crate) anchor: Option<String>,
    /// Counted from 1.
    pub(crate) line: u64,
    /// The range of bytes in the text. A value's range begins at its anchor or tag.
    pub(crate) bytes: Range<usize>,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Scalar {
        value: String,
        style: ScalarStyle,
    },
    /// An alias for the value with this anchor.
    Alias(String),
    ListStart {
        is_flow: bool,
    },
    ListEnd,
    MappingStart {
        is_flow: bool,
    },
    MappingEnd,
    /// The beginning or end of the text or of one of its documents.
    Outline,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScalarStyle {
    Plain,
    /// In single or double quotes.
    Quoted,
    /// A block that begins with `|` or `>`.
    Block,
}

/// The events of a text, up to its end or the first error in the YAML. The parser reads from a text that it does not
/// own. It lives in a box because it holds a pointer to itself.
pub(crate) struct Events<'a> {
    raw: Box<MaybeUninit<unsafe_yaml::yaml_parser_t>>,
    text: PhantomData<&'a str>,
    /// Set after the end or an error: the parser must not be called any more.
    is_over: bool,
}

impl<'a> Events<'a> {
    /// `None` if there is no memory for a parser.
    pub(crate) fn of(text: &'a str) -> Option<Self> {
        let mut raw = Box::new(MaybeUninit::uninit());
        // SAFETY: the parser is initialized before any other call, and the box keeps it in place. The text outlives it.
        unsafe {
            if unsafe_yaml::yaml_parser_initialize(raw.as_mut_ptr()).fail {
                return None;
            }
            unsafe_yaml::yaml_parser_set_encoding(raw.as_mut_ptr(), unsafe_yaml::YAML_UTF8_ENCODING);
            unsafe_yaml::yaml_parser_set_input_string(raw.as_mut_ptr(), text.as_ptr(), text.len() as u64);
        }
        Some(Self { raw, text: PhantomData, is_over: false })
    }
}

impl Iterator for Events<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        if self.is_over {
            return None;
        }
        let mut raw = MaybeUninit::<unsafe_yaml::yaml_event_t>::uninit();
        // SAFETY: `of` has initialized the parser. The parser fills in the event, which is copied and released here.
        unsafe {
            if unsafe_yaml::yaml_parser_parse(self.raw.as_mut_ptr(), raw.as_mut_ptr()).fail {
                self.is_over = true;
                return None;
            }
            self.is_over = raw.assume_init_ref().type_ == unsafe_yaml::YAML_STREAM_END_EVENT;
            let event = copied(raw.assume_init_ref());
            unsafe_yaml::yaml_event_delete(raw.as_mut_ptr());
            Some(event)
        }
    }
}

impl Drop for Events<'_> {
    fn drop(&mut self) {
        // SAFETY: `of` has initialized the parser, and nothing else refers to it.
        unsafe { unsafe_yaml::yaml_parser_delete(self.raw.as_mut_ptr()) }
    }
}

/// # Safety
/// The parser has filled in the event: its type says which of its data are valid, and each text in it is null or ends
/// with a zero byte.
unsafe fn copied(raw: &unsafe_yaml::yaml_event_t) -> Event {
    let name = |text: *const u8| {
        // SAFETY: the caller promises that a text ends with a zero byte.
        (!text.is_null()).then(|| unsafe { CStr::from_ptr(text.cast::<c_char>()) }.to_string_lossy().into_owned())
    };
    // SAFETY: the caller promises that the type says which data are valid; a scalar has as many bytes as it says.
    let (kind, anchor) = unsafe {
        match raw.type_ {
            unsafe_yaml::YAML_SCALAR_EVENT => {
                let scalar = raw.data.scalar;
                let value = std::slice::from_raw_parts(scalar.value.cast_const(), scalar.length as usize);
                let style = match scalar.style {
                    unsafe_yaml::YAML_PLAIN_SCALAR_STYLE => ScalarStyle::Plain,
                    unsafe_yaml::YAML_LITERAL_SCALAR_STYLE | unsafe_yaml::YAML_FOLDED_SCALAR_STYLE => {
                        ScalarStyle::Block
                    }
                    _ => ScalarStyle::Quoted,
                };
                (Kind::Scalar { value: String::from_utf8_lossy(value).into_owned(), style }, name(scalar.anchor))
            }
            unsafe_yaml::YAML_ALIAS_EVENT => (Kind::Alias(name(raw.data.alias.anchor).unwrap_or_default()), None),
            unsafe_yaml::YAML_SEQUENCE_START_EVENT => {
                let list = raw.data.sequence_start;
                (Kind::ListStart { is_flow: list.style == unsafe_yaml::YAML_FLOW_SEQUENCE_STYLE }, name(list.anchor))
            }
            unsafe_yaml::YAML_MAPPING_START_EVENT => {
                let mapping = raw.data.mapping_start;
                (
                    Kind::MappingStart { is_flow: mapping.style == unsafe_yaml::YAML_FLOW_MAPPING_STYLE },
                    name(mapping.anchor),
                )
            }
            unsafe_yaml::YAML_SEQUENCE_END_EVENT => (Kind::ListEnd, None),
            unsafe_yaml::YAML_MAPPING_END_EVENT => (Kind::MappingEnd, None),
            _ => (Kind::Outline, None),
        }
    };
    let bytes = raw.start_mark.index as usize..raw.end_mark.index as usize;
    Event { kind, anchor, line: raw.start_mark.line + 1, bytes }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_event_says_what_it_is_and_where_it_stands() {
        let text = "é: [&a 'x', *a]\n# c\nb: |\n  y\n";
        let said: Vec<_> = Events::of(text)
            .unwrap()
            .filter(|event| !matches!(event.kind, Kind::Outline))
            .map(|event| {
                let anchor = event.anchor.unwrap_or_default();
                format!("{} {:?} {:?} {anchor}", event.line, event.kind, &text[event.bytes])
            })
            .collect();
        assert_eq!(
            said,
            [
                r#"1 MappingStart { is_flow: false } "" "#,
                r#"1 Scalar { value: "é", style: Plain } "é" "#,
                r#"1 ListStart { is_flow: true } "[" "#,
                r#"1 Scalar { value: "x", style: Quoted } "&a 'x'" a"#,
                r#"1 Alias("a") "*a" "#,
                r#"1 ListEnd "]" "#,
                r#"3 Scalar { value: "b", style: Plain } "b" "#,
                r#"3 Scalar { value: "y\n", style: Block } "|\n  y\n" "#,
                r#"5 MappingEnd "" "#,
            ]
        );
    }

    #[test]
    fn nothing_comes_after_the_first_thing_that_is_not_yaml() {
        let mut events = Events::of("[a, b: ]: }").unwrap();
        assert!(events.by_ref().count() > 1);
        assert!(events.next().is_none());
    }
}
