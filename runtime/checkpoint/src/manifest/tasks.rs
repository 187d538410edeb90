//! What the tasks of the data plane contribute: the keyed state, and the progress of the steps that keep it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use weir_plan::ids::Epoch;

use crate::layout::StateName;

/// What one task of the data plane contributes. There is one task now; scale-out adds more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    pub id: u32,
    /// A half-open range of key groups.
    pub key_groups: (u16, u16),
    /// The state files that, merged, are the keyed state after this epoch. Oldest first.
    pub state: Vec<StateFile>,
    /// The epoch for which this writer began a compaction that is still writing files. No manifest names these files
    /// yet, and a later one may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compacting: Option<Epoch>,
    /// The progress of each step that has state, by name.
    pub steps: Vec<StepProgress>,
    /// Rows behind a window that could not be computed, by step: they were dropped or went to the step's output
    /// `Rejected`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rows_bad: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StateFile {
    /// The file's path, relative to the checkpoint's root.
    pub path: String,
    pub bytes: u64,
    pub rows: u64,
    pub crc32: u32,
    /// The tables of steps that have entries in the file. Once it is below the horizons of all of them, nobody needs
    /// the file any more.
    pub tables: Vec<TableInFile>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableInFile {
    pub step: String,
    pub table: String,
    /// The greatest time of an entry; `None` if entries have no time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_time_us: Option<i64>,
}

impl StateFile {
    /// The name in the file's path; `None` if Weir did not give it.
    #[must_use]
    pub fn name(&self) -> Option<StateName> {
        StateName::parse(self.path.rsplit('/').next()?)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepProgress {
    pub name: String,
    /// The step's inputs, in the document's order.
    pub inputs: Vec<InputProgress>,
    pub rows_out: u64,
    /// The tables that the step keeps after this epoch.
    pub tables: Vec<TableProgress>,
    /// How many windows are open after this epoch, if the step has windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_windows: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InputProgress {
    pub watermark_before_us: Option<i64>,
    pub watermark_after_us: Option<i64>,
    /// Rows of this epoch, including late ones.
    pub rows_in: u64,
    /// Rows among these that the step took no part of, because they came behind its watermark.
    pub rows_late: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableProgress {
    pub name: String,
    pub entries: u64,
    /// The time below which entries are closed for good. It never falls, whatever happens to the document.
    pub horizon_us: Option<i64>,
}

impl StepProgress {
    /// The step's state once the epoch is over and no new rows have come.
    #[must_use]
    pub fn at_rest(&self) -> Self {
        let at_rest = |input: &InputProgress| InputProgress {
            watermark_before_us: input.watermark_after_us,
            watermark_after_us: input.watermark_after_us,
            ..InputProgress::default()
        };
        Self { inputs: self.inputs.iter().map(at_rest).collect(), rows_out: 0, ..self.clone() }
    }

    /// Rows that came in, over all inputs.
    #[must_use]
    pub fn rows_in(&self) -> u64 {
        self.inputs.iter().map(|input| input.rows_in).sum()
    }

    /// Late rows, over all inputs.
    #[must_use]
    pub fn rows_late(&self) -> u64 {
        self.inputs.iter().map(|input| input.rows_late).sum()
    }

    /// Entries, over all tables.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.tables.iter().map(|table| table.entries).sum()
    }
}
