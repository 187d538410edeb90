//! The duties of a table: compaction and vacuum. They read the table's log by themselves. From the commits beside them
//! they know only the names of the files that may yet be committed. If the process ends in the middle, the next vacuum
//! deletes what they left.

mod choose;
pub(super) mod compact;
mod garbage;
mod listing;
mod references;
mod rewrite;
mod seen;
pub(super) mod table;
pub(super) mod vacuum;
mod winners;

use std::sync::Arc;

use weir_plan::plan;

use self::compact::Compaction;
use self::table::{Maintained, Table};
use self::vacuum::Vacuum;
use crate::upkeep::{Duty, Surroundings};

/// The maintenance that the document asks for.
pub(super) fn duties(table: Maintained, wanted: plan::Maintenance, surroundings: &Surroundings) -> Vec<Box<dyn Duty>> {
    let table = Arc::new(Table::new(table, surroundings));
    let mut duties: Vec<Box<dyn Duty>> = Vec::new();
    if let Some(every) = wanted.compact_every {
        duties.push(Box::new(Compaction { table: Arc::clone(&table), every }));
    }
    if let Some(after) = wanted.vacuum_after {
        duties.push(Box::new(Vacuum { table, after }));
    }
    duties
}
