//! Requests to something that is not there, in a way that is not spoken.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Request};

use super::Stage;
use crate::broker::client::request;

const NO_TARGET: &str =
    "400 UnknownOperationException: expected a header X-Amz-Target: TrentService.<Operation>";

#[tokio::test]
async fn wrong_methods() {
    let mut stage = Stage::set().await;
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FROBNICATE", "post"] {
        let mut bad = request("Decrypt", "{}");
        *bad.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = stage.client.send(bad).await;
        let expected = format!("405 UnknownOperationException: expected method POST, found {method}");
        stage.check_refusal(&answer, &expected, "malformed");
        assert_eq!(answer.header("allow"), "POST");
    }
    stage.check_both_connections_go_on().await;
    // The answer to HEAD has no body to model an error in.
    let mut head = request("Decrypt", "");
    *head.method_mut() = Method::HEAD;
    let answer = stage.client.send(head).await;
    assert_eq!((answer.status, answer.body.len()), (405, 0));
    stage.check_both_connections_go_on().await;
}

#[tokio::test]
async fn wrong_paths() {
    let mut stage = Stage::set().await;
    for (target, found) in [
        ("/Decrypt", "/Decrypt"),
        ("//", "//"),
        ("/../", "/../"),
        ("/%2e%2e/root.key", "/%2e%2e/root.key"),
        ("/ping", "/ping"),
        ("http://169.254.169.254/latest", "/latest"),
    ] {
        let mut bad = request("Decrypt", "{}");
        *bad.uri_mut() = target.parse().unwrap();
        let answer = stage.client.send(bad).await;
        let expected = format!("404 UnknownOperationException: expected path /, found {found}");
        stage.check_refusal(&answer, &expected, "malformed");
    }
    stage.check_both_connections_go_on().await;
}

#[tokio::test]
async fn wrong_targets() {
    let mut stage = Stage::set().await;
    let unknown =
        |name: &str| format!("400 UnknownOperationException: this broker has no operation {name:?}");
    for (target, expected) in [
        ("", NO_TARGET.to_owned()),
        ("Decrypt", NO_TARGET.to_owned()),
        ("TrentService.", NO_TARGET.to_owned()),
        ("TrentService", NO_TARGET.to_owned()),
        ("trentservice.Decrypt", NO_TARGET.to_owned()),
        ("DynamoDB_20120810.GetItem", NO_TARGET.to_owned()),
        ("TrentService.decrypt", unknown("decrypt")),
        ("TrentService.Decrypt.Decrypt", unknown("Decrypt.Decrypt")),
        ("TrentService.ReplicateKeys", unknown("ReplicateKeys")),
        ("TrentService.\"; DROP TABLE keys", unknown("\"; DROP TABLE keys")),
    ] {
        let mut bad = request("Decrypt", "{}");
        bad.headers_mut().insert("x-amz-target", target.parse().unwrap());
        let answer = stage.client.send(bad).await;
        stage.check_refusal(&answer, &expected, "malformed");
    }
    let mut none = request("Decrypt", "{}");
    none.headers_mut().remove("x-amz-target");
    let answer = stage.client.send(none).await;
    stage.check_refusal(&answer, NO_TARGET, "malformed");
    let mut twice = request("Decrypt", "{}");
    twice.headers_mut().append("x-amz-target", "TrentService.GenerateDataKey".parse().unwrap());
    let answer = stage.client.send(twice).await;
    let expected = "400 UnknownOperationException: the header X-Amz-Target is repeated";
    stage.check_refusal(&answer, expected, "malformed");
    let mut latin = request("Decrypt", "{}");
    let value = hyper::header::HeaderValue::from_bytes(b"TrentService.D\xe9crypt").unwrap();
    latin.headers_mut().insert("x-amz-target", value);
    let answer = stage.client.send(latin).await;
    stage.check_refusal(&answer, NO_TARGET, "malformed");
    stage.check_both_connections_go_on().await;
}

#[tokio::test]
async fn wrong_media_types() {
    let mut stage = Stage::set().await;
    for (value, found) in [
        (Some("application/json"), "application/json"),
        (Some("application/x-amz-json-1.0"), "application/x-amz-json-1.0"),
        (Some("application/x-www-form-urlencoded"), "application/x-www-form-urlencoded"),
        (Some("application/cbor"), "application/cbor"),
        (Some(""), ""),
        (None, ""),
    ] {
        let mut bad = request("Decrypt", "{}");
        bad.headers_mut().remove("content-type");
        if let Some(value) = value {
            bad.headers_mut().insert("content-type", value.parse().unwrap());
        }
        let answer = stage.client.send(bad).await;
        let expected = format!(
            "400 SerializationException: expected Content-Type application/x-amz-json-1.1, found {found:?}"
        );
        stage.check_refusal(&answer, &expected, "malformed");
    }
    for value in ["application/x-amz-json-1.1; charset=utf-8", "Application/X-Amz-JSON-1.1"] {
        let mut good = request("GenerateDataKey", stage.good_request());
        good.headers_mut().insert("content-type", value.parse().unwrap());
        stage.client.send(good).await.members();
    }
}

#[tokio::test]
async fn a_health_check_is_no_decision() {
    let mut stage = Stage::set().await;
    let ping = || Request::get("/ping").body(Full::<Bytes>::default()).unwrap();
    let answer = stage.client.send(ping()).await;
    assert_eq!((answer.status, &answer.body[..]), (200, &b"healthy"[..]));
    assert_eq!(stage.broker.audit_records().len(), 0);
}
