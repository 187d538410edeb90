//! The names of a checkpoint's objects, below its root. Numbers are padded so that names sort like numbers: then a
//! listing "above e" is one request.
//!
//! ```text
//! identity.json
//! epochs/{epoch:020}.json
//! state/{generation:010}-{epoch:020}-{task}-{n}.{extension}
//! probe/{nonce}-{attempt}
//! ```

use std::fmt;

use weir_plan::ids::{Epoch, Generation};

pub(crate) const IDENTITY: &str = "identity.json";
pub const EPOCHS: &str = "epochs";
pub(crate) const STATE: &str = "state";
pub(crate) const PROBES: &str = "probe";

/// The manifest of an epoch.
#[must_use]
pub fn manifest(epoch: Epoch) -> String {
    format!("{EPOCHS}/{:020}.json", epoch.0)
}

/// The epoch whose manifest has this file name; `None` for a name that Weir did not give.
#[must_use]
pub(crate) fn manifest_epoch(file_name: &str) -> Option<Epoch> {
    let digits = file_name.strip_suffix(".json")?;
    number(digits, 20).map(Epoch)
}

#[must_use]
pub fn probe(nonce: &str, attempt: u32) -> String {
    format!("{PROBES}/{nonce}-{attempt}")
}

/// The writer, task and epoch of a state file. Garbage collection goes by this name. So a file is named for the first
/// epoch whose manifest will refer to it, and a compaction's file for the first epoch whose manifest will say that it
/// is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateName {
    pub generation: Generation,
    pub epoch: Epoch,
    pub task: u32,
    /// The number of this file among those of one task in one epoch. Files of the epoch's change count from 0, those of
    /// a compaction from [`COMPACTED_FROM`].
    pub n: u32,
}

/// The number of a compaction's first file.
pub const COMPACTED_FROM: u32 = 1 << 16;

impl StateName {
    /// Whether a compaction wrote this file.
    #[must_use]
    pub fn is_compacted(&self) -> bool {
        self.n >= COMPACTED_FROM
    }

    /// Whether both files belong to one change or to one compaction, and this one comes later.
    #[must_use]
    pub fn goes_on_after(&self, before: &Self) -> bool {
        let series = |name: &Self| (name.generation, name.epoch, name.task, name.is_compacted());
        series(self) == series(before) && self.n > before.n
    }

    /// The file's path, relative to the checkpoint's root, as manifests refer to it.
    #[must_use]
    pub fn path(&self, extension: &str) -> String {
        format!("{STATE}/{self}.{extension}")
    }

    /// The inverse of [`Self::path`], from the last segment. `None` for a name that Weir did not give.
    #[must_use]
    pub fn parse(file_name: &str) -> Option<Self> {
        let (stem, _extension) = file_name.split_once('.')?;
        let mut parts = stem.split('-');
        let name = Self {
            generation: Generation(number(parts.next()?, 10)?),
            epoch: Epoch(number(parts.next()?, 20)?),
            task: parts.next()?.parse().ok()?,
            n: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(name)
    }
}

impl fmt::Display for StateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010}-{:020}-{}-{}", self.generation.0, self.epoch.0, self.task, self.n)
    }
}

/// Reads exactly `width` digits. A name with another number of digits sorts differently, so it is not ours.
fn number(digits: &str, width: usize) -> Option<u64> {
    (digits.len() == width && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_like_their_numbers() {
        let mut names: Vec<_> = [1, 9, 10, 99, 100, u64::MAX].map(|e| manifest(Epoch(e))).to_vec();
        let sorted = names.clone();
        names.sort();
        assert_eq!(names, sorted);
    }

    #[test]
    fn names_are_read_back_and_foreign_ones_are_not() {
        assert_eq!(manifest_epoch("00000000000000000042.json"), Some(Epoch(42)));
        for foreign in [
            "42.json",
            "00000000000000000042.json.bak",
            "+0000000000000000042.json",
            "README",
            "99999999999999999999.json",
        ] {
            assert_eq!(manifest_epoch(foreign), None, "{foreign}");
        }
        let name = StateName { generation: Generation(3), epoch: Epoch(17), task: 0, n: 2 };
        assert_eq!(name.path("arrow"), "state/0000000003-00000000000000000017-0-2.arrow");
        assert_eq!(StateName::parse("0000000003-00000000000000000017-0-2.arrow"), Some(name));
        for foreign in [
            "3-17-0-2.arrow",
            "0000000003-00000000000000000017-0-2",
            "0000000003-00000000000000000017-0.arrow",
            "x.arrow",
        ] {
            assert_eq!(StateName::parse(foreign), None, "{foreign}");
        }
    }
}
