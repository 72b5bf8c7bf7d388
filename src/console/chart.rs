//! A plot of decisions over time, in SVG: stacked bars that need neither colours nor eyes.

use std::time::Duration;

use maud::{Markup, html};

use super::ledger::{Bucket, Outcomes};
use super::parts::{absolute, grouped};
use crate::audit::Outcome;
use crate::time::UnixTime;

/// In units of the view box; the page scales it.
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 8.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 28.0;
/// Lines across at most, beside the base.
const MAX_LINES: u64 = 4;
/// Words below, as many as fit.
const WORDS: usize = 6;

/// The plot, its legend, and the numbers as a table.
pub(super) fn chart(title: &str, span: Duration, spans: &[(UnixTime, Bucket)]) -> Markup {
    let highest = spans.iter().map(|(_, bucket)| bucket.outcomes.total()).max().unwrap_or_default();
    let step = line_step(highest);
    let top = highest.div_ceil(step).max(1) * step;
    let y = |value: u64| HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value as f64 / top as f64;
    let slot = (WIDTH - LEFT - RIGHT) / spans.len().max(1) as f64;
    let x = |index: usize| LEFT + slot * index as f64;
    let sum = spans.iter().fold(Outcomes::default(), |mut sum, (_, bucket)| {
        sum.add_all(bucket.outcomes);
        sum
    });
    html! {
        figure.chart {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-labelledby="chart-title chart-desc" {
                title #chart-title { (title) }
                desc #chart-desc { (description(sum, highest)) }
                (patterns())
                @for line in (0..=top / step).map(|number| number * step) {
                    line class="grid" x1=(LEFT) x2=(WIDTH - RIGHT) y1=(round(y(line))) y2=(round(y(line))) {}
                    text class="tick" x=(LEFT - 8.0) y=(round(y(line) + 4.0)) text-anchor="end" { (short(line)) }
                }
                @for (index, (start, _)) in spans.iter().enumerate().step_by(spans.len().div_ceil(WORDS).max(1)) {
                    text class="tick" x=(round(x(index))) y=(HEIGHT - 8.0) { (word(*start, span)) }
                }
                @for (index, (start, bucket)) in spans.iter().enumerate() {
                    @if bucket.outcomes.total() > 0 {
                        g class="bar" {
                            title { (absolute(*start)) ": " (in_words(bucket.outcomes)) }
                            (stack(x(index) + slot * 0.12, slot * 0.76, bucket.outcomes, &y))
                        }
                    }
                }
            }
            figcaption {
                ul.legend aria-label="Legend" {
                    @for (outcome, count) in sum.each() {
                        li {
                            svg viewBox="0 0 12 12" width="12" height="12" aria-hidden="true" focusable="false" {
                                rect width="12" height="12" rx="2" fill=(fill(outcome)) {}
                            }
                            " " (outcome.as_str()) " " strong { (grouped(count)) }
                        }
                    }
                }
            }
        }
    }
}

/// The numbers of the plot, for whoever reads rather than looks.
pub(super) fn table(spans: &[(UnixTime, Bucket)]) -> Markup {
    let filled = || spans.iter().rev().filter(|(_, bucket)| bucket.outcomes.total() > 0);
    html! {
        details.numbers {
            summary { "The same as a table" }
            div.table-frame tabindex="0" role="group" aria-label="Decisions over time" {
                table {
                    caption.hidden { "Decisions over time, the newest first, without spans in which there were none" }
                    thead { tr {
                        th scope="col" { "From" }
                        @for (outcome, _) in Outcomes::default().each() { th.number scope="col" { (outcome.as_str()) } }
                    } }
                    tbody {
                        @for (start, bucket) in filled() {
                            tr {
                                th scope="row" { (absolute(*start)) }
                                @for (_, count) in bucket.outcomes.each() { td.number { (grouped(count)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn stack(x: f64, width: f64, outcomes: Outcomes, y: &impl Fn(u64) -> f64) -> Markup {
    let mut below = 0;
    html! {
        @for (outcome, count) in outcomes.each() {
            @if count > 0 {
                @let (from, to) = (below, below + count);
                @let () = below = to;
                rect x=(round(x)) width=(round(width)) y=(round(y(to))) height=(round((y(from) - y(to)).max(1.0)))
                    fill=(fill(outcome)) {}
            }
        }
    }
}

/// Whatever was refused has stripes or dots, so that colours are not needed.
fn patterns() -> Markup {
    html! {
        defs {
            pattern #fill-allowed width="4" height="4" patternUnits="userSpaceOnUse" {
                rect class="ink-allowed" width="4" height="4" {}
            }
            pattern #fill-denied width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                rect class="ink-denied" width="6" height="6" {}
                rect class="ink-stripe" width="2" height="6" {}
            }
            pattern #fill-malformed width="6" height="6" patternUnits="userSpaceOnUse" {
                rect class="ink-malformed" width="6" height="6" {}
                circle class="ink-stripe" cx="3" cy="3" r="1.4" {}
            }
            pattern #fill-failed width="6" height="6" patternUnits="userSpaceOnUse" {
                rect class="ink-failed" width="6" height="6" {}
                rect class="ink-stripe" width="6" height="2" {}
            }
        }
    }
}

const fn fill(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Allowed => "url(#fill-allowed)",
        Outcome::Denied => "url(#fill-denied)",
        Outcome::Malformed => "url(#fill-malformed)",
        Outcome::Failed => "url(#fill-failed)",
    }
}

fn description(sum: Outcomes, highest: u64) -> String {
    format!("{}. At most {} in one span. The table below has the numbers.", in_words(sum), grouped(highest))
}

fn in_words(outcomes: Outcomes) -> String {
    outcomes.each().map(|(outcome, count)| format!("{} {}", grouped(count), outcome.as_str())).join(", ")
}

/// The distance of lines: 1, 2 or 5 times a power of ten, so that there are few of them.
fn line_step(highest: u64) -> u64 {
    let mut power = 1_u64;
    loop {
        for factor in [1, 2, 5] {
            let step = power.saturating_mul(factor);
            if highest.div_ceil(step) <= MAX_LINES || step == u64::MAX {
                return step;
            }
        }
        power = power.saturating_mul(10);
    }
}

/// `12,000` as `12k`: there is little room.
fn short(number: u64) -> String {
    match number {
        0..10_000 => number.to_string(),
        10_000..10_000_000 => format!("{}k", number / 1000),
        _ => format!("{}M", number / 1_000_000),
    }
}

/// The day where bars are long, else the time.
fn word(start: UnixTime, span: Duration) -> String {
    let text = absolute(start);
    let is_day = span >= Duration::from_secs(3600);
    let part = if is_day { text.get(5..16) } else { text.get(11..16) };
    part.unwrap_or_default().to_owned()
}

fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_few_and_round() {
        let steps = [(0, 1), (4, 1), (5, 2), (9, 5), (20, 5), (21, 10), (4000, 1000), (4001, 2000)];
        for (highest, step) in steps {
            assert_eq!(line_step(highest), step, "{highest}");
        }
        assert!(line_step(u64::MAX) > 0);
    }

    #[test]
    fn bars_say_in_words_what_they_show() {
        let outcomes = Outcomes { allowed: 1200, denied: 3, ..Outcomes::default() };
        let bucket = Bucket { outcomes, ..Bucket::default() };
        let spans = [
            (UnixTime::from_secs(1_767_472_860), bucket),
            (UnixTime::from_secs(1_767_472_920), Bucket::default()),
        ];
        let html = chart("Decisions", Duration::from_secs(60), &spans).into_string();
        assert!(
            html.contains(
                "<title>2026-01-03 20:41:00: 1,200 allowed, 3 denied, 0 malformed, 0 failed</title>"
            ),
            "{html}"
        );
        assert_eq!(html.matches("<g class=\"bar\">").count(), 1);
        assert!(!html.contains("style="));
        assert!(chart("Nothing", Duration::from_secs(60), &[]).into_string().contains("0 allowed"));
        assert_eq!(table(&spans).into_string().matches("<tr>").count(), 2);
    }
}
