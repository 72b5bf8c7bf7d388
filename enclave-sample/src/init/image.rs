//! What an image says when the kernel starts its `/init` without arguments: the files that `nitro-cli build-enclave`
//! puts beside it for AWS's own init, whose place this program can take.
//!
//! | file | holds |
//! |---|---|
//! | `/cmd` | the command, one argument a line |
//! | `/env` | its environment, one `NAME=VALUE` a line |
//! | `/rootfs` | the root directory it runs in, if there is one |

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::InitError;

/// A command line and an environment are at most some 128 KiB on Linux.
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// What there is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageCommand {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Added to the environment.
    pub environment: Vec<(String, String)>,
    /// The root directory to run in.
    pub root: Option<PathBuf>,
}

impl ImageCommand {
    /// Reads the files in `folder`, which is `/` in an image.
    ///
    /// # Errors
    /// When a file cannot be read, or what it says is no command or no environment.
    pub fn read(folder: &Path) -> Result<Self, InitError> {
        let command_file = folder.join("cmd");
        let command = lines(&command_file)?;
        if command.is_empty() {
            return Err(invalid(&command_file, "it holds no command"));
        }
        let environment_file = folder.join("env");
        let environment = lines(&environment_file)?
            .into_iter()
            .map(|line| match line.split_once('=') {
                Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
                _ => Err(invalid(&environment_file, "a line of it is no NAME=VALUE")),
            })
            .collect::<Result<_, _>>()?;
        let root = Some(folder.join("rootfs")).filter(|root| root.is_dir());
        Ok(Self { command, environment, root })
    }
}

fn lines(path: &Path) -> Result<Vec<String>, InitError> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text))
        .map_err(|source| InitError::Image { path: path.to_owned(), source })?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(invalid(path, "it is too long"));
    }
    Ok(text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

fn invalid(path: &Path, problem: &'static str) -> InitError {
    let source = io::Error::new(io::ErrorKind::InvalidData, problem);
    InitError::Image { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(cmd: &str, env: &str) -> Result<ImageCommand, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("cmd"), cmd).unwrap();
        fs::write(folder.path().join("env"), env).unwrap();
        ImageCommand::read(folder.path())
            .map_err(|error| error.to_string().replace(folder.path().to_str().unwrap(), ""))
    }

    #[test]
    fn lines_are_arguments_and_variables() {
        let image = read("/app\n--flag\nwith blank\n", "A=1\nB=x=y\nC=\n").unwrap();
        assert_eq!(image.command, ["/app", "--flag", "with blank"]);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(image.environment, [pair("A", "1"), pair("B", "x=y"), pair("C", "")]);
        assert_eq!(image.root, None);
    }

    #[test]
    fn what_is_none_is_refused() {
        assert_eq!(read("", ""), Err("cannot use /cmd: it holds no command".to_owned()));
        assert_eq!(read("a", "b"), Err("cannot use /env: a line of it is no NAME=VALUE".to_owned()));
        assert_eq!(read("a", "=b"), Err("cannot use /env: a line of it is no NAME=VALUE".to_owned()));
        let long = "x".repeat(256 * 1024 + 1);
        assert_eq!(read(&long, ""), Err("cannot use /cmd: it is too long".to_owned()));
    }
}
