//! What all aggregates share: the columns that they compute from rows, their groups, the partial states of their calls,
//! and the rows that these become.

pub(in crate::keyed) mod due;
pub(in crate::keyed) mod group_table;
pub(in crate::keyed) mod inputs;
pub(in crate::keyed) mod keys;
pub(in crate::keyed) mod late;
pub(in crate::keyed) mod segments;
pub(in crate::keyed) mod states;
