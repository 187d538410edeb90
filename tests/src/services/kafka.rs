//! A real Kafka broker for tests.

use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rustix::process::Signal;
use tempfile::TempDir;

use super::process::{Process, remove_at_exit};
use super::{ports, script};
use crate::deadline;
use crate::skip::Missing;

/// A JVM on two busy cores; the second start replays the log of a broker that was killed.
const READY_LIMIT: Duration = Duration::from_secs(120);

/// One broker. It dies with the handle, and with the test process in any case.
#[derive(Debug)]
pub struct Kafka {
    dir: TempDir,
    port: u16,
    controller_port: u16,
    process: Mutex<Option<Process>>,
}

/// The broker that all tests of this binary share. For tests that do not touch the broker itself.
pub fn shared() -> Result<&'static Kafka, Missing> {
    static SHARED: OnceLock<Result<Kafka, Missing>> = OnceLock::new();
    SHARED.get_or_init(Kafka::start).as_ref().map_err(Clone::clone)
}

impl Kafka {
    /// Starts a broker and waits until it answers.
    pub fn start() -> Result<Self, Missing> {
        script::fetch("Kafka", "kafka")?;
        let dir = tempfile::Builder::new().prefix("weir-tests-kafka-").tempdir().unwrap();
        remove_at_exit(dir.path());
        let kafka = Self { dir, port: ports::free(), controller_port: ports::free(), process: Mutex::new(None) };
        kafka.restart();
        Ok(kafka)
    }

    #[must_use]
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// SIGKILL, as a lost machine does it.
    pub fn kill(&self) {
        *self.process() = None;
    }

    /// Starts it again, on the same ports and folder, and waits until it answers.
    pub fn restart(&self) {
        let mut process = self.process();
        *process = None;
        let mut command = Command::new(script::path("kafka"));
        command.arg("run").arg(self.dir.path()).arg(self.port.to_string()).arg(self.controller_port.to_string());
        let run = std::fs::File::create(self.dir.path().join("run.out")).unwrap();
        command.stdout(run.try_clone().unwrap()).stderr(run);
        let mut started = Process::spawn(&mut command).unwrap();
        deadline::until("Kafka answers", READY_LIMIT, || {
            if let Some(status) = started.ended() {
                panic!("Kafka ended at its start ({status}):\n{}", self.last_words());
            }
            self.answers().then_some(())
        });
        *process = Some(started);
    }

    /// SIGSTOP: it holds its connections and answers nobody.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn cont(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        self.process().as_ref().expect("the broker runs").signal(signal);
    }

    fn process(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A real answer: the metadata of the cluster with its one broker in it.
    fn answers(&self) -> bool {
        // A fresh client for each try: one that failed waits longer and longer before it connects again.
        let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", self.bootstrap()).set("log_level", "0").create().unwrap();
        client.fetch_metadata(None, Duration::from_millis(500)).is_ok_and(|m| !m.brokers().is_empty())
    }

    fn last_words(&self) -> String {
        ["run.out", "format.out", "server.out"]
            .iter()
            .map(|f| {
                let text = std::fs::read_to_string(self.dir.path().join(f)).unwrap_or_default();
                let lines: Vec<_> = text.lines().collect();
                format!("{f}:\n{}\n", lines[lines.len().saturating_sub(15)..].join("\n"))
            })
            .collect()
    }
}
