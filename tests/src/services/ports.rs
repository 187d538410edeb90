//! Free ports for servers that are killed and come back on the same one.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};

use rand::Rng;

/// Below the range from which systems take ports for outgoing connections (32768 and up on Linux, 49152 on macOS):
/// while a server is down, a client that keeps trying could be given the server's own port as its source, connect to
/// itself, and keep the server from coming back.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// A port of the loopback interface that nobody listens on now, and that this process was not given before: a server
/// that is down keeps its own.
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
