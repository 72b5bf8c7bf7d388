//! The query form.

use hyper::header::HeaderValue;
use nitro_key_broker::auth::sigv4::{
    SigV4Error, SigV4ErrorClass, SignatureWindow, VerifiedSignature, parse_signed_request,
};
use nitro_key_broker::time::UnixTime;

use crate::message::{KMS, Message, PRESIGNED, SECRET, sha256_hex, signing_time};

const TOKEN: &str = "FwoGZXIvYXdzEXAMPLE/TOKEN+==";

/// Each made with botocore 1.44.5 (`SigV4QueryAuth`, service kms, region eu-central-1, a time of 900 seconds) at
/// 2026-01-03T20:41:07Z. That signer moves a body into the query, so it was given the body's hash in a header instead.
const BOTOCORE: &[(&str, &str)] = &[
    (
        "long-lived credential",
        "POST /?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLEAKIDEXAMP%2F20260103%2Feu-central-1%2Fkms%2Faws4_request&X-Amz-Date=20260103T204107Z&X-Amz-Expires=900&X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-content-sha256%3Bx-amz-target&X-Amz-Signature=cce2ff0dc2bcd31ca4fe8a1e956046cfdbfc06a10d043690af63dc4fde2d85e9 HTTP/1.1\nContent-Type: application/x-amz-json-1.1\nX-Amz-Target: TrentService.GenerateDataKey\nHost: 127.0.0.1:8443\nX-Amz-Content-SHA256: ec1e35916c7b79a65ff2ec9c2abde412f32ee84956d2fca7ebba76773f28e576\n\n{\"KeyId\":\"alias/app\",\"KeySpec\":\"AES_256\"}",
    ),
    (
        "session token",
        "POST /?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLEAKIDEXAMP%2F20260103%2Feu-central-1%2Fkms%2Faws4_request&X-Amz-Date=20260103T204107Z&X-Amz-Expires=900&X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-content-sha256%3Bx-amz-target&X-Amz-Security-Token=FwoGZXIvYXdzEXAMPLE%2FTOKEN%2B%3D%3D&X-Amz-Signature=e85fa893d26f3d58a7244c70d32d938d827198019d242be4bfa70742f1281eff HTTP/1.1\nContent-Type: application/x-amz-json-1.1\nX-Amz-Target: TrentService.GenerateDataKey\nHost: 127.0.0.1:8443\nX-Amz-Content-SHA256: ec1e35916c7b79a65ff2ec9c2abde412f32ee84956d2fca7ebba76773f28e576\n\n{\"KeyId\":\"alias/app\",\"KeySpec\":\"AES_256\"}",
    ),
    (
        "no body",
        "POST /?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLEAKIDEXAMP%2F20260103%2Feu-central-1%2Fkms%2Faws4_request&X-Amz-Date=20260103T204107Z&X-Amz-Expires=900&X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-target&X-Amz-Signature=6ed71da5925c8143998bd7711a7d31bf9065137521d1b2808492ef4d23ea4a64 HTTP/1.1\nContent-Type: application/x-amz-json-1.1\nX-Amz-Target: TrentService.GenerateDataKey\nHost: 127.0.0.1:8443\n\n",
    ),
];

#[test]
fn botocore_signatures_verify() {
    for (name, text) in BOTOCORE {
        let request = Message::parse(text);
        let verified = request.verify_now().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            (verified.access_key_id(), verified.signed_at()),
            ("AKIDEXAMPLEAKIDEXAMP", signing_time()),
            "{name}"
        );
        let token = verified.session_token().is_some_and(|token| token.matches(TOKEN.as_bytes()));
        assert_eq!(token, name.contains("token"), "{name}");
    }
}

#[test]
fn it_counts_from_the_skew_before_its_date_until_it_expires() {
    let request = Message::undated().presigned("3600");
    let at = signing_time().as_ms();
    for ms in [at - 900_000, at, at + 3_600_000] {
        request.verify(SECRET, &KMS, UnixTime::from_ms(ms)).unwrap();
    }
    let (early, late) = (UnixTime::from_ms(at - 900_001), UnixTime::from_ms(at + 3_600_001));
    let error = request.verify(SECRET, &KMS, late).unwrap_err();
    let held_until = UnixTime::from_ms(at + 3_600_000);
    assert_eq!(error, SigV4Error::Expired { signed_at: signing_time(), held_until, now: late });
    assert_eq!(error.class(), SigV4ErrorClass::InvalidSignature);
    let held_from = UnixTime::from_ms(at - 900_000);
    assert_eq!(
        request.verify(SECRET, &KMS, early).unwrap_err(),
        SigV4Error::NotYetValid { signed_at: signing_time(), held_from, now: early }
    );
}

#[test]
fn a_short_time_ends_before_the_skew_does_and_a_week_is_the_longest() {
    let second = Message::undated().presigned("1");
    let at = signing_time().as_secs();
    second.verify(SECRET, &KMS, UnixTime::from_secs(at + 1)).unwrap();
    assert!(matches!(
        second.verify(SECRET, &KMS, UnixTime::from_secs(at + 2)),
        Err(SigV4Error::Expired { .. })
    ));
    let week = Message::undated().presigned("604800");
    week.verify(SECRET, &KMS, UnixTime::from_secs(at + 604_800)).unwrap();
    for expires in ["0", "604801", "-1", "1.5", "a", ""] {
        assert_eq!(
            Message::undated().presigned(expires).parse_error(),
            SigV4Error::MalformedExpires { actual: expires.into() }
        );
    }
}

#[test]
fn a_broker_may_allow_less_time_or_none() {
    let request = Message::undated().presigned("3600");
    let signed = parse_signed_request(request.raw()).unwrap().unwrap();
    let verify = |max_presigned_secs| {
        let window = SignatureWindow::new(900, max_presigned_secs).unwrap();
        signed.verify(SECRET, &KMS, &window, signing_time()).map(|verified| verified.signed_at())
    };
    assert_eq!(verify(3600), Ok(signing_time()));
    for limit_secs in [0, 3599] {
        let error = verify(limit_secs).unwrap_err();
        assert_eq!(error, SigV4Error::PresignedTooLong { limit_secs, actual_secs: 3600 });
        assert_eq!(error.class(), SigV4ErrorClass::InvalidSignature);
    }
}

#[test]
fn the_session_token_stands_in_the_query_or_in_a_signed_header() {
    let has_token = |verified: VerifiedSignature| verified.session_token().unwrap().matches(TOKEN.as_bytes());
    let in_query = Message::undated().presigned_with(PRESIGNED, "60", &[("X-Amz-Security-Token", TOKEN)]);
    assert!(has_token(in_query.verify_now().unwrap()));

    let mut request = Message::undated();
    request.set("x-amz-security-token", TOKEN);
    let names = ["content-type", "host", "x-amz-security-token", "x-amz-target"];
    let in_header = request.clone().presigned_with(&names, "60", &[]);
    assert!(has_token(in_header.verify_now().unwrap()));

    // Put there after signing, it is under no signature.
    assert_eq!(
        request.presigned("60").verify_now().unwrap_err(),
        SigV4Error::HeaderNotSigned { name: "x-amz-security-token".into() }
    );
    let added = Message::undated().presigned("60").with_parameter("X-Amz-Security-Token", TOKEN);
    assert_eq!(added.verify_now().unwrap_err(), SigV4Error::SignatureMismatch);
    assert_eq!(
        in_header.with_parameter("X-Amz-Security-Token", TOKEN).parse_error(),
        SigV4Error::TwoSessionTokens
    );
    assert_eq!(
        in_query.without_parameter("X-Amz-Security-Token").verify_now().unwrap_err(),
        SigV4Error::SignatureMismatch
    );
    let long = "t".repeat(4097);
    assert_eq!(
        Message::undated().presigned_with(PRESIGNED, "60", &[("X-Amz-Security-Token", &long)]).parse_error(),
        SigV4Error::ParameterTooLong { name: "X-Amz-Security-Token", limit: 4096, actual: 4097 }
    );
}

#[test]
fn the_body_is_under_the_signature() {
    let mut changed = Message::undated().presigned("60");
    changed.body.push(b' ');
    assert_eq!(changed.verify_now().unwrap_err(), SigV4Error::SignatureMismatch);

    let mut request = Message::undated();
    let hash = sha256_hex(&request.body);
    request.set("x-amz-content-sha256", &hash);
    let names = ["content-type", "host", "x-amz-content-sha256", "x-amz-target"];
    let mut in_header = request.clone().presigned_with(&names, "60", &[]);
    in_header.verify_now().unwrap();
    // Signers that move headers into the query leave their names in lower case.
    let mut in_query = Message::undated().presigned_with(PRESIGNED, "60", &[("x-amz-content-sha256", &hash)]);
    in_query.verify_now().unwrap();
    for changed in [&mut in_header, &mut in_query] {
        changed.body.push(b' ');
        assert_eq!(
            changed.verify_now().unwrap_err(),
            SigV4Error::BodyHashMismatch { claimed: hash.clone(), actual: sha256_hex(&changed.body) }
        );
    }
}

#[test]
fn unsigned_and_streaming_payloads_are_refused() {
    for form in
        ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"]
    {
        let refusal = SigV4Error::UnsupportedPayloadForm { actual: form.into() };
        let mut request = Message::undated();
        let parameters = [("X-Amz-Content-Sha256", form)];
        let in_query = request.clone().presigned_over(PRESIGNED, "60", &parameters, form);
        assert_eq!(in_query.verify_now().unwrap_err(), refusal);
        request.set("x-amz-content-sha256", form);
        let names = ["content-type", "host", "x-amz-content-sha256", "x-amz-target"];
        let in_header = request.presigned_over(&names, "60", &[], form);
        assert_eq!(in_header.verify_now().unwrap_err(), refusal);
        // As S3's presigned requests have it, which say so nowhere.
        let implied = Message::undated().presigned_over(PRESIGNED, "60", &[], form);
        assert_eq!(implied.verify_now().unwrap_err(), SigV4Error::SignatureMismatch);
    }
}

#[test]
fn signing_in_both_forms_is_refused() {
    let mut request = Message::undated().presigned("60");
    let error = SigV4Error::BothForms;
    assert_eq!(error.class(), SigV4ErrorClass::InvalidSignature);
    request.set("authorization", "");
    assert_eq!(request.parse_error(), error);
    for parameter in ["X-Amz-Signature=00", "x-amz-algorithm", "X-Amz-Date=", "X%2DAmz-Security-Token=t"] {
        let mut request = Message::kms().signed();
        request.query = parameter.into();
        assert_eq!(request.parse_error(), error, "{parameter}");
    }
}

#[test]
fn what_steers_the_request_must_be_signed() {
    for name in PRESIGNED {
        let signed: Vec<&str> = PRESIGNED.iter().copied().filter(|header| header != name).collect();
        assert_eq!(
            Message::undated().presigned_with(&signed, "60", &[]).verify_now().unwrap_err(),
            SigV4Error::HeaderNotSigned { name: (*name).into() }
        );
    }
    // AWS's signers leave this one out, and no other.
    let mut request = Message::undated();
    request.set("x-amz-user-agent", "aws-sdk-rust/1");
    request.clone().presigned("60").verify_now().unwrap();
    assert_eq!(request.signed_over(PRESIGNED).parse_error(), SigV4Error::MissingDate,);
    let mut request = Message::kms();
    request.set("x-amz-user-agent", "aws-sdk-rust/1");
    assert_eq!(
        request.signed().verify_now().unwrap_err(),
        SigV4Error::HeaderNotSigned { name: "x-amz-user-agent".into() }
    );
}

#[test]
fn every_parameter_must_be_there_once_and_well_formed() {
    let good = Message::undated().presigned("60");
    for name in [
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-SignedHeaders",
        "X-Amz-Signature",
    ] {
        let cases = [
            (good.without_parameter(name), SigV4Error::MissingParameter { name }),
            (good.with_parameter(name, "x"), SigV4Error::RepeatedParameter { name }),
            (good.with_parameter(&name.to_lowercase(), "x"), SigV4Error::RepeatedParameter { name }),
            (
                good.without_parameter(name).with_parameter(&name.to_uppercase(), "x"),
                SigV4Error::MisspelledParameter { name },
            ),
            (good.with_changed_parameter(name, "\u{e9}"), SigV4Error::UnreadableParameter { name }),
            (good.with_changed_parameter(name, "a b"), SigV4Error::UnreadableParameter { name }),
        ];
        for (bad, expected) in cases {
            let error = bad.parse_error();
            assert_eq!(error, expected, "{}", bad.query);
            assert_eq!(error.class(), SigV4ErrorClass::IncompleteSignature, "{}", bad.query);
        }
    }
    let malformed = [
        ("X-Amz-Credential", "AKID", SigV4Error::MalformedCredential { part: "date" }),
        (
            "X-Amz-Date",
            "2026-01-03",
            SigV4Error::MalformedDate { name: "X-Amz-Date", actual: "2026-01-03".into() },
        ),
        ("X-Amz-SignedHeaders", "x;host", SigV4Error::MalformedSignedHeaders),
        ("X-Amz-Signature", "00", SigV4Error::MalformedSignature),
    ];
    for (name, value, expected) in malformed {
        let error = good.with_changed_parameter(name, value).parse_error();
        assert_eq!(error, expected);
        assert_eq!(error.class(), SigV4ErrorClass::IncompleteSignature);
    }
    let error = good.with_changed_parameter("X-Amz-Algorithm", "AWS4-ECDSA-P256-SHA256").parse_error();
    assert_eq!(error, SigV4Error::UnsupportedQueryAlgorithm { actual: "AWS4-ECDSA-P256-SHA256".into() });
    assert_eq!(error.class(), SigV4ErrorClass::MissingAuthenticationToken);
}

#[test]
fn a_query_that_cannot_be_read_is_an_error_with_and_without_a_claim() {
    for (query, expected) in [
        ("%zz".to_owned(), SigV4Error::MalformedQuery),
        ("a".repeat(16_385), SigV4Error::QueryTooLong { limit: 16_384, actual: 16_385 }),
        ("a&".repeat(65), SigV4Error::TooManyParameters { limit: 64 }),
    ] {
        for mut request in [Message::undated(), Message::kms().signed()] {
            request.query.clone_from(&query);
            let error = request.parse_error();
            assert_eq!(error, expected);
            assert_eq!(error.class(), SigV4ErrorClass::IncompleteSignature);
        }
    }
    let mut ordinary = Message::undated();
    ordinary.query = "a=b&x-amz-other=1".into();
    assert!(parse_signed_request(ordinary.raw()).unwrap().is_none());
}

#[test]
fn the_order_and_the_spelling_of_parameters_do_not_matter_but_what_they_say_does() {
    let good = Message::undated().presigned("60");
    let mut reversed = good.clone();
    reversed.query = good.query.split('&').rev().collect::<Vec<_>>().join("&");
    reversed.verify_now().unwrap();
    let mut spelled = good.clone();
    spelled.query = good.query.replace("%2F", "/").replace("%3B", "%3b");
    spelled.verify_now().unwrap();
    for (name, value) in [("X-Amz-Expires", "61"), ("X-Amz-Date", "20260103T204108Z"), ("Other", "")] {
        assert_eq!(
            good.with_changed_parameter(name, value).verify_now().unwrap_err(),
            SigV4Error::SignatureMismatch,
            "{name}"
        );
    }
    // In this form, the access key id is under the signature, too.
    let credential = "AKIDOTHER/20260103/eu-central-1/kms/aws4_request";
    assert_eq!(
        good.with_changed_parameter("X-Amz-Credential", credential).verify_now().unwrap_err(),
        SigV4Error::SignatureMismatch
    );
}

#[test]
fn refusals_print_no_signature_and_no_token() {
    let request = Message::undated().presigned_with(PRESIGNED, "60", &[("X-Amz-Security-Token", TOKEN)]);
    let signature = request.query.rsplit('=').next().unwrap();
    let debug = format!("{:?}", parse_signed_request(request.raw()).unwrap().unwrap());
    assert!(debug.contains("AKIDEXAMPLEAKIDEXAMP"), "{debug}");
    assert!(!debug.contains(signature) && !debug.contains(TOKEN), "{debug}");
    let mut unsigned = request.clone();
    unsigned.headers.insert("x-amz-extra", HeaderValue::from_static("1"));
    for error in [
        unsigned.verify_now().unwrap_err(),
        request.with_parameter("X-Amz-Signature", "0").parse_error(),
        request.with_parameter("X-Amz-Security-Token", "0").parse_error(),
    ] {
        let text = format!("{error} {error:?}");
        assert!(!text.contains(signature) && !text.contains(TOKEN), "{text}");
    }
}
