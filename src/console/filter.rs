//! Which records of the audit log are asked for.

use super::ledger::reason;
use super::request::Parameters;
use crate::audit::Outcome;
use crate::audit::record::AuditRecord;
use crate::time::UnixTime;

/// What is asked of records; what is not asked is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    /// Not before.
    pub from: Option<UnixTime>,
    /// Before.
    pub to: Option<UnixTime>,
    /// In the ARN of a key.
    pub key: Option<String>,
    /// In the principal.
    pub principal: Option<String>,
    /// In the enclave's module id.
    pub module: Option<String>,
    /// With which PCR0 begins.
    pub pcr0: Option<String>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// The operation, in any case.
    pub operation: Option<String>,
    /// In the reasons, the error or its message.
    pub reason: Option<String>,
}

/// A time that cannot be read, by the name of its parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnreadableTime(pub &'static str);

impl Filter {
    /// What the URL asks.
    pub(super) fn read(query: &Parameters) -> Result<Self, UnreadableTime> {
        let text = |name| query.filled(name).map(str::to_owned);
        let time = |name| query.filled(name).map(read_time).transpose().map_err(|()| UnreadableTime(name));
        Ok(Self {
            from: time("from")?,
            to: time("to")?,
            key: text("key"),
            principal: text("principal"),
            module: text("module"),
            pcr0: query.filled("pcr0").map(str::to_ascii_lowercase),
            outcome: query.filled("outcome").and_then(Outcome::parse),
            operation: text("operation"),
            reason: text("reason"),
        })
    }

    /// Whether it asks anything.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a record is asked for.
    pub(super) fn matches(&self, record: &AuditRecord) -> bool {
        let Self { from, to, key, principal, module, pcr0, outcome, operation, reason: asked_reason } = self;
        let recipient = record.recipient.as_ref();
        from.is_none_or(|from| record.time >= from)
            && to.is_none_or(|to| record.time < to)
            && outcome.is_none_or(|outcome| record.outcome == outcome)
            && is_asked(operation.as_deref(), |name| record.operation.eq_ignore_ascii_case(name))
            && is_asked(principal.as_deref(), |part| record.identity.as_str().contains(part))
            && is_asked(key.as_deref(), |part| record.keys.iter().any(|arn| arn.contains(part)))
            && is_asked(module.as_deref(), |part| {
                recipient.is_some_and(|found| found.module_id.contains(part))
            })
            && is_asked(pcr0.as_deref(), |start| {
                recipient.and_then(|found| found.pcrs.get(&0)).is_some_and(|pcr0| pcr0.starts_with(start))
            })
            && is_asked(asked_reason.as_deref(), |part| has_reason(record, part))
    }
}

fn is_asked(asked: Option<&str>, matches: impl FnOnce(&str) -> bool) -> bool {
    asked.is_none_or(matches)
}

fn has_reason(record: &AuditRecord, part: &str) -> bool {
    let texts = [record.error_code.as_deref(), record.error_message.as_deref()];
    (record.outcome != Outcome::Allowed && reason(record).contains(part))
        || texts.into_iter().flatten().chain(record.reasons()).any(|text| text.contains(part))
}

/// RFC 3339, also without its seconds or its zone, which is then UTC: what a browser's field for times gives.
fn read_time(text: &str) -> Result<UnixTime, ()> {
    let text = text.replacen(' ', "T", 1);
    let candidates = [text.clone(), format!("{text}Z"), format!("{text}:00Z"), format!("{text}T00:00:00Z")];
    candidates.iter().find_map(|text| UnixTime::parse_rfc3339(text).ok()).ok_or(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::record_by;
    use super::*;

    #[test]
    fn each_question_is_asked() {
        let record = record_by("arn:aws:iam::111122223333:role/parent", 1_767_472_867);
        let ask = |change: &dyn Fn(&mut Filter)| {
            let mut filter = Filter::default();
            change(&mut filter);
            filter.matches(&record)
        };
        let some = |text: &str| Some(text.to_owned());
        assert!(Filter::default().matches(&record) && Filter::default().is_empty());
        assert!(ask(&|filter| filter.principal = some("role/parent")));
        assert!(!ask(&|filter| filter.principal = some("role/other")));
        assert!(ask(&|filter| filter.key = some("11111111-2222-3333-4444-555555555555")));
        assert!(!ask(&|filter| filter.key = some("9")));
        assert!(
            ask(&|filter| filter.module = some("i-0bee-enc")) && !ask(&|filter| filter.module = some("x"))
        );
        assert!(ask(&|filter| filter.pcr0 = some("abab")) && !ask(&|filter| filter.pcr0 = some("baba")));
        assert!(ask(&|filter| filter.outcome = Some(Outcome::Denied)));
        assert!(!ask(&|filter| filter.outcome = Some(Outcome::Allowed)));
        assert!(
            ask(&|filter| filter.operation = some("decrypt"))
                && !ask(&|filter| filter.operation = some("Decr"))
        );
        assert!(ask(&|filter| filter.reason = some("policy: nothing allows it")));
        assert!(ask(&|filter| filter.reason = some("PCR0")) && !ask(&|filter| filter.reason = some("PCR1")));
        let at = UnixTime::from_secs;
        assert!(
            ask(&|filter| filter.from = Some(at(1_767_472_867)))
                && !ask(&|filter| filter.from = Some(at(1_767_472_868)))
        );
        assert!(
            !ask(&|filter| filter.to = Some(at(1_767_472_867)))
                && ask(&|filter| filter.to = Some(at(1_767_472_868)))
        );
    }

    #[test]
    fn times_are_taken_as_people_and_browsers_write_them() {
        let at = UnixTime::from_secs(1_767_472_860);
        for text in
            ["2026-01-03T20:41:00Z", "2026-01-03T20:41", "2026-01-03 20:41", "2026-01-03T22:41:00+02:00"]
        {
            assert_eq!(read_time(text), Ok(at), "{text}");
        }
        assert_eq!(read_time("2026-01-03"), Ok(UnixTime::from_secs(1_767_398_400)));
        assert_eq!(read_time("yesterday"), Err(()));
    }
}
