//! Statements that other statements leave without effect.

use super::finding::{Findings, Rule, Severity};
use super::reading::{Reading, Statement};
use super::register_values::register;
use crate::policy::action::ActionSet;
use crate::text::shorten;

pub(super) static SAME_STATEMENT: Rule = Rule {
    code: "NKB711",
    name: "duplicate-statement",
    severity: Severity::Warning,
    summary: "Two statements say the same.",
    why: "The second changes nothing; where it was copied to be changed, the change is missing.",
    fix: "take one of the two out",
};

pub(super) static UNREACHABLE: Rule = Rule {
    code: "NKB712",
    name: "unreachable-allow",
    severity: Severity::Warning,
    summary: "An Allow for nothing that a Deny does not deny.",
    why: "A Deny beats every Allow, so the statement never allows anything.",
    fix: "narrow the Deny, or take the Allow out",
};

pub(super) static SHADOWED: Rule = Rule {
    code: "NKB713",
    name: "shadowed-statement",
    severity: Severity::Warning,
    summary: "A statement for nothing that a wider one of the same effect does not say already.",
    why: "Its conditions protect nothing: what they refuse, the wider statement allows.",
    fix: "narrow the wider statement, or take this one out",
};

pub(super) static REGISTER_DENIED: Rule = Rule {
    code: "NKB714",
    name: "pcr-allowed-and-denied",
    severity: Severity::Warning,
    summary: "A PCR value that an Allow lets in and a Deny keeps out.",
    why: "The Deny is for all values but those it lists: an image that was added to the Allow alone gets nothing.",
    fix: "add the value to the Deny as well, or take it out of the Allow",
};

pub(super) static RULES: [&Rule; 4] = [&SAME_STATEMENT, &UNREACHABLE, &SHADOWED, &REGISTER_DENIED];

pub(super) fn check(reading: &Reading, findings: &mut Findings<'_>) {
    for (index, statement) in reading.statements.iter().enumerate() {
        let others = || reading.statements.iter().enumerate().filter(move |(at, _)| *at != index);
        let of_same_effect = |other: &Statement| other.effect.is_some() && other.effect == statement.effect;
        let at = Some(&statement.at);
        if let Some((_, deny)) =
            others().find(|(_, other)| statement.allows() && other.denies() && other.covers(statement))
        {
            let message = format!("{} denies all that this allows", deny.at);
            findings.add(&UNREACHABLE, &statement.span, at, message);
        }
        if let Some((other, wider)) =
            others().find(|(_, other)| of_same_effect(other) && other.covers(statement))
        {
            if !statement.covers(wider) {
                let message = format!("{} does this already, for more", wider.at);
                findings.add(&SHADOWED, &statement.span, at, message);
            } else if other < index {
                let message = format!("says what {} says", wider.at);
                findings.add(&SAME_STATEMENT, &statement.span, at, message);
            }
        }
        if statement.allows() {
            for (_, deny) in others().filter(|(_, other)| other.denies()) {
                registers(statement, deny, findings);
            }
        }
    }
}

/// Looks for values of registers that `allow` lets in, and `deny`, which is for all but its own, keeps out.
fn registers(allow: &Statement, deny: &Statement, findings: &mut Findings<'_>) {
    let excluded = deny.excluded();
    let [excluded] = excluded.as_slice() else { return };
    let is_only_about_it = deny.conditions.iter().all(|condition| {
        register(&condition.key) == Some(excluded.index)
            && (condition.key_span == excluded.condition.key_span
                || condition.asks_for_absence() == Some(false))
    });
    let actions: ActionSet = allow.action_set().and(deny.action_set());
    if !is_only_about_it || actions.is_empty() || !deny.covers_whom_and_what(allow) {
        return;
    }
    let Some(kept) = &excluded.values else { return };
    for pinned in
        allow.pinned().iter().filter(|pinned| pinned.index == excluded.index && pinned.values.is_some())
    {
        for item in &pinned.condition.values {
            if !kept.contains(&item.text.to_ascii_lowercase()) {
                let (key, value) = (&pinned.condition.key, shorten(&item.text));
                let message = format!("{} keeps {key} {value} from {actions}", deny.at);
                findings.add(&REGISTER_DENIED, &item.span, Some(&allow.at), message);
            }
        }
    }
}
