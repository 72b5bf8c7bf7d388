//! Lint over the policies of `testdata/policies`: exactly what is expected of each, in each place.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use nitro_key_broker::policy::{Finding, LintOptions, PolicyKind, Severity, lint, rule, rules};
use nitro_key_broker::time::UnixTime;
use serde::Deserialize;

/// When expiries are judged, unless a file says otherwise.
const AT: &str = "2026-11-24T12:00:00Z";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    kind: Option<String>,
    at: Option<String>,
    source: Option<String>,
    findings: Vec<String>,
}

fn corpus() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/policies"))
}

fn manifest() -> BTreeMap<String, Expected> {
    toml::from_str(&fs::read_to_string(corpus().join("expected.toml")).unwrap()).unwrap()
}

fn findings(file: &str, expected: &Expected) -> Vec<Finding> {
    let text = fs::read_to_string(corpus().join(file)).unwrap();
    let kind = match expected.kind.as_deref() {
        None => PolicyKind::Key,
        Some("identity") => PolicyKind::Identity,
        Some(other) => panic!("{file}: {other}"),
    };
    let now = Some(UnixTime::parse_rfc3339(expected.at.as_deref().unwrap_or(AT)).unwrap());
    lint(&text, &LintOptions { kind, now })
}

#[test]
fn each_policy_has_exactly_its_findings() {
    let manifest = manifest();
    let mut wrong = Vec::new();
    for (file, expected) in &manifest {
        let found: Vec<String> = findings(file, expected)
            .iter()
            .map(|finding| format!("{}:{} {}", finding.place.line, finding.place.column, finding.rule.code))
            .collect();
        if found != expected.findings {
            wrong.push(format!("{file}: expected {:?}, found {found:?}", expected.findings));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    let in_folders: BTreeSet<String> = ["defects", "clean"]
        .iter()
        .flat_map(|folder| {
            fs::read_dir(corpus().join(folder))
                .unwrap()
                .map(move |entry| format!("{folder}/{}", entry.unwrap().file_name().into_string().unwrap()))
        })
        .collect();
    assert_eq!(in_folders, manifest.into_keys().collect(), "expected.toml lists the files that are there");
}

#[test]
fn each_code_has_a_policy_that_shows_it() {
    let mut unseen: BTreeSet<&str> = rules().map(|rule| rule.code).collect();
    let mut defects = 0;
    for (file, expected) in manifest() {
        if file.starts_with("defects/") {
            defects += 1;
            assert!(!expected.findings.is_empty(), "{file} has no defect");
            for finding in &expected.findings {
                let code = finding.split(' ').nth(1).unwrap();
                assert!(rule(code).is_some(), "{file}: {code}");
                unseen.remove(code);
            }
        }
    }
    assert!(unseen.is_empty(), "no policy shows {unseen:?}");
    assert!(defects >= 60, "{defects}");
}

/// AWS's documented examples, and those of this project.
#[test]
fn there_is_no_false_alarm() {
    let mut clean = 0;
    for (file, expected) in manifest() {
        if file.starts_with("clean/") {
            clean += 1;
            assert!(expected.source.is_some(), "{file} says where it comes from");
            let alarms: Vec<Finding> =
                findings(&file, &expected).into_iter().filter(|f| f.severity() > Severity::Note).collect();
            assert!(alarms.is_empty(), "{file}: {alarms:?}");
        }
    }
    assert!(clean >= 30, "{clean}");
}

/// Whatever one replacement mends is gone with it, and nothing graver comes.
#[test]
fn each_replacement_mends_its_finding() {
    let mut mended_findings = 0;
    for (file, expected) in manifest() {
        let text = fs::read_to_string(corpus().join(&file)).unwrap();
        for finding in findings(&file, &expected) {
            let Some(replacement) = &finding.replacement else { continue };
            let mut mended = text.clone();
            mended.replace_range(finding.place.span.clone(), replacement);
            let options = LintOptions { kind: PolicyKind::Key, now: None };
            let again: Vec<Finding> = lint(&mended, &options);
            assert!(!again.iter().any(|other| other.rule == finding.rule), "{file}: {again:?}");
            assert!(!again.iter().any(|other| other.refused), "{file}: {again:?}");
            mended_findings += 1;
        }
    }
    assert!(mended_findings >= 12, "{mended_findings}");
}

/// The policies in the documents, with accounts and digests filled in.
#[test]
fn documented_policies_are_clean() {
    let document = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/policy.md")).unwrap();
    let digests = [
        "60ed4cb5bc6ea2e7c370b3cec8a17c9b3300fb417493bd1afd3e53ecd024344e169ea365f53f1c416418f982d30f24a7",
        "1ce449e52cc65c32383b16779ebd822c06d702ec8d6bac60cc47b16fa7a80e92c55a3e1e69940219ecb271a1555a1ab1",
    ];
    let mut policies = 0;
    for text in document.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
        let mut text =
            text.replace("111122223333", "730335421987").replace("<96 digits of the old image>", digests[1]);
        while let Some(start) = text.find("<96 digits") {
            let end = start + text[start..].find('>').unwrap();
            text.replace_range(start..=end, digests[0]);
        }
        let is_identity = !text.contains("\"Principal\"");
        let kind = if is_identity { PolicyKind::Identity } else { PolicyKind::Key };
        let now = Some(UnixTime::parse_rfc3339(AT).unwrap());
        let found = lint(&text, &LintOptions { kind, now });
        assert!(found.iter().all(|finding| finding.severity() == Severity::Note), "{text}\n{found:?}");
        policies += 1;
    }
    assert!(policies >= 9, "{policies}");
}
