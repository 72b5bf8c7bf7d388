//! A record as it is read back: a line of the log with its members in types.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::event::Outcome;
use crate::text::shorten;
use crate::time::UnixTime;

/// Bytes of a line at most, its end included. A request's body has 1 MiB unless configured otherwise, little of it is
/// recorded, and JSON's escapes make six bytes out of one at worst.
pub const MAX_LINE_BYTES: usize = 8 * 1024 * 1024;

/// Registers of an NSM at most (AWS Nitro Enclaves user guide, *Where to get an enclave's measurements*: 16 of 32 are
/// for users to extend).
const MAX_PCR_INDEX: u8 = 31;

/// One record, read from its line. What is not named here is in [`AuditRecord::value`].
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRecord {
    /// Its number in the chain, from 0; `None` of a record from before the chain.
    pub sequence: Option<u64>,
    /// When the request came, in whole seconds.
    pub time: UnixTime,
    /// The record's own id.
    pub event_id: String,
    /// The `x-amzn-RequestId` of the answer.
    pub request_id: String,
    /// The operation asked for, or the target as it came.
    pub operation: String,
    /// Who asked.
    pub identity: RecordedIdentity,
    /// The access key that signed.
    pub access_key_id: Option<String>,
    /// An IP address, `unix:pid=…,uid=…`, `vsock:<cid>:<port>`, or `internal`.
    pub source: String,
    /// The `User-Agent` header.
    pub user_agent: Option<String>,
    /// The exception that the caller read.
    pub error_code: Option<String>,
    /// The message that the caller read.
    pub error_message: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// The enclave, where evidence was verified.
    pub recipient: Option<RecordedRecipient>,
    /// ARNs of the keys that it is about.
    pub keys: Vec<String>,
    /// Whether nothing but the log was changed.
    pub read_only: bool,
    /// The roots that evidence could lead to beside that of AWS, as the broker names them.
    pub configured_trust_anchors: Vec<String>,
    /// The whole record.
    value: Value,
}

/// Who a record says has asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordedIdentity {
    /// A principal, by the ARN of the access key that signed.
    Principal {
        /// The ARN.
        arn: String,
    },
    /// An unsigned request.
    Anonymous,
    /// No signature was verified, so nobody is believed to have asked.
    Unknown,
    /// The broker did it by itself.
    Broker,
}

impl RecordedIdentity {
    /// The ARN of a principal.
    pub fn principal(&self) -> Option<&str> {
        match self {
            Self::Principal { arn } => Some(arn),
            Self::Anonymous | Self::Unknown | Self::Broker => None,
        }
    }

    /// The ARN, or `anonymous`, `unknown` or `broker`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Principal { arn } => arn,
            Self::Anonymous => "anonymous",
            Self::Unknown => "unknown",
            Self::Broker => "broker",
        }
    }
}

/// What verified evidence said, as far as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedRecipient {
    /// The NSM's `module_id`.
    pub module_id: String,
    /// The registers by their index, in lower-case hex.
    pub pcrs: BTreeMap<u8, String>,
    /// The document's timestamp.
    pub timestamp: UnixTime,
    /// SHA-256 of the root that the evidence led to, in lower-case hex.
    pub trust_anchor_sha256: String,
}

/// Why a line is no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Not JSON.
    #[error("not JSON: {0}")]
    Json(String),
    /// A member is missing or of another kind.
    #[error("{member} is {actual}, expected {expected}")]
    Member {
        /// The way to it.
        member: String,
        /// What it should be.
        expected: &'static str,
        /// What it is, cut for a message.
        actual: String,
    },
}

impl AuditRecord {
    /// Reads one line, with or without its end.
    ///
    /// # Errors
    /// When it is not JSON, or a member that is read here is not what the broker writes.
    pub fn parse(line: &[u8]) -> Result<Self, RecordError> {
        let value: Value =
            serde_json::from_slice(line).map_err(|error| RecordError::Json(error.to_string()))?;
        let top = Members::of(&value, "the record")?;
        let additional = top.object("additionalEventData")?;
        let decision = additional.object("decision")?;
        let (identity, access_key_id) = read_identity(&top.object("userIdentity")?)?;
        Ok(Self {
            sequence: match top.optional("chain") {
                None => None,
                Some(_) => Some(top.object("chain")?.number("sequence")?),
            },
            time: top.time("eventTime")?,
            event_id: top.text("eventID")?,
            request_id: top.text("requestID")?,
            operation: top.text("eventName")?,
            identity,
            access_key_id,
            source: top.text("sourceIPAddress")?,
            user_agent: top.optional_text("userAgent")?,
            error_code: top.optional_text("errorCode")?,
            error_message: top.optional_text("errorMessage")?,
            outcome: read_outcome(&decision)?,
            recipient: match additional.optional("recipient") {
                None => None,
                Some(_) => Some(read_recipient(&additional.object("recipient")?)?),
            },
            keys: top
                .list("resources")?
                .iter()
                .map(|resource| Members::of(resource, "resources[…]")?.text("ARN"))
                .collect::<Result<_, _>>()?,
            read_only: top.boolean("readOnly")?,
            configured_trust_anchors: match additional.optional("configuredTrustAnchors") {
                None => Vec::new(),
                Some(_) => additional.texts("configuredTrustAnchors")?,
            },
            value,
        })
    }

    /// The whole record, members that have no field here included.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// What was asked; null where the request was not understood.
    pub fn request_parameters(&self) -> &Value {
        self.value.get("requestParameters").unwrap_or(&Value::Null)
    }

    /// The encryption context of the request, empty where it has none.
    pub fn encryption_context(&self) -> impl Iterator<Item = (&str, &str)> {
        let context = self.request_parameters().get("encryptionContext").and_then(Value::as_object);
        context.into_iter().flatten().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
    }

    /// Why it was decided so: the members of `additionalEventData.decision`, `outcome` included.
    pub fn explanations(&self) -> Option<&Map<String, Value>> {
        self.value.pointer("/additionalEventData/decision").and_then(Value::as_object)
    }

    /// Every text among the explanations: what allowed, or each reason why nothing did.
    pub fn reasons(&self) -> impl Iterator<Item = &str> {
        let explanations = self.explanations().into_iter().flatten();
        explanations.filter(|(name, _)| *name != "outcome").flat_map(|(_, value)| match value {
            Value::String(text) => vec![text.as_str()],
            Value::Array(texts) => texts.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        })
    }
}

fn read_outcome(decision: &Members<'_>) -> Result<Outcome, RecordError> {
    let text = decision.text("outcome")?;
    Outcome::parse(&text).ok_or_else(|| {
        decision.unexpected("outcome", "allowed, denied, malformed or failed", &Value::String(text))
    })
}

fn read_identity(identity: &Members<'_>) -> Result<(RecordedIdentity, Option<String>), RecordError> {
    let read = match identity.text("type")?.as_str() {
        "Unknown" => RecordedIdentity::Unknown,
        "AWSService" => RecordedIdentity::Broker,
        "AWSAccount" => RecordedIdentity::Anonymous,
        _ => RecordedIdentity::Principal { arn: identity.text("arn")? },
    };
    Ok((read, identity.optional_text("accessKeyId")?))
}

fn read_recipient(recipient: &Members<'_>) -> Result<RecordedRecipient, RecordError> {
    const PCR: &str = "attestationDocumentEnclavePCR";
    let mut pcrs = BTreeMap::new();
    if let Some(digest) = recipient.optional_text("attestationDocumentEnclaveImageDigest")? {
        pcrs.insert(0, digest);
    }
    for (name, value) in recipient.map {
        let Some(index) = name.strip_prefix(PCR) else { continue };
        let index = index.parse().ok().filter(|index| *index <= MAX_PCR_INDEX);
        let index = index.ok_or_else(|| recipient.unexpected(name, "a register from 0 to 31", value))?;
        pcrs.insert(index, recipient.text(name)?);
    }
    Ok(RecordedRecipient {
        module_id: recipient.text("attestationDocumentModuleId")?,
        pcrs,
        timestamp: recipient.time("attestationDocumentTimestamp")?,
        trust_anchor_sha256: recipient.text("attestationDocumentTrustAnchorSha256")?,
    })
}

/// The members of an object, and the way to it for error messages.
struct Members<'v> {
    path: &'static str,
    map: &'v Map<String, Value>,
}

impl<'v> Members<'v> {
    fn of(value: &'v Value, path: &'static str) -> Result<Self, RecordError> {
        let map = value.as_object().ok_or_else(|| RecordError::Member {
            member: path.to_owned(),
            expected: "an object",
            actual: shorten(&value.to_string()),
        })?;
        Ok(Self { path, map })
    }

    /// A member that is there and not null.
    fn optional(&self, name: &str) -> Option<&'v Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    fn read<T>(
        &self,
        name: &str,
        expected: &'static str,
        read: impl FnOnce(&'v Value) -> Option<T>,
    ) -> Result<T, RecordError> {
        let value = self.map.get(name).unwrap_or(&Value::Null);
        read(value).ok_or_else(|| self.unexpected(name, expected, value))
    }

    fn object(&self, name: &'static str) -> Result<Self, RecordError> {
        let map = self.read(name, "an object", Value::as_object)?;
        Ok(Self { path: name, map })
    }

    fn list(&self, name: &str) -> Result<&'v [Value], RecordError> {
        self.read(name, "a list", |value| value.as_array().map(Vec::as_slice))
    }

    fn texts(&self, name: &str) -> Result<Vec<String>, RecordError> {
        self.read(name, "a list of strings", |value| {
            value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
        })
    }

    fn text(&self, name: &str) -> Result<String, RecordError> {
        self.read(name, "a string", |value| value.as_str().map(str::to_owned))
    }

    fn optional_text(&self, name: &str) -> Result<Option<String>, RecordError> {
        self.optional(name).map(|_| self.text(name)).transpose()
    }

    fn number(&self, name: &str) -> Result<u64, RecordError> {
        self.read(name, "a whole number", Value::as_u64)
    }

    fn boolean(&self, name: &str) -> Result<bool, RecordError> {
        self.read(name, "true or false", Value::as_bool)
    }

    fn time(&self, name: &str) -> Result<UnixTime, RecordError> {
        self.read(name, "an RFC 3339 time", |value| UnixTime::parse_rfc3339(value.as_str()?).ok())
    }

    fn unexpected(&self, name: &str, expected: &'static str, actual: &Value) -> RecordError {
        RecordError::Member {
            member: format!("{}.{}", self.path, shorten(name)),
            expected,
            actual: shorten(&actual.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::event::{AuditEvent, Ending, Subject};
    use super::*;
    use crate::keys::{KeyId, Realm};
    use crate::policy::{Caller, PrincipalArn};

    fn subject(operation: &str) -> Subject {
        Subject {
            request_id: "request".to_owned(),
            time: UnixTime::from_ms(1_767_472_867_250),
            operation: operation.to_owned(),
            source: "127.0.0.1".to_owned(),
            user_agent: None,
        }
    }

    fn line(event: &AuditEvent, outcome: Outcome, error: Option<(&str, &str)>) -> Vec<u8> {
        let realm = Realm::new("us-east-1", "111122223333").unwrap();
        let anchors = ["CONFIGURED root".to_owned()];
        let ending = Ending { outcome, error, configured_trust_anchors: &anchors, event_id: "event" };
        event.to_line(&realm, ending).unwrap()
    }

    fn recorded() -> Value {
        let line = line(&AuditEvent::new(subject("Decrypt")), Outcome::Denied, Some(("Code", "Message")));
        serde_json::from_slice(&line).unwrap()
    }

    fn read(value: &Value) -> Result<AuditRecord, RecordError> {
        AuditRecord::parse(value.to_string().as_bytes())
    }

    #[test]
    fn reads_what_an_event_writes() {
        let arn = "arn:aws:iam::111122223333:user/alice";
        let mut event = AuditEvent::new(subject("GenerateDataKey"));
        let caller = Caller::Principal { arn: PrincipalArn::parse(arn).unwrap() };
        event.set_caller(&caller, Some("AKIAEXAMPLE"));
        event.set_request_parameters(json!({"encryptionContext": {"tenant": "a"}}));
        let realm = Realm::new("us-east-1", "111122223333").unwrap();
        let key = realm.key_arn(KeyId::from_random_bytes([7; 16]));
        event.add_key(&key);
        event.explain("reasons", vec![json!("first"), json!("second")]);
        event.set_changes_something();

        let record = AuditRecord::parse(&line(&event, Outcome::Denied, Some(("Code", "Message")))).unwrap();
        assert_eq!(record.identity, RecordedIdentity::Principal { arn: arn.to_owned() });
        assert_eq!(record.time, UnixTime::from_secs(1_767_472_867));
        assert_eq!((record.operation.as_str(), record.outcome), ("GenerateDataKey", Outcome::Denied));
        assert_eq!((record.request_id.as_str(), record.event_id.as_str()), ("request", "event"));
        assert_eq!(record.access_key_id.as_deref(), Some("AKIAEXAMPLE"));
        assert_eq!(
            (record.error_code.as_deref(), record.error_message.as_deref()),
            (Some("Code"), Some("Message"))
        );
        assert_eq!(record.keys, [key.as_str()]);
        assert_eq!(record.encryption_context().collect::<Vec<_>>(), [("tenant", "a")]);
        assert_eq!(record.reasons().collect::<Vec<_>>(), ["first", "second"]);
        assert_eq!(record.configured_trust_anchors, ["CONFIGURED root"]);
        assert_eq!((record.sequence, record.read_only, record.recipient), (None, false, None));
    }

    #[test]
    fn reads_the_enclave() {
        let mut value = recorded();
        value["chain"] = json!({"sequence": 7});
        value["additionalEventData"]["recipient"] = json!({
            "attestationDocumentModuleId": "i-1-enc-2",
            "attestationDocumentEnclaveImageDigest": "00ff",
            "attestationDocumentEnclavePCR8": "aa",
            "attestationDocumentTimestamp": "2026-01-03T20:41:07Z",
            "attestationDocumentTrustAnchorSha256": "bb",
        });
        let record = read(&value).unwrap();
        assert_eq!(record.sequence, Some(7));
        assert_eq!(
            record.recipient.unwrap(),
            RecordedRecipient {
                module_id: "i-1-enc-2".to_owned(),
                pcrs: [(0, "00ff".to_owned()), (8, "aa".to_owned())].into(),
                timestamp: UnixTime::from_secs(1_767_472_867),
                trust_anchor_sha256: "bb".to_owned(),
            }
        );
    }

    #[test]
    fn a_missing_or_wrong_member_is_named() {
        let error = |change: fn(&mut Value)| {
            let mut value = recorded();
            change(&mut value);
            read(&value).unwrap_err().to_string()
        };
        assert_eq!(
            error(|value| value["eventTime"] = json!("yesterday")),
            "the record.eventTime is \"yesterday\", expected an RFC 3339 time"
        );
        assert_eq!(
            error(|value| value["additionalEventData"]["decision"]["outcome"] = json!("Allowed")),
            "decision.outcome is \"Allowed\", expected allowed, denied, malformed or failed"
        );
        assert_eq!(
            error(|value| value["userIdentity"] = json!({"type": "Role"})),
            "userIdentity.arn is null, expected a string"
        );
        assert_eq!(
            error(|value| value["chain"] = json!({"sequence": -1})),
            "chain.sequence is -1, expected a whole number"
        );
        assert_eq!(
            AuditRecord::parse(b"[]").unwrap_err().to_string(),
            "the record is [], expected an object"
        );
        assert!(matches!(AuditRecord::parse(b"{\"eventVersion\":"), Err(RecordError::Json(_))));
    }

    proptest! {
        #[test]
        fn arbitrary_lines_never_panic(line in any::<Vec<u8>>()) {
            let _ = AuditRecord::parse(&line);
        }

        /// Any member may be gone or anything else; the rest reads as before or is named as wrong.
        #[test]
        fn arbitrary_members_never_panic(at in 0_usize..21, replacement in prop_oneof![
            Just(Value::Null), any::<bool>().prop_map(Value::from), any::<i64>().prop_map(Value::from),
            ".{0,20}".prop_map(Value::from), Just(json!([])), Just(json!([1])), Just(json!({})),
        ]) {
            let mut value = recorded();
            let member = value.as_object_mut().unwrap().values_mut().nth(at).unwrap();
            *member = replacement;
            let _ = read(&value);
        }
    }
}
