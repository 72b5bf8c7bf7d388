//! What stands in one element twice.

use super::finding::{Findings, Rule, Severity};
use super::reading::{Item, Reading};
use super::register_values::register;
use crate::policy::action::ActionSet;
use crate::text::shorten;

pub(super) static REDUNDANT_ACTION: Rule = Rule {
    code: "NKB701",
    name: "redundant-action",
    severity: Severity::Note,
    summary: "An action that another text of the same element has already.",
    why: "It changes nothing; perhaps another one was meant.",
    fix: "take it out, or write the one that was meant",
};

pub(super) static REDUNDANT_VALUE: Rule = Rule {
    code: "NKB702",
    name: "redundant-value",
    severity: Severity::Note,
    summary: "A principal, resource or value that stands twice.",
    why: "It changes nothing; perhaps another one was meant.",
    fix: "take it out, or write the one that was meant",
};

pub(super) static RULES: [&Rule; 2] = [&REDUNDANT_ACTION, &REDUNDANT_VALUE];

pub(super) fn check(reading: &Reading, findings: &mut Findings<'_>) {
    for statement in &reading.statements {
        let at = Some(&statement.at);
        let actions = statement.actions.as_ref().map(|element| element.items.as_slice()).unwrap_or_default();
        for (index, item) in actions.iter().enumerate() {
            if let Some(other) = wider(actions, index, item) {
                let message = format!("{} is in {} already", item.text, other.text);
                findings.add(&REDUNDANT_ACTION, &item.span, at, message);
            }
        }
        let mut repeated = |items: &mut dyn Iterator<Item = (&str, &crate::json::Span)>| {
            let mut seen = std::collections::HashSet::new();
            for (text, span) in items {
                if !seen.insert(text) {
                    let message = format!("{:?} stands there twice", shorten(text));
                    findings.add(&REDUNDANT_VALUE, span, at, message);
                }
            }
        };
        repeated(&mut statement.principals.iter().flat_map(|element| &element.items).map(place));
        repeated(&mut statement.resources.iter().flat_map(|element| &element.items).map(place));
        for condition in statement.conditions.iter().filter(|condition| register(&condition.key).is_none()) {
            repeated(&mut condition.values.iter().map(place));
        }
    }
}

/// Another text with all the actions of `item`: a wider one, or an earlier one of the same width.
fn wider<'i>(
    items: &'i [Item<ActionSet>],
    index: usize,
    item: &Item<ActionSet>,
) -> Option<&'i Item<ActionSet>> {
    // Actions of other services are none here.
    let is_of_kms = !item.value.is_empty();
    items.iter().enumerate().filter(|_| is_of_kms).find_map(|(at, other)| {
        let is_wider = other.value.includes(item.value) && (other.value != item.value || at < index);
        (at != index && is_wider).then_some(other)
    })
}

fn place<T>(item: &Item<T>) -> (&str, &crate::json::Span) {
    (&item.text, &item.span)
}
