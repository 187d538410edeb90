//! A Kafka of two brokers and a controller of its own, so that either broker may be lost.

use super::kafka::Kafka;
use super::{ports, script};
use crate::skip::Missing;

/// Dies with the handle, and with the test process in any case.
#[derive(Debug)]
pub struct Cluster {
    _controller: Kafka,
    brokers: [Kafka; 2],
}

/// The brokers' ids, as a topic's replicas are given. The controller is 1.
pub const BROKERS: [i32; 2] = [2, 3];

impl Cluster {
    /// Starts all three and waits until both brokers answer and know each other.
    pub fn start() -> Result<Self, Missing> {
        script::fetch("Kafka", "kafka")?;
        let controller_port = ports::free();
        let of_controller = format!(
            "process.roles=controller\nlisteners=CONTROLLER://127.0.0.1:{controller_port}\nadvertised.listeners=CONTROLLER://127.0.0.1:{controller_port}\n"
        );
        let controller = Kafka::new(ports::free(), controller_port, &of_controller);
        let brokers = BROKERS.map(|id| {
            let port = ports::free();
            let settings = format!("process.roles=broker\nnode.id={id}\nlisteners=PLAINTEXT://127.0.0.1:{port}\n");
            Kafka::new(port, controller_port, &settings)
        });
        controller.spawn();
        brokers.iter().for_each(Kafka::spawn);
        brokers.iter().for_each(|broker| broker.wait_until_it_answers(BROKERS.len()));
        Ok(Self { _controller: controller, brokers })
    }

    /// Both brokers.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.brokers.iter().map(Kafka::bootstrap).collect::<Vec<_>>().join(",")
    }

    /// SIGKILL.
    pub fn kill(&self, id: i32) {
        self.broker(id).kill();
    }

    /// Starts a broker again, and waits until it answers.
    pub fn restart(&self, id: i32) {
        self.broker(id).restart();
    }

    fn broker(&self, id: i32) -> &Kafka {
        let at = BROKERS.iter().position(|known| *known == id).expect("an id of BROKERS");
        &self.brokers[at]
    }
}
