//! The elements of a statement, each for itself: what they leave open and what was never filled in.

use super::PolicyKind;
use super::finding::{Findings, Rule, Severity};
use super::reading::{Reading, Statement};
use crate::json::Span;
use crate::policy::action::ActionSet;
use crate::policy::condition_key::ConditionKey;
use crate::text::shorten;

pub(super) static NOT_ACTION: Rule = Rule {
    code: "NKB501",
    name: "not-action-with-allow",
    severity: Severity::Warning,
    summary: "NotAction in a statement that allows.",
    why: "It allows every action that it does not name, those included that are added later.",
    fix: "name in Action what is meant to be allowed",
};

pub(super) static NOT_RESOURCE: Rule = Rule {
    code: "NKB502",
    name: "not-resource-with-allow",
    severity: Severity::Warning,
    summary: "NotResource in a statement that allows.",
    why: "It allows every key that it does not name, those included that are made later.",
    fix: "name in Resource the keys that are meant",
};

pub(super) static ALIAS_AS_KEY: Rule = Rule {
    code: "NKB503",
    name: "alias-as-resource",
    severity: Severity::Warning,
    summary: "An alias as the resource of actions that are about keys.",
    why: "The resource of a request is the key's own ARN, also when the request names the key by its alias: the statement never applies.",
    fix: "write the key's ARN, or \"*\" with a condition on kms:RequestAlias or kms:ResourceAliases",
};

pub(super) static PLACEHOLDER: Rule = Rule {
    code: "NKB504",
    name: "placeholder",
    severity: Severity::Warning,
    summary: "An account or a key id from AWS's documentation, or the word EXAMPLE.",
    why: "The statement was copied, and is about somebody else's account or about nothing.",
    fix: "put your own there",
};

pub(super) static NO_EFFECT: Rule = Rule {
    code: "NKB505",
    name: "action-without-effect",
    severity: Severity::Note,
    summary: "An action that no key policy decides.",
    why: "It uses no key, or, as RetireGrant, is for those alone whom the grant names: identity policies may give it.",
    fix: "take it out; give it in an identity policy where it is needed",
};

pub(super) static RULES: [&Rule; 5] = [&NOT_ACTION, &NOT_RESOURCE, &ALIAS_AS_KEY, &PLACEHOLDER, &NO_EFFECT];

/// The accounts of AWS's documentation.
const ACCOUNTS: [&str; 6] =
    ["111122223333", "123456789012", "444455556666", "555555555555", "777788889999", "999999999999"];

/// The keys of AWS's documentation.
const KEY_IDS: [&str; 2] = ["1234abcd-12ab-34cd-56ef-1234567890ab", "0987dcba-09fe-87dc-65ba-ab0987654321"];

/// What uses no key (KMS developer guide, *Permissions reference*), or is not decided by the key's policy.
const WITHOUT_EFFECT: [&str; 12] = [
    "ConnectCustomKeyStore",
    "CreateCustomKeyStore",
    "CreateKey",
    "DeleteCustomKeyStore",
    "DescribeCustomKeyStores",
    "DisconnectCustomKeyStore",
    "GenerateRandom",
    "ListAliases",
    "ListKeys",
    "ListRetirableGrants",
    "RetireGrant",
    "UpdateCustomKeyStore",
];

pub(super) fn check(reading: &Reading, findings: &mut Findings<'_>) {
    for statement in &reading.statements {
        negations(statement, findings);
        aliases(reading.kind, statement, findings);
        placeholders(statement, findings);
        if reading.kind == PolicyKind::Key && statement.allows() {
            without_effect(statement, findings);
        }
    }
}

fn negations(statement: &Statement, findings: &mut Findings<'_>) {
    if !statement.allows() {
        return;
    }
    if let Some(actions) = statement.actions.as_ref().filter(|actions| actions.negated) {
        let named: Vec<&str> = actions.items.iter().map(|item| item.text.as_str()).collect();
        let message = format!("allows everything but {}", shorten(&named.join(", ")));
        findings.add(&NOT_ACTION, &actions.name_span, Some(&statement.at), message);
    }
    if let Some(resources) = statement.resources.as_ref().filter(|resources| resources.negated) {
        let named: Vec<&str> = resources.items.iter().map(|item| item.text.as_str()).collect();
        let message = format!("allows every key but {}", shorten(&named.join(", ")));
        findings.add(&NOT_RESOURCE, &resources.name_span, Some(&statement.at), message);
    }
}

fn aliases(kind: PolicyKind, statement: &Statement, findings: &mut Findings<'_>) {
    let (Some(actions), Some(resources)) = (&statement.actions, &statement.resources) else { return };
    let about_aliases = ActionSet::named(&["CreateAlias", "UpdateAlias", "DeleteAlias"]);
    // The key's policy is asked about the key alone; what is about aliases is left to identity policies.
    let has_use = kind == PolicyKind::Identity && !actions.set().and(about_aliases).is_empty();
    if has_use || actions.set().is_empty() || resources.negated {
        return;
    }
    for item in &resources.items {
        if item.text.splitn(6, ':').nth(5).is_some_and(|resource| resource.starts_with("alias/")) {
            let message = format!("{} is never the resource of a request for a key", shorten(&item.text));
            findings.add(&ALIAS_AS_KEY, &item.span, Some(&statement.at), message);
        }
    }
}

fn placeholders(statement: &Statement, findings: &mut Findings<'_>) {
    let mut check = |text: &str, span: &Span| {
        let segments = || text.split([':', '/']);
        let known = segments().find(|segment| ACCOUNTS.contains(segment) || KEY_IDS.contains(segment));
        if let Some(known) = known {
            let message = format!("{known} is from AWS's documentation");
            findings.add(&PLACEHOLDER, span, Some(&statement.at), message);
        } else if text.contains("EXAMPLE") {
            let message = format!("{:?} was never filled in", shorten(text));
            findings.add(&PLACEHOLDER, span, Some(&statement.at), message);
        }
    };
    for item in statement.principals.iter().flat_map(|element| &element.items) {
        check(&item.text, &item.span);
    }
    for item in statement.resources.iter().flat_map(|element| &element.items) {
        check(&item.text, &item.span);
    }
    for condition in &statement.conditions {
        let names_someone = matches!(
            condition.key,
            ConditionKey::PrincipalArn
                | ConditionKey::PrincipalAccount
                | ConditionKey::CallerAccount
                | ConditionKey::GranteePrincipal
                | ConditionKey::RetiringPrincipal
                | ConditionKey::ResourceAccount
        );
        for item in condition.values.iter().filter(|_| names_someone) {
            check(&item.text, &item.span);
        }
    }
}

fn without_effect(statement: &Statement, findings: &mut Findings<'_>) {
    let Some(actions) = statement.actions.as_ref().filter(|actions| !actions.negated) else { return };
    let without_effect = ActionSet::named(&WITHOUT_EFFECT);
    for item in actions.items.iter().filter(|item| without_effect.includes(item.value)) {
        let message = format!("{} is not decided by the key's policy", item.text);
        findings.add(&NO_EFFECT, &item.span, Some(&statement.at), message);
    }
}
