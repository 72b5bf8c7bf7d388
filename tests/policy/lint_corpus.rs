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
