//! The `Action` and `NotAction` elements.

use std::fmt;

use super::document::Grammar;
use super::error::{PolicyError, Problem};
use super::json::{ErrorAt, PolicyValue};
use super::pattern::Pattern;
use crate::json::{Json, Path};
use crate::text::shorten;

/// Every KMS action: the operations of the service model `kms/2014-11-01`, where `ReEncrypt` asks for two permissions
/// instead of one of its own name, and the permission-only `SynchronizeMultiRegionKey`.
const ACTIONS: [&str; 58] = [
    "kms:CancelKeyDeletion",
    "kms:ConnectCustomKeyStore",
    "kms:CreateAlias",
    "kms:CreateCustomKeyStore",
    "kms:CreateGrant",
    "kms:CreateKey",
    "kms:Decapsulate",
    "kms:Decrypt",
    "kms:DeleteAlias",
    "kms:DeleteCustomKeyStore",
    "kms:DeleteImportedKeyMaterial",
    "kms:DeriveSharedSecret",
    "kms:DescribeCustomKeyStores",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:DisconnectCustomKeyStore",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:Encapsulate",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyPair",
    "kms:GenerateDataKeyPairWithoutPlaintext",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:GenerateMac",
    "kms:GenerateRandom",
    "kms:GetKeyLastUsage",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:GetParametersForImport",
    "kms:GetPublicKey",
    "kms:ImportKeyMaterial",
    "kms:ListAliases",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListKeys",
    "kms:ListResourceTags",
    "kms:ListRetirableGrants",
    "kms:PutKeyPolicy",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:ReplicateKey",
    "kms:RetireGrant",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:Sign",
    "kms:SynchronizeMultiRegionKey",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateCustomKeyStore",
    "kms:UpdateKeyDescription",
    "kms:UpdatePrimaryRegion",
    "kms:Verify",
    "kms:VerifyMac",
];

const _: () = assert!(ACTIONS.len() <= 64, "a set of actions is a u64");

const SERVICE_PREFIX: &str = "kms:";

/// One action of [`ACTIONS`], as its bit in a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Action(u64);

impl Action {
    /// Finds `kms:Decrypt` and the like, in any case; `None` for what is no KMS action.
    pub(super) fn find(name: &str) -> Option<Self> {
        (0..).zip(ACTIONS).find(|(_, action)| action.eq_ignore_ascii_case(name)).map(|(at, _)| Self(1 << at))
    }
}

/// Every action that a policy of KMS can be about, such as `kms:Decrypt`, in order of their names.
pub fn actions() -> impl Iterator<Item = &'static str> {
    ACTIONS.into_iter()
}

/// The action that `kms:Decrypt` and the like name, in any case; `None` for what is no KMS action.
pub fn find_action(name: &str) -> Option<&'static str> {
    actions().find(|action| action.eq_ignore_ascii_case(name))
}

fn names_without_prefix() -> impl Iterator<Item = &'static str> {
    actions().map(|action| action.strip_prefix(SERVICE_PREFIX).unwrap_or(action))
}

/// A set of KMS actions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ActionSet(u64);

impl ActionSet {
    pub(super) const EMPTY: Self = Self(0);
    pub(super) const ALL: Self = Self(every_action());

    /// The actions that a text of the `Action` element matches, such as `kms:GenerateDataKey*`.
    pub(super) fn matching(text: &str) -> Self {
        Self(matching(text))
    }

    /// The actions of these names, each without `kms:`.
    pub(super) fn named(names: &[&str]) -> Self {
        let all = (0..).zip(names_without_prefix());
        all.filter(|(_, action)| names.contains(action)).map(|(at, _)| Self(1 << at)).collect()
    }

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) const fn includes(self, other: Self) -> bool {
        other.without(self).is_empty()
    }

    /// The names, without `kms:`, in the order of the alphabet.
    pub(super) fn names(self) -> impl Iterator<Item = &'static str> {
        (0..)
            .zip(names_without_prefix())
            .filter(move |(at, _)| self.0 & (1 << at) != 0)
            .map(|(_, action)| action)
    }
}

impl FromIterator<Self> for ActionSet {
    fn from_iter<I: IntoIterator<Item = Self>>(sets: I) -> Self {
        sets.into_iter().fold(Self::EMPTY, Self::or)
    }
}

/// As `kms:Decrypt, kms:Encrypt`.
impl fmt::Display for ActionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.names().enumerate().try_for_each(|(at, name)| {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{SERVICE_PREFIX}{name}")
        })
    }
}

/// The actions that a statement is about, resolved to a set when the policy is parsed.
#[derive(Clone, Debug)]
pub(super) struct ActionElement {
    /// `NotAction`: every action but these.
    pub(super) negated: bool,
    pub(super) any_of: Box<[Box<str>]>,
    set: u64,
    is_about_kms_alone: bool,
}

impl ActionElement {
    /// Reads `*`, `kms:NAME` and wildcard forms of it, one or an array, and in an identity policy the actions of other
    /// services as well. Case does not count.
    pub(super) fn parse(
        json: &Json,
        path: &Path<'_>,
        negated: bool,
        grammar: Grammar,
    ) -> Result<Self, PolicyError> {
        let mut any_of = Vec::new();
        let mut set = 0;
        let mut is_about_kms_alone = !negated;
        json.each_string(path, |text, path| {
            let matched = matching(text);
            let is_of_another_service = grammar == Grammar::IdentityPolicy && names_another_service(text);
            if matched == 0 && !is_of_another_service {
                return Err(path.error(Problem::UnknownAction { actual: shorten(text) }));
            }
            set |= matched;
            is_about_kms_alone &= strip_service(text).is_some();
            any_of.push(text.into());
            Ok(())
        })?;
        if negated && set == every_action() {
            return Err(path.error(Problem::NeverApplies));
        }
        Ok(Self { negated, any_of: any_of.into(), set, is_about_kms_alone })
    }

    /// Whether it can be about no action of KMS.
    pub(super) fn is_about_other_services(&self) -> bool {
        !self.negated && self.set == 0
    }

    /// Whether it can be about no other service.
    pub(super) fn is_about_kms_alone(&self) -> bool {
        self.is_about_kms_alone
    }

    pub(super) fn matches(&self, action: Action) -> bool {
        (self.set & action.0 != 0) != self.negated
    }
}

/// The set of actions that a pattern of the `Action` element matches.
fn matching(text: &str) -> u64 {
    if text == "*" {
        return every_action();
    }
    if strip_service(text).is_none() {
        return 0;
    }
    let pattern = Pattern::new(&text.to_ascii_lowercase());
    (0..)
        .zip(ACTIONS)
        .filter(|(_, action)| pattern.matches(&action.to_ascii_lowercase()))
        .fold(0, |set, (at, _)| set | 1 << at)
}

const fn every_action() -> u64 {
    u64::MAX >> (64 - ACTIONS.len())
}

fn strip_service(text: &str) -> Option<&str> {
    let (service, name) = text.split_at_checked(SERVICE_PREFIX.len())?;
    service.eq_ignore_ascii_case(SERVICE_PREFIX).then_some(name)
}

/// Whether the text is an action of a service that is not KMS, `s3:GetObject` or `s3:*`. IAM takes no wildcard in the
/// service's prefix.
fn names_another_service(text: &str) -> bool {
    text.split_once(':').is_some_and(|(service, name)| {
        !service.is_empty()
            && service.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !service.eq_ignore_ascii_case("kms")
            && !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"*?_-".contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::{ACTIONS, Action, every_action, find_action, matching, names_another_service};

    #[test]
    fn actions_of_other_services_are_told_from_misspelt_ones() {
        for other in ["s3:GetObject", "s3:*", "execute-api:Invoke", "S3:get?bject", "a4b:*"] {
            assert!(names_another_service(other), "{other}");
        }
        for none in ["", "s3", "s3:", ":Get", "kms:Decyrpt", "KMS:x", "*:Decrypt", "s*:Get", "s3:Get Object"]
        {
            assert!(!names_another_service(none), "{none}");
        }
    }

    #[test]
    fn patterns_resolve_to_the_actions_they_match() {
        assert_eq!(matching("*"), every_action());
        assert_eq!(matching("kms:*"), every_action());
        assert_eq!(matching("KMS:reencrypt*").count_ones(), 2);
        assert_eq!(matching("kms:GenerateDataKey*").count_ones(), 4);
        assert_eq!(matching("kms:Sig?"), matching("kms:Sign"));
        for none in
            ["", "**", "kms", "kms:", "kms:Decyrpt", "s3:GetObject", "*:Decrypt", "k*", "kms:ReEncrypt"]
        {
            assert_eq!(matching(none), 0, "{none}");
        }
    }

    #[test]
    fn finds_every_action_in_any_case() {
        for name in ACTIONS {
            let found = Action::find(name).unwrap();
            assert_eq!(found.0, matching(name));
            assert_eq!(Action::find(&name.to_uppercase()), Some(found));
            assert_eq!(find_action(&name.to_lowercase()), Some(name));
        }
        assert_eq!(Action::find("Decrypt"), None);
        assert_eq!(Action::find("kms:*"), None);
    }
}
