//! A request that a command line describes.

use clap::Args;

use crate::cli::error::CliError;
use crate::encryption_context::EncryptionContext;
use crate::keys::{KeyIdentifier, Realm};
use crate::policy::{Caller, ConditionKey, PrincipalArn, RequestFacts};
use crate::store::KeyEntry;
use crate::time::UnixTime;

/// The key of a request of which no key is known.
pub(in crate::cli) const IMAGINED_KEY: &str =
    "arn:aws:kms:us-east-1:000000000000:key/00000000-0000-0000-0000-000000000000";

/// What is asked, and all that conditions may look at.
#[derive(Debug, Args)]
pub(in crate::cli) struct DescribedRequest {
    /// What is asked for, such as Decrypt; of ReEncrypt, ReEncryptFrom and ReEncryptTo each for itself.
    #[arg(long, value_name = "OP")]
    operation: String,

    /// Who asks, an ARN; without it, the anonymous caller.
    #[arg(long, value_name = "ARN", value_parser = parse_principal)]
    principal: Option<PrincipalArn>,

    /// Without --key: the ARN of the key that is asked for.
    #[arg(long, value_name = "ARN", conflicts_with = "key")]
    resource: Option<String>,

    /// Pairs of the encryption context.
    #[arg(long, value_name = "KEY=VALUE", num_args = 1.., value_parser = parse_pair)]
    encryption_context: Vec<(String, String)>,

    /// Decide at this time instead of now, such as 2025-01-06T16:07:05Z.
    #[arg(long, value_name = "RFC3339", value_parser = UnixTime::parse_rfc3339)]
    at: Option<UnixTime>,

    /// Where the request comes from.
    #[arg(long, value_name = "ADDRESS")]
    source_ip: Option<std::net::IpAddr>,

    /// A register, such as 0=ab01…, in place of the document's. May be repeated.
    #[arg(long, value_name = "N=HEX", value_parser = parse_pcr)]
    pcr: Vec<(u8, String)>,

    /// Any other condition key, such as kms:RequestAlias=alias/app. May be repeated; several values of one key add up.
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_pair)]
    condition: Vec<(String, String)>,
}

impl DescribedRequest {
    pub(in crate::cli) fn at(&self) -> UnixTime {
        self.at.unwrap_or_else(UnixTime::now)
    }

    /// The request, without what follows from a key and from registers.
    pub(in crate::cli) fn facts(&self, at: UnixTime) -> Result<RequestFacts, CliError> {
        let caller = match &self.principal {
            Some(arn) => Caller::Principal { arn: arn.clone() },
            None => Caller::Anonymous,
        };
        let operation = self.operation.strip_prefix("kms:").unwrap_or(&self.operation);
        let resource = self.resource.as_deref().unwrap_or(IMAGINED_KEY);
        let mut facts =
            RequestFacts::new(caller, &format!("kms:{operation}"), resource, at).map_err(|error| {
                let error = CliError::usage(format!("--operation: {error}"));
                match operation {
                    "ReEncrypt" => error.hint(
                        "it asks for kms:ReEncryptFrom of the one key and for kms:ReEncryptTo of the other",
                    ),
                    _ => error,
                }
            })?;
        let pairs = self.encryption_context.iter().cloned().collect();
        facts.encryption_context = EncryptionContext::new(pairs).map_err(CliError::usage)?;
        // As a broker is reached that is left as it comes.
        set(&mut facts, ConditionKey::SecureTransport, &["true"])?;
        if let Some(address) = self.source_ip {
            set(&mut facts, ConditionKey::SourceIp, &[&address.to_string()])?;
        }
        Ok(facts)
    }

    /// What follows from a key that is there, named as `named_as`.
    pub(in crate::cli) fn set_key(
        &self,
        facts: &mut RequestFacts,
        entry: &KeyEntry,
        realm: &Realm,
        named_as: &str,
    ) -> Result<(), CliError> {
        set_key(facts, entry, realm)?;
        if let Ok(KeyIdentifier::Alias(name)) = KeyIdentifier::parse(named_as, realm) {
            set(facts, ConditionKey::RequestAlias, &[name.as_str()])?;
        }
        self.set_conditions(facts)
    }

    /// What would follow from a key of the usual kind.
    pub(in crate::cli) fn set_imagined_key(&self, facts: &mut RequestFacts) -> Result<(), CliError> {
        if let (None, Some(account)) = (&self.resource, facts.caller.account()) {
            facts.resource = IMAGINED_KEY.replace("000000000000:key", &format!("{account}:key"));
            facts.resource_account = account.to_owned();
        }
        let region = facts.resource.split(':').nth(3).filter(|region| !region.is_empty()).map(str::to_owned);
        if let Some(region) = region {
            set(facts, ConditionKey::RequestedRegion, &[&region])?;
        }
        set(facts, ConditionKey::KeySpec, &["SYMMETRIC_DEFAULT"])?;
        set(facts, ConditionKey::KeyUsage, &["ENCRYPT_DECRYPT"])?;
        set(facts, ConditionKey::KeyOrigin, &["AWS_KMS"])?;
        self.set_conditions(facts)
    }

    /// The registers that are given by hand.
    pub(in crate::cli) fn set_pcrs(&self, facts: &mut RequestFacts) -> Result<(), CliError> {
        for (index, digits) in &self.pcr {
            facts.set_pcr(*index, digits).map_err(CliError::usage)?;
        }
        Ok(())
    }

    fn set_conditions(&self, facts: &mut RequestFacts) -> Result<(), CliError> {
        let mut by_key: Vec<(ConditionKey, Vec<&str>)> = Vec::new();
        for (name, value) in &self.condition {
            let key = ConditionKey::parse(name)
                .ok_or_else(|| CliError::usage(format!("--condition: {name} is no condition key")))?;
            match by_key.iter_mut().find(|(known, _)| *known == key) {
                Some((_, values)) => values.push(value),
                None => by_key.push((key, vec![value])),
            }
        }
        by_key.into_iter().try_for_each(|(key, values)| set(facts, key, &values))
    }
}

/// What follows from a key, however a request names it.
pub(in crate::cli) fn set_key(
    facts: &mut RequestFacts,
    entry: &KeyEntry,
    realm: &Realm,
) -> Result<(), CliError> {
    facts.resource = entry.key.arn.to_string();
    facts.resource_account = realm.account().to_owned();
    set(facts, ConditionKey::RequestedRegion, &[realm.region()])?;
    set(facts, ConditionKey::KeySpec, &[entry.key.spec.name()])?;
    set(facts, ConditionKey::KeyUsage, &[entry.key.usage.name()])?;
    set(facts, ConditionKey::KeyOrigin, &[entry.key.origin.name()])?;
    let aliases: Vec<&str> = entry.aliases.iter().map(String::as_str).collect();
    set(facts, ConditionKey::ResourceAliases, &aliases)?;
    for (tag, value) in &entry.tags {
        set(facts, ConditionKey::ResourceTag(tag.as_str().into()), &[value])?;
    }
    Ok(())
}

pub(in crate::cli) fn set(
    facts: &mut RequestFacts,
    key: ConditionKey,
    values: &[&str],
) -> Result<(), CliError> {
    facts.set(key, values.iter().copied()).map_err(CliError::usage)
}

fn parse_principal(text: &str) -> Result<PrincipalArn, String> {
    PrincipalArn::parse(text).map_err(|error| error.to_string())
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn parse_pcr(text: &str) -> Result<(u8, String), String> {
    const FORM: &str = "expected a register from 0 to 31 and its value in hexadecimal, such as 0=ab01…";
    let (index, digits) = text.split_once('=').ok_or(FORM)?;
    let index: u8 = index.parse().ok().filter(|index| *index < 32).ok_or(FORM)?;
    let is_hex = digits.len() == 96 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| (index, digits.to_ascii_lowercase())).ok_or_else(|| {
        format!("expected 96 hexadecimal digits for PCR{index}, found {:?}", crate::text::shorten(digits))
    })
}
