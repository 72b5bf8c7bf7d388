//! Arbitrary requests, and changes of signed ones.

use hyper::header::{HeaderName, HeaderValue};
use proptest::prelude::*;

use crate::message::{KMS, Message, PRESIGNED, SECRET, SIGNED, signing_time};

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
        if let Ok(verified) = request.verify_if_signed(SECRET, &KMS, signing_time()) {
            prop_assert!(verified.is_none());
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

    #[test]
    fn any_changed_bit_breaks_a_presigned_request(
        part in 0..4_usize, at in any::<proptest::sample::Index>(), bit in 0..7_u32, header in 0..PRESIGNED.len(),
    ) {
        let mut request =
            Message::undated().presigned_with(PRESIGNED, "3600", &[("X-Amz-Security-Token", "Tok/en+=")]);
        request.verify_now().unwrap();
        let flip = |bytes: &mut [u8]| bytes[at.index(bytes.len())] ^= 1 << bit;
        match part {
            0 => flip(&mut request.body),
            1 => {
                let name = PRESIGNED[header];
                let mut bytes = request.headers[name].as_bytes().to_vec();
                flip(&mut bytes);
                let Ok(after) = HeaderValue::from_bytes(&bytes) else { return Ok(()) };
                prop_assume!(after.as_bytes().trim_ascii() == after.as_bytes());
                request.headers.insert(HeaderName::from_static(name), after);
            }
            _ => {
                let before = request.query.clone();
                let mut bytes = request.query.into_bytes();
                flip(&mut bytes);
                request.query = String::from_utf8(bytes).unwrap();
                if request.verify_now().is_ok() {
                    // The other case of a digit of an escape.
                    let at = at.index(before.len());
                    prop_assert!(before.eq_ignore_ascii_case(&request.query));
                    prop_assert!(before[..at].ends_with('%') || before[..at - 1].ends_with('%'));
                    return Ok(());
                }
            }
        }
        prop_assert!(request.verify_now().is_err());
    }

    #[test]
    fn arbitrary_queries_never_panic_and_no_claim_passes_for_none(
        pairs in proptest::collection::vec((
            prop_oneof![Just("X-Amz-Algorithm"), Just("x-amz-credential"), Just("X%2dAmz-Date"), Just("X-Amz-Expires"),
                Just("X-Amz-SignedHeaders"), Just("X-Amz-Signature"), Just("X-Amz-Security-Token"),
                Just("X-AMZ-CONTENT-SHA256")],
            prop_oneof![Just("AWS4-HMAC-SHA256".to_owned()), Just("20260103T204107Z".to_owned()),
                Just("AKID/20260103/eu-central-1/kms/aws4_request".to_owned()), Just("host".to_owned()),
                Just("3600".to_owned()), Just("0".repeat(64)), ".*"]), 1..10),
    ) {
        let mut request = Message::undated();
        request.query =
            pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
        prop_assert!(request.verify_if_signed(SECRET, &KMS, signing_time()).is_err());
    }
}
