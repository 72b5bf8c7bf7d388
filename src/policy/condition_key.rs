//! The condition keys that a policy may ask about.

use std::borrow::Cow;
use std::fmt;

use super::grant::GrantOperation;
use super::never_present::{NEVER_PRESENT, NeverPresent};

/// Highest PCR index that `kms:RecipientAttestation:PCR<n>` names (KMS Developer Guide).
pub const MAX_PCR_INDEX: u8 = 31;

const PCR_PREFIX: &str = "kms:RecipientAttestation:PCR";
const ENCRYPTION_CONTEXT_PREFIX: &str = "kms:EncryptionContext:";
const RESOURCE_TAG_PREFIX: &str = "aws:ResourceTag/";
const REQUEST_TAG_PREFIX: &str = "aws:RequestTag/";
const PRINCIPAL_TAG_PREFIX: &str = "aws:PrincipalTag/";

/// Hexadecimal digits of a SHA-384 digest.
const SHA_384_DIGITS: usize = 96;

/// The keys without a part of their own.
const PLAIN_KEYS: [(&str, ConditionKey); 44] = [
    ("kms:RecipientAttestation:ImageSha384", ConditionKey::RecipientAttestationImageSha384),
    ("kms:EncryptionContextKeys", ConditionKey::EncryptionContextKeys),
    ("kms:CallerAccount", ConditionKey::CallerAccount),
    ("kms:KeySpec", ConditionKey::KeySpec),
    ("kms:KeyUsage", ConditionKey::KeyUsage),
    ("kms:KeyOrigin", ConditionKey::KeyOrigin),
    ("kms:DataKeyPairSpec", ConditionKey::DataKeyPairSpec),
    ("kms:RequestAlias", ConditionKey::RequestAlias),
    ("kms:ResourceAliases", ConditionKey::ResourceAliases),
    ("kms:EncryptionAlgorithm", ConditionKey::EncryptionAlgorithm),
    ("kms:GrantOperations", ConditionKey::GrantOperations),
    ("kms:GranteePrincipal", ConditionKey::GranteePrincipal),
    ("kms:RetiringPrincipal", ConditionKey::RetiringPrincipal),
    ("kms:GrantConstraintType", ConditionKey::GrantConstraintType),
    ("kms:GrantIsForAWSResource", ConditionKey::GrantIsForAwsResource),
    ("kms:SigningAlgorithm", ConditionKey::SigningAlgorithm),
    ("kms:MessageType", ConditionKey::MessageType),
    ("kms:MacAlgorithm", ConditionKey::MacAlgorithm),
    ("kms:KeyAgreementAlgorithm", ConditionKey::KeyAgreementAlgorithm),
    ("aws:PrincipalArn", ConditionKey::PrincipalArn),
    ("aws:CurrentTime", ConditionKey::CurrentTime),
    ("aws:SourceIp", ConditionKey::SourceIp),
    ("aws:SecureTransport", ConditionKey::SecureTransport),
    ("kms:CustomerMasterKeySpec", ConditionKey::CustomerMasterKeySpec),
    ("kms:CustomerMasterKeyUsage", ConditionKey::CustomerMasterKeyUsage),
    ("kms:MultiRegion", ConditionKey::MultiRegion),
    ("kms:BypassPolicyLockoutSafetyCheck", ConditionKey::BypassPolicyLockoutSafetyCheck),
    ("kms:RotationPeriodInDays", ConditionKey::RotationPeriodInDays),
    ("kms:ScheduleKeyDeletionPendingWindowInDays", ConditionKey::ScheduleKeyDeletionPendingWindowInDays),
    ("kms:ReEncryptOnSameKey", ConditionKey::ReEncryptOnSameKey),
    ("kms:ExpirationModel", ConditionKey::ExpirationModel),
    ("kms:ValidTo", ConditionKey::ValidTo),
    ("kms:WrappingAlgorithm", ConditionKey::WrappingAlgorithm),
    ("kms:WrappingKeySpec", ConditionKey::WrappingKeySpec),
    ("aws:TagKeys", ConditionKey::TagKeys),
    ("aws:PrincipalAccount", ConditionKey::PrincipalAccount),
    ("aws:PrincipalType", ConditionKey::PrincipalType),
    ("aws:PrincipalIsAWSService", ConditionKey::PrincipalIsAwsService),
    ("aws:ViaAWSService", ConditionKey::ViaAwsService),
    ("aws:username", ConditionKey::Username),
    ("aws:EpochTime", ConditionKey::EpochTime),
    ("aws:UserAgent", ConditionKey::UserAgent),
    ("aws:RequestedRegion", ConditionKey::RequestedRegion),
    ("aws:ResourceAccount", ConditionKey::ResourceAccount),
];

/// The names of all keys without a part of their own.
pub(super) fn plain_key_names() -> impl Iterator<Item = &'static str> {
    PLAIN_KEYS.into_iter().map(|(name, _)| name).chain(NEVER_PRESENT.into_iter().map(|never| never.name))
}

/// A condition key. Its name is read in any case and shown as AWS writes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ConditionKey {
    /// `kms:RecipientAttestation:ImageSha384`: PCR0 of the attested enclave, lower-case hexadecimal.
    RecipientAttestationImageSha384,
    /// `kms:RecipientAttestation:PCR<n>`: a PCR of the attested enclave, lower-case hexadecimal; n is 0 to 31.
    RecipientAttestationPcr(u8),
    /// `kms:EncryptionContext:<key>`: the value of that key of the encryption context. The key is case-sensitive.
    EncryptionContext(Box<str>),
    /// `kms:EncryptionContextKeys`: the keys of the encryption context; several values.
    EncryptionContextKeys,
    /// `kms:CallerAccount`: the caller's account, twelve digits.
    CallerAccount,
    /// `kms:KeySpec`: the key's spec, such as `SYMMETRIC_DEFAULT`.
    KeySpec,
    /// `kms:KeyUsage`: the key's usage, such as `ENCRYPT_DECRYPT`.
    KeyUsage,
    /// `kms:KeyOrigin`: the origin of the key material, such as `AWS_KMS`.
    KeyOrigin,
    /// `kms:DataKeyPairSpec`: the spec of the key pair that the request asks for, such as `ECC_NIST_P256`.
    DataKeyPairSpec,
    /// `kms:RequestAlias`: the alias by which the request names the key, as `alias/NAME`.
    RequestAlias,
    /// `kms:ResourceAliases`: the aliases of the key, as `alias/NAME`; several values.
    ResourceAliases,
    /// `kms:EncryptionAlgorithm`: the algorithm of the request, such as `SYMMETRIC_DEFAULT`.
    EncryptionAlgorithm,
    /// `kms:GrantOperations`: the operations of the grant that CreateGrant is to make; several values.
    GrantOperations,
    /// `kms:GranteePrincipal`: the grantee of the grant that CreateGrant is to make.
    GranteePrincipal,
    /// `kms:RetiringPrincipal`: the retiring principal of the grant that CreateGrant is to make.
    RetiringPrincipal,
    /// `kms:GrantConstraintType`: the kind of constraint of the grant that CreateGrant is to make.
    GrantConstraintType,
    /// `kms:GrantIsForAWSResource`: whether an AWS service makes, lists or revokes the grant; never, here.
    GrantIsForAwsResource,
    /// `kms:SigningAlgorithm`: what the request signs or verifies with, such as `ECDSA_SHA_256`.
    SigningAlgorithm,
    /// `kms:MessageType`: whether what is signed is hashed yet, `RAW` or `DIGEST`.
    MessageType,
    /// `kms:MacAlgorithm`: what the request makes or verifies a MAC with, such as `HMAC_SHA_256`.
    MacAlgorithm,
    /// `kms:KeyAgreementAlgorithm`: what the request derives a shared secret with, `ECDH`.
    KeyAgreementAlgorithm,
    /// `aws:PrincipalArn`: the caller's ARN; the role's, for a session of a role.
    PrincipalArn,
    /// `aws:CurrentTime`: the time of the request, in whole seconds.
    CurrentTime,
    /// `aws:SourceIp`: the address that the request came from.
    SourceIp,
    /// `aws:SecureTransport`: whether the request came over TLS.
    SecureTransport,
    /// `kms:CustomerMasterKeySpec`: the older name of `kms:KeySpec`.
    CustomerMasterKeySpec,
    /// `kms:CustomerMasterKeyUsage`: the older name of `kms:KeyUsage`.
    CustomerMasterKeyUsage,
    /// `kms:MultiRegion`: whether the key is, or is to be, in several Regions: never.
    MultiRegion,
    /// `kms:BypassPolicyLockoutSafetyCheck`: that parameter of CreateKey and PutKeyPolicy.
    BypassPolicyLockoutSafetyCheck,
    /// `kms:RotationPeriodInDays`: that parameter of EnableKeyRotation.
    RotationPeriodInDays,
    /// `kms:ScheduleKeyDeletionPendingWindowInDays`: `PendingWindowInDays` of ScheduleKeyDeletion.
    ScheduleKeyDeletionPendingWindowInDays,
    /// `kms:ReEncryptOnSameKey`: whether ReEncrypt has one key for both.
    ReEncryptOnSameKey,
    /// `kms:ExpirationModel`: that parameter of ImportKeyMaterial.
    ExpirationModel,
    /// `kms:ValidTo`: that parameter of ImportKeyMaterial.
    ValidTo,
    /// `kms:WrappingAlgorithm`: that parameter of GetParametersForImport.
    WrappingAlgorithm,
    /// `kms:WrappingKeySpec`: that parameter of GetParametersForImport.
    WrappingKeySpec,
    /// `aws:ResourceTag/<key>`: the value of that tag of the key. The tag's key is case-sensitive.
    ResourceTag(Box<str>),
    /// `aws:RequestTag/<key>`: the value of that tag in the request. The tag's key is case-sensitive.
    RequestTag(Box<str>),
    /// `aws:PrincipalTag/<key>`: the value of that tag of the caller, which has none.
    PrincipalTag(Box<str>),
    /// `aws:TagKeys`: the keys of the tags in the request; several values.
    TagKeys,
    /// `aws:PrincipalAccount`: the caller's account, twelve digits.
    PrincipalAccount,
    /// `aws:PrincipalType`: what the caller is, such as `AssumedRole`.
    PrincipalType,
    /// `aws:PrincipalIsAWSService`: whether a service of AWS asks: never.
    PrincipalIsAwsService,
    /// `aws:ViaAWSService`: whether the request was forwarded by a service of AWS: never.
    ViaAwsService,
    /// `aws:username`: a user's name; absent of everybody else.
    Username,
    /// `aws:EpochTime`: the time of the request, in seconds since 1970.
    EpochTime,
    /// `aws:UserAgent`: the header of that name, cut to 256 bytes; whoever sends the request chooses it.
    UserAgent,
    /// `aws:RequestedRegion`: the broker's region.
    RequestedRegion,
    /// `aws:ResourceAccount`: the account of the key, twelve digits.
    ResourceAccount,
    /// A key that no request here has a value for.
    NeverPresent(NeverPresent),
}

/// The type of a condition key's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// Text.
    String,
    /// An ARN.
    Arn,
    /// True or false.
    Bool,
    /// A whole number.
    Numeric,
    /// A moment.
    Date,
    /// An IP address.
    IpAddress,
}

impl ValueType {
    /// The type as prose, with its article.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Arn => "an ARN",
            Self::Bool => "a boolean",
            Self::Numeric => "a number",
            Self::Date => "a date",
            Self::IpAddress => "an IP address",
        }
    }
}

impl ConditionKey {
    /// Its name, as AWS writes it.
    pub fn name(&self) -> Cow<'static, str> {
        match self {
            Self::RecipientAttestationPcr(index) => format!("{PCR_PREFIX}{index}").into(),
            Self::EncryptionContext(key) => format!("{ENCRYPTION_CONTEXT_PREFIX}{key}").into(),
            Self::ResourceTag(key) => format!("{RESOURCE_TAG_PREFIX}{key}").into(),
            Self::RequestTag(key) => format!("{REQUEST_TAG_PREFIX}{key}").into(),
            Self::PrincipalTag(key) => format!("{PRINCIPAL_TAG_PREFIX}{key}").into(),
            Self::NeverPresent(never) => never.name.into(),
            plain => PLAIN_KEYS.iter().find(|(_, key)| key == plain).map_or("", |(name, _)| name).into(),
        }
    }

    /// Reads a key's name; `None` for a key that is unknown here.
    pub fn parse(name: &str) -> Option<Self> {
        if let Some(context_key) = strip_prefix_any_case(name, ENCRYPTION_CONTEXT_PREFIX) {
            return (!context_key.is_empty()).then(|| Self::EncryptionContext(context_key.into()));
        }
        for (prefix, with_tag) in [
            (RESOURCE_TAG_PREFIX, Self::ResourceTag as fn(Box<str>) -> Self),
            (REQUEST_TAG_PREFIX, Self::RequestTag),
            (PRINCIPAL_TAG_PREFIX, Self::PrincipalTag),
        ] {
            if let Some(tag) = strip_prefix_any_case(name, prefix) {
                return (!tag.is_empty()).then(|| with_tag(tag.into()));
            }
        }
        if let Some(never) = NEVER_PRESENT.iter().find(|never| never.name.eq_ignore_ascii_case(name)) {
            return Some(Self::NeverPresent(*never));
        }
        if let Some(digits) = strip_prefix_any_case(name, PCR_PREFIX) {
            return parse_pcr_index(digits).map(Self::RecipientAttestationPcr);
        }
        PLAIN_KEYS.into_iter().find(|(plain, _)| plain.eq_ignore_ascii_case(name)).map(|(_, key)| key)
    }

    /// The type of the key's values.
    pub const fn value_type(&self) -> ValueType {
        match self {
            Self::PrincipalArn => ValueType::Arn,
            Self::CurrentTime | Self::ValidTo => ValueType::Date,
            Self::SourceIp => ValueType::IpAddress,
            Self::SecureTransport
            | Self::MultiRegion
            | Self::BypassPolicyLockoutSafetyCheck
            | Self::ReEncryptOnSameKey
            | Self::PrincipalIsAwsService
            | Self::ViaAwsService
            | Self::GrantIsForAwsResource => ValueType::Bool,
            Self::RotationPeriodInDays | Self::ScheduleKeyDeletionPendingWindowInDays | Self::EpochTime => {
                ValueType::Numeric
            }
            Self::NeverPresent(never) => never.value_type,
            Self::RecipientAttestationImageSha384
            | Self::RecipientAttestationPcr(_)
            | Self::EncryptionContext(_)
            | Self::EncryptionContextKeys
            | Self::CallerAccount
            | Self::KeySpec
            | Self::KeyUsage
            | Self::KeyOrigin
            | Self::DataKeyPairSpec
            | Self::RequestAlias
            | Self::ResourceAliases
            | Self::GrantOperations
            | Self::GranteePrincipal
            | Self::RetiringPrincipal
            | Self::GrantConstraintType
            | Self::EncryptionAlgorithm
            | Self::SigningAlgorithm
            | Self::MessageType
            | Self::MacAlgorithm
            | Self::KeyAgreementAlgorithm
            | Self::CustomerMasterKeySpec
            | Self::CustomerMasterKeyUsage
            | Self::ExpirationModel
            | Self::WrappingAlgorithm
            | Self::WrappingKeySpec
            | Self::ResourceTag(_)
            | Self::RequestTag(_)
            | Self::PrincipalTag(_)
            | Self::TagKeys
            | Self::PrincipalAccount
            | Self::PrincipalType
            | Self::Username
            | Self::UserAgent
            | Self::RequestedRegion
            | Self::ResourceAccount => ValueType::String,
        }
    }

    /// Whether a request may hold several values, so that operators need `ForAllValues:` or `ForAnyValue:`.
    pub const fn is_multivalued(&self) -> bool {
        match self {
            Self::EncryptionContextKeys | Self::ResourceAliases | Self::TagKeys | Self::GrantOperations => {
                true
            }
            Self::NeverPresent(never) => never.is_multivalued,
            _ => false,
        }
    }

    /// For an operator that compares whole strings: the form that a value must have to equal anything that this key
    /// can hold, when `value` does not have it.
    pub(super) fn form_missed_by(&self, value: &str, ignores_case: bool) -> Option<&'static str> {
        match self {
            Self::RecipientAttestationImageSha384 => {
                digest_form_missed_by(value, &[SHA_384_DIGITS], ignores_case)
            }
            // SHA-256, SHA-384 and SHA-512 (NSM `Digest`); enclaves of today use SHA-384.
            Self::RecipientAttestationPcr(_) => {
                digest_form_missed_by(value, &[64, SHA_384_DIGITS, 128], ignores_case)
            }
            Self::CallerAccount | Self::PrincipalAccount | Self::ResourceAccount => {
                (!super::caller::is_account(value)).then_some("an account of twelve digits")
            }
            Self::PrincipalType => (!is_one_of(super::caller::PRINCIPAL_TYPES, value, ignores_case))
                .then_some("Account, User, AssumedRole, FederatedUser or Anonymous"),
            Self::RequestAlias | Self::ResourceAliases => {
                let starts = if ignores_case {
                    strip_prefix_any_case(value, "alias/").is_some()
                } else {
                    value.starts_with("alias/")
                };
                (!starts).then_some("an alias name such as alias/NAME")
            }
            Self::PrincipalArn | Self::GranteePrincipal | Self::RetiringPrincipal => {
                super::arn::segments(value).is_none().then_some("the ARN of a principal")
            }
            Self::GrantOperations => {
                let names = GrantOperation::ALL.iter().map(|operation| operation.name());
                (!is_one_of(names, value, ignores_case)).then_some("an operation that a grant can have")
            }
            Self::GrantConstraintType => {
                let names = ["EncryptionContextEquals", "EncryptionContextSubset"];
                (!is_one_of(names, value, ignores_case))
                    .then_some("EncryptionContextEquals or EncryptionContextSubset")
            }
            Self::CurrentTime | Self::ValidTo => {
                let canonical = crate::time::UnixTime::parse_rfc3339(value)
                    .is_ok_and(|time| crate::time::UnixTime::from_secs(time.as_secs()).to_string() == value);
                (!canonical).then_some(
                    "a time in whole seconds of UTC, such as 2026-01-03T20:41:07Z (or a Date operator)",
                )
            }
            Self::SourceIp => {
                let canonical =
                    value.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().to_string() == value);
                (!canonical).then_some("one IP address in its shortest form (or the operator IpAddress)")
            }
            Self::SecureTransport
            | Self::MultiRegion
            | Self::BypassPolicyLockoutSafetyCheck
            | Self::ReEncryptOnSameKey
            | Self::PrincipalIsAwsService
            | Self::ViaAwsService
            | Self::GrantIsForAwsResource => {
                (!is_one_of(["true", "false"], value, ignores_case)).then_some("true or false")
            }
            Self::RotationPeriodInDays | Self::ScheduleKeyDeletionPendingWindowInDays | Self::EpochTime => {
                let canonical = value.parse::<i64>().is_ok_and(|number| number.to_string() == value);
                (!canonical).then_some("a whole number (or a Numeric operator)")
            }
            Self::EncryptionContext(_)
            | Self::EncryptionContextKeys
            | Self::KeySpec
            | Self::KeyUsage
            | Self::KeyOrigin
            | Self::DataKeyPairSpec
            | Self::EncryptionAlgorithm
            | Self::SigningAlgorithm
            | Self::MessageType
            | Self::MacAlgorithm
            | Self::KeyAgreementAlgorithm
            | Self::CustomerMasterKeySpec
            | Self::CustomerMasterKeyUsage
            | Self::ExpirationModel
            | Self::WrappingAlgorithm
            | Self::WrappingKeySpec
            | Self::ResourceTag(_)
            | Self::RequestTag(_)
            | Self::PrincipalTag(_)
            | Self::TagKeys
            | Self::Username
            | Self::UserAgent
            | Self::RequestedRegion
            | Self::NeverPresent(_) => None,
        }
    }
}

impl fmt::Display for ConditionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// 0 to 31 without leading zeros.
fn parse_pcr_index(digits: &str) -> Option<u8> {
    let index: u8 = digits.parse().ok().filter(|index| *index <= MAX_PCR_INDEX)?;
    (digits == index.to_string()).then_some(index)
}

fn digest_form_missed_by(value: &str, lengths: &[usize], ignores_case: bool) -> Option<&'static str> {
    if value.starts_with("0x") || value.starts_with("0X") {
        return Some("hexadecimal digits without the prefix 0x");
    }
    if !value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Some("hexadecimal digits only (StringLike takes wildcards)");
    }
    if !lengths.contains(&value.len()) {
        return Some(if lengths == [SHA_384_DIGITS] {
            "96 hexadecimal digits"
        } else {
            "96 hexadecimal digits (64 and 128 for other digests)"
        });
    }
    if !ignores_case && value.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Some("lower-case hexadecimal digits, or an operator with IgnoreCase");
    }
    None
}

fn is_one_of(words: impl IntoIterator<Item = &'static str>, value: &str, ignores_case: bool) -> bool {
    words.into_iter().any(|word| value == word || ignores_case && value.eq_ignore_ascii_case(word))
}

fn strip_prefix_any_case<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::{ConditionKey, NEVER_PRESENT, PLAIN_KEYS};

    #[test]
    fn names_are_read_in_any_case_and_shown_in_one() {
        for (name, key) in PLAIN_KEYS {
            for written in [name.to_owned(), name.to_lowercase(), name.to_uppercase()] {
                assert_eq!(ConditionKey::parse(&written), Some(key.clone()));
            }
            assert_eq!(key.to_string(), name);
        }
        for never in NEVER_PRESENT {
            let parsed = ConditionKey::parse(&never.name.to_lowercase());
            assert_eq!(parsed, Some(ConditionKey::NeverPresent(never)));
            assert_eq!(parsed.unwrap().to_string(), never.name);
        }
        for tag in ["aws:ResourceTag/Team", "aws:RequestTag/Team", "aws:PrincipalTag/Team"] {
            assert_eq!(ConditionKey::parse(tag).unwrap().to_string(), tag);
            let lower = tag.replace("Tag/", "tag/");
            assert_eq!(
                ConditionKey::parse(&lower),
                ConditionKey::parse(tag),
                "the tag's own key keeps its case"
            );
            assert_ne!(ConditionKey::parse(&tag.to_lowercase()), ConditionKey::parse(tag));
        }
        assert_eq!(
            ConditionKey::parse("KMS:encryptioncontext:AppName"),
            Some(ConditionKey::EncryptionContext("AppName".into()))
        );
    }

    #[test]
    fn pcr_indices_run_from_0_to_31_without_leading_zeros() {
        for index in 0..=31 {
            let name = format!("kms:RecipientAttestation:PCR{index}");
            assert_eq!(ConditionKey::parse(&name), Some(ConditionKey::RecipientAttestationPcr(index)));
            assert_eq!(ConditionKey::RecipientAttestationPcr(index).to_string(), name);
        }
        for bad in ["", "00", "01", "+1", "-0", "32", "256", "4294967296", "1 ", "0x1"] {
            assert_eq!(ConditionKey::parse(&format!("kms:RecipientAttestation:PCR{bad}")), None, "{bad}");
        }
    }

    #[test]
    fn unknown_keys_are_unknown() {
        for bad in [
            "",
            "kms:",
            "kms:EncryptionContext",
            "kms:EncryptionContext:",
            "aws:ResourceTag/",
            "aws:userid",
            "kms:RecipientAttestation:NitroTPMPCR7",
        ] {
            assert_eq!(ConditionKey::parse(bad), None, "{bad}");
        }
    }
}
