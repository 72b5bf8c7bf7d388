mod asked;
mod recipient;

use serde::Serialize;
use serde_json::{Map, Value};

use self::asked::Asked;
pub use self::asked::AskedOf;
use self::recipient::RecipientFacts;
use crate::attestation::VerifiedEvidence;
use crate::keys::{KeyArn, Realm};
use crate::policy::{Caller, Question};
use crate::time::UnixTime;

/// Bytes that a record takes as a rule.
const USUAL_RECORD_LEN: usize = 4096;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The request was carried out.
    Allowed,
    /// The request was understood and refused.
    Denied,
    /// The request was not one.
    Malformed,
    /// The broker itself failed.
    Failed,
}

impl Outcome {
    /// The word that records have for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Malformed => "malformed",
            Self::Failed => "failed",
        }
    }

    /// The outcome of that word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Allowed, Self::Denied, Self::Malformed, Self::Failed]
            .into_iter()
            .find(|outcome| outcome.as_str() == word)
    }
}

/// What is known about a request before anything of it is believed.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The id that the response carries in `x-amzn-RequestId`.
    pub request_id: String,
    /// When the request came.
    pub time: UnixTime,
    /// The operation asked for, or the target as it came.
    pub operation: String,
    /// Where it came from: an IP address, `unix:pid=<pid>,uid=<uid>` or `vsock:<cid>:<port>`.
    pub source: String,
    /// The `User-Agent` header, cut to 256 bytes.
    pub user_agent: Option<String>,
}

/// What is said of the decision beside the event: how it ended, and under which circumstances.
#[derive(Clone, Copy, Debug)]
pub struct Ending<'e> {
    /// How the request ended.
    pub outcome: Outcome,
    /// The exception and the message that the caller reads.
    pub error: Option<(&'e str, &'e str)>,
    /// The roots that evidence may lead to beside that of AWS.
    pub configured_trust_anchors: &'e [String],
    /// The record's own id.
    pub event_id: &'e str,
}

/// One record, with the field names of CloudTrail (CloudTrail user guide, *Record contents*; KMS developer guide,
/// *Monitoring requests from Nitro enclaves*). What CloudTrail has no name for is in `additionalEventData`.
#[derive(Clone, Debug)]
pub struct AuditEvent {
    subject: Subject,
    caller: Option<Caller>,
    access_key_id: Option<String>,
    request_parameters: Value,
    response_elements: Value,
    read_only: bool,
    is_own_doing: bool,
    keys: Vec<KeyArn>,
    recipient: Option<RecipientFacts>,
    explanations: Map<String, Value>,
    asked: Vec<Asked>,
}

impl AuditEvent {
    /// A record of a request about which nothing else is known.
    pub fn new(subject: Subject) -> Self {
        Self {
            subject,
            caller: None,
            access_key_id: None,
            request_parameters: Value::Null,
            response_elements: Value::Null,
            read_only: true,
            is_own_doing: false,
            keys: Vec::new(),
            recipient: None,
            explanations: Map::new(),
            asked: Vec::new(),
        }
    }

    /// What the record is about.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Who asked, once the signature is verified.
    pub fn set_caller(&mut self, caller: &Caller, access_key_id: Option<&str>) {
        self.caller = Some(caller.clone());
        self.access_key_id = access_key_id.map(str::to_owned);
    }

    /// What was asked, without anything secret.
    pub fn set_request_parameters(&mut self, parameters: Value) {
        self.request_parameters = parameters;
    }

    /// What CloudTrail shows of an answer that made something, without anything secret.
    pub fn set_response_elements(&mut self, elements: Value) {
        self.response_elements = elements;
    }

    /// It changes something beside the log. CloudTrail counts making a data key as reading.
    pub fn set_changes_something(&mut self) {
        self.read_only = false;
    }

    /// Nobody asked for it: the broker does it by itself, and changes something.
    pub fn set_own_doing(&mut self) {
        self.is_own_doing = true;
        self.read_only = false;
    }

    /// The keys that it is about.
    pub fn keys(&self) -> &[KeyArn] {
        &self.keys
    }

    /// Adds a key that it is about.
    pub fn add_key(&mut self, key: &KeyArn) {
        self.keys.push(key.clone());
    }

    /// The enclave, once its evidence is verified.
    pub fn set_recipient(&mut self, evidence: &VerifiedEvidence) {
        self.recipient = Some(RecipientFacts::of(evidence));
    }

    /// Why it was decided so, such as the statement that allowed or the step that refused.
    pub fn explain(&mut self, name: &str, value: impl Into<Value>) {
        self.explanations.insert(name.to_owned(), value.into());
    }

    /// As [`AuditEvent::explain`], where there is something to say.
    pub fn explain_optional(&mut self, name: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.explain(name, value.to_string());
        }
    }

    /// What policies were asked and whether they allowed, with all that their conditions could see, so that the question can be
    /// put again to other policies.
    pub fn add_asked(&mut self, question: &Question<'_>, of: AskedOf<'_>, allowed: bool) {
        self.asked.push(Asked::of(question, of, allowed));
    }

    /// The whole record as one line of JSON, its line end included.
    ///
    /// # Errors
    /// Never as the types are now; there would be no record to write.
    pub fn to_line(&self, realm: &Realm, ending: Ending<'_>) -> Result<Vec<u8>, serde_json::Error> {
        let Subject { request_id, time, operation, source, user_agent } = &self.subject;
        let record = Record {
            event_version: "1.11",
            user_identity: match self.is_own_doing {
                true => UserIdentity { r#type: "AWSService", ..UserIdentity::default() },
                false => UserIdentity::of(self.caller.as_ref(), self.access_key_id.as_deref()),
            },
            event_time: UnixTime::from_secs(time.as_secs()).to_string(),
            event_source: "kms.amazonaws.com",
            event_name: operation,
            aws_region: realm.region(),
            source_ip_address: source,
            user_agent: user_agent.as_deref(),
            error_code: ending.error.map(|(code, _)| code),
            error_message: ending.error.map(|(_, message)| message),
            request_parameters: &self.request_parameters,
            response_elements: &self.response_elements,
            additional_event_data: AdditionalEventData {
                recipient: self.recipient.as_ref(),
                decision: Decision {
                    outcome: ending.outcome,
                    explanations: &self.explanations,
                    asked: &self.asked,
                },
                configured_trust_anchors: ending.configured_trust_anchors,
            },
            request_id,
            event_id: ending.event_id,
            read_only: self.read_only,
            resources: self.keys.iter().map(|arn| Resource::key(arn, realm)).collect(),
            event_type: if self.is_own_doing { "AwsServiceEvent" } else { "AwsApiCall" },
            management_event: true,
            recipient_account_id: realm.account(),
            event_category: "Management",
        };
        let mut line = Vec::with_capacity(USUAL_RECORD_LEN);
        serde_json::to_writer(&mut line, &record)?;
        line.push(b'\n');
        Ok(line)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'e> {
    event_version: &'static str,
    user_identity: UserIdentity<'e>,
    event_time: String,
    event_source: &'static str,
    event_name: &'e str,
    aws_region: &'e str,
    #[serde(rename = "sourceIPAddress")]
    source_ip_address: &'e str,
    user_agent: Option<&'e str>,
    error_code: Option<&'e str>,
    error_message: Option<&'e str>,
    request_parameters: &'e Value,
    /// Null but for what a request made: an answer is never recorded.
    response_elements: &'e Value,
    additional_event_data: AdditionalEventData<'e>,
    #[serde(rename = "requestID")]
    request_id: &'e str,
    #[serde(rename = "eventID")]
    event_id: &'e str,
    read_only: bool,
    resources: Vec<Resource<'e>>,
    event_type: &'static str,
    management_event: bool,
    recipient_account_id: &'e str,
    event_category: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AdditionalEventData<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<&'e RecipientFacts>,
    decision: Decision<'e>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    configured_trust_anchors: &'e [String],
}

#[derive(Serialize)]
struct Decision<'e> {
    outcome: Outcome,
    #[serde(flatten)]
    explanations: &'e Map<String, Value>,
    /// Present also where nothing was asked: records without it are of a time when it was not written.
    asked: &'e [Asked],
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct UserIdentity<'e> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal_id: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arn: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_key_id: Option<&'e str>,
}

impl<'e> UserIdentity<'e> {
    fn of(caller: Option<&'e Caller>, access_key_id: Option<&'e str>) -> Self {
        match caller {
            None => Self { r#type: "Unknown", ..Self::default() },
            Some(Caller::Anonymous) => {
                Self { r#type: "AWSAccount", principal_id: Some("anonymous"), ..Self::default() }
            }
            Some(Caller::Principal { arn }) => Self {
                r#type: principal_type(arn.as_str()),
                principal_id: None,
                arn: Some(arn.as_str()),
                account_id: Some(arn.account()),
                access_key_id,
            },
        }
    }
}

fn principal_type(arn: &str) -> &'static str {
    if arn.contains(":assumed-role/") {
        "AssumedRole"
    } else if arn.ends_with(":root") {
        "Root"
    } else if arn.contains(":role/") {
        "Role"
    } else {
        "IAMUser"
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Resource<'e> {
    account_id: &'e str,
    r#type: &'static str,
    #[serde(rename = "ARN")]
    arn: &'e str,
}

impl<'e> Resource<'e> {
    fn key(arn: &'e KeyArn, realm: &'e Realm) -> Self {
        Self { account_id: realm.account(), r#type: "AWS::KMS::Key", arn: arn.as_str() }
    }
}
