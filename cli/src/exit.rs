//! Exit codes that several commands end with; those of failures come from their remedies.

/// Wrong input: of `validate`, and of `run` before it begins.
pub const BAD_INPUT: u8 = 2;
