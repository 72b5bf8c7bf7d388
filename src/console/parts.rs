//! Small things that many pages show.

use std::time::Duration;

use maud::{Markup, html};

use crate::audit::Outcome;
use crate::time::UnixTime;

/// Hexadecimal digits of a digest that are shown where the whole would be too much: 48 bits tell images apart.
const SHOWN_DIGITS: usize = 12;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A moment, and how long ago it was.
pub(super) fn moment(at: UnixTime, now: UnixTime) -> Markup {
    html! {
        time.moment datetime=(at) title=(at) {
            span.absolute { (absolute(at)) } " "
            span.relative { (relative(at, now)) }
        }
    }
}

/// A moment to the second, for a column: `2026-01-03 20:41:07`.
pub(super) fn absolute(at: UnixTime) -> String {
    let text = UnixTime::from_secs(at.as_secs()).to_string();
    text.trim_end_matches('Z').replacen('T', " ", 1)
}

/// Such as `3 min ago`, or `in 2 d`.
pub(super) fn relative(at: UnixTime, now: UnixTime) -> String {
    if at > now {
        return format!("in {}", span(at.as_secs().saturating_sub(now.as_secs())));
    }
    match now.as_secs().saturating_sub(at.as_secs()) {
        0..5 => "just now".to_owned(),
        seconds => format!("{} ago", span(seconds)),
    }
}

/// How long something takes or lasts, in its largest unit.
pub(super) fn duration(of: Duration) -> String {
    span(of.as_secs())
}

fn span(seconds: u64) -> String {
    match seconds {
        0..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => format!("{} min", seconds / MINUTE),
        HOUR..DAY => format!("{} h", seconds / HOUR),
        _ => format!("{} d", seconds / DAY),
    }
}

/// The start of a digest; the whole for whoever points at it or copies it.
pub(super) fn digest(hex: &str) -> Markup {
    let shown = hex.get(..SHOWN_DIGITS).filter(|shown| shown.len() < hex.len());
    html! {
        @match shown {
            Some(shown) => { code.digest title=(hex) data-copy=(hex) { (shown) "…" } },
            None => { code.digest { (hex) } },
        }
    }
}

/// The whole of a digest.
pub(super) fn whole_digest(hex: &str) -> Markup {
    html! { code.digest.whole data-copy=(hex) { (hex) } }
}

/// How a request ended: a sign and a word, and only then a colour.
pub(super) fn outcome(outcome: Outcome) -> Markup {
    let (sign, class) = match outcome {
        Outcome::Allowed => ("✓", "allowed"),
        Outcome::Denied => ("✕", "denied"),
        Outcome::Malformed => ("?", "malformed"),
        Outcome::Failed => ("!", "failed"),
    };
    badge(class, sign, outcome.as_str())
}

/// A word with a sign.
pub(super) fn badge(class: &str, sign: &str, word: &str) -> Markup {
    html! { span class={ "badge " (class) } { span aria-hidden="true" { (sign) " " } (word) } }
}

/// Says that there is nothing where a table would be.
pub(super) fn nothing(text: &str) -> Markup {
    html! { p.nothing { (text) } }
}

/// `1 key`, `2 keys`.
pub(super) fn count(number: u64, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {one}{plural}", grouped(number))
}

/// `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_absolute_and_relative() {
        let now = UnixTime::from_secs(1_767_472_867);
        let ago = |seconds: u64| UnixTime::from_secs(1_767_472_867 - seconds);
        assert_eq!(absolute(UnixTime::from_ms(now.as_ms() + 250)), "2026-01-03 20:41:07");
        let words =
            [(0, "just now"), (59, "59 s ago"), (3599, "59 min ago"), (7200, "2 h ago"), (90_000, "1 d ago")];
        for (seconds, word) in words {
            assert_eq!(relative(ago(seconds), now), word);
        }
        assert_eq!(relative(now, ago(86_400 * 2)), "in 2 d");
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!((count(1, "key"), count(2000, "key")), ("1 key".to_owned(), "2,000 keys".to_owned()));
    }

    #[test]
    fn a_digest_is_cut_and_whole_for_whoever_copies_it() {
        let html = digest(&"ab".repeat(48)).into_string();
        assert!(html.contains(">abababababab…<") && html.contains(&"ab".repeat(48)), "{html}");
        assert!(!digest("abc").into_string().contains('…'));
        assert_eq!(digest("<b>").into_string(), "<code class=\"digest\">&lt;b&gt;</code>");
    }
}
