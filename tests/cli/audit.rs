//! `audit verify`, `audit checkpoint`, `audit query`, `audit export`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use snapbox::{assert_data_eq, file, str};

use crate::audit_log::{SIGNER, chained, checkpoint, record, signer};
use crate::program::*;

/// A data directory with a log of eight records in two files, and a checkpoint over all.
fn with_log() -> DataDir {
    let data_dir = DataDir::initialised();
    let (lines, head) = chained((0..8).map(record), |sequence| sequence == 5);
    data_dir.write("data/audit-00000000000000000000.jsonl", &text(&lines[..5]));
    data_dir.write("data/audit.jsonl", &text(&lines[5..]));
    data_dir.write("data/audit.checkpoint", &signer().sign(&checkpoint(&head).to_text()).unwrap());
    data_dir.write("data/audit.key", &format!("{SIGNER}\n"));
    data_dir
}

fn text(lines: &[Vec<u8>]) -> String {
    String::from_utf8(lines.concat()).unwrap()
}

#[test]
fn a_whole_log_verifies() {
    let data_dir = with_log();
    data_dir.assert_transcript(
        &data_dir.run(&["audit", "verify"]),
        str![[r#"
log           PeterNeumann
records       0 to 7, in 2 files of 11017 bytes
root          16082304b3f2793192a5043dab48aed3b75dc70fd7e10abd81eb4f0d185df388
checkpoints   1 hold
the chain is whole
[status 0]

"#]],
    );
    data_dir.assert_transcript(
        &data_dir.run(&["audit", "verify", "--json"]),
        str![[r#"
{
  "bytes": 11017,
  "checkpoints": 1,
  "files": 2,
  "firstSequence": 0,
  "log": "PeterNeumann",
  "ok": true,
  "root": "16082304b3f2793192a5043dab48aed3b75dc70fd7e10abd81eb4f0d185df388",
  "setApart": [],
  "size": 8,
  "uncheckedCheckpoints": 0,
  "unfinishedBytes": 0
}
[status 0]

"#]],
    );
}

#[test]
fn the_first_bad_record_is_named() {
    let data_dir = with_log();
    let path = data_dir.path().join("data/audit-00000000000000000000.jsonl");
    let log = fs::read_to_string(&path).unwrap();
    fs::write(&path, log.replacen("request-3", "request-9", 1)).unwrap();
    data_dir.assert_transcript(
        &data_dir.run(&["audit", "verify"]),
        str![[r#"
error: record 3 (line 4 of [DIR]/data/audit-00000000000000000000.jsonl, byte 4668): the record behind it, 4, says that this line has the SHA-256 a9f42ec85fbb618af04cb53408910d38f0dbaf38c414c266750406bb9a82767b, and it has d42d51efec244b932e6bc631f6b90bf96d8023e6ebab96954de8a056d12a2a31
hint: the chain holds up to there; keep the log as it is, it is evidence
[status 1]

"#]],
    );
    data_dir.assert_transcript(
        &data_dir.run(&["audit", "verify", "--json"]),
        str![[r#"
{
  "file": "[DIR]/data/audit-00000000000000000000.jsonl",
  "line": 4,
  "offset": 4668,
  "ok": false,
  "problem": "the record behind it, 4, says that this line has the SHA-256 a9f42ec85fbb618af04cb53408910d38f0dbaf38c414c266750406bb9a82767b, and it has d42d51efec244b932e6bc631f6b90bf96d8023e6ebab96954de8a056d12a2a31",
  "rule": "hash",
  "sequence": 3
}
error: record 3 (line 4 of [DIR]/data/audit-00000000000000000000.jsonl, byte 4668): the record behind it, 4, says that this line has the SHA-256 a9f42ec85fbb618af04cb53408910d38f0dbaf38c414c266750406bb9a82767b, and it has d42d51efec244b932e6bc631f6b90bf96d8023e6ebab96954de8a056d12a2a31
hint: the chain holds up to there; keep the log as it is, it is evidence
[status 1]

"#]],
    );
    let lines: Vec<&str> = log.split_inclusive('\n').collect();
    fs::write(&path, [lines[0], lines[1], lines[4]].concat()).unwrap();
    data_dir.assert_transcript(
        &data_dir.run(&["audit", "verify"]),
        str![[r#"
error: record 2 (line 3 of [DIR]/data/audit-00000000000000000000.jsonl, byte 3163): its number is 4, expected 2: records 2 to 3 are missing
hint: the chain holds up to there; keep the log as it is, it is evidence
[status 1]

"#]],
    );
}

#[test]
fn what_was_cut_off_shows_against_a_kept_checkpoint() {
    let data_dir = with_log();
    let kept = data_dir.write("kept", &data_dir.stdout(&["audit", "checkpoint"]));
    let key = data_dir.stdout(&["audit", "checkpoint", "--verifier-key"]);
    let key_file = data_dir.write("key", &key);
    // Whoever cuts the log takes the checkpoint beside it away, too.
    fs::remove_file(data_dir.path().join("data/audit.checkpoint")).unwrap();
    let path = data_dir.path().join("data/audit.jsonl");
    let log = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = log.split_inclusive('\n').collect();
    fs::write(&path, lines[..2].concat()).unwrap();
    assert!(data_dir.run(&["audit", "verify"]).status.success());
    for key in [key.trim(), &key_file] {
        let log = path.to_str().unwrap();
        data_dir.assert_transcript(
            &data_dir.run(&["audit", "verify", log, "--checkpoint", &kept, "--verifier-key", key]),
            str![[r#"
error: record 7: a signed checkpoint covers 8 records, and there are 7: the log was cut off
hint: keep the log and the checkpoint as they are, they are evidence
[status 1]

"#]],
        );
    }
}

#[test]
fn old_files_may_be_elsewhere_when_one_says_so() {
    let data_dir = with_log();
    fs::remove_file(data_dir.path().join("data/audit-00000000000000000000.jsonl")).unwrap();
    data_dir.assert_transcript(
        &data_dir.run(&["audit", "verify"]),
        str![[r#"
error: record 0 (line 1 of [DIR]/data/audit.jsonl, byte 0): its number is 5, expected 0: records 0 to 4 are missing
hint: the chain holds up to there; keep the log as it is, it is evidence
[status 1]

"#]],
    );
    data_dir.assert_transcript(
        &data_dir.run(&["audit", "verify", "--allow-archived"]),
        str![[r#"
log           PeterNeumann
records       5 to 7, in 1 file of 4044 bytes
root          16082304b3f2793192a5043dab48aed3b75dc70fd7e10abd81eb4f0d185df388
checkpoints   1 hold
the chain is whole
[status 0]

"#]],
    );
}

#[test]
fn checkpoints_are_printed_with_the_key_that_verifies_them() {
    let data_dir = with_log();
    data_dir.assert_transcript(
        &data_dir.run(&["audit", "checkpoint"]),
        str![[r#"
PeterNeumann
8
FggjBLPyeTGSpQQ9q0iu07ddxw/X4Qq9getPDRhd84g=

— PeterNeumann x08go54WjUHVUrAUm4GqLe42JnWV4hIG75DbTpEK2kISqX8UFlInGLBFC7FFFUwlXjGe5Z8IuEDecJrmtdhRzRNqYAI=
[status 0]

"#]],
    );
    data_dir.assert_transcript(
        &data_dir.run(&["audit", "checkpoint", "--verifier-key"]),
        str![[r#"
PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW
[status 0]

"#]],
    );
    let fresh = DataDir::initialised();
    fresh.assert_transcript(
        &fresh.run(&["audit", "checkpoint"]),
        str![[r#"
error: there is no checkpoint [DIR]/data/audit.checkpoint
hint: `serve` signs one every 1,000 records or 10 seconds, and when it stops
[status 1]

"#]],
    );
}

#[test]
fn a_signing_key_is_for_nobody_else() {
    let data_dir = DataDir::initialised();
    let key = data_dir.path().join("data/audit.key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    data_dir.assert_transcript(
        &data_dir.run(&["serve", "--listen", "http://127.0.0.1:0"]),
        str![[r#"
error: audit key file [DIR]/data/audit.key has mode 0644, expected 0600: others can sign in the broker's name
[status 1]

"#]],
    );
}

#[test]
fn records_are_found() {
    let data_dir = with_log();
    assert_data_eq!(data_dir.stdout(&["audit", "query"]), file!["golden/audit_query.txt"]);
    for (arguments, found) in [
        (&["--limit", "2"][..], &[6, 7][..]),
        (&["--decision", "denied"], &[1, 5]),
        (&["--decision", "malformed", "--limit", "1"], &[7]),
        (&["--since", "2026-01-03T20:00:03Z", "--until", "2026-01-03T20:00:05Z"], &[3, 4]),
        (&["--key", "01234567-89ab-4def-8123-456789abcdef"], &[0, 1, 2, 4, 5, 6]),
        (&["--key", "01234567"], &[]),
        (&["--principal", "anonymous"], &[2, 6]),
        (&["--principal", "unknown"], &[3, 7]),
        (&["--principal", "arn:aws:iam::111122223333:user/alice"], &[0, 1, 4, 5]),
        (&["--module-id", "i-0123456789abcdef0-enc0123456789abcdef"], &[0, 1, 2, 4, 5, 6]),
        (&["--pcr0", "ABAB", "--decision", "allowed"], &[0, 2, 4, 6]),
        (&["--pcr0", "cd"], &[]),
        (&["--reason", "pcr0 DIFFERS"], &[1, 5]),
        (&["--reason", "serialization"], &[3, 7]),
        (&["--operation", "GenerateDataKey"], &[]),
        (&["--request-id", "request-6"], &[6]),
    ] {
        let output = data_dir.stdout(&[&["audit", "query", "--json"], arguments].concat());
        let ids: Vec<String> = output
            .lines()
            .map(|line| {
                serde_json::from_str::<serde_json::Value>(line).unwrap()["requestID"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        let expected: Vec<String> = found.iter().map(|number| format!("request-{number}")).collect();
        assert_eq!(ids, expected, "{arguments:?}");
    }
}

#[test]
fn lines_that_are_no_records_are_passed_over_and_said() {
    let data_dir = with_log();
    let path = data_dir.path().join("data/audit.jsonl");
    let log = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{log}{{\"torn\":\n")).unwrap();
    assert_data_eq!(
        transcript(&data_dir.run(&["audit", "query", "--request-id", "request-7"])),
        str![[r#"
2026-01-03T20:00:07Z  malformed  Decrypt  unknown  -  -  not JSON, "quoted"
warning: 1 line is no record; `audit verify` tells whether they should be
[status 0]

"#]]
    );
}

#[test]
fn records_are_exported() {
    let data_dir = with_log();
    let export = |format| data_dir.stdout(&["audit", "export", "--format", format, "--limit", "4"]);
    assert_data_eq!(export("cloudtrail"), file!["golden/audit_export_cloudtrail.txt"].raw());
    assert_data_eq!(export("ecs"), file!["golden/audit_export_ecs.txt"].raw());
    assert_data_eq!(export("csv").replace("\r\n", "\n"), file!["golden/audit_export_csv.txt"].raw());
    assert_eq!(export("csv").matches("\r\n").count(), 5);
    let trail: serde_json::Value = serde_json::from_str(&export("cloudtrail")).unwrap();
    assert_eq!(trail["Records"].as_array().unwrap().len(), 4);
}

#[test]
fn a_log_that_is_not_there_is_wrong_usage() {
    let data_dir = DataDir::initialised();
    for command in [&["audit", "verify"][..], &["audit", "query"], &["audit", "export", "--format", "csv"]] {
        data_dir.assert_transcript(
            &data_dir.run(command),
            str![[r#"
error: there is no audit log [DIR]/data/audit.jsonl
hint: name its newest file, or the data directory with --data-dir
[status 2]

"#]],
        );
    }
    let output = data_dir.run(&["audit", "verify", "/nonexistent/audit.jsonl"]);
    assert_eq!(output.status.code(), Some(2));
}
