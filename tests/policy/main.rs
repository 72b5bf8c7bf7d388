//! The key-policy engine: what it allows, what it denies and why, and what it refuses to take.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

mod conditions;
mod decision;
mod evaluation;
mod grants;
mod identity;
mod lint;
mod lint_agrees;
mod lint_corpus;
mod properties;
mod refused;
mod variables;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use nitro_key_broker::policy::{
    Caller, ConditionKey, ContextValue, ContextValues, Effect, EvaluationError, IdentityPolicy,
    InvalidPrincipalArn, KeyPolicy, MAX_POLICY_BYTES, PolicyError, PolicyRequest, PrincipalArn, Problem,
    Reason, RequestContext, StatementRef, Verdict,
};
use nitro_key_broker::time::UnixTime;
use proptest::prelude::*;

const KEY_ARN: &str = "arn:aws:kms:eu-central-1:111122223333:key/0f9d7a0c-6d5e-4c0a-9b1e-2f3a4b5c6d7e";
const PCR0: &str =
    "ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01";
const OTHER_PCR0: &str =
    "bb01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01";
const UNRELATED_PCR0: &str =
    "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd";

/// A request's context as a table.
#[derive(Clone, Debug, Default)]
struct Context(HashMap<ConditionKey, ContextValues<'static>>);

impl Context {
    fn with(mut self, key: &str, values: ContextValues<'static>) -> Self {
        self.0.insert(ConditionKey::parse(key).expect(key), values);
        self
    }

    fn with_text(self, key: &str, text: &'static str) -> Self {
        self.with(key, ContextValues::text(text))
    }
}

impl RequestContext for Context {
    fn values(&self, key: &ConditionKey) -> ContextValues<'_> {
        self.0.get(key).cloned().unwrap_or(ContextValues::Absent)
    }
}

fn principal(arn: &str) -> Caller {
    Caller::Principal { arn: PrincipalArn::parse(arn).unwrap() }
}

fn ask(policy: &str, caller: &Caller, action: &str, context: &Context) -> Verdict {
    let policy = KeyPolicy::parse(policy).unwrap_or_else(|error| panic!("{error}\n{policy}"));
    policy.evaluate(&PolicyRequest { caller, action, resource: KEY_ARN, context })
}

/// One statement for everyone and everything, with `extra` members in front.
fn statement(effect: &str, extra: &str) -> String {
    format!(r#"{{{extra}"Effect":"{effect}","Principal":"*","Action":"kms:*","Resource":"*"}}"#)
}

fn document(statements: &[String]) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","))
}

fn condition(operator: &str, key: &str, values: &str) -> String {
    format!(r#""Condition":{{"{operator}":{{"{key}":{values}}}}},"#)
}

/// Whether a condition holds, seen both through an Allow and through a Deny.
fn holds(operator: &str, key: &str, values: &str, context: &Context) -> bool {
    holds_for(&principal("arn:aws:iam::111122223333:user/alice"), operator, key, values, context)
}

fn holds_for(caller: &Caller, operator: &str, key: &str, values: &str, context: &Context) -> bool {
    let condition = condition(operator, key, values);
    let allow = document(&[statement("Allow", &condition)]);
    let allows = ask(&allow, caller, "kms:Decrypt", context).is_allowed();
    let deny = document(&[statement("Allow", ""), statement("Deny", &condition)]);
    let denies = match ask(&deny, caller, "kms:Decrypt", context) {
        Verdict::ExplicitlyDenied { statement } => statement.index == 1,
        Verdict::Allowed { .. } => false,
        other => panic!("{other:?}"),
    };
    assert_eq!(allows, denies, "an Allow and a Deny see the same condition: {operator} {key} {values}");
    allows
}

const CONTEXT: &str = "kms:EncryptionContext:App";
const KEYS: &str = "kms:EncryptionContextKeys";
