//! Parameters in the spellings that the AWS CLI takes.

use std::fs::File;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use enclave_sample::client::EncryptionContext;

use super::failure::Failure;

/// A blob is at most 6,144 bytes; a file much longer than that is some other file.
const MAX_BLOB_FILE_BYTES: u64 = 64 * 1024;

/// An encryption context on the command line, a type of its own so that clap takes it as one value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ContextArgument(pub(super) EncryptionContext);

/// `k=v,k2=v2` or a JSON object of strings.
pub(super) fn parse_context(text: &str) -> Result<ContextArgument, String> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text)
            .map(ContextArgument)
            .map_err(|error| format!("not a JSON object of strings: {error}"));
    }
    let mut context = EncryptionContext::new();
    for pair in text.split(',') {
        let (key, value) =
            pair.split_once('=').ok_or_else(|| format!("{pair:?} is not a pair such as key=value"))?;
        if key.is_empty() {
            return Err(format!("{pair:?} has no key"));
        }
        if context.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(format!("{key:?} is given twice"));
        }
    }
    Ok(ContextArgument(context))
}

/// Base64 text, or `fileb://PATH` for the bytes of a file.
pub(super) fn read_blob(option: &str, text: &str) -> Result<Vec<u8>, Failure> {
    if let Some(path) = text.strip_prefix("fileb://") {
        let mut bytes = Vec::new();
        return match File::open(path).and_then(|file| file.take(MAX_BLOB_FILE_BYTES).read_to_end(&mut bytes))
        {
            Ok(_) => Ok(bytes),
            Err(error) => Err(Failure::failed(format!("cannot read {path}: {error}"))),
        };
    }
    BASE64.decode(text.trim()).map_err(|_| {
        Failure::usage(format!("{option} is not base64"))
            .with_hint("write fileb://PATH to send the bytes of a file")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
        parse_context(text).map(|ContextArgument(context)| context.into_iter().collect())
    }

    #[test]
    fn contexts_parse_in_both_spellings() {
        let expected = vec![("a".to_owned(), "1".to_owned()), ("b".to_owned(), "x=y".to_owned())];
        assert_eq!(pairs("b=x=y,a=1"), Ok(expected.clone()));
        assert_eq!(pairs(r#" {"a":"1","b":"x=y"}"#), Ok(expected));
        assert_eq!(pairs("a="), Ok(vec![("a".to_owned(), String::new())]));
        assert_eq!(pairs("a"), Err("\"a\" is not a pair such as key=value".to_owned()));
        assert_eq!(pairs("=1"), Err("\"=1\" has no key".to_owned()));
        assert_eq!(pairs("a=1,a=2"), Err("\"a\" is given twice".to_owned()));
        assert!(pairs(r#"{"a":1}"#).unwrap_err().starts_with("not a JSON object of strings: "));
    }
}
