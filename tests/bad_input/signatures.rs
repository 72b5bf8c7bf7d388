//! Requests that claim a caller and do not prove it. Every one is refused although the key's policy is open to all: who
//! signs wrongly is not served as nobody.

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use nitro_key_broker::auth::sigv4::SignatureWindow;
use nitro_key_broker::time::UnixTime;

use super::Stage;
use crate::broker::client::request;
use crate::broker::{Setup, TestCredential};
use crate::signer::{presign, sign};

const UNKNOWN: &str =
    "400 UnrecognizedClientException: The security token included in the request is invalid.";
const MISMATCH: &str = "400 InvalidSignatureException: the signature does not match: check the secret access key and \
                        the signing method";
const ROLE: &str = "arn:aws:iam::111122223333:role/app";

async fn presigned(stage: &Stage, credential: &TestCredential, expires_secs: u32) -> Request<Full<Bytes>> {
    let request = request("GenerateDataKey", stage.good_request());
    presign(request, credential, stage.broker.now(), expires_secs).await
}

async fn signed(stage: &Stage, credential: &TestCredential) -> Request<Full<Bytes>> {
    sign(request("GenerateDataKey", stage.good_request()), credential, stage.broker.now()).await
}

#[tokio::test]
async fn a_good_signature_is_served_and_each_wrong_one_refused() {
    let mut stage = Stage::set().await;
    let lasting = stage.broker.create_credential(ROLE, None).await;
    let session = stage.broker.create_credential(ROLE, Some(3600)).await;
    for credential in [&lasting, &session] {
        let good = signed(&stage, credential).await;
        stage.client.send(good).await.members();
    }
    type Damage = fn(&mut Request<Full<Bytes>>);
    let incomplete = |problem: &str| format!("400 IncompleteSignatureException: {problem}");
    let invalid = |problem: &str| format!("400 InvalidSignatureException: {problem}");
    let damages: [(Damage, String, &str); 11] = [
        (|bad| *bad.body_mut() = Full::from("{}"), MISMATCH.to_owned(), "denied"),
        (|bad| edit_authorization(bad, |text| flip_last_digit(&text)), MISMATCH.to_owned(), "denied"),
        (
            |bad| drop(bad.headers_mut().insert("host", HeaderValue::from_static("other.example"))),
            MISMATCH.to_owned(),
            "denied",
        ),
        (
            |bad| drop(bad.headers_mut().insert("x-amz-extra", HeaderValue::from_static("unsigned"))),
            invalid("the header x-amz-extra must be among the SignedHeaders"),
            "denied",
        ),
        (
            |bad| edit_authorization(bad, |text| text.replace("us-east-1", "eu-west-1")),
            invalid("the credential is scoped to region \"eu-west-1\", not \"us-east-1\""),
            "denied",
        ),
        (
            |bad| edit_authorization(bad, |text| text.replace("/kms/", "/s3/")),
            invalid("the credential is scoped to service \"s3\", not \"kms\""),
            "denied",
        ),
        (
            |bad| drop(bad.headers_mut().remove("x-amz-date")),
            incomplete("the request has neither X-Amz-Date nor Date"),
            "malformed",
        ),
        (
            |bad| edit_authorization(bad, |text| text.replace("AWS4-HMAC-SHA256", "Bearer")),
            incomplete("the Authorization header does not begin with AWS4-HMAC-SHA256"),
            "malformed",
        ),
        (
            |bad| edit_authorization(bad, |text| text.replace("Signature=", "Signature=z")),
            incomplete("Signature is not 64 lower-case hexadecimal digits"),
            "malformed",
        ),
        (
            |bad| {
                let copy = bad.headers()["authorization"].clone();
                bad.headers_mut().append("authorization", copy);
            },
            incomplete("the header authorization occurs more than once"),
            "malformed",
        ),
        (
            |bad| edit_authorization(bad, |text| "x".repeat(5000) + &text),
            incomplete("the header authorization is 5"),
            "malformed",
        ),
    ];
    for (damage, expected, outcome) in damages {
        let mut bad = signed(&stage, &lasting).await;
        damage(&mut bad);
        let answer = stage.client.send(bad).await;
        if expected.ends_with("is 5") {
            assert!(answer.refusal().starts_with(&expected), "{}", answer.refusal());
        } else {
            stage.check_refusal(&answer, &expected, outcome);
        }
        stage.check_both_connections_go_on().await;
    }
}

#[tokio::test]
async fn unknown_keys_and_wrong_tokens_are_not_told_apart() {
    let mut stage = Stage::set().await;
    let lasting = stage.broker.create_credential(ROLE, None).await;
    let session = stage.broker.create_credential(ROLE, Some(3600)).await;
    let other = stage.broker.create_credential(ROLE, Some(3600)).await;
    let with = |credential: &TestCredential, access_key_id: &str, token: Option<&String>| TestCredential {
        access_key_id: access_key_id.to_owned(),
        secret: credential.secret.clone(),
        session_token: token.cloned(),
    };
    for credential in [
        with(&lasting, "AKIANOSUCHKEY0000000", None),
        with(&session, &session.access_key_id, None),
        with(&session, &session.access_key_id, other.session_token.as_ref()),
        with(&lasting, &lasting.access_key_id, session.session_token.as_ref()),
    ] {
        let bad = signed(&stage, &credential).await;
        let answer = stage.client.send(bad).await;
        stage.check_refusal(&answer, UNKNOWN, "denied");
        let record = stage.broker.audit_record(answer.request_id());
        assert_eq!(record["userIdentity"]["type"], "Unknown");
    }
    // Another's secret: the key is known, the signature is not its.
    let bad = signed(&stage, &with(&lasting, &other.access_key_id, other.session_token.as_ref())).await;
    let answer = stage.client.send(bad).await;
    stage.check_refusal(&answer, MISMATCH, "denied");
}

#[tokio::test]
async fn time_bounds_signatures_and_sessions() {
    let mut stage = Stage::set().await;
    let lasting = stage.broker.create_credential(ROLE, None).await;
    let session = stage.broker.create_credential(ROLE, Some(60)).await;
    let at = |secs: u64| UnixTime::from_secs(secs);
    let now = stage.broker.now().as_secs();
    let sign_at = async |stage: &Stage, credential: &TestCredential, time: u64| {
        sign(request("GenerateDataKey", stage.good_request()), credential, at(time)).await
    };
    for (time, expected) in [
        (now - 900, None),
        (now + 900, None),
        (now - 901, Some("expired")),
        (now + 901, Some("not yet current")),
    ] {
        let request = sign_at(&stage, &lasting, time).await;
        let answer = stage.client.send(request).await;
        match expected {
            None => drop(answer.members()),
            Some(word) => {
                let begin = format!("400 InvalidSignatureException: signature {word}: ");
                assert!(answer.refusal().starts_with(&begin), "{}", answer.refusal());
            }
        }
    }
    stage.broker.set_clock(at(now + 60));
    let request = sign_at(&stage, &session, now + 60).await;
    stage.client.send(request).await.members();
    stage.broker.set_clock(at(now + 61));
    let request = sign_at(&stage, &session, now + 61).await;
    let answer = stage.client.send(request).await;
    let expected = "400 ExpiredTokenException: The security token included in the request is expired";
    stage.check_refusal(&answer, expected, "denied");
}

#[tokio::test]
async fn a_presigned_request_is_served_until_it_expires() {
    let mut stage = Stage::set().await;
    let lasting = stage.broker.create_credential(ROLE, None).await;
    let session = stage.broker.create_credential(ROLE, Some(3600)).await;
    let now = stage.broker.now().as_secs();
    for credential in [&lasting, &session] {
        stage.broker.set_clock(UnixTime::from_secs(now));
        let good = presigned(&stage, credential, 60).await;
        stage.client.send(good.clone()).await.members();
        stage.broker.set_clock(UnixTime::from_secs(now + 60));
        stage.client.send(good.clone()).await.members();
        stage.broker.set_clock(UnixTime::from_secs(now + 61));
        let answer = stage.client.send(good).await;
        let begin = "400 InvalidSignatureException: signature expired: ";
        assert!(answer.refusal().starts_with(begin), "{}", answer.refusal());
        stage.check_both_connections_go_on().await;
    }
}

#[tokio::test]
async fn each_wrong_presigned_request_is_refused() {
    let mut stage = Stage::set().await;
    let lasting = stage.broker.create_credential(ROLE, None).await;
    let session = stage.broker.create_credential(ROLE, Some(3600)).await;
    type Damage = fn(&mut Request<Full<Bytes>>);
    let incomplete = |problem: &str| format!("400 IncompleteSignatureException: {problem}");
    let invalid = |problem: &str| format!("400 InvalidSignatureException: {problem}");
    let damages: [(Damage, String, &str); 11] = [
        (|bad| *bad.body_mut() = Full::from("{}"), MISMATCH.to_owned(), "denied"),
        (|bad| edit_query(bad, |query| flip_last_digit(&query)), MISMATCH.to_owned(), "denied"),
        (
            |bad| edit_query(bad, |query| query.replace("X-Amz-Expires=60", "X-Amz-Expires=61")),
            MISMATCH.to_owned(),
            "denied",
        ),
        (
            |bad| edit_query(bad, |query| query.replace("X-Amz-Expires=60", "X-Amz-Expires=604801")),
            incomplete("expected X-Amz-Expires from 1 to 604800 seconds, found \"604801\""),
            "malformed",
        ),
        (
            |bad| edit_query(bad, |query| query.replace("&X-Amz-Expires=60", "")),
            incomplete("the query lacks X-Amz-Expires"),
            "malformed",
        ),
        (
            |bad| edit_query(bad, |query| query.replace("HMAC", "ECDSA-P256")),
            "400 MissingAuthenticationTokenException: expected X-Amz-Algorithm AWS4-HMAC-SHA256, found \
             \"AWS4-ECDSA-P256-SHA256\""
                .to_owned(),
            "malformed",
        ),
        (
            |bad| edit_query(bad, |query| format!("{query}&x-amz-signature=00")),
            incomplete("the query has more than one X-Amz-Signature"),
            "malformed",
        ),
        (
            |bad| {
                drop(bad.headers_mut().insert("authorization", HeaderValue::from_static("AWS4-HMAC-SHA256 ")))
            },
            invalid("the request is signed twice, in the Authorization header and in the query"),
            "denied",
        ),
        (
            |bad| {
                let form = HeaderValue::from_static("UNSIGNED-PAYLOAD");
                bad.headers_mut().insert("x-amz-content-sha256", form);
            },
            invalid("the header x-amz-content-sha256 must be among the SignedHeaders"),
            "denied",
        ),
        (
            |bad| edit_query(bad, |query| format!("x-amz-content-sha256=UNSIGNED-PAYLOAD&{query}")),
            invalid(
                "expected X-Amz-Content-Sha256 to be the SHA-256 of the body, found the payload form \
                 \"UNSIGNED-PAYLOAD\"",
            ),
            "denied",
        ),
        (
            |bad| edit_query(bad, |_| "X-Amz-Security-Token=token".to_owned()),
            incomplete("the query lacks X-Amz-Algorithm"),
            "malformed",
        ),
    ];
    for (damage, expected, outcome) in damages {
        let mut bad = presigned(&stage, &lasting, 60).await;
        damage(&mut bad);
        let answer = stage.client.send(bad).await;
        stage.check_refusal(&answer, &expected, outcome);
        stage.check_both_connections_go_on().await;
    }

    let without_token = TestCredential {
        access_key_id: session.access_key_id.clone(),
        secret: session.secret.clone(),
        session_token: None,
    };
    let bad = presigned(&stage, &without_token, 60).await;
    let answer = stage.client.send(bad).await;
    stage.check_refusal(&answer, UNKNOWN, "denied");
}

#[tokio::test]
async fn a_tighter_window_is_held() {
    let signature_window = SignatureWindow::new(60, 30).unwrap();
    let mut stage = Stage::set_with(Setup { signature_window, ..Setup::default() }).await;
    let lasting = stage.broker.create_credential(ROLE, None).await;
    let now = stage.broker.now().as_secs();
    let good = presigned(&stage, &lasting, 30).await;
    stage.client.send(good).await.members();
    let bad = presigned(&stage, &lasting, 31).await;
    let answer = stage.client.send(bad).await;
    let expected =
        "400 InvalidSignatureException: the request is presigned for 31 seconds, over the limit of 30";
    stage.check_refusal(&answer, expected, "denied");
    for (time, is_served) in [(now - 60, true), (now + 60, true), (now - 61, false), (now + 61, false)] {
        let request = request("GenerateDataKey", stage.good_request());
        let request = sign(request, &lasting, UnixTime::from_secs(time)).await;
        let answer = stage.client.send(request).await;
        assert_eq!(answer.status == 200, is_served, "{time}");
    }
}

/// Two equal requests of one second bear one signature, and an SDK's second attempt may be the second.
#[tokio::test]
async fn one_signature_is_served_as_often_as_it_comes() {
    let mut stage = Stage::set().await;
    let lasting = stage.broker.create_credential(ROLE, None).await;
    let first = signed(&stage, &lasting).await;
    for _ in 0..2 {
        stage.client.send(first.clone()).await.members();
    }
}

/// Whoever can write the database gives a weak principal's key the name of a strong one.
#[tokio::test]
async fn a_secret_moved_to_another_principal_in_the_database_serves_nobody() {
    let mut stage = Stage::set().await;
    let credential = stage.broker.create_credential(ROLE, None).await;
    let root = "UPDATE credentials SET principal_arn = 'arn:aws:iam::111122223333:root'";
    stage.broker.database().await.execute(root).await;
    let request = signed(&stage, &credential).await;
    let answer = stage.client.send(request).await;
    let expected = "500 KMSInternalException: The request failed inside the broker; its log says why.";
    stage.check_refusal(&answer, expected, "failed");
}

fn edit_authorization(request: &mut Request<Full<Bytes>>, edit: fn(String) -> String) {
    let text = request.headers()["authorization"].to_str().unwrap().to_owned();
    request.headers_mut().insert("authorization", HeaderValue::from_str(&edit(text)).unwrap());
}

fn edit_query(request: &mut Request<Full<Bytes>>, edit: fn(String) -> String) {
    let query = edit(request.uri().query().unwrap().to_owned());
    *request.uri_mut() = format!("/?{query}").parse().unwrap();
}

fn flip_last_digit(text: &str) -> String {
    let (rest, last) = text.split_at(text.len() - 1);
    format!("{rest}{}", if last == "0" { "1" } else { "0" })
}
