//! The SQLite store: made once, opened again, shared by processes, and useless under another root key.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/broker/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod broker;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use broker::database::Database;
use broker::enclave::Enclave;
use broker::{ACCOUNT, NOW, REGION, TestBroker, TestKey, open_policy, parse_policy, policy_on_pcr0};
use nitro_key_broker::attestation::{Requirements, TrustAnchors, Verifier};
use nitro_key_broker::crypto::KeyPairKind;
use nitro_key_broker::encryption_context::EncryptionContext;
use nitro_key_broker::keys::{
    AliasName, AutomaticRotation, Key, KeyId, KeyIdentifier, KeyMaterialId, KeyOrigin, KeySpec, KeyState,
    KeyUsage, MAX_TAGS, Realm, Rotation, RotationKind, WrappedKeyMaterial,
};
use nitro_key_broker::operations::{Broker, BrokerError};
use nitro_key_broker::policy::{
    AttachedPolicy, Grant, GrantConstraint, GrantId, GrantOperation, GrantTerms, IdentityPolicy,
    PolicyHolder, PolicyName, PrincipalArn,
};
use nitro_key_broker::root_key::{FileRootKey, RootKeyError};
use nitro_key_broker::store::{
    AliasStore, Credential, CredentialStore, GrantStore, IdentityPolicyStore, KeyMaterialStore, KeyStore,
    MAX_ATTACHED_POLICIES, MAX_STALENESS, SqliteStore, Store, StoreError, TagStore,
};
use nitro_key_broker::time::UnixTime;
use serde_json::json;
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, Row, SqliteConnection};
use tempfile::TempDir;

struct File {
    folder: TempDir,
}

impl File {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("keys.sqlite3")
    }

    async fn create(&self) -> SqliteStore {
        SqliteStore::create(&self.path(), &realm(), b"check").await.unwrap()
    }

    async fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.path()).await.unwrap()
    }

    async fn database(&self) -> Database {
        Database::open(&self.path()).await
    }
}

fn realm() -> Realm {
    Realm::new(REGION, ACCOUNT).unwrap()
}

fn key() -> Key {
    let id = KeyId::from_random_bytes(rand::random());
    let material = |bytes: [u8; 32]| WrappedKeyMaterial::new(KeyMaterialId::from_bytes(bytes), vec![1, 2, 3]);
    Key {
        id,
        arn: realm().key_arn(id),
        state: KeyState::Enabled,
        spec: KeySpec::KeyPair(KeyPairKind::P384),
        usage: KeyUsage::KeyAgreement,
        origin: KeyOrigin::External,
        public_key: Some(vec![4, 5, 6]),
        description: "Größe 'quoted' \u{0}".to_owned(),
        created_at: UnixTime::from_ms(1_767_472_867_123),
        deletion_at: Some(NOW),
        rotation: Some(AutomaticRotation::starting(NOW, 90)),
        policy: Arc::new(parse_policy(&open_policy())),
        materials: vec![
            material(rand::random()),
            material(rand::random()).by(Rotation { date: NOW, kind: RotationKind::OnDemand }),
        ],
    }
}

fn identifier(key: &Key) -> KeyIdentifier {
    KeyIdentifier::Key(key.id)
}

fn alias(name: &str) -> AliasName {
    AliasName::parse(name).unwrap()
}

#[tokio::test]
async fn what_was_stored_is_there_after_opening_again() {
    let file = File::new();
    let (key, other) = (key(), key());
    let credential = Credential {
        access_key_id: "ASIAEXAMPLE".to_owned(),
        principal: PrincipalArn::parse("arn:aws:iam::111122223333:role/app").unwrap(),
        wrapped_secret: vec![9; 60],
        session_token_sha256: Some([7; 32]),
        created_at: NOW,
        expires_at: Some(UnixTime::from_ms(NOW.as_ms() + 1)),
    };
    let store = file.create().await;
    store.insert_key(&key).await.unwrap();
    store.insert_key(&other).await.unwrap();
    store.insert_alias(&alias("alias/b"), key.id, NOW).await.unwrap();
    store.insert_alias(&alias("alias/a"), key.id, NOW).await.unwrap();
    store.insert_credential(&credential).await.unwrap();
    drop(store);

    let store = file.open().await;
    assert_eq!(store.realm().await.unwrap(), realm());
    assert_eq!(store.root_key_check().await.unwrap(), b"check");
    for identifier in [identifier(&key), KeyIdentifier::Alias(alias("alias/a"))] {
        let found = store.find_key(&identifier).await.unwrap().unwrap();
        // Exhaustive, so that a new field is looked at here.
        let Key {
            id,
            arn,
            state,
            spec,
            usage,
            origin,
            public_key,
            description,
            created_at,
            deletion_at,
            rotation,
            policy,
            materials,
        } = &found.key;
        assert_eq!((*id, arn, *state), (key.id, &key.arn, KeyState::Enabled));
        assert_eq!((*spec, *usage, *origin), (key.spec, key.usage, key.origin));
        assert_eq!(*public_key, key.public_key);
        assert_eq!((description, *created_at), (&key.description, key.created_at));
        assert_eq!((*deletion_at, *rotation), (key.deletion_at, key.rotation));
        assert_eq!(policy.text(), key.policy.text());
        assert_eq!(*materials, key.materials);
        assert_eq!(found.key.current_material(), key.materials.last());
        assert_eq!(found.aliases, ["alias/a", "alias/b"]);
    }
    let found = store.find_credential("ASIAEXAMPLE").await.unwrap().unwrap();
    assert_eq!(found.principal, credential.principal);
    assert_eq!(found.wrapped_secret, credential.wrapped_secret);
    assert_eq!(found.session_token_sha256, credential.session_token_sha256);
    assert_eq!((found.created_at, found.expires_at), (credential.created_at, credential.expires_at));
    assert!(store.find_credential("asiaexample").await.unwrap().is_none());
    assert!(store.find_key(&KeyIdentifier::Alias(alias("alias/c"))).await.unwrap().is_none());
}

#[tokio::test]
async fn a_store_is_made_once_and_opened_only_where_there_is_one() {
    let file = File::new();
    let missing = SqliteStore::open(&file.path()).await.err().unwrap();
    assert!(matches!(missing, StoreError::Missing(_)), "{missing}");
    assert!(!file.path().exists(), "looking for a store made one");
    drop(file.create().await);
    let exists = SqliteStore::create(&file.path(), &realm(), b"other").await.err().unwrap();
    assert!(matches!(exists, StoreError::Exists(_)), "{exists}");
    assert_eq!(file.open().await.root_key_check().await.unwrap(), b"check");
}

#[tokio::test]
async fn what_is_no_store_is_not_opened() {
    let file = File::new();
    std::fs::write(file.path(), "not a database, and longer than the header of one".repeat(8)).unwrap();
    let error = SqliteStore::open(&file.path()).await.err().unwrap();
    assert!(matches!(error, StoreError::Database { doing: "opening the store", .. }), "{error}");
}

#[tokio::test]
async fn a_schema_newer_than_this_broker_is_not_touched() {
    let file = File::new();
    drop(file.create().await);
    file.database()
        .await
        .execute(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (9999, 'of the future', 1, x'00', 0)",
        )
        .await;
    let error = SqliteStore::open(&file.path()).await.err().unwrap();
    assert!(matches!(error, StoreError::Migration(_)), "{error}");
}

#[tokio::test]
async fn the_file_is_strict_and_durable() {
    let file = File::new();
    let store = file.create().await;
    let mut database = file.database().await;
    let tables =
        sqlx::query("SELECT name, strict FROM pragma_table_list WHERE schema = 'main' ORDER BY name")
            .fetch_all(database.connection())
            .await
            .unwrap();
    let strict: Vec<String> =
        tables.iter().filter(|row| row.get::<i64, _>("strict") == 1).map(|row| row.get("name")).collect();
    assert_eq!(
        strict,
        [
            "aliases",
            "changes",
            "credentials",
            "grants",
            "identity_policies",
            "key_materials",
            "key_usages",
            "keys",
            "operators",
            "realm",
            "tags"
        ]
    );
    let mode: String =
        sqlx::query_scalar("PRAGMA journal_mode").fetch_one(database.connection()).await.unwrap();
    assert_eq!(mode, "wal");
    drop(store);
}

#[tokio::test]
async fn an_alias_names_one_key_that_is_there() {
    let file = File::new();
    let store = file.create().await;
    let (one, two) = (key(), key());
    store.insert_key(&one).await.unwrap();
    store.insert_key(&two).await.unwrap();
    store.insert_alias(&alias("alias/app"), one.id, NOW).await.unwrap();
    for key in [&one, &two] {
        let error = store.insert_alias(&alias("alias/app"), key.id, NOW).await.unwrap_err();
        assert!(matches!(&error, StoreError::AliasExists(name) if name.as_str() == "alias/app"), "{error}");
    }
    // Names are told apart by case, as in KMS.
    store.insert_alias(&alias("alias/App"), two.id, NOW).await.unwrap();
    let nobody = KeyId::from_random_bytes(rand::random());
    let error = store.insert_alias(&alias("alias/none"), nobody, NOW).await.unwrap_err();
    assert!(matches!(error, StoreError::NoSuchKey(id) if id == nobody));
    let error = store.set_policy(nobody, &parse_policy(&open_policy())).await.unwrap_err();
    assert!(matches!(error, StoreError::NoSuchKey(id) if id == nobody));
    let found = store.find_key(&KeyIdentifier::Alias(alias("alias/App"))).await.unwrap().unwrap();
    assert_eq!(found.key.id, two.id);
}

#[tokio::test]
async fn a_key_is_stored_whole_or_not_at_all() {
    let file = File::new();
    let store = file.create().await;
    let (one, mut two) = (key(), key());
    store.insert_key(&one).await.unwrap();
    // The second version's id is taken, so the whole key is refused.
    two.materials[1] = one.materials[0].clone();
    assert!(store.insert_key(&two).await.is_err());
    assert!(store.find_key(&identifier(&two)).await.unwrap().is_none());
    let listed = store.list_keys(None, 10).await.unwrap();
    assert_eq!(listed.len(), 1);
}

#[tokio::test]
async fn keys_are_listed_page_by_page_in_order() {
    let file = File::new();
    let store = file.create().await;
    let mut ids = Vec::new();
    for _ in 0..7 {
        let key = key();
        store.insert_key(&key).await.unwrap();
        ids.push(key.id);
    }
    ids.sort();
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = store.list_keys(after, 3).await.unwrap();
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { break };
        after = Some(last.key.id);
        listed.extend(page.iter().map(|entry| entry.key.id));
    }
    assert_eq!(listed, ids);
}

fn grant(key: &Key, grantee: &str) -> Grant {
    Grant {
        id: GrantId::from_bytes(rand::random()),
        resource: key.arn.as_str().into(),
        name: None,
        terms: GrantTerms {
            grantee: PrincipalArn::parse(grantee).unwrap(),
            retiring: None,
            operations: [GrantOperation::Decrypt].into_iter().collect(),
            constraint: None,
        },
        issuing_account: ACCOUNT.into(),
        created_at: NOW,
    }
}

const USER: &str = "arn:aws:iam::111122223333:user/alice";

#[tokio::test]
async fn grants_are_there_after_opening_again() {
    let file = File::new();
    let store = file.create().await;
    let key = key();
    store.insert_key(&key).await.unwrap();
    let context = [("b".to_owned(), "2".to_owned()), ("a \"quoted\"".to_owned(), "ä".to_owned())];
    let full = Grant {
        name: Some("name".into()),
        terms: GrantTerms {
            retiring: Some(PrincipalArn::parse("arn:aws:iam::444455556666:root").unwrap()),
            operations: GrantOperation::ALL.into_iter().collect(),
            constraint: Some(GrantConstraint::EncryptionContextEquals(
                EncryptionContext::new(context.into()).unwrap(),
            )),
            ..grant(&key, "arn:aws:iam::111122223333:role/team/worker").terms
        },
        created_at: UnixTime::from_ms(1_767_472_867_123),
        ..grant(&key, USER)
    };
    let (mut subset, minimal) = (full.clone(), grant(&key, USER));
    subset.id = GrantId::from_bytes(rand::random());
    subset.terms.constraint = Some(GrantConstraint::EncryptionContextSubset(EncryptionContext::EMPTY));
    for grant in [&full, &subset, &minimal] {
        assert_eq!(store.insert_grant(key.id, grant).await.unwrap(), grant.id);
    }
    drop(store);
    let store = file.open().await;
    for grant in [&full, &subset, &minimal] {
        assert_eq!(*store.find_grant(&grant.id).await.unwrap().unwrap(), *grant);
    }
    assert!(store.find_grant(&GrantId::from_bytes([0; 32])).await.unwrap().is_none());
    assert!(!store.delete_grant(&GrantId::from_bytes([0; 32])).await.unwrap());
    let nobody = KeyId::from_random_bytes(rand::random());
    let error = store.insert_grant(nobody, &grant(&key, USER)).await.unwrap_err();
    assert!(matches!(error, StoreError::NoSuchKey(id) if id == nobody), "{error}");
}

#[tokio::test]
async fn a_caller_finds_the_grants_that_cover_it_on_the_key() {
    let file = File::new();
    let store = file.create().await;
    let (key, other) = (key(), key());
    store.insert_key(&key).await.unwrap();
    store.insert_key(&other).await.unwrap();
    let grantees = [
        USER,
        "arn:aws:iam::111122223333:role/worker",
        "arn:aws:iam::111122223333:role/team/worker",
        "arn:aws:sts::111122223333:assumed-role/worker/one",
        "arn:aws:iam::444455556666:role/worker",
        "arn:aws:iam::111122223333:root",
    ];
    for grantee in grantees {
        store.insert_grant(key.id, &grant(&key, grantee)).await.unwrap();
    }
    store.insert_grant(other.id, &grant(&other, USER)).await.unwrap();
    let covering = async |caller: &str| {
        let caller = PrincipalArn::parse(caller).unwrap();
        let found = store.grants_to(key.id, &caller).await.unwrap();
        let covering = found.iter().filter(|grant| grant.terms.grantee.covers(&caller));
        let mut grantees: Vec<String> = covering.map(|grant| grant.terms.grantee.to_string()).collect();
        grantees.sort();
        grantees
    };
    for (caller, expected) in [
        (USER, &[USER][..]),
        (grantees[1], &[grantees[1]]),
        (grantees[2], &[grantees[2]]),
        ("arn:aws:sts::111122223333:assumed-role/worker/one", &[grantees[2], grantees[1], grantees[3]]),
        ("arn:aws:sts::111122223333:assumed-role/worker/two", &[grantees[2], grantees[1]]),
        ("arn:aws:iam::111122223333:root", &[grantees[5]]),
        ("arn:aws:iam::111122223333:user/bob", &[]),
    ] {
        // The second time from memory.
        for _ in 0..2 {
            assert_eq!(covering(caller).await, expected, "{caller}");
        }
    }
}

/// A grant that another process ends is not remembered, and one that it makes is found.
#[tokio::test]
async fn the_grants_of_another_process_are_seen_by_the_next_read() {
    let file = File::new();
    let (ours, theirs) = (file.create().await, file.open().await);
    let key = key();
    ours.insert_key(&key).await.unwrap();
    let alice = PrincipalArn::parse(USER).unwrap();
    for _ in 0..5 {
        assert!(ours.grants_to(key.id, &alice).await.unwrap().is_empty());
        let grant = grant(&key, USER);
        theirs.insert_grant(key.id, &grant).await.unwrap();
        assert_eq!(ours.grants_to(key.id, &alice).await.unwrap().len(), 1);
        assert!(ours.find_grant(&grant.id).await.unwrap().is_some());
        assert!(theirs.delete_grant(&grant.id).await.unwrap());
        assert!(ours.grants_to(key.id, &alice).await.unwrap().is_empty());
        assert!(ours.find_grant(&grant.id).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_broken_grant_is_reported_as_corrupt() {
    for (column, value, what) in [
        ("operations", "'Decrypt,Nothing'", "grant operation"),
        ("operations", "''", "grant operation"),
        ("grantee", "'alice'", "principal ARN"),
        ("retiring", "'alice'", "principal ARN"),
        ("constraint_context", "'[]'", "grant constraint"),
        ("constraint_type", "'Equals'", "grant constraint type"),
    ] {
        let file = File::new();
        let store = file.create().await;
        let key = key();
        store.insert_key(&key).await.unwrap();
        let mut grant = grant(&key, USER);
        grant.terms.constraint = Some(GrantConstraint::EncryptionContextEquals(EncryptionContext::EMPTY));
        store.insert_grant(key.id, &grant).await.unwrap();
        file.database().await.execute(&format!("UPDATE grants SET {column} = {value}")).await;
        let error = store.find_grant(&grant.id).await.unwrap_err();
        assert!(matches!(&error, StoreError::Corrupt { what: found, .. } if *found == what), "{error}");
        let caller = PrincipalArn::parse(USER).unwrap();
        assert!(store.grants_to(key.id, &caller).await.is_err());
    }
}

/// Two stores on one file stand for the broker and the command line.
#[tokio::test]
async fn a_change_by_another_process_is_seen_by_the_next_read() {
    let file = File::new();
    let (ours, theirs) = (file.create().await, file.open().await);
    let key = key();
    assert!(ours.find_key(&identifier(&key)).await.unwrap().is_none());
    theirs.insert_key(&key).await.unwrap();
    let policy_text = async |store: &SqliteStore| {
        store.find_key(&identifier(&key)).await.unwrap().unwrap().key.policy.text().to_owned()
    };
    assert_eq!(policy_text(&ours).await, open_policy().to_string());
    for round in 0..20 {
        let policy = policy_on_pcr0(&format!("{round:02x}").repeat(48));
        // Now the one process changes it, now the other.
        let (writer, reader) = if round % 2 == 0 { (&theirs, &ours) } else { (&ours, &theirs) };
        writer.set_policy(key.id, &parse_policy(&policy)).await.unwrap();
        assert_eq!(policy_text(reader).await, policy.to_string(), "round {round}");
        assert_eq!(policy_text(writer).await, policy.to_string(), "round {round}");
    }
    theirs.insert_alias(&alias("alias/new"), key.id, NOW).await.unwrap();
    assert_eq!(ours.find_key(&identifier(&key)).await.unwrap().unwrap().aliases, ["alias/new"]);
}

/// Whoever changes the file, by whatever statement: what is remembered is never older than the file.
#[tokio::test]
async fn every_table_says_what_to_forget() {
    let file = File::new();
    let (ours, theirs) = (file.create().await, file.open().await);
    let (first, second) = (key(), key());
    let user = PrincipalArn::parse(USER).unwrap();
    let holder = PolicyHolder::parse(USER).unwrap();
    for key in [&first, &second] {
        theirs.insert_key(key).await.unwrap();
    }
    let grant = grant(&first, USER);
    let (a, b) = (first.id, second.id);
    let hex_grant = grant.id.to_string();
    let grant_columns = "key_id, name, grantee, grantee_found_by, retiring, operations, constraint_type, \
                         constraint_context, issuing_account, created_at_ms";
    theirs.insert_grant(first.id, &grant).await.unwrap();
    let mut database = file.database().await;
    let answers = async |store: &SqliteStore| {
        let mut answers = Vec::new();
        for identifier in [
            identifier(&first),
            identifier(&second),
            KeyIdentifier::Alias(alias("alias/a")),
            KeyIdentifier::Alias(alias("alias/b")),
        ] {
            answers.push(format!("{:?}", store.find_key(&identifier).await.unwrap()));
        }
        for key in [&first, &second] {
            let grants = store.grants_to(key.id, &user).await.unwrap();
            let mut grants: Vec<String> = grants.iter().map(|grant| format!("{grant:?}")).collect();
            grants.sort();
            answers.extend(grants);
        }
        answers.push(format!("{:?}", store.find_grant(&grant.id).await.unwrap()));
        answers.push(format!("{:?}", store.find_credential("AKIA").await.unwrap()));
        answers.push(format!("{:?}", store.identity_policies(&holder).await.unwrap()));
        answers
    };
    let allow = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kms:*","Resource":"*"}}"#;
    for statement in [
        format!("UPDATE keys SET description = 'new' WHERE key_id = '{a}'"),
        format!("UPDATE key_materials SET material_id = randomblob(32) WHERE key_id = '{b}'"),
        format!(
            "INSERT INTO key_materials (key_id, version, material_id, wrapped) VALUES ('{a}', 7, randomblob(32), x'01')"
        ),
        format!("DELETE FROM key_materials WHERE key_id = '{a}' AND version = 7"),
        format!("INSERT INTO tags VALUES ('{a}', 'team', 'one')"),
        "UPDATE tags SET tag_value = 'two'".to_owned(),
        format!("UPDATE tags SET key_id = '{b}'"),
        "DELETE FROM tags".to_owned(),
        format!("INSERT INTO aliases (name, key_id, created_at_ms) VALUES ('alias/a', '{a}', 0)"),
        format!("UPDATE aliases SET key_id = '{b}'"),
        "UPDATE aliases SET name = 'alias/b'".to_owned(),
        "DELETE FROM aliases".to_owned(),
        format!("UPDATE grants SET operations = 'Encrypt' WHERE grant_id = x'{hex_grant}'"),
        format!("UPDATE grants SET key_id = '{b}' WHERE grant_id = x'{hex_grant}'"),
        format!(
            "INSERT INTO grants (grant_id, {grant_columns}) SELECT randomblob(32), {grant_columns} FROM grants"
        ),
        format!("DELETE FROM grants WHERE grant_id = x'{hex_grant}'"),
        "DELETE FROM grants".to_owned(),
        format!("INSERT INTO credentials VALUES ('AKIA', '{USER}', x'00', NULL, 0, NULL)"),
        "UPDATE credentials SET principal_arn = 'arn:aws:iam::111122223333:user/bob'".to_owned(),
        "DELETE FROM credentials".to_owned(),
        format!("INSERT INTO identity_policies VALUES ('{USER}', 'one', '{allow}')"),
        "UPDATE identity_policies SET name = 'two'".to_owned(),
        "DELETE FROM identity_policies".to_owned(),
        format!("DELETE FROM key_materials WHERE key_id = '{b}'"),
        format!("DELETE FROM keys WHERE key_id = '{b}'"),
    ] {
        let before = answers(&ours).await;
        database.execute(&statement).await;
        tokio::time::sleep(MAX_STALENESS).await;
        let now = answers(&ours).await;
        assert!(now != before, "nothing came of {statement}");
        assert!(now == answers(&file.open().await).await, "remembered in spite of {statement}");
    }
}

/// A change costs others nothing: their next read is answered from memory.
#[tokio::test]
async fn a_change_leaves_in_memory_what_it_is_not_about() {
    let file = File::new();
    let (ours, theirs) = (file.create().await, file.open().await);
    let (first, second) = (key(), key());
    for key in [&first, &second] {
        theirs.insert_key(key).await.unwrap();
    }
    let entry = async |key: &Key| ours.find_key(&identifier(key)).await.unwrap().unwrap();
    let (first_before, second_before) = (entry(&first).await, entry(&second).await);
    theirs.set_description(first.id, "new").await.unwrap();
    assert!(!Arc::ptr_eq(&first_before, &entry(&first).await));
    assert!(Arc::ptr_eq(&second_before, &entry(&second).await));

    // More changes than are kept: nobody can tell what they were about.
    let mut database = file.database().await;
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <= 10000) \
                INSERT INTO changes (what, id) SELECT 'credential', 'AKIA' FROM n";
    database.execute(many).await;
    tokio::time::sleep(MAX_STALENESS).await;
    assert!(!Arc::ptr_eq(&second_before, &entry(&second).await));
}

#[tokio::test]
async fn a_policy_change_holds_from_the_next_request_on() {
    let broker = TestBroker::start().await;
    let enclave = Enclave::new();
    let key = broker.create_key(&policy_on_pcr0(&enclave.pcr(0))).await;
    let command_line = SqliteStore::open(&broker.folder().join("keys.sqlite3")).await.unwrap();
    let mut client = broker.connect().await;
    let members = request(&key, &enclave);
    for _ in 0..5 {
        client.call("GenerateDataKey", &members).await.members();
        command_line.set_policy(key.id, &parse_policy(&policy_on_pcr0(&enclave.pcr(1)))).await.unwrap();
        let refusal = client.call("GenerateDataKey", &members).await.refusal();
        assert!(refusal.starts_with("400 AccessDeniedException: "), "{refusal}");
        command_line.set_policy(key.id, &parse_policy(&policy_on_pcr0(&enclave.pcr(0)))).await.unwrap();
    }
}

#[tokio::test]
async fn a_key_is_stored_with_its_tags() {
    let file = File::new();
    let store = file.create().await;
    let (tagged, plain) = (key(), key());
    let tags = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    store.insert_tagged_key(&tagged, &tags(&[("Team", "blue"), ("größe", "")])).await.unwrap();
    store.insert_key(&plain).await.unwrap();
    let found = async |key: &Key| store.find_key(&identifier(key)).await.unwrap().unwrap().tags.clone();
    assert_eq!(found(&tagged).await, tags(&[("Team", "blue"), ("größe", "")]));
    assert_eq!(found(&plain).await, tags(&[]));
    assert!(store.set_tags(plain.id, &tags(&[("Team", "red")])).await.unwrap());
    assert!(store.set_tags(tagged.id, &tags(&[("Team", "red"), ("Cost", "1")])).await.unwrap());
    assert_eq!(found(&tagged).await, tags(&[("Cost", "1"), ("Team", "red"), ("größe", "")]));
    store.delete_tags(tagged.id, &["Team".to_owned(), "none".to_owned()]).await.unwrap();
    assert_eq!(found(&tagged).await, tags(&[("Cost", "1"), ("größe", "")]));
    assert_eq!(found(&plain).await, tags(&[("Team", "red")]));

    let many: BTreeMap<String, String> =
        (0..MAX_TAGS).map(|number| (number.to_string(), String::new())).collect();
    assert!(!store.set_tags(plain.id, &many).await.unwrap());
    assert_eq!(found(&plain).await, tags(&[("Team", "red")]), "none of them was put");
    let nobody = KeyId::from_random_bytes(rand::random());
    let error = store.set_tags(nobody, &many).await.unwrap_err();
    assert!(matches!(error, StoreError::NoSuchKey(id) if id == nobody), "{error}");
}

#[tokio::test]
async fn policies_are_attached_replaced_and_taken_away() {
    let file = File::new();
    let (ours, theirs) = (file.create().await, file.open().await);
    let alice = PolicyHolder::parse("arn:aws:iam::111122223333:user/alice").unwrap();
    let role = PolicyHolder::parse("arn:aws:iam::444455556666:role/team/worker").unwrap();
    let name = |name: &str| PolicyName::parse(name).unwrap();
    let policy = |action: &str| {
        let text = json!({"Statement": {"Effect": "Allow", "Action": action, "Resource": "*"}}).to_string();
        IdentityPolicy::parse(&text).unwrap()
    };
    let attached = async |store: &SqliteStore, holder: &PolicyHolder| -> Vec<(String, String)> {
        let policies = store.identity_policies(holder).await.unwrap();
        let shown = |AttachedPolicy { name, policy }: &AttachedPolicy| {
            (name.as_str().to_owned(), policy.text().to_owned())
        };
        policies.iter().map(shown).collect()
    };
    let shown = |name: &str, action: &str| (name.to_owned(), policy(action).text().to_owned());

    assert_eq!(attached(&ours, &alice).await, []);
    theirs.put_identity_policy(&alice, &name("b"), &policy("kms:Encrypt")).await.unwrap();
    theirs.put_identity_policy(&alice, &name("a"), &policy("kms:*")).await.unwrap();
    assert_eq!(attached(&ours, &alice).await, [shown("a", "kms:*"), shown("b", "kms:Encrypt")]);
    ours.put_identity_policy(&alice, &name("b"), &policy("kms:Decrypt")).await.unwrap();
    assert_eq!(attached(&theirs, &alice).await, [shown("a", "kms:*"), shown("b", "kms:Decrypt")]);
    assert_eq!(attached(&ours, &role).await, []);
    ours.put_identity_policy(&role, &name("a"), &policy("s3:*")).await.unwrap();
    // A session of the role finds them without knowing its path.
    let session = PrincipalArn::parse("arn:aws:sts::444455556666:assumed-role/worker/one").unwrap();
    assert_eq!(attached(&theirs, session.policy_holder().unwrap()).await, [shown("a", "s3:*")]);

    assert!(theirs.delete_identity_policy(&alice, &name("a")).await.unwrap());
    assert!(!theirs.delete_identity_policy(&alice, &name("a")).await.unwrap());
    assert_eq!(attached(&ours, &alice).await, [shown("b", "kms:Decrypt")]);
    for number in 1..MAX_ATTACHED_POLICIES {
        ours.put_identity_policy(&alice, &name(&number.to_string()), &policy("kms:*")).await.unwrap();
    }
    let error = ours.put_identity_policy(&alice, &name("c"), &policy("kms:*")).await.unwrap_err();
    assert!(matches!(&error, StoreError::TooManyPolicies(holder) if *holder == alice), "{error}");
    ours.put_identity_policy(&alice, &name("b"), &policy("kms:*")).await.unwrap();
    assert_eq!(attached(&ours, &alice).await.len(), MAX_ATTACHED_POLICIES);

    file.database().await.execute("UPDATE identity_policies SET policy = '{}' WHERE name = 'b'").await;
    let error = ours.identity_policies(&alice).await.unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { what: "identity policy", .. }), "{error}");
}

#[tokio::test]
async fn a_root_key_of_another_store_is_refused_at_the_start() {
    let broker = TestBroker::start().await;
    let other = Arc::new(FileRootKey::create(&broker.folder().join("other.key")).unwrap());
    let store = Arc::new(SqliteStore::open(&broker.folder().join("keys.sqlite3")).await.unwrap());
    let verifier = || Verifier::new(TrustAnchors::aws().unwrap(), Requirements::default());
    let error = Broker::new(store.clone(), other, verifier()).await.err().unwrap();
    assert!(matches!(error, BrokerError::WrongRootKey(RootKeyError::Unwrap)), "{error}");
    let own = Arc::new(FileRootKey::open(&broker.folder().join("root.key")).unwrap());
    assert!(Broker::new(store, own, verifier()).await.is_ok());
}

#[tokio::test]
async fn what_this_broker_did_not_write_is_reported_as_corrupt() {
    for (sql, what) in [
        ("UPDATE keys SET policy = '{\"Statement\": []}'", "key policy"),
        ("UPDATE keys SET created_at_ms = -1", "time"),
    ] {
        let file = File::new();
        let store = file.create().await;
        let key = key();
        store.insert_key(&key).await.unwrap();
        file.database().await.execute(sql).await;
        let error = store.find_key(&identifier(&key)).await.unwrap_err();
        assert!(matches!(&error, StoreError::Corrupt { what: found, .. } if *found == what), "{error}");
    }
}

/// A policy that another hand broke in the database denies: the broker does not fall back to an older one.
#[tokio::test]
async fn a_broken_policy_in_the_database_releases_nothing() {
    let broker = TestBroker::start().await;
    let enclave = Enclave::new();
    let key = broker.create_key(&open_policy()).await;
    let mut client = broker.connect().await;
    client.call("GenerateDataKey", &request(&key, &enclave)).await.members();
    broker.database().await.execute("UPDATE keys SET policy = '{}'").await;
    assert_eq!(
        client.call("GenerateDataKey", &request(&key, &enclave)).await.refusal(),
        "500 KMSInternalException: The request failed inside the broker; its log says why."
    );
}

fn request(key: &TestKey, enclave: &Enclave) -> serde_json::Value {
    json!({"KeyId": key.arn, "KeySpec": "AES_256", "Recipient": enclave.recipient(NOW)})
}

/// A store of the first schema, as the broker made it before keys could be rotated and deleted over the API.
#[tokio::test]
async fn a_store_of_an_older_schema_is_brought_up_to_date() {
    let file = File::new();
    let options = SqliteConnectOptions::new().filename(file.path()).create_if_missing(true);
    let mut old = SqliteConnection::connect_with(&options).await.unwrap();
    let all = sqlx::migrate!("src/store/sqlite/migrations");
    let first = Migrator { migrations: vec![all.iter().next().unwrap().clone()].into(), ..Migrator::DEFAULT };
    first.run(&mut old).await.unwrap();
    let key = key();
    for sql in [
        format!("INSERT INTO realm VALUES (1, '{REGION}', '{ACCOUNT}', x'00')"),
        format!(
            "INSERT INTO keys VALUES ('{}', 'Enabled', 'old', 1767472867123, '{}')",
            key.id,
            key.policy.text()
        ),
        format!("INSERT INTO key_materials VALUES ('{}', 1, x'{}', x'010203')", key.id, "ab".repeat(32)),
    ] {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut old).await.unwrap();
    }
    old.close().await.unwrap();

    let store = file.open().await;
    let found = store.find_key(&identifier(&key)).await.unwrap().unwrap();
    assert_eq!((found.key.deletion_at, found.key.rotation), (None, None));
    assert_eq!(found.key.materials[0].rotation(), None);
    let rotation = Rotation { date: NOW, kind: RotationKind::Automatic };
    let material = WrappedKeyMaterial::new(KeyMaterialId::from_bytes([7; 32]), vec![4]).by(rotation);
    let next = AutomaticRotation::starting(NOW, 90);
    store.set_rotation(key.id, Some(AutomaticRotation { period_days: 90, next_at: NOW })).await.unwrap();
    assert_eq!(store.keys_to_rotate(NOW).await.unwrap(), [key.id]);
    store.add_material(key.id, &material, Some(next)).await.unwrap();
    assert_eq!(store.keys_to_rotate(NOW).await.unwrap(), []);
    let found = store.find_key(&identifier(&key)).await.unwrap().unwrap();
    assert_eq!(found.key.rotation, Some(next));
    assert_eq!(found.key.current_material(), Some(&material));
}

#[tokio::test]
async fn what_is_not_there_is_not_changed() {
    let file = File::new();
    let store = file.create().await;
    let nobody = KeyId::from_random_bytes(rand::random());
    let material = WrappedKeyMaterial::new(KeyMaterialId::from_bytes([7; 32]), vec![4]);
    for error in [
        store.set_description(nobody, "").await.unwrap_err(),
        store.set_rotation(nobody, None).await.unwrap_err(),
        store.add_material(nobody, &material, None).await.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::NoSuchKey(id) if id == nobody), "{error}");
    }
    for error in [
        store.delete_alias(&alias("alias/none"), nobody).await.unwrap_err(),
        store.update_alias(&alias("alias/none"), nobody, nobody, NOW).await.unwrap_err(),
    ] {
        assert!(matches!(&error, StoreError::NoSuchAlias(name) if name.as_str() == "alias/none"), "{error}");
    }
    assert!(!store.schedule_deletion(nobody, NOW).await.unwrap());
    assert!(!store.cancel_deletion(nobody).await.unwrap());
    assert!(!store.delete_key(nobody, NOW).await.unwrap());
    // An alias is not pointed to where there is nothing.
    let key = key();
    store.insert_key(&key).await.unwrap();
    store.insert_alias(&alias("alias/app"), key.id, NOW).await.unwrap();
    assert!(store.update_alias(&alias("alias/app"), key.id, nobody, NOW).await.is_err());
    // An alias that was moved meanwhile is not moved or taken away by the word of the key that it named before.
    assert!(store.update_alias(&alias("alias/app"), nobody, key.id, NOW).await.is_err());
    assert!(store.delete_alias(&alias("alias/app"), nobody).await.is_err());
    let found = store.find_key(&KeyIdentifier::Alias(alias("alias/app"))).await.unwrap().unwrap();
    assert_eq!(found.key.id, key.id);
}
