//! Key policies and identity policies: what is accepted is kept byte for byte, and means the same in every equivalent
//! form.

use std::borrow::Cow;

use nitro_key_broker::policy::{
    Caller, ConditionKey, ContextValue, ContextValues, IdentityPolicy, KeyPolicy, LintOptions,
    MAX_IDENTITY_POLICY_CHARACTERS, MAX_POLICY_BYTES, PolicyKind, PolicyRequest, PrincipalArn,
    RequestContext, Verdict, lint,
};
use nitro_key_broker::time::UnixTime;
use serde_json::{Value, json};

const KEY_ARN: &str = "arn:aws:kms:us-east-1:111122223333:key/0f9d7a0c-6d5e-4c0a-9b1e-2f3a4b5c6d7e";

pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    for kind in [&Kind::KEY, &Kind::IDENTITY] {
        let parsed = (kind.parse)(text);
        kind.assert_lint_agrees(text, parsed.is_err());
        match parsed {
            Err(refusal) => assert!(!refusal.is_empty()),
            Ok(policy) => {
                assert_eq!(policy.text(), text);
                let verdicts = verdicts(&*policy);
                let document: Value = serde_json::from_str(text).expect("a policy is JSON to serde_json too");
                kind.assert_same_verdicts(&verdicts, &document);
                kind.assert_same_verdicts(&verdicts, &with_statements_reversed(&document));
                kind.assert_all_denied(&document);
            }
        }
    }
}

/// A policy of either kind.
trait Policy {
    fn text(&self) -> &str;
    fn evaluate(&self, request: &PolicyRequest<'_>) -> Verdict;
}

impl Policy for KeyPolicy {
    fn text(&self) -> &str {
        self.text()
    }

    fn evaluate(&self, request: &PolicyRequest<'_>) -> Verdict {
        self.evaluate(request)
    }
}

impl Policy for IdentityPolicy {
    fn text(&self) -> &str {
        self.text()
    }

    fn evaluate(&self, request: &PolicyRequest<'_>) -> Verdict {
        self.evaluate(request)
    }
}

/// What differs between the two kinds of policy.
struct Kind {
    of_lint: PolicyKind,
    parse: fn(&str) -> Result<Box<dyn Policy>, String>,
    /// No document that serde_json writes in fewer bytes is too long.
    short_enough: usize,
    deny_all: fn() -> Value,
}

impl Kind {
    const KEY: Self = Self {
        of_lint: PolicyKind::Key,
        parse: |text| match KeyPolicy::parse(text) {
            Ok(policy) => Ok(Box::new(policy)),
            Err(error) => Err(error.to_string()),
        },
        short_enough: MAX_POLICY_BYTES,
        deny_all: || json!({"Effect": "Deny", "Principal": "*", "Action": "kms:*", "Resource": "*"}),
    };
    const IDENTITY: Self = Self {
        of_lint: PolicyKind::Identity,
        parse: |text| match IdentityPolicy::parse(text) {
            Ok(policy) => Ok(Box::new(policy)),
            Err(error) => Err(error.to_string()),
        },
        short_enough: MAX_IDENTITY_POLICY_CHARACTERS,
        deny_all: || json!({"Effect": "Deny", "Action": "kms:*", "Resource": "*"}),
    };

    /// The lint refuses what the parser refuses, and what it finds has its place in the text.
    fn assert_lint_agrees(&self, text: &str, is_refused: bool) {
        let findings = lint(text, &LintOptions { kind: self.of_lint, now: None });
        assert_eq!(findings.iter().any(|finding| finding.refused), is_refused, "{findings:?}");
        for finding in findings {
            assert!(text.get(finding.place.span.clone()).is_some(), "{finding:?}");
        }
    }

    /// Another order of members, other white space and other escapes mean the same.
    fn assert_same_verdicts(&self, expected: &[bool], document: &Value) {
        if let Some(policy) = self.parse_again(document) {
            assert_eq!(verdicts(&*policy), expected, "{document}");
        }
    }

    /// A statement that denies everything beats whatever the others allow.
    fn assert_all_denied(&self, document: &Value) {
        let mut document = document.clone();
        let statements = match document["Statement"].take() {
            Value::Array(statements) => statements,
            statement => vec![statement],
        };
        document["Statement"] = statements.into_iter().chain([(self.deny_all)()]).collect();
        if let Some(policy) = self.parse_again(&document) {
            assert!(verdicts(&*policy).iter().all(|is_allowed| !is_allowed), "{document}");
        }
    }

    /// `None` only when the form is too long.
    fn parse_again(&self, document: &Value) -> Option<Box<dyn Policy>> {
        let text = document.to_string();
        (text.len() <= self.short_enough)
            .then(|| (self.parse)(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
    }
}

/// Whether each of a fixed set of requests is allowed.
fn verdicts(policy: &dyn Policy) -> Vec<bool> {
    let principal = |arn| Caller::Principal { arn: PrincipalArn::parse(arn).unwrap() };
    let callers = [
        Caller::Anonymous,
        principal("arn:aws:iam::111122223333:user/alice"),
        principal("arn:aws:sts::111122223333:assumed-role/App/session"),
    ];
    let contexts = [Context { is_attested: false }, Context { is_attested: true }];
    let mut verdicts = Vec::new();
    for caller in &callers {
        for context in &contexts {
            for action in ["kms:Decrypt", "kms:GenerateDataKey"] {
                let request = PolicyRequest { caller, action, resource: KEY_ARN, context };
                let verdict = policy.evaluate(&request);
                if let Verdict::NotAllowed { reasons } = &verdict {
                    assert!(reasons.iter().all(|reason| !reason.to_string().is_empty()));
                }
                verdicts.push(verdict.is_allowed());
            }
        }
    }
    verdicts
}

fn with_statements_reversed(document: &Value) -> Value {
    let mut document = document.clone();
    if let Some(Value::Array(statements)) = document.get_mut("Statement") {
        statements.reverse();
    }
    document
}

/// A request over TLS from one address, with or without an attested enclave.
struct Context {
    is_attested: bool,
}

impl RequestContext for Context {
    fn values(&self, key: &ConditionKey) -> ContextValues<'_> {
        let pcr = || ContextValues::One(ContextValue::Text(Cow::Owned("ab".repeat(48))));
        match key {
            ConditionKey::RecipientAttestationImageSha384 | ConditionKey::RecipientAttestationPcr(0..=4)
                if self.is_attested =>
            {
                pcr()
            }
            ConditionKey::EncryptionContext(name) if **name == *"App" => ContextValues::text("fuzz"),
            ConditionKey::EncryptionContextKeys => ContextValues::texts(["App"]),
            ConditionKey::KeySpec | ConditionKey::EncryptionAlgorithm => {
                ContextValues::text("SYMMETRIC_DEFAULT")
            }
            ConditionKey::ResourceAliases => ContextValues::texts(["alias/app", "alias/other"]),
            ConditionKey::RequestAlias => ContextValues::text("alias/app"),
            ConditionKey::GrantOperations => ContextValues::texts(["Decrypt", "CreateGrant"]),
            ConditionKey::GranteePrincipal => ContextValues::text("arn:aws:iam::111122223333:role/App"),
            ConditionKey::GrantIsForAwsResource => ContextValues::One(ContextValue::Flag(false)),
            ConditionKey::ResourceTag(tag) if **tag == *"Team" => ContextValues::text("*${aws:username}"),
            ConditionKey::TagKeys => ContextValues::texts(["Team"]),
            ConditionKey::RotationPeriodInDays => ContextValues::One(ContextValue::Number(365)),
            ConditionKey::EpochTime => ContextValues::One(ContextValue::Number(1_795_521_600)),
            ConditionKey::CurrentTime => {
                ContextValues::One(ContextValue::Time(UnixTime::from_ms(1_795_521_600_000)))
            }
            ConditionKey::SourceIp => ContextValues::One(ContextValue::Address([10, 0, 0, 1].into())),
            ConditionKey::SecureTransport => ContextValues::One(ContextValue::Flag(true)),
            _ => ContextValues::Absent,
        }
    }
}
