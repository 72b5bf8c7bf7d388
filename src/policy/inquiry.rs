//! What is judged.

use super::caller::{Caller, PrincipalArn};
use super::condition_key::ConditionKey;
use super::denial::{Denial, Refusal};
use super::evaluate::{ContextValue, ContextValues, PolicyRequest, RequestContext};
use super::grant::{GrantConstraint, GrantTerms};
use super::particulars::optional_text;
use crate::encryption_context::EncryptionContext;
use crate::time::UnixTime;

/// A request as policies and grants see it, described by whoever knows it: the broker that holds the evidence in its hands,
/// or somebody who asks what would be decided. Nothing here proves anything, and no judgement of it gives power.
#[derive(Clone, Copy)]
pub struct Inquiry<'i> {
    /// Who asks.
    pub caller: &'i Caller,
    /// For what, such as `kms:Decrypt`.
    pub action: &'static str,
    /// The ARN of the key or alias, or `*` for what is about none.
    pub resource: &'i str,
    /// The account that it belongs to, twelve digits.
    pub resource_account: &'i str,
    /// The request's encryption context.
    pub encryption_context: &'i EncryptionContext,
    /// The grant that CreateGrant is to make.
    pub new_grant: Option<&'i GrantTerms>,
    /// What conditions may ask about.
    pub context: &'i dyn RequestContext,
}

impl<'i> Inquiry<'i> {
    /// The same in the form that one policy is asked in.
    pub(super) fn request(&self) -> PolicyRequest<'i> {
        let Self { caller, action, resource, context, .. } = *self;
        PolicyRequest { caller, action, resource, context }
    }

    /// The anonymous caller has no account that could be another one.
    pub(super) fn is_from_another_account(&self) -> bool {
        self.caller.account().is_some_and(|account| account != self.resource_account)
    }

    /// Whether an account itself asks.
    pub(super) fn is_from_a_root(&self) -> bool {
        self.caller.arn().is_some_and(PrincipalArn::is_account_root)
    }

    pub(super) fn denial(&self, refusal: Refusal, reasons: Vec<String>) -> Box<Denial> {
        Box::new(Denial {
            caller: self.caller.clone(),
            action: self.action,
            resource: self.resource.to_owned(),
            refusal,
            reasons,
        })
    }
}

/// What the values of many condition keys follow from.
pub(super) struct Premises<'p> {
    pub(super) action: &'static str,
    pub(super) resource_account: &'p str,
    pub(super) encryption_context: &'p EncryptionContext,
    pub(super) new_grant: Option<&'p GrantTerms>,
    pub(super) now: UnixTime,
}

impl<'p> Premises<'p> {
    /// The values of a key that follow; `None` for a key that is known for itself.
    pub(super) fn values(&self, key: &ConditionKey) -> Option<ContextValues<'p>> {
        Some(match key {
            ConditionKey::EncryptionContext(name) => optional_text(self.encryption_context.get(name)),
            ConditionKey::EncryptionContextKeys => ContextValues::texts(self.encryption_context.keys()),
            ConditionKey::GrantOperations => self
                .new_grant
                .map_or(ContextValues::Absent, |grant| ContextValues::texts(grant.operations.names())),
            ConditionKey::GranteePrincipal => {
                optional_text(self.new_grant.map(|grant| grant.grantee.as_str()))
            }
            ConditionKey::RetiringPrincipal => optional_text(
                self.new_grant.and_then(|grant| grant.retiring.as_ref()).map(PrincipalArn::as_str),
            ),
            ConditionKey::GrantConstraintType => optional_text(
                self.new_grant.and_then(|grant| grant.constraint.as_ref()).map(GrantConstraint::name),
            ),
            // Never for a service: there is none here.
            ConditionKey::GrantIsForAwsResource => match self.action {
                "kms:CreateGrant" | "kms:ListGrants" | "kms:RevokeGrant" => {
                    ContextValues::One(ContextValue::Flag(false))
                }
                _ => ContextValues::Absent,
            },
            ConditionKey::CurrentTime => ContextValues::One(ContextValue::Time(self.now)),
            ConditionKey::EpochTime => {
                let secs = i64::try_from(self.now.as_secs()).unwrap_or(i64::MAX);
                ContextValues::One(ContextValue::Number(secs))
            }
            ConditionKey::ResourceAccount => ContextValues::text(self.resource_account),
            _ => return None,
        })
    }
}
