//! The overview: how much was decided, why not, for whom.

use std::time::Duration;

use hyper::StatusCode;
use maud::{Markup, html};

use super::chart::{chart, table};
use super::ledger::{Bucket, Names, Sums};
use super::page::Section;
use super::parts::{absolute, count, grouped, nothing, outcome};
use super::response::{self, Version};
use super::{Failure, Visit};
use crate::audit::Outcome;
use crate::server::Response;

/// Lines of each list.
const TOP: usize = 8;
const HOUR: u64 = 60 * 60;

/// How far back the overview looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Range {
    Hour,
    Day,
    Week,
    Month,
}

impl Range {
    const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    /// Its name in the URL.
    const fn name(self) -> &'static str {
        match self {
            Range::Hour => "1h",
            Range::Day => "24h",
            Range::Week => "7d",
            Range::Month => "30d",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Range::Hour => "the last hour",
            Range::Day => "the last 24 hours",
            Range::Week => "the last 7 days",
            Range::Month => "the last 30 days",
        }
    }

    /// The length of a bar, and how many there are.
    const fn bars(self) -> (Duration, u64) {
        match self {
            Range::Hour => (Duration::from_secs(60), 60),
            Range::Day => (Duration::from_secs(HOUR / 2), 48),
            Range::Week => (Duration::from_secs(3 * HOUR), 56),
            Range::Month => (Duration::from_secs(12 * HOUR), 60),
        }
    }

    fn named(name: &str) -> Self {
        Self::ALL.into_iter().find(|range| range.name() == name).unwrap_or(Self::Day)
    }
}

impl Visit<'_> {
    /// The whole page, or the part of it that changes.
    pub(super) fn overview_page(&self, is_live: bool) -> Result<Response, Failure> {
        let range = Range::named(self.request.query.get("range"));
        let version = self.version(range.name());
        if let Some(unchanged) = response::unchanged(&self.request.headers, &version).filter(|_| is_live) {
            return Ok(unchanged);
        }
        let part = self.console.ledger.look(|sums| self.overview(sums, range));
        if is_live {
            return Ok(response::fragment(&version, part));
        }
        let content = html! {
            div.heading {
                h1 { "Overview" }
                div.row {
                div data-live-control {}
                nav.ranges aria-label="Range" {
                    ul {
                        @for one in Range::ALL {
                            li { a href={ "/?range=" (one.name()) } aria-current=[(one == range).then_some("true")] { (one.name()) } }
                        }
                    }
                }
                }
            }
            (super::page::live(&format!("/live?range={}", range.name()), &part))
        };
        Ok(self.page(StatusCode::OK, Section::Overview, "Overview", &content))
    }

    /// Of what is made from the log, the question and the minute.
    pub(super) fn version(&self, question: &str) -> Version {
        let state = self.console.ledger.look(|sums| {
            format!(
                "{} {} {} {:?} {:?}",
                sums.records, sums.unreadable, sums.is_complete, sums.problem, sums.integrity
            )
        });
        let minute = self.now.as_secs() / 60;
        Version::of(&[state.as_bytes(), b"\n", question.as_bytes(), b"\n", &minute.to_be_bytes()])
    }

    fn overview(&self, sums: &Sums, range: Range) -> Markup {
        let (span, bars) = range.bars();
        let spans = sums.spans(self.now, span, bars);
        let mut whole = Bucket::default();
        spans.iter().for_each(|(_, bucket)| whole.add_all(bucket));
        let outcomes = whole.outcomes;
        let refused = outcomes.total() - outcomes.allowed;
        let first = spans.first().map(|(start, _)| *start);
        let images = sums
            .images()
            .iter()
            .filter(|(_, image)| first.is_some_and(|first| image.last_seen >= first))
            .count();
        html! {
            div data-count=(sums.records) {
                (self.log_state(sums))
                dl.tiles {
                    div { dt { "Decisions" } dd { (grouped(outcomes.total())) } }
                    div { dt { "Allowed" } dd { (grouped(outcomes.allowed)) } }
                    div { dt { "Not allowed" } dd { (grouped(refused)) @if let Some(share) = share(refused, outcomes.total()) { " " span.muted.small { (share) } } } }
                    div { dt { "Enclave images" } dd { a href="/enclaves" { (grouped(images as u64)) } } }
                }
                section.panel aria-labelledby="decisions" {
                    h2 #decisions { "Decisions in " (range.words()) }
                    (chart(&format!("Decisions in {}", range.words()), span, &spans))
                    (table(&spans))
                }
                div.columns {
                    section.panel aria-labelledby="reasons" {
                        h2 #reasons { "Why not" }
                        (reasons(&whole.reasons, refused))
                    }
                    section.panel aria-labelledby="principals" {
                        h2 #principals { "Who asked" }
                        (self.principals(&whole))
                    }
                }
            }
        }
    }

    /// Where the numbers come from.
    fn log_state(&self, sums: &Sums) -> Markup {
        html! {
            @if sums.integrity.is_alarming() {
                p.problem role="alert" { "The audit log is not as the broker wrote it. " (sums.integrity.show()) }
            }
            @if let Some(problem) = &sums.problem {
                p.problem role="alert" { "The audit log cannot be read: " (problem) }
            }
            p.lead {
                (count(sums.records, "record"))
                @if let Some(since) = sums.since { " since " (absolute(since)) }
                @if !sums.is_complete { ", and the log is still being read" }
                @if sums.unreadable > 0 { ", and " (count(sums.unreadable, "line")) " that are no record" }
                ". "
                @if !sums.integrity.is_alarming() { (sums.integrity.show()) }
            }
        }
    }

    fn principals(&self, bucket: &Bucket) -> Markup {
        if bucket.principals.is_empty() {
            return nothing("Nobody asked.");
        }
        let mut sorted: Vec<_> = bucket.principals.iter().collect();
        sorted.sort_by(|(a, x), (b, y)| y.total().cmp(&x.total()).then(a.cmp(b)));
        html! {
            table {
                caption.hidden { "Principals, the most frequent first" }
                thead { tr {
                    th scope="col" { "Principal" }
                    th.number scope="col" { (outcome(Outcome::Allowed)) }
                    th.number scope="col" { (outcome(Outcome::Denied)) }
                    th.number scope="col" { "other" }
                } }
                tbody {
                    @for (principal, outcomes) in sorted.iter().take(TOP) {
                        tr {
                            th scope="row" { a.break href={ "/audit?" (query("principal", principal)) } { (self.principal(principal)) } }
                            td.number { (grouped(outcomes.allowed)) }
                            td.number { (grouped(outcomes.denied)) }
                            td.number { (grouped(outcomes.malformed + outcomes.failed)) }
                        }
                    }
                }
            }
        }
    }
}

fn reasons(reasons: &Names, refused: u64) -> Markup {
    if reasons.is_empty() {
        return nothing("Nothing was refused.");
    }
    let mut sorted: Vec<_> = reasons.iter().collect();
    sorted.sort_by(|(a, x), (b, y)| y.cmp(x).then(a.cmp(b)));
    html! {
        table {
            caption.hidden { "Reasons, the most frequent first" }
            thead { tr { th scope="col" { "Reason" } th.number scope="col" { "Requests" } th.number scope="col" { "Share" } } }
            tbody {
                @for (reason, count) in sorted.iter().take(TOP) {
                    tr {
                        th scope="row" { a href={ "/audit?" (query("reason", reason)) } { (reason) } }
                        td.number { (grouped(**count)) }
                        td.number { (share(**count, refused).unwrap_or_default()) }
                    }
                }
            }
        }
    }
}

/// One parameter of a URL.
pub(super) fn query(name: &str, value: &str) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish()
}

fn share(part: u64, whole: u64) -> Option<String> {
    let tenths = part.saturating_mul(1000).checked_div(whole)?;
    Some(format!("{}.{} %", tenths / 10, tenths % 10))
}
