//! `audit verify`.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::{existing_log, verifier_key};
use crate::audit::chain::Begin;
use crate::audit::reader::{Lines, segments};
use crate::audit::verify::{Expectations, Fault, Finding, Verified, verify};
use crate::audit::{checkpoint_path, read_checkpoint};
use crate::cli::data_dir::{DataDir, read_input};
use crate::cli::error::CliError;
use crate::cli::output::{print_json, print_line};
use crate::signed_note::{Checkpoint, MAX_NOTE_BYTES, NoteVerifier};

/// Check that nobody has touched the log: its chain, and signed checkpoints.
///
/// Exit status 0 when all is well; 1 with the first bad record; 2 when the command line is wrong or a file cannot be
/// read. The checkpoint beside the log is checked too. What was cut off or rewritten since shows only against a
/// checkpoint that was kept elsewhere.
#[derive(Debug, Args)]
pub(in crate::cli) struct Verify {
    /// The log's newest file; older ones beside it are read first. Default: that of the data directory.
    #[arg(value_name = "LOG")]
    log: Option<PathBuf>,

    /// A checkpoint that was kept; repeatable.
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,

    /// The log's verifier key, or a file that holds it. Default: that of the data directory's audit.key.
    #[arg(long, value_name = "KEY|FILE")]
    verifier_key: Option<String>,

    /// The oldest files are elsewhere: begin with the first that is here.
    #[arg(long)]
    allow_archived: bool,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(in crate::cli) fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        let is_own = self.log.is_none();
        let log = existing_log(self.log, data_dir)?;
        let beside = read_checkpoint(&log)
            .map_err(|error| CliError::usage(format!("{}: {error}", checkpoint_path(&log).display())))?;
        let mut notes: Vec<(PathBuf, Vec<u8>)> =
            beside.into_iter().map(|note| (checkpoint_path(&log), note)).collect();
        for path in self.checkpoint {
            let note = read_input(&path, MAX_NOTE_BYTES as u64)?;
            notes.push((path, note));
        }
        let key_is_at_hand = self.verifier_key.is_some() || (is_own && data_dir.audit_key().exists());
        let checkpoints = if notes.is_empty() || (notes.len() == 1 && !key_is_at_hand) {
            // A checkpoint that only lies beside a copy of the log is no reason to ask for a key.
            Vec::new()
        } else {
            let key = verifier_key(self.verifier_key.as_deref(), data_dir)?;
            notes.iter().map(|(path, note)| open(&key, path, note)).collect::<Result<_, _>>()?
        };
        let begin = if self.allow_archived { Begin::AtAnyFile } else { Begin::AtRecord0 };
        let files = segments(&log).map_err(CliError::usage)?;
        let total = files.iter().filter_map(|file| file.path.metadata().ok()).map(|file| file.len()).sum();
        let mut progress = Progress::new(total);
        let result = verify(Lines::of_segments(files), Expectations { checkpoints, begin }, &mut |bytes| {
            progress.show(bytes)
        });
        progress.clear();
        match result.map_err(CliError::usage)? {
            Ok(verified) if self.json => print_json(&report(&verified)),
            Ok(verified) => print(&verified),
            Err(finding) => {
                if self.json {
                    print_json(&report_of_finding(&finding))?;
                }
                Err(refusal(&finding))
            }
        }
    }
}

fn open(key: &NoteVerifier, path: &Path, note: &[u8]) -> Result<Checkpoint, CliError> {
    key.open_checkpoint(note).map_err(|error| CliError::failed(format!("{}: {error}", path.display())))
}

fn print(verified: &Verified) -> Result<(), CliError> {
    let Verified {
        head,
        first_sequence,
        files,
        bytes,
        set_apart,
        unfinished_bytes,
        checkpoints,
        unchecked_checkpoints,
    } = verified;
    match head {
        None => print_line("no records")?,
        Some(head) => {
            print_line(&format!("log           {}", head.log))?;
            print_line(&format!(
                "records       {first_sequence} to {}, in {files} {} of {bytes} bytes",
                head.next_sequence().saturating_sub(1),
                if *files == 1 { "file" } else { "files" },
            ))?;
            print_line(&format!("root          {}", hex::encode(head.tree.root())))?;
        }
    }
    print_line(&format!("checkpoints   {checkpoints} hold"))?;
    if *unchecked_checkpoints > 0 {
        print_line(&format!("              {unchecked_checkpoints} are about records that are not here"))?;
    }
    for (place, apart) in set_apart {
        print_line(&format!(
            "set apart     {} bytes that are no record, from line {} of {} on",
            apart.bytes,
            place.line,
            place.file.display()
        ))?;
    }
    if *unfinished_bytes > 0 {
        print_line(&format!(
            "unfinished    {unfinished_bytes} bytes at the end, of a line that is being written or torn"
        ))?;
    }
    print_line("the chain is whole")
}

fn report(verified: &Verified) -> Value {
    let Verified {
        head,
        first_sequence,
        files,
        bytes,
        set_apart,
        unfinished_bytes,
        checkpoints,
        unchecked_checkpoints,
    } = verified;
    json!({
        "ok": true,
        "log": head.as_ref().map(|head| &head.log),
        "firstSequence": first_sequence,
        "size": head.as_ref().map_or(0, |head| head.next_sequence()),
        "root": head.as_ref().map(|head| hex::encode(head.tree.root())),
        "files": files,
        "bytes": bytes,
        "checkpoints": checkpoints,
        "uncheckedCheckpoints": unchecked_checkpoints,
        "unfinishedBytes": unfinished_bytes,
        "setApart": set_apart.iter().map(|(place, apart)| json!({
            "file": place.file.display().to_string(),
            "line": place.line,
            "offset": place.offset,
            "bytes": apart.bytes,
        })).collect::<Vec<_>>(),
    })
}

fn report_of_finding(finding: &Finding) -> Value {
    let place = finding.place.as_ref();
    json!({
        "ok": false,
        "sequence": finding.sequence,
        "file": place.map(|place| place.file.display().to_string()),
        "line": place.map(|place| place.line),
        "offset": place.map(|place| place.offset),
        "rule": finding.fault.rule(),
        "problem": finding.fault.to_string(),
    })
}

fn refusal(finding: &Finding) -> CliError {
    let Finding { sequence, fault, .. } = finding;
    CliError::failed(format!("record {sequence}{}: {fault}", finding.place_text())).hint(match fault {
        Fault::Chain(_) => "the chain holds up to there; keep the log as it is, it is evidence",
        Fault::Rewritten { .. } | Fault::CutOff { .. } | Fault::AnotherLog { .. } => {
            "keep the log and the checkpoint as they are, they are evidence"
        }
    })
}

/// How far it is, on a terminal and for a log that takes a while.
struct Progress {
    total: u64,
    is_shown: bool,
}

impl Progress {
    /// Bytes that are read before anybody gets impatient.
    const WORTH_SHOWING: u64 = 64 * 1024 * 1024;

    fn new(total: u64) -> Self {
        Self { total, is_shown: total >= Self::WORTH_SHOWING && std::io::stderr().is_terminal() }
    }

    fn show(&mut self, bytes: u64) {
        if self.is_shown {
            let percent = bytes.saturating_mul(100) / self.total.max(1);
            let _ = write!(std::io::stderr(), "\rverifying: {percent} %");
        }
    }

    fn clear(&self) {
        if self.is_shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
