//! The KMS operations, one file each. A file holds the operation's members with their modelled constraints, and tells
//! its story once, from the typed request to the response.

mod alias;
mod audit_parameters;
mod authorization;
mod broker;
mod cancel_key_deletion;
mod connect_custom_key_store;
mod create_alias;
mod create_custom_key_store;
mod create_grant;
mod create_key;
mod custom_key_store;
mod decapsulate;
mod decrypt;
mod delete_alias;
mod delete_custom_key_store;
mod delete_imported_key_material;
mod derive_shared_secret;
mod describe_custom_key_stores;
mod describe_key;
mod disable_key;
mod disable_key_rotation;
mod disconnect_custom_key_store;
mod enable_key;
mod enable_key_rotation;
mod encapsulate;
mod encapsulation;
mod encrypt;
mod encryption_terms;
mod error;
mod generate_data_key;
mod generate_data_key_pair;
mod generate_data_key_pair_without_plaintext;
mod generate_data_key_without_plaintext;
mod generate_mac;
mod generate_random;
mod get_key_last_usage;
mod get_key_policy;
mod get_key_rotation_status;
mod get_parameters_for_import;
mod get_public_key;
mod grant_members;
mod grant_tokens;
mod housekeeping;
mod import_key_material;
mod import_token;
mod key_metadata;
mod key_policy_name;
mod last_usages;
mod list_aliases;
mod list_grants;
mod list_key_policies;
mod list_key_rotations;
mod list_keys;
mod list_resource_tags;
mod list_retirable_grants;
mod managed_key;
mod members;
mod multi_region;
mod new_key;
mod page;
mod pattern;
mod put_key_policy;
mod re_encrypt;
mod received_ciphertext;
mod recipient;
mod replicate_key;
mod retire_grant;
mod revoke_grant;
mod rotate_key_on_demand;
mod schedule_key_deletion;
mod sign;
mod tag_resource;
mod tags;
mod untag_resource;
mod update_alias;
mod update_custom_key_store;
mod update_key_description;
mod update_primary_region;
mod verify;
mod verify_mac;

use std::future::Future;
use std::net::IpAddr;

use serde::Serialize;

pub use broker::{Broker, BrokerError};
pub use cancel_key_deletion::CancelKeyDeletion;
pub use connect_custom_key_store::ConnectCustomKeyStore;
pub use create_alias::CreateAlias;
pub use create_custom_key_store::CreateCustomKeyStore;
pub use create_grant::CreateGrant;
pub use create_key::CreateKey;
pub use decapsulate::Decapsulate;
pub use decrypt::Decrypt;
pub use delete_alias::DeleteAlias;
pub use delete_custom_key_store::DeleteCustomKeyStore;
pub use delete_imported_key_material::DeleteImportedKeyMaterial;
pub use derive_shared_secret::DeriveSharedSecret;
pub use describe_custom_key_stores::DescribeCustomKeyStores;
pub use describe_key::DescribeKey;
pub use disable_key::DisableKey;
pub use disable_key_rotation::DisableKeyRotation;
pub use disconnect_custom_key_store::DisconnectCustomKeyStore;
pub use enable_key::EnableKey;
pub use enable_key_rotation::EnableKeyRotation;
pub use encapsulate::Encapsulate;
pub use encrypt::Encrypt;
pub use error::OperationError;
pub use generate_data_key::GenerateDataKey;
pub use generate_data_key_pair::GenerateDataKeyPair;
pub use generate_data_key_pair_without_plaintext::GenerateDataKeyPairWithoutPlaintext;
pub use generate_data_key_without_plaintext::GenerateDataKeyWithoutPlaintext;
pub use generate_mac::GenerateMac;
pub use generate_random::GenerateRandom;
pub use get_key_last_usage::GetKeyLastUsage;
pub use get_key_policy::GetKeyPolicy;
pub use get_key_rotation_status::GetKeyRotationStatus;
pub use get_parameters_for_import::GetParametersForImport;
pub use get_public_key::GetPublicKey;
pub use housekeeping::{Housekeeping, keep_house};
pub use import_key_material::ImportKeyMaterial;
pub use key_metadata::KeyMetadata;
pub use list_aliases::ListAliases;
pub use list_grants::ListGrants;
pub use list_key_policies::ListKeyPolicies;
pub use list_key_rotations::ListKeyRotations;
pub use list_keys::ListKeys;
pub use list_resource_tags::ListResourceTags;
pub use list_retirable_grants::ListRetirableGrants;
pub use members::{MemberError, Members};
pub use new_key::{NewKey, default_key_policy};
pub use put_key_policy::PutKeyPolicy;
pub use re_encrypt::ReEncrypt;
pub use replicate_key::ReplicateKey;
pub use retire_grant::RetireGrant;
pub use revoke_grant::RevokeGrant;
pub use rotate_key_on_demand::RotateKeyOnDemand;
pub use schedule_key_deletion::ScheduleKeyDeletion;
pub use sign::Sign;
pub use tag_resource::TagResource;
pub use tags::TagError;
pub use untag_resource::UntagResource;
pub use update_alias::UpdateAlias;
pub use update_custom_key_store::UpdateCustomKeyStore;
pub use update_key_description::UpdateKeyDescription;
pub use update_primary_region::UpdatePrimaryRegion;
pub use verify::Verify;
pub use verify_mac::VerifyMac;

use crate::audit::AuditEvent;
use crate::policy::Caller;
use crate::time::UnixTime;

/// One operation of the KMS API: its request members and what it does with them.
pub trait Operation: Sized + Send + Sync {
    /// Its name behind `TrentService.` in `X-Amz-Target`.
    const NAME: &'static str;

    /// Whether it leaves everything as it is; CloudTrail's `readOnly`, which counts making a data key as reading.
    const READ_ONLY: bool = true;

    /// The members of its response. No response type of this crate has one for plaintext.
    type Response: Serialize + Send;

    /// Reads its members and checks every constraint of the service model.
    ///
    /// # Errors
    /// The first member that violates one.
    fn parse(members: &Members<'_>) -> Result<Self, MemberError>;

    /// The `requestParameters` of its audit record: nothing secret, nothing bulky.
    fn audit_parameters(&self) -> serde_json::Value;

    /// Carries it out, noting in `event` what the audit record should show.
    ///
    /// # Errors
    /// Why not. Nothing of the key has then left.
    fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> impl Future<Output = Result<Self::Response, OperationError>> + Send;
}

/// What is known about a request beside its members.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Who asks.
    pub caller: Caller,
    /// When.
    pub now: UnixTime,
    /// From where, on a transport that has addresses.
    pub source_ip: Option<IpAddr>,
    /// Whether over TLS.
    pub secure_transport: bool,
    /// What the request says of its sender, cut to 256 bytes.
    pub user_agent: Option<String>,
}
