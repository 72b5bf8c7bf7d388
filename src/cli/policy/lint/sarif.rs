//! Findings in the Static Analysis Results Interchange Format, SARIF 2.1.0 (OASIS).

use std::collections::HashMap;

use serde_json::{Value, json};

use super::Linted;
use crate::crypto::sha256;
use crate::policy::{Finding, Place, Rule, Severity, rules};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// Names the way in which fingerprints are made; another way needs another name (SARIF 3.27.17).
const FINGERPRINT: &str = "nitroKeyBrokerPolicyLint/v1";

/// One run over all the policies.
pub(super) fn log(linted: &[Linted]) -> Value {
    let results: Vec<Value> = linted.iter().flat_map(results).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "nitro-key-broker policy lint",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules().map(descriptor).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "artifacts": linted.iter().map(|linted| json!({"location": {"uri": uri(&linted.name)}})).collect::<Vec<_>>(),
            "results": results,
        }],
    })
}

fn descriptor(rule: &Rule) -> Value {
    let Rule { code, name, severity, summary, why, fix } = rule;
    json!({
        "id": code,
        "name": name,
        "shortDescription": {"text": summary},
        "fullDescription": {"text": why},
        "help": {
            "text": format!("{summary} {why} Fix: {fix}."),
            "markdown": format!("{summary}\n\n{why}\n\n**Fix:** {fix}."),
        },
        "defaultConfiguration": {"level": level(*severity)},
        "properties": {
            "tags": ["security", "policy"],
            "precision": "high",
            "problem.severity": match severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "recommendation",
            },
        },
    })
}

fn results(linted: &Linted) -> impl Iterator<Item = Value> {
    let mut seen = HashMap::new();
    let uri = uri(&linted.name);
    linted.findings.iter().map(move |finding| {
        let mut result = result(finding, &uri);
        let fingerprint = fingerprint(finding, &linted.text, &mut seen);
        if let Some(members) = result.as_object_mut() {
            members.insert("partialFingerprints".to_owned(), json!({ FINGERPRINT: fingerprint }));
            if let Some(replacement) = &finding.replacement {
                let Place { span, .. } = &finding.place;
                members.insert(
                    "fixes".to_owned(),
                    json!([{
                        "description": {"text": finding.fix},
                        "artifactChanges": [{
                            "artifactLocation": {"uri": uri},
                            "replacements": [{
                                "deletedRegion": {"byteOffset": span.start, "byteLength": span.len()},
                                "insertedContent": {"text": replacement},
                            }],
                        }],
                    }]),
                );
            }
        }
        result
    })
}

fn result(finding: &Finding, uri: &str) -> Value {
    let Finding { rule, message, place, statement, fix, replacement: _, refused: _ } = finding;
    let Place { line, column, end_line, end_column, span: _ } = place;
    let mut location = json!({
        "physicalLocation": {
            "artifactLocation": {"uri": uri},
            "region": {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column},
        },
    });
    if let (Some(at), Some(members)) = (statement, location.as_object_mut()) {
        let full = format!("Statement[{}]", at.index);
        let name = at.sid.as_deref().unwrap_or(&full);
        let logical = json!([{"name": name, "fullyQualifiedName": full, "kind": "object"}]);
        members.insert("logicalLocations".to_owned(), logical);
    }
    json!({
        "ruleId": rule.code,
        "ruleIndex": rules().position(|other| other == *rule),
        "level": level(rule.severity),
        "message": {"text": format!("{message}. Fix: {fix}.")},
        "locations": [location],
    })
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// What stays the same when lines move: the rule, the statement, the text of the element, and which of several such it
/// is.
fn fingerprint(finding: &Finding, text: &str, seen: &mut HashMap<[u8; 32], u32>) -> String {
    let statement = finding.statement.as_ref().map(|at| match &at.sid {
        Some(sid) => format!("sid {sid}"),
        None => format!("index {}", at.index),
    });
    let element = text.get(finding.place.span.clone()).unwrap_or_default();
    // A zero byte is in none of them.
    let statement = statement.unwrap_or_default();
    let parts = [finding.rule.code, "\0", &statement, "\0", element].map(str::as_bytes);
    let digest = sha256(&parts);
    let count = seen.entry(digest).and_modify(|count| *count = count.saturating_add(1)).or_insert(1);
    format!("{}:{count}", hex::encode(digest))
}

/// A relative reference (RFC 3986), as code scanning wants it; a path from the root becomes a `file` URI.
fn uri(name: &str) -> String {
    let mut uri = String::from(if name.starts_with('/') { "file://" } else { "" });
    for byte in name.strip_prefix("./").unwrap_or(name).bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}
