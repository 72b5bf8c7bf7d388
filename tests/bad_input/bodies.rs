//! Bodies that are no JSON, no object, or too long.

use hyper::body::Bytes;
use nitro_key_broker::server::Limits;
use proptest::prelude::*;

use super::Stage;
use crate::broker::client::request;
use crate::broker::{Setup, TestBroker};

#[tokio::test]
async fn what_is_no_json_object_is_a_serialization_exception() {
    let mut stage = Stage::set().await;
    let syntax =
        |problem: &str| format!("400 SerializationException: the request body is not JSON: {problem}");
    let no_object =
        |found| format!("400 SerializationException: the request must be an object, found {found}");
    let repeated = |name: &str, place: &str| {
        format!(
            "400 SerializationException: the request body is not JSON: the name {name:?} is repeated in the object \
             at {place}"
        )
    };
    for (body, expected) in [
        (&b""[..], syntax("EOF while parsing a value at line 1 column 0")),
        (b"{", syntax("EOF while parsing an object at line 1 column 1")),
        (b"{} {}", syntax("trailing characters at line 1 column 4")),
        (b"{'a':1}", syntax("key must be a string at line 1 column 2")),
        (b"{\"a\":1,}", syntax("trailing comma at line 1 column 8")),
        (b"{\"a\":NaN}", syntax("expected value at line 1 column 6")),
        (b"{\"a\":1} // comment", syntax("trailing characters at line 1 column 9")),
        (
            b"{\"a\":\"\x01\"}",
            syntax("control character (\\u0000-\\u001F) found while parsing a string at line 1 column 7"),
        ),
        (b"{\"a\":\"\\ud800\"}", syntax("unexpected end of hex escape at line 1 column 13")),
        (b"{\"a\":\"\xff\"}", syntax("invalid unicode code point at line 1 column 7")),
        (b"\xef\xbb\xbf{}", syntax("expected value at line 1 column 1")),
        (b"Action=Decrypt", syntax("expected value at line 1 column 1")),
        (b"[]", no_object("an array")),
        (b"null", no_object("null")),
        (b"\"text\"", no_object("a string")),
        (b"7", no_object("a number")),
        (b"true", no_object("a boolean")),
        (b"{\"KeyId\":\"a\",\"KeyId\":\"b\"}", repeated("KeyId", "the top")),
        (b"{\"KeyId\":\"a\",\"\\u004beyId\":\"b\"}", repeated("KeyId", "the top")),
        (b"{\"EncryptionContext\":{\"t\":\"a\",\"t\":\"b\"}}", repeated("t", "EncryptionContext")),
        (
            b"{\"Recipient\":{\"AttestationDocument\":\"AA==\",\"AttestationDocument\":\"AA==\"}}",
            repeated("AttestationDocument", "Recipient"),
        ),
    ] {
        for operation in ["GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "Decrypt"] {
            let answer = stage.client.post(operation, Bytes::from_static(body)).await;
            stage.check_refusal(&answer, &expected, "malformed");
        }
        stage.check_both_connections_go_on().await;
    }
}

#[tokio::test]
async fn depth_and_breadth_are_bounded() {
    let mut stage = Stage::set().await;
    let nested = |depth| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    for body in [
        nested(200),
        nested(100_000),
        format!("{{\"a\":{}", "{\"a\":".repeat(100_000)),
        "[".repeat(1_000_000),
    ] {
        let answer = stage.client.post("Decrypt", body).await;
        let refusal = answer.refusal();
        assert!(refusal.contains("recursion limit exceeded"), "{refusal}");
        stage.check_refusal(&answer, &refusal, "malformed");
    }
    let members = |count: usize| {
        let members: Vec<String> = (0..count).map(|number| format!("\"m{number}\":[{{}}]")).collect();
        format!("{{{}}}", members.join(","))
    };
    // Unknown members are ignored, many of them too.
    let answer = stage.client.post("Decrypt", members(8_000)).await;
    assert!(
        answer.refusal().contains("'CiphertextBlob' failed to satisfy constraint: Member must not be null")
    );
    let answer = stage.client.post("Decrypt", members(20_000)).await;
    let refusal = answer.refusal();
    assert!(refusal.ends_with("the JSON has more than 16384 values"), "{refusal}");
    stage.check_refusal(&answer, &refusal, "malformed");
    stage.check_both_connections_go_on().await;
}

#[tokio::test]
async fn messages_quote_little_of_the_input() {
    let mut stage = Stage::set().await;
    let long = "x".repeat(500_000);
    for body in [
        format!("{{\"{long}\":1,\"{long}\":2}}"),
        format!("{{\"KeyId\":\"{long}\",\"KeySpec\":\"AES_256\"}}"),
        format!("{{\"KeyId\":\"k\",\"KeySpec\":\"{long}\"}}"),
        format!("{{\"{long}\":\"{long}"),
    ] {
        let answer = stage.client.post("GenerateDataKey", body).await;
        assert!(answer.refusal().len() < 1024, "{}", answer.refusal());
        let record = stage.broker.audit_record(answer.request_id());
        assert!(record.to_string().len() < 4096, "{record}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_a_modelled_413() {
    let mut stage = Stage::set().await;
    let expected = "413 SerializationException: the body is longer than 1048576 bytes";
    for length in [1_048_577, 5_000_000] {
        let answer = stage.client.post("GenerateDataKey", vec![b' '; length]).await;
        stage.check_refusal(&answer, expected, "malformed");
        stage.check_both_connections_go_on().await;
    }
    // The longest body that is read to its end is judged by what it says.
    let mut longest = stage.good_request().into_bytes();
    longest.resize(1_048_576, b' ');
    stage.client.post("GenerateDataKey", longest).await.members();
}

#[tokio::test]
async fn the_limit_is_the_configured_one() {
    let limits = Limits { max_body_bytes: 1000, ..Limits::default() };
    let broker = TestBroker::start_with(Setup { limits, ..Setup::default() }).await;
    let mut client = broker.connect().await;
    let answer = client.send(request("Decrypt", vec![b'{'; 1001])).await;
    assert_eq!(answer.refusal(), "413 SerializationException: the body is longer than 1000 bytes");
    let answer = client.send(request("Decrypt", vec![b'{'; 1000])).await;
    assert!(answer.refusal().starts_with("400 SerializationException: "));
}

#[test]
fn arbitrary_bodies_get_a_modelled_answer() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut stage = runtime.block_on(Stage::set());
    let good = stage.good_request();
    let mut runner = proptest::test_runner::TestRunner::default();
    let bodies = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        // A good request with one byte changed, inserted or taken away.
        (0..good.len(), any::<u8>(), 0..3).prop_map(move |(position, byte, edit)| {
            let mut body = good.clone().into_bytes();
            match edit {
                0 => body[position] = byte,
                1 => body.insert(position, byte),
                _ => drop(body.remove(position)),
            }
            body
        }),
    ];
    let client = std::cell::RefCell::new(&mut stage.client);
    runner
        .run(&bodies, |body| {
            let answer = runtime.block_on(client.borrow_mut().post("GenerateDataKey", body));
            match answer.status {
                200 => drop(answer.members()),
                400 => drop(answer.refusal()),
                other => prop_assert!(false, "status {}", other),
            }
            Ok(())
        })
        .unwrap();
    runtime.block_on(stage.check_both_connections_go_on());
}
