use serde::Serialize;
use serde_json::Value;

use super::audit_parameters::AuditParameters;
use super::authorization::{Access, KeylessAccess};
use super::broker::Broker;
use super::custom_key_store::NO_CUSTOM_KEY_STORES;
use super::error::OperationError;
use super::key_metadata::KeyMetadata;
use super::members::{MemberError, Members};
use super::multi_region::NO_MULTI_REGION_KEYS;
use super::new_key::{NewKey, default_key_policy};
use super::pattern::{POLICY, XKS_KEY_ID};
use super::put_key_policy::MAX_POLICY_MEMBER_LEN;
use super::tags::SentTags;
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::keys::{KeyKind, KeyOrigin, KeySpec, KeyUsage, MAX_DESCRIPTION_LEN, MAX_TAGS};
use crate::policy::{KeyPolicy, MAX_POLICY_BYTES, Particulars};
use crate::store::KeyEntry;

/// The specs of the service model, also those that this broker does not have.
const SPECS: [&str; 20] = [
    "RSA_2048",
    "RSA_3072",
    "RSA_4096",
    "ECC_NIST_P256",
    "ECC_NIST_P384",
    "ECC_NIST_P521",
    "ECC_SECG_P256K1",
    "SYMMETRIC_DEFAULT",
    "HMAC_224",
    "HMAC_256",
    "HMAC_384",
    "HMAC_512",
    "SM2",
    "ML_DSA_44",
    "ML_DSA_65",
    "ML_DSA_87",
    "ECC_NIST_EDWARDS25519",
    "ML_KEM_512",
    "ML_KEM_768",
    "ML_KEM_1024",
];

/// Those that the older member `CustomerMasterKeySpec` takes: up to `SM2`.
const CUSTOMER_MASTER_KEY_SPECS: usize = 13;

const USAGES: [&str; 5] =
    ["SIGN_VERIFY", "ENCRYPT_DECRYPT", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT", "ENCAPSULATE_DECAPSULATE"];

const ORIGINS: [&str; 4] = ["AWS_KMS", "EXTERNAL", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"];

/// A new key (KMS API reference, *CreateKey*). There is no key whose policy could be asked: an identity policy must allow
/// it, and `kms:TagResource` as well where the key begins with tags.
pub struct CreateKey {
    spec: &'static str,
    usage: Option<&'static str>,
    origin: &'static str,
    policy: Option<String>,
    bypasses_lockout_check: bool,
    description: String,
    tags: SentTags,
    is_multi_region: bool,
    has_custom_key_store: bool,
}

/// The answer. Dates are in seconds since 1970 in UTC.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateKeyResponse {
    key_metadata: KeyMetadata<f64>,
}

impl Operation for CreateKey {
    const NAME: &'static str = "CreateKey";
    const READ_ONLY: bool = false;
    type Response = CreateKeyResponse;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        let custom_key_store = members.string("CustomKeyStoreId", 1..=64)?;
        let external_key = members.text_of("XksKeyId", 1..=128, &XKS_KEY_ID)?;
        Ok(Self {
            spec: spec(members)?,
            usage: members.one_of("KeyUsage", &USAGES.map(|name| (name, name)))?,
            origin: members.one_of("Origin", &ORIGINS.map(|name| (name, name)))?.unwrap_or("AWS_KMS"),
            policy: members.text_of("Policy", 1..=MAX_POLICY_MEMBER_LEN, &POLICY)?.map(str::to_owned),
            bypasses_lockout_check: members.flag("BypassPolicyLockoutSafetyCheck")?,
            description: members
                .string("Description", 0..=MAX_DESCRIPTION_LEN)?
                .unwrap_or_default()
                .to_owned(),
            tags: SentTags::parse(members)?,
            is_multi_region: members.flag("MultiRegion")?,
            has_custom_key_store: custom_key_store.is_some() || external_key.is_some(),
        })
    }

    fn audit_parameters(&self) -> Value {
        let policy = self.policy.as_ref().filter(|policy| policy.len() <= MAX_POLICY_BYTES);
        AuditParameters::new()
            .with("keySpec", self.spec)
            .with_optional("keyUsage", self.usage)
            .with("origin", self.origin)
            .with("description", &self.description)
            .with("bypassPolicyLockoutSafetyCheck", self.bypasses_lockout_check)
            .with("multiRegion", self.is_multi_region)
            .with_optional("policy", policy)
            .with_optional("tags", self.tags.shown())
            .into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<CreateKeyResponse, OperationError> {
        let tags = self.tags.check()?;
        if tags.len() > MAX_TAGS {
            return Err(OperationError::TooManyTags);
        }
        let kind = self.kind()?;
        let create = KeylessAccess {
            key: Some((kind.spec().name(), kind.usage().name(), self.origin)),
            particulars: Particulars {
                bypasses_lockout_check: Some(self.bypasses_lockout_check),
                request_tags: Some(&tags),
                ..Particulars::default()
            },
            ..KeylessAccess::new("kms:CreateKey", "*")
        };
        let allowed_by = broker.authorize_by_identity(&create, invocation, event).await?;
        event.explain_optional("identityStatement", allowed_by);
        if !tags.is_empty() {
            let tag = KeylessAccess { action: "kms:TagResource", ..create };
            broker.authorize_by_identity(&tag, invocation, event).await?;
        }

        let new_key = self.new_key(kind, broker)?;
        let key = new_key.make(broker.realm(), broker.root_key(), invocation.now).await?;
        let entry = KeyEntry { key, aliases: Vec::new(), tags };
        if self.policy.is_some() && !self.bypasses_lockout_check {
            let put_policy = Access::new("kms:PutKeyPolicy", &entry);
            let is_allowed = broker.would_allow(&entry.key.policy, &put_policy, invocation).await?;
            is_allowed.then_some(()).ok_or(OperationError::PolicyLocksOut)?;
        }
        broker.store().insert_tagged_key(&entry.key, &entry.tags).await?;
        event.add_key(&entry.key.arn);
        let key_metadata = KeyMetadata::of(&entry, broker.realm(), invocation.now, super::members::as_date);
        Ok(CreateKeyResponse { key_metadata })
    }
}

impl CreateKey {
    fn kind(&self) -> Result<KeyKind, OperationError> {
        const NO_SUCH_KIND: OperationError =
            OperationError::Unsupported("this broker has no SM2, ML-DSA and ML-KEM keys");
        let spec = KeySpec::from_name(self.spec).ok_or(NO_SUCH_KIND)?;
        let usage = match self.usage {
            Some(name) => Some(KeyUsage::from_name(name).ok_or(NO_SUCH_KIND)?),
            None => None,
        };
        Ok(KeyKind::new(spec, usage)?)
    }

    fn new_key(&self, kind: KeyKind, broker: &Broker) -> Result<NewKey, OperationError> {
        if self.is_multi_region {
            return Err(NO_MULTI_REGION_KEYS);
        }
        let origin = KeyOrigin::from_name(self.origin).filter(|_| !self.has_custom_key_store);
        let origin = origin.ok_or(NO_CUSTOM_KEY_STORES)?;
        let policy = match &self.policy {
            Some(text) => KeyPolicy::parse(text),
            None => default_key_policy(broker.realm()),
        };
        Ok(NewKey {
            description: self.description.clone(),
            origin,
            kind,
            policy: policy.map_err(OperationError::MalformedPolicy)?,
        })
    }
}

/// `KeySpec`, or `CustomerMasterKeySpec`, its older name.
fn spec(members: &Members<'_>) -> Result<&'static str, MemberError> {
    let names = SPECS.map(|name| (name, name));
    let older = names.split_at(CUSTOMER_MASTER_KEY_SPECS).0;
    match (members.one_of("KeySpec", &names)?, members.one_of("CustomerMasterKeySpec", older)?) {
        (Some(_), Some(_)) => Err(MemberError::Combination(
            "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is \
             deprecated.",
        )),
        (spec, older) => Ok(spec.or(older).unwrap_or("SYMMETRIC_DEFAULT")),
    }
}
