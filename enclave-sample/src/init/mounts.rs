//! The file systems that programs expect.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{CWD, symlinkat};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount, mount_bind_recursive, mount_move};
use rustix::process::{chdir, chroot};

use super::InitError;

struct Mount {
    file_system: &'static str,
    target: &'static str,
    flags: MountFlags,
    options: &'static std::ffi::CStr,
}

const NO_PROGRAMS: MountFlags = MountFlags::NOSUID.union(MountFlags::NOEXEC);

/// In the order of mounting: the later ones lie in the earlier.
const MOUNTS: [Mount; 7] = [
    Mount { file_system: "proc", target: "/proc", flags: NO_PROGRAMS.union(MountFlags::NODEV), options: c"" },
    Mount { file_system: "sysfs", target: "/sys", flags: NO_PROGRAMS.union(MountFlags::NODEV), options: c"" },
    Mount { file_system: "devtmpfs", target: "/dev", flags: NO_PROGRAMS, options: c"mode=0755" },
    Mount {
        file_system: "devpts",
        target: "/dev/pts",
        flags: NO_PROGRAMS,
        options: c"mode=0620,ptmxmode=0666",
    },
    Mount {
        file_system: "tmpfs",
        target: "/dev/shm",
        flags: NO_PROGRAMS.union(MountFlags::NODEV),
        options: c"mode=1777",
    },
    Mount {
        file_system: "tmpfs",
        target: "/run",
        flags: NO_PROGRAMS.union(MountFlags::NODEV),
        options: c"mode=0755",
    },
    Mount {
        file_system: "tmpfs",
        target: "/tmp",
        flags: MountFlags::NOSUID.union(MountFlags::NODEV),
        options: c"mode=1777",
    },
];

/// Where the standard streams are found as files.
const LINKS: [(&str, &str); 4] = [
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
];

/// Mounts what is not mounted.
pub(super) fn mount_all() -> Result<(), InitError> {
    for Mount { file_system, target, flags, options } in MOUNTS {
        let failed = |source: io::Error| InitError::Mount { file_system, target, source };
        fs::create_dir_all(target).map_err(failed)?;
        if is_mount_point(target).map_err(failed)? {
            continue;
        }
        match mount(file_system, target, file_system, flags, options) {
            // Busy: there is one already, of the same device.
            Ok(()) | Err(Errno::BUSY) => {}
            Err(errno) => return Err(failed(errno.into())),
        }
    }
    for (to, link) in LINKS {
        // It may be there already.
        let _ = symlinkat(to, CWD, link);
    }
    Ok(())
}

/// Makes `root` the root directory. The ramdisk that the kernel unpacked cannot be left as a file system is with
/// pivot_root(2), so `root` is mounted on itself and moved over it.
pub(super) fn change_root(root: &Path) -> Result<(), InitError> {
    let change = || {
        mount_bind_recursive(root, root)?;
        chdir(root)?;
        mount_move(".", "/")?;
        chroot(".")?;
        chdir("/")
    };
    change().map_err(|errno: Errno| InitError::Root { path: root.to_owned(), source: errno.into() })
}

/// A mount point is on another device than the directory that it lies in.
fn is_mount_point(target: &str) -> io::Result<bool> {
    let parent = format!("{target}/..");
    Ok(fs::metadata(target)?.dev() != fs::metadata(parent)?.dev())
}
