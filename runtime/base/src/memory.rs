//! The memory that the process may use: how it is divided, and what happens before the kernel would kill the process.
//!
//! Queues and batches have fixed shares from the start. A thread watches what grows with the data (open windows,
//! partial aggregates). The less memory is left, the fewer partial aggregates an epoch may have, since their merge must
//! fit. When memory is almost full, the process ends with a sentence that says what to change. It loses nothing: what
//! is committed stays, and the rest is read again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use weir_plan::plan::MEMORY_BYTES_MIN;

use crate::allocator;
use crate::clock::{since, steady};
use crate::failure::{Failure, Result};

/// Percent of the limit. Above it Weir gives freed memory back to the system at once.
const TIGHT: u64 = 70;
/// Percent of the limit. Above it the run ends.
const FULL: u64 = 90;
/// How many times partial aggregates are in memory while they are merged, sorted and written.
const PARTIALS_COPIES: u64 = 8;
/// The partial aggregates of an epoch may always use one part in this many of the limit, however little memory is left.
/// Otherwise a state that stays large would close an epoch after every batch.
const PARTIALS_LEAST: u64 = 256;
/// The least memory that the maintenance of tables can work with, in bytes.
const MAINTENANCE_BYTES_MIN: u64 = 1 << 20;
/// How often the watching thread looks. In this time a lane on a fast machine fills about ten MiB.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The shortest time between two returns of freed memory: each takes about a millisecond per hundred MiB.
const TRIM_EVERY: Duration = Duration::from_secs(1);

/// What each part of the process may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// Fetched records that wait to be decoded, per lane.
    pub fetch_bytes_per_lane: u64,
    /// Rows that wait in a sink's queue, per sink.
    pub sink_queue_bytes: u64,
    /// Encoded rows that are not uploaded yet, per sink.
    pub sink_buffer_bytes: u64,
    /// Partial aggregates of the open epoch, all lanes together. Above this the epoch is closed early.
    pub partials_bytes: u64,
}

/// The memory limit, and what the process uses of it.
#[derive(Debug)]
pub struct Memory {
    limit_bytes: Option<u64>,
    /// What was in use at the last look.
    used_bytes: AtomicU64,
    /// What open windows hold; the failure's message names it.
    state_bytes: AtomicU64,
    /// The most that any look has found in use.
    used_bytes_max: AtomicU64,
}

impl Memory {
    /// `None` means that only the machine limits the process.
    ///
    /// # Errors
    /// `Config`, if the limit is too small for any pipeline.
    pub fn new(limit_bytes: Option<u64>) -> Result<Self> {
        if let Some(limit) = limit_bytes.filter(|limit| *limit < MEMORY_BYTES_MIN) {
            let found = if limit < 1 << 20 { format!("{limit} bytes") } else { mib(limit) };
            let least = MEMORY_BYTES_MIN >> 20;
            return Err(Failure::config(format!(
                "the memory limit is {found}, and a pipeline needs at least {least} MiB to begin: write {least}Mi or \
                 more for \
                 spec.resources.limits.memory (or --memory)"
            )));
        }
        Ok(Self {
            limit_bytes,
            used_bytes: AtomicU64::new(0),
            state_bytes: AtomicU64::new(0),
            used_bytes_max: AtomicU64::new(0),
        })
    }

    #[must_use]
    pub fn limit_bytes(&self) -> Option<u64> {
        self.limit_bytes
    }

    /// Each queue gets an eighth of the limit, up to the size beyond which more would not help. Partial aggregates get
    /// a thirty-second, because several copies exist while they are merged, beside those of the next epoch.
    #[must_use]
    pub fn shares(&self, lanes: usize, sinks: usize) -> Shares {
        let eighth = self.limit_bytes.map_or(u64::MAX, |limit| limit / 8);
        Shares {
            fetch_bytes_per_lane: (eighth / lanes.max(1) as u64).min(16 << 20),
            sink_queue_bytes: (eighth / sinks.max(1) as u64).min(32 << 20),
            sink_buffer_bytes: (eighth / sinks.max(1) as u64).min(64 << 20),
            partials_bytes: (eighth / 4).min(256 << 20),
        }
    }

    /// How much of a file that it reads, and of one that it writes, the maintenance of tables may hold; a compaction of
    /// state has the same bounds. This is a sixteenth of the limit, or less if little memory is left. `None` means that
    /// there is too little memory for any maintenance.
    #[must_use]
    pub fn maintenance_bytes(&self) -> Option<u64> {
        let sixteenth = self.limit_bytes.map_or(u64::MAX, |limit| limit / 16).min(64 << 20);
        Some(sixteenth.min(self.room_bytes() / 4)).filter(|bytes| *bytes >= MAINTENANCE_BYTES_MIN)
    }

    /// How large the partial aggregates of the open epoch, all lanes together, may be so that their merge fits into the
    /// memory that is left. The epoch's share bounds them as well.
    #[must_use]
    pub fn partials_bytes(&self) -> u64 {
        self.limit_bytes.map_or(u64::MAX, |limit| (self.room_bytes() / PARTIALS_COPIES).max(limit / PARTIALS_LEAST))
    }

    /// How much more the process may use before the run ends.
    fn room_bytes(&self) -> u64 {
        self.limit_bytes
            .map_or(u64::MAX, |limit| (limit / 100 * FULL).saturating_sub(self.used_bytes.load(Ordering::Relaxed)))
    }

    /// The most that any look has found in use; `None` without a limit, as nobody looks then.
    #[must_use]
    pub fn used_bytes_max(&self) -> Option<u64> {
        self.limit_bytes.map(|_| self.used_bytes_max.load(Ordering::Relaxed))
    }

    /// Notes how much open windows hold.
    pub fn note_state(&self, bytes: usize) {
        self.state_bytes.store(bytes as u64, Ordering::Relaxed);
    }

    /// Sends a failure when almost all memory is used, and nothing when there is no limit. A separate thread looks,
    /// because a thread that computes may allocate much before it could look, and may keep every other thread busy.
    ///
    /// # Errors
    /// The system refuses to start a thread.
    pub fn watch(self: &Arc<Self>) -> std::io::Result<oneshot::Receiver<Failure>> {
        let (tell, told) = oneshot::channel();
        if let Some(limit) = self.limit_bytes {
            let memory = Arc::clone(self);
            let look = move || {
                let mut trimmed_at = None;
                while !tell.is_closed() {
                    std::thread::sleep(LOOK_EVERY);
                    if let Some(failure) = memory.look(limit, &mut trimmed_at) {
                        // If the run has just ended, nobody receives this any more.
                        let _ = tell.send(failure);
                        return;
                    }
                }
            };
            std::thread::Builder::new().name("memory".into()).spawn(look)?;
        }
        Ok(told)
    }

    fn look(&self, limit: u64, trimmed_at: &mut Option<Instant>) -> Option<Failure> {
        let mut used = used_bytes()?;
        self.used_bytes_max.fetch_max(used, Ordering::Relaxed);
        let (tight, full) = (limit / 100 * TIGHT, limit / 100 * FULL);
        if used > full || (used > tight && trimmed_at.is_none_or(|at| since(at) >= TRIM_EVERY)) {
            allocator::give_back();
            *trimmed_at = Some(steady());
            used = used_bytes()?;
        }
        self.used_bytes.store(used, Ordering::Relaxed);
        (used > full).then(|| self.too_much(used, limit))
    }

    fn too_much(&self, used: u64, limit: u64) -> Failure {
        let state = mib(self.state_bytes.load(Ordering::Relaxed));
        Failure::memory(format!(
            "{} of the memory limit of {} are used, {state} of it by open windows, and the kernel would kill the \
             process if it used much more; nothing is lost; raise \
             spec.resources.limits.memory (or --memory), or let less be open at a time: a smaller window or \
             watermarkDelay, fewer groups, \
             eventTime.maxSkew",
            mib(used),
            mib(limit)
        ))
    }
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

/// Anonymous memory of this process, in bytes, read from `/proc`; `None` where the system does not have it.
#[must_use]
pub fn used_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

/// The memory limit of the control group that this process is in, as in a container; `None` without one.
#[must_use]
pub fn cgroup_limit_bytes() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let read = |file: String| std::fs::read_to_string(file).ok().and_then(|text| limit_of(&text));
    groups.lines().filter_map(|line| Some(files_of(line)?.into_iter().filter_map(&read).min())).flatten().min()
}

/// The files that may limit a group: its own and those of the groups around it. In a container the group's path may be
/// the host's, and then only the top group is visible.
fn files_of(line: &str) -> Option<Vec<String>> {
    let mut parts = line.splitn(3, ':');
    let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
    let (root, file) = match controllers {
        "" => ("/sys/fs/cgroup", "memory.max"),
        other if other.split(',').any(|c| c == "memory") => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        _ => return None,
    };
    let mut files = Vec::new();
    let mut path = path.trim_end_matches('/');
    loop {
        files.push(format!("{root}{path}/{file}"));
        match path.rsplit_once('/') {
            Some((above, _)) => path = above,
            None => return Some(files),
        }
    }
}

/// `max` and the huge number of version 1 mean that there is no limit.
fn limit_of(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|limit| *limit < 1 << 60)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::failure::Remedy;

    #[test]
    fn shares_follow_the_limit_and_end_where_more_does_not_serve() {
        let small = Memory::new(Some(256 << 20)).unwrap().shares(2, 1);
        assert_eq!(
            small,
            Shares {
                sink_buffer_bytes: 32 << 20,
                fetch_bytes_per_lane: 16 << 20,
                sink_queue_bytes: 32 << 20,
                partials_bytes: 8 << 20
            }
        );
        let many = Memory::new(Some(256 << 20)).unwrap().shares(8, 4);
        assert_eq!(
            many,
            Shares {
                sink_buffer_bytes: 8 << 20,
                fetch_bytes_per_lane: 4 << 20,
                sink_queue_bytes: 8 << 20,
                partials_bytes: 8 << 20
            }
        );
        let free = Memory::new(None).unwrap().shares(8, 4);
        assert_eq!(
            free,
            Shares {
                sink_buffer_bytes: 64 << 20,
                fetch_bytes_per_lane: 16 << 20,
                sink_queue_bytes: 32 << 20,
                partials_bytes: 256 << 20
            }
        );
    }

    #[test]
    fn partials_and_maintenance_get_less_the_less_is_left_and_partials_never_nothing() {
        let limit = 1 << 30;
        let memory = Memory::new(Some(limit)).unwrap();
        let at = |percent: u64| {
            memory.used_bytes.store(limit / 100 * percent, Ordering::Relaxed);
            (memory.partials_bytes() >> 20, memory.maintenance_bytes().map(|bytes| bytes >> 20))
        };
        assert_eq!(at(10), (102, Some(64)), "an epoch's share of 32 MiB is less");
        assert_eq!(at(75), (19, Some(38)), "state that rests high leaves room for an epoch");
        assert_eq!(at(85), (6, Some(12)));
        assert_eq!(at(89), (4, Some(2)), "a 256th");
        assert_eq!(at(95), (4, None));
        let free = Memory::new(None).unwrap();
        assert_eq!((free.partials_bytes(), free.maintenance_bytes()), (u64::MAX, Some(64 << 20)));
    }

    #[test]
    fn too_little_for_anything_is_refused() {
        let said = |limit| Memory::new(Some(limit)).unwrap_err().message;
        assert_eq!(
            said(16 << 20),
            "the memory limit is 16 MiB, and a pipeline needs at least 64 MiB to begin: write 64Mi or more for \
             spec.resources.limits.memory \
             (or --memory)"
        );
        assert!(said(64).starts_with("the memory limit is 64 bytes, and a pipeline needs at least"));
        assert!(Memory::new(Some(MEMORY_BYTES_MIN - 1)).is_err() && Memory::new(Some(MEMORY_BYTES_MIN)).is_ok());
    }

    #[test]
    fn the_groups_around_a_group_limit_it_too() {
        assert_eq!(
            files_of("0::/kubepods/pod1").unwrap(),
            [
                "/sys/fs/cgroup/kubepods/pod1/memory.max",
                "/sys/fs/cgroup/kubepods/memory.max",
                "/sys/fs/cgroup/memory.max"
            ]
        );
        assert_eq!(files_of("0::/").unwrap(), ["/sys/fs/cgroup/memory.max"]);
        assert_eq!(
            files_of("9:memory:/docker/1").unwrap()[..2],
            [
                "/sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/docker/memory.limit_in_bytes"
            ]
        );
        assert_eq!(files_of("3:cpu,cpuacct:/docker/1"), None);
        assert_eq!(
            (limit_of("max\n"), limit_of("9223372036854771712\n"), limit_of("268435456\n")),
            (None, None, Some(256 << 20))
        );
    }

    #[tokio::test]
    async fn what_is_almost_used_up_is_told_with_the_remedy() {
        let used = used_bytes().unwrap();
        // This process uses more than this limit already.
        let memory = Arc::new(Memory {
            limit_bytes: Some(used / 2),
            state_bytes: AtomicU64::new(7 << 20),
            ..Memory::new(None).unwrap()
        });
        let told =
            tokio::time::timeout(Duration::from_secs(10), memory.watch().unwrap()).await.expect("it is told").unwrap();
        assert!(
            told.message.contains("7 MiB of it by open windows")
                && told.message.contains("spec.resources.limits.memory"),
            "{told}"
        );
        assert_eq!(
            (told.remedy, memory.partials_bytes(), memory.maintenance_bytes()),
            (Remedy::Memory, used / 2 / 256, None)
        );
    }
}
