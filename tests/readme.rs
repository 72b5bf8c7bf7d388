//! What README.md tells people to type works: its shell blocks, in order, in one shell.
//!
//! There is no other kind of block. What the text says of `make`, and links, must lead somewhere.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/clients.rs"]
mod clients;

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

/// The ports in the README, which may be in use where this runs, and what starts to listen there.
const PORTS_IN_README: [(&str, &str); 2] = [("8443", "nitro-key-broker serve"), ("8000", "proxy --listen")];

#[test]
fn its_shell_blocks_run_in_order() {
    let venv = clients::require_venv();
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    // Held together, so that they are two.
    let listeners = PORTS_IN_README.map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let ports = listeners.each_ref().map(|listener| listener.local_addr().unwrap().port());
    drop(listeners);
    let path = [scratch.path().join("bin"), venv.join("bin")]
        .into_iter()
        .chain(env::split_paths(&env::var_os("PATH").unwrap()))
        .collect::<Vec<_>>();
    let output = Command::new("bash")
        .args(["-c", &script(&readme(), ports)])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("CARGO_INSTALL_ROOT", scratch.path())
        .env("CARGO_TARGET_DIR", target)
        .env("PATH", env::join_paths(path).unwrap())
        .env("TMPDIR", scratch.path())
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env_remove("NITRO_KEY_BROKER_DATA_DIR")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{text}");
    for expected in [
        "under AWS Nitro Enclaves root G1",
        "\"Plaintext\"",
        "\"CiphertextForRecipient\"",
        "\"outcome\":\"allowed\"",
    ] {
        assert!(text.contains(expected), "{expected} is not in\n{text}");
    }
}

#[test]
fn its_make_targets_exist() {
    let readme = readme();
    let targets: Vec<&str> = readme
        .split('`')
        .filter_map(|code| code.strip_prefix("make "))
        .filter(|target| !target.contains(char::is_whitespace))
        .collect();
    assert!(targets.contains(&"demo") && targets.contains(&"test"), "{targets:?}");
    for target in targets {
        let dry_run = Command::new("make")
            .args(["--dry-run", target])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(dry_run.status.success(), "make {target}: {}", String::from_utf8_lossy(&dry_run.stderr));
    }
}

#[test]
fn its_links_lead_somewhere() {
    for document in ["README.md", "SECURITY.md", "CHANGELOG.md", "docs/README.md", "docs/policy.md"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
        let text = fs::read_to_string(&path).unwrap();
        for target in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            let file = target.split('#').next().unwrap();
            let exists = file.is_empty() || path.parent().unwrap().join(file).exists();
            assert!(file.starts_with("https://") || exists, "{document} links to {target}");
        }
    }
}

/// One script of all shell blocks. It ends what it started, and waits for what listens where it is started.
fn script(readme: &str, ports: [u16; 2]) -> String {
    let mut script = "set -euo pipefail\ntrap 'kill $(jobs -p)' EXIT\n".to_owned();
    let blocks = shell_blocks(readme);
    assert!(blocks.len() > 5, "the README has lost its commands: {blocks:?}");
    for block in blocks {
        let mut block = block;
        for ((in_readme, _), port) in PORTS_IN_README.iter().zip(ports) {
            block = block.replace(in_readme, &port.to_string());
        }
        script += &block;
        for (_, port) in PORTS_IN_README.iter().zip(ports).filter(|((_, starts), _)| block.contains(starts)) {
            let listens = format!("(exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null");
            writeln!(script, "for try in {{1..100}}; do if {listens}; then break; fi; sleep 0.1; done")
                .unwrap();
        }
    }
    script
}

fn shell_blocks(readme: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = readme.lines();
    while let Some(line) = lines.next() {
        let Some(kind) = line.strip_prefix("```") else { continue };
        assert_eq!(kind, "sh", "a block that no test runs: say what it is for here");
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        blocks.push(block.join("\n") + "\n");
    }
    blocks
}

fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}
