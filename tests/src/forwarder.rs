//! A TCP forwarder: an address in front of a server's own, as a load balancer or a mapped port is one. It counts who comes.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Forwards until it is dropped; then its connections end, and nobody listens any more.
pub struct Forwarder {
    port: u16,
    shared: Arc<Shared>,
    listener: Option<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    closed: AtomicBool,
    /// Both ends of each connection that came.
    connections: Mutex<Vec<[TcpStream; 2]>>,
}

impl Forwarder {
    /// From a port of this machine to another.
    #[must_use]
    pub fn start(port: u16, to: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let listener = std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if theirs.closed.load(Ordering::Acquire) {
                    return;
                }
                // A server that is away ends this connection, and none that comes later.
                let _ = forward(client, to, &theirs);
            }
        });
        Self { port, shared, listener: Some(listener) }
    }

    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// How many connections there have been.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        let _ = TcpStream::connect(self.address()); // wakes the listener
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
        for end in self.shared.connections.lock().unwrap_or_else(PoisonError::into_inner).iter().flatten() {
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

fn forward(client: TcpStream, to: u16, shared: &Shared) -> io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", to))?;
    let kept = [client.try_clone()?, server.try_clone()?];
    shared.connections.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
    for (mut from, mut to) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
        std::thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
    Ok(())
}
