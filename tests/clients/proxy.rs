//! The enclave's proxy in front of a broker, as a process of its own.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::broker::{Broker, image_pcr0, sample};

/// As whom the proxy asks.
#[derive(Clone, Copy)]
pub enum Identity {
    Nobody,
    Parent,
}

/// Ends with its value.
pub struct Proxy {
    process: Child,
    pub url: String,
}

impl Proxy {
    /// In a simulated enclave whose image the keys' policies name.
    pub fn start(broker: &Broker, identity: Identity) -> Self {
        let mut command = sample();
        command
            .args(["proxy", "--listen", "127.0.0.1:0", "--endpoint", broker.endpoint(), "--ca"])
            .arg(broker.path("data/tls/ca.pem"))
            .arg("--simulated-nsm")
            .arg(broker.path("root"))
            .args(["--pcr", &format!("0={}", image_pcr0())]);
        if let Identity::Parent = identity {
            command.arg("--sign-with-env-credentials").envs(broker.credential_environment());
        }
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("no proxy: {line:?}"));
        Self { url: url.to_owned(), process }
    }

    /// What an SDK needs to find it, and credentials that no broker knows.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL_KMS", self.url.clone()),
            ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "AKIDOFNOBODY".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "known to nobody".to_owned()),
            ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
        ]
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended by itself, which a test then noticed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `aws kms`, which finds the proxy by its environment.
pub fn aws(venv: &std::path::Path, proxy: &Proxy) -> Command {
    let mut command = Command::new(venv.join("bin/aws"));
    command.args(["--output", "json", "kms"]).envs(proxy.environment());
    command
}
