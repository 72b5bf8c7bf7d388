//! Policies that are refused, each with its path and its problem.

use super::*;

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
    let variable =
        |variable: &str, problem| Problem::PolicyVariable { variable: variable.to_owned(), problem };
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
            variable("aws:userid", "it is no condition key that is supported"),
        ),
        (
            &[("Resource", r#""arn:aws:kms:*:*:key/${aws:TagKeys}""#)],
            ".Resource",
            variable("aws:TagKeys", "the key may have several values"),
        ),
        (
            &[("Resource", r#""arn:aws:kms:*:*:key/${aws:username""#)],
            ".Resource",
            variable("aws:username", "no closing brace follows"),
        ),
        (&[("Resource", r#""arn:aws:${aws:username}""#)], ".Resource", value(arn, "arn:aws:${aws:username}")),
        (
            &[("Resource", r#""arn:aws:${aws:username}:*:*:key/a""#)],
            ".Resource",
            value(arn, "arn:aws:${aws:username}:*:*:key/a"),
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
        (
            "NumericEquals",
            PCR,
            quoted("1"),
            format!("NumericEquals.{PCR}"),
            other_type("NumericEquals", PCR, "a string"),
        ),
        (
            "NumericLessThan",
            "kms:RotationPeriodInDays",
            quoted("7.5"),
            "NumericLessThan.kms:RotationPeriodInDays".into(),
            never("a whole number such as 7", "7.5"),
        ),
        (
            "NumericEquals",
            "kms:RotationPeriodInDays",
            "7.5".into(),
            "NumericEquals.kms:RotationPeriodInDays".into(),
            wrong_type(strings, "a number"),
        ),
        (
            "NumericLessThan",
            "kms:RotationPeriodInDays",
            quoted("${aws:EpochTime}"),
            "NumericLessThan.kms:RotationPeriodInDays".into(),
            Problem::PolicyVariable {
                variable: "${aws:EpochTime}".into(),
                problem: "in conditions, variables go with String and Arn operators only",
            },
        ),
        (
            "StringEquals",
            "aws:PrincipalType",
            quoted("Role"),
            "StringEquals.aws:PrincipalType".into(),
            never("Account, User, AssumedRole, FederatedUser or Anonymous", "Role"),
        ),
        (
            "StringEquals",
            "kms:ScheduleKeyDeletionPendingWindowInDays",
            quoted("07"),
            "StringEquals.kms:ScheduleKeyDeletionPendingWindowInDays".into(),
            never("a whole number (or a Numeric operator)", "07"),
        ),
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
            "aws:userid",
            quoted("a"),
            "StringEquals.aws:userid".into(),
            unknown_key("aws:userid"),
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
            "false".into(),
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
            "StringEquals",
            "aws:SecureTransport",
            quoted("TRUE"),
            "StringEquals.aws:SecureTransport".into(),
            never("true or false", "TRUE"),
        ),
        (
            "StringEqualsIgnoreCase",
            "aws:SecureTransport",
            quoted("yes"),
            "StringEqualsIgnoreCase.aws:SecureTransport".into(),
            never("true or false", "yes"),
        ),
        (
            "ForAnyValue:StringLike",
            KEYS,
            quoted(&"?".repeat(2049)),
            format!("ForAnyValue:StringLike.{KEYS}"),
            Problem::PatternTooLong { bytes: 2049 },
        ),
        (
            "StringLike",
            CONTEXT,
            quoted("${aws:username, -}"),
            format!("StringLike.{CONTEXT}"),
            Problem::PolicyVariable {
                variable: "aws:username, -".into(),
                problem: "a default stands in single quotes",
            },
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

/// What a request could hold is taken, whatever the operator.
#[test]
fn conditions_on_the_text_of_other_types_are_taken() {
    let longest_pattern = "?".repeat(2048);
    for (operator, key, value) in [
        ("StringEquals", "aws:CurrentTime", "2026-01-03T20:41:07Z"),
        ("StringEquals", "aws:SourceIp", "203.0.113.9"),
        ("StringEquals", "aws:SourceIp", "2001:db8::1"),
        ("StringEquals", "aws:SecureTransport", "false"),
        ("StringEqualsIgnoreCase", "aws:SecureTransport", "TRUE"),
        ("StringEquals", "kms:RequestAlias", "alias/app"),
        ("StringEqualsIgnoreCase", "kms:RequestAlias", "ALIAS/app"),
        ("StringEquals", "aws:PrincipalArn", "arn:aws:iam::111122223333:root"),
        ("StringEquals", "kms:RecipientAttestation:PCR0", PCR0),
        ("StringLike", CONTEXT, &longest_pattern),
    ] {
        let policy = document(&[statement("Deny", &condition(operator, key, &format!("{value:?}")))]);
        if let Err(error) = KeyPolicy::parse(&policy) {
            panic!("{operator} {key} {value}: {error}");
        }
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
        (
            " ".repeat(MAX_POLICY_BYTES + 1),
            "",
            Problem::TooLarge { bytes: MAX_POLICY_BYTES + 1, limit: MAX_POLICY_BYTES },
        ),
    ] {
        assert_eq!(refusal(&policy), PolicyError { path: path.to_owned(), problem }, "{policy}");
    }
    let long = format!("arn:aws:kms:*:*:key/{}", "?".repeat(2029));
    let policy =
        document(&[format!(r#"{{"Effect":"Allow","Principal":"*","Action":"*","Resource":"{long}"}}"#)]);
    let problem = Problem::PatternTooLong { bytes: 2049 };
    assert_eq!(refusal(&policy), PolicyError { path: "Statement[0].Resource".to_owned(), problem });
    assert!(KeyPolicy::parse(&policy.replacen('?', "", 1)).is_ok());

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
