//! Where published evaluators of IAM policies differ from the broker, and why.

use serde_json::Value;

use super::Pair;

/// A known difference.
pub struct Difference {
    pub peer: &'static str,
    pub name: &'static str,
    /// Whether a pair can show it, with what the peer makes of the pair.
    pub applies: fn(&Pair, &str) -> bool,
    pub why: &'static str,
}

pub const DIFFERENCES: [Difference; 5] = [
    Difference {
        peer: "scratchstack-aspen",
        name: "operators on several values",
        applies: |_, theirs| {
            ["ForAllValues:", "ForAnyValue:"]
                .iter()
                .any(|prefix| theirs.starts_with(&format!("error: Invalid condition operator: {prefix}")))
        },
        why: "it does not know ForAllValues: and ForAnyValue:, which IAM has (IAM user guide, Set operators for \
              multivalued context keys)",
    },
    Difference {
        peer: "scratchstack-aspen",
        name: "negated operator on an absent key",
        applies: |pair, _| {
            pair.has_condition(|operator, key, _| {
                is_negated(operator) && !operator.ends_with("IfExists") && !pair.context.contains_key(key)
            })
        },
        why: "it takes the condition for false; IAM takes it for true (IAM user guide, IAM JSON policy elements: \
              Condition operators, on negated matching where the key is not in the request)",
    },
    Difference {
        peer: "scratchstack-aspen",
        name: "negated operator with several values",
        applies: |pair, _| {
            pair.has_condition(|operator, key, values| {
                is_negated(operator)
                    && pair.context.contains_key(key)
                    && values.as_array().is_some_and(|values| values.len() > 1)
            })
        },
        why: "one value that differs is enough for it; IAM asks that all do: they are joined by NOR (IAM user guide, \
              Conditions with multiple context keys or values)",
    },
    Difference {
        peer: "scratchstack-aspen",
        name: "a deny behind an allow",
        applies: |pair, theirs| {
            let effects: Vec<_> = pair.policy["Statement"].as_array().unwrap().iter().collect();
            let first_allow = effects.iter().position(|statement| statement["Effect"] == "Allow");
            let last_deny = effects.iter().rposition(|statement| statement["Effect"] == "Deny");
            (pair.ours, theirs) == ("deny", "allow") && first_allow < last_deny
        },
        why: "the first statement that applies decides; IAM's explicit deny beats every allow, wherever it stands (IAM user \
              guide, Policy evaluation logic)",
    },
    Difference {
        peer: "iam-rs",
        name: "wildcards under ArnEquals",
        applies: |pair, _| {
            pair.has_condition(|operator, _, values| {
                operator == "ArnEquals" && values.as_str().is_some_and(|value| value.contains('*'))
            })
        },
        why: "it compares the text; IAM has ArnEquals and ArnLike behave identically (IAM user guide, Amazon Resource Name \
              condition operators)",
    },
];

fn is_negated(operator: &str) -> bool {
    operator.contains("Not")
}

impl Pair {
    /// Whether a statement has a condition, of operator, key and values, of which `is_so` holds.
    fn has_condition(&self, is_so: impl Fn(&str, &str, &Value) -> bool) -> bool {
        let statements = self.policy["Statement"].as_array().unwrap();
        let conditions = statements.iter().filter_map(|statement| statement["Condition"].as_object());
        conditions.flatten().any(|(operator, keys)| {
            keys.as_object().unwrap().iter().any(|(key, values)| is_so(operator, key, values))
        })
    }
}
