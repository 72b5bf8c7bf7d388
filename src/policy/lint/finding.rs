//! Findings and the rules that they break.

use std::fmt;

use crate::json::{Span, line_and_column};
use crate::policy::StatementRef;

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; nothing has to be done.
    Note,
    /// Hardly meant so.
    Warning,
    /// The policy is refused, never does what it says, or gives a key away.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// One thing that is looked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its stable code, such as `NKB201`.
    pub code: &'static str,
    /// Its stable name, such as `pcr-0x-prefix`.
    pub name: &'static str,
    /// How grave its findings are.
    pub severity: Severity,
    /// What is wrong, in one sentence.
    pub summary: &'static str,
    /// Why that matters.
    pub why: &'static str,
    /// What to do about it.
    pub fix: &'static str,
}

/// Something in a policy that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// What is wrong here, with the values found.
    pub message: String,
    /// The element that it is about.
    pub place: Place,
    /// The statement that it is in; `None` when it is about the document.
    pub statement: Option<StatementRef>,
    /// What to do here.
    pub fix: String,
    /// The text to put in the place of the element, where that is all there is to do.
    pub replacement: Option<String>,
    /// Whether the broker refuses the policy for it.
    pub refused: bool,
}

impl Finding {
    /// How grave it is.
    pub fn severity(&self) -> Severity {
        self.rule.severity
    }
}

/// Where something stands in a text. Lines and columns count from 1; a column is a character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line of the first character.
    pub line: usize,
    /// The column of the first character.
    pub column: usize,
    /// The line of the character behind the last.
    pub end_line: usize,
    /// The column of the character behind the last.
    pub end_column: usize,
    /// The bytes.
    pub span: Span,
}

impl Place {
    fn of(text: &str, span: Span) -> Self {
        let start = span.start.min(text.len());
        let span = start..span.end.clamp(start, text.len());
        let (line, column) = line_and_column(text, span.start);
        let (end_line, end_column) = line_and_column(text, span.end);
        Self { line, column, end_line, end_column, span }
    }
}

/// Findings in one text at most: nobody reads more, and each takes a look through the whole text for its line.
const MAX_FINDINGS: usize = 1000;

/// What was found so far in one text.
pub(super) struct Findings<'t> {
    text: &'t str,
    found: Vec<Finding>,
    /// The last one that was too many.
    surplus: Option<Finding>,
}

impl<'t> Findings<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, found: Vec::new(), surplus: None }
    }

    /// Adds a finding about the bytes of `span`, with the rule's own advice. What it returns can give it better advice.
    pub(super) fn add(
        &mut self,
        rule: &'static Rule,
        span: &Span,
        statement: Option<&StatementRef>,
        message: String,
    ) -> &mut Finding {
        if self.found.len() < MAX_FINDINGS {
            let finding = self.finding(rule, span, statement, message);
            self.found.push_mut(finding)
        } else {
            let nowhere = 0..0;
            let finding = self.finding(rule, &nowhere, statement, message);
            self.surplus.insert(finding)
        }
    }

    /// As [`Self::add`], also past the limit: a policy that is refused never goes without a finding.
    pub(super) fn add_always(&mut self, rule: &'static Rule, span: &Span, message: String) -> &mut Finding {
        let finding = self.finding(rule, span, None, message);
        self.found.push_mut(finding)
    }

    fn finding(
        &self,
        rule: &'static Rule,
        span: &Span,
        statement: Option<&StatementRef>,
        message: String,
    ) -> Finding {
        Finding {
            rule,
            message,
            place: Place::of(self.text, span.clone()),
            statement: statement.cloned(),
            fix: rule.fix.to_owned(),
            replacement: None,
            refused: false,
        }
    }

    pub(super) fn any_refused(&self) -> bool {
        self.found.iter().any(|finding| finding.refused)
    }

    /// The same thing found at the same place counts once.
    pub(super) fn in_order(mut self) -> Vec<Finding> {
        self.found
            .sort_by_key(|finding| (finding.place.span.start, finding.place.span.end, finding.rule.code));
        self.found.dedup_by(|a, b| a.rule == b.rule && a.place == b.place && a.message == b.message);
        self.found
    }
}

impl Finding {
    pub(super) fn advise(&mut self, fix: impl Into<String>) -> &mut Self {
        self.fix = fix.into();
        self
    }

    pub(super) fn replace_by(&mut self, text: impl Into<String>) -> &mut Self {
        self.replacement = Some(text.into());
        self
    }
}
