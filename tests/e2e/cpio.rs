//! Ramdisks: cpio archives in the form `newc` (Linux, *initramfs buffer format*), uncompressed, the same for the same files.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;

/// Archives may follow each other in one ramdisk when each begins at a multiple of four; this is what cpio(1) pads to.
const BLOCK: usize = 512;

#[derive(Default)]
pub struct Ramdisk {
    bytes: Vec<u8>,
    inode: u32,
}

impl Ramdisk {
    pub fn directory(&mut self, path: &str) {
        self.entry(path, DIRECTORY | 0o755, &[]);
    }

    pub fn file(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.entry(path, FILE | mode, content);
    }

    pub fn program(&mut self, path: &str, content: &[u8]) {
        self.file(path, 0o755, content);
    }

    pub fn symlink(&mut self, path: &str, to: &str) {
        self.entry(path, SYMLINK | 0o777, to.as_bytes());
    }

    /// A folder of this machine with all that is in it, modes included.
    pub fn tree(&mut self, path: &str, folder: &Path) {
        self.directory(path);
        let mut entries: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for entry in entries {
            let name = format!("{path}/{}", entry.file_name().unwrap().to_str().unwrap());
            let metadata = std::fs::metadata(&entry).unwrap();
            if metadata.is_dir() {
                self.tree(&name, &entry);
            } else {
                let content = std::fs::read(&entry).unwrap();
                self.file(&name, metadata.permissions().mode() & 0o777, &content);
            }
        }
    }

    /// Files by their paths, executable, with the folders that they lie in.
    pub fn files(&mut self, files: &BTreeMap<String, Vec<u8>>) {
        let folders: BTreeSet<&Path> =
            files.keys().flat_map(|path| Path::new(path).ancestors().skip(1)).collect();
        for folder in folders.into_iter().filter(|folder| !folder.as_os_str().is_empty()) {
            self.directory(folder.to_str().unwrap());
        }
        for (path, content) in files {
            self.program(path, content);
        }
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK), 0);
        self.bytes
    }

    /// Paths are from the root, without the slash.
    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) {
        let path = path.trim_start_matches('/');
        self.inode += 1;
        let length = u32::try_from(content.len()).unwrap();
        let name_length = u32::try_from(path.len() + 1).unwrap();
        // Inode, mode, owner, group, links, time, length, device and its number, name's length, checksum.
        let fields = [self.inode, mode, 0, 0, 1, 0, length, 0, 0, 0, 0, name_length, 0];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(path.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}
