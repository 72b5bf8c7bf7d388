//! The list of keys.

use std::sync::Arc;

use hyper::StatusCode;
use maud::{Markup, html};

use super::page::Section;
use super::parts::{badge, count, moment, nothing};
use super::{Failure, Visit};
use crate::keys::{KeyId, KeyState};
use crate::server::Response;
use crate::store::{KeyEntry, StoreError};

/// Keys on one page.
const PAGE: u32 = 100;

impl Visit<'_> {
    /// A page of the list, behind the key `after`.
    pub(super) async fn keys_page(&self) -> Result<Response, Failure> {
        let after: Option<KeyId> = self.request.query.get("after").parse().ok();
        let mut keys = self.console.store.list_keys(after, PAGE + 1).await?;
        let has_more = keys.len() > PAGE as usize;
        keys.truncate(PAGE as usize);
        let mut rows = Vec::with_capacity(keys.len());
        for entry in &keys {
            rows.push(self.key_row(entry).await?);
        }
        let content = html! {
            h1 { "Keys" }
            p.lead { (count(keys.len() as u64, "key")) @if after.is_some() || has_more { " on this page" } ", in order of their ids." }
            @if keys.is_empty() {
                (nothing("There is no key. `nitro-key-broker key create` makes one."))
            } @else {
                div.table-frame tabindex="0" role="group" aria-label="Keys" {
                    table {
                        caption.hidden { "Keys" }
                        thead { tr {
                            th scope="col" { "Key" }
                            th scope="col" { "State" }
                            th scope="col" { "Policy" }
                            th scope="col" { "Spec and usage" }
                            th scope="col" { "Created" }
                            th scope="col" { "Last used" }
                        } }
                        tbody { @for row in &rows { (row) } }
                    }
                }
            }
            nav.pages aria-label="Pages" {
                @if after.is_some() { a href="/keys" { "First page" } }
                @if let (true, Some(last)) = (has_more, keys.last()) {
                    a rel="next" href={ "/keys?after=" (last.key.id) } { "Next page" }
                }
            }
        };
        Ok(self.page(StatusCode::OK, Section::Keys, "Keys", &content))
    }

    async fn key_row(&self, entry: &Arc<KeyEntry>) -> Result<Markup, StoreError> {
        let key = &entry.key;
        let usage = self.console.store.last_usage(key.id).await?;
        Ok(html! {
            tr {
                th scope="row" {
                    a href={ "/keys/" (key.id) } { (name(entry)) }
                    @if !entry.aliases.is_empty() { div { code.muted.small { (key.id) } } }
                    @if !key.description.is_empty() { div.muted.small.clip { (key.description) } }
                }
                td { (state(key.state_at(self.now))) }
                td { (self.findings_of(&key.policy).summary()) }
                td { (key.spec.name()) br; span.muted.small { (key.usage.name()) } }
                td { (moment(key.created_at, self.now)) }
                td {
                    @match usage {
                        Some(usage) => { (moment(usage.time, self.now)) " " span.muted.small { (usage.operation) } }
                        None => { span.muted { "never" } }
                    }
                }
            }
        })
    }
}

/// The key's first alias, or its id.
pub(super) fn name(entry: &KeyEntry) -> String {
    entry.aliases.first().cloned().unwrap_or_else(|| entry.key.id.to_string())
}

/// A sign and KMS's word.
pub(super) fn state(state: KeyState) -> Markup {
    let (sign, class) = match state {
        KeyState::Enabled => ("✓", "allowed"),
        KeyState::Disabled => ("○", "malformed"),
        KeyState::PendingDeletion => ("✕", "denied"),
        KeyState::PendingImport => ("…", "malformed"),
    };
    badge(class, sign, state.name())
}
