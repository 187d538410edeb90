//! Whether a sink's rows fit a table, and how they go into its files. Pure: it compares the table with the plan and
//! returns a layout, or one sentence per misfit.

use arrow::datatypes::{Field, SchemaRef};
use delta_kernel::schema::{DataType, PrimitiveType, StructField, StructType};
use weir_base::failure::{Failure, Result};

use super::actions::{Metadata, Protocol};
use super::features;
use super::schema::{ddl, to_arrow, to_delta};

/// As in Delta, data files have statistics for the first columns only.
const INDEXED_COLUMNS_DEFAULT: usize = 32;

/// The layout of every data file of the table.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// The table's columns in its order, without the partition columns, whose values are in the log.
    pub(super) file_schema: SchemaRef,
    /// The partition columns in the table's order.
    pub(super) partition_fields: Vec<Field>,
    /// How many columns of a file get statistics.
    pub(super) indexed_columns: usize,
}

/// The columns that the sink writes, and its partition columns.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) schema: SchemaRef,
    pub(super) partition_by: Vec<String>,
}

/// The metadata of a new table for the sink.
pub(super) fn new_table(wanted: &Wanted, id: String, table: &str) -> Result<Metadata> {
    let mut names: Vec<_> = wanted.schema.fields().iter().map(|f| f.name().to_lowercase()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|w| w[0] == w[1]) {
        let says = format!(
            "the sink has two columns `{}` that differ in case only; Delta can't hold both in {table}",
            twice[0]
        );
        return Err(Failure::config(says));
    }
    let schema = to_delta(&wanted.schema)?;
    // Spark refuses these names in Parquet files unless columns are mapped.
    if let Some(odd) = schema
        .fields()
        .find(|f| f.name().is_empty() || f.name().contains([' ', ',', ';', '{', '}', '(', ')', '\n', '\t', '=']))
    {
        return Err(Failure::config(format!(
            "the column name `{}` has a character that Delta does not allow (one of \" ,;{{}}()=\", a tab or a line \
             end)",
            odd.name()
        )));
    }
    let schema_string =
        serde_json::to_string(&schema).map_err(|e| Failure::bug(format!("the schema of {table} has no JSON: {e}")))?;
    Ok(Metadata {
        id,
        schema_string,
        partition_columns: wanted.partition_by.clone(),
        configuration: std::collections::HashMap::default(),
    })
}

/// The metadata with every column nullable that the sink may write a null into, if those columns are the only misfit.
pub(super) fn loosened(
    wanted: &Wanted,
    protocol: &Protocol,
    metadata: &Metadata,
    table: &str,
) -> Result<Option<Metadata>> {
    let (theirs, ours) = (schema_of(metadata, table)?, to_delta(&wanted.schema)?);
    let fields = theirs.fields().map(|field| match ours.field(field.name()) {
        Some(our) if ddl(our.data_type()) == ddl(field.data_type()) && column_misfit(our, &theirs, table).is_some() => {
            our.clone()
        }
        _ => field.clone(),
    });
    let schema =
        StructType::try_new(fields).map_err(|e| Failure::bug(format!("the schema of {table}, loosened: {e}")))?;
    let schema_string =
        serde_json::to_string(&schema).map_err(|e| Failure::bug(format!("the schema of {table} has no JSON: {e}")))?;
    let loosened = Metadata { schema_string, ..metadata.clone() };
    Ok((schema != theirs && fit(wanted, protocol, &loosened, table).is_ok()).then_some(loosened))
}

/// What a sink would have to write to fit an existing table.
pub(super) fn as_it_is(metadata: &Metadata, table: &str) -> Result<Wanted> {
    let theirs = schema_of(metadata, table)?;
    Ok(Wanted { schema: to_arrow(theirs.fields())?, partition_by: metadata.partition_columns.clone() })
}

pub(super) fn schema_of(metadata: &Metadata, table: &str) -> Result<StructType> {
    serde_json::from_str(&metadata.schema_string)
        .map_err(|e| Failure::config(format!("the schema of the table {table} can't be read: {e}")))
}

/// Checks everything and returns the layout, or everything that is wrong in one message.
pub(super) fn fit(wanted: &Wanted, protocol: &Protocol, metadata: &Metadata, table: &str) -> Result<Layout> {
    let theirs = schema_of(metadata, table)?;
    let ours = to_delta(&wanted.schema)?;

    let mut misfits: Vec<String> =
        features::refusals(protocol, metadata, &theirs).iter().map(|why| format!("the table {table} {why}")).collect();
    misfits.extend(ours.fields().filter_map(|column| column_misfit(column, &theirs, table)));
    misfits.extend(theirs.fields().filter(|c| !ours.contains(c.name()) && !c.is_nullable()).map(|c| {
        format!(
            "the table {table} needs the column `{}` ({}), which the sink does not write and which may not be null",
            c.name(),
            ddl(c.data_type())
        )
    }));
    misfits.extend(partition_misfits(&wanted.partition_by, metadata, &theirs, &ours, table));
    if !misfits.is_empty() {
        return Err(Failure::config(misfits.join("; ")));
    }

    let is_partition = |f: &StructField| metadata.partition_columns.contains(f.name());
    let partitions = metadata.partition_columns.iter().filter_map(|name| theirs.field(name));
    let indexed = metadata.configuration.get("delta.dataSkippingNumIndexedCols").and_then(|n| n.parse::<i64>().ok());
    Ok(Layout {
        file_schema: to_arrow(theirs.fields().filter(|f| !is_partition(f)))?,
        partition_fields: to_arrow(partitions)?.fields().iter().map(|f| f.as_ref().clone()).collect(),
        // -1 means all columns.
        indexed_columns: indexed.map_or(INDEXED_COLUMNS_DEFAULT, |n| usize::try_from(n).unwrap_or(usize::MAX)),
    })
}

fn column_misfit(ours: &StructField, table_schema: &StructType, table: &str) -> Option<String> {
    let name = ours.name();
    let Some(theirs) = table_schema.field(name) else {
        let spelled = table_schema
            .fields()
            .find(|f| f.name().eq_ignore_ascii_case(name))
            .map(|f| format!(" (it has `{}`: case counts)", f.name()));
        return Some(format!(
            "the table {table} has no column `{name}` ({}){}; add it to the table first: schemaEvolution is not \
             supported yet",
            ddl(ours.data_type()),
            spelled.unwrap_or_default()
        ));
    };
    let (found, right) = (ddl(ours.data_type()), ddl(theirs.data_type()));
    if found != right {
        return Some(format!(
            "the column `{name}` is {found} in the sink and {right} in the table {table}; cast it to {right}"
        ));
    }
    if ours.is_nullable() && !theirs.is_nullable() {
        return Some(format!(
            "the column `{name}` may be null in the sink, but not in the table {table}, which has rows; filter nulls \
             out (`coalesce` gives \
             another value), or let it be null there: ALTER TABLE … ALTER COLUMN `{name}` DROP NOT NULL"
        ));
    }
    nested_null(ours.data_type(), theirs.data_type(), name)
        .map(|path| format!("`{path}` may be null in the sink, but not in the table {table}; drop NOT NULL there"))
}

/// The first nested field that may be null in our type and not in theirs. Otherwise the types are equal.
fn nested_null(ours: &DataType, theirs: &DataType, path: &str) -> Option<String> {
    match (ours, theirs) {
        (DataType::Array(a), DataType::Array(b)) => {
            let path = format!("{path}[]");
            if a.contains_null() && !b.contains_null() {
                Some(path)
            } else {
                nested_null(a.element_type(), b.element_type(), &path)
            }
        }
        (DataType::Map(a), DataType::Map(b)) => {
            let (key, value) = (format!("{path}.key"), format!("{path}.value"));
            if a.value_contains_null() && !b.value_contains_null() {
                return Some(value);
            }
            nested_null(a.key_type(), b.key_type(), &key)
                .or_else(|| nested_null(a.value_type(), b.value_type(), &value))
        }
        (DataType::Struct(a), DataType::Struct(b)) => a.fields().zip(b.fields()).find_map(|(a, b)| {
            let path = format!("{path}.{}", a.name());
            if a.is_nullable() && !b.is_nullable() {
                Some(path)
            } else {
                nested_null(a.data_type(), b.data_type(), &path)
            }
        }),
        _ => None,
    }
}

fn partition_misfits(
    ours: &[String],
    metadata: &Metadata,
    table_schema: &StructType,
    sink_schema: &StructType,
    table: &str,
) -> Vec<String> {
    let theirs = &metadata.partition_columns;
    if ours != theirs {
        let list = |names: &[String]| if names.is_empty() { "no column".to_owned() } else { names.join(", ") };
        return vec![format!(
            "the table {table} is partitioned by {}, but partitionBy says {}; they must be equal, in this order",
            list(theirs),
            list(ours)
        )];
    }
    let mut found = Vec::new();
    if !ours.is_empty() && table_schema.fields().all(|f| ours.contains(f.name())) {
        found.push(format!(
            "partitionBy names every column of the table {table}; a data file needs at least one of its own"
        ));
    }
    for name in ours {
        match sink_schema.field(name).map(StructField::data_type) {
            None => found.push(format!("partitionBy names `{name}`, which is no column of the sink")),
            Some(DataType::Primitive(p))
                if !matches!(p, PrimitiveType::Float | PrimitiveType::Double | PrimitiveType::Binary) => {}
            Some(t) => found.push(format!("partitionBy names `{name}`, whose type {} can't be a partition", ddl(t))),
        }
    }
    found
}
