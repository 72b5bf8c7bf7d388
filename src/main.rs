//! The `nitro-key-broker` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    nitro_key_broker::cli::main()
}
