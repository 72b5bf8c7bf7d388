//! `enclave-sample`: obtains data keys inside an enclave, for itself and for what else runs there.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
