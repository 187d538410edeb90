//! An HTTP/1.1 proxy between the engine and an S3 server that injects faults. It forwards requests byte for byte,
//! including the Host header, because the client's signature covers it: the server checks what the client signed for
//! the proxy's own address.
//!
//! There is one request per connection on both sides (`Connection: close`), with a thread for each: this is slow, but
//! too simple to be wrong.

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

/// A fault of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The client gets this status, and the server never gets the request.
    Answer(u16),
    /// The same, with S3's code and message.
    Refuse { status: u16, code: &'static str, message: &'static str },
    /// The server executes the request; then the connection breaks before the first byte of the answer.
    CutAfter,
    /// The connection breaks before the server gets the request.
    CutBefore,
    /// The server executes the request, and the client gets this status. With 503 the client's retry of a conditional
    /// put finds the result of its own first try.
    AnswerAfter(u16),
    /// The server gets the request only after this time.
    Delay(Duration),
    /// The server gets the request only when the proxy is healed.
    Hold,
    /// The client gets a success where `If-None-Match` or `If-Match` was refused. To the client this looks like a store
    /// without conditional puts. (Removing the headers would break the client's signature.)
    Unconditional,
    /// The client never gets an answer, and the server never gets the request.
    BlackHole,
}

/// One line of the proxy's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    pub method: String,
    /// The path and the query.
    pub target: String,
    pub fault: Option<Fault>,
    /// The status that the client got; `None` if it got nothing.
    pub status: Option<u16>,
    /// The bytes of the request's body, and of the whole answer.
    pub bytes: (usize, usize),
}

/// Injects a fault into requests for which `matches` is true: `times` of them, starting with the `from`th (1 is the
/// first).
pub struct Rule {
    matches: Box<dyn Fn(&Request) -> bool + Send>,
    from: u32,
    times: u32,
    fault: Fault,
    seen: u32,
}

impl Rule {
    /// Breaks the first request with this method whose path has this end.
    #[must_use]
    pub fn first(method: &'static str, suffix: &'static str, fault: Fault) -> Self {
        Self::when(fault, move |r| r.method == method && r.path().ends_with(suffix))
    }

    /// Breaks the first request that matches.
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
    /// Connections of requests that are never answered, held so that they stay open.
    held: Mutex<Vec<TcpStream>>,
    /// The number of requests that wait until the proxy is healed, and how often it was healed.
    waiting: AtomicUsize,
    healed: (Mutex<u32>, Condvar),
    closed: AtomicBool,
    line: Line,
    /// The part of a path by which created objects are selected to be kept.
    keeps: Mutex<Option<String>>,
    /// By path: the first object that the server accepted under it.
    kept: Mutex<BTreeMap<String, Vec<u8>>>,
}

/// A proxy that runs until it is dropped.
pub struct Proxy {
    address: String,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Starts a proxy in front of the server at `upstream` (`host:port`).
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
                // A client that goes away in the middle of a request is normal here.
                std::thread::spawn(move || serve(client, &upstream, &theirs).ok());
            }
        });
        Self { address, shared }
    }

    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds a rule. The first rule that applies decides the fault; every rule that matches counts the request.
    pub fn inject(&self, rule: Rule) {
        lock(&self.shared.rules).push(rule);
    }

    /// Removes all rules, and lets waiting requests through.
    pub fn heal(&self) {
        lock(&self.shared.rules).clear();
        *lock(&self.shared.healed.0) += 1;
        self.shared.healed.1.notify_all();
    }

    /// The number of requests that wait until the proxy is healed.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.waiting.load(Ordering::Acquire)
    }

    #[must_use]
    pub fn log(&self) -> Vec<Logged> {
        lock(&self.shared.log).clone()
    }

    /// Limits the bytes per second, in both directions and for all requests together; `None` removes the limit.
    pub fn limit(&self, bytes_per_second: Option<u32>) {
        self.shared.line.limit(bytes_per_second);
    }

    /// From now on keeps objects that are put to paths that contain `part`, for tests that look at them after the
    /// engine may have deleted them.
    pub fn keep(&self, part: &str) {
        *lock(&self.shared.keeps) = Some(part.to_owned());
    }

    /// The first object that the server accepted under each path that is [kept](Self::keep).
    #[must_use]
    pub fn kept(&self) -> BTreeMap<String, Vec<u8>> {
        lock(&self.shared.kept).clone()
    }

    /// How many requests met a fault. A test whose fault never occurred has tested nothing.
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
        Some(Fault::Refuse { status, code, message }) => {
            note(Some(status), &[]);
            client.write_all(&http::worded_answer(status, code, message))
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
