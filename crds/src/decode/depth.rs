//! How deep a text nests, determined before the text is read. The reader needs time that grows with the square of the
//! depth (a megabyte of `{a: ` takes minutes), and it has read everything before it returns the first value. So this
//! module asks the reader's own parser for one event after the other, up to the first one that is too deep.

use super::events::{Events, Kind};

/// The line, counted from 1, where more than `max` lists and mappings are nested; `None` if there is no such line up to
/// the end of the text or the first error in the YAML.
pub(super) fn line_of_more_than(max: usize, text: &str) -> Option<u64> {
    let mut depth = 0_usize;
    let too_deep = Events::of(text)?.find(|event| {
        match event.kind {
            Kind::ListStart { .. } | Kind::MappingStart { .. } => depth += 1,
            Kind::ListEnd | Kind::MappingEnd => depth = depth.saturating_sub(1),
            Kind::Scalar { .. } | Kind::Alias(_) | Kind::Outline => {}
        }
        depth > max
    });
    too_deep.map(|event| event.line)
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
