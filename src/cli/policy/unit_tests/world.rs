//! What the cases of a file are judged by, read from the files that it names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::schema::{Case, DocumentSource, KeyDescription, TestFile};
use crate::attestation::{self, Requirements, UnverifiedDocument};
use crate::cli::document::{read_document, trust_anchors};
use crate::cli::error::CliError;
use crate::cli::policy::described_request::IMAGINED_KEY;
use crate::cli::policy::{read_attached_policies, read_grants, read_policy};
use crate::encryption_context::EncryptionContext;
use crate::policy::{
    AttachedPolicy, Caller, ConditionKey, Explanation, Grant, KeyPolicy, Policies, PrincipalArn,
    RequestFacts, explain_access,
};
use crate::text::shorten;
use crate::time::UnixTime;

/// When a request is made that does not say when: cases come out the same whenever they are run.
const USUAL_TIME: UnixTime = UnixTime::from_secs(1_767_225_600);

/// Everything that cases refer to.
pub(super) struct World<'f> {
    policy: KeyPolicy,
    key: &'f KeyDescription,
    grants: Vec<Arc<Grant>>,
    registers: BTreeMap<&'f str, Vec<(u8, String)>>,
    principals: &'f BTreeMap<String, String>,
    identity: BTreeMap<String, Vec<AttachedPolicy>>,
}

impl<'f> World<'f> {
    pub(super) fn read(path: &Path, file: &'f TestFile) -> Result<Self, CliError> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let registers = file.documents.iter().map(|(name, source)| {
            let registers = source.registers(folder).map_err(|error| {
                CliError::usage(format!("{}: the document {name:?}: {error}", path.display()))
            })?;
            Ok((name.as_str(), registers))
        });
        let registers = registers.collect::<Result<_, CliError>>()?;
        let mut identity = BTreeMap::new();
        for (principal, policies) in &file.identity_policies {
            let arn = file.principals.get(principal).unwrap_or(principal);
            let arn = PrincipalArn::parse(arn).map_err(CliError::usage)?;
            let holder = arn.policy_holder().ok_or_else(|| {
                CliError::usage(format!("{}: {arn} can have no identity policies", path.display()))
            })?;
            let paths: Vec<PathBuf> = policies.iter().map(|policy| folder.join(policy)).collect();
            identity.insert(holder.to_string(), read_attached_policies(&paths)?);
        }
        let arn = file.key.arn.as_deref().unwrap_or(IMAGINED_KEY);
        Ok(Self {
            policy: read_policy(&folder.join(&file.policy))?,
            key: &file.key,
            grants: match &file.grants {
                Some(grants) => read_grants(&folder.join(grants), arn)?,
                None => Vec::new(),
            },
            registers,
            principals: &file.principals,
            identity,
        })
    }

    /// What is decided about the request of a case, and why.
    pub(super) fn judge(&self, case: &Case) -> Result<Explanation, String> {
        let facts = self.facts(case)?;
        let holder = facts.caller.arn().and_then(|arn| arn.policy_holder());
        let identity = holder.and_then(|holder| self.identity.get(holder.as_str()));
        let policies = Policies {
            key: &self.policy,
            identity: identity.map(Vec::as_slice).unwrap_or_default(),
            grants: &self.grants,
        };
        Ok(explain_access(&policies, &facts.inquiry()))
    }

    fn facts(&self, case: &Case) -> Result<RequestFacts, String> {
        let at = match &case.at {
            Some(at) => UnixTime::parse_rfc3339(at).map_err(|error| error.to_string())?,
            None => USUAL_TIME,
        };
        let operation = case.operation.strip_prefix("kms:").unwrap_or(&case.operation);
        let arn = self.key.arn.as_deref().unwrap_or(IMAGINED_KEY);
        let mut facts = RequestFacts::new(self.caller(case)?, &format!("kms:{operation}"), arn, at)
            .map_err(|error| error.to_string())?;
        facts.encryption_context =
            EncryptionContext::new(case.encryption_context.clone()).map_err(|error| error.to_string())?;

        let KeyDescription { arn: _, spec, usage, origin, aliases, tags } = self.key;
        let region = facts.resource.split(':').nth(3).unwrap_or_default().to_owned();
        let mut set =
            |key, values: &[&str]| facts.set(key, values.iter().copied()).map_err(|error| error.to_string());
        set(ConditionKey::RequestedRegion, &[&region])?;
        set(ConditionKey::SecureTransport, &["true"])?;
        set(ConditionKey::KeySpec, &[spec.as_deref().unwrap_or("SYMMETRIC_DEFAULT")])?;
        set(ConditionKey::KeyUsage, &[usage.as_deref().unwrap_or("ENCRYPT_DECRYPT")])?;
        set(ConditionKey::KeyOrigin, &[origin.as_deref().unwrap_or("AWS_KMS")])?;
        set(ConditionKey::ResourceAliases, &aliases.iter().map(String::as_str).collect::<Vec<_>>())?;
        for (tag, value) in tags {
            set(ConditionKey::ResourceTag(tag.as_str().into()), &[value])?;
        }
        if let Some(address) = &case.source_ip {
            set(ConditionKey::SourceIp, &[address])?;
        }
        for (name, values) in &case.conditions {
            let key = ConditionKey::parse(name)
                .ok_or_else(|| format!("{:?} is no condition key that is supported", shorten(name)))?;
            set(key, &values.texts().iter().map(String::as_str).collect::<Vec<_>>())?;
        }
        if let Some(name) = &case.document {
            let registers = self.registers.get(name.as_str());
            for (index, digits) in registers.ok_or_else(|| format!("no document is named {name:?}"))? {
                facts.set_pcr(*index, digits).map_err(|error| error.to_string())?;
            }
        }
        Ok(facts)
    }

    fn caller(&self, case: &Case) -> Result<Caller, String> {
        match case.principal.as_deref() {
            None | Some("anonymous") => Ok(Caller::Anonymous),
            Some(name) => PrincipalArn::parse(self.principals.get(name).map_or(name, String::as_str))
                .map(|arn| Caller::Principal { arn })
                .map_err(|error| format!("the principal: {error}")),
        }
    }
}

impl DocumentSource {
    /// The registers of the enclave, its document verified as of the moment when it was made.
    fn registers(&self, folder: &Path) -> Result<Vec<(u8, String)>, String> {
        let document = match (&self.file, &self.base64) {
            (None, None) => return self.literal(),
            (Some(file), None) => {
                read_document(&folder.join(file)).map_err(|error| error.message().to_owned())?
            }
            (None, Some(text)) => {
                let text: String = text.split_whitespace().collect();
                STANDARD.decode(text).map_err(|error| format!("no base64: {error}"))?
            }
            (Some(_), Some(_)) => return Err("it has both file and base64".to_owned()),
        };
        if !self.pcrs.is_empty() {
            return Err("the registers are those of the document".to_owned());
        }
        let claims = UnverifiedDocument::parse(&document).map_err(|error| error.to_string())?;
        if !self.unverified {
            let root = self.root.as_ref().map(|root| folder.join(root));
            let anchors = trust_anchors(root.as_deref()).map_err(|error| error.message().to_owned())?;
            attestation::verify(&document, &anchors, claims.timestamp(), &Requirements::default())
                .map_err(|error| format!("refused at the step {}: {error}", error.step().name()))?;
        }
        Ok(claims.pcrs().iter().map(|(index, pcr)| (index, pcr.to_hex())).collect())
    }

    fn literal(&self) -> Result<Vec<(u8, String)>, String> {
        if self.pcrs.is_empty() {
            return Err("it has none of file, base64 and pcrs".to_owned());
        }
        let register = |(index, digits): (&String, &String)| {
            let index = index.parse().ok().filter(|index| *index < 32_u8);
            let index = index.ok_or("registers have the numbers 0 to 31")?;
            let is_hex = digits.len() == 96 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_hex
                .then(|| (index, digits.to_ascii_lowercase()))
                .ok_or_else(|| format!("PCR{index}: expected 96 hexadecimal digits"))
        };
        self.pcrs.iter().map(register).collect()
    }
}
