//! A Kafka cluster of two brokers and a separate controller, so that either broker may be lost.

use super::kafka::Kafka;
use super::{ports, script};
use crate::forwarder::Forwarder;
use crate::skip::Missing;

/// The running cluster. It is killed with the handle, and with the test process in any case.
#[derive(Debug)]
pub struct Cluster {
    _controller: Kafka,
    brokers: [Kafka; 2],
    /// For each broker, the port of its outer listener and the port that this listener advertises.
    outer: [(u16, u16); 2],
}

/// The brokers' ids, as in a topic's replicas. The controller's id is 1.
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
        let outer = BROKERS.map(|_| (ports::free(), ports::free()));
        let brokers = [0, 1].map(|at| {
            let (port, id, (outer, advertised)) = (ports::free(), BROKERS[at], outer[at]);
            let settings = format!(
                "process.roles=broker\nnode.id={id}\nlisteners=PLAINTEXT://127.0.0.1:{port},OUTER://127.0.0.1:{outer}\n\
                 advertised.listeners=PLAINTEXT://127.0.0.1:{port},OUTER://127.0.0.1:{advertised}\n\
                 listener.security.protocol.map=PLAINTEXT:PLAINTEXT,OUTER:PLAINTEXT,CONTROLLER:PLAINTEXT\n"
            );
            Kafka::new(port, controller_port, &settings)
        });
        controller.spawn();
        brokers.iter().for_each(Kafka::spawn);
        brokers.iter().for_each(|broker| broker.wait_until_it_answers(BROKERS.len()));
        Ok(Self { _controller: controller, brokers, outer })
    }

    /// Both brokers.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.brokers.iter().map(Kafka::bootstrap).collect::<Vec<_>>().join(",")
    }

    /// The outer listeners of both brokers. They advertise ports on which only [`Self::forwarder`] listens.
    #[must_use]
    pub fn outer_bootstrap(&self) -> String {
        self.outer.map(|(outer, _)| format!("127.0.0.1:{outer}")).join(",")
    }

    /// A forwarder in front of the outer listener of a broker.
    #[must_use]
    pub fn forwarder(&self, id: i32) -> Forwarder {
        let (outer, advertised) = self.outer[place(id)];
        Forwarder::start(advertised, outer)
    }

    /// Kills a broker with SIGKILL.
    pub fn kill(&self, id: i32) {
        self.broker(id).kill();
    }

    /// Starts a broker again, and waits until it answers.
    pub fn restart(&self, id: i32) {
        self.broker(id).restart();
    }

    fn broker(&self, id: i32) -> &Kafka {
        &self.brokers[place(id)]
    }
}

fn place(id: i32) -> usize {
    BROKERS.iter().position(|known| *known == id).expect("an id of BROKERS")
}
