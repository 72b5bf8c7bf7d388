//! The header form.

use hyper::header::HeaderValue;
use nitro_key_broker::auth::sigv4::{
    Scope, SigV4Error, SigV4ErrorClass, SignatureWindow, parse_signed_request,
};
use nitro_key_broker::time::UnixTime;

use crate::message::{KMS, Message, SECRET, SIGNED, sha256_hex, signing_time};

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
fn botocore_signatures_verify() {
    for (name, text) in BOTOCORE {
        let request = Message::parse(text);
        let verified = request.verify_now().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(verified.access_key_id(), "AKIDEXAMPLEAKIDEXAMP", "{name}");
    }
    let verified = Message::parse(BOTOCORE[1].1).verify_now().unwrap();
    let token = verified.session_token().unwrap();
    assert!(token.matches(b"FwoGZXIvYXdzEXAMPLETOKEN=="));
    assert!(!token.matches(b"FwoGZXIvYXdzEXAMPLETOKEN=A"));
    assert!(!token.matches(b""));
    assert!(!format!("{verified:?}").contains("FwoG"));
}

#[test]
fn a_request_without_authorization_is_anonymous() {
    let request = Message::kms();
    assert!(parse_signed_request(request.raw()).unwrap().is_none());
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
        SigV4Error::Expired {
            signed_at: signing_time(),
            held_until: UnixTime::from_secs(at + 900),
            now: late
        }
    );
    assert_eq!(
        request.verify(SECRET, &KMS, early).unwrap_err(),
        SigV4Error::NotYetValid {
            signed_at: signing_time(),
            held_from: UnixTime::from_secs(at - 900),
            now: early
        }
    );
}

#[test]
fn a_tighter_window_is_held_to_the_millisecond() {
    let request = Message::kms().signed();
    let signed = parse_signed_request(request.raw()).unwrap().unwrap();
    let window = SignatureWindow::new(60, 0).unwrap();
    let at = signing_time().as_ms();
    for (ms, counts) in [(at - 60_001, false), (at - 60_000, true), (at + 60_000, true), (at + 60_001, false)]
    {
        let verdict = signed.verify(SECRET, &KMS, &window, UnixTime::from_ms(ms));
        assert_eq!(verdict.is_ok(), counts, "{ms}");
    }
}

/// SDKs sign again when they try again, but the date has whole seconds only: the attempts of one second are equal.
#[test]
fn one_signature_counts_as_often_as_it_comes() {
    let request = Message::kms().signed();
    for _ in 0..3 {
        request.verify_now().unwrap();
    }
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
        request.verify_now().unwrap_err(),
        SigV4Error::ScopeDateMismatch { scope: "20260102".into(), request: "20260103T204107Z".into() }
    );
}

#[test]
fn what_steers_the_request_must_be_signed() {
    for name in ["host", "x-amz-date", "x-amz-target", "content-type"] {
        let signed: Vec<&str> = SIGNED.iter().copied().filter(|header| *header != name).collect();
        let request = Message::kms().signed_over(&signed);
        let error = request.verify_now().unwrap_err();
        assert_eq!(error, SigV4Error::HeaderNotSigned { name: name.into() });
        assert_eq!(error.class(), SigV4ErrorClass::InvalidSignature);
    }
    let mut added = Message::kms().signed();
    added.set("x-amz-security-token", "smuggled");
    assert_eq!(
        added.verify_now().unwrap_err(),
        SigV4Error::HeaderNotSigned { name: "x-amz-security-token".into() }
    );
    let mut absent = Message::kms().signed();
    absent.headers.remove("x-amz-target");
    assert_eq!(
        absent.verify_now().unwrap_err(),
        SigV4Error::SignedHeaderAbsent { name: "x-amz-target".into() }
    );
}

#[test]
fn the_date_header_stands_in_when_signed() {
    let mut request = Message::kms();
    let date = request.headers.remove("x-amz-date").unwrap();
    request.headers.insert("date", date);
    let signed = request.clone().signed_over(&["content-type", "date", "host", "x-amz-target"]);
    signed.verify_now().unwrap();
    let unsigned = request.clone().signed_over(&["content-type", "host", "x-amz-target"]);
    assert_eq!(unsigned.verify_now().unwrap_err(), SigV4Error::HeaderNotSigned { name: "date".into() });
    let mut http_date = signed.clone();
    http_date.set("date", "Sat, 03 Jan 2026 20:41:07 GMT");
    assert_eq!(
        http_date.parse_error(),
        SigV4Error::MalformedDate { name: "date", actual: "Sat, 03 Jan 2026 20:41:07 GMT".into() }
    );
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
    changed.verify_now().unwrap();
    changed.body.push(b' ');
    assert_eq!(
        changed.verify_now().unwrap_err(),
        SigV4Error::BodyHashMismatch {
            claimed: sha256_hex(&request.body),
            actual: sha256_hex(&changed.body)
        }
    );

    for form in
        ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"]
    {
        request.set("x-amz-content-sha256", form);
        let signed = request.clone().signed_over(&names);
        assert_eq!(
            signed.verify_now().unwrap_err(),
            SigV4Error::UnsupportedPayloadForm { actual: form.into() }
        );
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
    request.verify_now().unwrap();
}

#[test]
fn refusals_print_no_signature_and_no_secret() {
    let mut request = Message::kms().signed();
    let signature = request.headers["authorization"].to_str().unwrap().rsplit('=').next().unwrap().to_owned();
    let debug = format!("{:?}", parse_signed_request(request.raw()).unwrap().unwrap());
    assert!(debug.contains("AKIDEXAMPLEAKIDEXAMP") && !debug.contains(&signature));
    request.body.clear();
    let error = request.verify_now().unwrap_err();
    assert!(!format!("{error} {error:?}").contains(&signature[..16]));
}
