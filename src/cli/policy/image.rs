//! What `from-eif`, `from-describe-eif` and `rollout` share: measured images, and the options of the policy.

use std::io::Read;
use std::path::Path;

use clap::Args;

use crate::cli::eif;
use crate::cli::error::CliError;
use crate::cli::output::print_line;
use crate::eif::Measurements;
use crate::json::Json;
use crate::policy::{
    ImageStatement, KeyPolicy, Registers, key_policy_text, register_of_instance, register_of_role,
};
use crate::text::shorten;
use crate::time::UnixTime;

/// Longest output of nitro-cli that is read, in bytes; with metadata it has a few thousand.
pub(super) const MAX_DESCRIPTION_BYTES: u64 = 1024 * 1024;

/// What the policy is to say beside the image.
#[derive(Debug, Args)]
pub(super) struct StatementOptions {
    /// Who may call: an ARN of a user, role or session, or * for everyone. May be repeated.
    #[arg(long, value_name = "ARN", default_value = "*")]
    principal: Vec<String>,

    /// What they may do. May be repeated.
    #[arg(long, value_name = "ACTION", default_values = ["kms:Decrypt", "kms:GenerateDataKey"])]
    action: Vec<String>,

    /// Pin PCR1, kernel and boot ramdisk, as well. PCR0 has it already.
    #[arg(long)]
    with_pcr1: bool,

    /// Pin PCR2, the application, as well. PCR0 has it already.
    #[arg(long)]
    with_pcr2: bool,

    /// Pin PCR3 to this IAM role of the parent instance.
    #[arg(long, value_name = "ROLE_ARN", value_parser = parse_role)]
    pcr3: Option<[u8; 48]>,

    /// Pin PCR4 to this parent instance, such as i-0123456789abcdef0.
    #[arg(long, value_name = "INSTANCE_ID", value_parser = parse_instance)]
    pcr4: Option<[u8; 48]>,
}

/// Who manages the key.
#[derive(Debug, Args)]
pub(super) struct PolicyOptions {
    #[command(flatten)]
    pub(super) statement: StatementOptions,

    /// Who manages the key, without using it: an ARN, or an account whose identity policies say who. May be repeated.
    #[arg(long, value_name = "ARN|ACCOUNT")]
    account: Vec<String>,
}

fn parse_role(text: &str) -> Result<[u8; 48], String> {
    register_of_role(text).map_err(|error| error.to_string())
}

fn parse_instance(text: &str) -> Result<[u8; 48], String> {
    register_of_instance(text)
        .ok_or_else(|| "expected i- and 8 or 17 hexadecimal digits in lower case".to_owned())
}

impl StatementOptions {
    pub(super) fn statement(
        &self,
        sid: &str,
        measured: &Measurements,
        until: Option<UnixTime>,
    ) -> ImageStatement {
        let Measurements { pcr0, pcr1, pcr2, pcr8 } = measured;
        let pinned = [
            (0, Some(pcr0)),
            (1, self.with_pcr1.then_some(pcr1)),
            (2, self.with_pcr2.then_some(pcr2)),
            (3, self.pcr3.as_ref()),
            (4, self.pcr4.as_ref()),
            (8, pcr8.as_ref()),
        ];
        let registers: Registers =
            pinned.into_iter().filter_map(|(index, value)| Some((index, *value?))).collect();
        ImageStatement {
            sid: sid.to_owned(),
            principals: self.principal.clone(),
            actions: self.action.clone(),
            registers,
            until,
        }
    }
}

impl PolicyOptions {
    /// Prints the policy, once it is known that it can be put.
    pub(super) fn print(&self, statements: &[ImageStatement]) -> Result<(), CliError> {
        let text = key_policy_text(statements, &self.account).map_err(CliError::failed)?;
        KeyPolicy::parse(&text)
            .map_err(|error| CliError::usage(format!("the policy would be refused: {error}")))?;
        print_line(&text)
    }
}

/// Measures an image, or takes the measurements from what nitro-cli printed of it: whichever the file is.
pub(super) fn measured(path: &Path) -> Result<Measurements, CliError> {
    let unreadable = |error| CliError::usage(format!("{}: {error}", path.display()));
    let mut input = eif::open(path)?;
    let mut text = Vec::new();
    input.by_ref().take(EIF_MAGIC.len() as u64).read_to_end(&mut text).map_err(unreadable)?;
    if text == EIF_MAGIC {
        return eif::read_from(text.as_slice().chain(input), path).map(|image| image.measurements);
    }
    input.take(MAX_DESCRIPTION_BYTES).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MAX_DESCRIPTION_BYTES {
        let message = format!("{} is no image and longer than {MAX_DESCRIPTION_BYTES} bytes", path.display());
        return Err(CliError::usage(message));
    }
    described(&text).map_err(|problem| CliError::failed(format!("{}: {problem}", path.display())))
}

/// What an image begins with.
const EIF_MAGIC: &[u8] = b".eif";

/// Reads what `nitro-cli describe-eif` and `nitro-cli build-enclave` print, and `eif measure --json`.
///
/// What nitro-cli found wrong with the image is refused, as is whatever could be another image's.
pub(super) fn described(text: &[u8]) -> Result<Measurements, String> {
    let json = Json::parse(text).map_err(|error| {
        format!("expected the JSON of nitro-cli describe-eif: {error}; take off lines that stand before it")
    })?;
    let Json::Object(members) = &json else {
        return Err(format!("expected an object, found {}", json.type_name()));
    };
    let member = |name: &str| members.iter().find(|(found, _)| found == name).map(|(_, value)| value);
    for (name, meaning) in
        [("CheckCRC", "the checksum is wrong"), ("SignatureCheck", "the signature is wrong")]
    {
        match member(name) {
            None | Some(Json::Null | Json::Bool(true)) => {}
            Some(Json::Bool(false)) => return Err(format!("{name} is false: {meaning}")),
            Some(other) => return Err(format!("{name}: expected a boolean, found {}", other.type_name())),
        }
    }
    let measurements = match member("Measurements") {
        Some(Json::Object(measurements)) => measurements,
        Some(other) => return Err(format!("Measurements: expected an object, found {}", other.type_name())),
        None => return Err("expected the member Measurements, found none".to_owned()),
    };
    let measured = registers(measurements)?;
    match (member("IsSigned"), measured.pcr8) {
        (Some(Json::Bool(true)), None) => Err("IsSigned is true, and there is no PCR8".to_owned()),
        (Some(Json::Bool(false)), Some(_)) => Err("IsSigned is false, and there is a PCR8".to_owned()),
        _ => Ok(measured),
    }
}

fn registers(measurements: &[(String, Json)]) -> Result<Measurements, String> {
    let (mut pcr0, mut pcr1, mut pcr2, mut pcr8) = (None, None, None, None);
    for (name, value) in measurements {
        let Json::String(text) = value else {
            return Err(format!(
                "Measurements.{}: expected a string, found {}",
                shorten(name),
                value.type_name()
            ));
        };
        let slot = match name.as_str() {
            // nitro-cli prints the digest with Rust's Debug: `Sha384 { ... }`.
            "HashAlgorithm" if text.starts_with("Sha384") => continue,
            "HashAlgorithm" => {
                return Err(format!(
                    "Measurements.HashAlgorithm: expected Sha384, found {:?}",
                    shorten(text)
                ));
            }
            "PCR0" => &mut pcr0,
            "PCR1" => &mut pcr1,
            "PCR2" => &mut pcr2,
            "PCR8" => &mut pcr8,
            other => {
                return Err(format!(
                    "Measurements: expected PCR0, PCR1, PCR2 and PCR8, found {:?}",
                    shorten(other)
                ));
            }
        };
        let mut register = [0; 48];
        hex::decode_to_slice(text, &mut register).map_err(|_| {
            format!("Measurements.{name}: expected 96 hexadecimal digits, found {:?}", shorten(text))
        })?;
        if register == [0; 48] {
            return Err(format!(
                "Measurements.{name} is zero: no image measures so, an enclave in debug mode does"
            ));
        }
        *slot = Some(register);
    }
    let missing = |name| format!("Measurements: expected {name}, found none");
    Ok(Measurements {
        pcr0: pcr0.ok_or_else(|| missing("PCR0"))?,
        pcr1: pcr1.ok_or_else(|| missing("PCR1"))?,
        pcr2: pcr2.ok_or_else(|| missing("PCR2"))?,
        pcr8,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::described;

    fn description() -> serde_json::Value {
        json!({
            "EifVersion": 4,
            "Measurements": {
                "HashAlgorithm": "Sha384 { ... }",
                "PCR0": "1c".repeat(48),
                "PCR1": "2c".repeat(48),
                "PCR2": "3c".repeat(48),
                "PCR8": "8c".repeat(48),
            },
            "IsSigned": true,
            "CheckCRC": true,
            "SignatureCheck": true,
            "ImageName": "app",
            "Metadata": {"BuildTime": "2026-01-03T20:41:07Z"},
        })
    }

    #[test]
    fn what_nitro_cli_prints_is_read() {
        let measured = described(description().to_string().as_bytes()).unwrap();
        assert_eq!((measured.pcr0, measured.pcr8), ([0x1c; 48], Some([0x8c; 48])));
        // build-enclave prints the measurements alone.
        let built = json!({"Measurements": {
            "HashAlgorithm": "Sha384 { ... }",
            "PCR0": "1c".repeat(48), "PCR1": "2c".repeat(48), "PCR2": "3c".repeat(48),
        }});
        assert_eq!(described(built.to_string().as_bytes()).unwrap().pcr8, None);
    }

    #[test]
    fn whatever_is_not_as_expected_is_refused() {
        type Change = fn(&mut serde_json::Value);
        let changes: [(Change, &str); 12] = [
            (|d| d["CheckCRC"] = false.into(), "CheckCRC is false: the checksum is wrong"),
            (|d| d["SignatureCheck"] = false.into(), "SignatureCheck is false: the signature is wrong"),
            (|d| d["CheckCRC"] = "yes".into(), "CheckCRC: expected a boolean, found a string"),
            (|d| d["IsSigned"] = false.into(), "IsSigned is false, and there is a PCR8"),
            (
                |d| {
                    d["Measurements"].as_object_mut().unwrap().remove("PCR8");
                },
                "IsSigned is true, and there is no PCR8",
            ),
            (
                |d| {
                    d["Measurements"].as_object_mut().unwrap().remove("PCR1");
                },
                "Measurements: expected PCR1, found none",
            ),
            (
                |d| {
                    d.as_object_mut().unwrap().remove("Measurements");
                },
                "expected the member Measurements, found none",
            ),
            (|d| d["Measurements"] = json!([]), "Measurements: expected an object, found an array"),
            (
                |d| d["Measurements"]["PCR0"] = "1c".into(),
                "Measurements.PCR0: expected 96 hexadecimal digits, found \"1c\"",
            ),
            (
                |d| d["Measurements"]["PCR3"] = "1c".repeat(48).into(),
                "Measurements: expected PCR0, PCR1, PCR2 and PCR8, found \"PCR3\"",
            ),
            (
                |d| d["Measurements"]["HashAlgorithm"] = "Sha256".into(),
                "Measurements.HashAlgorithm: expected Sha384, found \"Sha256\"",
            ),
            (
                |d| d["Measurements"]["PCR0"] = "00".repeat(48).into(),
                "Measurements.PCR0 is zero: no image measures so, an enclave in debug mode does",
            ),
        ];
        for (change, expected) in changes {
            let mut description = description();
            change(&mut description);
            assert_eq!(described(description.to_string().as_bytes()), Err(expected.to_owned()));
        }
        assert_eq!(described(b"[]"), Err("expected an object, found an array".to_owned()));
        let with_lines = described(b"Start building the Enclave Image...\n{}").unwrap_err();
        assert!(with_lines.ends_with("take off lines that stand before it"), "{with_lines}");
        let twice = r#"{"Measurements": {"PCR0": "", "PCR0": ""}}"#;
        assert!(described(twice.as_bytes()).unwrap_err().contains("\"PCR0\" is repeated"));
    }
}
