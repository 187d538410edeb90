//! Tests across the whole system, in one program so that they share one Kafka and one S3 server. Each module is what it tries; each test
//! is named by its outcome.
#![allow(clippy::unwrap_used)]

mod bad_input;
mod broker_restarts;
mod crash_at_each_step;
mod generated_pipelines;
mod ordered_against_duckdb;
mod random_kills;
mod rides_to_delta;
mod s3_faults;
mod services_work;
mod two_writers;
