//! One key: what it is, who may use it, and what its policy says.

use hyper::StatusCode;
use maud::{Markup, html};

use super::keys::{name, state};
use super::page::Section;
use super::parts::{count, digest, moment, nothing};
use super::{Failure, Visit};
use crate::keys::{Key, KeyId, KeyIdentifier, WrappedKeyMaterial};
use crate::policy::{Grant, GrantConstraint};
use crate::server::Response;
use crate::store::KeyEntry;

/// Grants that are shown of a key at most.
const MAX_GRANTS: u32 = 200;

impl Visit<'_> {
    /// The page of the key with this id.
    pub(super) async fn key_page(&self, id: &str) -> Result<Response, Failure> {
        let store = &self.console.store;
        let found = match id.parse::<KeyId>() {
            Ok(id) => store.find_key(&KeyIdentifier::Key(id)).await?,
            Err(_) => None,
        };
        let Some(entry) = found else { return Ok(self.not_found("There is no key with this id.")) };
        let key = &entry.key;
        let grants = store.list_grants(key.id, None, None, MAX_GRANTS + 1).await?;
        let usage = store.last_usage(key.id).await?;
        let policy = self.findings_of(&key.policy);
        let title = name(&entry);
        let content = html! {
            h1 { "Key " (title) }
            p.lead { (state(key.state_at(self.now))) " " (key.spec.name()) ", " (key.usage.name()) }
            section.panel aria-labelledby="about" {
                h2 #about { "About" }
                dl.facts {
                    dt { "ARN" } dd { code { (key.arn) } }
                    dt { "Aliases" }
                    dd { @if entry.aliases.is_empty() { span.muted { "none" } } @for alias in &entry.aliases { code { (alias) } " " } }
                    @if !key.description.is_empty() { dt { "Description" } dd { (key.description) } }
                    dt { "Created" } dd { (moment(key.created_at, self.now)) }
                    @if let Some(at) = key.deletion_at { dt { "Deletion" } dd { (moment(at, self.now)) } }
                    dt { "Last used" }
                    dd {
                        @match &usage {
                            Some(usage) => {
                                (moment(usage.time, self.now)) ", " a href={ "/audit/" (usage.event_id) } { (usage.operation) }
                            }
                            None => { span.muted { "never" } }
                        }
                    }
                    dt { "Origin" } dd { (key.origin.name()) }
                    dt { "Rotation" } dd { (self.rotation(key)) }
                    dt { "Tags" } dd { (tags(&entry)) }
                }
                p.row {
                    a href={ "/audit?key=" (key.id) } { "Decisions about this key" }
                    a href={ "/keys/" (key.id) "/access" } { "Who can use this key" }
                    a href={ "/inspector?key=" (key.id) } { "Simulate a decision" }
                }
            }
            section.panel aria-labelledby="policy" {
                h2 #policy { "Policy " (policy.summary()) }
                (policy.listing())
            }
            section.panel aria-labelledby="grants" {
                h2 #grants { "Grants" }
                (self.grants(&grants))
            }
            section.panel aria-labelledby="material" {
                h2 #material { "Key material" }
                (self.materials(key))
            }
        };
        Ok(self.page(StatusCode::OK, Section::Keys, &format!("Key {title}"), &content))
    }

    fn rotation(&self, key: &Key) -> Markup {
        html! {
            @match key.rotation {
                Some(rotation) => { "every " (count(rotation.period_days.into(), "day")) ", next " (moment(rotation.next_at, self.now)) }
                None => { span.muted { "not by itself" } }
            }
        }
    }

    fn grants(&self, grants: &[Grant]) -> Markup {
        let (shown, more) = match grants.split_at_checked(MAX_GRANTS as usize) {
            Some((shown, rest)) => (shown, !rest.is_empty()),
            None => (grants, false),
        };
        if shown.is_empty() {
            return nothing("No grant lends this key.");
        }
        html! {
            div.table-frame tabindex="0" role="group" aria-label="Grants" {
                table {
                    caption.hidden { "Grants" }
                    thead { tr {
                        th scope="col" { "Grant" }
                        th scope="col" { "Grantee" }
                        th scope="col" { "Operations" }
                        th scope="col" { "Constraint" }
                        th scope="col" { "Made" }
                    } }
                    tbody {
                        @for grant in shown {
                            tr {
                                th scope="row" {
                                    (digest(&grant.id.to_string()))
                                    @if let Some(name) = &grant.name { div.muted.small { (name) } }
                                }
                                td { code { (grant.terms.grantee) } }
                                td { (grant.terms.operations.names().collect::<Vec<_>>().join(", ")) }
                                td { (constraint(grant.terms.constraint.as_ref())) }
                                td { (moment(grant.created_at, self.now)) }
                            }
                        }
                    }
                }
            }
            @if more { p.muted { "There are more; these are the first " (MAX_GRANTS) "." } }
        }
    }

    fn materials(&self, key: &Key) -> Markup {
        let current = key.current_material().map(WrappedKeyMaterial::id);
        if key.materials.is_empty() {
            return nothing("The material is still to be imported.");
        }
        html! {
            div.table-frame tabindex="0" role="group" aria-label="Versions of the key material" {
                table {
                    caption.hidden { "Versions of the key material, the newest first" }
                    thead { tr {
                        th scope="col" { "Material id" }
                        th scope="col" { "Status" }
                        th scope="col" { "Became current" }
                    } }
                    tbody {
                        @for material in key.materials.iter().rev() {
                            tr {
                                th scope="row" { (digest(&material.id().to_string())) }
                                td {
                                    @if current == Some(material.id()) { "current" }
                                    @else if material.is_pending_rotation() { "awaits its rotation" }
                                    @else { "decrypts only" }
                                    @if !material.is_there(self.now) { ", not there" }
                                }
                                td {
                                    @match material.rotation() {
                                        Some(rotation) => { (moment(rotation.date, self.now)) ", " (rotation.kind.name()) }
                                        None => { "with the key" }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn constraint(constraint: Option<&GrantConstraint>) -> Markup {
    let (name, context) = match constraint {
        None => return html! { span.muted { "none" } },
        Some(constraint @ GrantConstraint::EncryptionContextEquals(context)) => (constraint.name(), context),
        Some(constraint @ GrantConstraint::EncryptionContextSubset(context)) => (constraint.name(), context),
    };
    html! {
        (name)
        @for (key, value) in context.iter() { div.small { code { (key) "=" (value) } } }
    }
}

fn tags(entry: &KeyEntry) -> Markup {
    html! {
        @if entry.tags.is_empty() { span.muted { "none" } }
        @for (key, value) in &entry.tags { code { (key) "=" (value) } " " }
    }
}
