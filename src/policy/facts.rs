//! A request as policies see it, written down.

use std::borrow::Cow;
use std::collections::HashMap;

use super::action::find_action;
use super::caller::Caller;
use super::condition_key::{ConditionKey, MAX_PCR_INDEX, ValueType};
use super::evaluate::{ContextValue, ContextValues, RequestContext};
use super::grant::GrantTerms;
use super::inquiry::{Inquiry, Premises};
use super::question::Question;
use crate::encryption_context::EncryptionContext;
use crate::text::shorten;
use crate::time::UnixTime;

/// Everything that policies and grants may ask about a request, owned: what was asked once, or what somebody wants to know.
///
/// Unlike a [`Question`] it holds no evidence, only what is said of it, so that it can be made of a record or a command
/// line, and judging it gives no power.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestFacts {
    /// Who asks.
    pub caller: Caller,
    /// The ARN of the key or alias, or `*` for what is about none.
    pub resource: String,
    /// The account that it belongs to, twelve digits.
    pub resource_account: String,
    /// The request's encryption context.
    pub encryption_context: EncryptionContext,
    /// The grant that CreateGrant is to make.
    pub new_grant: Option<GrantTerms>,
    /// The time of the decision.
    pub now: UnixTime,
    action: &'static str,
    values: HashMap<ConditionKey, ContextValues<'static>>,
}

/// A value that is no fact about a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FactError {
    /// The action is none of KMS's.
    #[error("expected an action such as kms:Decrypt, found {0:?}")]
    UnknownAction(String),
    /// The key is unknown.
    #[error("{0:?} is no condition key that is supported")]
    UnknownKey(String),
    /// The key's value follows from something else.
    #[error("{key} follows from {from}")]
    Follows {
        /// The key.
        key: String,
        /// What it follows from.
        from: &'static str,
    },
    /// The value is not of the key's type.
    #[error("expected {expected} for {key}, found {actual:?}")]
    Value {
        /// The key.
        key: String,
        /// The key's type.
        expected: &'static str,
        /// The value.
        actual: String,
    },
    /// A key that has one value came with another number of them.
    #[error("expected one value for {key}, found {count}")]
    Count {
        /// The key.
        key: String,
        /// How many came.
        count: usize,
    },
}

/// The keys without a part of their own that a question states, the others of which follow from these or from its
/// premises.
const STATED: [ConditionKey; 24] = [
    ConditionKey::KeySpec,
    ConditionKey::KeyUsage,
    ConditionKey::KeyOrigin,
    ConditionKey::DataKeyPairSpec,
    ConditionKey::RequestAlias,
    ConditionKey::ResourceAliases,
    ConditionKey::EncryptionAlgorithm,
    ConditionKey::SigningAlgorithm,
    ConditionKey::MessageType,
    ConditionKey::MacAlgorithm,
    ConditionKey::KeyAgreementAlgorithm,
    ConditionKey::SourceIp,
    ConditionKey::SecureTransport,
    ConditionKey::BypassPolicyLockoutSafetyCheck,
    ConditionKey::RotationPeriodInDays,
    ConditionKey::ScheduleKeyDeletionPendingWindowInDays,
    ConditionKey::ReEncryptOnSameKey,
    ConditionKey::ExpirationModel,
    ConditionKey::ValidTo,
    ConditionKey::WrappingAlgorithm,
    ConditionKey::WrappingKeySpec,
    ConditionKey::TagKeys,
    ConditionKey::UserAgent,
    ConditionKey::RequestedRegion,
];

impl RequestFacts {
    /// The least that there is: no values for conditions but the time and what follows from caller and resource.
    ///
    /// # Errors
    /// When the action is none of KMS's.
    pub fn new(caller: Caller, action: &str, resource: &str, now: UnixTime) -> Result<Self, FactError> {
        let known = find_action(action).ok_or_else(|| FactError::UnknownAction(shorten(action)))?;
        let of_resource = super::arn::segments(resource).map(|[_, _, _, _, account, _]| account);
        let account = of_resource.or(caller.account()).unwrap_or_default().to_owned();
        Ok(Self {
            caller,
            resource: resource.to_owned(),
            resource_account: account,
            encryption_context: EncryptionContext::EMPTY,
            new_grant: None,
            now,
            action: known,
            values: HashMap::new(),
        })
    }

    /// What is asked for, such as `kms:Decrypt`.
    pub const fn action(&self) -> &'static str {
        self.action
    }

    /// Says what the request holds for a key, in the words that string operators see: numbers in decimal, `true` and `false`,
    /// times in RFC 3339. No texts take the key's values away.
    ///
    /// # Errors
    /// When the key's values follow from something else, or the texts are none of its type.
    pub fn set<'t>(
        &mut self,
        key: ConditionKey,
        texts: impl IntoIterator<Item = &'t str>,
    ) -> Result<(), FactError> {
        if let Some(from) = key.follows_from() {
            return Err(FactError::Follows { key: shorten(&key.to_string()), from });
        }
        let key = key.stated();
        let values: Vec<_> =
            texts.into_iter().map(|text| read_value(&key, text)).collect::<Result<_, _>>()?;
        let values = if key.is_multivalued() {
            ContextValues::Many(values)
        } else {
            let count = values.len();
            let mut values = values.into_iter();
            match (values.next(), values.next()) {
                (None, _) => ContextValues::Absent,
                (Some(value), None) => ContextValues::One(value),
                (Some(_), Some(_)) => {
                    return Err(FactError::Count { key: shorten(&key.to_string()), count });
                }
            }
        };
        self.values.insert(key, values);
        Ok(())
    }

    /// Whether the key's values are stated, and not what follows from something else.
    pub fn is_stated(key: &ConditionKey) -> bool {
        key.follows_from().is_none()
    }

    /// The same, asking for another action.
    ///
    /// # Errors
    /// When the action is none of KMS's.
    pub fn asking_for(&self, action: &str) -> Result<Self, FactError> {
        let action = find_action(action).ok_or_else(|| FactError::UnknownAction(shorten(action)))?;
        Ok(Self { action, ..self.clone() })
    }

    /// Says what the enclave's registers hold, in lower-case hexadecimal.
    ///
    /// # Errors
    /// As [`RequestFacts::set`]; there are registers 0 to 31.
    pub fn set_pcr(&mut self, index: u8, digits: &str) -> Result<(), FactError> {
        if index > MAX_PCR_INDEX {
            return Err(FactError::UnknownKey(format!("kms:RecipientAttestation:PCR{index}")));
        }
        self.set(ConditionKey::RecipientAttestationPcr(index), [digits])
    }

    /// What the request holds, key by key in order of their names, and its encryption context: for people to look at.
    pub fn shown(&self) -> Vec<(String, String)> {
        let context = self.encryption_context.iter();
        let context = context
            .map(|(name, value)| (format!("kms:EncryptionContext:{}", shorten(name)), format!("{value:?}")));
        let stated = self.values.iter().filter_map(|(key, values)| {
            let text = |value: &ContextValue<'_>| format!("{:?}", value.text());
            let shown = match values {
                ContextValues::Absent => return None,
                ContextValues::One(value) => text(value),
                ContextValues::Many(values) if values.is_empty() => return None,
                ContextValues::Many(values) => values.iter().map(text).collect::<Vec<_>>().join(", "),
            };
            Some((shorten(&key.to_string()), shorten(&shown)))
        });
        let mut shown: Vec<_> = context.chain(stated).collect();
        shown.sort();
        shown
    }

    /// What is judged.
    pub fn inquiry(&self) -> Inquiry<'_> {
        Inquiry {
            caller: &self.caller,
            action: self.action,
            resource: &self.resource,
            resource_account: &self.resource_account,
            encryption_context: &self.encryption_context,
            new_grant: self.new_grant.as_ref(),
            context: self,
        }
    }

    fn premises(&self) -> Premises<'_> {
        Premises {
            action: self.action,
            resource_account: &self.resource_account,
            encryption_context: &self.encryption_context,
            new_grant: self.new_grant.as_ref(),
            now: self.now,
        }
    }
}

impl RequestContext for RequestFacts {
    fn values(&self, key: &ConditionKey) -> ContextValues<'_> {
        if let Some(values) = self.premises().values(key) {
            return values;
        }
        let stated = self.values.get(&key.clone().stated()).map_or(ContextValues::Absent, borrowed);
        match (key, stated) {
            // Every key here is in one Region.
            (ConditionKey::MultiRegion, ContextValues::One(_)) => {
                ContextValues::One(ContextValue::Flag(false))
            }
            (_, stated) => stated,
        }
    }
}

impl<'q> Question<'q> {
    /// What the question states, key by key; the rest follows from it, from its premises, or from the caller.
    pub fn stated(&self) -> impl Iterator<Item = (ConditionKey, ContextValues<'_>)> {
        self.stated_of(|_| true)
    }

    /// As [`Question::stated`], of the keys that are `wanted`.
    pub fn stated_of(
        &self,
        wanted: impl Fn(&ConditionKey) -> bool,
    ) -> impl Iterator<Item = (ConditionKey, ContextValues<'_>)> {
        let tags = self.tags.keys().map(|tag| ConditionKey::ResourceTag(tag.as_str().into()));
        let request_tags = self.particulars.request_tags.into_iter().flat_map(|tags| tags.keys());
        let request_tags = request_tags.map(|tag| ConditionKey::RequestTag(tag.as_str().into()));
        let pcrs = self.recipient.into_iter().flat_map(|recipient| recipient.evidence().pcrs().iter());
        let pcrs = pcrs.map(|(index, _)| ConditionKey::RecipientAttestationPcr(index));
        let keys = STATED.into_iter().chain(tags).chain(request_tags).chain(pcrs);
        keys.filter(wanted)
            .map(|key| {
                let values = self.values(&key);
                (key, values)
            })
            .filter(|(_, values)| match values {
                ContextValues::Absent => false,
                ContextValues::One(_) => true,
                ContextValues::Many(values) => !values.is_empty(),
            })
    }

    /// The same, written down.
    pub fn facts(&self) -> RequestFacts {
        RequestFacts {
            caller: self.caller.clone(),
            resource: self.resource.to_owned(),
            resource_account: self.resource_account.to_owned(),
            encryption_context: self.encryption_context.clone(),
            new_grant: self.new_grant.cloned(),
            now: self.now,
            action: self.action,
            values: self.stated().map(|(key, values)| (key, owned(values))).collect(),
        }
    }
}

impl ConditionKey {
    /// The key that has the value: some have two names, and of a key's spec follows whether there is a key.
    pub(crate) fn stated(self) -> Self {
        match self {
            Self::RecipientAttestationImageSha384 => Self::RecipientAttestationPcr(0),
            Self::CustomerMasterKeySpec | Self::MultiRegion => Self::KeySpec,
            Self::CustomerMasterKeyUsage => Self::KeyUsage,
            key => key,
        }
    }

    /// What the key's values follow from, where they are not stated.
    fn follows_from(&self) -> Option<&'static str> {
        match self {
            Self::EncryptionContext(_) | Self::EncryptionContextKeys => Some("the encryption context"),
            Self::GrantOperations
            | Self::GranteePrincipal
            | Self::RetiringPrincipal
            | Self::GrantConstraintType => Some("the grant that is to be made"),
            Self::GrantIsForAwsResource => Some("the action"),
            Self::CurrentTime | Self::EpochTime => Some("the time of the request"),
            Self::ResourceAccount => Some("the resource"),
            Self::MultiRegion => Some("kms:KeySpec"),
            Self::PrincipalArn
            | Self::CallerAccount
            | Self::PrincipalAccount
            | Self::PrincipalType
            | Self::Username
            | Self::PrincipalIsAwsService
            | Self::ViaAwsService
            | Self::PrincipalTag(_) => Some("the caller"),
            Self::NeverPresent(_) => Some("nothing: no request here has a value for it"),
            _ => None,
        }
    }
}

/// Reads a value of the key's type from the words that string operators see.
fn read_value(key: &ConditionKey, text: &str) -> Result<ContextValue<'static>, FactError> {
    let value = match key.value_type() {
        ValueType::String | ValueType::Arn => Some(ContextValue::Text(Cow::Owned(text.to_owned()))),
        ValueType::Bool => text.parse().ok().map(ContextValue::Flag),
        ValueType::Numeric => text.parse().ok().map(ContextValue::Number),
        ValueType::Date => UnixTime::parse_rfc3339(text).ok().map(ContextValue::Time),
        ValueType::IpAddress => text.parse().ok().map(ContextValue::Address),
    };
    value.ok_or_else(|| FactError::Value {
        key: shorten(&key.to_string()),
        expected: key.value_type().describe(),
        actual: shorten(text),
    })
}

fn borrowed<'v>(values: &'v ContextValues<'static>) -> ContextValues<'v> {
    let borrow = |value: &'v ContextValue<'static>| match value {
        ContextValue::Text(text) => ContextValue::Text(Cow::Borrowed(&**text)),
        ContextValue::Flag(flag) => ContextValue::Flag(*flag),
        ContextValue::Number(number) => ContextValue::Number(*number),
        ContextValue::Time(time) => ContextValue::Time(*time),
        ContextValue::Address(address) => ContextValue::Address(*address),
    };
    match values {
        ContextValues::Absent => ContextValues::Absent,
        ContextValues::One(value) => ContextValues::One(borrow(value)),
        ContextValues::Many(values) => ContextValues::Many(values.iter().map(borrow).collect()),
    }
}

fn owned(values: ContextValues<'_>) -> ContextValues<'static> {
    let own = |value: ContextValue<'_>| match value {
        ContextValue::Text(text) => ContextValue::Text(Cow::Owned(text.into_owned())),
        ContextValue::Flag(flag) => ContextValue::Flag(flag),
        ContextValue::Number(number) => ContextValue::Number(number),
        ContextValue::Time(time) => ContextValue::Time(time),
        ContextValue::Address(address) => ContextValue::Address(address),
    };
    match values {
        ContextValues::Absent => ContextValues::Absent,
        ContextValues::One(value) => ContextValues::One(own(value)),
        ContextValues::Many(values) => ContextValues::Many(values.into_iter().map(own).collect()),
    }
}
