//! The file that gets one line per epoch. It may be a pipe. A reader that sleeps or a full disk must not hold up the
//! pipeline: the epochs that the file does not take are missing from it.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use crate::failure::{Failure, Result};

/// "No such device or address": the error when a pipe that nobody reads is opened for writing without waiting.
const ENXIO: i32 = rustix::io::Errno::NXIO.raw_os_error();

/// Sets options so that nothing waits for a reader. Opening a pipe that nobody reads then fails.
pub fn without_waiting(options: &mut OpenOptions) -> &mut OpenOptions {
    options.custom_flags(OFlags::NONBLOCK.bits().cast_signed())
}

/// What went wrong with a file that was opened [without waiting](without_waiting).
#[must_use]
pub fn why(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(ENXIO) => "it is a pipe that nobody reads: start its reader first".to_owned(),
        _ => error.to_string(),
    }
}

pub struct ProgressFile {
    file: File,
    /// The rest of a line of which a part has been taken.
    rest: Vec<u8>,
}

impl ProgressFile {
    /// Opens the file.
    ///
    /// # Errors
    /// `Config`, if it can't be written.
    pub fn open(path: &Path) -> Result<Self> {
        let file = without_waiting(File::options().create(true).append(true)).open(path);
        let file = file.map_err(|e| Failure::config(format!("the progress file {}: {}", path.display(), why(&e))))?;
        Ok(Self { file, rest: Vec::new() })
    }

    /// Adds a line in one write, so that a reader (and a crash) sees whole lines.
    ///
    /// # Errors
    /// The line is then left out.
    pub fn add(&mut self, line: &str) -> io::Result<()> {
        self.write()?;
        self.rest = format!("{line}\n").into_bytes();
        let whole = self.rest.len();
        self.write().or_else(|error| {
            if self.rest.len() < whole {
                // The rest of the line comes before the next line.
                return Ok(());
            }
            self.rest.clear();
            Err(error)
        })
    }

    fn write(&mut self) -> io::Result<()> {
        while !self.rest.is_empty() {
            match self.file.write(&self.rest) {
                Ok(taken) => drop(self.rest.drain(..taken)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Read;
    use std::process::Command;

    use super::*;

    fn pipe() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        (folder, path)
    }

    #[test]
    fn a_pipe_that_nobody_reads_is_refused() {
        let (_folder, path) = pipe();
        let refused = ProgressFile::open(&path).err().unwrap();
        assert!(refused.message.contains("it is a pipe that nobody reads"), "{refused}");
    }

    #[test]
    fn a_reader_that_sleeps_misses_lines_and_gets_no_half_ones() {
        let (_folder, path) = pipe();
        let mut reader = without_waiting(File::options().read(true)).open(&path).unwrap();
        let mut file = ProgressFile::open(&path).unwrap();
        let lines: Vec<String> = (0..40).map(|i| format!("{i}:{}", "x".repeat(10_000))).collect();
        let refused = lines.iter().filter(|line| file.add(line).is_err()).count();
        assert!(refused > 10, "a pipe takes some 64 KiB: {refused} lines were refused");
        let mut read = Vec::new();
        let mut part = [0; 1 << 16];
        loop {
            match reader.read(&mut part) {
                Ok(n @ 1..) => read.extend_from_slice(&part[..n]),
                _ if file.rest.is_empty() => break,
                _ => file.add("end").unwrap(),
            }
        }
        let read = String::from_utf8(read).unwrap();
        let taken: Vec<&str> = read.lines().filter(|l| *l != "end").collect();
        assert_eq!(taken, lines[..lines.len() - refused].iter().collect::<Vec<_>>());
    }
}
