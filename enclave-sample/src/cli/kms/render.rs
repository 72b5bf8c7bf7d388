//! How an answer is printed: picked from with JMESPath, as JSON or as text, in the forms of the AWS CLI.

use std::collections::BTreeMap;

use clap::ValueEnum;
use jmespath::{Expression, Variable};
use serde_json::Value;
use zeroize::{Zeroize as _, Zeroizing};

use super::super::failure::Failure;

/// Room for a blob and a plaintext in base64, so that writing never moves the plaintext to a larger buffer.
const TEXT_BYTES: usize = 32 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum OutputFormat {
    /// Indented JSON
    Json,
    /// Values with tabs between them, one line for each object, members in the order of their names
    Text,
}

/// JSON whose texts are wiped on drop.
pub(super) struct SecretValue(pub(super) Value);

impl Drop for SecretValue {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Compiles a query.
pub(super) fn compile(query: &str) -> Result<Expression<'static>, Failure> {
    jmespath::compile(query).map_err(|error| {
        Failure::usage(format!("--query is no JMESPath expression: {}", first_line(&error.to_string())))
    })
}

/// What `query` picks from `answer`, as text. Copies that the query makes live until the program ends.
pub(super) fn render(
    answer: &SecretValue,
    query: Option<&Expression<'static>>,
    format: OutputFormat,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let picked = query.map(|query| pick(answer, query)).transpose()?;
    let value = picked.as_ref().unwrap_or(answer);
    let mut text = Zeroizing::new(Vec::with_capacity(TEXT_BYTES));
    match format {
        OutputFormat::Json => {
            serde_json::to_writer_pretty(&mut *text, &value.0)
                .map_err(|error| Failure::failed(format!("cannot write JSON: {error}")))?;
            text.push(b'\n');
        }
        OutputFormat::Text => write_text(&value.0, None, &mut text),
    }
    Ok(text)
}

fn pick(answer: &SecretValue, query: &Expression<'static>) -> Result<SecretValue, Failure> {
    let failed = |error: String| Failure::failed(format!("--query: {}", first_line(&error)));
    let data = Variable::from_serializable(&answer.0).map_err(|error| failed(error.to_string()))?;
    let picked = query.search(data).map_err(|error| failed(error.to_string()))?;
    serde_json::to_value(&*picked).map(SecretValue).map_err(|error| failed(error.to_string()))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Tab-separated values. An object is a line of its scalars, then the lines of what else it has, which begin with the
/// member's name; a list of scalars is one line.
fn write_text(value: &Value, name: Option<&str>, text: &mut Vec<u8>) {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<&String, &Value> = members.iter().collect();
            let scalars: Vec<&Value> = sorted.values().copied().filter(|value| is_scalar(value)).collect();
            if !scalars.is_empty() {
                write_line(&scalars, name, text);
            }
            for (member, value) in sorted.into_iter().filter(|(_, value)| !is_scalar(value)) {
                write_text(value, Some(member), text);
            }
        }
        Value::Array(items) => {
            let (scalars, others): (Vec<&Value>, Vec<&Value>) =
                items.iter().partition(|item| is_scalar(item));
            match name {
                // Each with the name before it, as a list inside an object is.
                Some(_) => scalars.iter().for_each(|scalar| write_line(&[scalar], name, text)),
                None if scalars.is_empty() => {}
                None => write_line(&scalars, None, text),
            }
            others.into_iter().for_each(|other| write_text(other, name, text));
        }
        scalar => write_line(&[scalar], None, text),
    }
}

fn write_line(scalars: &[&Value], name: Option<&str>, text: &mut Vec<u8>) {
    if let Some(name) = name {
        text.extend(name.to_uppercase().bytes());
        text.push(b'\t');
    }
    for (position, scalar) in scalars.iter().enumerate() {
        if position > 0 {
            text.push(b'\t');
        }
        match scalar {
            Value::String(string) => text.extend(string.bytes()),
            // As Python writes them, which the AWS CLI is made of.
            Value::Null => text.extend(b"None"),
            Value::Bool(true) => text.extend(b"True"),
            Value::Bool(false) => text.extend(b"False"),
            other => text.extend(other.to_string().bytes()),
        }
    }
    text.push(b'\n');
}

fn is_scalar(value: &Value) -> bool {
    !matches!(value, Value::Array(_) | Value::Object(_))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer() -> SecretValue {
        SecretValue(json!({"Plaintext": "c2VjcmV0", "CiphertextBlob": "YmxvYg==", "KeyId": "arn"}))
    }

    fn shown(query: Option<&str>, format: OutputFormat) -> String {
        let query = query.map(|query| compile(query).unwrap());
        String::from_utf8(render(&answer(), query.as_ref(), format).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn an_answer_is_printed_as_the_aws_cli_prints_it() {
        for (query, format, expected) in [
            (None, OutputFormat::Text, "YmxvYg==\tarn\tc2VjcmV0\n"),
            (Some("Plaintext"), OutputFormat::Text, "c2VjcmV0\n"),
            (Some("Plaintext"), OutputFormat::Json, "\"c2VjcmV0\"\n"),
            (Some("[KeyId, Plaintext]"), OutputFormat::Text, "arn\tc2VjcmV0\n"),
            (Some("{key: KeyId}"), OutputFormat::Json, "{\n  \"key\": \"arn\"\n}\n"),
            (Some("Absent"), OutputFormat::Json, "null\n"),
            (Some("Absent"), OutputFormat::Text, "None\n"),
            (Some("{a: KeyId, list: [KeyId, `true`]}"), OutputFormat::Text, "arn\nLIST\tarn\nLIST\tTrue\n"),
            (Some("length(Plaintext)"), OutputFormat::Text, "8\n"),
        ] {
            assert_eq!(shown(query, format), expected, "{query:?}");
        }
    }

    #[test]
    fn a_query_that_is_none_is_wrong_usage() {
        assert!(compile("Plaintext[").is_err());
        assert!(compile("").is_err());
    }

    #[test]
    fn what_was_secret_is_wiped() {
        let mut value = json!({"a": ["secret", {"b": "secret"}], "c": 1});
        wipe(&mut value);
        assert_eq!(value, json!({"a": ["", {"b": ""}], "c": 1}));
    }
}
