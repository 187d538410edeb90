//! Tests across the whole system, in one program so that they share one Kafka and one S3 server. Each module is what it tries; each test
//! is named by its outcome.
#![allow(clippy::unwrap_used)]

mod bad_input;
mod broker_leaders;
mod broker_listeners;
mod broker_restarts;
mod broker_throttles;
mod changed_documents;
mod checkpoint_removal;
mod compacted_topics;
mod crash_at_each_step;
mod cut_log;
mod demo;
mod discovery;
mod examples;
mod generated_pipelines;
mod http;
mod idle_partitions;
mod last_windows;
mod lost_offsets;
mod maintenance;
mod memory;
mod metadata_columns;
mod ordered_against_duckdb;
mod producer;
mod random_kills;
mod replay_rejected;
mod rides_to_delta;
mod s3_faults;
mod saved_state;
mod services_work;
mod side_outputs;
mod signals;
mod sinks_away;
mod skew;
mod soak;
mod start_positions;
mod state_actions;
mod transactions;
mod two_writers;
