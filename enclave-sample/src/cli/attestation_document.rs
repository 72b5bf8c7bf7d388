//! `enclave-sample attestation-document`

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::Args;
use enclave_sample::nsm::{AttestationRequest, Nsm as _};
use enclave_sample::recipient::{RecipientKey, RecipientKeySize};

use super::failure::Failure;
use super::nsm_options::NsmOptions;
use super::output::{print, write_new_file};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Write the document to this new file, binary [default: base64 on stdout]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Simulated NSM: write the RSA private key to this new file, PKCS#8 DER, mode 0600, so that other tools can open
    /// what a broker answers to the document
    #[arg(long, value_name = "FILE")]
    private_key_out: Option<PathBuf>,
}

pub(super) fn run(nsm: &NsmOptions, arguments: Arguments) -> Result<(), Failure> {
    let Arguments { output, private_key_out } = arguments;
    if private_key_out.is_some() && !nsm.is_simulated() {
        return Err(Failure::usage("--private-key-out needs --simulated-nsm DIR")
            .with_hint("a real enclave's private key stays in it"));
    }
    let key = RecipientKey::generate(RecipientKeySize::default())?;
    let document = nsm.open()?.attestation_document(&AttestationRequest::with_public_key(key.spki_der()))?;
    if let Some(path) = private_key_out {
        write_new_file(&path, &key.to_pkcs8_der()?)?;
    }
    match output {
        Some(path) => write_new_file(&path, &document),
        None => print((BASE64.encode(document) + "\n").as_bytes()),
    }
}
