//! Functions of maps with Spark's results. Keys are compared as values: all NaN are equal, and so are both zeros.

mod made;

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, MapArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::row::{RowConverter, SortField};
use datafusion_common::{Result, exec_err, plan_err};
use datafusion_expr::type_coercion::binary::comparison_coercion;
use datafusion_expr::{Expr, ExprSchemable, ScalarUDF};

use super::arrays::taken;
use super::simple::Takes::Any;
use super::simple::{Gives, simple};
use crate::expr::{type_name, with_article};
use crate::floats::normalized;
use crate::types::list_of;

/// The name of the function that `m['k']` and `element_at(m, 'k')` are. Documents can't use it.
pub(crate) const VALUE_AT: &str = "value at";

/// Functions of other types that pick a value of a map too.
const PICKING: [&str; 4] = ["get_field", super::AT, "element_at", "try_element_at"];

const BOOLEAN: Gives = |types| key_first_of(types).map(|_| DataType::Boolean);
const KEYS: Gives = |types| map_first(types).map(|(key, _)| list_of(key.data_type().clone()));
const VALUES: Gives = |types| map_first(types).map(|(_, value)| list_of(value.data_type().clone()));
const ENTRIES: Gives = |types| {
    let (key, value) = map_first(types)?;
    Ok(list_of(DataType::Struct([Arc::clone(key), Arc::clone(value)].into_iter().collect())))
};
const VALUE: Gives = |types| {
    key_first_of(types)?;
    map_first(types).map(|(_, value)| value.data_type().clone())
};

pub(super) fn all() -> Vec<ScalarUDF> {
    let mut all: Vec<ScalarUDF> = [
        simple(VALUE_AT, &[&[Any, Any]], VALUE, |args| {
            let places = found(args)?;
            taken(args[0].as_map().values(), &places)
        }),
        simple("map_contains_key", &[&[Any, Any]], BOOLEAN, |args| {
            let (maps, wanted) = (args[0].as_map(), &args[1]);
            let places = found(args)?;
            let of_row = |row: usize| {
                (!maps.is_null(row) && !wanted.is_null(row) && !wanted.data_type().is_null())
                    .then(|| places[row].is_some())
            };
            Ok(Arc::new((0..maps.len()).map(of_row).collect::<BooleanArray>()))
        }),
        simple("map_keys", &[&[Any]], KEYS, |args| Ok(listed(args[0].as_map(), |maps| Arc::clone(maps.keys())))),
        simple("map_values", &[&[Any]], VALUES, |args| Ok(listed(args[0].as_map(), |maps| Arc::clone(maps.values())))),
        simple("map_entries", &[&[Any]], ENTRIES, |args| {
            Ok(listed(args[0].as_map(), |maps| Arc::new(maps.entries().clone())))
        }),
    ]
    .into_iter()
    .map(ScalarUDF::from)
    .collect();
    all.extend(made::all());
    all
}

/// The call with the function for maps in place of one that picks from an array or a struct, if it picks from a map.
pub(crate) fn of_a_map(call: &Expr, schema: &datafusion_common::DFSchema) -> bool {
    let Expr::ScalarFunction(call) = call else { return false };
    let [from, _] = &call.args[..] else { return false };
    PICKING.contains(&call.func.name()) && matches!(from.get_type(schema), Ok(DataType::Map(..)))
}

/// The fields of the keys and of the values of a map.
pub(super) fn key_and_value(of: &DataType) -> Option<(&FieldRef, &FieldRef)> {
    match of {
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => match &fields[..] {
                [key, value] => Some((key, value)),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// The places of the entries of a row's map; none for a null.
pub(super) fn range(maps: &MapArray, row: usize) -> Range<usize> {
    let bound = |at: usize| usize::try_from(maps.value_offsets()[at]).unwrap_or(0);
    if maps.is_null(row) { 0..0 } else { bound(row)..bound(row + 1) }
}

/// The fields of the map that the first argument has to be.
fn map_first(types: &[DataType]) -> Result<(&FieldRef, &FieldRef)> {
    match types.first().map(|of| (of, key_and_value(of))) {
        Some((_, Some(fields))) => Ok(fields),
        Some((other, None)) => plan_err!("a map stands first, and found {}", with_article(&type_name(other))),
        None => plan_err!("a map stands first"),
    }
}

/// The type as which the keys of a map and the second argument, which is looked for, are compared.
fn key_first_of(types: &[DataType]) -> Result<DataType> {
    let (key, _) = map_first(types)?;
    let key = key.data_type();
    let Some(wanted) = types.get(1) else { return plan_err!("a map and a key") };
    let compared = if wanted == key || wanted.is_null() {
        Some(key.clone())
    } else if key.is_floating() && wanted.is_numeric() {
        Some(DataType::Float64)
    } else if key.is_numeric() && wanted.is_numeric() && !wanted.is_floating() {
        comparison_coercion(key, wanted)
    } else {
        None
    };
    match compared {
        Some(compared) => Ok(compared),
        None => plan_err!(
            "the keys of the map are of another type: found {}, and each key is {}",
            with_article(&type_name(wanted)),
            with_article(&type_name(key))
        ),
    }
}

/// For each row, the place of the entry whose key is the second argument.
fn found(args: &[ArrayRef]) -> Result<Vec<Option<usize>>> {
    let (maps, wanted) = (args[0].as_map(), &args[1]);
    if wanted.data_type().is_null() {
        return Ok(vec![None; maps.len()]);
    }
    // Most keys are texts, and these need no copy.
    if let (Some(keys), Some(wanted)) = (maps.keys().as_string_opt::<i32>(), wanted.as_string_opt::<i32>()) {
        let of_row = |row: usize| {
            let wanted = (!wanted.is_null(row)).then(|| wanted.value(row))?;
            range(maps, row).find(|place| keys.value(*place) == wanted)
        };
        return Ok((0..maps.len()).map(of_row).collect());
    }
    let compared = key_first_of(&[maps.data_type().clone(), wanted.data_type().clone()])?;
    let [keys, wanted] = [maps.keys(), wanted].map(|all| cast(all, &compared).map(|all| normalized(&all)));
    let (keys, wanted) = (keys?, wanted?);
    let converter = RowConverter::new(vec![SortField::new(compared)])?;
    let (keys, sought) = (converter.convert_columns(&[keys])?, converter.convert_columns(&[Arc::clone(&wanted)])?);
    let of_row = |row: usize| {
        if wanted.is_null(row) {
            return None;
        }
        range(maps, row).find(|place| keys.row(*place) == sought.row(row))
    };
    Ok((0..maps.len()).map(of_row).collect())
}

/// An array per map, of what `part` is of all of its entries.
fn listed(maps: &MapArray, part: fn(&MapArray) -> ArrayRef) -> ArrayRef {
    let items = part(maps);
    let item = Arc::new(Field::new("element", items.data_type().clone(), true));
    let offsets: OffsetBuffer<i32> = maps.offsets().clone();
    Arc::new(ListArray::new(item, offsets, items, maps.nulls().cloned()))
}

/// The number of entries of each map.
pub(super) fn sizes(maps: &MapArray) -> arrow::array::Int32Array {
    (0..maps.len()).map(|row| (!maps.is_null(row)).then(|| maps.value_length(row))).collect()
}

/// Refuses types with maps in them where values are compared.
pub(super) fn refuse_maps(of: &DataType) -> Result<()> {
    if crate::types::has_map(of) {
        return plan_err!("maps are not compared, and found {}", with_article(&type_name(of)));
    }
    Ok(())
}

/// An error for a key that a map has twice, or that is null.
fn wrong_key(keys: &ArrayRef, place: usize) -> Result<()> {
    if keys.is_null(place) {
        return exec_err!("a key of the map is null, and a key has a value");
    }
    let key = super::text_of::of(&keys.slice(place, 1))?;
    exec_err!("the map has the key {} twice, and each key is there once", crate::quote::quoted(key.value(0)))
}
