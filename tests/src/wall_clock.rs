//! A wall clock for one process, which a test can step while the process runs. `tests/services/clock.c` is preloaded in
//! front of the C library.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::engine::Start;
use crate::services::script;
use crate::skip::Missing;

const SECOND_NS: i64 = 1_000_000_000;

/// The wall clock of processes that are started [`under`](Self::under) it. Their monotonic clock stays the machine's.
pub struct WallClock {
    library: PathBuf,
    file: PathBuf,
}

impl WallClock {
    /// A clock that shows the machine's time at first.
    pub fn new(folder: &Path) -> Result<Self, Missing> {
        let clock = Self { library: folder.join("clock.so"), file: folder.join("clock") };
        std::fs::write(&clock.file, 0_i64.to_ne_bytes()).unwrap();
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&clock.library)
            .arg(script::path("clock.c"))
            .output();
        match built {
            Ok(out) if out.status.success() => Ok(clock),
            Ok(out) => Err(Missing { part: "another clock", why: String::from_utf8_lossy(&out.stderr).into_owned() }),
            Err(error) => Err(Missing { part: "another clock", why: format!("cc can't be started: {error}") }),
        }
    }

    /// From now on the clock is this many seconds ahead of the machine's, or behind it if negative.
    pub fn step(&self, ahead_s: i64) {
        // Written in place, since processes have the file mapped.
        let file = std::fs::File::options().write(true).open(&self.file).unwrap();
        file.write_all_at(&(ahead_s * SECOND_NS).to_ne_bytes(), 0).unwrap();
    }

    #[must_use]
    pub fn under(&self, start: Start) -> Start {
        start.env("LD_PRELOAD", &self.library.to_string_lossy()).env("WEIR_TEST_CLOCK", &self.file.to_string_lossy())
    }
}
