//! Who asks.

use std::borrow::Cow;
use std::fmt;

use super::arn;

/// Longest principal ARN taken: the longest role ARN (64-character name behind a 512-character path, IAM quotas) and
/// the longest session ARN stay below it.
const MAX_PRINCIPAL_ARN_BYTES: usize = 1024;

/// The caller of one request, as authentication found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// An unsigned request. Only a statement for `"*"` applies to it.
    Anonymous,
    /// A request signed with a credential that was issued for this ARN.
    Principal {
        /// The principal's own ARN; a session's, when a role was assumed.
        arn: PrincipalArn,
    },
}

impl Caller {
    /// The caller's ARN, `None` for the anonymous caller.
    pub fn arn(&self) -> Option<&PrincipalArn> {
        match self {
            Self::Anonymous => None,
            Self::Principal { arn } => Some(arn),
        }
    }

    /// The caller's account, twelve digits: the value of `kms:CallerAccount`.
    pub fn account(&self) -> Option<&str> {
        self.arn().map(PrincipalArn::account)
    }
}

/// The ARN, or `anonymous`.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::Principal { arn } => arn.fmt(f),
        }
    }
}

/// The ARN of one principal, without wildcards:
///
/// | form | principal |
/// |---|---|
/// | `arn:aws:iam::ACCOUNT:root` | the account |
/// | `arn:aws:iam::ACCOUNT:user/[PATH/]NAME` | a user |
/// | `arn:aws:iam::ACCOUNT:role/[PATH/]NAME` | a role |
/// | `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION` | a session of a role |
/// | `arn:aws:sts::ACCOUNT:federated-user/NAME` | a federated user's session |
///
/// The partition may also be another than `aws`, such as `aws-cn`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PrincipalArn {
    text: Box<str>,
    partition: Box<str>,
    account: Box<str>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Root,
    User,
    Role { name: Box<str> },
    AssumedRole { role_name: Box<str>, role_arn: Box<str> },
    FederatedUser,
}

impl PrincipalArn {
    /// Reads one of the forms above.
    ///
    /// # Errors
    /// [`InvalidPrincipalArn`] names what is expected where the text departs from them.
    pub fn parse(text: &str) -> Result<Self, InvalidPrincipalArn> {
        let invalid = |expected| InvalidPrincipalArn { expected, actual: text.chars().take(128).collect() };
        if text.len() > MAX_PRINCIPAL_ARN_BYTES {
            return Err(invalid("at most 1024 bytes"));
        }
        let [_, partition, service, region, account, resource] =
            arn::segments(text).ok_or(invalid("an ARN of six segments separated by colons"))?;
        if partition != "aws" && !partition.strip_prefix("aws-").is_some_and(is_name) {
            return Err(invalid("the partition aws or aws-…"));
        }
        if !region.is_empty() {
            return Err(invalid("no region in a principal's ARN"));
        }
        if !is_account(account) {
            return Err(invalid("an account of twelve digits"));
        }
        let kind = match (service, resource.split_once('/')) {
            ("iam", None) if resource == "root" => Kind::Root,
            ("iam", Some(("user", path_and_name))) if last_name(path_and_name).is_some() => Kind::User,
            ("iam", Some(("role", path_and_name))) if let Some(name) = last_name(path_and_name) => {
                Kind::Role { name: name.into() }
            }
            ("sts", Some(("assumed-role", role_and_session)))
                if let Some((role, session)) = role_and_session.split_once('/')
                    && is_name(role)
                    && is_name(session) =>
            {
                let role_arn = format!("arn:{partition}:iam::{account}:role/{role}");
                Kind::AssumedRole { role_name: role.into(), role_arn: role_arn.into() }
            }
            ("sts", Some(("federated-user", name))) if is_name(name) => Kind::FederatedUser,
            _ => {
                return Err(invalid(
                    "iam root, user/NAME or role/NAME, or sts assumed-role/ROLE/SESSION or federated-user/NAME",
                ));
            }
        };
        Ok(Self { text: text.into(), partition: partition.into(), account: account.into(), kind })
    }

    /// The ARN as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The account, twelve digits.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Whether this is an account itself (`…:root`).
    pub fn is_account_root(&self) -> bool {
        self.kind == Kind::Root
    }

    /// The value of `aws:PrincipalArn`: the role's ARN for a session of a role, else the ARN itself. A session's ARN
    /// does not tell the role's path, so the role's ARN comes without one.
    pub fn principal_arn(&self) -> &str {
        match &self.kind {
            Kind::AssumedRole { role_arn, .. } => role_arn,
            Kind::Root | Kind::User | Kind::Role { .. } | Kind::FederatedUser => &self.text,
        }
    }

    /// Whether what is given to this principal is given to `caller`: to itself, and to the sessions of a role.
    pub fn covers(&self, caller: &Self) -> bool {
        caller.text == self.text || caller.is_session_of(self)
    }

    /// The ARN without a role's path, by which a role and its sessions find what is given to the role.
    pub fn without_role_path(&self) -> Cow<'_, str> {
        match &self.kind {
            Kind::Role { name } => {
                Cow::Owned(format!("arn:{}:iam::{}:role/{name}", self.partition, self.account))
            }
            Kind::Root | Kind::User | Kind::AssumedRole { .. } | Kind::FederatedUser => {
                Cow::Borrowed(&self.text)
            }
        }
    }

    /// Whether this is a session of `role`. Paths do not count: a role's name is unique in its account whatever its
    /// path (IAM User Guide, "IAM identifiers"), and the session's ARN has none.
    pub(super) fn is_session_of(&self, role: &Self) -> bool {
        matches!((&self.kind, &role.kind), (Kind::AssumedRole { role_name, .. }, Kind::Role { name }) if role_name == name)
            && self.account == role.account
            && self.partition == role.partition
    }
}

impl fmt::Display for PrincipalArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A text that is not the ARN of one principal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {actual:?}")]
pub struct InvalidPrincipalArn {
    /// What the form asks for where the text departs from it.
    pub expected: &'static str,
    /// The text, cut short.
    pub actual: String,
}

/// Whether the text is an account: twelve digits.
pub(super) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A user, role or session name: letters, digits and `_+=,.@-` (IAM quotas, "IAM name requirements").
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte))
}

/// The name at the end of a path, when every part has a name's characters.
fn last_name(path_and_name: &str) -> Option<&str> {
    path_and_name.split('/').all(is_name).then(|| path_and_name.rsplit('/').next()).flatten()
}

#[cfg(test)]
mod tests {
    use super::{Caller, InvalidPrincipalArn, PrincipalArn};

    #[test]
    fn a_session_stands_for_its_role() {
        let session = PrincipalArn::parse("arn:aws:sts::111122223333:assumed-role/worker/i-0abc").unwrap();
        assert_eq!(session.account(), "111122223333");
        assert_eq!(session.principal_arn(), "arn:aws:iam::111122223333:role/worker");
        for (role, expected) in [
            ("arn:aws:iam::111122223333:role/worker", true),
            ("arn:aws:iam::111122223333:role/team/a/worker", true),
            ("arn:aws:iam::111122223333:role/worker2", false),
            ("arn:aws:iam::111122223333:user/worker", false),
            ("arn:aws:iam::444455556666:role/worker", false),
            ("arn:aws-cn:iam::111122223333:role/worker", false),
        ] {
            let role = PrincipalArn::parse(role).unwrap();
            assert_eq!(session.is_session_of(&role), expected, "{role}");
            assert_eq!(role.covers(&session), expected, "{role}");
            assert!(role.covers(&role) && !session.covers(&role), "{role}");
            // What covers a session is found by the ARN that the session knows of its role.
            assert_eq!(role.without_role_path() == session.principal_arn(), expected, "{role}");
        }
    }

    #[test]
    fn every_form_is_read_and_kept_as_written() {
        for text in [
            "arn:aws:iam::111122223333:root",
            "arn:aws:iam::111122223333:user/alice",
            "arn:aws-cn:iam::111122223333:role/team/a/worker",
            "arn:aws:sts::111122223333:assumed-role/worker/i-0abc",
            "arn:aws:sts::111122223333:federated-user/alice",
        ] {
            assert_eq!(PrincipalArn::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for (text, expected) in [
            ("", "an ARN of six segments separated by colons"),
            ("arn:aws:iam::111122223333", "an ARN of six segments separated by colons"),
            ("arn:gcp:iam::111122223333:root", "the partition aws or aws-…"),
            ("arn:aws:iam:eu-central-1:111122223333:root", "no region in a principal's ARN"),
            ("arn:aws:iam::11112222333:root", "an account of twelve digits"),
        ] {
            assert_eq!(
                PrincipalArn::parse(text),
                Err(InvalidPrincipalArn { expected, actual: text.to_owned() })
            );
        }
        for resource in ["", "root/", "user/", "role/*", "role/a//b", "group/admins", "assumed-role/a/b"] {
            assert!(
                PrincipalArn::parse(&format!("arn:aws:iam::111122223333:{resource}")).is_err(),
                "{resource}"
            );
        }
        for resource in ["assumed-role/a", "assumed-role/a/b/c", "role/a", "root", "federated-user/"] {
            assert!(
                PrincipalArn::parse(&format!("arn:aws:sts::111122223333:{resource}")).is_err(),
                "{resource}"
            );
        }
        let of_length = |length| format!("{:a<length$}", "arn:aws:iam::111122223333:user/");
        assert!(PrincipalArn::parse(&of_length(1024)).is_ok());
        assert!(PrincipalArn::parse(&of_length(1025)).is_err());
    }

    #[test]
    fn the_anonymous_caller_has_no_account() {
        assert_eq!(
            (Caller::Anonymous.account(), Caller::Anonymous.to_string()),
            (None, "anonymous".to_owned())
        );
    }
}
