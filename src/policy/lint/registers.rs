//! The registers (PCRs) that a statement asks for, taken together.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::{Findings, Rule, Severity};
use super::reading::{ReadCondition, Reading, Statement};
use super::register_values::register;
use crate::json::Span;
use crate::policy::operator::Comparison;
use crate::policy::principal::Principal;

pub(super) static CONTRADICTION: Rule = Rule {
    code: "NKB220",
    name: "pcr-contradiction",
    severity: Severity::Error,
    summary: "Conditions on one register that no enclave meets together, such as PCR0 and ImageSha384 of two images.",
    why: "All conditions of a statement must hold, and ImageSha384 is PCR0: the statement never applies.",
    fix: "keep one of the two; alternatives stand in one array",
};

pub(super) static KERNEL_ALONE: Rule = Rule {
    code: "NKB221",
    name: "pcr1-alone",
    severity: Severity::Warning,
    summary: "PCR1 without PCR0, PCR2 or PCR8: the kernel without the application.",
    why: "Images that nitro-cli builds share one kernel and boot ramdisk, so nearly every application matches.",
    fix: "add PCR2, the application, or use PCR0, the whole image",
};

pub(super) static APPLICATION_ALONE: Rule = Rule {
    code: "NKB222",
    name: "pcr2-alone",
    severity: Severity::Warning,
    summary: "PCR2 without PCR0, PCR1 or PCR8: the application without the kernel.",
    why: "The same application on a changed kernel or boot ramdisk matches, and these see all that it does.",
    fix: "add PCR1, kernel and boot ramdisk, or use PCR0, the whole image",
};

pub(super) static IMAGE_NOT_BOUND: Rule = Rule {
    code: "NKB223",
    name: "image-not-bound",
    severity: Severity::Warning,
    summary: "No register of the image: neither PCR0, PCR1, PCR2 nor PCR8.",
    why: "PCR3 and PCR4 are the parent's, and from PCR5 on nothing measures the image: whoever can start an enclave there runs what he likes in it.",
    fix: "add PCR0, the image, or PCR8, who signed it",
};

pub(super) static SIGNER_ALONE: Rule = Rule {
    code: "NKB224",
    name: "pcr8-alone",
    severity: Severity::Note,
    summary: "PCR8 without PCR0: every image that was ever signed so.",
    why: "Old images with known faults stay let in, as long as anybody has them.",
    fix: "pin PCR0 as well where a withdrawn image must not come back",
};

pub(super) static SIGNER_NOT_BOUND: Rule = Rule {
    code: "NKB225",
    name: "signer-not-bound",
    severity: Severity::Note,
    summary: "PCR8 is not asked for: nothing says who signed the image.",
    why: "A signature shows that the image came through the build that holds the key, and an update needs no new policy.",
    fix: "sign images (nitro-cli build-enclave --signing-certificate) and add PCR8",
};

pub(super) static ROLE_NOT_BOUND: Rule = Rule {
    code: "NKB226",
    name: "role-not-bound",
    severity: Severity::Note,
    summary: "Neither PCR3 nor PCR4 is asked for, and anyone may call: nothing says where the enclave runs.",
    why: "Whoever has the image can run it in an account of his own, and feed it what he likes.",
    fix: "add PCR3, the parent's role (`policy from-eif --pcr3 ROLE_ARN` computes it), or name the role in Principal",
};

pub(super) static MIXED_SETS: Rule = Rule {
    code: "NKB227",
    name: "pcr-sets-mixed",
    severity: Severity::Warning,
    summary: "Several values of several registers of the image in one statement.",
    why: "Every combination is let in, also the kernel of the old image with the application of the new one.",
    fix: "write a statement for each image, as `policy rollout` does",
};

pub(super) static RULES: [&Rule; 8] = [
    &CONTRADICTION,
    &KERNEL_ALONE,
    &APPLICATION_ALONE,
    &IMAGE_NOT_BOUND,
    &SIGNER_ALONE,
    &SIGNER_NOT_BOUND,
    &ROLE_NOT_BOUND,
    &MIXED_SETS,
];

/// The registers that a statement pins to values: what its positive conditions ask for.
pub(super) struct Pinned<'r> {
    pub(super) index: u8,
    pub(super) condition: &'r ReadCondition,
    /// In lower case. `None` when a pattern or a variable is among them, so that they cannot be listed.
    pub(super) values: Option<BTreeSet<String>>,
}

impl Statement {
    /// The positive conditions on registers.
    pub(super) fn pinned(&self) -> Vec<Pinned<'_>> {
        self.conditions.iter().filter_map(|condition| pinned(condition, false)).collect()
    }

    /// The negated ones: what must not be.
    pub(super) fn excluded(&self) -> Vec<Pinned<'_>> {
        self.conditions.iter().filter_map(|condition| pinned(condition, true)).collect()
    }
}

fn pinned(condition: &ReadCondition, negated: bool) -> Option<Pinned<'_>> {
    let index = register(&condition.key)?;
    let comparison = condition.operator.comparison;
    if comparison == Comparison::Null || comparison.is_negated() != negated {
        return None;
    }
    let is_pattern = matches!(comparison, Comparison::StringLike | Comparison::StringNotLike);
    let value = |text: &str| {
        let is_plain = !(text.contains("${") || is_pattern && text.contains(['*', '?']));
        is_plain.then(|| text.to_ascii_lowercase())
    };
    let values = condition.values.iter().map(|item| value(&item.text)).collect();
    Some(Pinned { index, condition, values })
}

pub(super) fn check(reading: &Reading, findings: &mut Findings<'_>) {
    for statement in &reading.statements {
        if !statement.is_partial {
            contradictions(statement, findings);
        }
        let pinned = statement.pinned();
        if statement.allows() && !pinned.is_empty() && !statement.is_partial {
            let indices: BTreeSet<u8> = pinned.iter().map(|pinned| pinned.index).collect();
            if let Some(first) = pinned.first() {
                bindings(statement, &indices, &first.condition.key_span, findings);
            }
            mixed(statement, &pinned, findings);
        }
    }
}

fn contradictions(statement: &Statement, findings: &mut Findings<'_>) {
    let pinned = statement.pinned();
    let mut seen: BTreeMap<u8, &Pinned<'_>> = BTreeMap::new();
    for later in &pinned {
        let Some(earlier) = seen.get(&later.index) else {
            seen.insert(later.index, later);
            continue;
        };
        if !(earlier.condition.holds_when_absent() && later.condition.holds_when_absent())
            && let (Some(a), Some(b)) = (&earlier.values, &later.values)
            && !a.is_empty()
            && !b.is_empty()
            && a.is_disjoint(b)
        {
            let (earlier, later) = (earlier.condition, later.condition);
            let message = format!(
                "{} and {} are the same register, and have no value in common",
                earlier.key, later.key
            );
            findings.add(&CONTRADICTION, &later.key_span, Some(&statement.at), message);
        }
    }
    for excluded in statement.excluded() {
        let contradicted = pinned.iter().find(|pinned| {
            pinned.index == excluded.index
                && !(pinned.condition.holds_when_absent() && excluded.condition.holds_when_absent())
                && matches!((&pinned.values, &excluded.values), (Some(a), Some(b)) if !a.is_empty() && a.is_subset(b))
        });
        if let Some(pinned) = contradicted {
            let (operator, key) = (excluded.condition.operator, &excluded.condition.key);
            let message = format!(
                "{operator} excludes every value of {key} that {} asks for",
                pinned.condition.operator
            );
            findings.add(&CONTRADICTION, &excluded.condition.key_span, Some(&statement.at), message);
        }
    }
}

/// What the registers that are pinned say together, and what they leave open.
fn bindings(statement: &Statement, indices: &BTreeSet<u8>, span: &Span, findings: &mut Findings<'_>) {
    let has = |index: u8| indices.contains(&index);
    let mut add = |rule, message: &str| {
        findings.add(rule, span, Some(&statement.at), message.to_owned());
    };
    match (has(0), has(1), has(2), has(8)) {
        (false, true, false, false) => {
            add(&KERNEL_ALONE, "PCR1 alone lets every application on this kernel in")
        }
        (false, false, true, false) => {
            add(&APPLICATION_ALONE, "PCR2 alone lets this application in on every kernel")
        }
        (false, false, false, true) => {
            add(&SIGNER_ALONE, "PCR8 alone lets every image in that was ever signed so")
        }
        (false, false, false, false) => {
            let named: Vec<String> = indices.iter().map(|index| format!("PCR{index}")).collect();
            add(
                &IMAGE_NOT_BOUND,
                &format!("asks for {}, and for no register of the image", named.join(" and ")),
            );
            return;
        }
        _ => {}
    }
    if !has(8) {
        add(&SIGNER_NOT_BOUND, "PCR8 is not asked for: nothing says who signed the image");
    }
    let anyone_may_call = statement
        .principals
        .as_ref()
        .is_some_and(|element| element.items.iter().any(|item| item.value == Principal::Anyone));
    if !has(3) && !has(4) && anyone_may_call {
        add(&ROLE_NOT_BOUND, "neither PCR3 nor PCR4 is asked for: the enclave may run in any account");
    }
}

fn mixed(statement: &Statement, pinned: &[Pinned<'_>], findings: &mut Findings<'_>) {
    let of_the_image = pinned.iter().filter(|pinned| matches!(pinned.index, 0..=2 | 8));
    let several: Vec<&Pinned<'_>> =
        of_the_image.filter(|pinned| pinned.values.as_ref().is_some_and(|values| values.len() > 1)).collect();
    let indices: BTreeSet<u8> = several.iter().map(|pinned| pinned.index).collect();
    if let (Some(second), true) = (several.get(1), indices.len() > 1) {
        let named: Vec<String> = several
            .iter()
            .map(|pinned| format!("{} values of {}", pinned.condition.values.len(), pinned.condition.key))
            .collect();
        let message = format!("{} are let in, in every combination", named.join(" and "));
        findings.add(&MIXED_SETS, &second.condition.key_span, Some(&statement.at), message);
    }
}
