#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]
//! SigV4 verification against AWS's published vectors, against what botocore signs, and against a signer of our own.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use nitro_key_broker::auth::sigv4::{
    RawRequest, Scope, SigV4Error, SigV4ErrorClass, VerifiedSignature, parse_authorization,
};
use nitro_key_broker::time::UnixTime;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

const SECRET: &[u8] = b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// The signed requests of AWS's own test suite: `tests/aws-signing-test-suite/v4/*/header-signed-request.txt` of
/// awslabs/aws-c-auth (Apache-2.0), commits 4ec99f28, 71a25bde and 91401869. All are dated 2015-08-30T12:36:00Z.
const AWS_SUITE: &[(&str, &str)] = &[
    (
        "get-vanilla",
        "GET / HTTP/1.1\nHost:example.amazonaws.com\nX-Amz-Date:20150830T123600Z\nAuthorization:AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31\n\n",
    ),
    (
        "post-vanilla",
        "POST / HTTP/1.1\nHost:example.amazonaws.com\nX-Amz-Date:20150830T123600Z\nAuthorization:AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b\n\n",
    ),
    (
        "get-vanilla-query-order-key-case",
        "GET /?Param2=value2&Param1=value1 HTTP/1.1\nHost:example.amazonaws.com\nX-Amz-Date:20150830T123600Z\nAuthorization:AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500\n\n",
    ),
    (
        "get-vanilla-query-order-encoded",
        "GET /?Param-3=Value3&Param=Value2&%E1%88%B4=Value1 HTTP/1.1\nHost:example.amazonaws.com\nAuthorization:AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac\nX-Amz-Date:20150830T123600Z\n\n",
    ),
    (
        "get-header-value-trim",
        "GET / HTTP/1.1\nHost:example.amazonaws.com\nMy-Header1: value1\nMy-Header2: \"a   b   c\"\nAuthorization:AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;my-header1;my-header2;x-amz-date, Signature=acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736\nX-Amz-Date:20150830T123600Z\n\n",
    ),
    (
        "get-header-key-duplicate",
        "GET / HTTP/1.1\nHost:example.amazonaws.com\nMy-Header1:value2\nMy-Header1:value2\nMy-Header1:value1\nAuthorization:AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;my-header1;x-amz-date, Signature=c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea\nX-Amz-Date:20150830T123600Z\n\n",
    ),
    (
        "post-x-www-form-urlencoded",
        "POST / HTTP/1.1\nContent-Type:application/x-www-form-urlencoded\nHost:example.amazonaws.com\nContent-Length:13\nx-amz-content-sha256:9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e\nAuthorization:AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=content-length;content-type;host;x-amz-content-sha256;x-amz-date, Signature=d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b\nX-Amz-Date:20150830T123600Z\n\nParam1=value1",
    ),
    (
        "get-vanilla-with-session-token",
        "GET / HTTP/1.1\nHost:example.amazonaws.com\nAuthorization:AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date;x-amz-security-token, Signature=07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8\nX-Amz-Date:20150830T123600Z\nX-Amz-Security-Token:6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267\n\n",
    ),
    (
        "post-sts-header-before",
        "POST / HTTP/1.1\nHost:example.amazonaws.com\nX-Amz-Security-Token:AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==\nAuthorization:AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date;x-amz-security-token, Signature=85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead\nX-Amz-Date:20150830T123600Z\n\n",
    ),
    (
        "get-space-normalized",
        "GET /example space/ HTTP/1.1\nHost:example.amazonaws.com\nAuthorization:AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741\nX-Amz-Date:20150830T123600Z\n\n",
    ),
    (
        "get-slash-pointless-dot-normalized",
        "GET /./example HTTP/1.1\nHost:example.amazonaws.com\nAuthorization:AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5\nX-Amz-Date:20150830T123600Z\n\n",
    ),
    (
        "get-relative-relative-normalized",
        "GET /example1/example2/../.. HTTP/1.1\nHost:example.amazonaws.com\nAuthorization:AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31\nX-Amz-Date:20150830T123600Z\n\n",
    ),
];

/// Made with botocore 1.43.11 (`SigV4Auth`, service kms, region eu-central-1) at 2026-01-03T20:41:07Z.
const BOTOCORE: &[(&str, &str)] = &[
    (
        "long-lived credential",
        "POST / HTTP/1.1\nContent-Type: application/x-amz-json-1.1\nX-Amz-Target: TrentService.GenerateDataKey\nHost: 127.0.0.1:8443\nX-Amz-Date: 20260103T204107Z\nAuthorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLEAKIDEXAMP/20260103/eu-central-1/kms/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=594b23960dae3068afd388f70e7399b170ddeeb34b87a93ff455fde10104d17e\n\n{\"KeyId\":\"alias/app\",\"KeySpec\":\"AES_256\"}",
    ),
    (
        "session token",
        "POST / HTTP/1.1\nContent-Type: application/x-amz-json-1.1\nX-Amz-Target: TrentService.GenerateDataKey\nHost: 127.0.0.1:8443\nX-Amz-Date: 20260103T204107Z\nX-Amz-Security-Token: FwoGZXIvYXdzEXAMPLETOKEN==\nAuthorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLEAKIDEXAMP/20260103/eu-central-1/kms/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, Signature=d90a7ad5fc86446cc09a313d3fac99008b6bc8d6edb5c8b54aa48a31c60a7248\n\n{\"KeyId\":\"alias/app\",\"KeySpec\":\"AES_256\"}",
    ),
    (
        "body hash in a header",
        "POST / HTTP/1.1\nContent-Type: application/x-amz-json-1.1\nX-Amz-Target: TrentService.GenerateDataKey\nHost: 127.0.0.1:8443\nX-Amz-Content-Sha256: ec1e35916c7b79a65ff2ec9c2abde412f32ee84956d2fca7ebba76773f28e576\nX-Amz-Date: 20260103T204107Z\nAuthorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLEAKIDEXAMP/20260103/eu-central-1/kms/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-target, Signature=d5d37fa4c1594a4b3a288cd4311f68c6a59da2518cfb6cc3f583a8fb4e7dfd52\n\n{\"KeyId\":\"alias/app\",\"KeySpec\":\"AES_256\"}",
    ),
];

#[test]
fn published_signatures_verify() {
    let scope = Scope { region: "us-east-1", service: "service" };
    let now = UnixTime::parse_rfc3339("2015-08-30T12:36:00Z").unwrap();
    for (name, text) in AWS_SUITE {
        let request = Message::parse(text);
        let verified = request.verify(SECRET, &scope, now).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((verified.access_key_id(), verified.signed_at()), ("AKIDEXAMPLE", now), "{name}");
        assert_eq!(verified.session_token().is_some(), text.contains("Security-Token"), "{name}");
        assert_eq!(
            request.verify(b"another secret", &scope, now).unwrap_err(),
            SigV4Error::SignatureMismatch,
            "{name}"
        );
    }
}

#[test]
fn botocore_signatures_verify() {
    for (name, text) in BOTOCORE {
        let request = Message::parse(text);
        let verified =
            request.verify(SECRET, &KMS, signing_time()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(verified.access_key_id(), "AKIDEXAMPLEAKIDEXAMP", "{name}");
    }
    let verified = Message::parse(BOTOCORE[1].1).verify(SECRET, &KMS, signing_time()).unwrap();
    let token = verified.session_token().unwrap();
    assert!(token.matches(b"FwoGZXIvYXdzEXAMPLETOKEN=="));
    assert!(!token.matches(b"FwoGZXIvYXdzEXAMPLETOKEN=A"));
    assert!(!token.matches(b""));
    assert!(!format!("{verified:?}").contains("FwoG"));
}

#[test]
fn a_request_without_authorization_is_anonymous() {
    let request = Message::kms();
    assert!(parse_authorization(request.raw()).unwrap().is_none());
}

#[test]
fn fifteen_minutes_either_way() {
    let request = Message::kms().signed();
    let at = signing_time().as_secs();
    for secs in [at - 900, at, at + 900] {
        request.verify(SECRET, &KMS, UnixTime::from_secs(secs)).unwrap();
    }
    let (early, late) = (UnixTime::from_secs(at - 901), UnixTime::from_ms(at * 1000 + 900_001));
    assert_eq!(
        request.verify(SECRET, &KMS, late).unwrap_err(),
        SigV4Error::Expired { signed_at: signing_time(), now: late }
    );
    assert_eq!(
        request.verify(SECRET, &KMS, early).unwrap_err(),
        SigV4Error::NotYetValid { signed_at: signing_time(), now: early }
    );
}

#[test]
fn the_scope_must_be_the_brokers_own() {
    let request = Message::kms().signed();
    let elsewhere = Scope { region: "us-east-1", service: "kms" };
    assert_eq!(
        request.verify(SECRET, &elsewhere, signing_time()).unwrap_err(),
        SigV4Error::WrongRegion { expected: "us-east-1".into(), actual: "eu-central-1".into() }
    );
    let other_service = Scope { region: "eu-central-1", service: "sts" };
    assert_eq!(
        request.verify(SECRET, &other_service, signing_time()).unwrap_err(),
        SigV4Error::WrongService { expected: "sts".into(), actual: "kms".into() }
    );

    let mut request = Message::kms().signed();
    request.edit_authorization(|text| text.replace("/20260103/", "/20260102/"));
    assert_eq!(
        request.verify(SECRET, &KMS, signing_time()).unwrap_err(),
        SigV4Error::ScopeDateMismatch { scope: "20260102".into(), request: "20260103T204107Z".into() }
    );
}

#[test]
fn what_steers_the_request_must_be_signed() {
    for name in ["host", "x-amz-date", "x-amz-target", "content-type"] {
        let signed: Vec<&str> = SIGNED.iter().copied().filter(|header| *header != name).collect();
        let request = Message::kms().signed_over(&signed);
        let error = request.verify(SECRET, &KMS, signing_time()).unwrap_err();
        assert_eq!(error, SigV4Error::HeaderNotSigned { name: name.into() });
        assert_eq!(error.class(), SigV4ErrorClass::InvalidSignature);
    }
    let mut added = Message::kms().signed();
    added.set("x-amz-security-token", "smuggled");
    assert_eq!(
        added.verify(SECRET, &KMS, signing_time()).unwrap_err(),
        SigV4Error::HeaderNotSigned { name: "x-amz-security-token".into() }
    );
    let mut absent = Message::kms().signed();
    absent.headers.remove("x-amz-target");
    assert_eq!(
        absent.verify(SECRET, &KMS, signing_time()).unwrap_err(),
        SigV4Error::SignedHeaderAbsent { name: "x-amz-target".into() }
    );
}

#[test]
fn the_date_header_stands_in_when_signed() {
    let mut request = Message::kms();
    let date = request.headers.remove("x-amz-date").unwrap();
    request.headers.insert("date", date);
    let signed = request.clone().signed_over(&["content-type", "date", "host", "x-amz-target"]);
    signed.verify(SECRET, &KMS, signing_time()).unwrap();
    let unsigned = request.clone().signed_over(&["content-type", "host", "x-amz-target"]);
    assert_eq!(
        unsigned.verify(SECRET, &KMS, signing_time()).unwrap_err(),
        SigV4Error::HeaderNotSigned { name: "date".into() }
    );
    let mut http_date = signed.clone();
    http_date.set("date", "Sat, 03 Jan 2026 20:41:07 GMT");
    assert_eq!(http_date.parse_error(), SigV4Error::MalformedDate { name: "date" });
    let mut dateless = signed;
    dateless.headers.remove("date");
    assert_eq!(dateless.parse_error(), SigV4Error::MissingDate);
}

#[test]
fn the_body_must_be_the_one_signed() {
    let mut request = Message::kms();
    request.set("x-amz-content-sha256", &sha256_hex(&request.body));
    let names = ["content-type", "host", "x-amz-content-sha256", "x-amz-date", "x-amz-target"];
    let mut changed = request.clone().signed_over(&names);
    changed.verify(SECRET, &KMS, signing_time()).unwrap();
    changed.body.push(b' ');
    assert_eq!(changed.verify(SECRET, &KMS, signing_time()).unwrap_err(), SigV4Error::BodyHashMismatch);

    for form in
        ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"]
    {
        request.set("x-amz-content-sha256", form);
        let signed = request.clone().signed_over(&names);
        assert_eq!(
            signed.verify(SECRET, &KMS, signing_time()).unwrap_err(),
            SigV4Error::UnsupportedPayloadForm
        );
    }
}

#[test]
fn presigned_requests_are_refused_as_such() {
    for query in ["X-Amz-Algorithm=AWS4-HMAC-SHA256", "a=b&x-amz-signature=00", "X-Amz-Credential"] {
        let mut request = Message::kms();
        request.query = query.into();
        let error = request.parse_error();
        assert_eq!(error, SigV4Error::Presigned, "{query}");
        assert_eq!(error.class(), SigV4ErrorClass::MissingAuthenticationToken);
    }
}

#[test]
fn a_claim_that_cannot_be_read_is_an_error_and_never_anonymous() {
    let good = Message::kms().signed();
    let text = good.headers["authorization"].to_str().unwrap().to_owned();
    let (head, signature) = text.split_once(", Signature=").unwrap();
    let (_, fields) = text.split_once(' ').unwrap();
    let long = format!("{text}{}", "a".repeat(4096));
    let cases: Vec<(String, SigV4Error)> = vec![
        (String::new(), SigV4Error::UnsupportedAlgorithm),
        ("Bearer abc".into(), SigV4Error::UnsupportedAlgorithm),
        (format!("AWS4-HMAC-SHA512 {fields}"), SigV4Error::UnsupportedAlgorithm),
        (format!("AWS4-HMAC-SHA256{fields}"), SigV4Error::UnsupportedAlgorithm),
        ("AWS4-HMAC-SHA256".into(), SigV4Error::UnsupportedAlgorithm),
        ("AWS4-HMAC-SHA256 x".into(), SigV4Error::UnknownField),
        (format!("{text},"), SigV4Error::UnknownField),
        (format!("{text}, Extra=1"), SigV4Error::UnknownField),
        (format!("{text}, Signature={signature}"), SigV4Error::RepeatedField { field: "Signature" }),
        (head.into(), SigV4Error::MissingField { field: "Signature" }),
        (
            text.replace("Credential=AKID", "Credential=AK/ID"),
            SigV4Error::MalformedCredential { part: "date" },
        ),
        (text.replace("host;", "Host;"), SigV4Error::MalformedSignedHeaders),
        (format!("{head}, Signature={}", signature.to_uppercase()), SigV4Error::MalformedSignature),
        (format!("{head}, Signature={}", &signature[1..]), SigV4Error::MalformedSignature),
        (format!("{text}0"), SigV4Error::MalformedSignature),
        (long.clone(), SigV4Error::HeaderTooLong { name: "authorization", limit: 4096, actual: long.len() }),
    ];
    for (header, expected) in cases {
        let mut request = good.clone();
        request.set("authorization", &header);
        let error = request.parse_error();
        assert_eq!(error, expected, "{header}");
        assert_eq!(error.class(), SigV4ErrorClass::IncompleteSignature, "{header}");
    }

    for name in ["authorization", "x-amz-date", "x-amz-security-token"] {
        let mut request = good.clone();
        request.set("x-amz-security-token", "token");
        let value = request.headers[name].clone();
        request.headers.append(name, value);
        assert_eq!(request.parse_error(), SigV4Error::RepeatedHeader { name });
        let mut request = good.clone();
        request.headers.insert(name, HeaderValue::from_bytes(b"\xff").unwrap());
        assert_eq!(request.parse_error(), SigV4Error::UnreadableHeader { name });
    }
    let mut request = good.clone();
    request.set("x-amz-security-token", &"t".repeat(4097));
    assert_eq!(
        request.parse_error(),
        SigV4Error::HeaderTooLong { name: "x-amz-security-token", limit: 4096, actual: 4097 }
    );
}

#[test]
fn fields_may_come_in_any_order_and_without_spaces() {
    let mut request = Message::kms().signed();
    request.edit_authorization(|text| {
        let fields: Vec<&str> = text.strip_prefix("AWS4-HMAC-SHA256 ").unwrap().split(", ").collect();
        format!("AWS4-HMAC-SHA256 {},{},{}", fields[2], fields[0], fields[1])
    });
    request.verify(SECRET, &KMS, signing_time()).unwrap();
}

#[test]
fn refusals_print_no_signature_and_no_secret() {
    let mut request = Message::kms().signed();
    let signature = request.headers["authorization"].to_str().unwrap().rsplit('=').next().unwrap().to_owned();
    let debug = format!("{:?}", parse_authorization(request.raw()).unwrap().unwrap());
    assert!(debug.contains("AKIDEXAMPLEAKIDEXAMP") && !debug.contains(&signature));
    request.body.clear();
    let error = request.verify(SECRET, &KMS, signing_time()).unwrap_err();
    assert!(!format!("{error} {error:?}").contains(&signature[..16]));
}

proptest! {
    #[test]
    fn arbitrary_headers_never_panic(
        headers in proptest::collection::vec(
            (prop_oneof![Just("authorization"), Just("x-amz-date"), Just("date"), Just("x-amz-security-token"),
                Just("x-amz-content-sha256"), Just("host"), Just("x-anything")],
             proptest::collection::vec(any::<u8>(), 0..200)),
            0..8),
        path in ".*", query in ".*", body in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut request = Message::kms();
        (request.path, request.query, request.body) = (path, query, body);
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                request.headers.append(name, value);
            }
        }
        if let Ok(Some(signed)) = parse_authorization(request.raw()) {
            prop_assert!(signed.verify(SECRET, &KMS, signing_time()).is_err());
        }
    }

    #[test]
    fn mangled_authorization_never_panics_nor_verifies_another_claim(
        at in any::<proptest::sample::Index>(), byte in 0x20_u8..0x7f,
    ) {
        let good = Message::kms().signed();
        let mut bytes = good.headers["authorization"].as_bytes().to_vec();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        let mut request = good;
        request.headers.insert("authorization", HeaderValue::from_bytes(&bytes).unwrap());
        match request.verify_if_signed(SECRET, &KMS, signing_time()) {
            // The access key id selects the secret and is under no signature of its own.
            Ok(Some(verified)) => prop_assert!(at < 64 && verified.access_key_id() != "AKIDEXAMPLEAKIDEXAMP"),
            Ok(None) => prop_assert!(false, "taken for anonymous"),
            Err(_) => {}
        }
    }

    #[test]
    fn any_changed_bit_breaks_the_signature(
        part in 0..6_usize, at in any::<proptest::sample::Index>(), bit in 0..7_u32,
    ) {
        let mut request = Message::kms().signed();
        let flip = |bytes: &mut [u8]| bytes[at.index(bytes.len())] ^= 1 << bit;
        match part {
            0 => { let mut bytes = request.method.into_bytes(); flip(&mut bytes); request.method = String::from_utf8(bytes).unwrap(); }
            1 => flip(&mut request.body),
            2 => { let mut bytes = b"/path".to_vec(); flip(&mut bytes); request.path = String::from_utf8(bytes).unwrap(); }
            _ => {
                let name = SIGNED[part - 3 + usize::from(part == 5)];
                let before = request.headers[name].clone();
                let mut bytes = before.as_bytes().to_vec();
                flip(&mut bytes);
                let Ok(after) = HeaderValue::from_bytes(&bytes) else { return Ok(()) };
                // White space at the ends is outside the canonical form, and HTTP parsers strip it.
                prop_assume!(after.as_bytes().trim_ascii() == after.as_bytes());
                request.headers.insert(HeaderName::from_static(name), after);
            }
        }
        prop_assert!(request.verify(SECRET, &KMS, signing_time()).is_err());
    }
}

const KMS: Scope<'static> = Scope { region: "eu-central-1", service: "kms" };
const SIGNED: &[&str] = &["content-type", "host", "x-amz-date", "x-amz-target"];

fn signing_time() -> UnixTime {
    UnixTime::parse_rfc3339("2026-01-03T20:41:07Z").unwrap()
}

/// A request that owns its parts.
#[derive(Clone)]
struct Message {
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Message {
    /// A KMS call without a signature.
    fn kms() -> Self {
        let mut message = Self {
            method: "POST".into(),
            path: "/".into(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: b"{\"KeyId\":\"alias/app\",\"KeySpec\":\"AES_256\"}".to_vec(),
        };
        message.set("content-type", "application/x-amz-json-1.1");
        message.set("host", "localhost:8443");
        message.set("user-agent", "not signed");
        message.set("x-amz-date", "20260103T204107Z");
        message.set("x-amz-target", "TrentService.GenerateDataKey");
        message
    }

    /// Reads `METHOD path HTTP/1.1`, header lines, an empty line and the body.
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap();
        let mut lines = head.lines();
        let (method, target) =
            lines.next().unwrap().strip_suffix(" HTTP/1.1").unwrap().split_once(' ').unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers = HeaderMap::new();
        for (name, value) in lines.map(|line| line.split_once(':').unwrap()) {
            headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        }
        Self { method: method.into(), path: path.into(), query: query.into(), headers, body: body.into() }
    }

    fn set(&mut self, name: &'static str, value: &str) {
        self.headers.insert(name, HeaderValue::from_str(value).unwrap());
    }

    fn edit_authorization(&mut self, edit: impl FnOnce(&str) -> String) {
        let edited = edit(self.headers["authorization"].to_str().unwrap());
        self.set("authorization", &edited);
    }

    fn signed(self) -> Self {
        self.signed_over(SIGNED)
    }

    /// Signs with an independent hash and an HMAC of the test's own; for path `/` and header values already canonical.
    fn signed_over(mut self, names: &[&str]) -> Self {
        let (date, scope) = ("20260103T204107Z", "20260103/eu-central-1/kms/aws4_request");
        let lines: String =
            names.iter().map(|name| format!("{name}:{}\n", self.headers[*name].to_str().unwrap())).collect();
        let names = names.join(";");
        let canonical = format!("{}\n/\n\n{lines}\n{names}\n{}", self.method, sha256_hex(&self.body));
        let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256_hex(canonical.as_bytes()));
        let key =
            scope.split('/').fold([b"AWS4", SECRET].concat(), |key, part| hmac_sha256(&key, part.as_bytes()));
        let signature = hex::encode(hmac_sha256(&key, to_sign.as_bytes()));
        self.set(
            "authorization",
            &format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLEAKIDEXAMP/{scope}, SignedHeaders={names}, Signature={signature}"
            ),
        );
        self
    }

    fn raw(&self) -> RawRequest<'_> {
        RawRequest {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            body: &self.body,
        }
    }

    fn parse_error(&self) -> SigV4Error {
        parse_authorization(self.raw()).unwrap_err()
    }

    fn verify_if_signed(
        &self,
        secret: &[u8],
        scope: &Scope<'_>,
        now: UnixTime,
    ) -> Result<Option<VerifiedSignature>, SigV4Error> {
        parse_authorization(self.raw())?.map(|signed| signed.verify(secret, scope, now)).transpose()
    }

    fn verify(
        &self,
        secret: &[u8],
        scope: &Scope<'_>,
        now: UnixTime,
    ) -> Result<VerifiedSignature, SigV4Error> {
        self.verify_if_signed(secret, scope, now).map(|verified| verified.expect("the request is signed"))
    }
}

fn sha256_hex(data: &[u8]) -> String {
    hex::encode(Sha256::digest(data))
}

/// RFC 2104, for keys of up to one block.
fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    let pad = |with: u8| (0..64).map(|i| key.get(i).copied().unwrap_or(0) ^ with).collect::<Vec<u8>>();
    let inner = Sha256::digest([pad(0x36), message.to_vec()].concat());
    Sha256::digest([pad(0x5c), inner.to_vec()].concat()).to_vec()
}
