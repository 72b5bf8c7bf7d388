//! Whether one statement is about everything that another is about.

use std::collections::BTreeSet;

use super::reading::{Element, ReadCondition, Statement};
use super::register_values::register;
use crate::policy::action::ActionSet;
use crate::policy::caller::PrincipalArn;
use crate::policy::condition_key::ConditionKey;
use crate::policy::operator::Comparison;
use crate::policy::principal::Principal;
use crate::policy::resource::Resource;
use crate::text::shorten;

impl Statement {
    /// Whether every request that `other` applies to is one that this applies to. `false` where that cannot be told.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.action_set().includes(other.action_set())
            && !other.action_set().is_empty()
            && self.covers_whom_and_what(other)
            && self.conditions.iter().all(|condition| other.conditions.iter().any(|of| of.implies(condition)))
    }

    /// As [`Self::covers`], of principals and resources alone.
    pub(super) fn covers_whom_and_what(&self, other: &Self) -> bool {
        !self.is_partial && !other.is_partial && self.covers_principals(other) && self.covers_resources(other)
    }

    fn covers_principals(&self, other: &Self) -> bool {
        let (own, others) = match (&self.principals, &other.principals) {
            (None, None) => return true,
            (Some(own), Some(others)) => (own, others),
            (Some(_), None) | (None, Some(_)) => return false,
        };
        if own.negated {
            return others.negated && own.texts() == others.texts();
        }
        if others.negated {
            return own.has_anyone();
        }
        let covers = |principal| own.items.iter().any(|item| covers(&item.value, principal, self.denies()));
        others.items.iter().all(|item| covers(&item.value))
    }

    fn covers_resources(&self, other: &Self) -> bool {
        let (Some(own), Some(others)) = (&self.resources, &other.resources) else { return false };
        if !own.negated && own.items.iter().any(|item| item.value == Resource::Any) {
            return true;
        }
        own.negated == others.negated
            && if own.negated {
                own.texts() == others.texts()
            } else {
                own.texts().is_superset(&others.texts())
            }
    }

    /// Whether everyone is meant.
    pub(super) fn is_about_anyone(&self) -> bool {
        self.principals.as_ref().is_some_and(|element| !element.negated && element.has_anyone())
    }

    /// Whether accounts alone are named, whose identity policies then decide.
    pub(super) fn is_about_accounts_alone(&self) -> bool {
        self.principals.as_ref().is_some_and(|element| {
            !element.negated && element.items.iter().all(|item| account(&item.value).is_some())
        })
    }

    /// A user, role or session of `other` that this names as well, itself or by its role.
    pub(super) fn names_also(&self, other: &Self) -> Option<String> {
        let (own, others) = (self.principals.as_ref()?, other.principals.as_ref()?);
        let named = others.items.iter().filter_map(|item| match &item.value {
            Principal::Arn(arn) if !arn.is_account_root() => Some(arn),
            _ => None,
        });
        let mut both = named.filter(|arn| {
            own.items
                .iter()
                .any(|item| matches!(&item.value, Principal::Arn(own) if own.covers(arn) || arn.covers(own)))
        });
        let is_told = !own.negated && !others.negated;
        both.next().filter(|_| is_told).map(|arn| shorten(arn.as_str()))
    }

    /// Whether it needs a value that no request here has.
    pub(super) fn never_applies(&self) -> bool {
        self.conditions.iter().any(ReadCondition::never_holds)
    }

    /// Whether conditions tell who may call, where Principal does not.
    pub(super) fn is_restricted_by_conditions(&self) -> bool {
        self.conditions.iter().any(|condition| {
            let tells_who = matches!(
                condition.key,
                ConditionKey::PrincipalArn
                    | ConditionKey::PrincipalAccount
                    | ConditionKey::CallerAccount
                    | ConditionKey::Username
            );
            let is_open =
                condition.values.iter().any(|item| item.text.bytes().all(|byte| b"*?".contains(&byte)));
            tells_who
                && !is_open
                && !condition.holds_when_absent()
                && !condition.operator.comparison.is_negated()
        })
    }
}

impl ReadCondition {
    /// Whether a request that meets this meets `wider`, too.
    fn implies(&self, wider: &Self) -> bool {
        let same_key = self.key == wider.key
            || register(&self.key).is_some_and(|index| register(&wider.key) == Some(index));
        if !same_key || self.operator != wider.operator {
            return false;
        }
        let (own, others) = (self.texts(), wider.texts());
        if self.operator.comparison.is_negated() { own.is_superset(&others) } else { own.is_subset(&others) }
    }

    fn texts(&self) -> BTreeSet<String> {
        let ignores_case = matches!(
            self.operator.comparison,
            Comparison::StringEqualsIgnoreCase | Comparison::StringNotEqualsIgnoreCase
        );
        let text = |text: &str| if ignores_case { text.to_lowercase() } else { text.to_owned() };
        self.values.iter().map(|item| text(&item.text)).collect()
    }

    /// Whether it asks for a value that no request here has.
    pub(super) fn never_holds(&self) -> bool {
        if self.holds_when_absent() && matches!(self.key, ConditionKey::NeverPresent(_)) {
            return false;
        }
        match self.key {
            ConditionKey::NeverPresent(_) => self.asks_for_absence() != Some(true),
            ConditionKey::GrantIsForAwsResource
            | ConditionKey::ViaAwsService
            | ConditionKey::PrincipalIsAwsService
            | ConditionKey::MultiRegion => {
                self.operator.comparison == Comparison::Bool
                    && !self.operator.if_exists
                    && self.values.iter().all(|item| item.text.eq_ignore_ascii_case("true"))
            }
            _ => false,
        }
    }
}

impl<T> Element<T> {
    pub(super) fn texts(&self) -> BTreeSet<&str> {
        self.items.iter().map(|item| item.text.as_str()).collect()
    }
}

impl Element<Principal> {
    fn has_anyone(&self) -> bool {
        self.items.iter().any(|item| item.value == Principal::Anyone)
    }
}

/// The account that a principal stands for, if it stands for one.
fn account(principal: &Principal) -> Option<&str> {
    match principal {
        Principal::Anyone => None,
        Principal::Account(account) => Some(account),
        Principal::Arn(arn) => arn.is_account_root().then(|| arn.account()),
    }
}

/// A Deny for an account is for everyone in it; an Allow leaves the others in it to identity policies.
fn covers(own: &Principal, other: &Principal, denies: bool) -> bool {
    match (own, other) {
        (Principal::Anyone, _) => true,
        (_, Principal::Anyone) => false,
        _ if let Some(own) = account(own) => match other {
            Principal::Arn(arn) if denies => arn.account() == own,
            other => account(other) == Some(own),
        },
        (Principal::Arn(own), Principal::Arn(other)) => PrincipalArn::covers(own, other),
        (Principal::Arn(_) | Principal::Account(_), _) => false,
    }
}

/// The actions that Denies keep from whoever sends no attestation, as far as those are concerned whom `allow` is about.
pub(super) fn kept_for_attested(statements: &[Statement], allow: &Statement) -> ActionSet {
    let keeps = |deny: &&Statement| {
        deny.denies()
            && deny.covers_whom_and_what(allow)
            && deny
                .conditions
                .iter()
                .all(|condition| condition.is_on_attestation() && condition.holds_when_absent())
    };
    statements.iter().filter(keeps).map(Statement::action_set).collect()
}

/// As [`kept_for_attested`], for everyone: also for whom a grant names.
pub(super) fn kept_for_attested_from_anyone(statements: &[Statement]) -> ActionSet {
    let keeps = |deny: &&Statement| {
        deny.denies()
            && !deny.is_partial
            && deny.is_about_anyone()
            && deny.resources.as_ref().is_some_and(|resources| {
                !resources.negated && resources.items.iter().any(|item| item.value == Resource::Any)
            })
            && deny
                .conditions
                .iter()
                .all(|condition| condition.is_on_attestation() && condition.holds_when_absent())
    };
    statements.iter().filter(keeps).map(Statement::action_set).collect()
}
