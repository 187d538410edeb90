//! Scalar functions: DataFusion's, and those of our own where Spark's users expect another behaviour under the same name.

mod civil;
mod date_format;
mod datetime_pattern;

use std::sync::Arc;

use datafusion_expr::ScalarUDF;

/// About files and about the build: the same rows would not give the same result.
const WITHOUT_MEANING: [&str; 3] = ["version", "input_file_name", "file_row_index"];

/// Every function that an expression may call. A later one replaces an earlier one of the same name or alias.
pub(crate) fn scalar_functions() -> Vec<Arc<ScalarUDF>> {
    let mut functions = datafusion_functions::all_default_functions();
    functions.retain(|f| !WITHOUT_MEANING.contains(&f.name()));
    functions.push(Arc::new(ScalarUDF::from(date_format::DateFormat::new())));
    functions
}
