//! Records give the question back: the decision made again from one line of the log is the one that was made.

use nitro_key_broker::analysis::{
    NotReplayable, RecordedDecision, RecordedOf, Rulings, judge_again, recorded_decisions,
};
use nitro_key_broker::audit::record::AuditRecord;
use nitro_key_broker::audit::{AskedOf, AuditEvent, Ending, Outcome, Subject};
use nitro_key_broker::keys::Realm;
use nitro_key_broker::policy::{
    AllowedBy, Policies, decide, decide_by_identity, decide_retirement, decide_unless_denied,
};
use serde_json::{Value, json};

use super::*;

/// The event of a request, as the operations make it before they ask.
fn event(question: &Question<'_>, parameters: Value) -> AuditEvent {
    let mut event = AuditEvent::new(Subject {
        request_id: "request".to_owned(),
        time: question.now,
        operation: question.action.trim_start_matches("kms:").to_owned(),
        source: question.source_ip.map_or("vsock:3:1".to_owned(), |address| address.to_string()),
        user_agent: question.user_agent.map(str::to_owned),
    });
    event.set_caller(question.caller, None);
    event.set_request_parameters(parameters);
    if let Some(recipient) = question.recipient {
        event.set_recipient(recipient.evidence());
    }
    event
}

fn record(event: &AuditEvent) -> AuditRecord {
    let realm = Realm::new("eu-central-1", generated_policies::ACCOUNT).unwrap();
    let ending =
        Ending { outcome: Outcome::Allowed, error: None, configured_trust_anchors: &[], event_id: "event" };
    AuditRecord::parse(&event.to_line(&realm, ending).unwrap()).unwrap()
}

/// The request's pairs under the name that its operation gives them.
fn parameters(question: &Question<'_>) -> Value {
    let name = match question.action {
        "kms:ReEncryptFrom" => "sourceEncryptionContext",
        _ => "encryptionContext",
    };
    json!({name: question.encryption_context})
}

fn decisions(event: &AuditEvent) -> Vec<RecordedDecision> {
    recorded_decisions(&record(event)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_record_gives_the_question_and_the_decision_back(
        (key, identity, grants) in policies(),
        described in generated_policies::described(),
    ) {
        let borrowed = Borrowed::of(&described);
        let question = borrowed.question(&described);
        let policies = Policies { key: &key, identity: &identity, grants: &grants };
        let decided = decide(&policies, &question);
        let grant = decided.as_ref().ok().and_then(|permit| match permit.allowed_by() {
            AllowedBy::Grant(id) => grants.iter().find(|grant| grant.id == *id),
            _ => None,
        });
        let mut event = event(&question, parameters(&question));
        event.add_asked(&question, AskedOf::Key { allowed_by: grant.map(Arc::as_ref) }, decided.is_ok());

        let again = decisions(&event);
        prop_assert_eq!(again.len(), 1);
        prop_assert_eq!(&again[0].facts, &question.facts());
        prop_assert_eq!(again[0].allowed, decided.is_ok());
        // Also where the grant that allowed is gone.
        for grants in [&grants[..], &[]] {
            let rulings = Rulings { key: Some(&key), identity: &identity, grants };
            prop_assert_eq!(judge_again(&again[0], &rulings, None).unwrap().allowed, decided.is_ok());
        }
    }

    #[test]
    fn questions_to_identity_policies_come_back(
        (_, identity, _) in policies(),
        described in generated_policies::described(),
        has_to_allow in any::<bool>(),
    ) {
        let borrowed = Borrowed::of(&described);
        // No enclave and no encryption context are shown to policies about what is no key.
        static NO_CONTEXT: EncryptionContext = EncryptionContext::EMPTY;
        let question = Question { encryption_context: &NO_CONTEXT, recipient: None, ..borrowed.question(&described) };
        let (of, allowed) = match has_to_allow {
            true => (AskedOf::Identity, decide_by_identity(&identity, &question).is_ok()),
            false => (AskedOf::NoDeny, decide_unless_denied(&identity, &question).is_ok()),
        };
        // The record has both, of the request.
        let mut event = event(&borrowed.question(&described), parameters(&borrowed.question(&described)));
        event.add_asked(&question, of, allowed);
        let again = decisions(&event);
        prop_assert_eq!(&again[0].facts, &question.facts());
        let rulings = Rulings { key: None, identity: &identity, grants: &[] };
        prop_assert_eq!(judge_again(&again[0], &rulings, None).unwrap().allowed, allowed);
    }

    #[test]
    fn ends_of_grants_come_back(
        (key, identity, _) in policies(),
        described in generated_policies::described(),
        which in 0..2_usize,
    ) {
        static NO_CONTEXT: EncryptionContext = EncryptionContext::EMPTY;
        let described = Described { action: "kms:RetireGrant", ..described };
        let borrowed = Borrowed::of(&described);
        let question = Question { encryption_context: &NO_CONTEXT, recipient: None, ..borrowed.question(&described) };
        let grant = Grant { resource: described.resource.into(), ..(*grants()[which]).clone() };
        let policies = Policies { key: &key, identity: &identity, grants: &[] };
        let retired_as = decide_retirement(&policies, &question, &grant);
        let mut event = event(&question, json!({}));
        event.add_asked(&question, AskedOf::Retirement(&grant), retired_as.is_ok());
        let again = decisions(&event);
        prop_assert_eq!(&again[0].facts, &question.facts());
        let rulings = Rulings { key: Some(&key), identity: &identity, grants: &[] };
        prop_assert_eq!(judge_again(&again[0], &rulings, None).unwrap().allowed, retired_as.is_ok());
    }

    #[test]
    fn a_grant_that_is_to_be_made_comes_back(
        (key, identity, grants) in policies(),
        described in generated_policies::described(),
        constraint in 0..3_u8,
    ) {
        let described = Described { action: "kms:CreateGrant", ..described };
        let mut borrowed = Borrowed::of(&described);
        if constraint == 0 {
            borrowed.context = EncryptionContext::EMPTY;
        }
        let context = borrowed.context.clone();
        borrowed.new_grant.constraint = match constraint {
            0 => None,
            1 => Some(GrantConstraint::EncryptionContextEquals(context)),
            _ => Some(GrantConstraint::EncryptionContextSubset(context)),
        };
        let question = Question { recipient: None, ..borrowed.question(&described) };
        let policies = Policies { key: &key, identity: &identity, grants: &grants };
        let decided = decide(&policies, &question);
        let constraints = borrowed.new_grant.constraint.as_ref().map(|constraint| match constraint {
            GrantConstraint::EncryptionContextEquals(context) => json!({"encryptionContextEquals": context}),
            GrantConstraint::EncryptionContextSubset(context) => json!({"encryptionContextSubset": context}),
        });
        let mut parameters = json!({
            "granteePrincipal": borrowed.new_grant.grantee.as_str(),
            "retiringPrincipal": borrowed.new_grant.retiring.as_ref().unwrap().as_str(),
            "operations": borrowed.new_grant.operations.names().collect::<Vec<_>>(),
        });
        if let Some(constraints) = constraints {
            parameters["constraints"] = constraints;
        }
        let mut event = event(&question, parameters);
        event.add_asked(&question, AskedOf::Key { allowed_by: None }, decided.is_ok());
        let again = decisions(&event);
        prop_assert_eq!(&again[0].facts, &question.facts());
        let rulings = Rulings { key: Some(&key), identity: &identity, grants: &grants };
        prop_assert_eq!(judge_again(&again[0], &rulings, None).unwrap().allowed, decided.is_ok());
    }
}

/// A record that does not tell is not guessed about.
#[test]
fn what_a_record_does_not_tell_is_not_guessed() {
    let described = Described {
        caller: "anonymous",
        action: "kms:Decrypt",
        resource: generated_policies::KEY_ARN,
        values: vec![
            ("kms:RecipientAttestation:PCR0", vec![IMAGES[0].to_owned()]),
            ("kms:RecipientAttestation:PCR3", vec![IMAGES[0].to_owned()]),
        ],
        encryption_context: vec![],
        now_secs: NOW_SECS,
    };
    let borrowed = Borrowed::of(&described);
    let question = borrowed.question(&described);
    let mut event = event(&question, json!({}));
    event.add_asked(&question, AskedOf::Key { allowed_by: None }, true);
    let whole = record(&event).value().clone();
    let read = |value: &Value| recorded_decisions(&AuditRecord::parse(value.to_string().as_bytes()).unwrap());
    assert!(matches!(read(&whole).unwrap()[0].of, RecordedOf::Key { allowed_by: None }));

    let mut old = whole.clone();
    old["additionalEventData"]["decision"].as_object_mut().unwrap().remove("asked");
    assert_eq!(read(&old), Err(NotReplayable::Unrecorded));

    for (pointer, value, member, problem) in [
        ("/decision/asked/0/action", json!("kms:Decyrpt"), "decision.asked[].action", "kms:Decyrpt"),
        ("/decision/asked/0/allowed", json!("yes"), "decision.asked[].allowed", "neither true nor false"),
        ("/decision/asked/0/context/kms:KeySpec", json!({}), "decision.asked[].context", "{}"),
        (
            "/decision/asked/0/context/aws:SecureTransport",
            json!("?"),
            "decision.asked[].context",
            "a boolean",
        ),
        ("/recipient", Value::Null, "recipient", "absent"),
        ("/recipient/attestationDocumentZeroPCRs", json!([99]), "recipient", "PCR99"),
    ] {
        let mut damaged = whole.clone();
        *damaged["additionalEventData"].pointer_mut(pointer).expect(pointer) = value;
        match read(&damaged) {
            Err(NotReplayable::Member { member: found, problem: words }) => {
                assert_eq!(found, member, "{pointer}");
                assert!(words.contains(problem), "{pointer}: {words}");
            }
            other => panic!("{pointer}: {other:?}"),
        }
    }
}

/// Registers that hold nothing are told from registers that are not there.
#[test]
fn every_register_comes_back() {
    let recipient = &RECIPIENTS[&(IMAGES[0], IMAGES[1])];
    let caller = Caller::Anonymous;
    let question = Question {
        recipient: Some(recipient),
        ..Question::new(&caller, "kms:Decrypt", generated_policies::KEY_ARN, UnixTime::from_secs(NOW_SECS))
    };
    let mut event = event(&question, json!({}));
    event.add_asked(&question, AskedOf::Key { allowed_by: None }, true);
    let recorded = record(&event);
    let zero = &recorded.value()["additionalEventData"]["recipient"]["attestationDocumentZeroPCRs"];
    let zero: Vec<u64> = zero.as_array().unwrap().iter().map(|index| index.as_u64().unwrap()).collect();
    let expected: Vec<u64> = recipient
        .evidence()
        .pcrs()
        .iter()
        .filter(|(index, pcr)| pcr.is_zero() && ![0, 1, 2, 3, 4, 8].contains(index))
        .map(|(index, _)| index.into())
        .collect();
    assert!(!expected.is_empty());
    assert_eq!(zero, expected);
    assert_eq!(decisions(&event)[0].facts.inquiry().action, "kms:Decrypt");
    let values = |index: u8| {
        use nitro_key_broker::policy::{ConditionKey, RequestContext};
        let key = ConditionKey::RecipientAttestationPcr(index);
        (format!("{:?}", question.values(&key)), format!("{:?}", decisions(&event)[0].facts.values(&key)))
    };
    for index in 0..32 {
        let (asked, recorded) = values(index);
        assert_eq!(asked, recorded, "PCR{index}");
    }
}
