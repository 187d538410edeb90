//! Files that the user names for output at the end of a run. The start checks that they can be written, and a pipe that
//! nobody reads blocks nothing.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use weir_runtime::Failure;
use weir_runtime::observe::progress_file::without_waiting;

/// Checks that the file can be written, without changing it.
///
/// # Errors
/// `Config`, with the flag and the file.
pub fn check(flag: &str, path: &Path) -> Result<(), Failure> {
    let is_new = std::fs::symlink_metadata(path).is_err();
    open(path, OpenOptions::new().append(true)).map_err(|e| refused(flag, path, &e))?;
    if is_new {
        // An empty file could be mistaken for the output. If it can't be removed, it does no harm.
        let _ = std::fs::remove_file(path);
    }
    Ok(())
}

/// Replaces the content of the file.
///
/// # Errors
/// `Config`, with the flag and the file.
pub fn write(flag: &str, path: &Path, text: &str) -> Result<(), Failure> {
    let written =
        open(path, OpenOptions::new().write(true).truncate(true)).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|e| refused(flag, path, &e))
}

fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    without_waiting(options.create(true)).open(path)
}

fn refused(flag: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::config(format!(
        "{flag} {}: {}; name a file that can be written",
        path.display(),
        weir_runtime::observe::progress_file::why(error)
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_is_left_as_it_was_and_a_new_one_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        std::fs::write(&old, "kept").unwrap();
        check("--summary", &old).unwrap();
        check("--summary", &new).unwrap();
        assert_eq!((std::fs::read_to_string(&old).unwrap().as_str(), new.exists()), ("kept", false));
        write("--summary", &old, "new").unwrap();
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "new");
    }

    #[test]
    fn what_can_not_be_written_is_said_with_the_flag() {
        let folder = tempfile::tempdir().unwrap();
        let refused = check("--summary", folder.path()).unwrap_err();
        assert!(refused.message.starts_with(&format!("--summary {}: ", folder.path().display())), "{refused}");
        assert!(check("--summary", &folder.path().join("none/x")).is_err());
    }
}
