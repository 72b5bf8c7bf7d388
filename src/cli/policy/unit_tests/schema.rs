//! The file of `policy test`: names for documents and principals, and cases with what is expected of each.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde_saphyr::Spanned;

/// A whole file. Unknown members are errors everywhere, and so are names that stand twice.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct TestFile {
    /// The key policy, beside this file.
    pub(super) policy: PathBuf,
    /// The key of every case, where it matters.
    #[serde(default)]
    pub(super) key: KeyDescription,
    /// Grants of the key, a file as ListGrants shows them.
    pub(super) grants: Option<PathBuf>,
    #[serde(default)]
    pub(super) documents: BTreeMap<String, DocumentSource>,
    /// Names for ARNs.
    #[serde(default)]
    pub(super) principals: BTreeMap<String, String>,
    /// The identity policies of principals, by name or ARN.
    #[serde(default)]
    pub(super) identity_policies: BTreeMap<String, Vec<PathBuf>>,
    pub(super) cases: Vec<Spanned<Case>>,
}

/// What conditions may ask about a key.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct KeyDescription {
    pub(super) arn: Option<String>,
    pub(super) spec: Option<String>,
    pub(super) usage: Option<String>,
    pub(super) origin: Option<String>,
    #[serde(default)]
    pub(super) aliases: Vec<String>,
    #[serde(default)]
    pub(super) tags: BTreeMap<String, String>,
}

/// An enclave: a document as a file or in base64, or its registers alone.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct DocumentSource {
    pub(super) file: Option<PathBuf>,
    pub(super) base64: Option<String>,
    #[serde(default)]
    pub(super) pcrs: BTreeMap<String, String>,
    /// The root that it has to lead to (PEM, beside this file) instead of that of AWS.
    pub(super) root: Option<PathBuf>,
    /// Take it as it is, though it is not genuine.
    #[serde(default)]
    pub(super) unverified: bool,
}

/// One request and what is expected of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) operation: String,
    /// A name or an ARN; without it, the anonymous caller.
    pub(super) principal: Option<String>,
    /// A name; without it, the request is not attested.
    pub(super) document: Option<String>,
    #[serde(default)]
    pub(super) encryption_context: BTreeMap<String, String>,
    /// RFC 3339; without it, the first second of 2026.
    pub(super) at: Option<String>,
    pub(super) source_ip: Option<String>,
    /// Any other condition keys.
    #[serde(default)]
    pub(super) conditions: BTreeMap<String, OneOrMany>,
    pub(super) expect: Expected,
    /// The statement that decides, by its Sid or as `Statement[0]`, or the id of a grant.
    pub(super) by: Option<String>,
    /// Words that stand in the reason.
    pub(super) because: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Expected {
    Allow,
    Deny,
}

/// A value, or several of them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    One(Scalar),
    Many(Vec<Scalar>),
}

/// A value with or without quotes.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Scalar {
    Flag(bool),
    Number(i64),
    Text(String),
}

impl OneOrMany {
    /// The values as the texts that string operators see.
    pub(super) fn texts(&self) -> Vec<String> {
        let values = match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        };
        values
            .iter()
            .map(|value| match value {
                Scalar::Flag(flag) => flag.to_string(),
                Scalar::Number(number) => number.to_string(),
                Scalar::Text(text) => text.clone(),
            })
            .collect()
    }
}
