//! Principals, actions, resources, the order of effects, and the reasons of a denial.

use super::*;

#[test]
fn principals() {
    const ALICE: &str = "arn:aws:iam::111122223333:user/alice";
    const ROOT: &str = "arn:aws:iam::111122223333:root";
    const ROLE: &str = "arn:aws:iam::111122223333:role/worker";
    const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/worker/one";
    // Principal element, callers that it covers among the five below.
    let callers = [
        ("anonymous", Caller::Anonymous),
        ("alice", principal(ALICE)),
        ("root", principal(ROOT)),
        ("role", principal(ROLE)),
        ("session", principal(SESSION)),
    ];
    let everyone = &["anonymous", "alice", "root", "role", "session"][..];
    for (element, covered) in [
        (r#""*""#.to_owned(), everyone),
        (r#"{"AWS":"*"}"#.to_owned(), everyone),
        (r#"{"AWS":["*"]}"#.to_owned(), everyone),
        (format!(r#"{{"AWS":"{ALICE}"}}"#), &["alice"]),
        (format!(r#"{{"AWS":["{ALICE}","{SESSION}"]}}"#), &["alice", "session"]),
        (format!(r#"{{"AWS":"{ROOT}"}}"#), &["root"]),
        (r#"{"AWS":"111122223333"}"#.to_owned(), &["root"]),
        (r#"{"AWS":"444455556666"}"#.to_owned(), &[]),
        (format!(r#"{{"AWS":"{ROLE}"}}"#), &["role", "session"]),
        (r#"{"AWS":"arn:aws:iam::111122223333:role/team/worker"}"#.to_owned(), &["session"]),
        (r#"{"AWS":"arn:aws:iam::444455556666:role/worker"}"#.to_owned(), &[]),
        (r#"{"AWS":"arn:aws:sts::111122223333:assumed-role/worker/two"}"#.to_owned(), &[]),
    ] {
        let allow = format!(r#"{{"Effect":"Allow","Principal":{element},"Action":"*","Resource":"*"}}"#);
        for (name, caller) in &callers {
            let verdict =
                ask(&document(std::slice::from_ref(&allow)), caller, "kms:Decrypt", &Context::default());
            assert_eq!(verdict.is_allowed(), covered.contains(name), "{element} {name}");
        }
        if element.contains('*') {
            continue;
        }
        let deny = format!(r#"{{"Effect":"Deny","NotPrincipal":{element},"Action":"*","Resource":"*"}}"#);
        for (name, caller) in &callers {
            let verdict = ask(
                &document(&[statement("Allow", ""), deny.clone()]),
                caller,
                "kms:Decrypt",
                &Context::default(),
            );
            assert_eq!(verdict.is_allowed(), covered.contains(name), "NotPrincipal {element} {name}");
        }
    }
}

#[test]
fn actions_and_resources() {
    for (action, resource, expected) in [
        (r#""Action":"*""#, r#""Resource":"*""#, true),
        (r#""Action":"kms:Decrypt""#, r#""Resource":"*""#, true),
        (r#""Action":"KMS:DECRYPT""#, r#""Resource":"*""#, true),
        (r#""Action":"kms:D?c*""#, r#""Resource":"*""#, true),
        (r#""Action":["kms:Encrypt","kms:GenerateDataKey*"]"#, r#""Resource":"*""#, false),
        (r#""NotAction":["kms:Encrypt","kms:GenerateDataKey*"]"#, r#""Resource":"*""#, true),
        (r#""NotAction":"kms:De*""#, r#""Resource":"*""#, false),
        (r#""Action":"*""#, r#""Resource":"arn:aws:kms:*:111122223333:key/*""#, true),
        (
            r#""Action":"*""#,
            r#""Resource":["arn:aws:kms:*:444455556666:key/*","arn:aws:kms:*:*:key/0f9d7a0c-*"]"#,
            true,
        ),
        (r#""Action":"*""#, r#""Resource":"arn:aws:kms:us-*:111122223333:key/*""#, false),
        (r#""Action":"*""#, r#""Resource":"arn:aws:kms:*:*:alias/*""#, false),
        (r#""Action":"*""#, r#""NotResource":"arn:aws:kms:us-*:111122223333:key/*""#, true),
        (r#""Action":"*""#, r#""NotResource":"arn:aws:kms:eu-*:111122223333:key/*""#, false),
    ] {
        let policy = document(&[format!(r#"{{"Effect":"Allow","Principal":"*",{action},{resource}}}"#)]);
        let verdict = ask(&policy, &Caller::Anonymous, "kms:Decrypt", &Context::default());
        assert_eq!(verdict.is_allowed(), expected, "{action} {resource}");
    }
}

#[test]
fn an_explicit_deny_wins_wherever_it_stands() {
    let allow = statement("Allow", r#""Sid":"Everyone","#);
    let deny = statement("Deny", r#""Sid":"Nobody","#);
    for (statements, index) in [([allow.clone(), deny.clone()], 1), ([deny, allow.clone()], 0)] {
        assert_eq!(
            ask(&document(&statements), &Caller::Anonymous, "kms:Decrypt", &Context::default()),
            Verdict::ExplicitlyDenied { statement: StatementRef { index, sid: Some(Arc::from("Nobody")) } }
        );
    }
    assert_eq!(
        ask(
            &document(&[statement("Allow", ""), allow]),
            &Caller::Anonymous,
            "kms:Decrypt",
            &Context::default()
        ),
        Verdict::Allowed { statement: StatementRef { index: 0, sid: None } }
    );
}

#[test]
fn a_denial_names_the_first_mismatch_of_each_statement() {
    let policy = format!(
        r#"{{"Version":"2012-10-17","Statement":[
        {{"Sid":"Action","Effect":"Allow","Principal":"*","Action":["kms:Encrypt","kms:Sign"],"Resource":"*"}},
        {{"Effect":"Allow","Principal":{{"AWS":"111122223333"}},"Action":"*","Resource":"*"}},
        {{"Effect":"Allow","Principal":"*","Action":"*","NotResource":"arn:aws:kms:*:*:key/*"}},
        {{"Sid":"Image","Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{{
            "Null":{{"kms:RecipientAttestation:PCR0":"false"}},
            "StringEquals":{{"kms:RecipientAttestation:PCR0":"{PCR0}"}}}}}},
        {{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{{
            "StringNotEquals":{{"kms:RecipientAttestation:PCR0":"{OTHER_PCR0}"}}}}}}]}}"#
    );
    let reason = |index, sid: Option<&str>, effect, element: &str, expected: &str, actual: &str| Reason {
        statement: StatementRef { index, sid: sid.map(Arc::from) },
        effect,
        element: element.to_owned(),
        expected: expected.to_owned(),
        actual: actual.to_owned(),
    };
    let context = Context::default().with_text("kms:RecipientAttestation:PCR0", OTHER_PCR0);
    let verdict = ask(&policy, &Caller::Anonymous, "kms:Decrypt", &context);
    let (wanted, held) = (format!("{PCR0:?}"), format!("{OTHER_PCR0:?}"));
    let pcr0 = "Condition.StringEquals.kms:RecipientAttestation:PCR0";
    let not_pcr0 = "Condition.StringNotEquals.kms:RecipientAttestation:PCR0";
    let expected = vec![
        reason(0, Some("Action"), Effect::Allow, "Action", "one of kms:Encrypt, kms:Sign", "kms:Decrypt"),
        reason(1, None, Effect::Allow, "Principal", "111122223333", "anonymous"),
        reason(2, None, Effect::Allow, "NotResource", "none of arn:aws:kms:*:*:key/*", KEY_ARN),
        reason(3, Some("Image"), Effect::Allow, pcr0, &wanted, &held),
        reason(4, None, Effect::Deny, not_pcr0, &format!("none of {held}"), &held),
    ];
    assert_eq!(verdict, Verdict::NotAllowed { reasons: expected });

    let unattested = ask(&policy, &Caller::Anonymous, "kms:Decrypt", &Context::default());
    assert!(matches!(unattested, Verdict::ExplicitlyDenied { statement: StatementRef { index: 4, .. } }));
}

#[test]
fn reasons_are_bounded_whatever_the_request_holds() {
    let policy = document(&[statement("Allow", &condition("StringEquals", CONTEXT, r#""a""#))]);
    let held: &'static str = Box::leak("é".repeat(100_000).into_boxed_str());
    let verdict =
        ask(&policy, &Caller::Anonymous, "kms:Decrypt", &Context::default().with_text(CONTEXT, held));
    let Verdict::NotAllowed { reasons } = verdict else { panic!("{verdict:?}") };
    assert!(reasons[0].actual.len() < 300 && reasons[0].actual.ends_with('…'), "{}", reasons[0].actual);
}

#[test]
fn an_evaluation_error_denies() {
    let open = document(&[statement("Allow", "")]);
    for action in ["kms:NoSuchAction", "Decrypt", "", "kms:*"] {
        assert_eq!(
            ask(&open, &Caller::Anonymous, action, &Context::default()),
            Verdict::EvaluationFailed { error: EvaluationError::UnknownAction { action: action.to_owned() } }
        );
    }
    // A Deny that cannot be judged does not fall silent.
    let open_but = |condition: &str| document(&[statement("Allow", ""), statement("Deny", condition)]);
    let policy = open_but(&condition("IpAddress", "aws:SourceIp", r#""10.0.0.0/8""#));
    assert_eq!(
        ask(
            &policy,
            &Caller::Anonymous,
            "kms:Decrypt",
            &Context::default().with_text("aws:SourceIp", "10.0.0.1")
        ),
        Verdict::EvaluationFailed {
            error: EvaluationError::ValueOfOtherType {
                key: "aws:SourceIp".to_owned(),
                expected: "an IP address",
                actual: "10.0.0.1".to_owned()
            }
        }
    );
    let policy = open_but(&condition("ForAnyValue:StringEquals", CONTEXT, r#""a""#));
    let several =
        Context::default().with(CONTEXT, ContextValues::Many(vec![ContextValue::Text(Cow::Borrowed("b"))]));
    assert_eq!(
        ask(&policy, &Caller::Anonymous, "kms:Decrypt", &several),
        Verdict::EvaluationFailed { error: EvaluationError::SeveralValues { key: CONTEXT.to_owned() } }
    );
}

#[test]
fn the_text_is_kept_and_older_documents_are_read() {
    let text = " {\"Id\":\"key-default-1\", \"Statement\":\n{\"Sid\":\"\",\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"*\"},\
                \"Action\":\"kms:*\",\"Resource\":\"*\",\"Condition\":{\"StringEquals\":{\"kms:EncryptionContext:App\":\"${aws:username}\"}}}} ";
    let policy = KeyPolicy::parse(text).unwrap();
    assert_eq!((policy.text(), policy.id()), (text, Some("key-default-1")));
    let unnamed = document(&[statement("Allow", r#""Sid":"","#), statement("Allow", r#""Sid":"","#)]);
    assert_eq!(
        ask(&unnamed, &Caller::Anonymous, "kms:Decrypt", &Context::default()),
        Verdict::Allowed { statement: StatementRef { index: 0, sid: None } },
        "an empty Sid is none"
    );
    let literal = Context::default().with_text(CONTEXT, "${aws:username}");
    assert!(
        ask(text, &Caller::Anonymous, "kms:Decrypt", &literal).is_allowed(),
        "no variables before 2012-10-17"
    );
}

/// The examples in the documentation are policies, and do what is written beside them.
#[test]
fn documented_examples() {
    let examples: Vec<String> = include_str!("../../docs/policy.md")
        .split("```json")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .map(|json| {
            json.replace("<96 digits of the old image>", OTHER_PCR0)
                .replace("<96 digits of the new image>", PCR0)
                .replace("<96 digits>", PCR0)
        })
        .collect();
    let [
        one_image,
        rollout,
        signed,
        only_attested,
        administered,
        lending,
        identity,
        whatever_is_granted,
        own_aliases,
    ] = examples.as_slice()
    else {
        panic!("{}", examples.len())
    };
    let worker = principal("arn:aws:sts::111122223333:assumed-role/worker/one");
    let attested = |pcr0| Context::default().with_text("kms:RecipientAttestation:PCR0", pcr0);
    let allows =
        |policy, caller, action, context: &Context| ask(policy, caller, action, context).is_allowed();

    assert!(allows(one_image, &Caller::Anonymous, "kms:Decrypt", &attested(PCR0)));
    assert!(!allows(one_image, &Caller::Anonymous, "kms:Decrypt", &attested(OTHER_PCR0)));
    assert!(allows(rollout, &Caller::Anonymous, "kms:GenerateDataKey", &attested(PCR0)));
    assert!(allows(rollout, &Caller::Anonymous, "kms:GenerateDataKey", &attested(OTHER_PCR0)));
    assert!(!allows(rollout, &Caller::Anonymous, "kms:GenerateDataKey", &attested(UNRELATED_PCR0)));

    let signed_image = Context::default()
        .with_text("kms:RecipientAttestation:PCR3", PCR0)
        .with_text("kms:RecipientAttestation:PCR8", PCR0);
    assert!(!allows(signed, &worker, "kms:Decrypt", &signed_image));
    let signed_image = signed_image.with_text(CONTEXT, "wallet");
    assert!(allows(signed, &worker, "kms:Decrypt", &signed_image));
    assert!(!allows(signed, &Caller::Anonymous, "kms:Decrypt", &signed_image));

    assert!(allows(only_attested, &worker, "kms:Encrypt", &Context::default()));
    assert!(!allows(only_attested, &worker, "kms:Decrypt", &Context::default()));
    assert!(!allows(only_attested, &worker, "kms:Decrypt", &attested(OTHER_PCR0)));
    assert!(allows(only_attested, &worker, "kms:Decrypt", &attested(PCR0)));

    let administrator = principal("arn:aws:iam::111122223333:role/key-admin");
    let management = [
        "kms:PutKeyPolicy",
        "kms:DisableKeyRotation",
        "kms:DeleteAlias",
        "kms:ScheduleKeyDeletion",
        "kms:GetKeyPolicy",
    ];
    for action in management {
        assert!(allows(administered, &administrator, action, &Context::default()), "{action}");
        assert!(!allows(administered, &Caller::Anonymous, action, &attested(PCR0)), "{action}");
    }
    for action in ["kms:Decrypt", "kms:GenerateDataKey"] {
        assert!(allows(administered, &Caller::Anonymous, action, &attested(PCR0)));
        assert!(!allows(administered, &administrator, action, &Context::default()));
    }

    let of_grants = principal("arn:aws:iam::111122223333:role/broker-of-grants");
    let new_grant = |operations: &[&'static str], tenant| {
        Context::default()
            .with("kms:GrantOperations", ContextValues::texts(operations.iter().copied()))
            .with_text("kms:GranteePrincipal", "arn:aws:iam::111122223333:role/worker")
            .with_text("kms:GrantConstraintType", "EncryptionContextEquals")
            .with_text("kms:EncryptionContext:Tenant", tenant)
    };
    assert!(allows(lending, &of_grants, "kms:CreateGrant", &new_grant(&["Decrypt"], "a")));
    assert!(!allows(lending, &of_grants, "kms:CreateGrant", &new_grant(&["Decrypt", "Encrypt"], "a")));
    assert!(!allows(lending, &of_grants, "kms:CreateGrant", &new_grant(&["Decrypt"], "b")));
    assert!(!allows(lending, &worker, "kms:CreateGrant", &new_grant(&["Decrypt"], "a")));
    let denied = |context: &Context| ask(whatever_is_granted, &worker, "kms:Decrypt", context);
    assert!(matches!(denied(&Context::default()), Verdict::ExplicitlyDenied { .. }));
    assert!(matches!(denied(&attested(OTHER_PCR0)), Verdict::ExplicitlyDenied { .. }));
    assert!(matches!(denied(&attested(PCR0)), Verdict::NotAllowed { .. }));
    let identity = IdentityPolicy::parse(identity).unwrap();
    let allows = |action, resource| {
        let context = &Context::default();
        identity.evaluate(&PolicyRequest { caller: &worker, action, resource, context }).is_allowed()
    };
    let key = "arn:aws:kms:us-east-1:111122223333:key/0f9d7a0c-6d5e-4c0a-9b1e-2f3a4b5c6d7e";
    assert!(allows("kms:DescribeKey", key) && !allows("kms:Decrypt", key));
    assert!(!allows("kms:DescribeKey", KEY_ARN), "it is in another Region");

    let own_aliases = IdentityPolicy::parse(own_aliases).unwrap();
    let alice = principal("arn:aws:iam::111122223333:user/alice");
    let allows = |caller, resource| {
        let context = &Context::default();
        let request = PolicyRequest { caller, action: "kms:DeleteAlias", resource, context };
        own_aliases.evaluate(&request).is_allowed()
    };
    assert!(allows(&alice, "arn:aws:kms:us-east-1:111122223333:alias/alice/app") && allows(&alice, key));
    assert!(!allows(&alice, "arn:aws:kms:us-east-1:111122223333:alias/bob/app"));
    assert!(!allows(&worker, "arn:aws:kms:us-east-1:111122223333:alias/alice/app"));
}
