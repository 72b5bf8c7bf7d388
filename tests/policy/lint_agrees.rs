//! What lint concludes from several statements together, held against the decisions that they make.

use std::collections::HashMap;

use nitro_key_broker::policy::{
    Caller, ConditionKey, ContextValue, ContextValues, Finding, KeyPolicy, LintOptions, PolicyRequest,
    PrincipalArn, RequestContext, Severity, Verdict, lint,
};
use nitro_key_broker::time::UnixTime;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use serde_json::{Map, Value, json};

const IMAGES: [&str; 3] = [
    "1ce449e52cc65c32383b16779ebd822c06d702ec8d6bac60cc47b16fa7a80e92c55a3e1e69940219ecb271a1555a1ab1",
    "21b9efbc184807662e966d34f390821309eeac6802309798826296bf3e8bec7c10edb30948c90ba67310f7b964fc500a",
    "b17711b95ea5860ba70d9da40a6ff466aab49cb55c1210742562617da105c98e0a7669b88a73998ed9cb05d53675898b",
];
const PRINCIPALS: [&str; 6] = [
    "*",
    "arn:aws:iam::730335421987:root",
    "730335421987",
    "arn:aws:iam::730335421987:role/a",
    "arn:aws:sts::730335421987:assumed-role/a/session",
    "arn:aws:iam::318842093756:user/b",
];
const CALLERS: [&str; 6] = [
    "",
    "arn:aws:iam::730335421987:root",
    "arn:aws:sts::730335421987:assumed-role/a/session",
    "arn:aws:sts::730335421987:assumed-role/a/other",
    "arn:aws:iam::318842093756:user/b",
    "arn:aws:iam::730335421987:user/c",
];
const ACTIONS: [&str; 9] = [
    "kms:*",
    "kms:Decrypt",
    "kms:De*",
    "kms:GenerateDataKey*",
    "kms:Sign",
    "kms:PutKeyPolicy",
    "kms:ReEncrypt*",
    "kms:CreateGrant",
    "kms:Encrypt",
];
const ASKED: [&str; 6] = [
    "kms:Decrypt",
    "kms:GenerateDataKey",
    "kms:Sign",
    "kms:PutKeyPolicy",
    "kms:ReEncryptFrom",
    "kms:DescribeKey",
];
const KEY: &str = "arn:aws:kms:eu-central-1:730335421987:key/0f9d7a0c-6d5e-4c0a-9b1e-2f3a4b5c6d7e";

fn some_of<T: Clone + std::fmt::Debug + 'static>(
    choices: &'static [T],
    most: usize,
) -> impl Strategy<Value = Vec<T>> {
    proptest::sample::subsequence(choices, 1..=most)
}

fn any_condition() -> impl Strategy<Value = (&'static str, &'static str, Value)> {
    let registers = [
        "kms:RecipientAttestation:PCR0",
        "kms:RecipientAttestation:ImageSha384",
        "kms:RecipientAttestation:PCR8",
    ];
    let operators = [
        "StringEquals",
        "StringEqualsIgnoreCase",
        "StringNotEquals",
        "StringNotEqualsIgnoreCase",
        "StringEqualsIfExists",
        "StringNotEqualsIfExists",
        "ForAllValues:StringEquals",
        "ForAnyValue:StringNotEquals",
        "StringLike",
    ];
    prop_oneof![
        6 => (proptest::sample::select(operators.to_vec()), proptest::sample::select(registers.to_vec()), some_of(&IMAGES, 2))
            .prop_map(|(operator, key, values)| (operator, key, json!(values))),
        2 => (proptest::sample::select(registers.to_vec()), some_of(&["true", "false"], 2))
            .prop_map(|(key, values)| ("Null", key, json!(values))),
        1 => some_of(&["a", "b"], 2).prop_map(|values| ("StringEquals", "kms:EncryptionContext:App", json!(values))),
        1 => some_of(&["a", "b"], 2).prop_map(|values| ("StringNotEquals", "kms:EncryptionContext:App", json!(values))),
        1 => Just(("StringEquals", "kms:CallerAccount", json!("730335421987"))),
        1 => Just(("ArnLike", "aws:PrincipalArn", json!("arn:aws:iam::730335421987:role/*"))),
        1 => Just(("StringEquals", "kms:ViaService", json!("ebs.eu-central-1.amazonaws.com"))),
        1 => Just(("StringNotEquals", "aws:SourceVpce", json!("vpce-1"))),
        1 => Just(("Bool", "kms:GrantIsForAWSResource", json!("true"))),
        1 => Just(("DateLessThan", "aws:CurrentTime", json!("2026-03-01T00:00:00Z"))),
    ]
}

fn any_statement() -> impl Strategy<Value = Value> {
    let conditions = proptest::collection::vec(any_condition(), 0..3);
    (any::<bool>(), some_of(&PRINCIPALS, 2), any::<[bool; 2]>(), some_of(&ACTIONS, 2), conditions).prop_map(
        |(allows, principals, [not_principal, not_action], actions, conditions)| {
            let mut of_operators: Map<String, Value> = Map::new();
            for (operator, key, values) in conditions {
                let keys = of_operators.entry(operator).or_insert_with(|| json!({}));
                keys[key] = values;
            }
            let not_principal = not_principal && !allows && !principals.contains(&"*");
            let not_action = not_action && !actions.contains(&"kms:*");
            let mut statement = json!({"Effect": if allows { "Allow" } else { "Deny" }, "Resource": "*"});
            statement[if not_principal { "NotPrincipal" } else { "Principal" }] = json!({"AWS": principals});
            statement[if not_action { "NotAction" } else { "Action" }] = json!(actions);
            if !of_operators.is_empty() {
                statement["Condition"] = Value::Object(of_operators);
            }
            statement
        },
    )
}

/// A policy that is taken, mostly of statements that have to do with each other.
fn any_statements() -> impl Strategy<Value = Vec<Value>> {
    (proptest::collection::vec(any_statement(), 1..4), any::<[bool; 4]>()).prop_map(
        |(mut statements, [again, narrower, denied, guarded])| {
            if again {
                statements.push(statements[0].clone());
            }
            if narrower {
                let mut narrow = statements[0].clone();
                narrow["Condition"]["StringEquals"]["kms:KeySpec"] = json!("SYMMETRIC_DEFAULT");
                statements.push(narrow);
            }
            if denied {
                let mut deny = statements[0].clone();
                deny["Effect"] = json!("Deny");
                statements.push(deny);
            }
            if guarded {
                statements.push(json!({
                    "Effect": "Deny", "Principal": "*", "Action": ["kms:Decrypt", "kms:GenerateDataKey*"], "Resource": "*",
                    "Condition": {"StringNotEqualsIgnoreCase": {"kms:RecipientAttestation:PCR0": IMAGES[0]}},
                }));
            }
            statements
        },
    )
}

fn text_of(statements: &[Value]) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

#[derive(Clone, Debug)]
struct Asked {
    caller: Caller,
    action: &'static str,
    context: HashMap<ConditionKey, ContextValues<'static>>,
}

impl RequestContext for Asked {
    fn values(&self, key: &ConditionKey) -> ContextValues<'_> {
        self.context.get(key).cloned().unwrap_or(ContextValues::Absent)
    }
}

fn any_request() -> impl Strategy<Value = Asked> {
    let register = || proptest::option::of(proptest::sample::select(IMAGES.to_vec()));
    let app = proptest::option::of(proptest::sample::select(vec!["a", "b", "c"]));
    let caller = proptest::sample::select(CALLERS.to_vec());
    let secs = proptest::sample::select(vec![1_700_000_000, 1_800_000_000]);
    (
        caller,
        proptest::sample::select(ASKED.to_vec()),
        proptest::option::of((register(), register())),
        app,
        secs,
    )
        .prop_map(|(caller, action, attested, app, secs)| {
            let mut context = HashMap::new();
            let mut set = |key: &str, value: Option<&'static str>| {
                if let Some(value) = value {
                    context.insert(ConditionKey::parse(key).unwrap(), ContextValues::text(value));
                }
            };
            if let Some((pcr0, pcr8)) = attested {
                // An enclave has every register.
                let pcr0 = pcr0.unwrap_or(IMAGES[0]);
                set("kms:RecipientAttestation:PCR0", Some(pcr0));
                set("kms:RecipientAttestation:ImageSha384", Some(pcr0));
                set("kms:RecipientAttestation:PCR8", Some(pcr8.unwrap_or(IMAGES[1])));
            }
            set("kms:EncryptionContext:App", app);
            set("kms:KeySpec", Some("SYMMETRIC_DEFAULT"));
            let flag = ContextValues::One(ContextValue::Flag(false));
            context.insert(ConditionKey::parse("kms:GrantIsForAWSResource").unwrap(), flag);
            let now = ContextValues::One(ContextValue::Time(UnixTime::from_secs(secs)));
            context.insert(ConditionKey::parse("aws:CurrentTime").unwrap(), now);
            let caller = if caller.is_empty() {
                Caller::Anonymous
            } else {
                Caller::Principal { arn: PrincipalArn::parse(caller).unwrap() }
            };
            Asked { caller, action, context }
        })
}

/// What is decided, without the statement that decided it.
#[derive(Debug, PartialEq, Eq)]
enum Decision {
    Allowed,
    Left,
    Denied,
    NotAllowed,
}

fn decide(text: &str, asked: &Asked) -> Decision {
    let policy = KeyPolicy::parse(text).unwrap();
    match policy.evaluate(&PolicyRequest {
        caller: &asked.caller,
        action: asked.action,
        resource: KEY,
        context: asked,
    }) {
        Verdict::Allowed { .. } => Decision::Allowed,
        Verdict::LeftToIdentityPolicies { .. } => Decision::Left,
        Verdict::ExplicitlyDenied { .. } => Decision::Denied,
        Verdict::NotAllowed { .. } => Decision::NotAllowed,
        Verdict::EvaluationFailed { error } => panic!("{error}"),
    }
}

fn findings(text: &str) -> Vec<Finding> {
    lint(text, &LintOptions::default())
}

fn has(findings: &[Finding], codes: &[&str]) -> bool {
    findings.iter().any(|finding| codes.contains(&finding.rule.code))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// A statement that is said to be without effect can be taken out.
    #[test]
    fn statements_without_effect_have_none(
        statements in any_statements(), requests in proptest::collection::vec(any_request(), 24),
    ) {
        let text = text_of(&statements);
        for finding in findings(&text) {
            // NKB712 says that a statement never allows: for one that it denies nobody was allowed before either.
            if !["NKB711", "NKB712", "NKB713", "NKB603", "NKB220"].contains(&finding.rule.code) {
                continue;
            }
            let mut without = statements.clone();
            without.remove(finding.statement.as_ref().unwrap().index);
            if without.is_empty() {
                without.push(json!({"Effect": "Deny", "Principal": {"AWS": "318842093756"}, "Action": "kms:VerifyMac", "Resource": "*"}));
            }
            let without = text_of(&without);
            for asked in &requests {
                prop_assert_eq!(decide(&text, asked), decide(&without, asked), "{:?}\n{}\n{:?}", finding, text, asked);
            }
        }
    }

    /// Without an alarm, nobody unknown gets anything without attestation.
    #[test]
    fn whoever_is_let_in_unattested_is_found(
        statements in any_statements(), requests in proptest::collection::vec(any_request(), 24),
    ) {
        let text = text_of(&statements);
        let findings = findings(&text);
        let pcr0 = ConditionKey::parse("kms:RecipientAttestation:PCR0").unwrap();
        for asked in &requests {
            let is_unattested = !asked.context.contains_key(&pcr0);
            let is_use = ["kms:Decrypt", "kms:GenerateDataKey", "kms:Sign", "kms:ReEncryptFrom"].contains(&asked.action);
            if asked.caller == Caller::Anonymous && is_unattested && decide(&text, asked) == Decision::Allowed {
                let codes = if is_use { &["NKB301", "NKB230", "NKB231"][..] } else { &["NKB401", "NKB230", "NKB231"] };
                let is_harmless = asked.action == "kms:DescribeKey";
                prop_assert!(is_harmless || has(&findings, codes), "{}\n{:?}\n{:?}", text, asked, findings);
            }
        }
    }

    /// Where nobody is locked out by what is found, somebody may change the policy; where it is found, nobody.
    #[test]
    fn whoever_is_locked_out_is_found(
        statements in any_statements(), requests in proptest::collection::vec(any_request(), 24),
    ) {
        let text = text_of(&statements);
        let found = has(&findings(&text), &["NKB402", "NKB403"]);
        for asked in requests.into_iter().filter(|asked| asked.action == "kms:PutKeyPolicy") {
            // What changes a policy carries no attestation.
            let mut asked = asked;
            asked.context.retain(|key, _| !key.to_string().starts_with("kms:RecipientAttestation:"));
            let decision = decide(&text, &asked);
            let is_open = matches!(decision, Decision::Allowed | Decision::Left);
            prop_assert!(!(found && is_open), "{}\n{:?}", text, asked);
        }
    }

    /// A register's value that is said to be allowed and denied gets nothing of what is named.
    #[test]
    fn values_allowed_and_denied_get_nothing(
        statements in any_statements(), requests in proptest::collection::vec(any_request(), 24),
    ) {
        let text = text_of(&statements);
        for finding in findings(&text).iter().filter(|finding| finding.rule.code == "NKB714") {
            let alone = json!([statements[finding.statement.as_ref().unwrap().index]]);
            let alone = text_of(alone.as_array().unwrap());
            let value = text[finding.place.span.clone()].trim_matches('"');
            let is_about_signer = finding.message.contains("PCR8");
            let key = if is_about_signer { "kms:RecipientAttestation:PCR8" } else { "kms:RecipientAttestation:PCR0" };
            let key = ConditionKey::parse(key).unwrap();
            for asked in &requests {
                let has_it = asked.context.get(&key) == Some(&ContextValues::Many(vec![]))
                    || matches!(asked.context.get(&key), Some(ContextValues::One(ContextValue::Text(text))) if text == value);
                let named = finding.message.split(" from ").nth(1).unwrap().split(", ").any(|action| action == asked.action);
                if has_it && named && decide(&alone, asked) == Decision::Allowed {
                    prop_assert_eq!(decide(&text, asked), Decision::Denied, "{:?}\n{}\n{:?}", finding, text, asked);
                }
            }
        }
    }
}

/// What the properties are about comes up.
#[test]
fn the_generated_policies_have_what_is_looked_for() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen: HashMap<&str, u32> = HashMap::new();
    for _ in 0..2000 {
        let statements = any_statements().new_tree(&mut runner).unwrap().current();
        let text = text_of(&statements);
        KeyPolicy::parse(&text).unwrap();
        for finding in findings(&text) {
            assert!(!finding.refused, "{finding:?}");
            *seen.entry(finding.rule.code).or_default() += 1;
        }
    }
    for code in [
        "NKB230", "NKB231", "NKB301", "NKB302", "NKB401", "NKB402", "NKB603", "NKB711", "NKB712", "NKB713",
        "NKB714",
    ] {
        assert!(seen.get(code).is_some_and(|count| *count >= 10), "{code}: {seen:?}");
    }
    assert!(findings("{}").iter().all(|finding| finding.severity() == Severity::Error));
}
