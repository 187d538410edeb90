//! A TCP forwarder: an address in front of a server's own, as a load balancer or a mapped port is one. It counts who
//! comes.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Forwards until it is dropped; then its connections end, and nobody listens any more.
pub struct Forwarder {
    port: u16,
    shared: Arc<Shared>,
    listener: Option<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    closed: AtomicBool,
    /// What comes is kept back.
    held: Mutex<bool>,
    let_go: Condvar,
    /// Both ends of each connection that came.
    connections: Mutex<Vec<[TcpStream; 2]>>,
    /// Connections that the server has ended.
    ended: AtomicUsize,
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

    /// From now on nothing gets through, in neither direction, and no connection ends: as where a firewall drops
    /// packets.
    pub fn hold(&self) {
        self.shared.set_held(true);
    }

    /// Lets through what was held, and what comes.
    pub fn let_go(&self) {
        self.shared.set_held(false);
    }

    /// Whether none of its connections is left.
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
