//! The values of a condition, read once into the form that their operator compares.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use super::arn::ArnPattern;
use super::condition_key::ConditionKey;
use super::error::Problem;
use super::evaluate::{ContextValue, EvaluationError, PolicyRequest};
use super::operator::Comparison;
use super::pattern::{MAX_PATTERN_BYTES, Pattern};
use super::template::Template;
use crate::text::shorten;
use crate::time::UnixTime;

/// One value of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operand {
    Exact(Box<str>),
    ExactIgnoreCase(Box<str>),
    Like(Pattern),
    Arn(ArnPattern),
    /// With policy variables.
    Variable(Template, TextComparison),
    Bool(bool),
    Number {
        order: Order,
        number: i64,
    },
    Date {
        order: Order,
        time: UnixTime,
    },
    Network(Network),
    /// `Null`: true asks for absence.
    Absence(bool),
}

/// How a text with variables is compared once they have their values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextComparison {
    Exact,
    ExactIgnoreCase,
    Like,
}

/// Where the request's number or time must lie, seen from the policy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Operand {
    /// Reads a value for a comparison; refuses what could never match a value of `key`.
    pub(super) fn parse(comparison: Comparison, key: &ConditionKey, text: &str) -> Result<Self, Problem> {
        let number_form = || Problem::ConditionValue { expected: NUMBER_FORM, actual: shorten(text) };
        let never = |expected| Problem::ConditionValue { expected, actual: shorten(text) };
        let is_pattern = matches!(
            comparison,
            Comparison::StringLike
                | Comparison::StringNotLike
                | Comparison::ArnEquals
                | Comparison::ArnNotEquals
                | Comparison::ArnLike
                | Comparison::ArnNotLike
        );
        if is_pattern && text.len() > MAX_PATTERN_BYTES {
            return Err(Problem::PatternTooLong { bytes: text.len() });
        }
        match comparison {
            Comparison::StringEquals | Comparison::StringNotEquals => match key.form_missed_by(text, false) {
                Some(expected) => Err(never(expected)),
                None => Ok(Self::Exact(text.into())),
            },
            Comparison::StringEqualsIgnoreCase | Comparison::StringNotEqualsIgnoreCase => {
                match key.form_missed_by(text, true) {
                    Some(expected) => Err(never(expected)),
                    None => Ok(Self::ExactIgnoreCase(text.into())),
                }
            }
            Comparison::StringLike | Comparison::StringNotLike => Ok(Self::Like(Pattern::new(text))),
            Comparison::ArnEquals
            | Comparison::ArnNotEquals
            | Comparison::ArnLike
            | Comparison::ArnNotLike => ArnPattern::parse(text)
                .map(Self::Arn)
                .ok_or_else(|| never("a full ARN of six segments; each may hold wildcards")),
            Comparison::Bool => parse_bool(text).map(Self::Bool).ok_or_else(|| never("true or false")),
            Comparison::Null => {
                parse_bool(text).map(Self::Absence).ok_or_else(|| never("true (absent) or false (present)"))
            }
            Comparison::NumericEquals | Comparison::NumericNotEquals => {
                number(Order::Equal, text).ok_or_else(number_form)
            }
            Comparison::NumericLessThan => number(Order::Less, text).ok_or_else(number_form),
            Comparison::NumericLessThanEquals => number(Order::LessOrEqual, text).ok_or_else(number_form),
            Comparison::NumericGreaterThan => number(Order::Greater, text).ok_or_else(number_form),
            Comparison::NumericGreaterThanEquals => {
                number(Order::GreaterOrEqual, text).ok_or_else(number_form)
            }
            Comparison::DateEquals | Comparison::DateNotEquals => date(Order::Equal, text)
                .filter(|operand| !matches!(operand, Self::Date { time, .. } if time.as_ms() % 1000 != 0))
                .ok_or_else(|| never("a date of whole seconds such as 2026-01-03T20:41:07Z")),
            Comparison::DateLessThan => date(Order::Less, text).ok_or_else(|| never(DATE_FORM)),
            Comparison::DateLessThanEquals => date(Order::LessOrEqual, text).ok_or_else(|| never(DATE_FORM)),
            Comparison::DateGreaterThan => date(Order::Greater, text).ok_or_else(|| never(DATE_FORM)),
            Comparison::DateGreaterThanEquals => {
                date(Order::GreaterOrEqual, text).ok_or_else(|| never(DATE_FORM))
            }
            Comparison::IpAddress | Comparison::NotIpAddress => {
                Network::parse(text).map(Self::Network).map_err(never)
            }
        }
    }

    /// As [`Operand::parse`], of a text with policy variables. Whether it can match depends on their values.
    pub(super) fn parse_template(
        comparison: Comparison,
        text: &str,
        template: Template,
    ) -> Result<Self, Problem> {
        if text.len() > MAX_PATTERN_BYTES {
            return Err(Problem::PatternTooLong { bytes: text.len() });
        }
        match comparison {
            Comparison::StringEquals | Comparison::StringNotEquals => {
                Ok(Self::Variable(template, TextComparison::Exact))
            }
            Comparison::StringEqualsIgnoreCase | Comparison::StringNotEqualsIgnoreCase => {
                Ok(Self::Variable(template, TextComparison::ExactIgnoreCase))
            }
            Comparison::StringLike | Comparison::StringNotLike => {
                Ok(Self::Variable(template, TextComparison::Like))
            }
            Comparison::ArnEquals
            | Comparison::ArnNotEquals
            | Comparison::ArnLike
            | Comparison::ArnNotLike => {
                ArnPattern::parse_template(&template).map(Self::Arn).ok_or_else(|| {
                    let expected = "a full ARN of six segments, variables inside them";
                    Problem::ConditionValue { expected, actual: shorten(text) }
                })
            }
            _ => Err(Problem::PolicyVariable {
                variable: shorten(text),
                problem: "in conditions, variables go with String and Arn operators only",
            }),
        }
    }

    /// Whether a value of the request matches this one, whatever the sign of the operator; `None` when a variable has no
    /// value.
    pub(super) fn matches(
        &self,
        value: &ContextValue<'_>,
        request: &PolicyRequest<'_>,
    ) -> Result<Option<bool>, EvaluationError> {
        Ok(Some(match self {
            Self::Exact(wanted) => *value.text() == **wanted,
            Self::ExactIgnoreCase(wanted) => equals_ignoring_case(&value.text(), wanted),
            Self::Like(pattern) => pattern.matches(&value.text()),
            Self::Arn(pattern) => return pattern.matches(&value.text(), request),
            Self::Variable(template, comparison) => {
                let (found, wanted) = (value.text(), || template.text(request));
                return Ok(match comparison {
                    TextComparison::Exact => wanted()?.map(|wanted| *found == *wanted),
                    TextComparison::ExactIgnoreCase => {
                        wanted()?.map(|wanted| equals_ignoring_case(&found, &wanted))
                    }
                    TextComparison::Like => template.pattern(request)?.map(|pattern| pattern.matches(&found)),
                });
            }
            Self::Bool(wanted) => parse_bool(&value.text()) == Some(*wanted),
            Self::Number { order, number } => {
                matches!(value, ContextValue::Number(found) if order.holds(found, number))
            }
            Self::Date { order, time } => match value {
                // Conditions see whole seconds.
                ContextValue::Time(found) => order.holds(&UnixTime::from_secs(found.as_secs()), time),
                // aws:EpochTime, which may be compared as either.
                ContextValue::Number(secs) => {
                    u64::try_from(*secs).is_ok_and(|secs| order.holds(&UnixTime::from_secs(secs), time))
                }
                _ => false,
            },
            Self::Network(network) => {
                matches!(value, ContextValue::Address(address) if network.contains(*address))
            }
            // Asked of a key, not of a value: the condition itself answers it.
            Self::Absence(_) => false,
        }))
    }

    /// Values of requests that this one tells from others: itself, or of an order both sides of its border.
    pub(super) fn samples(&self) -> Vec<String> {
        let without_wildcards = |text: &str| text.replace('*', "").replace('?', "x");
        match self {
            Self::Exact(text) | Self::ExactIgnoreCase(text) => vec![text.to_string()],
            Self::Like(pattern) => vec![without_wildcards(pattern.as_str())],
            Self::Arn(pattern) => vec![without_wildcards(&pattern.to_string())],
            Self::Bool(_) => vec!["true".to_owned(), "false".to_owned()],
            Self::Number { number, .. } => [number.saturating_sub(1), *number, number.saturating_add(1)]
                .map(|number| number.to_string())
                .to_vec(),
            Self::Date { time, .. } => {
                let secs = time.as_secs();
                [secs.saturating_sub(1), secs, secs.saturating_add(1)]
                    .map(|secs| UnixTime::from_secs(secs).to_string())
                    .to_vec()
            }
            Self::Network(network) => vec![network.address.to_canonical().to_string()],
            // What a variable stands for is not the policy's to say, and absence is no value.
            Self::Variable(..) | Self::Absence(_) => Vec::new(),
        }
    }

    /// Whether every variable in it has a value.
    pub(super) fn has_value(&self, request: &PolicyRequest<'_>) -> Result<bool, EvaluationError> {
        match self {
            Self::Variable(template, _) => Ok(template.text(request)?.is_some()),
            Self::Arn(pattern) => pattern.has_value(request),
            Self::Exact(_)
            | Self::ExactIgnoreCase(_)
            | Self::Like(_)
            | Self::Bool(_)
            | Self::Number { .. }
            | Self::Date { .. }
            | Self::Network(_)
            | Self::Absence(_) => Ok(true),
        }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) | Self::ExactIgnoreCase(text) => write!(f, "{text:?}"),
            Self::Like(pattern) => write!(f, "{:?}", pattern.as_str()),
            Self::Arn(pattern) => pattern.fmt(f),
            Self::Variable(template, _) => write!(f, "{:?}", template.to_string()),
            Self::Bool(wanted) => wanted.fmt(f),
            Self::Number { order, number } => {
                let word = match order {
                    Order::Equal => "",
                    Order::Less => "less than ",
                    Order::LessOrEqual => "at most ",
                    Order::Greater => "more than ",
                    Order::GreaterOrEqual => "at least ",
                };
                write!(f, "{word}{number}")
            }
            Self::Date { order, time } => {
                let word = match order {
                    Order::Equal => "",
                    Order::Less => "before ",
                    Order::LessOrEqual => "at or before ",
                    Order::Greater => "after ",
                    Order::GreaterOrEqual => "at or after ",
                };
                write!(f, "{word}{time}")
            }
            Self::Network(network) => network.fmt(f),
            Self::Absence(wanted) => f.write_str(if *wanted { "absent" } else { "present" }),
        }
    }
}

const DATE_FORM: &str = "a date such as 2026-01-03, 2026-01-03T20:41:07Z or seconds since 1970";

/// Digits from which on a bare number is taken for seconds since 1970: nine reach back to March 1973, and fewer could
/// be meant for a year.
const MIN_EPOCH_DIGITS: usize = 9;

const NUMBER_FORM: &str = "a whole number such as 7";

impl Order {
    fn holds<T: Ord>(self, found: &T, wanted: &T) -> bool {
        match self {
            Self::Equal => found == wanted,
            Self::Less => found < wanted,
            Self::LessOrEqual => found <= wanted,
            Self::Greater => found > wanted,
            Self::GreaterOrEqual => found >= wanted,
        }
    }
}

/// Reads a whole number in decimal.
fn number(order: Order, text: &str) -> Option<Operand> {
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(Operand::Number { order, number })
}

/// Reads the W3C profile of ISO 8601 from the day on (a day begins at midnight UTC; seconds may be left out), or
/// seconds since 1970.
fn date(order: Order, text: &str) -> Option<Operand> {
    let time = if text.len() >= MIN_EPOCH_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit()) {
        UnixTime::from_secs(text.parse().ok()?)
    } else {
        UnixTime::parse_rfc3339(&completed_date(text)).ok()?
    };
    Some(Operand::Date { order, time })
}

/// Adds the parts of RFC 3339 that the W3C profile lets out.
fn completed_date(text: &str) -> Cow<'_, str> {
    const DAY: usize = "2026-01-03".len();
    const MINUTE: usize = "2026-01-03T20:41".len();
    if text.len() == DAY {
        return format!("{text}T00:00:00Z").into();
    }
    match text.split_at_checked(MINUTE) {
        Some((minute, zone)) if zone.starts_with(['Z', '+', '-']) => format!("{minute}:00{zone}").into(),
        _ => text.into(),
    }
}

fn parse_bool(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else {
        text.eq_ignore_ascii_case("false").then_some(false)
    }
}

fn equals_ignoring_case(a: &str, b: &str) -> bool {
    a.chars().flat_map(char::to_lowercase).eq(b.chars().flat_map(char::to_lowercase))
}

/// A range of addresses in CIDR notation (RFC 4632, RFC 4291 section 2.3); bits behind the prefix do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

impl Network {
    fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "an IP address or a range such as 203.0.113.0/24 or 2001:db8::/32";
        let (address, prefix) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| FORM)?;
        let address_bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match prefix {
            None => address_bits,
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                bits.parse().ok().filter(|bits| *bits <= address_bits).ok_or(FORM)?
            }
            Some(_) => return Err(FORM),
        };
        if address.is_ipv6() && address.to_canonical().is_ipv4() && prefix_bits >= 96 {
            return Err("an IPv4 address in its own form, without ::ffff:");
        }
        Ok(Self { address, prefix_bits })
    }

    /// An IPv4 address in IPv6 form, as a dual-stack socket reports it, counts as IPv4.
    fn contains(self, address: IpAddr) -> bool {
        let prefix_bits = u32::from(self.prefix_bits);
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix_bits)).unwrap_or(0);
                (network.to_bits() ^ address.to_bits()) & mask == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix_bits)).unwrap_or(0);
                (network.to_bits() ^ address.to_bits()) & mask == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_bits)
    }
}

#[cfg(test)]
mod tests {
    use super::{Network, Operand, Order, date, equals_ignoring_case};
    use crate::time::UnixTime;

    #[test]
    fn networks_hold_their_addresses() {
        for (network, address, expected) in [
            ("203.0.113.0/24", "203.0.113.255", true),
            ("203.0.113.0/24", "203.0.114.0", false),
            ("203.0.113.77/24", "203.0.113.1", true),
            ("203.0.113.7", "203.0.113.7", true),
            ("203.0.113.7", "203.0.113.8", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("203.0.113.0/24", "::ffff:203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "203.0.113.9", false),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
            ("2001:db8::1", "2001:db8::1", true),
            ("2001:db8::1", "2001:db8::2", false),
        ] {
            let held = Network::parse(network).unwrap().contains(address.parse().unwrap());
            assert_eq!(held, expected, "{network} {address}");
        }
        for bad in
            ["", "1.2.3", "1.2.3.4/", "1.2.3.4/33", "1.2.3.4/+8", "::/129", "1.2.3.4/8/8", "::ffff:1.2.3.4"]
        {
            assert!(Network::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn dates_come_in_the_w3c_forms_and_as_seconds() {
        let expected = Some(Operand::Date { order: Order::Equal, time: UnixTime::from_secs(1_767_398_400) });
        for text in [
            "2026-01-03",
            "2026-01-03T00:00Z",
            "2026-01-03T00:00:00Z",
            "2026-01-03T00:00:00.0Z",
            "2026-01-03T01:00+01:00",
            "1767398400",
        ] {
            assert_eq!(date(Order::Equal, text), expected, "{text}");
        }
        for bad in [
            "",
            "2026",
            "2026-01",
            "20260103",
            "2026-13-03",
            "2026-01-03T00",
            "now",
            "99999999999999999999999",
        ] {
            assert_eq!(date(Order::Equal, bad), None, "{bad}");
        }
    }

    #[test]
    fn case_is_ignored_beyond_ascii() {
        assert!(equals_ignoring_case("ÉCLAIR", "éclair"));
        assert!(!equals_ignoring_case("éclair", "eclair"));
        // The sign of the kelvin, U+212A, is a capital k.
        assert!(equals_ignoring_case("\u{212a}", "k"));
        assert!(!equals_ignoring_case("a", "ab"));
    }
}
