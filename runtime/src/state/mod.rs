//! What keyed steps keep over a crash: the change of an epoch, in the order of state files; the format of the files;
//! their merge; and the log of files that together are the state.

mod change;
mod entries;
pub(crate) mod file;
mod grouped;
pub mod log;
mod merge;
mod order;
mod row_table;
mod schema;
mod table;
#[cfg(test)]
mod tests;

pub use change::Change;
pub use entries::{Entries, NEVER};
pub use grouped::Grouped;
pub use merge::Merge;
pub use row_table::{RowId, RowTable};
pub use schema::{Combine, Keeps, Kind, StateField, StepTable, TableSchema, V1};
pub use table::StateTable;
