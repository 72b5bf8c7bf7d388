//! Which records of the audit log a page asks for.

use super::request::Parameters;
use crate::audit::Outcome;
use crate::audit::filter::{RecordFilter, Wanted};
use crate::time::UnixTime;

/// A time that cannot be read, by the name of its parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnreadableTime(pub &'static str);

/// What the URL asks. Texts may be parts of what is recorded.
pub(super) fn read_filter(query: &Parameters) -> Result<RecordFilter, UnreadableTime> {
    let text = |name| query.filled(name).map(str::to_owned);
    let part = |name| text(name).map(Wanted::Part);
    let time = |name| query.filled(name).map(read_time).transpose().map_err(|()| UnreadableTime(name));
    Ok(RecordFilter {
        since: time("from")?,
        until: time("to")?,
        key: part("key"),
        principal: part("principal"),
        module_id: part("module"),
        pcr0: text("pcr0"),
        outcome: query.filled("outcome").and_then(Outcome::parse),
        operation: text("operation"),
        reason: text("reason"),
        request_id: None,
    })
}

/// RFC 3339, also without its seconds or its zone, which is then UTC: what a browser's field for times gives.
fn read_time(text: &str) -> Result<UnixTime, ()> {
    let text = text.replacen(' ', "T", 1);
    let candidates = [text.clone(), format!("{text}Z"), format!("{text}:00Z"), format!("{text}T00:00:00Z")];
    candidates.iter().find_map(|text| UnixTime::parse_rfc3339(text).ok()).ok_or(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_taken_as_people_and_browsers_write_them() {
        let at = UnixTime::from_secs(1_767_472_860);
        for text in
            ["2026-01-03T20:41:00Z", "2026-01-03T20:41", "2026-01-03 20:41", "2026-01-03T22:41:00+02:00"]
        {
            assert_eq!(read_time(text), Ok(at), "{text}");
        }
        assert_eq!(read_time("2026-01-03"), Ok(UnixTime::from_secs(1_767_398_400)));
        assert_eq!(read_time("yesterday"), Err(()));
    }
}
