//! For each operation a request that succeeds, on keys of its own, and every kind of evidence that it may carry.

use std::sync::Arc;

use nitro_key_broker::keys::{KeyIdentifier, KeyKind, KeyOrigin};
use nitro_key_broker::operations::NewKey;
use nitro_key_broker::root_key::RootKey as _;
use nitro_key_broker::store::KeyStore as _;
use nitro_key_broker::time::UnixTime;
use rsa::PublicKey;
use rsa::pkcs8::DecodePublicKey as _;
use serde_json::{Value, json};

use super::broker::client::{Answer, Client, request};
use super::broker::enclave::{Enclave, recipient};
use super::broker::{NOW, TestBroker, TestCredential, identity_policy, open_policy, parse_policy};
use super::signer::sign;
use super::{Secret, decode, encode};

/// Whoever walks.
const PRINCIPAL: &str = "arn:aws:iam::111122223333:role/app";

/// The member `Recipient` in every form that it comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    Absent,
    Genuine,
    Forged,
    Stale,
    NoDocument,
    WithoutAlgorithm,
}

impl Evidence {
    pub const ALL: [Self; 6] =
        [Self::Absent, Self::Genuine, Self::Forged, Self::Stale, Self::NoDocument, Self::WithoutAlgorithm];

    fn member(self, enclave: &Enclave, now: UnixTime) -> Value {
        match self {
            Self::Absent => Value::Null,
            Self::Genuine => enclave.recipient(now),
            Self::Forged => {
                let mut document = enclave.document(now);
                let middle = document.len() / 2;
                document[middle] ^= 1;
                recipient(&document)
            }
            Self::Stale => enclave.recipient(UnixTime::from_secs(now.as_secs() - 3600)),
            Self::NoDocument => recipient(b"no document"),
            Self::WithoutAlgorithm => json!({"AttestationDocument": encode(&enclave.document(now))}),
        }
    }
}

/// The names of all operations, as the page that a test holds against the service model lists them.
pub fn operations() -> Vec<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/kms-compatibility.md");
    let mut names: Vec<String> = std::fs::read_to_string(page)
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" |").next().map(str::to_owned))
        .filter(|name| name.starts_with(|first: char| first.is_ascii_uppercase()))
        .collect();
    // Each stands there once for itself and once for each of its parameters.
    names.dedup();
    assert_eq!(names.len(), 56, "{names:?}");
    names
}

/// Makes requests on keys that are open to all, and remembers what must not be found in any answer.
pub struct Walk<'b> {
    broker: &'b TestBroker,
    client: Client,
    credential: TestCredential,
    pub enclave: Enclave,
    pub secrets: Vec<Secret>,
    aliases: u32,
}

impl<'b> Walk<'b> {
    pub async fn over(broker: &'b TestBroker) -> Self {
        // What has no key policy to ask, such as CreateKey.
        broker.attach_policy(PRINCIPAL, "all", &identity_policy("Allow", &json!("kms:*"), "*")).await;
        Self {
            broker,
            client: broker.connect().await,
            credential: broker.create_credential(PRINCIPAL, None).await,
            enclave: Enclave::new(),
            secrets: Vec::new(),
            aliases: 0,
        }
    }

    /// One operation, signed.
    pub async fn call(&mut self, operation: &str, members: &Value) -> Answer {
        let signed = sign(request(operation, members.to_string()), &self.credential, self.broker.now()).await;
        self.client.send(signed).await
    }

    /// The members of a request that succeeds if its evidence lets it.
    ///
    /// # Panics
    /// When there is no such request: whoever adds an operation gives it one here.
    pub async fn request(&mut self, operation: &str, evidence: Evidence) -> Value {
        let mut members = self.members_of(operation).await;
        let evidence = evidence.member(&self.enclave, self.broker.now());
        if evidence != Value::Null {
            members["Recipient"] = evidence;
        }
        members
    }

    async fn members_of(&mut self, operation: &str) -> Value {
        match operation {
            "CancelKeyDeletion" => json!({"KeyId": self.pending_deletion().await}),
            "ConnectCustomKeyStore"
            | "DeleteCustomKeyStore"
            | "DisconnectCustomKeyStore"
            | "UpdateCustomKeyStore" => json!({"CustomKeyStoreId": "cks-1234567890abcdef0"}),
            "CreateAlias" => json!({"AliasName": self.alias_name(), "TargetKeyId": self.key().await}),
            "CreateGrant" => self.members_of_grant().await,
            "CreateCustomKeyStore" => json!({"CustomKeyStoreName": "store"}),
            "CreateKey" | "ListAliases" | "ListKeys" => json!({}),
            "Decapsulate" => json!({
                "KeyId": self.key().await, "EncapsulationAlgorithm": "ML_KEM",
                "SharedSecretCiphertextBlob": encode(&[1; 32]),
            }),
            "Decrypt" => json!({"CiphertextBlob": self.ciphertext().await}),
            "DeleteAlias" => json!({"AliasName": self.alias().await}),
            "DeleteImportedKeyMaterial" => json!({"KeyId": self.imported().await}),
            "DeriveSharedSecret" => {
                let key = self.broker.create_key_of("ECC_NIST_P256", "KEY_AGREEMENT", &open_policy()).await;
                let peer = encode(&key.public_key);
                json!({"KeyId": key.arn, "KeyAgreementAlgorithm": "ECDH", "PublicKey": peer})
            }
            "DescribeCustomKeyStores" => json!({}),
            "DescribeKey"
            | "DisableKey"
            | "DisableKeyRotation"
            | "EnableKey"
            | "EnableKeyRotation"
            | "GetKeyLastUsage"
            | "GetKeyPolicy"
            | "GetKeyRotationStatus"
            | "ListKeyPolicies"
            | "ListResourceTags"
            | "RotateKeyOnDemand"
            | "ScheduleKeyDeletion" => json!({"KeyId": self.key().await}),
            "Encapsulate" => json!({"KeyId": self.key().await, "EncapsulationAlgorithm": "ML_KEM"}),
            "Encrypt" => json!({"KeyId": self.key().await, "Plaintext": self.plaintext()}),
            "GenerateDataKey" | "GenerateDataKeyWithoutPlaintext" => {
                json!({"KeyId": self.key().await, "KeySpec": "AES_256"})
            }
            "GenerateDataKeyPair" | "GenerateDataKeyPairWithoutPlaintext" => {
                json!({"KeyId": self.key().await, "KeyPairSpec": "ECC_NIST_P256"})
            }
            "GenerateMac" => self.members_of_mac().await,
            "GenerateRandom" => json!({"NumberOfBytes": 32}),
            "GetParametersForImport" => parameters_of_import(&self.external().await),
            "GetPublicKey" => json!({"KeyId": self.members_of_signature().await["KeyId"]}),
            "ImportKeyMaterial" => {
                let key = self.external().await;
                self.import(&key).await
            }
            "ListGrants" => json!({"KeyId": self.grant().await["KeyId"]}),
            "ListRetirableGrants" => json!({"RetiringPrincipal": PRINCIPAL}),
            "RetireGrant" | "RevokeGrant" => self.grant().await,
            "ListKeyRotations" => {
                json!({"KeyId": self.imported().await, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"})
            }
            "PutKeyPolicy" => json!({"KeyId": self.key().await, "Policy": open_policy().to_string()}),
            "ReEncrypt" => {
                json!({"CiphertextBlob": self.ciphertext().await, "DestinationKeyId": self.key().await})
            }
            "ReplicateKey" => json!({"KeyId": self.key().await, "ReplicaRegion": "eu-west-1"}),
            "Sign" => self.members_of_signature().await,
            "TagResource" => json!({"KeyId": self.key().await, "Tags": [{"TagKey": "a", "TagValue": "b"}]}),
            "UntagResource" => json!({"KeyId": self.key().await, "TagKeys": ["a"]}),
            "UpdateAlias" => json!({"AliasName": self.alias().await, "TargetKeyId": self.key().await}),
            "UpdateKeyDescription" => json!({"KeyId": self.key().await, "Description": "a key"}),
            "UpdatePrimaryRegion" => json!({"KeyId": self.key().await, "PrimaryRegion": "eu-west-1"}),
            "Verify" => {
                let mut members = self.members_of_signature().await;
                members["Signature"] = self.call("Sign", &members).await.members()["Signature"].take();
                members
            }
            "VerifyMac" => {
                let mut members = self.members_of_mac().await;
                members["Mac"] = self.call("GenerateMac", &members).await.members()["Mac"].take();
                members
            }
            _ => panic!("{operation} is answered, and never_plaintext has no request for it: add one here"),
        }
    }

    async fn members_of_signature(&mut self) -> Value {
        let key = self.broker.create_key_of("ECC_NIST_P256", "SIGN_VERIFY", &open_policy()).await;
        json!({"KeyId": key.arn, "Message": encode(b"to be signed"), "SigningAlgorithm": "ECDSA_SHA_256"})
    }

    async fn members_of_mac(&mut self) -> Value {
        let key = self.broker.create_key_of("HMAC_256", "GENERATE_VERIFY_MAC", &open_policy()).await;
        json!({"KeyId": key.arn, "Message": encode(b"to be signed"), "MacAlgorithm": "HMAC_SHA_256"})
    }

    /// The id of a new symmetric key.
    async fn key(&mut self) -> String {
        self.broker.create_key(&open_policy()).await.id.to_string()
    }

    /// The id of a new key without material.
    async fn external(&mut self) -> String {
        let new_key = NewKey {
            description: String::new(),
            origin: KeyOrigin::External,
            policy: parse_policy(&open_policy()),
            kind: KeyKind::SYMMETRIC,
        };
        let key = new_key.make(self.broker.realm(), self.broker.root_key(), NOW).await.unwrap();
        self.broker.store().insert_key(&key).await.unwrap();
        key.id.to_string()
    }

    /// The id of a new key with imported material.
    async fn imported(&mut self) -> String {
        let key = self.external().await;
        let import = self.import(&key).await;
        self.call("ImportKeyMaterial", &import).await.members();
        key
    }

    async fn import(&mut self, key: &str) -> Value {
        let parameters = self.call("GetParametersForImport", &parameters_of_import(key)).await.members();
        let wrapping_key = PublicKey::from_public_key_der(&decode(&parameters["PublicKey"])).unwrap();
        let material: [u8; 32] = rand::random();
        self.secrets.push(Secret { what: "imported material", bytes: material.to_vec() });
        json!({
            "KeyId": key,
            "ImportToken": parameters["ImportToken"],
            "EncryptedKeyMaterial": encode(&wrapping_key.oaep_encrypt::<sha2::Sha256>(&material).unwrap()),
            "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
        })
    }

    async fn pending_deletion(&mut self) -> String {
        let key = self.key().await;
        self.call("ScheduleKeyDeletion", &json!({"KeyId": key})).await.members();
        key
    }

    fn alias_name(&mut self) -> String {
        self.aliases += 1;
        format!("alias/walk-{}", self.aliases)
    }

    /// The name of a new alias of a new key.
    async fn alias(&mut self) -> String {
        let name = self.alias_name();
        let members = json!({"AliasName": name, "TargetKeyId": self.key().await});
        self.call("CreateAlias", &members).await.members();
        name
    }

    /// `KeyId` and `GrantId` of a new grant.
    async fn grant(&mut self) -> Value {
        let mut members = self.members_of_grant().await;
        members["RetiringPrincipal"] = json!(PRINCIPAL);
        let made = self.call("CreateGrant", &members).await.members();
        json!({"KeyId": members["KeyId"], "GrantId": made["GrantId"]})
    }

    async fn members_of_grant(&mut self) -> Value {
        json!({"KeyId": self.key().await, "GranteePrincipal": PRINCIPAL, "Operations": ["Decrypt"]})
    }

    fn plaintext(&mut self) -> Value {
        let plaintext: [u8; 32] = rand::random();
        self.secrets.push(Secret { what: "plaintext", bytes: plaintext.to_vec() });
        encode(&plaintext)
    }

    async fn ciphertext(&mut self) -> Value {
        let members = json!({"KeyId": self.key().await, "Plaintext": self.plaintext()});
        self.call("Encrypt", &members).await.members()["CiphertextBlob"].take()
    }

    /// Remembers the material of every key that there is, as the root key unwraps it.
    pub async fn remember_all_material(&mut self) {
        const MORE_THAN_THERE_ARE: u32 = 1000;
        let entries = self.broker.store().list_keys(None, MORE_THAN_THERE_ARE).await.unwrap();
        assert!(entries.len() > 1 && entries.len() < MORE_THAN_THERE_ARE as usize, "{}", entries.len());
        for entry in entries {
            // With all of its material, which a list may leave out.
            let entry =
                self.broker.store().find_key(&KeyIdentifier::Key(entry.key.id)).await.unwrap().unwrap();
            let key = &Arc::clone(&entry).key;
            for material in &key.materials {
                let Some(wrapped) = material.wrapped() else { continue };
                let context = material.id().wrapping_context(key.id);
                let bytes = self.broker.root_key().unwrap_key(&context, wrapped).await.unwrap().to_vec();
                self.secrets.push(Secret { what: "key material", bytes });
            }
        }
    }
}

fn parameters_of_import(key: &str) -> Value {
    json!({"KeyId": key, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"})
}
