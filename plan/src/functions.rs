//! Scalar functions: DataFusion's, and our own where Spark's users expect another behaviour under the same name.

mod adjusted;
mod arguments;
mod arrays;
mod bounded;
mod by_pattern;
mod date_bin;
mod date_format;
mod date_trunc;
mod datetime_pattern;
mod datetime_text;
mod days;
pub(crate) mod decimals;
mod hashes;
mod initcap;
mod java_regex;
mod json;
mod log;
mod maps;
mod numbers;
mod parts;
pub(crate) mod reading;
mod regexp_extract;
mod regexp_like;
mod regexp_replace;
mod round;
mod row_hashes;
mod simple;
mod strings;
mod text_of;
mod to_date;
mod to_timestamp;
mod to_unixtime;
mod tries;
mod zones;

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_expr::ScalarUDF;

pub(crate) use arrays::AT;
pub(crate) use by_pattern::refused_pattern;
pub(crate) use days::is_unit;
pub(crate) use maps::{VALUE_AT, of_a_map};
pub(crate) use parts::unknown_part;

/// The most bytes of one value that an expression computes. A column that is passed through unchanged is bounded only
/// by the size of its record.
pub const VALUE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The most bytes that one call may make over all of its rows. Above it the call fails, and the caller retries with
/// fewer rows; a single row is exempt.
pub(crate) const CALL_BYTES_MAX: u64 = 16 * VALUE_BYTES_MAX as u64;

/// DataFusion's functions that are left out. Some tell about files or the build, so the same rows would not always give
/// the same result; the others take or give types and metadata that no column has.
const WITHOUT_MEANING: [&str; 12] = [
    "version",
    "input_file_name",
    "file_row_index",
    "arrow_field",
    "arrow_metadata",
    "cast_to_type",
    "make_time",
    "to_time",
    "try_cast_to_type",
    "union_extract",
    "union_tag",
    "with_metadata",
];

/// The function that gives what Spark's cast of a value of the type `found` to `target` gives, or its `try_cast`.
/// `None` if Arrow's casts do what Spark's do.
pub(crate) fn cast_function(found: &DataType, target: &DataType, is_try: bool) -> Option<ScalarUDF> {
    let misfit = if is_try { by_pattern::Misfit::IsNull } else { by_pattern::Misfit::Fails };
    match target {
        DataType::Date32 if found.is_string() => Some(to_date::ToDate::cast(misfit).into()),
        DataType::Timestamp(..) if found.is_string() => Some(to_timestamp::ToTimestamp::cast(misfit).into()),
        target if target.is_string() && text_of::has_own_text(found) => Some(text_of::function()),
        target => reading::Reading::of(found, target, is_try).map(ScalarUDF::from),
    }
}

/// Every function that an expression may call. A later function replaces an earlier one of the same name or alias.
pub(crate) fn scalar_functions() -> Vec<Arc<ScalarUDF>> {
    let mut functions = datafusion_functions::all_default_functions();
    functions.retain(|f| !WITHOUT_MEANING.contains(&f.name()));
    let functions = functions.into_iter().map(bounded::bounded).map(adjusted::adjusted);
    let own = [
        ScalarUDF::from(date_format::DateFormat::new()),
        ScalarUDF::from(date_trunc::DateTrunc::new()),
        ScalarUDF::from(date_bin::DateBin::new()),
        ScalarUDF::from(initcap::Initcap::new()),
        ScalarUDF::from(log::Log::new()),
        ScalarUDF::from(regexp_extract::RegexpExtract::new()),
        ScalarUDF::from(regexp_like::RegexpLike::new()),
        ScalarUDF::from(regexp_replace::RegexpReplace::new()),
        ScalarUDF::from(arrays::MakeArray::new()),
        ScalarUDF::from(row_hashes::RowHash::xxhash64()),
        ScalarUDF::from(row_hashes::RowHash::murmur3()),
        ScalarUDF::from(round::Round::half_up()),
        ScalarUDF::from(round::Round::half_even()),
        ScalarUDF::from(to_date::ToDate::failing()),
        ScalarUDF::from(to_date::ToDate::trying()),
        ScalarUDF::from(to_unixtime::ToUnixtime::new()),
    ];
    let own = own.into_iter().chain(to_timestamp::all()).chain(numbers::all()).chain(strings::all());
    let own = own.chain(parts::all()).chain(days::all()).chain(zones::all()).chain(tries::all()).chain(hashes::all());
    functions.chain(own.chain(json::all()).chain(arrays::all()).chain(maps::all()).map(Arc::new)).collect()
}
