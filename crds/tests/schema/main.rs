//! The schemas that the types give: the one that API servers take, and the one that editors do.
#![allow(clippy::unwrap_used)]

mod definition;
mod editors;
