//! The policy simulator: what would be decided about a request that nobody sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use maud::{Markup, html};

use super::keys::name;
use super::parts::badge;
use super::request::Parameters;
use super::{Failure, Visit};
use crate::attestation::UnverifiedDocument;
use crate::encryption_context::EncryptionContext;
use crate::keys::{KeyId, KeyIdentifier};
use crate::policy::{
    Applies, Caller, ConditionKey, Effect, ElementTrace, Explanation, FactError, Policies, PrincipalArn,
    RequestFacts, StatementTrace, actions, explain_access,
};
use crate::store::{KeyEntry, StoreError};
use crate::time::UnixTime;

/// Keys to choose from at most; any other is named by its id.
const MAX_CHOICES: u32 = 200;
/// What the form starts with.
const USUAL_OPERATION: &str = "GenerateDataKey";

/// What the form says of a request, as it was typed.
pub(super) struct Described<'f> {
    pub key: &'f str,
    pub operation: &'f str,
    pub principal: &'f str,
    pub context: &'f str,
}

/// What cannot be simulated, in words for whoever typed it.
pub(super) type Problem = String;

impl<'f> Described<'f> {
    /// Nothing yet.
    pub(super) const NOTHING: Self = Self { key: "", operation: USUAL_OPERATION, principal: "", context: "" };

    pub(super) fn read(form: &'f Parameters) -> Self {
        Self {
            key: form.get("key").trim(),
            operation: form.filled("operation").unwrap_or(USUAL_OPERATION),
            principal: form.get("principal").trim(),
            context: form.get("context").trim(),
        }
    }
}

impl Visit<'_> {
    /// The part of the form that describes a request.
    pub(super) async fn simulator_fields(&self, described: &Described<'_>) -> Result<Markup, StoreError> {
        let Described { key, operation, principal, context } = described;
        let keys = self.console.store.list_keys(None, MAX_CHOICES).await?;
        let is_listed = keys.iter().any(|entry| entry.key.id.to_string() == *key);
        Ok(html! {
            fieldset {
                legend { "Policy simulator" }
                p.muted.small { "Choose a key to see what its policy, the principal's and the grants would decide." }
                div.fields {
                    div.field {
                        label for="key" { "Key" }
                        select #key name="key" {
                            option value="" { "none: inspect the document only" }
                            @for entry in &keys {
                                @let id = entry.key.id.to_string();
                                option value=(id) selected[id == *key] { (name(entry)) }
                            }
                            @if !key.is_empty() && !is_listed { option value=(key) selected { (key) } }
                        }
                    }
                    div.field {
                        label for="operation" { "Operation" }
                        select #operation name="operation" {
                            @for action in actions().filter_map(|action| action.strip_prefix("kms:")) {
                                option value=(action) selected[action == *operation] { (action) }
                            }
                        }
                    }
                    div.field {
                        label for="principal" { "Principal" }
                        input #principal name="principal" type="text" value=(principal) autocomplete="off" spellcheck="false"
                            placeholder="anonymous, or an ARN";
                    }
                    div.field {
                        label for="context" { "Encryption context, name=value lines" }
                        textarea #context name="context" rows="2" spellcheck="false" autocomplete="off" { (context) }
                    }
                }
            }
        })
    }

    /// What would be decided at `at` about the request, with what the document claims as if it were proven.
    pub(super) async fn simulate(
        &self,
        described: &Described<'_>,
        document: Option<&UnverifiedDocument<'_>>,
        at: UnixTime,
    ) -> Result<Result<Markup, Problem>, Failure> {
        let store = &self.console.store;
        let entry = match described.key.parse::<KeyId>() {
            Ok(id) => store.find_key(&KeyIdentifier::Key(id)).await?,
            Err(_) => None,
        };
        let Some(entry) = entry else { return Ok(Err("There is no key with this id.".to_owned())) };
        let facts = match self.facts(described, &entry, document, at) {
            Ok(facts) => facts,
            Err(problem) => return Ok(Err(problem)),
        };
        let caller = facts.caller.arn();
        let identity = match caller.and_then(PrincipalArn::policy_holder) {
            Some(holder) => store.identity_policies(holder).await?,
            None => Arc::default(),
        };
        let grants = match caller {
            Some(caller) => store.grants_to(entry.key.id, caller).await?,
            None => Arc::default(),
        };
        let policies = Policies { key: &entry.key.policy, identity: &identity, grants: &grants };
        let explanation = explain_access(&policies, &facts.inquiry());
        Ok(Ok(decision(&explanation, &entry, &facts)))
    }

    fn facts(
        &self,
        described: &Described<'_>,
        entry: &KeyEntry,
        document: Option<&UnverifiedDocument<'_>>,
        at: UnixTime,
    ) -> Result<RequestFacts, Problem> {
        let caller = match described.principal {
            "" | "anonymous" => Caller::Anonymous,
            arn => Caller::Principal { arn: PrincipalArn::parse(arn).map_err(|error| error.to_string())? },
        };
        let action = format!("kms:{}", described.operation);
        let mut facts = RequestFacts::new(caller, &action, entry.key.arn.as_str(), at)
            .map_err(|error| error.to_string())?;
        facts.encryption_context = read_context(described.context)?;
        self.set_values(&mut facts, entry, document).map_err(|error| error.to_string())?;
        Ok(facts)
    }

    /// What follows from the key and the document.
    pub(super) fn set_values(
        &self,
        facts: &mut RequestFacts,
        entry: &KeyEntry,
        document: Option<&UnverifiedDocument<'_>>,
    ) -> Result<(), FactError> {
        let key = &entry.key;
        facts.set(ConditionKey::RequestedRegion, [self.console.realm.region()])?;
        facts.set(ConditionKey::SecureTransport, ["true"])?;
        facts.set(ConditionKey::KeySpec, [key.spec.name()])?;
        facts.set(ConditionKey::KeyUsage, [key.usage.name()])?;
        facts.set(ConditionKey::KeyOrigin, [key.origin.name()])?;
        facts.set(ConditionKey::ResourceAliases, entry.aliases.iter().map(String::as_str))?;
        for (tag, value) in &entry.tags {
            facts.set(ConditionKey::ResourceTag(tag.as_str().into()), [value.as_str()])?;
        }
        for (index, pcr) in document.into_iter().flat_map(|document| document.pcrs().iter()) {
            facts.set_pcr(index, &pcr.to_hex())?;
        }
        Ok(())
    }
}

/// Lines of `name=value`.
fn read_context(text: &str) -> Result<EncryptionContext, Problem> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let pairs: Result<BTreeMap<_, _>, Problem> = lines
        .map(|line| {
            let (name, value) = line.split_once('=').ok_or_else(|| format!("{line:?} is no name=value"))?;
            Ok((name.to_owned(), value.to_owned()))
        })
        .collect();
    EncryptionContext::new(pairs?).map_err(|error| error.to_string())
}

fn decision(explanation: &Explanation, entry: &KeyEntry, facts: &RequestFacts) -> Markup {
    let decided = &explanation.decision;
    html! {
        section.panel aria-labelledby="simulated" {
            h2 #simulated {
                "Simulated decision "
                @if decided.allowed { (badge("allowed", "✓", "allowed")) } @else { (badge("denied", "✕", "denied")) }
            }
            p { (decided.because) }
            p.muted.small {
                (facts.action()) " by " (facts.caller) " on " a href={ "/keys/" (entry.key.id) } { (name(entry)) }
                " at " (facts.now)
            }
            h3 { "Key policy" }
            @for statement in &explanation.key_policy { (statement_trace(statement)) }
            @for policy in &explanation.identity_policies {
                h3 { "Identity policy " (policy.name) }
                @for statement in &policy.statements { (statement_trace(statement)) }
            }
            @for grant in &explanation.grants {
                h3 { "Grant " code { (grant.grant) } }
                details.trace open[grant.applies] {
                    summary { @if grant.applies { (badge("allowed", "✓", "allows")) } @else { (badge("note", "–", "does not apply")) } }
                    (elements(&grant.members))
                }
            }
        }
    }
}

fn statement_trace(statement: &StatementTrace) -> Markup {
    let (class, sign, word) = match (statement.applies, statement.effect) {
        (Applies::Yes, Effect::Allow) => ("allowed", "✓", "allows"),
        (Applies::Yes | Applies::ToTheAccount, Effect::Deny) => ("denied", "✕", "denies"),
        (Applies::ToTheAccount, Effect::Allow) => ("malformed", "→", "leaves it to identity policies"),
        (Applies::No, _) => ("note", "–", "does not apply"),
        (Applies::Failed, _) => ("denied", "!", "cannot be asked, which denies"),
    };
    html! {
        details.trace open {
            summary { (statement.reference()) " " span.muted { "(" (format!("{:?}", statement.effect)) ")" } " " (badge(class, sign, word)) }
            (elements(&statement.elements))
        }
    }
}

fn elements(elements: &[ElementTrace]) -> Markup {
    html! {
        div.table-frame tabindex="0" role="group" aria-label="Elements" {
            table {
                caption.hidden { "Elements, in the order in which they are asked" }
                thead { tr {
                    th scope="col" { "Element" }
                    th scope="col" { "Matches" }
                    th scope="col" { "Expected" }
                    th scope="col" { "Found" }
                } }
                tbody {
                    @for element in elements {
                        tr {
                            th.break scope="row" { (element.element) }
                            td { @if element.matched { (badge("allowed", "✓", "yes")) } @else { (badge("denied", "✕", "no")) } }
                            td.break { (element.expected) }
                            td.break { (element.actual) @if let Some(note) = &element.note { div.muted.small { (note) } } }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_read_line_by_line() {
        let context = read_context(" a=1 \n\n b = x=y\r\n").unwrap();
        let pairs: Vec<_> = context.iter().collect();
        assert_eq!(pairs, [("a", "1"), ("b ", " x=y")]);
        assert_eq!(read_context("a"), Err("\"a\" is no name=value".to_owned()));
        assert!(read_context("").unwrap().is_empty());
    }
}
