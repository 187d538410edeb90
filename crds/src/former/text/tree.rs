//! A text as a tree of values that know their bytes in the text.

use std::collections::HashMap;
use std::ops::Range;

use crate::decode::events::{Event, Events, Kind, ScalarStyle};
use crate::former::place::{Part, Place};

pub(super) type Id = usize;

pub(super) struct Tree<'t> {
    pub(super) text: &'t str,
    nodes: Vec<Node>,
    root: Id,
}

pub(super) struct Node {
    /// The value's bytes, including its anchor and tag, but not what follows it, such as comments.
    pub(super) bytes: Range<usize>,
    pub(super) value: NodeValue,
}

pub(super) enum NodeValue {
    Scalar { value: String, style: ScalarStyle },
    List { is_flow: bool, elements: Vec<Id> },
    Mapping { is_flow: bool, entries: Vec<Entry> },
    Alias(Id),
}

pub(super) struct Entry {
    /// The key; `None` if it is not a scalar.
    name: Option<String>,
    pub(super) key: Range<usize>,
    pub(super) value: Id,
    /// Where the value ends; if there is no value, where the colon ends.
    pub(super) end: usize,
}

impl Entry {
    pub(super) fn bytes(&self) -> Range<usize> {
        self.key.start..self.end
    }
}

#[derive(Clone, Copy)]
pub(super) struct Mapping<'a> {
    pub(super) is_flow: bool,
    pub(super) entries: &'a [Entry],
    pub(super) node: &'a Node,
}

impl<'a> Mapping<'a> {
    pub(super) fn last(self) -> Option<Held<'a>> {
        Some(Held { mapping: self, i: self.entries.len().checked_sub(1)? })
    }
}

/// An entry, with the mapping that contains it.
#[derive(Clone, Copy)]
pub(super) struct Held<'a> {
    pub(super) mapping: Mapping<'a>,
    /// The entry's index.
    i: usize,
}

impl<'a> Held<'a> {
    pub(super) fn entry(self) -> &'a Entry {
        &self.mapping.entries[self.i]
    }

    pub(super) fn before(self) -> Option<&'a Entry> {
        self.mapping.entries.get(self.i.checked_sub(1)?)
    }

    pub(super) fn next(self) -> Option<&'a Entry> {
        self.mapping.entries.get(self.i + 1)
    }
}

impl<'t> Tree<'t> {
    /// Reads a text that contains exactly one document, as the reader of values has checked; `None` if the document is
    /// not a mapping.
    pub(super) fn read(text: &'t str) -> Option<Self> {
        let mut reader = Reader { events: Events::of(text)?, nodes: Vec::new(), anchors: HashMap::new() };
        let mut root = None;
        while let Some(event) = reader.events.next() {
            if matches!(event.kind, Kind::Outline) {
                continue;
            }
            let id = reader.node(event)?;
            // Documents without a value do not count.
            if matches!(reader.nodes[id].value, NodeValue::Mapping { .. }) {
                root = Some(id);
            }
        }
        Some(Self { text, nodes: reader.nodes, root: root? })
    }

    pub(super) fn node(&self, id: Id) -> &Node {
        &self.nodes[id]
    }

    /// The node at a place, which may be an alias.
    pub(super) fn find(&self, place: &Place) -> Option<Id> {
        place.parts().iter().try_fold(self.root, |id, part| match (part, &self.nodes[self.resolved(id)].value) {
            (Part::Key(key), NodeValue::Mapping { entries, .. }) => {
                entries.iter().find(|entry| entry.name.as_deref() == Some(key)).map(|entry| entry.value)
            }
            (Part::Index(i), NodeValue::List { elements, .. }) => elements.get(*i).copied(),
            _ => None,
        })
    }

    /// The mapping at a place.
    pub(super) fn mapping(&self, place: &Place) -> Option<Mapping<'_>> {
        let node = &self.nodes[self.resolved(self.find(place)?)];
        match &node.value {
            NodeValue::Mapping { is_flow, entries } => Some(Mapping { is_flow: *is_flow, entries, node }),
            _ => None,
        }
    }

    /// The entry with this key in the mapping at a place.
    pub(super) fn held(&self, mapping: &Place, key: &str) -> Option<Held<'_>> {
        let mapping = self.mapping(mapping)?;
        let i = mapping.entries.iter().position(|entry| entry.name.as_deref() == Some(key))?;
        Some(Held { mapping, i })
    }

    pub(super) fn resolved(&self, id: Id) -> Id {
        match self.nodes[id].value {
            NodeValue::Alias(target) => target,
            _ => id,
        }
    }
}

struct Reader<'t> {
    events: Events<'t>,
    nodes: Vec<Node>,
    anchors: HashMap<String, Id>,
}

impl Reader<'_> {
    /// The node that begins with `event`. The reader of values has bounded the depth already.
    fn node(&mut self, event: Event) -> Option<Id> {
        let (start, mut end) = (event.bytes.start, event.bytes.end);
        let value = match event.kind {
            Kind::Scalar { value, style } => NodeValue::Scalar { value, style },
            Kind::Alias(name) => NodeValue::Alias(*self.anchors.get(&name)?),
            Kind::ListStart { is_flow } => {
                let mut elements = Vec::new();
                end = loop {
                    let event = self.events.next()?;
                    if matches!(event.kind, Kind::ListEnd) {
                        break self.end(is_flow, &event, elements.last().copied());
                    }
                    elements.push(self.node(event)?);
                };
                NodeValue::List { is_flow, elements }
            }
            Kind::MappingStart { is_flow } => {
                let mut entries: Vec<Entry> = Vec::new();
                end = loop {
                    let event = self.events.next()?;
                    if matches!(event.kind, Kind::MappingEnd) {
                        break self.end(is_flow, &event, entries.last().map(|entry| entry.value));
                    }
                    entries.push(self.entry(event)?);
                };
                NodeValue::Mapping { is_flow, entries }
            }
            Kind::ListEnd | Kind::MappingEnd | Kind::Outline => return None,
        };
        self.nodes.push(Node { bytes: start..end, value });
        let id = self.nodes.len() - 1;
        if let Some(anchor) = event.anchor {
            self.anchors.insert(anchor, id);
        }
        Some(id)
    }

    fn entry(&mut self, key: Event) -> Option<Entry> {
        let key = self.node(key)?;
        let value = self.events.next()?;
        let value = self.node(value)?;
        let (key, value_end) = (&self.nodes[key], self.nodes[value].bytes.end);
        let name = match &key.value {
            NodeValue::Scalar { value, .. } => Some(value.clone()),
            _ => None,
        };
        Some(Entry { name, key: key.bytes.clone(), value, end: value_end.max(key.bytes.end) })
    }

    /// The end of a list or mapping. The parser reports the end of a block only where the next token begins, so the end
    /// of its last value is used.
    fn end(&self, is_flow: bool, event: &Event, last: Option<Id>) -> usize {
        match last {
            Some(last) if !is_flow => self.nodes[last].bytes.end,
            _ => event.bytes.end,
        }
    }
}
