use super::error::OperationError;
use super::members::{MemberError, Members};

/// The one policy that a key has (KMS API reference, *GetKeyPolicy*, `PolicyName`).
pub(super) const DEFAULT: &str = "default";

/// The member `PolicyName`; absent is `default`.
pub(super) fn parse(members: &Members<'_>) -> Result<String, MemberError> {
    let name = members.string("PolicyName", 1..=128)?.unwrap_or(DEFAULT);
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        let rule = "satisfy regular expression pattern: [\\w]+".to_owned();
        return Err(members.violates("PolicyName", rule, Some(name)));
    }
    Ok(name.to_owned())
}

/// Refuses any other name than `default`.
pub(super) fn require_default(name: &str) -> Result<(), OperationError> {
    if name == DEFAULT { Ok(()) } else { Err(OperationError::NoSuchPolicy) }
}
