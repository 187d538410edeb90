//! What librdkafka is told, with the reasons. Names and defaults: librdkafka's CONFIGURATION.md.

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use weir_plan::plan::KafkaSource;

/// Payload bytes that may wait in one lane's queue where memory is no concern. librdkafka checks the bound against the
/// queue that a partition is forwarded to, so it holds for a lane as a whole. It overshoots by one fetch response.
const QUEUED_BYTES_PER_LANE: u64 = 16 << 20;

/// Records that may wait in one lane's queue before fetching stops. librdkafka spends some 350 bytes on each beside its
/// payload, so with small records this bound, not the one above, keeps memory down. Measured with rides of 115 B, lz4,
/// 6 partitions: a whole process whose two lanes are not read stays at 66 MB; read at full speed (0.23 CPU-seconds per
/// million) it needs 26 MB, and neither half nor twice the figure is faster.
const QUEUED_RECORDS_PER_LANE: u64 = 50_000;

/// Of librdkafka's own, per record that waits.
const RECORD_OVERHEAD_BYTES: u64 = 350;

/// Of one partition, in one answer. Greater records still get through: the broker returns at least one whole batch, and
/// librdkafka doubles the figure when it meets a cut one. Greater values only make the overshoot greater.
const FETCH_BYTES_PER_PARTITION: u32 = 512 * 1024;

/// Of one answer, compressed. JSON grows three- to tenfold when it is unpacked, and the bounds above are looked at only
/// afterwards.
const FETCH_BYTES: u32 = 8 * 1024 * 1024;

/// The greatest answer that is accepted at all: room for one record of `max.message.bytes` as large as any sane
/// broker's.
const RECEIVE_BYTES_MAX: u32 = 256 * 1024 * 1024;

/// A broker holds an answer back until it has so much, or [`PATIENT_FETCH_WAIT_MS`] are over, for a pipeline whose
/// epochs are long beside that. An answer costs the same whether it brings ten records or ten thousand:
/// docs/performance.md has what this saves at 50,000 records/s.
const PATIENT_FETCH_BYTES_MIN: u32 = 64 * 1024;
const PATIENT_FETCH_WAIT_MS: u32 = 50;

/// An empty answer comes after this, where any record is reason enough for an answer: it bounds how late an end of
/// partition is noticed.
const FETCH_WAIT_MS: u32 = 100;

/// How a client fetches.
#[derive(Debug, Clone, Copy)]
pub struct Fetching {
    /// Payload bytes that may wait for one lane.
    pub queued_bytes_per_lane: u64,
    /// Records may come up to 50 ms later, together with others.
    pub patient: bool,
}

impl Default for Fetching {
    fn default() -> Self {
        Self { queued_bytes_per_lane: QUEUED_BYTES_PER_LANE, patient: false }
    }
}

pub(super) fn client_config(source: &KafkaSource, client_id: &str, fetching: Fetching) -> ClientConfig {
    let Fetching { queued_bytes_per_lane, patient } = fetching;
    let (fetch_bytes_min, fetch_wait_ms) =
        if patient { (PATIENT_FETCH_BYTES_MIN, PATIENT_FETCH_WAIT_MS) } else { (1, FETCH_WAIT_MS) };
    let queued_records = (queued_bytes_per_lane / RECORD_OVERHEAD_BYTES).min(QUEUED_RECORDS_PER_LANE);
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &source.bootstrap_servers)
        .set("client.id", client_id)
        .set("group.id", &source.group_id)
        // No group is joined, so there is no session. But for this long librdkafka keeps published offsets for a
        // coordinator that is away, and a client that is dropped waits for them: the default of 45 s would hold up the
        // end of a process that has failed.
        .set("session.timeout.ms", "3000")
        // Offsets belong to the manifest; the group's are published after the commit, by us.
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("isolation.level", "read_committed")
        // A lost offset is an event, decided on by the document, never skipped silently.
        .set("auto.offset.reset", "error")
        .set("enable.partition.eof", "true")
        .set("allow.auto.create.topics", "false")
        // A hardware instruction on the compressed bytes: not measurable beside unpacking. A broken batch stops the
        // lane.
        .set("check.crcs", "true")
        .set("fetch.wait.max.ms", fetch_wait_ms.to_string())
        .set("fetch.min.bytes", fetch_bytes_min.to_string())
        .set("fetch.message.max.bytes", FETCH_BYTES_PER_PARTITION.to_string())
        .set("fetch.max.bytes", FETCH_BYTES.to_string())
        .set("receive.message.max.bytes", RECEIVE_BYTES_MAX.to_string())
        .set("queued.max.messages.kbytes", (queued_bytes_per_lane / 1024).max(1).to_string())
        .set("queued.min.messages", queued_records.max(1).to_string())
        // The default of 1 s leaves a lane dry: a full queue is read in a tenth of that.
        .set("fetch.queue.backoff.ms", "10")
        .set("fetch.error.backoff.ms", "100")
        .set("socket.keepalive.enable", "true")
        .set("socket.connection.setup.timeout.ms", "10000")
        .set("reconnect.backoff.ms", "100")
        // Ten seconds from a kill to the next commit: a broker that is back must not wait for us longer than this.
        .set("reconnect.backoff.max.ms", "2000")
        // For this long after it was first seen, a topic that goes missing is not reported, nor looked for before the
        // next refresh. The default of 30 s is for clients that create topics by using them; we ask again ourselves
        // before we believe it.
        .set("topic.metadata.propagation.max.ms", "1000")
        .set("topic.metadata.refresh.interval.ms", "30000")
        // Closed idle connections are no news.
        .set("log.connection.close", "false")
        .set_log_level(RDKafkaLogLevel::Warning);
    config
}
