//! Reads the demo's table with delta-rs, and the files that the table's log names.

use std::fmt::Write;
use std::fs::File;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use deltalake::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use weir_runtime::Failure;

const COLUMNS: [&str; 6] = ["city", "win_start", "win_end", "revenue", "avg_distance", "cnt"];

/// The rows of the last `count` windows as text, one per line, sorted by time and city.
pub async fn last_windows(table: &Path, count: usize) -> Result<String, Failure> {
    let failed = |e: &dyn std::fmt::Display| Failure::bug(format!("read the table {} back: {e}", table.display()));
    let url = url::Url::from_directory_path(table).map_err(|()| failed(&"not an absolute path"))?;
    let delta = deltalake::open_table(url).await.map_err(|e| failed(&e))?;
    let mut rows: Vec<[String; COLUMNS.len()]> = Vec::new();
    for uri in delta.get_file_uris().map_err(|e| failed(&e))? {
        let path = url::Url::parse(&uri).ok().and_then(|u| u.to_file_path().ok()).unwrap_or_else(|| uri.clone().into());
        let file = File::open(path).map_err(|e| failed(&e))?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|b| b.build()).map_err(|e| failed(&e))?;
        for batch in reader {
            rows_of(&batch.map_err(|e| failed(&e))?, &mut rows).map_err(|e| failed(&e))?;
        }
    }
    rows.sort_by(|a, b| (&a[1], &a[0]).cmp(&(&b[1], &b[0])));
    let mut windows: Vec<&str> = rows.iter().map(|r| r[1].as_str()).collect();
    windows.dedup();
    let first = windows[windows.len().saturating_sub(count)..].first().copied().unwrap_or_default().to_owned();
    let mut text = String::new();
    let [city, start, end, revenue, distance, rides] = COLUMNS;
    let _ = writeln!(text, "{city:5} {start:20} {end:20} {revenue:>10} {distance:>13} {rides:>6}");
    for [city, start, end, revenue, distance, rides] in rows.iter().filter(|r| r[1] >= first) {
        let _ = writeln!(text, "{city:5} {start:20} {end:20} {revenue:>10} {distance:>13} {rides:>6}");
    }
    Ok(text)
}

fn rows_of(batch: &RecordBatch, rows: &mut Vec<[String; COLUMNS.len()]>) -> Result<(), arrow::error::ArrowError> {
    let options = FormatOptions::default();
    let column = |name: &str| ArrayFormatter::try_new(batch.column(batch.schema().index_of(name)?).as_ref(), &options);
    let columns = COLUMNS.iter().map(|name| column(name)).collect::<Result<Vec<_>, _>>()?;
    for row in 0..batch.num_rows() {
        rows.push(std::array::from_fn(|i| {
            let text = columns[i].value(row).to_string();
            // These columns are doubles with more digits than the demo should show.
            if i == 3 || i == 4 { text.parse::<f64>().map_or(text, |v| format!("{v:.2}")) } else { text }
        }));
    }
    Ok(())
}
