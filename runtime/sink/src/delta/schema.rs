//! Converts types between Arrow and Delta, and names them as users write them, in Spark's DDL.

use std::sync::Arc;

use arrow::datatypes::{DataType as Arrow, Schema, SchemaRef};
use delta_kernel::engine::arrow_conversion::TryIntoArrow as _;
use delta_kernel::schema::{ArrayType, DataType, MapType, PrimitiveType, StructField, StructType};
use weir_base::failure::{Failure, Result};

/// The table's schema for the columns that a sink writes. Timestamps of any unit become `timestamp`, because the
/// session's zone is UTC.
pub(super) fn to_delta(schema: &Schema) -> Result<StructType> {
    let fields = schema.fields().iter().map(|f| field_to_delta(f)).collect::<Result<Vec<_>>>()?;
    StructType::try_new(fields).map_err(|e| Failure::config(format!("the columns are no valid Delta schema: {e}")))
}

/// The Arrow schema of a data file with these fields.
pub(super) fn to_arrow<'a>(fields: impl Iterator<Item = &'a StructField>) -> Result<SchemaRef> {
    let fields = fields.map(|field| {
        let data_type: Result<Arrow, _> = field.data_type().try_into_arrow();
        data_type.map(|t| arrow::datatypes::Field::new(field.name(), t, field.is_nullable()))
    });
    let fields = fields
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| Failure::config(format!("the table has a type that can't be written: {e}")))?;
    Ok(Arc::new(Schema::new(fields)))
}

fn field_to_delta(field: &arrow::datatypes::Field) -> Result<StructField> {
    let data_type = type_to_delta(field.data_type()).ok_or_else(|| {
        Failure::config(format!(
            "the column `{}` has the type {}, which Delta doesn't have",
            field.name(),
            field.data_type()
        ))
    })?;
    Ok(StructField::new(field.name(), data_type, field.is_nullable()))
}

fn type_to_delta(t: &Arrow) -> Option<DataType> {
    Some(match t {
        Arrow::Boolean => DataType::BOOLEAN,
        Arrow::Int8 => DataType::BYTE,
        Arrow::Int16 => DataType::SHORT,
        Arrow::Int32 => DataType::INTEGER,
        Arrow::Int64 => DataType::LONG,
        Arrow::Float32 => DataType::FLOAT,
        Arrow::Float64 => DataType::DOUBLE,
        Arrow::Decimal128(precision, scale) => DataType::decimal(*precision, u8::try_from(*scale).ok()?).ok()?,
        Arrow::Utf8 | Arrow::LargeUtf8 | Arrow::Utf8View => DataType::STRING,
        Arrow::Binary | Arrow::LargeBinary | Arrow::BinaryView => DataType::BINARY,
        Arrow::Date32 => DataType::DATE,
        Arrow::Timestamp(..) => DataType::TIMESTAMP,
        Arrow::Dictionary(_, values) => type_to_delta(values)?,
        Arrow::List(element) | Arrow::LargeList(element) => {
            ArrayType::new(type_to_delta(element.data_type())?, element.is_nullable()).into()
        }
        Arrow::Map(entries, _) => match entries.data_type() {
            Arrow::Struct(fields) => {
                let [key, value] = &fields[..] else { return None };
                let (of_key, of_value) = (type_to_delta(key.data_type())?, type_to_delta(value.data_type())?);
                MapType::new(of_key, of_value, value.is_nullable()).into()
            }
            _ => return None,
        },
        Arrow::Struct(fields) => {
            let fields = fields.iter().map(|f| field_to_delta(f).ok()).collect::<Option<Vec<_>>>()?;
            StructType::try_new(fields).ok()?.into()
        }
        _ => return None,
    })
}

/// The type's name in Spark's DDL: `bigint`, `array<string>`, `struct<a: int>`.
pub(super) fn ddl(t: &DataType) -> String {
    match t {
        DataType::Primitive(p) => match p {
            PrimitiveType::Long => "bigint".to_owned(),
            PrimitiveType::Integer => "int".to_owned(),
            PrimitiveType::Short => "smallint".to_owned(),
            PrimitiveType::Byte => "tinyint".to_owned(),
            PrimitiveType::Decimal(d) => format!("decimal({},{})", d.precision(), d.scale()),
            other => other.to_string(),
        },
        DataType::Array(a) => format!("array<{}>", ddl(a.element_type())),
        DataType::Map(m) => format!("map<{}, {}>", ddl(m.key_type()), ddl(m.value_type())),
        DataType::Struct(s) => {
            let fields: Vec<_> = s.fields().map(|f| format!("{}: {}", f.name(), ddl(f.data_type()))).collect();
            format!("struct<{}>", fields.join(", "))
        }
        DataType::Variant(_) => "variant".to_owned(),
    }
}
