//! Which tables an append may go into. This lists what is known to be harmless and refuses everything else by name,
//! because a writer that ignores a constraint or a mapping breaks the table for everyone. `docs/reference/delta.md` has
//! the list for users.

use delta_kernel::schema::{DataType, StructField, StructType};

use super::actions::{Metadata, Protocol};

/// Features that an append does not affect, or that `active` checks where they take effect, because old protocol
/// versions imply them.
const KNOWN_FEATURES: [&str; 26] = [
    "allowColumnDefaults",
    "appendOnly",
    "changeDataFeed",
    "checkConstraints",
    "checkpointProtection",
    "columnMapping",
    "deletionVectors",
    "domainMetadata",
    "generatedColumns",
    "icebergCompatV1",
    "icebergCompatV2",
    "icebergCompatV3",
    "identityColumns",
    "inCommitTimestamp",
    "invariants",
    "timestampNtz",
    "typeWidening",
    "v2Checkpoint",
    "vacuumProtocolCheck",
    // This concerns columns that the sink does not have, and the schema shows them. delta-rs adds it to every table
    // whose features it lists.
    "variantType",
    "variantShredding",
    // Tables that were created while these features were previews still name them.
    "deletionVectors-preview",
    "inCommitTimestamp-preview",
    "typeWidening-preview",
    "variantType-preview",
    "variantShredding-preview",
];
const READER_VERSION_MAX: i32 = 3;
const WRITER_VERSION_MAX: i32 = 7;

/// Why an append must not go into the table; empty if it may. Each reason is the second half of a sentence that begins
/// with "the table … ".
pub(super) fn refusals(protocol: &Protocol, metadata: &Metadata, schema: &StructType) -> Vec<String> {
    let mut found = Vec::new();
    if protocol.min_reader_version > READER_VERSION_MAX || protocol.min_writer_version > WRITER_VERSION_MAX {
        found.push(format!(
            "asks for the protocol (reader {}, writer {}); up to (reader {READER_VERSION_MAX}, writer \
             {WRITER_VERSION_MAX}) is known",
            protocol.min_reader_version, protocol.min_writer_version
        ));
    }
    let mut features: Vec<&str> =
        protocol.reader_features.iter().chain(&protocol.writer_features).flatten().map(String::as_str).collect();
    features.sort_unstable();
    features.dedup();
    features.retain(|f| !KNOWN_FEATURES.contains(f));
    found.extend(features.into_iter().map(|f| {
        format!(
            "has the feature `{f}`, which is not supported: take it away (`ALTER TABLE … DROP FEATURE {f}` in Spark), \
             or write to another table"
        )
    }));
    found.extend(active_properties(metadata));
    found.extend(schema.fields().filter_map(active_in_column));
    found
}

fn active_properties(metadata: &Metadata) -> Vec<String> {
    let mut found = Vec::new();
    let mut properties: Vec<_> = metadata.configuration.iter().collect();
    properties.sort_unstable();
    for (key, value) in properties {
        let on = value.eq_ignore_ascii_case("true");
        let what = match key.as_str() {
            k if k.starts_with("delta.constraints.") => "has a check constraint",
            "delta.columnMapping.mode" if !value.eq_ignore_ascii_case("none") => "maps its columns to other names",
            "delta.enableRowTracking" if on => "tracks rows",
            "delta.enableInCommitTimestamps" if on => "has in-commit timestamps",
            "delta.enableIcebergCompatV1" | "delta.enableIcebergCompatV2" | "delta.enableIcebergCompatV3" if on => {
                "is kept readable as Iceberg"
            }
            "delta.setTransactionRetentionDuration" => {
                found.push(format!(
                    "forgets transactions ({key} = {value}), \
                     so an epoch could be written twice; unset that property (ALTER TABLE … UNSET TBLPROPERTIES)"
                ));
                continue;
            }
            _ => continue,
        };
        found.push(format!("{what} ({key} = {value}), which is not supported"));
    }
    found
}

fn active_in_column(field: &StructField) -> Option<String> {
    let keys = field.metadata.keys().map(String::as_str);
    for key in keys {
        let what = match key {
            "delta.invariants" => "an invariant",
            "delta.generationExpression" => "a generated value",
            "CURRENT_DEFAULT" => "a default value",
            k if k.starts_with("delta.identity.") => "an identity",
            _ => continue,
        };
        return Some(format!("has {what} on the column `{}`, which is not supported", field.name()));
    }
    nested(field.data_type()).into_iter().find_map(active_in_column)
}

fn nested(t: &DataType) -> Vec<&StructField> {
    match t {
        DataType::Struct(s) => s.fields().collect(),
        DataType::Array(a) => nested(a.element_type()),
        DataType::Map(m) => [nested(m.key_type()), nested(m.value_type())].concat(),
        DataType::Primitive(_) | DataType::Variant(_) => Vec::new(),
    }
}
