use serde::Serialize;

use crate::keys::{Import, KeySpec, KeyState, Realm, WrappedKeyMaterial};
use crate::store::KeyEntry;
use crate::time::UnixTime;

/// What there is to say about a key (KMS API reference, *KeyMetadata*). `D` is the form that dates take.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct KeyMetadata<D> {
    #[serde(rename = "AWSAccountId")]
    pub(crate) aws_account_id: String,
    pub(crate) key_id: String,
    pub(crate) arn: String,
    pub(crate) creation_date: D,
    pub(crate) enabled: bool,
    pub(crate) description: String,
    pub(crate) key_usage: &'static str,
    pub(crate) key_state: &'static str,
    pub(crate) origin: &'static str,
    pub(crate) key_manager: &'static str,
    pub(crate) customer_master_key_spec: &'static str,
    pub(crate) key_spec: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) encryption_algorithms: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) signing_algorithms: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) key_agreement_algorithms: Vec<&'static str>,
    pub(crate) multi_region: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deletion_date: Option<D>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) mac_algorithms: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) valid_to: Option<D>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expiration_model: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) current_key_material_id: Option<String>,
}

impl<D> KeyMetadata<D> {
    pub(crate) fn of(entry: &KeyEntry, realm: &Realm, now: UnixTime, date: impl Fn(UnixTime) -> D) -> Self {
        let key = &entry.key;
        let current = key.current_material();
        let import = current.filter(|material| material.is_there(now)).and_then(WrappedKeyMaterial::import);
        Self {
            aws_account_id: realm.account().to_owned(),
            key_id: key.id.to_string(),
            arn: key.arn.to_string(),
            creation_date: date(key.created_at),
            enabled: key.state_at(now) == KeyState::Enabled,
            description: key.description.clone(),
            key_usage: key.usage.name(),
            key_state: key.state_at(now).name(),
            origin: key.origin.name(),
            key_manager: "CUSTOMER",
            customer_master_key_spec: key.spec.name(),
            key_spec: key.spec.name(),
            encryption_algorithms: key.encryption_algorithms(),
            signing_algorithms: key.signing_algorithms(),
            key_agreement_algorithms: key.key_agreement_algorithms(),
            multi_region: false,
            deletion_date: key.deletion_at.map(&date),
            mac_algorithms: key.mac_algorithms(),
            valid_to: import.and_then(|import| import.valid_to).map(&date),
            expiration_model: import.map(Import::expiration_model),
            // KMS tells it of keys that can be rotated.
            current_key_material_id: current
                .filter(|_| key.spec == KeySpec::SymmetricDefault)
                .map(|material| material.id().to_string()),
        }
    }
}
