//! A policy with its line numbers, and what the lint says below the lines that it is about.

use maud::{Markup, html};

use super::Visit;
use super::parts::{badge, count};
use crate::policy::{Finding, KeyPolicy, LintOptions, PolicyKind, Severity, lint};

/// A policy in one line, as programs put it, is broken into lines where it is longer than this.
const MAX_LINE_LEN: usize = 120;

/// A policy's text as it is shown, and what is to be said about it.
pub(super) struct LintedPolicy {
    text: String,
    /// Whether the lines are not those of the policy as it was put.
    is_reflowed: bool,
    findings: Vec<Finding>,
}

impl Visit<'_> {
    /// What the lint says about a key's policy.
    pub(super) fn findings_of(&self, policy: &KeyPolicy) -> LintedPolicy {
        let is_reflowed = policy.text().lines().count() <= 1 && policy.text().len() > MAX_LINE_LEN;
        let text = if is_reflowed { reflow(policy.text()) } else { policy.text().to_owned() };
        let options = LintOptions { kind: PolicyKind::Key, now: Some(self.now) };
        LintedPolicy { findings: lint(&text, &options), is_reflowed, text }
    }
}

impl LintedPolicy {
    /// How many findings of each severity, in a few words.
    pub(super) fn summary(&self) -> Markup {
        let number =
            |severity| self.findings.iter().filter(|finding| finding.severity() == severity).count() as u64;
        let (errors, warnings, notes) =
            (number(Severity::Error), number(Severity::Warning), number(Severity::Note));
        html! {
            @if errors + warnings == 0 { (badge("allowed", "✓", "no warnings")) }
            @if errors > 0 { (badge("denied", "✕", &count(errors, "error"))) " " }
            @if warnings > 0 { (badge("malformed", "!", &count(warnings, "warning"))) " " }
            @if notes > 0 { (badge("note", "i", &count(notes, "note"))) }
        }
    }

    /// Every line, with the findings below the line where each begins.
    pub(super) fn listing(&self) -> Markup {
        html! {
            @if self.is_reflowed {
                p.muted.small { "Broken into lines for reading; it was put in one." }
            }
            div.listing tabindex="0" role="group" aria-label="Policy text with findings" {
                @for (number, line) in (1_usize..).zip(self.text.lines()) {
                    @let here = || self.findings.iter().filter(move |finding| finding.place.line == number);
                    div.line.has-finding[here().next().is_some()] {
                        span.number aria-hidden="true" { (number) }
                        code { (line) }
                    }
                    @for finding in here() { (remark(finding)) }
                }
            }
        }
    }
}

fn remark(finding: &Finding) -> Markup {
    let (class, sign) = match finding.severity() {
        Severity::Error => ("denied", "✕"),
        Severity::Warning => ("malformed", "!"),
        Severity::Note => ("note", "i"),
    };
    let place = &finding.place;
    html! {
        div class={ "remark " (class) } role="note" {
            p {
                (badge(class, sign, &finding.severity().to_string())) " "
                strong { (finding.rule.code) " " (finding.rule.name) }
                span.muted.small { " line " (place.line) ", column " (place.column) }
            }
            p { (finding.message) }
            p.fix { strong { "Fix: " } (finding.fix) }
        }
    }
}

/// The same JSON with a line for each member and element; what stands between quotes is left as it is.
fn reflow(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let mut characters = text.chars().filter(|c| *c != '\r').peekable();
    while let Some(character) = characters.next() {
        if in_string {
            out.push(character);
            in_string = escaped || character != '"';
            escaped = character == '\\' && !escaped;
            continue;
        }
        match character {
            '"' => {
                in_string = true;
                out.push(character);
            }
            '{' | '[' => {
                out.push(character);
                while characters.next_if(|next| next.is_whitespace()).is_some() {}
                match characters.next_if(|next| matches!(next, '}' | ']')) {
                    Some(end) => out.push(end),
                    None => {
                        depth += 1;
                        break_line(&mut out, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                break_line(&mut out, depth);
                out.push(character);
            }
            ',' => {
                out.push(character);
                break_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            space if space.is_whitespace() => {}
            other => out.push(other),
        }
    }
    out
}

fn break_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn one_line_becomes_many_and_strings_stay() {
        let text = r#"{"a":[],"b": {"c":["x{,\"}","y:"]} ,"d":1}"#;
        let lines = "{\n  \"a\": [],\n  \"b\": {\n    \"c\": [\n      \"x{,\\\"}\",\n      \"y:\"\n    ]\n  },\n  \"d\": 1\n}";
        assert_eq!(reflow(text), lines);
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![any::<i64>().prop_map(Value::from), any::<String>().prop_map(Value::from)];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn reflowing_changes_no_value(value in json()) {
            prop_assert_eq!(serde_json::from_str::<Value>(&reflow(&value.to_string())).unwrap(), value);
        }

        #[test]
        fn arbitrary_text_never_panics(text in any::<String>()) {
            let _ = reflow(&text);
        }
    }
}
