//! What a record says that policies were asked.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::audit::record::{AuditRecord, RecordedIdentity};
use crate::encryption_context::EncryptionContext;
use crate::policy::{
    Caller, ConditionKey, Grant, GrantConstraint, GrantOperation, GrantTerms, PrincipalArn, RequestFacts,
};
use crate::text::shorten;

/// One decision of a record, with the question as it was put.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedDecision {
    /// What was asked. Times are in whole seconds, as conditions see them.
    pub facts: RequestFacts,
    /// Which policies.
    pub of: RecordedOf,
    /// What they said.
    pub allowed: bool,
}

/// Which policies were asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordedOf {
    /// The key's, the caller's, and grants.
    Key {
        /// The grant that allowed.
        allowed_by: Option<Box<Grant>>,
    },
    /// The caller's alone, of which one had to allow.
    Identity,
    /// The caller's alone, none of which was to deny.
    NoDeny,
    /// As of the key's, for the end of this grant.
    Retirement(Box<Grant>),
}

/// Why a record does not tell what was asked. Nothing is guessed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReplayable {
    /// It was written before records told.
    #[error("it was written by a version that did not record what policies were asked")]
    Unrecorded,
    /// A member is not as the broker writes it.
    #[error("{member} is not as the broker writes it: {problem}")]
    Member {
        /// The way to it.
        member: &'static str,
        /// What is wrong.
        problem: String,
    },
}

/// Every decision that a record tells of, in the order in which they were made; none where policies were not asked.
///
/// # Errors
/// When the record does not tell everything that the decision could depend on.
pub fn recorded_decisions(record: &AuditRecord) -> Result<Vec<RecordedDecision>, NotReplayable> {
    let decision = record.value().pointer("/additionalEventData/decision");
    let Some(asked) = decision.and_then(|decision| decision.get("asked")) else {
        // What the broker does by itself asks nobody.
        let is_own_doing = record.identity == RecordedIdentity::Broker;
        return if is_own_doing { Ok(Vec::new()) } else { Err(NotReplayable::Unrecorded) };
    };
    let asked = asked.as_array().ok_or_else(|| wrong("decision.asked", "no list"))?;
    asked.iter().map(|asked| Reader { record, asked }.decision()).collect()
}

/// One question among those of a record.
struct Reader<'r> {
    record: &'r AuditRecord,
    asked: &'r Value,
}

impl Reader<'_> {
    fn decision(&self) -> Result<RecordedDecision, NotReplayable> {
        let of = self.of()?;
        let allowed = self.asked.get("allowed").and_then(Value::as_bool);
        Ok(RecordedDecision {
            facts: self.facts(&of)?,
            of,
            allowed: allowed.ok_or_else(|| wrong("decision.asked[].allowed", "neither true nor false"))?,
        })
    }

    fn of(&self) -> Result<RecordedOf, NotReplayable> {
        let grant = self.asked.get("grant").map(|grant| self.grant(grant).map(Box::new)).transpose()?;
        match (self.asked.get("of").and_then(Value::as_str), grant) {
            (None, allowed_by) => Ok(RecordedOf::Key { allowed_by }),
            (Some("identity"), None) => Ok(RecordedOf::Identity),
            (Some("noDeny"), None) => Ok(RecordedOf::NoDeny),
            (Some("retirement"), Some(grant)) => Ok(RecordedOf::Retirement(grant)),
            (Some(other), _) => Err(wrong("decision.asked[].of", shorten(other))),
        }
    }

    fn facts(&self, of: &RecordedOf) -> Result<RequestFacts, NotReplayable> {
        const CONTEXT: &str = "decision.asked[].context";
        let record = self.record;
        let (action, resource) = (self.text("action")?, self.text("resource")?);
        let mut facts = RequestFacts::new(self.caller()?, action, resource, record.time)
            .map_err(|error| wrong("decision.asked[].action", error))?;
        facts.resource_account = self.top("recipientAccountId")?.to_owned();
        if matches!(of, RecordedOf::Key { .. }) {
            facts.encryption_context = self.encryption_context(action)?;
            if facts.action() == "kms:CreateGrant" {
                facts.new_grant = Some(self.new_grant(&facts.encryption_context)?);
            }
        }

        let mut set = |key, texts: &[&str]| {
            facts.set(key, texts.iter().copied()).map_err(|error| wrong(CONTEXT, error))
        };
        set(ConditionKey::RequestedRegion, &[self.top("awsRegion")?])?;
        // On transports without addresses it says something else.
        if record.source.parse::<std::net::IpAddr>().is_ok() {
            set(ConditionKey::SourceIp, &[&record.source])?;
        }
        if let Some(user_agent) = &record.user_agent {
            set(ConditionKey::UserAgent, &[user_agent])?;
        }
        let context = self.asked.get("context").map(|context| object(context, CONTEXT)).transpose()?;
        for (name, value) in context.into_iter().flatten() {
            let key = ConditionKey::parse(name).ok_or_else(|| wrong(CONTEXT, shorten(name)))?;
            let texts = texts(value).ok_or_else(|| wrong(CONTEXT, shorten(&value.to_string())))?;
            set(key, &texts.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
        if self.asked.get("attested").and_then(Value::as_bool) == Some(true) {
            for (index, digits) in self.pcrs()? {
                facts.set_pcr(index, &digits).map_err(|error| wrong("recipient", error))?;
            }
        }
        Ok(facts)
    }

    fn caller(&self) -> Result<Caller, NotReplayable> {
        match &self.record.identity {
            RecordedIdentity::Anonymous => Ok(Caller::Anonymous),
            RecordedIdentity::Principal { arn } => PrincipalArn::parse(arn)
                .map(|arn| Caller::Principal { arn })
                .map_err(|error| wrong("userIdentity.arn", error)),
            RecordedIdentity::Unknown | RecordedIdentity::Broker => {
                Err(wrong("userIdentity", "nobody asked"))
            }
        }
    }

    /// The registers that the policies saw, of which those that hold nothing are only listed.
    fn pcrs(&self) -> Result<BTreeMap<u8, String>, NotReplayable> {
        const ZERO: &str = "recipient.attestationDocumentZeroPCRs";
        const DIGITS: usize = 96;
        let recipient = self.record.recipient.as_ref().ok_or_else(|| wrong("recipient", "it is absent"))?;
        let mut pcrs = recipient.pcrs.clone();
        let zero = self.record.value().pointer("/additionalEventData/recipient/attestationDocumentZeroPCRs");
        for index in zero.into_iter().filter_map(Value::as_array).flatten() {
            let index = index.as_u64().and_then(|index| u8::try_from(index).ok());
            let index = index.ok_or_else(|| wrong(ZERO, "no register"))?;
            pcrs.insert(index, "0".repeat(DIGITS));
        }
        Ok(pcrs)
    }

    /// The request's pairs, which are among its parameters by a name that the operation gives them.
    fn encryption_context(&self, action: &str) -> Result<EncryptionContext, NotReplayable> {
        let parameters = self.record.request_parameters();
        let pairs = match action {
            "kms:ReEncryptFrom" => parameters.get("sourceEncryptionContext"),
            "kms:ReEncryptTo" => parameters.get("destinationEncryptionContext"),
            "kms:CreateGrant" => parameters
                .get("constraints")
                .and_then(Value::as_object)
                .and_then(|constraints| constraints.values().next()),
            _ => parameters.get("encryptionContext"),
        };
        pairs.map_or(Ok(EncryptionContext::EMPTY), |pairs| context(pairs, "requestParameters"))
    }

    fn new_grant(&self, context: &EncryptionContext) -> Result<GrantTerms, NotReplayable> {
        let parameters = object(self.record.request_parameters(), "requestParameters")?;
        let constraint = match parameters.get("constraints").and_then(Value::as_object) {
            None => None,
            Some(constraints) if constraints.contains_key("encryptionContextEquals") => {
                Some(GrantConstraint::EncryptionContextEquals(context.clone()))
            }
            Some(_) => Some(GrantConstraint::EncryptionContextSubset(context.clone())),
        };
        terms(parameters, constraint, "requestParameters")
    }

    fn grant(&self, grant: &Value) -> Result<Grant, NotReplayable> {
        const GRANT: &str = "decision.asked[].grant";
        let members = object(grant, GRANT)?;
        let constraint = match members.get("constraints").and_then(Value::as_object) {
            None => None,
            Some(constraints) => constraints
                .iter()
                .next()
                .map(|(name, pairs)| match name.as_str() {
                    "EncryptionContextEquals" => {
                        context(pairs, GRANT).map(GrantConstraint::EncryptionContextEquals)
                    }
                    "EncryptionContextSubset" => {
                        context(pairs, GRANT).map(GrantConstraint::EncryptionContextSubset)
                    }
                    other => Err(wrong(GRANT, shorten(other))),
                })
                .transpose()?,
        };
        let text = |name| members.get(name).and_then(Value::as_str).unwrap_or_default();
        Ok(Grant {
            id: text("grantId").parse().map_err(|error| wrong(GRANT, error))?,
            resource: self.text("resource")?.into(),
            name: None,
            terms: terms(members, constraint, GRANT)?,
            issuing_account: text("issuingAccount").into(),
            created_at: self.record.time,
        })
    }

    fn text(&self, name: &'static str) -> Result<&str, NotReplayable> {
        self.asked.get(name).and_then(Value::as_str).ok_or_else(|| wrong(name, "no text"))
    }

    fn top(&self, name: &'static str) -> Result<&str, NotReplayable> {
        self.record.value().get(name).and_then(Value::as_str).ok_or_else(|| wrong(name, "no text"))
    }
}

/// The terms of a grant, by the names that KMS gives them.
fn terms(
    members: &Map<String, Value>,
    constraint: Option<GrantConstraint>,
    place: &'static str,
) -> Result<GrantTerms, NotReplayable> {
    let principal = |name| {
        let text = members.get(name).and_then(Value::as_str);
        text.map(|text| PrincipalArn::parse(text).map_err(|error| wrong(place, error))).transpose()
    };
    let operations = members.get("operations").and_then(texts).unwrap_or_default();
    let operations = operations.iter().map(|name| {
        GrantOperation::from_name(name).ok_or_else(|| wrong(place, format!("no operation {}", shorten(name))))
    });
    Ok(GrantTerms {
        grantee: principal("granteePrincipal")?.ok_or_else(|| wrong(place, "no granteePrincipal"))?,
        retiring: principal("retiringPrincipal")?,
        operations: operations.collect::<Result<_, _>>()?,
        constraint,
    })
}

fn context(pairs: &Value, place: &'static str) -> Result<EncryptionContext, NotReplayable> {
    let pairs = object(pairs, place)?.iter().map(|(name, value)| {
        let value =
            value.as_str().ok_or_else(|| wrong(place, "an encryption context of other than texts"))?;
        Ok((name.clone(), value.to_owned()))
    });
    EncryptionContext::new(pairs.collect::<Result<_, _>>()?).map_err(|error| wrong(place, error))
}

fn object<'v>(value: &'v Value, place: &'static str) -> Result<&'v Map<String, Value>, NotReplayable> {
    value.as_object().ok_or_else(|| wrong(place, "no object"))
}

/// The value of a key, or its values, as the texts that string operators see.
fn texts(value: &Value) -> Option<Vec<String>> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    match value {
        Value::Array(values) => values.iter().map(text).collect(),
        value => text(value).map(|text| vec![text]),
    }
}

fn wrong(member: &'static str, problem: impl ToString) -> NotReplayable {
    NotReplayable::Member { member, problem: problem.to_string() }
}
