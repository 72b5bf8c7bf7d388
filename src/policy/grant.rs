//! Grants: permissions on one key for one principal, beside the key's policy and only where it does not deny.
//!
//! A grant lists operations and may bind them to an encryption context (KMS developer guide, *Grants in AWS KMS*). It
//! asks for no attestation by itself, but what it allows is released like anything else: only to an attested enclave.

use std::fmt;
use std::str::FromStr;

use super::caller::{Caller, PrincipalArn};
use super::inquiry::Inquiry;
use super::trace::{ElementTrace, GrantTrace};
use crate::encryption_context::EncryptionContext;
use crate::text::shorten;
use crate::time::UnixTime;

/// Grants of one key at most (KMS developer guide, *Resource quotas*).
pub const MAX_GRANTS_PER_KEY: u32 = 50_000;

/// Pairs of a constraint's encryption context at most (KMS API reference, *CreateGrant*, `Constraints`).
pub const MAX_CONSTRAINT_PAIRS: usize = 8;

/// Characters of a value in a constraint's encryption context at most (as above).
pub const MAX_CONSTRAINT_VALUE_LEN: usize = 384;

/// A grant on one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// The key's ARN.
    pub resource: Box<str>,
    /// What whoever made it called it.
    pub name: Option<Box<str>>,
    /// Who may do what, and who may end it.
    pub terms: GrantTerms,
    /// The account of whoever made it, twelve digits.
    pub issuing_account: Box<str>,
    /// When it was made.
    pub created_at: UnixTime,
}

/// Who may do what by a grant, and who may end it: two grants of the same terms allow the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantTerms {
    /// Who may use the key.
    pub grantee: PrincipalArn,
    /// Who may retire the grant, beside the account that made it.
    pub retiring: Option<PrincipalArn>,
    /// For what.
    pub operations: GrantOperations,
    /// With which encryption context only.
    pub constraint: Option<GrantConstraint>,
}

/// A grant's id: 32 random bytes, 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantId([u8; 32]);

/// A text that is no grant's id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a grant id of 64 lower-case hexadecimal digits, found {0:?}")]
pub struct InvalidGrantId(pub String);

/// What a grant may allow (the service model's `GrantOperation`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantOperation {
    /// `Decrypt`
    Decrypt,
    /// `Encrypt`
    Encrypt,
    /// `GenerateDataKey`
    GenerateDataKey,
    /// `GenerateDataKeyWithoutPlaintext`
    GenerateDataKeyWithoutPlaintext,
    /// `ReEncryptFrom`
    ReEncryptFrom,
    /// `ReEncryptTo`
    ReEncryptTo,
    /// `Sign`
    Sign,
    /// `Verify`
    Verify,
    /// `GetPublicKey`
    GetPublicKey,
    /// `CreateGrant`: further grants, none wider than this one.
    CreateGrant,
    /// `RetireGrant`: this grant alone.
    RetireGrant,
    /// `DescribeKey`
    DescribeKey,
    /// `GenerateDataKeyPair`
    GenerateDataKeyPair,
    /// `GenerateDataKeyPairWithoutPlaintext`
    GenerateDataKeyPairWithoutPlaintext,
    /// `GenerateMac`
    GenerateMac,
    /// `VerifyMac`
    VerifyMac,
    /// `DeriveSharedSecret`
    DeriveSharedSecret,
    /// `Encapsulate`
    Encapsulate,
    /// `Decapsulate`
    Decapsulate,
}

/// A set of [`GrantOperation`]s, shown in the order of the service model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GrantOperations(u32);

/// Which encryption context a request must have for a grant to allow it. Its keys match in any case (of ASCII letters),
/// its values only as they are (KMS API reference, *GrantConstraints*).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantConstraint {
    /// These pairs and no others.
    EncryptionContextEquals(EncryptionContext),
    /// These pairs and any others.
    EncryptionContextSubset(EncryptionContext),
}

/// What makes a caller the one who may retire a grant (KMS developer guide, *Retiring and revoking grants*).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetiredAs {
    /// The grant's retiring principal.
    RetiringPrincipal,
    /// The grantee, of a grant that allows `RetireGrant`.
    Grantee,
    /// The account that made the grant: its root, or to whom an identity policy gives `kms:RetireGrant`.
    IssuingAccount,
}

/// Why a grant does not allow a request. Long values are cut. For the log and the audit record, not for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantReason {
    /// The grant.
    pub grant: GrantId,
    /// Its first member that does not match, such as `Operations`.
    pub element: &'static str,
    /// What the member has.
    pub expected: String,
    /// What the request has.
    pub actual: String,
}

/// A member of a grant, in the order in which they are asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Member {
    Key,
    Grantee,
    Operations,
    Constraints,
    OperationsOfNewGrant,
    ConstraintsOfNewGrant,
}

impl Grant {
    pub(super) fn allows(&self, inquiry: &Inquiry<'_>) -> bool {
        self.mismatch(inquiry).is_none()
    }

    /// Why the grant does not allow what is asked; `None` when it does.
    pub(super) fn reason(&self, inquiry: &Inquiry<'_>) -> Option<GrantReason> {
        let (element, expected, actual) = self.describe(self.mismatch(inquiry)?, inquiry);
        Some(GrantReason { grant: self.id, element, expected, actual })
    }

    /// Every member that is asked, up to the first that does not match.
    pub(super) fn trace(&self, inquiry: &Inquiry<'_>) -> GrantTrace {
        let mismatch = self.mismatch(inquiry);
        let last: &[Member] = match GrantOperation::of_action(inquiry.action) {
            Some(GrantOperation::DescribeKey) => &[],
            Some(GrantOperation::CreateGrant) => {
                &[Member::OperationsOfNewGrant, Member::ConstraintsOfNewGrant]
            }
            _ => &[Member::Constraints],
        };
        let asked = [Member::Key, Member::Grantee, Member::Operations].iter().chain(last);
        let members = asked
            .filter(|member| mismatch.is_none_or(|mismatch| **member <= mismatch))
            .map(|member| {
                let (element, expected, actual) = self.describe(*member, inquiry);
                let matched = mismatch != Some(*member);
                ElementTrace { element: element.to_owned(), matched, expected, actual, note: None }
            })
            .collect();
        GrantTrace { grant: self.id.to_string(), applies: mismatch.is_none(), members }
    }

    /// A member's name, what the grant has in it, and what the request has.
    fn describe(&self, member: Member, inquiry: &Inquiry<'_>) -> (&'static str, String, String) {
        let GrantTerms { grantee, retiring: _, operations, constraint } = &self.terms;
        let constraint = || constraint.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
        let new = inquiry.new_grant;
        let (element, expected, actual) = match member {
            Member::Key => ("KeyId", self.resource.to_string(), inquiry.resource.to_owned()),
            Member::Grantee => ("GranteePrincipal", grantee.to_string(), inquiry.caller.to_string()),
            Member::Operations => ("Operations", format!("one of {operations}"), inquiry.action.to_owned()),
            Member::Constraints => ("Constraints", constraint(), shown_context(inquiry.encryption_context)),
            Member::OperationsOfNewGrant => (
                "Operations of the new grant",
                format!("some of {operations}"),
                new.map_or_else(String::new, |new| new.operations.to_string()),
            ),
            Member::ConstraintsOfNewGrant => (
                "Constraints of the new grant",
                format!("as strict as {}", constraint()),
                new.and_then(|new| new.constraint.as_ref())
                    .map_or_else(|| "none".to_owned(), ToString::to_string),
            ),
        };
        (element, shorten(&expected), shorten(&actual))
    }

    /// The first member that does not match.
    fn mismatch(&self, inquiry: &Inquiry<'_>) -> Option<Member> {
        if *self.resource != *inquiry.resource {
            return Some(Member::Key);
        }
        if !inquiry.caller.arn().is_some_and(|caller| self.terms.grantee.covers(caller)) {
            return Some(Member::Grantee);
        }
        match GrantOperation::of_action(inquiry.action) {
            Some(operation) if self.terms.operations.contains(operation) => {
                self.terms.mismatch(operation, inquiry)
            }
            _ => Some(Member::Operations),
        }
    }

    /// As what `caller` may retire the grant, if at all; `is_delegated` when an identity policy lets it do for its account
    /// what the account's root may.
    pub(super) fn retired_as(&self, caller: &Caller, is_delegated: bool) -> Option<RetiredAs> {
        let caller = caller.arn()?;
        let GrantTerms { grantee, retiring, operations, constraint: _ } = &self.terms;
        let acts_for =
            |account: &str| (caller.is_account_root() || is_delegated) && caller.account() == account;
        let retires = |retiring: &PrincipalArn| {
            retiring.covers(caller) || retiring.is_account_root() && acts_for(retiring.account())
        };
        if retiring.as_ref().is_some_and(retires) {
            Some(RetiredAs::RetiringPrincipal)
        } else if operations.contains(GrantOperation::RetireGrant) && grantee.covers(caller) {
            Some(RetiredAs::Grantee)
        } else if acts_for(&self.issuing_account) {
            Some(RetiredAs::IssuingAccount)
        } else {
            None
        }
    }
}

impl GrantTerms {
    /// What of the terms of a grant that allows `operation` keeps it from allowing this request.
    fn mismatch(&self, operation: GrantOperation, inquiry: &Inquiry<'_>) -> Option<Member> {
        match (operation, inquiry.new_grant) {
            // An operation without an encryption context: the constraint does not apply to it.
            (GrantOperation::DescribeKey, _) => None,
            (GrantOperation::CreateGrant, Some(new)) => {
                if !new.operations.is_subset_of(self.operations) {
                    return Some(Member::OperationsOfNewGrant);
                }
                let is_as_strict = self
                    .constraint
                    .as_ref()
                    .is_none_or(|own| new.constraint.as_ref().is_some_and(|new| new.is_as_strict_as(own)));
                (!is_as_strict).then_some(Member::ConstraintsOfNewGrant)
            }
            // One retires a grant by naming it, and makes one by saying which.
            (GrantOperation::CreateGrant, None) | (GrantOperation::RetireGrant, _) => {
                Some(Member::Operations)
            }
            _ => {
                let is_met =
                    self.constraint.as_ref().is_none_or(|own| own.is_met_by(inquiry.encryption_context));
                (!is_met).then_some(Member::Constraints)
            }
        }
    }
}

impl GrantConstraint {
    /// The constraint's name, the value of `kms:GrantConstraintType`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::EncryptionContextEquals(_) => "EncryptionContextEquals",
            Self::EncryptionContextSubset(_) => "EncryptionContextSubset",
        }
    }

    /// The pairs that it names.
    pub const fn context(&self) -> &EncryptionContext {
        match self {
            Self::EncryptionContextEquals(context) | Self::EncryptionContextSubset(context) => context,
        }
    }

    /// Whether a request with this encryption context has what is asked for.
    pub fn is_met_by(&self, actual: &EncryptionContext) -> bool {
        match self {
            Self::EncryptionContextEquals(expected) => is_same(expected, actual),
            Self::EncryptionContextSubset(expected) => is_part_of(expected, actual),
        }
    }

    /// Whether every request that meets this constraint meets `other`, too.
    pub fn is_as_strict_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::EncryptionContextEquals(own), Self::EncryptionContextEquals(other)) => is_same(own, other),
            (Self::EncryptionContextSubset(_), Self::EncryptionContextEquals(_)) => false,
            (_, Self::EncryptionContextSubset(other)) => is_part_of(other, self.context()),
        }
    }
}

/// Whether `whole` has every pair of `part`.
fn is_part_of(part: &EncryptionContext, whole: &EncryptionContext) -> bool {
    part.iter().all(|(key, value)| {
        whole.iter().any(|(found, actual)| found.eq_ignore_ascii_case(key) && actual == value)
    })
}

fn is_same(one: &EncryptionContext, other: &EncryptionContext) -> bool {
    one.len() == other.len() && is_part_of(one, other) && is_part_of(other, one)
}

impl GrantOperation {
    /// Every operation, in the order of the service model.
    pub const ALL: [Self; 19] = [
        Self::Decrypt,
        Self::Encrypt,
        Self::GenerateDataKey,
        Self::GenerateDataKeyWithoutPlaintext,
        Self::ReEncryptFrom,
        Self::ReEncryptTo,
        Self::Sign,
        Self::Verify,
        Self::GetPublicKey,
        Self::CreateGrant,
        Self::RetireGrant,
        Self::DescribeKey,
        Self::GenerateDataKeyPair,
        Self::GenerateDataKeyPairWithoutPlaintext,
        Self::GenerateMac,
        Self::VerifyMac,
        Self::DeriveSharedSecret,
        Self::Encapsulate,
        Self::Decapsulate,
    ];

    /// The name that KMS gives it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decrypt => "Decrypt",
            Self::Encrypt => "Encrypt",
            Self::GenerateDataKey => "GenerateDataKey",
            Self::GenerateDataKeyWithoutPlaintext => "GenerateDataKeyWithoutPlaintext",
            Self::ReEncryptFrom => "ReEncryptFrom",
            Self::ReEncryptTo => "ReEncryptTo",
            Self::Sign => "Sign",
            Self::Verify => "Verify",
            Self::GetPublicKey => "GetPublicKey",
            Self::CreateGrant => "CreateGrant",
            Self::RetireGrant => "RetireGrant",
            Self::DescribeKey => "DescribeKey",
            Self::GenerateDataKeyPair => "GenerateDataKeyPair",
            Self::GenerateDataKeyPairWithoutPlaintext => "GenerateDataKeyPairWithoutPlaintext",
            Self::GenerateMac => "GenerateMac",
            Self::VerifyMac => "VerifyMac",
            Self::DeriveSharedSecret => "DeriveSharedSecret",
            Self::Encapsulate => "Encapsulate",
            Self::Decapsulate => "Decapsulate",
        }
    }

    /// The operation of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }

    /// The operation that a grant must have to allow `kms:NAME`; `None` where no grant does.
    pub fn of_action(action: &str) -> Option<Self> {
        Self::from_name(action.strip_prefix("kms:")?)
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl GrantOperations {
    /// Whether the operation is among them.
    pub const fn contains(self, operation: GrantOperation) -> bool {
        self.0 & operation.bit() != 0
    }

    /// Whether `other` has all of them.
    pub const fn is_subset_of(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Each operation once, in the order of the service model.
    pub fn iter(self) -> impl Iterator<Item = GrantOperation> {
        GrantOperation::ALL.into_iter().filter(move |operation| self.contains(*operation))
    }

    /// As [`GrantOperations::iter`], by name.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.iter().map(GrantOperation::name)
    }
}

impl FromIterator<GrantOperation> for GrantOperations {
    fn from_iter<I: IntoIterator<Item = GrantOperation>>(operations: I) -> Self {
        Self(operations.into_iter().fold(0, |set, operation| set | operation.bit()))
    }
}

impl GrantId {
    /// The id of these bytes, which are to be random.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for GrantId {
    type Err = InvalidGrantId;

    /// Reads the lower-case form only, so that a grant has one name.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        match hex::decode_to_slice(text, &mut bytes) {
            Ok(()) if !text.bytes().any(|byte| byte.is_ascii_uppercase()) => Ok(Self(bytes)),
            _ => Err(InvalidGrantId(shorten(text))),
        }
    }
}

impl RetiredAs {
    /// The role in words, for the audit record.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RetiringPrincipal => "retiring principal",
            Self::Grantee => "grantee",
            Self::IssuingAccount => "issuing account",
        }
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// The names, separated by commas.
impl fmt::Display for GrantOperations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Display for GrantConstraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name(), shown_context(self.context()))
    }
}

impl fmt::Display for GrantReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { grant, element, expected, actual } = self;
        write!(f, "grant {grant} {element}: expected {expected}, found {actual}")
    }
}

fn shown_context(context: &EncryptionContext) -> String {
    let pairs: Vec<String> = context.iter().map(|(key, value)| format!("{key:?}: {value:?}")).collect();
    format!("{{{}}}", pairs.join(", "))
}
