//! What came of the cases.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use super::schema::{Case, Expected};
use crate::cli::error::CliError;
use crate::cli::output::print_line;
use crate::cli::policy::explanation_text::explanation_text;
use crate::policy::Explanation;

/// One case, what was expected of it and what came.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CaseResult {
    name: String,
    line: u64,
    /// What is not as expected; empty when the case passes.
    problems: Vec<String>,
    explanation: Explanation,
}

impl CaseResult {
    pub(super) fn of(case: &Case, line: u64, explanation: Explanation) -> Self {
        let decision = &explanation.decision;
        let mut problems = Vec::new();
        let word = |allowed| if allowed { "allowed" } else { "denied" };
        if (case.expect == Expected::Allow) != decision.allowed {
            let expected = word(case.expect == Expected::Allow);
            problems.push(format!(
                "expected {expected}, found {}: {}",
                word(decision.allowed),
                decision.because
            ));
        }
        if let Some(by) = &case.by {
            let deciding = explanation.deciding();
            if !deciding.iter().any(|deciding| deciding.is_named(by)) {
                let found: Vec<String> = deciding.iter().map(ToString::to_string).collect();
                let found = if found.is_empty() { "nothing".to_owned() } else { found.join(" and ") };
                problems.push(format!("expected a decision by {by}, found one by {found}"));
            }
        }
        if let Some(because) = case.because.as_ref().filter(|because| !decision.because.contains(*because)) {
            problems.push(format!("expected a reason with {because:?}, found {:?}", decision.because));
        }
        Self { name: case.name.clone(), line, problems, explanation }
    }

    pub(super) fn is_passed(&self) -> bool {
        self.problems.is_empty()
    }
}

pub(super) fn print_results(results: &[CaseResult]) -> Result<(), CliError> {
    for result in results {
        let mark = if result.is_passed() { "ok  " } else { "FAIL" };
        print_line(&format!("{mark}  {}", result.name))?;
        for problem in &result.problems {
            print_line(&format!("      {problem}"))?;
        }
        if !result.is_passed() {
            for line in explanation_text(&result.explanation).lines() {
                print_line(format!("      | {line}").trim_end())?;
            }
        }
    }
    Ok(())
}

/// The results in the form of JUnit, which continuous integration reads.
pub(super) fn junit(file: &Path, results: &[CaseResult]) -> String {
    let failures = results.iter().filter(|result| !result.is_passed()).count();
    let suite = escaped(&file.display().to_string());
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"{suite}\" tests=\"{}\" failures=\"{failures}\">\n",
        results.len()
    );
    for result in results {
        let name = escaped(&result.name);
        let _ = match result.is_passed() {
            true => writeln!(xml, "  <testcase classname=\"{suite}\" name=\"{name}\"/>"),
            false => writeln!(
                xml,
                "  <testcase classname=\"{suite}\" name=\"{name}\">\n    <failure message=\"{}\">{}</failure>\n  </testcase>",
                escaped(&result.problems.join("; ")),
                escaped(&explanation_text(&result.explanation)),
            ),
        };
    }
    xml.push_str("</testsuite>\n");
    xml
}

/// Text for XML 1.0, which has no control characters but tabs and line ends.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' => escaped.push(character),
            control if control.is_control() => escaped.push('\u{fffd}'),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}
