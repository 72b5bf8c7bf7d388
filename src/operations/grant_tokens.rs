use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::broker::Broker;
use super::error::OperationError;
use super::members::{MemberError, Members};
use crate::policy::GrantId;
use crate::root_key::{RootKey, RootKeyError};

/// What the wrapping of a grant's id into a token is bound to.
const WRAPPING_CONTEXT: &[u8] = b"nitro-key-broker grant token v1\0";

/// The member `GrantTokens` (KMS API reference, *Grant token*): grants that may not have reached every part of KMS yet.
/// Here every grant is in force when it is answered, so a token gives nothing that its grant does not; but each must
/// belong to a grant that is there.
pub(super) struct GrantTokens(Vec<GrantToken>);

/// Names a grant to whoever received it with the grant, by its id wrapped under the root key: nobody else can make one,
/// none is kept, and each is another. Not shown by Debug, since whoever has it may name the grant.
pub(super) struct GrantToken(String);

impl GrantTokens {
    pub(super) fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        let tokens = members.strings("GrantTokens", 0..=10, GrantToken::LEN)?;
        Ok(Self(tokens.into_iter().map(|token| GrantToken(token.to_owned())).collect()))
    }

    /// Requires a grant behind each.
    pub(super) async fn require_valid(&self, broker: &Broker) -> Result<(), OperationError> {
        for (index, token) in self.0.iter().enumerate() {
            let member = || format!("GrantTokens[{index}]");
            let id = token.open(broker.root_key(), member).await?;
            let found = broker.store().find_grant(&id).await?;
            found.ok_or_else(|| OperationError::InvalidGrantToken { member: member() })?;
        }
        Ok(())
    }
}

impl GrantToken {
    /// Characters (the service model's `GrantTokenType`).
    const LEN: std::ops::RangeInclusive<usize> = 1..=8192;

    /// The member `GrantToken`.
    pub(super) fn parse(members: &Members<'_>) -> Result<Option<Self>, MemberError> {
        Ok(members.secret_text_of("GrantToken", Self::LEN, None)?.map(|token| Self(token.to_owned())))
    }

    /// A new token for a grant.
    pub(super) async fn issue(root_key: &dyn RootKey, grant: &GrantId) -> Result<String, RootKeyError> {
        let wrapped = root_key.wrap(WRAPPING_CONTEXT, grant.as_bytes()).await?;
        Ok(URL_SAFE_NO_PAD.encode(wrapped))
    }

    /// The grant that it names, which may be gone.
    pub(super) async fn open(
        &self,
        root_key: &dyn RootKey,
        member: impl Fn() -> String,
    ) -> Result<GrantId, OperationError> {
        let invalid = || OperationError::InvalidGrantToken { member: member() };
        let wrapped = URL_SAFE_NO_PAD.decode(&self.0).map_err(|_| invalid())?;
        match root_key.unwrap_key(WRAPPING_CONTEXT, &wrapped).await {
            Ok(id) => Ok(GrantId::from_bytes(id.as_slice().try_into().map_err(|_| invalid())?)),
            Err(RootKeyError::Unwrap) => Err(invalid()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::root_key::FileRootKey;

    async fn opened(root_key: &FileRootKey, token: &str) -> Option<GrantId> {
        let member = || "GrantToken".to_owned();
        match GrantToken(token.to_owned()).open(root_key, member).await {
            Ok(id) => Some(id),
            Err(OperationError::InvalidGrantToken { member }) if member == "GrantToken" => None,
            Err(error) => panic!("{error}"),
        }
    }

    #[tokio::test]
    async fn a_token_names_its_grant_under_its_root_key_alone() {
        let directory = tempfile::tempdir().unwrap();
        let root_key = FileRootKey::create(&directory.path().join("root.key")).unwrap();
        let id = GrantId::from_bytes([7; 32]);
        let token = GrantToken::issue(&root_key, &id).await.unwrap();
        assert!(GrantToken::LEN.contains(&token.len()));
        assert_eq!(opened(&root_key, &token).await, Some(id));
        let another = GrantToken::issue(&root_key, &id).await.unwrap();
        assert_ne!(another, token);
        assert_eq!(opened(&root_key, &another).await, Some(id));

        let other = FileRootKey::create(&directory.path().join("other.key")).unwrap();
        assert_eq!(opened(&other, &token).await, None);
        // What is wrapped for another purpose is no token.
        let wrapped = root_key.wrap(b"another purpose", id.as_bytes()).await.unwrap();
        assert_eq!(opened(&root_key, &URL_SAFE_NO_PAD.encode(wrapped)).await, None);
        let short = root_key.wrap(WRAPPING_CONTEXT, &[7; 31]).await.unwrap();
        assert_eq!(opened(&root_key, &URL_SAFE_NO_PAD.encode(short)).await, None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_token_has_one_form(
            id in any::<[u8; 32]>(), at in any::<prop::sample::Index>(), put in any::<char>(), text in any::<String>(),
        ) {
            let directory = tempfile::tempdir().unwrap();
            let root_key = FileRootKey::create(&directory.path().join("root.key")).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let id = GrantId::from_bytes(id);
            let token = runtime.block_on(GrantToken::issue(&root_key, &id)).unwrap();
            let mut changed: Vec<char> = token.chars().collect();
            let at = at.index(changed.len());
            changed[at] = put;
            let changed: String = changed.into_iter().collect();
            let expected = (changed == token).then_some(id);
            prop_assert_eq!(runtime.block_on(opened(&root_key, &changed)), expected);
            prop_assert_eq!(runtime.block_on(opened(&root_key, &text)), None);
            for other in [format!("{token}="), format!("{token}A"), format!(" {token}"), token[1..].to_owned()] {
                prop_assert_eq!(runtime.block_on(opened(&root_key, &other)), None, "{}", other);
            }
        }
    }
}
