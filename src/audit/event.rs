use std::borrow::Cow;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::attestation::{Pcr, VerifiedEvidence};
use crate::keys::{KeyArn, Realm};
use crate::policy::{Caller, ConditionKey, ContextValue, ContextValues, Grant, PrincipalArn, Question};
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

/// Which policies a question was put to.
#[derive(Clone, Copy, Debug)]
pub enum AskedOf<'g> {
    /// The key's, the caller's, and grants.
    Key {
        /// The grant that allowed.
        allowed_by: Option<&'g Grant>,
    },
    /// The caller's alone, of which one had to allow.
    Identity,
    /// The caller's alone, none of which was to deny.
    NoDeny,
    /// As of the key's, for the end of this grant.
    Retirement(&'g Grant),
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

/// A question to policies, as far as the rest of the record does not tell it: the caller, the time, the source's address, the
/// region, the registers and the encryption context are there.
#[derive(Clone, Debug, Serialize)]
struct Asked {
    action: &'static str,
    resource: String,
    /// Absent where the key's policy was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<&'static str>,
    allowed: bool,
    /// Whether the policies saw the enclave.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    attested: bool,
    /// The grant that is to end, or that allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<AskedGrant>,
    #[serde(skip_serializing_if = "AskedContext::is_empty")]
    context: AskedContext,
}

/// What conditions could see, by their keys' names.
#[derive(Clone, Debug)]
struct AskedContext(Vec<(Cow<'static, str>, Value)>);

impl AskedContext {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for AskedContext {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// A grant as it was, since it may be gone.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AskedGrant {
    grant_id: String,
    grantee_principal: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    retiring_principal: Option<String>,
    operations: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    constraints: Option<Value>,
    issuing_account: String,
}

impl Asked {
    fn of(question: &Question<'_>, of: AskedOf<'_>, allowed: bool) -> Self {
        let (of, grant) = match of {
            AskedOf::Key { allowed_by } => (None, allowed_by),
            AskedOf::Identity => (Some("identity"), None),
            AskedOf::NoDeny => (Some("noDeny"), None),
            AskedOf::Retirement(grant) => (Some("retirement"), Some(grant)),
        };
        let stated = question.stated_of(|key| !is_told_elsewhere(key));
        Self {
            action: question.action,
            resource: question.resource.to_owned(),
            of,
            allowed,
            attested: question.recipient.is_some(),
            grant: grant.map(AskedGrant::of),
            context: AskedContext(stated.map(|(key, values)| (key.name(), json_of(&values))).collect()),
        }
    }
}

impl AskedGrant {
    fn of(grant: &Grant) -> Self {
        let constraint = grant.terms.constraint.as_ref();
        Self {
            grant_id: grant.id.to_string(),
            grantee_principal: grant.terms.grantee.to_string(),
            retiring_principal: grant.terms.retiring.as_ref().map(PrincipalArn::to_string),
            operations: grant.terms.operations.names().collect(),
            constraints: constraint.map(|constraint| json!({constraint.name(): constraint.context()})),
            issuing_account: grant.issuing_account.to_string(),
        }
    }
}

/// Whether a member of the record beside the question holds the key's value.
fn is_told_elsewhere(key: &ConditionKey) -> bool {
    matches!(
        key,
        ConditionKey::RecipientAttestationPcr(_)
            | ConditionKey::SourceIp
            | ConditionKey::UserAgent
            | ConditionKey::RequestedRegion
    )
}

fn json_of(values: &ContextValues<'_>) -> Value {
    let json_of_one = |value: &ContextValue<'_>| match value {
        ContextValue::Text(text) => json!(text),
        ContextValue::Flag(flag) => json!(flag),
        ContextValue::Number(number) => json!(number),
        ContextValue::Time(time) => json!(time.to_string()),
        ContextValue::Address(address) => json!(address.to_string()),
    };
    match values {
        ContextValues::Absent => Value::Null,
        ContextValues::One(value) => json_of_one(value),
        ContextValues::Many(values) => values.iter().map(json_of_one).collect(),
    }
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

/// What verified evidence says about the enclave: the registers that CloudTrail shows, PCR0 by the name of the image
/// digest, and what the broker adds: the others that anything was measured into, and the indices of the rest.
#[derive(Clone, Debug, Serialize)]
struct RecipientFacts {
    #[serde(rename = "attestationDocumentModuleId")]
    module_id: String,
    #[serde(rename = "attestationDocumentEnclaveImageDigest", skip_serializing_if = "Option::is_none")]
    image_digest: Option<String>,
    #[serde(flatten)]
    pcrs: RecordedPcrs,
    #[serde(rename = "attestationDocumentZeroPCRs", skip_serializing_if = "Vec::is_empty")]
    zero_pcrs: Vec<u8>,
    #[serde(rename = "attestationDocumentTimestamp")]
    timestamp: String,
    #[serde(rename = "attestationDocumentTrustAnchorSha256")]
    trust_anchor_sha256: String,
}

/// Registers by the indices in their members' names.
#[derive(Clone, Debug)]
struct RecordedPcrs(Vec<(u8, Pcr)>);

impl Serialize for RecordedPcrs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let name = |index| format!("attestationDocumentEnclavePCR{index}");
        serializer.collect_map(self.0.iter().map(|(index, pcr)| (name(index), pcr.to_hex())))
    }
}

/// Registers that are shown whatever they hold, as CloudTrail does.
const ALWAYS_SHOWN: [u8; 6] = [0, 1, 2, 3, 4, 8];

impl RecipientFacts {
    fn of(evidence: &VerifiedEvidence) -> Self {
        let (shown, zero): (Vec<_>, Vec<_>) =
            evidence.pcrs().iter().partition(|(index, pcr)| ALWAYS_SHOWN.contains(index) || !pcr.is_zero());
        let others = shown.into_iter().filter(|(index, _)| *index != 0);
        Self {
            module_id: evidence.module_id().to_owned(),
            image_digest: evidence.pcrs().get(0).copied().map(Pcr::to_hex),
            pcrs: RecordedPcrs(others.map(|(index, pcr)| (index, *pcr)).collect()),
            zero_pcrs: zero.into_iter().map(|(index, _)| index).collect(),
            timestamp: evidence.timestamp().to_string(),
            trust_anchor_sha256: hex::encode(evidence.trust_anchor_sha256()),
        }
    }
}
