//! `policy lint`.

mod sarif;
mod text;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::cli::data_dir::{DataDir, find_key, read_input};
use crate::cli::error::CliError;
use crate::cli::output::{print_json, print_line};
use crate::policy::{
    Finding, LintOptions, MAX_IDENTITY_POLICY_BYTES, PolicyKind, Rule, Severity, lint, rule, rules,
};
use crate::time::UnixTime;

/// Look policies over for what their author will hardly have meant.
///
/// A policy that is refused is looked over as well: each refusal is a finding. docs/policy-lint.md explains every code.
///
/// Exit status 0 when nothing is found at or above the threshold, 1 when something is, 2 when the command line is wrong
/// or a file cannot be read.
#[derive(Debug, Args)]
#[group(skip)]
pub(in crate::cli) struct Lint {
    /// Files of IAM JSON, or - for standard input.
    #[arg(value_name = "FILE", required_unless_present_any = ["key", "explain", "codes"])]
    files: Vec<PathBuf>,

    /// The policy of this key of the store: key id, key ARN, alias/NAME or alias ARN. May be repeated.
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,

    /// The files are identity policies, as `principal policy put` takes them.
    #[arg(long)]
    identity: bool,

    /// Judge expiries at this time instead of now, such as 2026-01-03T20:41:07Z.
    #[arg(long, value_name = "RFC3339", value_parser = UnixTime::parse_rfc3339)]
    at: Option<UnixTime>,

    /// The least severity that makes the exit status 1.
    #[arg(long, value_name = "SEVERITY", value_enum, default_value_t = Threshold::Warning)]
    fail_on: Threshold,

    /// Print JSON.
    #[arg(long, conflicts_with = "sarif")]
    json: bool,

    /// Print SARIF 2.1.0, for code scanning.
    #[arg(long)]
    sarif: bool,

    /// Explain a code, such as NKB201 or pcr-0x-prefix.
    #[arg(long, value_name = "CODE", conflicts_with_all = ["files", "key", "codes", "sarif"])]
    explain: Option<String>,

    /// List every code.
    #[arg(long, conflicts_with_all = ["files", "key", "sarif"])]
    codes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Threshold {
    Error,
    Warning,
    Note,
}

impl Threshold {
    fn severity(self) -> Severity {
        match self {
            Self::Error => Severity::Error,
            Self::Warning => Severity::Warning,
            Self::Note => Severity::Note,
        }
    }
}

/// A policy and what was found in it.
struct Linted {
    /// The file's path as it was given, or what stands for one.
    name: String,
    text: String,
    findings: Vec<Finding>,
}

impl Lint {
    pub(super) async fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        if let Some(code) = &self.explain {
            return self.explain(code);
        }
        if self.codes {
            return self.list();
        }
        let mut linted = Vec::new();
        let now = Some(self.at.unwrap_or_else(UnixTime::now));
        let mut take = |name: String, text: String, kind| {
            let findings = lint(&text, &LintOptions { kind, now });
            linted.push(Linted { name, text, findings });
        };
        let kind = if self.identity { PolicyKind::Identity } else { PolicyKind::Key };
        for file in &self.files {
            let is_input = file.to_str() == Some("-");
            let name = if is_input { "stdin".to_owned() } else { file.display().to_string() };
            // Room to say that a policy is too long, and by how much.
            let content = read_input(file, 2 * MAX_IDENTITY_POLICY_BYTES as u64)?;
            let text =
                String::from_utf8(content).map_err(|error| CliError::usage(format!("{name}: {error}")))?;
            take(name, text, kind);
        }
        if !self.key.is_empty() {
            let store = data_dir.open_store().await?;
            for key in &self.key {
                let entry = find_key(&store, key).await?;
                take(format!("key/{}", entry.key.id), entry.key.policy.text().to_owned(), PolicyKind::Key);
            }
        }
        if self.sarif {
            print_json(&sarif::log(&linted))?;
        } else if self.json {
            print_json(&linted.iter().map(report).collect::<Vec<_>>())?;
        } else {
            linted.iter().try_for_each(text::print)?;
        }
        self.verdict(&linted)
    }

    fn verdict(&self, linted: &[Linted]) -> Result<(), CliError> {
        let findings = || linted.iter().flat_map(|linted| &linted.findings);
        if findings().all(|finding| finding.severity() < self.fail_on.severity()) {
            return Ok(());
        }
        let count = |severity| findings().filter(|finding| finding.severity() == severity).count();
        let counts = [Severity::Error, Severity::Warning, Severity::Note]
            .map(|severity| (count(severity), severity))
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, severity)| format!("{count} {severity}{}", if count == 1 { "" } else { "s" }))
            .collect::<Vec<_>>();
        Err(CliError::failed(counts.join(", "))
            .hint("`policy lint --explain CODE` says why something is found"))
    }

    fn explain(&self, code: &str) -> Result<(), CliError> {
        let rule = rule(code).ok_or_else(|| {
            CliError::usage(format!("there is no code {code}")).hint("`policy lint --codes` lists all")
        })?;
        if self.json {
            return print_json(&explanation(rule));
        }
        let Rule { code, name, severity, summary, why, fix } = rule;
        print_line(&format!("{code} {name} ({severity})\n\n{summary}\n{why}\n\nfix: {fix}"))
    }

    fn list(&self) -> Result<(), CliError> {
        if self.json {
            return print_json(&rules().map(explanation).collect::<Vec<_>>());
        }
        rules().try_for_each(|rule| {
            let Rule { code, name, severity, summary, .. } = rule;
            print_line(&format!("{code} {severity:<7} {name:<28} {summary}", severity = severity.to_string()))
        })
    }
}

fn explanation(rule: &Rule) -> Value {
    let Rule { code, name, severity, summary, why, fix } = rule;
    json!({
        "code": code,
        "name": name,
        "severity": severity.to_string(),
        "summary": summary,
        "why": why,
        "fix": fix,
    })
}

fn report(Linted { name, text: _, findings }: &Linted) -> Value {
    let findings: Vec<Value> = findings
        .iter()
        .map(|finding| {
            let Finding { rule, message, place, statement, fix, replacement, refused } = finding;
            json!({
                "code": rule.code,
                "name": rule.name,
                "severity": rule.severity.to_string(),
                "message": message,
                "line": place.line,
                "column": place.column,
                "endLine": place.end_line,
                "endColumn": place.end_column,
                "byteOffset": place.span.start,
                "byteLength": place.span.len(),
                "statement": statement.as_ref().map(|at| json!({"index": at.index, "sid": at.sid.as_deref()})),
                "fix": fix,
                "replacement": replacement,
                "refused": refused,
            })
        })
        .collect();
    json!({ "file": name, "findings": findings })
}
