use crate::audit::record::AuditRecord;

const COLUMNS: [&str; 17] = [
    "time",
    "sequence",
    "request_id",
    "event_id",
    "operation",
    "decision",
    "principal",
    "access_key_id",
    "source",
    "user_agent",
    "error_code",
    "error_message",
    "keys",
    "module_id",
    "pcr0",
    "reasons",
    "encryption_context",
];

/// The names of the columns.
pub(super) fn header() -> String {
    line(COLUMNS.map(str::to_owned))
}

/// One record.
pub(super) fn row(record: &AuditRecord) -> String {
    let recipient = record.recipient.as_ref();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let context: Vec<String> =
        record.encryption_context().map(|(name, value)| format!("{name}={value}")).collect();
    line([
        record.time.to_string(),
        record.sequence.map(|sequence| sequence.to_string()).unwrap_or_default(),
        record.request_id.clone(),
        record.event_id.clone(),
        record.operation.clone(),
        record.outcome.as_str().to_owned(),
        record.identity.as_str().to_owned(),
        text(&record.access_key_id),
        record.source.clone(),
        text(&record.user_agent),
        text(&record.error_code),
        text(&record.error_message),
        record.keys.join(" "),
        recipient.map(|recipient| recipient.module_id.clone()).unwrap_or_default(),
        recipient.and_then(|recipient| recipient.pcrs.get(&0).cloned()).unwrap_or_default(),
        record.reasons().collect::<Vec<_>>().join("; "),
        context.join(" "),
    ])
}

/// Every field in quotes, and CRLF (RFC 4180 section 2).
fn line(fields: [String; COLUMNS.len()]) -> String {
    format!("{}\r\n", fields.map(|field| quote(&field)).join(","))
}

/// What a spreadsheet would compute (OWASP, *CSV Injection*) gets an apostrophe in front, which makes it text.
fn quote(field: &str) -> String {
    let is_formula = field.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    format!("\"{}{}\"", if is_formula { "'" } else { "" }, field.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_doubled_and_formulas_are_text() {
        assert_eq!(quote("plain"), "\"plain\"");
        assert_eq!(quote("a \"b\", c\r\nd"), "\"a \"\"b\"\", c\r\nd\"");
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            assert_eq!(quote(formula), format!("\"'{formula}\""));
        }
    }
}
