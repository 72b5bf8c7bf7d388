use super::error::OperationError;
use super::members::{MemberError, Members};
use super::pattern::POLICY_NAME;

/// The one policy that a key has (KMS API reference, *GetKeyPolicy*, `PolicyName`).
pub(super) const DEFAULT: &str = "default";

/// The member `PolicyName`; absent is `default`.
pub(super) fn parse(members: &Members<'_>) -> Result<String, MemberError> {
    Ok(members.text_of("PolicyName", 1..=128, &POLICY_NAME)?.unwrap_or(DEFAULT).to_owned())
}

/// Refuses any other name than `default`.
pub(super) fn require_default(name: &str) -> Result<(), OperationError> {
    if name == DEFAULT { Ok(()) } else { Err(OperationError::NoSuchPolicy) }
}
