//! The program as a user meets it: outputs, messages and exit statuses.
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
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use enclave_sample::cms::open_enveloped_data;
use enclave_sample::nsm::simulated::DevelopmentRoot;
use enclave_sample::recipient::RecipientKey;
use serde_json::{Value, json};
use support::broker::{Broker, KEY_ARN, envelope};

/// The program, seeing nothing of the environment but what a test gives it.
fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_enclave-sample"));
    command.env_clear().args(arguments);
    command
}

fn run(arguments: &[&str]) -> Output {
    program(arguments).output().unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn succeeded(output: Output) -> Output {
    assert!(output.status.success(), "{}", stderr(&output));
    output
}

/// Status and stderr of a command that must print nothing on stdout.
fn failed(output: &Output) -> (i32, &str) {
    assert_eq!(output.stdout, b"");
    (output.status.code().unwrap(), stderr(output))
}

/// A stand-in broker, a development root, and the options that lead to both.
struct World {
    broker: Broker,
    root: String,
    endpoint: String,
    ca: String,
}

const SIMULATED: &str = "warning: SIMULATED NSM: its documents prove nothing, use it for development only\n";

impl World {
    fn new() -> Self {
        let broker = Broker::start();
        let root = broker.path("root").to_str().unwrap().to_owned();
        succeeded(run(&["development-root", &root]));
        let endpoint = format!("https://localhost:{}", broker.tls_address.port());
        let ca = broker.ca_file.to_str().unwrap().to_owned();
        Self { broker, root, endpoint, ca }
    }

    fn path(&self, name: &str) -> String {
        self.broker.path(name).to_str().unwrap().to_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program(arguments);
        command.args(["--endpoint", &self.endpoint, "--ca", &self.ca, "--simulated-nsm", &self.root]);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_data_key_is_printed_as_the_aws_cli_prints_it_and_decrypts_again() {
    let world = World::new();
    let output = succeeded(world.run(&[
        "generate-data-key",
        "--key-id",
        "alias/files",
        "--key-spec",
        "AES_256",
        "--encryption-context",
        "a=1,b=2",
    ]));
    assert_eq!(stderr(&output), SIMULATED);
    let data_key = json_of(&output);
    assert_eq!(data_key["KeyId"], KEY_ARN);
    assert_eq!(data_key.as_object().unwrap().len(), 3);
    let plaintext = data_key["Plaintext"].as_str().unwrap();
    assert_eq!(BASE64.decode(plaintext).unwrap().len(), 32);

    let blob = data_key["CiphertextBlob"].as_str().unwrap();
    let context = r#"{"b":"2","a":"1"}"#;
    let decrypted = json_of(&succeeded(world.run(&[
        "decrypt",
        "--ciphertext-blob",
        blob,
        "--encryption-context",
        context,
    ])));
    let expected =
        json!({"KeyId": KEY_ARN, "Plaintext": plaintext, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"});
    assert_eq!(decrypted, expected);

    fs::write(world.path("blob"), BASE64.decode(blob).unwrap()).unwrap();
    let file = format!("fileb://{}", world.path("blob"));
    let arguments = ["decrypt", "--key-id", KEY_ARN, "--encryption-context", context];
    let from_file = json_of(&succeeded(world.run(&[&arguments[..], &["--ciphertext-blob", &file]].concat())));
    assert_eq!(from_file, decrypted);
}

#[test]
fn every_parameter_reaches_the_broker() {
    let world = World::new();
    succeeded(world.run(&[
        "generate-data-key",
        "--key-id",
        "alias/files",
        "--number-of-bytes",
        "9",
        "--grant-tokens",
        "one",
        "two",
    ]));
    let received = world.broker.received();
    assert_eq!(received[0].json["NumberOfBytes"], 9);
    assert_eq!(received[0].json["GrantTokens"], json!(["one", "two"]));
    assert_eq!(received[0].json.get("EncryptionContext"), None);
    assert_eq!(received[0].headers.get("authorization"), None);
}

#[test]
fn a_dry_run_that_would_succeed_succeeds_and_prints_no_key() {
    let world = World::new();
    let arguments = ["generate-data-key", "--key-id", "alias/files", "--key-spec", "AES_128", "--dry-run"];
    let output = succeeded(world.run(&arguments));
    assert_eq!(output.stdout, b"");
    assert_eq!(stderr(&output), format!("{SIMULATED}dry run: the request would have succeeded\n"));
}

#[test]
fn credentials_are_sent_only_on_request() {
    let world = World::new();
    let arguments = ["generate-data-key", "--key-id", "alias/files", "--key-spec", "AES_256"];
    let run = |sign: bool| {
        let mut command = world.command(&arguments);
        command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "secret");
        if sign {
            command.arg("--sign-with-env-credentials");
        }
        succeeded(command.output().unwrap());
        world.broker.received().pop().unwrap().headers.remove("authorization")
    };
    assert_eq!(run(false), None);
    assert!(run(true).unwrap().starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"));

    let unset = [&arguments[..], &["--sign-with-env-credentials"]].concat();
    let expected = "error: signing needs the environment variable AWS_ACCESS_KEY_ID\n";
    assert_eq!(failed(&world.run(&unset)), (2, expected));
}

#[test]
fn a_file_is_sealed_and_opened_again() {
    let world = World::new();
    let plain = world.path("report.txt");
    fs::write(&plain, b"quarterly figures").unwrap();
    let output = succeeded(world.run(&["seal", &plain, "--key-id", "alias/files"]));
    let sealed = world.path("report.txt.sealed");
    assert_eq!(stderr(&output), format!("{SIMULATED}sealed {sealed} under {KEY_ARN}\n"));
    assert!(!fs::read(&sealed).unwrap().windows(9).any(|window| window == b"quarterly"));

    fs::remove_file(&plain).unwrap();
    let output = succeeded(world.run(&["open", &sealed]));
    assert_eq!(stderr(&output), format!("{SIMULATED}opened {plain} with {KEY_ARN}\n"));
    assert_eq!(fs::read(&plain).unwrap(), b"quarterly figures");

    let received = world.broker.received();
    assert_eq!(received[0].json["EncryptionContext"], json!({"purpose": "enclave-sample file"}));
    assert_eq!(received[1].json["EncryptionContext"], json!({"purpose": "enclave-sample file"}));
    assert_eq!(received[1].json["KeyId"], KEY_ARN);

    let refused = world.run(&["open", &sealed]);
    assert_eq!(
        failed(&refused),
        (
            1,
            format!(
                "{SIMULATED}error: {plain} exists and is not overwritten\n\
                 hint: choose another name with --output, or give --force\n"
            )
            .as_str()
        )
    );
    succeeded(world.run(&["open", &sealed, "--force"]));
}

/// With less memory than the file is long, on a terminal.
#[test]
fn a_file_larger_than_memory_is_sealed_and_opened_with_progress() {
    const BYTES: u64 = 192 << 20;
    const ADDRESS_SPACE_KIB: u64 = 160 << 10;
    let world = World::new();
    let plain = world.path("large");
    fs::File::create(&plain).unwrap().set_len(BYTES).unwrap();
    let sealed = world.path("large.sealed");
    for (arguments, verb) in [
        (&["seal", &plain, "--key-id", "alias/files"][..], "sealing"),
        (&["open", &sealed, "--force"], "opening"),
    ] {
        let limited = format!("ulimit -v {ADDRESS_SPACE_KIB}; export MALLOC_ARENA_MAX=1; exec \"$@\"");
        let program = world.command(arguments);
        let mut words = vec![limited, "sh".to_owned(), program.get_program().to_str().unwrap().to_owned()];
        words.extend(program.get_args().map(|word| word.to_str().unwrap().to_owned()));
        let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        // `script` gives it a terminal.
        let output = Command::new("script")
            .args(["--quiet", "--return", "--command", &format!("sh -c {}", quoted.join(" ")), "/dev/null"])
            .output()
            .unwrap();
        let shown = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{shown}");
        assert!(shown.contains(&format!("\r\u{1b}[2K{verb} ")) && shown.contains(" of 192."), "{shown}");
    }
    assert_eq!(fs::metadata(&plain).unwrap().len(), BYTES);
}

#[test]
fn an_altered_sealed_file_opens_to_nothing() {
    let world = World::new();
    let plain = world.path("plain");
    fs::write(&plain, vec![7; 200_000]).unwrap();
    let context = ["--encryption-context", "customer=42"];
    succeeded(world.run(&[&["seal", &plain, "--key-id", "alias/files"], &context[..]].concat()));
    let sealed = world.path("plain.sealed");
    let mut bytes = fs::read(&sealed).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&sealed, &bytes).unwrap();

    let names_before = names(world.broker.directory());
    let output = world.run(&["open", &sealed, "-o", &world.path("opened")]);
    assert_eq!(
        failed(&output),
        (
            1,
            format!(
                "{SIMULATED}error: chunk 3 is not authentic: the file was altered or cut off, or the data key is \
                 another one\nhint: nothing was written; fetch the sealed file again from where it is kept\n"
            )
            .as_str()
        )
    );
    assert_eq!(names(world.broker.directory()), names_before);

    // The context in the header is what the broker is asked with.
    let at = bytes.windows(2).position(|window| window == b"42").unwrap();
    bytes[at] = b'5';
    fs::write(&sealed, &bytes).unwrap();
    let output = world.run(&["open", &sealed, "-o", &world.path("opened")]);
    let (status, message) = failed(&output);
    assert_eq!(status, 1);
    assert!(
        message.contains(
            "error: InvalidCiphertextException: the ciphertext does not open (request request-1)\n"
        )
    );
}

#[test]
fn a_refusal_names_the_exception_and_what_to_look_at() {
    let world = World::new();
    let output = world.run(&[
        "generate-data-key",
        "--key-id",
        "alias/files",
        "--key-spec",
        "AES_256",
        "--no-recipient",
    ]);
    assert_eq!(
        failed(&output),
        (
            1,
            format!(
                "{SIMULATED}error: AccessDeniedException: no Recipient: plaintext is never released (request \
                 request-1)\nhint: does the key's policy allow this enclave's PCR values? `enclave-sample \
                 attestation-document` writes the document to look at\n"
            )
            .as_str()
        )
    );
}

#[test]
fn a_broker_that_releases_plaintext_is_not_believed() {
    let world = World::new();
    world.broker.state.alter(|honest| honest["Plaintext"] = json!("c2VjcmV0"));
    let arguments = ["generate-data-key", "--key-id", "alias/files", "--key-spec", "AES_256"];
    let output = world.run(&arguments);
    let (status, message) = failed(&output);
    assert_eq!(status, 1);
    assert!(message.contains("error: the broker's answer holds Plaintext"), "{message}");
    assert!(!message.contains("c2VjcmV0"));
}

#[test]
fn the_transport_must_be_authenticated_or_called_insecure() {
    let world = World::new();
    let plain_endpoint = format!("http://{}", world.broker.address);
    let key = ["generate-data-key", "--key-id", "alias/files", "--key-spec", "AES_256"];
    let with = |options: &[&str]| {
        let nsm = ["--simulated-nsm", &world.root];
        run(&[&key[..], &nsm, options].concat())
    };
    let needs_ca = "error: nothing vouches for the broker: this command needs --ca FILE or --key-pin PIN\n\
                    hint: the broker's `init --tls` writes the CA certificate; for development there is \
                    --insecure-plaintext-transport\n";
    let socket = format!("unix:{}", world.broker.socket.display());
    for endpoint in [plain_endpoint.as_str(), &socket, "vsock://3:8000", "https://localhost:1"] {
        assert_eq!(failed(&with(&["--endpoint", endpoint])), (2, needs_ca), "{endpoint}");
    }
    for endpoint in [plain_endpoint.as_str(), &socket] {
        let output = succeeded(with(&["--endpoint", endpoint, "--insecure-plaintext-transport"]));
        assert!(stderr(&output).starts_with("warning: plaintext transport: "), "{}", stderr(&output));
    }
    let tls_socket = format!("unix:{}", world.broker.tls_socket.display());
    succeeded(with(&["--endpoint", &tls_socket, "--ca", &world.ca]));

    let both = ["--endpoint", &plain_endpoint, "--ca", &world.ca, "--insecure-plaintext-transport"];
    let contradiction = "error: --ca and --insecure-plaintext-transport contradict each other\n";
    assert_eq!(failed(&with(&both)), (2, contradiction));
    let (status, message) = (with(&[]).status.code(), with(&[]));
    assert_eq!(status, Some(2));
    assert!(stderr(&message).starts_with("error: this command needs --endpoint URL\n"));
    assert_eq!(with(&["--endpoint", "ftp://broker"]).status.code(), Some(2));
}

#[test]
fn claims_are_for_simulated_enclaves_only() {
    let pcr = format!("0={}", "ab".repeat(48));
    for (option, value) in
        [("--pcr", Some(pcr.as_str())), ("--debug-enclave", None), ("--document-age", Some("60"))]
    {
        let arguments: Vec<&str> = ["attestation-document", option].into_iter().chain(value).collect();
        let expected = format!(
            "error: {option} needs --simulated-nsm DIR\nhint: a real NSM measures, it does not take claims\n"
        );
        assert_eq!(failed(&run(&arguments)), (2, expected.as_str()));
    }
    let output = run(&["attestation-document", "--nsm", "/nonexistent/nsm"]);
    let (status, message) = failed(&output);
    assert_eq!(status, 1);
    assert!(message.starts_with("error: cannot open the NSM device /nonexistent/nsm: "), "{message}");
    assert!(message.contains("\nhint: the device exists only inside a Nitro Enclave"), "{message}");
}

#[test]
fn a_document_and_its_private_key_serve_other_tools() {
    let world = World::new();
    let (document, key) = (world.path("document"), world.path("key"));
    let pcr = format!("0={}", "ab".repeat(48));
    let nsm = ["--simulated-nsm", &world.root, "--pcr", &pcr];
    let files = ["attestation-document", "--output", &document, "--private-key-out", &key];
    succeeded(run(&[&files[..], &nsm].concat()));
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);

    let key = RecipientKey::from_pkcs8_der(&fs::read(&key).unwrap()).unwrap();
    let document = fs::read(&document).unwrap();
    assert_eq!(document[..3], [0x84, 0x44, 0xa1]);
    assert!(document.windows(294).any(|window| window == key.spki_der()));
    assert!(document.windows(48).any(|window| window == [0xab; 48]));
    let sealed = envelope(key.spki_der(), b"secret");
    assert_eq!(*open_enveloped_data(&sealed, &key).unwrap(), *b"secret");

    let text = succeeded(run(&[&["attestation-document"], &nsm[..]].concat())).stdout;
    let text = String::from_utf8(text).unwrap();
    assert_eq!(BASE64.decode(text.trim_end()).unwrap()[..3], [0x84, 0x44, 0xa1]);

    assert_eq!(run(&[&files[..], &nsm].concat()).status.code(), Some(1), "nothing is overwritten");
    let real = run(&["attestation-document", "--private-key-out", "key"]);
    assert_eq!(
        failed(&real),
        (
            2,
            "error: --private-key-out needs --simulated-nsm DIR\nhint: a real enclave's private key stays in it\n"
        )
    );
}

#[test]
fn a_development_root_is_made_once() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    let root_text = root.to_str().unwrap();
    let output = succeeded(run(&["development-root", root_text]));
    assert_eq!(
        stderr(&output),
        format!(
            "made a development root; a broker trusts it only when told so: {root_text}/root.pem\n\
             warning: whoever reads its key can claim any measurement\n"
        )
    );
    DevelopmentRoot::load(&root).unwrap();
    let again = run(&["development-root", root_text]);
    let expected = format!("error: {root_text}/root.key.pem exists and is not overwritten\n");
    assert_eq!(failed(&again), (1, expected.as_str()));

    let missing = run(&["attestation-document", "--simulated-nsm", "/nonexistent"]);
    let (status, message) = failed(&missing);
    assert_eq!(status, 1);
    assert!(message.ends_with("hint: make a root with `enclave-sample development-root DIR`\n"), "{message}");
}

#[test]
fn wrong_usage_has_status_2_and_help_has_status_0() {
    for arguments in [
        &["generate-data-key", "--key-id", "k"][..],
        &["generate-data-key", "--key-id", "k", "--key-spec", "AES_256", "--number-of-bytes", "1"],
        &["generate-data-key", "--key-id", "k", "--key-spec", "AES_512"],
        &["attestation-document", "--pcr", "0=00"],
        &["decrypt", "--ciphertext-blob", "YQ==", "--encryption-context", "novalue"],
        &["unknown"],
        &[],
    ] {
        assert_eq!(run(arguments).status.code(), Some(2), "{arguments:?}");
    }
    let help = succeeded(run(&["--help"]));
    let text = String::from_utf8(help.stdout).unwrap();
    for command in
        ["generate-data-key", "decrypt", "seal", "open", "attestation-document", "development-root"]
    {
        assert!(text.contains(command), "{command}");
    }
    let world = World::new();
    let output = world.run(&["decrypt", "--ciphertext-blob", "%"]);
    let expected =
        "error: --ciphertext-blob is not base64\nhint: write fileb://PATH to send the bytes of a file\n";
    assert_eq!(failed(&output), (2, expected));
    let sealed = world.path("file");
    let output = world.run(&["open", &sealed]);
    assert_eq!(output.status.code(), Some(2));
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
