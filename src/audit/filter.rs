//! Which records of a log are asked for.

use super::event::Outcome;
use super::record::AuditRecord;
use crate::text::shorten;
use crate::time::UnixTime;

/// What a record must be; what is not asked is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordFilter {
    /// Not before.
    pub since: Option<UnixTime>,
    /// Before.
    pub until: Option<UnixTime>,
    /// A key that it is about, by its ARN or its id.
    pub key: Option<Wanted>,
    /// The principal's ARN, or `anonymous`, `unknown`, `broker`.
    pub principal: Option<Wanted>,
    /// The enclave's module id.
    pub module_id: Option<Wanted>,
    /// With what PCR0 begins, in upper or lower case.
    pub pcr0: Option<String>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// The operation, in upper or lower case.
    pub operation: Option<String>,
    /// In its reasons, its error or the kind of its refusal, in upper or lower case.
    pub reason: Option<String>,
    /// The request's id.
    pub request_id: Option<String>,
}

/// A text that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// This one.
    Whole(String),
    /// One with this in it.
    Part(String),
}

impl RecordFilter {
    /// Whether it asks anything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a record is asked for.
    pub fn matches(&self, record: &AuditRecord) -> bool {
        // Exhaustive, so that no condition can be forgotten.
        let Self { since, until, key, principal, module_id, pcr0, outcome, operation, reason, request_id } =
            self;
        let recipient = record.recipient.as_ref();
        let actual_pcr0 = recipient.and_then(|recipient| recipient.pcrs.get(&0));
        since.is_none_or(|since| record.time >= since)
            && until.is_none_or(|until| record.time < until)
            && asked(key, |key| record.keys.iter().any(|arn| key.is(arn) || key.is(id_of(arn))))
            && asked(principal, |principal| principal.is(record.identity.as_str()))
            && asked(module_id, |id| recipient.is_some_and(|recipient| id.is(&recipient.module_id)))
            && asked(pcr0, |pcr0| {
                actual_pcr0.is_some_and(|actual| actual.starts_with(&pcr0.to_ascii_lowercase()))
            })
            && outcome.is_none_or(|outcome| record.outcome == outcome)
            && asked(operation, |operation| record.operation.eq_ignore_ascii_case(operation))
            && asked(reason, |reason| says(record, &reason.to_lowercase()))
            && asked(request_id, |id| record.request_id == *id)
    }
}

impl Wanted {
    fn is(&self, text: &str) -> bool {
        match self {
            Self::Whole(whole) => text == whole,
            Self::Part(part) => text.contains(part.as_str()),
        }
    }
}

fn asked<T>(wanted: &Option<T>, matches: impl FnOnce(&T) -> bool) -> bool {
    wanted.as_ref().is_none_or(matches)
}

fn id_of(arn: &str) -> &str {
    arn.rsplit_once('/').map_or(arn, |(_, id)| id)
}

fn says(record: &AuditRecord, lower_case: &str) -> bool {
    let errors = [record.error_code.as_deref(), record.error_message.as_deref()];
    record.reasons().chain(errors.into_iter().flatten()).any(|text| text.to_lowercase().contains(lower_case))
        || (record.outcome != Outcome::Allowed && kind_of_refusal(record).to_lowercase().contains(lower_case))
}

/// Why a request was not allowed, in words that few reasons share: the check of a document, what policies said, or the
/// exception.
pub fn kind_of_refusal(record: &AuditRecord) -> String {
    let explained = |name| record.explanations().and_then(|found| found.get(name)?.as_str());
    if let Some(check) = explained("failedCheck") {
        return format!("document: {}", shorten(check));
    }
    let message = record.error_message.as_deref().unwrap_or_default();
    if message.contains("with an explicit deny") {
        return "policy: explicit deny".to_owned();
    }
    if message.contains("is not authorized to perform") {
        return "policy: nothing allows it".to_owned();
    }
    shorten(record.error_code.as_deref().unwrap_or("unknown"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/11111111-2222-3333-4444-555555555555";

    fn record() -> AuditRecord {
        let line = json!({
            "eventTime": "2026-01-03T20:41:07Z",
            "eventID": "event",
            "requestID": "request",
            "eventName": "Decrypt",
            "userIdentity": {"type": "Role", "arn": "arn:aws:iam::111122223333:role/parent"},
            "sourceIPAddress": "127.0.0.1",
            "userAgent": null,
            "errorCode": "AccessDeniedException",
            "errorMessage": "User: a is not authorized to perform: kms:Decrypt",
            "requestParameters": null,
            "readOnly": true,
            "additionalEventData": {
                "recipient": {
                    "attestationDocumentModuleId": "i-0bee-enc1",
                    "attestationDocumentEnclaveImageDigest": "ab".repeat(48),
                    "attestationDocumentTimestamp": "2026-01-03T20:41:07Z",
                    "attestationDocumentTrustAnchorSha256": "00".repeat(32),
                },
                "decision": {"outcome": "denied", "reasons": ["Statement[0]: PCR0 is another"], "asked": []},
            },
            "resources": [{"ARN": KEY}],
        });
        AuditRecord::parse(format!("{line}\n").as_bytes()).unwrap()
    }

    #[test]
    fn each_question_is_asked() {
        let record = record();
        let at = UnixTime::from_secs;
        let whole = |text: &str| Some(Wanted::Whole(text.to_owned()));
        let part = |text: &str| Some(Wanted::Part(text.to_owned()));
        let text = |text: &str| Some(text.to_owned());
        let none = RecordFilter::default;
        assert!(none().is_empty() && none().matches(&record));
        for (is_asked_for, filter) in [
            (true, RecordFilter { since: Some(at(1_767_472_867)), ..none() }),
            (false, RecordFilter { since: Some(at(1_767_472_868)), ..none() }),
            (true, RecordFilter { until: Some(at(1_767_472_868)), ..none() }),
            (false, RecordFilter { until: Some(at(1_767_472_867)), ..none() }),
            (true, RecordFilter { key: whole(KEY), ..none() }),
            (true, RecordFilter { key: whole("11111111-2222-3333-4444-555555555555"), ..none() }),
            (false, RecordFilter { key: whole("11111111"), ..none() }),
            (true, RecordFilter { key: part("11111111"), ..none() }),
            (false, RecordFilter { key: part("9"), ..none() }),
            (true, RecordFilter { principal: whole("arn:aws:iam::111122223333:role/parent"), ..none() }),
            (false, RecordFilter { principal: whole("role/parent"), ..none() }),
            (true, RecordFilter { principal: part("role/parent"), ..none() }),
            (true, RecordFilter { module_id: whole("i-0bee-enc1"), ..none() }),
            (false, RecordFilter { module_id: whole("i-0bee"), ..none() }),
            (true, RecordFilter { module_id: part("i-0bee"), ..none() }),
            (true, RecordFilter { pcr0: text("ABAB"), ..none() }),
            (false, RecordFilter { pcr0: text("baba"), ..none() }),
            (true, RecordFilter { outcome: Some(Outcome::Denied), ..none() }),
            (false, RecordFilter { outcome: Some(Outcome::Allowed), ..none() }),
            (true, RecordFilter { operation: text("decrypt"), ..none() }),
            (false, RecordFilter { operation: text("Decr"), ..none() }),
            (true, RecordFilter { reason: text("pcr0"), ..none() }),
            (false, RecordFilter { reason: text("PCR1"), ..none() }),
            (true, RecordFilter { reason: text("accessdenied"), ..none() }),
            (true, RecordFilter { reason: text("policy: nothing allows it"), ..none() }),
            (true, RecordFilter { request_id: text("request"), ..none() }),
            (false, RecordFilter { request_id: text("another"), ..none() }),
        ] {
            assert_eq!(filter.matches(&record), is_asked_for, "{filter:?}");
            assert!(!filter.is_empty());
        }
    }
}
