//! The operator against a real API server without controllers and nodes: the tests play these, and write what pods
//! would report.
#![allow(clippy::unwrap_used)]

mod conditions;
mod deletion;
mod former;
mod guarded;
mod health;
mod looks;
mod ownership;
mod pods;
mod races;
mod requests;
mod rights;
mod rollback;
mod runs;
mod secrets;
mod stage;
mod tenants;
