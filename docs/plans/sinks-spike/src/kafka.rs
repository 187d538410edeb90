//! A Kafka sink: transactions of a producer whose id is the sink's, and a marker in the pipeline's control topic that says how far an epoch is there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::Offset;

use crate::sink::*;
use crate::world::World;

const DEADLINE: Duration = Duration::from_secs(30);
/// Records of a transaction: a large epoch is committed in parts.
const RECORDS_AT_ONCE: usize = 4;

pub struct KafkaSink {
    pub world: Arc<World>,
    pub bootstrap: String,
    pub name: String,
    pub topic: String,
    pub control: String,
    producer: Option<BaseProducer>,
}

/// What the control topic says of a sink: of this epoch, decided by the manifest with the mark, so many records are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker {
    pub epoch: Epoch,
    pub mark: u32,
    pub done: usize,
    /// All of them.
    pub is_whole: bool,
}

impl KafkaSink {
    pub fn new(world: &Arc<World>, bootstrap: &str, name: &str, topic: &str, control: &str) -> Self {
        Self {
            world: Arc::clone(world),
            bootstrap: bootstrap.into(),
            name: name.into(),
            topic: topic.into(),
            control: control.into(),
            producer: None,
        }
    }

    /// A producer of the sink's id: all older ones are fenced from here on, and what they left open is settled.
    fn initialised(&self) -> Result<BaseProducer> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap).set("transactional.id", format!("{}-{}", self.control, self.name));
        config.set("transaction.timeout.ms", "60000").set("linger.ms", "1");
        let producer: BaseProducer = config.create().map_err(retry)?;
        producer.init_transactions(DEADLINE).map_err(retry)?;
        Ok(producer)
    }

    fn marker(&self, waits: bool) -> Result<Option<Marker>> {
        let found = read(&self.bootstrap, &self.control, waits)?;
        let of_this = found.into_iter().filter(|(key, _)| *key == self.name);
        Ok(of_this.last().map(|(_, value)| {
            let fields: Vec<u64> = value.split(' ').map(|n| n.parse().unwrap()).collect();
            Marker { epoch: fields[0], mark: fields[1] as u32, done: fields[2] as usize, is_whole: fields[3] == 1 }
        }))
    }

    /// One transaction: some records, and the marker behind them.
    fn transaction(&mut self, records: &[(String, String)], marker: &Marker) -> Result<()> {
        let producer = self.producer.take().expect("taken over");
        let world = Arc::clone(&self.world);
        let done = (|| {
            producer.begin_transaction().map_err(retry)?;
            for (key, value) in records {
                producer.send(BaseRecord::to(&self.topic).key(key).payload(value)).map_err(|(e, _)| retry(e))?;
            }
            world.step()?;
            let value = format!("{} {} {} {}", marker.epoch, marker.mark, marker.done, u8::from(marker.is_whole));
            producer.send(BaseRecord::to(&self.control).key(&self.name).payload(&value)).map_err(|(e, _)| retry(e))?;
            producer.flush(DEADLINE).map_err(retry)?;
            world.answered("the flush of a transaction")?;
            producer.commit_transaction(DEADLINE).map_err(retry)?;
            world.answered("the commit of a transaction")
        })();
        // After any doubt only another producer can tell how it went.
        if done.is_ok() {
            self.producer = Some(producer);
        }
        done
    }
}

/// A producer that was fenced is no fenced writer: the checkpoint says who that is.
fn retry(e: KafkaError) -> Failure {
    Failure::Retry(e.to_string())
}

impl Sink for KafkaSink {
    fn pin(&self) -> Pin {
        Pin { kind: "Kafka", place: self.topic.clone(), id: format!("id of {}", self.topic) }
    }

    /// Without a producer: a start that is refused must not fence the writer that is right. What hides behind an open transaction was never acknowledged. An
    /// epoch of which only a part is there is not held.
    fn held(&self) -> Result<Option<Held>> {
        let all = read(&self.bootstrap, &self.control, false)?;
        let whole = all.into_iter().filter(|(key, value)| *key == self.name && value.ends_with(" 1"));
        Ok(whole.last().map(|(_, value)| {
            let fields: Vec<u64> = value.split(' ').map(|n| n.parse().unwrap()).collect();
            Held { epoch: fields[0], mark: fields[1] as u32 }
        }))
    }

    fn fence(&mut self) -> Result<()> {
        self.world.step()?;
        self.producer = Some(self.initialised()?);
        self.world.answered("the initialisation")
    }

    fn take_over(&mut self, now: &TakeOver) -> Result<()> {
        self.world.step()?;
        if self.producer.is_none() {
            self.producer = Some(self.initialised()?);
        }
        match self.marker(true)? {
            Some(_) => Ok(()),
            None if now.was_taken_over => Err(Failure::Config(format!("the marker of {} is gone from {}", self.name, self.control))),
            None => self.transaction(&[], &Marker { epoch: 0, mark: 0, done: 0, is_whole: true }),
        }
    }

    fn begin(&self, slot: &Slot) -> Box<dyn EpochWriter> {
        let name = format!("output/{:03}-{:05}-{}", slot.generation, slot.epoch, self.name);
        Box::new(OutputWriter { world: Arc::clone(&self.world), name, rows: Vec::new() })
    }

    fn seal(&mut self, parts: Vec<Part>) -> Result<Option<Payload>> {
        let rows = parts.iter().map(|part| part.rows).sum();
        let files = parts.into_iter().flat_map(|part| part.files).collect();
        Ok((rows > 0).then_some(Payload { kind: "KafkaRecords", rows, files }))
    }

    fn ready(&mut self, _of: &Decided, _payload: &Payload) -> Result<()> {
        Ok(())
    }

    fn commit(&mut self, of: &Decided, payload: &Payload) -> Result<Outcome> {
        self.world.step()?;
        if self.producer.is_none() {
            self.producer = Some(self.initialised()?);
        }
        let done = match self.marker(true)? {
            None => return Err(Failure::Config("the marker is gone, and an epoch is in doubt".into())),
            Some(there) if there.epoch > of.epoch => return Err(Failure::Fenced { by: there.epoch }),
            Some(there) if there.epoch == of.epoch && there.mark != of.mark => {
                return Err(Failure::Config(format!("epoch {} is there by another manifest", of.epoch)));
            }
            Some(there) if there.epoch == of.epoch && there.is_whole => return Ok(Outcome::AlreadyThere),
            Some(there) if there.epoch == of.epoch => there.done,
            Some(_) => 0,
        };
        let rows: Vec<Row> = payload.files.iter().flat_map(|file| self.world.output(file)).collect();
        let records: Vec<_> =
            rows.iter().map(|row| (row.key.to_string(), row.value.map_or("-".to_owned(), |value| value.to_string()))).collect();
        let mut at = done;
        while at < records.len() {
            let end = records.len().min(at + RECORDS_AT_ONCE);
            let marker = Marker { epoch: of.epoch, mark: of.mark, done: end, is_whole: end == records.len() };
            self.transaction(&records[at..end], &marker)?;
            at = end;
        }
        Ok(Outcome::Committed)
    }
}

fn consumer(bootstrap: &str, isolation: &str) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("group.id", "spike").set("enable.auto.commit", "false");
    config.set("isolation.level", isolation).set("enable.partition.eof", "true").set("fetch.wait.max.ms", "5");
    config.create().unwrap()
}

/// All committed records of a topic's one partition. `waits`: until no transaction hangs open there.
pub fn read(bootstrap: &str, topic: &str, waits: bool) -> Result<Vec<(String, String)>> {
    let began = Instant::now();
    let committed = consumer(bootstrap, "read_committed");
    if waits {
        let all = consumer(bootstrap, "read_uncommitted");
        loop {
            let (_, end) = all.fetch_watermarks(topic, 0, DEADLINE).map_err(retry)?;
            let (_, stable) = committed.fetch_watermarks(topic, 0, DEADLINE).map_err(retry)?;
            if end == stable {
                break;
            }
            if began.elapsed() > DEADLINE {
                return Err(Failure::Retry("a transaction hangs open".into()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let mut from = TopicPartitionList::new();
    from.add_partition_offset(topic, 0, Offset::Beginning).map_err(retry)?;
    committed.assign(&from).map_err(retry)?;
    let mut records = Vec::new();
    loop {
        match committed.poll(Duration::from_secs(1)) {
            Some(Ok(message)) => {
                let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
                records.push((text(message.key()), text(message.payload())));
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(records),
            Some(Err(e)) if e.rdkafka_error_code() == Some(RDKafkaErrorCode::UnknownTopicOrPartition) => return Err(retry(e)),
            Some(Err(e)) => return Err(retry(e)),
            None if began.elapsed() > DEADLINE => return Err(Failure::Retry(format!("{topic} can't be read"))),
            None => {}
        }
    }
}
