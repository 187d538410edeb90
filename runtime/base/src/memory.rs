//! The memory that the process may use: how it is shared out, and what happens before the kernel would kill it.
//!
//! Queues and batches have their shares from the start. What grows with the data (open windows, partial aggregates) is
//! watched: the less is left, the fewer partial aggregates an epoch may have, since their merge must fit; when memory
//! is all but full the process ends with a sentence that says what to change, and loses nothing: what was committed
//! stays, and the rest is read again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use weir_plan::plan::MEMORY_BYTES_MIN;

use crate::allocator;
use crate::failure::{Failure, Result};

/// Percent of the limit. Above it freed memory is given back to the system at once.
const TIGHT: u64 = 70;
/// Percent of the limit. Above it the run ends.
const FULL: u64 = 90;
/// Partial aggregates are there so many times while they are merged, sorted and written.
const PARTIALS_COPIES: u64 = 8;
/// However little memory is left, the partial aggregates of an epoch may have this part of the limit: state that rests
/// high must not make an epoch of every batch.
const PARTIALS_LEAST: u64 = 256;
/// The least that the maintenance of tables can work with.
const MAINTENANCE_BYTES_MIN: u64 = 1 << 20;
/// A lane of a fast machine fills some ten MiB meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Giving freed memory back to the system takes a millisecond per hundred MiB.
const TRIM_EVERY: Duration = Duration::from_secs(1);

/// What one part of the process may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// Fetched records that wait, per lane.
    pub fetch_bytes_per_lane: u64,
    /// Rows that wait for a sink of the lanes, per sink.
    pub sink_queue_bytes: u64,
    /// Encoded rows that are not uploaded yet, per sink.
    pub sink_buffer_bytes: u64,
    /// Partial aggregates of the epoch in hand, of all lanes: with more it is closed early.
    pub partials_bytes: u64,
}

/// What is used and what may be.
#[derive(Debug)]
pub struct Memory {
    limit_bytes: Option<u64>,
    /// In use at the last look.
    used_bytes: AtomicU64,
    /// Of open windows, for the sentence.
    state_bytes: AtomicU64,
    /// The most that was seen.
    used_bytes_max: AtomicU64,
}

impl Memory {
    /// `None`: there is no limit but the machine's.
    ///
    /// # Errors
    /// `Config`, if it is too little for anything.
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

    /// An eighth of the limit for each queue, and never more than serves. Partial aggregates are there several times
    /// while they are merged, and those of the next epoch beside them: a thirty-second.
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

    /// What the maintenance of tables may hold of a file that it reads, and of one that it writes, and so may a
    /// compaction of state: a sixteenth, or less where less is left. `None`: too little for anything.
    #[must_use]
    pub fn maintenance_bytes(&self) -> Option<u64> {
        let sixteenth = self.limit_bytes.map_or(u64::MAX, |limit| limit / 16).min(64 << 20);
        Some(sixteenth.min(self.room_bytes() / 4)).filter(|bytes| *bytes >= MAINTENANCE_BYTES_MIN)
    }

    /// The partial aggregates that an epoch may have now, of all lanes, if less than its share: so many that their
    /// merge fits into what is left.
    #[must_use]
    pub fn partials_bytes(&self) -> u64 {
        self.limit_bytes.map_or(u64::MAX, |limit| (self.room_bytes() / PARTIALS_COPIES).max(limit / PARTIALS_LEAST))
    }

    /// What may be used before the run ends.
    fn room_bytes(&self) -> u64 {
        self.limit_bytes
            .map_or(u64::MAX, |limit| (limit / 100 * FULL).saturating_sub(self.used_bytes.load(Ordering::Relaxed)))
    }

    /// The most that was in use, as far as it was looked at: only where there is a limit.
    #[must_use]
    pub fn used_bytes_max(&self) -> Option<u64> {
        self.limit_bytes.map(|_| self.used_bytes_max.load(Ordering::Relaxed))
    }

    /// Open windows hold so much.
    pub fn note_state(&self, bytes: usize) {
        self.state_bytes.store(bytes as u64, Ordering::Relaxed);
    }

    /// Tells when almost all is used; without a limit nobody ever does. A thread of its own looks: what computes may
    /// allocate much without a look up, and may keep every other thread busy.
    ///
    /// # Errors
    /// None but that of a system that makes no thread.
    pub fn watch(self: &Arc<Self>) -> std::io::Result<oneshot::Receiver<Failure>> {
        let (tell, told) = oneshot::channel();
        if let Some(limit) = self.limit_bytes {
            let memory = Arc::clone(self);
            let look = move || {
                let mut trimmed_at = None;
                while !tell.is_closed() {
                    std::thread::sleep(LOOK_EVERY);
                    if let Some(failure) = memory.look(limit, &mut trimmed_at) {
                        // Nobody waits any more if the run has just ended.
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
        if used > full || (used > tight && trimmed_at.is_none_or(|at| at.elapsed() >= TRIM_EVERY)) {
            allocator::give_back();
            *trimmed_at = Some(Instant::now());
            used = used_bytes()?;
        }
        self.used_bytes.store(used, Ordering::Relaxed);
        (used > full).then(|| self.too_much(used, limit))
    }

    fn too_much(&self, used: u64, limit: u64) -> Failure {
        let state = mib(self.state_bytes.load(Ordering::Relaxed));
        Failure::memory(format!(
            "{} of the memory limit of {} are used, {state} of it by open windows, and more would be killed for it; \
             nothing is lost; raise \
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

/// Memory of this process that no file stands behind; `None` where the system does not tell (it is read from `/proc`).
#[must_use]
pub fn used_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

/// The limit of the control group that this process is in, as a container has it; `None` without one.
#[must_use]
pub fn cgroup_limit_bytes() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let read = |file: String| std::fs::read_to_string(file).ok().and_then(|text| limit_of(&text));
    groups.lines().filter_map(|line| Some(files_of(line)?.into_iter().filter_map(&read).min())).flatten().min()
}

/// The files that may limit a group: its own and those of the groups around it. In a container the group's path may be
/// the host's, and only the top one is to be seen.
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

/// `max` and the huge number of version 1 are no limits.
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
        // Less than what this process has already.
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
