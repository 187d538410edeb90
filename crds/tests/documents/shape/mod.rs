//! Asks serde for the document's shape: a deserializer that answers every request with a stand-in and records what was
//! requested. So no test and no reference can miss a field that is added to the types.

pub mod cases;

use std::cell::RefCell;

use serde::de::value::{Error, StrDeserializer};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

/// A field that has no fields of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The path with `[]` for any element: `spec.sinks[].delta.uri`.
    pub path: String,
    pub optional: bool,
    /// The values of an enum; empty for other fields.
    pub variants: &'static [&'static str],
}

const KUBERNETES: &[&str] = &["Affinity", "NetworkPolicyPeer", "Toleration", "TopologySpreadConstraint"];

/// All leaves of the document, in the order of the types.
pub fn leaves() -> Vec<Leaf> {
    let leaves = RefCell::new(Vec::new());
    let probe = Probe { path: String::new(), optional: false, leaves: &leaves };
    weir_crds::StreamPipeline::deserialize(probe).expect("every request is answered");
    leaves.into_inner()
}

struct Probe<'a> {
    path: String,
    optional: bool,
    leaves: &'a RefCell<Vec<Leaf>>,
}

impl<'a> Probe<'a> {
    fn below(&self, path: String) -> Probe<'a> {
        Probe { path, optional: false, leaves: self.leaves }
    }

    fn leaf(&self, variants: &'static [&'static str]) {
        self.leaves.borrow_mut().push(Leaf { path: self.path.clone(), optional: self.optional, variants });
    }
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.leaf(&[]);
        visitor.visit_str("")
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.leaf(&[]);
        visitor.visit_i64(0)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.leaf(&[]);
        visitor.visit_bool(false)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(Probe { optional: true, ..self })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(One(Some(self.below(format!("{}[]", self.path)))))
    }

    /// The author chooses the keys: labels, or an open block.
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.leaf(&[]);
        visitor.visit_map(Fields { probe: self, left: [].iter(), field: "" })
    }

    /// Kubernetes' own types count as one field, and so do blocks without fields.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if fields.is_empty() || KUBERNETES.contains(&name) {
            return self.deserialize_map(visitor);
        }
        visitor.visit_map(Fields { probe: self, left: fields.iter(), field: "" })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.leaf(variants);
        let first: StrDeserializer<'_, Error> = variants[0].into_deserializer();
        visitor.visit_enum(first)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct tuple
        tuple_struct identifier ignored_any
    }
}

struct One<'a>(Option<Probe<'a>>);

impl<'de> SeqAccess<'de> for One<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.0.take().map(|probe| seed.deserialize(probe)).transpose()
    }
}

struct Fields<'a> {
    probe: Probe<'a>,
    left: std::slice::Iter<'static, &'static str>,
    field: &'static str,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some(field) = self.left.next() else { return Ok(None) };
        self.field = field;
        let field: StrDeserializer<'_, Error> = field.into_deserializer();
        seed.deserialize(field).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let dot = if self.probe.path.is_empty() { "" } else { "." };
        seed.deserialize(self.probe.below(format!("{}{dot}{}", self.probe.path, self.field)))
    }
}
