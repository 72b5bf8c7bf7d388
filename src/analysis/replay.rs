//! Recorded decisions made again under other policies.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use serde::Serialize;

use super::current::CurrentPolicies;
use super::recorded::{RecordedDecision, RecordedOf, recorded_decisions};
use crate::audit::reader::{Lines, ReadError};
use crate::audit::record::{AuditRecord, RecordError};
use crate::policy::{
    self, AttachedPolicy, ConditionKey, ContextValue, ContextValues, Decision, DecisionKind, Grant,
    KeyPolicy, Policies, RequestContext, RequestFacts,
};
use crate::store::StoreError;
use crate::time::UnixTime;

/// Groups of changes at most. A log with more different ones than that tells only how many more there are.
pub const MAX_GROUPS: usize = 10_000;

/// The policies that a recorded question is put to now.
#[derive(Clone, Copy)]
pub struct Rulings<'p> {
    /// The key's; `None` where no key is asked about, or the key is not known any more.
    pub key: Option<&'p KeyPolicy>,
    /// Those attached to the caller.
    pub identity: &'p [AttachedPolicy],
    /// Grants that may name the caller. Those that were made after the request are passed over, and the one that the
    /// record names is asked also when it is gone.
    pub grants: &'p [Arc<Grant>],
}

/// Why a recorded question cannot be put again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Unknown {
    /// The key and its policy are not known.
    #[error("the policy of its key is not known")]
    KeyPolicy,
}

/// Puts a recorded question to `rulings`. `before` is what the question before it in the same record is answered with now:
/// of an alias, it says whether the caller's policies have to allow or only not to deny.
///
/// # Errors
/// When the policy that was asked is not known.
pub fn judge_again(
    recorded: &RecordedDecision,
    rulings: &Rulings<'_>,
    before: Option<DecisionKind>,
) -> Result<Decision, Unknown> {
    let inquiry = recorded.facts.inquiry();
    let is_about_alias = is_alias(&recorded.facts.resource);
    match &recorded.of {
        RecordedOf::Key { allowed_by } => {
            let key = rulings.key.ok_or(Unknown::KeyPolicy)?;
            let grants = grants_of_then(allowed_by.as_deref(), rulings.grants, recorded.facts.now);
            let policies = Policies { key, identity: rulings.identity, grants: &grants };
            Ok(Decision::of(&policy::judge_access(&policies, &inquiry)))
        }
        RecordedOf::Retirement(grant) => {
            let key = rulings.key.ok_or(Unknown::KeyPolicy)?;
            let policies = Policies { key, identity: rulings.identity, grants: &[] };
            Ok(Decision::of_retirement(&policy::judge_retirement(&policies, &inquiry, grant)))
        }
        RecordedOf::Identity | RecordedOf::NoDeny => {
            let has_to_allow = match is_about_alias {
                true => before == Some(DecisionKind::AllowedByBoth),
                false => recorded.of == RecordedOf::Identity,
            };
            Ok(match has_to_allow {
                true => Decision::of_identity(&policy::judge_by_identity(rulings.identity, &inquiry)),
                false => Decision::of_no_deny(&policy::judge_unless_denied(rulings.identity, &inquiry)),
            })
        }
    }
}

/// Why a log could not be replayed to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes every decision of a log again, line by line, under `policies`.
///
/// # Errors
/// When the log cannot be read or the store fails. A line that is no record is told of in the report.
pub async fn replay_log(
    lines: Lines,
    policies: &mut CurrentPolicies<'_>,
) -> Result<ReplayReport, ReplayError> {
    let mut replay = Replay::default();
    for entry in lines.records() {
        let entry = entry?;
        match entry.record {
            Ok(record) => replay.add(&record, policies).await?,
            Err(error) => {
                let place = format!("{}:{}", entry.place.file.display(), entry.place.line);
                replay.add_unreadable(place, &error);
            }
        }
    }
    Ok(replay.report())
}

/// Whether the resource is an alias, of which policies are asked beside its key.
pub(super) fn is_alias(resource: &str) -> bool {
    resource.contains(":alias/")
}

/// The grants that were there at the time, as far as they still are, and the one that allowed.
fn grants_of_then(allowed_by: Option<&Grant>, grants: &[Arc<Grant>], then: UnixTime) -> Vec<Arc<Grant>> {
    let mut known: Vec<_> =
        grants.iter().filter(|grant| grant.created_at.as_secs() <= then.as_secs()).cloned().collect();
    if let Some(grant) = allowed_by
        && known.iter().all(|known| known.id != grant.id)
    {
        known.push(Arc::new(grant.clone()));
    }
    known
}

/// The tally of a replay, decision by decision.
#[derive(Debug, Default)]
struct Replay {
    counts: Counts,
    changes: BTreeMap<ChangeKey, Tally>,
    not_replayable: BTreeMap<String, Tally>,
}

/// How many of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Records that were read.
    pub records: u64,
    /// Records of requests about which no policy was asked, such as malformed ones.
    pub records_without_decision: u64,
    /// Records, or lines that are none, of which no decision can be made again.
    pub records_not_replayable: u64,
    /// Decisions that the new policies have no part in.
    pub decisions_out_of_scope: u64,
    /// Decisions made again that come out as they did.
    pub decisions_unchanged: u64,
    /// Decisions that were a no and would be a yes.
    pub newly_allowed: u64,
    /// Decisions that were a yes and would be a no.
    pub newly_denied: u64,
    /// Changed decisions beyond [`MAX_GROUPS`] groups, which are in none.
    pub changes_in_no_group: u64,
}

/// What a decision would become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// It was a no and would be a yes.
    NewlyAllowed,
    /// It was a yes and would be a no.
    NewlyDenied,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ChangeKey {
    change: Change,
    image: Option<String>,
    principal: String,
    action: &'static str,
    resource: String,
    because: String,
}

#[derive(Clone, Debug)]
struct Tally {
    count: u64,
    first: UnixTime,
    last: UnixTime,
    request_id: String,
}

/// Decisions that would change in the same way, for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeGroup {
    /// What would become of them.
    pub change: Change,
    /// The enclave's image, its PCR0; `None` where policies saw no enclave.
    pub image: Option<String>,
    /// The caller's ARN, or `anonymous`.
    pub principal: String,
    /// What was asked for.
    pub action: &'static str,
    /// Of which key or alias.
    pub resource: String,
    /// What decides now.
    pub because: String,
    /// How many decisions.
    pub count: u64,
    /// The time of the first one.
    pub first_time: String,
    /// The time of the last one.
    pub last_time: String,
    /// The id of the first request.
    pub request_id: String,
}

/// Why records could not be replayed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotReplayed {
    /// Why not.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// The id of the first request, or the place of the first line.
    pub first: String,
}

/// What a replay found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplayReport {
    /// How many of what.
    pub counts: Counts,
    /// What would change, the most frequent first.
    pub changes: Vec<ChangeGroup>,
    /// What could not be asked again.
    pub not_replayable: Vec<NotReplayed>,
}

impl Replay {
    /// Every decision of a record, or none where one of them cannot be made again.
    async fn add(
        &mut self,
        record: &AuditRecord,
        policies: &mut CurrentPolicies<'_>,
    ) -> Result<(), StoreError> {
        self.counts.records += 1;
        let decisions = match recorded_decisions(record) {
            Ok(decisions) => decisions,
            Err(error) => {
                self.add_not_replayable(record, &error);
                return Ok(());
            }
        };
        self.counts.records_without_decision += u64::from(decisions.is_empty());
        let mut judged = Vec::with_capacity(decisions.len());
        let mut before = None;
        for recorded in &decisions {
            let belongs_to_the_one_before = is_alias(&recorded.facts.resource) && before.is_some();
            if !policies.scope().includes(recorded) && !belongs_to_the_one_before {
                before = None;
                self.counts.decisions_out_of_scope += 1;
                continue;
            }
            let applicable = policies.of(&recorded.facts.caller, &recorded.facts.resource).await?;
            match judge_again(recorded, &applicable.rulings(), before) {
                Ok(decision) => {
                    before = Some(decision.kind);
                    judged.push((recorded, decision));
                }
                Err(unknown) => {
                    self.add_not_replayable(record, &unknown);
                    return Ok(());
                }
            }
        }
        judged.into_iter().for_each(|(recorded, decision)| self.add_decision(record, recorded, decision));
        Ok(())
    }

    fn add_unreadable(&mut self, place: String, error: &RecordError) {
        self.counts.records += 1;
        self.counts.records_not_replayable += 1;
        // What is wrong with a line may be as various as lines are; where it stands is told of the first.
        let kind = match error {
            RecordError::Json(_) => "the line is no JSON".to_owned(),
            RecordError::Member { member, .. } => {
                format!("the line is no record: {member} is not as expected")
            }
        };
        self.not_replayable(kind, UnixTime::from_ms(0), place);
    }

    fn add_not_replayable(&mut self, record: &AuditRecord, why: &impl ToString) {
        self.counts.records_not_replayable += 1;
        self.not_replayable(why.to_string(), record.time, record.request_id.clone());
    }

    /// Counts a decision and what it is now.
    fn add_decision(&mut self, record: &AuditRecord, recorded: &RecordedDecision, now: Decision) {
        let change = match (recorded.allowed, now.allowed) {
            (false, true) => Change::NewlyAllowed,
            (true, false) => Change::NewlyDenied,
            (true, true) | (false, false) => {
                self.counts.decisions_unchanged += 1;
                return;
            }
        };
        match change {
            Change::NewlyAllowed => self.counts.newly_allowed += 1,
            Change::NewlyDenied => self.counts.newly_denied += 1,
        }
        let key = ChangeKey {
            change,
            image: image_of(&recorded.facts),
            principal: recorded.facts.caller.to_string(),
            action: recorded.facts.action(),
            resource: recorded.facts.resource.clone(),
            because: now.because,
        };
        if self.changes.len() >= MAX_GROUPS && !self.changes.contains_key(&key) {
            self.counts.changes_in_no_group += 1;
            return;
        }
        Tally::count(self.changes.entry(key), record.time, record.request_id.clone());
    }

    fn report(self) -> ReplayReport {
        let mut changes: Vec<_> = self.changes.into_iter().map(|(key, tally)| tally.group(key)).collect();
        changes.sort_by_key(|group| std::cmp::Reverse(group.count));
        let not_replayable = self.not_replayable.into_iter();
        let not_replayable = not_replayable.map(|(reason, tally)| NotReplayed {
            reason,
            count: tally.count,
            first: tally.request_id,
        });
        ReplayReport { counts: self.counts, changes, not_replayable: not_replayable.collect() }
    }

    fn not_replayable(&mut self, reason: String, time: UnixTime, first: String) {
        let is_full = self.not_replayable.len() >= MAX_GROUPS && !self.not_replayable.contains_key(&reason);
        let reason = if is_full { "for other reasons".to_owned() } else { reason };
        Tally::count(self.not_replayable.entry(reason), time, first);
    }
}

impl ReplayReport {
    /// Whether some decision would come out differently.
    pub fn has_changes(&self) -> bool {
        self.counts.newly_allowed + self.counts.newly_denied > 0
    }
}

impl Tally {
    fn count<K: Ord>(entry: Entry<'_, K, Self>, time: UnixTime, request_id: String) {
        entry
            .and_modify(|tally| {
                tally.count += 1;
                if time < tally.first {
                    (tally.first, tally.request_id) = (time, request_id.clone());
                }
                tally.last = tally.last.max(time);
            })
            .or_insert(Self { count: 1, first: time, last: time, request_id });
    }

    fn group(self, key: ChangeKey) -> ChangeGroup {
        let ChangeKey { change, image, principal, action, resource, because } = key;
        ChangeGroup {
            change,
            image,
            principal,
            action,
            resource,
            because,
            count: self.count,
            first_time: self.first.to_string(),
            last_time: self.last.to_string(),
            request_id: self.request_id,
        }
    }
}

/// The enclave's PCR0, if policies saw one.
pub(super) fn image_of(facts: &RequestFacts) -> Option<String> {
    match facts.values(&ConditionKey::RecipientAttestationPcr(0)) {
        ContextValues::One(ContextValue::Text(digits)) => Some(digits.into_owned()),
        _ => None,
    }
}
