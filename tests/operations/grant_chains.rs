//! Grants that come from grants, who may retire which, and what a key policy may ask of a grant that is made.

use serde_json::{Value, json};

use super::changed;
use super::grants::{Lent, WORKER, policy_for};

const AUDITOR: &str = "arn:aws:iam::111122223333:user/auditor";
const THIRD: &str = "arn:aws:iam::444455556666:user/third";

#[tokio::test]
async fn a_grantee_hands_on_no_more_than_it_has() {
    let mut lent = Lent::set().await;
    let third = lent.stage.broker.create_credential(THIRD, None).await;
    let made = lent
        .create(json!({
            "Operations": ["GenerateDataKey", "CreateGrant"],
            "Constraints": {"EncryptionContextSubset": {"App": "a"}},
        }))
        .await;
    let child = |changes: Value| {
        let members = json!({
            "KeyId": lent.key.arn, "GranteePrincipal": THIRD, "Operations": ["GenerateDataKey"],
            "Constraints": {"EncryptionContextEquals": {"App": "a", "Tenant": "b"}},
            "GrantTokens": [made["GrantToken"]],
        });
        changed(members, changes)
    };
    let (narrow, wider, unbound) = (
        child(json!({})),
        child(json!({"Operations": ["GenerateDataKey", "Decrypt"]})),
        child(json!({"Constraints": null})),
    );
    for (members, element) in
        [(&wider, "Operations of the new grant"), (&unbound, "Constraints of the new grant")]
    {
        let answer = lent.stage.signed(&lent.worker, "CreateGrant", members).await;
        let refusal = answer.refusal();
        assert!(refusal.starts_with("400 AccessDeniedException: "), "{refusal}");
        let record = lent.stage.broker.audit_record(answer.request_id());
        let reason = record["additionalEventData"]["decision"]["reasons"][1].as_str().unwrap();
        assert!(reason.contains(element), "{reason}");
    }
    let answer = lent.stage.signed(&lent.worker, "CreateGrant", &narrow).await;
    answer.members();
    let record = lent.stage.broker.audit_record(answer.request_id());
    assert_eq!(crate::broker::ending(&record), json!({"outcome": "allowed", "grant": made["GrantId"]}));

    let use_key = |context: Value| {
        json!({
            "KeyId": lent.key.arn, "KeySpec": "AES_256", "EncryptionContext": context,
            "Recipient": lent.stage.recipient(),
        })
    };
    let (inside, outside) = (use_key(json!({"App": "a", "Tenant": "b"})), use_key(json!({"App": "a"})));
    lent.stage.signed(&third, "GenerateDataKey", &inside).await.members();
    assert!(lent.stage.signed(&third, "GenerateDataKey", &outside).await.refusal().contains("AccessDenied"));
    let further = lent.stage.signed(&third, "CreateGrant", &narrow).await.refusal();
    assert!(further.starts_with("400 AccessDeniedException: "), "{further}");
    // It is as long as it lasts: the grant that it came from may end before.
    let revoke = json!({"KeyId": lent.key.arn, "GrantId": made["GrantId"]});
    lent.stage.signed(&lent.admin, "RevokeGrant", &revoke).await.members();
    lent.stage.signed(&third, "GenerateDataKey", &inside).await.members();
}

#[tokio::test]
async fn a_grant_is_retired_by_whom_it_names() {
    let mut lent = Lent::set().await;
    let root = lent.stage.broker.create_credential("arn:aws:iam::111122223333:root", None).await;
    let with_retire = json!({"Operations": ["Decrypt", "RetireGrant"]});
    let named = json!({"RetiringPrincipal": AUDITOR});
    for (changes, retires, may_not, retired_as) in [
        (json!({}), &root, &lent.worker, "issuing account"),
        (named, &lent.auditor, &lent.worker, "retiring principal"),
        (with_retire, &lent.worker, &lent.auditor, "grantee"),
    ] {
        for by_token in [true, false] {
            let members = lent.members(changes.clone());
            let made = lent.stage.signed(&lent.admin, "CreateGrant", &members).await.members();
            let retire = if by_token {
                json!({"GrantToken": made["GrantToken"]})
            } else {
                json!({"KeyId": lent.key.arn, "GrantId": made["GrantId"]})
            };
            // The key's policy allows the administrator everything, which is not enough.
            for nobody in [may_not, &lent.admin] {
                let refusal = lent.stage.signed(nobody, "RetireGrant", &retire).await.refusal();
                assert!(refusal.starts_with("400 AccessDeniedException: "), "{retired_as}: {refusal}");
            }
            assert!(lent.stage.client.call("RetireGrant", &retire).await.refusal().contains("AccessDenied"));
            let dry = changed(retire.clone(), json!({"DryRun": true}));
            let refusal = lent.stage.signed(retires, "RetireGrant", &dry).await.refusal();
            assert!(refusal.starts_with("400 DryRunOperationException: "), "{refusal}");
            let answer = lent.stage.signed(retires, "RetireGrant", &retire).await;
            assert_eq!(answer.members(), json!({}));
            let record = lent.stage.broker.audit_record(answer.request_id());
            assert_eq!(
                crate::broker::ending(&record),
                json!({"outcome": "allowed", "grant": made["GrantId"], "retiredAs": retired_as})
            );
            assert_eq!(record["resources"][0]["ARN"], lent.key.arn);
            assert_eq!(record["responseElements"], json!({"keyId": lent.key.arn}));
            assert!(!record.to_string().contains(made["GrantToken"].as_str().unwrap()));
            let refusal = lent.stage.signed(retires, "RetireGrant", &retire).await.refusal();
            let gone = if by_token { "InvalidGrantTokenException" } else { "NotFoundException" };
            assert!(refusal.starts_with(&format!("400 {gone}: ")), "{refusal}");
        }
    }
}

#[tokio::test]
async fn a_grant_to_retire_is_named_in_one_of_two_ways() {
    let mut lent = Lent::set().await;
    let made = lent.create(json!({"RetiringPrincipal": AUDITOR})).await;
    let other = lent.stage.broker.create_key(&policy_for(WORKER)).await;
    let (token, id, key) = (&made["GrantToken"], &made["GrantId"], &lent.key.arn);
    let one = "ValidationException: Please specify either GrantToken or both KeyId and GrantId.";
    let mut altered = token.as_str().unwrap().to_owned();
    altered.replace_range(40..41, if altered.as_bytes()[40] == b'A' { "B" } else { "A" });
    for (members, expected) in [
        (json!({}), one.to_owned()),
        (json!({"KeyId": key}), one.to_owned()),
        (json!({"GrantId": id}), one.to_owned()),
        (json!({"KeyId": key, "GrantId": id, "GrantToken": token}), one.to_owned()),
        (json!({"GrantToken": ""}), "ValidationException: 1 validation error detected: ".to_owned()),
        (
            json!({"GrantToken": "x".repeat(8193)}),
            "ValidationException: 1 validation error detected: ".to_owned(),
        ),
        (
            json!({"GrantToken": altered}),
            "InvalidGrantTokenException: the grant token at GrantToken ".to_owned(),
        ),
        (json!({"KeyId": key, "GrantId": "x"}), "InvalidGrantIdException: Invalid grantId: ".to_owned()),
        (
            json!({"KeyId": other.arn, "GrantId": id}),
            format!("NotFoundException: Grant {} does", id.as_str().unwrap()),
        ),
        (
            json!({"KeyId": "alias/app", "GrantId": id}),
            "NotFoundException: Invalid keyId alias/app: ".to_owned(),
        ),
    ] {
        let refusal = lent.stage.signed(&lent.auditor, "RetireGrant", &members).await.refusal();
        assert!(refusal.starts_with(&format!("400 {expected}")), "{members}: {refusal}");
    }
    // Nor does the administrator of another key revoke it by that key.
    let revoke = json!({"KeyId": other.arn, "GrantId": id});
    let refusal = lent.stage.signed(&lent.worker, "RevokeGrant", &revoke).await.refusal();
    assert!(refusal.starts_with("400 NotFoundException: Grant "), "{refusal}");
}

#[tokio::test]
async fn a_principal_lists_what_it_may_retire_on_every_key() {
    let mut lent = Lent::set().await;
    let root = lent.stage.broker.create_credential("arn:aws:iam::111122223333:root", None).await;
    let stranger = lent.stage.broker.create_credential("arn:aws:iam::444455556666:root", None).await;
    let admin = "arn:aws:iam::111122223333:role/admin";
    let other = lent.stage.broker.create_key(&policy_for(admin)).await;
    let mut ids = Vec::new();
    for key in [lent.key.arn.clone(), other.arn.clone(), other.arn.clone()] {
        let made = lent.create(json!({"KeyId": key, "RetiringPrincipal": AUDITOR})).await;
        ids.push(made["GrantId"].as_str().unwrap().to_owned());
    }
    lent.create(json!({"RetiringPrincipal": WORKER})).await;
    ids.sort();
    for caller in [&lent.auditor, &root] {
        let (mut found, mut marker) = (Vec::new(), Value::Null);
        loop {
            let members =
                changed(json!({"RetiringPrincipal": AUDITOR, "Limit": 2}), json!({"Marker": marker}));
            let page = lent.stage.signed(caller, "ListRetirableGrants", &members).await.members();
            let grants = page["Grants"].as_array().unwrap();
            found.extend(grants.iter().map(|grant| grant["GrantId"].as_str().unwrap().to_owned()));
            if page["Truncated"] == false {
                break;
            }
            marker = page["NextMarker"].clone();
        }
        assert_eq!(found, ids);
    }
    // A session may retire what its role may.
    let of_role = json!({"RetiringPrincipal": WORKER});
    let page = lent.stage.signed(&lent.worker, "ListRetirableGrants", &of_role).await.members();
    assert_eq!(page["Grants"].as_array().unwrap().len(), 1);
    let of_auditor = json!({"RetiringPrincipal": AUDITOR});
    for caller in [&lent.worker, &lent.admin, &stranger] {
        let refusal = lent.stage.signed(caller, "ListRetirableGrants", &of_auditor).await.refusal();
        assert!(
            refusal.contains("is not authorized to perform: kms:ListRetirableGrants on resource: "),
            "{refusal}"
        );
    }
    // Others of the account by an identity policy, which also takes away what is one's own.
    for (principal, effect) in [(WORKER, "Allow"), (AUDITOR, "Deny")] {
        let policy = json!({"Version": "2012-10-17", "Statement": {
            "Effect": effect, "Action": "kms:ListRetirableGrants", "Resource": "*",
        }});
        lent.stage.broker.attach_policy(principal, "grants", &policy).await;
    }
    let page = lent.stage.signed(&lent.worker, "ListRetirableGrants", &of_auditor).await.members();
    assert_eq!(page["Grants"].as_array().unwrap().len(), 3);
    let refusal = lent.stage.signed(&lent.auditor, "ListRetirableGrants", &of_auditor).await.refusal();
    assert!(refusal.ends_with("with an explicit deny in an identity-based policy"), "{refusal}");
    let refusal = lent.stage.client.call("ListRetirableGrants", &of_auditor).await.refusal();
    assert!(refusal.starts_with("400 AccessDeniedException: User: anonymous is not authorized"), "{refusal}");
    for (members, expected) in [
        (json!({}), "ValidationException: Please specify either RetiringPrincipal"),
        (
            json!({"RetiringServicePrincipal": "s3.amazonaws.com"}),
            "UnsupportedOperationException: no AWS service calls this broker",
        ),
        (json!({"RetiringPrincipal": "x"}), "InvalidArnException: Invalid principal ARN: "),
        (json!({"RetiringPrincipal": AUDITOR, "Marker": "x"}), "InvalidMarkerException: "),
    ] {
        let refusal = lent.stage.signed(&root, "ListRetirableGrants", &members).await.refusal();
        assert!(refusal.starts_with(&format!("400 {expected}")), "{refusal}");
    }
}

/// The condition keys of CreateGrant, each alone in a Deny that holds for one grant and not for the other.
#[tokio::test]
async fn a_policy_says_which_grants_may_be_made() {
    let mut lent = Lent::set().await;
    let retiring = json!({"RetiringPrincipal": AUDITOR});
    let equals = json!({"Constraints": {"EncryptionContextEquals": {"App": "a"}}});
    let subset = json!({"Constraints": {"EncryptionContextSubset": {"App": "b"}}});
    for (condition, denied, allowed) in [
        (
            json!({"ForAnyValue:StringEquals": {"kms:GrantOperations": ["Decrypt", "CreateGrant"]}}),
            json!({}),
            json!({"Operations": ["GenerateDataKey"]}),
        ),
        (
            json!({"StringNotEquals": {"kms:GranteePrincipal": WORKER}}),
            json!({"GranteePrincipal": AUDITOR}),
            json!({}),
        ),
        (json!({"Null": {"kms:RetiringPrincipal": "true"}}), json!({}), retiring.clone()),
        (json!({"StringEquals": {"kms:RetiringPrincipal": AUDITOR}}), retiring, json!({})),
        (json!({"Null": {"kms:GrantConstraintType": "true"}}), json!({}), subset.clone()),
        (
            json!({"StringEquals": {"kms:GrantConstraintType": "EncryptionContextSubset"}}),
            subset.clone(),
            equals.clone(),
        ),
        (json!({"StringNotEquals": {"kms:EncryptionContext:App": "a"}}), subset, equals),
    ] {
        let mut policy = policy_for("arn:aws:iam::111122223333:role/admin");
        policy["Statement"].as_array_mut().unwrap().push(json!({
            "Effect": "Deny", "Principal": "*", "Action": "kms:CreateGrant", "Resource": "*", "Condition": condition,
        }));
        lent.stage.broker.set_policy(&lent.key, &policy).await;
        let refusal = lent.refused(changed(denied, json!({"DryRun": true}))).await;
        assert!(
            refusal.ends_with("with an explicit deny in a resource-based policy"),
            "{condition}: {refusal}"
        );
        let refusal = lent.refused(changed(allowed, json!({"DryRun": true}))).await;
        assert!(refusal.starts_with("400 DryRunOperationException: "), "{condition}: {refusal}");
    }
    // No AWS service is ever at work here.
    let mut policy = policy_for("arn:aws:iam::111122223333:role/admin");
    for (is_for_service, is_allowed) in [("true", false), ("false", true)] {
        policy["Statement"][0]["Condition"] = json!({"Bool": {"kms:GrantIsForAWSResource": is_for_service}});
        lent.stage.broker.set_policy(&lent.key, &policy).await;
        let refusal = lent.refused(json!({"DryRun": true})).await;
        assert_eq!(refusal.starts_with("400 DryRunOperationException: "), is_allowed, "{refusal}");
    }
}
