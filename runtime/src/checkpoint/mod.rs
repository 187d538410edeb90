//! The checkpoint: who may write, what is decided, and where to go on.

pub mod manifest;
