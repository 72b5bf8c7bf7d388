//! Findings as a compiler shows them.

use super::Linted;
use crate::cli::error::CliError;
use crate::cli::output::print_line;
use crate::policy::{Finding, Place};
use crate::text::is_obeyed_by_terminals;

/// Characters of a source line that are shown, and how many of them before the place at most.
const MAX_SHOWN: usize = 100;
const MAX_BEFORE: usize = 40;

pub(super) fn print(Linted { name, text, findings }: &Linted) -> Result<(), CliError> {
    findings.iter().try_for_each(|finding| {
        let Finding { rule, message, place, statement, fix, replacement: _, refused: _ } = finding;
        let Place { line, column, .. } = place;
        let at = statement.as_ref().map(|at| format!("{at}: ")).unwrap_or_default();
        let head = format!("{name}:{line}:{column}: {}[{}] {at}{message}", rule.severity, rule.code);
        print_line(&printable(&head))?;
        print_source(text, place)?;
        print_line(&printable(&format!("{:>6} fix: {fix}", "=")))
    })
}

/// The line and a mark below the place; of a place over several lines the first one.
fn print_source(text: &str, place: &Place) -> Result<(), CliError> {
    let Some(line) = text.split('\n').nth(place.line.saturating_sub(1)) else { return Ok(()) };
    let line: Vec<char> = line.trim_end_matches('\r').chars().map(shown).collect();
    let before = place.column.saturating_sub(1);
    let end = if place.end_line == place.line { place.end_column.saturating_sub(1) } else { line.len() };
    let from = if line.len() > MAX_SHOWN { before.saturating_sub(MAX_BEFORE) } else { 0 };
    let window = line.get(from..).unwrap_or_default();
    let window = window.get(..MAX_SHOWN).unwrap_or(window);
    let ellipsis = |cut: bool| if cut { "…" } else { "" };
    let source = format!(
        "{}{}{}",
        ellipsis(from > 0),
        window.iter().collect::<String>(),
        ellipsis(from.saturating_add(window.len()) < line.len())
    );
    let indent = before.saturating_sub(from).saturating_add(usize::from(from > 0));
    let marked =
        end.saturating_sub(before).min(window.len().saturating_sub(before.saturating_sub(from))).max(1);
    print_line(&format!("{:>6} | {source}", place.line))?;
    print_line(&format!("{:>6} | {}{}", "", " ".repeat(indent), "^".repeat(marked)))
}

/// One column on a terminal, and nothing that a terminal obeys.
fn shown(character: char) -> char {
    match character {
        '\t' => ' ',
        character if is_obeyed_by_terminals(character) => '\u{fffd}',
        character => character,
    }
}

fn printable(text: &str) -> String {
    text.chars().map(shown).collect()
}
