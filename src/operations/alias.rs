use std::sync::Arc;

use super::Invocation;
use super::authorization::{Access, KeylessAccess};
use super::broker::Broker;
use super::error::OperationError;
use super::members::{MemberError, Members};
use super::pattern::ALIAS_NAME;
use crate::audit::AuditEvent;
use crate::keys::{AliasName, KeyIdentifier};
use crate::policy::AllowedBy;
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
    invocation: &Invocation,
    event: &mut AuditEvent,
) -> Result<(AliasName, Arc<KeyEntry>), OperationError> {
    let name = AliasName::parse(name)?;
    let identifier = KeyIdentifier::Alias(name.clone());
    broker.require_own_account(&identifier, invocation)?;
    let entry = broker.key(&identifier, event).await?;
    Ok((name, entry))
}

/// Asks whether `action` may be done with an alias and a key that it names or is to name: the key's policy, and where it
/// leaves that to identity policies, those about the alias as well as about the key. In KMS, identity policies are asked
/// about the alias always (KMS developer guide, *Controlling access to aliases*).
pub(super) async fn authorize(
    action: &'static str,
    name: &AliasName,
    entry: &KeyEntry,
    broker: &Broker,
    invocation: &Invocation,
    event: &mut AuditEvent,
) -> Result<(), OperationError> {
    let permit = broker.authorize(&Access::new(action, entry), invocation, event).await?;
    let arn = broker.realm().alias_arn(name);
    if !matches!(permit.allowed_by(), AllowedBy::Both { .. }) {
        return broker.require_no_deny(action, &arn, invocation, event).await;
    }
    let access = KeylessAccess::new(action, &arn);
    let allowed_by = broker.authorize_by_identity(&access, invocation, event).await?;
    event.explain_optional("aliasIdentityStatement", allowed_by);
    Ok(())
}
