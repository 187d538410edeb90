//! Weir on a whole cluster, as a user sees it (`make e2e`). Files are named by what they try, tests by their outcome.
#![allow(clippy::unwrap_used)]

mod deploy;
mod gitops;
mod jobs;
mod nodes;
mod operator;
mod outages;
mod recover;
mod state;
mod trouble;
mod upgrade;
