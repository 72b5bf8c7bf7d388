//! What only some operations' requests say, for the conditions that ask about it.

use std::collections::BTreeMap;

use super::condition_key::ConditionKey;
use super::evaluate::{ContextValue, ContextValues};
use crate::time::UnixTime;

/// Parameters that have a condition key of their own. Those that a request does not have are absent to conditions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Particulars<'q> {
    /// `kms:BypassPolicyLockoutSafetyCheck`.
    pub bypasses_lockout_check: Option<bool>,
    /// `kms:RotationPeriodInDays`.
    pub rotation_period_days: Option<u32>,
    /// `kms:ScheduleKeyDeletionPendingWindowInDays`.
    pub pending_window_days: Option<u32>,
    /// `kms:ReEncryptOnSameKey`.
    pub re_encrypts_on_same_key: Option<bool>,
    /// `kms:ExpirationModel`.
    pub expiration_model: Option<&'q str>,
    /// `kms:ValidTo`.
    pub valid_to: Option<UnixTime>,
    /// `kms:WrappingAlgorithm`.
    pub wrapping_algorithm: Option<&'q str>,
    /// `kms:WrappingKeySpec`.
    pub wrapping_key_spec: Option<&'q str>,
    /// `aws:RequestTag/<key>`, and with them `aws:TagKeys`.
    pub request_tags: Option<&'q BTreeMap<String, String>>,
    /// `aws:TagKeys` of a request that names tags without their values.
    pub tag_keys: &'q [String],
}

impl Particulars<'_> {
    /// The values of one of the keys above.
    pub(super) fn values(&self, key: &ConditionKey) -> ContextValues<'_> {
        match key {
            ConditionKey::BypassPolicyLockoutSafetyCheck => optional_flag(self.bypasses_lockout_check),
            ConditionKey::RotationPeriodInDays => optional_number(self.rotation_period_days),
            ConditionKey::ScheduleKeyDeletionPendingWindowInDays => optional_number(self.pending_window_days),
            ConditionKey::ReEncryptOnSameKey => optional_flag(self.re_encrypts_on_same_key),
            ConditionKey::ExpirationModel => optional_text(self.expiration_model),
            ConditionKey::ValidTo => optional(self.valid_to.map(ContextValue::Time)),
            ConditionKey::WrappingAlgorithm => optional_text(self.wrapping_algorithm),
            ConditionKey::WrappingKeySpec => optional_text(self.wrapping_key_spec),
            ConditionKey::RequestTag(tag) => {
                optional_text(self.request_tags.and_then(|tags| tags.get(&**tag)).map(String::as_str))
            }
            ConditionKey::TagKeys => {
                let of_tags = self.request_tags.into_iter().flat_map(BTreeMap::keys);
                ContextValues::texts(of_tags.chain(self.tag_keys).map(String::as_str))
            }
            _ => ContextValues::Absent,
        }
    }
}

fn optional(value: Option<ContextValue<'_>>) -> ContextValues<'_> {
    value.map_or(ContextValues::Absent, ContextValues::One)
}

pub(super) fn optional_text(text: Option<&str>) -> ContextValues<'_> {
    text.map_or(ContextValues::Absent, ContextValues::text)
}

pub(super) fn optional_flag(flag: Option<bool>) -> ContextValues<'static> {
    optional(flag.map(ContextValue::Flag))
}

fn optional_number(number: Option<u32>) -> ContextValues<'static> {
    optional(number.map(|number| ContextValue::Number(number.into())))
}
