//! `enclave-sample init`

use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use clap::Args;
use enclave_sample::init::{
    Ended, ImageCommand, Preparation, Supervisor, end_enclave, is_first_process, prepare,
};
use enclave_sample::proxy::LoopbackAddress;

use super::failure::Failure;

/// This program, whatever its name and wherever it lies.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// `listening on URL` is some 40 bytes long.
const MAX_PROXY_LINE_BYTES: u64 = 256;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The NSM driver to load, unless it is [default: the first of /nsm.ko, /lib/modules/nsm.ko, /lib/modules/nsm.ko.xz,
    /// if any]
    #[arg(long, value_name = "FILE", env = "ENCLAVE_SAMPLE_NSM_MODULE")]
    nsm_module: Option<PathBuf>,

    /// A directory to make the root directory first
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,

    /// Do not tell nitro-cli on the parent instance that the enclave runs. Only the first process does
    #[arg(long, env = "ENCLAVE_SAMPLE_NO_HEARTBEAT")]
    no_heartbeat: bool,

    /// Run a proxy on this address before the command, with the options in the environment (ENCLAVE_SAMPLE_…); the
    /// command finds it as AWS_ENDPOINT_URL_KMS
    #[arg(long, value_name = "IP:PORT", env = "ENCLAVE_SAMPLE_PROXY")]
    proxy: Option<LoopbackAddress>,

    /// The command to run. The enclave ends when it ends
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// The name under which the kernel starts the first process of a ramdisk.
pub(super) const PROGRAM_NAME: &str = "init";

/// As the kernel starts it, without arguments: becomes `enclave-sample init` with the command that the image names.
pub(super) fn main_of_image(program: &OsStr) -> ExitCode {
    let failure = match ImageCommand::read(Path::new("/")) {
        Ok(ImageCommand { command, environment, root }) => {
            let mut this = Command::new(program);
            this.arg0("enclave-sample").arg("init").envs(environment);
            if let Some(root) = root {
                this.arg("--root").arg(root);
            }
            let error = this.arg("--").args(command).exec();
            Failure::failed(format!("cannot start: {error}"))
        }
        Err(error) => error.into(),
    };
    let exit_code = failure.report();
    match end_enclave() {
        Ok(()) => exit_code,
        Err(error) => Failure::from(error).report(),
    }
}

pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let result = prepare_and_supervise(arguments);
    match &result {
        Ok(ended) => eprintln!("init: the command {}", describe(*ended)),
        Err(failure) => {
            failure.report();
        }
    }
    if is_first_process() {
        end_enclave()?;
    }
    result.map(|ended| ExitCode::from(ended.exit_code()))
}

fn prepare_and_supervise(arguments: Arguments) -> Result<Ended, Failure> {
    let Arguments { nsm_module, root, no_heartbeat, proxy, command } = arguments;
    let sends_heartbeat = is_first_process() && !no_heartbeat;
    prepare(&Preparation { nsm_module, root, sends_heartbeat }, &mut |problem| {
        eprintln!("warning: {problem}");
    })?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start: {error}")))?
        .block_on(async {
            let mut supervisor = Supervisor::new()?;
            let mut words = command.into_iter();
            let program = words.next().ok_or_else(|| Failure::usage("no command to run"))?;
            let mut main = Command::new(program);
            main.args(words);
            if let Some(address) = proxy {
                main.env("AWS_ENDPOINT_URL_KMS", start_proxy(&mut supervisor, address)?);
            }
            supervisor.start(main)?;
            match supervisor.wait().await? {
                (0, ended) if proxy.is_some() => {
                    Err(Failure::failed(format!("the proxy {}, and the enclave with it", describe(ended))))
                }
                (_, ended) => Ok(ended),
            }
        })
}

/// Starts a proxy and yields its URL once it listens.
fn start_proxy(supervisor: &mut Supervisor, address: LoopbackAddress) -> Result<String, Failure> {
    let mut command = Command::new(THIS_PROGRAM);
    command.args(["proxy", "--listen", &address.to_string()]).stdout(Stdio::piped());
    let stdout = supervisor.start(command)?.ok_or_else(|| Failure::failed("the proxy has no output"))?;
    let mut line = String::new();
    BufReader::new(stdout.take(MAX_PROXY_LINE_BYTES))
        .read_line(&mut line)
        .map_err(|error| Failure::failed(format!("cannot read what the proxy says: {error}")))?;
    match line.trim().strip_prefix("listening on ") {
        Some(url) => Ok(url.to_owned()),
        None => Err(Failure::failed("the proxy did not start").with_hint(
            "it takes its options from the environment: ENCLAVE_SAMPLE_ENDPOINT, ENCLAVE_SAMPLE_CA, …",
        )),
    }
}

fn describe(ended: Ended) -> String {
    match ended {
        Ended::Exited(status) => format!("ended with status {status}"),
        Ended::Signaled(signal) => format!("was ended by signal {signal}"),
    }
}
