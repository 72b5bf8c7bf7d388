//! The `Condition` element: every operator with every key must hold.

use super::condition_key::ConditionKey;
use super::error::{PolicyError, Problem};
use super::evaluate::{ContextValues, EvaluationError, PolicyRequest};
use super::json::{ErrorAt, PolicyValue};
use super::operand::Operand;
use super::operator::{Comparison, Operator, SetQualifier};
use crate::json::{Json, Path};
use crate::text::shorten;

/// One operator with one key and its values.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) operator: Operator,
    pub(super) key: ConditionKey,
    pub(super) any_of: Box<[Operand]>,
}

impl Condition {
    /// Reads `{OPERATOR: {KEY: value or [values]}}` into its single conditions.
    pub(super) fn parse_all(
        json: &Json,
        path: &Path<'_>,
        check_text: impl Fn(&str, &Path<'_>) -> Result<(), PolicyError>,
    ) -> Result<Vec<Self>, PolicyError> {
        let mut conditions = Vec::new();
        for (name, keys) in json.non_empty_object(path)? {
            let path = path.field(name);
            let operator = Operator::parse(name)
                .ok_or_else(|| path.error(Problem::UnknownOperator { operator: shorten(name) }))?;
            let first_of_operator = conditions.len();
            for (name, values) in keys.non_empty_object(&path)? {
                let path = path.field(name);
                let condition = Self::parse(operator, name, values, &path, &check_text)?;
                if conditions
                    .iter()
                    .skip(first_of_operator)
                    .any(|earlier: &Self| earlier.key == condition.key)
                {
                    let key = shorten(&condition.key.to_string());
                    return Err(path.error(Problem::DuplicateConditionKey { key }));
                }
                conditions.push(condition);
            }
        }
        Ok(conditions)
    }

    fn parse(
        operator: Operator,
        name: &str,
        values: &Json,
        path: &Path<'_>,
        check_text: impl Fn(&str, &Path<'_>) -> Result<(), PolicyError>,
    ) -> Result<Self, PolicyError> {
        let Operator { set, comparison, if_exists: _ } = operator;
        let key = ConditionKey::parse(name)
            .ok_or_else(|| path.error(Problem::UnknownConditionKey { key: shorten(name) }))?;
        if !comparison.fits(&key) {
            return Err(path.error(Problem::OperatorForOtherType {
                operator: operator.to_string(),
                key: shorten(&key.to_string()),
                key_type: key.value_type().describe(),
            }));
        }
        if key.is_multivalued() && set.is_none() && comparison != Comparison::Null {
            return Err(path.error(Problem::SetOperatorRequired { key: key.to_string() }));
        }
        let takes_booleans = matches!(comparison, Comparison::Bool | Comparison::Null);
        let mut any_of = Vec::new();
        values.each(path, |value, path| {
            let text = match value {
                Json::String(text) => text,
                Json::Bool(true) if takes_booleans => "true",
                Json::Bool(false) if takes_booleans => "false",
                _ if takes_booleans => {
                    return Err(value.wrong_type(path, "a boolean, a string or an array of them"));
                }
                _ => return Err(value.wrong_type(path, "a string or an array of strings")),
            };
            check_text(text, path)?;
            any_of.push(Operand::parse(comparison, &key, text).map_err(|problem| path.error(problem))?);
            Ok(())
        })?;
        Ok(Self { operator, key, any_of: any_of.into() })
    }

    /// Whether the condition holds.
    pub(super) fn holds(&self, request: &PolicyRequest<'_>) -> Result<bool, EvaluationError> {
        let values = request.values(&self.key)?;
        let Operator { set, comparison, if_exists: _ } = self.operator;
        if comparison == Comparison::Null {
            let absent = matches!(values, ContextValues::Absent);
            return Ok(self.any_of.contains(&Operand::Absence(absent)));
        }
        // Several values match when one does; a negated comparison asks that none does.
        let satisfied =
            |value: &_| self.any_of.iter().any(|operand| operand.matches(value)) != comparison.is_negated();
        match (values, set) {
            (ContextValues::Absent, _) => Ok(self.operator.result_when_absent()),
            (ContextValues::One(value), _) => Ok(satisfied(&value)),
            (ContextValues::Many(values), Some(SetQualifier::ForAllValues)) => {
                Ok(values.iter().all(satisfied))
            }
            (ContextValues::Many(values), Some(SetQualifier::ForAnyValue)) => {
                Ok(values.iter().any(satisfied))
            }
            (ContextValues::Many(_), None) => {
                Err(EvaluationError::SeveralValues { key: self.key.to_string() })
            }
        }
    }
}
