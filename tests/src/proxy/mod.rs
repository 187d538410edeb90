//! An HTTP/1.1 proxy that breaks things, between the engine and an S3 server. It forwards requests byte for byte, the
//! Host header included, because the client's signature covers that: the server checks what the client signed for the
//! proxy's own address.
//!
//! One request per connection on both sides (`Connection: close`), a thread for each: slow, simple, and nothing to get
//! wrong.

mod http;
mod line;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

pub use http::Request;
use line::Line;

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This status comes back, and the server never hears of the request.
    Answer(u16),
    /// The server does it; then the connection breaks before a byte of the answer.
    CutAfter,
    /// The connection breaks before the server hears of it.
    CutBefore,
    /// The server does it, and this status comes back. With 503 the client's own retry of a conditional put meets its
    /// first try's work.
    AnswerAfter(u16),
    /// The server is asked only after this time.
    Delay(Duration),
    /// The server is asked only when the proxy is healed.
    Hold,
    /// A refusal by `If-None-Match` or `If-Match` comes back as success: a store that does not know conditional puts,
    /// as its client sees it. (Taking the headers out would break the client's signature.)
    Unconditional,
    /// No answer ever; the server never hears of it.
    BlackHole,
}

/// One line of the proxy's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub fault: Option<Fault>,
    /// What the client got; `None`: nothing.
    pub status: Option<u16>,
    /// Of the request's body, and of the whole answer.
    pub bytes: (usize, usize),
}

/// Breaks the requests that `matches` says yes to, from the `from`th (1 is the first) on, `times` of them.
pub struct Rule {
    matches: Box<dyn Fn(&Request) -> bool + Send>,
    from: u32,
    times: u32,
    fault: Fault,
    seen: u32,
}

impl Rule {
    /// The first request of that method whose path ends so.
    #[must_use]
    pub fn first(method: &'static str, suffix: &'static str, fault: Fault) -> Self {
        Self::when(fault, move |r| r.method == method && r.path().ends_with(suffix))
    }

    /// The first request that matches.
    #[must_use]
    pub fn when(fault: Fault, matches: impl Fn(&Request) -> bool + Send + 'static) -> Self {
        Self { matches: Box::new(matches), from: 1, times: 1, fault, seen: 0 }
    }

    #[must_use]
    pub fn from(self, nth: u32) -> Self {
        Self { from: nth, ..self }
    }

    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    fn strikes(&mut self, request: &Request) -> bool {
        if !(self.matches)(request) {
            return false;
        }
        self.seen += 1;
        self.seen >= self.from && self.seen - self.from < self.times
    }
}

#[derive(Default)]
struct Shared {
    rules: Mutex<Vec<Rule>>,
    log: Mutex<Vec<Logged>>,
    /// Connections that wait for ever; held so that they stay open.
    held: Mutex<Vec<TcpStream>>,
    /// Requests that wait until all is healed, and how often it was.
    waiting: AtomicUsize,
    healed: (Mutex<u32>, Condvar),
    closed: AtomicBool,
    line: Line,
    /// What of the objects that are created is kept: those whose path has this in it.
    keeps: Mutex<Option<String>>,
    /// By path: the first object that the server took under it.
    kept: Mutex<BTreeMap<String, Vec<u8>>>,
}

/// A proxy that runs until it is dropped.
pub struct Proxy {
    address: String,
    shared: Arc<Shared>,
}

impl Proxy {
    /// In front of the server at `upstream` (`host:port`).
    #[must_use]
    pub fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared::default());
        let (upstream, theirs) = (upstream.to_owned(), Arc::clone(&shared));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if theirs.closed.load(Ordering::Acquire) {
                    return;
                }
                let (upstream, theirs) = (upstream.clone(), Arc::clone(&theirs));
                // A client that goes away in the middle is no news here.
                std::thread::spawn(move || serve(client, &upstream, &theirs).ok());
            }
        });
        Self { address, shared }
    }

    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds a rule. The first rule that strikes decides; every rule that matches counts.
    pub fn inject(&self, rule: Rule) {
        lock(&self.shared.rules).push(rule);
    }

    /// Takes all rules away, and lets through what waits for that.
    pub fn heal(&self) {
        lock(&self.shared.rules).clear();
        *lock(&self.shared.healed.0) += 1;
        self.shared.healed.1.notify_all();
    }

    /// Requests that wait until it is healed.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.waiting.load(Ordering::Acquire)
    }

    #[must_use]
    pub fn log(&self) -> Vec<Logged> {
        lock(&self.shared.log).clone()
    }

    /// Lets so many bytes pass in a second, both ways and all requests together; `None`: as many as come.
    pub fn limit(&self, bytes_per_second: Option<u32>) {
        self.shared.line.limit(bytes_per_second);
    }

    /// From here on keeps what is put to paths that have `part` in them, for whoever looks when it may be deleted.
    pub fn keep(&self, part: &str) {
        *lock(&self.shared.keeps) = Some(part.to_owned());
    }

    /// What the server took first under each path that is [kept](Self::keep).
    #[must_use]
    pub fn kept(&self) -> BTreeMap<String, Vec<u8>> {
        lock(&self.shared.kept).clone()
    }

    /// How many requests met a fault. A test whose fault never struck has tested nothing.
    #[must_use]
    pub fn struck(&self) -> usize {
        lock(&self.shared.log).iter().filter(|l| l.fault.is_some()).count()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        let _ = TcpStream::connect(&self.address); // wakes the listener
        for held in lock(&self.shared.held).drain(..) {
            let _ = held.shutdown(Shutdown::Both);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn serve(mut client: TcpStream, upstream: &str, shared: &Shared) -> std::io::Result<()> {
    let Some(request) = http::read_request(&mut client, &shared.line)? else { return Ok(()) };
    let mut fault = None;
    for rule in lock(&shared.rules).iter_mut() {
        if rule.strikes(&request) && fault.is_none() {
            fault = Some(rule.fault);
        }
    }
    let note = |status, answer: &[u8]| {
        let bytes = (request.body_bytes(), answer.len());
        let logged = Logged { method: request.method.clone(), target: request.target.clone(), fault, status, bytes };
        lock(&shared.log).push(logged);
    };
    let forward = || {
        let answer = http::forward(&request, upstream)?;
        shared.note_object(&request, &answer);
        Ok::<_, std::io::Error>(answer)
    };
    match fault {
        Some(Fault::Answer(status)) => {
            note(Some(status), &[]);
            client.write_all(&http::error_answer(status))
        }
        Some(Fault::CutBefore) => {
            note(None, &[]);
            client.shutdown(Shutdown::Both)
        }
        Some(Fault::BlackHole) => {
            note(None, &[]);
            lock(&shared.held).push(client);
            Ok(())
        }
        Some(Fault::CutAfter) => {
            forward()?;
            note(None, &[]);
            client.shutdown(Shutdown::Both)
        }
        Some(Fault::AnswerAfter(status)) => {
            forward()?;
            note(Some(status), &[]);
            client.write_all(&http::error_answer(status))
        }
        Some(Fault::Unconditional) => {
            let mut answer = forward()?;
            if http::status(&answer) == Some(412) {
                answer = http::stored_answer();
            }
            note(http::status(&answer), &answer);
            shared.line.write(&mut client, &answer)
        }
        Some(Fault::Delay(_) | Fault::Hold) | None => {
            match fault {
                Some(Fault::Delay(time)) => std::thread::sleep(time),
                Some(Fault::Hold) => shared.wait_until_healed(),
                _ => {}
            }
            let answer = forward()?;
            note(http::status(&answer), &answer);
            shared.line.write(&mut client, &answer)
        }
    }
}

impl Shared {
    fn wait_until_healed(&self) {
        let healed = lock(&self.healed.0);
        let before = *healed;
        self.waiting.fetch_add(1, Ordering::Release);
        drop(
            self.healed
                .1
                .wait_while(healed, |times| *times == before)
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        );
        self.waiting.fetch_sub(1, Ordering::Release);
    }

    fn note_object(&self, request: &Request, answer: &[u8]) {
        let is_kept = lock(&self.keeps).as_ref().is_some_and(|part| request.path().contains(part.as_str()));
        if is_kept && request.method == "PUT" && http::status(answer) == Some(200) {
            lock(&self.kept).entry(request.path().to_owned()).or_insert_with(|| request.body().to_vec());
        }
    }
}
