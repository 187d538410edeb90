//! Steps that bring rows of one key together, a folder each. What they keep from one epoch to the next goes through `state`.

pub mod tumbling;
