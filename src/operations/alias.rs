use super::broker::Broker;
use super::error::OperationError;
use super::members::{MemberError, Members};
use super::pattern::ALIAS_NAME;
use crate::audit::AuditEvent;
use crate::keys::{AliasName, KeyIdentifier};
use crate::store::KeyEntry;

/// The member `AliasName`, in the characters of its model.
pub(super) fn parse(members: &Members<'_>) -> Result<String, MemberError> {
    let name = members.text_of("AliasName", 1..=256, &ALIAS_NAME)?;
    Ok(name.ok_or_else(|| members.missing("AliasName"))?.to_owned())
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
