//! What Encapsulate and Decapsulate share: that this broker has no keys for them.

use serde_json::Value;

use super::audit_parameters::AuditParameters;
use super::error::OperationError;
use super::grant_tokens::GrantTokens;
use super::members::{MemberError, Members};

/// The answer of both.
pub(super) const NO_ML_KEM_KEYS: OperationError =
    OperationError::Unsupported("this broker has no ML-KEM keys");

/// The members that both have.
pub(super) struct EncapsulationRequest {
    key_id: String,
    dry_run: bool,
}

impl EncapsulationRequest {
    pub(super) fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        let key_id = members.required_string("KeyId", 1..=2048)?.to_owned();
        let algorithm = members.one_of("EncapsulationAlgorithm", &[("ML_KEM", ())])?;
        algorithm.ok_or_else(|| members.missing("EncapsulationAlgorithm"))?;
        GrantTokens::parse(members)?;
        Ok(Self { key_id, dry_run: members.flag("DryRun")? })
    }

    pub(super) fn audit_parameters(&self) -> Value {
        AuditParameters::new()
            .with("keyId", &self.key_id)
            .with("encapsulationAlgorithm", "ML_KEM")
            .with_dry_run(self.dry_run)
            .into_value()
    }
}
