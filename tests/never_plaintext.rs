//! A wire tap on the whole broker: nothing that it sends, logs, records or stores holds a data key that an enclave got, or
//! the material of a key. One test follows data keys on every way that they go; the other walks every operation,
//! under every kind of evidence, and fails where one has no request in the walk.

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
#[path = "support/signer.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod signer;
#[path = "never_plaintext/walk.rs"]
mod walk;

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use broker::client::{Answer, Client};
use broker::enclave::{Enclave, recipient};
use broker::{TestBroker, open_policy, policy_on_pcr0};
use enclave_sample::nsm::simulated::SimulatedEnclave;
use serde_json::{Value, json};
use signer::sign;
use tracing_subscriber::fmt::MakeWriter;
use walk::{Evidence, Walk};

const WORKER: &str = "arn:aws:iam::111122223333:role/worker";

/// Everything that left the broker in one way.
struct Tapped {
    from: String,
    bytes: Vec<u8>,
}

/// A secret that must not be found, and what it is.
struct Secret {
    what: &'static str,
    bytes: Vec<u8>,
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_leaves_the_broker_in_the_clear() {
    let logs = Logs::capture();
    let broker = TestBroker::start().await;
    let enclave = Enclave::new();
    let stranger = Enclave::measuring(SimulatedEnclave::default().with_pcr(0, [0xab; 48]));
    let key = broker.create_key(&policy_on_pcr0(&enclave.pcr(0))).await;
    let open_key = broker.create_key(&open_policy()).await;
    let credential = broker.create_credential("arn:aws:iam::111122223333:role/app", Some(3600)).await;

    let mut secrets = Vec::new();
    let mut wire = Vec::new();
    let mut client = broker.connect().await;
    for round in 0..8 {
        let context = json!({"round": round.to_string()});
        let now = broker.now();
        let attested = |members: Value| with(members, "Recipient", enclave.recipient(now));
        let ask = json!({"KeyId": key.arn, "NumberOfBytes": 16 + round * 144, "EncryptionContext": context});

        let answer = client.call("GenerateDataKey", &attested(ask.clone())).await;
        let members = tap(&mut wire, answer).members();
        secrets.push(Secret { what: "data key of GenerateDataKey", bytes: enclave.open(&members) });
        let blob = members["CiphertextBlob"].clone();

        let ask_open = with(ask.clone(), "KeyId", json!(open_key.arn));
        let answer = client.call("GenerateDataKeyWithoutPlaintext", &ask_open).await;
        let without_plaintext = tap(&mut wire, answer).members()["CiphertextBlob"].clone();

        let signed = broker::client::request(
            "Decrypt",
            attested(json!({"CiphertextBlob": without_plaintext, "EncryptionContext": context})).to_string(),
        );
        let answer = client.send(sign(signed, &credential, now).await).await;
        let members = tap(&mut wire, answer).members();
        secrets.push(Secret { what: "data key without plaintext", bytes: enclave.open(&members) });

        let own: [u8; 24] = rand::random();
        secrets.push(Secret { what: "plaintext of Encrypt", bytes: own.to_vec() });
        let encrypt =
            json!({"KeyId": open_key.arn, "Plaintext": STANDARD.encode(own), "EncryptionContext": context});
        let answer = client.call("Encrypt", &encrypt).await;
        let own_blob = tap(&mut wire, answer).members()["CiphertextBlob"].clone();
        let re_encrypt = json!({
            "CiphertextBlob": own_blob, "SourceEncryptionContext": context,
            "DestinationKeyId": key.arn, "DestinationEncryptionContext": context,
        });
        let answer = client.call("ReEncrypt", &attested(re_encrypt.clone())).await;
        let moved = tap(&mut wire, answer).members()["CiphertextBlob"].clone();
        let answer = client
            .call("Decrypt", &attested(json!({"CiphertextBlob": moved, "EncryptionContext": context})))
            .await;
        assert_eq!(enclave.open(&tap(&mut wire, answer).members()), own);

        let pair = json!({"KeyId": key.arn, "KeyPairSpec": "ECC_NIST_P256", "EncryptionContext": context});
        let answer = client.call("GenerateDataKeyPair", &attested(pair.clone())).await;
        let members = tap(&mut wire, answer).members();
        secrets.push(Secret { what: "private key", bytes: enclave.open(&members) });
        // The scalar of an EC key, wherever else it might stand (RFC 5915 section 3, in PKCS#8).
        secrets.push(Secret { what: "scalar", bytes: enclave.open(&members)[36..68].to_vec() });

        let random = json!({"NumberOfBytes": 32});
        let answer = client.call("GenerateRandom", &attested(random.clone())).await;
        let members = tap(&mut wire, answer).members();
        secrets.push(Secret { what: "random bytes", bytes: enclave.open(&members) });

        // A token names a grant, but is as good as a key to nobody else: it goes to who made the grant alone.
        let grant = json!({"KeyId": key.arn, "GranteePrincipal": WORKER, "Operations": ["Decrypt"]});
        let answer = client.call("CreateGrant", &attested(grant.clone())).await;
        tap(&mut wire, answer).refusal();
        let answer = client.call("CreateGrant", &with(grant, "KeyId", json!(open_key.arn))).await;
        let made = answer.members();
        let token = made["GrantToken"].as_str().unwrap().to_owned();
        let by_token = json!({"GrantToken": token, "DryRun": true});
        let answer = client.call("RetireGrant", &by_token).await;
        tap(&mut wire, answer).refusal();
        let members = attested(with(ask.clone(), "GrantTokens", json!([token])));
        let answer = client.call("GenerateDataKey", &members).await;
        tap(&mut wire, answer).members();
        let answer = client.call("ListGrants", &json!({"KeyId": open_key.arn})).await;
        tap(&mut wire, answer).members();
        secrets.push(Secret { what: "grant token", bytes: token.into_bytes() });

        // The same asked for in every way that must not release it.
        let open = json!({"CiphertextBlob": blob, "EncryptionContext": context});
        let mut altered = STANDARD.decode(blob.as_str().unwrap()).unwrap();
        *altered.last_mut().unwrap() ^= 1;
        let mut forged = enclave.document(now);
        let middle = forged.len() / 2;
        forged[middle] ^= 1;
        let old = nitro_key_broker::time::UnixTime::from_secs(now.as_secs() - 3600);
        for (operation, members) in [
            ("GenerateDataKey", ask.clone()),
            ("GenerateDataKey", with(ask.clone(), "Recipient", stranger.recipient(now))),
            ("GenerateDataKey", with(ask.clone(), "Recipient", recipient(&forged))),
            ("GenerateDataKey", with(ask.clone(), "Recipient", recipient(b"no document"))),
            ("GenerateDataKey", with(ask, "Recipient", enclave.recipient(old))),
            ("GenerateDataKey", attested(json!({"KeyId": key.arn, "KeySpec": "AES_256", "DryRun": true}))),
            ("GenerateDataKeyPair", pair.clone()),
            ("GenerateDataKeyPair", with(pair.clone(), "Recipient", stranger.recipient(now))),
            ("GenerateDataKeyPair", attested(with(pair.clone(), "DryRun", json!(true)))),
            ("GenerateDataKeyPairWithoutPlaintext", pair),
            ("GenerateRandom", random.clone()),
            ("GenerateRandom", with(random.clone(), "Recipient", recipient(&forged))),
            ("GenerateRandom", with(random.clone(), "Recipient", recipient(b"no document"))),
            ("GenerateRandom", with(random, "Recipient", enclave.recipient(old))),
            ("Encrypt", with(encrypt.clone(), "Recipient", recipient(&forged))),
            ("Encrypt", with(encrypt.clone(), "DryRun", json!(true))),
            ("Encrypt", with(encrypt.clone(), "KeyId", json!(key.arn))),
            ("Encrypt", with(encrypt, "GrantTokens", json!(["none"]))),
            ("ReEncrypt", re_encrypt.clone()),
            ("ReEncrypt", with(re_encrypt.clone(), "Recipient", stranger.recipient(now))),
            ("ReEncrypt", attested(with(re_encrypt.clone(), "SourceEncryptionContext", json!({})))),
            ("ReEncrypt", attested(with(re_encrypt, "DryRun", json!(true)))),
            ("Decrypt", json!({"CiphertextBlob": own_blob, "EncryptionContext": context})),
            ("Decrypt", open.clone()),
            ("Decrypt", with(open.clone(), "Recipient", stranger.recipient(now))),
            ("Decrypt", with(open.clone(), "Recipient", recipient(&forged))),
            ("Decrypt", with(open.clone(), "Recipient", json!({"AttestationDocument": "AAAA"}))),
            ("Decrypt", attested(with(open.clone(), "EncryptionContext", json!({})))),
            ("Decrypt", attested(with(open.clone(), "CiphertextBlob", json!(STANDARD.encode(&altered))))),
            ("Decrypt", attested(with(open.clone(), "KeyId", json!(open_key.arn)))),
            ("Decrypt", attested(with(open, "DryRun", json!(true)))),
        ] {
            let answer = client.call(operation, &members).await;
            let refusal = tap(&mut wire, answer).refusal();
            assert!(refusal.starts_with("400 "), "{refusal}");
        }
        raw_requests(&broker, &mut wire, &mut client).await;
    }

    use_other_kinds(&broker, (&enclave, &stranger), &mut wire, &mut secrets).await;

    for (what, key) in [("material", &key), ("material of the open key", &open_key)] {
        secrets.push(Secret { what, bytes: key.material.to_vec() });
    }
    let root_key = std::fs::read_to_string(broker.folder().join("root.key")).unwrap();
    let root_key = STANDARD.decode(root_key.lines().nth(1).unwrap()).unwrap();
    secrets.push(Secret { what: "root key", bytes: root_key });
    secrets.push(Secret { what: "secret access key", bytes: credential.secret.into_bytes() });
    secrets.push(Secret { what: "session token", bytes: credential.session_token.unwrap().into_bytes() });
    assert_eq!(secrets.len(), 72);

    let text = String::from_utf8_lossy(&logs.so_far()).into_owned();
    // The tap is on: decisions and the database's statements at the lowest level are there.
    assert!(
        text.contains("GenerateDataKey") && text.contains("AccessDeniedException") && text.contains("sqlx")
    );
    assert_nothing_is_found(&secrets, wire, &broker, &logs);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_operation_answers_with_a_key_in_the_clear() {
    let logs = Logs::capture();
    let broker = TestBroker::start().await;
    let mut walk = Walk::over(&broker).await;
    let mut wire = Vec::new();
    let mut answered = Vec::new();
    for operation in walk::operations() {
        let mut successes = HashSet::new();
        for evidence in Evidence::ALL {
            let members = walk.request(&operation, evidence).await;
            let answer = tap(&mut wire, walk.call(&operation, &members).await);
            if answer.status == 200 {
                let members = answer.members();
                for plaintext in ["Plaintext", "PrivateKeyPlaintext", "SharedSecret"] {
                    assert_eq!(members.get(plaintext), None, "{operation} with evidence {evidence:?}");
                }
                if members.get("CiphertextForRecipient").is_some() {
                    assert_eq!(evidence, Evidence::Genuine, "{operation}");
                    let bytes = walk.enclave.open(&members);
                    walk.secrets.push(Secret { what: "content of an envelope", bytes });
                }
                successes.insert(evidence as u8);
            } else if !answer.refusal().starts_with("400 UnsupportedOperationException: ") {
                let refusal = answer.refusal();
                assert_ne!(evidence, Evidence::Genuine, "{operation}: {refusal}");
                assert!(refusal.starts_with("400 ValidationException: "), "{operation}: {refusal}");
            }
        }
        answered.push((operation, successes.len()));
    }
    // What releases something releases it to genuine evidence alone; what takes no heed of evidence succeeds always.
    let always_or_once = |successes: &usize| matches!(successes, 0 | 1 | 2 | 6);
    assert!(answered.iter().all(|(_, successes)| always_or_once(successes)), "{answered:?}");
    assert_eq!(answered.len(), 56, "{answered:?}");

    walk.remember_all_material().await;
    assert!(walk.secrets.len() > 200, "{}", walk.secrets.len());
    let secrets = std::mem::take(&mut walk.secrets);
    assert_nothing_is_found(&secrets, wire, &broker, &logs);
}

/// Looks for every secret in every form in all that left the broker: answers, audit records, files and logs.
fn assert_nothing_is_found(secrets: &[Secret], wire: Vec<Tapped>, broker: &TestBroker, logs: &Logs) {
    let mut tapped = wire;
    for file in ["audit.jsonl", "keys.sqlite3", "keys.sqlite3-wal", "keys.sqlite3-shm"] {
        let bytes = std::fs::read(broker.folder().join(file)).unwrap();
        assert!(!bytes.is_empty(), "{file} is empty");
        tapped.push(Tapped { from: file.to_owned(), bytes });
    }
    tapped.push(Tapped { from: "log".to_owned(), bytes: logs.so_far() });

    let search = Search::for_all(secrets);
    for place in &tapped {
        assert_eq!(search.first_in(&place.bytes), None, "in {}", place.from);
    }
    // The search finds every secret in every form, wherever it is put.
    for secret in secrets {
        for (form, spelled) in spellings(&secret.bytes) {
            let place = [b"{\"Plaintext\":\"", &spelled[..], b"\"}"].concat();
            assert!(search.first_in(&place).is_some(), "{} as {form} was not found", secret.what);
        }
    }
}

/// Keys that sign, agree, encrypt with RSA and make MACs, each used and misused.
async fn use_other_kinds(
    broker: &TestBroker,
    (enclave, stranger): (&Enclave, &Enclave),
    wire: &mut Vec<Tapped>,
    secrets: &mut Vec<Secret>,
) {
    let mut client = broker.connect().await;
    let now = broker.now();
    let policy = policy_on_pcr0(&enclave.pcr(0));
    let signing = broker.create_key_of("ECC_NIST_P256", "SIGN_VERIFY", &policy).await;
    let agreement = broker.create_key_of("ECC_NIST_P256", "KEY_AGREEMENT", &policy).await;
    let rsa = broker.create_key_of("RSA_2048", "ENCRYPT_DECRYPT", &policy).await;
    let rsa_signing = broker.create_key_of("RSA_2048", "SIGN_VERIFY", &policy).await;
    let mac = broker.create_key_of("HMAC_256", "GENERATE_VERIFY_MAC", &policy).await;
    for key in [&signing, &agreement] {
        secrets.push(Secret { what: "PKCS#8", bytes: key.material.clone() });
        secrets.push(Secret { what: "scalar of a key", bytes: key.material[36..68].to_vec() });
    }
    for key in [&rsa, &rsa_signing] {
        // In the PKCS#8 of RSA-2048 the private exponent stands at 303 to 559, the first prime behind it.
        secrets.push(Secret { what: "private exponent", bytes: key.material[320..384].to_vec() });
        secrets.push(Secret { what: "prime", bytes: key.material[580..644].to_vec() });
    }
    secrets.push(Secret { what: "HMAC key", bytes: mac.material.clone() });

    let plaintext: [u8; 32] = rand::random();
    secrets.push(Secret { what: "plaintext under RSA", bytes: plaintext.to_vec() });
    let under_rsa = json!({"KeyId": rsa.arn, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"});
    let encrypt = with(under_rsa.clone(), "Plaintext", json!(STANDARD.encode(plaintext)));
    let attested = |members: &Value| with(members.clone(), "Recipient", enclave.recipient(now));
    let answer = client.call("Encrypt", &attested(&encrypt)).await;
    let ciphertext = tap(wire, answer).members()["CiphertextBlob"].clone();
    let decrypt = with(under_rsa, "CiphertextBlob", ciphertext);
    let answer = client.call("Decrypt", &attested(&decrypt)).await;
    assert_eq!(enclave.open(&tap(wire, answer).members()), plaintext);

    let derive = json!({
        "KeyId": agreement.arn, "KeyAgreementAlgorithm": "ECDH",
        "PublicKey": STANDARD.encode(&signing.public_key),
    });
    let answer = client.call("DeriveSharedSecret", &attested(&derive)).await;
    let secret = enclave.open(&tap(wire, answer).members());
    assert_eq!(secret.len(), 32);
    secrets.push(Secret { what: "shared secret", bytes: secret });

    let message = STANDARD.encode(b"message");
    let sign = json!({"KeyId": signing.arn, "Message": message, "SigningAlgorithm": "ECDSA_SHA_256"});
    let sign_rsa =
        json!({"KeyId": rsa_signing.arn, "Message": message, "SigningAlgorithm": "RSASSA_PSS_SHA_256"});
    let make_mac = json!({"KeyId": mac.arn, "Message": message, "MacAlgorithm": "HMAC_SHA_256"});
    for (operation, members) in [
        ("Sign", &sign),
        ("Sign", &sign_rsa),
        ("GenerateMac", &make_mac),
        ("GetPublicKey", &json!({"KeyId": rsa.arn})),
        ("GetPublicKey", &json!({"KeyId": signing.arn})),
    ] {
        let answer = client.call(operation, &attested(members)).await;
        tap(wire, answer).members();
        let by_stranger = with(members.clone(), "Recipient", stranger.recipient(now));
        let answer = client.call(operation, &by_stranger).await;
        tap(wire, answer).refusal();
    }
    let wrong = STANDARD.encode([7; 64]);
    for (operation, members) in [
        ("Verify", attested(&with(sign.clone(), "Signature", json!(wrong)))),
        ("VerifyMac", attested(&with(make_mac.clone(), "Mac", json!(wrong)))),
        ("Sign", attested(&with(sign.clone(), "KeyId", json!(agreement.arn)))),
        ("Sign", attested(&with(sign.clone(), "MessageType", json!("DIGEST")))),
        ("Sign", attested(&with(sign, "DryRun", json!(true)))),
        ("GenerateMac", attested(&with(make_mac, "KeyId", json!(signing.arn)))),
        ("DeriveSharedSecret", derive.clone()),
        ("DeriveSharedSecret", with(derive.clone(), "Recipient", stranger.recipient(now))),
        ("DeriveSharedSecret", with(derive.clone(), "Recipient", recipient(b"no document"))),
        ("DeriveSharedSecret", attested(&with(derive.clone(), "KeyId", json!(signing.arn)))),
        ("DeriveSharedSecret", attested(&with(derive, "PublicKey", json!(wrong)))),
        ("Decrypt", decrypt.clone()),
        ("Decrypt", with(decrypt.clone(), "Recipient", stranger.recipient(now))),
        ("Decrypt", attested(&with(decrypt.clone(), "KeyId", json!(rsa_signing.arn)))),
        ("Decrypt", attested(&with(decrypt.clone(), "EncryptionAlgorithm", json!("RSAES_OAEP_SHA_1")))),
        ("Decrypt", attested(&with(decrypt, "CiphertextBlob", json!(wrong)))),
        ("Encrypt", attested(&with(encrypt, "EncryptionContext", json!({"a": "1"})))),
    ] {
        let answer = client.call(operation, &members).await;
        let refusal = tap(wire, answer).refusal();
        assert!(refusal.starts_with("400 "), "{refusal}");
    }
}

/// Requests that are refused before their members are read.
async fn raw_requests(broker: &TestBroker, wire: &mut Vec<Tapped>, client: &mut Client) {
    for body in ["", "{", "[]", "{\"KeyId\":1}", "{\"CiphertextBlob\":\"!\"}"] {
        let answer = client.post("Decrypt", body).await;
        tap(wire, answer).refusal();
    }
    let answer = broker.connect_unix().await.post("Encrypt", "{}").await;
    tap(wire, answer).refusal();
}

/// Keeps all of an answer, its headers too.
fn tap(wire: &mut Vec<Tapped>, answer: Answer) -> Answer {
    let bytes = [format!("{:?}", answer.headers).as_bytes(), &answer.body].concat();
    wire.push(Tapped { from: format!("answer {}", wire.len()), bytes });
    // What a reader finds behind each member's base64 is part of the wire.
    if let Value::Object(members) = answer.json() {
        for (name, value) in members {
            if let Some(Ok(bytes)) = value.as_str().map(|text| STANDARD.decode(text)) {
                wire.push(Tapped { from: format!("{name} of answer {}", wire.len()), bytes });
            }
        }
    }
    answer
}

/// Every secret in every form, by its first bytes, so that a place is gone through once for all of them.
struct Search(HashMap<[u8; Search::HEAD_LEN], Vec<(String, Vec<u8>)>>);

impl Search {
    const HEAD_LEN: usize = 8;

    fn for_all(secrets: &[Secret]) -> Self {
        let mut by_head: HashMap<_, Vec<_>> = HashMap::new();
        for secret in secrets {
            for (form, spelled) in spellings(&secret.bytes) {
                let head = spelled[..Self::HEAD_LEN].try_into().unwrap();
                by_head.entry(head).or_default().push((format!("{} as {form}", secret.what), spelled));
            }
        }
        Self(by_head)
    }

    /// What stands in `place` first, if anything does.
    fn first_in(&self, place: &[u8]) -> Option<&str> {
        place.windows(Self::HEAD_LEN).enumerate().find_map(|(at, head)| {
            let spelled = self.0.get(head)?;
            spelled
                .iter()
                .find(|(_, spelled)| place[at..].starts_with(spelled))
                .map(|(what, _)| what.as_str())
        })
    }
}

fn spellings(secret: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let hex = hex::encode(secret);
    let list = format!("{secret:?}");
    // Padding aside, and the last character with it, which holds bits that are not the secret's.
    let base64 = STANDARD.encode(secret).trim_end_matches('=').to_owned();
    let base64url = URL_SAFE_NO_PAD.encode(secret);
    vec![
        ("raw bytes", secret.to_vec()),
        ("the reverse", secret.iter().rev().copied().collect()),
        ("hexadecimal", hex.clone().into_bytes()),
        ("upper-case hexadecimal", hex.to_uppercase().into_bytes()),
        ("base64", base64.as_bytes()[..base64.len() - 1].to_vec()),
        ("base64url", base64url.as_bytes()[..base64url.len() - 1].to_vec()),
        ("a list of numbers", list.clone().into_bytes()),
        ("a list without spaces", list.replace(' ', "").into_bytes()),
    ]
}

fn decode(blob: &Value) -> Vec<u8> {
    STANDARD.decode(blob.as_str().unwrap()).unwrap()
}

fn encode(bytes: &[u8]) -> Value {
    json!(STANDARD.encode(bytes))
}

fn with(mut members: Value, name: &str, value: Value) -> Value {
    members[name] = value;
    members
}

/// All log output of this process at the lowest level.
#[derive(Clone)]
struct Logs(Arc<Mutex<Vec<u8>>>);

impl Logs {
    fn capture() -> Self {
        static LOGS: OnceLock<Logs> = OnceLock::new();
        let capture = || {
            let logs = Self(Arc::default());
            tracing_subscriber::fmt()
                .with_max_level(tracing::Level::TRACE)
                .with_ansi(false)
                .with_writer(logs.clone())
                .init();
            logs
        };
        LOGS.get_or_init(capture).clone()
    }

    fn so_far(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

impl Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Logs {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}
