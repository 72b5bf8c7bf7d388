//! A disk that fills up.

use std::path::Path;
use std::process::Command;

/// A tmpfs of a few pages, where the test may mount one.
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    pub fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mount = |options: &str| {
            Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder.path()).output()
        };
        if !mount("size=64k").is_ok_and(|done| done.status.success()) {
            return None;
        }
        std::fs::write(folder.path().join("ballast"), [0; 16384]).unwrap();
        Some(Self(folder))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn make_room(&self) {
        std::fs::remove_file(self.0.path().join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}
