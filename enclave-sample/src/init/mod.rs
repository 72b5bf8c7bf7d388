//! What the first process of an enclave has to do, since nobody else does it: [`prepare`] mounts the kernel's file
//! systems, loads the NSM driver, brings the loopback up and tells the parent instance that the enclave runs;
//! [`Supervisor`] runs commands, reaps what they leave behind and passes signals on.
//!
//! Each step that is already done is left alone, so the same image runs under AWS's own init, too.

mod heartbeat;
mod image;
mod loopback;
mod module;
mod mounts;
mod supervisor;

use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, getpid};
use rustix::system::{RebootCommand, reboot};
use thiserror::Error;

pub use self::heartbeat::{HEARTBEAT_PORT, PARENT_CID};
pub use self::image::ImageCommand;
pub use self::supervisor::{Ended, Supervisor};

/// Where images have the NSM driver; the first that is there is loaded.
pub const NSM_MODULE_PATHS: [&str; 3] = ["/nsm.ko", "/lib/modules/nsm.ko", "/lib/modules/nsm.ko.xz"];

/// Where the driver puts its device.
const NSM_DEVICE: &str = "/dev/nsm";

/// Whether this is the first process, which the kernel started.
pub fn is_first_process() -> bool {
    getpid() == Pid::INIT
}

/// What there is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preparation {
    /// The NSM driver to load, unless it is; else the first of [`NSM_MODULE_PATHS`], if any.
    pub nsm_module: Option<PathBuf>,
    /// The directory to make the root directory, once the driver is loaded from the present one.
    pub root: Option<PathBuf>,
    /// Whether to tell the parent instance that the enclave runs. AWS's own init does it itself.
    pub sends_heartbeat: bool,
}

/// Prepares the enclave, step by step. `warn` hears of what failed but can be done without.
///
/// # Errors
/// Names the step that failed.
pub fn prepare(preparation: &Preparation, warn: &mut dyn FnMut(&InitError)) -> Result<(), InitError> {
    let Preparation { nsm_module, root, sends_heartbeat } = preparation;
    if let Some(path) = nsm_module.as_deref().or_else(|| first_module()) {
        module::load(path)?;
    }
    if let Some(root) = root {
        mounts::change_root(root)?;
    }
    mounts::mount_all()?;
    if !Path::new(NSM_DEVICE).exists() {
        // This may be no enclave.
        warn(&InitError::NoNsm);
    }
    loopback::bring_up().map_err(InitError::Loopback)?;
    if *sends_heartbeat && let Err(source) = heartbeat::send() {
        // Only nitro-cli listens for it, and only while it starts the enclave.
        warn(&InitError::Heartbeat(source));
    }
    Ok(())
}

/// Ends the enclave. To be called by the first process, whose return would be a kernel panic.
///
/// # Errors
/// When the kernel refuses; otherwise this does not return.
pub fn end_enclave() -> Result<(), InitError> {
    rustix::fs::sync();
    reboot(RebootCommand::Restart).map_err(|errno| InitError::Reboot(errno.into()))
}

fn first_module() -> Option<&'static Path> {
    NSM_MODULE_PATHS.into_iter().map(Path::new).find(|path| path.exists())
}

/// Why the enclave is not prepared, or its command did not run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InitError {
    /// A file system is not mounted.
    #[error("cannot mount {file_system} on {target}: {source}")]
    Mount {
        /// The kind of file system.
        file_system: &'static str,
        /// Where it belongs.
        target: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Another root directory cannot be had.
    #[error("cannot make {} the root directory: {source}", path.display())]
    Root {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the image does not say what to run.
    #[error("cannot use {}: {source}", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// The NSM driver is not loaded.
    #[error("cannot load the NSM driver {}: {source}", path.display())]
    Module {
        /// The module's file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no device.
    #[error("no /dev/nsm: there will be no attestation documents")]
    NoNsm,
    /// The loopback interface is down.
    #[error("cannot bring the loopback interface up: {0}")]
    Loopback(io::Error),
    /// The parent instance does not know that the enclave runs.
    #[error("no heartbeat to the parent instance: {0}")]
    Heartbeat(io::Error),
    /// A command did not start.
    #[error("cannot run {program}: {source}")]
    Run {
        /// The command's program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// Signals or children cannot be waited for.
    #[error("cannot wait for the command: {0}")]
    Wait(io::Error),
    /// The enclave does not end.
    #[error("cannot end the enclave: {0}")]
    Reboot(io::Error),
}
