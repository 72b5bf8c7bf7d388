//! Options that say where the broker is and how it is known.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use enclave_sample::client::{BrokerClient, Credentials, Endpoint, TlsTrust, TransportSecurity};
use enclave_sample::recipient::{Recipient, RecipientKey, RecipientKeySize};

use super::failure::Failure;
use super::nsm_options::NsmOptions;

#[derive(Args, Debug)]
#[command(next_help_heading = "Broker")]
pub(super) struct ConnectionOptions {
    /// Where the broker listens: https://HOST:PORT, http://HOST:PORT, unix:/PATH or vsock://CID:PORT
    #[arg(long, global = true, value_name = "URL", env = "ENCLAVE_SAMPLE_ENDPOINT")]
    endpoint: Option<Endpoint>,

    /// PEM file of the CA that issued the broker's certificate; no other is trusted
    #[arg(long, global = true, value_name = "FILE", env = "ENCLAVE_SAMPLE_CA")]
    ca: Option<PathBuf>,

    /// Name in the broker's certificate [default: the https host, else nitro-key-broker]
    #[arg(long, global = true, value_name = "NAME")]
    server_name: Option<String>,

    /// Development only: talk in the clear to a broker that proves nothing about itself. An envelope does not show who
    /// made it, so whoever sits on the path can hand out a data key of their own and read what is sealed under it
    #[arg(long, global = true)]
    insecure_plaintext_transport: bool,

    /// Sign requests with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; otherwise none are sent
    #[arg(long, global = true)]
    sign_with_env_credentials: bool,

    /// Development only: leave the attestation document out, to see the broker refuse
    #[arg(long, global = true)]
    no_recipient: bool,
}

impl ConnectionOptions {
    /// A client with a new RSA key and a document from the chosen NSM.
    pub(super) fn client(&self, nsm: &NsmOptions) -> Result<BrokerClient, Failure> {
        let endpoint = self.endpoint.clone().ok_or_else(|| {
            Failure::usage("this command needs --endpoint URL")
                .with_hint("from an enclave to its parent instance: --endpoint vsock://3:8000")
        })?;
        let security = self.security()?;
        let key = RecipientKey::generate(RecipientKeySize::default())?;
        let recipient = Arc::new(Recipient::new(nsm.open()?, key));
        let mut client = BrokerClient::new(endpoint, security, recipient)?;
        if self.sign_with_env_credentials {
            client = client.signing_with(Credentials::from_env()?);
        }
        if self.no_recipient {
            client = client.omitting_recipient();
        }
        Ok(client)
    }

    fn security(&self) -> Result<TransportSecurity, Failure> {
        match (&self.ca, self.insecure_plaintext_transport) {
            (Some(_), true) => {
                Err(Failure::usage("--ca and --insecure-plaintext-transport contradict each other"))
            }
            (Some(ca), false) => {
                let trust = TlsTrust::from_ca_file(ca)?;
                Ok(TransportSecurity::Tls(match &self.server_name {
                    Some(name) => trust.with_server_name(name),
                    None => trust,
                }))
            }
            (None, true) => {
                eprintln!(
                    "warning: plaintext transport: nothing shows that the answers come from the broker"
                );
                Ok(TransportSecurity::InsecurePlaintext)
            }
            (None, false) => {
                Err(Failure::usage("nothing vouches for the broker: this command needs --ca FILE").with_hint(
                    "the broker's `init --tls` writes the CA certificate; \
                     for development there is --insecure-plaintext-transport",
                ))
            }
        }
    }
}
