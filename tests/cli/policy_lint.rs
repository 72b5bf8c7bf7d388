//! `policy lint`, `policy from-eif`, `policy from-describe-eif` and `policy rollout`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use nitro_key_broker::policy::{
    Caller, ConditionKey, ContextValue, ContextValues, KeyPolicy, PolicyRequest, RequestContext, Rule, rules,
};
use nitro_key_broker::time::UnixTime;
use serde_json::{Value, json};
use snapbox::{Assert, Data, assert_data_eq, file, str};

use crate::program::*;

const AT: [&str; 2] = ["--at", "2026-11-24T12:00:00Z"];

fn lint(arguments: &[&str]) -> std::process::Output {
    run(&[&["policy", "lint"], &AT[..], arguments].concat())
}

fn defect(name: &str) -> String {
    format!("testdata/policies/defects/{name}.json")
}

fn assert_golden(text: &str, golden: Data) {
    Assert::new().action_env("SNAPSHOTS").eq(text, golden.raw());
}

#[test]
fn findings_are_shown_as_a_compiler_shows_them() {
    let files =
        ["pcr_with_0x", "locked_out_by_deny", "anyone_decrypts", "encrypt_attested", "json_trailing_comma"];
    let files: Vec<String> = files.iter().map(|name| defect(name)).collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    assert_golden(&transcript(&lint(&files)), file!["golden/policy_lint.txt"]);
    assert_golden(&transcript(&lint(&["--json", files[0]])), file!["golden/policy_lint_json.txt"]);
    let mut sarif: Value = serde_json::from_slice(&lint(&["--sarif", files[0], files[1]]).stdout).unwrap();
    // Every rule is in it; their texts are in docs/policy-lint.md.
    sarif["runs"][0]["tool"]["driver"]["rules"].as_array_mut().unwrap().truncate(1);
    assert_golden(&format!("{sarif:#}\n"), file!["golden/policy_lint_sarif.txt"]);
}

#[test]
fn the_exit_status_follows_the_threshold() {
    let (error, warning, note) = (defect("pcr_with_0x"), defect("user_agent"), defect("encrypt_attested"));
    let clean = "testdata/policies/clean/default_key_policy.json";
    for (arguments, status) in [
        (&[error.as_str()][..], 1),
        (&[&error, "--fail-on", "error"], 1),
        (&[&warning], 1),
        (&[&warning, "--fail-on", "error"], 0),
        (&[&note], 0),
        (&[&note, "--fail-on", "note"], 1),
        (&[clean, "--fail-on", "note"], 0),
        (&[clean, &warning], 1),
        (&[&error, "--json"], 1),
        (&[&error, "--sarif"], 1),
        (&[], 2),
        (&["/nonexistent"], 2),
        (&[clean, "--fail-on", "nothing"], 2),
        (&[clean, "--json", "--sarif"], 2),
        (&["--explain", "NKB999"], 2),
        (&["--explain", "NKB201", clean], 2),
        (&["--explain", "NKB201"], 0),
        (&["--codes"], 0),
    ] {
        let output = lint(arguments);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", transcript(&output));
    }
    assert_data_eq!(
        transcript(&lint(&["--explain", "PCR-0x-prefix"])),
        str![[r#"
NKB201 pcr-0x-prefix (error)

A PCR value begins with 0x.
An attestation's values are bare digits, so the condition is never true, or, negated, always.

fix: take the prefix off
[status 0]

"#]]
    );
    assert_eq!(transcript(&lint(&["--codes"])).lines().count(), rules().count() + 1);
    assert_eq!(transcript(&lint(&[clean])), "[status 0]\n");
}

#[test]
fn standard_input_and_identity_policies_are_read() {
    let with_principal = fs::read(defect("principal_in_identity_policy")).unwrap();
    let output = run_with_input(&["policy", "lint", "--identity", "-"], &with_principal);
    assert!(transcript(&output).starts_with("stdin:12:7: error[NKB112] Statement[0] \"UseOfTheKey\": "));
    // A policy of one line is shown in part.
    let mut line = fs::read_to_string(defect("pcr_with_0x")).unwrap();
    line.retain(|character| character != '\n');
    let shown = transcript(&run_with_input(&["policy", "lint", "-"], line.as_bytes()));
    let lines: Vec<&str> = shown.lines().collect();
    assert!(
        lines[1].chars().count() < 120 && lines[1].starts_with("     1 | …") && lines[1].ends_with('…'),
        "{shown}"
    );
    let mark = lines[2].find('^').unwrap();
    assert_eq!(lines[1].chars().nth(mark), Some('"'), "{shown}");
}

/// A policy is somebody else's text: nothing in it reaches a terminal that a terminal obeys.
#[test]
fn nothing_is_shown_that_a_terminal_obeys() {
    let policy = "{\"Statement\": {\"Sid\": \"\\u001b[2J\u{202e}\", \"Effect\": \"\u{7f}\u{9b}31m\", \"Principal\": \"*\",\
         \"Action\": \"kms:\\u0007\", \"Resource\": \"*\", \"Condition\": {\"StringNotEquals\": \
         {\"kms:EncryptionContext:\\u001b]0;x\\u0007\": \"\\u0000\"}}}}";
    let shown = transcript(&run_with_input(&["policy", "lint", "-"], policy.as_bytes()));
    assert!(shown.contains("NKB113") && shown.contains("NKB106"), "{shown}");
    let obeyed = |character: char| character.is_control() && character != '\n' || character == '\u{202e}';
    assert!(!shown.contains(obeyed), "{shown:?}");
}

#[test]
fn policies_of_the_store_are_looked_over() {
    let data_dir = DataDir::initialised();
    data_dir.stdout(&["key", "create", "--alias", "alias/default"]);
    data_dir.stdout(&["key", "create", "--alias", "alias/open", "--policy", &defect("anyone_decrypts")]);
    assert_eq!(transcript(&data_dir.run(&["policy", "lint", "--key", "alias/default"])), "[status 0]\n");
    let output = transcript(&data_dir.run(&[
        "policy",
        "lint",
        "--key",
        "alias/default",
        "--key",
        "alias/open",
        "--json",
    ]));
    assert!(output.contains("\"file\": \"key/") && output.contains("\"code\": \"NKB301\""), "{output}");
    assert!(output.ends_with(
        "error: 1 error\nhint: `policy lint --explain CODE` says why something is found\n[status 1]\n"
    ));
    assert_eq!(data_dir.run(&["policy", "lint", "--key", "alias/none"]).status.code(), Some(1));
}

/// The members that an object of SARIF 2.1.0 may have, those with `!` being required (OASIS, JSON schema of errata 01), as
/// far as they are used here.
const SARIF: [(&str, &str, &[&str]); 16] = [
    ("log", "sarifLog", &["$schema", "version!", "runs!=run*"]),
    ("run", "run", &["tool!=tool", "columnKind", "artifacts=artifact*", "results=result*"]),
    ("tool", "tool", &["driver!=driver"]),
    ("driver", "toolComponent", &["name!", "semanticVersion", "rules=rule*"]),
    (
        "rule",
        "reportingDescriptor",
        &[
            "id!",
            "name",
            "shortDescription=multiformat",
            "fullDescription=multiformat",
            "help=multiformat",
            "defaultConfiguration=configuration",
            "properties",
        ],
    ),
    ("multiformat", "multiformatMessageString", &["text!", "markdown"]),
    ("configuration", "reportingConfiguration", &["level"]),
    ("artifact", "artifact", &["location=artifactLocation"]),
    ("artifactLocation", "artifactLocation", &["uri"]),
    (
        "result",
        "result",
        &[
            "ruleId",
            "ruleIndex",
            "level",
            "message!=multiformat",
            "locations=location*",
            "partialFingerprints",
            "fixes=fix*",
        ],
    ),
    ("location", "location", &["physicalLocation=physical", "logicalLocations=logical*"]),
    ("physical", "physicalLocation", &["artifactLocation=artifactLocation", "region=region"]),
    ("region", "region", &["startLine", "startColumn", "endLine", "endColumn", "byteOffset", "byteLength"]),
    ("logical", "logicalLocation", &["name", "fullyQualifiedName", "kind"]),
    ("fix", "fix", &["description=multiformat", "artifactChanges!=change*"]),
    ("change", "artifactChange", &["artifactLocation!=artifactLocation", "replacements!=replacement*"]),
];
const REPLACEMENT: (&str, &str, &[&str]) =
    ("replacement", "replacement", &["deletedRegion!=region", "insertedContent=multiformat"]);

fn check_sarif(kind: &str, value: &Value, path: &str) {
    let (_, _, members) = SARIF
        .iter()
        .chain([&REPLACEMENT])
        .find(|(name, ..)| *name == kind)
        .unwrap_or_else(|| panic!("{kind}"));
    let object = value.as_object().unwrap_or_else(|| panic!("{path}: {value}"));
    let mut known = BTreeMap::new();
    for member in *members {
        let (name, of) = member.split_once('=').map_or((*member, None), |(name, of)| (name, Some(of)));
        if let Some(name) = name.strip_suffix('!') {
            assert!(object.contains_key(name), "{path}: {name} is missing");
        }
        known.insert(name.trim_end_matches('!'), of);
    }
    for (name, value) in object {
        let path = format!("{path}.{name}");
        match known.get(name.as_str()) {
            None => panic!("{path} is not in the schema"),
            Some(None) => {}
            Some(Some(of)) => match of.strip_suffix('*') {
                Some(of) => {
                    for (at, item) in value.as_array().unwrap().iter().enumerate() {
                        check_sarif(of, item, &format!("{path}[{at}]"));
                    }
                }
                None => check_sarif(of, value, &path),
            },
        }
    }
}

#[test]
fn sarif_has_the_form_that_code_scanning_reads() {
    let mut files: Vec<String> =
        fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/policies/defects"))
            .unwrap()
            .map(|entry| {
                format!("testdata/policies/defects/{}", entry.unwrap().file_name().to_str().unwrap())
            })
            .collect();
    files.sort();
    let arguments: Vec<&str> = ["--sarif"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let log: Value = serde_json::from_slice(&lint(&arguments).stdout).unwrap();
    check_sarif("log", &log, "");
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    assert_eq!(run["columnKind"], "unicodeCodePoints");
    let described = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(described.len(), rules().count());
    let mut fingerprints = std::collections::HashSet::new();
    let results = run["results"].as_array().unwrap();
    assert!(results.len() >= files.len());
    for result in results {
        let rule = &described[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!(result["ruleId"], rule["id"]);
        assert_eq!(result["level"], rule["defaultConfiguration"]["level"]);
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
        let location = &result["locations"][0]["physicalLocation"];
        let uri = location["artifactLocation"]["uri"].as_str().unwrap();
        assert!(files.iter().any(|file| file == uri), "{uri} is relative");
        let region = &location["region"];
        let number = |name: &str| region[name].as_u64().unwrap();
        assert!(number("startLine") >= 1 && number("startColumn") >= 1);
        assert!((number("endLine"), number("endColumn")) >= (number("startLine"), number("startColumn")));
        let fingerprint = result["partialFingerprints"]["nitroKeyBrokerPolicyLint/v1"].as_str().unwrap();
        assert!(fingerprints.insert((uri, fingerprint)), "{uri}: {fingerprint} twice");
    }
}

/// Code scanning knows a finding again after lines have moved.
#[test]
fn fingerprints_outlive_moved_lines() {
    let text = fs::read_to_string(defect("pcr_with_0x")).unwrap();
    let fingerprint = |text: &str| {
        let output = run_with_input(&["policy", "lint", "--sarif", "-"], text.as_bytes());
        let log: Value = serde_json::from_slice(&output.stdout).unwrap();
        log["runs"][0]["results"][0]["partialFingerprints"].clone()
    };
    assert_eq!(fingerprint(&text), fingerprint(&text.replace("  ", "\n")));
    assert_ne!(fingerprint(&text), fingerprint(&text.replace("0x60ed", "0x60ee")));
}

#[test]
fn names_of_files_become_references() {
    let data_dir = DataDir::empty();
    let policy = fs::read_to_string(defect("pcr_with_0x")).unwrap();
    let path = data_dir.write("with space%ä.json", &policy);
    let log: Value = serde_json::from_slice(&lint(&["--sarif", &path]).stdout).unwrap();
    let uri = log["runs"][0]["artifacts"][0]["location"]["uri"].as_str().unwrap();
    assert!(uri.starts_with("file:///") && uri.ends_with("/with%20space%25%C3%A4.json"), "{uri}");
}

const SIGNED: &str = "testdata/eif/signed.eif";
const THREE_RAMDISKS: &str = "testdata/eif/three_ramdisks.eif";
const ROLE: &str = "arn:aws:iam::730335421987:role/worker";
const KEY_ADMIN: &str = "arn:aws:iam::730335421987:role/key-admin";

#[test]
fn an_image_becomes_a_policy_that_can_be_put_and_is_clean() {
    let data_dir = DataDir::initialised();
    data_dir.stdout(&["key", "create", "--alias", "alias/app"]);
    let whole = [
        "--principal",
        ROLE,
        "--account",
        KEY_ADMIN,
        "--pcr3",
        ROLE,
        "--pcr4",
        "i-0123456789abcdef0",
        "--with-pcr1",
        "--with-pcr2",
    ];
    let golden = [
        (&[SIGNED][..], file!["golden/policy_from_eif.txt"]),
        (&[&[SIGNED], &whole[..]].concat(), file!["golden/policy_from_eif_whole.txt"]),
        (
            &[THREE_RAMDISKS, "--statement", "--action", "kms:Decrypt"],
            file!["golden/policy_from_eif_statement.txt"],
        ),
    ];
    for (arguments, golden) in golden {
        let output = run(&[&["policy", "from-eif"], arguments].concat());
        assert_golden(&transcript(&output), golden);
        if arguments.contains(&"--statement") {
            continue;
        }
        let file = data_dir.write("policy.json", std::str::from_utf8(&output.stdout).unwrap());
        assert_eq!(lint(&[&file]).status.code(), Some(0), "{}", transcript(&lint(&[&file])));
        data_dir.stdout(&["policy", "put", "alias/app", &file]);
    }
    let whole = run(&[&["policy", "from-eif", SIGNED], &whole[..]].concat());
    let lint = run_with_input(&["policy", "lint", "--fail-on", "note", "-"], &whole.stdout);
    assert_eq!(transcript(&lint), "[status 0]\n", "nothing is left open");
}

#[test]
fn a_description_becomes_the_policy_that_its_image_becomes() {
    for image in [SIGNED, THREE_RAMDISKS] {
        let description = run(&["eif", "measure", "--json", image]).stdout;
        let from_description =
            run_with_input(&["policy", "from-describe-eif", "-", "--principal", ROLE], &description);
        assert_eq!(
            transcript(&from_description),
            transcript(&run(&["policy", "from-eif", image, "--principal", ROLE]))
        );
    }
    let refused = json!({"Measurements": {}, "CheckCRC": false}).to_string();
    assert_data_eq!(
        transcript(&run_with_input(&["policy", "from-describe-eif", "-"], refused.as_bytes())),
        str![[r#"
error: -: CheckCRC is false: the checksum is wrong
[status 1]

"#]]
    );
    for arguments in
        [&["policy", "from-eif", "Cargo.toml"][..], &["policy", "from-describe-eif", "Cargo.toml"]]
    {
        assert_eq!(run(arguments).status.code(), Some(1), "{arguments:?}");
    }
    for arguments in [
        &["--principal", "worker"][..],
        &["--action", "kms:Decyrpt"],
        &["--pcr3", "arn:aws:iam::730335421987:user/worker"],
        &["--pcr4", "i-1"],
        &["--account", "arn:aws:iam::730335421987:role/*"],
        &["--statement", "--account", "730335421987"],
    ] {
        let output = run(&[&["policy", "from-eif", SIGNED], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", transcript(&output));
    }
}

struct Enclave<'e> {
    registers: &'e [(u8, &'e str)],
    now: UnixTime,
}

impl RequestContext for Enclave<'_> {
    fn values(&self, key: &ConditionKey) -> ContextValues<'_> {
        match key {
            ConditionKey::RecipientAttestationPcr(index) => self
                .registers
                .iter()
                .find(|(register, _)| register == index)
                .map_or(ContextValues::Absent, |(_, value)| ContextValues::text(value)),
            ConditionKey::CurrentTime => ContextValues::One(ContextValue::Time(self.now)),
            _ => ContextValues::Absent,
        }
    }
}

#[test]
fn a_rollout_lets_both_images_in_and_no_mixture() {
    let until = "2999-01-01T00:00:00Z";
    let rollout = |old: &str, new: &str, until: &str| {
        run(&[
            "policy",
            "rollout",
            "--old",
            old,
            "--new",
            new,
            "--until",
            until,
            "--with-pcr2",
            "--account",
            KEY_ADMIN,
        ])
    };
    let output = rollout(THREE_RAMDISKS, SIGNED, until);
    assert_golden(&transcript(&output), file!["golden/policy_rollout.txt"]);
    let text = std::str::from_utf8(&output.stdout).unwrap();
    let policy = KeyPolicy::parse(text).unwrap();

    let measured: toml::Table =
        toml::from_str(&fs::read_to_string("testdata/eif/measured.toml").unwrap()).unwrap();
    let register = |image: &str, name: &str| measured[image][name].as_str().unwrap().to_owned();
    let (old0, old2) = (register("three_ramdisks", "PCR0"), register("three_ramdisks", "PCR2"));
    let (new0, new2, new8) =
        (register("signed", "PCR0"), register("signed", "PCR2"), register("signed", "PCR8"));
    let zero = "0".repeat(96);
    let before = UnixTime::parse_rfc3339("2998-12-31T23:59:59Z").unwrap();
    let after = UnixTime::parse_rfc3339(until).unwrap();
    for (registers, now, allowed) in [
        ([(0, &old0), (2, &old2), (8, &zero)], before, true),
        ([(0, &new0), (2, &new2), (8, &new8)], before, true),
        ([(0, &old0), (2, &old2), (8, &zero)], after, false),
        ([(0, &new0), (2, &new2), (8, &new8)], after, true),
        ([(0, &old0), (2, &new2), (8, &new8)], before, false),
        ([(0, &new0), (2, &old2), (8, &new8)], before, false),
        ([(0, &new0), (2, &new2), (8, &zero)], before, false),
        ([(0, &zero), (2, &zero), (8, &zero)], before, false),
    ] {
        let registers = registers.map(|(index, value)| (index, value.as_str()));
        let request = PolicyRequest {
            caller: &Caller::Anonymous,
            action: "kms:Decrypt",
            resource: "arn:aws:kms:us-east-1:000000000000:key/0f9d7a0c-6d5e-4c0a-9b1e-2f3a4b5c6d7e",
            context: &Enclave { registers: &registers, now },
        };
        assert_eq!(policy.evaluate(&request).is_allowed(), allowed, "{registers:?} at {now}");
    }

    assert_eq!(run_with_input(&["policy", "lint", "-"], text.as_bytes()).status.code(), Some(0));
    let later = run_with_input(&["policy", "lint", "--at", "2999-01-02T00:00:00Z", "-"], text.as_bytes());
    assert!(
        transcript(&later).contains("warning[NKB601] Statement[1] \"OldImage\""),
        "{}",
        transcript(&later)
    );

    // One image signed and unsigned is one image.
    let same = transcript(&rollout("testdata/eif/aarch64.eif", SIGNED, until));
    assert!(
        same.starts_with("error: testdata/eif/aarch64.eif and testdata/eif/signed.eif are one image"),
        "{same}"
    );
    let passed = transcript(&rollout(THREE_RAMDISKS, SIGNED, "2026-01-01T00:00:00Z"));
    assert!(passed.starts_with("error: --until 2026-01-01T00:00:00Z has passed"), "{passed}");
}

/// `docs/policy-lint.md` says what the catalogue says, of each code with a policy that shows it.
#[test]
fn the_document_has_every_code() {
    let manifest: toml::Table =
        toml::from_str(&fs::read_to_string("testdata/policies/expected.toml").unwrap()).unwrap();
    let mut document = fs::read_to_string("docs/policy-lint.md").unwrap();
    document.truncate(document.find("## Codes").expect("a heading"));
    document.push_str("## Codes\n");
    for Rule { code, name, severity, summary, why, fix } in rules() {
        let shown_by = |files: &(&String, &toml::Value)| {
            let findings = files.1["findings"].as_array().unwrap();
            findings.len() == 1 && findings[0].as_str().unwrap().ends_with(code)
        };
        let shows_too = |files: &(&String, &toml::Value)| {
            files.1["findings"]
                .as_array()
                .unwrap()
                .iter()
                .any(|finding| finding.as_str().unwrap().ends_with(code))
        };
        let defects = || manifest.iter().filter(|(file, _)| file.starts_with("defects/"));
        let (file, expected) = defects().find(shown_by).or_else(|| defects().find(shows_too)).unwrap();
        let path = format!("testdata/policies/{file}");
        let mut arguments = vec![path.as_str()];
        if expected.get("kind").is_some() {
            arguments.push("--identity");
        }
        let shown = lint(&arguments);
        let shown = std::str::from_utf8(&shown.stdout).unwrap();
        let of_code = format!("[{code}]");
        let example: Vec<&str> = shown.lines().skip_while(|line| !line.contains(&of_code)).take(3).collect();
        let example = example.join("\n").replace(&format!("{path}:"), "");
        write!(
            document,
            "\n### {code} {name}\n\n{severity}: {summary} {why}\n\n[{}](../{path})\n\n```text\n{example}\n```\n\nFix: {fix}.\n",
            file.trim_start_matches("defects/").trim_end_matches(".json"),
        )
        .unwrap();
    }
    assert_golden(&document, Data::read_from(Path::new("docs/policy-lint.md"), None));
}
