//! Lint: what a policy says that its author will hardly have meant.
//!
//! [`lint`] works on the text, also on one that [`KeyPolicy::parse`](super::KeyPolicy::parse) refuses: every refusal is a
//! finding with its place, and whatever is understood beside it is still looked at.
//!
//! ```text
//! text ─► json::Located ─► reading (the broker's own parsers, piece by piece) ─► families of checks ─► findings
//! ```
//!
//! A rule is one [`Rule`], declared beside its check; its code and name are stable: neither is ever given to another rule.
//! `docs/policy-lint.md` explains each.

mod access;
mod administration;
mod attestation;
mod catalogue;
mod conditions;
mod cover;
mod duplicates;
mod finding;
mod overlap;
mod reader;
mod reading;
mod refused;
mod register_values;
mod registers;
mod similar;
mod ways_around;

pub use catalogue::{rule, rules};
pub use finding::{Finding, Place, Rule, Severity};

use crate::policy::MAX_IDENTITY_POLICY_BYTES;
use crate::time::UnixTime;

use finding::Findings;
use reading::Reading;

/// What kind of policy a text is, and what is known beside it.
#[derive(Clone, Copy, Debug, Default)]
pub struct LintOptions {
    /// Which kind of document it is.
    pub kind: PolicyKind,
    /// The time for which expiries are judged; without one they are not.
    pub now: Option<UnixTime>,
}

/// The two kinds of policy document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PolicyKind {
    /// The policy of a key.
    #[default]
    Key,
    /// A policy that is attached to a user or role.
    Identity,
}

/// Looks a policy over. Findings are in the order of the text; none of them is found twice.
pub fn lint(text: &str, options: &LintOptions) -> Vec<Finding> {
    let mut findings = Findings::new(text);
    if text.len() > MAX_IDENTITY_POLICY_BYTES {
        // No policy of either kind: it is not even read.
    } else if let Some(reading) = Reading::of(text, options.kind, &mut findings) {
        conditions::check(&reading, options.now, &mut findings);
        register_values::check(&reading, &mut findings);
        registers::check(&reading, &mut findings);
        attestation::check(&reading, &mut findings);
        access::check(&reading, &mut findings);
        duplicates::check(&reading, &mut findings);
        overlap::check(&reading, &mut findings);
        if options.kind == PolicyKind::Key {
            ways_around::check(&reading, &mut findings);
            administration::check(&reading, &mut findings);
        }
    }
    refused::check_whole(text, options.kind, &mut findings);
    findings.in_order()
}
