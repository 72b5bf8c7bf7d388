//! Attestation, completeness of the vectors: `testdata/attestation_coverage.toml` says what they must show.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Coverage {
    sets: BTreeMap<String, Vec<String>>,
    refused: Vec<Demand>,
    accepted: Vec<Demand>,
}

#[derive(Deserialize)]
struct Demand {
    demand: String,
    vectors: Vec<String>,
    #[serde(default)]
    tests: Vec<String>,
    /// Sets that only this demand speaks of.
    #[serde(flatten)]
    sets: BTreeMap<String, Vec<String>>,
}

impl Coverage {
    fn read() -> Self {
        let text = fs::read_to_string(repository("testdata/attestation_coverage.toml")).unwrap();
        toml::from_str(&text).unwrap()
    }

    /// The names that a demand's patterns stand for.
    fn vectors(&self, demand: &Demand) -> Vec<String> {
        demand.vectors.iter().flat_map(|pattern| self.expand(demand, pattern)).collect()
    }

    fn expand(&self, demand: &Demand, pattern: &str) -> Vec<String> {
        let Some((before, rest)) = pattern.split_once('{') else { return vec![pattern.to_owned()] };
        let (set, after) = rest.split_once('}').unwrap();
        let members = demand.sets.get(set).or_else(|| self.sets.get(set));
        let members = members.unwrap_or_else(|| panic!("{}: no set {set}", demand.demand));
        members.iter().map(|member| format!("{before}{member}{after}")).collect()
    }

    fn demands(&self) -> impl Iterator<Item = &Demand> {
        self.refused.iter().chain(&self.accepted)
    }
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Every vector by name, and whether it must be accepted.
fn committed() -> BTreeMap<String, bool> {
    fs::read_dir(repository("testdata/attestation"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            let expected: serde_json::Value =
                serde_json::from_slice(&fs::read(entry.path().join("expected.json")).unwrap()).unwrap();
            (name, expected["layer"] == "accepted")
        })
        .collect()
}

#[test]
fn every_demand_is_met_by_vectors_with_its_verdict() {
    let coverage = Coverage::read();
    let committed = committed();
    let missing = |demands: &[Demand], accepted: bool| -> Vec<String> {
        let unmet = |name: &String| committed.get(name) != Some(&accepted);
        demands
            .iter()
            .flat_map(|demand| coverage.vectors(demand).into_iter().map(|name| (&demand.demand, name)))
            .filter(|(_, name)| unmet(name))
            .map(|(demand, name)| format!("{demand}: {name}"))
            .collect()
    };
    assert_eq!(missing(&coverage.refused, false), Vec::<String>::new());
    assert_eq!(missing(&coverage.accepted, true), Vec::<String>::new());
    assert!(coverage.demands().all(|demand| !demand.vectors.is_empty()));
}

#[test]
fn every_vector_is_there_for_a_demand() {
    let coverage = Coverage::read();
    let named: BTreeSet<String> = coverage.demands().flat_map(|demand| coverage.vectors(demand)).collect();
    let idle: Vec<String> = committed().into_keys().filter(|name| !named.contains(name)).collect();
    assert_eq!(idle, Vec::<String>::new());
}

#[test]
fn every_named_test_exists() {
    let sources: String = fs::read_dir(repository("tests"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    for demand in Coverage::read().demands() {
        for test in &demand.tests {
            assert!(
                sources.contains(&format!("#[test]\nfn {test}() {{")),
                "{}: no test {test}",
                demand.demand
            );
        }
    }
}
