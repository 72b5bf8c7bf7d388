use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::attestation::VerifiedEvidence;
use crate::keys::{KeyArn, Realm};
use crate::policy::Caller;
use crate::time::UnixTime;

/// The registers that CloudTrail shows of a recipient; PCR0 goes by the name of the image digest.
const CLOUDTRAIL_PCRS: [u8; 5] = [1, 2, 3, 4, 8];

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

/// What is known about a request before anything of it is believed.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The id that the response carries in `x-amzn-RequestId`.
    pub request_id: String,
    /// When the request came.
    pub time: UnixTime,
    /// The operation asked for, or the target as it came.
    pub operation: String,
    /// Where it came from: an IP address, `unix` or `vsock(<cid>)`.
    pub source: String,
    /// The `User-Agent` header, cut to 256 characters.
    pub user_agent: Option<String>,
}

/// What verified evidence says about the enclave.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct RecipientFacts(Map<String, Value>);

/// One record, with the field names of CloudTrail (CloudTrail user guide, *Record contents*; KMS developer guide,
/// *Monitoring requests from Nitro enclaves*). What CloudTrail has no name for is in `additionalEventData`.
#[derive(Clone, Debug)]
pub struct AuditEvent {
    subject: Subject,
    caller: Option<Caller>,
    access_key_id: Option<String>,
    request_parameters: Value,
    key: Option<KeyArn>,
    recipient: Option<RecipientFacts>,
    decision: Map<String, Value>,
}

impl AuditEvent {
    /// A record of a request about which nothing else is known.
    pub fn new(subject: Subject) -> Self {
        Self {
            subject,
            caller: None,
            access_key_id: None,
            request_parameters: Value::Null,
            key: None,
            recipient: None,
            decision: Map::new(),
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

    /// The key that it is about.
    pub fn set_key(&mut self, key: &KeyArn) {
        self.key = Some(key.clone());
    }

    /// The enclave, once its evidence is verified.
    pub fn set_recipient(&mut self, evidence: &VerifiedEvidence) {
        self.recipient = Some(RecipientFacts::of(evidence));
    }

    /// Why it was decided so, such as the statement that allowed or the step that refused.
    pub fn explain(&mut self, name: &str, value: impl Into<Value>) {
        self.decision.insert(name.to_owned(), value.into());
    }

    /// The whole record as one line of JSON. `error` is the exception and message that the caller reads;
    /// `configured_trust_anchors` are the roots that evidence may lead to beside that of AWS.
    ///
    /// # Errors
    /// When it cannot be written as JSON; there is then no record.
    pub fn to_line(
        &self,
        realm: &Realm,
        outcome: Outcome,
        error: Option<(&str, &str)>,
        configured_trust_anchors: &[String],
        event_id: &str,
    ) -> Result<Vec<u8>, serde_json::Error> {
        let record = Record {
            event_version: "1.11",
            user_identity: self.user_identity(),
            event_time: UnixTime::from_secs(self.subject.time.as_secs()).to_string(),
            event_source: "kms.amazonaws.com",
            event_name: &self.subject.operation,
            aws_region: realm.region(),
            source_ip_address: &self.subject.source,
            user_agent: self.subject.user_agent.as_deref(),
            error_code: error.map(|(code, _)| code),
            error_message: error.map(|(_, message)| message),
            request_parameters: &self.request_parameters,
            response_elements: (),
            additional_event_data: AdditionalEventData {
                recipient: self.recipient.as_ref(),
                decision: Decision { outcome, explanations: &self.decision },
                configured_trust_anchors,
            },
            request_id: &self.subject.request_id,
            event_id,
            read_only: true,
            resources: self.key.iter().map(|arn| Resource::of(arn, realm)).collect(),
            event_type: "AwsApiCall",
            management_event: true,
            recipient_account_id: realm.account(),
            event_category: "Management",
        };
        let mut line = serde_json::to_vec(&record)?;
        line.push(b'\n');
        Ok(line)
    }

    fn user_identity(&self) -> Value {
        match &self.caller {
            None => json!({"type": "Unknown"}),
            Some(Caller::Anonymous) => json!({"type": "AWSAccount", "principalId": "anonymous"}),
            Some(Caller::Principal { arn }) => json!({
                "type": principal_type(arn.as_str()),
                "arn": arn.as_str(),
                "accountId": arn.account(),
                "accessKeyId": self.access_key_id,
            }),
        }
    }
}

/// The record as it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'r> {
    event_version: &'static str,
    user_identity: Value,
    event_time: String,
    event_source: &'static str,
    event_name: &'r str,
    aws_region: &'r str,
    #[serde(rename = "sourceIPAddress")]
    source_ip_address: &'r str,
    user_agent: Option<&'r str>,
    error_code: Option<&'r str>,
    error_message: Option<&'r str>,
    request_parameters: &'r Value,
    /// Always null, as CloudTrail has it for answers that hold keys.
    response_elements: (),
    additional_event_data: AdditionalEventData<'r>,
    #[serde(rename = "requestID")]
    request_id: &'r str,
    #[serde(rename = "eventID")]
    event_id: &'r str,
    read_only: bool,
    resources: Vec<Resource<'r>>,
    event_type: &'static str,
    management_event: bool,
    recipient_account_id: &'r str,
    event_category: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AdditionalEventData<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<&'r RecipientFacts>,
    decision: Decision<'r>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    configured_trust_anchors: &'r [String],
}

#[derive(Serialize)]
struct Decision<'r> {
    outcome: Outcome,
    #[serde(flatten)]
    explanations: &'r Map<String, Value>,
}

#[derive(Serialize)]
struct Resource<'r> {
    #[serde(rename = "accountId")]
    account_id: &'r str,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "ARN")]
    arn: &'r str,
}

impl<'r> Resource<'r> {
    fn of(arn: &'r KeyArn, realm: &'r Realm) -> Self {
        Self { account_id: realm.account(), kind: "AWS::KMS::Key", arn: arn.as_str() }
    }
}

impl RecipientFacts {
    fn of(evidence: &VerifiedEvidence) -> Self {
        let mut facts = Map::new();
        facts.insert("attestationDocumentModuleId".to_owned(), json!(evidence.module_id()));
        if let Some(pcr0) = evidence.pcrs().get(0) {
            facts.insert("attestationDocumentEnclaveImageDigest".to_owned(), json!(pcr0.to_hex()));
        }
        for index in CLOUDTRAIL_PCRS {
            if let Some(pcr) = evidence.pcrs().get(index) {
                facts.insert(format!("attestationDocumentEnclavePCR{index}"), json!(pcr.to_hex()));
            }
        }
        facts.insert("attestationDocumentTimestamp".to_owned(), json!(evidence.timestamp().to_string()));
        facts.insert(
            "attestationDocumentTrustAnchorSha256".to_owned(),
            json!(hex::encode(evidence.trust_anchor_sha256())),
        );
        Self(facts)
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
