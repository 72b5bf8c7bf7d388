use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::broker::Broker;
use super::error::OperationError;
use super::import_token::ImportToken;
use super::managed_key::ManagedKey;
use super::members::{MemberError, Members};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::crypto::{ImportWrapping, KeyPairKind, generate_key_pair};
use crate::policy::Particulars;

/// How long a wrapping key and its token are good for (KMS API reference, *GetParametersForImport*).
const VALIDITY: Duration = Duration::from_secs(24 * 60 * 60);

/// A public key to encrypt key material to, and the token that must come back with it
/// (KMS API reference, *GetParametersForImport*).
pub struct GetParametersForImport {
    key: ManagedKey,
    wrapping: (&'static str, Option<ImportWrapping>),
    wrapping_key: (&'static str, Option<KeyPairKind>),
}

/// The answer. The date is in seconds since 1970 in UTC.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetParametersForImportResponse {
    key_id: String,
    #[serde(serialize_with = "super::members::as_base64")]
    import_token: Vec<u8>,
    #[serde(serialize_with = "super::members::as_base64")]
    public_key: Vec<u8>,
    parameters_valid_to: f64,
}

impl Operation for GetParametersForImport {
    const NAME: &'static str = "GetParametersForImport";
    type Response = GetParametersForImportResponse;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        const WRAPPINGS: [(&str, Option<ImportWrapping>); 6] = [
            ("RSAES_PKCS1_V1_5", None),
            ("RSAES_OAEP_SHA_1", Some(ImportWrapping::OaepSha1)),
            ("RSAES_OAEP_SHA_256", Some(ImportWrapping::OaepSha256)),
            ("RSA_AES_KEY_WRAP_SHA_1", Some(ImportWrapping::AesKeyWrapSha1)),
            ("RSA_AES_KEY_WRAP_SHA_256", Some(ImportWrapping::AesKeyWrapSha256)),
            ("SM2PKE", None),
        ];
        const WRAPPING_KEYS: [(&str, Option<KeyPairKind>); 4] = [
            ("RSA_2048", Some(KeyPairKind::Rsa2048)),
            ("RSA_3072", Some(KeyPairKind::Rsa3072)),
            ("RSA_4096", Some(KeyPairKind::Rsa4096)),
            ("SM2", None),
        ];
        Ok(Self {
            key: ManagedKey::parse(members)?,
            wrapping: members
                .one_of("WrappingAlgorithm", &WRAPPINGS.map(|one| (one.0, one)))?
                .ok_or_else(|| members.missing("WrappingAlgorithm"))?,
            wrapping_key: members
                .one_of("WrappingKeySpec", &WRAPPING_KEYS.map(|one| (one.0, one)))?
                .ok_or_else(|| members.missing("WrappingKeySpec"))?,
        })
    }

    fn audit_parameters(&self) -> Value {
        self.key
            .audit_parameters()
            .with("wrappingAlgorithm", self.wrapping.0)
            .with("wrappingKeySpec", self.wrapping_key.0)
            .into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<GetParametersForImportResponse, OperationError> {
        const REFUSED: OperationError = OperationError::Unsupported(
            "key material is imported under RSAES_OAEP or RSA_AES_KEY_WRAP with an RSA key: KMS has given up \
             RSAES_PKCS1_V1_5, and this broker has no SM2",
        );
        let particulars = Particulars {
            wrapping_algorithm: Some(self.wrapping.0),
            wrapping_key_spec: Some(self.wrapping_key.0),
            ..Particulars::default()
        };
        let entry = self
            .key
            .authorized_with("kms:GetParametersForImport", particulars, broker, invocation, event)
            .await?;
        let key = &entry.key;
        key.require_external()?;
        key.require_not_pending_deletion()?;
        let wrapping = self.wrapping.1.ok_or(REFUSED)?;
        let wrapping_key = self.wrapping_key.1.ok_or(REFUSED)?;
        let pair = generate_key_pair(wrapping_key)?;
        let valid_to = invocation.now.saturating_add(VALIDITY);
        let token = ImportToken { wrapping, valid_to, private_key: pair.private_key };
        Ok(GetParametersForImportResponse {
            key_id: key.arn.to_string(),
            import_token: token.seal(broker.root_key(), key.id).await?,
            public_key: pair.public_key,
            parameters_valid_to: super::members::as_date(valid_to),
        })
    }
}
