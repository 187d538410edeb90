//! A child process in its own process group. It never outlives the test process.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::script;

/// A running (or ended) child. Dropping it kills its whole group.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        let child = command.process_group(0).stdin(Stdio::null()).spawn()?;
        tell_reaper(&format!("+ {}", child.id()));
        Ok(Self { child })
    }

    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to the whole group. It is not an error if the process has ended already.
    pub fn signal(&self, signal: Signal) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, signal);
        }
    }

    /// The exit status, if the process has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits until the process ends; `None` if the limit has passed.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            if Instant::now() >= end {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
        tell_reaper(&format!("- {}", self.child.id()));
    }
}

/// Removes a folder (named `weir-tests-…`) when the test process ends, for servers that live in a static.
pub fn remove_at_exit(folder: &Path) {
    tell_reaper(&format!("d {}", folder.display()));
}

/// Sends a line to `tests/services/reaper`, which kills what is left when this process ends and the pipe closes.
fn tell_reaper(line: &str) {
    static REAPER: OnceLock<Mutex<Child>> = OnceLock::new();
    let reaper = REAPER.get_or_init(|| {
        let mut command = Command::new(script::path("reaper"));
        let child = command.process_group(0).stdin(Stdio::piped()).spawn();
        Mutex::new(child.expect("tests/services/reaper can be started"))
    });
    let mut reaper = reaper.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let pipe = reaper.stdin.as_mut().expect("its standard input is a pipe");
    writeln!(pipe, "{line}").expect("the reaper listens");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_process_is_gone_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let p =
            Process::spawn(Command::new("sh").arg("-c").arg(format!("sleep 60 & echo $! > {}; wait", file.display())))
                .unwrap();
        let grandchild: i32 =
            crate::deadline::until("the shell writes its child's pid", Duration::from_secs(60), || {
                std::fs::read_to_string(&file).ok()?.trim().parse().ok()
            });
        drop(p);
        crate::deadline::until("the grandchild is gone", Duration::from_secs(60), || {
            let stat = std::fs::read_to_string(format!("/proc/{grandchild}/stat")).unwrap_or_default();
            (stat.is_empty() || stat.contains(") Z ")).then_some(())
        });
    }
}
