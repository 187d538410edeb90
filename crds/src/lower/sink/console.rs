//! Consoles: how much of an epoch they show.

use weir_plan::plan;

use crate::defaults;
use crate::document::ConsoleSink;
use crate::finding::{Findings, Path};

const ROWS_MAX: i64 = 1000;
const TRUNCATE_MAX: i64 = 10_000;

/// Lowers a console. `at` is the sink's path.
pub(super) fn lower(console: &ConsoleSink, at: &Path, out: &mut Findings) -> Option<plan::ConsoleSink> {
    let at = at.field("console");
    let rows = out.integer(&at.field("rows"), console.rows.unwrap_or(defaults::CONSOLE_ROWS), 1..=ROWS_MAX);
    let truncate = console.truncate.unwrap_or(defaults::CONSOLE_TRUNCATE);
    let truncate = out.integer(&at.field("truncate"), truncate, 1..=TRUNCATE_MAX);
    Some(plan::ConsoleSink { rows: usize::try_from(rows?).ok()?, truncate: usize::try_from(truncate?).ok()? })
}
