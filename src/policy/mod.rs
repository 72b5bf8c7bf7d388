//! Key policies and identity policies: may this caller use this key for this?
//!
//! A key policy is an IAM JSON resource policy, an identity policy the other side of it, attached to a user or role.
//! [`KeyPolicy::parse`] and [`IdentityPolicy::parse`] turn a text into a checked form once, when it is put; everything that is unknown, ambiguous or could never match is refused there, so that evaluation meets no
//! surprises. [`KeyPolicy::evaluate`] is a pure function of the policy and one [`PolicyRequest`]: no clock, no I/O,
//! no configuration. [`decide()`] puts the two sides together. What is not allowed by some statement is denied, an explicit `Deny` beats every `Allow`, and an
//! evaluation that fails is a denial.
//!
//! ```
//! use nitro_key_broker::policy::{Caller, ConditionKey, ContextValues, KeyPolicy, PolicyRequest, RequestContext};
//!
//! struct Enclave {
//!     pcr0: String,
//! }
//!
//! impl RequestContext for Enclave {
//!     fn values(&self, key: &ConditionKey) -> ContextValues<'_> {
//!         match key {
//!             ConditionKey::RecipientAttestationPcr(0) => ContextValues::text(&self.pcr0),
//!             _ => ContextValues::Absent,
//!         }
//!     }
//! }
//!
//! let pcr0 = "5a".repeat(48);
//! let policy = KeyPolicy::parse(&format!(
//!     r#"{{
//!         "Version": "2012-10-17",
//!         "Statement": {{
//!             "Sid": "OnlyThisImage",
//!             "Effect": "Allow",
//!             "Principal": "*",
//!             "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
//!             "Resource": "*",
//!             "Condition": {{"StringEqualsIgnoreCase": {{"kms:RecipientAttestation:PCR0": "{pcr0}"}}}}
//!         }}
//!     }}"#
//! ))?;
//!
//! let request = |enclave: &Enclave| {
//!     policy
//!         .evaluate(&PolicyRequest {
//!             caller: &Caller::Anonymous,
//!             action: "kms:Decrypt",
//!             resource: "arn:aws:kms:eu-central-1:111122223333:key/0f9d7a0c-6d5e-4c0a-9b1e-2f3a4b5c6d7e",
//!             context: enclave,
//!         })
//!         .is_allowed()
//! };
//! assert!(request(&Enclave { pcr0 }));
//! assert!(!request(&Enclave { pcr0: "5b".repeat(48) }));
//! # Ok::<(), nitro_key_broker::policy::PolicyError>(())
//! ```
//!
//! `docs/policy.md` lists the supported language and where it differs from AWS. Sources: the IAM User Guide's "JSON
//! policy element reference" and, for the `kms:` keys, the KMS Developer Guide's "Condition keys for AWS KMS".

mod action;
mod arn;
mod attached;
mod caller;
mod compose;
mod condition;
mod condition_key;
mod decide;
mod denial;
mod document;
mod error;
mod evaluate;
mod facts;
mod grant;
mod inquiry;
mod json;
mod judge;
mod lint;
mod mentions;
mod never_present;
mod operand;
mod operator;
mod particulars;
mod pattern;
mod principal;
mod question;
mod resource;
mod statement;
mod template;
mod trace;

pub use action::{actions, find_action};
pub use attached::{AttachedPolicy, AttachedStatement, InvalidPolicyName, PolicyName};
pub use caller::{Caller, InvalidPrincipalArn, PolicyHolder, PrincipalArn};
pub use compose::{
    ImageStatement, Registers, key_policy_text, register_of_instance, register_of_role, statement_text,
};
pub use condition_key::{ConditionKey, MAX_PCR_INDEX, ValueType};
pub use decide::{Permit, decide, decide_by_identity, decide_retirement, decide_unless_denied};
pub use denial::{Denial, Refusal, Side};
pub use document::{
    IdentityPolicy, KeyPolicy, MAX_IDENTITY_POLICY_BYTES, MAX_IDENTITY_POLICY_CHARACTERS, MAX_POLICY_BYTES,
};
pub use error::{PolicyError, Problem};
pub use evaluate::{
    ContextValue, ContextValues, EvaluationError, PolicyRequest, Reason, RequestContext, StatementRef,
    Verdict,
};
pub use facts::{FactError, RequestFacts};
pub use grant::{
    Grant, GrantConstraint, GrantId, GrantOperation, GrantOperations, GrantReason, GrantTerms,
    InvalidGrantId, MAX_CONSTRAINT_PAIRS, MAX_CONSTRAINT_VALUE_LEN, MAX_GRANTS_PER_KEY, RetiredAs,
};
pub use inquiry::Inquiry;
pub use judge::{
    AllowedBy, Policies, judge_access, judge_by_identity, judge_retirement, judge_unless_denied,
};
pub use lint::{Finding, LintOptions, Place, PolicyKind, Rule, Severity, lint, rule, rules};
pub use mentions::Mentioned;
pub use never_present::NeverPresent;
pub use particulars::Particulars;
pub use pattern::Pattern;
pub use question::{Algorithms, Question};
pub use statement::Effect;
pub use trace::{
    Applies, Deciding, Decision, DecisionKind, ElementTrace, Explanation, GrantTrace, PolicyTrace,
    StatementTrace, explain_access, explain_by_identity,
};
