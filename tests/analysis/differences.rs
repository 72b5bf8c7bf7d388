//! What policies decide differently: nothing for a policy and itself, something wherever any request comes out differently.

use nitro_key_broker::analysis::{Outcome, PolicyDifference, policy_difference};
use nitro_key_broker::policy::{PolicyRequest, Verdict};
use serde_json::{Value, json};

use super::*;

fn outcome(policy: &KeyPolicy, described: &Described) -> Outcome {
    let facts = described.facts();
    let request = PolicyRequest {
        caller: &facts.caller,
        action: described.action,
        resource: described.resource,
        context: &facts,
    };
    match policy.evaluate(&request) {
        Verdict::Allowed { .. } => Outcome::Allowed,
        Verdict::LeftToIdentityPolicies { .. } => Outcome::LeftToIdentityPolicies,
        Verdict::NotAllowed { .. } => Outcome::NotAllowed,
        Verdict::ExplicitlyDenied { .. } | Verdict::EvaluationFailed { .. } => Outcome::Denied,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn whatever_comes_out_differently_is_found(
        old in generated_policies::key_policy(),
        new in generated_policies::key_policy(),
        requests in prop::collection::vec(generated_policies::described(), 64),
    ) {
        let (old, new) = (KeyPolicy::parse(&old.to_string()).unwrap(), KeyPolicy::parse(&new.to_string()).unwrap());
        let found = policy_difference(&old, &new).unwrap();
        for described in requests {
            let (before, after) = (outcome(&old, &described), outcome(&new, &described));
            let is_told = found.changes.iter().any(|change| {
                (change.old, change.new) == (before, after) && change.actions.contains(described.action)
            });
            let is_complete = !found.is_bounded && found.not_varied.is_empty();
            prop_assert!(before == after || is_told || !is_complete, "{:?} {:?} to {:?}", described, before, after);
        }
        for change in &found.changes {
            prop_assert!(change.old != change.new && !change.principals.is_empty() && !change.actions.is_empty());
            prop_assert!(change.principals.contains(&change.witness.principal));
            prop_assert!(change.actions.contains(change.witness.action));
        }
    }

    #[test]
    fn a_policy_decides_as_itself(policy in generated_policies::key_policy()) {
        let parsed = KeyPolicy::parse(&policy.to_string()).unwrap();
        // The same in another order and with other names is the same.
        let mut turned = policy;
        turned["Statement"].as_array_mut().unwrap().reverse();
        turned["Id"] = json!("turned");
        let turned = KeyPolicy::parse(&turned.to_string()).unwrap();
        prop_assert_eq!(policy_difference(&parsed, &turned).unwrap().changes, vec![]);
    }
}

fn policy(statements: Value) -> KeyPolicy {
    KeyPolicy::parse(&json!({"Version": "2012-10-17", "Statement": statements}).to_string()).unwrap()
}

fn difference(old: Value, new: Value) -> PolicyDifference {
    policy_difference(&policy(old), &policy(new)).unwrap()
}

fn decrypt_from(image: &str) -> Value {
    json!({
        "Effect": "Allow", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*",
        "Condition": {"StringEquals": {"kms:RecipientAttestation:PCR0": image}},
    })
}

#[test]
fn another_image_is_one_that_gains_and_one_that_loses() {
    let found = difference(decrypt_from(IMAGES[0]), decrypt_from(IMAGES[1]));
    let told: Vec<(Outcome, Outcome, &str)> =
        found.changes.iter().map(|change| (change.old, change.new, change.when[0].1[0].as_str())).collect();
    assert_eq!(
        told,
        [
            (Outcome::Allowed, Outcome::NotAllowed, IMAGES[0]),
            (Outcome::NotAllowed, Outcome::Allowed, IMAGES[1]),
        ]
    );
    for change in &found.changes {
        assert!(change.is_exact && change.actions.iter().eq(["kms:Decrypt"].iter()), "{change:?}");
        assert!(change.principals.contains("anonymous") && change.principals.contains("anyone else"));
    }
    assert!(!found.is_bounded && found.not_varied.is_empty());
}

/// Written otherwise, the same is decided.
#[test]
fn two_spellings_are_no_difference() {
    let mut by_name = decrypt_from(IMAGES[0]);
    by_name["Condition"] =
        json!({"StringEqualsIgnoreCase": {"kms:RecipientAttestation:ImageSha384": IMAGES[0].to_uppercase()}});
    assert_eq!(difference(decrypt_from(IMAGES[0]), by_name.clone()).changes, []);
    by_name["Action"] = json!(["kms:D?crypt", "kms:decrypt"]);
    assert_eq!(difference(decrypt_from(IMAGES[0]), by_name).changes, []);
}

#[test]
fn what_was_not_asked_is_said() {
    let many = |keys: usize| {
        let equals: serde_json::Map<String, Value> =
            (0..keys).map(|key| (format!("kms:EncryptionContext:k{key}"), json!(["a", "b"]))).collect();
        json!({
            "Effect": "Allow", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*",
            "Condition": {"StringEquals": equals},
        })
    };
    assert!(!difference(many(4), many(3)).is_bounded);
    assert!(difference(many(10), many(9)).is_bounded);
    let for_grants = json!({
        "Effect": "Allow", "Principal": "*", "Action": "kms:CreateGrant", "Resource": "*",
        "Condition": {"StringEquals": {"kms:GrantConstraintType": "EncryptionContextEquals"}},
    });
    let found = difference(for_grants.clone(), for_grants);
    assert!(found.not_varied.contains("kms:GrantConstraintType"), "{found:?}");
}
