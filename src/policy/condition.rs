//! The `Condition` element: every operator with every key must hold.

use super::condition_key::ConditionKey;
use super::document::Version;
use super::error::{PolicyError, Problem};
use super::evaluate::{ContextValue, ContextValues, EvaluationError, PolicyRequest};
use super::json::{ErrorAt, PolicyValue};
use super::operand::Operand;
use super::operator::{Comparison, Operator, SetQualifier};
use super::statement::Effect;
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
        version: Version,
    ) -> Result<Vec<Self>, PolicyError> {
        let mut conditions = Vec::new();
        for (name, keys) in json.non_empty_object(path)? {
            let path = path.field(name);
            let operator = Operator::parse(name)
                .ok_or_else(|| path.error(Problem::UnknownOperator { operator: shorten(name) }))?;
            let first_of_operator = conditions.len();
            for (name, values) in keys.non_empty_object(&path)? {
                let path = path.field(name);
                let condition = Self::parse(operator, name, values, &path, version)?;
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
        version: Version,
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
            let number;
            let text = match value {
                Json::String(text) => text,
                Json::Integer(value) if comparison.is_numeric() => {
                    number = value.to_string();
                    &number
                }
                Json::Bool(true) if takes_booleans => "true",
                Json::Bool(false) if takes_booleans => "false",
                _ if takes_booleans => {
                    return Err(value.wrong_type(path, "a boolean, a string or an array of them"));
                }
                _ => return Err(value.wrong_type(path, "a string or an array of strings")),
            };
            let operand = match version.template(text, path)? {
                Some(template) => Operand::parse_template(comparison, text, template),
                None => Operand::parse(comparison, &key, text),
            };
            any_of.push(operand.map_err(|problem| path.error(problem))?);
            Ok(())
        })?;
        Ok(Self { operator, key, any_of: any_of.into() })
    }

    /// Whether the condition holds.
    ///
    /// A value with a variable that has none matches nothing. Under a negated operator that would be true for everyone,
    /// and in a statement that allows it is false instead.
    pub(super) fn holds(&self, request: &PolicyRequest<'_>, effect: Effect) -> Result<bool, EvaluationError> {
        let values = request.values(&self.key)?;
        let Operator { set, comparison, if_exists: _ } = self.operator;
        if comparison == Comparison::Null {
            let absent = matches!(values, ContextValues::Absent);
            return Ok(self.any_of.contains(&Operand::Absence(absent)));
        }
        if comparison.is_negated() && effect == Effect::Allow && !self.has_every_value(request)? {
            return Ok(false);
        }
        match (values, set) {
            (ContextValues::Absent, _) => Ok(self.operator.result_when_absent()),
            (ContextValues::One(value), _) => self.is_satisfied_by(&value, request),
            (ContextValues::Many(values), Some(SetQualifier::ForAllValues)) => {
                for value in &values {
                    if !self.is_satisfied_by(value, request)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (ContextValues::Many(values), Some(SetQualifier::ForAnyValue)) => {
                for value in &values {
                    if self.is_satisfied_by(value, request)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            (ContextValues::Many(_), None) => {
                Err(EvaluationError::SeveralValues { key: self.key.to_string() })
            }
        }
    }

    /// Several operands match when one does; a negated comparison asks that none does.
    fn is_satisfied_by(
        &self,
        value: &ContextValue<'_>,
        request: &PolicyRequest<'_>,
    ) -> Result<bool, EvaluationError> {
        for operand in &self.any_of {
            if operand.matches(value, request)? == Some(true) {
                return Ok(!self.operator.comparison.is_negated());
            }
        }
        Ok(self.operator.comparison.is_negated())
    }

    /// Whether every variable in the operands has a value.
    pub(super) fn has_every_value(&self, request: &PolicyRequest<'_>) -> Result<bool, EvaluationError> {
        for operand in &self.any_of {
            if !operand.has_value(request)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
