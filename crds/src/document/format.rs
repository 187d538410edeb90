//! How the bytes of a record become columns: the encoding, the envelope, and the columns themselves.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::{exactly_one, exactly_one_later};
use super::schema::{Char, Column as ColumnName, DataType, Expr, Name, SchemaText, Text};
use super::{Empty, unions};

/// Exactly one encoding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one(unions::FORMATS)]))]
pub struct Format {
    /// A JSON object per record. Only the fields in columns are read.
    pub json: Option<JsonFormat>,
    /// Not supported yet. The record's bytes, unchanged, in one column named value.
    pub raw: Option<RawFormat>,
    /// Not supported yet. A line of separated values per record, in the order of columns.
    pub csv: Option<CsvFormat>,
    /// Not supported yet. Avro, with the writer's schema here or in a registry.
    pub avro: Option<AvroFormat>,
    /// Not supported yet. Protocol Buffers, with the writer's schema here or in a registry.
    pub protobuf: Option<ProtobufFormat>,
}

/// A JSON object per record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JsonFormat {
    /// The meaning of a number in a timestamp column. Refuse (the default): the record is bad. EpochMillis:
    /// milliseconds since 1970.
    pub timestamp_numbers: Option<TimestampNumbers>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TimestampNumbers {
    Refuse,
    EpochMillis,
}

/// The record's bytes, unchanged, in one column named value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RawFormat {
    /// The type of the column. Text: string, which has to be UTF-8. Bytes: binary.
    #[serde(rename = "as")]
    pub kind: RawKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RawKind {
    Text,
    Bytes,
}

/// A line of separated values per record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CsvFormat {
    /// The character between two values. By default a comma.
    #[schemars(with = "Option<Char>")]
    pub delimiter: Option<String>,
    /// The character around values that contain a delimiter. By default a double quote.
    #[schemars(with = "Option<Char>")]
    pub quote: Option<String>,
    /// The character before a quote that is part of a value. By default a backslash.
    #[schemars(with = "Option<Char>")]
    pub escape: Option<String>,
    /// The text that means null. By default the empty text.
    #[schemars(with = "Option<Text>")]
    pub null_value: Option<String>,
}

/// Exactly one of `schema` and `registry`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one_later(unions::SCHEMAS)]))]
pub struct AvroFormat {
    /// The writer's schema, as JSON. Records are Avro values without a prefix.
    #[schemars(with = "Option<SchemaText>")]
    pub schema: Option<String>,
    /// The registry with the writers' schemas. Records begin with a schema id, as Confluent's do.
    pub registry: Option<Registry>,
}

/// Exactly one of `schema` and `registry`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one_later(unions::SCHEMAS)]))]
pub struct ProtobufFormat {
    /// The writer's schema, as the text of a .proto file. Records are messages without a prefix.
    #[schemars(with = "Option<SchemaText>")]
    pub schema: Option<String>,
    /// The registry with the writers' schemas. Records begin with a schema id, as Confluent's do.
    pub registry: Option<Registry>,
    /// The full name of the message, if the schema has several: shop.Order
    #[schemars(with = "Option<Text>")]
    pub message: Option<String>,
}

/// A schema registry, and the subject for writing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Registry {
    /// The name of a schemaRegistry in spec.connections.
    #[schemars(with = "Name")]
    pub connection: String,
    /// The subject for writing. By default the topic's name with -key or -value.
    #[schemars(with = "Option<Text>")]
    pub subject: Option<String>,
}

/// What a record means for the row that it contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Envelope {
    Plain,
    Debezium,
    Upsert,
}

/// A column of the reader's schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SourceColumn {
    /// The name of the field and of the column.
    #[schemars(with = "ColumnName")]
    pub name: String,
    /// The type by Spark's name: boolean, int, bigint, float, double, decimal(p,s), string, binary, date, timestamp,
    /// array<type>, struct<name: type, ...>, map<string, type>.
    #[serde(rename = "type")]
    #[schemars(with = "DataType")]
    pub data_type: String,
    /// Whether a record without this value is bad. By default false: the value is null.
    pub required: Option<bool>,
}

/// How a row is encoded as the bytes of a record. Exactly one encoding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one_later(unions::ENCODINGS)]))]
pub struct Encoding {
    /// A JSON object with the row's columns.
    pub json: Option<Empty>,
    /// Avro, with a schema that is given here or in a registry.
    pub avro: Option<AvroFormat>,
    /// The string or binary that an expression gives.
    pub raw: Option<RawEncoding>,
}

/// The string or binary that an expression gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RawEncoding {
    /// A SQL expression over the row's columns that gives a string or binary: cast(user_id as string)
    #[schemars(with = "Expr")]
    pub expr: String,
}
