//! The `nitro-key-broker` command.

fn main() {}
