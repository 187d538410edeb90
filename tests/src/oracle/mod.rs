//! What a pipeline must have written, worked out again in the most naive way: one record at a time, every row kept,
//! everything looked up in maps. It takes the records as a plain consumer reads them and, from the manifests, only the
//! offset ranges, the clock and which partitions were idle; watermarks, lateness and windows it derives by itself, and
//! then holds the manifests' own figures against them.
//!
//! The definitions are DESIGN.md §2. Shares no code with the engine, on purpose: no clever structure here, ever.

mod acknowledged;
mod aggregate;
pub mod compare;
mod document;
pub mod expr;
pub mod manifest;
pub mod part;
pub mod pipeline;
pub mod replay;
mod site;
pub mod time;
pub mod value;

pub use compare::assert_same_rows;
pub use pipeline::Pipeline;
pub use replay::replay;
