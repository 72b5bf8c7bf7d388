//! What policies were asked.

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::policy::{ConditionKey, ContextValue, ContextValues, Grant, PrincipalArn, Question};

/// Which policies a question was put to.
#[derive(Clone, Copy, Debug)]
pub enum AskedOf<'g> {
    /// The key's, the caller's, and grants.
    Key {
        /// The grant that allowed.
        allowed_by: Option<&'g Grant>,
    },
    /// The caller's alone, of which one had to allow.
    Identity,
    /// The caller's alone, none of which was to deny.
    NoDeny,
    /// As of the key's, for the end of this grant.
    Retirement(&'g Grant),
}

/// A question to policies, as far as the rest of the record does not tell it: the caller, the time, the source's address, the
/// region, the registers and the encryption context are there.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Asked {
    action: &'static str,
    resource: String,
    /// Absent where the key's policy was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<&'static str>,
    allowed: bool,
    /// Whether the policies saw the enclave.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    attested: bool,
    /// The grant that is to end, or that allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<AskedGrant>,
    #[serde(skip_serializing_if = "AskedContext::is_empty")]
    context: AskedContext,
}

/// What conditions could see, by their keys' names.
#[derive(Clone, Debug)]
struct AskedContext(Vec<(Cow<'static, str>, Value)>);

impl AskedContext {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for AskedContext {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// A grant as it was, since it may be gone.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AskedGrant {
    grant_id: String,
    grantee_principal: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    retiring_principal: Option<String>,
    operations: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    constraints: Option<Value>,
    issuing_account: String,
}

impl Asked {
    pub(super) fn of(question: &Question<'_>, of: AskedOf<'_>, allowed: bool) -> Self {
        let (of, grant) = match of {
            AskedOf::Key { allowed_by } => (None, allowed_by),
            AskedOf::Identity => (Some("identity"), None),
            AskedOf::NoDeny => (Some("noDeny"), None),
            AskedOf::Retirement(grant) => (Some("retirement"), Some(grant)),
        };
        let stated = question.stated_of(|key| !is_told_elsewhere(key));
        Self {
            action: question.action,
            resource: question.resource.to_owned(),
            of,
            allowed,
            attested: question.recipient.is_some(),
            grant: grant.map(AskedGrant::of),
            context: AskedContext(stated.map(|(key, values)| (key.name(), json_of(&values))).collect()),
        }
    }
}

impl AskedGrant {
    fn of(grant: &Grant) -> Self {
        let constraint = grant.terms.constraint.as_ref();
        Self {
            grant_id: grant.id.to_string(),
            grantee_principal: grant.terms.grantee.to_string(),
            retiring_principal: grant.terms.retiring.as_ref().map(PrincipalArn::to_string),
            operations: grant.terms.operations.names().collect(),
            constraints: constraint.map(|constraint| json!({constraint.name(): constraint.context()})),
            issuing_account: grant.issuing_account.to_string(),
        }
    }
}

/// Whether a member of the record beside the question holds the key's value.
fn is_told_elsewhere(key: &ConditionKey) -> bool {
    matches!(
        key,
        ConditionKey::RecipientAttestationPcr(_)
            | ConditionKey::SourceIp
            | ConditionKey::UserAgent
            | ConditionKey::RequestedRegion
    )
}

fn json_of(values: &ContextValues<'_>) -> Value {
    let json_of_one = |value: &ContextValue<'_>| match value {
        ContextValue::Text(text) => json!(text),
        ContextValue::Flag(flag) => json!(flag),
        ContextValue::Number(number) => json!(number),
        ContextValue::Time(time) => json!(time.to_string()),
        ContextValue::Address(address) => json!(address.to_string()),
    };
    match values {
        ContextValues::Absent => Value::Null,
        ContextValues::One(value) => json_of_one(value),
        ContextValues::Many(values) => values.iter().map(json_of_one).collect(),
    }
}
