//! `testdata/differences.toml`: where the broker and a peer are known to differ, and why.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use serde::Deserialize;

use crate::peers::Peer;
use crate::recorded::repository_path;

/// One verdict against another on cases of a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    pub peer: &'static str,
    /// `accepted`, or the code of the broker's error.
    pub ours: String,
    /// `accepted`, `refused`, `panicked` or `crashed`.
    pub theirs: String,
    pub case: String,
}

impl Difference {
    /// The difference, if it is one: who refuses may do so for any reason, but a panic is no refusal.
    pub fn between(peer: Peer, ours: &str, theirs: &str, case: &str) -> Option<Self> {
        let ours_refuses = ours != "accepted";
        let differs = match theirs {
            "accepted" => ours_refuses,
            "refused" => !ours_refuses,
            _ => true,
        };
        differs.then(|| Self {
            peer: peer.name(),
            ours: ours.to_owned(),
            theirs: theirs.to_owned(),
            case: case.to_owned(),
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    difference: Vec<Row>,
}

/// A row of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    peer: String,
    ours: String,
    theirs: String,
    /// Names of cases; one that ends with `*` stands for every case that begins so, each of which must differ.
    cases: Vec<String>,
    why: String,
}

/// Compares what was found with what is known. `present` are the names of all cases that were judged.
///
/// # Panics
/// When a difference is not known, or a known one is no more.
pub fn compare(found: &BTreeMap<Difference, String>, present: &BTreeSet<String>) {
    let text = fs::read_to_string(repository_path("testdata/differences.toml")).unwrap();
    let file: File = toml::from_str(&text).unwrap();
    let corpora: BTreeSet<&str> = present.iter().filter_map(|name| name.split('/').next()).collect();
    let mut known = BTreeSet::new();
    for row in &file.difference {
        assert!(row.why.len() > 20, "a row says why: {:?}", row.cases);
        let peer = Peer::ALL.into_iter().find(|peer| peer.name() == row.peer).unwrap();
        for pattern in &row.cases {
            let corpus = pattern.split('/').next().unwrap();
            let cases = matching(pattern, present);
            assert!(!cases.is_empty() || !corpora.contains(corpus), "{pattern}: no case has that name");
            known.extend(cases.into_iter().map(|case| Difference {
                peer: peer.name(),
                ours: row.ours.clone(),
                theirs: row.theirs.clone(),
                case: case.to_owned(),
            }));
        }
    }
    let unknown = found.iter().filter(|(difference, _)| !known.contains(difference));
    let vanished = known.iter().filter(|difference| !found.contains_key(difference));
    let mut report = String::new();
    for (Difference { peer, ours, theirs, case }, detail) in unknown {
        writeln!(report, "unknown:  {peer}: ours {ours}, theirs {theirs}: {case} ({detail})").unwrap();
    }
    for Difference { peer, ours, theirs, case } in vanished {
        writeln!(report, "no more:  {peer}: ours {ours}, theirs {theirs}: {case}").unwrap();
    }
    assert!(report.is_empty(), "testdata/differences.toml does not say what was found:\n{report}");
}

fn matching<'p>(pattern: &str, present: &'p BTreeSet<String>) -> Vec<&'p str> {
    let matches = |name: &&str| match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => *name == pattern,
    };
    present.iter().map(String::as_str).filter(matches).collect()
}
