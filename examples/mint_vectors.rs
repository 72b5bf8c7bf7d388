//! Writes the minted attestation vectors: `cargo run --example mint_vectors -- testdata/attestation`.
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

#[path = "../tests/support/mint/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod mint;

use std::path::Path;
use std::{env, fs};

use mint::vectors;

fn main() {
    let folder = env::args().nth(1).expect("usage: mint_vectors FOLDER");
    let folder = Path::new(&folder);
    if folder.exists() {
        assert!(
            folder.join("root.pem").exists(),
            "{} does not look like a folder of vectors",
            folder.display()
        );
        fs::remove_dir_all(folder).unwrap();
    }
    let files = vectors::files();
    for (path, content) in &files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    println!("{} files written to {}", files.len(), folder.display());
}
