//! Why a policy was refused.

use super::caller::InvalidPrincipalArn;
use super::document::MAX_IDENTITY_POLICY_CHARACTERS;
use super::pattern::MAX_PATTERN_BYTES;

/// A policy that cannot be put, with the place and the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", if path.is_empty() { String::new() } else { format!("{path}: ") })]
pub struct PolicyError {
    /// The JSON path of the offending value, such as `Statement[1].Condition.StringEquals`; empty for the document.
    pub path: String,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong at one place of a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The document is longer than the quota of its kind.
    #[error("expected a policy of at most {limit} bytes, found {bytes}")]
    TooLarge {
        /// The document's length.
        bytes: usize,
        /// The quota.
        limit: usize,
    },
    /// An identity policy is longer than the IAM quota.
    #[error(
        "expected a policy of at most {MAX_IDENTITY_POLICY_CHARACTERS} characters that are no white space, found {characters}"
    )]
    TooManyCharacters {
        /// The document's length.
        characters: usize,
    },
    /// The document is not JSON.
    #[error("expected JSON: {problem}")]
    Syntax {
        /// Line of the first fault, from 1.
        line: usize,
        /// Column of the first fault.
        column: usize,
        /// The JSON parser's words.
        problem: String,
    },
    /// The document has more values than are read.
    #[error("expected at most {limit} JSON values")]
    TooManyValues {
        /// The most that are read.
        limit: usize,
    },
    /// An object has a member twice.
    #[error("expected each name once, found {name:?} again")]
    DuplicateName {
        /// The repeated name.
        name: String,
    },
    /// Two statements share a `Sid`.
    #[error("expected a Sid of its own, found {sid:?} again")]
    DuplicateSid {
        /// The repeated statement id.
        sid: String,
    },
    /// A value has the wrong JSON type.
    #[error("expected {expected}, found {actual}")]
    WrongType {
        /// The types that fit.
        expected: &'static str,
        /// The type found.
        actual: &'static str,
    },
    /// An array or object has no members.
    #[error("expected at least one member, found an empty {what}")]
    Empty {
        /// `array` or `object`.
        what: &'static str,
    },
    /// An element that the policy language, or this broker, does not know.
    #[error("expected a known policy element, found {name:?}")]
    UnknownElement {
        /// The element's name.
        name: String,
    },
    /// A required element is missing.
    #[error("expected the element {name}, found none")]
    MissingElement {
        /// The element, or the two of which one is required.
        name: &'static str,
    },
    /// An element and its negation stand side by side.
    #[error("expected one of {first} and {second}, found both")]
    ConflictingElements {
        /// The positive element.
        first: &'static str,
        /// Its negation.
        second: &'static str,
    },
    /// A value is none of those that the element takes.
    #[error("expected {expected}, found {actual:?}")]
    Value {
        /// The values that the element takes.
        expected: &'static str,
        /// The value found.
        actual: String,
    },
    /// `Service`, `Federated` or `CanonicalUser` principals.
    #[error("expected AWS principals, found {kind}: this broker authenticates no principals of that type")]
    UnsupportedPrincipalType {
        /// The type's name.
        kind: String,
    },
    /// A wildcard inside a principal.
    #[error(
        "expected a whole principal or \"*\" alone, found a wildcard in {actual:?}; use ArnLike on aws:PrincipalArn"
    )]
    PrincipalWildcard {
        /// The principal.
        actual: String,
    },
    /// A principal that is neither `*`, an account nor a principal's ARN.
    #[error("in a principal: {0}")]
    InvalidPrincipal(#[source] InvalidPrincipalArn),
    /// `NotPrincipal` in a statement that allows.
    #[error(
        "expected NotPrincipal only with \"Effect\": \"Deny\": with Allow it would grant to everyone else"
    )]
    NotPrincipalWithAllow,
    /// A principal in an identity policy.
    #[error("expected no principal: an identity policy speaks of whom it is attached to")]
    PrincipalInIdentityPolicy,
    /// An action that matches none of KMS's.
    #[error("expected \"*\" or a kms: action, found {actual:?}, which matches no KMS action")]
    UnknownAction {
        /// The action.
        actual: String,
    },
    /// A negated element that names everything.
    #[error("expected an element that leaves something over, found one that excludes everything")]
    NeverApplies,
    /// A wildcard pattern longer than any identifier.
    #[error("expected a pattern of at most {MAX_PATTERN_BYTES} bytes, found {bytes}")]
    PatternTooLong {
        /// The pattern's length.
        bytes: usize,
    },
    /// A policy variable that is none, or stands where there can be none.
    #[error("expected a policy variable such as ${{aws:username}}, found {variable:?}: {problem}")]
    PolicyVariable {
        /// What stands behind `${`.
        variable: String,
        /// Why it is none.
        problem: &'static str,
    },
    /// A condition operator that is unknown or not supported.
    #[error("expected a supported condition operator, found {operator:?}")]
    UnknownOperator {
        /// The operator.
        operator: String,
    },
    /// A condition key that is unknown or not supported.
    #[error("expected a supported condition key, found {key:?}")]
    UnknownConditionKey {
        /// The key.
        key: String,
    },
    /// A condition key twice under one operator, in different case.
    #[error("expected each condition key once, found {key} again")]
    DuplicateConditionKey {
        /// The key.
        key: String,
    },
    /// An operator for another type of value than the key's.
    #[error("expected an operator for {key}, which is {key_type}, found {operator}")]
    OperatorForOtherType {
        /// The operator.
        operator: String,
        /// The key.
        key: String,
        /// The key's type.
        key_type: &'static str,
    },
    /// A key with several values under an operator without `ForAllValues:` or `ForAnyValue:`.
    #[error("expected ForAllValues: or ForAnyValue: with {key}, which has several values")]
    SetOperatorRequired {
        /// The key.
        key: String,
    },
    /// A condition value that could never match.
    #[error("expected {expected}, found {actual:?}, which could never match")]
    ConditionValue {
        /// The form that could match.
        expected: &'static str,
        /// The value.
        actual: String,
    },
}
