//! librdkafka's settings and the reasons for them. Names and defaults: librdkafka's CONFIGURATION.md.

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use weir_plan::plan::KafkaSource;

/// Payload bytes that may wait in one lane's queue if memory does not limit them. librdkafka checks this bound against
/// the queue that a partition is forwarded to, so it holds for a lane as a whole. One fetch response may exceed it.
const QUEUED_BYTES_PER_LANE: u64 = 16 << 20;

/// Records that may wait in one lane's queue before fetching stops. librdkafka spends about 350 bytes on each record
/// beside its payload, so for small records this bound, and not the one above, limits the memory. Measured with rides
/// of 115 B, lz4, 6 partitions: a process whose two lanes are not read stays at 66 MB. A process that reads at full
/// speed (0.23 CPU-seconds per million) needs 26 MB, and neither half nor twice this bound makes it faster.
const QUEUED_RECORDS_PER_LANE: u64 = 50_000;

/// librdkafka's memory overhead per queued record, in bytes.
const RECORD_OVERHEAD_BYTES: u64 = 350;

/// Bytes of one partition in one answer. Larger records still get through: the broker returns at least one whole batch,
/// and librdkafka doubles this value when it meets a batch that was cut off. A larger value would only exceed the
/// bounds above by more.
const FETCH_BYTES_PER_PARTITION: u32 = 512 * 1024;

/// Compressed bytes of one answer. JSON grows three- to tenfold when it is decompressed, and librdkafka checks the
/// bounds above only afterwards.
const FETCH_BYTES: u32 = 8 * 1024 * 1024;

/// The greatest answer that is accepted at all: it has room for one record of `max.message.bytes`, as large as any sane
/// broker allows.
const RECEIVE_BYTES_MAX: u32 = 256 * 1024 * 1024;

/// For a pipeline with long epochs, a broker holds an answer back until it has this many bytes or until
/// [`PATIENT_FETCH_WAIT_MS`] have passed. An answer costs the same whether it brings ten records or ten thousand;
/// docs/performance.md shows what this saves at 50,000 records/s.
const PATIENT_FETCH_BYTES_MIN: u32 = 64 * 1024;
const PATIENT_FETCH_WAIT_MS: u32 = 50;

/// For other pipelines, the broker answers at once when there is a record, and with an empty answer after this many
/// milliseconds. So this bounds how late an end of partition is noticed.
const FETCH_WAIT_MS: u32 = 100;

/// How a client fetches.
#[derive(Debug, Clone, Copy)]
pub struct Fetching {
    /// Payload bytes that may wait for one lane.
    pub queued_bytes_per_lane: u64,
    /// Whether records may come up to 50 ms later, together with others.
    pub patient: bool,
}

impl Default for Fetching {
    fn default() -> Self {
        Self { queued_bytes_per_lane: QUEUED_BYTES_PER_LANE, patient: false }
    }
}

/// The settings of a client, but for how it reaches the brokers: [`super::access::Access`] has those.
pub(super) fn client_config(source: &KafkaSource, client_id: &str, fetching: Fetching) -> ClientConfig {
    let Fetching { queued_bytes_per_lane, patient } = fetching;
    let (fetch_bytes_min, fetch_wait_ms) =
        if patient { (PATIENT_FETCH_BYTES_MIN, PATIENT_FETCH_WAIT_MS) } else { (1, FETCH_WAIT_MS) };
    let queued_records = (queued_bytes_per_lane / RECORD_OVERHEAD_BYTES).min(QUEUED_RECORDS_PER_LANE);
    let mut config = ClientConfig::new();
    config
        .set("client.id", client_id)
        .set("group.id", &source.group_id)
        // We join no group, so there is no session. But librdkafka keeps published offsets for this long when the
        // coordinator is away, and a dropped client waits for them. The default of 45 s would hold up the end of a
        // failed process.
        .set("session.timeout.ms", "3000")
        // The manifest owns the offsets. We publish the group's offsets ourselves, after the commit.
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("isolation.level", "read_committed")
        // A lost offset becomes an event that the document decides on; librdkafka never skips it silently.
        .set("auto.offset.reset", "error")
        .set("enable.partition.eof", "true")
        .set("allow.auto.create.topics", "false")
        // The check is one hardware instruction on the compressed bytes; beside decompression its cost can't be
        // measured. A broken batch stops the partition.
        .set("check.crcs", "true")
        .set("fetch.wait.max.ms", fetch_wait_ms.to_string())
        .set("fetch.min.bytes", fetch_bytes_min.to_string())
        .set("fetch.message.max.bytes", FETCH_BYTES_PER_PARTITION.to_string())
        .set("fetch.max.bytes", FETCH_BYTES.to_string())
        .set("receive.message.max.bytes", RECEIVE_BYTES_MAX.to_string())
        .set("queued.max.messages.kbytes", (queued_bytes_per_lane / 1024).max(1).to_string())
        .set("queued.min.messages", queued_records.max(1).to_string())
        // With the default of 1 s a lane runs dry: it reads a full queue in a tenth of that time.
        .set("fetch.queue.backoff.ms", "10")
        .set("fetch.error.backoff.ms", "100")
        .set("socket.keepalive.enable", "true")
        .set("socket.connection.setup.timeout.ms", "10000")
        .set("reconnect.backoff.ms", "100")
        // Our target is ten seconds from a kill to the next commit. So a broker that is back must not wait longer than
        // this for us.
        .set("reconnect.backoff.max.ms", "2000")
        // For this long after a topic was first seen, librdkafka neither reports that the topic is missing nor looks
        // for it before the next refresh. The default of 30 s is for clients that create topics by using them. We ask
        // the brokers again before we believe that a topic is gone.
        .set("topic.metadata.propagation.max.ms", "1000")
        .set("topic.metadata.refresh.interval.ms", "30000")
        // Closing idle connections is no news.
        .set("log.connection.close", "false")
        .set_log_level(RDKafkaLogLevel::Warning);
    config
}
