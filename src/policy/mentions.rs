//! What a key policy mentions: whom it tells apart, and by which values of which keys.

use std::collections::BTreeSet;

use super::action::Action;
use super::caller::{Caller, PrincipalArn};
use super::condition_key::ConditionKey;
use super::document::KeyPolicy;
use super::operand::Operand;
use super::principal::{Principal, Reach};
use super::resource::Resource;
use super::statement::Statement;

/// A condition key and the values that a policy compares it with, as texts that string operators see.
pub type Mentioned = (ConditionKey, BTreeSet<String>);

impl KeyPolicy {
    /// Everyone whom a statement names; for `"*"` the anonymous caller, and for an account its root.
    pub fn named_callers(&self) -> Vec<Caller> {
        let principals = self.statements.iter().filter_map(|statement| statement.principals.as_ref());
        let mut callers = Vec::new();
        for principal in principals.flat_map(|element| &element.any_of) {
            let caller = match principal {
                Principal::Anyone => Some(Caller::Anonymous),
                Principal::Arn(arn) => Some(Caller::Principal { arn: arn.clone() }),
                Principal::Account(account) => PrincipalArn::parse(&format!("arn:aws:iam::{account}:root"))
                    .ok()
                    .map(|arn| Caller::Principal { arn }),
            };
            callers.extend(caller.filter(|caller| !callers.contains(caller)));
        }
        callers
    }

    /// The resources that statements name other than by `*`, without their wildcards.
    pub fn named_resources(&self) -> Vec<String> {
        let named = self.statements.iter().flat_map(|statement| &statement.resources.any_of);
        named
            .filter(|resource| **resource != Resource::Any)
            .map(|resource| resource.to_string().replace('*', "").replace('?', "x"))
            .collect()
    }

    /// The places of the statements whose principal and action match: no others can apply to `caller` and `action`.
    pub fn candidates(&self, caller: &Caller, action: &str) -> Vec<usize> {
        self.candidate_statements(caller, action).map(|(index, _)| index).collect()
    }

    /// What the conditions of these statements ask about, key by key.
    pub fn asks(&self, caller: &Caller, action: &str) -> Vec<Mentioned> {
        mentioned(self.candidate_statements(caller, action).map(|(_, statement)| statement))
    }

    /// What the conditions of all statements ask about, key by key.
    pub fn mentions(&self) -> Vec<Mentioned> {
        mentioned(self.statements.iter())
    }

    fn candidate_statements(
        &self,
        caller: &Caller,
        action: &str,
    ) -> impl Iterator<Item = (usize, &Statement)> {
        let action = Action::find(action);
        self.statements.iter().enumerate().filter(move |(_, statement)| {
            action.is_some_and(|action| statement.actions.matches(action))
                && statement.reach(caller) != Reach::Nobody
        })
    }
}

fn mentioned<'s>(statements: impl Iterator<Item = &'s Statement>) -> Vec<Mentioned> {
    let mut mentioned: Vec<Mentioned> = Vec::new();
    for condition in statements.flat_map(|statement| &statement.conditions) {
        let samples = condition.any_of.iter().flat_map(Operand::samples);
        match mentioned.iter_mut().find(|(key, _)| *key == condition.key) {
            Some((_, values)) => values.extend(samples),
            None => mentioned.push((condition.key.clone(), samples.collect())),
        }
    }
    mentioned
}
