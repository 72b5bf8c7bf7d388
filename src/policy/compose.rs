//! Policies made from what images measure.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::caller::{InvalidPrincipalArn, PolicyHolder};
use super::condition_key::ConditionKey;
use crate::crypto::sha384;
use crate::time::UnixTime;

/// Values of registers by their index: what an enclave must measure to be let in.
pub type Registers = BTreeMap<u8, [u8; 48]>;

/// A statement that lets enclaves of one image in.
#[derive(Clone, Debug)]
pub struct ImageStatement {
    /// Its `Sid`.
    pub sid: String,
    /// Who may call: ARNs, or `*` for everyone.
    pub principals: Vec<String>,
    /// For what, such as `kms:Decrypt`.
    pub actions: Vec<String>,
    /// The registers that must all have these values.
    pub registers: Registers,
    /// When it ends.
    pub until: Option<UnixTime>,
}

/// What those who manage a key need, and nothing that uses it.
const MANAGEMENT: [&str; 12] = [
    "kms:CancelKeyDeletion",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:EnableKey",
    "kms:Get*",
    "kms:List*",
    "kms:PutKeyPolicy",
    "kms:RevokeGrant",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateKeyDescription",
];

/// The value of PCR3 in an enclave whose parent instance has this role (Nitro Enclaves User Guide, *Cryptographic
/// attestation*: 48 zero bytes extended by the ARN itself).
///
/// # Errors
/// When the text is not the ARN of a role.
pub fn register_of_role(arn: &str) -> Result<[u8; 48], InvalidPrincipalArn> {
    PolicyHolder::parse(arn)?;
    if arn.split(':').nth(5).is_some_and(|resource| resource.starts_with("role/")) {
        Ok(register_of(arn))
    } else {
        Err(InvalidPrincipalArn { expected: "the ARN of a role", actual: arn.to_owned() })
    }
}

/// The value of PCR4 in an enclave on this instance, `i-` and 8 or 17 hexadecimal digits; `None` for another text.
pub fn register_of_instance(id: &str) -> Option<[u8; 48]> {
    let digits = id.strip_prefix("i-")?;
    let is_hexadecimal = digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    (is_hexadecimal && [8, 17].contains(&digits.len())).then(|| register_of(id))
}

fn register_of(text: &str) -> [u8; 48] {
    sha384(&[&[0; 48], text.as_bytes()])
}

/// The text of a key policy: the statements, and one for those who manage the key, if there are any.
///
/// # Errors
/// When the JSON cannot be written, which does not happen with texts and digests.
pub fn key_policy_text(
    statements: &[ImageStatement],
    administrators: &[String],
) -> Result<String, serde_json::Error> {
    let managed = (!administrators.is_empty()).then(|| StatementJson {
        sid: "KeyAdministrators",
        effect: "Allow",
        principal: PrincipalJson::of(administrators),
        action: MANAGEMENT.to_vec(),
        resource: "*",
        condition: None,
    });
    let statement = statements.iter().map(StatementJson::of).chain(managed).collect();
    serde_json::to_string_pretty(&PolicyJson { version: "2012-10-17", statement })
}

/// As [`key_policy_text`], of one statement alone, to be put into a policy that is there.
///
/// # Errors
/// As [`key_policy_text`].
pub fn statement_text(statement: &ImageStatement) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(&StatementJson::of(statement))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyJson<'s> {
    version: &'static str,
    statement: Vec<StatementJson<'s>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct StatementJson<'s> {
    sid: &'s str,
    effect: &'static str,
    principal: PrincipalJson<'s>,
    action: Vec<&'s str>,
    resource: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<ConditionJson<'s>>,
}

impl<'s> StatementJson<'s> {
    fn of(statement: &'s ImageStatement) -> Self {
        let ImageStatement { sid, principals, actions, registers, until } = statement;
        Self {
            sid,
            effect: "Allow",
            principal: PrincipalJson::of(principals),
            action: actions.iter().map(String::as_str).collect(),
            resource: "*",
            condition: Some(ConditionJson {
                string_equals_ignore_case: RegistersJson(registers),
                date_less_than: until.map(|until| UntilJson { current_time: until.to_string() }),
            }),
        }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum PrincipalJson<'s> {
    Anyone(&'static str),
    Named {
        #[serde(rename = "AWS")]
        aws: &'s [String],
    },
}

impl<'s> PrincipalJson<'s> {
    fn of(principals: &'s [String]) -> Self {
        if principals.iter().any(|principal| principal == "*") {
            Self::Anyone("*")
        } else {
            Self::Named { aws: principals }
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ConditionJson<'s> {
    string_equals_ignore_case: RegistersJson<'s>,
    #[serde(skip_serializing_if = "Option::is_none")]
    date_less_than: Option<UntilJson>,
}

#[derive(Serialize)]
struct UntilJson {
    #[serde(rename = "aws:CurrentTime")]
    current_time: String,
}

struct RegistersJson<'s>(&'s Registers);

impl Serialize for RegistersJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(index, value)| {
            (ConditionKey::RecipientAttestationPcr(*index).to_string(), hex::encode(value))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::{register_of_instance, register_of_role};

    /// Computed with `hashlib.sha384` of Python, as the user guide shows it.
    #[test]
    fn parents_have_the_registers_that_the_user_guide_computes() {
        let role = "arn:aws:iam::730335421987:role/worker";
        assert_eq!(
            hex::encode(register_of_role(role).unwrap()),
            "4ee8538b3e1d68afbb05f868424df0c332e271d7d8e33f624b971df9600242b5d30fc766ff4f1b175ba295cdd7798f1d"
        );
        assert_eq!(
            hex::encode(register_of_instance("i-0123456789abcdef0").unwrap()),
            "d6432900ac1c343cb40286898792c55e962aef0cc35c4910c0c286145b51af19e782cb21cc31a042671d7dfbd398251c"
        );
        for bad in ["worker", "arn:aws:iam::730335421987:user/worker", "arn:aws:iam::730335421987:root"] {
            assert!(register_of_role(bad).is_err(), "{bad}");
        }
        for bad in ["", "i-", "i-0123456789ABCDEF0", "i-0123", "0123456789abcdef0"] {
            assert_eq!(register_of_instance(bad), None, "{bad}");
        }
    }
}
