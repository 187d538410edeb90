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
    /// A JSON object per record, of which the fields in columns are read.
    pub json: Option<JsonFormat>,
    /// Not supported yet. The bytes as they are, in one column value.
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
    /// What a number in a timestamp column is. Refuse (the default): a bad record. EpochMillis: milliseconds since
    /// 1970.
    pub timestamp_numbers: Option<TimestampNumbers>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TimestampNumbers {
    Refuse,
    EpochMillis,
}

/// The bytes as they are, in one column value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RawFormat {
    /// Text: a string, which has to be UTF-8. Bytes: binary.
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
    /// The character around values that have a delimiter in them. By default a double quote.
    #[schemars(with = "Option<Char>")]
    pub quote: Option<String>,
    /// The character before a quote that is part of a value. By default a backslash.
    #[schemars(with = "Option<Char>")]
    pub escape: Option<String>,
    /// The text that stands for null. By default the empty one.
    #[schemars(with = "Option<Text>")]
    pub null_value: Option<String>,
}

/// Exactly one of `schema` and `registry`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one_later(unions::SCHEMAS)]))]
pub struct AvroFormat {
    /// The writer's schema, as JSON. Records have nothing before their values.
    #[schemars(with = "Option<SchemaText>")]
    pub schema: Option<String>,
    /// The registry that has the writers' schemas. Records begin with its id, as Confluent has it.
    pub registry: Option<Registry>,
}

/// Exactly one of `schema` and `registry`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one_later(unions::SCHEMAS)]))]
pub struct ProtobufFormat {
    /// The writer's schema, as the text of a .proto file. Records have nothing before their messages.
    #[schemars(with = "Option<SchemaText>")]
    pub schema: Option<String>,
    /// The registry that has the writers' schemas. Records begin with its id, as Confluent has it.
    pub registry: Option<Registry>,
    /// The message's full name, where the schema has several: shop.Order
    #[schemars(with = "Option<Text>")]
    pub message: Option<String>,
}

/// Where schemas are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Registry {
    /// The name of one of spec.connections, which is a schemaRegistry.
    #[schemars(with = "Name")]
    pub connection: String,
    /// The subject, of what is written. By default the topic's name with -key or -value.
    #[schemars(with = "Option<Text>")]
    pub subject: Option<String>,
}

/// What a record says of the row in it.
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
    /// The field's name, which is the column's.
    #[schemars(with = "ColumnName")]
    pub name: String,
    /// The type by Spark's name: boolean, int, bigint, float, double, decimal(p,s), string, binary, date, timestamp,
    /// array<type>, struct<name: type, ...>.
    #[serde(rename = "type")]
    #[schemars(with = "DataType")]
    pub data_type: String,
    /// Whether a record without a value is a bad one. By default false: the value is null.
    pub required: Option<bool>,
}

/// How rows become the bytes of a record. Exactly one encoding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one_later(unions::ENCODINGS)]))]
pub struct Encoding {
    /// A JSON object with the row's columns.
    pub json: Option<Empty>,
    /// Avro, under a schema here or in a registry.
    pub avro: Option<AvroFormat>,
    /// The text or bytes that an expression gives.
    pub raw: Option<RawEncoding>,
}

/// The text or bytes that an expression gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RawEncoding {
    /// A SQL expression over the row's columns that gives a string or binary: cast(user_id as string)
    #[schemars(with = "Expr")]
    pub expr: String,
}
