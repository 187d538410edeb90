//! A serde deserializer over a tree of values. It knows where it is in the document, says what to write instead, and
//! replaces broken places with stand-ins.

use std::fmt;
use weir_plan::quote::quoted;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_yaml::{Mapping, Value};

use super::short;
use crate::finding::{Broken, Finding, Path, nearest, one_of};
use crate::refused::built;
use crate::secrets::HIDDEN;

/// The most elements of a list. No list of the document needs more, and the bound keeps the API server's checks within
/// their budget.
const LIST_ELEMENTS_MAX: usize = 256;

/// A value and its place. Without a value it is a stand-in for something broken.
#[derive(Clone)]
pub(super) struct Place<'a> {
    value: Option<&'a Value>,
    path: Path,
    /// The mapping or list that contains this place.
    block: Path,
    broken: &'a [Broken],
}

impl<'a> Place<'a> {
    pub(super) fn root(value: &'a Value, broken: &'a [Broken]) -> Self {
        Self { value: Some(value), path: Path::root(), block: Path::root(), broken }
    }

    fn below(&self, path: Path, value: Option<&'a Value>) -> Self {
        let value = value.filter(|_| !self.is_broken(&path));
        Self { value, path, block: self.path.clone(), broken: self.broken }
    }

    fn is_broken(&self, path: &Path) -> bool {
        self.broken.iter().any(|b| b.path == *path)
    }

    fn wrong(&self, right: &str) -> Error {
        let found = self.value.map_or_else(String::new, describe);
        Error::Here(format!("found {found}: write {right}"))
    }

    fn locate<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|error| match error {
            Error::Here(message) => Error::Located(
                Finding::new(&self.path, message),
                Broken { path: self.path.clone(), block: Some(self.block.clone()), meant: None },
            ),
            Error::Missing(field) => {
                let path = self.path.field(field);
                Error::Located(
                    Finding::new(&path, "is required"),
                    Broken { path, block: Some(self.path.clone()), meant: None },
                )
            }
            located @ Error::Located(..) => located,
        })
    }
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(b) => format!("the truth value {b}"),
        Value::Number(n) => format!("the number {n}"),
        Value::String(s) if s.chars().count() > 60 => format!("a text of {} characters", s.chars().count()),
        Value::String(s) => format!("the text {}", quoted(s)),
        Value::Sequence(_) => "a list".to_owned(),
        Value::Mapping(_) => "a mapping".to_owned(),
        // Only what stands in place of a secret has a tag: the reader of texts refuses tags.
        Value::Tagged(_) => "a value that is not shown, since it may be a secret".to_owned(),
    }
}

#[derive(Debug)]
pub(super) enum Error {
    /// An error about the place that is being decoded.
    Here(String),
    /// A required field of that place is missing.
    Missing(&'static str),
    Located(Finding, Broken),
}

impl Error {
    pub(super) fn into_finding(self) -> (Finding, Broken) {
        let root = Broken { path: Path::root(), block: Some(Path::root()), meant: None };
        match self {
            Self::Here(message) => (Finding::new(&Path::root(), message), root),
            Self::Missing(field) => (Finding::new(&Path::root().field(field), "is required"), root),
            Self::Located(finding, broken) => (finding, broken),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(message) => f.write_str(message),
            Self::Missing(field) => write!(f, "{field} is required"),
            Self::Located(finding, _) => finding.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Here(message.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }

    fn invalid_type(unexpected: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = match unexpected {
            de::Unexpected::Bool(b) => describe(&b.into()),
            de::Unexpected::Float(n) => describe(&n.into()),
            de::Unexpected::Seq => describe(&Value::Sequence(Vec::new())),
            de::Unexpected::Map => describe(&Value::Mapping(Mapping::new())),
            de::Unexpected::Unit => describe(&Value::Null),
            other => other.to_string(),
        };
        Self::Here(format!("found {found}: write {expected}"))
    }
}

/// [`Place`] as a deserializer. It is a type of its own so that each of its methods adds the place to its errors.
pub(super) struct At<'a>(pub(super) Place<'a>);

impl<'de> Deserializer<'de> for At<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let result = match self.0.value {
            None => visitor.visit_str(""),
            Some(Value::Null) => visitor.visit_unit(),
            Some(Value::Bool(b)) => visitor.visit_bool(*b),
            Some(Value::Number(n)) => match (n.as_u64(), n.as_i64(), n.as_f64()) {
                (Some(n), ..) => visitor.visit_u64(n),
                (_, Some(n), _) => visitor.visit_i64(n),
                (_, _, n) => visitor.visit_f64(n.unwrap_or(f64::NAN)),
            },
            Some(Value::String(s)) => visitor.visit_str(s),
            Some(Value::Sequence(list)) => visitor.visit_seq(Elements { place: &self.0, list, next: 0 }),
            Some(Value::Mapping(mapping)) => visitor.visit_map(Entries::all(&self.0, mapping)),
            Some(Value::Tagged(_)) => Err(self.0.wrong("a value without a tag")),
        };
        self.0.locate(result)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let result = match self.0.value {
            None => visitor.visit_str(""),
            Some(Value::String(s)) => visitor.visit_str(s),
            // The value can't be used as text, because its spelling is lost: 1.10 is the number 1.1.
            Some(Value::Number(number)) => Err(self.0.wrong(&short::text_for_number(&self.0.path, number))),
            Some(Value::Bool(_) | Value::Tagged(_)) => Err(self.0.wrong("text in quotes")),
            Some(Value::Sequence(list)) => Err(self.0.wrong(&short::text(self.0.path.last(), list))),
            // A field without a value counts as left out, so this is one of names that the author chooses.
            Some(Value::Null) if !self.0.path.is_element() => Err(self.0.wrong(
                "text, or the value before it in quotes, since a comma ends a value inside {…} and begins another field",
            )),
            Some(_) => Err(self.0.wrong("text")),
        };
        self.0.locate(result)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let result = match self.0.value {
            None => visitor.visit_i64(0),
            Some(Value::Number(n)) => match n.as_i64() {
                Some(n) => visitor.visit_i64(n),
                None => Err(self.0.wrong("a whole number")),
            },
            Some(_) => Err(self.0.wrong("a whole number")),
        };
        self.0.locate(result)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let result = match self.0.value {
            None => visitor.visit_bool(false),
            Some(Value::Bool(b)) => visitor.visit_bool(*b),
            Some(_) => Err(self.0.wrong("true or false")),
        };
        self.0.locate(result)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.value {
            None | Some(Value::Null) => visitor.visit_none(),
            Some(_) => visitor.visit_some(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let result = match self.0.value {
            None => visitor.visit_seq(Elements { place: &self.0, list: &[], next: 0 }),
            Some(Value::Sequence(list)) if list.len() > LIST_ELEMENTS_MAX => {
                Err(Error::Here(format!("found {} elements; at most {LIST_ELEMENTS_MAX} are allowed", list.len())))
            }
            Some(Value::Sequence(list)) => visitor.visit_seq(Elements { place: &self.0, list, next: 0 }),
            Some(Value::Mapping(mapping)) => Err(match short::element(&self.0.path.pattern(), mapping) {
                Some(element) => {
                    self.0.wrong(&format!("a list, with a hyphen before each element, as in {}", quoted(element)))
                }
                None => self.0.wrong("a list, with a hyphen before each element"),
            }),
            Some(value) => Err(match short::list(self.0.path.last(), value) {
                Some(list) => self.0.wrong(&format!("a list, {}", quoted(list))),
                None => self.0.wrong("a list"),
            }),
        };
        self.0.locate(result)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let result = match self.0.value {
            None => visitor.visit_map(Entries::none(&self.0)),
            Some(Value::Mapping(mapping)) => visitor.visit_map(Entries::all(&self.0, mapping)),
            Some(_) => Err(self.0.wrong("a mapping")),
        };
        self.0.locate(result)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        type_name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let result = match self.0.value {
            None => visitor.visit_map(Entries::stand_in(&self.0, fields)),
            Some(Value::Mapping(mapping)) => {
                Entries::known(&self.0, mapping, fields).and_then(|entries| visitor.visit_map(entries))
            }
            Some(value) => Err(match value.as_str().and_then(|text| short::block(type_name, text)) {
                Some(block) => self.0.wrong(&quoted(block)),
                None => {
                    let fields = built(&self.0.path.pattern(), fields);
                    self.0.wrong(&format!("a mapping with the fields {}", fields.join(", ")))
                }
            }),
        };
        self.0.locate(result)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let name = match self.0.value {
            None => names.first().copied().ok_or_else(|| self.0.wrong("a name")),
            Some(Value::String(s)) => {
                names.iter().find(|n| *n == s).copied().ok_or_else(|| match nearest(s, names.iter().copied()) {
                    Some(near) => Error::Here(format!(
                        "found {}; did you mean {}? Write {}",
                        quoted(s),
                        quoted(near),
                        one_of(names)
                    )),
                    None => self.0.wrong(&one_of(names)),
                })
            }
            Some(_) => Err(self.0.wrong(&one_of(names))),
        };
        let result = name.and_then(|name| {
            let name: StrDeserializer<'_, Error> = name.into_deserializer();
            visitor.visit_enum(name)
        });
        self.0.locate(result)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct newtype_struct tuple
        tuple_struct identifier ignored_any
    }
}

struct Elements<'p, 'de> {
    place: &'p Place<'de>,
    list: &'de [Value],
    next: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(value) = self.list.get(self.next) else { return Ok(None) };
        let path = self.place.path.index(self.next);
        self.next += 1;
        seed.deserialize(At(self.place.below(path, Some(value)))).map(Some)
    }
}

struct Entries<'p, 'de> {
    place: &'p Place<'de>,
    left: std::vec::IntoIter<(&'de str, Option<&'de Value>)>,
    value: Option<Place<'de>>,
}

impl<'p, 'de> Entries<'p, 'de> {
    fn none(place: &'p Place<'de>) -> Self {
        Self { place, left: Vec::new().into_iter(), value: None }
    }

    fn stand_in(place: &'p Place<'de>, fields: &'static [&'static str]) -> Self {
        let left: Vec<_> = fields.iter().map(|f| (*f, None)).collect();
        Self { place, left: left.into_iter(), value: None }
    }

    fn all(place: &'p Place<'de>, mapping: &'de Mapping) -> Self {
        let left: Vec<_> = mapping.iter().filter_map(|(k, v)| Some((k.as_str()?, Some(v)))).collect();
        Self { place, left: left.into_iter(), value: None }
    }

    /// The entries of a mapping that are fields; any other key is an error. A field without a value counts as left out,
    /// as for the API server.
    fn known(place: &'p Place<'de>, mapping: &'de Mapping, fields: &'static [&'static str]) -> Result<Self, Error> {
        let mut left = Vec::new();
        for (key, value) in mapping.iter().filter_map(|(k, v)| Some((k.as_str()?, v))) {
            let path = place.path.field(key);
            if fields.contains(&key) {
                if !matches!(value, Value::Null) || place.is_broken(&path) {
                    left.push((key, Some(value)));
                }
            } else if !place.is_broken(&path) {
                return Err(unknown_field(place, key, path, mapping, fields));
            }
        }
        let missing = fields
            .iter()
            .filter(|f| !left.iter().any(|(key, _)| key == *f))
            .filter(|f| place.is_broken(&place.path.field(f)));
        let missing: Vec<_> = missing.map(|f| (*f, None)).collect();
        left.extend(missing);
        Ok(Self { place, left: left.into_iter(), value: None })
    }
}

fn unknown_field(place: &Place<'_>, key: &str, path: Path, mapping: &Mapping, fields: &[&str]) -> Error {
    let unused = fields.iter().copied().filter(|f| !mapping.contains_key(*f));
    let near = nearest(key, unused);
    // The member of a union that a field such as `type: delta` names.
    let member = mapping.get(key).and_then(Value::as_str).filter(|_| key == "type" || key == "kind");
    let member = member.and_then(|member| fields.iter().find(|field| field.eq_ignore_ascii_case(member)));
    // The field before it, if that has no value: what belongs to it may not be indented far enough.
    let before = mapping.iter().take_while(|(name, _)| name.as_str() != Some(key)).last();
    let empty = before.filter(|(_, value)| value.is_null()).and_then(|(name, _)| name.as_str());
    let empty = empty.filter(|name| fields.contains(name));
    let message = match (near, member, empty, key.split_once(':')) {
        (.., Some((name, value))) if fields.contains(&name) && value.contains(HIDDEN) => {
            format!("there is no field {}: a space is missing behind the colon", quoted(key))
        }
        (.., Some((name, value))) if fields.contains(&name) => format!(
            "there is no field {}: a space is missing behind the colon: write {}",
            quoted(key),
            quoted(format_args!("{name}: {value}"))
        ),
        (Some(near), ..) => format!("there is no field {}; did you mean {}?", quoted(key), quoted(near)),
        (_, Some(member), ..) => {
            format!("there is no field {}: write {} in its place", quoted(key), quoted(format_args!("{member}: {{…}}")))
        }
        (_, _, Some(empty), _) => format!(
            "there is no field {0}: if it belongs to {1}, which has no value, indent it further than {1}",
            quoted(key),
            quoted(empty)
        ),
        _ => format!("there is no field {}: write {}", quoted(key), one_of(&built(&place.path.pattern(), fields))),
    };
    let meant = near.map(|n| place.path.field(n));
    Error::Located(Finding::new(&path, message), Broken { path, block: Some(place.path.clone()), meant })
}

impl<'de> MapAccess<'de> for Entries<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((key, value)) = self.left.next() else { return Ok(None) };
        self.value = Some(self.place.below(self.place.path.field(key), value));
        let key: StrDeserializer<'_, Error> = key.into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        match self.value.take() {
            Some(place) => seed.deserialize(At(place)),
            None => Err(Error::Here("a value was asked for before its key".to_owned())),
        }
    }
}
