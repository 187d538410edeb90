//! A small disk of its own, in memory, so that a test can fill it and turn it read-only. Mounting takes root.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::deadline;
use crate::skip::Missing;

/// The kernel refuses to turn a disk read-only on which a file is just being written.
const REMOUNT_LIMIT: Duration = Duration::from_secs(120);

/// Mounted until it is dropped.
pub struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// Over a folder, which is created.
    pub fn mount(folder: &Path, kib: u32) -> Result<Self, Missing> {
        std::fs::create_dir_all(folder).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"]).arg(folder).output();
        if !mounted.is_ok_and(|o| o.status.success()) {
            return Err(Missing { part: "a small disk", why: "mounting one takes root".to_owned() });
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// With more room, or less.
    pub fn resize(&self, kib: u32) {
        self.remount(&format!("size={kib}k"));
    }

    /// Nobody can write to it.
    pub fn turn_read_only(&self) {
        self.remount("ro");
    }

    pub fn turn_writable(&self) {
        self.remount("rw");
    }

    fn remount(&self, option: &str) {
        deadline::until(&format!("{} is mounted with {option}", self.folder.display()), REMOUNT_LIMIT, || {
            let remount =
                Command::new("mount").args(["-o", &format!("remount,{option}")]).arg(&self.folder).output().unwrap();
            remount.status.success().then_some(())
        });
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.folder).status();
    }
}
