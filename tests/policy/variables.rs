//! Policy variables: what takes their place, and that no value ever widens what a policy matches.

use nitro_key_broker::policy::{
    AttachedPolicy, IdentityPolicy, PolicyName, Question, decide_by_identity, decide_unless_denied,
};

use super::*;

const ALICE: &str = "arn:aws:iam::111122223333:user/team/alice";
const OWNER: &str = "kms:EncryptionContext:Owner";
const TEAM: &str = "aws:ResourceTag/Team";

#[test]
fn values_take_the_place_of_variables() {
    let alice = principal(ALICE);
    let context = |value| Context::default().with_text(CONTEXT, value).with_text(OWNER, "bob");
    // Operator, policy value, request value, whether it matches.
    for (operator, value, held, expected) in [
        ("StringEquals", "${aws:username}", "alice", true),
        ("StringEquals", "${aws:username}", "Alice", false),
        ("StringEquals", "${AWS:UserName}", "alice", true),
        ("StringEqualsIgnoreCase", "${aws:username}", "ALICE", true),
        ("StringEquals", "a-${aws:username}-${aws:PrincipalAccount}", "a-alice-111122223333", true),
        ("StringEquals", "${aws:PrincipalArn}", ALICE, true),
        ("StringEquals", "${kms:EncryptionContext:Owner}", "bob", true),
        ("StringEquals", "${kms:EncryptionContext:owner}", "bob", false),
        ("StringLike", "${aws:username}/*", "alice/keys", true),
        ("StringLike", "${aws:username}/*", "alicia/keys", false),
        ("StringLike", "${kms:KeySpec, 'none'}?", "none!", true),
        ("StringEquals", "${kms:KeySpec, ''}x", "x", true),
        ("StringEquals", "${kms:KeySpec}", "", false),
        ("StringLike", "${*}", "*", true),
        ("StringLike", "${*}", "a", false),
        ("StringLike", "${?}${$}{aws:username}", "?${aws:username}", true),
        ("StringEquals", "$", "$", true),
        ("StringLike", "${kms:KeySpec, '*'}", "anything", false),
        ("StringLike", "${kms:KeySpec, '*'}", "*", true),
    ] {
        let quoted = format!("{value:?}");
        let held = Box::leak(held.to_owned().into_boxed_str());
        assert_eq!(
            holds_for(&alice, operator, CONTEXT, &quoted, &context(held)),
            expected,
            "{operator} {value} {held}"
        );
        let negated = operator.replacen("String", "StringNot", 1);
        let has_value = !["${kms:KeySpec}", "${kms:EncryptionContext:owner}"].contains(&value);
        let negated_holds = |effect| applies(effect, &alice, &negated, &quoted, &context(held));
        assert_eq!(negated_holds("Allow"), !expected && has_value, "{negated} {value} {held}");
        assert_eq!(negated_holds("Deny"), !expected, "{negated} {value} {held}");
    }
    let arn = |value| Context::default().with_text(CONTEXT, value);
    for (value, held, expected) in [
        ("arn:aws:iam::${aws:PrincipalAccount}:user/*", ALICE, true),
        ("arn:aws:iam::${aws:PrincipalAccount}:user/*", "arn:aws:iam::444455556666:user/a", false),
        ("arn:aws:iam::*:user/team/${aws:username}", ALICE, true),
        ("arn:aws:iam::*:${kms:KeySpec}", ALICE, false),
    ] {
        assert_eq!(
            holds_for(&alice, "ArnLike", CONTEXT, &format!("{value:?}"), &arn(held)),
            expected,
            "{value}"
        );
    }
}

/// Whether a statement with one condition applies to `kms:Decrypt`.
fn applies(effect: &str, caller: &Caller, operator: &str, values: &str, context: &Context) -> bool {
    let statements = [statement("Allow", ""), statement(effect, &condition(operator, CONTEXT, values))];
    let statements = if effect == "Allow" { &statements[1..] } else { &statements[..] };
    let is_allowed = ask(&document(statements), caller, "kms:Decrypt", context).is_allowed();
    is_allowed == (effect == "Allow")
}

/// A variable that has no value matches nothing; what is about everything else then allows nothing, and denies still.
#[test]
fn a_variable_without_value_grants_nothing() {
    let role = principal("arn:aws:iam::111122223333:role/worker");
    let context = Context::default().with_text(CONTEXT, "alice");
    let absent = r#""${aws:username}""#;
    assert!(!applies("Allow", &role, "StringEquals", absent, &context));
    assert!(!applies("Allow", &role, "StringNotEquals", absent, &context));
    assert!(!applies("Allow", &role, "StringNotLike", r#"["bob","a${aws:username}"]"#, &context));
    assert!(applies("Deny", &role, "StringNotEquals", absent, &context));
    assert!(!applies("Deny", &role, "StringEquals", absent, &context));
    assert!(applies("Allow", &role, "StringEquals", r#"["${aws:username}","alice"]"#, &context));

    let resources = |effect: &str, element: &str, caller: &Caller| {
        let named = format!(
            r#"{{"Effect":"{effect}","Principal":"*","Action":"*","{element}":"arn:aws:kms:*:*:key/${{aws:username}}"}}"#
        );
        let statements = [statement("Allow", ""), named];
        let statements = if effect == "Allow" { &statements[1..] } else { &statements[..] };
        let is_allowed = ask(&document(statements), caller, "kms:Decrypt", &context).is_allowed();
        is_allowed == (effect == "Allow")
    };
    assert!(!resources("Allow", "Resource", &role) && !resources("Deny", "Resource", &role));
    assert!(!resources("Allow", "NotResource", &role), "nobody knows what is excepted");
    assert!(resources("Deny", "NotResource", &role), "nothing is excepted");
    let alice = principal(ALICE);
    assert!(resources("Allow", "NotResource", &alice) && resources("Deny", "NotResource", &alice));
}

#[test]
fn resources_with_variables() {
    let tagged = Context::default().with_text(TEAM, "blue");
    for (resource, expected) in [
        ("arn:aws:kms:*:${aws:PrincipalAccount}:key/*", true),
        ("arn:aws:kms:*:${aws:PrincipalAccount}:alias/*", false),
        ("arn:aws:kms:*:*:key/0f9d7a0c-${aws:ResourceTag/Team, 'x'}*", false),
        ("arn:aws:kms:${aws:RequestedRegion, 'eu-central-1'}:*:key/*", true),
        ("arn:aws:kms:${aws:RequestedRegion, 'eu-*'}:*:key/*", false),
        ("arn:aws:kms:*:*:${kms:KeySpec, 'key'}/*", true),
    ] {
        let policy = document(&[format!(
            r#"{{"Effect":"Allow","Principal":"*","Action":"*","Resource":"{resource}"}}"#
        )]);
        let verdict = ask(&policy, &principal(ALICE), "kms:Decrypt", &tagged);
        assert_eq!(verdict.is_allowed(), expected, "{resource}");
    }
    let reason = |policy: &str| match ask(policy, &principal(ALICE), "kms:Decrypt", &tagged) {
        Verdict::NotAllowed { reasons } => reasons[0].to_string(),
        other => panic!("{other:?}"),
    };
    let policy = document(&[statement("Allow", &condition("StringEquals", TEAM, r#""${aws:username}""#))]);
    assert_eq!(
        reason(&policy),
        r#"Statement[0] (Allow) Condition.StringEquals.aws:ResourceTag/Team: expected "${aws:username}", found "blue""#
    );
}

#[test]
fn identity_policies_have_variables_too() {
    let policy = IdentityPolicy::parse(&document(&[
        r#"{"Effect":"Allow","Action":"kms:*Alias","Resource":"arn:aws:kms:*:*:alias/${aws:username}/*"}"#
            .to_owned(),
    ]));
    let policies = [AttachedPolicy { name: PolicyName::parse("own").unwrap(), policy: policy.unwrap() }];
    let allows = |caller: &str, alias: &str| {
        let resource = format!("arn:aws:kms:us-east-1:111122223333:alias/{alias}");
        let caller = principal(caller);
        let question = Question::new(&caller, "kms:CreateAlias", &resource, UnixTime::from_secs(0));
        assert!(decide_unless_denied(&policies, &question).is_ok());
        decide_by_identity(&policies, &question).is_ok()
    };
    assert!(allows(ALICE, "alice/app"));
    assert!(!allows(ALICE, "bob/app"));
    assert!(!allows("arn:aws:iam::111122223333:user/bob", "alice/app"));
    assert!(!allows("arn:aws:sts::111122223333:assumed-role/alice/alice", "alice/app"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever a caller puts into a value, it matches that text and no other.
    #[test]
    fn a_hostile_value_never_widens(value in "[a*?:/${}']{0,8}", text in "[a*?:/${}']{0,8}") {
        let leak = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
        let context = Context::default().with_text(OWNER, leak(&value)).with_text(CONTEXT, leak(&text));
        for operator in ["StringEquals", "StringLike"] {
            let held = holds(operator, CONTEXT, r#""${kms:EncryptionContext:Owner}""#, &context);
            prop_assert_eq!(held, value == text, "{}", operator);
        }
        let held = holds("StringLike", CONTEXT, r#""${kms:EncryptionContext:Owner}/*""#, &context);
        prop_assert_eq!(held, text.strip_prefix(&value).is_some_and(|rest| rest.starts_with('/')));
    }

    /// A value never reaches over a colon of an ARN, nor matches other segments than its own text.
    #[test]
    fn a_hostile_value_stays_in_its_segment(value in "([*?:]|kms|key/|[0-9]{12}){0,4}") {
        let resource = KEY_ARN;
        let [account, key] = ["111122223333", "key/0f9d7a0c-6d5e-4c0a-9b1e-2f3a4b5c6d7e"];
        let context = Context::default().with_text(OWNER, Box::leak(value.clone().into_boxed_str()));
        let allows = |pattern: &str| {
            let policy = document(&[format!(
                r#"{{"Effect":"Allow","Principal":"*","Action":"*","Resource":"{pattern}"}}"#
            )]);
            ask(&policy, &Caller::Anonymous, "kms:Decrypt", &context).is_allowed()
        };
        prop_assert_eq!(allows("arn:aws:kms:*:${kms:EncryptionContext:Owner}:key/*"), value == account);
        prop_assert_eq!(allows("arn:aws:kms:*:*:${kms:EncryptionContext:Owner}"), value == key);
        prop_assert!(resource.contains(account));
    }

    #[test]
    fn any_text_with_braces_parses_or_is_refused(text in "[a:${}*?', ]{0,24}") {
        let policy = document(&[statement("Allow", &condition("StringLike", CONTEXT, &format!("{text:?}")))]);
        if let Ok(policy) = KeyPolicy::parse(&policy) {
            let request = PolicyRequest {
                caller: &Caller::Anonymous,
                action: "kms:Decrypt",
                resource: KEY_ARN,
                context: &Context::default().with_text(CONTEXT, "a"),
            };
            let _ = policy.evaluate(&request);
        }
    }
}
