use super::members::{MemberError, Members};

/// The member `GrantTokens` (KMS API reference, *Grant token*): grants that may not have reached every part of KMS yet.
pub(super) struct GrantTokens(Vec<String>);

impl GrantTokens {
    pub(super) fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        let tokens = members.strings("GrantTokens", 0..=10, 1..=8192)?;
        Ok(Self(tokens.into_iter().map(str::to_owned).collect()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
