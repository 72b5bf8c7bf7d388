//! What attackers write reaches the pages as text, wherever it comes from.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nitro_key_broker::encryption_context::EncryptionContext;
use nitro_key_broker::policy::{Grant, GrantConstraint, GrantId, GrantOperation, GrantTerms, PrincipalArn};
use nitro_key_broker::store::{GrantStore, KeyStore, TagStore};
use serde_json::{Value, json};

use crate::broker::client::request;
use crate::mint::Document;
use crate::mint::cbor::text;
use crate::script::run;
use crate::signer;
use crate::stage::Stage;

/// One string with every way to become code that HTML has, and a mark of where it was put.
fn attack(place: &str) -> String {
    format!(
        "{place}\"'><script>window.hacked=1</script><img src=x onerror=\"window.hacked=1\"><svg/onload=window.hacked=1>\
         </textarea></title></style></pre><a href=\"javascript:window.hacked=1\">{{{{7*7}}}}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_an_attacker_writes_becomes_code() {
    let mut stage = Stage::set().await;
    let (store, key) = (stage.broker.store(), stage.open.id);
    store.set_description(key, &attack("description")).await.unwrap();
    let tags = BTreeMap::from([(attack("tag"), attack("value"))]);
    assert!(store.set_tags(key, &tags).await.unwrap());
    stage.broker.set_policy(&stage.open, &hostile_policy()).await;
    stage.broker.store().insert_grant(key, &hostile_grant(&stage)).await.unwrap();

    // Over the wire: operation, user agent, principal, encryption context, the text of errors.
    let credential =
        stage.broker.create_credential("arn:aws:iam::111122223333:user/mallory+=,.@-_", None).await;
    let context = json!({attack("contextname"): attack("contextvalue")});
    let members = json!({
        "KeyId": stage.open.arn, "KeySpec": "AES_256", "EncryptionContext": context,
        "Recipient": stage.recipient_with(attack("userdata").as_bytes()),
    });
    let mut generate = request("GenerateDataKey", members.to_string());
    generate.headers_mut().insert("user-agent", attack("useragent").parse().unwrap());
    let now = stage.broker.now();
    let answer = stage.client.send(signer::sign(generate, &credential, now).await).await;
    assert_eq!(answer.status, 200);
    let mut unknown = request("Decrypt", "{}");
    unknown
        .headers_mut()
        .insert("x-amz-target", format!("TrentService.{}", attack("operation")).parse().unwrap());
    stage.client.send(unknown).await;
    stage.client.call("DescribeKey", &json!({"KeyId": attack("keyid")})).await;

    // In the log itself, as whoever could write to it would have it.
    let mut log = OpenOptions::new().append(true).open(stage.audit_log()).unwrap();
    let mut record = stage.broker.audit_record(answer.request_id());
    poison(&mut record);
    writeln!(log, "{record}").unwrap();
    writeln!(log, "{}", attack("torn")).unwrap();

    let mut named = Document::genuine(now.as_ms());
    named.payload.set("module_id", text(&attack("module")));
    let facts = json!({
        "key": key.to_string(),
        "document": STANDARD.encode(stage.document_with(attack("userdata").as_bytes())),
        "refusedDocument": STANDARD.encode(named.mint()),
        "attack": attack(""),
        "records": stage.broker.folder().join("audit.jsonl").exists(),
    });
    run(&stage, "hostile", &facts);
}

fn hostile_policy() -> Value {
    json!({
        "Version": "2012-10-17",
        "Id": attack("policyid"),
        "Statement": [{
            "Sid": attack("sid"), "Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*",
        }],
    })
}

fn hostile_grant(stage: &Stage) -> Grant {
    let context = BTreeMap::from([(attack("grantcontext"), attack("grantvalue"))]);
    Grant {
        id: GrantId::from_bytes([7; 32]),
        resource: stage.open.arn.as_str().into(),
        name: Some(attack("grantname").into()),
        terms: GrantTerms {
            grantee: PrincipalArn::parse("arn:aws:iam::111122223333:user/grantee").unwrap(),
            retiring: None,
            operations: [GrantOperation::Decrypt].into_iter().collect(),
            constraint: Some(GrantConstraint::EncryptionContextSubset(
                EncryptionContext::new(context).unwrap(),
            )),
        },
        issuing_account: "111122223333".into(),
        created_at: stage.broker.now(),
    }
}

/// Every string of a record becomes an attack but for those that must have a form to be read.
fn poison(record: &mut Value) {
    let pcr0 = attack("pcr0");
    record["eventID"] = json!("poisoned");
    record["requestID"] = json!(attack("requestid"));
    record["eventName"] = json!(attack("eventname"));
    record["sourceIPAddress"] = json!(attack("source"));
    record["userAgent"] = json!(attack("agent"));
    record["errorCode"] = json!(attack("errorcode"));
    record["errorMessage"] = json!(attack("errormessage"));
    record["userIdentity"] =
        json!({"type": "IAMUser", "arn": attack("principal"), "accessKeyId": attack("accesskey")});
    record["resources"] = json!([{"ARN": attack("arn:aws:kms:key/")}]);
    record["requestParameters"] = json!({"encryptionContext": {attack("name"): attack("value")}});
    let additional = &mut record["additionalEventData"];
    additional["decision"] =
        json!({"outcome": "denied", "reasons": [attack("reason")], "failedCheck": attack("check")});
    additional["configuredTrustAnchors"] = json!([attack("anchor")]);
    additional["recipient"]["attestationDocumentModuleId"] = json!(attack("moduleid"));
    additional["recipient"]["attestationDocumentEnclaveImageDigest"] = json!(pcr0);
    additional["recipient"]["attestationDocumentEnclavePCR8"] = json!(attack("pcr8"));
    additional["recipient"]["attestationDocumentTrustAnchorSha256"] = json!(attack("root"));
}
