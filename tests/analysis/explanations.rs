//! Explanations agree with decisions, and what they say of single statements adds up to them.

use nitro_key_broker::policy::{
    Applies, ConditionKey, Decision, DecisionKind, Effect, Explanation, Policies, RequestContext,
    StatementTrace, decide, explain_access, judge_access,
};

use super::*;

fn applies(statements: &[StatementTrace], effect: Effect, how: &[Applies]) -> bool {
    statements.iter().any(|statement| statement.effect == effect && how.contains(&statement.applies))
}

/// The decision that follows from the single statements and grants, by the table of docs/policy.md.
fn decision_of_parts(explanation: &Explanation, question: &Question<'_>) -> bool {
    use Applies::{ToTheAccount, Yes};
    let identity: Vec<StatementTrace> =
        explanation.identity_policies.iter().flat_map(|policy| policy.statements.clone()).collect();
    let is_foreign = question.caller.account().is_some_and(|account| account != question.resource_account);
    let is_root = question.caller.arn().is_some_and(PrincipalArn::is_account_root);
    let open_to_foreigners = !["kms:PutKeyPolicy", "kms:EnableKeyRotation"].contains(&question.action);
    if is_foreign && !open_to_foreigners
        || applies(&explanation.key_policy, Effect::Deny, &[Yes, ToTheAccount])
        || applies(&identity, Effect::Deny, &[Yes])
    {
        return false;
    }
    let by_identity = applies(&identity, Effect::Allow, &[Yes]);
    let by_key = applies(&explanation.key_policy, Effect::Allow, &[Yes]);
    let left = applies(&explanation.key_policy, Effect::Allow, &[ToTheAccount]);
    by_key && (!is_foreign || is_root || by_identity)
        || left && by_identity
        || explanation.grants.iter().any(|grant| grant.applies)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn explanations_and_facts_agree_with_decisions(
        (key, identity, grants) in policies(),
        described in generated_policies::described(),
    ) {
        let policies = Policies { key: &key, identity: &identity, grants: &grants };
        let borrowed = Borrowed::of(&described);
        let question = borrowed.question(&described);
        let decided = decide(&policies, &question).map(|permit| permit.allowed_by().clone());

        let explanation = explain_access(&policies, &question.inquiry());
        prop_assert_eq!(&explanation.decision, &Decision::of(&decided));
        prop_assert_eq!(explanation.decision.allowed, decided.is_ok());
        prop_assert_eq!(decision_of_parts(&explanation, &question), decided.is_ok(), "{:#?}", explanation);

        let facts = question.facts();
        prop_assert_eq!(judge_access(&policies, &facts.inquiry()), decided);
        prop_assert_eq!(explain_access(&policies, &facts.inquiry()), explanation);
    }

    #[test]
    fn facts_hold_the_values_of_their_question(described in generated_policies::described()) {
        let borrowed = Borrowed::of(&described);
        let question = borrowed.question(&described);
        let facts = question.facts();
        for (key, values) in question.stated() {
            prop_assert_eq!(facts.values(&key), values, "{}", key);
        }
        for name in [
            "kms:RecipientAttestation:ImageSha384",
            "kms:RecipientAttestation:PCR0",
            "kms:RecipientAttestation:PCR5",
            "kms:RecipientAttestation:PCR31",
            "kms:EncryptionContext:App",
            "kms:EncryptionContextKeys",
            "kms:CustomerMasterKeySpec",
            "kms:CustomerMasterKeyUsage",
            "kms:MultiRegion",
            "kms:GrantOperations",
            "kms:GrantIsForAWSResource",
            "aws:ResourceTag/Team",
            "aws:CurrentTime",
            "aws:EpochTime",
            "aws:ResourceAccount",
        ] {
            let key = ConditionKey::parse(name).unwrap();
            prop_assert_eq!(facts.values(&key), question.values(&key), "{}", name);
        }
        // What the description says is what the question says, evidence and all.
        let described = described.facts();
        for key in ["kms:RecipientAttestation:PCR0", "kms:RequestAlias", "aws:SourceIp", "aws:SecureTransport"] {
            let key = ConditionKey::parse(key).unwrap();
            prop_assert_eq!(described.values(&key), question.values(&key), "{}", key);
        }
    }
}

#[test]
fn an_explanation_names_every_element_with_what_was_expected_and_found() {
    let policy = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"OnlyThisImage","Effect":"Allow",
            "Principal":{{"AWS":"arn:aws:iam::111122223333:role/worker"}},"Action":"kms:Decrypt","Resource":"*",
            "Condition":{{"StringEquals":{{"kms:RecipientAttestation:PCR0":"{}"}},
                "StringNotEquals":{{"kms:EncryptionContext:App":"wallet"}}}}}}]}}"#,
        IMAGES[0],
    );
    let policy = KeyPolicy::parse(&policy).unwrap();
    let policies = Policies { key: &policy, identity: &[], grants: &grants() };
    let described = Described {
        caller: "arn:aws:sts::111122223333:assumed-role/worker/i-0abc",
        action: "kms:Decrypt",
        resource: generated_policies::KEY_ARN,
        values: vec![("kms:RecipientAttestation:PCR0", vec![IMAGES[1].to_owned()])],
        encryption_context: vec![],
        now_secs: NOW_SECS,
    };
    let explanation = explain_access(&policies, &described.facts().inquiry());
    assert_eq!(explanation.decision.kind, DecisionKind::NotAllowed);
    let statement = &explanation.key_policy[0];
    assert_eq!((statement.applies, statement.sid.as_deref()), (Applies::No, Some("OnlyThisImage")));
    let elements: Vec<(&str, bool, &str)> = statement
        .elements
        .iter()
        .map(|element| (element.element.as_str(), element.matched, element.actual.as_str()))
        .collect();
    let found = format!("{:?}", IMAGES[1]);
    assert_eq!(
        elements,
        [
            ("Action", true, "kms:Decrypt"),
            ("Principal", true, "arn:aws:sts::111122223333:assumed-role/worker/i-0abc"),
            ("Resource", true, generated_policies::KEY_ARN),
            ("Condition.StringEquals.kms:RecipientAttestation:PCR0", false, &found),
            ("Condition.StringNotEquals.kms:EncryptionContext:App", true, "absent"),
        ]
    );
    assert_eq!(
        statement.elements[4].note.as_deref(),
        Some("the request has no value for this key, and the operator is then true")
    );
    let members: Vec<(&str, bool)> = explanation.grants[0]
        .members
        .iter()
        .map(|member| (member.element.as_str(), member.matched))
        .collect();
    assert_eq!(
        members,
        [("KeyId", true), ("GranteePrincipal", true), ("Operations", true), ("Constraints", false)]
    );
    assert!(!explanation.grants[0].applies);
}
