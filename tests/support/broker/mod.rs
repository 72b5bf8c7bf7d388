//! A broker in the test's own process, put together as `serve` does it: its own store, root key and audit log in a
//! folder of its own, sockets on loopback, a clock that stands where the test sets it.

pub mod client;
pub mod database;
pub mod enclave;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use client::Client;
use database::Database;
use enclave::development_root;
use nitro_key_broker::api::Api;
use nitro_key_broker::attestation::{Requirements, TrustAnchors, Verifier};
use nitro_key_broker::audit::sink::AuditSink;
use nitro_key_broker::audit::{AuditLog, AuditSettings};
use nitro_key_broker::auth::sigv4::SignatureWindow;
use nitro_key_broker::keys::{
    AliasName, Key, KeyId, KeyIdentifier, KeyKind, KeyMaterialId, KeyOrigin, KeySpec, KeyState, KeyUsage,
    Realm, WrappedKeyMaterial,
};
use nitro_key_broker::operations::{Broker, Housekeeping, NewKey};
use nitro_key_broker::policy::{IdentityPolicy, KeyPolicy, PolicyHolder, PolicyName, PrincipalArn};
use nitro_key_broker::root_key::{FileRootKey, RootKey};
use nitro_key_broker::server::{Limits, ListenAddress, ListenerConfig, LocalAddress, Server, ServerConfig};
use nitro_key_broker::store::{
    AliasStore, Credential, CredentialStore, IdentityPolicyStore, KeyStore, SqliteStore, Store,
    credential_wrapping_context,
};
use nitro_key_broker::time::UnixTime;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub const REGION: &str = "us-east-1";
pub const ACCOUNT: &str = "111122223333";

/// Where the clock stands unless a test sets it: 2026-01-03T20:41:07Z.
pub const NOW: UnixTime = UnixTime::from_secs(1_767_472_867);

/// The path that records name the development root by.
pub const DEVELOPMENT_ROOT_PATH: &str = "development/root.pem";

/// What a test may choose about its broker.
pub struct Setup {
    pub trust_anchors: TrustAnchors,
    pub requirements: Requirements,
    pub limits: Limits,
    pub signature_window: SignatureWindow,
    /// In place of `audit.jsonl` in the broker's folder.
    pub audit_path: Option<PathBuf>,
    /// Sinks beside that file.
    pub audit_sinks: Vec<Box<dyn AuditSink>>,
}

impl Default for Setup {
    /// The AWS root and the development root, every limit at its default.
    fn default() -> Self {
        let pem = development_root().certificate_pem();
        let anchors = TrustAnchors::aws().unwrap();
        Self {
            trust_anchors: anchors.with_configured(pem.as_bytes(), Path::new(DEVELOPMENT_ROOT_PATH)).unwrap(),
            requirements: Requirements::default(),
            limits: Limits::default(),
            signature_window: SignatureWindow::default(),
            audit_path: None,
            audit_sinks: Vec::new(),
        }
    }
}

/// A broker that serves until it is dropped.
pub struct TestBroker {
    folder: TempDir,
    address: SocketAddr,
    clock_ms: Arc<AtomicU64>,
    audit_path: PathBuf,
    store: Arc<SqliteStore>,
    root_key: Arc<FileRootKey>,
    realm: Realm,
    api: Arc<Api>,
    _shutdown: oneshot::Sender<()>,
    _serving: JoinHandle<()>,
}

/// A key of the broker, with the material that nobody outside it should know.
#[derive(Clone)]
pub struct TestKey {
    pub id: KeyId,
    pub arn: String,
    pub material_id: [u8; 32],
    pub material: [u8; 32],
}

/// A key of another kind than [`TestKey`], with what nobody outside the broker should know of it.
pub struct KindredKey {
    pub id: KeyId,
    pub arn: String,
    pub spec: &'static str,
    /// PKCS#8 of a private key, or the bytes of an HMAC key.
    pub material: Vec<u8>,
    /// DER SubjectPublicKeyInfo; empty of an HMAC key.
    pub public_key: Vec<u8>,
}

/// An access key and its secret.
pub struct TestCredential {
    pub access_key_id: String,
    pub secret: String,
    pub session_token: Option<String>,
}

impl TestBroker {
    pub async fn start() -> Self {
        Self::start_with(Setup::default()).await
    }

    pub async fn start_with(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let realm = Realm::new(REGION, ACCOUNT).unwrap();
        let root_key = Arc::new(FileRootKey::create(&folder.path().join("root.key")).unwrap());
        let check = Broker::root_key_check(&*root_key).await.unwrap();
        let store =
            Arc::new(SqliteStore::create(&folder.path().join("keys.sqlite3"), &realm, &check).await.unwrap());

        let verifier = Verifier::new(setup.trust_anchors, setup.requirements);
        let broker =
            Broker::new(Arc::clone(&store) as Arc<dyn Store>, root_key.clone(), verifier).await.unwrap();
        let audit_path = setup.audit_path.unwrap_or_else(|| folder.path().join("audit.jsonl"));
        let settings = AuditSettings {
            file: Some(audit_path.clone()),
            sinks: setup.audit_sinks,
            ..AuditSettings::default()
        };
        let audit = AuditLog::start(settings).unwrap();
        let clock_ms = Arc::new(AtomicU64::new(NOW.as_ms()));
        let clock = Arc::clone(&clock_ms);
        let clock = Arc::new(move || UnixTime::from_ms(clock.load(Ordering::SeqCst)));
        let api = Api::new(broker, audit, clock).with_signature_window(setup.signature_window);
        let api = Arc::new(api);

        let loopback =
            ListenAddress::Tcp { address: "127.0.0.1:0".parse().unwrap(), allow_plain_non_loopback: false };
        let unix = ListenAddress::Unix {
            path: folder.path().join("broker.sock"),
            mode: ListenAddress::DEFAULT_UNIX_MODE,
        };
        let listeners = [loopback, unix].map(|address| ListenerConfig { address, tls: None }).into();
        let bound = Server::bind(ServerConfig { listeners, limits: setup.limits }).await.unwrap();
        let LocalAddress::Tcp(address) = bound.local_addresses()[0] else { panic!("not TCP") };
        let (shutdown, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(bound.run(Arc::clone(&api), async move { drop(stopped.await) }));
        Self {
            folder,
            address,
            clock_ms,
            audit_path,
            store,
            root_key,
            realm,
            api,
            _shutdown: shutdown,
            _serving: serving,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the database and its companions are, the root key and, by default, the audit log.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn realm(&self) -> &Realm {
        &self.realm
    }

    /// What the running broker does from time to time.
    pub async fn keep_house(&self) -> Housekeeping {
        self.api.keep_house().await.unwrap()
    }

    pub fn api(&self) -> &Arc<Api> {
        &self.api
    }

    pub fn root_key(&self) -> &FileRootKey {
        &self.root_key
    }

    pub fn store(&self) -> &SqliteStore {
        &self.store
    }

    pub fn now(&self) -> UnixTime {
        UnixTime::from_ms(self.clock_ms.load(Ordering::SeqCst))
    }

    pub fn set_clock(&self, now: UnixTime) {
        self.clock_ms.store(now.as_ms(), Ordering::SeqCst);
    }

    /// A new connection over TCP.
    pub async fn connect(&self) -> Client {
        Client::over_tcp(self.address).await
    }

    /// A new connection over the Unix socket.
    pub async fn connect_unix(&self) -> Client {
        Client::over_unix(&self.folder.path().join("broker.sock")).await
    }

    /// The database file as another process sees it.
    pub async fn database(&self) -> Database {
        Database::open(&self.folder.path().join("keys.sqlite3")).await
    }

    /// A new key under `policy`, its material known to the test.
    pub async fn create_key(&self, policy: &Value) -> TestKey {
        let (material_id, material) = rand::random();
        self.insert_key(KeyId::from_random_bytes(rand::random()), material_id, material, policy).await
    }

    /// A key of this id and material under `policy`.
    pub async fn insert_key(
        &self,
        id: KeyId,
        material_id: [u8; 32],
        material: [u8; 32],
        policy: &Value,
    ) -> TestKey {
        let wrapped = self.wrap_material(id, material_id, &material).await;
        let key = Key {
            id,
            arn: self.realm.key_arn(id),
            state: KeyState::Enabled,
            spec: KeySpec::SymmetricDefault,
            usage: KeyUsage::EncryptDecrypt,
            origin: KeyOrigin::AwsKms,
            public_key: None,
            description: String::new(),
            created_at: self.now(),
            deletion_at: None,
            rotation: None,
            policy: Arc::new(parse_policy(policy)),
            materials: vec![WrappedKeyMaterial::new(KeyMaterialId::from_bytes(material_id), wrapped)],
        };
        self.store.insert_key(&key).await.unwrap();
        TestKey { id, arn: key.arn.to_string(), material_id, material }
    }

    /// A new key of this spec for this usage under `policy`, made as the broker makes it.
    pub async fn create_key_of(&self, spec: &'static str, usage: &str, policy: &Value) -> KindredKey {
        let kind = KeyKind::new(KeySpec::from_name(spec).unwrap(), KeyUsage::from_name(usage)).unwrap();
        let new_key = NewKey {
            description: String::new(),
            origin: KeyOrigin::AwsKms,
            policy: parse_policy(policy),
            kind,
        };
        let key = new_key.make(&self.realm, &*self.root_key, self.now()).await.unwrap();
        self.store.insert_key(&key).await.unwrap();
        let wrapped = &key.materials[0];
        let context = wrapped.id().wrapping_context(key.id);
        let material = self.root_key.unwrap_key(&context, wrapped.wrapped().unwrap()).await.unwrap().to_vec();
        let public_key = key.public_key.clone().unwrap_or_default();
        KindredKey { id: key.id, arn: key.arn.to_string(), spec, material, public_key }
    }

    /// `material` under the broker's root key, bound to its key and version.
    pub async fn wrap_material(&self, key: KeyId, material_id: [u8; 32], material: &[u8]) -> Vec<u8> {
        let context = KeyMaterialId::from_bytes(material_id).wrapping_context(key);
        self.root_key.wrap(&context, material).await.unwrap()
    }

    /// The key's first material as the store holds it.
    pub async fn wrapped_material(&self, key: &TestKey) -> Vec<u8> {
        let found = self.store.find_key(&KeyIdentifier::Key(key.id)).await.unwrap().unwrap();
        found.key.materials[0].wrapped().unwrap().to_vec()
    }

    /// Whether the database or its companions hold these bytes anywhere.
    pub fn files_hold(&self, bytes: &[u8]) -> bool {
        ["keys.sqlite3", "keys.sqlite3-wal"].iter().any(|file| {
            let content = std::fs::read(self.folder().join(file)).unwrap_or_default();
            content.windows(bytes.len()).any(|window| window == bytes)
        })
    }

    pub async fn create_alias(&self, name: &str, key: &TestKey) {
        let name = AliasName::parse(name).unwrap();
        self.store.insert_alias(&name, key.id, self.now()).await.unwrap();
    }

    pub async fn set_policy(&self, key: &TestKey, policy: &Value) {
        self.set_policy_of(key.id, policy).await;
    }

    pub async fn set_policy_of(&self, key: KeyId, policy: &Value) {
        self.store.set_policy(key, &parse_policy(policy)).await.unwrap();
    }

    /// Attaches an identity policy to a user or role, in place of one of the same name.
    pub async fn attach_policy(&self, principal: &str, name: &str, policy: &Value) {
        let (holder, name) = (PolicyHolder::parse(principal).unwrap(), PolicyName::parse(name).unwrap());
        let policy = IdentityPolicy::parse(&policy.to_string()).unwrap();
        self.store.put_identity_policy(&holder, &name, &policy).await.unwrap();
    }

    /// An access key for `principal`; with `lifetime_secs` it has a session token and ends.
    pub async fn create_credential(&self, principal: &str, lifetime_secs: Option<u64>) -> TestCredential {
        let hex = hex::encode_upper(rand::random::<[u8; 8]>());
        let access_key_id = format!("{}{hex}", if lifetime_secs.is_some() { "ASIA" } else { "AKIA" });
        let secret = hex::encode(rand::random::<[u8; 20]>());
        let session_token = lifetime_secs.map(|_| hex::encode(rand::random::<[u8; 32]>()));
        let principal = PrincipalArn::parse(principal).unwrap();
        let context = credential_wrapping_context(&access_key_id, &principal);
        let credential = Credential {
            access_key_id: access_key_id.clone(),
            wrapped_secret: self.root_key.wrap(&context, secret.as_bytes()).await.unwrap(),
            principal,
            session_token_sha256: session_token.as_ref().map(|token| Sha256::digest(token).into()),
            created_at: self.now(),
            expires_at: lifetime_secs.map(|secs| UnixTime::from_secs(self.now().as_secs() + secs)),
        };
        self.store.insert_credential(&credential).await.unwrap();
        TestCredential { access_key_id, secret, session_token }
    }

    /// Every record so far, in order.
    pub fn audit_records(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.audit_path).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'), "the last record is torn");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The one record of the request that was answered with `request_id`.
    pub fn audit_record(&self, request_id: &str) -> Value {
        let mut records: Vec<Value> = self.audit_records();
        records.retain(|record| record["requestID"] == request_id);
        assert_eq!(records.len(), 1, "one record to a request");
        records.remove(0)
    }
}

/// How a recorded request ended and by what, without the questions that led there.
pub fn ending(record: &Value) -> Value {
    let mut decision = record["additionalEventData"]["decision"].clone();
    assert!(decision.as_object_mut().unwrap().remove("asked").is_some_and(|asked| asked.is_array()));
    decision
}

pub fn parse_policy(policy: &Value) -> KeyPolicy {
    KeyPolicy::parse(&policy.to_string()).unwrap()
}

/// What an identity policy with one statement says of `actions`.
pub fn identity_policy(effect: &str, actions: &Value, resource: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": {"Effect": effect, "Action": actions, "Resource": resource},
    })
}

/// Everything to everybody, whatever enclave it is.
pub fn open_policy() -> Value {
    policy(&json!({}))
}

/// Everything to everybody under `condition`.
pub fn policy(condition: &Value) -> Value {
    let mut statement = json!({
        "Sid": "Enclave", "Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*",
    });
    if condition != &json!({}) {
        statement["Condition"] = condition.clone();
    }
    json!({"Version": "2012-10-17", "Statement": [statement]})
}

/// Everything to everybody in the enclave with this PCR0, in lower-case hexadecimal.
pub fn policy_on_pcr0(pcr0: &str) -> Value {
    policy(&json!({"StringEquals": {"kms:RecipientAttestation:PCR0": pcr0}}))
}
