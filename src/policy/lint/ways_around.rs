//! Ways around the attestation that the policy of a key asks for elsewhere.

use super::cover::{kept_for_attested, kept_for_attested_from_anyone};
use super::finding::{Findings, Rule, Severity};
use super::reading::{Reading, Statement};
use crate::policy::action::ActionSet;
use crate::policy::condition_key::ConditionKey;
use crate::policy::operator::SetQualifier;

pub(super) static ANYONE: Rule = Rule {
    code: "NKB301",
    name: "anyone-without-attestation",
    severity: Severity::Error,
    summary: "Principal \"*\" may use the key without a condition on attestation.",
    why: "Everybody is meant, unsigned requests included: any enclave of anybody gets plaintext, and what needs no enclave anybody does himself.",
    fix: "add a condition StringEqualsIgnoreCase on kms:RecipientAttestation:PCR0, or name the principals",
};

pub(super) static UNATTESTED_RELEASE: Rule = Rule {
    code: "NKB302",
    name: "release-without-attestation",
    severity: Severity::Warning,
    summary: "One statement asks for attestation to release key material, another does not.",
    why: "Whatever Decrypt and its kin release to any enclave need not go to the one that is meant: a data key that was generated for another image opens the same data.",
    fix: "put the same condition on attestation into this statement, or take the action out",
};

pub(super) static ACCOUNT: Rule = Rule {
    code: "NKB303",
    name: "account-without-attestation",
    severity: Severity::Note,
    summary: "The account is named beside statements that ask for attestation: its identity policies may release key material without.",
    why: "Naming the account leaves the decision to identity policies, which the key's policy does not see.",
    fix: "add a Deny for Principal \"*\" with StringNotEqualsIgnoreCase on kms:RecipientAttestation:PCR0, or name roles and the actions that they need",
};

pub(super) static RE_ENCRYPT: Rule = Rule {
    code: "NKB304",
    name: "reencrypt-around-attestation",
    severity: Severity::Warning,
    summary: "ReEncryptFrom is allowed without the attestation that Decrypt needs.",
    why: "It moves a ciphertext to another key, and that key's policy then says who decrypts it.",
    fix: "put the condition on attestation on kms:ReEncryptFrom as well, deny it, or take it out",
};

pub(super) static CREATE_GRANT: Rule = Rule {
    code: "NKB305",
    name: "grant-around-attestation",
    severity: Severity::Warning,
    summary: "CreateGrant is allowed where a grant could release key material without the attestation that the policy asks for.",
    why: "A grant cannot ask for an enclave of one image, and an Allow with a condition says nothing about grants.",
    fix: "limit kms:GrantOperations to operations that release nothing, or add a Deny for Principal \"*\" with StringNotEqualsIgnoreCase on the register, which holds against grants",
};

pub(super) static CHANGES_POLICY: Rule = Rule {
    code: "NKB306",
    name: "caller-changes-policy",
    severity: Severity::Warning,
    summary: "Whoever calls for an attested enclave may also put another policy, without attestation.",
    why: "The credentials that the parent instance has, and lends to the enclave, then suffice to take the condition on attestation out.",
    fix: "give kms:PutKeyPolicy to a role that no parent instance has",
};

pub(super) static RULES: [&Rule; 6] =
    [&ANYONE, &UNATTESTED_RELEASE, &ACCOUNT, &RE_ENCRYPT, &CREATE_GRANT, &CHANGES_POLICY];

/// What hands out what a key protects.
const RELEASES: [&str; 4] = ["Decrypt", "DeriveSharedSecret", "GenerateDataKey", "GenerateDataKeyPair"];

/// What uses a key otherwise. Whoever may verify or has the public key learns nothing that is secret.
const OTHER_USES: [&str; 7] = [
    "Encrypt",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateMac",
    "ReEncryptFrom",
    "ReEncryptTo",
    "Sign",
];

pub(super) fn releases() -> ActionSet {
    ActionSet::named(&RELEASES)
}

pub(super) fn check(reading: &Reading, findings: &mut Findings<'_>) {
    let statements = &reading.statements;
    // What attestation is asked for somewhere: by an Allow that needs it, or a Deny of whoever has none.
    let asked_for = statements
        .iter()
        .filter(|statement| {
            statement.allows() && statement.requires_attestation()
                || statement.denies() && !statement.excluded().is_empty()
        })
        .map(Statement::action_set)
        .collect::<ActionSet>()
        .and(releases());
    let attested: Vec<&Statement> = statements
        .iter()
        .filter(|statement| statement.allows() && statement.requires_attestation())
        .filter(|statement| !statement.action_set().and(releases()).is_empty())
        .collect();
    let open_to_grants = asked_for.without(kept_for_attested_from_anyone(statements));
    for statement in statements {
        let asks = statement.conditions.iter().any(super::reading::ReadCondition::is_on_attestation);
        if !statement.allows() || statement.is_partial || asks || statement.never_applies() {
            continue;
        }
        let open = statement.action_set().without(kept_for_attested(statements, statement));
        let mut around = Around { statement, open, findings };
        around.check(asked_for, open_to_grants);
        around.check_policy_change(&attested);
    }
}

struct Around<'r, 'f, 't> {
    statement: &'r Statement,
    /// What it allows whoever sends no attestation.
    open: ActionSet,
    findings: &'f mut Findings<'t>,
}

impl Around<'_, '_, '_> {
    fn check(&mut self, asked_for: ActionSet, open_to_grants: ActionSet) {
        let uses = self.open.and(releases().or(ActionSet::named(&OTHER_USES)));
        let released = self.open.and(releases());
        if self.statement.is_about_anyone() && !self.statement.is_restricted_by_conditions() {
            if !uses.is_empty() {
                self.add(&ANYONE, uses, format!("anyone may {uses}, without attestation"));
            }
            return;
        }
        if asked_for.is_empty() {
            return;
        }
        if self.statement.is_about_accounts_alone() {
            if !released.is_empty() {
                let message =
                    format!("identity policies of the account may allow {released} without attestation");
                self.add(&ACCOUNT, released, message);
            }
            return;
        }
        if !released.is_empty() {
            let message = format!("{released} without attestation, while {asked_for} elsewhere asks for it");
            self.add(&UNATTESTED_RELEASE, released, message);
            return;
        }
        let re_encrypt = self.open.and(ActionSet::named(&["ReEncryptFrom"]));
        if !re_encrypt.is_empty() {
            let message =
                format!("{re_encrypt} without attestation moves ciphertexts to keys of other policies");
            self.add(&RE_ENCRYPT, re_encrypt, message);
        }
        let create_grant = self.statement.action_set().and(ActionSet::named(&["CreateGrant"]));
        // Whoever may change the policy needs no grant.
        let may_change_it = self.statement.action_set().includes(ActionSet::named(&["PutKeyPolicy"]));
        let may_grant = !create_grant.is_empty() && !may_change_it && !self.grants_release_nothing();
        if may_grant && !open_to_grants.is_empty() {
            let message =
                format!("a grant may allow {open_to_grants} without the attestation that is asked for");
            self.add(&CREATE_GRANT, create_grant, message);
        }
    }

    /// Looks for somebody whom an attested statement names and who may change the policy here.
    fn check_policy_change(&mut self, attested: &[&Statement]) {
        let put = self.open.and(ActionSet::named(&["PutKeyPolicy"]));
        if put.is_empty() {
            return;
        }
        let both =
            attested.iter().find_map(|statement| Some((statement, self.statement.names_also(statement)?)));
        if let Some((statement, principal)) = both {
            let message =
                format!("{principal}, for whose enclaves {} is, may put another policy", statement.at);
            self.add(&CHANGES_POLICY, put, message);
        }
    }

    /// Whether the grants that may be made have no operation that releases something.
    fn grants_release_nothing(&self) -> bool {
        let releasing = releases().or(ActionSet::named(&["ReEncryptFrom", "CreateGrant"]));
        self.statement.conditions.iter().any(|condition| {
            condition.key == ConditionKey::GrantOperations
                && condition.operator.set == Some(SetQualifier::ForAllValues)
                && !condition.operator.comparison.is_negated()
                && condition
                    .values
                    .iter()
                    .all(|item| ActionSet::matching(&format!("kms:{}", item.text)).and(releasing).is_empty())
        })
    }

    fn add(&mut self, rule: &'static Rule, actions: ActionSet, message: String) {
        let span =
            self.statement.actions.as_ref().map_or(&self.statement.span, |element| element.span_of(actions));
        self.findings.add(rule, span, Some(&self.statement.at), message);
    }
}
