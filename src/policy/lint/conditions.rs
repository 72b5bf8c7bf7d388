//! Conditions on anything but attestation.

use super::finding::{Findings, Rule, Severity};
use super::reading::{Item, ReadCondition, Reading, Statement};
use crate::policy::condition_key::ConditionKey;
use crate::policy::document::Version;
use crate::policy::operand::{Operand, Order};
use crate::text::shorten;
use crate::time::UnixTime;

pub(super) static EXPIRED: Rule = Rule {
    code: "NKB601",
    name: "expired",
    severity: Severity::Warning,
    summary: "A condition on the time that has passed: the statement never applies any more.",
    why: "An expired Allow is dead text, and an expired Deny protects nothing. Asked only with a time (`--at`).",
    fix: "take the statement out, or set a later time",
};

pub(super) static EMPTY_WINDOW: Rule = Rule {
    code: "NKB602",
    name: "empty-time-window",
    severity: Severity::Error,
    summary: "Conditions on the time of which one begins where the other has ended.",
    why: "No moment meets both, so the statement never applies.",
    fix: "exchange the two times, or correct one",
};

pub(super) static NEVER_PRESENT: Rule = Rule {
    code: "NKB603",
    name: "key-never-present",
    severity: Severity::Note,
    summary: "A condition that needs a value which no request to this broker has.",
    why: "No AWS service calls it, and there are no VPC endpoints, organizations or multi-factor sessions here: the statement never applies.",
    fix: "nothing, where the policy is for AWS as well; else take the statement or the condition out",
};

pub(super) static ALWAYS_TRUE: Rule = Rule {
    code: "NKB604",
    name: "condition-always-true",
    severity: Severity::Warning,
    summary: "A condition that every request to this broker meets, since none has the key.",
    why: "A negated operator, IfExists and Null true hold of an absent key: an Allow is not limited by it, and a Deny with nothing else denies everyone.",
    fix: "take the condition out of an Allow, and the whole statement out where it is a Deny",
};

pub(super) static SOURCE_IP: Rule = Rule {
    code: "NKB605",
    name: "source-ip",
    severity: Severity::Note,
    summary: "A condition on aws:SourceIp.",
    why: "An enclave has no address: over vsock the key is absent, and through a forwarder it is the parent instance's.",
    fix: "use it for callers outside enclaves; of enclaves PCR3 and PCR4 tell the parent",
};

pub(super) static USER_AGENT: Rule = Rule {
    code: "NKB606",
    name: "user-agent",
    severity: Severity::Warning,
    summary: "A condition on aws:UserAgent in an Allow.",
    why: "Whoever sends the request chooses it.",
    fix: "use a condition on something that the caller cannot choose",
};

pub(super) static OLD_VARIABLES: Rule = Rule {
    code: "NKB607",
    name: "variable-in-old-version",
    severity: Severity::Warning,
    summary: "A policy variable under Version 2008-10-17, or without a Version.",
    why: "Only Version 2012-10-17 has variables; before it, ${…} is that text and matches nothing.",
    fix: "write \"Version\": \"2012-10-17\"",
};

pub(super) static ABSENT_KEY: Rule = Rule {
    code: "NKB608",
    name: "absent-key-satisfies",
    severity: Severity::Note,
    summary: "An Allow with a condition that a request without the key satisfies.",
    why: "A negated operator, IfExists and ForAllValues: hold of an absent key, such as an encryption context that was not sent.",
    fix: "add a Null condition with \"false\" where the key has to be there",
};

pub(super) static RULES: [&Rule; 8] = [
    &EXPIRED,
    &EMPTY_WINDOW,
    &NEVER_PRESENT,
    &ALWAYS_TRUE,
    &SOURCE_IP,
    &USER_AGENT,
    &OLD_VARIABLES,
    &ABSENT_KEY,
];

pub(super) fn check(reading: &Reading, now: Option<UnixTime>, findings: &mut Findings<'_>) {
    for statement in &reading.statements {
        times(statement, now, findings);
        for condition in &statement.conditions {
            presence(statement, condition, findings);
            origin(statement, condition, findings);
        }
        if reading.version == Version::V2008 {
            variables(statement, findings);
        }
    }
}

/// The limits that conditions on the time set, in order of the text.
#[derive(Default)]
struct Window<'r> {
    /// Requests must be at or behind this, at the earliest.
    from: Option<(UnixTime, &'r ReadCondition)>,
    /// Requests must be at or before this, at the latest.
    until: Option<(UnixTime, &'r ReadCondition)>,
}

fn times(statement: &Statement, now: Option<UnixTime>, findings: &mut Findings<'_>) {
    let mut window = Window::default();
    for condition in &statement.conditions {
        let is_time = matches!(condition.key, ConditionKey::CurrentTime | ConditionKey::EpochTime);
        if !is_time || condition.operator.if_exists || condition.operator.set.is_some() {
            continue;
        }
        // Alternatives: the widest counts.
        let limits = || condition.values.iter().map(|item| limit(item.value.as_ref()));
        let Some(limits) = limits().collect::<Option<Vec<_>>>() else { continue };
        if let Some(times) = limits.iter().map(|(from, _)| *from).collect::<Option<Vec<_>>>()
            && let Some(earliest) = times.into_iter().min()
            && window.from.is_none_or(|(from, _)| from < earliest)
        {
            window.from = Some((earliest, condition));
        }
        if let Some(times) = limits.iter().map(|(_, until)| *until).collect::<Option<Vec<_>>>()
            && let Some(latest) = times.into_iter().max()
            && window.until.is_none_or(|(until, _)| until > latest)
        {
            window.until = Some((latest, condition));
        }
    }
    let Some((until, condition)) = window.until else { return };
    let span = condition.values.first().map_or(&condition.key_span, |item| &item.span);
    if let Some((from, _)) = window.from.filter(|(from, _)| *from > until) {
        let message = format!("no moment is both from {from} and until {until}");
        findings.add(&EMPTY_WINDOW, span, Some(&statement.at), message);
    } else if let Some(now) = now.filter(|now| UnixTime::from_secs(now.as_secs()) > until) {
        let message = format!("the last moment of this was {until}; it is {now}");
        findings.add(&EXPIRED, span, Some(&statement.at), message);
    }
}

/// The first and the last whole second that a value takes.
fn limit(operand: Option<&Operand>) -> Option<(Option<UnixTime>, Option<UnixTime>)> {
    let (order, secs, is_whole) = match operand? {
        Operand::Date { order, time } => (*order, time.as_secs(), time.as_ms() % 1000 == 0),
        Operand::Number { order, number } => (*order, u64::try_from(*number).ok()?, true),
        _ => return None,
    };
    let at = UnixTime::from_secs;
    let last_before = at(if is_whole { secs.saturating_sub(1) } else { secs });
    let first_from = at(if is_whole { secs } else { secs.saturating_add(1) });
    Some(match order {
        Order::Equal => (Some(at(secs)), Some(at(secs))),
        Order::Less => (None, Some(last_before)),
        Order::LessOrEqual => (None, Some(at(secs))),
        Order::Greater => (Some(at(secs.saturating_add(1))), None),
        Order::GreaterOrEqual => (Some(first_from), None),
    })
}

/// What becomes of a condition where the request has no such key.
fn presence(statement: &Statement, condition: &ReadCondition, findings: &mut Findings<'_>) {
    let (operator, key) = (condition.operator, &condition.key);
    let at = Some(&statement.at);
    if condition.never_holds() {
        let message = format!("{operator} on {key} is never true here: the statement never applies");
        findings.add(&NEVER_PRESENT, &condition.key_span, at, message);
        return;
    }
    let holds_always = |condition: &ReadCondition| {
        matches!(condition.key, ConditionKey::NeverPresent(_)) && condition.holds_when_absent()
    };
    if holds_always(condition) {
        if statement.allows() {
            let message = format!("{operator} on {key} is always true here: it limits nothing");
            findings.add(&ALWAYS_TRUE, &condition.key_span, at, message);
        } else if statement.conditions.iter().all(holds_always) {
            let message = format!("{operator} on {key} is always true here: the statement always denies");
            findings.add(&ALWAYS_TRUE, &condition.key_span, at, message);
        }
        return;
    }
    let may_be_absent = matches!(
        key,
        ConditionKey::EncryptionContext(_)
            | ConditionKey::EncryptionContextKeys
            | ConditionKey::ResourceTag(_)
            | ConditionKey::RequestTag(_)
            | ConditionKey::TagKeys
            | ConditionKey::RequestAlias
            | ConditionKey::ResourceAliases
    );
    let has_guard = statement.conditions.iter().any(|other| {
        other.key == *key
            && other.asks_for_absence().is_none_or(|absent| !absent)
            && !other.holds_when_absent()
    });
    let is_null = condition.asks_for_absence().is_some();
    if statement.allows() && may_be_absent && condition.holds_when_absent() && !is_null && !has_guard {
        let message = format!("{operator} is true of a request without {}", shorten(&key.to_string()));
        findings.add(&ABSENT_KEY, &condition.key_span, at, message);
    }
}

/// Where a request comes from, as far as it says so.
fn origin(statement: &Statement, condition: &ReadCondition, findings: &mut Findings<'_>) {
    match condition.key {
        ConditionKey::SourceIp => {
            let message =
                "aws:SourceIp is absent over vsock, and a forwarder's own address behind one".to_owned();
            findings.add(&SOURCE_IP, &condition.key_span, Some(&statement.at), message);
        }
        ConditionKey::UserAgent if statement.allows() => {
            let message = "aws:UserAgent is what the caller says it is".to_owned();
            findings.add(&USER_AGENT, &condition.key_span, Some(&statement.at), message);
        }
        _ => {}
    }
}

fn variables(statement: &Statement, findings: &mut Findings<'_>) {
    let resources = statement.resources.iter().flat_map(|element| &element.items).map(place);
    let values = statement.conditions.iter().flat_map(|condition| &condition.values).map(place);
    for (text, span) in resources.chain(values).filter(|(text, _)| text.contains("${")) {
        let message = format!("{:?} has no variable under this Version", shorten(text));
        findings.add(&OLD_VARIABLES, span, Some(&statement.at), message);
    }
}

fn place<T>(item: &Item<T>) -> (&str, &crate::json::Span) {
    (&item.text, &item.span)
}
