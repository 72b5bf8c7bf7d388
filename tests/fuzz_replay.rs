//! The fuzz targets on the stable toolchain: every seed, every input that once broke something, and mutations of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

#[path = "../enclave-sample/tests/support/envelope.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod envelope;
#[path = "support/fuzz_seeds.rs"]
mod fuzz_seeds;
#[path = "support/fuzz_targets/mod.rs"]
#[allow(dead_code, reason = "the fuzzer uses the rest")]
mod fuzz_targets;
#[path = "support/mint/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod mint;

use std::fs;
use std::path::{Path, PathBuf};

use fuzz_targets::Target;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

fn replay(name: &str, mutations: u32) {
    let target = target(name);
    let seeds = inputs("fuzz/seeds", name);
    assert!(seeds.len() >= 5, "{} seeds for {name}", seeds.len());
    for (path, input) in seeds.iter().chain(&inputs("fuzz/regressions", name)) {
        run(target, input, &path.display().to_string());
    }
    mutate(target, &seeds, mutations);
}

/// A piece of some seed replaced by a piece of another or by anything: what a fuzzer does first.
fn mutate(target: &Target, seeds: &[(PathBuf, Vec<u8>)], cases: u32) {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..24),
        (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0_usize..200).prop_map(
            |(seed, at, length)| {
                let (_, donor) = &seeds[seed.index(seeds.len())];
                let at = at.index(donor.len() + 1);
                donor[at..donor.len().min(at + length)].to_vec()
            }
        ),
    ];
    let mutation = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0_usize..24, piece);
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let result = runner.run(&mutation, |(seed, at, cut, piece)| {
        let (_, mut input) = seeds[seed.index(seeds.len())].clone();
        let at = at.index(input.len() + 1);
        input.splice(at..input.len().min(at + cut), piece);
        (target.run)(&input);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{}: {error}", target.name));
}

fn run(target: &Target, input: &[u8], what: &str) {
    let result = std::panic::catch_unwind(|| (target.run)(input));
    assert!(result.is_ok(), "{what} breaks a property of {}", target.name);
}

fn target(name: &str) -> &'static Target {
    fuzz_targets::ALL.iter().find(|target| target.name == name).unwrap()
}

fn inputs(folder: &str, name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name);
    let Ok(entries) = fs::read_dir(&folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn document() {
    replay("document", 100);
}

#[test]
fn cose() {
    replay("cose", 500);
}

#[test]
fn path() {
    replay("path", 100);
}

#[test]
fn cms() {
    replay("cms", 500);
}

#[test]
fn request() {
    replay("request", 2000);
}

#[test]
fn sigv4() {
    replay("sigv4", 1000);
}

#[test]
fn policy() {
    replay("policy", 1000);
}

#[test]
fn ciphertext_blob() {
    replay("ciphertext_blob", 500);
}

#[test]
fn eif() {
    replay("eif", 1000);
}

#[test]
fn audit() {
    replay("audit", 500);
}

/// Each target has its seeds, its program in the fuzz crate, and its test above.
#[test]
fn every_target_is_complete() {
    let here = include_str!("fuzz_replay.rs");
    for Target { name, .. } in fuzz_targets::ALL {
        assert!(here.contains(&format!("replay(\"{name}\"")), "{name} is not replayed");
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fuzz/fuzz_targets/{name}.rs"));
        assert!(program.exists(), "{} is missing", program.display());
        assert!(!inputs("fuzz/seeds", name).is_empty(), "{name} has no seeds");
    }
}

/// Seeds of documents that the generator no longer makes would end at the first check.
#[test]
fn the_seeds_are_those_of_the_generator() {
    let all = fuzz_seeds::all();
    for target in fuzz_targets::ALL {
        let committed = inputs("fuzz/seeds", target.name);
        let mut generated: Vec<_> = all.iter().filter(|seed| seed.target == target.name).collect();
        generated.sort_by_key(|seed| &seed.name);
        let names = |(path, _): &(PathBuf, _)| path.file_name().unwrap().to_str().unwrap().to_owned();
        let expected: Vec<&str> = generated.iter().map(|seed| &*seed.name).collect();
        assert_eq!(committed.iter().map(names).collect::<Vec<_>>(), expected);
        for ((path, input), seed) in committed.iter().zip(&generated) {
            // The encryption of an envelope's key is randomised.
            assert!(
                target.name == "cms" || *input == seed.input,
                "{}: run cargo run --example mint_fuzz_seeds -- fuzz/seeds",
                path.display()
            );
        }
    }
}
