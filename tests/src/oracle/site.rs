//! The site of a pipeline: what differs from machine to machine and from run to run.

use std::collections::BTreeSet;

use serde_json::Value as Json;

/// The Secret that holds the S3 server's keys.
pub const S3_SECRET: &str = "lake";

/// Where a pipeline runs: what differs from machine to machine and from run to run.
#[derive(Debug, Clone)]
pub struct Site {
    pub bootstrap: String,
    pub topic: String,
    pub checkpoint_uri: String,
    pub table_uri: String,
    /// The endpoint of the S3 server, if the URIs are `s3://`.
    pub s3_endpoint: Option<String>,
    /// The document's `trigger`.
    pub trigger: Json,
    /// The limit of records per epoch. It is small, so that a test has several epochs.
    pub records_per_epoch: u64,
    /// The number of manifests that garbage collection keeps. The oracle needs all of them, from the first one on.
    pub keep: u64,
}

impl Site {
    /// The table of a side output.
    #[must_use]
    pub fn side_uri(&self, output: &str) -> String {
        format!("{}-{output}", self.table_uri)
    }

    /// `s3://bucket/` of every bucket.
    pub(super) fn s3_prefixes(&self) -> BTreeSet<String> {
        let bucket =
            |uri: &String| uri.strip_prefix("s3://")?.split('/').next().map(|bucket| format!("s3://{bucket}/"));
        [&self.checkpoint_uri, &self.table_uri].into_iter().filter_map(bucket).collect()
    }
}
