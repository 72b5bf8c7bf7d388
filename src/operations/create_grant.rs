use serde::Serialize;
use serde_json::{Value, json};

use super::authorization::Access;
use super::broker::Broker;
use super::error::OperationError;
use super::grant_members::{parse_principal, parse_service_principal, principal, refuse_service_principals};
use super::grant_tokens::{GrantToken, GrantTokens};
use super::managed_key::ManagedKey;
use super::members::{MemberError, Members};
use super::pattern::{GRANT_NAME, SOURCE_ARN};
use super::{Invocation, Operation};
use crate::audit::AuditEvent;
use crate::crypto::fill_random;
use crate::encryption_context::EncryptionContext;
use crate::keys::{Key, KeySpec, KeyUsage};
use crate::policy::{
    Grant, GrantConstraint, GrantId, GrantOperation, GrantOperations, GrantTerms, MAX_CONSTRAINT_PAIRS,
    MAX_CONSTRAINT_VALUE_LEN,
};

const GRANTEE_IS_ONE: &str =
    "Please specify either GranteePrincipal or GranteeServicePrincipal, one of the two and not both.";
const RETIRING_IS_ONE: &str =
    "Please specify either RetiringPrincipal or RetiringServicePrincipal, not both.";
const CONSTRAINT_IS_ONE: &str =
    "Please specify either EncryptionContextEquals or EncryptionContextSubset, not both.";

/// A permission on a key for one principal, beside the key's policy (KMS API reference, *CreateGrant*). It is in force
/// when it is answered.
pub struct CreateGrant {
    key: ManagedKey,
    grantee: Option<String>,
    retiring: Option<String>,
    /// Something that only AWS services have.
    is_for_service: bool,
    operations: GrantOperations,
    constraint: Option<GrantConstraint>,
    name: Option<String>,
    grant_tokens: GrantTokens,
    dry_run: bool,
}

/// The answer.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateGrantResponse {
    grant_token: String,
    grant_id: String,
}

impl Operation for CreateGrant {
    const NAME: &'static str = "CreateGrant";
    const READ_ONLY: bool = false;
    type Response = CreateGrantResponse;

    fn parse(members: &Members<'_>) -> Result<Self, MemberError> {
        let key = ManagedKey::parse(members)?;
        let grantee = parse_principal(members, "GranteePrincipal")?;
        let retiring = parse_principal(members, "RetiringPrincipal")?;
        let for_grantee = parse_service_principal(members, "GranteeServicePrincipal")?;
        let for_retiring = parse_service_principal(members, "RetiringServicePrincipal")?;
        let operations = parse_operations(members)?;
        let (constraint, has_source_arn) = parse_constraints(members)?;
        let name = members.text_of("Name", 1..=256, &GRANT_NAME)?.map(str::to_owned);
        let grant_tokens = GrantTokens::parse(members)?;
        let dry_run = members.flag("DryRun")?;
        if grantee.is_some() == for_grantee {
            return Err(MemberError::Combination(GRANTEE_IS_ONE));
        }
        if retiring.is_some() && for_retiring {
            return Err(MemberError::Combination(RETIRING_IS_ONE));
        }
        let is_for_service = for_grantee || for_retiring || has_source_arn;
        Ok(Self {
            key,
            grantee,
            retiring,
            is_for_service,
            operations,
            constraint,
            name,
            grant_tokens,
            dry_run,
        })
    }

    fn audit_parameters(&self) -> Value {
        let constraints = self.constraint.as_ref().map(|constraint| match constraint {
            GrantConstraint::EncryptionContextEquals(context) => json!({"encryptionContextEquals": context}),
            GrantConstraint::EncryptionContextSubset(context) => json!({"encryptionContextSubset": context}),
        });
        self.key
            .audit_parameters()
            .with_optional("granteePrincipal", self.grantee.as_deref())
            .with_optional("retiringPrincipal", self.retiring.as_deref())
            .with("operations", self.operations.names().collect::<Vec<_>>())
            .with_optional("constraints", constraints)
            .with_optional("name", self.name.as_deref())
            .with_dry_run(self.dry_run)
            .into_value()
    }

    async fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<CreateGrantResponse, OperationError> {
        static NO_CONTEXT: EncryptionContext = EncryptionContext::EMPTY;
        self.grant_tokens.require_valid(broker).await?;
        refuse_service_principals(self.is_for_service)?;
        let terms = GrantTerms {
            grantee: principal(self.grantee.as_deref().unwrap_or_default())?,
            retiring: self.retiring.as_deref().map(principal).transpose()?,
            operations: self.operations,
            constraint: self.constraint.clone(),
        };
        let entry = self.key.find(broker, invocation, event).await?;
        let access = Access {
            // What the policy says of a request's encryption context, it says of a constraint's, too (KMS developer
            // guide, *kms:EncryptionContext:context-key*).
            encryption_context: terms.constraint.as_ref().map_or(&NO_CONTEXT, GrantConstraint::context),
            new_grant: Some(&terms),
            ..Access::new("kms:CreateGrant", &entry)
        };
        broker.authorize(&access, invocation, event).await?;
        entry.key.require_enabled(invocation.now)?;
        require_fit(&terms, &entry.key)?;
        if self.dry_run {
            return Err(OperationError::DryRun);
        }
        let mut id = [0; 32];
        fill_random(&mut id)?;
        // The anonymous caller has no account; the key's answers for what its policy lets that caller do.
        let issuing_account = invocation.caller.account().unwrap_or(broker.realm().account());
        let grant = Grant {
            id: GrantId::from_bytes(id),
            resource: entry.key.arn.as_str().into(),
            name: self.name.as_deref().map(Into::into),
            terms,
            issuing_account: issuing_account.into(),
            created_at: invocation.now,
        };
        let id = broker.store().insert_grant(entry.key.id, &grant).await?;
        event.set_response_elements(json!({"grantId": id.to_string(), "keyId": entry.key.arn.as_str()}));
        let grant_token = GrantToken::issue(broker.root_key(), &id).await?;
        Ok(CreateGrantResponse { grant_token, grant_id: id.to_string() })
    }
}

fn parse_operations(members: &Members<'_>) -> Result<GrantOperations, MemberError> {
    const NAME: &str = "Operations";
    // Absent is not empty: what is there has one item at least.
    let names = members.strings(NAME, 1..=usize::MAX, 0..=usize::MAX)?;
    if names.is_empty() {
        return Err(members.missing(NAME));
    }
    let operation = |name: &str| {
        GrantOperation::from_name(name).ok_or_else(|| {
            let all: Vec<&str> = GrantOperation::ALL.into_iter().map(GrantOperation::name).collect();
            let rule = format!("satisfy enum value set: [{}]", all.join(", "));
            members.violates("Operations.member", rule, Some(name))
        })
    };
    names.into_iter().map(operation).collect()
}

/// The member `Constraints`: an encryption context, and whether there is a `SourceArn`.
fn parse_constraints(members: &Members<'_>) -> Result<(Option<GrantConstraint>, bool), MemberError> {
    let Some(constraints) = members.structure("Constraints")? else { return Ok((None, false)) };
    let has_source_arn = constraints.text_of("SourceArn", 20..=512, &SOURCE_ARN)?.is_some();
    let constraint = match (
        parse_context(&constraints, "EncryptionContextEquals")?,
        parse_context(&constraints, "EncryptionContextSubset")?,
    ) {
        (None, None) => None,
        (Some(context), None) => Some(GrantConstraint::EncryptionContextEquals(context)),
        (None, Some(context)) => Some(GrantConstraint::EncryptionContextSubset(context)),
        (Some(_), Some(_)) => return Err(MemberError::Combination(CONSTRAINT_IS_ONE)),
    };
    Ok((constraint, has_source_arn))
}

fn parse_context(
    constraints: &Members<'_>,
    name: &'static str,
) -> Result<Option<EncryptionContext>, MemberError> {
    if !constraints.has(name) {
        return Ok(None);
    }
    let context = super::members::encryption_context(constraints, name)?;
    if context.len() > MAX_CONSTRAINT_PAIRS {
        let rule = format!("have at most {MAX_CONSTRAINT_PAIRS} pairs");
        return Err(constraints.violates(name, rule, None));
    }
    if context.iter().any(|(_, value)| value.chars().count() > MAX_CONSTRAINT_VALUE_LEN) {
        let rule = format!("have values of at most {MAX_CONSTRAINT_VALUE_LEN} characters");
        return Err(constraints.violates(name, rule, None));
    }
    Ok(Some(context))
}

/// Requires operations that the key has, and a constraint only where they have an encryption context.
fn require_fit(terms: &GrantTerms, key: &Key) -> Result<(), OperationError> {
    if let Some(operation) = terms.operations.iter().find(|operation| !key_has(key, *operation)) {
        return Err(OperationError::GrantDoesNotFit(format!(
            "Grant operation {} isn't supported for a key of the spec {} and the usage {}",
            operation.name(),
            key.spec.name(),
            key.usage.name()
        )));
    }
    if let Some(constraint) = &terms.constraint
        && key.spec != KeySpec::SymmetricDefault
    {
        return Err(OperationError::GrantDoesNotFit(format!(
            "Grant constraint {} isn't supported for a key of the spec {}, whose operations have no encryption context",
            constraint.name(),
            key.spec.name()
        )));
    }
    Ok(())
}

/// Whether a key of this spec and usage has an operation at all (KMS developer guide, *Grant operations*).
fn key_has(key: &Key, operation: GrantOperation) -> bool {
    let is_symmetric = key.spec == KeySpec::SymmetricDefault;
    match operation {
        GrantOperation::CreateGrant | GrantOperation::RetireGrant | GrantOperation::DescribeKey => true,
        GrantOperation::Encrypt
        | GrantOperation::Decrypt
        | GrantOperation::ReEncryptFrom
        | GrantOperation::ReEncryptTo => key.usage == KeyUsage::EncryptDecrypt,
        GrantOperation::GenerateDataKey
        | GrantOperation::GenerateDataKeyWithoutPlaintext
        | GrantOperation::GenerateDataKeyPair
        | GrantOperation::GenerateDataKeyPairWithoutPlaintext => is_symmetric,
        GrantOperation::Sign | GrantOperation::Verify => key.usage == KeyUsage::SignVerify,
        GrantOperation::GetPublicKey => key.spec.is_asymmetric(),
        GrantOperation::GenerateMac | GrantOperation::VerifyMac => key.usage == KeyUsage::GenerateVerifyMac,
        GrantOperation::DeriveSharedSecret => key.usage == KeyUsage::KeyAgreement,
        // Of ML-KEM keys, which this broker does not have.
        GrantOperation::Encapsulate | GrantOperation::Decapsulate => false,
    }
}
