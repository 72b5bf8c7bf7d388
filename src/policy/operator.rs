//! Condition operators: `[ForAllValues:|ForAnyValue:]COMPARISON[IfExists]`.

use std::fmt;

use super::condition_key::{ConditionKey, ValueType};

const FOR_ALL_VALUES: &str = "ForAllValues:";
const FOR_ANY_VALUE: &str = "ForAnyValue:";
const IF_EXISTS: &str = "IfExists";

const COMPARISONS: [(&str, Comparison); 26] = [
    ("StringEquals", Comparison::StringEquals),
    ("StringNotEquals", Comparison::StringNotEquals),
    ("StringEqualsIgnoreCase", Comparison::StringEqualsIgnoreCase),
    ("StringNotEqualsIgnoreCase", Comparison::StringNotEqualsIgnoreCase),
    ("StringLike", Comparison::StringLike),
    ("StringNotLike", Comparison::StringNotLike),
    ("ArnEquals", Comparison::ArnEquals),
    ("ArnNotEquals", Comparison::ArnNotEquals),
    ("ArnLike", Comparison::ArnLike),
    ("ArnNotLike", Comparison::ArnNotLike),
    ("Bool", Comparison::Bool),
    ("NumericEquals", Comparison::NumericEquals),
    ("NumericNotEquals", Comparison::NumericNotEquals),
    ("NumericLessThan", Comparison::NumericLessThan),
    ("NumericLessThanEquals", Comparison::NumericLessThanEquals),
    ("NumericGreaterThan", Comparison::NumericGreaterThan),
    ("NumericGreaterThanEquals", Comparison::NumericGreaterThanEquals),
    ("DateEquals", Comparison::DateEquals),
    ("DateNotEquals", Comparison::DateNotEquals),
    ("DateLessThan", Comparison::DateLessThan),
    ("DateLessThanEquals", Comparison::DateLessThanEquals),
    ("DateGreaterThan", Comparison::DateGreaterThan),
    ("DateGreaterThanEquals", Comparison::DateGreaterThanEquals),
    ("IpAddress", Comparison::IpAddress),
    ("NotIpAddress", Comparison::NotIpAddress),
    ("Null", Comparison::Null),
];

/// The names of all comparisons.
pub(super) fn comparison_names() -> impl Iterator<Item = &'static str> {
    COMPARISONS.into_iter().map(|(name, _)| name)
}

/// A condition operator. Its name is case-sensitive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Operator {
    pub(super) set: Option<SetQualifier>,
    pub(super) comparison: Comparison,
    /// `IfExists`: true when the request has no such key.
    pub(super) if_exists: bool,
}

/// How the several values of a key are taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SetQualifier {
    /// Every value of the request must satisfy the comparison; true when there is none.
    ForAllValues,
    /// Some value of the request must satisfy the comparison; false when there is none.
    ForAnyValue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    StringEquals,
    StringNotEquals,
    StringEqualsIgnoreCase,
    StringNotEqualsIgnoreCase,
    StringLike,
    StringNotLike,
    ArnEquals,
    ArnNotEquals,
    ArnLike,
    ArnNotLike,
    Bool,
    NumericEquals,
    NumericNotEquals,
    NumericLessThan,
    NumericLessThanEquals,
    NumericGreaterThan,
    NumericGreaterThanEquals,
    DateEquals,
    DateNotEquals,
    DateLessThan,
    DateLessThanEquals,
    DateGreaterThan,
    DateGreaterThanEquals,
    IpAddress,
    NotIpAddress,
    Null,
}

impl Operator {
    /// Reads an operator's name; `None` when it is unknown or puts together what has no meaning: `Null` takes neither
    /// a set qualifier nor `IfExists`.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (set, rest) = if let Some(rest) = name.strip_prefix(FOR_ALL_VALUES) {
            (Some(SetQualifier::ForAllValues), rest)
        } else if let Some(rest) = name.strip_prefix(FOR_ANY_VALUE) {
            (Some(SetQualifier::ForAnyValue), rest)
        } else {
            (None, name)
        };
        let (rest, if_exists) = rest.strip_suffix(IF_EXISTS).map_or((rest, false), |rest| (rest, true));
        let (_, comparison) = COMPARISONS.into_iter().find(|(known, _)| *known == rest)?;
        if comparison == Comparison::Null && (set.is_some() || if_exists) {
            return None;
        }
        Some(Self { set, comparison, if_exists })
    }

    /// The result when the request has no value for the key (IAM User Guide, "Condition operators" and "Multivalued
    /// context keys").
    pub(super) const fn result_when_absent(self) -> bool {
        self.if_exists
            || match self.set {
                Some(SetQualifier::ForAllValues) => true,
                Some(SetQualifier::ForAnyValue) => false,
                None => self.comparison.is_negated(),
            }
    }
}

impl Comparison {
    /// Whether the comparison is true when none of the policy's values matches.
    pub(super) const fn is_negated(self) -> bool {
        match self {
            Self::StringNotEquals
            | Self::StringNotEqualsIgnoreCase
            | Self::StringNotLike
            | Self::ArnNotEquals
            | Self::ArnNotLike
            | Self::NumericNotEquals
            | Self::DateNotEquals
            | Self::NotIpAddress => true,
            Self::StringEquals
            | Self::StringEqualsIgnoreCase
            | Self::StringLike
            | Self::ArnEquals
            | Self::ArnLike
            | Self::Bool
            | Self::NumericEquals
            | Self::NumericLessThan
            | Self::NumericLessThanEquals
            | Self::NumericGreaterThan
            | Self::NumericGreaterThanEquals
            | Self::DateEquals
            | Self::DateLessThan
            | Self::DateLessThanEquals
            | Self::DateGreaterThan
            | Self::DateGreaterThanEquals
            | Self::IpAddress
            | Self::Null => false,
        }
    }

    /// Whether the policy's values are numbers, which may stand there without quotes.
    pub(super) const fn is_numeric(self) -> bool {
        matches!(
            self,
            Self::NumericEquals
                | Self::NumericNotEquals
                | Self::NumericLessThan
                | Self::NumericLessThanEquals
                | Self::NumericGreaterThan
                | Self::NumericGreaterThanEquals
        )
    }

    /// Whether the comparison makes sense on the key's values. String comparisons do on the text of every value, and
    /// the encryption context, the caller's own strings, may hold ARNs and booleans.
    pub(super) fn fits(self, key: &ConditionKey) -> bool {
        match self {
            Self::StringEquals
            | Self::StringNotEquals
            | Self::StringEqualsIgnoreCase
            | Self::StringNotEqualsIgnoreCase
            | Self::StringLike
            | Self::StringNotLike
            | Self::Null => true,
            Self::ArnEquals | Self::ArnNotEquals | Self::ArnLike | Self::ArnNotLike => {
                key.value_type() == ValueType::Arn || matches!(key, ConditionKey::EncryptionContext(_))
            }
            Self::Bool => {
                key.value_type() == ValueType::Bool || matches!(key, ConditionKey::EncryptionContext(_))
            }
            Self::DateEquals
            | Self::DateNotEquals
            | Self::DateLessThan
            | Self::DateLessThanEquals
            | Self::DateGreaterThan
            | Self::DateGreaterThanEquals => {
                key.value_type() == ValueType::Date || *key == ConditionKey::EpochTime
            }
            Self::NumericEquals
            | Self::NumericNotEquals
            | Self::NumericLessThan
            | Self::NumericLessThanEquals
            | Self::NumericGreaterThan
            | Self::NumericGreaterThanEquals => key.value_type() == ValueType::Numeric,
            Self::IpAddress | Self::NotIpAddress => key.value_type() == ValueType::IpAddress,
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.set {
            Some(SetQualifier::ForAllValues) => FOR_ALL_VALUES,
            Some(SetQualifier::ForAnyValue) => FOR_ANY_VALUE,
            None => "",
        })?;
        if let Some((name, _)) = COMPARISONS.iter().find(|(_, comparison)| *comparison == self.comparison) {
            f.write_str(name)?;
        }
        f.write_str(if self.if_exists { IF_EXISTS } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::{COMPARISONS, Operator};

    #[test]
    fn displays_what_it_parses() {
        for (name, _) in COMPARISONS {
            for set in ["", "ForAllValues:", "ForAnyValue:"] {
                for suffix in ["", "IfExists"] {
                    let written = format!("{set}{name}{suffix}");
                    let parsed = Operator::parse(&written);
                    if name == "Null" && written != "Null" {
                        assert_eq!(parsed, None, "{written}");
                    } else {
                        assert_eq!(parsed.unwrap().to_string(), written);
                    }
                }
            }
        }
    }

    #[test]
    fn other_names_are_unknown() {
        for bad in [
            "",
            "stringequals",
            "StringEqual",
            "IfExists",
            "StringEqualsIfExistsIfExists",
            "ForAllValues:ForAnyValue:StringEquals",
            "forallvalues:StringEquals",
            "NumericLike",
            "BinaryEquals",
        ] {
            assert_eq!(Operator::parse(bad), None, "{bad}");
        }
    }
}
