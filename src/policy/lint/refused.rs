//! What the broker refuses, each with a code of its own and the advice that fits.

use super::finding::{Finding, Findings, Rule, Severity};
use super::{PolicyKind, register_values, similar};
use crate::json::{Located, Span};
use crate::policy::action::ActionSet;
use crate::policy::condition_key::{ConditionKey, plain_key_names};
use crate::policy::error::{PolicyError, Problem};
use crate::policy::operator::comparison_names;
use crate::policy::{IdentityPolicy, KeyPolicy, MAX_PCR_INDEX, StatementRef};

macro_rules! refusals {
    ($($constant:ident $code:literal $name:literal: $summary:literal, $why:literal, $fix:literal;)*) => {
        $(pub(super) static $constant: Rule = Rule {
            code: $code, name: $name, severity: Severity::Error, summary: $summary, why: $why, fix: $fix,
        };)*
    };
}

refusals! {
    NOT_JSON "NKB101" "not-json":
        "The text is no JSON.",
        "There is no policy to read; comments and trailing commas are no JSON either.",
        "correct the JSON at the place named";
    TOO_LARGE "NKB102" "too-large":
        "The policy is longer than its kind may be.",
        "KMS takes key policies of 32,768 bytes, IAM identity policies of 10,240 characters without white space.",
        "put statements together, or let wildcards in actions stand for several";
    REPEATED_NAME "NKB103" "repeated-name":
        "A name stands twice in one object.",
        "Readers of JSON differ in which of the two counts, so two of them see two policies.",
        "keep one of them, or put the values of both into one array";
    UNKNOWN_ELEMENT "NKB104" "unknown-element":
        "An element that the policy language does not have.",
        "A misspelt Condition would be no condition at all.",
        "correct its name, or take it out";
    MISSING_ELEMENT "NKB105" "missing-element":
        "An element that is required is missing or empty.",
        "A statement says whom it is about, what they do, and with what.",
        "add the element";
    MALFORMED_VALUE "NKB106" "malformed-value":
        "A value of another type or form than its element takes.",
        "What is not understood cannot be decided.",
        "write the value in the form that is expected";
    CONFLICTING_ELEMENTS "NKB107" "conflicting-elements":
        "An element and its negation stand in one statement.",
        "A statement is about what it names or about everything else, not about both.",
        "make two statements of it";
    UNSUPPORTED_PRINCIPAL "NKB108" "unsupported-principal":
        "A principal that cannot call here: a service, a federated or a canonical user.",
        "The broker authenticates users, roles and sessions by their ARNs; no AWS service calls it.",
        "take the principal out, and the statement with it when it has no other";
    PRINCIPAL_WILDCARD "NKB109" "principal-wildcard":
        "A wildcard inside a principal.",
        "IAM has no wildcards there, so the statement would be about nobody.",
        "use Principal \"*\" with a condition ArnLike on aws:PrincipalArn";
    INVALID_PRINCIPAL "NKB110" "invalid-principal":
        "A principal that is neither an account nor the ARN of a user, role or session.",
        "It would be about nobody.",
        "write the whole ARN, such as arn:aws:iam::ACCOUNT:role/NAME";
    NOT_PRINCIPAL_WITH_ALLOW "NKB111" "not-principal-with-allow":
        "NotPrincipal in a statement that allows.",
        "It would allow everyone in the world but those it names.",
        "name those who may in Principal, or deny with NotPrincipal";
    PRINCIPAL_IN_IDENTITY_POLICY "NKB112" "principal-in-identity-policy":
        "A principal in an identity policy.",
        "An identity policy is about whom it is attached to.",
        "take the element out";
    UNKNOWN_ACTION "NKB113" "unknown-action":
        "An action that matches none of KMS's.",
        "A misspelt action in a Deny denies nothing, and one in an Allow allows nothing.",
        "correct the name";
    NEVER_APPLIES "NKB114" "excludes-everything":
        "A Not element that excludes everything.",
        "The statement can never apply.",
        "name what is meant instead";
    INVALID_RESOURCE "NKB115" "invalid-resource":
        "A resource that is neither \"*\" nor a whole KMS ARN.",
        "It would match nothing, or more than it shows.",
        "write \"*\" (in a key policy this is the key) or an ARN of six segments";
    PATTERN_TOO_LONG "NKB116" "pattern-too-long":
        "A pattern longer than any identifier.",
        "It matches nothing.",
        "shorten it";
    POLICY_VARIABLE "NKB117" "policy-variable":
        "A policy variable that is none, or stands where there can be none.",
        "It would never have a value, and the statement would not apply.",
        "use a condition key that has one value, or ${$} for a dollar sign";
    UNKNOWN_OPERATOR "NKB118" "unknown-operator":
        "A condition operator that is unknown.",
        "Names of operators are case-sensitive; a condition that is not understood cannot be checked.",
        "correct the name";
    UNKNOWN_CONDITION_KEY "NKB119" "unknown-condition-key":
        "A condition key that is unknown.",
        "It would be absent from every request: a positive operator never true, a negated one always.",
        "correct the name";
    OPERATOR_FOR_OTHER_TYPE "NKB120" "operator-for-other-type":
        "An operator for another type of value than the key's.",
        "The comparison would never be true.",
        "use an operator for the type of the key";
    SET_OPERATOR_REQUIRED "NKB121" "set-operator-required":
        "A key with several values under an operator for one.",
        "What is meant is open: that every value matches, or that one does.",
        "put ForAllValues: or ForAnyValue: before the operator";
    DUPLICATE_SID "NKB122" "duplicate-sid":
        "Two statements share a Sid.",
        "A decision names its statement by the Sid.",
        "give each statement a Sid of its own";
    CONDITION_VALUE "NKB123" "condition-value":
        "A value that no request can have.",
        "The condition could never be true, or, negated, never false.",
        "write the value in the form that is expected";
}

/// Adds what a piece of the policy is refused for.
pub(super) fn add(problem: Problem, span: &Span, at: Option<&StatementRef>, findings: &mut Findings<'_>) {
    let rule = rule_for(&problem);
    let advice = advice_for(&problem);
    refuse(findings.add(rule, span, at, problem.to_string()), advice);
}

/// As [`add`], of a value in a condition.
pub(super) fn add_value(
    problem: Problem,
    span: &Span,
    at: Option<&StatementRef>,
    (operator, key): (&str, &str),
    findings: &mut Findings<'_>,
) {
    let is_register = ConditionKey::parse(key).is_some_and(|key| register_values::register(&key).is_some());
    match &problem {
        // Whoever looks at registers says it better.
        Problem::ConditionValue { .. } if is_register => {}
        Problem::ConditionValue { expected, actual } => {
            let message = format!("{operator} on {key}: {actual:?} could never match");
            let advice = Advice { fix: format!("write {expected}"), replacement: None };
            refuse(findings.add(&CONDITION_VALUE, span, at, message), Some(advice));
        }
        _ => add(problem, span, at, findings),
    }
}

/// Adds what the whole policy is refused for, unless a piece of it was.
pub(super) fn check_whole(text: &str, kind: PolicyKind, findings: &mut Findings<'_>) {
    let refusal = match kind {
        PolicyKind::Key => KeyPolicy::parse(text).err(),
        PolicyKind::Identity => IdentityPolicy::parse(text).err(),
    };
    let Some(PolicyError { path, problem }) = refusal else { return };
    if findings.any_refused()
        && !matches!(problem, Problem::TooLarge { .. } | Problem::TooManyCharacters { .. })
    {
        return;
    }
    let span = match &problem {
        Problem::Syntax { line, column, .. } => byte_at(text, *line, *column),
        _ if path.is_empty() => byte_at(text, 1, 1),
        _ => Located::parse(text)
            .ok()
            .and_then(|document| document.find(&path).map(|found| found.span.clone()))
            .unwrap_or_else(|| byte_at(text, 1, 1)),
    };
    let finding = findings.add_always(rule_for(&problem), &span, problem.to_string());
    refuse(finding, advice_for(&problem));
}

/// The character at a line and a column of bytes, as the JSON parser counts them.
fn byte_at(text: &str, line: usize, column: usize) -> Span {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let at = text.floor_char_boundary(before.saturating_add(column.saturating_sub(1)).min(text.len()));
    let len = text.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
    at..at.saturating_add(len)
}

struct Advice {
    fix: String,
    replacement: Option<String>,
}

fn refuse(finding: &mut Finding, advice: Option<Advice>) {
    finding.refused = true;
    if let Some(Advice { fix, replacement }) = advice {
        finding.fix = fix;
        finding.replacement = replacement;
    }
}

fn rule_for(problem: &Problem) -> &'static Rule {
    match problem {
        Problem::TooLarge { .. } | Problem::TooManyCharacters { .. } | Problem::TooManyValues { .. } => {
            &TOO_LARGE
        }
        Problem::Syntax { .. } => &NOT_JSON,
        Problem::DuplicateName { .. } | Problem::DuplicateConditionKey { .. } => &REPEATED_NAME,
        Problem::DuplicateSid { .. } => &DUPLICATE_SID,
        Problem::WrongType { .. } => &MALFORMED_VALUE,
        Problem::Value { expected, .. } if expected.contains("KMS ARN") => &INVALID_RESOURCE,
        Problem::Value { expected, .. } if expected.contains("\"AWS\"") => &INVALID_PRINCIPAL,
        Problem::Value { .. } => &MALFORMED_VALUE,
        Problem::UnknownElement { .. } => &UNKNOWN_ELEMENT,
        Problem::MissingElement { .. } | Problem::Empty { .. } => &MISSING_ELEMENT,
        Problem::ConflictingElements { .. } => &CONFLICTING_ELEMENTS,
        Problem::UnsupportedPrincipalType { .. } => &UNSUPPORTED_PRINCIPAL,
        Problem::PrincipalWildcard { .. } => &PRINCIPAL_WILDCARD,
        Problem::InvalidPrincipal(_) => &INVALID_PRINCIPAL,
        Problem::NotPrincipalWithAllow => &NOT_PRINCIPAL_WITH_ALLOW,
        Problem::PrincipalInIdentityPolicy => &PRINCIPAL_IN_IDENTITY_POLICY,
        Problem::UnknownAction { .. } => &UNKNOWN_ACTION,
        Problem::NeverApplies => &NEVER_APPLIES,
        Problem::PatternTooLong { .. } => &PATTERN_TOO_LONG,
        Problem::PolicyVariable { .. } => &POLICY_VARIABLE,
        Problem::UnknownOperator { .. } => &UNKNOWN_OPERATOR,
        Problem::UnknownConditionKey { key } if is_of_nitrotpm(key) => &register_values::NITROTPM_KEY,
        Problem::UnknownConditionKey { .. } => &UNKNOWN_CONDITION_KEY,
        Problem::OperatorForOtherType { .. } => &OPERATOR_FOR_OTHER_TYPE,
        Problem::SetOperatorRequired { .. } => &SET_OPERATOR_REQUIRED,
        Problem::ConditionValue { .. } => &CONDITION_VALUE,
    }
}

/// Advice that the rule alone cannot give.
fn advice_for(problem: &Problem) -> Option<Advice> {
    match problem {
        Problem::UnknownElement { name } => {
            let elements = [
                "Version",
                "Id",
                "Statement",
                "Sid",
                "Effect",
                "Principal",
                "NotPrincipal",
                "Action",
                "NotAction",
                "Resource",
                "NotResource",
                "Condition",
                "AWS",
            ];
            instead(similar::nearest(name, elements)?)
        }
        Problem::Value { expected, actual } if expected.contains("\"Allow\"") => {
            instead(similar::nearest(actual, ["Allow", "Deny"])?)
        }
        Problem::MissingElement { name } => Some(Advice { fix: format!("add {name}"), replacement: None }),
        Problem::UnknownAction { actual } => {
            let name = actual.split_once(':').map_or(actual.as_str(), |(_, name)| name);
            if name.eq_ignore_ascii_case("ReEncrypt") {
                let fix =
                    "write \"kms:ReEncryptFrom\" and \"kms:ReEncryptTo\", or \"kms:ReEncrypt*\" for both";
                return Some(Advice {
                    fix: fix.to_owned(),
                    replacement: Some("\"kms:ReEncrypt*\"".to_owned()),
                });
            }
            let nearest = similar::nearest(name, ActionSet::ALL.names())?;
            instead(&format!("kms:{nearest}"))
        }
        Problem::UnknownOperator { operator } => {
            let (set, rest) = operator
                .split_once(':')
                .filter(|(set, _)| set.to_ascii_lowercase().starts_with("fora"))
                .map_or((None, operator.as_str()), |(set, rest)| (Some(set), rest));
            let (rest, suffix) =
                match rest.len().checked_sub("IfExists".len()).and_then(|at| rest.split_at_checked(at)) {
                    Some((rest, suffix)) if suffix.eq_ignore_ascii_case("IfExists") => (rest, "IfExists"),
                    _ => (rest, ""),
                };
            let comparison = similar::nearest(rest, comparison_names())?;
            let set = match set {
                None => "",
                Some(set) => similar::nearest(set, ["ForAllValues:", "ForAnyValue:"])?,
            };
            instead(&format!("{set}{comparison}{suffix}"))
        }
        Problem::UnknownConditionKey { key } if is_of_nitrotpm(key) => None,
        Problem::UnknownConditionKey { key } if is_of_no_register(key) => {
            let fix = format!("use one of PCR0 to PCR{MAX_PCR_INDEX}");
            Some(Advice { fix, replacement: None })
        }
        Problem::UnknownConditionKey { key } => {
            let registers = (0..=MAX_PCR_INDEX).map(|n| format!("kms:RecipientAttestation:PCR{n}"));
            let known: Vec<String> = plain_key_names().map(str::to_owned).chain(registers).collect();
            instead(similar::nearest(key, known.iter().map(String::as_str))?)
        }
        _ => None,
    }
}

fn instead(name: &str) -> Option<Advice> {
    Some(Advice { fix: format!("write {name:?}"), replacement: Some(format!("{name:?}")) })
}

/// Whether a key is of the attestation of a NitroTPM, which whole instances have.
fn is_of_nitrotpm(key: &str) -> bool {
    key.to_ascii_lowercase().starts_with("kms:recipientattestation:nitrotpm")
}

/// Whether a key is of a register by its form, with a number that none has.
fn is_of_no_register(key: &str) -> bool {
    let digits = key.to_ascii_lowercase();
    let digits = digits.strip_prefix("kms:recipientattestation:pcr");
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

pub(super) static RULES: [&Rule; 23] = [
    &NOT_JSON,
    &TOO_LARGE,
    &REPEATED_NAME,
    &UNKNOWN_ELEMENT,
    &MISSING_ELEMENT,
    &MALFORMED_VALUE,
    &CONFLICTING_ELEMENTS,
    &UNSUPPORTED_PRINCIPAL,
    &PRINCIPAL_WILDCARD,
    &INVALID_PRINCIPAL,
    &NOT_PRINCIPAL_WITH_ALLOW,
    &PRINCIPAL_IN_IDENTITY_POLICY,
    &UNKNOWN_ACTION,
    &NEVER_APPLIES,
    &INVALID_RESOURCE,
    &PATTERN_TOO_LONG,
    &POLICY_VARIABLE,
    &UNKNOWN_OPERATOR,
    &UNKNOWN_CONDITION_KEY,
    &OPERATOR_FOR_OTHER_TYPE,
    &SET_OPERATOR_REQUIRED,
    &DUPLICATE_SID,
    &CONDITION_VALUE,
];
