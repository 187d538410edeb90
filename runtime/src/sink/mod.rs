//! Where results go. A sink writes an epoch's rows before the manifest decides it, and makes them visible afterwards, exactly once.

pub mod delta;
