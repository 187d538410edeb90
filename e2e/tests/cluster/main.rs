//! Weir on a whole cluster, as a user meets it: `make e2e`. Files are named by what they try, tests by their outcome.
#![allow(clippy::unwrap_used)]

mod deploy;
mod recover;
mod state;
mod upgrade;
