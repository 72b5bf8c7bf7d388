//! What two key policies decide differently: not how their texts differ.
//!
//! Both are asked about every combination of what they tell apart: the callers that they name and some that they do not,
//! every action, and for each condition key the values that they mention, another one, and none. Actions that the same
//! statements are about need asking only once. What comes out differently is put together into rules.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use crate::policy::{
    Caller, ConditionKey, FactError, KeyPolicy, Mentioned, PrincipalArn, RequestFacts, Verdict, actions,
};
use crate::time::UnixTime;

/// Combinations of values that are asked about for one caller and one class of actions at most.
pub const MAX_COMBINATIONS: usize = 20_000;

/// The key of every question; its id occurs in no policy.
const KEY_ARN: &str = "arn:aws:kms:us-east-1:000000000000:key/00000000-0000-4000-8000-00000000d1ff";

/// The first second of 2026, where no policy mentions a time.
const USUAL_TIME: UnixTime = UnixTime::from_secs(1_767_225_600);

/// What is decided differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyDifference {
    /// What changes, for whom and when.
    pub changes: Vec<RuleChange>,
    /// Whether not every combination was asked about, since there are too many.
    pub is_bounded: bool,
    /// Condition keys that the policies ask about and that no question varied.
    pub not_varied: BTreeSet<String>,
}

/// Requests of which the two policies say something else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleChange {
    /// What the old policy says.
    pub old: Outcome,
    /// What the new one says.
    pub new: Outcome,
    /// The callers: ARNs, `anonymous`, or `anyone else`.
    pub principals: BTreeSet<String>,
    /// The actions.
    pub actions: BTreeSet<&'static str>,
    /// For each key that matters, the values with which it is so.
    pub when: Vec<(String, Vec<String>)>,
    /// Whether it is so for every combination of these values, and not only for some.
    pub is_exact: bool,
    /// One such request.
    pub witness: Witness,
}

/// A request that is decided differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Witness {
    /// Who asks.
    pub principal: String,
    /// For what.
    pub action: &'static str,
    /// With which values; others are absent.
    pub values: Vec<(String, String)>,
}

/// What a key policy says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It allows.
    Allowed,
    /// It allows the caller's account, whose identity policies then decide.
    LeftToIdentityPolicies,
    /// It does not speak of it; a grant may allow.
    NotAllowed,
    /// It denies, whatever else allows.
    Denied,
}

impl Outcome {
    /// In words.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::LeftToIdentityPolicies => "left to identity policies",
            Self::NotAllowed => "not allowed",
            Self::Denied => "denied",
        }
    }
}

/// What `old` and `new` decide differently.
///
/// # Errors
/// Never as the policies' parser is now, which checks the values that are asked with.
pub fn policy_difference(old: &KeyPolicy, new: &KeyPolicy) -> Result<PolicyDifference, FactError> {
    let mut found = Found::default();
    let named: BTreeSet<String> = [old, new].into_iter().flat_map(KeyPolicy::named_resources).collect();
    let resources: Vec<String> = [KEY_ARN.to_owned()].into_iter().chain(named).collect();
    for (caller, name) in &callers(old, new, &mut found) {
        for resource in &resources {
            let mut asked: HashMap<(Vec<usize>, Vec<usize>), Vec<Cell>> = HashMap::new();
            for action in actions() {
                let class = (old.candidates(caller, action), new.candidates(caller, action));
                let cells = match asked.get(&class) {
                    Some(cells) => cells,
                    None => {
                        let question = RequestFacts::new(caller.clone(), action, resource, USUAL_TIME)?;
                        let mut cells = cells(old, new, &question, &mut found)?;
                        if resources.len() > 1 {
                            let key = ("the key".to_owned(), vec![shown_resource(resource)]);
                            cells.iter_mut().for_each(|cell| cell.when.insert(0, key.clone()));
                        }
                        asked.entry(class).or_insert(cells)
                    }
                };
                cells.iter().for_each(|cell| found.add(name, action, cell));
            }
        }
    }
    Ok(found.into_difference())
}

fn shown_resource(resource: &str) -> String {
    if resource == KEY_ARN { "one that is not mentioned".to_owned() } else { resource.to_owned() }
}

/// The callers that the policies name, by themselves or in a condition, and for each account and for none somebody whom they
/// do not.
fn callers(old: &KeyPolicy, new: &KeyPolicy, found: &mut Found) -> Vec<(Caller, String)> {
    let mut callers = vec![Caller::Anonymous];
    let mut add = |caller| {
        if !callers.contains(&caller) {
            callers.push(caller);
        }
    };
    [old, new].into_iter().flat_map(KeyPolicy::named_callers).for_each(&mut add);
    let mut accounts = BTreeSet::new();
    for (key, values) in [old, new].into_iter().flat_map(KeyPolicy::mentions) {
        match key {
            ConditionKey::PrincipalArn => {
                for arn in values {
                    match PrincipalArn::parse(&arn) {
                        Ok(arn) => add(Caller::Principal { arn }),
                        // With wildcards it covers more than can be made up.
                        Err(_) => drop(found.not_varied.insert(key.to_string())),
                    }
                }
            }
            ConditionKey::CallerAccount | ConditionKey::PrincipalAccount => accounts.extend(values),
            ConditionKey::PrincipalType | ConditionKey::Username => {
                found.not_varied.insert(key.to_string());
            }
            _ => {}
        }
    }
    accounts.extend(callers.iter().filter_map(Caller::account).map(str::to_owned));
    let others = accounts
        .iter()
        .map(|account| (account.as_str(), format!("anyone else of the account {account}")))
        .chain([("999999999999", "anyone else".to_owned())]);
    let others = others.filter_map(|(account, name)| {
        let arn = PrincipalArn::parse(&format!("arn:aws:iam::{account}:user/not-mentioned")).ok()?;
        Some((Caller::Principal { arn }, name))
    });
    let others: Vec<_> = others.collect();
    let named = callers.into_iter().map(|caller| {
        let name = caller.to_string();
        (caller, name)
    });
    named.chain(others).collect()
}

/// The values that a key is asked with: none is absence.
type Choices = (ConditionKey, Vec<Vec<String>>);

/// A change of one caller and class of actions.
struct Cell {
    old: Outcome,
    new: Outcome,
    when: Vec<(String, Vec<String>)>,
    is_exact: bool,
    witness: Vec<(String, String)>,
}

fn cells(
    old: &KeyPolicy,
    new: &KeyPolicy,
    question: &RequestFacts,
    found: &mut Found,
) -> Result<Vec<Cell>, FactError> {
    let asks = |policy: &KeyPolicy| policy.asks(&question.caller, question.action());
    let choices = choices(merged([asks(old), asks(new)].concat()), found);
    let total = choices.iter().fold(1_usize, |total, (_, values)| total.saturating_mul(values.len()));
    found.is_bounded |= total > MAX_COMBINATIONS;
    let mut differing: BTreeMap<(Outcome, Outcome), Vec<Vec<usize>>> = BTreeMap::new();
    for number in 0..total.min(MAX_COMBINATIONS) {
        let picks = picks(number, &choices);
        let facts = facts(question, &choices, &picks)?;
        let (before, after) = (outcome(old, &facts), outcome(new, &facts));
        if before != after {
            differing.entry((before, after)).or_default().push(picks);
        }
    }
    Ok(differing
        .into_iter()
        .map(|((before, after), combinations)| Cell::of(before, after, &choices, &combinations))
        .collect())
}

impl Cell {
    fn of(old: Outcome, new: Outcome, choices: &[Choices], combinations: &[Vec<usize>]) -> Self {
        let mut when = Vec::new();
        let mut boxed = 1_usize;
        for (at, (key, values)) in choices.iter().enumerate() {
            let picked: BTreeSet<usize> =
                combinations.iter().filter_map(|picks| picks.get(at).copied()).collect();
            boxed = boxed.saturating_mul(picked.len());
            if picked.len() < values.len() {
                let shown = picked.iter().filter_map(|pick| values.get(*pick)).map(|values| shown(values));
                when.push((key.to_string(), shown.collect()));
            }
        }
        let witness = combinations.first().map(Vec::as_slice).unwrap_or_default();
        let witness = choices.iter().zip(witness).filter_map(|((key, values), pick)| {
            let values = values.get(*pick).filter(|values| !values.is_empty())?;
            Some((key.to_string(), shown(values)))
        });
        Self { old, new, when, is_exact: boxed == combinations.len(), witness: witness.collect() }
    }
}

fn shown(values: &[String]) -> String {
    if values.is_empty() { "absent".to_owned() } else { values.join(" and ") }
}

/// The number in the mixed radix of the choices.
fn picks(mut number: usize, choices: &[Choices]) -> Vec<usize> {
    choices
        .iter()
        .map(|(_, values)| {
            let radix = values.len().max(1);
            let pick = number % radix;
            number /= radix;
            pick
        })
        .collect()
}

/// The values of each key once, by one name.
fn merged(asked: Vec<Mentioned>) -> Vec<Mentioned> {
    let mut merged: Vec<Mentioned> = Vec::new();
    for (key, values) in asked {
        let key = key.stated();
        let is_register = matches!(key, ConditionKey::RecipientAttestationPcr(_));
        let values =
            values.into_iter().map(|value| if is_register { value.to_ascii_lowercase() } else { value });
        match merged.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => known.extend(values),
            None => merged.push((key, values.collect())),
        }
    }
    merged
}

/// For each key what requests are made with: its mentioned values, another one, and none.
fn choices(asked: Vec<Mentioned>, found: &mut Found) -> Vec<Choices> {
    let mut choices = Vec::new();
    for (key, mentioned) in asked {
        let is_varied = matches!(
            key,
            ConditionKey::EncryptionContext(_)
                | ConditionKey::EncryptionContextKeys
                | ConditionKey::CurrentTime
        ) || RequestFacts::is_stated(&key);
        let follows_from_caller = matches!(
            key,
            ConditionKey::PrincipalArn
                | ConditionKey::CallerAccount
                | ConditionKey::PrincipalAccount
                | ConditionKey::PrincipalType
                | ConditionKey::Username
                | ConditionKey::PrincipalIsAwsService
                | ConditionKey::ViaAwsService
                | ConditionKey::NeverPresent(_)
                | ConditionKey::PrincipalTag(_)
        );
        if !is_varied {
            if !follows_from_caller {
                found.not_varied.insert(key.to_string());
            }
            continue;
        }
        let single = mentioned.iter().map(|value| vec![value.clone()]);
        let mut values: Vec<Vec<String>> = match key {
            // Every request has a time, and comes over TLS or not.
            ConditionKey::CurrentTime | ConditionKey::SecureTransport => single.collect(),
            _ => [Vec::new()].into_iter().chain(single).chain(another(&key)).collect(),
        };
        if key.is_multivalued() {
            // With several values: all that are mentioned, and each and all with another one.
            let all: Vec<String> = mentioned.into_iter().collect();
            let alone = all.iter().map(std::slice::from_ref).chain([all.as_slice()]);
            let with_another = alone.flat_map(|some| another(&key).map(|another| [some, &another].concat()));
            values.extend(with_another.chain([all.clone()]).collect::<Vec<_>>());
        }
        let mut once = BTreeSet::new();
        values.retain(|values| once.insert(values.clone()));
        choices.push((key, values));
    }
    choices
}

/// A value that no policy is likely to mention.
fn another(key: &ConditionKey) -> Option<Vec<String>> {
    use crate::policy::ValueType;
    let text = match (key, key.value_type()) {
        (ConditionKey::RecipientAttestationPcr(_), _) => "5".repeat(96),
        (ConditionKey::RequestAlias | ConditionKey::ResourceAliases, _) => "alias/not-mentioned".to_owned(),
        (_, ValueType::String) => "not mentioned".to_owned(),
        (_, ValueType::IpAddress) => "192.0.2.233".to_owned(),
        (_, ValueType::Arn | ValueType::Bool | ValueType::Numeric | ValueType::Date) => return None,
    };
    Some(vec![text])
}

fn facts(question: &RequestFacts, choices: &[Choices], picks: &[usize]) -> Result<RequestFacts, FactError> {
    let mut facts = question.clone();
    if let Some(account) = question.caller.account() {
        account.clone_into(&mut facts.resource_account);
    }
    let mut pairs: BTreeMap<String, String> = BTreeMap::new();
    for ((key, values), pick) in choices.iter().zip(picks) {
        let values = values.get(*pick).map(Vec::as_slice).unwrap_or_default();
        match (key, values) {
            (ConditionKey::EncryptionContext(name), [value, ..]) => {
                pairs.insert(name.to_string(), value.clone());
            }
            (ConditionKey::EncryptionContext(_), []) => {}
            (ConditionKey::EncryptionContextKeys, names) => {
                for name in names {
                    pairs.entry(name.clone()).or_insert_with(|| "not mentioned".to_owned());
                }
            }
            (ConditionKey::CurrentTime, values) => {
                let time = values.first().and_then(|text| UnixTime::parse_rfc3339(text).ok());
                facts.now = time.unwrap_or(USUAL_TIME);
            }
            (key, values) => facts.set(key.clone(), values.iter().map(String::as_str))?,
        }
    }
    facts.encryption_context = crate::encryption_context::EncryptionContext::new(pairs).unwrap_or_default();
    Ok(facts)
}

fn outcome(policy: &KeyPolicy, facts: &RequestFacts) -> Outcome {
    let inquiry = facts.inquiry();
    let request = crate::policy::PolicyRequest {
        caller: inquiry.caller,
        action: inquiry.action,
        resource: inquiry.resource,
        context: inquiry.context,
    };
    match policy.evaluate(&request) {
        Verdict::Allowed { .. } => Outcome::Allowed,
        Verdict::LeftToIdentityPolicies { .. } => Outcome::LeftToIdentityPolicies,
        Verdict::NotAllowed { .. } => Outcome::NotAllowed,
        Verdict::ExplicitlyDenied { .. } | Verdict::EvaluationFailed { .. } => Outcome::Denied,
    }
}

/// A change but for who and what, by which changes are put together.
type Rule = (Outcome, Outcome, Vec<(String, Vec<String>)>, bool);

/// The actions of one caller under one rule, and one request.
type Told = (BTreeSet<&'static str>, Witness);

/// What was found, put together as far as it is the same.
#[derive(Default)]
struct Found {
    /// By rule, what it is about for each caller.
    rules: BTreeMap<Rule, BTreeMap<String, Told>>,
    is_bounded: bool,
    not_varied: BTreeSet<String>,
}

impl Found {
    fn add(&mut self, principal: &str, action: &'static str, cell: &Cell) {
        let rule = (cell.old, cell.new, cell.when.clone(), cell.is_exact);
        let callers = self.rules.entry(rule).or_default();
        let (actions, _) = callers.entry(principal.to_owned()).or_insert_with(|| {
            let values = cell.witness.clone();
            (BTreeSet::new(), Witness { principal: principal.to_owned(), action, values })
        });
        actions.insert(action);
    }

    fn into_difference(self) -> PolicyDifference {
        let mut changes = Vec::new();
        for ((old, new, when, is_exact), callers) in self.rules {
            // Callers of the same actions share a rule.
            let mut by_actions: BTreeMap<BTreeSet<&'static str>, Vec<(String, Witness)>> = BTreeMap::new();
            for (principal, (actions, witness)) in callers {
                by_actions.entry(actions).or_default().push((principal, witness));
            }
            for (actions, callers) in by_actions {
                let Some((_, witness)) = callers.first().cloned() else { continue };
                let principals = callers.into_iter().map(|(principal, _)| principal).collect();
                let when = when.clone();
                changes.push(RuleChange { old, new, principals, actions, when, is_exact, witness });
            }
        }
        PolicyDifference { changes, is_bounded: self.is_bounded, not_varied: self.not_varied }
    }
}
