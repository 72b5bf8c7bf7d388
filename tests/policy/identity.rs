//! Identity policies: their language, and what they and key policies decide together.

use nitro_key_broker::policy::{
    AllowedBy, AttachedPolicy, Denial, Grant, GrantId, GrantOperation, GrantTerms, MAX_IDENTITY_POLICY_BYTES,
    MAX_IDENTITY_POLICY_CHARACTERS, Permit, Policies, PolicyName, Question, Refusal, Side, decide,
    decide_by_identity, decide_unless_denied,
};

use super::*;

const ALICE: &str = "arn:aws:iam::111122223333:user/alice";
const ROOT: &str = "arn:aws:iam::111122223333:root";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/worker/one";
const STRANGER: &str = "arn:aws:iam::444455556666:user/mallory";
const OTHER_ROOT: &str = "arn:aws:iam::444455556666:root";

fn attached(policies: &[(&str, &str)]) -> Vec<AttachedPolicy> {
    let attached = |(name, policy): &(&str, &str)| AttachedPolicy {
        name: PolicyName::parse(name).unwrap(),
        policy: IdentityPolicy::parse(policy).unwrap_or_else(|error| panic!("{error}\n{policy}")),
    };
    policies.iter().map(attached).collect()
}

/// One statement of an identity policy.
fn says(effect: &str, actions: &str, resource: &str) -> String {
    document(&[format!(r#"{{"Effect":"{effect}","Action":{actions},"Resource":"{resource}"}}"#)])
}

/// One statement of a key policy.
fn key_policy(effect: &str, principal: &str) -> String {
    document(&[format!(r#"{{"Effect":"{effect}","Principal":{principal},"Action":"kms:*","Resource":"*"}}"#)])
}

fn both(
    key: &str,
    identity: &[(&str, &str)],
    caller: &Caller,
    action: &'static str,
) -> Result<Permit, Box<Denial>> {
    let question = Question::new(caller, action, KEY_ARN, UnixTime::from_secs(0));
    let policies =
        Policies { key: &KeyPolicy::parse(key).unwrap(), identity: &attached(identity), grants: &[] };
    decide(&policies, &question)
}

/// Who is enough by itself, who needs whose word, and who gets nothing: every pair of what a key policy and an identity
/// policy can say of five callers.
#[test]
fn what_the_two_sides_decide_together() {
    use Refusal::{AnotherAccount, ExplicitDeny, NotAllowed};
    use Side::{Identity, Resource};

    let allow = says("Allow", r#""kms:Decrypt""#, "*");
    let deny = says("Deny", r#""kms:*""#, "*");
    let silent = says("Allow", r#""kms:Encrypt""#, "*");
    let everyone = key_policy("Allow", r#""*""#);
    let account = key_policy("Allow", r#"{"AWS":"111122223333"}"#);
    let root = key_policy("Allow", &format!(r#"{{"AWS":"{ROOT}"}}"#));
    let other_account = key_policy("Allow", r#"{"AWS":"444455556666"}"#);
    let named = key_policy("Allow", &format!(r#"{{"AWS":["{ALICE}","{STRANGER}","{SESSION}"]}}"#));
    let nobody = key_policy("Allow", r#"{"AWS":"arn:aws:iam::111122223333:user/bob"}"#);
    let denies_account = document(&[
        statement("Allow", ""),
        format!(r#"{{"Effect":"Deny","Principal":{{"AWS":"{ROOT}"}},"Action":"*","Resource":"*"}}"#),
    ]);
    let (none, yes, no, other): (&[&str], &[&str], &[&str], &[&str]) =
        (&[], &[&allow], &[&allow, &deny], &[&silent]);

    type Case<'c> = (&'c str, &'c [&'c str], &'c str, Result<bool, Refusal>);
    // Key policy, the caller's policies, the caller; whether identity policies had a part in the yes, or the no.
    let cases: &[Case<'_>] = &[
        (&everyone, none, "anonymous", Ok(false)),
        (&everyone, none, ALICE, Ok(false)),
        (&everyone, other, ALICE, Ok(false)),
        (&everyone, yes, ALICE, Ok(false)),
        (&everyone, no, ALICE, Err(ExplicitDeny(Identity))),
        (&everyone, none, STRANGER, Err(NotAllowed(Identity))),
        (&everyone, other, STRANGER, Err(NotAllowed(Identity))),
        (&everyone, yes, STRANGER, Ok(true)),
        (&everyone, no, STRANGER, Err(ExplicitDeny(Identity))),
        (&account, none, "anonymous", Err(NotAllowed(Resource))),
        (&account, none, ALICE, Err(NotAllowed(Identity))),
        (&account, other, ALICE, Err(NotAllowed(Identity))),
        (&account, yes, ALICE, Ok(true)),
        (&account, yes, SESSION, Ok(true)),
        (&account, no, ALICE, Err(ExplicitDeny(Identity))),
        (&account, none, ROOT, Ok(false)),
        (&account, yes, STRANGER, Err(NotAllowed(Resource))),
        (&account, yes, OTHER_ROOT, Err(NotAllowed(Resource))),
        (&root, yes, ALICE, Ok(true)),
        (&root, none, ALICE, Err(NotAllowed(Identity))),
        (&root, none, ROOT, Ok(false)),
        (&other_account, yes, STRANGER, Ok(true)),
        (&other_account, none, STRANGER, Err(NotAllowed(Identity))),
        (&other_account, none, OTHER_ROOT, Ok(false)),
        (&other_account, yes, ALICE, Err(NotAllowed(Resource))),
        (&named, none, ALICE, Ok(false)),
        (&named, none, SESSION, Ok(false)),
        (&named, none, STRANGER, Err(NotAllowed(Identity))),
        (&named, yes, STRANGER, Ok(true)),
        (&nobody, yes, ALICE, Err(NotAllowed(Resource))),
        (&nobody, no, ALICE, Err(ExplicitDeny(Identity))),
        (&denies_account, yes, ALICE, Err(ExplicitDeny(Resource))),
        (&denies_account, yes, SESSION, Err(ExplicitDeny(Resource))),
        (&denies_account, yes, STRANGER, Ok(true)),
        (&denies_account, none, "anonymous", Ok(false)),
    ];
    for (key, identity, caller, expected) in cases {
        let named: Vec<(&str, &str)> = ["one", "two"].into_iter().zip(identity.iter().copied()).collect();
        let caller = if *caller == "anonymous" { Caller::Anonymous } else { principal(caller) };
        let decided = both(key, &named, &caller, "kms:Decrypt");
        let found = decided
            .map(|permit| matches!(permit.allowed_by(), AllowedBy::Both { .. }))
            .map_err(|denial| denial.refusal());
        assert_eq!(found, *expected, "{caller}\n{key}\n{identity:?}");
    }

    // Not everything is open to another account, whatever the two sides say.
    let all = says("Allow", r#""*""#, "*");
    let mallory = principal(STRANGER);
    for action in ["kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:CreateAlias", "kms:TagResource"] {
        let denial = both(&everyone, &[("all", &all)], &mallory, action).unwrap_err();
        assert_eq!(denial.refusal(), AnotherAccount, "{action}");
        let text = format!("because the {action} action is not open to callers of another account");
        assert!(denial.to_string().ends_with(&text), "{denial}");
    }
    for action in ["kms:DescribeKey", "kms:ReEncryptFrom", "kms:CreateGrant", "kms:GetKeyRotationStatus"] {
        assert!(both(&everyone, &[("all", &all)], &mallory, action).is_ok(), "{action}");
    }
}

#[test]
fn a_direct_allow_is_found_behind_one_of_the_account() {
    let key = document(&[
        format!(r#"{{"Effect":"Allow","Principal":{{"AWS":"{ROOT}"}},"Action":"*","Resource":"*"}}"#),
        format!(
            r#"{{"Sid":"A","Effect":"Allow","Principal":{{"AWS":"{ALICE}"}},"Action":"*","Resource":"*"}}"#
        ),
    ]);
    let permit = both(&key, &[], &principal(ALICE), "kms:Decrypt").unwrap();
    let statement = StatementRef { index: 1, sid: Some(Arc::from("A")) };
    assert_eq!(permit.allowed_by(), &AllowedBy::Statement(statement));
}

#[test]
fn denials_have_the_words_of_kms_and_reasons_of_both_sides() {
    let asked = format!("User: {ALICE} is not authorized to perform: kms:Decrypt on resource: {KEY_ARN}");
    let account = key_policy("Allow", r#"{"AWS":"111122223333"}"#);
    let denial =
        |identity: &[(&str, &str)]| both(&account, identity, &principal(ALICE), "kms:Decrypt").unwrap_err();
    let left = "the key policy's Statement[0] leaves it to identity policies".to_owned();

    let none = denial(&[]);
    assert_eq!(
        none.to_string(),
        format!("{asked} because no identity-based policy allows the kms:Decrypt action")
    );
    assert_eq!(none.reasons(), [left.clone(), "no identity policy is attached to the caller".to_owned()]);

    let (encrypt, elsewhere) =
        (says("Allow", r#""kms:Encrypt""#, "*"), says("Allow", r#""kms:*""#, "arn:aws:kms:*:*:alias/*"));
    assert_eq!(
        denial(&[("encrypt", &encrypt), ("elsewhere", &elsewhere)]).reasons(),
        [
            left,
            "policy \"encrypt\" Statement[0] (Allow) Action: expected kms:Encrypt, found kms:Decrypt"
                .to_owned(),
            format!(
                "policy \"elsewhere\" Statement[0] (Allow) Resource: expected arn:aws:kms:*:*:alias/*, found {KEY_ARN}"
            ),
        ]
    );

    let stop = says("Deny", r#""kms:D*""#, "*");
    let denied = denial(&[("stop", &stop)]);
    assert_eq!(denied.to_string(), format!("{asked} with an explicit deny in an identity-based policy"));
    assert_eq!(denied.reasons(), ["policy \"stop\" Statement[0] denies"]);

    let permit =
        both(&account, &[("yes", &says("Allow", r#""kms:*""#, "*"))], &principal(ALICE), "kms:Decrypt");
    let permit = permit.unwrap();
    let AllowedBy::Both { key, identity } = permit.allowed_by() else { panic!("{permit:?}") };
    assert_eq!(
        (key.to_string(), identity.to_string()),
        ("Statement[0]".to_owned(), "policy \"yes\" Statement[0]".to_owned())
    );
}

/// A grant takes the place of both sides' word, and of no side's deny.
#[test]
fn a_grant_is_enough_for_whoever_no_policy_denies() {
    let deny = says("Deny", r#""kms:Decrypt""#, "*");
    let silent = key_policy("Allow", r#"{"AWS":"arn:aws:iam::111122223333:user/bob"}"#);
    let everyone = key_policy("Allow", r#""*""#);
    for grantee in [ALICE, STRANGER] {
        let caller = principal(grantee);
        let grant = Arc::new(Grant {
            id: GrantId::from_bytes([7; 32]),
            resource: KEY_ARN.into(),
            name: None,
            terms: GrantTerms {
                grantee: PrincipalArn::parse(grantee).unwrap(),
                retiring: None,
                operations: [GrantOperation::Decrypt].into_iter().collect(),
                constraint: None,
            },
            issuing_account: "111122223333".into(),
            created_at: UnixTime::from_secs(0),
        });
        let decide = |key: &str, identity: &[(&str, &str)], action| {
            let (key, identity) = (KeyPolicy::parse(key).unwrap(), attached(identity));
            let policies = Policies { key: &key, identity: &identity, grants: &[Arc::clone(&grant)] };
            let permit = decide(&policies, &Question::new(&caller, action, KEY_ARN, UnixTime::from_secs(0)));
            permit.map(|permit| permit.allowed_by().clone()).map_err(|denial| denial.refusal())
        };
        assert_eq!(decide(&silent, &[], "kms:Decrypt"), Ok(AllowedBy::Grant(grant.id)));
        let denied = Err(Refusal::ExplicitDeny(Side::Identity));
        assert_eq!(decide(&silent, &[("deny", &deny)], "kms:Decrypt"), denied);
        assert_eq!(decide(&everyone, &[("deny", &deny)], "kms:Decrypt"), denied);
        assert_eq!(decide(&silent, &[], "kms:Encrypt"), Err(Refusal::NotAllowed(Side::Resource)));
        if grantee == STRANGER {
            assert_eq!(decide(&everyone, &[], "kms:Decrypt"), Ok(AllowedBy::Grant(grant.id)));
            assert_eq!(decide(&everyone, &[], "kms:Encrypt"), Err(Refusal::NotAllowed(Side::Identity)));
            assert_eq!(decide(&everyone, &[], "kms:DisableKey"), Err(Refusal::AnotherAccount));
        }
    }
}

#[test]
fn what_belongs_to_no_key_is_for_identity_policies_alone() {
    let by_identity = |caller: &Caller, identity: &[(&str, &str)]| {
        let question = Question {
            resource_account: "111122223333",
            ..Question::new(caller, "kms:ListKeys", "*", UnixTime::from_secs(0))
        };
        let statement = decide_by_identity(&attached(identity), &question);
        statement.map(|statement| statement.is_some()).map_err(|denial| denial.to_string())
    };
    let (all, one_key) = (says("Allow", r#""kms:List*""#, "*"), says("Allow", r#""kms:*""#, KEY_ARN));
    let deny = says("Deny", r#""*""#, "*");
    assert_eq!(by_identity(&principal(ALICE), &[("all", &all)]), Ok(true));
    assert_eq!(by_identity(&principal(ROOT), &[]), Ok(false));
    let refused = |caller: &str, why: &str| {
        Err(format!("User: {caller} is not authorized to perform: kms:ListKeys on resource: * {why}"))
    };
    let not_allowed = "because no identity-based policy allows the kms:ListKeys action";
    assert_eq!(by_identity(&principal(ALICE), &[]), refused(ALICE, not_allowed));
    assert_eq!(by_identity(&principal(ALICE), &[("key", &one_key)]), refused(ALICE, not_allowed));
    assert_eq!(by_identity(&Caller::Anonymous, &[]), refused("anonymous", not_allowed));
    let denied = refused(ALICE, "with an explicit deny in an identity-based policy");
    assert_eq!(by_identity(&principal(ALICE), &[("all", &all), ("deny", &deny)]), denied);
    let foreign = "because the kms:ListKeys action is not open to callers of another account";
    assert_eq!(by_identity(&principal(STRANGER), &[("all", &all)]), refused(STRANGER, foreign));
    assert_eq!(by_identity(&principal(OTHER_ROOT), &[]), refused(OTHER_ROOT, foreign));

    let (alice, action) = (principal(ALICE), "kms:GenerateRandom");
    let question = Question::new(&alice, action, "*", UnixTime::from_secs(0));
    assert!(decide_unless_denied(&attached(&[]), &question).is_ok());
    assert!(decide_unless_denied(&attached(&[("all", &all)]), &question).is_ok());
    let denial = decide_unless_denied(&attached(&[("deny", &deny)]), &question).unwrap_err();
    assert_eq!(denial.refusal(), Refusal::ExplicitDeny(Side::Identity));
}

/// Policies that were made for AWS: what they say of other services is taken and means nothing here.
#[test]
fn statements_about_other_services_never_apply() {
    for (statement, expected) in [
        (r#""Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*""#, false),
        (
            r#""Action":["s3:*","ec2:Describe*"],"Resource":["bucket","*"],"Condition":{"NumericLessThan":{"s3:max-keys":"10"}}"#,
            false,
        ),
        (
            r#""Action":["s3:*","kms:Decrypt"],"Resource":["arn:aws:s3:::bucket","arn:aws:kms:*:*:key/*"]"#,
            true,
        ),
        (r#""Action":["s3:*","kms:Decrypt"],"Resource":"arn:aws:s3:::bucket""#, false),
        (r#""Action":"*","Resource":"*""#, true),
        (r#""Action":"*","Resource":"arn:aws:s3:::bucket""#, false),
        (r#""NotAction":["iam:*","organizations:*"],"Resource":"*""#, true),
        (r#""NotAction":["iam:*","kms:De*"],"Resource":"*""#, false),
        (r#""NotAction":"s3:*","NotResource":"arn:aws:s3:::bucket""#, true),
    ] {
        for effect in ["Allow", "Deny"] {
            let policy = document(&[format!(r#"{{"Effect":"{effect}",{statement}}}"#)]);
            let question = Question::new(&Caller::Anonymous, "kms:Decrypt", KEY_ARN, UnixTime::from_secs(0));
            let policies = attached(&[("one", &policy)]);
            let applies = match decide_unless_denied(&policies, &question) {
                Err(_) => effect == "Deny",
                Ok(()) => decide_by_identity(&policies, &question).is_ok(),
            };
            assert_eq!(applies, expected, "{policy}");
        }
    }
}

#[test]
fn refused_identity_policies() {
    let refusal = |text: &str| IdentityPolicy::parse(text).expect_err(text);
    let of = |statement: &str| document(&[statement.to_owned()]);
    let at = |path: &str, problem| PolicyError { path: path.to_owned(), problem };
    let unknown = |actual: &str| Problem::UnknownAction { actual: actual.to_owned() };
    let arn = "\"*\" or a KMS ARN such as arn:aws:kms:eu-central-1:111122223333:key/…";
    let value = |actual: &str| Problem::Value { expected: arn, actual: actual.to_owned() };
    for (statement, path, problem) in [
        (
            r#"{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}"#,
            "Statement[0].Principal",
            Problem::PrincipalInIdentityPolicy,
        ),
        (
            r#"{"Effect":"Deny","NotPrincipal":{"AWS":"111122223333"},"Action":"kms:*","Resource":"*"}"#,
            "Statement[0].NotPrincipal",
            Problem::PrincipalInIdentityPolicy,
        ),
        (
            r#"{"Effect":"Allow","Action":"kms:*"}"#,
            "Statement[0]",
            Problem::MissingElement { name: "Resource or NotResource" },
        ),
        (
            r#"{"Effect":"Allow","Action":"s3:*"}"#,
            "Statement[0]",
            Problem::MissingElement { name: "Resource or NotResource" },
        ),
        (
            r#"{"Effect":"Allow","Action":["s3:*","kms:Decyrpt"],"Resource":"*"}"#,
            "Statement[0].Action[1]",
            unknown("kms:Decyrpt"),
        ),
        (
            r#"{"Effect":"Allow","Action":"Decrypt","Resource":"*"}"#,
            "Statement[0].Action",
            unknown("Decrypt"),
        ),
        (r#"{"Effect":"Allow","Action":"*:*","Resource":"*"}"#, "Statement[0].Action", unknown("*:*")),
        (
            r#"{"Effect":"Allow","Action":"kms:Decrypt","Resource":"arn:aws:s3:::bucket"}"#,
            "Statement[0].Resource",
            value("arn:aws:s3:::bucket"),
        ),
        (r#"{"Effect":"Allow","Action":"*","Resource":"bucket"}"#, "Statement[0].Resource", value("bucket")),
        (
            r#"{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":[]}"#,
            "Statement[0].Condition",
            Problem::WrongType { expected: "an object", actual: "an array" },
        ),
        (
            r#"{"Effect":"Allow","Action":["s3:*","kms:*"],"Resource":"*","Condition":{"Null":{"s3:prefix":"true"}}}"#,
            "Statement[0].Condition.Null.s3:prefix",
            Problem::UnknownConditionKey { key: "s3:prefix".to_owned() },
        ),
    ] {
        assert_eq!(refusal(&of(statement)), at(path, problem), "{statement}");
    }

    let good = says("Allow", r#""kms:*""#, "*");
    let count = good.chars().filter(|character| !character.is_whitespace()).count();
    let padded =
        |characters: usize| good.replacen('{', &format!(r#"{{"Id":"{}","#, "é".repeat(characters)), 1);
    let limit = MAX_IDENTITY_POLICY_CHARACTERS - count - r#""Id":"","#.len();
    assert_eq!(IdentityPolicy::parse(&padded(limit)).unwrap().text(), padded(limit));
    let characters = MAX_IDENTITY_POLICY_CHARACTERS + 1;
    assert_eq!(refusal(&padded(limit + 1)), at("", Problem::TooManyCharacters { characters }));
    let spaced = |bytes: usize| format!("{good}{}", " ".repeat(bytes - good.len()));
    assert!(IdentityPolicy::parse(&spaced(MAX_IDENTITY_POLICY_BYTES)).is_ok(), "white space counts not");
    assert_eq!(
        refusal(&spaced(MAX_IDENTITY_POLICY_BYTES + 1)),
        at("", Problem::TooLarge { bytes: MAX_IDENTITY_POLICY_BYTES + 1, limit: MAX_IDENTITY_POLICY_BYTES })
    );
}

#[test]
fn policy_names() {
    for good in ["a", "Admin+=,.@-_9", &"a".repeat(128)] {
        assert_eq!(PolicyName::parse(good).unwrap().as_str(), good);
    }
    for bad in ["", "a b", "a/b", "é", &"a".repeat(129)] {
        assert!(PolicyName::parse(bad).is_err(), "{bad}");
    }
}
