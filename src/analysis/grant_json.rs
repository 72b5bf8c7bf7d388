//! Grants as people write them down, in the form in which ListGrants shows them.

use serde_json::{Map, Value};

use crate::encryption_context::EncryptionContext;
use crate::policy::{Grant, GrantConstraint, GrantId, GrantOperation, GrantTerms, PrincipalArn};
use crate::time::UnixTime;

/// A text that describes no grant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{member}: {problem}")]
pub struct GrantJsonError {
    /// The member.
    pub member: String,
    /// What is wrong with it.
    pub problem: String,
}

/// A grant on the key `resource` from the members `GranteePrincipal`, `Operations`, and where they are there
/// `RetiringPrincipal`, `Constraints`, `GrantId`, `Name` and `IssuingAccount`. `number` stands for an id that is not given.
///
/// # Errors
/// When a member is missing, unknown or not as KMS has it.
pub fn grant_of_json(grant: &Value, resource: &str, number: u8) -> Result<Grant, GrantJsonError> {
    const KNOWN: [&str; 9] = [
        "GranteePrincipal",
        "Operations",
        "RetiringPrincipal",
        "Constraints",
        "GrantId",
        "Name",
        "IssuingAccount",
        "KeyId",
        "CreationDate",
    ];
    let members = grant.as_object().ok_or_else(|| wrong("grant", "expected an object"))?;
    if let Some(unknown) = members.keys().find(|name| !KNOWN.contains(&name.as_str())) {
        return Err(wrong(unknown, "no grant has it"));
    }
    let grantee =
        principal(members, "GranteePrincipal")?.ok_or_else(|| wrong("GranteePrincipal", "it is missing"))?;
    let operations = members.get("Operations").and_then(Value::as_array);
    let operations = operations.ok_or_else(|| wrong("Operations", "expected an array"))?.iter().map(|name| {
        let operation = name.as_str().and_then(GrantOperation::from_name);
        operation.ok_or_else(|| wrong("Operations", &format!("no operation of grants is {name}")))
    });
    let id = match text(members, "GrantId")? {
        Some(id) => {
            id.parse().map_err(|error: crate::policy::InvalidGrantId| wrong("GrantId", &error.to_string()))?
        }
        None => GrantId::from_bytes([number; 32]),
    };
    let account = grantee.account().to_owned();
    Ok(Grant {
        id,
        resource: resource.into(),
        name: text(members, "Name")?.map(Into::into),
        terms: GrantTerms {
            grantee,
            retiring: principal(members, "RetiringPrincipal")?,
            operations: operations.collect::<Result<_, _>>()?,
            constraint: constraint(members)?,
        },
        issuing_account: account.into(),
        created_at: UnixTime::from_ms(0),
    })
}

fn constraint(members: &Map<String, Value>) -> Result<Option<GrantConstraint>, GrantJsonError> {
    let Some(constraints) = members.get("Constraints").filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    let constraints = constraints.as_object().ok_or_else(|| wrong("Constraints", "expected an object"))?;
    let mut constraints = constraints.iter();
    let (name, pairs) = match (constraints.next(), constraints.next()) {
        (None, _) => return Ok(None),
        (Some(one), None) => one,
        (Some(_), Some(_)) => return Err(wrong("Constraints", "a grant has one constraint")),
    };
    let pairs = pairs.as_object().ok_or_else(|| wrong(name, "expected an object"))?.iter();
    let pairs = pairs.map(|(key, value)| {
        let value = value.as_str().ok_or_else(|| wrong(name, "expected texts"))?;
        Ok((key.clone(), value.to_owned()))
    });
    let context = EncryptionContext::new(pairs.collect::<Result<_, _>>()?)
        .map_err(|error| wrong(name, &error.to_string()))?;
    match name.as_str() {
        "EncryptionContextEquals" => Ok(Some(GrantConstraint::EncryptionContextEquals(context))),
        "EncryptionContextSubset" => Ok(Some(GrantConstraint::EncryptionContextSubset(context))),
        other => Err(wrong(other, "no constraint has this name")),
    }
}

fn principal(members: &Map<String, Value>, name: &str) -> Result<Option<PrincipalArn>, GrantJsonError> {
    let parse = |text| PrincipalArn::parse(text).map_err(|error| wrong(name, &error.to_string()));
    text(members, name)?.map(parse).transpose()
}

fn text<'m>(members: &'m Map<String, Value>, name: &str) -> Result<Option<&'m str>, GrantJsonError> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong(name, "expected a string")),
    }
}

fn wrong(member: &str, problem: &str) -> GrantJsonError {
    GrantJsonError { member: crate::text::shorten(member), problem: problem.to_owned() }
}
