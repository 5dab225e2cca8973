//! The spill folder of a statement.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// Removals until tasks that were stopped have made their last file.
const ATTEMPTS: usize = 10;

/// A folder that goes when the session and its streams have gone, also where a stopped statement still has files open.
#[derive(Debug)]
pub(in crate::query) struct SpillFolder(PathBuf);

impl SpillFolder {
    /// # Errors
    /// There is no temporary folder that can be written to.
    pub(in crate::query) fn new() -> io::Result<Self> {
        Ok(Self(tempfile::Builder::new().prefix("tickhouse-spill-").tempdir()?.keep()))
    }

    pub(in crate::query) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SpillFolder {
    fn drop(&mut self) {
        let gone = (0..ATTEMPTS).any(|_| fs::remove_dir_all(&self.0).is_ok());
        if !gone {
            tracing::warn!(folder = %self.0.display(), "the files of a statement are left in a temporary folder");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_with_all_that_is_in_it() {
        let folder = SpillFolder::new().unwrap();
        let path = folder.path().to_owned();
        fs::create_dir(path.join("one")).unwrap();
        let _open = fs::File::create(path.join("one/file")).unwrap();
        drop(folder);
        assert!(!path.exists());
    }
}
