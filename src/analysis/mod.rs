//! The questions of a security team about decisions: what was asked and decided, what another policy would say of it, and
//! who may do what.
//!
//! Everything here judges with [`policy::judge_access`](crate::policy::judge_access) and its kin, the code behind every
//! live decision, and nothing here can make a permit. It reads; nothing is changed.

mod current;
mod difference;
mod grant_json;
mod recorded;
mod replay;
mod who_can;

pub use current::{Applicable, CurrentPolicies, Scope};
pub use difference::{MAX_COMBINATIONS, Outcome, PolicyDifference, RuleChange, Witness, policy_difference};
pub use grant_json::{GrantJsonError, grant_of_json};
pub use recorded::{NotReplayable, RecordedDecision, RecordedOf, recorded_decisions};
pub use replay::{
    Change, ChangeGroup, Counts, MAX_GROUPS, NotReplayed, ReplayError, ReplayReport, Rulings, Unknown,
    judge_again, replay_log,
};
pub use who_can::{Access, AccessRow, AllowedActions, KnownParties, MAX_IMAGES, MAX_PRINCIPALS, access};
