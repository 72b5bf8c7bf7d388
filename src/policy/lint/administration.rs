//! Who may manage the key and change its policy.

use super::attestation::attestable;
use super::finding::{Findings, Rule, Severity};
use super::reading::{Reading, Statement};
use super::ways_around::releases;
use crate::policy::action::ActionSet;

pub(super) static ANYONE_MANAGES: Rule = Rule {
    code: "NKB401",
    name: "anyone-manages",
    severity: Severity::Error,
    summary: "Principal \"*\" may manage the key.",
    why: "Everybody is meant, unsigned requests included. Whoever may put a policy or make a grant gets everything else; the rest breaks the key.",
    fix: "name the roles that manage the key",
};

pub(super) static LOCK_OUT: Rule = Rule {
    code: "NKB402",
    name: "lock-out",
    severity: Severity::Warning,
    summary: "PutKeyPolicy is given, but nobody can use it.",
    why: "A Deny takes it away, or a condition can never hold of it: a request to change a policy carries no attestation.",
    fix: "except kms:PutKeyPolicy from the Deny, or allow it in a statement without that condition",
};

pub(super) static NOBODY_MAY_CHANGE: Rule = Rule {
    code: "NKB403",
    name: "no-policy-administrator",
    severity: Severity::Note,
    summary: "No statement gives PutKeyPolicy to anyone.",
    why: "The policy cannot be changed over the API; here `policy put` on the broker's machine still can, at AWS nobody can.",
    fix: "if that is not meant, allow kms:PutKeyPolicy to the role that manages the key",
};

pub(super) static EVERY_ACTION: Rule = Rule {
    code: "NKB404",
    name: "every-action",
    severity: Severity::Warning,
    summary: "A user, role or session gets every action.",
    why: "kms:* has PutKeyPolicy, CreateGrant and ScheduleKeyDeletion in it beside the use of the key.",
    fix: "name the actions that are needed, and give management to a principal of its own",
};

pub(super) static WIDE_WILDCARD: Rule = Rule {
    code: "NKB405",
    name: "wildcard-releases",
    severity: Severity::Warning,
    summary: "A wildcard for managing the key takes in actions that release key material.",
    why: "kms:De* reads like DescribeKey and Delete…, and has Decrypt and DeriveSharedSecret in it.",
    fix: "write the names out, such as kms:Describe* and kms:Delete*",
};

pub(super) static RULES: [&Rule; 5] =
    [&ANYONE_MANAGES, &LOCK_OUT, &NOBODY_MAY_CHANGE, &EVERY_ACTION, &WIDE_WILDCARD];

/// What changes a key, or who may use it.
const MANAGES: [&str; 21] = [
    "CancelKeyDeletion",
    "CreateAlias",
    "CreateGrant",
    "DeleteAlias",
    "DeleteImportedKeyMaterial",
    "DisableKey",
    "DisableKeyRotation",
    "EnableKey",
    "EnableKeyRotation",
    "ImportKeyMaterial",
    "PutKeyPolicy",
    "ReplicateKey",
    "RevokeGrant",
    "RotateKeyOnDemand",
    "ScheduleKeyDeletion",
    "SynchronizeMultiRegionKey",
    "TagResource",
    "UntagResource",
    "UpdateAlias",
    "UpdateKeyDescription",
    "UpdatePrimaryRegion",
];

pub(super) fn check(reading: &Reading, findings: &mut Findings<'_>) {
    for statement in reading.statements.iter().filter(|statement| statement.allows()) {
        anyone_manages(&reading.statements, statement, findings);
        wildcards(statement, findings);
    }
    changing_the_policy(reading, findings);
}

fn anyone_manages(statements: &[Statement], statement: &Statement, findings: &mut Findings<'_>) {
    let is_open = statement.is_about_anyone()
        && !statement.is_partial
        && !statement.is_restricted_by_conditions()
        && !statement.requires_attestation()
        && !statement.never_applies();
    let denied = statements
        .iter()
        .filter(|deny| denies_management(deny, statement))
        .map(Statement::action_set)
        .collect();
    let managed = statement.action_set().and(ActionSet::named(&MANAGES)).without(denied);
    if let (true, false, Some(actions)) = (is_open, managed.is_empty(), &statement.actions) {
        let message = format!("anyone may {managed}");
        findings.add(&ANYONE_MANAGES, actions.span_of(managed), Some(&statement.at), message);
    }
}

fn wildcards(statement: &Statement, findings: &mut Findings<'_>) {
    let Some(actions) = statement.actions.as_ref().filter(|actions| !actions.negated) else { return };
    if statement.is_about_anyone() || statement.is_about_accounts_alone() {
        return;
    }
    for item in &actions.items {
        let released = item.value.and(releases().or(ActionSet::named(&["ReEncryptFrom"])));
        if item.value == ActionSet::ALL {
            let message = format!("{} is every action, {} included", item.text, "kms:PutKeyPolicy");
            findings.add(&EVERY_ACTION, &item.span, Some(&statement.at), message);
        } else if !released.is_empty()
            && !item.value.includes(attestable())
            && !item.value.without(attestable()).is_empty()
        {
            let message = format!("{} is also {released}", item.text);
            findings.add(&WIDE_WILDCARD, &item.span, Some(&statement.at), message);
        }
    }
}

fn changing_the_policy(reading: &Reading, findings: &mut Findings<'_>) {
    let statements = &reading.statements;
    let put = ActionSet::named(&["PutKeyPolicy"]);
    if statements.iter().any(|statement| statement.is_partial) {
        return;
    }
    let mut giving = statements
        .iter()
        .filter(|statement| statement.allows() && statement.action_set().includes(put))
        .peekable();
    let Some(first) = giving.peek().copied() else {
        let start = reading.span.start..reading.span.start.saturating_add(1);
        let message = "nobody may put another policy over the API".to_owned();
        findings.add(&NOBODY_MAY_CHANGE, &start, None, message);
        return;
    };
    let denied_by = |allow: &Statement| {
        statements.iter().find(|deny| denies_management(deny, allow) && deny.action_set().includes(put))
    };
    let mut reason = None;
    for allow in giving {
        let taken = if let Some(deny) = denied_by(allow) {
            format!("{} denies it", deny.at)
        } else if allow.requires_attestation() {
            "a request for it carries no attestation".to_owned()
        } else if allow.never_applies() {
            "a condition asks for what no request here has".to_owned()
        } else {
            return;
        };
        reason = reason.or(Some(taken));
    }
    if let (Some(reason), Some(actions)) = (reason, &first.actions) {
        let message =
            format!("kms:PutKeyPolicy is given, but {reason}: nobody may change the policy over the API");
        findings.add(&LOCK_OUT, actions.span_of(put), Some(&first.at), message);
    }
}

/// Whether a Deny takes from whom `allow` is about what carries no attestation: without conditions, or with such as are
/// true where there is none.
fn denies_management(deny: &Statement, allow: &Statement) -> bool {
    deny.denies()
        && deny.covers_whom_and_what(allow)
        && deny
            .conditions
            .iter()
            .all(|condition| condition.is_on_attestation() && condition.holds_when_absent())
}
