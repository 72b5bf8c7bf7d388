//! The audit log, from its newest record on.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use hyper::StatusCode;
use maud::{Markup, html};

use super::filter::{UnreadableTime, read_filter};
use super::names::KeyNames;
use super::page::{Section, live};
use super::parts::{absolute, digest, nothing, outcome, relative};
use super::request::Parameters;
use super::{Failure, Visit, response};
use crate::audit::Outcome;
use crate::audit::filter::{RecordFilter, kind_of_refusal};
use crate::audit::reader::{Entry, Line, NewestFirst, Place, ReadError, segments};
use crate::audit::record::AuditRecord;
use crate::server::Response;

/// Records on one page.
const PAGE: usize = 50;
/// Records that one request looks at at most: about a second's work. Where they do not suffice, the page says so and goes
/// on from there.
const MAX_LOOKED_AT: usize = 50_000;

/// The fields of the filter, in the order of the form.
const FIELDS: [(&str, &str, &str); 8] = [
    ("from", "From", "2026-01-03 20:41"),
    ("to", "To", "2026-01-04"),
    ("operation", "Operation", "Decrypt"),
    ("key", "Key", "part of its ARN"),
    ("principal", "Principal", "part of its ARN"),
    ("module", "Module id", "i-…-enc…"),
    ("pcr0", "PCR0", "its first digits"),
    ("reason", "Reason", "part of it"),
];
const OUTCOMES: [Outcome; 4] = [Outcome::Allowed, Outcome::Denied, Outcome::Malformed, Outcome::Failed];

/// What was found.
struct Found {
    entries: Vec<Entry>,
    /// From where on there may be more.
    next: Option<Cursor>,
    /// Whether the search stopped because it had looked at too many.
    is_cut: bool,
}

/// Where the log was read to: the file, by what does not change when it is renamed, and the bytes before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    inode: u64,
    offset: u64,
}

impl Visit<'_> {
    /// The whole page, or the part of it that changes.
    pub(super) async fn audit_page(&self, is_live: bool) -> Result<Response, Failure> {
        let query = &self.request.query;
        let filter = match read_filter(query) {
            Ok(filter) => filter,
            Err(UnreadableTime(name)) => {
                let problem = format!("{name} is no time such as 2026-01-03 20:41 or 2026-01-03T20:41:07Z");
                let content = html! { h1 { "Audit log" } (form(query, Some(&problem))) };
                return Ok(self.page(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    Section::Audit,
                    "Audit log",
                    &content,
                ));
            }
        };
        let version = self.version(&parameters(query));
        if let Some(unchanged) = response::unchanged(&self.request.headers, &version).filter(|_| is_live) {
            return Ok(unchanged);
        }
        let cursor = Cursor::parse(query.get("at"));
        let found = self.search(filter.clone(), cursor).await?;
        let part = self.records(&found, &filter, &self.key_names().await?);
        if is_live {
            return Ok(response::fragment(&version, part));
        }
        let content = html! {
            div.heading { h1 { "Audit log" } div data-live-control {} }
            (form(query, None))
            // An older page does not change.
            @if cursor.is_some() { (part) } @else { (live(&format!("/live/audit?{}", parameters(query)), &part)) }
            nav.pages aria-label="Pages" {
                @if cursor.is_some() { a href={ "/audit?" (parameters(query)) } { "Newest" } }
                @if let Some(next) = found.next {
                    a rel="next" href={ "/audit?" (parameters(query)) "&at=" (next.inode) "." (next.offset) } {
                        @if found.is_cut { "Search further back" } @else { "Older" }
                    }
                }
            }
        };
        Ok(self.page(StatusCode::OK, Section::Audit, "Audit log", &content))
    }

    async fn search(&self, filter: RecordFilter, cursor: Option<Cursor>) -> Result<Found, Failure> {
        let path = self.console.audit_log.clone();
        let searched = tokio::task::spawn_blocking(move || search(&path, &filter, cursor)).await;
        Ok(searched.map_err(|_| Failure::Stopped)??)
    }

    fn records(&self, found: &Found, filter: &RecordFilter, names: &KeyNames) -> Markup {
        let (count, integrity) = self.console.ledger.look(|sums| (sums.records, sums.integrity.clone()));
        html! {
            div data-count=(count) {
                p class=(if integrity.is_alarming() { "problem" } else { "lead" }) { (integrity.show()) }
                @if found.entries.is_empty() {
                    (nothing(if filter.is_empty() { "There is no record." } else { "No record is asked for by this filter." }))
                } @else {
                    div.table-frame tabindex="0" role="group" aria-label="Records" {
                        table.records {
                            caption.hidden { "Records, the newest first" }
                            thead { tr {
                                th scope="col" { "Time" }
                                th scope="col" { "Decision" }
                                th scope="col" { "Operation" }
                                th scope="col" { "Principal" }
                                th scope="col" { "Key" }
                                th scope="col" { "Image" }
                                th scope="col" { "Reason" }
                            } }
                            tbody { @for entry in &found.entries { (self.entry_row(entry, names)) } }
                        }
                    }
                }
                @if found.is_cut {
                    p.muted { "The search stopped after " (super::parts::grouped(MAX_LOOKED_AT as u64)) " records." }
                }
            }
        }
    }

    fn entry_row(&self, entry: &Entry, names: &KeyNames) -> Markup {
        let Ok(record) = &entry.record else {
            return html! { tr { td colspan="7" { "A line that is no record, at byte " (entry.place.offset) " of " code { (file_name(&entry.place.file)) } } } };
        };
        html! {
            tr {
                th scope="row" {
                    a href={ "/audit/" (record.event_id) } { time datetime=(record.time) { (absolute(record.time)) } }
                    " " span.relative { (relative(record.time, self.now)) }
                }
                td { (outcome(record.outcome)) }
                td { (record.operation) }
                td.break { (self.principal(record.identity.as_str())) }
                td { @for key in &record.keys { div { (names.link(key)) } } }
                td { @if let Some(pcr0) = pcr0(record) { (digest(pcr0)) } }
                td.break { (why(record)) }
            }
        }
    }
}

/// Why a request was refused, or what allowed it.
pub(super) fn why(record: &AuditRecord) -> String {
    match record.outcome {
        Outcome::Allowed => crate::text::shorten(record.reasons().next().unwrap_or_default()),
        _ => kind_of_refusal(record),
    }
}

pub(super) fn pcr0(record: &AuditRecord) -> Option<&str> {
    record.recipient.as_ref()?.pcrs.get(&0).map(String::as_str)
}

/// A file by its name in the data directory.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn form(query: &Parameters, problem: Option<&str>) -> Markup {
    let asks = read_filter(query).map_or(true, |filter| !filter.is_empty());
    html! {
        details.panel.filter open[asks] {
            summary { "Filter" }
            @if let Some(problem) = problem { p.problem role="alert" { (problem) } }
            form method="get" action="/audit" {
                div.fields {
                    div.field {
                        label for="outcome" { "Decision" }
                        select #outcome name="outcome" {
                            option value="" { "any" }
                            @for one in OUTCOMES {
                                option value=(one.as_str()) selected[query.get("outcome") == one.as_str()] { (one.as_str()) }
                            }
                        }
                    }
                    @for (name, label, example) in FIELDS {
                        div.field {
                            label for=(name) { (label) }
                            input id=(name) name=(name) type="text" value=(query.get(name)) placeholder=(example) autocomplete="off" spellcheck="false";
                        }
                    }
                }
                div.row {
                    button.primary type="submit" { "Filter" }
                    a href="/audit" { "Clear" }
                }
            }
        }
    }
}

/// The filter as it stands in a URL.
fn parameters(query: &Parameters) -> String {
    let mut written = form_urlencoded::Serializer::new(String::new());
    for name in FIELDS.iter().map(|(name, _, _)| *name).chain(["outcome"]) {
        if let Some(value) = query.filled(name) {
            written.append_pair(name, value);
        }
    }
    written.finish()
}

fn search(path: &Path, filter: &RecordFilter, cursor: Option<Cursor>) -> Result<Found, ReadError> {
    let mut found = Found { entries: Vec::new(), next: None, is_cut: false };
    for (looked_at, entry) in newest_first(path, cursor)?.records().enumerate() {
        let entry = entry?;
        if found.entries.len() == PAGE || looked_at == MAX_LOOKED_AT {
            found.is_cut = found.entries.len() < PAGE;
            // This one comes first on the next page: its end is where the ones seen begin.
            return Ok(found);
        }
        found.next = Cursor::of(&entry.place);
        let is_older_than_asked =
            |record: &AuditRecord| filter.since.is_some_and(|since| record.time < since);
        match &entry.record {
            Ok(record) if is_older_than_asked(record) => break,
            Ok(record) if !filter.matches(record) => {}
            Err(_) if !filter.is_empty() => {}
            _ => found.entries.push(entry),
        }
    }
    found.next = None;
    Ok(found)
}

/// The record with this id, looking at the newest first.
pub(super) fn find(path: &Path, event_id: &str) -> Result<Option<(Place, AuditRecord)>, ReadError> {
    if !path.exists() {
        return Ok(None);
    }
    for line in NewestFirst::of_log(path)? {
        let Line { place, bytes } = line?;
        // To look for the id is much less than to read the record.
        if String::from_utf8_lossy(&bytes).contains(event_id)
            && let Ok(record) = AuditRecord::parse(&bytes)
            && record.event_id == event_id
        {
            return Ok(Some((place, record)));
        }
    }
    Ok(None)
}

fn newest_first(path: &Path, cursor: Option<Cursor>) -> Result<NewestFirst, ReadError> {
    let Some(cursor) = cursor else { return NewestFirst::of_log(path) };
    let mut files = segments(path)?;
    // Newer files than that of the cursor were read before.
    while let Some(last) = files.pop() {
        if inode(&last.path) == Some(cursor.inode) {
            return NewestFirst::of_start(files, &last, cursor.offset);
        }
    }
    NewestFirst::of_log(path)
}

impl Cursor {
    fn of(place: &Place) -> Option<Self> {
        Some(Self { inode: inode(&place.file)?, offset: place.offset })
    }

    fn parse(text: &str) -> Option<Self> {
        let (inode, offset) = text.split_once('.')?;
        Some(Self { inode: inode.parse().ok()?, offset: offset.parse().ok()? })
    }
}

fn inode(path: &Path) -> Option<u64> {
    std::fs::metadata(PathBuf::from(path)).ok().map(|metadata| metadata.ino())
}

#[cfg(test)]
mod tests {
    use super::super::tests::record_line;
    use super::*;

    fn ids(found: &Found) -> Vec<&str> {
        found.entries.iter().map(|entry| entry.record.as_ref().unwrap().event_id.as_str()).collect()
    }

    #[test]
    fn pages_follow_one_another_from_the_newest_also_when_the_log_is_rotated_between() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let lines: Vec<u8> = (0..120).flat_map(|number| record_line(&number.to_string(), number)).collect();
        std::fs::write(&path, lines).unwrap();
        let first = search(&path, &RecordFilter::default(), None).unwrap();
        assert_eq!(ids(&first)[..2], ["119", "118"]);
        assert_eq!(ids(&first).len(), PAGE);
        std::fs::rename(&path, folder.path().join("audit-00000000000000000000.jsonl")).unwrap();
        std::fs::write(&path, record_line("new", 1000)).unwrap();
        let second = search(&path, &RecordFilter::default(), first.next).unwrap();
        assert_eq!((ids(&second)[0], ids(&second)[49]), ("69", "20"));
        let third = search(&path, &RecordFilter::default(), second.next).unwrap();
        assert_eq!((ids(&third).len(), ids(&third)[19], third.next), (20, "0", None));
        assert_eq!(find(&path, "7").unwrap().unwrap().1.event_id, "7");
        assert!(find(&path, "none").unwrap().is_none());
    }

    #[test]
    fn cursors_are_read_as_they_are_written() {
        assert_eq!(Cursor::parse("12.345"), Some(Cursor { inode: 12, offset: 345 }));
        for text in ["", "12", "12.", ".1", "-1.2", "1.2.3"] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }
}
