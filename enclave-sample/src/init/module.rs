//! Loads a kernel module (finit_module(2)).

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::io::Errno;
use rustix::system::finit_module;

use super::InitError;

/// MODULE_INIT_COMPRESSED_FILE: the kernel unpacks it.
const COMPRESSED_FILE: i32 = 4;

/// Loads the module at `path`; one that is loaded already is fine.
pub(super) fn load(path: &Path) -> Result<(), InitError> {
    let failed = |source: io::Error| InitError::Module { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let is_compressed = path.extension().is_some_and(|extension| extension != "ko");
    match finit_module(&file, c"", if is_compressed { COMPRESSED_FILE } else { 0 }) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(failed(errno.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_module_is_named() {
        let error = load(Path::new("/nonexistent/nsm.ko")).unwrap_err();
        assert!(error.to_string().starts_with("cannot load the NSM driver /nonexistent/nsm.ko: "), "{error}");
    }
}
