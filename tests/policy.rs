//! The key-policy engine: what it allows, what it denies and why, and what it refuses to take.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use nitro_key_broker::policy::{
    Caller, ConditionKey, ContextValue, ContextValues, Effect, EvaluationError, InvalidPrincipalArn,
    KeyPolicy, MAX_POLICY_BYTES, PolicyError, PolicyRequest, PrincipalArn, Problem, Reason, RequestContext,
    StatementRef, Verdict,
};
use nitro_key_broker::time::UnixTime;
use proptest::prelude::*;

const KEY_ARN: &str = "arn:aws:kms:eu-central-1:111122223333:key/0f9d7a0c-6d5e-4c0a-9b1e-2f3a4b5c6d7e";
const PCR0: &str =
    "ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01";
const OTHER_PCR0: &str =
    "bb01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01";
const UNRELATED_PCR0: &str =
    "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd";

/// A request's context as a table.
#[derive(Clone, Debug, Default)]
struct Context(HashMap<ConditionKey, ContextValues<'static>>);

impl Context {
    fn with(mut self, key: &str, values: ContextValues<'static>) -> Self {
        self.0.insert(ConditionKey::parse(key).expect(key), values);
        self
    }

    fn with_text(self, key: &str, text: &'static str) -> Self {
        self.with(key, ContextValues::text(text))
    }
}

impl RequestContext for Context {
    fn values(&self, key: &ConditionKey) -> ContextValues<'_> {
        self.0.get(key).cloned().unwrap_or(ContextValues::Absent)
    }
}

fn principal(arn: &str) -> Caller {
    Caller::Principal { arn: PrincipalArn::parse(arn).unwrap() }
}

fn ask(policy: &str, caller: &Caller, action: &str, context: &Context) -> Verdict {
    let policy = KeyPolicy::parse(policy).unwrap_or_else(|error| panic!("{error}\n{policy}"));
    policy.evaluate(&PolicyRequest { caller, action, resource: KEY_ARN, context })
}

/// One statement for everyone and everything, with `extra` members in front.
fn statement(effect: &str, extra: &str) -> String {
    format!(r#"{{{extra}"Effect":"{effect}","Principal":"*","Action":"kms:*","Resource":"*"}}"#)
}

fn document(statements: &[String]) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","))
}

fn condition(operator: &str, key: &str, values: &str) -> String {
    format!(r#""Condition":{{"{operator}":{{"{key}":{values}}}}},"#)
}

/// Whether a condition holds, seen both through an Allow and through a Deny.
fn holds(operator: &str, key: &str, values: &str, context: &Context) -> bool {
    holds_for(&principal("arn:aws:iam::111122223333:user/alice"), operator, key, values, context)
}

fn holds_for(caller: &Caller, operator: &str, key: &str, values: &str, context: &Context) -> bool {
    let condition = condition(operator, key, values);
    let allow = document(&[statement("Allow", &condition)]);
    let allows = ask(&allow, caller, "kms:Decrypt", context).is_allowed();
    let deny = document(&[statement("Allow", ""), statement("Deny", &condition)]);
    let denies = match ask(&deny, caller, "kms:Decrypt", context) {
        Verdict::ExplicitlyDenied { statement } => statement.index == 1,
        Verdict::Allowed { .. } => false,
        other => panic!("{other:?}"),
    };
    assert_eq!(allows, denies, "an Allow and a Deny see the same condition: {operator} {key} {values}");
    allows
}

const CONTEXT: &str = "kms:EncryptionContext:App";
const KEYS: &str = "kms:EncryptionContextKeys";

#[test]
fn each_operator_on_a_present_value() {
    let text = |value| Context::default().with_text(CONTEXT, value);
    // Operator, policy values, request value, whether the positive form matches.
    let strings = [
        ("StringEquals", r#""wallet""#, "wallet", true),
        ("StringEquals", r#""wallet""#, "Wallet", false),
        ("StringEquals", r#""w*""#, "wallet", false),
        ("StringEquals", r#"["a","wallet"]"#, "wallet", true),
        ("StringEquals", r#"["a","b"]"#, "wallet", false),
        ("StringEqualsIgnoreCase", r#""WALLET""#, "wallet", true),
        ("StringEqualsIgnoreCase", r#""wallets""#, "wallet", false),
        ("StringLike", r#""w?ll*""#, "wallet", true),
        ("StringLike", r#""W*""#, "wallet", false),
        ("StringLike", r#"["x*","*t"]"#, "wallet", true),
        ("ArnEquals", r#""arn:aws:s3:::bucket/*""#, "arn:aws:s3:::bucket/a:b", true),
        ("ArnEquals", r#""arn:aws:s3:*::other/*""#, "arn:aws:s3:::bucket/a", false),
        ("ArnLike", r#""arn:aws:s3:::buck?t/*""#, "arn:aws:s3:::bucket/", true),
        ("ArnLike", r#""arn:aws:s3:::bucket/*""#, "arn:aws:s3::1:bucket/a", false),
        ("ArnLike", r#""arn:*:*:*:*:*""#, "bucket", false),
    ];
    for (operator, values, value, expected) in strings {
        let negated = operator.replacen("String", "StringNot", 1).replacen("Arn", "ArnNot", 1);
        for (operator, expected) in [(operator.to_owned(), expected), (negated, !expected)] {
            for set in ["", "ForAllValues:", "ForAnyValue:"] {
                for suffix in ["", "IfExists"] {
                    let operator = format!("{set}{operator}{suffix}");
                    assert_eq!(
                        holds(&operator, CONTEXT, values, &text(value)),
                        expected,
                        "{operator} {values} {value}"
                    );
                }
            }
        }
    }
}

#[test]
fn booleans_dates_addresses_and_callers() {
    let context = Context::default()
        .with("aws:SecureTransport", ContextValues::One(ContextValue::Flag(true)))
        .with(
            "aws:CurrentTime",
            ContextValues::One(ContextValue::Time(
                UnixTime::parse_rfc3339("2026-01-03T20:41:07.9Z").unwrap(),
            )),
        )
        .with("aws:SourceIp", ContextValues::One(ContextValue::Address("203.0.113.9".parse().unwrap())))
        .with_text(CONTEXT, "TRUE");
    for (operator, key, values, expected) in [
        ("Bool", "aws:SecureTransport", r#""true""#, true),
        ("Bool", "aws:SecureTransport", "true", true),
        ("Bool", "AWS:securetransport", "false", false),
        ("Bool", "aws:SecureTransport", "[true,false]", true),
        ("Bool", CONTEXT, "true", true),
        ("Bool", CONTEXT, "false", false),
        ("StringEquals", "aws:SecureTransport", r#""true""#, true),
        ("DateEquals", "aws:CurrentTime", r#""2026-01-03T20:41:07Z""#, true),
        ("DateNotEquals", "aws:CurrentTime", r#""2026-01-03T20:41:07Z""#, false),
        ("DateLessThan", "aws:CurrentTime", r#""2026-01-03T20:41:07Z""#, false),
        ("DateLessThan", "aws:CurrentTime", r#""2026-01-03T20:41:08Z""#, true),
        ("DateLessThanEquals", "aws:CurrentTime", r#""2026-01-03T21:41:07+01:00""#, true),
        ("DateGreaterThan", "aws:CurrentTime", r#""2026-01-03""#, true),
        ("DateGreaterThan", "aws:CurrentTime", r#""2026-01-03T20:41:07Z""#, false),
        ("DateGreaterThanEquals", "aws:CurrentTime", r#""1767472867""#, true),
        ("DateGreaterThanEquals", "aws:CurrentTime", r#""1767472868""#, false),
        ("StringLike", "aws:CurrentTime", r#""2026-01-*:07Z""#, true),
        ("IpAddress", "aws:SourceIp", r#"["10.0.0.0/8","203.0.113.0/24"]"#, true),
        ("IpAddress", "aws:SourceIp", r#""203.0.113.10""#, false),
        ("NotIpAddress", "aws:SourceIp", r#""10.0.0.0/8""#, true),
        ("NotIpAddress", "aws:SourceIp", r#"["10.0.0.0/8","203.0.113.0/24"]"#, false),
        ("StringEquals", "kms:CallerAccount", r#""111122223333""#, true),
        ("StringEquals", "kms:CallerAccount", r#""444455556666""#, false),
        ("ArnLike", "aws:PrincipalArn", r#""arn:aws:iam::111122223333:user/*""#, true),
        ("StringEquals", "aws:PrincipalArn", r#""arn:aws:iam::111122223333:user/bob""#, false),
    ] {
        assert_eq!(holds(operator, key, values, &context), expected, "{operator} {key} {values}");
    }
    let session = principal("arn:aws:sts::111122223333:assumed-role/worker/one");
    let role = r#""arn:aws:iam::111122223333:role/worker""#;
    assert!(holds_for(&session, "ArnEquals", "aws:PrincipalArn", role, &context));
    assert!(!holds_for(&Caller::Anonymous, "ArnLike", "aws:PrincipalArn", r#""arn:*:*:*:*:*""#, &context));
    assert!(holds_for(&Caller::Anonymous, "Null", "kms:CallerAccount", "true", &context));
}

/// Without the key: a positive operator is false and a negated one true; `IfExists` and `ForAllValues:` are true and
/// `ForAnyValue:` is false for both.
#[test]
fn each_operator_on_an_absent_value() {
    let operators = [
        ("StringEquals", CONTEXT, r#""a""#, false),
        ("StringNotEquals", CONTEXT, r#""a""#, true),
        ("StringEqualsIgnoreCase", CONTEXT, r#""a""#, false),
        ("StringNotEqualsIgnoreCase", CONTEXT, r#""a""#, true),
        ("StringLike", CONTEXT, r#""*""#, false),
        ("StringNotLike", CONTEXT, r#""*""#, true),
        ("ArnEquals", CONTEXT, r#""arn:*:*:*:*:*""#, false),
        ("ArnNotEquals", CONTEXT, r#""arn:*:*:*:*:*""#, true),
        ("ArnLike", CONTEXT, r#""arn:*:*:*:*:*""#, false),
        ("ArnNotLike", CONTEXT, r#""arn:*:*:*:*:*""#, true),
        ("Bool", "aws:SecureTransport", "[true,false]", false),
        ("DateEquals", "aws:CurrentTime", r#""2026-01-03""#, false),
        ("DateNotEquals", "aws:CurrentTime", r#""2026-01-03""#, true),
        ("DateLessThan", "aws:CurrentTime", r#""2026-01-03""#, false),
        ("DateLessThanEquals", "aws:CurrentTime", r#""2026-01-03""#, false),
        ("DateGreaterThan", "aws:CurrentTime", r#""2026-01-03""#, false),
        ("DateGreaterThanEquals", "aws:CurrentTime", r#""2026-01-03""#, false),
        ("IpAddress", "aws:SourceIp", r#""0.0.0.0/0""#, false),
        ("NotIpAddress", "aws:SourceIp", r#""0.0.0.0/0""#, true),
    ];
    let absent = Context::default();
    for (operator, key, values, expected) in operators {
        assert_eq!(holds(operator, key, values, &absent), expected, "{operator}");
        for (operator, expected) in [
            (format!("{operator}IfExists"), true),
            (format!("ForAllValues:{operator}"), true),
            (format!("ForAllValues:{operator}IfExists"), true),
            (format!("ForAnyValue:{operator}"), false),
            (format!("ForAnyValue:{operator}IfExists"), true),
        ] {
            assert_eq!(holds(&operator, key, values, &absent), expected, "{operator}");
        }
    }
    assert!(holds("Null", CONTEXT, r#""true""#, &absent));
    assert!(!holds("Null", CONTEXT, "false", &absent));
    assert!(holds("Null", CONTEXT, "[true,false]", &absent));
    let present = absent.with_text(CONTEXT, "");
    assert!(!holds("Null", CONTEXT, "true", &present));
    assert!(holds("Null", CONTEXT, r#""False""#, &present));
}

#[test]
fn set_qualifiers_over_several_values() {
    for (held, operator, values, expected) in [
        (&["a", "b"][..], "ForAllValues:StringEquals", r#"["a","b","c"]"#, true),
        (&["a", "d"], "ForAllValues:StringEquals", r#"["a","b","c"]"#, false),
        (&["a", "d"], "ForAnyValue:StringEquals", r#"["a","b","c"]"#, true),
        (&["d", "e"], "ForAnyValue:StringEquals", r#"["a","b","c"]"#, false),
        (&["d", "e"], "ForAllValues:StringNotEquals", r#"["a","b"]"#, true),
        (&["a", "e"], "ForAllValues:StringNotEquals", r#"["a","b"]"#, false),
        (&["a", "e"], "ForAnyValue:StringNotEquals", r#"["a","b"]"#, true),
        (&["a", "b"], "ForAnyValue:StringNotEquals", r#"["a","b"]"#, false),
        (&["App", "app"], "ForAllValues:StringEqualsIgnoreCase", r#""APP""#, true),
        (&["AppName", "Stage"], "ForAnyValue:StringLike", r#""App*""#, true),
        (&["AppName", "Stage"], "ForAllValues:StringLike", r#""App*""#, false),
        (&["AppName", "Stage"], "ForAnyValue:StringNotLike", r#""App*""#, true),
        (&["AppName", "Stage"], "ForAllValues:StringNotLikeIfExists", r#""App*""#, false),
        (&["a"], "Null", "false", true),
        // An empty list counts as absent.
        (&[], "ForAllValues:StringEquals", r#""a""#, true),
        (&[], "ForAnyValue:StringEquals", r#""a""#, false),
        (&[], "ForAnyValue:StringEqualsIfExists", r#""a""#, true),
        (&[], "Null", "true", true),
    ] {
        let context = Context::default().with(KEYS, ContextValues::texts(held.iter().copied()));
        assert_eq!(holds(operator, KEYS, values, &context), expected, "{held:?} {operator} {values}");
    }
}

#[test]
fn attested_pcrs_decide() {
    let attested = Context::default()
        .with_text("kms:RecipientAttestation:PCR0", PCR0)
        .with_text("kms:RecipientAttestation:ImageSha384", PCR0);
    let quoted = |value: &str| format!("{value:?}");
    for key in [
        "kms:RecipientAttestation:PCR0",
        "kms:recipientattestation:pcr0",
        "kms:RecipientAttestation:ImageSha384",
    ] {
        assert!(holds("StringEquals", key, &quoted(PCR0), &attested));
        assert!(holds("StringEqualsIgnoreCase", key, &quoted(&PCR0.to_uppercase()), &attested));
        assert!(holds("StringLike", key, r#""ab*""#, &attested));
        assert!(!holds("StringEqualsIgnoreCase", key, &quoted(OTHER_PCR0), &attested));
        assert!(
            holds("StringEquals", key, &format!("[{OTHER_PCR0:?},{PCR0:?}]"), &attested),
            "a rollout names two images"
        );
        assert!(!holds("StringNotEquals", key, &format!("[{OTHER_PCR0:?},{PCR0:?}]"), &attested));
    }
    assert!(!holds("StringEquals", "kms:RecipientAttestation:PCR1", &quoted(PCR0), &attested));

    let unattested = Context::default();
    assert!(!holds("StringEqualsIgnoreCase", "kms:RecipientAttestation:PCR0", &quoted(PCR0), &unattested));
    assert!(holds("StringNotEquals", "kms:RecipientAttestation:PCR0", &quoted(PCR0), &unattested));
    assert!(holds("Null", "kms:RecipientAttestation:PCR0", "true", &unattested));
}

#[test]
fn several_operators_and_keys_must_all_hold() {
    let policy = document(&[statement(
        "Allow",
        r#""Condition":{
            "StringEquals":{"kms:EncryptionContext:App":"wallet","kms:EncryptionContext:Stage":"prod"},
            "Null":{"kms:RequestAlias":"true"}},"#,
    )]);
    let whole =
        Context::default().with_text(CONTEXT, "wallet").with_text("kms:EncryptionContext:Stage", "prod");
    let ask = |context: &Context| ask(&policy, &Caller::Anonymous, "kms:Decrypt", context).is_allowed();
    assert!(ask(&whole));
    assert!(!ask(&whole.clone().with_text("kms:EncryptionContext:Stage", "test")));
    assert!(!ask(&whole.clone().with_text("kms:RequestAlias", "alias/a")));
    assert!(!ask(&Context::default()
        .with_text(CONTEXT, "wallet")
        .with_text("kms:EncryptionContext:stage", "prod")));
}

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
    let literal = Context::default().with_text(CONTEXT, "${aws:username}");
    assert!(
        ask(text, &Caller::Anonymous, "kms:Decrypt", &literal).is_allowed(),
        "no variables before 2012-10-17"
    );
}

/// Refusals at a place inside one otherwise good statement: its replaced or added members, the path, the problem.
#[test]
fn refused_statements() {
    let base =
        [("Effect", r#""Allow""#), ("Principal", r#""*""#), ("Action", r#""kms:*""#), ("Resource", r#""*""#)];
    let value = |expected, actual: &str| Problem::Value { expected, actual: actual.to_owned() };
    let wrong_type = |expected, actual| Problem::WrongType { expected, actual };
    let strings = "a string or an array of strings";
    let arn = "\"*\" or a KMS ARN such as arn:aws:kms:eu-central-1:111122223333:key/…";
    let empty = |what| Problem::Empty { what };
    let unknown_action = |actual: &str| Problem::UnknownAction { actual: actual.to_owned() };
    let wildcard = |actual: &str| Problem::PrincipalWildcard { actual: actual.to_owned() };
    let service = |kind: &str| Problem::UnsupportedPrincipalType { kind: kind.to_owned() };
    let unknown = |name: &str| Problem::UnknownElement { name: name.to_owned() };
    let variable = |actual: &str| Problem::PolicyVariable { actual: actual.to_owned() };
    let never = || Problem::NeverApplies;
    let missing = |name| Problem::MissingElement { name };
    let both = |first, second| Problem::ConflictingElements { first, second };
    let group = "arn:aws:iam::111122223333:group/admins";
    let invalid_principal = |expected, actual: &str| {
        Problem::InvalidPrincipal(InvalidPrincipalArn { expected, actual: actual.to_owned() })
    };
    let principal_forms =
        "iam root, user/NAME or role/NAME, or sts assumed-role/ROLE/SESSION or federated-user/NAME";

    type Case = (&'static [(&'static str, &'static str)], &'static str, Problem);
    let cases: Vec<Case> = vec![
        (&[("Effect", r#""allow""#)], ".Effect", value("\"Allow\" or \"Deny\"", "allow")),
        (&[("Effect", "true")], ".Effect", wrong_type("a string", "a boolean")),
        (&[("Effect", "")], "", missing("Effect")),
        (&[("Sid", "1")], ".Sid", wrong_type("a string", "a number")),
        (&[("Comment", r#""x""#)], "", unknown("Comment")),
        (&[("effect", r#""Allow""#)], "", unknown("effect")),
        (&[("Principal", "")], "", missing("Principal or NotPrincipal")),
        (&[("Principal", "null")], ".Principal", wrong_type("an object", "null")),
        (&[("Principal", "{}")], ".Principal", empty("object")),
        (&[("Principal", r#"{"AWS":[]}"#)], ".Principal.AWS", empty("array")),
        (&[("Principal", r#"{"AWS":{}}"#)], ".Principal.AWS", wrong_type(strings, "an object")),
        (&[("Principal", r#"{"AWS":["*",7]}"#)], ".Principal.AWS[1]", wrong_type("a string", "a number")),
        (
            &[("Principal", r#""111122223333""#)],
            ".Principal",
            value(
                "\"*\" or an object such as {\"AWS\": \"arn:aws:iam::111122223333:role/NAME\"}",
                "111122223333",
            ),
        ),
        (&[("Principal", r#"{"Service":"ec2.amazonaws.com"}"#)], ".Principal.Service", service("Service")),
        (&[("Principal", r#"{"AWS":"*","Federated":"x"}"#)], ".Principal.Federated", service("Federated")),
        (&[("Principal", r#"{"CanonicalUser":"x"}"#)], ".Principal.CanonicalUser", service("CanonicalUser")),
        (&[("Principal", r#"{"aws":"*"}"#)], ".Principal.aws", unknown("aws")),
        (
            &[("Principal", r#"{"AWS":"arn:aws:iam::111122223333:role/*"}"#)],
            ".Principal.AWS",
            wildcard("arn:aws:iam::111122223333:role/*"),
        ),
        (&[("Principal", r#"{"AWS":"11112222333?"}"#)], ".Principal.AWS", wildcard("11112222333?")),
        (
            &[("Principal", r#"{"AWS":"arn:aws:iam::111122223333:group/admins"}"#)],
            ".Principal.AWS",
            invalid_principal(principal_forms, group),
        ),
        (
            &[("Principal", r#"{"AWS":"11112222333"}"#)],
            ".Principal.AWS",
            invalid_principal("an ARN of six segments separated by colons", "11112222333"),
        ),
        (&[("NotPrincipal", r#"{"AWS":"111122223333"}"#)], "", both("Principal", "NotPrincipal")),
        (
            &[("Principal", ""), ("NotPrincipal", r#"{"AWS":"111122223333"}"#)],
            ".NotPrincipal",
            Problem::NotPrincipalWithAllow,
        ),
        (
            &[("Effect", r#""Deny""#), ("Principal", ""), ("NotPrincipal", r#"{"AWS":"*"}"#)],
            ".NotPrincipal",
            never(),
        ),
        (&[("Action", "")], "", missing("Action or NotAction")),
        (&[("Action", "[]")], ".Action", empty("array")),
        (&[("Action", "{}")], ".Action", wrong_type(strings, "an object")),
        (&[("Action", r#"["kms:Decrypt","s3:GetObject"]"#)], ".Action[1]", unknown_action("s3:GetObject")),
        (&[("Action", r#""kms:Decyrpt""#)], ".Action", unknown_action("kms:Decyrpt")),
        (&[("Action", r#""kms:""#)], ".Action", unknown_action("kms:")),
        (&[("Action", r#""""#)], ".Action", unknown_action("")),
        (&[("NotAction", r#""kms:Sign""#)], "", both("Action", "NotAction")),
        (&[("Action", ""), ("NotAction", r#""kms:*""#)], ".NotAction", never()),
        (&[("Resource", "")], "", missing("Resource or NotResource")),
        (&[("Resource", "[]")], ".Resource", empty("array")),
        (&[("Resource", r#""arn:aws:s3:::bucket""#)], ".Resource", value(arn, "arn:aws:s3:::bucket")),
        (&[("Resource", r#""arn:aws:kms:*""#)], ".Resource", value(arn, "arn:aws:kms:*")),
        (
            &[("Resource", r#""arn:aws:kms:*:*:key/${aws:userid}""#)],
            ".Resource",
            variable("arn:aws:kms:*:*:key/${aws:userid}"),
        ),
        (&[("NotResource", r#""arn:aws:kms:*:*:key/a""#)], "", both("Resource", "NotResource")),
        (&[("Resource", ""), ("NotResource", r#"["*"]"#)], ".NotResource", never()),
        (&[("Condition", "{}")], ".Condition", empty("object")),
        (&[("Condition", "[]")], ".Condition", wrong_type("an object", "an array")),
        (&[("Condition", r#"{"StringEquals":{}}"#)], ".Condition.StringEquals", empty("object")),
        (
            &[("Condition", r#"{"StringEquals":"a"}"#)],
            ".Condition.StringEquals",
            wrong_type("an object", "a string"),
        ),
    ];
    for (members, path, problem) in cases {
        let mut written: Vec<(&str, &str)> = base.to_vec();
        for (name, value) in members {
            written.retain(|(other, _)| other != name);
            written.push((name, value));
        }
        let members: Vec<String> = written
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name:?}:{value}"))
            .collect();
        let policy = document(&[statement("Allow", ""), format!("{{{}}}", members.join(","))]);
        assert_eq!(
            refusal(&policy),
            PolicyError { path: format!("Statement[1]{path}"), problem },
            "{policy}"
        );
    }
}

/// Refusals inside a condition: operator, key, values, the path below `Condition`, the problem.
#[test]
fn refused_conditions() {
    const PCR: &str = "kms:RecipientAttestation:PCR0";
    let unknown_operator = |operator: &str| Problem::UnknownOperator { operator: operator.to_owned() };
    let unknown_key = |key: &str| Problem::UnknownConditionKey { key: key.to_owned() };
    let never = |expected, actual: &str| Problem::ConditionValue { expected, actual: actual.to_owned() };
    let other_type = |operator: &str, key: &str, key_type| Problem::OperatorForOtherType {
        operator: operator.to_owned(),
        key: key.to_owned(),
        key_type,
    };
    let strings = "a string or an array of strings";
    let booleans = "a boolean, a string or an array of them";
    let wrong_type = |expected, actual| Problem::WrongType { expected, actual };
    let pcr_length = "96 hexadecimal digits (64 and 128 for other digests)";
    let upper = PCR0.to_uppercase();
    let hex_prefix = format!("0x{PCR0}");
    let sha_256 = "ab".repeat(32);
    let quoted = |text: &str| format!("{text:?}");
    let date = "a date such as 2026-01-03, 2026-01-03T20:41:07Z or seconds since 1970";

    let cases: Vec<(&str, &str, String, String, Problem)> = vec![
        ("StringEqual", PCR, quoted(PCR0), "StringEqual".into(), unknown_operator("StringEqual")),
        ("stringEquals", PCR, quoted(PCR0), "stringEquals".into(), unknown_operator("stringEquals")),
        ("NumericEquals", PCR, quoted("1"), "NumericEquals".into(), unknown_operator("NumericEquals")),
        ("BinaryEquals", PCR, quoted("QQ=="), "BinaryEquals".into(), unknown_operator("BinaryEquals")),
        ("NullIfExists", PCR, quoted("true"), "NullIfExists".into(), unknown_operator("NullIfExists")),
        (
            "ForAnyValue:Null",
            KEYS,
            quoted("true"),
            "ForAnyValue:Null".into(),
            unknown_operator("ForAnyValue:Null"),
        ),
        (
            "StringEquals",
            "aws:SourceVpc",
            quoted("a"),
            "StringEquals.aws:SourceVpc".into(),
            unknown_key("aws:SourceVpc"),
        ),
        (
            "StringEquals",
            "kms:RecipientAttestation:PCR32",
            quoted(PCR0),
            "StringEquals.kms:RecipientAttestation:PCR32".into(),
            unknown_key("kms:RecipientAttestation:PCR32"),
        ),
        (
            "StringEquals",
            "kms:RecipientAttestation:PCR00",
            quoted(PCR0),
            "StringEquals.kms:RecipientAttestation:PCR00".into(),
            unknown_key("kms:RecipientAttestation:PCR00"),
        ),
        ("StringEquals", "no.key", quoted("a"), "StringEquals[\"no.key\"]".into(), unknown_key("no.key")),
        ("StringEquals", PCR, "[]".into(), format!("StringEquals.{PCR}"), Problem::Empty { what: "array" }),
        ("StringEquals", PCR, "null".into(), format!("StringEquals.{PCR}"), wrong_type(strings, "null")),
        (
            "StringEquals",
            CONTEXT,
            "[\"a\",1]".into(),
            format!("StringEquals.{CONTEXT}[1]"),
            wrong_type(strings, "a number"),
        ),
        (
            "StringEquals",
            CONTEXT,
            "true".into(),
            format!("StringEquals.{CONTEXT}"),
            wrong_type(strings, "a boolean"),
        ),
        (
            "StringEquals",
            CONTEXT,
            "[[\"a\"]]".into(),
            format!("StringEquals.{CONTEXT}[0]"),
            wrong_type(strings, "an array"),
        ),
        (
            "Bool",
            "aws:SecureTransport",
            "1".into(),
            "Bool.aws:SecureTransport".into(),
            wrong_type(booleans, "a number"),
        ),
        (
            "Bool",
            "aws:SecureTransport",
            quoted("maybe"),
            "Bool.aws:SecureTransport".into(),
            never("true or false", "maybe"),
        ),
        ("Null", PCR, quoted("yes"), format!("Null.{PCR}"), never("true (absent) or false (present)", "yes")),
        ("Bool", PCR, quoted("true"), format!("Bool.{PCR}"), other_type("Bool", PCR, "a string")),
        (
            "ArnLikeIfExists",
            "kms:KeySpec",
            quoted("arn:*:*:*:*:*"),
            "ArnLikeIfExists.kms:KeySpec".into(),
            other_type("ArnLikeIfExists", "kms:KeySpec", "a string"),
        ),
        (
            "DateLessThan",
            "aws:SourceIp",
            quoted("2026-01-03"),
            "DateLessThan.aws:SourceIp".into(),
            other_type("DateLessThan", "aws:SourceIp", "an IP address"),
        ),
        (
            "IpAddress",
            "aws:CurrentTime",
            quoted("10.0.0.0/8"),
            "IpAddress.aws:CurrentTime".into(),
            other_type("IpAddress", "aws:CurrentTime", "a date"),
        ),
        (
            "StringEquals",
            KEYS,
            quoted("a"),
            format!("StringEquals.{KEYS}"),
            Problem::SetOperatorRequired { key: KEYS.into() },
        ),
        (
            "ArnLike",
            "aws:PrincipalArn",
            quoted("*"),
            "ArnLike.aws:PrincipalArn".into(),
            never("a full ARN of six segments; each may hold wildcards", "*"),
        ),
        (
            "StringEquals",
            PCR,
            quoted(&hex_prefix),
            format!("StringEquals.{PCR}"),
            never("hexadecimal digits without the prefix 0x", &hex_prefix),
        ),
        (
            "StringEqualsIgnoreCase",
            PCR,
            quoted(&hex_prefix),
            format!("StringEqualsIgnoreCase.{PCR}"),
            never("hexadecimal digits without the prefix 0x", &hex_prefix),
        ),
        (
            "StringEquals",
            PCR,
            quoted(&PCR0[1..]),
            format!("StringEquals.{PCR}"),
            never(pcr_length, &PCR0[1..]),
        ),
        ("StringNotEquals", PCR, quoted(""), format!("StringNotEquals.{PCR}"), never(pcr_length, "")),
        (
            "StringEquals",
            PCR,
            quoted(&upper),
            format!("StringEquals.{PCR}"),
            never("lower-case hexadecimal digits, or an operator with IgnoreCase", &upper),
        ),
        (
            "ForAnyValue:StringEquals",
            PCR,
            format!("[{PCR0:?},\"ab*\"]"),
            format!("ForAnyValue:StringEquals.{PCR}[1]"),
            never("hexadecimal digits only (StringLike takes wildcards)", "ab*"),
        ),
        (
            "StringEquals",
            "kms:RecipientAttestation:ImageSha384",
            quoted(&sha_256),
            "StringEquals.kms:RecipientAttestation:ImageSha384".into(),
            never("96 hexadecimal digits", &sha_256),
        ),
        (
            "StringEquals",
            "kms:CallerAccount",
            quoted("1111"),
            "StringEquals.kms:CallerAccount".into(),
            never("an account of twelve digits", "1111"),
        ),
        (
            "StringEquals",
            "kms:RequestAlias",
            quoted("app"),
            "StringEquals.kms:RequestAlias".into(),
            never("an alias name such as alias/NAME", "app"),
        ),
        (
            "DateLessThan",
            "aws:CurrentTime",
            quoted("2026"),
            "DateLessThan.aws:CurrentTime".into(),
            never(date, "2026"),
        ),
        (
            "DateEquals",
            "aws:CurrentTime",
            quoted("2026-01-03T20:41:07.5Z"),
            "DateEquals.aws:CurrentTime".into(),
            never("a date of whole seconds such as 2026-01-03T20:41:07Z", "2026-01-03T20:41:07.5Z"),
        ),
        (
            "StringEquals",
            "aws:CurrentTime",
            quoted("2026-01-03"),
            "StringEquals.aws:CurrentTime".into(),
            never(
                "a time in whole seconds of UTC, such as 2026-01-03T20:41:07Z (or a Date operator)",
                "2026-01-03",
            ),
        ),
        (
            "IpAddress",
            "aws:SourceIp",
            quoted("10.0.0.0/33"),
            "IpAddress.aws:SourceIp".into(),
            never("an IP address or a range such as 203.0.113.0/24 or 2001:db8::/32", "10.0.0.0/33"),
        ),
        (
            "StringEquals",
            "aws:SourceIp",
            quoted("10.0.0.0/8"),
            "StringEquals.aws:SourceIp".into(),
            never("one IP address in its shortest form (or the operator IpAddress)", "10.0.0.0/8"),
        ),
        (
            "StringLike",
            CONTEXT,
            quoted("${aws:username}-*"),
            format!("StringLike.{CONTEXT}"),
            Problem::PolicyVariable { actual: "${aws:username}-*".into() },
        ),
    ];
    for (operator, key, values, path, problem) in cases {
        let policy =
            document(&[statement("Allow", ""), statement("Deny", &condition(operator, key, &values))]);
        assert_eq!(
            refusal(&policy),
            PolicyError { path: format!("Statement[1].Condition.{path}"), problem },
            "{policy}"
        );
    }
}

#[test]
fn refused_documents() {
    let good = statement("Allow", "");
    let duplicate = |name: &str| Problem::DuplicateName { name: name.to_owned() };
    let version = |actual: &str| Problem::Value {
        expected: "\"2012-10-17\" or \"2008-10-17\"",
        actual: actual.to_owned(),
    };
    let twice_a_key = r#""Condition":{"StringEquals":{"kms:KeySpec":"a","KMS:keyspec":"b"}},"#;
    for (policy, path, problem) in [
        ("[]".to_owned(), "", Problem::WrongType { expected: "an object", actual: "an array" }),
        ("{}".to_owned(), "", Problem::Empty { what: "object" }),
        (r#"{"Version":"2012-10-17"}"#.to_owned(), "", Problem::MissingElement { name: "Statement" }),
        (r#"{"Statement":[]}"#.to_owned(), "Statement", Problem::Empty { what: "array" }),
        (
            r#"{"Statement":"x"}"#.to_owned(),
            "Statement",
            Problem::WrongType { expected: "an object", actual: "a string" },
        ),
        (r#"{"Statement":[{}]}"#.to_owned(), "Statement[0]", Problem::Empty { what: "object" }),
        (format!(r#"{{"Version":"2012-10-18","Statement":{good}}}"#), "Version", version("2012-10-18")),
        (
            format!(r#"{{"Version":20121017,"Statement":{good}}}"#),
            "Version",
            Problem::WrongType { expected: "a string", actual: "a number" },
        ),
        (
            format!(r#"{{"Id":null,"Statement":{good}}}"#),
            "Id",
            Problem::WrongType { expected: "a string", actual: "null" },
        ),
        (
            format!(r#"{{"Statements":{good}}}"#),
            "",
            Problem::UnknownElement { name: "Statements".to_owned() },
        ),
        (format!(r#"{{"Statement":{good},"Statement":{good}}}"#), "", duplicate("Statement")),
        // The same name, once written with an escape.
        (format!(r#"{{"Statement":{good},"Stat\u0065ment":{good}}}"#), "", duplicate("Statement")),
        (
            format!(r#"{{"Statement":{}}}"#, statement("Deny", r#""Effect":"Allow","#)),
            "Statement",
            duplicate("Effect"),
        ),
        (
            document(&[statement("Deny", r#""Condition":{"Bool":{"a":1},"Bool":{"a":2}},"#)]),
            "Statement[0].Condition",
            duplicate("Bool"),
        ),
        (
            document(&[statement("Deny", r#""Condition":{"Bool":{"a":1,"a":2}},"#)]),
            "Statement[0].Condition.Bool",
            duplicate("a"),
        ),
        (
            document(&[statement("Deny", r#""Unknown":[{"a b":{"x":1,"x":2}}],"#)]),
            "Statement[0].Unknown[0][\"a b\"]",
            duplicate("x"),
        ),
        (
            document(&[statement("Deny", twice_a_key)]),
            "Statement[0].Condition.StringEquals.KMS:keyspec",
            Problem::DuplicateConditionKey { key: "kms:KeySpec".to_owned() },
        ),
        (
            document(&[statement("Allow", r#""Sid":"A","#), statement("Deny", r#""Sid":"A","#)]),
            "Statement[1].Sid",
            Problem::DuplicateSid { sid: "A".to_owned() },
        ),
        (" ".repeat(MAX_POLICY_BYTES + 1), "", Problem::TooLarge { bytes: MAX_POLICY_BYTES + 1 }),
    ] {
        assert_eq!(refusal(&policy), PolicyError { path: path.to_owned(), problem }, "{policy}");
    }
    let good = document(&[good]);
    for (text, at) in [
        (String::new(), (1, 0)),
        (format!("{good} x"), (1, good.len() + 2)),
        ("[".repeat(MAX_POLICY_BYTES), (1, 128)),
        ("{\n\"a\":1e999}".to_owned(), (2, 9)),
        (r#"{"\ud800":1}"#.to_owned(), (1, 9)),
    ] {
        let PolicyError { path, problem } = refusal(&text);
        let Problem::Syntax { line, column, problem: _ } = problem else { panic!("{problem:?}") };
        assert_eq!((path.as_str(), (line, column)), ("", at), "{text:.40}");
    }
    assert!(KeyPolicy::parse(&format!("{good}{}", " ".repeat(MAX_POLICY_BYTES - good.len()))).is_ok());
}

#[test]
fn a_refusal_reads_well() {
    let policy = document(&[statement(
        "Allow",
        &condition("StringEquals", "kms:RecipientAttestation:PCR0", r#""0xab""#),
    )]);
    assert_eq!(
        refusal(&policy).to_string(),
        "Statement[0].Condition.StringEquals.kms:RecipientAttestation:PCR0: expected hexadecimal digits without the \
         prefix 0x, found \"0xab\", which could never match"
    );
}

fn refusal(policy: &str) -> PolicyError {
    match KeyPolicy::parse(policy) {
        Ok(_) => panic!("taken: {policy:.400}"),
        Err(error) => error,
    }
}

/// JSON made of the words of the policy language, most of it wrong.
fn json_of_policy_words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "Version",
        "2012-10-17",
        "2008-10-17",
        "Statement",
        "Sid",
        "Effect",
        "Allow",
        "Deny",
        "Principal",
        "NotPrincipal",
        "AWS",
        "*",
        "Action",
        "kms:*",
        "kms:D?crypt",
        "Resource",
        "NotResource",
        "arn:aws:kms:*:*:key/*",
        "arn:aws:iam::111122223333:root",
        "Condition",
        "StringEquals",
        "Null",
        "ForAllValues:StringLikeIfExists",
        "kms:EncryptionContextKeys",
        "kms:EncryptionContext:é",
        "Bool",
        "IpAddress",
        "aws:SourceIp",
        "10.0.0.0/8",
        "DateLessThan",
        "aws:CurrentTime",
        "2026-01-03",
        "true",
        "",
        "${a}",
    ]);
    let leaf = prop_oneof![
        4 => word.clone().prop_map(|word| format!("{word:?}")),
        1 => prop::sample::select(vec!["null", "true", "1", "-2.5", "[]", "{}"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((word.clone(), inner), 0..8).prop_map(|members| {
                let members: Vec<String> =
                    members.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn parsing_any_text_ends_without_a_panic(text in "\\PC*") {
        let _ = KeyPolicy::parse(&text);
    }

    #[test]
    fn parsing_any_bytes_ends_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let _ = KeyPolicy::parse(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn parsing_policy_like_json_ends_without_a_panic(text in json_of_policy_words()) {
        if let Err(error) = KeyPolicy::parse(&text) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn a_damaged_policy_never_allows_more(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let policy = document(&[statement("Allow", &condition("StringEquals", "kms:RecipientAttestation:PCR0", &format!("{PCR0:?}")))]);
        let other_image = Context::default().with_text("kms:RecipientAttestation:PCR0", UNRELATED_PCR0);
        let mut bytes = policy.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(policy) = KeyPolicy::parse(&String::from_utf8_lossy(&bytes)) {
            let request = PolicyRequest {
                caller: &Caller::Anonymous,
                action: "kms:Decrypt",
                resource: KEY_ARN,
                context: &other_image,
            };
            prop_assert!(!policy.evaluate(&request).is_allowed());
        }
    }

    /// The condition holds for exactly one value out of all those at distance one from it.
    #[test]
    fn one_changed_digit_of_a_pcr_denies(at in 0usize..96, digit in 0u32..16) {
        let mut pcr0: Vec<char> = PCR0.chars().collect();
        pcr0[at] = char::from_digit(digit, 16).unwrap();
        let changed: String = pcr0.into_iter().collect();
        let context = Context::default().with("kms:RecipientAttestation:PCR0", ContextValues::One(ContextValue::Text(Cow::Owned(changed.clone()))));
        let held = holds("StringEquals", "kms:RecipientAttestation:PCR0", &format!("{PCR0:?}"), &context);
        prop_assert_eq!(held, changed == PCR0);
    }
}
