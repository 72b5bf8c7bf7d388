//! An explanation for people.

use std::fmt::Write as _;

use crate::cli::error::CliError;
use crate::cli::output::print_line;
use crate::policy::{Applies, Effect, ElementTrace, Explanation, StatementTrace};

/// Prints the decision and, for every statement and grant, which element matches and which does not.
pub(in crate::cli) fn print_explanation(explanation: &Explanation) -> Result<(), CliError> {
    print_line(&explanation_text(explanation))
}

pub(in crate::cli) fn explanation_text(explanation: &Explanation) -> String {
    let decision = &explanation.decision;
    let mut text =
        format!("decision  {}: {}\n", if decision.allowed { "ALLOWED" } else { "DENIED" }, decision.because);
    for statement in &explanation.key_policy {
        statement_text(&mut text, "key policy", statement);
    }
    for policy in &explanation.identity_policies {
        for statement in &policy.statements {
            statement_text(&mut text, &format!("identity policy {:?}", policy.name), statement);
        }
    }
    for grant in &explanation.grants {
        let applies = if grant.applies { "allows" } else { "does not apply" };
        let _ = writeln!(text, "\ngrant {}: {applies}", grant.grant);
        grant.members.iter().for_each(|member| element_text(&mut text, member));
    }
    text.truncate(text.trim_end().len());
    text
}

fn statement_text(text: &mut String, policy: &str, statement: &StatementTrace) {
    let applies = match (statement.applies, statement.effect) {
        (Applies::Yes, Effect::Allow) => "allows",
        (Applies::Yes | Applies::ToTheAccount, Effect::Deny) => "denies",
        (Applies::ToTheAccount, Effect::Allow) => "leaves it to identity policies",
        (Applies::No, _) => "does not apply",
        (Applies::Failed, _) => "cannot be asked, which denies",
    };
    let _ = writeln!(text, "\n{policy}, {} ({:?}): {applies}", statement.reference(), statement.effect);
    statement.elements.iter().for_each(|element| element_text(text, element));
}

fn element_text(text: &mut String, element: &ElementTrace) {
    let ElementTrace { element, matched, expected, actual, note } = element;
    let _ = match matched {
        true => writeln!(text, "  ok  {element}: {actual}"),
        false => writeln!(text, "  NO  {element}\n        expected {expected}\n        found    {actual}"),
    };
    if let Some(note) = note {
        let _ = writeln!(text, "        note: {note}");
    }
}
