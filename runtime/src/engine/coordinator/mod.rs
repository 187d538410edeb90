//! The coordinator. It decides when an epoch is closed and where the watermarks stand then, and carries the epoch from
//! the lanes' reports to the commit.

mod closing;
mod driver;
mod idle_sources;
mod last_windows;
mod summary;

pub use self::driver::run;
pub use self::summary::Summary;
