//! The program as a user meets it: help, outputs, messages and exit statuses. `SNAPSHOTS=overwrite cargo test --test cli`
//! writes the golden texts anew.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

mod analysis;
mod audit;
#[path = "../support/audit_log.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod audit_log;
mod console;
mod help;
mod policy_lint;
mod program;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;
use snapbox::{Assert, assert_data_eq, file, str};

use program::*;

const RECORDED: &str = "testdata/recorded/eu-central-1_2025-01-06_rsa_2048_recipient.bin";
const RECORDED_DEBUG: &str = "testdata/recorded/us-east-1_2021-03-05_debug.bin";

#[test]
fn wrong_usage_has_status_2() {
    assert_data_eq!(
        transcript(&run(&["verify"])),
        str![[r#"
error: the following required arguments were not provided:
  <DOC>

Usage: nitro-key-broker verify <DOC>

For more information, try '--help'.
[status 2]

"#]]
    );
    let data_dir = DataDir::initialised();
    for arguments in [
        &["frobnicate"][..],
        &["init", "--tls-name", "x"],
        &["serve", "--listen", "localhost:80"],
        &["serve", "--tls-key", "x"],
        &["forward"],
        &["forward", "--route", "vsock://any:8443"],
        &["forward", "--route", "http://127.0.0.1:80=localhost:80"],
        &["forward", "--route", "vsock://any:8443=19:8443"],
        &["forward", "--config", "/nonexistent"],
        &["serve", "--max-clock-skew", "0"],
        &["serve", "--max-clock-skew", "901"],
        &["serve", "--max-presigned", "604801"],
        &["key", "describe", "no key id"],
        &["alias", "create", "no-prefix", "--key-id", "x"],
        &["credential", "create", "--principal", "me"],
        &["principal", "policy", "list", "arn:aws:iam::000000000000:root"],
        &["principal", "policy", "get", "arn:aws:iam::000000000000:user/alice", "no name"],
        &["credential", "create", "--principal", "arn:aws:iam::000000000000:root", "--session-seconds", "1"],
        &["verify", "/nonexistent"],
        &["verify", RECORDED, "--at", "yesterday"],
        &["inspect"],
        &["inspect", "/nonexistent"],
        &["eif", "measure"],
        &["eif", "measure", "/nonexistent"],
        &["eif", "measure", "/"],
        &["inspect", RECORDED, "--at", "yesterday"],
        &["inspect", RECORDED, "--root", RECORDED],
    ] {
        let output = data_dir.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", transcript(&output));
        assert!(output.stderr.starts_with(b"error: "), "{}", transcript(&output));
    }
}

#[test]
fn no_signature_may_count_longer_than_with_aws() {
    let data_dir = DataDir::initialised();
    data_dir.write("data/broker.toml", "max_clock_skew_seconds = 3600\n");
    assert_data_eq!(
        transcript(&data_dir.run(&["serve", "--listen", "http://127.0.0.1:0"])),
        str![[r#"
error: the clock skew must be from 1 to 900 seconds, not 3600
[status 2]

"#]]
    );
}

#[test]
fn init_makes_everything_once_and_private() {
    let data_dir = DataDir::empty();
    data_dir.assert_transcript(
        &data_dir.run(&["init", "--tls"]),
        str![[r#"
root key  [DIR]/data/root.key (mode 0600; keep a copy of it elsewhere)
store     [DIR]/data/keys.sqlite3
audit key [DIR]/data/audit.key (mode 0600; signs checkpoints of the audit log)
  verifier key for whoever keeps checkpoints: nitro-key-broker/audit/[..]
CA        [DIR]/data/tls/ca.pem (give this to clients)
server    [DIR]/data/tls/server.pem
[status 0]

"#]],
    );
    let mode = |name| fs::metadata(data_dir.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("data"), mode("data/root.key"), mode("data/tls/server.key")), (0o700, 0o600, 0o600));
    let root_key = fs::read(data_dir.path().join("data/root.key")).unwrap();
    data_dir.assert_transcript(
        &data_dir.run(&["init", "--tls"]),
        str![[r#"
error: [DIR]/data/root.key exists already
hint: name another directory with --data-dir; nothing was changed
[status 1]

"#]],
    );
    assert_eq!(fs::read(data_dir.path().join("data/root.key")).unwrap(), root_key);
}

#[test]
fn commands_without_a_store_say_how_to_make_one() {
    let data_dir = DataDir::empty();
    for arguments in [&["key", "list"][..], &["serve"], &["policy", "get", "alias/x"]] {
        data_dir.assert_transcript(
            &data_dir.run(arguments),
            str![[r#"
...
error: [DIR]/data/keys.sqlite3 is not there: no store has been made
hint: make one with `nitro-key-broker init`, or name another directory with --data-dir
[status 1]

"#]],
        );
    }
}

#[test]
fn a_key_is_made_named_listed_and_described() {
    let data_dir = DataDir::initialised();
    let arn = data_dir.stdout(&["key", "create", "--description", "for tests", "--alias", "alias/one"]);
    let arn = arn.trim_end();
    let id = arn.strip_prefix("arn:aws:kms:us-east-1:000000000000:key/").unwrap();
    assert_eq!(
        data_dir.stdout(&["alias", "create", "alias/two", "--key-id", id]),
        "arn:aws:kms:us-east-1:000000000000:alias/two\n"
    );
    assert_eq!(
        data_dir.stdout(&["key", "list"]),
        format!(
            "{id}  Enabled         SYMMETRIC_DEFAULT     ENCRYPT_DECRYPT     alias/one,alias/two  for tests\n"
        )
    );
    for name in [id, arn, "alias/one", "arn:aws:kms:us-east-1:000000000000:alias/two"] {
        let described: Value =
            serde_json::from_str(&data_dir.stdout(&["key", "describe", name, "--json"])).unwrap();
        assert_eq!(described["Arn"], arn);
        assert_eq!(described["KeyState"], "Enabled");
        assert_eq!(described["CurrentKeyMaterialId"].as_str().unwrap().len(), 64);
        assert_eq!(described["Tags"], serde_json::json!({}));
    }
    let output = data_dir.run(&["alias", "create", "alias/one", "--key-id", arn]);
    assert_data_eq!(
        transcript(&output),
        str![[r#"
error: an alias with the name alias/one already exists
[status 1]

"#]]
    );
    let unknown = data_dir.run(&["key", "describe", "alias/three"]);
    assert_data_eq!(
        transcript(&unknown),
        str![[r#"
error: there is no key alias/three
hint: `nitro-key-broker key list` shows all
[status 1]

"#]]
    );
}

#[test]
fn keys_of_every_kind_are_made_listed_and_described() {
    let data_dir = DataDir::initialised();
    data_dir.stdout(&["key", "create", "--key-spec", "HMAC_384", "--alias", "alias/mac"]);
    let rsa = ["--key-spec", "RSA_2048", "--key-usage", "ENCRYPT_DECRYPT", "--alias", "alias/rsa"];
    data_dir.stdout(&[&["key", "create"], &rsa[..]].concat());
    let p256 =
        ["--key-spec", "ECC_NIST_P256", "--key-usage", "KEY_AGREEMENT", "--alias", "alias/ecdh", "--json"];
    let made: Value =
        serde_json::from_str(&data_dir.stdout(&[&["key", "create"], &p256[..]].concat())).unwrap();
    assert_eq!(made["KeyAgreementAlgorithms"], serde_json::json!(["ECDH"]));
    assert_eq!(made.get("CurrentKeyMaterialId"), None);

    let listed = data_dir.stdout(&["key", "list"]);
    for expected in [
        "Enabled         HMAC_384              GENERATE_VERIFY_MAC alias/mac\n",
        "Enabled         RSA_2048              ENCRYPT_DECRYPT     alias/rsa\n",
        "Enabled         ECC_NIST_P256         KEY_AGREEMENT       alias/ecdh\n",
    ] {
        assert!(listed.contains(expected), "{listed}");
    }
    assert_data_eq!(
        data_dir.stdout(&["key", "describe", "alias/rsa"]),
        str![[r#"
ARN          arn:aws:kms:us-east-1:000000000000:key/[..]
State        Enabled
Created      [..]
Spec         RSA_2048, ENCRYPT_DECRYPT
Algorithms   RSAES_OAEP_SHA_1, RSAES_OAEP_SHA_256
Aliases      alias/rsa
Tags
Description
Material

"#]]
    );
    for (arguments, expected) in [
        (
            &["--key-spec", "RSA_2048"][..],
            str![[r#"
error: You must specify a KeyUsage value for a key with the KeySpec RSA_2048
hint: pass --key-usage ENCRYPT_DECRYPT or SIGN_VERIFY
[status 2]

"#]],
        ),
        (
            &["--key-spec", "HMAC_256", "--key-usage", "SIGN_VERIFY"],
            str![[r#"
error: KeyUsage SIGN_VERIFY is not compatible with KeySpec HMAC_256
hint: pass --key-usage GENERATE_VERIFY_MAC
[status 2]

"#]],
        ),
    ] {
        let output = data_dir.run(&[&["key", "create"], arguments].concat());
        assert_data_eq!(transcript(&output), expected);
    }
}

#[test]
fn a_policy_is_put_and_comes_back_as_it_was() {
    let data_dir = DataDir::initialised();
    data_dir.stdout(&["key", "create", "--alias", "alias/one"]);
    let text = r#"{ "Version": "2012-10-17", "Statement": { "Effect": "Allow", "Principal": "*",
        "Action": "kms:Decrypt", "Resource": "*" } }"#;
    let file = data_dir.write("policy.json", text);
    data_dir.stdout(&["policy", "put", "alias/one", &file]);
    assert_eq!(data_dir.stdout(&["policy", "get", "alias/one"]).trim_end(), text);

    let refused = data_dir.write("refused.json", &text.replace("kms:Decrypt", "kms:Decrypto"));
    data_dir.assert_transcript(
        &data_dir.run(&["policy", "put", "alias/one", &refused]),
        file!["golden/policy_refused.txt"],
    );
    assert_eq!(data_dir.stdout(&["policy", "get", "alias/one"]).trim_end(), text);
}

#[test]
fn policies_are_attached_to_a_principal() {
    let data_dir = DataDir::initialised();
    let (role, session) =
        ("arn:aws:iam::000000000000:role/team/parent", "arn:aws:sts::000000000000:assumed-role/parent/one");
    let text = r#"{ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": ["kms:Decrypt", "s3:GetObject"], "Resource": "*" } ] }"#;
    let file = data_dir.write("policy.json", text);
    for name in ["two", "one"] {
        assert_eq!(data_dir.stdout(&["principal", "policy", "put", role, name, &file]), "");
    }
    assert_eq!(data_dir.stdout(&["principal", "policy", "list", role]), "one\ntwo\n");
    assert_eq!(data_dir.stdout(&["principal", "policy", "get", role, "one"]).trim_end(), text);
    assert_eq!(data_dir.stdout(&["principal", "policy", "delete", role, "one"]), "");
    assert_eq!(data_dir.stdout(&["principal", "policy", "list", role]), "two\n");

    for command in ["get", "delete"] {
        data_dir.assert_transcript(
            &data_dir.run(&["principal", "policy", command, role, "one"]),
            str![[r#"
error: arn:aws:iam::000000000000:role/team/parent has no policy "one"
hint: `nitro-key-broker principal policy list arn:aws:iam::000000000000:role/team/parent` shows all
[status 1]

"#]],
        );
    }
    let refused =
        data_dir.write("refused.json", &text.replace("\"Action\"", "\"Principal\": \"*\", \"Action\""));
    data_dir.assert_transcript(
        &data_dir.run(&["principal", "policy", "put", role, "two", &refused]),
        str![[r#"
error: the policy in [DIR]/refused.json is refused: Statement[0].Principal: expected no principal: an identity policy speaks of whom it is attached to
hint: docs/policy.md lists the supported language; no policy was changed
[status 1]

"#]],
    );
    data_dir.assert_transcript(
        &data_dir.run(&["principal", "policy", "put", session, "one", &file]),
        str![[r#"
error: expected the ARN of a user or a role, to which policies can be attached, found "arn:aws:sts::000000000000:assumed-role/parent/one"
[status 2]

"#]],
    );
    assert_eq!(data_dir.stdout(&["principal", "policy", "get", role, "two"]).trim_end(), text);
}

#[test]
fn a_credential_is_shown_once_and_its_secret_is_stored_wrapped() {
    let data_dir = DataDir::initialised();
    let principal = "arn:aws:iam::000000000000:role/parent";
    let shell = data_dir.stdout(&["credential", "create", "--principal", principal]);
    let mut lines = shell.lines();
    assert!(lines.next().unwrap().starts_with("export AWS_ACCESS_KEY_ID=AKIA"));
    let secret = lines.next().unwrap().strip_prefix("export AWS_SECRET_ACCESS_KEY=").unwrap();
    assert_eq!((secret.len(), lines.next()), (40, None));

    let json = data_dir.stdout(&[
        "credential",
        "create",
        "--principal",
        principal,
        "--session-seconds",
        "900",
        "--json",
    ]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert!(json["AccessKeyId"].as_str().unwrap().starts_with("ASIA"));
    let token = json["SessionToken"].as_str().unwrap();
    assert!(json["Expiration"].as_str().unwrap().ends_with('Z'));

    let mut store = Vec::new();
    for name in ["keys.sqlite3", "keys.sqlite3-wal"] {
        store.extend(fs::read(data_dir.path().join("data").join(name)).unwrap_or_default());
    }
    let holds = |text: &str| store.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds(principal), "the search itself works");
    assert!(!holds(secret) && !holds(token) && !holds(json["SecretAccessKey"].as_str().unwrap()));
}

#[test]
fn eif_measure_shows_sections_signer_and_registers() {
    let assert = Assert::new().action_env("SNAPSHOTS");
    let measure = |arguments: &[&str]| transcript(&run(&[&["eif", "measure"], arguments].concat()));
    assert.eq(measure(&["testdata/eif/signed.eif"]), file!["golden/eif_measure_signed.txt"]);
    assert.eq(measure(&["testdata/eif/aarch64.eif", "--json"]), file!["golden/eif_measure_json.txt"]);
    assert_data_eq!(
        measure(&[RECORDED]),
        str![[r#"
error: testdata/recorded/eu-central-1_2025-01-06_rsa_2048_recipient.bin is no consistent image: expected the magic bytes 2e656966 (.eif), found 8444a101
[status 1]

"#]]
    );
    let image = fs::read("testdata/eif/three_ramdisks.eif").unwrap();
    let by_name = run(&["eif", "measure", "testdata/eif/three_ramdisks.eif"]);
    assert_eq!(run_with_input(&["eif", "measure", "-"], &image).stdout, by_name.stdout);
}

#[test]
fn verify_shows_each_step() {
    let at = "2025-01-06T16:07:10Z";
    assert_data_eq!(transcript(&run(&["verify", RECORDED, "--at", at])), file!["golden/verify_genuine.txt"]);
    assert_data_eq!(
        transcript(&run(&["verify", RECORDED, "--at", at, "--json"])),
        file!["golden/verify_genuine_json.txt"]
    );
    assert_data_eq!(
        transcript(&run(&["verify", RECORDED, "--at", "2025-01-06T17:07:10Z"])),
        str![[r#"
cose         ok
payload      ok
path         ok
signature    ok
freshness    REFUSED  the document is 3604 s old, at most 300 s are allowed: timestamp 2025-01-06T16:07:05.472Z, now 2025-01-06T17:07:10Z
debug_mode   -
error: refused at the step freshness: the document is 3604 s old, at most 300 s are allowed: timestamp 2025-01-06T16:07:05.472Z, now 2025-01-06T17:07:10Z
[status 1]

"#]]
    );
    assert_data_eq!(
        transcript(&run(&["verify", RECORDED])),
        str![[r#"
cose         ok
payload      ok
path         REFUSED  cabundle[1] was valid until 2025-01-22T03:12:33Z, now is [..]
signature    -
freshness    -
debug_mode   -
error: refused at the step path: cabundle[1] was valid until 2025-01-22T03:12:33Z, now is [..]
hint: to judge a recorded document at the time it was made, pass --at
[status 1]

"#]]
    );
}

#[test]
fn verify_accepts_debug_mode_only_when_told() {
    let at = ["--at", "2021-03-05T17:01:50Z"];
    let refused = run(&[&["verify", RECORDED_DEBUG][..], &at].concat());
    assert_data_eq!(
        transcript(&refused),
        str![[r#"
cose         ok
payload      ok
path         ok
signature    ok
freshness    ok
debug_mode   REFUSED  PCR0 is all zeros: the enclave runs in debug mode and proves nothing about its image
error: refused at the step debug_mode: PCR0 is all zeros: the enclave runs in debug mode and proves nothing about its image
hint: pass --allow-debug to accept debug mode
[status 1]

"#]]
    );
    let accepted = run(&[&["verify", RECORDED_DEBUG, "--allow-debug"][..], &at].concat());
    let accepted = transcript(&accepted);
    assert!(accepted.contains("debug_mode   ok       DEBUG MODE, accepted by --allow-debug"), "{accepted}");
    assert!(accepted.ends_with("[status 0]\n"));
}

#[test]
fn verify_reads_base64_and_standard_input() {
    use base64::Engine;

    let document = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(RECORDED)).unwrap();
    let text = base64::engine::general_purpose::STANDARD.encode(&document);
    let wrapped: Vec<&str> =
        text.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    for input in [document.clone(), wrapped.join("\n").into_bytes()] {
        let output = run_with_input(&["verify", "-", "--at", "2025-01-06T16:07:10Z"], &input);
        assert!(output.status.success(), "{}", transcript(&output));
    }
}

#[test]
fn verify_takes_another_root_only_instead_of_that_of_aws() {
    let minted = "testdata/attestation/accepted_definite_map/document.bin";
    let at = ["--at", "2026-11-24T12:00:00Z"];
    let refused = transcript(&run(&[&["verify", minted][..], &at].concat()));
    assert!(refused.contains("refused at the step path: cabundle[0] is no trust anchor"), "{refused}");
    let root = ["--root", "testdata/attestation/root.pem"];
    let accepted = transcript(&run(&[&["verify", minted][..], &at, &root].concat()));
    assert!(accepted.contains("under CONFIGURED root testdata/attestation/root.pem"), "{accepted}");
    assert!(accepted.ends_with("[status 0]\n"), "{accepted}");
    let aws_document =
        transcript(&run(&[&["verify", RECORDED, "--at", "2025-01-06T16:07:10Z"][..], &root].concat()));
    assert!(aws_document.contains("cabundle[0] is no trust anchor"), "{aws_document}");
}

#[test]
fn inspect_shows_genuine_documents_and_others() {
    let at = "2025-01-06T16:07:10Z";
    let minted = "testdata/attestation/cose_unsigned_emulator/document.bin";
    for (arguments, golden) in [
        (&[RECORDED, "--at", at][..], file!["golden/inspect_genuine.txt"]),
        (&[RECORDED, "--at", at, "--json"], file!["golden/inspect_genuine_json.txt"]),
        (&[RECORDED, "--at", "2025-01-07T16:07:10Z"], file!["golden/inspect_expired.txt"]),
        (&[RECORDED_DEBUG, "--at", "2021-03-05T17:01:50Z"], file!["golden/inspect_debug.txt"]),
        (&[minted, "--at", "2026-11-24T12:00:00Z"], file!["golden/inspect_unsigned.txt"]),
        (&[minted, "--at", "2026-11-24T12:00:00Z", "--json"], file!["golden/inspect_unsigned_json.txt"]),
    ] {
        let output = run(&[&["inspect"], arguments].concat());
        assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]), "{arguments:?}");
        Assert::new().action_env("SNAPSHOTS").eq(transcript(&output), golden.raw());
    }
}

#[test]
fn inspect_says_why_something_is_no_document() {
    assert_data_eq!(
        transcript(&run(&["inspect", "testdata/attestation/payload_nitrotpm/document.bin"])),
        str![[r#"
error: not an enclave's attestation document, by the step payload: the document is one of NitroTPM, not of an enclave: it has nitrotpm_pcrs
[status 1]

"#]]
    );
    assert_data_eq!(
        transcript(&run(&["inspect", "--json", "Cargo.toml"])),
        str![[r#"
error: not an enclave's attestation document, by the step cose: not a COSE_Sign1: expected a definite array at byte 0, found bytes
[status 1]

"#]]
    );
}

/// What stands in `claims` was signed; a reader that looks there for anything else finds nothing.
#[test]
fn inspect_keeps_unverified_claims_apart_and_warns() {
    let inspect = |vector: &str| -> Value {
        let document = format!("testdata/attestation/{vector}/document.bin");
        let root = "testdata/attestation/root.pem";
        let output = run(&["inspect", &document, "--json", "--at", "2026-11-24T12:00:00Z", "--root", root]);
        assert_eq!(output.status.code(), Some(0), "{}", transcript(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    for (vector, verified, genuine, warnings) in [
        ("accepted_recipient_rsa_2048", true, true, &["image_not_signed"][..]),
        ("accepted_three_pcrs", true, true, &["image_not_signed", "pcr4_absent", "no_recipient"]),
        ("debug_mode_pcr1_zero", false, true, &["debug_mode", "image_not_signed", "no_recipient"]),
        ("freshness_one_hour_old", false, true, &["image_not_signed", "stale", "no_recipient"]),
        (
            "freshness_at_the_end_of_time",
            false,
            true,
            &["image_not_signed", "from_the_future", "no_recipient"],
        ),
        ("signature_zeros", false, false, &["not_signed", "image_not_signed", "no_recipient"]),
        (
            "signature_payload_changed_after_signing",
            false,
            false,
            &["image_not_signed", "pcr4_mismatch", "no_recipient"],
        ),
        ("path_leaf_not_der", false, false, &["image_not_signed", "no_recipient"]),
        ("cose_tag_17", false, false, &["image_not_signed", "no_recipient"]),
        ("cose_kid_in_unprotected", false, false, &["image_not_signed", "no_recipient"]),
    ] {
        let report = inspect(vector);
        let verdict = &report["verdict"];
        assert_eq!(
            (&verdict["verified"], &verdict["genuine"]),
            (&verified.into(), &genuine.into()),
            "{vector}"
        );
        assert_eq!(verdict["refused"].is_null(), verified, "{vector}");
        assert_eq!(
            (report["claims"].is_object(), report["unverifiedClaims"].is_object()),
            (genuine, !genuine)
        );
        let codes: Vec<&str> =
            report["warnings"].as_array().unwrap().iter().map(|w| w["code"].as_str().unwrap()).collect();
        assert_eq!(codes, warnings, "{vector}");
    }
    for (vector, kind) in [
        ("recipient_key_absent", "none"),
        ("recipient_key_empty", "0 bytes that are no SubjectPublicKeyInfo"),
        ("recipient_key_in_pem", "PEM text"),
        ("recipient_key_on_p256", "SubjectPublicKeyInfo of algorithm 1.2.840.10045.2.1 1.2.840.10045.3.1.7"),
        ("recipient_key_for_pss", "SubjectPublicKeyInfo of algorithm 1.2.840.113549.1.1.10"),
        ("recipient_key_rsa_1024", "RSA, 1024 bits, exponent 65537"),
        ("recipient_key_exponent_of_2048_bits", "RSA, 2048 bits, exponent of more than 64 bits"),
        ("accepted_recipient_rsa_4096", "RSA, 4096 bits, exponent 65537"),
    ] {
        let key = &inspect(vector)["claims"]["recipientKey"];
        assert_eq!(key["kind"], kind, "{vector}");
        assert_eq!(key["usable"], vector.starts_with("accepted"), "{vector}");
        assert_eq!(key["reason"].is_string(), !vector.starts_with("accepted"), "{vector}");
    }
}

#[test]
fn a_root_key_that_others_can_read_stops_the_broker() {
    let data_dir = DataDir::initialised();
    let root_key = data_dir.path().join("data/root.key");
    fs::set_permissions(&root_key, fs::Permissions::from_mode(0o644)).unwrap();
    data_dir.assert_transcript(
        &data_dir.run(&["serve", "--listen", "http://127.0.0.1:0"]),
        str![[r#"
error: root key file [DIR]/data/root.key has mode 0644, expected 0600: others can read or replace it
[status 1]

"#]],
    );
    fs::remove_file(&root_key).unwrap();
    let other = DataDir::initialised();
    fs::copy(other.path().join("data/root.key"), &root_key).unwrap();
    let output = transcript(&data_dir.run(&["serve", "--listen", "http://127.0.0.1:0"]));
    assert!(output.contains("error: the root key does not belong to this store"), "{output}");
}
