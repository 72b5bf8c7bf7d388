//! The seeds of the fuzz targets: what `fuzz/seeds` holds, each file by its target and what it shows.

use enclave_sample::cms::MAX_ENVELOPE_BYTES;
use nitro_key_broker::time::UnixTime;

use crate::envelope::{Emitter, Encoding, Rid};
use crate::fuzz_targets::cose::SIGNED;
use crate::fuzz_targets::eif::image::ImageToWrite;
use crate::fuzz_targets::genuine::{MINTED, RECORDED, certificates_of, field, payload_of};
use crate::fuzz_targets::{ciphertext_blob, cms, path, sigv4};
use crate::mint::cbor::{Cbor, bytes};
use crate::mint::vectors::{self, NOW_MS, Vector};
use crate::mint::{self, PROTECTED_ES384};

/// A file of `fuzz/seeds`.
pub struct Seed {
    pub target: &'static str,
    pub name: String,
    pub input: Vec<u8>,
}

/// The vectors whose payload, signed again, is a seed; the others differ in what the fuzzer finds by itself.
const PAYLOADS: [&str; 10] = [
    "accepted_32_pcrs",
    "accepted_definite_map",
    "accepted_empty_user_data_and_nonce",
    "accepted_fields_in_another_order",
    "accepted_indefinite_map",
    "accepted_recipient_rsa_2048",
    "accepted_three_pcrs",
    "accepted_unknown_extension_not_critical",
    "accepted_user_data_and_nonce_of_1024_bytes",
    "debug_mode_pcr0_zero",
];

/// The vectors that are seeds as they are.
const DOCUMENTS: [&str; 6] = [
    "accepted_indefinite_map",
    "accepted_tag_18",
    "cose_alg_in_both_headers",
    "cose_kid_in_unprotected",
    "cose_signature_95_bytes",
    "cose_unprotected_indefinite_map",
];

/// The vectors whose TBSCertificates, signed again, are a seed.
const PATHS: [&str; 24] = [
    "accepted_indefinite_map",
    "accepted_unknown_extension_not_critical",
    "path_instance_below_an_instance",
    "path_instance_key_usage_malformed",
    "path_instance_without_key_cert_sign",
    "path_leaf_algorithm_sha512",
    "path_leaf_expired",
    "path_leaf_key_compressed",
    "path_leaf_key_usage_not_shortest",
    "path_leaf_on_p256",
    "path_leaf_serial_not_shortest",
    "path_leaf_version_1",
    "path_leaf_without_digital_signature",
    "path_regional_authority_key_identifier_malformed",
    "path_regional_is_no_ca",
    "path_regional_missing",
    "path_regional_path_length_exceeded",
    "path_regional_path_length_negative",
    "path_regional_twice",
    "path_two_levels_swapped",
    "path_zonal_issuer_renamed",
    "path_zonal_not_yet_valid",
    "path_zonal_with_unknown_critical_extension",
    "path_zonal_without_basic_constraints",
];

/// Every seed; the same from every run, but for the envelopes, whose key encryption is randomised.
pub fn all() -> Vec<Seed> {
    let vectors = vectors::all();
    [
        documents(&vectors),
        cose(&vectors),
        paths(&vectors),
        envelopes(),
        texts("request", REQUESTS),
        requests_to_sign(),
        texts("policy", POLICIES),
        blobs(),
        images(),
        audit_logs(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn documents(vectors: &[Vector]) -> Vec<Seed> {
    let recorded = (1..)
        .zip(RECORDED)
        .map(|(number, document)| seed("document", format!("recorded_{number}"), document));
    let minted =
        named(vectors, &DOCUMENTS[..2]).map(|vector| seed("document", vector.name(), vector.document.mint()));
    let payloads = named(vectors, &PAYLOADS).map(|vector| {
        seed("document", format!("payload_{}", vector.name()), payload_of(&vector.document.mint()))
    });
    recorded.chain(minted).chain(payloads).collect()
}

fn cose(vectors: &[Vector]) -> Vec<Seed> {
    let minted = named(vectors, &DOCUMENTS).map(|vector| seed("cose", vector.name(), vector.document.mint()));
    let to_sign =
        SIGNED.map(|(name, payload)| seed("cose", format!("payload_{name}"), [&[0], payload].concat()));
    let signed = SIGNED.map(|(name, payload)| seed("cose", format!("signed_{name}"), sign1(payload)));
    minted.chain(to_sign).chain(signed).collect()
}

/// A COSE_Sign1 by the minted leaf, the same from every run.
fn sign1(payload: &[u8]) -> Vec<u8> {
    let to_sign =
        Cbor::Array(vec![mint::cbor::text("Signature1"), bytes(PROTECTED_ES384), bytes(&[]), bytes(payload)]);
    let signature = MINTED.signer.sign(&to_sign.encode(&MINTED.chain));
    let elements =
        vec![bytes(PROTECTED_ES384), Cbor::Map(Vec::new()), bytes(payload), Cbor::Bytes(signature)];
    Cbor::Array(elements).encode(&MINTED.chain)
}

fn paths(vectors: &[Vector]) -> Vec<Seed> {
    let recorded = (1..).zip(&RECORDED[..3]).map(|(number, document)| {
        let payload = payload_of(document);
        seed(
            "path",
            format!("recorded_{number}"),
            path_input(0, claimed_time(&payload), &certificates_of(&payload)),
        )
    });
    let genuine = payload_of(&MINTED.mint());
    let now = UnixTime::from_ms(NOW_MS);
    let minted = seed("path", "minted".to_owned(), path_input(0, now, &certificates_of(&genuine)));
    let to_sign = named(vectors, &PATHS).filter_map(|vector| {
        let certificates = certificates_of(&payload_of(&vector.document.mint()));
        let tbs: Vec<Vec<u8>> = certificates.iter().skip(1).map(|der| tbs_of(der)).collect::<Option<_>>()?;
        let root = std::iter::once(Vec::new());
        let pieces: Vec<Vec<u8>> = root.chain(tbs).collect();
        Some(seed("path", format!("tbs_{}", vector.name()), path_input(1, now, &pieces)))
    });
    recorded.chain([minted]).chain(to_sign).collect()
}

/// An input of the target `path` from certificates in the order of `cabundle` with the leaf behind; a first one that is
/// empty is left out.
fn path_input(form: u8, now: UnixTime, certificates: &[Vec<u8>]) -> Vec<u8> {
    let (leaf, bundle) = certificates.split_last().unwrap();
    let bundle = bundle.iter().filter(|certificate| !certificate.is_empty());
    let pieces: Vec<&[u8]> = std::iter::once(leaf).chain(bundle).map(Vec::as_slice).collect();
    path::encode(form, now, &pieces)
}

fn claimed_time(payload: &[u8]) -> UnixTime {
    match field(payload, "timestamp") {
        serde_cbor::Value::Integer(ms) => UnixTime::from_ms(ms.try_into().unwrap()),
        other => panic!("{other:?}"),
    }
}

/// The TBSCertificate of a certificate, both of two-byte lengths as all of this size are.
fn tbs_of(certificate: &[u8]) -> Option<Vec<u8>> {
    let rest = certificate.strip_prefix(&[0x30, 0x82])?.get(2..)?;
    let length = u16::from_be_bytes(*rest.strip_prefix(&[0x30, 0x82])?.first_chunk()?);
    rest.get(..4 + usize::from(length)).map(<[u8]>::to_vec)
}

fn envelopes() -> Vec<Seed> {
    let seal = |name: &str, encoding: Encoding, length: usize, change: fn(&mut Emitter<'_>)| {
        let mut emitter = Emitter::new(cms::RECIPIENT.spki_der(), encoding);
        assert_eq!(emitter.content_encryption_key, cms::CONTENT_ENCRYPTION_KEY);
        change(&mut emitter);
        let envelope = emitter.seal(&vec![0x5a; length]);
        assert!(envelope.len() <= MAX_ENVELOPE_BYTES);
        seed("cms", name.to_owned(), envelope)
    };
    let as_is: fn(&mut Emitter<'_>) = |_| ();
    let by_issuer: fn(&mut Emitter<'_>) = |emitter| emitter.rid = Rid::IssuerAndSerialNumber;
    vec![
        seal("key_service_1_byte", Encoding::KeyService, 1, as_is),
        seal("key_service_32_bytes", Encoding::KeyService, 32, as_is),
        seal("key_service_two_segments", Encoding::KeyService, 1500, as_is),
        seal("der", Encoding::Der, 32, as_is),
        seal("mixed_1", Encoding::Mixed(vec![1, 2, 3, 0]), 32, as_is),
        seal("mixed_2", Encoding::Mixed(vec![3, 1, 0, 2, 5, 4]), 100, as_is),
        seal("issuer_and_serial_number", Encoding::Der, 32, by_issuer),
        seal("empty_label", Encoding::KeyService, 32, |emitter| emitter.label = Some(b"")),
        seal("without_null_parameters", Encoding::KeyService, 32, |emitter| emitter.null_parameters = false),
        seal("two_foreign_recipients", Encoding::KeyService, 32, |emitter| emitter.foreign_recipients = 2),
        seal("sha1", Encoding::KeyService, 32, |emitter| emitter.hash = "1.3.14.3.2.26"),
    ]
}

fn blobs() -> Vec<Seed> {
    let sealed = [1, 32, 1024].map(|length| {
        seed(
            "ciphertext_blob",
            format!("sealed_{length}_bytes"),
            ciphertext_blob::seal(&[7; 16], &vec![0x5a; length]),
        )
    });
    let mut foreign = ciphertext_blob::seal(&[8; 16], &[0x5a; 32]);
    foreign[1] ^= 0xff;
    let others = [
        seed("ciphertext_blob", "another_key".to_owned(), foreign),
        seed("ciphertext_blob", "to_seal".to_owned(), b"\0sixteen bytes: plaintext".to_vec()),
    ];
    sealed.into_iter().chain(others).collect()
}

/// The records of `testdata/analysis`, parts of them, and what belongs to checkpoints.
fn audit_logs() -> Vec<Seed> {
    let log = include_bytes!("../../testdata/analysis/audit.jsonl");
    let lines: Vec<&[u8]> = log.split_inclusive(|byte| *byte == b'\n').collect();
    let checkpoint = "nitro-key-broker/audit/fuzz\n3\nRERERERERERERERERERERERERERERERERERERERERE=\n";
    let key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    vec![
        seed("audit", "log".to_owned(), lines.concat()),
        seed("audit", "one_record".to_owned(), lines[0].to_vec()),
        seed("audit", "record_missing".to_owned(), [lines[0], lines[2]].concat()),
        seed("audit", "torn_line".to_owned(), [lines[0], &lines[1][..100], b"\n", lines[2]].concat()),
        seed("audit", "checkpoint".to_owned(), checkpoint.as_bytes().to_vec()),
        seed("audit", "verifier_key".to_owned(), key.as_bytes().to_vec()),
    ]
}

fn images() -> Vec<Seed> {
    let image = |name: &str, image: &ImageToWrite| seed("eif", name.to_owned(), image.encode());
    let usual = ImageToWrite::new(b"kernel", b"console=ttyS0", &[b"boot", b"application"]);
    let mut without_metadata = ImageToWrite { version: 2, ..usual.clone() };
    without_metadata.sections.remove(2);
    let most: Vec<&[u8]> = vec![b"x"; 29];
    vec![
        image("usual", &usual),
        image("aarch64", &ImageToWrite { flags: 1, ..usual }),
        image("version_2", &without_metadata),
        image("empty_sections", &ImageToWrite::new(b"", b"", &[b""])),
        image("most_sections", &ImageToWrite::new(b"kernel", b"", &most)),
        seed("eif", "signed".to_owned(), *include_bytes!("../../testdata/eif/signed.eif")),
    ]
}

fn requests_to_sign() -> Vec<Seed> {
    let authorization = |names: &str, scope: &str| {
        format!(
            "Authorization:AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{scope}/aws4_request, SignedHeaders={names}, Signature={}",
            sigv4::UNSIGNED
        )
    };
    let kms = |names: &str| authorization(names, "20260103/eu-central-1/kms");
    let presigned = |names: &str, more: &str| {
        format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20260103%2Feu-central-1%2Fkms%2Faws4_request&X-Amz-Date=20260103T204107Z&X-Amz-Expires=900&X-Amz-SignedHeaders={names}{more}&X-Amz-Signature={}",
            sigv4::UNSIGNED
        )
    };
    let date = "X-Amz-Date:20260103T204107Z";
    let body = r#"{"KeyId":"alias/app","KeySpec":"AES_256"}"#;
    let target = "Content-Type:application/x-amz-json-1.1\nHost:localhost\nX-Amz-Target:TrentService.Decrypt";
    let usual = "content-type;host;x-amz-date;x-amz-target";
    [
        ("usual", format!("POST /\n{target}\n{date}\n{}\n\n{body}", kms(usual))),
        (
            "session_token",
            format!(
                "POST /\n{target}\n{date}\nX-Amz-Security-Token:token\n{}\n\n{body}",
                kms("content-type;host;x-amz-date;x-amz-security-token;x-amz-target")
            ),
        ),
        ("date_header", format!("GET /\nHost:a\nDate:20260103T204107Z\n{}\n\n", kms("date;host"))),
        (
            "path_and_query",
            format!("GET /a//b/../c%20d/?b=2&a=%7e&a\nHost:a\n{date}\n{}\n\n", kms("host;x-amz-date")),
        ),
        (
            "repeated_and_spaced_header",
            format!("GET /\nHost:a\n{date}\nMy-Header:a   b\nMy-Header: c \n{}\n\n", kms("host;my-header;x-amz-date")),
        ),
        (
            "body_hash",
            format!(
                "POST /\nHost:a\n{date}\nX-Amz-Content-Sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n{}\n\n",
                kms("host;x-amz-content-sha256;x-amz-date")
            ),
        ),
        ("target_not_signed", format!("POST /\n{target}\n{date}\n{}\n\n{body}", kms("host;x-amz-date"))),
        ("anonymous", format!("POST /\n{target}\n\n{body}")),
        ("presigned", format!("POST /?{}\n{target}\n\n{body}", presigned("content-type%3Bhost%3Bx-amz-target", ""))),
        (
            "presigned_token",
            format!(
                "POST /?b=%7e&{}\n{target}\n\n{body}",
                presigned("content-type%3bhost%3bx-amz-target", "&X-Amz-Security-Token=a%2Bb%3D")
            ),
        ),
        (
            "presigned_token_and_hash_in_headers",
            format!(
                "POST /?{}\n{target}\nX-Amz-Security-Token:token\nX-Amz-Content-Sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n\n",
                presigned("content-type;host;x-amz-content-sha256;x-amz-security-token;x-amz-target", "")
            ),
        ),
        (
            "presigned_unsigned_payload",
            format!("POST /?{}\nHost:a\n\n", presigned("host", "&x-amz-content-sha256=UNSIGNED-PAYLOAD")),
        ),
        ("presigned_without_expiry", "GET /?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00\nHost:a\n\n".to_owned()),
        (
            "both_forms",
            format!("POST /?{}\n{target}\n{date}\n{}\n\n", presigned("host", ""), kms(usual)),
        ),
        ("another_day", format!("GET /\nHost:a\n{date}\n{}\n\n", authorization("host;x-amz-date", "20260102/a/kms"))),
    ]
    .map(|(name, text)| seed("sigv4", name.to_owned(), text))
    .into()
}

const REQUESTS: &[(&str, &str)] = &[
    ("generate_data_key", r#"{"KeyId":"alias/app","KeySpec":"AES_256"}"#),
    ("number_of_bytes", r#"{"KeyId":"0f9d7a0c-6d5e-4c0a-9b1e-2f3a4b5c6d7e","NumberOfBytes":64}"#),
    (
        "recipient",
        r#"{"KeyId":"arn:aws:kms:us-east-1:111122223333:key/0f9d7a0c-6d5e-4c0a-9b1e-2f3a4b5c6d7e","KeySpec":"AES_128","Recipient":{"KeyEncryptionAlgorithm":"RSAES_OAEP_SHA_256","AttestationDocument":"hEShATgioFkR"}}"#,
    ),
    (
        "everything",
        r#"{"KeyId":"arn:aws:kms:us-east-1:111122223333:alias/app","KeySpec":"AES_256","EncryptionContext":{"App":"a","b":"\u00e9"},"GrantTokens":["a","b"],"DryRun":true}"#,
    ),
    (
        "decrypt",
        r#"{"CiphertextBlob":"AQ+degxtXkwKmx4vOktcbX4=","EncryptionAlgorithm":"SYMMETRIC_DEFAULT","EncryptionContext":{"App":"a"}}"#,
    ),
    ("decrypt_modifiers", r#"{"KeyId":"alias/app","DryRun":true,"DryRunModifiers":["IGNORE_CIPHERTEXT"]}"#),
    (
        "decrypt_asymmetric",
        r#"{"CiphertextBlob":"AQ==","KeyId":"alias/app","EncryptionAlgorithm":"RSAES_OAEP_SHA_256"}"#,
    ),
    (
        "create_grant",
        r#"{"KeyId":"0f9d7a0c-6d5e-4c0a-9b1e-2f3a4b5c6d7e","GranteePrincipal":"arn:aws:iam::111122223333:role/a","RetiringPrincipal":"arn:aws:iam::111122223333:root","Operations":["Decrypt","CreateGrant"],"Constraints":{"EncryptionContextSubset":{"App":"a"}},"Name":"a/b"}"#,
    ),
    (
        "retire_grant",
        r#"{"KeyId":"a","GrantId":"abababababababababababababababababababababababababababababababab"}"#,
    ),
    ("retire_by_token", r#"{"GrantToken":"AbCdEf_-","DryRun":false}"#),
    (
        "list_retirable",
        r#"{"RetiringPrincipal":"arn:aws:iam::111122223333:user/a","Limit":100,"Marker":"ab"}"#,
    ),
    ("repeated_name", r#"{"KeyId":"a","\u004beyId":"b","KeySpec":"AES_256"}"#),
    ("both_sizes", r#"{"KeyId":"a","KeySpec":"AES_256","NumberOfBytes":1}"#),
    (
        "null_and_unknown",
        r#"{"KeyId":"a","KeySpec":null,"NumberOfBytes":1024,"Unknown":[1.5,-1e9,18446744073709551615,{}]}"#,
    ),
    ("wrong_types", r#"{"KeyId":1,"KeySpec":["AES_256"],"Recipient":"x","DryRun":"true"}"#),
    ("nested", "[[[[[[[[[[[[[[[[{\"a\":[{}]}]]]]]]]]]]]]]]]]"),
];

const POLICIES: &[(&str, &str)] = &[
    (
        "variables",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"arn:aws:kms:*:${aws:PrincipalAccount, '111122223333'}:key/*","Condition":{"StringLike":{"aws:ResourceTag/Team":["${*}*","${kms:EncryptionContext:App}?"]},"NumericGreaterThan":{"kms:RotationPeriodInDays":90},"ArnNotLikeIfExists":{"aws:PrincipalArn":"arn:aws:iam::*:user/${aws:username, 'x'}"}}}]}"#,
    ),
    (
        "identity",
        r#"{"Version":"2012-10-17","Statement":[{"Sid":"Keys","Effect":"Allow","Action":["kms:D?crypt","s3:GetObject"],"Resource":["arn:aws:kms:*:*:key/*","arn:aws:s3:::bucket/*"],"Condition":{"Null":{"kms:RecipientAttestation:PCR0":"false"}}},{"Effect":"Allow","Action":"s3:*","NotResource":"*","Condition":{"NumericLessThan":{"s3:max-keys":"10"}}},{"Effect":"Deny","NotAction":["iam:*","kms:*"],"Resource":"*"}]}"#,
    ),
    (
        "everybody",
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}}"#,
    ),
    (
        "one_image",
        r#"{"Version":"2012-10-17","Id":"key","Statement":[{"Sid":"Image","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/alice"},"Action":["kms:Decrypt","kms:GenerateDataKey*"],"Resource":"*","Condition":{"StringEqualsIgnoreCase":{"kms:RecipientAttestation:ImageSha384":"abababababababababababababababababababababababababababababababababababababababababababababababab"}}}]}"#,
    ),
    (
        "pcr_and_context",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"kms:Decrypt","Resource":"arn:aws:kms:*:*:key/*","Condition":{"StringEquals":{"kms:RecipientAttestation:PCR0":["abababababababababababababababababababababababababababababababababababababababababababababababab"],"kms:EncryptionContext:App":"fuzz"},"Null":{"kms:RecipientAttestation:PCR8":"true"}}}]}"#,
    ),
    (
        "sets",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"kms:Decrypt","Resource":"*","Condition":{"ForAllValues:StringLike":{"kms:EncryptionContextKeys":["A*","?pp"]},"ForAnyValue:StringNotEqualsIfExists":{"kms:ResourceAliases":"alias/x"}}}]}"#,
    ),
    (
        "arns",
        r#"{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["111122223333","arn:aws:iam::111122223333:root"]},"Action":"kms:D?crypt","Resource":"*","Condition":{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/*"},"ArnNotEqualsIfExists":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/Other"}}}]}"#,
    ),
    (
        "time_address_tls",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*","Condition":{"DateLessThan":{"aws:CurrentTime":"2027-01-01T00:00:00Z"},"IpAddress":{"aws:SourceIp":["10.0.0.0/8","::1"]},"Bool":{"aws:SecureTransport":true}}}]}"#,
    ),
    (
        "negations",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","NotPrincipal":{"AWS":"arn:aws:iam::111122223333:role/App"},"NotAction":"kms:Encrypt","NotResource":"arn:aws:kms:us-east-1:111122223333:key/x"},{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}]}"#,
    ),
    (
        "variable",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*","Condition":{"StringLike":{"aws:PrincipalArn":"${aws:x}"}}}]}"#,
    ),
    (
        "unknown_operator",
        r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*","Condition":{"NumericEquals":{"kms:KeySpec":1}}}]}"#,
    ),
    ("repeated_statement", r#"{"Statement":[],"Statement":[]}"#),
];

fn texts(target: &'static str, texts: &[(&str, &str)]) -> Vec<Seed> {
    texts.iter().map(|(name, text)| seed(target, (*name).to_owned(), *text)).collect()
}

fn named<'v>(vectors: &'v [Vector], names: &'v [&str]) -> impl Iterator<Item = &'v Vector> {
    names.iter().map(|name| {
        vectors.iter().find(|vector| vector.name() == *name).unwrap_or_else(|| panic!("no vector {name}"))
    })
}

fn seed(target: &'static str, name: String, input: impl Into<Vec<u8>>) -> Seed {
    Seed { target, name, input: input.into() }
}
