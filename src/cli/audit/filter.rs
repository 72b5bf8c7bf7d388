//! Which records `audit query` and `audit export` are about.

use std::path::Path;

use clap::{Args, ValueEnum};

use crate::audit::Outcome;
use crate::audit::filter::{RecordFilter, Wanted};
use crate::audit::reader::{Entry, Lines, NewestFirst, ReadError};
use crate::audit::record::AuditRecord;
use crate::cli::error::CliError;
use crate::time::UnixTime;

/// What a record must be to be shown: all that is given here.
#[derive(Debug, Args)]
pub(super) struct Filter {
    /// At this time or later, such as 2026-01-03T20:41:07Z.
    #[arg(long, value_name = "RFC3339", value_parser = UnixTime::parse_rfc3339)]
    since: Option<UnixTime>,

    /// Before this time.
    #[arg(long, value_name = "RFC3339", value_parser = UnixTime::parse_rfc3339)]
    until: Option<UnixTime>,

    /// About this key: its id or ARN.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,

    /// Asked for by this ARN, or by anonymous, unknown or broker.
    #[arg(long, value_name = "ARN")]
    principal: Option<String>,

    /// From the enclave with this module id.
    #[arg(long, value_name = "ID")]
    module_id: Option<String>,

    /// From an image with this PCR0, or one that begins so.
    #[arg(long, value_name = "HEX")]
    pcr0: Option<String>,

    /// Decided so.
    #[arg(long, value_enum, value_name = "DECISION")]
    decision: Option<Decision>,

    /// With this text among its reasons or in its error, in upper or lower case.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// Of this operation.
    #[arg(long, value_name = "NAME")]
    operation: Option<String>,

    /// Of the request with this id.
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,

    /// The newest N of them.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Decision {
    Allowed,
    Denied,
    Malformed,
    Failed,
}

impl Filter {
    /// Hands every record that fits to `show`, the oldest first, and yields the number of lines that are no records.
    pub(super) fn for_each(
        &self,
        log: &Path,
        mut show: impl FnMut(&AuditRecord) -> Result<(), CliError>,
    ) -> Result<u64, CliError> {
        let filter = self.asked();
        let mut unread = 0;
        let mut next = |entry: Result<Entry, ReadError>| -> Result<Option<AuditRecord>, CliError> {
            match entry.map_err(CliError::usage)?.record {
                Ok(record) => Ok(Some(record).filter(|record| filter.matches(record))),
                Err(_) => {
                    unread += 1;
                    Ok(None)
                }
            }
        };
        match self.limit {
            None => {
                for entry in Lines::of_log(log).map_err(CliError::usage)?.records() {
                    if let Some(record) = next(entry)? {
                        show(&record)?;
                    }
                }
            }
            Some(limit) => {
                let mut newest = Vec::new();
                let mut entries = NewestFirst::of_log(log).map_err(CliError::usage)?.records();
                while newest.len() < limit
                    && let Some(entry) = entries.next()
                {
                    newest.extend(next(entry)?);
                }
                newest.iter().rev().try_for_each(show)?;
            }
        }
        Ok(unread)
    }

    fn asked(&self) -> RecordFilter {
        // Exhaustive, so that no option can be forgotten.
        let Self {
            since,
            until,
            key,
            principal,
            module_id,
            pcr0,
            decision,
            reason,
            operation,
            request_id,
            limit: _,
        } = self;
        let whole = |text: &Option<String>| text.clone().map(Wanted::Whole);
        RecordFilter {
            since: *since,
            until: *until,
            key: whole(key),
            principal: whole(principal),
            module_id: whole(module_id),
            pcr0: pcr0.clone(),
            outcome: decision.map(Decision::outcome),
            operation: operation.clone(),
            reason: reason.clone(),
            request_id: request_id.clone(),
        }
    }
}

impl Decision {
    fn outcome(self) -> Outcome {
        match self {
            Self::Allowed => Outcome::Allowed,
            Self::Denied => Outcome::Denied,
            Self::Malformed => Outcome::Malformed,
            Self::Failed => Outcome::Failed,
        }
    }
}

/// Says that lines were passed over, which is nothing to be silent about.
pub(super) fn warn_of_unread(unread: u64) {
    if unread > 0 {
        let lines = if unread == 1 { "line is no record" } else { "lines are no records" };
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("warning: {unread} {lines}; `audit verify` tells whether they should be\n"),
        );
    }
}
