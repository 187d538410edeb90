//! Makes the edits of [`Edit`] in a document's text: it moves, cuts and replaces spans, and everything else stays as
//! the author wrote it.
//!
//! This code does not prove that its result is right: the caller reads the result again and compares it. So unusual
//! ways of writing need no special care: at worst, the caller rejects the result.

mod block;
mod comments;
mod flow;
mod lines;
mod tree;

use std::ops::Range;

pub(super) use comments::comments;

use super::edit::Edit;
use super::place::Place;
use crate::decode::events::ScalarStyle;
use lines::LF;
use tree::{Held, NodeValue, Tree};

/// Bytes of the text, and their replacement.
#[derive(Debug, PartialEq, Eq)]
struct Splice {
    bytes: Range<usize>,
    text: String,
}

impl Splice {
    fn new(bytes: Range<usize>, text: impl Into<String>) -> Self {
        Self { bytes, text: text.into() }
    }

    fn insert(at: usize, text: impl Into<String>) -> Self {
        Self::new(at..at, text)
    }

    fn cut(bytes: Range<usize>) -> Self {
        Self::new(bytes, "")
    }
}

/// The text after all edits; `None` if one of them can't be made.
pub(super) fn edited(text: &str, edits: &[Edit]) -> Option<String> {
    let line_break = lines::line_break(text);
    // Moving lines requires that every line ends with a line break.
    let is_open = !text.ends_with(LF);
    let whole = if is_open { format!("{text}{line_break}") } else { text.to_owned() };
    let tree = Tree::read(&whole)?;
    let mut splices = Vec::new();
    for edit in edits {
        splices.extend(tree.splices(edit, line_break)?);
    }
    let mut edited = spliced(&whole, splices)?;
    if is_open && edited.ends_with(line_break) {
        edited.truncate(edited.len() - line_break.len());
    }
    Some(edited)
}

fn spliced(text: &str, mut splices: Vec<Splice>) -> Option<String> {
    splices.sort_by(|a, b| (a.bytes.start, a.bytes.end, &a.text).cmp(&(b.bytes.start, b.bytes.end, &b.text)));
    // Several aliases may lead to the same place, which must be edited once.
    splices.dedup();
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for Splice { bytes, text: new } in splices {
        out.push_str(text.get(at..bytes.start)?);
        out.push_str(&new);
        at = bytes.end;
    }
    out.push_str(text.get(at..)?);
    Some(out)
}

impl Tree<'_> {
    fn splices(&self, edit: &Edit, line_break: &str) -> Option<Vec<Splice>> {
        match edit {
            Edit::Move { entry, to, behind } => self.moved(entry, to, *behind, line_break),
            Edit::Remove { entry } => {
                let (holder, key) = entry.entry()?;
                let held = self.held(&holder, key)?;
                self.cut_out(held, &holder)
            }
            Edit::Respell { text, old, new } => {
                let node = self.node(self.find(text)?);
                let NodeValue::Scalar { style, .. } = node.value else { return None };
                let end = match style {
                    ScalarStyle::Plain => node.bytes.end,
                    ScalarStyle::Quoted => node.bytes.end.checked_sub(1)?,
                    ScalarStyle::Block => self.text.get(..node.bytes.end)?.trim_end().len(),
                };
                let start = self.text.get(..end)?.strip_suffix(old)?.len();
                Some(vec![Splice::new(start..end, *new)])
            }
            Edit::Wrap { value, key } => self.wrapped(value, key),
        }
    }

    fn moved(&self, entry: &Place, to: &Place, behind: Option<&str>, line_break: &str) -> Option<Vec<Splice>> {
        let (holder, key) = entry.entry()?;
        let held = self.held(&holder, key)?;
        let Some(target) = self.mapping(to) else {
            let (beside, name) = to.entry()?;
            return if beside == holder { self.in_a_new_mapping(held, name) } else { None };
        };
        let behind = match behind {
            Some(key) => Some(self.held(to, key)?),
            None => target.last(),
        };
        match (held.mapping.is_flow, target.is_flow, behind) {
            (false, false, Some(behind)) => {
                let moved = block::moved(self.text, held);
                let text = lines::indented(&moved.lines, moved.column, block::column(self.text, behind)?);
                let mut splices = self.emptied(held, &holder)?;
                splices.extend([Splice::insert(block::extent(self.text, behind).end, text), moved.cut]);
                Some(splices)
            }
            (true, false, Some(behind)) => {
                let (bytes, column) = (held.entry().bytes(), block::column(self.text, behind)?);
                let indent = lines::indent_of_line(self.text, bytes.start);
                let text = lines::continued(self.text.get(bytes)?, indent, column);
                let text = format!("{:column$}{text}{line_break}", "");
                let mut splices = flow::cut(self.text, held);
                splices.push(Splice::insert(block::extent(self.text, behind).end, text));
                Some(splices)
            }
            (_, true, behind) => {
                let text = self.in_braces(held)?;
                let column = lines::indent_of_line(self.text, held.entry().key.start);
                let mut splices = self.cut_out(held, &holder)?;
                splices.push(flow::insert(self.text, target, behind, &text, column));
                Some(splices)
            }
            (_, false, None) => None,
        }
    }

    /// Removes an entry from its mapping. Comments beside and above the entry stay.
    fn cut_out(&self, held: Held<'_>, holder: &Place) -> Option<Vec<Splice>> {
        if held.mapping.is_flow {
            return Some(flow::cut(self.text, held));
        }
        let mut splices = self.emptied(held, holder)?;
        splices.push(block::cut(self.text, held));
        Some(splices)
    }

    /// A block mapping that loses its only entry is written as `{}` behind its own key.
    fn emptied(&self, held: Held<'_>, holder: &Place) -> Option<Vec<Splice>> {
        if held.mapping.entries.len() > 1 {
            return Some(Vec::new());
        }
        let (parent, key) = holder.entry()?;
        let key_end = self.held(&parent, key)?.entry().key.end;
        Some(vec![Splice::insert(lines::end_of_content(self.text, key_end), " {}")])
    }

    /// Replaces `groupId: g` with `kafka: {groupId: g}`.
    fn in_a_new_mapping(&self, held: Held<'_>, name: &str) -> Option<Vec<Splice>> {
        let bytes = held.entry().bytes();
        // The bytes of a block of text include the line breaks behind it.
        let end = self.text.get(..bytes.end)?.trim_end().len();
        Some(vec![Splice::new(bytes.start..end, format!("{name}: {{{}}}", self.in_braces(held)?))])
    }

    /// The entry written in braces. `None` for blocks, and for texts whose lines would mean something else there.
    fn in_braces(&self, held: Held<'_>) -> Option<String> {
        let entry = held.entry();
        let verbatim = || self.text.get(entry.bytes()).map(str::to_owned);
        let node = self.node(entry.value);
        match &node.value {
            _ if held.mapping.is_flow => verbatim(),
            NodeValue::Scalar { style: ScalarStyle::Quoted, .. } | NodeValue::Alias(_) => verbatim(),
            NodeValue::Scalar { value, style: ScalarStyle::Plain } if !value.contains([',', '[', ']', '{', '}']) => {
                verbatim()
            }
            // This loses an anchor or a tag; the caller notices when it compares the result.
            NodeValue::Scalar { value, .. } => {
                let quoted = serde_json::to_string(value).ok()?;
                Some(format!("{}: {quoted}", self.text.get(entry.key.clone())?))
            }
            NodeValue::List { is_flow: true, .. } | NodeValue::Mapping { is_flow: true, .. } => verbatim(),
            NodeValue::List { .. } | NodeValue::Mapping { .. } => None,
        }
    }

    /// Replaces an element of a list, `city`, with `{name: city}`, or with `name: city` in a block.
    fn wrapped(&self, value: &Place, key: &str) -> Option<Vec<Splice>> {
        let node = self.node(self.find(value)?);
        let (NodeValue::Scalar { .. } | NodeValue::Alias(_)) = node.value else { return None };
        if self.is_in_flow_list(value)? {
            let (open, close) = (format!("{{{key}: "), "}");
            return Some(vec![Splice::insert(node.bytes.start, open), Splice::insert(node.bytes.end, close)]);
        }
        // The further lines of a long text must be indented deeper than the key.
        let text = lines::continued(self.text.get(node.bytes.clone())?, 0, 2);
        Some(vec![Splice::new(node.bytes.clone(), format!("{key}: {text}"))])
    }

    fn is_in_flow_list(&self, element: &Place) -> Option<bool> {
        match self.node(self.resolved(self.find(&element.list()?)?)).value {
            NodeValue::List { is_flow, .. } => Some(is_flow),
            _ => None,
        }
    }
}
