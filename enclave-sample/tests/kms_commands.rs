//! The AWS CLI's flags and those of kmstool-enclave-cli.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use enclave_sample::client::KeyPin;
use enclave_sample::nsm::simulated::DevelopmentRoot;
use serde_json::{Value, json};
use support::broker::{Broker, KEY_ARN, key_pair};

const PROGRAM: &str = env!("CARGO_BIN_EXE_enclave-sample");

/// A stand-in broker and the environment that leads to it, as an image would have it.
struct World {
    broker: Broker,
    environment: Vec<(&'static str, String)>,
}

impl World {
    fn new() -> Self {
        let broker = Broker::start();
        let root = broker.path("root");
        DevelopmentRoot::generate(SystemTime::now()).unwrap().save(&root).unwrap();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let environment = vec![
            ("ENCLAVE_SAMPLE_ENDPOINT", format!("https://localhost:{}", broker.tls_address.port())),
            ("ENCLAVE_SAMPLE_CA", text(&broker.ca_file)),
            ("ENCLAVE_SAMPLE_SIMULATED_NSM", text(&root)),
        ];
        Self { broker, environment }
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(self.environment.iter().cloned()).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(PROGRAM, arguments).output().unwrap()
    }

    fn stdout(&self, arguments: &[&str]) -> String {
        succeeded(&self.run(arguments))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.stdout(arguments)).unwrap()
    }

    /// What the broker got last.
    fn asked(&self) -> Value {
        let mut json = self.broker.received().pop().unwrap().json;
        json["Recipient"].take();
        json.as_object_mut().unwrap().remove("Recipient");
        json
    }

    /// Status and stderr of what must fail without printing, less the warning about the simulated NSM.
    fn failure(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.run(arguments);
        assert_eq!(output.stdout, b"");
        let stderr = String::from_utf8(output.stderr).unwrap();
        let stderr =
            stderr.lines().filter(|line| !line.contains("SIMULATED NSM")).collect::<Vec<_>>().join("\n");
        (output.status.code().unwrap(), stderr)
    }
}

fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn each_operation_answers_as_kms_does_without_a_recipient() {
    let world = World::new();
    let (_, public_key) = key_pair("ECC_NIST_P256");
    fs::write(world.broker.path("public.der"), &public_key).unwrap();
    let public_file = format!("fileb://{}", world.broker.path("public.der").display());
    for (arguments, members) in [
        (
            &["generate-data-key", "--key-id", "alias/k", "--key-spec", "AES_256"][..],
            &["CiphertextBlob", "KeyId", "Plaintext"][..],
        ),
        (
            &["generate-data-key-pair", "--key-id", "alias/k", "--key-pair-spec", "ECC_NIST_P384"],
            &["KeyId", "KeyPairSpec", "PrivateKeyCiphertextBlob", "PrivateKeyPlaintext", "PublicKey"],
        ),
        (&["generate-random", "--number-of-bytes", "32"], &["Plaintext"]),
        (
            &[
                "derive-shared-secret",
                "--key-id",
                "alias/k",
                "--key-agreement-algorithm",
                "ECDH",
                "--public-key",
                &public_file,
            ],
            &["KeyAgreementAlgorithm", "KeyId", "SharedSecret"],
        ),
    ] {
        let answer = world.json(arguments);
        assert_eq!(answer.as_object().unwrap().keys().collect::<Vec<_>>(), members, "{arguments:?}");
    }
    assert_eq!(world.asked()["PublicKey"], BASE64.encode(public_key));
}

#[test]
fn parameters_come_from_flags_before_they_come_from_a_document() {
    let world = World::new();
    let document = json!({
        "KeyId": "alias/document",
        "NumberOfBytes": 16,
        "EncryptionContext": {"from": "document"},
        "GrantTokens": ["a"],
    });
    let file = world.broker.path("input.json");
    fs::write(&file, document.to_string()).unwrap();
    let file = format!("file://{}", file.display());
    for input in [document.to_string(), file] {
        world.stdout(&["generate-data-key", "--cli-input-json", &input]);
        assert_eq!(world.asked(), document);
    }
    let input = document.to_string();
    world.stdout(&[
        "generate-data-key",
        "--cli-input-json",
        &input,
        "--key-id",
        "alias/flag",
        "--encryption-context",
        "a=1,b=2",
    ]);
    let asked = world.asked();
    assert_eq!(asked["KeyId"], "alias/flag");
    assert_eq!(asked["EncryptionContext"], json!({"a": "1", "b": "2"}));
    assert_eq!(asked["NumberOfBytes"], 16);

    let output = world.run(&[
        "generate-random",
        "--cli-input-json",
        r#"{"NumberOfBytes": 8}"#,
        "--query",
        "length(Plaintext)",
    ]);
    assert_eq!(succeeded(&output), "12\n");
}

#[test]
fn a_document_that_does_not_fit_is_wrong_usage() {
    let world = World::new();
    for (arguments, expected) in [
        (&["generate-data-key"][..], "error: the following arguments are required: --key-id"),
        (
            &["derive-shared-secret", "--key-id", "k"],
            "error: the following arguments are required: --key-agreement-algorithm, --public-key",
        ),
        (
            &["generate-data-key", "--key-id", "k"],
            "error: the parameters are not those of GenerateDataKey: exactly one of KeySpec (AES_256 or AES_128) \
             and NumberOfBytes says how long the key shall be",
        ),
        (
            &["generate-random", "--cli-input-json", r#"{"NumberOfByte": 1}"#],
            "error: GenerateRandom has no parameter \"NumberOfByte\"\n\
             hint: --generate-cli-skeleton prints those that it has",
        ),
        (
            &["generate-random", "--cli-input-json", r#"{"NumberOfBytes": "1"}"#],
            "error: the parameters are not those of GenerateRandom: invalid type: string \"1\", expected u32",
        ),
        (
            &["generate-random", "--cli-input-json", "[]"],
            "error: --cli-input-json is not a JSON object: invalid type: sequence, expected a map at line 1 column 0",
        ),
        (
            &["generate-random", "--number-of-bytes", "1", "--query", "a["],
            "error: --query is no JMESPath expression: Parse error: Expected ']', ':', or ','; found EOF (line 0, column 2)",
        ),
    ] {
        let (status, message) = world.failure(arguments);
        assert_eq!(status, 2, "{message}");
        assert!(message.starts_with(expected.split(": Parse").next().unwrap()), "{message}");
    }
    assert!(world.broker.received().is_empty());
}

#[test]
fn a_skeleton_is_a_document_of_all_parameters_and_asks_nobody() {
    let world = World::new();
    for command in
        ["generate-data-key", "decrypt", "generate-data-key-pair", "generate-random", "derive-shared-secret"]
    {
        let skeleton = world.json(&[command, "--generate-cli-skeleton"]);
        assert_eq!(skeleton, world.json(&[command, "--generate-cli-skeleton", "input"]));
        assert!(skeleton.get("Recipient").is_none());
        let answer = world.json(&[command, "--generate-cli-skeleton", "output"]);
        assert!(answer.as_object().unwrap().values().all(Value::is_string), "{answer}");
    }
    assert!(world.broker.received().is_empty());
    let random = world.stdout(&["generate-random", "--generate-cli-skeleton"]);
    assert_eq!(random, "{\n  \"NumberOfBytes\": 0\n}\n");
}

#[test]
fn answers_are_picked_from_and_printed_as_text() {
    let world = World::new();
    let key = ["generate-data-key", "--key-id", "alias/k", "--key-spec", "AES_128"];
    let text = world.stdout(&[&key[..], &["--output", "text"]].concat());
    let fields: Vec<&str> = text.trim_end().split('\t').collect();
    assert_eq!((fields.len(), fields[1]), (3, KEY_ARN));
    let plaintext = world.stdout(&[&key[..], &["--output", "text", "--query", "Plaintext"]].concat());
    assert_eq!(BASE64.decode(plaintext.trim_end()).unwrap().len(), 16);
    let picked = world.json(&[&key[..], &["--query", "{id: KeyId}"]].concat());
    assert_eq!(picked, json!({"id": KEY_ARN}));
}

#[test]
fn a_pinned_key_takes_the_place_of_a_ca() {
    let mut world = World::new();
    let pin = KeyPin::of(&world.broker.tls_spki).to_string();
    world.environment.retain(|(name, _)| *name != "ENCLAVE_SAMPLE_CA");
    let random = ["generate-random", "--number-of-bytes", "1"];
    world.stdout(&[&random[..], &["--key-pin", &pin]].concat());
    let wrong = KeyPin::of(b"another").to_string();
    let (status, message) = world.failure(&[&random[..], &["--key-pin", &wrong]].concat());
    assert_eq!(status, 1);
    assert!(message.starts_with("error: no TLS with https://localhost:"), "{message}");
    assert_eq!(world.failure(&random).0, 2);
    let both = [&random[..], &["--key-pin", &pin, "--insecure-plaintext-transport"]].concat();
    let (status, message) = world.failure(&both);
    let expected = "error: --key-pin and --insecure-plaintext-transport contradict each other";
    assert_eq!((status, message.as_str()), (2, expected));
}

#[test]
fn signing_has_a_region() {
    let world = World::new();
    let arguments = ["generate-random", "--number-of-bytes", "1", "--sign-with-env-credentials"];
    let region = |more: &[&str]| {
        let mut command = world.command(PROGRAM, &[&arguments[..], more].concat());
        command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "secret");
        succeeded(&command.env("AWS_REGION", "eu-west-1").output().unwrap());
        let authorization = world.broker.received().pop().unwrap().headers.remove("authorization").unwrap();
        authorization.split('/').nth(2).unwrap().to_owned()
    };
    assert_eq!(region(&[]), "eu-west-1");
    assert_eq!(region(&["--region", "ap-south-1"]), "ap-south-1");
}

#[test]
fn credentials_come_from_a_file_that_may_be_replaced() {
    let world = World::new();
    let file = world.broker.path("credentials.json");
    let path = file.to_str().unwrap();
    let random = ["generate-random", "--number-of-bytes", "1", "--credentials-file", path];
    for name in ["AKIDFIRST", "AKIDSECOND"] {
        let contents =
            json!({"Version": 1, "AccessKeyId": name, "SecretAccessKey": "s", "SessionToken": name});
        fs::write(&file, contents.to_string()).unwrap();
        world.stdout(&random);
        let headers = world.broker.received().pop().unwrap().headers;
        assert!(headers["authorization"].contains(&format!("Credential={name}/")));
        assert_eq!(headers["x-amz-security-token"], name);
    }
    fs::remove_file(&file).unwrap();
    let (status, message) = world.failure(&random);
    assert_eq!(status, 1);
    assert!(message.starts_with(&format!("error: cannot read the credentials in {path}: ")), "{message}");
    let both = [&random[..], &["--sign-with-env-credentials"]].concat();
    assert_eq!(world.failure(&both).0, 2);
}

const CREDENTIALS: [&str; 6] = [
    "--aws-access-key-id",
    "AKIDEXAMPLE",
    "--aws-secret-access-key",
    "secret",
    "--aws-session-token",
    "token",
];

/// As an application finds it that shells out to AWS's tool: by its name, in any folder.
#[test]
fn under_the_name_of_kmstool_it_is_kmstool() {
    let mut world = World::new();
    world.environment.push(("ENCLAVE_SAMPLE_SERVER_NAME", "localhost".to_owned()));
    let program = world.broker.path("kmstool_enclave_cli");
    symlink(PROGRAM, &program).unwrap();
    let kmstool = |arguments: &[&str]| {
        let output = world.command(&program, &[arguments, &CREDENTIALS].concat()).output().unwrap();
        succeeded(&output)
    };
    let key = kmstool(&[
        "genkey",
        "--region",
        "eu-west-1",
        "--proxy-port",
        "8000",
        "--key-id",
        "alias/k",
        "--key-spec",
        "AES-256",
    ]);
    let [ciphertext, plaintext] = &key.lines().collect::<Vec<_>>()[..] else { panic!("{key}") };
    let ciphertext = ciphertext.strip_prefix("CIPHERTEXT: ").unwrap();
    assert_eq!(BASE64.decode(plaintext.strip_prefix("PLAINTEXT: ").unwrap()).unwrap().len(), 32);
    let received = world.broker.received().pop().unwrap();
    assert!(received.headers["authorization"].contains("/eu-west-1/kms/aws4_request"));
    assert_eq!(received.headers["x-amz-security-token"], "token");
    assert_eq!(world.asked(), json!({"KeyId": "alias/k", "KeySpec": "AES_256"}));

    let decrypted = kmstool(&[
        "decrypt",
        "--ciphertext",
        ciphertext,
        "--key-id",
        KEY_ARN,
        "--encryption-algorithm",
        "SYMMETRIC_DEFAULT",
    ]);
    assert_eq!(decrypted, format!("{plaintext}\n"));
    let random = kmstool(&["genrandom", "--length", "24"]);
    let random = random.strip_prefix("PLAINTEXT: ").and_then(|line| line.strip_suffix('\n')).unwrap();
    assert_eq!(BASE64.decode(random).unwrap().len(), 24);

    // The short flags, and the name as the first argument of the process rather than the file's.
    let output = world
        .command(
            PROGRAM,
            &[
                "genkey",
                "-r",
                "us-east-1",
                "-x",
                "8000",
                "-k",
                "AK",
                "-s",
                "s",
                "-t",
                "t",
                "-K",
                "alias/k",
                "-p",
                "AES-128",
            ],
        )
        .arg0("/app/kmstool_enclave_cli")
        .output()
        .unwrap();
    assert_eq!(succeeded(&output).lines().count(), 2);
    let again = world.stdout(&[&["kmstool-enclave-cli", "genrandom", "-l", "1"], &CREDENTIALS[..]].concat());
    assert!(again.starts_with("PLAINTEXT: "));
}

#[test]
fn kmstools_failures_have_status_1_and_print_nothing() {
    let mut world = World::new();
    let kmstool = |arguments: &[&str]| world.failure(&[&["kmstool-enclave-cli"], arguments].concat());
    // KMS's own name is not in this broker's certificate.
    let (status, message) = kmstool(&[&["genrandom", "--length", "1"], &CREDENTIALS[..]].concat());
    assert_eq!(status, 1);
    assert!(message.contains("no TLS with"), "{message}");
    for arguments in [&["genrandom"][..], &["unknown"], &[], &["genkey", "--key-spec", "AES-512"]] {
        assert_eq!(kmstool(arguments).0, 1, "{arguments:?}");
    }
    world.environment.push(("ENCLAVE_SAMPLE_SERVER_NAME", "localhost".to_owned()));
    let arguments = [&["kmstool-enclave-cli", "decrypt", "--ciphertext", "YQ=="], &CREDENTIALS[..]].concat();
    let (status, message) = world.failure(&arguments);
    assert_eq!(status, 1);
    assert!(message.starts_with("error: InvalidCiphertextException: "), "{message}");
}
