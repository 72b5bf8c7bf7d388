//! `testdata/sigv4/differences.toml`: where the other verifier differs, and why.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::program::Program;
use crate::request::Request;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Differences {
    difference: Vec<Difference>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Difference {
    case: String,
    ours: String,
    theirs: String,
    why: String,
}

/// A difference without a row fails, and so does a row without its difference.
pub fn compare(program: &Program, cases: &[(&str, Request)]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/sigv4/differences.toml");
    let rows: Differences = toml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let mut rows: BTreeMap<String, Difference> =
        rows.difference.into_iter().map(|row| (row.case.clone(), row)).collect();
    let mut problems = Vec::new();
    for (case, request) in cases {
        let ours = verdict(request.verify());
        let theirs = verdict(program.verify(request));
        let agree = (ours == "accepted") == (theirs == "accepted");
        match rows.remove(*case) {
            None if agree => {}
            Some(row) if !agree && row.ours == ours && row.theirs == theirs && !row.why.is_empty() => {}
            _ => problems.push(format!("{case}: ours {ours:?}, theirs {theirs:?}")),
        }
    }
    problems.extend(rows.into_keys().map(|case| format!("a row without a case: {case}")));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn verdict<E: ToString>(result: Result<(), E>) -> String {
    result.map_or_else(|error| error.to_string(), |()| "accepted".to_owned())
}
