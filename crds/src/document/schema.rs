//! Bounds and patterns of the document's texts, which Rust types can't express in a schema. Fields name them in
//! `#[schemars(with = …)]`.
//!
//! Lowering checks the same rules in code, with better messages. These patterns accept all that lowering accepts.

use std::borrow::Cow;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value};

macro_rules! shapes {
    ($($(#[doc = $doc:literal])+ $name:ident => $schema:tt;)+) => {
        $(
            $(#[doc = $doc])+
            pub(crate) struct $name;

            impl JsonSchema for $name {
                fn inline_schema() -> bool {
                    true
                }

                fn schema_name() -> Cow<'static, str> {
                    stringify!($name).into()
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    json_schema!($schema)
                }
            }
        )+
    };
}

shapes! {
    /// The name of a source, a step, a sink or a connection: a DNS-1035 label.
    Name => {"type": "string", "minLength": 1, "maxLength": 50, "pattern": "^[a-z]([-a-z0-9]*[a-z0-9])?$"};
    /// A source or a step that is read, optionally with one of its outputs: `revenue`, `revenue.Late`.
    Node => {"type": "string", "minLength": 1, "maxLength": 64, "pattern": r"^[a-z]([-a-z0-9]*[a-z0-9])?(\.[A-Za-z]+)?$"};
    /// Several nodes that are read.
    Nodes => {
        "type": "array",
        "items": {
            "type": "string",
            "minLength": 1,
            "maxLength": 64,
            "pattern": r"^[a-z]([-a-z0-9]*[a-z0-9])?(\.[A-Za-z]+)?$"
        },
        "x-kubernetes-list-type": "set"
    };
    /// The name of a Kubernetes object: a DNS-1123 subdomain.
    ObjectName => {
        "type": "string",
        "minLength": 1,
        "maxLength": 253,
        "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
    };
    /// A key of a Secret.
    SecretKey => {"type": "string", "minLength": 1, "maxLength": 253, "pattern": r"^[-._a-zA-Z0-9]+$"};
    /// The name of a topic, by Kafka's rule.
    Topic => {"type": "string", "minLength": 1, "maxLength": 249, "pattern": r"^[a-zA-Z0-9._-]+$"};
    /// A consumer group: ASCII without spaces.
    GroupId => {"type": "string", "minLength": 1, "maxLength": 249, "pattern": "^[!-~]+$"};
    /// The name of a column.
    Column => {"type": "string", "minLength": 1, "maxLength": 255};
    /// Names of columns, each at most once. Their order matters, so two appliers must not mix their lists.
    Columns => {
        "type": "array",
        "maxItems": 256,
        "items": {"type": "string", "minLength": 1, "maxLength": 255},
        "x-kubernetes-list-type": "atomic"
    };
    /// A type by Spark's name, including nested types.
    DataType => {"type": "string", "minLength": 1, "maxLength": 8192};
    /// A SQL expression.
    Expr => {"type": "string", "minLength": 1, "maxLength": 16384};
    /// A SQL query.
    Query => {"type": "string", "minLength": 1, "maxLength": 16384};
    /// A schema of Avro or Protocol Buffers.
    SchemaText => {"type": "string", "minLength": 1, "maxLength": 65536};
    /// One character.
    Char => {"type": "string", "minLength": 1, "maxLength": 1};
    /// The name of a time zone.
    TimeZone => {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9_+/-]+$"};
    /// The URL of an HTTP server.
    Url => {"type": "string", "minLength": 1, "maxLength": 2048, "pattern": r"^https?://[^\s]+$"};
    /// The URI of a table or a checkpoint.
    Uri => {
        "type": "string",
        "minLength": 1,
        "maxLength": 2048,
        "pattern": r"^(s3://[a-z0-9.-]{3,63}|file://)/[-A-Za-z0-9_.=+@,~!$&'()*:/]+$"
    };
    /// The URI of a bucket or of a path in one.
    UriPrefix => {"type": "string", "minLength": 1, "maxLength": 2048, "pattern": r"^s3://[a-z0-9.-]{3,63}(/[-A-Za-z0-9_.=+@,~!$&'()*:/]*)?$"};
    /// The URL of an S3 server.
    Endpoint => {"type": "string", "minLength": 1, "maxLength": 512, "pattern": r"^https?://[^\s/?#@]+/?$"};
    /// A region such as `eu-west-3`.
    Region => {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[-A-Za-z0-9]+$"};
    /// Brokers as `host:port`, with commas between them.
    BootstrapServers => {"type": "string", "minLength": 1, "maxLength": 4096, "pattern": r"^\s*[^\s,/@]+:[0-9]{1,5}\s*(,\s*[^\s,/@]+:[0-9]{1,5}\s*)*$"};
    /// A token for an action that is done once: a label's value.
    Token => {"type": "string", "minLength": 1, "maxLength": 63, "pattern": "^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"};
    /// A schedule: five fields, as in cron.
    Schedule => {"type": "string", "minLength": 9, "maxLength": 256, "pattern": r"^[0-9A-Za-z*/,-]+( [0-9A-Za-z*/,-]+){4}$"};
    /// A container image.
    Image => {"type": "string", "minLength": 1, "maxLength": 512, "pattern": r"^[^\s]+$"};
    /// An image's tag.
    Tag => {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]*$"};
    /// A short text for people or other programs.
    Text => {"type": "string", "minLength": 1, "maxLength": 1024};
    /// The name of an environment variable.
    EnvName => {"type": "string", "minLength": 1, "maxLength": 253, "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"};
    /// The value of an environment variable: any text.
    EnvValue => {"type": "string", "maxLength": 4096};
    /// A time in RFC 3339.
    Timestamp => {"type": "string", "maxLength": 64, "format": "date-time"};
    /// The number of a Kafka partition.
    Partition => {"type": "integer", "format": "int32", "minimum": 0, "maximum": 2147483647};
    /// A size in bytes, as a Kubernetes quantity.
    Bytes => {
        "x-kubernetes-int-or-string": true,
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "minimum": 0,
        "maxLength": 64,
        "pattern": r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)([kMGTPE]|[KMGTPE]i|[eE][0-9]{1,2})?$"
    };
    /// Amounts of CPU, memory and other resources, by the resource's name.
    Amounts => {
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": {
            "x-kubernetes-int-or-string": true,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "minimum": 0,
            "maxLength": 64,
            "pattern": r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)(m|[kMGTPE]|[KMGTPE]i|[eE][0-9]{1,2})?$"
        }
    };
    /// Labels or node selectors.
    Labels => {
        "type": "object",
        "maxProperties": 64,
        "additionalProperties": {"type": "string", "maxLength": 63, "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"}
    };
    /// Annotations.
    Annotations => {"type": "object", "maxProperties": 64, "additionalProperties": {"type": "string", "maxLength": 16384}};
    /// A block whose inner shape is still open.
    OpenBlock => {"type": "object", "x-kubernetes-preserve-unknown-fields": true};
}

/// One of Kubernetes' own types, with the bounds that its schema lacks, and only the first sentence of each
/// description.
pub(crate) struct Foreign<T>(PhantomData<T>);

impl<T: JsonSchema> JsonSchema for Foreign<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = T::json_schema(generator);
        if let Some(schema) = schema.as_object_mut() {
            bound(schema);
        }
        schema
    }
}

/// Sentences that stand in many places, by how they begin: the definition's size is limited.
const IN_SHORT: &[(&str, &str)] = &[
    ("This pod should be co-located", "A label of nodes. Those with the same value are one place."),
    ("Defines a set of pods (namely", "Pods, and what counts as one place with them."),
    ("The weights of all of the matched", "Rules with weights, which are added up."),
    ("The scheduler will prefer to schedule", "Rules that are followed where that is possible."),
    ("A node selector requirement is", "One requirement."),
    ("MatchLabelKeys is a set", "Keys of labels that have the pod's own values."),
    ("MismatchLabelKeys is a set", "Keys of labels that have other values than the pod's."),
    ("namespaces specifies a static", "Names of namespaces."),
    ("matchLabels is a map", "Labels and their values."),
];

fn bound(schema: &mut Map<String, Value>) {
    if let Some(Value::String(description)) = schema.get_mut("description") {
        first_sentence(description);
        if let Some((_, short)) = IN_SHORT.iter().find(|(long, _)| description.starts_with(long)) {
            *description = (*short).to_owned();
        }
    }
    let (key, most) = match schema.get("type").and_then(Value::as_str) {
        Some("string") => ("maxLength", 1024),
        Some("array") => ("maxItems", 64),
        Some("object") if schema.contains_key("additionalProperties") => ("maxProperties", 64),
        _ => ("", 0),
    };
    if !key.is_empty() {
        schema.entry(key).or_insert_with(|| most.into());
    }
    if let Some(Value::Object(requirements)) = schema.get_mut("properties").and_then(|p| p.get_mut("matchExpressions"))
    {
        shorten_descriptions(requirements);
    }
    for below in ["items", "additionalProperties"] {
        schema.get_mut(below).and_then(Value::as_object_mut).into_iter().for_each(bound);
    }
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    properties.into_iter().flat_map(|p| p.values_mut()).filter_map(Value::as_object_mut).for_each(bound);
}

/// Shortens the descriptions of a selector's requirements, which stand in many places of the definition.
fn shorten_descriptions(requirements: &mut Map<String, Value>) {
    let texts =
        [("key", "The label's key."), ("operator", "How the label relates to the values."), ("values", "The values.")];
    for (field, text) in texts {
        if let Some(property) = requirements.get_mut("items").and_then(|items| items["properties"].get_mut(field)) {
            property["description"] = text.into();
        }
    }
    if let Some(requirement) = requirements.get_mut("items") {
        requirement["description"] = "One requirement.".into();
    }
    requirements.insert("description".to_owned(), "The requirements.".into());
}

/// Cuts a description after its first sentence: Kubernetes' full texts would take a third of the definition, and are in
/// its documentation.
fn first_sentence(description: &mut String) {
    let ends = [". ", ".\n", ", where ", ", but "];
    if let Some(end) = ends.iter().filter_map(|end| description.find(end)).min() {
        description.truncate(end);
        description.push('.');
    }
}
