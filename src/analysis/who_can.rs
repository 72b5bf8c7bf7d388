//! Who may do what with a key, from which image, and by what.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::recorded::recorded_decisions;
use super::replay::image_of;
use crate::audit::record::AuditRecord;
use crate::policy::{
    Applies, Caller, ConditionKey, ContextValue, ContextValues, DecisionKind, Effect, Explanation, FactError,
    KeyPolicy, Policies, RequestContext, RequestFacts, StatementTrace, actions, explain_access,
};

/// Principals that are asked about at most.
pub const MAX_PRINCIPALS: usize = 100;

/// Images that are asked about at most.
pub const MAX_IMAGES: usize = 32;

/// Actions that are about no key that is there.
const ABOUT_NO_KEY: [&str; 11] = [
    "kms:ConnectCustomKeyStore",
    "kms:CreateCustomKeyStore",
    "kms:CreateKey",
    "kms:DeleteCustomKeyStore",
    "kms:DescribeCustomKeyStores",
    "kms:DisconnectCustomKeyStore",
    "kms:GenerateRandom",
    "kms:ListAliases",
    "kms:ListKeys",
    "kms:ListRetirableGrants",
    "kms:UpdateCustomKeyStore",
];

/// The principals and images of a key, as they come to be known.
#[derive(Debug, Default)]
pub struct KnownParties {
    principals: Vec<Caller>,
    /// By PCR0, the registers of one enclave that showed it.
    images: BTreeMap<String, BTreeMap<u8, String>>,
    /// Whether there were more than can be asked about.
    is_bounded: bool,
}

/// Who may do what with a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// For each principal and image.
    pub rows: Vec<AccessRow>,
    /// Whether there were more principals or images than were asked about.
    pub is_bounded: bool,
}

/// What one principal may do from one image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessRow {
    /// An ARN or `anonymous`.
    pub principal: String,
    /// The image's PCR0; `None` without attestation.
    pub image: Option<String>,
    /// What is allowed, by what allows it.
    pub allowed: Vec<AllowedActions>,
    /// What is allowed only with the right encryption context, address and the like.
    pub conditional: Vec<AllowedActions>,
    /// The actions that are not allowed.
    pub not_allowed: Vec<&'static str>,
}

/// Actions that the same allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AllowedActions {
    /// What allows.
    pub by: String,
    /// Further conditions that must hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// The actions.
    pub actions: Vec<&'static str>,
}

impl KnownParties {
    /// Everyone whom a policy names, and the images that it does.
    pub fn add_policy(&mut self, policy: &KeyPolicy) {
        policy.named_callers().into_iter().for_each(|caller| self.add_principal(caller));
        for (key, values) in policy.mentions() {
            let is_image = matches!(
                key,
                ConditionKey::RecipientAttestationPcr(0) | ConditionKey::RecipientAttestationImageSha384
            );
            for digits in values.into_iter().filter(|_| is_image).map(|digits| digits.to_ascii_lowercase()) {
                if digits.len() == 96 {
                    self.add_image(digits.clone(), BTreeMap::from([(0, digits)]));
                }
            }
        }
    }

    /// Somebody who may ask.
    pub fn add_principal(&mut self, caller: Caller) {
        if self.principals.contains(&caller) {
            return;
        }
        match self.principals.len() < MAX_PRINCIPALS {
            true => self.principals.push(caller),
            false => self.is_bounded = true,
        }
    }

    /// Whoever asked for the key, and the enclave that was shown.
    pub fn add_record(&mut self, record: &AuditRecord, key_arn: &str) {
        let decisions = recorded_decisions(record).unwrap_or_default();
        for recorded in decisions.into_iter().filter(|recorded| recorded.facts.resource == key_arn) {
            let facts = recorded.facts;
            if let Some(image) = image_of(&facts) {
                let register = |index| match facts.values(&ConditionKey::RecipientAttestationPcr(index)) {
                    ContextValues::One(ContextValue::Text(digits)) => Some((index, digits.into_owned())),
                    _ => None,
                };
                let registers = (0..=crate::policy::MAX_PCR_INDEX).filter_map(register).collect();
                self.add_image(image, registers);
            }
            self.add_principal(facts.caller);
        }
    }

    /// An image by its PCR0, and the registers of an enclave that runs it, which say more than the digest that a policy names,
    /// and take its place.
    pub fn add_image(&mut self, image: String, registers: BTreeMap<u8, String>) {
        let is_known = self.images.contains_key(&image);
        if !is_known && self.images.len() >= MAX_IMAGES {
            self.is_bounded = true;
            return;
        }
        let known = self.images.entry(image).or_default();
        if registers.len() > known.len() {
            *known = registers;
        }
    }

    /// Everyone who is known.
    pub fn principals(&self) -> &[Caller] {
        &self.principals
    }
}

/// What each of `parties` may do with the key that `question` is about. `policies_of` has what may speak for a principal.
///
/// # Errors
/// When a register is none, which the log's reader does not let through.
pub fn access<'p>(
    question: &RequestFacts,
    parties: &KnownParties,
    policies_of: impl Fn(&Caller) -> Policies<'p>,
) -> Result<Access, FactError> {
    let no_image = (None, BTreeMap::new());
    let images = parties.images.iter().map(|(image, registers)| (Some(image.clone()), registers.clone()));
    let images: Vec<_> = [no_image].into_iter().chain(images).collect();
    let mut rows = Vec::new();
    for caller in &parties.principals {
        let policies = policies_of(caller);
        for (image, registers) in &images {
            let mut facts = question.clone();
            facts.caller = caller.clone();
            for (index, digits) in registers {
                facts.set_pcr(*index, digits)?;
            }
            rows.push(AccessRow::of(image.clone(), &facts, &policies)?);
        }
    }
    Ok(Access { rows, is_bounded: parties.is_bounded })
}

impl AccessRow {
    fn of(image: Option<String>, facts: &RequestFacts, policies: &Policies<'_>) -> Result<Self, FactError> {
        let mut allowed: BTreeMap<(String, Vec<String>), Vec<&'static str>> = BTreeMap::new();
        let mut conditional = allowed.clone();
        let mut not_allowed = Vec::new();
        let is_foreign = facts.caller.account().is_some_and(|account| account != facts.resource_account);
        for action in actions().filter(|action| !ABOUT_NO_KEY.contains(action)) {
            let facts = facts.asking_for(action)?;
            let explanation = explain_access(policies, &facts.inquiry());
            let by: Vec<String> = explanation.deciding().iter().map(ToString::to_string).collect();
            if explanation.decision.allowed {
                allowed.entry((by.join(" and "), Vec::new())).or_default().push(action);
            } else if let Some((by, needs)) = what_is_missing(&explanation, is_foreign) {
                conditional.entry((by, needs)).or_default().push(action);
            } else {
                not_allowed.push(action);
            }
        }
        let listed = |by: BTreeMap<(String, Vec<String>), Vec<&'static str>>| {
            by.into_iter().map(|((by, needs), actions)| AllowedActions { by, needs, actions }).collect()
        };
        Ok(Self {
            principal: facts.caller.to_string(),
            image,
            allowed: listed(allowed),
            conditional: listed(conditional),
            not_allowed,
        })
    }
}

/// What would allow, and the conditions that do not hold yet, where a request can still meet them: neither caller nor enclave
/// is what they are about. A deny that such a condition would end is one, too.
fn what_is_missing(explanation: &Explanation, is_foreign: bool) -> Option<(String, Vec<String>)> {
    if explanation.decision.kind == DecisionKind::AnotherAccount {
        return None;
    }
    let of_identity = || {
        let policies = explanation.identity_policies.iter();
        policies.flat_map(|policy| policy.statements.iter().map(move |statement| (policy, statement)))
    };
    let mut needs = BTreeSet::new();
    let denying = explanation.key_policy.iter().chain(of_identity().map(|(_, statement)| statement));
    for statement in denying.filter(|statement| denies(statement)) {
        let escape = statement.elements.iter().find(|element| is_up_to_the_request(&element.element))?;
        needs.insert(format!("not {} {}", escape.element, escape.expected));
    }
    let by_key = |is_enough: bool| {
        explanation
            .key_policy
            .iter()
            .find(move |statement| may_allow(statement) && !(is_enough && statement.names_only_the_account))
    };
    let by_identity = || of_identity().find(|(_, statement)| may_allow(statement));
    let mut by = Vec::new();
    let mut unmet = Vec::new();
    if let Some(statement) = by_key(true).filter(|_| !is_foreign) {
        by.push(statement.reference().to_string());
        unmet.extend(&statement.elements);
    } else if let (Some(statement), Some((policy, other))) = (by_key(false), by_identity()) {
        by.extend([
            statement.reference().to_string(),
            format!("policy {:?} {}", policy.name, other.reference()),
        ]);
        unmet.extend(statement.elements.iter().chain(&other.elements));
    } else {
        let grant = explanation.grants.iter().find(|grant| {
            grant.members.iter().all(|member| member.matched || member.element == "Constraints")
        })?;
        by.push(format!("grant {}", grant.grant));
        unmet.extend(&grant.members);
    }
    let unmet = unmet.into_iter().filter(|element| !element.matched);
    needs.extend(unmet.map(|element| format!("{} {}", element.element, element.expected)));
    Some((by.join(" and "), needs.into_iter().collect()))
}

fn denies(statement: &StatementTrace) -> bool {
    statement.effect == Effect::Deny && statement.applies != Applies::No
}

/// Whether an allow applies, or would with other conditions that are up to the request.
fn may_allow(statement: &StatementTrace) -> bool {
    statement.effect == Effect::Allow
        && statement.elements.iter().all(|element| element.matched || is_up_to_the_request(&element.element))
}

/// Whether a condition asks about what a caller may still choose, such as the encryption context, or what changes, such as the
/// time: neither the enclave nor the caller nor the key.
fn is_up_to_the_request(element: &str) -> bool {
    const FIXED: [&str; 9] = [
        ".kms:RecipientAttestation:",
        ".aws:Principal",
        ".kms:CallerAccount",
        ".aws:username",
        ".kms:Key",
        ".kms:CustomerMasterKey",
        ".aws:Resource",
        ".kms:ResourceAliases",
        ".kms:MultiRegion",
    ];
    element.starts_with("Condition.") && !FIXED.iter().any(|fixed| element.contains(fixed))
}
