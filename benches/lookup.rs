//! Lookups in a store of 10,000 keys and 100,000 grants beside those in a store of ten keys, in one run.
//!
//! - `request`: GenerateDataKey from its members to its answer, for any key of the store, remembered, with a document that
//!   was verified before;
//! - `cached`: the store's answer alone, remembered, for the same ten keys in both stores and for any;
//! - `after a change`: the same, any, after another connection has changed one of the keys;
//! - `first read`: the store's answer alone through SQLite, of a key that nobody has asked for since the store was opened.
//!
//! Both stores take turns, so that whatever else the machine does meets both.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "a measurement may stop at the first surprise, and its result goes to standard output"
)]

#[path = "support/work.rs"]
#[allow(dead_code, reason = "the other measurements use the rest")]
mod work;

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use nitro_key_broker::attestation::{Requirements, TrustAnchors, Verifier};
use nitro_key_broker::audit::{AuditEvent, Subject};
use nitro_key_broker::json::Json;
use nitro_key_broker::keys::{AliasName, KeyId, KeyIdentifier, Realm};
use nitro_key_broker::operations::{Broker, GenerateDataKey, Invocation, Members, Operation};
use nitro_key_broker::policy::{Caller, GrantId, PrincipalArn};
use nitro_key_broker::root_key::{FileRootKey, RootKey, wrap_new_material};
use nitro_key_broker::store::{CredentialStore, GrantStore, KeyStore, MAX_STALENESS, SqliteStore, Store};
use nitro_key_broker::time::UnixTime;
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;
use work::RecordedDocument;

const SMALL: usize = 10;
const LARGE: usize = 10_000;
const GRANTS_PER_KEY: usize = 10;
/// As many in both stores.
const GRANTEES: usize = 100;
const ACCOUNT: &str = "111122223333";
const TARGET: f64 = 1.2;

/// Turns of the two stores, and lookups of each in one turn.
const TURNS: usize = 150;
const LOOKUPS: usize = 10;
const CACHED_TURNS: usize = 1_000;
const CACHED_LOOKUPS: usize = 200;
const REQUEST_TURNS: usize = 500;
const REQUESTS: usize = 20;

const ADMIN: &str = "arn:aws:iam::111122223333:role/admin";
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":{"Sid":"Admin","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/admin"},"Action":"kms:*","Resource":"*"}}"#;

/// What is looked for.
#[derive(Clone, Copy)]
enum By {
    Id,
    Alias,
    /// The grant whose id a token holds. To open the token is the same work in every store and left out.
    Token,
    /// The grants on a key that name a caller.
    Caller,
}

const EVERY_WAY: [(By, &str); 4] = [
    (By::Id, "key by id"),
    (By::Alias, "key by alias"),
    (By::Token, "grant by token"),
    (By::Caller, "grants to a caller"),
];

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run());
}

async fn run() {
    let (mut small, mut large) = (Place::fill(SMALL).await, Place::fill(LARGE).await);
    println!(
        "{LARGE} keys and {} grants ÷ {SMALL} keys and {}:",
        LARGE * GRANTS_PER_KEY,
        SMALL * GRANTS_PER_KEY
    );
    let row = |name: &str, lookups: &str, few: Vec<Duration>, many: Vec<Duration>| {
        let (few, many) = (median(few), median(many));
        let ratio = many / few;
        // The aim is one for requests; what lies within them is there to see where their time goes.
        let verdict = match (lookups.starts_with("request"), ratio <= TARGET) {
            (true, true) => format!(" (target ≤ {TARGET}: met)"),
            (true, false) => format!(" (target ≤ {TARGET}: MISSED)"),
            (false, _) => String::new(),
        };
        println!(
            "  {name:<20} {lookups:<22} {:>9.3} µs {:>9.3} µs   {ratio:.3}{verdict}",
            few * 1e6,
            many * 1e6
        );
    };
    for (by, name) in EVERY_WAY {
        let (mut few, mut many) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            for (place, times) in [(&small, &mut few), (&large, &mut many)] {
                let opened = place.open_again().await;
                for at in place.spread(LOOKUPS) {
                    times.push(time(&opened, by, &[place.keys[at].clone()]).await);
                }
            }
        }
        row(name, "first read", few, many);
    }
    for (by, name) in EVERY_WAY {
        // Everything is remembered before it is measured.
        for place in [&small, &large] {
            time(&place.store, by, &place.keys).await;
        }
        for (lookups, among) in [("cached, the same ten", SMALL), ("cached, any", LARGE)] {
            let (mut few, mut many) = (Vec::new(), Vec::new());
            for _ in 0..CACHED_TURNS {
                for (place, times) in [(&small, &mut few), (&large, &mut many)] {
                    let wanted = place.any(CACHED_LOOKUPS, among);
                    times.push(time(&place.store, by, &wanted).await / CACHED_LOOKUPS as u32);
                }
            }
            row(name, lookups, few, many);
        }
        let (mut few, mut many) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            for (place, times) in [(&mut small, &mut few), (&mut large, &mut many)] {
                place.change().await;
                for at in place.spread(LOOKUPS) {
                    times.push(time(&place.store, by, &[place.keys[at].clone()]).await);
                }
            }
        }
        row(name, "after a change", few, many);
    }
    for (by, name) in [(By::Id, "key by id"), (By::Alias, "key by alias"), (By::Token, "grant by token")] {
        for place in [&small, &large] {
            place.time_requests(by, &place.keys).await;
        }
        let (mut few, mut many) = (Vec::new(), Vec::new());
        for _ in 0..REQUEST_TURNS {
            for (place, times) in [(&small, &mut few), (&large, &mut many)] {
                let wanted = place.any(REQUESTS, LARGE);
                times.push(place.time_requests(by, &wanted).await / REQUESTS as u32);
            }
        }
        row(name, "request", few, many);
        let (mut few, mut many) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            for (place, times) in [(&mut small, &mut few), (&mut large, &mut many)] {
                place.change().await;
                let wanted = place.any(REQUESTS, LARGE);
                times.push(place.time_requests(by, &wanted).await / REQUESTS as u32);
            }
        }
        row(name, "request after a change", few, many);
    }
}

/// A store on a file of its own.
struct Place {
    broker: Broker,
    store: Arc<SqliteStore>,
    other: SqliteConnection,
    keys: Vec<Named>,
    /// Recorded on real hardware, in base64, and when it was fresh.
    document: String,
    now: UnixTime,
    folder: TempDir,
}

#[derive(Clone)]
struct Named {
    id: KeyId,
    by_id: KeyIdentifier,
    by_alias: KeyIdentifier,
    grant: GrantId,
    /// As CreateGrant issues it.
    token: String,
    caller: PrincipalArn,
}

impl Place {
    /// A store of `keys` keys, each with an alias and its grants, put in without the store's own waits.
    async fn fill(keys: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.sqlite3");
        let realm = Realm::new("us-east-1", ACCOUNT).unwrap();
        let root_key = Arc::new(FileRootKey::create(&folder.path().join("root.key")).unwrap());
        let check = Broker::root_key_check(&*root_key).await.unwrap();
        let store = Arc::new(SqliteStore::create(&path, &realm, &check).await.unwrap());
        let mut other = connect(&path).await;
        let mut transaction = other.begin().await.unwrap();
        let mut named = Vec::with_capacity(keys);
        for number in 0..keys {
            let id = KeyId::from_random_bytes(rand::random());
            let key_id = id.to_string();
            let alias = format!("alias/key-{number}");
            sqlx::query(
                "INSERT INTO keys (key_id, state, description, created_at_ms, policy) VALUES (?, 'Enabled', '', 0, ?)",
            )
            .bind(&key_id)
            .bind(POLICY)
            .execute(&mut *transaction)
            .await
            .unwrap();
            let material = wrap_new_material(&*root_key, id).await.unwrap();
            sqlx::query(
                "INSERT INTO key_materials (key_id, version, material_id, wrapped) VALUES (?, 1, ?, ?)",
            )
            .bind(&key_id)
            .bind(material.id().as_bytes().as_slice())
            .bind(material.wrapped())
            .execute(&mut *transaction)
            .await
            .unwrap();
            sqlx::query("INSERT INTO aliases (name, key_id, created_at_ms) VALUES (?, ?, 0)")
                .bind(&alias)
                .bind(&key_id)
                .execute(&mut *transaction)
                .await
                .unwrap();
            let grants: [[u8; 32]; GRANTS_PER_KEY] = rand::random();
            let caller = |grant: usize| {
                let grantee = (number * GRANTS_PER_KEY + grant) % GRANTEES;
                format!("arn:aws:iam::{ACCOUNT}:role/worker-{grantee}")
            };
            for (number, grant) in grants.iter().enumerate() {
                sqlx::query(
                    "INSERT INTO grants (grant_id, key_id, grantee, grantee_found_by, retiring, operations, \
                     constraint_type, constraint_context, issuing_account, created_at_ms) \
                     VALUES (?, ?, ?, ?, ?, 'Decrypt,GenerateDataKey', 'EncryptionContextSubset', ?, ?, 0)",
                )
                .bind(grant.as_slice())
                .bind(&key_id)
                .bind(caller(number))
                .bind(caller(number))
                .bind(format!("arn:aws:iam::{ACCOUNT}:user/auditor"))
                .bind(r#"{"Tenant":"a"}"#)
                .bind(ACCOUNT)
                .execute(&mut *transaction)
                .await
                .unwrap();
            }
            named.push(Named {
                id,
                by_id: KeyIdentifier::Key(id),
                by_alias: KeyIdentifier::Alias(AliasName::parse(&alias).unwrap()),
                grant: GrantId::from_bytes(grants[0]),
                token: URL_SAFE_NO_PAD
                    .encode(root_key.wrap(b"nitro-key-broker grant token v1\0", &grants[0]).await.unwrap()),
                caller: PrincipalArn::parse(&caller(0)).unwrap(),
            });
        }
        transaction.commit().await.unwrap();
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut other).await.unwrap();
        let verifier = Verifier::new(TrustAnchors::aws().unwrap(), Requirements::default());
        let broker = Broker::new(Arc::clone(&store) as Arc<dyn Store>, root_key, verifier).await.unwrap();
        let recorded = RecordedDocument::read();
        let (document, now) = (STANDARD.encode(&recorded.bytes), recorded.now);
        Self { broker, store, other, keys: named, document, now, folder }
    }

    /// Changes one of the keys and lets the store hear of it.
    async fn change(&mut self) {
        let change = sqlx::query("UPDATE keys SET description = hex(randomblob(4)) WHERE rowid = 1");
        change.execute(&mut self.other).await.unwrap();
        tokio::time::sleep(MAX_STALENESS).await;
        assert!(self.store.find_credential("none").await.unwrap().is_none());
    }

    /// A second store on the file, which has read nothing yet.
    async fn open_again(&self) -> SqliteStore {
        let store = SqliteStore::open(&self.folder.path().join("keys.sqlite3")).await.unwrap();
        assert!(store.find_credential("none").await.unwrap().is_none());
        store
    }

    /// So many keys, no two the same.
    fn spread(&self, number: usize) -> Vec<usize> {
        let (step, start) = (self.keys.len() / number, rand::random_range(0..self.keys.len()));
        (0..number).map(|at| (start + at * step) % self.keys.len()).collect()
    }

    /// Any of the first `among` keys, some maybe more than once.
    fn any(&self, number: usize, among: usize) -> Vec<Named> {
        let among = among.min(self.keys.len());
        (0..number).map(|_| self.keys[rand::random_range(0..among)].clone()).collect()
    }

    async fn time_requests(&self, by: By, wanted: &[Named]) -> Duration {
        let requests = wanted.iter().map(|Named { id, by_alias, token, caller, .. }| {
            let key_id = match (by, by_alias) {
                (By::Alias, KeyIdentifier::Alias(name)) => name.to_string(),
                _ => id.to_string(),
            };
            // Only the grantee needs the token.
            let (tokens, caller) = match by {
                By::Token => (json!([token]), caller.clone()),
                By::Id | By::Alias | By::Caller => (json!([]), PrincipalArn::parse(ADMIN).unwrap()),
            };
            let members = json!({
                "KeyId": key_id, "KeySpec": "AES_256", "EncryptionContext": {"Tenant": "a"}, "GrantTokens": tokens,
                "Recipient": {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": self.document},
            });
            (members.to_string(), caller)
        });
        let requests: Vec<(String, PrincipalArn)> = requests.collect();
        let begin = Instant::now();
        for (body, caller) in requests {
            let invocation = Invocation {
                caller: Caller::Principal { arn: caller },
                now: self.now,
                source_ip: None,
                secure_transport: true,
                user_agent: None,
            };
            let mut event = AuditEvent::new(Subject {
                request_id: String::new(),
                time: invocation.now,
                operation: GenerateDataKey::NAME.to_owned(),
                source: String::new(),
                user_agent: None,
            });
            let members = Json::parse(body.as_bytes()).unwrap();
            let operation = GenerateDataKey::parse(&Members::of_request(&members).unwrap()).unwrap();
            black_box(operation.run(&self.broker, &invocation, &mut event).await.unwrap());
        }
        begin.elapsed()
    }
}

async fn time(store: &SqliteStore, by: By, wanted: &[Named]) -> Duration {
    let begin = Instant::now();
    for Named { id, by_id, by_alias, grant, token: _, caller } in wanted {
        match by {
            By::Id => assert!(black_box(store.find_key(by_id).await.unwrap()).is_some()),
            By::Alias => assert!(black_box(store.find_key(by_alias).await.unwrap()).is_some()),
            By::Token => assert!(black_box(store.find_grant(grant).await.unwrap()).is_some()),
            By::Caller => assert_eq!(black_box(store.grants_to(*id, caller).await.unwrap()).len(), 1),
        }
    }
    begin.elapsed()
}

async fn connect(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).foreign_keys(true);
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// In seconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}
