//! A small disk in memory, which a test can fill and make read-only. Mounting it needs root.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::deadline;
use crate::skip::Missing;

/// The time until the kernel makes a disk read-only. It refuses while a file on the disk is being written.
const REMOUNT_LIMIT: Duration = Duration::from_secs(120);

/// A disk that is mounted until it is dropped.
pub struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// Creates the folder and mounts the disk on it.
    pub fn mount(folder: &Path, kib: u32) -> Result<Self, Missing> {
        std::fs::create_dir_all(folder).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"]).arg(folder).output();
        if !mounted.is_ok_and(|o| o.status.success()) {
            return Err(Missing { part: "a small disk", why: "mounting one takes root".to_owned() });
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// Gives the disk another size.
    pub fn resize(&self, kib: u32) {
        self.remount(&format!("size={kib}k"));
    }

    /// Makes the disk read-only.
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
