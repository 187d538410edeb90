//! A real Kafka broker for tests.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rustix::process::Signal;
use tempfile::TempDir;

use super::process::{Process, remove_at_exit};
use super::{ports, script};
use crate::skip::Missing;
use crate::{deadline, topic};

/// The time for a start: a JVM on two busy cores, which may have to replay the log of a broker that was killed.
const READY_LIMIT: Duration = Duration::from_secs(300);

/// One broker. It is killed with the handle, and with the test process in any case.
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
        Self::start_with(|_, _| String::new())
    }

    /// Starts a broker with further settings, as lines of `server.properties`, which override the usual ones.
    /// `settings` makes them from the broker's port and its controller's port.
    pub fn start_with(settings: impl FnOnce(u16, u16) -> String) -> Result<Self, Missing> {
        Self::start_with_users(settings, &[])
    }

    /// Starts a broker that knows these users with their passwords, for the mechanisms of SCRAM.
    pub fn start_with_users(
        settings: impl FnOnce(u16, u16) -> String,
        users: &[(&str, &str)],
    ) -> Result<Self, Missing> {
        script::fetch("Kafka", "kafka")?;
        let (port, controller_port) = (ports::free(), ports::free());
        let kafka = Self::new(port, controller_port, &settings(port, controller_port));
        let scram: String = users.iter().map(|(user, password)| format!("{user} {password}\n")).collect();
        std::fs::write(kafka.dir.path().join("scram-users"), scram).unwrap();
        kafka.restart();
        Ok(kafka)
    }

    /// A broker that does not run yet. Kafka must have been fetched.
    pub(super) fn new(port: u16, controller_port: u16, settings: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("weir-tests-kafka-").tempdir().unwrap();
        remove_at_exit(dir.path());
        std::fs::write(dir.path().join("extra.properties"), settings).unwrap();
        Self { dir, port, controller_port, process: Mutex::new(None) }
    }

    #[must_use]
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The file that holds the beginning of a partition's log. The broker sends what is written to it from then on,
    /// since both use the system's page cache.
    #[must_use]
    pub fn segment(&self, topic: &str, partition: i32) -> PathBuf {
        self.dir.path().join("log").join(format!("{topic}-{partition}")).join("00000000000000000000.log")
    }

    /// Kills the broker with SIGKILL, as if its machine were lost.
    pub fn kill(&self) {
        *self.process() = None;
    }

    /// Starts it again, on the same ports and folder, and waits until it answers.
    pub fn restart(&self) {
        self.spawn();
        self.wait_until_it_answers(1);
    }

    /// Limits how many bytes per second clients with this id can read from now on.
    ///
    /// # Panics
    /// If Kafka's own tool can't set it.
    pub fn throttle(&self, client_id: &str, bytes_per_second: u32) {
        self.tool(&["quota", client_id, &bytes_per_second.to_string()]);
        topic::wait_until_applied(&self.bootstrap());
    }

    /// Lets a user read a topic, and publish offsets for a consumer group.
    ///
    /// # Panics
    /// If Kafka's own tool can't do so.
    pub fn allow(&self, user: &str, topic: &str, group: &str) {
        self.tool(&["allow", user, topic, group]);
    }

    /// Lets a user produce to a topic.
    ///
    /// # Panics
    /// If Kafka's own tool can't do so.
    pub fn allow_writes(&self, user: &str, topic: &str) {
        self.tool(&["allow-writes", user, topic]);
    }

    /// Gives a user another password, for SCRAM-SHA-512.
    ///
    /// # Panics
    /// If Kafka's own tool can't do so.
    pub fn set_password(&self, user: &str, password: &str) {
        self.tool(&["password", user, password]);
    }

    fn tool(&self, args: &[&str]) {
        let mut tool = Command::new(script::path("kafka"));
        tool.arg(args[0]).arg(self.dir.path()).args(&args[1..]);
        let out = tool.output().unwrap();
        assert!(out.status.success(), "{tool:?}: {}\n{}", out.status, String::from_utf8_lossy(&out.stderr));
    }

    /// Sends SIGSTOP: the broker keeps its connections and answers no request.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// Sends SIGCONT.
    pub fn cont(&self) {
        self.signal(Signal::CONT);
    }

    pub(super) fn spawn(&self) {
        let mut process = self.process();
        *process = None;
        let mut command = Command::new(script::path("kafka"));
        command.arg("run").arg(self.dir.path()).arg(self.port.to_string()).arg(self.controller_port.to_string());
        let run = std::fs::File::create(self.dir.path().join("run.out")).unwrap();
        command.stdout(run.try_clone().unwrap()).stderr(run);
        *process = Some(Process::spawn(&mut command).unwrap());
    }

    /// Waits for a real answer: the metadata of the cluster with this many brokers in it.
    pub(super) fn wait_until_it_answers(&self, brokers: usize) {
        deadline::until("Kafka answers", READY_LIMIT, || {
            if let Some(status) = self.process().as_mut().and_then(Process::ended) {
                panic!("Kafka ended at its start ({status}):\n{}", self.last_words());
            }
            // A new client for each try: a client that failed waits longer and longer before it connects again.
            let client: BaseConsumer =
                ClientConfig::new().set("bootstrap.servers", self.bootstrap()).set("log_level", "0").create().unwrap();
            client
                .fetch_metadata(None, Duration::from_secs(5))
                .is_ok_and(|m| m.brokers().len() >= brokers)
                .then_some(())
        });
    }

    fn signal(&self, signal: Signal) {
        self.process().as_ref().expect("the broker runs").signal(signal);
    }

    fn process(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
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
