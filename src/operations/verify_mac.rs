use serde::Serialize;
use serde_json::Value;

use super::broker::Broker;
use super::error::OperationError;
use super::generate_mac::MacRequest;
use super::members::{MemberError, Members};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::keys::{self, MacKey};
use crate::metrics::Stage;

/// Bytes of `Mac` (KMS API reference, *VerifyMac*).
const MAC_LEN: std::ops::RangeInclusive<usize> = 1..=6144;

/// Whether an HMAC is that of a message under a key of the broker; if not, that is an error (KMS API reference,
/// *VerifyMac*). Beyond KMS, `Recipient` may show the policy an enclave.
pub struct VerifyMac {
    request: MacRequest,
    mac: Vec<u8>,
}

/// The answer.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct VerifyMacResponse {
    key_id: String,
    mac_valid: bool,
    mac_algorithm: &'static str,
}

impl Operation for VerifyMac {
    const NAME: &'static str = "VerifyMac";
    type Response = VerifyMacResponse;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        let mac = members.blob("Mac", MAC_LEN)?;
        Ok(Self { request: MacRequest::parse(members)?, mac: mac.ok_or_else(|| members.missing("Mac"))? })
    }

    fn audit_parameters(&self) -> Value {
        self.request.audit_parameters()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<VerifyMacResponse, OperationError> {
        let (entry, permit) =
            self.request.authorized("kms:VerifyMac", Self::NAME, broker, invocation, event).await?;
        let material: MacKey = broker.current_material(&permit, &entry.key).await?;
        let verify = || keys::verify_mac(&permit, &entry.key, &material, &self.request.message, &self.mac);
        if !broker.in_stage(Stage::UseKey, verify)? {
            return Err(OperationError::InvalidMac);
        }
        Ok(VerifyMacResponse {
            key_id: entry.key.arn.to_string(),
            mac_valid: true,
            mac_algorithm: self.request.algorithm.name(),
        })
    }
}
