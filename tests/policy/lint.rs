//! Lint: no text breaks it, its places are in the text, and it refuses exactly what the parser refuses.

use nitro_key_broker::policy::{IdentityPolicy, KeyPolicy, LintOptions, PolicyKind, lint};
use nitro_key_broker::time::UnixTime;
use proptest::prelude::*;

const IMAGE: &str =
    "1ce449e52cc65c32383b16779ebd822c06d702ec8d6bac60cc47b16fa7a80e92c55a3e1e69940219ecb271a1555a1ab1";
const APPLICATION: &str =
    "21b9efbc184807662e966d34f390821309eeac6802309798826296bf3e8bec7c10edb30948c90ba67310f7b964fc500a";

fn options(kind: PolicyKind) -> LintOptions {
    LintOptions { kind, now: Some(UnixTime::from_secs(1_800_000_000)) }
}

/// What holds of every text.
fn check(text: &str) -> Result<(), TestCaseError> {
    for kind in [PolicyKind::Key, PolicyKind::Identity] {
        let findings = lint(text, &options(kind));
        let refused = match kind {
            PolicyKind::Key => KeyPolicy::parse(text).err(),
            PolicyKind::Identity => IdentityPolicy::parse(text).err(),
        };
        let refusals: Vec<&str> = findings
            .iter()
            .filter(|finding| finding.refused)
            .map(|finding| finding.message.as_str())
            .collect();
        prop_assert_eq!(refused.is_some(), !refusals.is_empty(), "{}\n{:?}\n{:?}", text, refused, refusals);
        let mut last = 0;
        for finding in &findings {
            let place = &finding.place;
            prop_assert!(text.get(place.span.clone()).is_some(), "{finding:?}");
            prop_assert!(place.span.start >= last, "in the order of the text");
            last = place.span.start;
            let lines: Vec<&str> = text.split('\n').collect();
            let at = |line: usize, column: usize| {
                let before: usize = lines[..line - 1].iter().map(|line| line.len() + 1).sum();
                before + lines[line - 1].chars().take(column - 1).map(char::len_utf8).sum::<usize>()
            };
            prop_assert_eq!(at(place.line, place.column), place.span.start);
            prop_assert_eq!(at(place.end_line, place.end_column), place.span.end);
        }
    }
    Ok(())
}

fn any_member() -> impl Strategy<Value = (&'static str, serde_json::Value)> {
    let text = |choices: &'static [&'static str]| {
        proptest::sample::select(choices).prop_map(serde_json::Value::from).boxed()
    };
    let texts = |choices: &'static [&'static str]| {
        proptest::collection::vec(proptest::sample::select(choices), 0..4)
            .prop_map(serde_json::Value::from)
            .boxed()
    };
    let either = move |choices| prop_oneof![text(choices), texts(choices)].boxed();
    const PRINCIPALS: &[&str] = &[
        "*",
        "730335421987",
        "arn:aws:iam::730335421987:root",
        "arn:aws:iam::730335421987:role/a",
        "arn:aws:sts::730335421987:assumed-role/a/b",
        "arn:aws:iam::730335421987:role/*",
        "x",
    ];
    const ACTIONS: &[&str] = &[
        "*",
        "kms:*",
        "kms:Decrypt",
        "kms:De*",
        "kms:PutKeyPolicy",
        "kms:CreateGrant",
        "kms:ReEncrypt*",
        "s3:Get*",
        "kms:Decyrpt",
    ];
    const RESOURCES: &[&str] = &[
        "*",
        "arn:aws:kms:*:730335421987:key/*",
        "arn:aws:kms:*:*:alias/a",
        "arn:aws:s3:::b",
        "arn:aws:kms:*:*:alias/${aws:username}",
        "b",
    ];
    prop_oneof![
        either(&["Allow", "Deny", "allow"]).prop_map(|json| ("Effect", json)),
        either(PRINCIPALS).prop_map(|json| ("Principal", serde_json::json!({"AWS": json}))),
        either(PRINCIPALS).prop_map(|json| ("NotPrincipal", serde_json::json!({"AWS": json}))),
        Just(("Principal", serde_json::json!("*"))),
        either(ACTIONS).prop_map(|json| ("Action", json)),
        either(ACTIONS).prop_map(|json| ("NotAction", json)),
        either(RESOURCES).prop_map(|json| ("Resource", json)),
        either(RESOURCES).prop_map(|json| ("NotResource", json)),
        text(&["a", "b", "", "c"]).prop_map(|json| ("Sid", json)),
        any_condition().prop_map(|json| ("Condition", json)),
        Just(("Sids", serde_json::json!(1))),
    ]
}

fn any_condition() -> impl Strategy<Value = serde_json::Value> {
    const OPERATORS: &[&str] = &[
        "StringEquals",
        "StringEqualsIgnoreCase",
        "StringNotEqualsIgnoreCase",
        "StringNotEqualsIfExists",
        "StringLike",
        "ForAllValues:StringEquals",
        "ForAnyValue:StringNotEquals",
        "Null",
        "Bool",
        "DateLessThan",
        "DateGreaterThan",
        "NumericLessThan",
        "ArnLike",
        "IpAddress",
        "stringEquals",
    ];
    const KEYS: &[&str] = &[
        "kms:RecipientAttestation:PCR0",
        "kms:RecipientAttestation:ImageSha384",
        "kms:recipientattestation:pcr8",
        "kms:RecipientAttestation:NitroTPMPCR4",
        "kms:EncryptionContext:App",
        "kms:EncryptionContextKeys",
        "kms:GrantOperations",
        "kms:ViaService",
        "aws:CurrentTime",
        "aws:EpochTime",
        "aws:SourceIp",
        "aws:PrincipalArn",
        "aws:userid",
    ];
    const VALUES: &[&str] = &[
        IMAGE,
        APPLICATION,
        "0x1ce449",
        "00",
        "*",
        "true",
        "false",
        "2026-01-03",
        "2030-01-03T20:41:07.5Z",
        "1700000000",
        "arn:aws:iam::730335421987:role/*",
        "${aws:username}",
        "${",
        "203.0.113.0/24",
        "Decrypt",
    ];
    let value = || proptest::sample::select(VALUES).prop_map(serde_json::Value::from);
    let values = prop_oneof![
        4 => value(),
        2 => proptest::collection::vec(value(), 0..4).prop_map(serde_json::Value::from),
        1 => any::<bool>().prop_map(serde_json::Value::from),
        1 => any::<u32>().prop_map(serde_json::Value::from),
        1 => Just(serde_json::json!([["a"]])),
    ];
    let keys = proptest::collection::btree_map(proptest::sample::select(KEYS), values, 0..3)
        .prop_map(|keys| serde_json::json!(keys));
    proptest::collection::btree_map(proptest::sample::select(OPERATORS), keys, 0..3)
        .prop_map(|operators| serde_json::json!(operators))
}

fn any_policy() -> impl Strategy<Value = String> {
    let statement = proptest::collection::vec(any_member(), 0..7).prop_map(|members| {
        // Of a repeated name the last counts; repetition is tried by the mutation of texts.
        let mut statement = serde_json::json!({
            "Effect": "Allow", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*",
        });
        for (name, value) in members {
            for of in ["Principal", "Action", "Resource"] {
                if name.strip_prefix("Not") == Some(of) {
                    statement.as_object_mut().unwrap().remove(of);
                }
            }
            statement[name] = value;
        }
        statement
    });
    let version = proptest::sample::select(&["2012-10-17", "2008-10-17", "2013-01-01"][..]);
    (version, proptest::collection::vec(statement, 0..4), any::<bool>()).prop_map(
        |(version, statements, pretty)| {
            let policy = serde_json::json!({"Version": version, "Statement": statements});
            if pretty { serde_json::to_string_pretty(&policy).unwrap() } else { policy.to_string() }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(384))]

    #[test]
    fn of_generated_policies(text in any_policy()) {
        check(&text)?;
    }

    #[test]
    fn of_policies_with_a_part_taken_out_or_repeated(
        text in any_policy(), at in any::<prop::sample::Index>(), len in 0usize..40, again in any::<bool>(),
    ) {
        let start = at.index(text.len());
        let end = (start + len).min(text.len());
        let part = if again { text[start..end].repeat(2) } else { String::new() };
        check(&format!("{}{part}{}", &text[..start], &text[end..]))?;
    }

    #[test]
    fn of_any_text(text in "\\PC{0,60}|[\\[\\]{}\",:a\n\\\\ ]{0,60}") {
        check(&text)?;
    }

    /// Whatever can be mended by one replacement does not come again at its place.
    #[test]
    fn a_replacement_mends(text in any_policy()) {
        for finding in lint(&text, &options(PolicyKind::Key)) {
            let Some(replacement) = &finding.replacement else { continue };
            let span = finding.place.span.clone();
            let mended = format!("{}{replacement}{}", &text[..span.start], &text[span.end..]);
            let again = lint(&mended, &options(PolicyKind::Key));
            let comes_again = again.iter().any(|other| other.rule == finding.rule && other.place.span.start == span.start);
            prop_assert!(!comes_again, "{finding:?}\n{mended}");
        }
    }
}

#[test]
fn of_hostile_texts() {
    for text in [
        "",
        "\u{feff}{}",
        "[[[[",
        &"[".repeat(100_000),
        &format!("{{\"Statement\": [{}{{}}]}}", "{},".repeat(8_000)),
        &format!("{{\"Statement\": \"{}\"}}", "x".repeat(200_000)),
        "{\"Statement\": {\"Condition\": {\"Null\": {\"kms:RecipientAttestation:PCR0\": []}}}}",
    ] {
        check(text).unwrap();
    }
}

/// The largest key policy whose statements have all to be compared with each other.
#[test]
fn many_statements_take_no_long_time() {
    let statement = |n: usize| {
        format!(
            r#"{{"Effect":"Allow","Principal":{{"AWS":"730335{n:06}"}},"Action":"kms:Sign","Resource":"*"}}"#
        )
    };
    let statements: Vec<String> = (0..350).map(statement).collect();
    let text = format!("{{\"Statement\":[{}]}}", statements.join(","));
    assert!(text.len() < 32_768 && text.len() > 28_000, "{}", text.len());
    let started = std::time::Instant::now();
    check(&text).unwrap();
    assert!(started.elapsed() < std::time::Duration::from_secs(10), "{:?}", started.elapsed());
}
