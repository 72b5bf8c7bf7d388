//! The policies' no.

use std::fmt;

use super::caller::Caller;
use super::grant::GrantOperation;

/// The policies' no. Its [`Display`](fmt::Display) is what the caller may read; the reasons are for log and audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    pub(super) caller: Caller,
    pub(super) action: &'static str,
    pub(super) resource: String,
    pub(super) refusal: Refusal,
    pub(super) reasons: Vec<String>,
}

/// What kind of no it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A statement denies.
    ExplicitDeny(Side),
    /// No statement allows, and no grant.
    NotAllowed(Side),
    /// The question could not be answered.
    Failed(Side),
    /// The action is not open to callers of another account, whatever policies say.
    AnotherAccount,
}

impl Refusal {
    /// Every kind of no.
    pub const ALL: [Self; 7] = [
        Self::ExplicitDeny(Side::Resource),
        Self::ExplicitDeny(Side::Identity),
        Self::NotAllowed(Side::Resource),
        Self::NotAllowed(Side::Identity),
        Self::Failed(Side::Resource),
        Self::Failed(Side::Identity),
        Self::AnotherAccount,
    ];

    /// A stable name for counters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ExplicitDeny(_) => "explicit_deny",
            Self::NotAllowed(_) => "not_allowed",
            Self::Failed(_) => "failed",
            Self::AnotherAccount => "another_account",
        }
    }

    /// A stable name of the side whose word it is; empty where it is nobody's.
    pub const fn side(self) -> &'static str {
        match self {
            Self::ExplicitDeny(side) | Self::NotAllowed(side) | Self::Failed(side) => match side {
                Side::Resource => "resource",
                Side::Identity => "identity",
            },
            Self::AnotherAccount => "",
        }
    }
}

/// The two sides whose word is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The key's policy.
    Resource,
    /// The caller's policies.
    Identity,
}

impl Denial {
    /// Whether a grant could still allow it: no statement denies, and it is something that a grant can allow.
    pub fn leaves_room_for_a_grant(&self) -> bool {
        matches!(self.refusal, Refusal::NotAllowed(_)) && GrantOperation::of_action(self.action).is_some()
    }

    /// What kind of no it is.
    pub fn refusal(&self) -> Refusal {
        self.refusal
    }

    /// For each statement and grant why it did not allow, or which one denied. It shows what the policies ask for: not for the
    /// caller.
    pub fn reasons(&self) -> &[String] {
        &self.reasons
    }
}

impl std::error::Error for Denial {}

/// The words of KMS.
impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { caller, action, resource, refusal, reasons: _ } = self;
        write!(f, "User: {caller} is not authorized to perform: {action} on resource: {resource} ")?;
        match refusal {
            Refusal::ExplicitDeny(Side::Resource) => {
                f.write_str("with an explicit deny in a resource-based policy")
            }
            Refusal::ExplicitDeny(Side::Identity) => {
                f.write_str("with an explicit deny in an identity-based policy")
            }
            Refusal::NotAllowed(Side::Resource) | Refusal::Failed(Side::Resource) => {
                write!(f, "because no resource-based policy allows the {action} action")
            }
            Refusal::NotAllowed(Side::Identity) | Refusal::Failed(Side::Identity) => {
                write!(f, "because no identity-based policy allows the {action} action")
            }
            Refusal::AnotherAccount => {
                write!(f, "because the {action} action is not open to callers of another account")
            }
        }
    }
}
