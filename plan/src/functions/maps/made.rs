//! Functions that make maps: of keys and values, of arrays, of other maps, and of texts. A key that is null, or that a
//! map would have twice, fails, as with Spark's `spark.sql.mapKeyDedupPolicy=EXCEPTION`.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::StringArray;
use arrow::array::{Array, ArrayRef, AsArray, MapArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{concat, take};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use datafusion_common::{Result, exec_err, internal_err, plan_err};
use datafusion_expr::type_coercion::binary::type_union_coercion;
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use regex::Regex;

use super::super::arguments::{result, rows_to_compute};
use super::super::arrays::range_of_items;
use super::super::java_regex;
use super::super::simple::Takes::{Any, Text};
use super::super::simple::{Gives, simple, texts};
use super::{key_and_value, range, wrong_key};
use crate::expr::{type_name, with_article};
use crate::floats::normalized;
use crate::types::{self, has_map, map_of, timestamp_type};

const OF_ARRAYS: Gives = |types| match types {
    [DataType::List(keys), DataType::List(values)] => checked(keys.data_type(), values.data_type()),
    _ => plan_err!("two arrays stand here, as in `map_from_arrays(array('a', 'b'), array(1, 2))`"),
};
const OF_ENTRIES: Gives = |types| {
    let pair = match types {
        [DataType::List(item)] => match item.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => Some(fields),
            _ => None,
        },
        _ => None,
    };
    match pair {
        Some(fields) => checked(fields[0].data_type(), fields[1].data_type()),
        None => plan_err!("an array of structs of a key and a value stands here, as `map_entries` gives one"),
    }
};
const OF_TEXTS: Gives = |_| Ok(map_of(DataType::Utf8, DataType::Utf8));

pub(super) fn all() -> Vec<ScalarUDF> {
    let mut all: Vec<ScalarUDF> = [
        simple("map_from_arrays", &[&[Any, Any]], OF_ARRAYS, of_arrays),
        simple("map_from_entries", &[&[Any]], OF_ENTRIES, of_entries),
        simple("str_to_map", &[&[Text], &[Text, Text], &[Text, Text, Text]], OF_TEXTS, of_texts),
    ]
    .into_iter()
    .map(ScalarUDF::from)
    .collect();
    all.extend(
        [Makes::Map, Makes::Concat]
            .map(|makes| ScalarUDF::from(MakeMap { makes, signature: Signature::user_defined(Volatility::Immutable) })),
    );
    all
}

/// The type of a map from these keys to these values.
fn checked(key: &DataType, value: &DataType) -> Result<DataType> {
    if has_map(key) {
        return plan_err!("maps are no keys, and found {}", with_article(&type_name(key)));
    }
    match (types::normalized(key), types::normalized(value)) {
        (Some(key), Some(value)) => Ok(map_of(key, value)),
        _ => plan_err!("keys and values have types that columns have: cast a null, as in `cast(null as string)`"),
    }
}

/// The entries of a map: the places of its keys and of its values.
type Entries = Vec<(usize, usize)>;

/// Maps of a type, each of the keys and the values at its places.
fn made_of(of: &DataType, keys: &ArrayRef, values: &ArrayRef, all: &[Option<Entries>]) -> Result<ArrayRef> {
    let (DataType::Map(entries, is_sorted), Some((key, _))) = (of, key_and_value(of)) else {
        return internal_err!("{of} is no map");
    };
    let keys = normalized(keys);
    let rows =
        RowConverter::new(vec![SortField::new(key.data_type().clone())])?.convert_columns(&[Arc::clone(&keys)])?;
    for places in all.iter().flatten() {
        let mut seen = HashSet::with_capacity(places.len());
        for (key, _) in places {
            if keys.is_null(*key) || !seen.insert(rows.row(*key)) {
                wrong_key(&keys, *key)?;
            }
        }
    }
    let offsets = OffsetBuffer::from_lengths(all.iter().map(|places| places.as_ref().map_or(0, Vec::len)));
    let nulls = NullBuffer::from_iter(all.iter().map(Option::is_some));
    let places = || all.iter().flatten().flatten();
    let taken = |values: &ArrayRef, places: Vec<u64>| take(values, &arrow::array::UInt64Array::from(places), None);
    let keys = taken(&keys, places().map(|(key, _)| *key as u64).collect())?;
    let values = taken(values, places().map(|(_, value)| *value as u64).collect())?;
    let DataType::Struct(fields) = entries.data_type() else { return internal_err!("{of} is no map") };
    let pairs = StructArray::try_new(fields.clone(), vec![keys, values], None)?;
    Ok(Arc::new(MapArray::try_new(Arc::clone(entries), offsets, pairs, Some(nulls), *is_sorted)?))
}

fn of_arrays(args: &[ArrayRef]) -> Result<ArrayRef> {
    let (keys, values) = (args[0].as_list::<i32>(), args[1].as_list::<i32>());
    let of_row = |row: usize| {
        if keys.is_null(row) || values.is_null(row) {
            return Ok(None);
        }
        let (of_keys, of_values) = (range_of_items(keys, row), range_of_items(values, row));
        if of_keys.len() != of_values.len() {
            return exec_err!(
                "there are {} keys and {} values, and each key has one value",
                of_keys.len(),
                of_values.len()
            );
        }
        Ok(Some(of_keys.zip(of_values).collect()))
    };
    let all = (0..keys.len()).map(of_row).collect::<Result<Vec<_>>>()?;
    let of = OF_ARRAYS(&[args[0].data_type().clone(), args[1].data_type().clone()])?;
    made_of(&of, keys.values(), values.values(), &all)
}

fn of_entries(args: &[ArrayRef]) -> Result<ArrayRef> {
    let arrays = args[0].as_list::<i32>();
    let pairs = arrays.values().as_struct();
    let of_row = |row: usize| {
        let places = range_of_items(arrays, row);
        // As in Spark, a null in place of an entry makes the map null.
        let is_null = arrays.is_null(row) || places.clone().any(|place| pairs.is_null(place));
        (!is_null).then(|| places.map(|place| (place, place)).collect())
    };
    let all: Vec<_> = (0..arrays.len()).map(of_row).collect();
    made_of(&OF_ENTRIES(&[args[0].data_type().clone()])?, pairs.column(0), pairs.column(1), &all)
}

/// `str_to_map(text[, between entries[, between key and value]])`, whose separators are regular expressions.
fn of_texts(args: &[ArrayRef]) -> Result<ArrayRef> {
    let all_texts = texts(args, 0)?;
    let separators = |at: usize| args.get(at).map(|_| texts(args, at)).transpose();
    let (between, within) = (Separators::of(separators(1)?, ","), Separators::of(separators(2)?, ":"));
    let (mut keys, mut values, mut all): (Vec<&str>, Vec<Option<&str>>, Vec<Option<Entries>>) = Default::default();
    let (mut between, mut within) = (between, within);
    for row in 0..all_texts.len() {
        let (text, between, within) = (!all_texts.is_null(row), between.at(row)?, within.at(row)?);
        let (true, Some(between), Some(within)) = (text, between, within) else {
            all.push(None);
            continue;
        };
        let start = keys.len();
        for entry in between.split(all_texts.value(row)) {
            let (key, value) = match within.first(entry) {
                Some(found) => (&entry[..found.start], Some(&entry[found.end..])),
                None => (entry, None),
            };
            keys.push(key);
            values.push(value);
        }
        all.push(Some((start..keys.len()).map(|place| (place, place)).collect()));
    }
    let (keys, values): (ArrayRef, ArrayRef) =
        (Arc::new(StringArray::from_iter_values(keys)), Arc::new(values.into_iter().collect::<StringArray>()));
    made_of(&OF_TEXTS(&[])?, &keys, &values, &all)
}

/// What stands between the parts of a text: the matches of a pattern, and nothing where it is empty.
#[derive(Clone)]
struct Separator(Regex);

impl Separator {
    fn is_empty(&self) -> bool {
        self.0.as_str().is_empty()
    }

    /// As in Java, an empty match at the start separates nothing; as in Spark, an empty pattern separates characters.
    fn split<'t>(&self, text: &'t str) -> Vec<&'t str> {
        let starts_empty = self.0.find(text).is_some_and(|found| found.end() == 0);
        let mut parts: Vec<_> = self.0.split(text).skip(usize::from(starts_empty)).collect();
        if self.is_empty() && parts.len() > 1 {
            parts.pop();
        }
        parts
    }

    /// The place of the first separator in a text.
    fn first(&self, text: &str) -> Option<Range<usize>> {
        let is_one = |place: &Range<usize>| place.end > 0 && !(self.is_empty() && place.end == text.len());
        self.0.find_iter(text).map(|found| found.range()).find(is_one)
    }
}

/// The separators of each row. The last one is kept: it usually stays the same.
struct Separators {
    texts: Option<StringArray>,
    last: Option<(String, Separator)>,
    otherwise: &'static str,
}

impl Separators {
    fn of(texts: Option<StringArray>, otherwise: &'static str) -> Self {
        Self { texts, last: None, otherwise }
    }

    /// `None` for a null.
    fn at(&mut self, row: usize) -> Result<Option<Separator>> {
        let text = match &self.texts {
            Some(texts) if texts.is_null(row) => return Ok(None),
            Some(texts) => texts.value(row),
            None => self.otherwise,
        };
        if let Some((_, separator)) = self.last.as_ref().filter(|(last, _)| last == text) {
            return Ok(Some(separator.clone()));
        }
        let regex =
            java_regex::compiled(text, "").or_else(|why| exec_err!("the regular expression has a fault: {why}"))?;
        let separator = Separator(regex);
        self.last = Some((text.to_owned(), separator.clone()));
        Ok(Some(separator))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Makes {
    /// `map(key, value, …)`.
    Map,
    /// `map_concat(map, …)`.
    Concat,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct MakeMap {
    makes: Makes,
    signature: Signature,
}

/// The type that values of these types get; `None` if they have none that each of them is without a loss, or if all are
/// bare nulls.
fn common<'t>(types: impl Iterator<Item = &'t DataType>) -> Option<DataType> {
    let mut stored = types.filter(|of| !of.is_null()).map(types::normalized);
    let first = stored.next()??;
    stored.try_fold(first, |one, other| {
        let other = other?;
        let is_time = |of: &DataType| matches!(of, DataType::Date32 | DataType::Timestamp(..));
        if one == other {
            Some(one)
        } else if one.is_numeric() && other.is_numeric() {
            if one.is_floating() || other.is_floating() {
                return Some(DataType::Float64);
            }
            type_union_coercion(&one, &other)
        } else {
            (is_time(&one) && is_time(&other)).then(timestamp_type)
        }
    })
}

impl MakeMap {
    fn of_pairs(types: &[DataType]) -> Result<Vec<DataType>> {
        if types.is_empty() || types.len() % 2 == 1 {
            return plan_err!("`map` takes keys with their values, as in `map('a', 1, 'b', 2)`");
        }
        let of = |at: usize| common(types.iter().skip(at).step_by(2));
        match (of(0), of(1)) {
            (Some(key), _) if has_map(&key) => checked(&key, &key).map(|_| Vec::new()),
            (Some(key), Some(value)) => Ok([key, value].into_iter().cycle().take(types.len()).collect()),
            _ => plan_err!("`map` takes keys of one type and values of one type: cast them"),
        }
    }

    fn of_maps(types: &[DataType]) -> Result<Vec<DataType>> {
        let refused = || plan_err!("`map_concat` takes maps of one type: cast their keys and values");
        let Some(all) = types.iter().map(key_and_value).collect::<Option<Vec<_>>>() else { return refused() };
        let key = common(all.iter().map(|(key, _)| key.data_type()));
        match key.zip(common(all.iter().map(|(_, value)| value.data_type()))) {
            Some((key, value)) => Ok(vec![map_of(key, value); types.len()]),
            None => refused(),
        }
    }

    /// The map of each row from the keys and values of its columns.
    fn of_columns(of: &DataType, columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let all = |at: usize| -> Result<ArrayRef> {
            let columns: Vec<&dyn Array> = columns.iter().skip(at).step_by(2).map(AsRef::as_ref).collect();
            Ok(concat(&columns)?)
        };
        let of_row =
            |row: usize| Some((0..columns.len() / 2).map(|pair| (pair * rows + row, pair * rows + row)).collect());
        made_of(of, &all(0)?, &all(1)?, &(0..rows).map(of_row).collect::<Vec<_>>())
    }

    fn joined(of: &DataType, columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let maps: Vec<&MapArray> = columns.iter().map(|column| column.as_map()).collect();
        let all = |part: fn(&MapArray) -> &ArrayRef| -> Result<ArrayRef> {
            Ok(concat(&maps.iter().map(|maps| part(maps).as_ref()).collect::<Vec<&dyn Array>>())?)
        };
        let of_row = |row: usize| {
            let (mut places, mut behind) = (Entries::new(), 0);
            for maps in &maps {
                if maps.is_null(row) {
                    return None;
                }
                places.extend(range(maps, row).map(|place| (behind + place, behind + place)));
                behind += maps.keys().len();
            }
            Some(places)
        };
        made_of(of, &all(MapArray::keys)?, &all(MapArray::values)?, &(0..rows).map(of_row).collect::<Vec<_>>())
    }
}

impl ScalarUDFImpl for MakeMap {
    fn name(&self) -> &str {
        match self.makes {
            Makes::Map => "map",
            Makes::Concat => "map_concat",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match self.makes {
            Makes::Map => Self::of_pairs(arg_types),
            Makes::Concat => Self::of_maps(arg_types),
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match (self.makes, arg_types) {
            (Makes::Map, [key, value, ..]) => Ok(map_of(key.clone(), value.clone())),
            (Makes::Concat, [map, ..]) => Ok(map.clone()),
            _ => plan_err!("`{}` takes values", self.name()),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = rows_to_compute(&args);
        let columns = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let of = args.return_field.data_type();
        let maps = match self.makes {
            Makes::Map => Self::of_columns(of, &columns, rows)?,
            Makes::Concat => Self::joined(of, &columns, rows)?,
        };
        result(&args, &maps)
    }
}
