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
    /// Twelve digits: an account, in whatever partition.
    Account(Box<str>),
    Arn(PrincipalArn),
}

/// How far an element speaks of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// Not at all.
    Nobody,
    /// It names the caller's account, whose identity policies then decide (KMS developer guide, *Default key policy*).
    Account,
    /// It names the caller, or everyone.
    Caller,
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

    /// Of a negated element an account excepts nobody but its root: everybody else in it has to be named as well (IAM
    /// user guide, *NotPrincipal*).
    pub(super) fn reach(&self, caller: &Caller) -> Reach {
        let reach =
            self.any_of.iter().map(|principal| principal.reach(caller)).max().unwrap_or(Reach::Nobody);
        match (self.negated, reach) {
            (false, reach) => reach,
            (true, Reach::Caller) => Reach::Nobody,
            (true, Reach::Account | Reach::Nobody) => Reach::Caller,
        }
    }
}

impl Principal {
    pub(super) fn parse(text: &str, path: &Path<'_>) -> Result<Self, PolicyError> {
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

    fn reach(&self, caller: &Caller) -> Reach {
        match (self, caller) {
            (Self::Anyone, _) => Reach::Caller,
            (Self::Account(_) | Self::Arn(_), Caller::Anonymous) => Reach::Nobody,
            (Self::Account(account), Caller::Principal { arn }) if arn.account() == &**account => {
                if arn.is_account_root() { Reach::Caller } else { Reach::Account }
            }
            (Self::Arn(principal), Caller::Principal { arn }) => {
                if principal.covers(arn) {
                    Reach::Caller
                } else if arn.is_in_account_of(principal) {
                    Reach::Account
                } else {
                    Reach::Nobody
                }
            }
            (Self::Account(_), Caller::Principal { .. }) => Reach::Nobody,
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
