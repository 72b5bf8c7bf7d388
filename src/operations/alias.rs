use super::broker::Broker;
use super::error::OperationError;
use super::members::{MemberError, Members};
use crate::audit::AuditEvent;
use crate::keys::{AliasName, KeyIdentifier};
use crate::store::KeyEntry;

/// The member `AliasName`, in the characters of its model.
pub(super) fn parse(members: &Members<'_>) -> Result<String, MemberError> {
    let name = members.required_string("AliasName", 1..=256)?;
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/_-".contains(&byte)) {
        let rule = "satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$".to_owned();
        return Err(members.violates("AliasName", rule, Some(name)));
    }
    Ok(name.to_owned())
}

/// An alias that is there, with the key that it names.
pub(super) async fn find(
    name: &str,
    broker: &Broker,
    event: &mut AuditEvent,
) -> Result<(AliasName, std::sync::Arc<KeyEntry>), OperationError> {
    let name = AliasName::parse(name)?;
    let entry = broker.key(&KeyIdentifier::Alias(name.clone()), event).await?;
    Ok((name, entry))
}
