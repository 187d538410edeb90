//! Servers that tests start by themselves: a real Kafka, a real S3. The scripts in `tests/services/` know how to start
//! them; these handles decide when.

pub mod cluster;
pub mod kafka;
pub mod ports;
pub mod process;
pub mod s3;
pub mod script;
pub mod secure_kafka;
