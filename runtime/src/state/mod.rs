//! What keyed steps keep over a crash: the change of an epoch, in the order of state files, the files' format, their merge, and the log of files
//! that together are the state.

mod change;
mod entries;
pub mod file;
pub mod log;
mod merge;
mod order;
mod schema;
mod table;
#[cfg(test)]
mod tests;

pub use change::Change;
pub use entries::Entries;
pub use merge::Merge;
pub use schema::{Combine, Keeps, StateField, TableSchema};
pub use table::StateTable;
