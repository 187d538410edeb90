//! The outputs of a node besides its rows: records that a source could not take in (`Rejected`), rows that a keyed step
//! or a step behind one could not compute (`Rejected`), and late rows (`Late` of a step with one input, `LateLeft` and
//! `LateRight` of a join). Their columns are fixed; `docs/reference/outputs.md` describes them for users.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field, FieldRef, Schema, SchemaRef};

use crate::aggregate::{WINDOW_END, WINDOW_START};
use crate::quote::quoted;
use crate::types::{Column, DataType, EVENT_TIME, timestamp_type};

/// The output of a node that a sink writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    Main,
    Late,
    LateLeft,
    LateRight,
    Rejected,
}

impl Output {
    pub const ALL: [Self; 5] = [Self::Main, Self::Late, Self::LateLeft, Self::LateRight, Self::Rejected];

    /// The output's name in the document, as in `revenue.Late`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Main => "Main",
            Self::Late => "Late",
            Self::LateLeft => "LateLeft",
            Self::LateRight => "LateRight",
            Self::Rejected => "Rejected",
        }
    }

    /// The index of the step's input whose late rows leave by this output; `None` if the output has no late rows.
    #[must_use]
    pub const fn late_input(self) -> Option<usize> {
        match self {
            Self::Late | Self::LateLeft => Some(0),
            Self::LateRight => Some(1),
            Self::Main | Self::Rejected => None,
        }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The event time of a late row.
pub(crate) const LATE_EVENT_TIME: &str = "event_time";
/// The watermark that had closed the row's window.
pub(crate) const LATE_WATERMARK: &str = "watermark";
/// How long before that watermark the window ended, in milliseconds.
pub(crate) const LATE_BY_MS: &str = "late_by_ms";

/// The columns of `Rejected` of a source: the record as Kafka has it, why it was not taken in, and the place in the
/// record where the error is, if there is one.
#[must_use]
pub fn rejected_schema() -> SchemaRef {
    let column = |name: &str, data_type, nullable| Column { name: name.to_owned(), data_type, nullable }.to_field();
    Arc::new(Schema::new(vec![
        column("topic", DataType::String, false),
        column("partition", DataType::Int, false),
        column("offset", DataType::Bigint, false),
        column("timestamp", DataType::Timestamp, true),
        column("key", DataType::Binary, true),
        column("value", DataType::Binary, true),
        column("reason", DataType::String, false),
        column("path", DataType::String, true),
    ]))
}

/// The start of the reason in a row that stands for a range of unreadable offsets. Such a row has coordinates and no
/// record.
pub const REJECTED_RANGE: &str = "unreadable offsets [";

/// The name of the step that could not compute the row.
pub(crate) const REJECTED_STEP: &str = "step";
/// What was found, and what to write instead.
pub(crate) const REJECTED_REASON: &str = "reason";

/// The columns of `Rejected` of a step: `rows` are the columns that identify the row.
///
/// # Errors
/// One sentence, if `rows` has a column of the same name already.
pub fn rejected_rows_schema(rows: &Schema) -> Result<SchemaRef, String> {
    let own: Vec<FieldRef> = rows.fields().iter().filter(|f| f.name() != EVENT_TIME).cloned().collect();
    let added = [REJECTED_STEP, REJECTED_REASON];
    if let Some(taken) = own.iter().find(|f| added.iter().any(|name| f.name().eq_ignore_ascii_case(name))) {
        return Err(format!(
            "the Rejected output adds a column {}, and the rows have one already; rename it in a map step before",
            quoted(taken.name().to_lowercase())
        ));
    }
    let added = added.into_iter().map(|name| Arc::new(Field::new(name, ArrowType::Utf8, false)));
    Ok(Arc::new(Schema::new(own.into_iter().chain(added).collect::<Vec<_>>())))
}

/// The columns of `Late` of a step with windows: the columns of the input, then the window that the row missed and how
/// late it was.
///
/// # Errors
/// One sentence, if the input has a column of the same name already.
pub fn late_schema(input: &Schema) -> Result<SchemaRef, String> {
    with_added(
        input,
        &[
            (LATE_EVENT_TIME, timestamp_type()),
            (WINDOW_START, timestamp_type()),
            (WINDOW_END, timestamp_type()),
            (LATE_WATERMARK, timestamp_type()),
            (LATE_BY_MS, ArrowType::Int64),
        ],
    )
}

/// The columns of `Late` of a step without windows: the columns of the input, then how late the row was.
///
/// # Errors
/// One sentence, if the input has a column of the same name already.
pub fn late_rows_schema(input: &Schema) -> Result<SchemaRef, String> {
    let added =
        [(LATE_EVENT_TIME, timestamp_type()), (LATE_WATERMARK, timestamp_type()), (LATE_BY_MS, ArrowType::Int64)];
    with_added(input, &added)
}

fn with_added(input: &Schema, added: &[(&str, ArrowType)]) -> Result<SchemaRef, String> {
    let own: Vec<FieldRef> = input.fields().iter().filter(|f| f.name() != EVENT_TIME).cloned().collect();
    if let Some(taken) = own.iter().find(|f| added.iter().any(|(name, _)| f.name().eq_ignore_ascii_case(name))) {
        return Err(format!(
            "the Late output adds a column {}, and the rows have one already; rename it in a map step before",
            quoted(taken.name().to_lowercase())
        ));
    }
    let added = added.iter().map(|(name, data_type)| Arc::new(Field::new(*name, data_type.clone(), false)));
    Ok(Arc::new(Schema::new(own.into_iter().chain(added).collect::<Vec<_>>())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn input(names: &[&str]) -> Schema {
        Schema::new(names.iter().map(|name| Field::new(*name, ArrowType::Int64, true)).collect::<Vec<_>>())
    }

    #[test]
    fn a_late_row_has_the_columns_of_the_input_and_what_it_missed() {
        let schema = late_schema(&input(&["city", EVENT_TIME])).unwrap();
        let names: Vec<_> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        assert_eq!(names, ["city", "event_time", "window_start", "window_end", "watermark", "late_by_ms"]);
    }

    #[test]
    fn a_column_that_the_late_output_adds_may_not_be_there_already() {
        let refused = late_schema(&input(&["city", "Window_End"])).unwrap_err();
        assert_eq!(
            refused,
            "the Late output adds a column `window_end`, and the rows have one already; rename it in a map step before"
        );
    }
}
