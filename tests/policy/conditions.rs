//! Condition operators and keys, held against values that are present, absent and several.

use super::*;

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
    for (caller, expected) in [
        (Caller::Anonymous, "Anonymous"),
        (principal("arn:aws:iam::111122223333:root"), "Account"),
        (principal("arn:aws:iam::111122223333:user/alice"), "User"),
        (principal("arn:aws:iam::111122223333:role/worker"), "AssumedRole"),
        (principal("arn:aws:sts::111122223333:assumed-role/worker/one"), "AssumedRole"),
        (principal("arn:aws:sts::111122223333:federated-user/alice"), "FederatedUser"),
    ] {
        assert!(holds_for(&caller, "StringEquals", "aws:PrincipalType", &format!("{expected:?}"), &context));
        let is_user = expected == "User";
        assert_eq!(holds_for(&caller, "Null", "aws:username", "false", &context), is_user, "{caller}");
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
        ("NumericEquals", "kms:RotationPeriodInDays", "90", false),
        ("NumericNotEquals", "kms:RotationPeriodInDays", "90", true),
        ("NumericLessThan", "kms:RotationPeriodInDays", "90", false),
        ("NumericLessThanEquals", "kms:RotationPeriodInDays", "90", false),
        ("NumericGreaterThan", "kms:RotationPeriodInDays", "90", false),
        ("NumericGreaterThanEquals", "kms:RotationPeriodInDays", "90", false),
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
