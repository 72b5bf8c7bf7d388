//! A broker process with keys, credentials and attestation documents for the clients.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};
use tempfile::TempDir;

/// The principal whose credentials the clients have.
const PARENT: &str = "arn:aws:iam::000000000000:role/parent";

/// A principal that makes keys of its own.
const MAKER: &str = "arn:aws:iam::000000000000:role/maker";

/// A principal that no policy names.
const WORKER: &str = "arn:aws:sts::000000000000:assumed-role/worker/one";

#[derive(Clone, Copy)]
pub enum Transport {
    Tls,
    Plain,
}

/// Longer than by default, so that documents stay fresh while a busy machine runs the tests.
const MAX_DOCUMENT_AGE_SECONDS: u32 = 1800;

/// Ends with its value.
pub struct Broker {
    process: Child,
    directory: TempDir,
    endpoint: String,
    credential: Value,
    maker: Value,
}

impl Broker {
    pub fn start(transport: Transport) -> Self {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let place = Place { path: directory.path() };
        let documents = place.mint_documents();
        let pcr0 = image_pcr0();
        place.broker(&["init", "--tls"]);
        let app = place.create_key("app", &policy_for_everybody_in(&pcr0));
        let other = place.create_key("other", &policy_for_everybody_in(&pcr0));
        let parents_only = place.create_key("parents-only", &policy_for_the_parent_in(&pcr0));
        let disabled = place.create_key("disabled", &policy_for_everybody_in(&pcr0));
        let managed = place.create_key("managed", &policy_for_the_parent());
        let mortal = place.create_key("mortal", &policy_for_the_parent());
        let external = place.create_key_with("external", &policy_for_the_parent(), &["--origin", "EXTERNAL"]);
        let of_kind = |name: &str, spec: &str, usage: &str| {
            let options = ["--key-spec", spec, "--key-usage", usage];
            place.create_key_with(name, &policy_for_the_parent(), &options)
        };
        let rsa = of_kind("rsa", "RSA_2048", "ENCRYPT_DECRYPT");
        let rsa_signing = of_kind("rsa-signing", "RSA_2048", "SIGN_VERIFY");
        let ecdsa = of_kind("ecdsa", "ECC_NIST_P256", "SIGN_VERIFY");
        let ed25519 = of_kind("ed25519", "ECC_NIST_EDWARDS25519", "SIGN_VERIFY");
        let ecdh = of_kind("ecdh", "ECC_NIST_P384", "KEY_AGREEMENT");
        let mac = of_kind("mac", "HMAC_256", "GENERATE_VERIFY_MAC");
        let permanent = place.create_credential(&[]);
        let session = place.create_credential(&["--session-seconds", "900"]);
        let expired = place.create_credential(&["--session-seconds", "900"]);
        let worker = place.create_credential_of(WORKER, &["--session-seconds", "900"]);

        let of_account = place.create_principals();

        let (process, endpoint) = place.serve(transport);
        fs::write(place.file("policy-of-the-maker.json"), policy_for(MAKER).to_string()).unwrap();
        let keys = json!({"app": app, "other": other, "parents-only": parents_only, "disabled": disabled,
            "managed": managed, "mortal": mortal, "external": external,
            "rsa": rsa, "rsa-signing": rsa_signing, "ecdsa": ecdsa, "ed25519": ed25519, "ecdh": ecdh, "mac": mac});
        let mut credentials =
            json!({"permanent": permanent, "session": session, "expired": expired, "worker": worker});
        credentials.as_object_mut().unwrap().extend(of_account);
        let maker = credentials["maker"].clone();
        let setting = json!({
            "endpoint": endpoint,
            "program": env!("CARGO_BIN_EXE_nitro-key-broker"),
            "ca": place.file("data/tls/ca.pem"),
            "database": place.file("data/keys.sqlite3"),
            "audit_log": place.file("data/audit.jsonl"),
            "keys": keys,
            "credentials": credentials,
            "documents": documents,
            "private_key": place.file("key.der"),
            "directory": place.path,
            "command": [env!("CARGO_BIN_EXE_nitro-key-broker"), "--data-dir", place.file("data")],
        });
        fs::write(place.file("setting.json"), setting.to_string()).unwrap();
        Self { process, directory, endpoint, credential: permanent, maker }
    }

    /// `aws kms`, set to talk to this broker as the parent.
    pub fn aws(&self, venv: &Path) -> Command {
        let mut command = Command::new(venv.join("bin/aws"));
        self.let_sign(&self.credential, command.args(["--output", "json", "kms"]));
        command
    }

    /// Tells a client where this broker is, and how to sign as one who may make keys.
    pub fn let_make_keys(&self, client: &mut Command) {
        self.let_sign(&self.maker, client);
    }

    fn let_sign(&self, credential: &Value, client: &mut Command) {
        let ca = self.path("data/tls/ca.pem");
        client
            .env("AWS_ENDPOINT_URL_KMS", &self.endpoint)
            .env("AWS_CA_BUNDLE", &ca)
            .env("NODE_EXTRA_CA_CERTS", &ca)
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_MAX_ATTEMPTS", "1")
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_ACCESS_KEY_ID", credential["AccessKeyId"].as_str().unwrap())
            .env("AWS_SECRET_ACCESS_KEY", credential["SecretAccessKey"].as_str().unwrap())
            .env_remove("AWS_SESSION_TOKEN")
            .env_remove("AWS_PROFILE");
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The parent's credential.
    pub fn credential_environment(&self) -> [(&'static str, &str); 2] {
        let member = |name: &str| self.credential[name].as_str().unwrap();
        [("AWS_ACCESS_KEY_ID", member("AccessKeyId")), ("AWS_SECRET_ACCESS_KEY", member("SecretAccessKey"))]
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What the broker said last.
    pub fn end_of_log(&self) -> String {
        const LINES: usize = 40;
        let log = fs::read_to_string(self.path("log")).unwrap();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended by itself, which its log then tells.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Place<'a> {
    path: &'a Path,
}

impl Place<'_> {
    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Runs a subcommand of the broker and returns what it prints.
    fn broker(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nitro-key-broker"));
        output(command.arg("--data-dir").arg(self.file("data")).args(arguments))
    }

    fn create_key(&self, name: &str, policy: &Value) -> Value {
        self.create_key_with(name, policy, &[])
    }

    fn create_key_with(&self, name: &str, policy: &Value, options: &[&str]) -> Value {
        let file = self.file("policy.json");
        fs::write(&file, policy.to_string()).unwrap();
        let alias = format!("alias/{name}");
        let arguments = ["key", "create", "--alias", &alias, "--policy", file.to_str().unwrap()];
        let printed = self.broker(&[&arguments, options].concat());
        let arn = printed.trim();
        let (prefix, id) = arn.split_once("key/").unwrap();
        json!({"id": id, "arn": arn, "alias": alias, "alias_arn": format!("{prefix}{alias}")})
    }

    fn create_credential(&self, options: &[&str]) -> Value {
        self.create_credential_of(PARENT, options)
    }

    fn create_credential_of(&self, principal: &str, options: &[&str]) -> Value {
        let arguments = [&["credential", "create", "--json", "--principal", principal], options].concat();
        serde_json::from_str(&self.broker(&arguments)).unwrap()
    }

    /// Who lives by identity policies: their credentials by name.
    fn create_principals(&self) -> serde_json::Map<String, Value> {
        let statement = |effect: &str, action: Value, resource: &str, condition: Value| json!({"Effect": effect, "Action": action, "Resource": resource, "Condition": condition});
        let always = json!({"Bool": {"aws:PrincipalIsAWSService": "false"}});
        let blue = json!({"StringEquals": {"aws:ResourceTag/Team": "blue"}});
        let own_aliases = "arn:aws:kms:*:*:alias/${aws:username}/*";
        let keys = "arn:aws:kms:*:*:key/*";
        let mut credentials = serde_json::Map::new();
        for (name, principal, statements) in [
            (
                "admin",
                "arn:aws:iam::000000000000:user/admin",
                vec![
                    statement("Allow", json!(["kms:CreateKey", "kms:List*", "s3:*"]), "*", always.clone()),
                    statement("Allow", json!("kms:TagResource"), "*", always.clone()),
                    statement("Allow", json!("kms:*"), keys, always.clone()),
                    statement("Allow", json!("kms:*Alias"), own_aliases, always.clone()),
                ],
            ),
            (
                "user",
                "arn:aws:iam::000000000000:user/team/user",
                vec![
                    statement("Allow", json!(["kms:GenerateDataKey", "kms:Decrypt"]), keys, blue),
                    statement("Deny", json!("kms:DisableKey"), "*", always.clone()),
                ],
            ),
            (
                "stranger",
                "arn:aws:iam::444455556666:role/stranger",
                vec![statement("Allow", json!("kms:*"), "*", always.clone())],
            ),
            ("maker", MAKER, vec![statement("Allow", json!("kms:*"), "*", always)]),
            ("root", "arn:aws:iam::000000000000:root", Vec::new()),
            ("later", "arn:aws:iam::000000000000:role/later", Vec::new()),
        ] {
            if !statements.is_empty() {
                let file = self.file("identity.json");
                fs::write(&file, json!({"Version": "2012-10-17", "Statement": statements}).to_string())
                    .unwrap();
                self.broker(&["principal", "policy", "put", principal, "own", file.to_str().unwrap()]);
            }
            credentials.insert(name.to_owned(), self.create_credential_of(principal, &[]));
        }
        credentials
    }

    fn serve(&self, transport: Transport) -> (Child, String) {
        let listen = match transport {
            Transport::Tls => "https://127.0.0.1:0",
            Transport::Plain => "http://127.0.0.1:0",
        };
        let mut process = Command::new(env!("CARGO_BIN_EXE_nitro-key-broker"))
            .arg("--data-dir")
            .arg(self.file("data"))
            .args(["serve", "--listen", listen, "--trust-anchor"])
            .arg(self.file("root/root.pem"))
            .args(["--max-document-age", &MAX_DOCUMENT_AGE_SECONDS.to_string()])
            .stdout(Stdio::piped())
            .stderr(File::create(self.file("log")).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let endpoint = line.trim().strip_prefix("listening on ").unwrap_or_else(|| {
            panic!("the broker does not listen: {}", fs::read_to_string(self.file("log")).unwrap())
        });
        (process, endpoint.to_owned())
    }

    /// Documents of a simulated enclave, all but the good one with a defect.
    fn mint_documents(&self) -> Value {
        let root = self.file("root");
        output(sample().arg("development-root").arg(&root));
        let image = format!("0={}", image_pcr0());
        let other_image = format!("0={}", "ab".repeat(48));
        let too_old = (MAX_DOCUMENT_AGE_SECONDS + 1).to_string();
        let options: [(&str, &[&str]); 4] = [
            ("good", &["--pcr", &image]),
            ("other_image", &["--pcr", &other_image]),
            ("stale", &["--pcr", &image, "--document-age", &too_old]),
            ("debug", &["--pcr", &image, "--debug-enclave"]),
        ];
        let mut documents = serde_json::Map::new();
        for (name, options) in options {
            let document = self.file(&format!("{name}.bin"));
            let mut command = sample();
            command.arg("--simulated-nsm").arg(&root).args(options).arg("attestation-document");
            command.arg("--output").arg(&document);
            if name == "good" {
                command.arg("--private-key-out").arg(self.file("key.der"));
            }
            output(&mut command);
            documents.insert(name.to_owned(), json!(document));
        }
        Value::Object(documents)
    }
}

/// Whoever runs the image may obtain and decrypt data keys; the parent may have some made that it cannot read.
fn policy_for_everybody_in(pcr0: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Enclave",
                "Effect": "Allow",
                "Principal": "*",
                "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
                "Resource": "*",
                "Condition": {"StringEqualsIgnoreCase": {"kms:RecipientAttestation:PCR0": pcr0}},
            },
            {
                "Sid": "Parent",
                "Effect": "Allow",
                "Principal": {"AWS": PARENT},
                "Action": "kms:GenerateDataKeyWithoutPlaintext",
                "Resource": "*",
            },
        ],
    })
}

/// The image is not enough: the request must be the parent's, too.
fn policy_for_the_parent_in(pcr0: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"AWS": PARENT},
            "Action": "kms:*",
            "Resource": "*",
            "Condition": {"StringEqualsIgnoreCase": {"kms:RecipientAttestation:ImageSha384": pcr0}},
        },
    })
}

/// The parent may do everything that releases nothing to it.
fn policy_for_the_parent() -> Value {
    policy_for(PARENT)
}

fn policy_for(principal: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow", "Principal": {"AWS": principal}, "Action": "kms:*", "Resource": "*",
        },
    })
}

pub fn image_pcr0() -> String {
    "4b".repeat(48)
}

/// The sample's program, which belongs to another package: cargo builds it for tests of its own only.
pub fn sample() -> Command {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let program = BUILT.get_or_init(|| {
        let folder = Path::new(env!("CARGO_BIN_EXE_nitro-key-broker")).parent().unwrap();
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        output(
            Command::new(env!("CARGO"))
                .args(["build", "--quiet", "--locked", "--package", "enclave-sample"])
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .env("CARGO_TARGET_DIR", target),
        );
        folder.join("enclave-sample")
    });
    Command::new(program)
}

fn output(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    assert!(status.success(), "{command:?}: {status}\n{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}
