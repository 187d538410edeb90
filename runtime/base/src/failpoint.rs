//! Named points before and after each step of an epoch. At a point a test can end or halt the process, and the process
//! notes how far it has got.
//!
//! - `WEIR_FAILPOINT=name[:nth]` aborts the process when it reaches `name` for the `nth` time (from 1).
//! - `WEIR_FAILPOINT=name[:nth]=stop` sends the process SIGSTOP there; SIGCONT lets it go on.
//! - `WEIR_PHASE_FILE=path` keeps the name of the last point that the process reached in that file, so that whoever
//!   kills the process can tell where it was.
//!
//! Without these variables a point costs one relaxed load.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// The names of all points. `*.before` and `*.after` stand right at the step; the process passes a point inside a loop
/// several times.
pub const ALL: &[&str] = &[
    "probe.before",
    "probe.after",
    "sinks.ask.before",
    "sinks.ask.after",
    "identity.before",
    "identity.after",
    "claim.before",
    "claim.after",
    "recover.before",
    "recover.after",
    "epoch.read",
    "epoch.closed",
    "data.upload.before",
    "data.upload.after",
    "state.upload.before",
    "state.upload.after",
    "manifest.create.before",
    "manifest.create.after",
    "fence.after",
    "commit.before",
    "commit.sink.before",
    "commit.sink.after",
    "commit.after",
    "epoch.done",
    "offsets.published",
    "assignment.before",
    "assignment.after",
    "gc.before",
    "gc.manifests.after",
    "gc.after",
    "maintenance.compaction.written",
    "maintenance.compaction.committed",
    "maintenance.vacuum.batch",
];

/// Length of the phase file in bytes: the name padded with spaces, then a line feed. Each name overwrites the whole
/// file, so a reader never sees parts of two names.
const PHASE_BYTES: usize = 40;

const STOP_SPREADS_WITHIN: Duration = Duration::from_millis(500);

static OFF: AtomicBool = AtomicBool::new(false);
static ARMED: OnceLock<Armed> = OnceLock::new();

struct Armed {
    trap: Option<Trap>,
    phase: Option<File>,
    reached: AtomicU64,
    /// A thread holds this while it is at a point. Otherwise another thread could reach its own point meanwhile, and
    /// the phase file would name that point as the one where the trap sprang.
    at_a_point: Mutex<()>,
}

#[derive(Debug, PartialEq, Eq)]
struct Trap {
    name: &'static str,
    nth: u64,
    action: Action,
}

#[derive(Debug, PartialEq, Eq)]
enum Action {
    Abort,
    Stop,
}

/// Notes that the process has reached `name`, which is in [`ALL`].
pub fn reach(name: &'static str) {
    debug_assert!(ALL.contains(&name), "{name} is not in failpoint::ALL");
    if !OFF.load(Ordering::Relaxed) {
        note(name);
    }
}

#[cold]
fn note(name: &'static str) {
    let armed = ARMED.get_or_init(arm);
    if armed.trap.is_none() && armed.phase.is_none() {
        OFF.store(true, Ordering::Relaxed);
        return;
    }
    let _at_this_point = armed.at_a_point.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(file) = &armed.phase {
        let line = format!("{name:<width$}\n", width = PHASE_BYTES - 1);
        if let Err(e) = file.write_all_at(line.as_bytes(), 0) {
            tracing::warn!("WEIR_PHASE_FILE can't be written: {e}");
        }
    }
    let Some(trap) = armed.trap.as_ref().filter(|t| t.name == name) else { return };
    if armed.reached.fetch_add(1, Ordering::SeqCst) + 1 != trap.nth {
        return;
    }
    match trap.action {
        Action::Abort => std::process::abort(),
        Action::Stop => {
            if let Err(e) = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP) {
                tracing::warn!("the process can't stop itself at {name}: {e}");
            }
            // The kernel may deliver the signal to any thread, and this thread runs on until the stop has reached it.
            std::thread::sleep(STOP_SPREADS_WITHIN);
        }
    }
}

/// A misspelt variable ends the process: a test that never reaches its point would prove nothing.
fn arm() -> Armed {
    let trap = std::env::var("WEIR_FAILPOINT").ok().map(|text| parse(&text).unwrap_or_else(|why| refuse(&why)));
    let phase = std::env::var_os("WEIR_PHASE_FILE").map(|path| {
        let opened = File::options().create(true).write(true).truncate(true).open(&path);
        opened.unwrap_or_else(|e| refuse(&format!("WEIR_PHASE_FILE={}: {e}", path.to_string_lossy())))
    });
    Armed { trap, phase, reached: AtomicU64::new(0), at_a_point: Mutex::new(()) }
}

fn refuse(why: &str) -> ! {
    tracing::error!("{why}");
    std::process::exit(i32::from(crate::failure::Remedy::Config.exit_code()))
}

fn parse(text: &str) -> Result<Trap, String> {
    let (point, action) = match text.split_once('=') {
        None => (text, Action::Abort),
        Some((point, "stop")) => (point, Action::Stop),
        Some((_, other)) => {
            return Err(format!(
                "WEIR_FAILPOINT={text}: {other:?} is no action: write `stop`, or leave it out to abort"
            ));
        }
    };
    let (name, nth) = match point.split_once(':') {
        None => (point, 1),
        Some((name, nth)) => (
            name,
            nth.parse().ok().filter(|n| *n > 0).ok_or(format!("WEIR_FAILPOINT={text}: {nth:?} is no count from 1"))?,
        ),
    };
    let name = ALL
        .iter()
        .find(|n| **n == name)
        .ok_or_else(|| format!("WEIR_FAILPOINT={text}: no such point; there are {}", ALL.join(", ")))?;
    Ok(Trap { name, nth, action })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};
    use std::time::Instant;

    /// Does nothing by itself. The tests below start this binary again with the variables set, for this test alone.
    #[test]
    fn a_process_that_passes_some_points() {
        for name in
            ["epoch.read", "manifest.create.before", "epoch.done", "epoch.read", "manifest.create.before", "epoch.done"]
        {
            reach(name);
        }
    }

    fn rerun(trap: &str, phase: &std::path::Path) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "failpoint::tests::a_process_that_passes_some_points", "--nocapture"]);
        command.env("WEIR_FAILPOINT", trap).env("WEIR_PHASE_FILE", phase).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn phase_in(file: &std::path::Path) -> String {
        std::fs::read_to_string(file).unwrap_or_default().trim_end().to_owned()
    }

    #[test]
    fn the_process_aborts_at_the_nth_pass_and_says_where() {
        const SIGABRT: i32 = 6;
        let directory = tempfile::tempdir().unwrap();
        let phase = directory.path().join("phase");
        let status = rerun("manifest.create.before:2", &phase).status().unwrap();
        assert_eq!(status.signal(), Some(SIGABRT));
        assert_eq!(phase_in(&phase), "manifest.create.before");
        assert!(
            rerun("epoch.done:3", &phase).status().unwrap().success(),
            "a point that isn't reached so often changes nothing"
        );
        assert_eq!(phase_in(&phase), "epoch.done");
    }

    #[test]
    fn the_process_stops_and_goes_on_when_told() {
        let directory = tempfile::tempdir().unwrap();
        let phase = directory.path().join("phase");
        let mut child = rerun("epoch.read:2=stop", &phase).spawn().unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        let stat = format!("/proc/{}/stat", child.id());
        let deadline = Instant::now() + Duration::from_secs(60);
        while !std::fs::read_to_string(&stat).unwrap_or_default().contains(") T ") {
            assert!(Instant::now() < deadline, "it never stopped");
            std::thread::yield_now();
        }
        assert_eq!(phase_in(&phase), "epoch.read");
        rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(phase_in(&phase), "epoch.done");
    }

    #[test]
    fn a_misspelt_point_ends_the_process() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(rerun("manifest.created", &directory.path().join("phase")).status().unwrap().code(), Some(2));
        assert!(parse("epoch.done=sleep").unwrap_err().contains("no action"));
        assert!(parse("epoch.done:0").unwrap_err().contains("no count"));
        assert_eq!(parse("epoch.done:3=stop"), Ok(Trap { name: "epoch.done", nth: 3, action: Action::Stop }));
    }

    #[test]
    fn names_fit_the_phase_file_and_are_unique() {
        assert!(ALL.iter().all(|n| n.len() < PHASE_BYTES));
        let mut sorted = ALL.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), ALL.len());
    }
}
