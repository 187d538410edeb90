//! A TCP forwarder: an address in front of a server's own address, like a load balancer or a mapped port. It counts
//! connections.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Forwards until it is dropped. Then its connections end, and nothing listens on the address any more.
pub struct Forwarder {
    port: u16,
    shared: Arc<Shared>,
    listener: Option<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    closed: AtomicBool,
    /// Whether all data is held back.
    held: Mutex<bool>,
    let_go: Condvar,
    /// Both ends of each connection that was accepted.
    connections: Mutex<Vec<[TcpStream; 2]>>,
    /// The number of connections that the server has ended.
    ended: AtomicUsize,
}

impl Forwarder {
    /// Forwards from a port of this machine to another one.
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
                // If the server is away, this connection ends; later ones are tried again.
                let _ = forward(client, to, &theirs);
            }
        });
        Self { port, shared, listener: Some(listener) }
    }

    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// From now on nothing gets through in either direction, and no connection ends, as with a firewall that drops
    /// packets.
    pub fn hold(&self) {
        self.shared.set_held(true);
    }

    /// Lets through what was held, and everything that follows.
    pub fn let_go(&self) {
        self.shared.set_held(false);
    }

    /// Whether all of its connections have ended.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.shared.ended.load(Ordering::Acquire) == self.connections()
    }

    /// How many connections there have been.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Shared {
    fn set_held(&self, held: bool) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = held;
        self.let_go.notify_all();
    }

    fn wait_while_held(&self) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.let_go.wait_while(held, |held| *held).unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.let_go();
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

fn forward(client: TcpStream, to: u16, shared: &Arc<Shared>) -> io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", to))?;
    let kept = [client.try_clone()?, server.try_clone()?];
    shared.connections.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
    for (is_server, mut from, mut to) in [(false, client.try_clone()?, server.try_clone()?), (true, server, client)] {
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            let _ = copy(&mut from, &mut to, &shared);
            let _ = to.shutdown(Shutdown::Write);
            shared.ended.fetch_add(usize::from(is_server), Ordering::Release);
        });
    }
    Ok(())
}

fn copy(from: &mut TcpStream, to: &mut TcpStream, shared: &Shared) -> io::Result<()> {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut bytes)?;
        shared.wait_while_held();
        if read == 0 {
            return Ok(());
        }
        to.write_all(&bytes[..read])?;
    }
}
