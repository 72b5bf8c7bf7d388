//! OpenSSL's command line, the implementation on the other side.

use std::process::{Command, Output};

use tempfile::TempDir;

/// Runs `openssl` with files that arguments name by `{name}`.
pub fn run(files: &[(&str, &[u8])], arguments: &[&str]) -> Output {
    let folder = TempDir::new().unwrap();
    let mut arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    for (name, content) in files {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        for argument in &mut arguments {
            *argument = argument.replace(&format!("{{{name}}}"), path.to_str().unwrap());
        }
    }
    Command::new("openssl").args(&arguments).output().unwrap()
}

/// As [`run`], and it must succeed.
pub fn output(files: &[(&str, &[u8])], arguments: &[&str]) -> Vec<u8> {
    let output = run(files, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A new private key in PKCS#8 and its public half, both DER.
pub fn key_pair(algorithm: &[&str]) -> (Vec<u8>, Vec<u8>) {
    // In DER, genpkey writes the older forms of RSA and elliptic-curve keys.
    let key = output(&[], &[&["genpkey", "-outform", "DER"], algorithm].concat());
    let to_pkcs8 = ["pkcs8", "-topk8", "-nocrypt", "-inform", "DER", "-in", "{key}", "-outform", "DER"];
    let pkcs8 = output(&[("key", &key)], &to_pkcs8);
    let public = public_half(&pkcs8);
    (pkcs8, public)
}

pub fn public_half(pkcs8: &[u8]) -> Vec<u8> {
    output(&[("key", pkcs8)], &["pkey", "-inform", "DER", "-in", "{key}", "-pubout", "-outform", "DER"])
}

pub fn digest(name: &str, message: &[u8]) -> Vec<u8> {
    output(&[("message", message)], &["dgst", &format!("-{name}"), "-binary", "{message}"])
}
