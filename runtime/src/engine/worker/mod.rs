//! What comes after the first change of key: the state of keyed steps, and the rows that an epoch gives to the steps and sinks behind them. One worker
//! has it all so far.

mod bad_rows;
mod epoch_rows;
mod keyed_stage;

pub use self::keyed_stage::{KeyedStage, Watermarks};
