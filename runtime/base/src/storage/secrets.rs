//! Secrets as Kubernetes mounts them: a folder per Secret, and a file per key.

use std::io::ErrorKind;
use std::path::PathBuf;

use crate::failure::{Failure, Result};

/// How often a Secret is read to catch a moment at which nobody exchanges its files. An exchange takes a moment, and
/// the next one comes a minute later at the earliest.
const READS_MAX: usize = 3;

/// The folder that holds a folder per Secret.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    pub dir: Option<PathBuf>,
}

impl Secrets {
    /// The file of `key` in the Secret `name`, which may not exist.
    ///
    /// # Errors
    /// `Config`, if no folder of Secrets was given.
    pub fn path(&self, name: &str, key: &str) -> Result<PathBuf> {
        let dir = self.dir.as_ref().ok_or_else(|| {
            Failure::config(format!(
                "the Secret `{name}` is needed (key `{key}`), but no folder of Secrets was given; use --secrets DIR"
            ))
        })?;
        Ok(dir.join(name).join(key))
    }

    /// The value of `key` in the Secret `name`, without one line end at its end (editors add it, and nobody means it).
    pub fn read(&self, name: &str, key: &str) -> Result<String> {
        let file = self.path(name, key)?;
        self.read_optional(name, key)?.ok_or_else(|| {
            Failure::config(format!("the Secret `{name}` has no key `{key}`: {} does not exist", file.display()))
        })
    }

    /// What `read` reads from the Secret, all at one moment. The kubelet exchanges all files of a volume at once: it
    /// points the volume's link `..data` to another folder. The operator makes one volume of all Secrets; others may
    /// make one of each.
    pub fn at_one_moment<T>(&self, name: &str, read: impl Fn() -> Result<T>) -> Result<T> {
        let files = || {
            let dir = self.dir.as_ref()?;
            Some([dir.clone(), dir.join(name)].map(|volume| volume.join("..data").read_link().ok()))
        };
        for _ in 1..READS_MAX {
            let before = files();
            let found = read();
            if files() == before {
                return found;
            }
        }
        read()
    }

    /// The value of a key that may be missing, without one line end at its end.
    pub fn read_optional(&self, name: &str, key: &str) -> Result<Option<String>> {
        let file = self.path(name, key)?;
        match std::fs::read_to_string(&file) {
            Ok(mut value) => {
                if value.ends_with('\n') {
                    value.pop();
                    if value.ends_with('\r') {
                        value.pop();
                    }
                }
                Ok(Some(value))
            }
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Failure::config(format!(
                "the key `{key}` of the Secret `{name}` can't be read from {}: {e}",
                file.display()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::cell::Cell;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_secret_whose_files_are_exchanged_while_they_are_read_is_read_again() {
        for volume in ["", "lake"] {
            let dir = tempfile::tempdir().unwrap();
            let volume = dir.path().join(volume);
            std::fs::create_dir_all(&volume).unwrap();
            symlink("..old", volume.join("..data")).unwrap();
            let secrets = Secrets { dir: Some(dir.path().to_owned()) };
            let reads = Cell::new(0);
            let found = secrets.at_one_moment("lake", || {
                reads.set(reads.get() + 1);
                let found = std::fs::read_link(volume.join("..data")).unwrap();
                if reads.get() == 1 {
                    symlink("..new", volume.join("..next")).unwrap();
                    std::fs::rename(volume.join("..next"), volume.join("..data")).unwrap();
                }
                Ok(found)
            });
            assert_eq!((found, reads.get()), (Ok(PathBuf::from("..new")), 2));
        }
    }
}
