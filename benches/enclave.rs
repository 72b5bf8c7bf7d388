//! The enclave's side against the real broker: the sample as a library, and an application that starts its program for
//! each request, in the same run.
//!
//! `cargo bench --bench enclave`. Both have one request under way at a time, over plain HTTP on the loopback, which
//! spares the program a handshake for each request.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "a measurement may stop at the first surprise, and its result goes to standard output"
)]

#[path = "../tests/support/broker/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod broker;
#[path = "../tests/support/process.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod process;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use broker::enclave::{Enclave, development_root};
use broker::policy_on_pcr0;
use enclave_sample::client::{BrokerClient, Decrypt, GenerateDataKey, TransportSecurity};
use enclave_sample::nsm::simulated::{SimulatedClock, SimulatedEnclave, SimulatedNsm};
use enclave_sample::recipient::{Recipient, RecipientKey, RecipientKeySize};
use process::{BrokerProcess, DataFolder};

/// How often the two take turns.
const TURNS: usize = 11;
const PROGRAM_REQUESTS: usize = 5;
const LIBRARY_REQUESTS: usize = 300;
const TASKS: usize = 16;
const RATIO_TARGET: f64 = 50.0;

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let program = build_program();
    let folder = DataFolder::init();
    let root = folder.path().with_file_name("development-root");
    development_root().save(&root).unwrap();
    let key = folder.create_key(&policy_on_pcr0(&Enclave::new().pcr(0)));
    let broker = BrokerProcess::start(&folder);
    let endpoint = format!("http://{}", broker.address());
    let application = Application { program, endpoint: endpoint.clone(), root, key: key.clone() };

    let begin = Instant::now();
    let rsa_key = RecipientKey::generate(RecipientKeySize::Rsa2048).unwrap();
    let key_generation = begin.elapsed();
    let nsm = SimulatedNsm::new(
        Arc::clone(development_root()),
        SimulatedEnclave::default(),
        SimulatedClock::System,
    )
    .unwrap();
    let recipient = Arc::new(Recipient::new(nsm, rsa_key));
    let client =
        BrokerClient::new(endpoint.parse().unwrap(), TransportSecurity::InsecurePlaintext, recipient)
            .unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let library = Arc::new(Library { client, request: GenerateDataKey::aes_256(key) });

    // Once each, so that neither pays for what is done once.
    application.run(1);
    runtime.block_on(library.run(1));
    let mut turns: Vec<(f64, f64)> = (0..TURNS)
        .map(|_| {
            let begin = Instant::now();
            application.run(PROGRAM_REQUESTS);
            let program = rate(PROGRAM_REQUESTS, begin.elapsed());
            let begin = Instant::now();
            runtime.block_on(library.run(LIBRARY_REQUESTS));
            (program, rate(LIBRARY_REQUESTS, begin.elapsed()))
        })
        .collect();
    turns.sort_by(|one, other| (one.1 / one.0).total_cmp(&(other.1 / other.0)));
    let (program_rate, library_rate) = turns[TURNS / 2];
    let ratios =
        (turns[0].1 / turns[0].0, library_rate / program_rate, turns[TURNS - 1].1 / turns[TURNS - 1].0);

    let begin = Instant::now();
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..TASKS {
            let library = Arc::clone(&library);
            tasks.spawn(async move { library.run(LIBRARY_REQUESTS).await });
        }
        tasks.join_all().await;
    });
    let together = rate(TASKS * LIBRARY_REQUESTS, begin.elapsed());

    println!("GenerateDataKey, one at a time, medians of {TURNS} turns");
    println!("  a program started for each: {program_rate:8.1} /s");
    println!("  the library:                {library_rate:8.1} /s");
    println!(
        "  ratio:                      {:8.1} (target ≥ {RATIO_TARGET:.0}: {}), turns {:.1} to {:.1}",
        ratios.1,
        if ratios.1 >= RATIO_TARGET { "met" } else { "MISSED" },
        ratios.0,
        ratios.2
    );
    println!("  the library, {TASKS} at a time:  {together:8.1} /s on this machine, the broker beside it");
    println!(
        "  one RSA-2048 key, made once by the library and for each request by the program: {key_generation:.1?}"
    );
}

/// An application that asks by starting a program, as with AWS's tool.
struct Application {
    program: PathBuf,
    endpoint: String,
    root: PathBuf,
    key: String,
}

impl Application {
    fn run(&self, requests: usize) {
        for _ in 0..requests {
            let output = Command::new(&self.program)
                .args(["--endpoint", &self.endpoint, "--insecure-plaintext-transport", "--simulated-nsm"])
                .arg(&self.root)
                .args(["generate-data-key", "--key-spec", "AES_256", "--key-id", &self.key])
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

struct Library {
    client: BrokerClient,
    request: GenerateDataKey,
}

impl Library {
    async fn run(&self, requests: usize) {
        for number in 0..requests {
            let data_key = self.client.generate_data_key(&self.request).await.unwrap();
            if number == 0 {
                let decrypted = self.client.decrypt(&Decrypt::blob(data_key.ciphertext_blob)).await.unwrap();
                assert_eq!(decrypted.plaintext, data_key.plaintext);
            }
        }
    }
}

fn rate(requests: usize, elapsed: Duration) -> f64 {
    requests as f64 / elapsed.as_secs_f64()
}

/// The sample's program, built as the broker is.
fn build_program() -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_nitro-key-broker")).parent().unwrap();
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--release", "--package", "enclave-sample"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("CARGO_TARGET_DIR", folder.parent().unwrap())
        .status()
        .unwrap();
    assert!(built.success());
    folder.join("enclave-sample")
}
