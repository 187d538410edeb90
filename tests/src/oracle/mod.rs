//! The oracle computes what a pipeline must have written, in the most naive way: one record at a time, every row kept,
//! everything looked up in maps. It takes the records as a plain consumer reads them and, from the manifests, only the
//! offset ranges, the clock and which partitions were idle. It derives watermarks, lateness and windows by itself, and
//! then compares the manifests' own figures with them.
//!
//! The definitions are those of `docs/reference`. The oracle shares no code with the engine, on purpose, and must never
//! have a clever structure.

mod acknowledged;
mod aggregate;
pub mod compare;
mod document;
pub mod expr;
pub mod graph;
pub mod manifest;
pub mod part;
pub mod pipeline;
pub mod replay;
mod site;
pub mod time;
pub mod value;
pub mod window;

pub use compare::assert_same_rows;
pub use pipeline::Pipeline;
pub use replay::replay;
pub use window::Window;
