//! One record of the audit log, whole.

use hyper::StatusCode;
use maud::{Markup, html};

use super::audit::{file_name, find, why};
use super::names::KeyNames;
use super::page::Section;
use super::parts::{moment, outcome, whole_digest};
use super::{Failure, Visit};
use crate::audit::reader::Place;
use crate::audit::record::AuditRecord;
use crate::server::Response;

impl Visit<'_> {
    /// The page of the record with this id.
    pub(super) async fn record_page(&self, event_id: &str) -> Result<Response, Failure> {
        let (path, id) = (self.console.audit_log.clone(), event_id.to_owned());
        let found =
            tokio::task::spawn_blocking(move || find(&path, &id)).await.map_err(|_| Failure::Stopped)??;
        let Some((place, record)) = found else {
            return Ok(self.not_found("There is no record with this id."));
        };
        let title = format!("{} at {}", record.operation, record.time);
        let content = self.record(&place, &record, &self.key_names().await?);
        Ok(self.page(StatusCode::OK, Section::Audit, &title, &content))
    }

    fn record(&self, place: &Place, record: &AuditRecord, names: &KeyNames) -> Markup {
        let json = serde_json::to_string_pretty(record.value()).unwrap_or_default();
        html! {
            h1 { (record.operation) }
            p.lead { (outcome(record.outcome)) " " (why(record)) }
            section.panel aria-labelledby="facts" {
                h2 #facts { "Decision" }
                dl.facts {
                    dt { "Time" } dd { (moment(record.time, self.now)) }
                    dt { "Principal" } dd { (record.identity.as_str()) }
                    @if let Some(id) = &record.access_key_id { dt { "Access key" } dd { code { (id) } } }
                    dt { "Source" } dd { (record.source) }
                    @if let Some(agent) = &record.user_agent { dt { "User agent" } dd { (agent) } }
                    @if !record.keys.is_empty() { dt { "Keys" } dd { @for key in &record.keys { div { (names.link(key)) } } } }
                    @if let Some(code) = &record.error_code {
                        dt { "Error" } dd { code { (code) } @if let Some(message) = &record.error_message { " " (message) } }
                    }
                    @let context: Vec<_> = record.encryption_context().collect();
                    @if !context.is_empty() {
                        dt { "Encryption context" } dd { @for (name, value) in context { div { code { (name) "=" (value) } } } }
                    }
                    @let reasons: Vec<_> = record.reasons().collect();
                    @if !reasons.is_empty() { dt { "Because" } dd { ul.plain { @for reason in reasons { li { (reason) } } } } }
                    @if !record.configured_trust_anchors.is_empty() {
                        dt { "Development" } dd { "evidence was accepted under " (record.configured_trust_anchors.join(", ")) }
                    }
                }
            }
            @if let Some(recipient) = &record.recipient {
                section.panel aria-labelledby="enclave" {
                    h2 #enclave { "Enclave" }
                    dl.facts {
                        dt { "Module" } dd { code { (recipient.module_id) } }
                        dt { "Document of" } dd { (moment(recipient.timestamp, self.now)) }
                        @for (index, value) in &recipient.pcrs { dt { "PCR" (index) } dd { (whole_digest(value)) } }
                        dt { "Root" } dd { (whole_digest(&recipient.trust_anchor_sha256)) }
                    }
                }
            }
            section.panel aria-labelledby="whole" {
                h2 #whole { "The whole record" }
                p.muted.small {
                    "At byte " (place.offset) " of " code { (file_name(&place.file)) }
                    @if let Some(sequence) = record.sequence { ", number " (sequence) " of the chain" }
                }
                pre tabindex="0" aria-label="Record as JSON" { code { (json) } }
            }
        }
    }
}
