//! Grants: who may make one, what it gives to whom, and how it ends.

use serde_json::{Value, json};

use super::{Stage, changed, names};
use crate::broker::{ACCOUNT, TestCredential, TestKey, open_policy};

const ADMIN: &str = "arn:aws:iam::111122223333:role/admin";
pub(super) const WORKER: &str = "arn:aws:iam::111122223333:role/worker";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/worker/i-0abc";
const AUDITOR: &str = "arn:aws:iam::111122223333:user/auditor";

/// A key that only the administrator may do anything with, and a credential for each principal.
pub(super) struct Lent {
    pub(super) stage: Stage,
    pub(super) key: TestKey,
    pub(super) admin: TestCredential,
    pub(super) worker: TestCredential,
    pub(super) auditor: TestCredential,
}

pub(super) fn policy_for(principal: &str) -> Value {
    let mut policy = open_policy();
    policy["Statement"][0]["Sid"] = json!("Admin");
    policy["Statement"][0]["Principal"] = json!({"AWS": principal});
    policy
}

impl Lent {
    pub(super) async fn set() -> Self {
        let stage = Stage::set().await;
        let key = stage.broker.create_key(&policy_for(ADMIN)).await;
        let admin = stage.broker.create_credential(ADMIN, None).await;
        let worker = stage.broker.create_credential(SESSION, Some(3600)).await;
        let auditor = stage.broker.create_credential(AUDITOR, None).await;
        Self { stage, key, admin, worker, auditor }
    }

    pub(super) fn members(&self, changes: Value) -> Value {
        let members = json!({
            "KeyId": self.key.arn, "GranteePrincipal": WORKER, "Operations": ["Decrypt", "GenerateDataKey"],
        });
        changed(members, changes)
    }

    /// CreateGrant by the administrator; `changes` are laid over the members.
    pub(super) async fn create(&mut self, changes: Value) -> Value {
        let members = self.members(changes);
        self.stage.signed(&self.admin, "CreateGrant", &members).await.members()
    }

    pub(super) async fn refused(&mut self, changes: Value) -> String {
        let members = self.members(changes);
        self.stage.signed(&self.admin, "CreateGrant", &members).await.refusal()
    }

    /// GenerateDataKey by the worker.
    pub(super) async fn use_key(&mut self, changes: Value) -> crate::broker::client::Answer {
        let members =
            json!({"KeyId": self.key.arn, "KeySpec": "AES_256", "Recipient": self.stage.recipient()});
        self.stage.signed(&self.worker, "GenerateDataKey", &changed(members, changes)).await
    }

    async fn list(&mut self, changes: Value) -> Value {
        let members = changed(json!({"KeyId": self.key.arn}), changes);
        self.stage.signed(&self.admin, "ListGrants", &members).await.members()
    }
}

const NOT_ALLOWED: &str = "400 AccessDeniedException: User: ";

#[tokio::test]
async fn a_grantee_uses_the_key_until_the_grant_is_revoked() {
    let mut lent = Lent::set().await;
    assert!(lent.use_key(json!({})).await.refusal().starts_with(NOT_ALLOWED));
    let answer = {
        let members = lent.members(json!({"Name": "for-the-worker", "RetiringPrincipal": AUDITOR}));
        lent.stage.signed(&lent.admin, "CreateGrant", &members).await
    };
    let made = answer.members();
    assert_eq!(names(&made), ["GrantId", "GrantToken"]);
    let (id, token) = (made["GrantId"].as_str().unwrap(), made["GrantToken"].as_str().unwrap());
    assert_eq!((id.len(), token.len()), (64, 82));
    let record = lent.stage.broker.audit_record(answer.request_id());
    assert_eq!(
        record["requestParameters"],
        json!({
            "keyId": lent.key.arn, "granteePrincipal": WORKER, "retiringPrincipal": AUDITOR,
            "operations": ["Decrypt", "GenerateDataKey"], "name": "for-the-worker",
        })
    );
    assert_eq!(record["responseElements"], json!({"grantId": id, "keyId": lent.key.arn}));
    assert_eq!(record["readOnly"], false);

    // At once, with the token and without it, and only for the attested enclave.
    for changes in [json!({}), json!({"GrantTokens": [token]}), json!({"GrantTokens": [token, token]})] {
        let answer = lent.use_key(changes).await;
        let data_key = lent.stage.enclave.open(&answer.members());
        assert_eq!(data_key.len(), 32);
        let record = lent.stage.broker.audit_record(answer.request_id());
        assert_eq!(crate::broker::ending(&record), json!({"outcome": "allowed", "grant": id}));
    }
    let refusal = lent.use_key(json!({"Recipient": null})).await.refusal();
    assert!(refusal.starts_with("400 ValidationException: GenerateDataKey without Recipient"), "{refusal}");
    let others = lent.stage.generate(json!({"KeyId": lent.key.arn, "GrantTokens": [token]})).await.refusal();
    assert!(others.starts_with(NOT_ALLOWED), "a token is no permission of its own: {others}");
    let members = json!({"KeyId": lent.key.arn, "Plaintext": "AAAA", "GrantTokens": [token]});
    let answer = lent.stage.signed(&lent.worker, "Encrypt", &members).await;
    assert!(answer.refusal().starts_with(NOT_ALLOWED));
    let reasons =
        lent.stage.broker.audit_record(answer.request_id())["additionalEventData"]["decision"]["reasons"]
            .take();
    assert_eq!(
        reasons[1],
        format!("grant {id} Operations: expected one of Decrypt, GenerateDataKey, found kms:Encrypt")
    );

    let revoke = json!({"KeyId": lent.key.arn, "GrantId": id});
    let refusal = lent.stage.signed(&lent.worker, "RevokeGrant", &revoke).await.refusal();
    assert!(refusal.starts_with(NOT_ALLOWED), "{refusal}");
    let dry = changed(revoke.clone(), json!({"DryRun": true}));
    let refusal = lent.stage.signed(&lent.admin, "RevokeGrant", &dry).await.refusal();
    assert!(refusal.starts_with("400 DryRunOperationException: "), "{refusal}");
    let answer = lent.stage.signed(&lent.admin, "RevokeGrant", &revoke).await;
    assert_eq!(answer.members(), json!({}));
    let record = lent.stage.broker.audit_record(answer.request_id());
    assert_eq!(record["requestParameters"], json!({"keyId": lent.key.arn, "grantId": id}));
    assert_eq!(record["responseElements"], json!({"keyId": lent.key.arn}));

    assert!(lent.use_key(json!({})).await.refusal().starts_with(NOT_ALLOWED));
    let gone = "400 InvalidGrantTokenException: the grant token at GrantTokens[0] was not issued by this broker, or \
                its grant was retired or revoked";
    assert_eq!(lent.use_key(json!({"GrantTokens": [token]})).await.refusal(), gone);
    assert_eq!(lent.stage.generate(json!({"GrantTokens": [token]})).await.refusal(), gone);
    let refusal = lent.stage.signed(&lent.admin, "RevokeGrant", &revoke).await.refusal();
    assert_eq!(refusal, format!("400 NotFoundException: Grant {id} does not exist"));
    let log = std::fs::read_to_string(lent.stage.broker.folder().join("audit.jsonl")).unwrap();
    assert!(!log.contains(token), "a token is in the log");
    assert!(!lent.stage.broker.files_hold(token.as_bytes()), "a token is in the store");
}

/// A grant gives what the policy does not, but nothing that the policy denies: the demand for an image in a `Deny` holds.
#[tokio::test]
async fn a_deny_of_the_policy_beats_a_grant() {
    let mut lent = Lent::set().await;
    lent.create(json!({})).await;
    lent.use_key(json!({})).await.members();
    for (pcr0, is_allowed) in [(lent.stage.enclave.pcr(0), true), ("ab".repeat(48), false)] {
        let mut policy = policy_for(ADMIN);
        policy["Statement"].as_array_mut().unwrap().push(json!({
            "Sid": "OnlyThisImage", "Effect": "Deny", "Principal": "*", "Action": "kms:GenerateDataKey",
            "Resource": "*", "Condition": {"StringNotEquals": {"kms:RecipientAttestation:PCR0": pcr0}},
        }));
        lent.stage.broker.set_policy(&lent.key, &policy).await;
        let answer = lent.use_key(json!({})).await;
        if is_allowed {
            answer.members();
        } else {
            let refusal = answer.refusal();
            assert!(refusal.ends_with("with an explicit deny in a resource-based policy"), "{refusal}");
        }
    }
}

#[tokio::test]
async fn a_constraint_binds_the_encryption_context() {
    let mut lent = Lent::set().await;
    lent.create(json!({"Constraints": {"EncryptionContextSubset": {"App": "a"}}})).await;
    let made = lent.use_key(json!({"EncryptionContext": {"app": "a", "More": "b"}})).await.members();
    for context in [json!({}), json!({"App": "b"}), json!({"More": "b"})] {
        let refusal = lent.use_key(json!({"EncryptionContext": context})).await.refusal();
        assert!(refusal.starts_with(NOT_ALLOWED), "{refusal}");
    }
    let decrypt = json!({
        "CiphertextBlob": made["CiphertextBlob"], "EncryptionContext": {"app": "a", "More": "b"},
        "Recipient": lent.stage.recipient(),
    });
    lent.stage.signed(&lent.worker, "Decrypt", &decrypt).await.members();
    let other = changed(decrypt, json!({"EncryptionContext": {}}));
    assert!(lent.stage.signed(&lent.worker, "Decrypt", &other).await.refusal().starts_with(NOT_ALLOWED));
}

#[tokio::test]
async fn the_same_name_and_terms_are_the_same_grant() {
    let mut lent = Lent::set().await;
    let terms = json!({"Name": "once", "Constraints": {"EncryptionContextEquals": {"b": "2", "a": "1"}}});
    let first = lent.create(terms.clone()).await;
    let mut again = terms.clone();
    again["Operations"] = json!(["GenerateDataKey", "Decrypt", "Decrypt"]);
    again["Constraints"]["EncryptionContextEquals"] = json!({"a": "1", "b": "2"});
    let second = lent.create(again).await;
    assert_eq!(second["GrantId"], first["GrantId"]);
    assert_ne!(second["GrantToken"], first["GrantToken"]);
    // The tokens of a grant are as good as each other.
    for made in [&first, &second] {
        let tokens = json!({"GrantTokens": [made["GrantToken"]], "EncryptionContext": {"a": "1", "b": "2"}});
        lent.use_key(tokens).await.members();
    }
    for other in [
        json!({"Operations": ["Decrypt"]}),
        json!({"Name": "twice"}),
        json!({"Name": null}),
        json!({"RetiringPrincipal": AUDITOR}),
        json!({"GranteePrincipal": AUDITOR}),
        json!({"Constraints": null}),
        json!({"Constraints": {"EncryptionContextSubset": {"a": "1", "b": "2"}}}),
    ] {
        let made = lent.create(changed(terms.clone(), other.clone())).await;
        assert_ne!(made["GrantId"], first["GrantId"], "{other}");
    }
    let (one, two) = (lent.create(json!({})).await, lent.create(json!({})).await);
    assert_ne!(one["GrantId"], two["GrantId"], "grants without a name are each another");
    assert_eq!(lent.list(json!({})).await["Grants"].as_array().unwrap().len(), 10);
}

#[tokio::test]
async fn grants_are_listed_as_they_were_made_page_by_page() {
    let mut lent = Lent::set().await;
    let full = lent
        .create(json!({
            "Name": "full", "RetiringPrincipal": AUDITOR, "Operations": ["DescribeKey", "Decrypt"],
            "Constraints": {"EncryptionContextEquals": {"App": "a"}},
        }))
        .await;
    let only_full = lent.list(json!({"GrantId": full["GrantId"]})).await;
    assert_eq!(
        only_full,
        json!({"Truncated": false, "Grants": [{
            "KeyId": lent.key.arn,
            "GrantId": full["GrantId"],
            "Name": "full",
            "CreationDate": 1_767_472_867.0,
            "GranteePrincipal": WORKER,
            "RetiringPrincipal": AUDITOR,
            "IssuingAccount": format!("arn:aws:iam::{ACCOUNT}:root"),
            "Operations": ["Decrypt", "DescribeKey"],
            "Constraints": {"EncryptionContextEquals": {"App": "a"}},
        }]})
    );
    let mut ids = vec![full["GrantId"].as_str().unwrap().to_owned()];
    for number in 0..6 {
        let grantee = if number % 2 == 0 { WORKER } else { AUDITOR };
        let made = lent.create(json!({"GranteePrincipal": grantee})).await;
        ids.push(made["GrantId"].as_str().unwrap().to_owned());
    }
    ids.sort();
    let (mut found, mut marker) = (Vec::new(), Value::Null);
    loop {
        let page = lent.list(json!({"Limit": 3, "Marker": marker})).await;
        let grants = page["Grants"].as_array().unwrap();
        found.extend(grants.iter().map(|grant| grant["GrantId"].as_str().unwrap().to_owned()));
        assert_eq!(page["Truncated"], page["NextMarker"].is_string());
        if page["Truncated"] == false {
            break;
        }
        assert_eq!(grants.len(), 3);
        marker = page["NextMarker"].clone();
    }
    assert_eq!(found, ids);
    for (filter, expected) in [
        (json!({"GranteePrincipal": WORKER}), 4),
        (json!({"GranteePrincipal": AUDITOR}), 3),
        (json!({"GranteePrincipal": "arn:aws:iam::111122223333:role/other/worker"}), 0),
        (json!({"GranteePrincipal": AUDITOR, "GrantId": full["GrantId"]}), 0),
        (json!({"GrantId": "ab".repeat(32)}), 0),
    ] {
        assert_eq!(lent.list(filter.clone()).await["Grants"].as_array().unwrap().len(), expected, "{filter}");
    }
    let minimal = lent.list(json!({"GranteePrincipal": AUDITOR, "Limit": 1})).await;
    assert_eq!(
        names(&minimal["Grants"][0]),
        ["CreationDate", "GrantId", "GranteePrincipal", "IssuingAccount", "KeyId", "Operations"]
    );
    for (changes, expected) in [
        (json!({"Marker": "nowhere"}), "InvalidMarkerException: the marker is not one of this list"),
        (
            json!({"GrantId": "nothing"}),
            "InvalidGrantIdException: Invalid grantId: expected a grant id of 64",
        ),
        (json!({"Limit": 101}), "ValidationException: 1 validation error detected: Value '101' at 'Limit'"),
        (json!({"Limit": 0}), "ValidationException: 1 validation error detected: Value '0' at 'Limit'"),
        (
            json!({"GranteePrincipal": "nobody"}),
            "InvalidArnException: Invalid principal ARN: expected an ARN of six",
        ),
        (
            json!({"GranteeServicePrincipal": "s3.amazonaws.com"}),
            "UnsupportedOperationException: no AWS service calls this broker",
        ),
    ] {
        let members = changed(json!({"KeyId": lent.key.arn}), changes);
        let refusal = lent.stage.signed(&lent.admin, "ListGrants", &members).await.refusal();
        assert!(refusal.starts_with(&format!("400 {expected}")), "{refusal}");
    }
    let refusal =
        lent.stage.signed(&lent.worker, "ListGrants", &json!({"KeyId": lent.key.arn})).await.refusal();
    assert!(refusal.starts_with(NOT_ALLOWED), "{refusal}");
}

#[tokio::test]
async fn each_member_is_held_to_its_constraints() {
    let mut lent = Lent::set().await;
    let nine: serde_json::Map<String, Value> = (0..9).map(|n| (n.to_string(), json!("v"))).collect();
    let value = |length: usize| json!({"EncryptionContextSubset": {"k": "ä".repeat(length)}});
    let service = json!("s3.amazonaws.com");
    let source_arn = "arn:aws:s3:us-east-1:111122223333:bucket";
    let validation = "ValidationException: 1 validation error detected: Value ";
    for (changes, expected) in [
        (json!({"Operations": null}), format!("{validation}'null' at 'Operations' failed")),
        (json!({"Operations": []}), format!("{validation}at 'Operations' failed")),
        (
            json!({"Operations": ["Decrypt", "PutKeyPolicy"]}),
            format!(
                "{validation}'PutKeyPolicy' at 'Operations.member' failed to satisfy constraint: Member must satisfy enum value set: [Decrypt, Encrypt, "
            ),
        ),
        (
            json!({"Operations": "Decrypt"}),
            "SerializationException: Operations must be a list of strings".to_owned(),
        ),
        (
            json!({"GranteePrincipal": null}),
            "ValidationException: Please specify either GranteePrincipal".to_owned(),
        ),
        (
            json!({"GranteeServicePrincipal": service}),
            "ValidationException: Please specify either GranteePrincipal".to_owned(),
        ),
        (
            json!({"GranteePrincipal": null, "GranteeServicePrincipal": service}),
            "UnsupportedOperationException: no AWS service calls this broker".to_owned(),
        ),
        (
            json!({"RetiringServicePrincipal": service}),
            "UnsupportedOperationException: no AWS service".to_owned(),
        ),
        (
            json!({"RetiringServicePrincipal": "s3"}),
            format!("{validation}'s3' at 'RetiringServicePrincipal' failed"),
        ),
        (
            json!({"RetiringServicePrincipal": service, "RetiringPrincipal": AUDITOR}),
            "ValidationException: Please specify either RetiringPrincipal".to_owned(),
        ),
        (
            json!({"Constraints": {"SourceArn": source_arn}}),
            "UnsupportedOperationException: no AWS service".to_owned(),
        ),
        (
            json!({"Constraints": {"SourceArn": "arn:aws:s3:us-east-1:1:bucket"}}),
            format!("{validation}'arn:aws:s3:us-east-1:1:bucket' at 'Constraints.SourceArn' failed"),
        ),
        (
            json!({"Constraints": {"EncryptionContextEquals": nine}}),
            format!(
                "{validation}at 'Constraints.EncryptionContextEquals' failed to satisfy constraint: Member must have at most 8 pairs"
            ),
        ),
        (
            json!({"Constraints": value(385)}),
            format!(
                "{validation}at 'Constraints.EncryptionContextSubset' failed to satisfy constraint: Member must have values of at most 384"
            ),
        ),
        (
            json!({"Constraints": {"EncryptionContextEquals": {}, "EncryptionContextSubset": {}}}),
            "ValidationException: Please specify either EncryptionContextEquals".to_owned(),
        ),
        (json!({"GranteePrincipal": "a b"}), format!("{validation}'a b' at 'GranteePrincipal' failed")),
        (json!({"GranteePrincipal": "x".repeat(257)}), validation.to_owned()),
        (
            json!({"GranteePrincipal": "role/worker"}),
            "InvalidArnException: Invalid principal ARN: expected an ARN".to_owned(),
        ),
        (
            json!({"RetiringPrincipal": "arn:aws:iam::1:role/worker"}),
            "InvalidArnException: Invalid principal ARN: expected an account of twelve digits".to_owned(),
        ),
        (json!({"Name": "a b"}), format!("{validation}'a b' at 'Name' failed")),
        (json!({"Name": ""}), format!("{validation}'' at 'Name' failed")),
        (
            json!({"GrantTokens": ["token"]}),
            "InvalidGrantTokenException: the grant token at GrantTokens[0]".to_owned(),
        ),
        (
            json!({"KeyId": "alias/app"}),
            "NotFoundException: Invalid keyId alias/app: this operation takes a key id or key ARN, no alias"
                .to_owned(),
        ),
        (json!({"DryRun": true}), "DryRunOperationException: ".to_owned()),
    ] {
        let refusal = lent.refused(changes.clone()).await;
        assert!(refusal.starts_with(&format!("400 {expected}")), "{changes}: {refusal}");
    }
    assert_eq!(lent.list(json!({})).await["Grants"], json!([]));
    lent.create(json!({"Constraints": value(384), "Name": "a:/_-9"})).await;
}

#[tokio::test]
async fn a_grant_fits_its_key() {
    let mut lent = Lent::set().await;
    for (spec, usage, fitting) in [
        (
            "SYMMETRIC_DEFAULT",
            "ENCRYPT_DECRYPT",
            &[
                "Decrypt",
                "Encrypt",
                "GenerateDataKey",
                "GenerateDataKeyWithoutPlaintext",
                "ReEncryptFrom",
                "ReEncryptTo",
                "GenerateDataKeyPair",
                "GenerateDataKeyPairWithoutPlaintext",
            ][..],
        ),
        (
            "RSA_2048",
            "ENCRYPT_DECRYPT",
            &["Decrypt", "Encrypt", "ReEncryptFrom", "ReEncryptTo", "GetPublicKey"],
        ),
        ("RSA_2048", "SIGN_VERIFY", &["Sign", "Verify", "GetPublicKey"]),
        ("ECC_NIST_P256", "KEY_AGREEMENT", &["DeriveSharedSecret", "GetPublicKey"]),
        ("HMAC_256", "GENERATE_VERIFY_MAC", &["GenerateMac", "VerifyMac"]),
    ] {
        let sql =
            format!("UPDATE keys SET spec = '{spec}', usage = '{usage}' WHERE key_id = '{}'", lent.key.id);
        lent.stage.broker.database().await.execute(&sql).await;
        let of_every_key = ["CreateGrant", "RetireGrant", "DescribeKey"];
        for operation in nitro_key_broker::policy::GrantOperation::ALL {
            let name = operation.name();
            let refusal = lent.refused(json!({"Operations": [name], "DryRun": true})).await;
            let expected = if fitting.contains(&name) || of_every_key.contains(&name) {
                "400 DryRunOperationException: ".to_owned()
            } else {
                format!(
                    "400 ValidationException: Grant operation {name} isn't supported for a key of the spec {spec} and \
                     the usage {usage}"
                )
            };
            assert!(refusal.starts_with(&expected), "{spec} {usage}: {refusal}");
        }
        let constrained = json!({
            "Operations": ["DescribeKey"], "Constraints": {"EncryptionContextSubset": {}}, "DryRun": true,
        });
        let refusal = lent.refused(constrained).await;
        let expected = if spec == "SYMMETRIC_DEFAULT" {
            "400 DryRunOperationException: "
        } else {
            "400 ValidationException: Grant constraint EncryptionContextSubset isn't supported for a key of the spec "
        };
        assert!(refusal.starts_with(expected), "{refusal}");
    }
}

#[tokio::test]
async fn the_state_of_the_key_counts_for_making_and_not_for_ending() {
    let mut lent = Lent::set().await;
    let made = lent.create(json!({"RetiringPrincipal": AUDITOR})).await;
    let second = lent.create(json!({})).await;
    let key = json!({"KeyId": lent.key.arn});
    lent.stage.signed(&lent.admin, "DisableKey", &key).await.members();
    assert_eq!(
        lent.refused(json!({})).await,
        format!("400 DisabledException: {} is disabled.", lent.key.arn)
    );
    lent.stage.signed(&lent.admin, "ScheduleKeyDeletion", &key).await.members();
    assert_eq!(
        lent.refused(json!({})).await,
        format!("400 KMSInvalidStateException: {} is pending deletion.", lent.key.arn)
    );
    assert_eq!(lent.list(json!({})).await["Grants"].as_array().unwrap().len(), 2);
    let retire = json!({"KeyId": lent.key.arn, "GrantId": made["GrantId"]});
    lent.stage.signed(&lent.auditor, "RetireGrant", &retire).await.members();
    let revoke = json!({"KeyId": lent.key.arn, "GrantId": second["GrantId"]});
    lent.stage.signed(&lent.admin, "RevokeGrant", &revoke).await.members();
    assert_eq!(lent.list(json!({})).await["Grants"], json!([]));
}

#[tokio::test]
async fn the_grants_of_a_destroyed_key_are_gone() {
    let mut lent = Lent::set().await;
    let made = lent.create(json!({"RetiringPrincipal": AUDITOR})).await;
    let key = json!({"KeyId": lent.key.arn, "PendingWindowInDays": 7});
    lent.stage.signed(&lent.admin, "ScheduleKeyDeletion", &key).await.members();
    let week = std::time::Duration::from_secs(7 * 24 * 3600);
    lent.stage.broker.set_clock(lent.stage.broker.now().saturating_add(week));
    assert_eq!(lent.stage.broker.keep_house().await.deleted, 1);
    let retirable = json!({"RetiringPrincipal": AUDITOR});
    let listed = lent.stage.signed(&lent.auditor, "ListRetirableGrants", &retirable).await.members();
    assert_eq!(listed, json!({"Grants": [], "Truncated": false}));
    let token = json!({"GrantToken": made["GrantToken"]});
    let refusal = lent.stage.signed(&lent.auditor, "RetireGrant", &token).await.refusal();
    assert!(
        refusal.starts_with("400 InvalidGrantTokenException: the grant token at GrantToken was"),
        "{refusal}"
    );
}

/// 50,000 rows are put in behind the broker's back; the next one is one too many.
#[tokio::test]
async fn a_key_has_50_000_grants_at_most() {
    let mut lent = Lent::set().await;
    let made = lent.create(json!({"Name": "first"})).await;
    let sql = format!(
        "INSERT INTO grants (grant_id, key_id, grantee, grantee_found_by, operations, issuing_account, created_at_ms) \
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 49999) \
         SELECT randomblob(32), '{}', '{AUDITOR}', '{AUDITOR}', 'Decrypt', '{ACCOUNT}', 0 FROM n",
        lent.key.id
    );
    lent.stage.broker.database().await.execute(&sql).await;
    assert_eq!(
        lent.refused(json!({})).await,
        "400 LimitExceededException: the key has 50000 grants, the most that are possible"
    );
    // What is there already is found again.
    assert_eq!(lent.create(json!({"Name": "first"})).await["GrantId"], made["GrantId"]);
    lent.use_key(json!({})).await.members();
}
