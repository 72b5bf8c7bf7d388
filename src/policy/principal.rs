//! The `Principal` and `NotPrincipal` elements.

use std::fmt;

use super::caller::{Caller, PrincipalArn, is_account};
use super::error::{PolicyError, Problem};
use super::json::{ErrorAt, PolicyValue};
use crate::json::{Json, Path};
use crate::text::shorten;

/// Whom a statement is about.
#[derive(Clone, Debug)]
pub(super) struct PrincipalElement {
    /// `NotPrincipal`: everyone but these.
    pub(super) negated: bool,
    pub(super) any_of: Box<[Principal]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Principal {
    /// `*`, the anonymous caller included.
    Anyone,
    /// Twelve digits. In AWS an account hands the question on to its identity policies; this broker has none, so an
    /// account stands only for its root principal, in whatever partition.
    Account(Box<str>),
    Arn(PrincipalArn),
}

impl PrincipalElement {
    /// Reads `"*"` or `{"AWS": …}`.
    pub(super) fn parse(json: &Json, path: &Path<'_>, negated: bool) -> Result<Self, PolicyError> {
        let mut any_of = Vec::new();
        match json {
            Json::String(text) if text == "*" => any_of.push(Principal::Anyone),
            Json::String(text) => {
                return Err(path.error(Problem::Value {
                    expected: "\"*\" or an object such as {\"AWS\": \"arn:aws:iam::111122223333:role/NAME\"}",
                    actual: shorten(text),
                }));
            }
            _ => {
                for (kind, names) in json.non_empty_object(path)? {
                    let path = path.field(kind);
                    match kind.as_str() {
                        "AWS" => names.each_string(&path, |name, path| {
                            any_of.push(Principal::parse(name, path)?);
                            Ok(())
                        })?,
                        "Service" | "Federated" | "CanonicalUser" => {
                            return Err(path.error(Problem::UnsupportedPrincipalType { kind: kind.clone() }));
                        }
                        _ => return Err(path.error(Problem::UnknownElement { name: shorten(kind) })),
                    }
                }
            }
        }
        if negated && any_of.contains(&Principal::Anyone) {
            return Err(path.error(Problem::NeverApplies));
        }
        Ok(Self { negated, any_of: any_of.into() })
    }

    pub(super) fn matches(&self, caller: &Caller) -> bool {
        self.any_of.iter().any(|principal| principal.matches(caller)) != self.negated
    }
}

impl Principal {
    fn parse(text: &str, path: &Path<'_>) -> Result<Self, PolicyError> {
        if text == "*" {
            return Ok(Self::Anyone);
        }
        if text.contains(['*', '?']) {
            return Err(path.error(Problem::PrincipalWildcard { actual: shorten(text) }));
        }
        if is_account(text) {
            return Ok(Self::Account(text.into()));
        }
        PrincipalArn::parse(text)
            .map(Self::Arn)
            .map_err(|invalid| path.error(Problem::InvalidPrincipal(invalid)))
    }

    fn matches(&self, caller: &Caller) -> bool {
        match (self, caller) {
            (Self::Anyone, _) => true,
            (Self::Account(_) | Self::Arn(_), Caller::Anonymous) => false,
            (Self::Account(account), Caller::Principal { arn }) => {
                arn.is_account_root() && arn.account() == &**account
            }
            (Self::Arn(principal), Caller::Principal { arn }) => principal.covers(arn),
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("*"),
            Self::Account(account) => f.write_str(account),
            Self::Arn(arn) => arn.fmt(f),
        }
    }
}
