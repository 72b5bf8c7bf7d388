//! Who can use a key, from which image, and by what.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use hyper::StatusCode;
use maud::{Markup, html};

use super::keys::name;
use super::page::Section;
use super::parts::{badge, digest, nothing};
use super::{Failure, Visit};
use crate::analysis::{Access, AccessRow, AllowedActions, KnownParties, access};
use crate::keys::{KeyId, KeyIdentifier};
use crate::policy::{AttachedPolicy, Caller, FactError, Grant, Policies, RequestFacts};
use crate::server::Response;
use crate::store::{KeyEntry, StoreError};

/// Grants and principals with credentials that are asked about at most, and images: each pair of principal and image is a
/// row, with every action asked. `policy who-can` asks about more.
const MAX_PRINCIPALS: u32 = 40;
const MAX_IMAGES: usize = 8;
/// Actions that are named in a row; the rest is counted.
const MAX_ACTIONS: usize = 12;

/// What may speak for a principal beside the key's policy.
type Own = (Arc<[AttachedPolicy]>, Arc<[Arc<Grant>]>);

impl Visit<'_> {
    /// The page of the key with this id.
    pub(super) async fn key_access_page(&self, id: &str) -> Result<Response, Failure> {
        let found = match id.parse::<KeyId>() {
            Ok(id) => self.console.store.find_key(&KeyIdentifier::Key(id)).await?,
            Err(_) => None,
        };
        let Some(entry) = found else { return Ok(self.not_found("There is no key with this id.")) };
        let parties = self.parties(&entry).await?;
        let own = self.own(&entry, parties.principals()).await?;
        let question = self.question(&entry).map_err(Failure::Facts)?;
        let asked = Arc::clone(&entry);
        // Some ten thousand judgements: not on a thread that others wait for.
        let asking = tokio::task::spawn_blocking(move || ask(&asked, &question, &parties, &own)).await;
        let access = asking.map_err(|_| Failure::Stopped)?.map_err(Failure::Facts)?;
        let title = format!("Who can use {}", name(&entry));
        let content = html! {
            h1 { (title) }
            p.lead {
                "Principals that the key's policy or a grant names, or that have credentials, from each image that was seen with the "
                "key or that its policy names."
            }
            p { a href={ "/keys/" (entry.key.id) } { "Back to the key" } }
            (self.table(&access))
            @if access.is_bounded { p.muted { "There are more principals or images than are asked about here; ask " code { "policy who-can" } "." } }
        };
        Ok(self.page(StatusCode::OK, Section::Keys, &title, &content))
    }

    async fn parties(&self, entry: &KeyEntry) -> Result<KnownParties, StoreError> {
        let (store, key) = (&self.console.store, &entry.key);
        let mut parties = KnownParties::default();
        parties.add_policy(&key.policy);
        for grant in store.list_grants(key.id, None, None, MAX_PRINCIPALS).await? {
            parties.add_principal(Caller::Principal { arn: grant.terms.grantee });
        }
        for arn in store.principals_with_credentials(MAX_PRINCIPALS).await? {
            parties.add_principal(Caller::Principal { arn });
        }
        self.console.ledger.look(|sums| {
            let with_key =
                sums.images().into_iter().filter(|(_, image)| image.keys.contains_key(key.arn.as_str()));
            for (pcr0, image) in with_key.take(MAX_IMAGES) {
                parties.add_image(pcr0.clone(), image.pcrs.clone());
            }
        });
        Ok(parties)
    }

    async fn own(&self, entry: &KeyEntry, principals: &[Caller]) -> Result<HashMap<String, Own>, StoreError> {
        let store = &self.console.store;
        let mut own = HashMap::new();
        for arn in principals.iter().filter_map(Caller::arn) {
            let identity = match arn.policy_holder() {
                Some(holder) => store.identity_policies(holder).await?,
                None => Arc::default(),
            };
            let grants = store.grants_to(entry.key.id, arn).await?;
            own.insert(arn.to_string(), (identity, grants));
        }
        Ok(own)
    }

    fn question(&self, entry: &KeyEntry) -> Result<RequestFacts, FactError> {
        let mut question =
            RequestFacts::new(Caller::Anonymous, "kms:Decrypt", entry.key.arn.as_str(), self.now)?;
        self.set_values(&mut question, entry, None)?;
        Ok(question)
    }

    fn table(&self, access: &Access) -> Markup {
        let may = |row: &&AccessRow| !row.allowed.is_empty() || !row.conditional.is_empty();
        let (with_access, without): (Vec<_>, Vec<_>) = access.rows.iter().partition(may);
        html! {
            @if with_access.is_empty() {
                (nothing("Nobody who is known can use this key."))
            } @else {
                div.table-frame tabindex="0" role="group" aria-label="Who can use the key" {
                    table {
                        caption.hidden { "Principals and images, with what they may do and by what" }
                        thead { tr {
                            th scope="col" { "Principal" }
                            th scope="col" { "Image" }
                            th scope="col" { "May" }
                        } }
                        tbody {
                            @for row in with_access {
                                tr {
                                    th.break scope="row" { (self.principal(&row.principal)) }
                                    td {
                                        @match &row.image {
                                            Some(image) => { (digest(image)) }
                                            None => { span.muted { "without attestation" } }
                                        }
                                    }
                                    td {
                                        @for allowed in &row.allowed { (actions(allowed, "allowed", "✓", "allowed")) }
                                        @for allowed in &row.conditional { (actions(allowed, "malformed", "!", "on conditions")) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
            @let nothing: BTreeSet<&str> = without.iter().map(|row| row.principal.as_str()).collect();
            @if !nothing.is_empty() {
                p.muted {
                    "Nothing, from at least one image or without attestation: "
                    @for (index, principal) in nothing.iter().enumerate() { @if index > 0 { ", " } (self.principal(principal)) }
                    "."
                }
            }
        }
    }
}

fn ask(
    entry: &KeyEntry,
    question: &RequestFacts,
    parties: &KnownParties,
    own: &HashMap<String, Own>,
) -> Result<Access, FactError> {
    let nothing: Own = (Arc::default(), Arc::default());
    access(question, parties, |caller| {
        let (identity, grants) = own.get(&caller.to_string()).unwrap_or(&nothing);
        Policies { key: &entry.key.policy, identity, grants }
    })
}

fn actions(allowed: &AllowedActions, class: &str, sign: &str, word: &str) -> Markup {
    let AllowedActions { by, needs, actions } = allowed;
    let names: Vec<&str> =
        actions.iter().map(|action| action.strip_prefix("kms:").unwrap_or(action)).collect();
    let shown = names.get(..MAX_ACTIONS).unwrap_or(&names);
    html! {
        div.may {
            (badge(class, sign, word)) " " (shown.join(", "))
            @if names.len() > shown.len() { " and " (names.len() - shown.len()) " more" }
            div.muted.small { "by " (by) }
            @if !needs.is_empty() { ul.muted.small { @for need in needs { li { (need) } } } }
        }
    }
}
