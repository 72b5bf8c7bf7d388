//! Every minted vector with its one defect in CBOR, COSE, DER or the path, through the whole broker.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nitro_key_broker::attestation::TrustAnchors;
use nitro_key_broker::time::UnixTime;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Stage;
use crate::broker::enclave::recipient;
use crate::broker::{Setup, TestBroker, open_policy};

#[tokio::test]
async fn every_vector_is_refused_at_its_step() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/attestation");
    // By the root that they are judged under; a few have one of their own.
    let mut vectors: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let own_root = path.join("root.pem");
            let root = if own_root.exists() { own_root } else { folder.join("root.pem") };
            vectors.entry(root).or_default().push(path);
        }
    }
    let mut refused = 0;
    for (root, vectors) in vectors {
        let pem = std::fs::read(&root).unwrap();
        let trust_anchors = TrustAnchors::only_configured(&pem, &root).unwrap();
        let broker = TestBroker::start_with(Setup { trust_anchors, ..Setup::default() }).await;
        let key = broker.create_key(&open_policy()).await;
        let mut client = broker.connect().await;
        for vector in vectors {
            let expected: Value =
                serde_json::from_slice(&std::fs::read(vector.join("expected.json")).unwrap()).unwrap();
            let document = std::fs::read(vector.join("document.bin")).unwrap();
            broker.set_clock(UnixTime::parse_rfc3339(expected["now"].as_str().unwrap()).unwrap());
            let members = json!({"KeyId": key.arn, "KeySpec": "AES_256", "Recipient": recipient(&document)});
            let answer = client.call("GenerateDataKey", &members).await;
            let name = vector.display();
            if answer.status == 200 {
                assert_eq!(expected["layer"], "accepted", "{name}");
                continue;
            }
            let refusal = answer.refusal();
            assert!(refusal.starts_with("400 ValidationException: "), "{name}: {refusal}");
            let decision = &broker.audit_record(answer.request_id())["additionalEventData"]["decision"];
            match expected["layer"].as_str().unwrap() {
                // Genuine, and without a key that an answer could be encrypted to.
                "accepted" => assert_eq!(decision["failedCheck"], "recipient_key_absent", "{name}"),
                // The member itself has 1 to 262,144 bytes.
                "cose" if !(1..=262_144).contains(&document.len()) => {
                    assert!(
                        refusal.contains("failed to satisfy constraint: Member must have length"),
                        "{refusal}"
                    )
                }
                layer => {
                    assert_eq!(decision["failedStep"], layer, "{name}");
                    assert_eq!(decision["failedCheck"], expected["error"], "{name}");
                }
            }
            refused += 1;
        }
    }
    assert!(refused > 200, "{refused} vectors were refused");
}

#[test]
fn arbitrary_documents_get_a_modelled_answer() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut stage = runtime.block_on(Stage::set());
    let genuine = stage.enclave.document(stage.broker.now());
    let length = genuine.len();
    let documents = prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..400),
        (0..length, proptest::collection::vec(any::<u8>(), 0..8)).prop_map(move |(at, bytes)| {
            // Cut off at any place, and something else behind.
            [&genuine[..at], &bytes].concat()
        }),
    ];
    let mut runner = proptest::test_runner::TestRunner::default();
    let client = std::cell::RefCell::new(&mut stage.client);
    let key_id = &stage.key.arn;
    runner
        .run(&documents, |document| {
            let members = json!({"KeyId": key_id, "KeySpec": "AES_256", "Recipient": recipient(&document)});
            let answer = runtime.block_on(client.borrow_mut().call("GenerateDataKey", &members));
            let refusal = answer.refusal();
            prop_assert!(refusal.starts_with("400 ValidationException: "), "{}", refusal);
            Ok(())
        })
        .unwrap();
    runtime.block_on(stage.check_both_connections_go_on());
}

#[tokio::test]
async fn the_longest_document_of_rubbish_is_refused_at_once() {
    let mut stage = Stage::set().await;
    for byte in [0x00, 0x84, 0x9f, 0xa1, 0xbf, 0xd2, 0xff] {
        let rubbish = vec![byte; 262_144];
        let members = json!({"KeyId": stage.key.arn, "KeySpec": "AES_256", "Recipient": recipient(&rubbish)});
        let begun = std::time::Instant::now();
        let answer = stage.client.call("GenerateDataKey", &members).await;
        assert!(answer.refusal().contains("fails at the step cose"), "{}", answer.refusal());
        assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
    }
    stage.check_both_connections_go_on().await;
}
