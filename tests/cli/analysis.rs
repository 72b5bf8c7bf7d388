//! What the commands that answer questions about decisions print.

use snapbox::{Assert, Data, file};

use crate::program::{DataDir, run, transcript};

const KEY: &str = "arn:aws:kms:eu-central-1:111122223333:key/0f9d7a0c-6d5e-4c0a-9b1e-2f3a4b5c6d7e";
const RECORDED: &str = "testdata/recorded/eu-central-1_2025-01-06_rsa_2048_recipient.bin";
const LOG: &str = "testdata/analysis/audit.jsonl";
/// Within five minutes of the recorded document.
const AT: [&str; 2] = ["--at", "2025-01-06T16:07:10Z"];

fn assert_golden(arguments: &[&str], golden: Data) {
    Assert::new().action_env("SNAPSHOTS").eq(transcript(&run(arguments)), golden.raw());
}

#[test]
fn explain_shows_what_decides_and_what_keeps_the_rest_from_it() {
    let explain = |arguments: &[&str], golden| {
        let policy = ["policy", "explain", "testdata/analysis/images.json", "--operation", "Decrypt"];
        assert_golden(&[&policy, &AT[..], arguments].concat(), golden);
    };
    let from_inside = ["--document", RECORDED, "--source-ip", "10.0.0.7"];
    let context = ["--encryption-context", "Tenant=a"];
    explain(&[&from_inside[..], &context].concat(), file!["golden/policy_explain_allowed.txt"]);
    explain(&from_inside, file!["golden/policy_explain_denied.txt"]);
    explain(
        &[
            &context[..],
            &["--principal", "arn:aws:iam::000000000000:role/worker", "--json"],
            &["--grant", "testdata/analysis/grant.json"],
            &["--identity-policy", "testdata/analysis/describe_keys.json"],
        ]
        .concat(),
        file!["golden/policy_explain_json.txt"],
    );
}

#[test]
fn a_document_that_is_not_genuine_decides_nothing() {
    let explain = |arguments: &[&str], golden| {
        let document = ["--document", RECORDED, "--operation", "kms:Decrypt"];
        let at =
            ["--at", "2025-01-06T18:07:10Z", "--encryption-context", "Tenant=a", "--source-ip", "10.0.0.7"];
        let policy = ["policy", "explain", "testdata/analysis/images.json"];
        assert_golden(&[&policy[..], &document, &at, arguments].concat(), golden);
    };
    explain(&[], file!["golden/policy_explain_refused.txt"]);
    explain(&["--unverified"], file!["golden/policy_explain_unverified.txt"]);
}

#[test]
fn explain_says_what_is_wrong_with_the_question() {
    let wrong = |arguments: &[&str]| {
        let output = run(&[&["policy", "explain", "testdata/analysis/images.json"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let of_re_encrypt = wrong(&["--operation", "ReEncrypt"]);
    assert!(of_re_encrypt.contains("kms:ReEncryptFrom of the one key"), "{of_re_encrypt}");
    let of_pcr = wrong(&["--operation", "Decrypt", "--pcr", "0=0xab"]);
    assert!(of_pcr.contains("expected 96 hexadecimal digits for PCR0, found \"0xab\""), "{of_pcr}");
    let of_condition =
        wrong(&["--operation", "Decrypt", "--condition", "aws:CurrentTime=2026-01-03T00:00:00Z"]);
    assert!(of_condition.contains("aws:CurrentTime follows from the time of the request"), "{of_condition}");
    let unknown = wrong(&["--operation", "Decrypt", "--condition", "kms:Nothing=1"]);
    assert!(unknown.contains("kms:Nothing is no condition key"), "{unknown}");
}

/// With `--key`, all that is known of the key takes part.
#[test]
fn explain_asks_the_store_about_a_key() {
    let data_dir = DataDir::initialised();
    let worker = "arn:aws:iam::000000000000:role/worker";
    data_dir.stdout(&["key", "create", "--alias", "alias/app"]);
    let policy = data_dir.write(
        "identity.json",
        r#"{"Version": "2012-10-17", "Statement": {"Sid": "ByName", "Effect": "Allow", "Action": "kms:Decrypt",
            "Resource": "*", "Condition": {"StringEquals": {"kms:RequestAlias": "alias/app"}}}}"#,
    );
    data_dir.stdout(&["principal", "policy", "put", worker, "by-name", &policy]);
    let explain = |key: &str| {
        let request = ["policy", "explain", "--operation", "Decrypt", "--principal", worker, "--key", key];
        transcript(&data_dir.run(&request))
    };
    let by_alias = explain("alias/app");
    assert!(
        by_alias.contains("of the key's policy and policy \"by-name\" Statement[0] \"ByName\" allow"),
        "{by_alias}"
    );
    assert!(by_alias.ends_with("[status 0]\n"), "{by_alias}");
    let listed = data_dir.stdout(&["key", "list"]);
    let by_id = explain(listed.split_whitespace().next().unwrap());
    assert!(by_id.ends_with("[status 1]\n"), "{by_id}");
    assert!(by_id.contains("note: the request has no value for this key"), "{by_id}");
}

#[test]
fn test_runs_cases() {
    let test = |file: &str, arguments: &[&str], golden| {
        assert_golden(
            &[&["policy", "test", &format!("testdata/analysis/{file}.yaml")], arguments].concat(),
            golden,
        );
    };
    test("cases", &[], file!["golden/policy_test_passed.txt"]);
    test("failing_cases", &[], file!["golden/policy_test_failed.txt"]);
    test("failing_cases", &["--json"], file!["golden/policy_test_json.txt"]);
    test("misspelt_cases", &[], file!["golden/policy_test_misspelt.txt"]);
}

#[test]
fn test_writes_what_continuous_integration_reads() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("junit.xml");
    let output =
        run(&["policy", "test", "testdata/analysis/failing_cases.yaml", "--junit", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let xml = std::fs::read_to_string(path).unwrap();
    Assert::new().action_env("SNAPSHOTS").eq(xml, file!["golden/policy_test_junit.txt"].raw());
}

/// Every mistake is named with its line, and none is taken for a case that passes.
#[test]
fn test_refuses_what_it_does_not_understand() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::copy("testdata/analysis/images.json", directory.path().join("images.json")).unwrap();
    let digits = "0".repeat(96);
    for (yaml, expected) in [
        ("policy: images.json\n", "missing field `cases`"),
        ("policy: images.json\ncases: []\n", "there is no case"),
        ("policy: images.json\npolicy: images.json\ncases: []\n", "line 2"),
        ("policy: images.json\ncases:\n- {name: a, operation: Decrypt, expect: perhaps}\n", "perhaps"),
        (
            "policy: images.json\ncases:\n- {name: a, operation: Decyrpt, expect: deny}\n",
            "line 3: case \"a\": expected an action",
        ),
        (
            "policy: images.json\ncases:\n- {name: a, operation: Decrypt, document: b, expect: deny}\n",
            "no document is named \"b\"",
        ),
        (
            "policy: images.json\ncases:\n- {name: a, operation: Decrypt, principal: b, expect: deny}\n",
            "the principal: expected an ARN",
        ),
        (
            "policy: images.json\ncases:\n- {name: a, operation: Decrypt, conditions: {'kms:x': y}, expect: deny}\n",
            "\"kms:x\" is no condition key",
        ),
        ("policy: nothing.json\ncases:\n- {name: a, operation: Decrypt, expect: deny}\n", "nothing.json"),
        (
            "policy: images.json\ndocuments: {d: {}}\ncases:\n- {name: a, operation: Decrypt, expect: deny}\n",
            "none of file, base64 and pcrs",
        ),
        (
            "policy: images.json\ndocuments: {d: {pcrs: {0: ab}}}\ncases:\n- {name: a, operation: Decrypt, expect: deny}\n",
            "PCR0: expected 96 hexadecimal digits",
        ),
        (
            &format!(
                "policy: images.json\ndocuments: {{d: {{pcrs: {{32: \"{digits}\"}}}}}}\ncases:\n- {{name: a, operation: Decrypt, expect: deny}}\n"
            ),
            "registers have the numbers 0 to 31",
        ),
    ] {
        let path = directory.path().join("cases.yaml");
        std::fs::write(&path, yaml).unwrap();
        let output = run(&["policy", "test", path.to_str().unwrap()]);
        let words = transcript(&output);
        assert_eq!(output.status.code(), Some(2), "{yaml}{words}");
        assert!(words.contains(expected), "{yaml}{words}");
    }
}

#[test]
fn replay_says_what_would_change() {
    let replay = |policy: &str, arguments: &[&str], golden| {
        let policy = format!("testdata/analysis/{policy}.json");
        let tried =
            ["policy", "replay", "--audit", LOG, "--policy", &policy, "--key", KEY, "--without-store"];
        assert_golden(&[&tried[..], arguments].concat(), golden);
    };
    replay("two_images", &[], file!["golden/policy_replay_changes.txt"]);
    replay("two_images", &["--json"], file!["golden/policy_replay_json.txt"]);
    replay("one_image", &[], file!["golden/policy_replay_same.txt"]);
}

/// What the broker itself has recorded comes out as it did until a policy changes.
#[test]
fn replay_needs_a_log_and_a_policy_for_its_keys() {
    let data_dir = DataDir::initialised();
    let none = transcript(&data_dir.run(&["policy", "replay"]));
    assert!(none.contains("audit.jsonl: there is no record") && none.ends_with("[status 2]\n"), "{none}");
    let unknown = transcript(&data_dir.run(&["policy", "replay", "--audit", LOG]));
    assert!(unknown.contains("cannot be replayed: the policy of its key is not known (6,"), "{unknown}");
    assert!(unknown.ends_with("[status 0]\n"), "{unknown}");
}

#[test]
fn diff_says_what_becomes_allowed_and_denied() {
    let diff = |old: &str, new: &str, arguments: &[&str], golden| {
        let (old, new) = (format!("testdata/analysis/{old}.json"), format!("testdata/analysis/{new}.json"));
        assert_golden(&[&["policy", "diff", &old, &new], arguments].concat(), golden);
    };
    diff("one_image", "two_images", &[], file!["golden/policy_diff.txt"]);
    diff("one_image", "two_images", &["--json"], file!["golden/policy_diff_json.txt"]);
    diff("one_image", "one_image", &[], file!["golden/policy_diff_same.txt"]);
}

#[test]
fn who_can_shows_principals_and_images_with_what_allows() {
    let data_dir = DataDir::initialised();
    let policy =
        data_dir.write("policy.json", &std::fs::read_to_string("testdata/analysis/images.json").unwrap());
    let arn = data_dir.stdout(&["key", "create", "--policy", &policy]);
    let admin = "arn:aws:iam::000000000000:user/admin";
    data_dir.stdout(&["credential", "create", "--principal", admin]);
    let describe = data_dir
        .write("describe.json", &std::fs::read_to_string("testdata/analysis/describe_keys.json").unwrap());
    data_dir.stdout(&["principal", "policy", "put", admin, "look", &describe]);
    // A log in which one other enclave asked for the key.
    let log = std::fs::read_to_string(LOG).unwrap().replace(KEY, arn.trim_end());
    let log = data_dir.write("audit.jsonl", &log);
    data_dir.assert_transcript(
        &data_dir.run(&["policy", "who-can", arn.trim_end(), "--audit", &log]),
        file!["golden/policy_who_can.txt"],
    );
    let json = data_dir.stdout(&["policy", "who-can", arn.trim_end(), "--audit", &log, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let rows = json["rows"].as_array().unwrap();
    // Five principals, each without an enclave and with one of three images.
    assert_eq!(rows.len(), 4 * 4, "{json:#}");
    assert!(rows.iter().all(|row| row["notAllowed"].as_array().is_some()));
}
