//! Writes the seeds of the fuzz targets: `cargo run --example mint_fuzz_seeds -- fuzz/seeds`.
//!
//! The folder is emptied first, so that it holds what the generator says and nothing else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "a generator of test data may stop at the first surprise"
)]

#[path = "../enclave-sample/tests/support/envelope.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod envelope;
#[path = "../tests/support/fuzz_seeds.rs"]
mod fuzz_seeds;
#[path = "../tests/support/fuzz_targets/mod.rs"]
#[allow(dead_code, reason = "the fuzzer uses the rest")]
mod fuzz_targets;
#[path = "../tests/support/mint/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod mint;

use std::path::Path;
use std::{env, fs};

fn main() {
    let folder = env::args().nth(1).expect("usage: mint_fuzz_seeds FOLDER");
    let folder = Path::new(&folder);
    if folder.exists() {
        assert!(
            folder.join("ciphertext_blob").exists(),
            "{} does not look like a folder of seeds",
            folder.display()
        );
        fs::remove_dir_all(folder).unwrap();
    }
    let seeds = fuzz_seeds::all();
    for seed in &seeds {
        let folder = folder.join(seed.target);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(&seed.name), &seed.input).unwrap();
    }
    let total: usize = seeds.iter().map(|seed| seed.input.len()).sum();
    println!("{} seeds of {total} bytes written to {}", seeds.len(), folder.display());
}
