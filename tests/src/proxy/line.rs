//! A slow line: a limit of bytes per second for all requests and answers together, as on a narrow link.

use std::io::{self, Read, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The bytes that pass at a time: about a hundred pieces a second at 1 MB/s.
const PIECE: usize = 8 << 10;

/// A line without a limit until it gets one.
#[derive(Default)]
pub struct Line {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bytes_per_second: Option<u32>,
    /// When the bytes that were let through so far have passed.
    free_at: Option<Instant>,
}

impl Line {
    /// Sets the limit; `None` removes it.
    pub fn limit(&self, bytes_per_second: Option<u32>) {
        *self.lock() = State { bytes_per_second, free_at: None };
    }

    /// Fills all of `into`, at the speed of the line.
    pub fn read(&self, from: &mut impl Read, into: &mut [u8]) -> io::Result<()> {
        for piece in into.chunks_mut(PIECE) {
            from.read_exact(piece)?;
            self.pass(piece.len());
        }
        Ok(())
    }

    pub fn write(&self, to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(PIECE) {
            to.write_all(piece)?;
            self.pass(piece.len());
        }
        Ok(())
    }

    fn pass(&self, bytes: usize) {
        let wait = {
            let mut state = self.lock();
            let Some(rate) = state.bytes_per_second else { return };
            let now = Instant::now();
            let free_at =
                state.free_at.unwrap_or(now).max(now) + Duration::from_secs_f64(bytes as f64 / f64::from(rate));
            state.free_at = Some(free_at);
            free_at - now
        };
        std::thread::sleep(wait);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
