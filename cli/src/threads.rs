//! Checks whether the system lets the process start the threads that it needs. The start finds out by starting them for
//! a moment: a library that gets no thread aborts the process, waits forever, or reports that a topic does not exist.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle, available_parallelism};

use weir_runtime::Failure;

/// The number of threads besides those of which there is one per core: the Kafka client has one per broker, and some
/// wait for disks.
const BESIDE: usize = 12;

/// Starts as many threads as the process needs.
///
/// # Errors
/// `Config`, with the number of threads that could be started.
pub fn check() -> Result<(), Failure> {
    // One per core for lanes, and one per core for the runtime.
    let needed = 2 * available_parallelism().map_or(1, Into::into) + BESIDE;
    check_with(needed, |thread| Builder::new().spawn(thread))
}

fn check_with(
    needed: usize,
    mut spawn: impl FnMut(Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>>,
) -> Result<(), Failure> {
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
    let mut threads = Vec::with_capacity(needed);
    let mut refused = None;
    while threads.len() < needed && refused.is_none() {
        let gate = Arc::clone(&gate);
        match spawn(Box::new(move || drop(gate.lock()))) {
            Ok(thread) => threads.push(thread),
            Err(error) => refused = Some(error),
        }
    }
    drop(closed);
    let had = threads.len();
    for thread in threads {
        // The thread did nothing that could fail.
        let _ = thread.join();
    }
    refused.map_or(Ok(()), |error| {
        Err(Failure::config(format!(
            "this user may start only {had} more threads, and {needed} are needed: raise the limit on processes \
             (`ulimit -u`, or the `pids` \
             limit of the container), or end other processes ({error})"
        )))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn too_few_threads_are_said_with_their_number() {
        assert_eq!(check_with(5, |thread| Builder::new().spawn(thread)), Ok(()));
        let mut left = 3;
        let refused = check_with(5, |thread| {
            left -= 1;
            if left < 0 { Err(io::Error::from(io::ErrorKind::WouldBlock)) } else { Builder::new().spawn(thread) }
        });
        let refused = refused.unwrap_err();
        assert!(
            refused.message.starts_with("this user may start only 3 more threads, and 5 are needed: raise the limit"),
            "{refused}"
        );
    }
}
