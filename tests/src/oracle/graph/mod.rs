//! The oracle of graphs: several sources, any steps between them and several sinks. It computes each step as `step/`
//! defines it, over all rows that could ever matter, epoch by epoch. It takes the records as a plain consumer reads
//! them and, from the manifests, only the offset ranges, the clock, which partitions were idle and why a watermark
//! moved or was held. It derives everything else, and compares the manifests' figures with it.
//!
//! What it does not know: state actions, lost and unreadable offsets, the output `Rejected`, and, of what may be
//! emitted before a window closes, more than the modes Update and Complete of an aggregate without a window.

mod advance;
mod document;
pub mod manifest;
mod marks;
mod nodes;
mod replay;
mod source;
pub mod step;
#[cfg(test)]
mod tests;
mod tuple;

pub use nodes::{Graph, Mode, Sink, Step};
pub use replay::{Outcome, Records};
pub use source::{EventTime, Source, TimeOf};
pub use tuple::{Origin, Tuple};
