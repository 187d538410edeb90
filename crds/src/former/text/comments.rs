//! The comments of a text, for checking that another text has all of them.

use crate::decode::events::{Events, Kind, ScalarStyle};

/// The comments, sorted alphabetically. Between scalars there are only indicators, names of anchors, spaces and
/// comments.
pub(in crate::former) fn comments(text: &str) -> Vec<&str> {
    let mut comments = Vec::new();
    let mut at = 0;
    for event in Events::of(text).into_iter().flatten() {
        let end = match event.kind {
            // A comment may follow the `|` of a block of text.
            Kind::Scalar { style: ScalarStyle::Block, .. } => {
                event.bytes.start + super::lines::line_behind(text, event.bytes.start).len()
            }
            Kind::Scalar { .. } | Kind::Alias(_) => event.bytes.start,
            _ => continue,
        };
        between(text, at..end, &mut comments);
        at = event.bytes.end;
    }
    between(text, at..text.len(), &mut comments);
    comments.sort_unstable();
    comments
}

fn between<'t>(text: &'t str, bytes: std::ops::Range<usize>, comments: &mut Vec<&'t str>) {
    let mut at = bytes.start;
    while let Some(i) = text.get(at..bytes.end).and_then(|rest| rest.find('#')) {
        let sign = at + i;
        at = sign + 1;
        if sign == 0 || text.get(..sign).is_some_and(|before| before.ends_with([' ', '\t', '\r', '\n'])) {
            let comment = super::lines::line_behind(text, sign);
            comments.push(comment.trim_end());
            at = sign + comment.len();
        }
    }
}
