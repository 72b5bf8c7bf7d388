//! The files of a run, and commands of the broker on them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use enclave_sample::nsm::simulated::DevelopmentRoot;
use serde_json::{Value, json};

use crate::tools::Tools;

/// PCR0, PCR1 and PCR2 in hexadecimal.
pub type Measured = [String; 3];

/// A folder that stays for whoever looks into it.
pub struct Setting(PathBuf);

impl Setting {
    /// A broker's data directory with a TLS identity, another one whose CA nobody trusts, and a development root.
    pub fn make(tools: &Tools, name: &str) -> Self {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let setting = Self(target.join("e2e").join(name));
        let _ = std::fs::remove_dir_all(&setting.0);
        std::fs::create_dir_all(setting.run()).unwrap();
        for data in [setting.data(), setting.other_data()] {
            run(tools.broker().arg("--data-dir").arg(data).args(["init", "--tls"]));
        }
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        DevelopmentRoot::generate(hour_ago).unwrap().save(&setting.development_root()).unwrap();
        setting
    }

    pub fn run(&self) -> PathBuf {
        self.0.join("run")
    }

    pub fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    pub fn other_data(&self) -> PathBuf {
        self.0.join("other-data")
    }

    pub fn development_root(&self) -> PathBuf {
        self.0.join("development-root")
    }

    /// PCR0, PCR1 and PCR2 as an operator finds them.
    pub fn measure(&self, tools: &Tools, eif: &[u8]) -> Measured {
        let file = self.0.join("image.eif");
        std::fs::write(&file, eif).unwrap();
        let report = run(tools.broker().args(["eif", "measure", "--json"]).arg(&file));
        let report: Value = serde_json::from_str(&report).unwrap();
        [0, 1, 2].map(|index| report["Measurements"][format!("PCR{index}")].as_str().unwrap().to_owned())
    }

    pub fn create_keys(&self, tools: &Tools, pcr0: &str) {
        let policy = json!({"Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Principal": "*", "Resource": "*",
            "Action": ["kms:GenerateDataKey", "kms:GenerateDataKeyPair", "kms:Decrypt", "kms:DeriveSharedSecret"],
            "Condition": {"StringEqualsIgnoreCase": {"kms:RecipientAttestation:PCR0": pcr0}}}});
        let file = self.0.join("policy.json");
        std::fs::write(&file, policy.to_string()).unwrap();
        let create = |arguments: &[&str]| {
            let mut command = tools.broker();
            command.arg("--data-dir").arg(self.data()).args(["key", "create", "--policy"]).arg(&file);
            run(command.args(arguments))
        };
        create(&["--alias", "alias/app"]);
        create(&[
            "--alias",
            "alias/agreement",
            "--key-spec",
            "ECC_NIST_P256",
            "--key-usage",
            "KEY_AGREEMENT",
        ]);
    }
}

/// Runs a command that must succeed; yields its standard output.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
