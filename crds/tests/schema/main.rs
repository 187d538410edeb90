//! The schemas that the types give: one for API servers and one for editors.
#![allow(clippy::unwrap_used)]

mod definition;
mod editors;
