//! Output of the process: results on stdout, the log and final messages on stderr. The process never depends on its
//! readers. If a reader is gone or does not read, or a disk is full, lines are lost, but the work goes on: lines for
//! stderr wait in a queue of bounded size, which a separate thread writes; when the queue is full, lines are dropped
//! and counted.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;
use weir_runtime::observe;

use crate::exit::BAD_INPUT;

/// The most bytes of lines that wait for the reader of stderr.
const WAITING_BYTES_MAX: usize = 1 << 20;
/// How long the process waits at its end for that reader to take the last lines.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(2);

static STDERR: Lines = Lines::new();
static WRITER: OnceLock<bool> = OnceLock::new();
static LOG_IS_JSON: AtomicBool = AtomicBool::new(false);
static STDOUT_FAILED: AtomicBool = AtomicBool::new(false);

/// Prints a line of a result to stdout, like `println!`.
macro_rules! out {
    ($($text:tt)*) => { $crate::say::print(&format!("{}\n", format_args!($($text)*))) };
}

/// Prints a line to stderr, like `eprintln!`.
macro_rules! err {
    ($($text:tt)*) => { $crate::say::line(format!("{}\n", format_args!($($text)*))) };
}

pub(crate) use {err, out};

/// Prints to stdout. If the reader has closed it, the output is not needed; if it can't be written, the end of the
/// process reports that, also by its exit code.
pub fn print(text: &str) {
    let mut stdout = io::stdout().lock();
    if let Err(error) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
        && error.kind() != ErrorKind::BrokenPipe
        && !STDOUT_FAILED.swap(true, Ordering::Relaxed)
    {
        err!("error: standard output can't be written: {error}");
    }
}

/// Prints a line, which ends with a line feed, to stderr.
pub fn line(line: impl Into<Vec<u8>>) {
    if !*WRITER.get_or_init(start_writer) {
        // The thread can't be started. A process that may wait for its reader is better than one that says nothing.
        let _ = io::stderr().write_all(&line.into());
        return;
    }
    STDERR.add(line.into());
}

/// Reports panics by the same queue: the default hook blocks if nobody reads stderr.
pub fn tell_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let trace = std::backtrace::Backtrace::capture();
        let trace = if trace.status() == std::backtrace::BacktraceStatus::Captured {
            format!("\n{trace}")
        } else {
            String::new()
        };
        err!("thread {} {panic}{trace}", thread.name().unwrap_or("without a name"));
    }));
}

/// Waits for the last lines to be written. Called before the process ends, whatever the reason.
pub fn last_words() {
    STDERR.drain(LAST_WORDS_WITHIN);
}

/// The exit code: an error code if results could not be written.
pub fn exit_code(code: ExitCode) -> ExitCode {
    last_words();
    if code == ExitCode::SUCCESS && STDOUT_FAILED.load(Ordering::Relaxed) { ExitCode::from(BAD_INPUT) } else { code }
}

/// The writer for the log, which uses the same queue.
pub struct Log;

impl Log {
    pub fn new(is_json: bool) -> Self {
        LOG_IS_JSON.store(is_json, Ordering::Relaxed);
        Self
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = LogLine;

    fn make_writer(&'a self) -> LogLine {
        LogLine
    }
}

/// Takes whole lines: the log writes each event with one call.
pub struct LogLine;

impl Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        line(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn start_writer() -> bool {
    // The thread has its own handle: a writer to the usual one would hold its lock while the reader does not read.
    let Ok(stderr) = io::stderr().as_fd().try_clone_to_owned().map(File::from) else { return false };
    std::thread::Builder::new().name("stderr".into()).spawn(move || STDERR.write_to(stderr)).is_ok()
}

fn notice(dropped: u64) -> String {
    let said = format!("{dropped} lines of the log were dropped, since nobody took them");
    match LOG_IS_JSON.load(Ordering::Relaxed) {
        true => format!("{{\"level\":\"WARN\",\"fields\":{{\"message\":\"{said}\"}}}}\n"),
        false => format!("{said}\n"),
    }
}

/// A queue of lines that one thread writes.
struct Lines {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Lines that were dropped and not yet reported.
    dropped: u64,
    /// Whether a line is being written.
    is_busy: bool,
}

impl Lines {
    const fn new() -> Self {
        let state = State { waiting: VecDeque::new(), bytes: 0, dropped: 0, is_busy: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, line: Vec<u8>) {
        let mut state = self.state();
        if state.bytes + line.len() > WAITING_BYTES_MAX {
            state.drop_one();
            return;
        }
        state.bytes += line.len();
        state.waiting.push_back(line);
        self.changed.notify_all();
    }

    /// Waits until all lines are written or dropped, but at most `within`.
    fn drain(&self, within: Duration) {
        let state = self.state();
        let _ = self.changed.wait_timeout_while(state, within, |state| state.is_busy || !state.waiting.is_empty());
    }

    /// Writes lines for as long as the process lives.
    fn write_to(&self, mut out: impl Write) {
        loop {
            let line = {
                let state = self.state();
                let mut state =
                    self.changed.wait_while(state, |s| s.waiting.is_empty()).unwrap_or_else(PoisonError::into_inner);
                let line = state.waiting.pop_front().unwrap_or_default();
                state.bytes -= line.len();
                state.is_busy = true;
                line
            };
            let is_written = out.write_all(&line).is_ok();
            let dropped = {
                let mut state = self.state();
                if !is_written {
                    state.drop_one();
                }
                state.dropped
            };
            let is_told = is_written && dropped > 0 && out.write_all(notice(dropped).as_bytes()).is_ok();
            let mut state = self.state();
            if is_told {
                state.dropped -= dropped;
            }
            state.is_busy = false;
            self.changed.notify_all();
        }
    }
}

impl State {
    fn drop_one(&mut self) {
        self.dropped += 1;
        observe::log_line_dropped();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::{Arc, mpsc};

    use super::*;

    /// A reader that takes or refuses a line when it is told to.
    struct Reader {
        told: mpsc::Receiver<bool>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if !self.told.recv().unwrap_or(true) {
                return Err(io::Error::from(ErrorKind::StorageFull));
            }
            self.taken.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines() -> (&'static Lines, mpsc::Sender<bool>, Arc<Mutex<Vec<u8>>>) {
        let lines: &'static Lines = Box::leak(Box::new(Lines::new()));
        let (tell, told) = mpsc::channel();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let reader = Reader { told, taken: Arc::clone(&taken) };
        std::thread::spawn(move || lines.write_to(reader));
        (lines, tell, taken)
    }

    const SOON: Duration = Duration::from_secs(60);

    #[test]
    fn who_says_something_never_waits_for_a_reader_that_sleeps_and_what_was_dropped_is_counted() {
        let (lines, tell, taken) = lines();
        let long = [vec![b'x'; WAITING_BYTES_MAX / 4 - 1], vec![b'\n']].concat();
        // One line may be in the writer already, so that five fit in total.
        for _ in 0..8 {
            lines.add(long.clone());
        }
        let dropped = lines.state().dropped;
        assert!([3, 4].contains(&dropped), "{dropped}");
        drop(tell); // the reader takes all lines from here on
        lines.drain(SOON);
        let taken = String::from_utf8(taken.lock().unwrap().clone()).unwrap();
        let told = format!("{dropped} lines of the log were dropped, since nobody took them");
        assert_eq!(taken.lines().filter(|l| *l == told).count(), 1);
        assert_eq!(taken.lines().filter(|l| l.starts_with('x')).count() as u64, 8 - dropped);
    }

    #[test]
    fn a_line_that_can_not_be_written_is_counted_and_the_next_one_says_so() {
        let (lines, tell, taken) = lines();
        for takes in [false, true, true] {
            tell.send(takes).unwrap();
        }
        lines.add(b"lost\n".to_vec());
        lines.add(b"here\n".to_vec());
        lines.drain(SOON);
        assert_eq!(
            taken.lock().unwrap().as_slice(),
            b"here\n1 lines of the log were dropped, since nobody took them\n"
        );
    }
}
