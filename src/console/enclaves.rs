//! The enclave images that evidence was verified of.

use hyper::StatusCode;
use maud::{Markup, html};

use super::ledger::{Image, Sums};
use super::names::KeyNames;
use super::overview::query;
use super::page::Section;
use super::parts::{badge, count, digest, grouped, moment, nothing, outcome, whole_digest};
use super::{Failure, Visit};
use crate::server::Response;

/// Keys and module ids shown of an image at most.
const SHOWN: usize = 8;

impl Visit<'_> {
    /// Every image, the one seen last first.
    pub(super) async fn enclaves_page(&self) -> Result<Response, Failure> {
        let names = self.key_names().await?;
        let content = self.console.ledger.look(|sums| self.enclaves(sums, &names));
        Ok(self.page(StatusCode::OK, Section::Enclaves, "Enclaves", &content))
    }

    fn enclaves(&self, sums: &Sums, names: &KeyNames) -> Markup {
        let images = sums.images();
        html! {
            h1 { "Enclaves" }
            p.lead {
                (count(images.len() as u64, "image")) " whose evidence was verified, by the measurement of the whole image (PCR0)."
                @if !sums.is_complete { " The log is still being read." }
            }
            @if images.is_empty() { (nothing("No enclave has shown evidence yet.")) }
            @for (number, (pcr0, image)) in images.into_iter().enumerate() { (self.image(number, pcr0, image, names)) }
        }
    }

    fn image(&self, number: usize, pcr0: &str, image: &Image, names: &KeyNames) -> Markup {
        let is_debug = !pcr0.is_empty() && pcr0.bytes().all(|digit| digit == b'0');
        let id = format!("image-{number}");
        html! {
            section.panel aria-labelledby=(id) {
                h2 id=(id) { "Image " (digest(pcr0)) @if is_debug { " " (badge("denied", "!", "debug mode")) } }
                dl.facts {
                    dt { "PCR0" } dd { (whole_digest(pcr0)) }
                    dt { "First seen" } dd { (moment(image.first_seen, self.now)) }
                    dt { "Last seen" } dd { (moment(image.last_seen, self.now)) }
                    dt { "Decisions" }
                    dd {
                        @for (kind, number) in image.outcomes.each() {
                            @if number > 0 { (outcome(kind)) " " (grouped(number)) " " }
                        }
                        a href={ "/audit?" (query("pcr0", pcr0)) } { "in the log" }
                    }
                    dt { "Keys used" }
                    dd {
                        @let used = || image.keys.iter().filter(|(_, allowed)| **allowed > 0);
                        @if used().next().is_none() { span.muted { "none" } }
                        @for (arn, allowed) in used().take(SHOWN) { div { (names.link(arn)) " " span.muted { (grouped(*allowed)) "×" } } }
                        (more(used().count()))
                    }
                    dt { "Modules" }
                    dd {
                        @for module in image.module_ids.iter().take(SHOWN) {
                            div { a href={ "/audit?" (query("module", module)) } { code { (module) } } }
                        }
                        (more(image.module_ids.len()))
                    }
                    @if self.is_under_development_root(image) {
                        dt { "Root" } dd { (badge("malformed", "!", "not that of AWS")) }
                    }
                }
                @if image.pcrs.len() > 1 {
                    details {
                        summary { "Other registers, as last seen" }
                        dl.facts {
                            @for (index, value) in image.pcrs.iter().filter(|(index, _)| **index > 0) {
                                dt { "PCR" (index) } dd { (whole_digest(value)) }
                            }
                        }
                    }
                }
                @if image.has_more { p.muted.small { "This image has more keys or modules than are remembered." } }
            }
        }
    }

    fn is_under_development_root(&self, image: &Image) -> bool {
        let mut aws = self.console.trust_anchors.iter().filter(|anchor| anchor.configured_path().is_none());
        let Some(aws) = aws.next() else { return true };
        image.trust_anchors.iter().any(|root| *root != hex::encode(aws.sha256()))
    }
}

fn more(number: usize) -> Markup {
    html! { @if number > SHOWN { div.muted.small { "and " (number - SHOWN) " more" } } }
}
