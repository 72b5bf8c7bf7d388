//! The values that conditions on registers (PCRs) ask for, each for itself.

use super::finding::{Findings, Rule, Severity};
use super::reading::{Item, ReadCondition, Reading, Statement};
use crate::policy::condition_key::ConditionKey;
use crate::policy::document::Version;
use crate::policy::operand::Operand;
use crate::policy::operator::Comparison;
use crate::text::shorten;

pub(super) static PREFIX_0X: Rule = Rule {
    code: "NKB201",
    name: "pcr-0x-prefix",
    severity: Severity::Error,
    summary: "A PCR value begins with 0x.",
    why: "An attestation's values are bare digits, so the condition is never true, or, negated, always.",
    fix: "take the prefix off",
};

pub(super) static LENGTH: Rule = Rule {
    code: "NKB202",
    name: "pcr-length",
    severity: Severity::Error,
    summary: "A PCR value has another length than a digest.",
    why: "A PCR of an enclave is a SHA-384 digest, 96 hexadecimal digits; a cut or lengthened one never matches.",
    fix: "copy the whole value: 96 digits, as nitro-cli and `eif measure` print it",
};

pub(super) static NOT_HEXADECIMAL: Rule = Rule {
    code: "NKB203",
    name: "pcr-not-hexadecimal",
    severity: Severity::Error,
    summary: "A PCR value has characters that are no hexadecimal digits.",
    why: "An attestation's values are hexadecimal digits, so the condition is never true, or, negated, always.",
    fix: "write the 96 hexadecimal digits that nitro-cli and `eif measure` print",
};

pub(super) static UPPER_CASE: Rule = Rule {
    code: "NKB204",
    name: "pcr-upper-case",
    severity: Severity::Error,
    summary: "A PCR value has upper-case digits under an operator that minds the case.",
    why: "An attestation's values are in lower case, so the condition is never true, or, negated, always.",
    fix: "write the digits in lower case, or use StringEqualsIgnoreCase",
};

pub(super) static NITROTPM_KEY: Rule = Rule {
    code: "NKB205",
    name: "nitrotpm-key",
    severity: Severity::Error,
    summary: "A condition key of NitroTPM, which attests instances and not enclaves.",
    why: "No enclave has such registers, and documents of NitroTPM are refused here.",
    fix: "use kms:RecipientAttestation:PCR<n> or kms:RecipientAttestation:ImageSha384, with the enclave's values",
};

pub(super) static DEBUG_MODE: Rule = Rule {
    code: "NKB206",
    name: "pcr-debug-mode",
    severity: Severity::Error,
    summary: "An enclave in debug mode is let in: PCR0, PCR1 or PCR2 of zeros.",
    why: "In debug mode these registers are zero whatever the image is, and the parent instance reads the enclave's console: anything may run there, and be seen.",
    fix: "pin the value of the image, as `eif measure` prints it, and run the enclave without --debug-mode",
};

pub(super) static ZERO: Rule = Rule {
    code: "NKB207",
    name: "pcr-zero",
    severity: Severity::Warning,
    summary: "PCR3, PCR4 or PCR8 of zeros: no role, no instance, no signature.",
    why: "It is the value of every enclave whose image nobody signed, or whose parent has no role, so it tells none from another.",
    fix: "take the condition out, or pin the value of the role or the signing certificate",
};

pub(super) static IDENTICAL: Rule = Rule {
    code: "NKB208",
    name: "pcr-identical-values",
    severity: Severity::Warning,
    summary: "A PCR value stands twice among the alternatives.",
    why: "Where an old and a new image are meant to be let in, one of them is missing.",
    fix: "replace one of the two by the value that is missing, or take it out",
};

pub(super) static ANY_VALUE: Rule = Rule {
    code: "NKB209",
    name: "pcr-any-value",
    severity: Severity::Error,
    summary: "A pattern that every PCR value matches.",
    why: "Any enclave of anybody is let in, whatever it runs, and one in debug mode as well.",
    fix: "list the values of the images that are meant",
};

pub(super) static WILDCARD: Rule = Rule {
    code: "NKB210",
    name: "pcr-wildcard",
    severity: Severity::Warning,
    summary: "A PCR value with wildcards.",
    why: "A digest has no parts: images that share digits have nothing else in common, and few digits are soon found.",
    fix: "list the whole values",
};

pub(super) static OTHER_DIGEST: Rule = Rule {
    code: "NKB211",
    name: "pcr-other-digest",
    severity: Severity::Warning,
    summary: "A PCR value of 64 or 128 digits.",
    why: "The enclaves of today measure with SHA-384, 96 digits; a SHA-256 or SHA-512 digest never matches.",
    fix: "use the value of 96 digits that nitro-cli and `eif measure` print",
};

pub(super) static PLACEHOLDER: Rule = Rule {
    code: "NKB212",
    name: "pcr-placeholder",
    severity: Severity::Warning,
    summary: "A PCR value that repeats a few digits.",
    why: "No digest looks so: it stands there for one that was never filled in.",
    fix: "put the value of the image, role or certificate there",
};

pub(super) static RULES: [&Rule; 12] = [
    &PREFIX_0X,
    &LENGTH,
    &NOT_HEXADECIMAL,
    &UPPER_CASE,
    &NITROTPM_KEY,
    &DEBUG_MODE,
    &ZERO,
    &IDENTICAL,
    &ANY_VALUE,
    &WILDCARD,
    &OTHER_DIGEST,
    &PLACEHOLDER,
];

/// Digits of a SHA-384 digest.
const DIGITS: usize = 96;

/// Longest run of digits that, repeated, makes a placeholder.
const MAX_PERIOD: usize = 16;

/// The register that a key is about; `ImageSha384` is PCR0.
pub(super) fn register(key: &ConditionKey) -> Option<u8> {
    match key {
        ConditionKey::RecipientAttestationImageSha384 => Some(0),
        ConditionKey::RecipientAttestationPcr(index) => Some(*index),
        _ => None,
    }
}

pub(super) fn check(reading: &Reading, findings: &mut Findings<'_>) {
    for statement in &reading.statements {
        for condition in &statement.conditions {
            if register(&condition.key).is_some() && condition.operator.comparison != Comparison::Null {
                let values = Values { statement, condition, findings };
                values.check(reading.version);
            }
        }
    }
}

struct Values<'r, 'f, 't> {
    statement: &'r Statement,
    condition: &'r ReadCondition,
    findings: &'f mut Findings<'t>,
}

impl<'r> Values<'r, '_, '_> {
    fn check(mut self, version: Version) {
        for (at, item) in self.condition.values.iter().enumerate() {
            let has_variable = version == Version::V2012 && item.text.contains("${");
            if has_variable || self.check_form(item) {
                continue;
            }
            self.check_meaning(item);
            let earlier = self.condition.values.iter().take(at);
            if earlier.into_iter().any(|earlier| earlier.text.eq_ignore_ascii_case(&item.text)) {
                let message =
                    format!("{} {} stands among the alternatives twice", self.key(), shorten(&item.text));
                self.add(&IDENTICAL, item, message);
            }
        }
    }

    /// Whether the value can match nothing, for its form.
    fn check_form(&mut self, item: &Item<Option<Operand>>) -> bool {
        let text = item.text.as_str();
        let minds_case = !matches!(
            self.condition.operator.comparison,
            Comparison::StringEqualsIgnoreCase | Comparison::StringNotEqualsIgnoreCase
        );
        let is_pattern = self.is_pattern();
        let is_wild = |character: char| is_pattern && "*?".contains(character);
        let key = self.key();
        let shown = shorten(text);
        if item.value.is_none() && !self.is_refused_for_its_form(item) {
            return true;
        }
        if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            let message = format!("{key} has the prefix 0x: {shown:?}");
            let replacement = quoted_digest(digits);
            self.add_refusable(&PREFIX_0X, item, message, replacement);
            return true;
        }
        if let Some(other) =
            text.chars().find(|character| !character.is_ascii_hexdigit() && !is_wild(*character))
        {
            let message = format!("{key} holds {other:?}, which is no hexadecimal digit: {shown:?}");
            self.add_refusable(&NOT_HEXADECIMAL, item, message, digest_in_other_form(text));
            return true;
        }
        let fixed = text.chars().filter(|character| *character != '*').count();
        let may_be_longer = is_pattern && text.contains('*');
        let is_digest = match self.condition.key {
            ConditionKey::RecipientAttestationImageSha384 => fixed == DIGITS,
            _ => [64, DIGITS, 128].contains(&fixed),
        };
        if !(is_digest || may_be_longer && fixed < DIGITS) {
            self.add_refusable(&LENGTH, item, format!("{key} has {fixed} digits instead of {DIGITS}"), None);
            return true;
        }
        if minds_case && text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            let operator = self.condition.operator;
            let message = format!("{operator} minds the case, and {key} {shown:?} has upper-case digits");
            self.add_refusable(&UPPER_CASE, item, message, Some(quoted(&text.to_ascii_lowercase())));
            return true;
        }
        false
    }

    fn check_meaning(&mut self, item: &Item<Option<Operand>>) {
        let (key, text) = (self.key(), item.text.as_str());
        let shown = shorten(text);
        let is_wild = self.is_pattern() && text.contains(['*', '?']);
        // What the value lets in; of a Deny with a negated operator everything else is kept out.
        let negated = self.condition.operator.comparison.is_negated();
        let lets_in = self.statement.allows() && !negated || self.statement.denies() && negated;
        let is_zero = text.bytes().all(|byte| byte == b'0');
        if is_wild && text.bytes().all(|byte| b"*?".contains(&byte)) {
            if lets_in {
                self.add(&ANY_VALUE, item, format!("every value of {key} matches {shown:?}"));
            }
            return;
        }
        if is_wild {
            self.add(&WILDCARD, item, format!("{key} has wildcards: {shown:?}"));
            return;
        }
        match register(&self.condition.key) {
            Some(0..=2) if is_zero && lets_in => {
                self.add(&DEBUG_MODE, item, format!("{key} of zeros is any enclave in debug mode"));
            }
            Some(index @ (3 | 4 | 8)) if is_zero && lets_in => {
                let of = match index {
                    3 => "an enclave whose parent has no IAM role",
                    4 => "an enclave whose parent is not known",
                    _ => "an enclave whose image is not signed",
                };
                self.add(&ZERO, item, format!("{key} of zeros is the value of {of}"));
            }
            _ if text.len() != DIGITS => {
                let message =
                    format!("{key} has {} digits; an enclave's registers have {DIGITS}", text.len());
                self.add(&OTHER_DIGEST, item, message);
            }
            _ if !is_zero && repeats(text) => {
                self.add(&PLACEHOLDER, item, format!("{key} is a placeholder: {shown:?}"));
            }
            _ => {}
        }
    }

    fn is_pattern(&self) -> bool {
        matches!(self.condition.operator.comparison, Comparison::StringLike | Comparison::StringNotLike)
    }

    /// Whether a refused value was refused for what is said here, and not for its type or length.
    fn is_refused_for_its_form(&self, item: &Item<Option<Operand>>) -> bool {
        self.condition.key.form_missed_by(&item.text, true).is_some()
            || self.condition.key.form_missed_by(&item.text, false).is_some()
    }

    fn key(&self) -> &'r ConditionKey {
        &self.condition.key
    }

    fn add(&mut self, rule: &'static Rule, item: &Item<Option<Operand>>, message: String) {
        self.findings.add(rule, &item.span, Some(&self.statement.at), message);
    }

    fn add_refusable(
        &mut self,
        rule: &'static Rule,
        item: &Item<Option<Operand>>,
        message: String,
        replacement: Option<String>,
    ) {
        let finding = self.findings.add(rule, &item.span, Some(&self.statement.at), message);
        finding.refused = item.value.is_none();
        if let Some(replacement) = &replacement {
            finding.advise(format!("write {replacement}"));
        }
        finding.replacement = replacement;
    }
}

/// Digits in lower case, if they are a whole digest.
fn quoted_digest(digits: &str) -> Option<String> {
    let is_digest = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest.then(|| quoted(&digits.to_ascii_lowercase()))
}

/// The digest that stands there in base64, or with colons, dashes or white space between the digits.
fn digest_in_other_form(text: &str) -> Option<String> {
    let digits: String =
        text.chars().filter(|character| !":- ".contains(*character) && !character.is_whitespace()).collect();
    quoted_digest(&digits).or_else(|| {
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).ok()?;
        quoted_digest(&hex::encode(bytes))
    })
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// Whether the text is a short run of digits, over and over.
fn repeats(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=MAX_PERIOD).any(|period| bytes.iter().zip(bytes.iter().skip(period)).all(|(a, b)| a == b))
}
