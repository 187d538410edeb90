//! The operator against a real API server without controllers and nodes: the tests play those, and write what pods would say.
#![allow(clippy::unwrap_used)]

mod deletion;
mod health;
mod rollback;
mod runs;
mod stage;
