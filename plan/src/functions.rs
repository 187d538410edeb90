//! Scalar functions: DataFusion's, and our own where Spark's users expect another behaviour under the same name.

mod adjusted;
mod arguments;
mod bounded;
mod by_pattern;
mod date_bin;
mod date_format;
mod date_trunc;
mod datetime_pattern;
mod datetime_text;
mod initcap;
mod log;
mod regexp_extract;
mod regexp_like;
mod regexp_replace;
mod substr;
mod to_date;
mod to_timestamp;
mod to_unixtime;

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_expr::ScalarUDF;

pub(crate) use by_pattern::refused_pattern;

/// The most bytes of one value that an expression computes. A column that is passed through unchanged is bounded only
/// by the size of its record.
pub const VALUE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The most bytes that one call may make over all of its rows. Above it the call fails, and the caller retries with
/// fewer rows; a single row is exempt.
pub(crate) const CALL_BYTES_MAX: u64 = 16 * VALUE_BYTES_MAX as u64;

/// Functions that tell about files or the build. They are left out: the same rows would not always give the same
/// result.
const WITHOUT_MEANING: [&str; 3] = ["version", "input_file_name", "file_row_index"];

/// The function that reads texts as a cast to `target` does, or as a `try_cast` does; `None` if Arrow's casts do what
/// Spark's do.
pub(crate) fn reading_cast(target: &DataType, is_try: bool) -> Option<ScalarUDF> {
    let misfit = if is_try { by_pattern::Misfit::IsNull } else { by_pattern::Misfit::Fails };
    match target {
        DataType::Date32 => Some(to_date::ToDate::cast(misfit).into()),
        DataType::Timestamp(..) => Some(to_timestamp::ToTimestamp::cast(misfit).into()),
        _ => None,
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
        ScalarUDF::from(substr::Substr::within()),
        ScalarUDF::from(substr::Substr::left()),
        ScalarUDF::from(substr::Substr::right()),
        ScalarUDF::from(to_date::ToDate::failing()),
        ScalarUDF::from(to_date::ToDate::trying()),
        ScalarUDF::from(to_unixtime::ToUnixtime::new()),
    ];
    functions.chain(own.into_iter().chain(to_timestamp::all()).map(Arc::new)).collect()
}
