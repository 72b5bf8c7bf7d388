//! `enclave-sample`: obtains data keys inside an enclave and seals files under them.

mod cli;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    cli::run(cli::Cli::parse())
}
