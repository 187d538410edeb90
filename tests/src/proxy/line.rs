//! A slow line: so many bytes a second for all requests and answers together, as a narrow link has it.

use std::io::{self, Read, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Passed at a time: a hundred times a second at a MB/s.
const PIECE: usize = 8 << 10;

/// Free until it is limited.
#[derive(Default)]
pub struct Line {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bytes_per_second: Option<u32>,
    /// When what has been let through so far has passed.
    free_at: Option<Instant>,
}

impl Line {
    /// `None` takes the limit away.
    pub fn limit(&self, bytes_per_second: Option<u32>) {
        *self.lock() = State { bytes_per_second, free_at: None };
    }

    /// Reads all of `into`, as fast as the line is.
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
