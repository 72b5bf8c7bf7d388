//! The condition keys that a policy may ask about.

use std::fmt;

use super::grant::GrantOperation;

/// Highest PCR index that `kms:RecipientAttestation:PCR<n>` names (KMS Developer Guide).
pub const MAX_PCR_INDEX: u8 = 31;

const PCR_PREFIX: &str = "kms:RecipientAttestation:PCR";
const ENCRYPTION_CONTEXT_PREFIX: &str = "kms:EncryptionContext:";

/// Hexadecimal digits of a SHA-384 digest.
const SHA_384_DIGITS: usize = 96;

/// The keys without a part of their own.
const PLAIN_KEYS: [(&str, ConditionKey); 23] = [
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
];

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
}

/// The type of a condition key's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// Text.
    String,
    /// An ARN.
    Arn,
    /// True or false.
    Bool,
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
            Self::Date => "a date",
            Self::IpAddress => "an IP address",
        }
    }
}

impl ConditionKey {
    /// Reads a key's name; `None` for a key that is unknown here.
    pub fn parse(name: &str) -> Option<Self> {
        if let Some(context_key) = strip_prefix_any_case(name, ENCRYPTION_CONTEXT_PREFIX) {
            return (!context_key.is_empty()).then(|| Self::EncryptionContext(context_key.into()));
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
            Self::CurrentTime => ValueType::Date,
            Self::SourceIp => ValueType::IpAddress,
            Self::SecureTransport | Self::GrantIsForAwsResource => ValueType::Bool,
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
            | Self::KeyAgreementAlgorithm => ValueType::String,
        }
    }

    /// Whether a request may hold several values, so that operators need `ForAllValues:` or `ForAnyValue:`.
    pub const fn is_multivalued(&self) -> bool {
        matches!(self, Self::EncryptionContextKeys | Self::ResourceAliases | Self::GrantOperations)
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
            Self::CallerAccount => {
                (!super::caller::is_account(value)).then_some("an account of twelve digits")
            }
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
            Self::GrantOperations => one_of_missed_by(
                GrantOperation::ALL.iter().map(|operation| operation.name()),
                value,
                ignores_case,
            )
            .then_some("an operation that a grant can have"),
            Self::GrantConstraintType => one_of_missed_by(
                ["EncryptionContextEquals", "EncryptionContextSubset"].into_iter(),
                value,
                ignores_case,
            )
            .then_some("EncryptionContextEquals or EncryptionContextSubset"),
            Self::CurrentTime => {
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
            Self::SecureTransport | Self::GrantIsForAwsResource => {
                let known = ["true", "false"]
                    .into_iter()
                    .any(|word| value == word || ignores_case && value.eq_ignore_ascii_case(word));
                (!known).then_some("true or false")
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
            | Self::KeyAgreementAlgorithm => None,
        }
    }
}

impl fmt::Display for ConditionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RecipientAttestationPcr(index) => write!(f, "{PCR_PREFIX}{index}"),
            Self::EncryptionContext(key) => write!(f, "{ENCRYPTION_CONTEXT_PREFIX}{key}"),
            plain => {
                PLAIN_KEYS.iter().find(|(_, key)| key == plain).map_or(Ok(()), |(name, _)| f.write_str(name))
            }
        }
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

fn one_of_missed_by(mut names: impl Iterator<Item = &'static str>, value: &str, ignores_case: bool) -> bool {
    !names.any(|name| value == name || ignores_case && value.eq_ignore_ascii_case(name))
}

fn strip_prefix_any_case<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::{ConditionKey, PLAIN_KEYS};

    #[test]
    fn names_are_read_in_any_case_and_shown_in_one() {
        for (name, key) in PLAIN_KEYS {
            for written in [name.to_owned(), name.to_lowercase(), name.to_uppercase()] {
                assert_eq!(ConditionKey::parse(&written), Some(key.clone()));
            }
            assert_eq!(key.to_string(), name);
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
            "kms:RecipientAttestation:NitroTPMPCR7",
        ] {
            assert_eq!(ConditionKey::parse(bad), None, "{bad}");
        }
    }
}
