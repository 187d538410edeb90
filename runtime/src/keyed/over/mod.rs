//! Over: each row with aggregates over the row and rows of its key before it, once the watermark has passed it. One
//! table holds the rows that wait and those that may still count: the watermark tells them apart.

mod frames;
mod operator;
mod step;

pub use step::OverStep;
