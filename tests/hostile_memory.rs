//! What each parser allocates for hostile input: nothing in proportion to a length that is only claimed, and little in
//! proportion to what really came.

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

use std::sync::LazyLock;

use fuzz_targets::genuine::{LEAF, MINTED, anchors, certificates_of, payload_of};
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use mint::cbor::Cbor;
use mint::vectors::NOW_MS;
use mint::{certificate, der};
use nitro_key_broker::attestation::{Requirements, TrustAnchors, verify};
use nitro_key_broker::auth::sigv4::{
    MAX_QUERY_LEN, RawRequest, Scope, SignatureWindow, parse_signed_request,
};
use nitro_key_broker::cose::UnverifiedSign1;
use nitro_key_broker::crypto::P384PublicKey;
use nitro_key_broker::json::Json;
use nitro_key_broker::keys::CiphertextBlob;
use nitro_key_broker::operations::{
    Decrypt, GenerateDataKey, GenerateDataKeyWithoutPlaintext, Members, Operation,
};
use nitro_key_broker::policy::KeyPolicy;
use nitro_key_broker::time::UnixTime;
use nitro_key_broker::x509::verify_path;

/// The longest document that the model allows, and the longest body that the server reads by default.
const DOCUMENT_LEN: usize = 262_144;
const BODY_LEN: usize = 1024 * 1024;

const KIB: u64 = 1024;
/// What refusing a document may take above idle.
const DOCUMENT_LIMIT: u64 = 2 * 1024 * KIB;

static ANCHORS: LazyLock<TrustAnchors> = LazyLock::new(anchors);

/// The most bytes that `run` holds at one time beyond what was there before.
fn peak(run: impl Fn()) -> u64 {
    // Once before, so that what is made once in a process does not count.
    run();
    allocation_counter::measure(run).bytes_max
}

fn assert_peak(what: &str, limit: u64, run: impl Fn()) {
    let peak = peak(run);
    assert!(peak <= limit, "{what}: {peak} bytes at the peak, {limit} are allowed");
}

#[test]
fn the_counter_counts() {
    assert_eq!(peak(|| drop(vec![0_u8; 10_000])), 10_000);
}

#[test]
fn hostile_documents() {
    let now = UnixTime::from_ms(NOW_MS);
    let requirements = Requirements::default();
    for (what, document) in documents() {
        assert!(document.len() <= DOCUMENT_LEN, "{what}");
        assert_peak(what, DOCUMENT_LIMIT, || {
            assert!(verify(&document, &ANCHORS, now, &requirements).is_err(), "{what}");
        });
    }
}

/// A document is refused for a claim before anything is set aside for it.
#[test]
fn claims_cost_nothing() {
    for head in [&[0x5a, 0xff, 0xff, 0xff, 0xff][..], &[0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]]
    {
        for input in [
            [SIGN1_HEAD, head].concat(),
            [&[0x84], head].concat(),
            [&[0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xa0, 0x40], head].concat(),
        ] {
            assert_peak("a claimed length", KIB, || assert!(UnverifiedSign1::parse(&input).is_err()));
        }
    }
    for major in [0x60, 0x80, 0xa0] {
        let payload = [&[0xa1, 0x68], &b"cabundle"[..], &[major | 0x1a, 0xff, 0xff, 0xff, 0xff]].concat();
        let document = LEAF.sign1(&payload);
        let now = UnixTime::from_ms(NOW_MS);
        assert_peak("a claimed count", KIB, || {
            assert!(verify(&document, &ANCHORS, now, &Requirements::default()).is_err());
        });
    }
}

/// What the kernel counts, too: the cryptographic module allocates past Rust's allocator.
#[cfg(target_os = "linux")]
#[test]
fn hostile_documents_in_resident_memory() {
    let now = UnixTime::from_ms(NOW_MS);
    let documents = documents();
    let judge_all = || {
        for (what, document) in &documents {
            assert!(verify(document, &ANCHORS, now, &Requirements::default()).is_err(), "{what}");
        }
    };
    judge_all();
    let idle = resident("VmRSS");
    // Makes the peak the present (proc_pid_clear_refs(5)).
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    judge_all();
    let above_idle = resident("VmHWM").saturating_sub(idle);
    assert!(above_idle < DOCUMENT_LIMIT, "{above_idle} bytes above idle");
}

#[cfg(target_os = "linux")]
fn resident(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * KIB
}

#[test]
fn hostile_envelopes_of_cose() {
    let key = P384PublicKey::from_uncompressed_point(&MINTED.chain.leaf.key.point()).unwrap();
    let mut signed = LEAF.sign1(&vec![0; DOCUMENT_LEN - 120]);
    *signed.last_mut().unwrap() ^= 1;
    assert_peak("a long payload with a false signature", DOCUMENT_LIMIT, || {
        assert!(UnverifiedSign1::parse(&signed).unwrap().verify(&key).is_err());
    });
}

/// At the lengths that a document can carry.
#[test]
fn hostile_certificates() {
    let genuine = certificates_of(&payload_of(&MINTED.mint()));
    let (leaf, bundle) = genuine.split_last().unwrap();
    let now = UnixTime::from_ms(NOW_MS);
    for (what, certificate) in certificates() {
        assert!(certificate.len() <= 1024, "{what}: {} bytes", certificate.len());
        let mut bundle: Vec<&[u8]> = bundle.iter().map(Vec::as_slice).collect();
        bundle.extend([&*certificate; 4]);
        assert_peak(what, 256 * KIB, || {
            assert!(verify_path(leaf, &bundle, bundle[0], now).is_err(), "{what}");
        });
        let bundle = [bundle[0]; 8];
        assert_peak(what, 256 * KIB, || {
            assert!(verify_path(&certificate, &bundle, bundle[0], now).is_err(), "{what}");
        });
    }
}

#[test]
fn hostile_bodies() {
    for (what, body) in bodies() {
        assert!(body.len() <= BODY_LEN, "{what}");
        assert_peak(what, 2 * BODY_LEN as u64, || {
            let Ok(json) = Json::parse(&body) else { return };
            let Ok(members) = Members::of_request(&json) else { return };
            drop(GenerateDataKey::parse(&members));
            drop(GenerateDataKeyWithoutPlaintext::parse(&members));
            drop(Decrypt::parse(&members));
        });
    }
}

#[test]
fn hostile_policies() {
    let statement = r#"{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"},"#;
    let values = |open: &str, item: &str, close: &str| {
        let items = (32_768 - open.len() - close.len()) / item.len();
        format!("{open}{}{close}", item.repeat(items))
    };
    let in_condition = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*","Condition":{"StringLike":{"kms:EncryptionContextKeys":["#;
    for (what, text) in [
        ("nested arrays", "[".repeat(32_768)),
        ("many statements", values(r#"{"Statement":["#, statement, "0]}")),
        ("many values", values(in_condition, r#""*","#, "0]}}}}")),
        ("many wildcards", values(&format!("{in_condition}\""), "*?", "\"]}}}}")),
        ("many members", format!("{{{}", (0..3_400).map(|n| format!("\"{n}\":0,")).collect::<String>())),
        ("a long text", format!("{{\"Id\":\"{}\"}}", "x".repeat(32_000))),
        ("more than a policy may have", " ".repeat(BODY_LEN)),
    ] {
        assert_peak(what, 2 * 1024 * KIB, || drop(KeyPolicy::parse(&text)));
    }
}

#[test]
fn hostile_headers() {
    let scope = "AKID/20260103/eu-central-1/kms/aws4_request";
    let many: String = (0..700).map(|n| format!("h{n:03};")).collect();
    for (what, authorization) in [
        ("many names", format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={many}, Signature=00")),
        ("many fields", format!("AWS4-HMAC-SHA256 {}", "a=b,".repeat(1000))),
        (
            "many slashes",
            format!("AWS4-HMAC-SHA256 Credential={}, SignedHeaders=a, Signature=00", "/".repeat(4000)),
        ),
        ("a long header", "A".repeat(64 * 1024)),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_str(&authorization).unwrap());
        assert_peak(what, 8 * KIB, || {
            assert!(parse_signed_request(raw(&headers, "", b"")).is_err(), "{what}")
        });
    }

    for (what, query) in [
        ("many parameters", "&a".repeat(BODY_LEN)),
        ("a long query", "a".repeat(BODY_LEN)),
        ("a long date", format!("X-Amz-Date={}", "%30".repeat(5_000))),
        ("many signed headers", format!("X-Amz-SignedHeaders={}", "a;".repeat(8_000))),
    ] {
        assert_peak(what, 32 * KIB, || {
            assert!(parse_signed_request(raw(&HeaderMap::new(), &query, b"")).is_err(), "{what}")
        });
    }

    let mut headers = HeaderMap::new();
    let names: Vec<String> =
        (0..60).map(|n| format!("h{n:02}")).chain(["host".to_owned(), "x-amz-date".to_owned()]).collect();
    for name in &names {
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_str(&"a ".repeat(500)).unwrap(),
        );
    }
    headers.insert("x-amz-date", HeaderValue::from_static("20260103T204107Z"));
    let signature = "0".repeat(64);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={}, Signature={signature}",
        names.join(";")
    );
    headers.insert("authorization", HeaderValue::from_str(&authorization).unwrap());
    let query = ["%61".repeat(84).as_str(); 64].join("&");
    assert!(query.len() > MAX_QUERY_LEN - 256);
    let body = vec![0; BODY_LEN];
    let now = UnixTime::parse_rfc3339("2026-01-03T20:41:07Z").unwrap();
    assert_peak("everything signed", 8 * 1024 * KIB, || {
        let signed = parse_signed_request(raw(&headers, &query, &body)).unwrap().unwrap();
        let scope = Scope { region: "eu-central-1", service: "kms" };
        assert!(signed.verify(b"secret", &scope, &SignatureWindow::default(), now).is_err());
    });
}

#[test]
fn hostile_blobs() {
    for blob in [vec![1; BODY_LEN], vec![1; 6145], vec![2; 6144], Vec::new()] {
        assert_peak("a blob", KIB, || assert!(CiphertextBlob::parse(&blob).is_err()));
    }
}

#[test]
fn hostile_cms() {
    let limit = enclave_sample::cms::MAX_ENVELOPE_BYTES;
    let key = &*fuzz_targets::cms::RECIPIENT;
    let outer = [
        0x30, 0x80, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03, 0xa0, 0x80, 0x30, 0x80,
        0x02, 0x01, 0x02,
    ];
    // All `layers` end, so that what is in them is looked at.
    let filled = |layers: usize, head: &[u8], item: &[u8]| {
        let ends = [0, 0].repeat(layers);
        let room = limit - outer.len() - head.len() - ends.len();
        [&outer, head, &item.repeat(room / item.len()), &ends].concat()
    };
    for (what, envelope) in [
        ("nested", [0x30, 0x80].repeat(limit / 2)),
        ("a claim of 4 GiB", vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0x00]),
        ("a recipients' claim of 4 GiB", [&outer[..], &[0x31, 0x84, 0xff, 0xff, 0xff, 0xff]].concat()),
        ("many recipients", filled(4, &[0x31, 0x80], &[0xa1, 0x00])),
        ("many recipients of key transport", filled(4, &[0x31, 0x80], &[0x30, 0x00])),
        ("many segments", filled(6, &[0x31, 0x80, 0x30, 0x80, 0x02, 0x01, 0x02, 0xa0, 0x80], &[0x04, 0x00])),
        ("too long", vec![0x30; BODY_LEN]),
    ] {
        assert_peak(what, 64 * KIB, || {
            assert!(enclave_sample::cms::open_enveloped_data(&envelope, key).is_err(), "{what}");
        });
    }
}

/// The head of a COSE_Sign1 up to its payload.
const SIGN1_HEAD: &[u8] = &[0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xa0];

fn raw<'a>(headers: &'a HeaderMap, query: &'a str, body: &'a [u8]) -> RawRequest<'a> {
    RawRequest { method: "POST", path: "/", query, headers, body }
}

/// Documents of the full length, each hostile in its own way.
fn documents() -> Vec<(&'static str, Vec<u8>)> {
    let padded = |head: &[u8]| [head, &vec![0; DOCUMENT_LEN - head.len()]].concat();
    let genuine = payload_of(&MINTED.mint());
    // A document with `value` in that field, signed.
    let with_field = |name: &str, value: &[u8]| {
        let mut payload = MINTED.payload.clone();
        payload.set(name, Cbor::Raw(value.to_vec()));
        LEAF.sign1(&payload.item().encode(&MINTED.chain))
    };
    let long_bytes =
        |length: usize| minicbor::to_vec(minicbor::bytes::ByteVec::from(vec![0x5a; length])).unwrap();
    let long_text = |length: usize| minicbor::to_vec("x".repeat(length)).unwrap();
    let room = DOCUMENT_LEN - genuine.len() - 200;
    let entries = |count: u32, head: &[u8], item: &dyn Fn(u32) -> Vec<u8>| {
        head.iter().copied().chain((0..count).flat_map(item)).collect::<Vec<u8>>()
    };
    let map_of_100_000 = entries(100_000, &[0xba, 0x00, 0x01, 0x86, 0xa0], &|_| vec![0x00, 0x00]);
    let distinct_entries = entries(30_000, &[0xb9, 0x75, 0x30], &|n| {
        let mut entry = minicbor::to_vec(n).unwrap();
        entry.push(0xf6);
        entry
    });
    let certificates = |count: u8| {
        let mut bundle = vec![0x80 | count];
        bundle.extend(long_bytes(1024).repeat(usize::from(count)));
        bundle
    };
    let (_, hostile) = self::certificates().swap_remove(1);
    let mut hostile_bundle = vec![0x88];
    for certificate in std::iter::once(MINTED.root()).chain(std::iter::repeat_n(hostile, 7)) {
        hostile_bundle.extend(minicbor::to_vec(minicbor::bytes::ByteVec::from(certificate)).unwrap());
    }
    vec![
        ("hostile certificates below the root", with_field("cabundle", &hostile_bundle)),
        ("a payload's claim of 4 GiB", padded(&[SIGN1_HEAD, &[0x5a, 0xff, 0xff, 0xff, 0xff]].concat())),
        (
            "a payload's claim of 8 EiB",
            padded(&[SIGN1_HEAD, &[0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]].concat()),
        ),
        ("an array of 4 Gi elements", padded(&[0x9a, 0xff, 0xff, 0xff, 0xff])),
        ("a protected header of 4 GiB", padded(&[0x84, 0x5a, 0xff, 0xff, 0xff, 0xff])),
        ("a protected header of the full length", [&[0x84], &long_bytes(DOCUMENT_LEN - 6)[..]].concat()),
        ("an unprotected header of 100,000 entries", [&SIGN1_HEAD[..6], &map_of_100_000].concat()),
        ("nested tags", vec![0xd2; DOCUMENT_LEN]),
        ("nested arrays", vec![0x81; DOCUMENT_LEN]),
        ("nested arrays as unprotected header", padded(&[&SIGN1_HEAD[..6], &[0x81; 10_000][..]].concat())),
        ("a payload of nested maps", LEAF.sign1(&[0xa1, 0x00].repeat(10_000))),
        ("a payload of nested arrays", LEAF.sign1(&vec![0x81; DOCUMENT_LEN - 200])),
        ("a payload of 100,000 entries", LEAF.sign1(&map_of_100_000)),
        ("a payload of 30,000 distinct entries", LEAF.sign1(&distinct_entries)),
        ("100,000 PCRs", with_field("pcrs", &map_of_100_000)),
        ("a PCR of the full length", with_field("pcrs", &[&[0xa1, 0x00], &long_bytes(room)[..]].concat())),
        ("nested arrays as cabundle", with_field("cabundle", &vec![0x81; 10_000])),
        ("a cabundle of 4 Gi certificates", with_field("cabundle", &[0x9a, 0xff, 0xff, 0xff, 0xff])),
        (
            "a cabundle of 100,000 certificates",
            with_field("cabundle", &entries(100_000, &[0x9a, 0x00, 0x01, 0x86, 0xa0], &|_| vec![0x40])),
        ),
        ("a cabundle of eight long certificates", with_field("cabundle", &certificates(8))),
        (
            "a cabundle's certificate of the full length",
            with_field("cabundle", &[&[0x81], &long_bytes(room)[..]].concat()),
        ),
        ("a certificate of the full length", with_field("certificate", &long_bytes(room))),
        ("a public key of the full length", with_field("public_key", &long_bytes(room))),
        ("user data of the full length", with_field("user_data", &long_bytes(room))),
        ("a nonce of the full length", with_field("nonce", &long_bytes(room))),
        ("a module id of the full length", with_field("module_id", &long_text(room))),
        ("a digest of the full length", with_field("digest", &long_text(room))),
        (
            "an unknown field of the full length",
            LEAF.sign1(&[&[0xa1], &long_text(room)[..], &[0xf6]].concat()),
        ),
        ("trailing bytes", padded(&MINTED.mint())),
        ("a signature of the full length", [SIGN1_HEAD, &[0x40], &long_bytes(DOCUMENT_LEN - 13)].concat()),
    ]
}

/// Certificates of at most 1,024 bytes that make a reader of DER work.
fn certificates() -> Vec<(&'static str, Vec<u8>)> {
    let tbs = |extra: &[u8]| {
        let version = der::context(0, &der::integer(&[2]));
        let algorithm = der::sequence(&[der::oid(&[1, 2, 840, 10045, 4, 3, 3])]);
        [version, der::integer(&[1]), algorithm, extra.to_vec()].concat()
    };
    let within = |parts: Vec<u8>| der::sequence(&[der::sequence(&[tbs(&parts)])]);
    let empty_attribute = der::set(&[der::sequence(&[der::oid(&[2, 5, 4, 3]), der::utf8_string("")])]);
    let leaf_with = |extensions: Vec<certificate::Extension>| {
        let mut leaf = MINTED.chain.leaf.certificate.clone();
        leaf.extensions.extend(extensions);
        leaf.sign(&MINTED.chain.instance.key)
    };
    let names = der::context(0, &der::context_primitive(6, b"").repeat(170));
    let mut many_names = certificate::crl_distribution_point("");
    many_names.value = der::sequence(&[der::sequence(&[der::context(0, &names)])]);
    vec![
        ("an extension many times", leaf_with(vec![certificate::unknown_extension(false); 15])),
        ("many names of a distribution point", leaf_with(vec![many_names])),
        ("nested sequences", [0x30, 0x80].repeat(512)),
        ("nested definite sequences", (0..250).fold(Vec::new(), |inner, _| der::sequence(&[inner]))),
        ("a claim of 4 GiB", vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0x30, 0x84, 0xff, 0xff, 0xff, 0xff]),
        ("a name of many attributes", within(der::sequence(&vec![empty_attribute; 75]))),
        ("a name of many empty sets", within(der::sequence(&vec![der::set(&[]); 450]))),
        (
            "a serial number of the full length",
            der::sequence(&[der::sequence(&[der::integer(&[0x7f; 1000])])]),
        ),
        ("zeros", vec![0; 1024]),
    ]
}

/// Bodies of the full length.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let filled = |open: &str, item: &str, close: &str| {
        let count = (BODY_LEN - open.len() - close.len()) / item.len();
        format!("{open}{}{close}", item.repeat(count)).into_bytes()
    };
    let distinct: String = (0..90_000).map(|n| format!("\"{n:x}\":0,")).collect();
    vec![
        ("nested arrays", vec![b'['; BODY_LEN]),
        ("nested objects", filled("", "{\"\":", "")),
        ("an array of numbers", filled("{\"KeyId\":[", "0,", "0]}")),
        ("an array of empty arrays", filled("{\"KeyId\":[", "[],", "0]}")),
        ("an array of empty objects", filled("{\"KeyId\":[", "{},", "0]}")),
        ("an array of empty strings", filled("{\"GrantTokens\":[", "\"\",", "\"\"]}")),
        ("an object of distinct names", format!("{{{distinct}\"a\":0}}").into_bytes()),
        ("an object of one name", filled("{", "\"a\":0,", "\"a\":0}")),
        (
            "an encryption context of many pairs",
            format!("{{\"EncryptionContext\":{{{}\"a\":\"\"}}}}", distinct.replace(":0", ":\"\""))
                .into_bytes(),
        ),
        ("a long key id", filled("{\"KeyId\":\"", "x", "\",\"KeySpec\":\"AES_256\"}")),
        ("a long key spec", filled("{\"KeyId\":\"a\",\"KeySpec\":\"", "x", "\"}")),
        ("a long text of escapes", filled("{\"KeyId\":\"", "\\u0041", "\"}")),
        ("a long blob", filled("{\"CiphertextBlob\":\"", "AAAA", "\"}")),
        (
            "a long document",
            filled(
                "{\"KeyId\":\"a\",\"KeySpec\":\"AES_256\",\"Recipient\":{\"KeyEncryptionAlgorithm\":\"RSAES_OAEP_SHA_256\",\"AttestationDocument\":\"",
                "AAAA",
                "\"}}",
            ),
        ),
        ("a long number", filled("[", "9", "]")),
    ]
}
