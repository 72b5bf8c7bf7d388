//! What the audit log adds up to: how many decisions when, of whom, why not, and which images were seen.
//!
//! One thread reads on where it was; pages look at what it has added up. Everything is bounded: a hostile client can make
//! the sums less telling, not larger.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use super::follow::{Follower, Next};
use super::integrity::{Integrity, IntegrityState};
use crate::audit::Outcome;
use crate::audit::filter::kind_of_refusal;
use crate::audit::record::AuditRecord;
use crate::signed_note::NoteVerifier;
use crate::text::shorten;
use crate::time::UnixTime;

/// How often the log is looked at.
const PERIOD: Duration = Duration::from_millis(500);
/// Records that are added up at a time while pages wait.
const BATCH: usize = 256;

const MINUTE_SECS: u64 = 60;
const HOUR_SECS: u64 = 60 * MINUTE_SECS;
/// Minutes that are kept: a day and the hour that is beginning.
const MINUTES: u64 = 25 * 60;
/// Hours that are kept: 31 days.
const HOURS: u64 = 31 * 24;

/// Names counted in one bucket at most; what comes then counts as [`OTHERS`].
const MAX_NAMES: usize = 32;
/// What names count as that there is no room for.
pub(super) const OTHERS: &str = "(others)";
/// Images remembered at most; the one that was seen longest ago gives way.
const MAX_IMAGES: usize = 1000;
/// Module ids and keys remembered of one image at most.
const MAX_OF_IMAGE: usize = 64;

/// The sums, shared with the thread that adds them up.
pub(super) struct Ledger {
    sums: Mutex<Sums>,
}

/// What was added up so far.
#[derive(Clone, Default)]
pub(super) struct Sums {
    /// Records read.
    pub records: u64,
    /// Lines that are no record.
    pub unreadable: u64,
    /// Whether the end of the log was reached.
    pub is_complete: bool,
    /// Why the log cannot be read, if it cannot.
    pub problem: Option<String>,
    /// Whether the log is what the broker wrote.
    pub integrity: IntegrityState,
    /// The time of the first record.
    pub since: Option<UnixTime>,
    minutes: BTreeMap<u64, Bucket>,
    hours: BTreeMap<u64, Bucket>,
    images: HashMap<String, Image>,
}

/// Decisions of a span of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    /// By how they ended.
    pub outcomes: Outcomes,
    /// What was not allowed, by reason.
    pub reasons: Names,
    /// By who asked.
    pub principals: BTreeMap<String, Outcomes>,
}

/// How often each name came.
pub(super) type Names = BTreeMap<String, u64>;

/// Numbers of decisions by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcomes {
    pub allowed: u64,
    pub denied: u64,
    pub malformed: u64,
    pub failed: u64,
}

/// An enclave image by its measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Image {
    pub first_seen: UnixTime,
    pub last_seen: UnixTime,
    pub outcomes: Outcomes,
    /// The registers, as last seen.
    pub pcrs: BTreeMap<u8, String>,
    /// Enclaves that ran it.
    pub module_ids: BTreeSet<String>,
    /// ARNs of keys, with the number of decisions about each that were allowed.
    pub keys: BTreeMap<String, u64>,
    /// Whether a list is not complete.
    pub has_more: bool,
    /// SHA-256 of the roots that its evidence led to.
    pub trust_anchors: BTreeSet<String>,
}

impl Ledger {
    /// Starts to add up the log at `path`, as long as somebody holds the ledger.
    ///
    /// # Errors
    /// When no thread can be had.
    pub(super) fn start(path: &Path, key: Option<NoteVerifier>) -> std::io::Result<Arc<Self>> {
        let ledger = Arc::new(Self { sums: Mutex::default() });
        let weak = Arc::downgrade(&ledger);
        let (follower, integrity) = (Follower::new(path), Integrity::new(path, key));
        thread::Builder::new()
            .name("console-ledger".to_owned())
            .spawn(move || add_up(&weak, follower, integrity))?;
        Ok(ledger)
    }

    /// Looks at the sums.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Sums) -> T) -> T {
        self.with(|sums| look(sums))
    }

    fn with<T>(&self, change: impl FnOnce(&mut Sums) -> T) -> T {
        // A panic while the lock is held leaves at worst a record out.
        change(&mut self.sums.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn add_up(ledger: &Weak<Ledger>, mut follower: Follower, mut integrity: Integrity) {
    while let Some(ledger) = ledger.upgrade() {
        let batch = Batch::read(&mut follower, &mut integrity);
        let is_idle = batch.ending.is_some();
        ledger.with(|sums| sums.add_batch(batch));
        drop(ledger);
        if is_idle {
            thread::sleep(PERIOD);
        }
    }
}

/// What comes next in the log.
struct Batch {
    /// Whether it replaces all that came before.
    resets: bool,
    /// Records, and lines that are none.
    records: Vec<Option<AuditRecord>>,
    /// Where that is all there is, how reading ended.
    ending: Option<std::io::Result<()>>,
    integrity: IntegrityState,
}

impl Batch {
    fn read(follower: &mut Follower, integrity: &mut Integrity) -> Self {
        let (mut resets, mut records) = (false, Vec::with_capacity(BATCH));
        let ending = loop {
            if records.len() == BATCH {
                break None;
            }
            match follower.next() {
                Ok(Next::Line(line)) => {
                    integrity.line(&line);
                    records.push(AuditRecord::parse(&line).ok());
                }
                Ok(Next::Reset) => {
                    integrity.reset();
                    records.clear();
                    resets = true;
                }
                Ok(Next::End) => break Some(Ok(())),
                Err(error) => break Some(Err(error)),
            }
        };
        Self { resets, records, ending, integrity: integrity.at_end() }
    }
}

impl Sums {
    /// The decisions of `count` spans of `span` each, the last of which holds `now`; the oldest first, with the start of
    /// each. Spans are whole minutes up to a day, or whole hours.
    pub(super) fn spans(&self, now: UnixTime, span: Duration, count: u64) -> Vec<(UnixTime, Bucket)> {
        let span_secs = span.as_secs().max(MINUTE_SECS);
        let by_minutes = span_secs.saturating_mul(count) <= MINUTES * MINUTE_SECS;
        let (buckets, unit) =
            if by_minutes { (&self.minutes, MINUTE_SECS) } else { (&self.hours, HOUR_SECS) };
        let last = now.as_secs() / span_secs;
        let first = (last + 1).saturating_sub(count);
        (first..=last)
            .map(|number| {
                let start = number * span_secs;
                let mut sum = Bucket::default();
                for bucket in
                    buckets.range(start / unit..(start + span_secs).div_ceil(unit)).map(|(_, bucket)| bucket)
                {
                    sum.add_all(bucket);
                }
                (UnixTime::from_secs(start), sum)
            })
            .collect()
    }

    /// Every image that is remembered, the one seen last first.
    pub(super) fn images(&self) -> Vec<(&String, &Image)> {
        let mut images: Vec<_> = self.images.iter().collect();
        images.sort_by_key(|(_, image)| std::cmp::Reverse(image.last_seen));
        images
    }

    fn add_batch(&mut self, batch: Batch) {
        let Batch { resets, records, ending, integrity } = batch;
        if resets {
            *self = Self::default();
        }
        for record in &records {
            match record {
                Some(record) => self.add(record),
                None => self.unreadable = self.unreadable.saturating_add(1),
            }
        }
        self.integrity = integrity;
        if let Some(ending) = ending {
            self.is_complete = ending.is_ok();
            self.problem = ending.err().map(|error| error.to_string());
        }
    }

    fn add(&mut self, record: &AuditRecord) {
        self.records = self.records.saturating_add(1);
        self.since = Some(self.since.map_or(record.time, |since| since.min(record.time)));
        let seconds = record.time.as_secs();
        add_to(&mut self.minutes, seconds / MINUTE_SECS, MINUTES, record);
        add_to(&mut self.hours, seconds / HOUR_SECS, HOURS, record);
        self.add_image(record);
    }

    fn add_image(&mut self, record: &AuditRecord) {
        let Some(recipient) = &record.recipient else { return };
        let pcr0 = recipient.pcrs.get(&0).cloned().unwrap_or_default();
        if !self.images.contains_key(&pcr0) && self.images.len() >= MAX_IMAGES {
            let oldest =
                self.images.iter().min_by_key(|(_, image)| image.last_seen).map(|(pcr0, _)| pcr0.clone());
            oldest.and_then(|oldest| self.images.remove(&oldest));
        }
        let image = self.images.entry(pcr0).or_insert_with(|| Image {
            first_seen: record.time,
            last_seen: record.time,
            outcomes: Outcomes::default(),
            pcrs: BTreeMap::new(),
            module_ids: BTreeSet::new(),
            keys: BTreeMap::new(),
            has_more: false,
            trust_anchors: BTreeSet::new(),
        });
        image.first_seen = image.first_seen.min(record.time);
        image.last_seen = image.last_seen.max(record.time);
        image.outcomes.add(record.outcome);
        image.pcrs.clone_from(&recipient.pcrs);
        if image.module_ids.len() < MAX_OF_IMAGE || image.module_ids.contains(&recipient.module_id) {
            image.module_ids.insert(recipient.module_id.clone());
        } else {
            image.has_more = true;
        }
        if image.trust_anchors.len() < MAX_OF_IMAGE {
            image.trust_anchors.insert(recipient.trust_anchor_sha256.clone());
        }
        let allowed = u64::from(record.outcome == Outcome::Allowed);
        for key in &record.keys {
            if image.keys.len() < MAX_OF_IMAGE || image.keys.contains_key(key) {
                *image.keys.entry(key.clone()).or_default() += allowed;
            } else {
                image.has_more = true;
            }
        }
    }
}

fn add_to(buckets: &mut BTreeMap<u64, Bucket>, number: u64, kept: u64, record: &AuditRecord) {
    buckets.entry(number).or_default().add(record);
    // A record of the future, by a wrong clock, must not drop all others: what is most is dropped at the old end.
    while buckets.len() as u64 > kept {
        buckets.pop_first();
    }
}

impl Bucket {
    fn add(&mut self, record: &AuditRecord) {
        self.outcomes.add(record.outcome);
        if record.outcome != Outcome::Allowed {
            let reason = name_in(&self.reasons, kind_of_refusal(record));
            *self.reasons.entry(reason).or_default() += 1;
        }
        let principal = name_in(&self.principals, shorten(record.identity.as_str()));
        self.principals.entry(principal).or_default().add(record.outcome);
    }

    /// Adds the decisions of another span.
    pub(super) fn add_all(&mut self, other: &Self) {
        self.outcomes.add_all(other.outcomes);
        for (reason, count) in &other.reasons {
            *self.reasons.entry(reason.clone()).or_default() += count;
        }
        for (principal, outcomes) in &other.principals {
            self.principals.entry(principal.clone()).or_default().add_all(*outcomes);
        }
    }
}

/// `name` if there is room for it.
fn name_in<V>(names: &BTreeMap<String, V>, name: String) -> String {
    if names.len() < MAX_NAMES || names.contains_key(&name) { name } else { OTHERS.to_owned() }
}

impl Outcomes {
    fn add(&mut self, outcome: Outcome) {
        let count = match outcome {
            Outcome::Allowed => &mut self.allowed,
            Outcome::Denied => &mut self.denied,
            Outcome::Malformed => &mut self.malformed,
            Outcome::Failed => &mut self.failed,
        };
        *count += 1;
    }

    pub(super) fn add_all(&mut self, other: Self) {
        let Self { allowed, denied, malformed, failed } = other;
        self.allowed += allowed;
        self.denied += denied;
        self.malformed += malformed;
        self.failed += failed;
    }

    pub(super) fn total(self) -> u64 {
        let Self { allowed, denied, malformed, failed } = self;
        allowed + denied + malformed + failed
    }

    /// As they are shown one upon the other.
    pub(super) fn each(self) -> [(Outcome, u64); 4] {
        [
            (Outcome::Allowed, self.allowed),
            (Outcome::Denied, self.denied),
            (Outcome::Malformed, self.malformed),
            (Outcome::Failed, self.failed),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{record_by, record_line};
    use super::*;

    fn record(at: u64) -> AuditRecord {
        AuditRecord::parse(&record_line("id", at)).unwrap()
    }

    #[test]
    fn decisions_are_found_in_their_spans() {
        let mut sums = Sums::default();
        let now = 1_767_472_867;
        for ago in [0, 30, 61, 3600, 7200, 90_000] {
            sums.add(&record(now - ago));
        }
        let now = UnixTime::from_secs(now);
        let totals = |span, count| -> Vec<u64> {
            let spans = sums.spans(now, Duration::from_secs(span), count);
            spans.iter().map(|(_, bucket)| bucket.outcomes.total()).collect()
        };
        assert_eq!(totals(60, 3), [0, 2, 1]);
        assert_eq!(totals(60, 60).iter().sum::<u64>(), 3);
        assert_eq!(totals(1800, 48).iter().sum::<u64>(), 5);
        assert_eq!(totals(3600 * 12, 60).iter().sum::<u64>(), 6);
        assert_eq!((sums.records, sums.since), (6, Some(UnixTime::from_secs(now.as_secs() - 90_000))));
    }

    #[test]
    fn a_crowd_of_names_makes_no_crowd_of_entries() {
        let mut sums = Sums::default();
        for index in 0..1000 {
            sums.add(&record_by(&format!("arn:aws:iam::111122223333:role/r{index}"), 1000));
        }
        let spans = sums.spans(UnixTime::from_secs(1000), Duration::from_secs(60), 1);
        assert_eq!(spans[0].1.principals.len(), MAX_NAMES + 1);
        assert_eq!(spans[0].1.principals[OTHERS].total(), 1000 - MAX_NAMES as u64);
        for minute in 0..10_000 {
            sums.add(&record(minute * 60));
        }
        assert_eq!(sums.minutes.len() as u64, MINUTES);
    }
}
