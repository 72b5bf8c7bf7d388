//! Who asks.

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

    /// The caller's account, twelve digits: the value of `kms:CallerAccount` and `aws:PrincipalAccount`.
    pub fn account(&self) -> Option<&str> {
        self.arn().map(PrincipalArn::account)
    }

    /// The value of `aws:PrincipalType` (IAM user guide, *Information available when the principal is …*).
    pub(super) fn principal_type(&self) -> &'static str {
        match self.arn().map(|arn| &arn.kind) {
            None => "Anonymous",
            Some(Kind::Root) => "Account",
            Some(Kind::User { .. }) => "User",
            Some(Kind::Role { .. } | Kind::AssumedRole { .. }) => "AssumedRole",
            Some(Kind::FederatedUser) => "FederatedUser",
        }
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
    User { name: Box<str>, holder: PolicyHolder },
    Role { name: Box<str>, holder: PolicyHolder },
    AssumedRole { role_name: Box<str>, role: PolicyHolder },
    FederatedUser,
}

/// Whom identity policies are attached to: a user by its ARN, or a role by its ARN without the path, since the ARN of a
/// role's session does not tell it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PolicyHolder(Box<str>);

impl PolicyHolder {
    /// Reads the ARN of a user or a role.
    ///
    /// # Errors
    /// When it is none, or the ARN of somebody who has no policies of his own.
    pub fn parse(text: &str) -> Result<Self, InvalidPrincipalArn> {
        match PrincipalArn::parse(text)?.kind {
            Kind::User { holder, .. } | Kind::Role { holder, .. } => Ok(holder),
            Kind::Root | Kind::AssumedRole { .. } | Kind::FederatedUser => Err(InvalidPrincipalArn {
                expected: "the ARN of a user or a role, to which policies can be attached",
                actual: text.to_owned(),
            }),
        }
    }

    /// The ARN.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PolicyHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
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
            ("iam", Some(("user", path_and_name))) if let Some(name) = last_name(path_and_name) => {
                Kind::User { name: name.into(), holder: PolicyHolder(text.into()) }
            }
            ("iam", Some(("role", path_and_name))) if let Some(name) = last_name(path_and_name) => {
                Kind::Role { name: name.into(), holder: role(partition, account, name) }
            }
            ("sts", Some(("assumed-role", role_and_session)))
                if let Some((name, session)) = role_and_session.split_once('/')
                    && is_name(name)
                    && is_name(session) =>
            {
                Kind::AssumedRole { role_name: name.into(), role: role(partition, account, name) }
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
            Kind::AssumedRole { role, .. } => role.as_str(),
            Kind::Root | Kind::User { .. } | Kind::Role { .. } | Kind::FederatedUser => &self.text,
        }
    }

    /// The value of `aws:username`: a user's name without the path; nobody else has one.
    pub(super) fn user_name(&self) -> Option<&str> {
        match &self.kind {
            Kind::User { name, .. } => Some(name),
            Kind::Root | Kind::Role { .. } | Kind::AssumedRole { .. } | Kind::FederatedUser => None,
        }
    }

    /// Whose identity policies count: a user's own, and for a session of a role those of the role. An account's root
    /// and federated users have none.
    pub fn policy_holder(&self) -> Option<&PolicyHolder> {
        match &self.kind {
            Kind::User { holder, .. } | Kind::Role { holder, .. } => Some(holder),
            Kind::AssumedRole { role, .. } => Some(role),
            Kind::Root | Kind::FederatedUser => None,
        }
    }

    /// Whether `root` is the root of this principal's account.
    pub(super) fn is_in_account_of(&self, root: &Self) -> bool {
        root.is_account_root() && self.account == root.account && self.partition == root.partition
    }

    /// Whether what is given to this principal is given to `caller`: to itself, and to the sessions of a role.
    pub fn covers(&self, caller: &Self) -> bool {
        caller.text == self.text || caller.is_session_of(self)
    }

    /// The ARN without a role's path, by which a role and its sessions find what is given to the role.
    pub fn without_role_path(&self) -> &str {
        match &self.kind {
            Kind::Role { holder, .. } => holder.as_str(),
            Kind::Root | Kind::User { .. } | Kind::AssumedRole { .. } | Kind::FederatedUser => &self.text,
        }
    }

    /// Whether this is a session of `role`. Paths do not count: a role's name is unique in its account whatever its
    /// path (IAM User Guide, "IAM identifiers"), and the session's ARN has none.
    pub(super) fn is_session_of(&self, role: &Self) -> bool {
        matches!((&self.kind, &role.kind), (Kind::AssumedRole { role_name, .. }, Kind::Role { name, .. }) if role_name == name)
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

fn role(partition: &str, account: &str, name: &str) -> PolicyHolder {
    PolicyHolder(format!("arn:{partition}:iam::{account}:role/{name}").into())
}

/// Every value of `aws:PrincipalType` here.
pub(super) const PRINCIPAL_TYPES: [&str; 5] =
    ["Anonymous", "Account", "User", "AssumedRole", "FederatedUser"];

/// Whether the text is an account: twelve digits.
pub(super) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A user, role or session name: letters, digits and `_+=,.@-` (IAM quotas, "IAM name requirements").
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte))
}

/// The name at the end of a path, when every part has a name's characters.
fn last_name(path_and_name: &str) -> Option<&str> {
    path_and_name.split('/').all(is_name).then(|| path_and_name.rsplit('/').next()).flatten()
}

#[cfg(test)]
mod tests {
    use super::{Caller, InvalidPrincipalArn, PolicyHolder, PrincipalArn};

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
    fn a_session_has_the_policies_of_its_role_whatever_the_path() {
        let holder = |arn| PrincipalArn::parse(arn).unwrap().policy_holder().map(ToString::to_string);
        let role = Some("arn:aws:iam::111122223333:role/worker".to_owned());
        assert_eq!(holder("arn:aws:sts::111122223333:assumed-role/worker/i-0abc"), role);
        assert_eq!(holder("arn:aws:iam::111122223333:role/team/worker"), role);
        let user = "arn:aws:iam::111122223333:user/team/alice";
        assert_eq!(holder(user).as_deref(), Some(user));
        assert_eq!(PolicyHolder::parse(user).unwrap().as_str(), user);
        for nobody in ["arn:aws:iam::111122223333:root", "arn:aws:sts::111122223333:federated-user/alice"] {
            assert_eq!(holder(nobody), None, "{nobody}");
            assert!(PolicyHolder::parse(nobody).is_err(), "{nobody}");
        }
        assert!(PolicyHolder::parse("arn:aws:sts::111122223333:assumed-role/worker/i-0abc").is_err());
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
