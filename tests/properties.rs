//! Properties of the parsers and encoders that have no file of their own: what one writes the other reads, and nothing
//! panics.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/fuzz_targets/mod.rs"]
#[allow(dead_code, reason = "the fuzzer uses the rest")]
mod fuzz_targets;
#[path = "support/mint/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod mint;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use enclave_sample::cms::open_enveloped_data;
use enclave_sample::nsm::AttestationRequest;
use enclave_sample::nsm::simulated::{DevelopmentRoot, SimulatedClock, SimulatedEnclave, SimulatedNsm};
use fuzz_targets::cms::{CONTENT_ENCRYPTION_KEY, RECIPIENT, iv_and_content};
use fuzz_targets::genuine::{LEAF, MINTED, certificates_of, payload_of};
use mint::vectors::{NOW_MS, pem};
use nitro_key_broker::attestation::{Requirements, Step, TrustAnchors, verify};
use nitro_key_broker::audit::{AuditEvent, Ending, Outcome, Subject};
use nitro_key_broker::cms::EnvelopedData;
use nitro_key_broker::cose::{CoseError, UnverifiedSign1};
use nitro_key_broker::crypto::{OaepDigest, OaepKey, P384PublicKey, aes256_cbc_encrypt};
use nitro_key_broker::json::Json;
use nitro_key_broker::keys::{AliasName, KeyId, KeyIdentifier, Realm};
use nitro_key_broker::operations::{MemberError, Members};
use nitro_key_broker::policy::PrincipalArn;
use nitro_key_broker::root_key::{FileRootKey, RootKey};
use nitro_key_broker::time::UnixTime;
use nitro_key_broker::x509::verify_path;
use proptest::prelude::*;
use serde_json::{Value, json};

fn bytes(length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), length)
}

fn realm() -> Realm {
    Realm::new("us-east-1", "111122223333").unwrap()
}

mod cose {
    use super::*;

    static KEY: LazyLock<P384PublicKey> =
        LazyLock::new(|| P384PublicKey::from_uncompressed_point(&MINTED.chain.leaf.key.point()).unwrap());

    proptest! {
        #[test]
        fn a_signed_payload_comes_out_and_an_altered_one_does_not(
            payload in bytes(0..600), tagged: bool, at: prop::sample::Index, bit in 0_u8..8,
        ) {
            let tag = if tagged { &[0xd2][..] } else { &[] };
            let mut encoded = [tag, &LEAF.sign1(&payload)].concat();
            prop_assert_eq!(UnverifiedSign1::parse(&encoded).unwrap().verify(&KEY), Ok(&payload[..]));
            let at = at.index(encoded.len());
            encoded[at] ^= 1_u8 << bit;
            prop_assert!(UnverifiedSign1::parse(&encoded).and_then(|sign1| sign1.verify(&KEY).map(drop)).is_err());
        }

        #[test]
        fn arbitrary_bytes_behind_the_head_end_without_a_panic(head in 0_usize..8, tail in bytes(0..200)) {
            let encoded = [&[0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xa0, 0x41][..head], &tail].concat();
            if let Ok(sign1) = UnverifiedSign1::parse(&encoded) {
                prop_assert_eq!(sign1.verify(&KEY), Err(CoseError::SignatureMismatch));
            }
        }
    }
}

mod x509 {
    use super::*;

    static PATH: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| certificates_of(&payload_of(&MINTED.mint())));

    proptest! {
        #[test]
        fn a_path_altered_anywhere_below_its_anchor_is_none(
            which in 1_usize..5, at: prop::sample::Index, cut in 0_usize..8, put in bytes(0..8),
        ) {
            let mut path = PATH.clone();
            let at = at.index(path[which].len());
            let end = path[which].len().min(at + cut);
            path[which].splice(at..end, put);
            prop_assume!(path != *PATH);
            let (leaf, bundle) = path.split_last().unwrap();
            let bundle: Vec<&[u8]> = bundle.iter().map(Vec::as_slice).collect();
            prop_assert!(verify_path(leaf, &bundle, bundle[0], UnixTime::from_ms(NOW_MS)).is_err());
        }

        #[test]
        fn arbitrary_certificates_end_without_a_panic(leaf in bytes(0..300), bundle in prop::collection::vec(bytes(0..300), 0..4)) {
            let bundle: Vec<&[u8]> = bundle.iter().map(Vec::as_slice).collect();
            prop_assert!(verify_path(&leaf, &bundle, &PATH[0], UnixTime::from_ms(NOW_MS)).is_err());
        }

        #[test]
        fn a_trust_anchor_is_read_whole_or_not_at_all(at: prop::sample::Index, put in "[ -~\n]{0,3}") {
            let path = Path::new("root.pem");
            let genuine = String::from_utf8(pem(&PATH[0])).unwrap();
            let at = at.index(genuine.len());
            let text = format!("{}{put}{}", &genuine[..at], &genuine[at..]);
            if let Ok(anchors) = TrustAnchors::only_configured(text.as_bytes(), path) {
                prop_assert_eq!(anchors.iter().count(), 1);
                let der = anchors.iter().next().unwrap().der();
                prop_assert!(anchors.find(der).is_some());
            }
        }

        #[test]
        fn arbitrary_text_is_no_trust_anchor(text in ".{0,200}") {
            prop_assert!(TrustAnchors::only_configured(text.as_bytes(), Path::new("root.pem")).is_err());
        }
    }
}

mod cms {
    use super::*;

    proptest! {
        /// By a reader of BER that shares nothing with the writer.
        #[test]
        fn iv_and_content_of_any_length_read_back(
            ski: [u8; 32], encrypted_key in bytes(0..600), iv: [u8; 16], content in bytes(0..5000),
        ) {
            let ber = EnvelopedData {
                subject_key_identifier: &ski,
                encrypted_key: &encrypted_key,
                iv: &iv,
                encrypted_content: &content,
            }
            .to_ber();
            prop_assert_eq!(iv_and_content(&ber), Some((iv.to_vec(), content)));
        }

        #[test]
        fn the_enclave_opens_what_the_broker_wraps(plaintext in bytes(0..4096), iv: [u8; 16]) {
            let key = OaepKey::from_spki_der(RECIPIENT.spki_der()).unwrap();
            let ber = EnvelopedData {
                subject_key_identifier: RECIPIENT.key_identifier(),
                encrypted_key: &key.encrypt(OaepDigest::Sha256, &CONTENT_ENCRYPTION_KEY).unwrap(),
                iv: &iv,
                encrypted_content: &aes256_cbc_encrypt(&CONTENT_ENCRYPTION_KEY, iv, &plaintext).unwrap(),
            }
            .to_ber();
            prop_assert_eq!(&**open_enveloped_data(&ber, &RECIPIENT).unwrap(), &plaintext[..]);
        }
    }
}

mod members {
    use super::*;

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-c]{1,2}", inner, 0..4)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    /// Reads the member `m` of `{"m": value}`.
    fn read<T>(
        value: &Value,
        reader: impl FnOnce(&Members<'_>) -> Result<T, MemberError>,
    ) -> Result<T, MemberError> {
        let json = Json::parse(json!({ "m": value }).to_string().as_bytes()).unwrap();
        reader(&Members::of_request(&json).unwrap())
    }

    proptest! {
        #[test]
        fn each_reader_takes_its_own_type_only(value in any_json()) {
            let is_null = value.is_null();
            prop_assert_eq!(
                read(&value, |members| Ok(members.string("m", 0..=usize::MAX)?.map(str::to_owned))).ok(),
                (is_null || value.is_string()).then(|| value.as_str().map(str::to_owned))
            );
            prop_assert_eq!(
                read(&value, |members| members.integer("m", i64::MIN..=i64::MAX)).ok(),
                (is_null || value.is_i64()).then(|| value.as_i64())
            );
            prop_assert_eq!(
                read(&value, |members| members.flag("m")).ok(),
                (is_null || value.is_boolean()).then(|| value.as_bool().unwrap_or(false))
            );
            prop_assert_eq!(
                read(&value, |members| Ok(members.structure("m")?.is_some())).ok(),
                (is_null || value.is_object()).then(|| value.is_object())
            );
            let texts: Option<Vec<String>> = serde_json::from_value(value.clone()).unwrap_or(None);
            prop_assert_eq!(
                read(&value, |members| {
                    let texts = members.strings("m", 0..=usize::MAX, 0..=usize::MAX)?;
                    Ok(texts.into_iter().map(str::to_owned).collect::<Vec<_>>())
                })
                .ok(),
                if is_null { Some(Vec::new()) } else { texts }
            );
            let map: Option<BTreeMap<String, String>> = serde_json::from_value(value.clone()).unwrap_or(None);
            prop_assert_eq!(
                read(&value, |members| members.string_map("m")).ok(),
                if is_null { Some(BTreeMap::new()) } else { map }
            );
        }

        #[test]
        fn blobs_come_out_within_their_lengths(blob in bytes(0..40)) {
            let read = read(&Value::from(STANDARD.encode(&blob)), |members| members.blob("m", 1..=32));
            if (1..=32).contains(&blob.len()) {
                prop_assert_eq!(&read.unwrap().unwrap()[..], &blob[..]);
            } else {
                let is_constraint = matches!(read, Err(MemberError::Constraint { .. }));
                prop_assert!(is_constraint);
            }
        }

        #[test]
        fn lengths_are_counted_in_characters(text in ".{0,12}") {
            let count = text.chars().count();
            let read = read(&Value::from(text), |members| members.string("m", 3..=8).map(drop));
            prop_assert_eq!(read.is_ok(), (3..=8).contains(&count));
        }

        #[test]
        fn messages_stay_short_whatever_the_value(text in ".{65,2000}") {
            let error = read(&Value::from(text), |members| members.string("m", 0..=1).map(drop)).unwrap_err();
            prop_assert!(error.to_string().chars().count() < 200);
        }
    }
}

mod names {
    use super::*;

    proptest! {
        #[test]
        fn a_key_is_found_by_its_id_and_its_arn(bytes: [u8; 16]) {
            let id = KeyId::from_bytes(bytes);
            for text in [id.to_string(), realm().key_arn(id).to_string()] {
                prop_assert_eq!(KeyIdentifier::parse(&text, &realm()), Ok(KeyIdentifier::Key(id)));
            }
        }

        #[test]
        fn an_alias_is_found_by_its_name_and_its_arn(name in "[A-Za-z0-9/_-]{1,100}") {
            let Ok(alias) = AliasName::parse(&format!("alias/{name}")) else {
                prop_assert!(name.starts_with("aws/"));
                return Ok(());
            };
            for text in [alias.to_string(), realm().alias_arn(&alias)] {
                prop_assert_eq!(KeyIdentifier::parse(&text, &realm()), Ok(KeyIdentifier::Alias(alias.clone())));
            }
        }

        #[test]
        fn a_principal_is_kept_as_written(
            prefix in prop::sample::select(vec!["", "arn:aws:iam::", "arn:aws:iam::111122223333:", "arn:aws:sts::111122223333:"]),
            rest in "(assumed-role/|user/|role/|root|federated-user/)?[ -~]{0,30}",
        ) {
            let text = format!("{prefix}{rest}");
            if let Ok(principal) = PrincipalArn::parse(&text) {
                prop_assert_eq!(principal.as_str(), &text);
                prop_assert_eq!(principal.account(), text.split(':').nth(4).unwrap());
            }
        }

        #[test]
        fn a_time_reads_back_to_the_millisecond(ms in 0_u64..253_402_300_800_000) {
            let time = UnixTime::from_ms(ms);
            prop_assert_eq!(UnixTime::parse_rfc3339(&time.to_string()), Ok(time));
        }

        #[test]
        fn arbitrary_text_is_no_time(text in "[0-9TZ:.+ -]{0,30}") {
            if let Ok(time) = UnixTime::parse_rfc3339(&text) {
                prop_assert!(text.len() >= "1970-01-01T00:00:00Z".len(), "{} is {time}", text);
            }
        }
    }
}

mod records {
    use super::*;

    proptest! {
        /// Whatever the caller sends: a record is one line of JSON that says the same.
        #[test]
        fn an_audit_record_is_one_line(
            operation in any::<String>(), source in any::<String>(), user_agent in any::<Option<String>>(),
            message in any::<String>(), ms in 0_u64..253_402_300_800_000,
        ) {
            let event = AuditEvent::new(Subject {
                request_id: "id".to_owned(),
                time: UnixTime::from_ms(ms),
                operation: operation.clone(),
                source: source.clone(),
                user_agent: user_agent.clone(),
            });
            let ending = Ending {
                outcome: Outcome::Malformed,
                error: Some(("Exception", &message)),
                configured_trust_anchors: &[],
                event_id: "event",
            };
            let line = event.to_line(&realm(), ending).unwrap();
            prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            prop_assert_eq!(line.last(), Some(&b'\n'));
            let record: Value = serde_json::from_slice(&line).unwrap();
            prop_assert_eq!(&record["eventName"], &json!(operation));
            prop_assert_eq!(&record["sourceIPAddress"], &json!(source));
            prop_assert_eq!(&record["userAgent"], &json!(user_agent));
            prop_assert_eq!(&record["errorMessage"], &json!(message));
        }
    }
}

mod root_key {
    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    static FILE: LazyLock<FileRootKey> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        FileRootKey::create(&folder.path().join("root.key")).unwrap()
    });

    proptest! {
        #[test]
        fn what_is_wrapped_unwraps_in_its_context_only(
            plaintext in bytes(0..64), context in bytes(0..32), other in bytes(0..32),
            at: prop::sample::Index, bit in 0_u8..8,
        ) {
            let mut wrapped = run(FILE.wrap(&context, &plaintext)).unwrap();
            prop_assert_eq!(&**run(FILE.unwrap_key(&context, &wrapped)).unwrap(), &plaintext[..]);
            prop_assert_eq!(run(FILE.unwrap_key(&other, &wrapped)).is_ok(), other == context);
            let at = at.index(wrapped.len());
            wrapped[at] ^= 1_u8 << bit;
            prop_assert!(run(FILE.unwrap_key(&context, &wrapped)).is_err());
        }

        #[test]
        fn arbitrary_bytes_do_not_unwrap(wrapped in bytes(0..100)) {
            prop_assert!(run(FILE.unwrap_key(b"context", &wrapped)).is_err());
        }
    }
}

mod simulated_nsm {
    use super::*;

    /// A root, and an NSM below it with PCR `index` set, if any.
    static ROOT: LazyLock<(Arc<DevelopmentRoot>, TrustAnchors)> = LazyLock::new(|| {
        let root = DevelopmentRoot::generate(UNIX_EPOCH + Duration::from_secs(1_700_000_000)).unwrap();
        let pem = root.certificate_pem();
        let anchors = TrustAnchors::only_configured(pem.as_bytes(), Path::new("root.pem")).unwrap();
        (Arc::new(root), anchors)
    });

    fn fields() -> impl Strategy<Value = Option<Vec<u8>>> {
        prop::option::of(prop_oneof![bytes(0..40), bytes(1020..1025)])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_broker_reads_what_the_enclave_side_writes(
            public_key in fields(), user_data in fields(), nonce in fields(),
            index in 0_u8..32, value in 1_u8.., age in 0_u64..300,
        ) {
            let (root, anchors) = &*ROOT;
            let enclave = SimulatedEnclave::default().with_pcr(index, [value; 48]);
            let module_id = enclave.module_id();
            let made = UNIX_EPOCH + Duration::from_secs(1_750_000_000);
            let nsm = SimulatedNsm::new(Arc::clone(root), enclave, SimulatedClock::Fixed(made)).unwrap();
            let request = AttestationRequest {
                public_key: public_key.as_deref(),
                user_data: user_data.as_deref(),
                nonce: nonce.as_deref(),
            };
            let document = nsm.attest_at(&request, made).unwrap();
            let now = time_of(made + Duration::from_secs(age));
            let evidence = verify(&document, anchors, now, &Requirements::default()).unwrap();
            prop_assert_eq!(evidence.module_id(), module_id);
            prop_assert_eq!(evidence.timestamp(), time_of(made));
            prop_assert_eq!(evidence.public_key(), public_key.as_deref());
            prop_assert_eq!(evidence.user_data(), user_data.as_deref());
            prop_assert_eq!(evidence.nonce(), nonce.as_deref());
            prop_assert_eq!(evidence.pcrs().get(index).unwrap().to_hex(), hex::encode([value; 48]));
            // Hardly an RSA key; the document is genuine all the same.
            prop_assert_eq!(evidence.recipient_key().unwrap_err().step(), Step::RecipientKey);
        }
    }

    fn time_of(moment: SystemTime) -> UnixTime {
        let since_epoch = moment.duration_since(UNIX_EPOCH).unwrap();
        UnixTime::from_ms(u64::try_from(since_epoch.as_millis()).unwrap())
    }
}
