//! How deep a text nests, found out before it is read. The reader takes a time that grows with the square of the depth
//! (a megabyte of `{a: ` takes minutes), and has read everything before it is asked for the first value. So its own
//! parser is asked here for one event after the other, up to the first that is too deep.
//!
//! The only unsafe code of this crate: the parser's C-like interface.
#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::mem::MaybeUninit;

/// The line, from 1, where more than `max` lists and mappings lie in each other; none if there is no such line up to
/// the end of the text or the first thing in it that is not YAML.
pub(super) fn line_of_more_than(max: usize, text: &str) -> Option<u64> {
    let mut parser = Parser::new(text)?;
    let mut depth = 0_usize;
    loop {
        let (kind, line) = parser.next()?;
        match kind {
            unsafe_libyaml::YAML_SEQUENCE_START_EVENT | unsafe_libyaml::YAML_MAPPING_START_EVENT => depth += 1,
            unsafe_libyaml::YAML_SEQUENCE_END_EVENT | unsafe_libyaml::YAML_MAPPING_END_EVENT => {
                depth = depth.saturating_sub(1)
            }
            unsafe_libyaml::YAML_STREAM_END_EVENT => return None,
            _ => {}
        }
        if depth > max {
            return Some(line);
        }
    }
}

/// Reads from a text that it does not own. In a box, since it holds a pointer to itself.
struct Parser<'a> {
    raw: Box<MaybeUninit<unsafe_libyaml::yaml_parser_t>>,
    text: PhantomData<&'a str>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Option<Self> {
        let mut raw = Box::new(MaybeUninit::uninit());
        // SAFETY: the parser is initialized before anything else is asked of it, and stays where it is. The text
        // outlives it.
        unsafe {
            if unsafe_libyaml::yaml_parser_initialize(raw.as_mut_ptr()).fail {
                return None;
            }
            unsafe_libyaml::yaml_parser_set_encoding(raw.as_mut_ptr(), unsafe_libyaml::YAML_UTF8_ENCODING);
            unsafe_libyaml::yaml_parser_set_input_string(raw.as_mut_ptr(), text.as_ptr(), text.len() as u64);
        }
        Some(Self { raw, text: PhantomData })
    }

    /// The next event and its line; none if the text is no YAML there, after which nothing may be asked.
    fn next(&mut self) -> Option<(unsafe_libyaml::yaml_event_type_t, u64)> {
        let mut event = MaybeUninit::<unsafe_libyaml::yaml_event_t>::uninit();
        // SAFETY: the parser was initialized by `new`. It fills the event in, which is read and given back here.
        unsafe {
            if unsafe_libyaml::yaml_parser_parse(self.raw.as_mut_ptr(), event.as_mut_ptr()).fail {
                return None;
            }
            let found = (event.assume_init_ref().type_, event.assume_init_ref().start_mark.line + 1);
            unsafe_libyaml::yaml_event_delete(event.as_mut_ptr());
            Some(found)
        }
    }
}

impl Drop for Parser<'_> {
    fn drop(&mut self) {
        // SAFETY: initialized by `new`, and nobody else has it.
        unsafe { unsafe_libyaml::yaml_parser_delete(self.raw.as_mut_ptr()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, line: Option<u64>) {
        assert_eq!(line_of_more_than(3, text), line, "{text}");
    }

    #[test]
    fn lists_and_mappings_of_either_style_count() {
        check("a: {b: [c]}", None);
        check("a: {b: [{c: d}]}", Some(1));
        check("a:\n  b:\n  - c: d\n", Some(3));
        check("- - - - x", Some(1));
        check("[[[]]]\n---\n[[[]]]", None);
    }

    #[test]
    fn brackets_in_texts_and_comments_do_not() {
        check("a: '{{{{{{'\nb: \"[[[[\"\nc: it's [[[[ # {{{{\n", None);
    }

    #[test]
    fn what_is_no_yaml_has_the_depth_that_comes_before() {
        check("[a, b: ]: }", None);
        check("{a: {a: {a: {a: ", Some(1));
    }
}
