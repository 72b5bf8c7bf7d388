//! What a statement asks of attestation, and whether a request without any gets past it.

use std::collections::BTreeMap;

use super::finding::{Findings, Rule, Severity};
use super::reading::{ReadCondition, Reading, Statement};
use super::register_values::register;
use crate::policy::action::ActionSet;
use crate::policy::operand::Operand;
use crate::policy::operator::Comparison;

pub(super) static ABSENT_SATISFIES: Rule = Rule {
    code: "NKB230",
    name: "absent-attestation-satisfies",
    severity: Severity::Error,
    summary: "An Allow with a condition on attestation that a request without any satisfies.",
    why: "The key is absent then, and a negated operator, IfExists and ForAllValues: are true of an absent key.",
    fix: "use StringEqualsIgnoreCase with the values that are meant, or add \"Null\": {\"kms:RecipientAttestation:PCR0\": \"false\"}",
};

pub(super) static ONLY_UNATTESTED: Rule = Rule {
    code: "NKB231",
    name: "only-unattested",
    severity: Severity::Error,
    summary: "An Allow that applies only to requests without attestation.",
    why: "Null with true asks that the key be absent; false asks that it be there.",
    fix: "write \"false\", and pin the values that are meant",
};

pub(super) static DENIES_ONLY_ATTESTED: Rule = Rule {
    code: "NKB232",
    name: "denies-only-attested",
    severity: Severity::Warning,
    summary: "A Deny that applies to every request with attestation and to no other.",
    why: "Null with false asks that the key be there: enclaves are kept out, and whoever sends no attestation is not.",
    fix: "write \"true\" to deny requests without attestation",
};

pub(super) static ANY_ENCLAVE: Rule = Rule {
    code: "NKB233",
    name: "any-enclave",
    severity: Severity::Error,
    summary: "Attestation is asked for, but no value of it.",
    why: "Any enclave of anybody is let in, whatever it runs.",
    fix: "pin PCR0, or PCR8, with StringEqualsIgnoreCase",
};

pub(super) static DENY_MISSES_UNATTESTED: Rule = Rule {
    code: "NKB234",
    name: "deny-misses-unattested",
    severity: Severity::Warning,
    summary: "A Deny against other images that leaves requests without attestation alone.",
    why: "With Null false beside it, or under ForAnyValue:, the statement does not apply where the key is absent: to send no attestation at all gets past it.",
    fix: "use the plain negated operator without Null and without ForAnyValue:",
};

pub(super) static DENY_NEEDS_ALL: Rule = Rule {
    code: "NKB235",
    name: "deny-needs-all-to-differ",
    severity: Severity::Warning,
    summary: "A Deny whose negated conditions on several registers must all hold.",
    why: "Conditions of one statement are joined by and: an enclave of which one register is right is not denied.",
    fix: "write a Deny for each register",
};

pub(super) static NEVER_ATTESTED: Rule = Rule {
    code: "NKB236",
    name: "action-never-attested",
    severity: Severity::Warning,
    summary: "An action that carries no attestation, under a condition on it.",
    why: "Managing a key takes no Recipient: the key is absent, and the Allow never applies.",
    fix: "allow the action in a statement of its own, to the principals that manage the key",
};

pub(super) static NOT_ATTESTED_ON_AWS: Rule = Rule {
    code: "NKB237",
    name: "action-not-attested-on-aws",
    severity: Severity::Note,
    summary: "An action that carries attestation here, but not at AWS.",
    why: "AWS KMS takes Recipient for Decrypt, DeriveSharedSecret, GenerateDataKey, GenerateDataKeyPair and GenerateRandom; for others the statement never applies there.",
    fix: "nothing, for this broker; for AWS, allow the action in a statement without attestation",
};

pub(super) static RULES: [&Rule; 8] = [
    &ABSENT_SATISFIES,
    &ONLY_UNATTESTED,
    &DENIES_ONLY_ATTESTED,
    &ANY_ENCLAVE,
    &DENY_MISSES_UNATTESTED,
    &DENY_NEEDS_ALL,
    &NEVER_ATTESTED,
    &NOT_ATTESTED_ON_AWS,
];

/// What takes `Recipient` at AWS (KMS API reference).
const ATTESTED_ON_AWS: [&str; 5] =
    ["Decrypt", "DeriveSharedSecret", "GenerateDataKey", "GenerateDataKeyPair", "GenerateRandom"];

/// What takes it here as well.
const ATTESTED_HERE_ALSO: [&str; 10] = [
    "Encrypt",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateMac",
    "GetPublicKey",
    "ReEncryptFrom",
    "ReEncryptTo",
    "Sign",
    "Verify",
    "VerifyMac",
];

/// The actions for which a request can carry attestation.
pub(super) fn attestable() -> ActionSet {
    ActionSet::named(&ATTESTED_ON_AWS).or(ActionSet::named(&ATTESTED_HERE_ALSO))
}

impl ReadCondition {
    pub(super) fn is_on_attestation(&self) -> bool {
        register(&self.key).is_some()
    }

    /// Whether it holds of a request without the key.
    pub(super) fn holds_when_absent(&self) -> bool {
        if self.operator.comparison == Comparison::Null {
            return self.values.iter().any(|item| item.value == Some(Operand::Absence(true)));
        }
        self.operator.result_when_absent()
    }

    /// What a `Null` asks for, when it asks for one thing.
    pub(super) fn asks_for_absence(&self) -> Option<bool> {
        let mut asked = self.values.iter().map(|item| match item.value {
            Some(Operand::Absence(absent)) => Some(absent),
            _ => None,
        });
        let first = asked.next()??;
        asked.all(|other| other == Some(first)).then_some(first)
    }
}

impl Statement {
    /// Whether it can only apply to requests with attestation.
    pub(super) fn requires_attestation(&self) -> bool {
        self.conditions
            .iter()
            .any(|condition| condition.is_on_attestation() && !condition.holds_when_absent())
    }
}

pub(super) fn check(reading: &Reading, findings: &mut Findings<'_>) {
    for statement in &reading.statements {
        if statement.allows() {
            allowed_without(statement, findings);
            any_enclave(statement, findings);
            if statement.requires_attestation() {
                actions(statement, findings);
            }
        } else if statement.denies() {
            denied(statement, findings);
        }
    }
}

fn allowed_without(statement: &Statement, findings: &mut Findings<'_>) {
    let at = Some(&statement.at);
    let on_attestation = || statement.conditions.iter().filter(|condition| condition.is_on_attestation());
    for condition in on_attestation().filter(|condition| condition.asks_for_absence() == Some(true)) {
        let span = condition.values.first().map_or(&condition.key_span, |item| &item.span);
        let message = format!("applies only to requests without {}", condition.key);
        findings.add(&ONLY_UNATTESTED, span, at, message).replace_by("\"false\"");
    }
    if statement.requires_attestation() {
        return;
    }
    // Of an operator on several registers once.
    let mut keys_of: BTreeMap<usize, (&ReadCondition, Vec<String>)> = BTreeMap::new();
    let satisfied = on_attestation()
        .filter(|condition| condition.holds_when_absent() && condition.asks_for_absence() != Some(true));
    for condition in satisfied {
        let (_, keys) = keys_of.entry(condition.operator_span.start).or_insert((condition, Vec::new()));
        keys.push(condition.key.to_string());
    }
    for (condition, keys) in keys_of.values() {
        let (operator, keys) = (condition.operator, keys.join(", "));
        let message = format!("{operator} is true of a request without {keys}: attestation is not needed");
        findings.add(&ABSENT_SATISFIES, &condition.operator_span, at, message);
    }
}

fn any_enclave(statement: &Statement, findings: &mut Findings<'_>) {
    if !statement.pinned().is_empty() || statement.is_partial {
        return;
    }
    let asks_for_presence = statement
        .conditions
        .iter()
        .find(|condition| condition.is_on_attestation() && condition.asks_for_absence() == Some(false));
    if let Some(condition) = asks_for_presence {
        let message = format!("asks that {} be there, whatever it is: any enclave is let in", condition.key);
        findings.add(&ANY_ENCLAVE, &condition.key_span, Some(&statement.at), message);
    }
}

fn actions(statement: &Statement, findings: &mut Findings<'_>) {
    let Some(actions) = statement.actions.as_ref().filter(|actions| !actions.negated) else { return };
    let on_aws = ActionSet::named(&ATTESTED_ON_AWS);
    for item in &actions.items {
        if item.value.and(attestable()).is_empty() {
            let message = format!("{} carries no attestation, so that this never allows it", item.text);
            findings.add(&NEVER_ATTESTED, &item.span, Some(&statement.at), message);
        } else if item.value.and(on_aws).is_empty() {
            let message = format!("{} carries no attestation at AWS, where this never allows it", item.text);
            findings.add(&NOT_ATTESTED_ON_AWS, &item.span, Some(&statement.at), message);
        }
    }
}

fn denied(statement: &Statement, findings: &mut Findings<'_>) {
    let at = Some(&statement.at);
    let on_attestation: Vec<&ReadCondition> =
        statement.conditions.iter().filter(|condition| condition.is_on_attestation()).collect();
    let presence = on_attestation.iter().find(|condition| condition.asks_for_absence() == Some(false));
    let excluded = statement.excluded();
    if let (Some(presence), true) = (presence, on_attestation.len() == 1) {
        let message = format!("denies every request with {}, and none without", presence.key);
        let span = presence.values.first().map_or(&presence.key_span, |item| &item.span);
        findings.add(&DENIES_ONLY_ATTESTED, span, at, message).replace_by("\"true\"");
    }
    for condition in excluded.iter().map(|excluded| excluded.condition) {
        let key = &condition.key;
        if !condition.holds_when_absent() {
            let message =
                format!("{} is false of a request without {key}, which is not denied", condition.operator);
            findings.add(&DENY_MISSES_UNATTESTED, &condition.operator_span, at, message);
        } else if let Some(presence) = presence {
            let message = format!("asks that {key} be there: a request without attestation is not denied");
            findings.add(&DENY_MISSES_UNATTESTED, &presence.key_span, at, message);
        }
    }
    if let [first, .., last] = excluded.as_slice()
        && first.index != last.index
    {
        let (first, last) = (&first.condition.key, last.condition);
        let message = format!("denies only where {first} and {} are both others", last.key);
        findings.add(&DENY_NEEDS_ALL, &last.key_span, at, message);
    }
}
