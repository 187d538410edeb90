//! Rows as a table of text.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde::{Deserialize, Serialize};
use weir_base::failure::{Failure, Result};
use weir_plan::plan::ConsoleSink;

/// How much of an epoch's rows is kept, in bytes of text: manifests are read whole.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// The texts of an epoch's first rows.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Cells {
    rows: Vec<Vec<String>>,
    bytes: usize,
}

impl Cells {
    /// Takes in rows, as long as fewer are there than the console shows.
    pub fn take(&mut self, batch: &RecordBatch, console: &ConsoleSink) -> Result<()> {
        let left = console.rows.saturating_sub(self.rows.len()).min(batch.num_rows());
        if left == 0 || self.bytes >= TEXT_BYTES_MAX {
            return Ok(());
        }
        let options = FormatOptions::default()
            .with_null("NULL")
            .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
            .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f"));
        let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
        let refused = |e| Failure::bug(format!("a value that has no text: {e}"));
        let columns: Vec<_> = columns.collect::<Result<_, _>>().map_err(refused)?;
        for row in 0..left {
            let cells = columns.iter().map(|column| {
                let text = column.value(row).try_to_string().map_err(refused)?;
                Ok(cut(&text, console.truncate))
            });
            let cells: Vec<String> = cells.collect::<Result<_>>()?;
            self.bytes += cells.iter().map(String::len).sum::<usize>();
            if self.bytes >= TEXT_BYTES_MAX && !self.rows.is_empty() {
                return Ok(());
            }
            self.rows.push(cells);
        }
        Ok(())
    }
}

/// The first characters of a text, with three points in place of the last ones where it is longer, as Spark shows it.
/// Line feeds and other control characters are written as escapes, since a row is a line.
fn cut(text: &str, characters_max: usize) -> String {
    let escape = |c: char| if c.is_control() { c.escape_default().collect::<String>() } else { c.to_string() };
    if text.chars().count() <= characters_max {
        return text.chars().map(escape).collect();
    }
    let (kept, points) = if characters_max < 4 { (characters_max, "") } else { (characters_max - 3, "...") };
    text.chars().take(kept).map(escape).chain([points.to_owned()]).collect()
}

/// A table of text: a line for the columns' names, and one per row.
pub(super) struct Grid {
    names: Vec<String>,
    /// Numbers stand at the right of their column.
    is_number: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Grid {
    pub fn new(schema: &Schema) -> Self {
        let fields = schema.fields();
        Self {
            names: fields.iter().map(|field| cut(field.name(), usize::MAX)).collect(),
            is_number: fields.iter().map(|field| field.data_type().is_numeric()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds rows, as long as there are fewer than `rows_max`.
    pub fn add(&mut self, cells: Cells, rows_max: usize) {
        let left = rows_max.saturating_sub(self.rows.len());
        self.rows.extend(cells.rows.into_iter().take(left));
    }

    /// The table, and how many of the epoch's rows are in it if not all are.
    pub fn text(&self, all: u64) -> String {
        let width = |column: usize| {
            let of_rows = self.rows.iter().map(|row| row[column].chars().count());
            of_rows.chain([self.names[column].chars().count()]).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..self.names.len()).map(width).collect();
        let line = |cells: &[String]| {
            let cells = cells.iter().zip(&widths).zip(&self.is_number).map(|((cell, width), is_number)| {
                let room = " ".repeat(width.saturating_sub(cell.chars().count()));
                if *is_number { format!(" {room}{cell} ") } else { format!(" {cell}{room} ") }
            });
            format!("|{}|\n", cells.collect::<Vec<_>>().join("|"))
        };
        let rule: Vec<_> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
        let rule = format!("+{}+\n", rule.join("+"));
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        let shown = self.rows.len();
        let rest = if shown as u64 == all { String::new() } else { format!("the first {shown} of {all} rows\n") };
        format!("{rule}{}{rule}{rows}{rule}{rest}", line(&self.names))
    }
}
