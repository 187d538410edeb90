//! Free ports for servers that are killed and come back on the same port.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};

use rand::Rng;

/// The ports that tests use. They lie below the range for outgoing connections (32768 and up on Linux, 49152 on macOS):
/// while a server is down, a client that keeps trying could otherwise get the server's own port as its source port,
/// connect to itself, and keep the server from coming back.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// A port of the loopback interface on which nothing listens now, and which this process was not given before, so that
/// a server that is down keeps its port.
#[must_use]
pub fn free() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut rng = rand::rng();
    (0..1000)
        .map(|_| rng.random_range(RANGE))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok() && given.insert(*port))
        .expect("one of a thousand ports is free")
}
