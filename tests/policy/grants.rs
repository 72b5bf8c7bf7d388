//! The decision where a key has grants: they add to a policy that neither allows nor denies, and to no other.

use std::collections::BTreeMap;

use nitro_key_broker::encryption_context::EncryptionContext;
use nitro_key_broker::policy::{
    AllowedBy, AttachedPolicy, Grant, GrantConstraint, GrantId, GrantOperation, GrantOperations, GrantTerms,
    IdentityPolicy, InvalidGrantId, Policies, PolicyName, Question, RetiredAs, decide, decide_retirement,
};

use super::*;

const ROLE: &str = "arn:aws:iam::111122223333:role/team/worker";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/worker/i-0abc";
const RETIRING: &str = "arn:aws:iam::111122223333:user/auditor";
const ROOT: &str = "arn:aws:iam::111122223333:root";
/// Allows nothing that is asked for here.
const NOTHING: &str =
    r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"kms:GenerateRandom","Resource":"*"}}"#;

fn arn(text: &str) -> PrincipalArn {
    PrincipalArn::parse(text).unwrap()
}

fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
    let pairs: BTreeMap<_, _> =
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    EncryptionContext::new(pairs).unwrap()
}

fn equals(pairs: &[(&str, &str)]) -> Option<GrantConstraint> {
    Some(GrantConstraint::EncryptionContextEquals(context(pairs)))
}

fn subset(pairs: &[(&str, &str)]) -> Option<GrantConstraint> {
    Some(GrantConstraint::EncryptionContextSubset(context(pairs)))
}

fn terms(operations: &[GrantOperation], constraint: Option<GrantConstraint>) -> GrantTerms {
    GrantTerms {
        grantee: arn(ROLE),
        retiring: Some(arn(RETIRING)),
        operations: operations.iter().copied().collect(),
        constraint,
    }
}

fn grant(operations: &[GrantOperation], constraint: Option<GrantConstraint>) -> Arc<Grant> {
    Arc::new(Grant {
        id: GrantId::from_bytes([7; 32]),
        resource: KEY_ARN.into(),
        name: None,
        terms: terms(operations, constraint),
        issuing_account: "111122223333".into(),
        created_at: UnixTime::from_secs(0),
    })
}

fn question<'q>(caller: &'q Caller, action: &'static str, context: &'q EncryptionContext) -> Question<'q> {
    Question { encryption_context: context, ..Question::new(caller, action, KEY_ARN, UnixTime::from_secs(0)) }
}

/// What allowed, or why not.
fn ask(policy: &str, grants: &[Arc<Grant>], question: &Question<'_>) -> Result<AllowedBy, Vec<String>> {
    let policy = KeyPolicy::parse(policy).unwrap();
    let decision = decide(&Policies { key: &policy, identity: &[], grants }, question);
    decision.map(|permit| permit.allowed_by().clone()).map_err(|denial| denial.reasons().to_vec())
}

const DECRYPT: &[GrantOperation] = &[GrantOperation::Decrypt];

#[test]
fn a_grant_allows_its_grantee_its_operations_and_nobody_anything_else() {
    let grants = [grant(DECRYPT, None)];
    let none = EncryptionContext::EMPTY;
    let by_grant = Ok(AllowedBy::Grant(GrantId::from_bytes([7; 32])));
    for caller in [ROLE, SESSION] {
        let caller = principal(caller);
        assert_eq!(ask(NOTHING, &grants, &question(&caller, "kms:Decrypt", &none)), by_grant);
        assert!(ask(NOTHING, &[], &question(&caller, "kms:Decrypt", &none)).is_err());
        for action in
            ["kms:Encrypt", "kms:ReEncryptFrom", "kms:DescribeKey", "kms:CreateGrant", "kms:PutKeyPolicy"]
        {
            let reasons = ask(NOTHING, &grants, &question(&caller, action, &none)).unwrap_err();
            let id = "07".repeat(32);
            assert_eq!(
                reasons[1..],
                [format!("grant {id} Operations: expected one of Decrypt, found {action}")]
            );
        }
        let mut elsewhere = question(&caller, "kms:Decrypt", &none);
        elsewhere.resource = "arn:aws:kms:eu-central-1:111122223333:key/11111111-6d5e-4c0a-9b1e-2f3a4b5c6d7e";
        let reasons = ask(NOTHING, &grants, &elsewhere).unwrap_err();
        assert!(reasons[1].contains(" KeyId: expected "), "{reasons:?}");
    }
    for caller in [
        Caller::Anonymous,
        principal(RETIRING),
        principal(ROOT),
        principal("arn:aws:iam::444455556666:role/worker"),
        principal("arn:aws:sts::111122223333:assumed-role/worker2/i-0abc"),
    ] {
        let reasons = ask(NOTHING, &grants, &question(&caller, "kms:Decrypt", &none)).unwrap_err();
        assert!(reasons[1].contains(" GranteePrincipal: expected "), "{reasons:?}");
    }
}

#[test]
fn what_the_policy_says_comes_first() {
    let grants = [grant(DECRYPT, None)];
    let (caller, none) = (principal(SESSION), EncryptionContext::EMPTY);
    let decrypt = question(&caller, "kms:Decrypt", &none);
    let open = document(&[statement("Allow", r#""Sid":"Open","#)]);
    let statement_0 = StatementRef { index: 0, sid: Some(Arc::from("Open")) };
    assert_eq!(ask(&open, &grants, &decrypt), Ok(AllowedBy::Statement(statement_0)));

    // The demand for an image holds against whatever was granted: the register is absent, so the negation is true.
    let unattested = condition("StringNotEquals", "kms:RecipientAttestation:PCR0", &format!("{PCR0:?}"));
    for deny in ["", &unattested] {
        let denied = document(&[statement("Deny", deny)]);
        assert_eq!(ask(&denied, &grants, &decrypt).unwrap_err(), ["Statement[0] denies"]);
        let denial = decide(
            &Policies { key: &KeyPolicy::parse(&denied).unwrap(), identity: &[], grants: &[] },
            &decrypt,
        );
        assert!(!denial.unwrap_err().leaves_room_for_a_grant());
    }
    let nothing = KeyPolicy::parse(NOTHING).unwrap();
    let denial = |action| {
        decide(&Policies { key: &nothing, identity: &[], grants: &[] }, &question(&caller, action, &none))
            .unwrap_err()
    };
    assert!(denial("kms:Decrypt").leaves_room_for_a_grant());
    for action in ["kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:RevokeGrant", "kms:ListGrants"] {
        assert!(!denial(action).leaves_room_for_a_grant(), "{action}");
    }
}

#[test]
fn a_constraint_asks_for_its_pairs() {
    let caller = principal(SESSION);
    let ab = [("App", "a"), ("Tenant", "b")];
    for (constraint, context_of_request, is_met) in [
        (equals(&ab), &[("App", "a"), ("Tenant", "b")][..], true),
        // The keys in any case, the values as they are (KMS API reference, GrantConstraints).
        (equals(&ab), &[("APP", "a"), ("tenant", "b")], true),
        (equals(&ab), &[("App", "A"), ("Tenant", "b")], false),
        (equals(&ab), &[("App", "a")], false),
        (equals(&ab), &[("App", "a"), ("Tenant", "b"), ("More", "c")], false),
        (equals(&ab), &[("App", "a"), ("app", "a")], false),
        (equals(&[("App", "a"), ("app", "b")]), &[("App", "a"), ("aPP", "a")], false),
        (equals(&[]), &[], true),
        (equals(&[]), &[("App", "a")], false),
        (subset(&ab), &[("App", "a"), ("Tenant", "b")], true),
        (subset(&ab), &[("aPp", "a"), ("Tenant", "b"), ("More", "c")], true),
        (subset(&ab), &[("App", "b"), ("Tenant", "b")], false),
        (subset(&ab), &[("Tenant", "b")], false),
        (subset(&ab), &[], false),
        (subset(&[]), &[("App", "a")], true),
    ] {
        let context = context(context_of_request);
        let grants = [grant(&[GrantOperation::Decrypt, GrantOperation::DescribeKey], constraint.clone())];
        let allowed = ask(NOTHING, &grants, &question(&caller, "kms:Decrypt", &context));
        assert_eq!(allowed.is_ok(), is_met, "{constraint:?} {context_of_request:?}: {allowed:?}");
        // DescribeKey has no encryption context.
        let none = EncryptionContext::EMPTY;
        assert!(ask(NOTHING, &grants, &question(&caller, "kms:DescribeKey", &none)).is_ok());
    }
    let reasons = ask(
        NOTHING,
        &[grant(DECRYPT, subset(&[("App", "a")]))],
        &question(&caller, "kms:Decrypt", &context(&[("x", "y")])),
    )
    .unwrap_err();
    let id = "07".repeat(32);
    let expected = format!(
        r#"grant {id} Constraints: expected EncryptionContextSubset {{"App": "a"}}, found {{"x": "y"}}"#
    );
    assert_eq!(reasons[1..], [expected]);
}

#[test]
fn a_grant_made_by_a_grant_is_no_wider() {
    use GrantOperation::{CreateGrant, Decrypt, DescribeKey, Encrypt, RetireGrant};
    let caller = principal(SESSION);
    let a = [("App", "a")];
    let ab = [("App", "a"), ("Tenant", "b")];
    let parent = |constraint| grant(&[CreateGrant, Decrypt, RetireGrant], constraint);
    for (parent, operations, constraint, is_allowed) in [
        (parent(None), &[Decrypt][..], None, true),
        (parent(None), &[Decrypt, CreateGrant, RetireGrant], equals(&a), true),
        (parent(None), &[Decrypt, Encrypt], None, false),
        (parent(None), &[DescribeKey], None, false),
        (grant(&[Decrypt], None), &[Decrypt], None, false),
        (parent(equals(&a)), &[Decrypt], None, false),
        (parent(equals(&a)), &[Decrypt], equals(&a), true),
        (parent(equals(&a)), &[Decrypt], equals(&[("APP", "a")]), true),
        (parent(equals(&a)), &[Decrypt], equals(&ab), false),
        (parent(equals(&a)), &[Decrypt], subset(&a), false),
        (parent(subset(&a)), &[Decrypt], None, false),
        (parent(subset(&a)), &[Decrypt], subset(&a), true),
        (parent(subset(&a)), &[Decrypt], subset(&ab), true),
        (parent(subset(&a)), &[Decrypt], equals(&ab), true),
        (parent(subset(&ab)), &[Decrypt], subset(&a), false),
        (parent(subset(&ab)), &[Decrypt], equals(&a), false),
    ] {
        let child = terms(operations, constraint);
        let mut create = question(
            &caller,
            "kms:CreateGrant",
            child.constraint.as_ref().map_or_else(
                || {
                    static NONE: EncryptionContext = EncryptionContext::EMPTY;
                    &NONE
                },
                GrantConstraint::context,
            ),
        );
        create.new_grant = Some(&child);
        let allowed = ask(NOTHING, &[Arc::clone(&parent)], &create);
        assert_eq!(allowed.is_ok(), is_allowed, "{:?} {child:?}: {allowed:?}", parent.terms);
    }
    // A CreateGrant that does not say what it makes is allowed by no grant.
    let none = EncryptionContext::EMPTY;
    assert!(ask(NOTHING, &[parent(None)], &question(&caller, "kms:CreateGrant", &none)).is_err());
}

#[test]
fn a_grant_is_retired_by_whom_it_names_and_its_account() {
    use GrantOperation::{Decrypt, RetireGrant};
    let nothing = KeyPolicy::parse(NOTHING).unwrap();
    let open = KeyPolicy::parse(&document(&[statement("Allow", "")])).unwrap();
    let locked = KeyPolicy::parse(&document(&[statement("Deny", "")])).unwrap();
    let none = EncryptionContext::EMPTY;
    for (caller, operations, expected) in [
        (principal(RETIRING), &[Decrypt][..], Some(RetiredAs::RetiringPrincipal)),
        (principal(SESSION), &[Decrypt, RetireGrant], Some(RetiredAs::Grantee)),
        (principal(SESSION), &[Decrypt], None),
        (principal(ROOT), &[Decrypt], Some(RetiredAs::IssuingAccount)),
        (principal("arn:aws:iam::444455556666:root"), &[Decrypt, RetireGrant], None),
        (principal("arn:aws:iam::111122223333:user/alice"), &[Decrypt, RetireGrant], None),
        (Caller::Anonymous, &[Decrypt, RetireGrant], None),
    ] {
        let grant = grant(operations, equals(&[]));
        let question = question(&caller, "kms:RetireGrant", &none);
        let retired = |policy| {
            decide_retirement(&Policies { key: policy, identity: &[], grants: &[] }, &question, &grant)
        };
        // What a statement allows makes no difference, what it denies does.
        for policy in [&nothing, &open] {
            assert_eq!(retired(policy).ok(), expected, "{caller}");
        }
        assert_eq!(retired(&locked).unwrap_err().reasons(), ["Statement[0] denies"]);
        if expected.is_none() {
            let denial = retired(&nothing).unwrap_err();
            let reasons = denial.reasons();
            assert!(reasons[0].ends_with(&format!("found {caller}")), "{reasons:?}");
        }
    }
}

/// What the root of an account may retire, an identity policy lets others of the account retire.
#[test]
fn an_account_hands_retiring_on_by_identity_policies() {
    let nothing = KeyPolicy::parse(NOTHING).unwrap();
    let none = EncryptionContext::EMPTY;
    let attached = |effect: &str, action: &str| {
        AttachedPolicy {
        name: PolicyName::parse("own").unwrap(),
        policy: IdentityPolicy::parse(&format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"{effect}","Action":"{action}","Resource":"*"}}}}"#
        ))
        .unwrap(),
    }
    };
    let of_account = grant(DECRYPT, None);
    let mut of_other_account = Grant::clone(&of_account);
    of_other_account.issuing_account = "444455556666".into();
    let mut to_root = of_other_account.clone();
    to_root.terms.retiring = Some(arn(ROOT));
    let alice = principal("arn:aws:iam::111122223333:user/alice");
    for (grant, policies, expected) in [
        (&*of_account, vec![attached("Allow", "kms:RetireGrant")], Some(RetiredAs::IssuingAccount)),
        (&*of_account, vec![attached("Allow", "kms:RevokeGrant")], None),
        (&*of_account, vec![], None),
        (&of_other_account, vec![attached("Allow", "kms:*")], None),
        (&to_root, vec![attached("Allow", "kms:*")], Some(RetiredAs::RetiringPrincipal)),
        (&to_root, vec![attached("Allow", "kms:*"), attached("Deny", "kms:RetireGrant")], None),
    ] {
        let policies = Policies { key: &nothing, identity: &policies, grants: &[] };
        let retired = decide_retirement(&policies, &question(&alice, "kms:RetireGrant", &none), grant);
        assert_eq!(retired.ok(), expected, "{grant:?}");
    }
}

#[test]
fn names_are_read_as_they_are_written() {
    let all: GrantOperations = GrantOperation::ALL.into_iter().collect();
    assert_eq!(all.iter().collect::<Vec<_>>(), GrantOperation::ALL);
    for operation in GrantOperation::ALL {
        assert_eq!(GrantOperation::from_name(operation.name()), Some(operation));
        assert_eq!(GrantOperation::of_action(&format!("kms:{}", operation.name())), Some(operation));
        assert_eq!(GrantOperation::from_name(&operation.name().to_lowercase()), None);
    }
    assert_eq!(GrantOperation::of_action("Decrypt"), None);
    for bad in ["", &"ab".repeat(31), &"AB".repeat(32), &"ab".repeat(33), &"xy".repeat(32)] {
        assert_eq!(bad.parse::<GrantId>(), Err(InvalidGrantId(bad.to_owned())));
    }
}

fn any_context() -> impl Strategy<Value = EncryptionContext> {
    prop::collection::btree_map("[abA]{1,2}", "[ab]", 0..4)
        .prop_map(|pairs| EncryptionContext::new(pairs).unwrap())
}

fn any_constraint() -> impl Strategy<Value = GrantConstraint> {
    prop_oneof![
        any_context().prop_map(GrantConstraint::EncryptionContextEquals),
        any_context().prop_map(GrantConstraint::EncryptionContextSubset),
    ]
}

proptest! {
    #[test]
    fn a_stricter_constraint_is_met_by_nothing_more(
        one in any_constraint(), other in any_constraint(), request in any_context(),
    ) {
        prop_assert!(one.is_as_strict_as(&one));
        prop_assert!(one.is_met_by(one.context()));
        if one.is_as_strict_as(&other) && one.is_met_by(&request) {
            prop_assert!(other.is_met_by(&request));
        }
    }

    #[test]
    fn an_id_has_one_name(bytes in any::<[u8; 32]>(), text in any::<String>()) {
        let id = GrantId::from_bytes(bytes);
        prop_assert_eq!(id.to_string().parse(), Ok(id));
        let _ = text.parse::<GrantId>();
    }
}
