//! The flag for the folder of Secrets, and what holds for every command that has one.

use std::path::PathBuf;

use clap::Args;
#[cfg(target_os = "linux")]
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use weir_runtime::storage::Secrets;

#[derive(Debug, Args)]
pub struct SecretsArgs {
    /// The folder in which Secrets are mounted, as DIR/SECRET/KEY.
    #[arg(long, value_name = "DIR")]
    secrets: Option<PathBuf>,
}

impl SecretsArgs {
    /// The Secrets, before any of them is read. From here on this process leaves no core dump.
    pub fn open(&self) -> Secrets {
        if self.secrets.is_some() {
            forbid_core_dumps();
        }
        Secrets { dir: self.secrets.clone() }
    }
}

/// On Linux, a crash then leaves no core dump, and no other process of the same user can read this one's memory.
fn forbid_core_dumps() {
    #[cfg(target_os = "linux")]
    if let Err(e) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!("a crash of this process may leave a core dump with passwords in it: {e}");
    }
}
