//! Options that say where the broker is and how it is known.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use enclave_sample::client::{
    BrokerClient, CredentialSource, Credentials, Endpoint, KeyPin, RetryPolicy, TlsTrust, TransportSecurity,
    region_from_env,
};
use enclave_sample::recipient::{Recipient, RecipientKey, RecipientKeySize};

use super::failure::Failure;
use super::nsm_options::NsmOptions;

/// How old a program's RSA key gets before it makes another.
const RENEW_KEY_AFTER: Duration = Duration::from_hours(24);

#[derive(Args, Debug)]
#[command(next_help_heading = "Broker")]
pub(super) struct ConnectionOptions {
    /// Where the broker listens: https://HOST:PORT, http://HOST:PORT, unix:/PATH or vsock://CID:PORT
    #[arg(
        long,
        visible_alias = "endpoint-url",
        global = true,
        value_name = "URL",
        env = "ENCLAVE_SAMPLE_ENDPOINT"
    )]
    endpoint: Option<Endpoint>,

    /// PEM file of the CA that issued the broker's certificate; no other is trusted
    #[arg(long, global = true, value_name = "FILE", env = "ENCLAVE_SAMPLE_CA")]
    ca: Option<PathBuf>,

    /// SHA-256 of the broker's public key, sha256:HEX, in place of a CA or besides it; several with commas
    #[arg(long, global = true, value_name = "PIN", env = "ENCLAVE_SAMPLE_KEY_PIN", value_delimiter = ',')]
    key_pin: Vec<KeyPin>,

    /// Name in the broker's certificate [default: the https host, else nitro-key-broker]
    #[arg(long, global = true, value_name = "NAME", env = "ENCLAVE_SAMPLE_SERVER_NAME")]
    server_name: Option<String>,

    /// Development only: talk in the clear to a broker that proves nothing about itself. An envelope does not show who
    /// made it, so whoever sits on the path can hand out a data key of their own and read what is sealed under it
    #[arg(long, global = true)]
    insecure_plaintext_transport: bool,

    /// How often a request is sent when it fails on the way, or the broker is busy
    #[arg(long, global = true, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100))]
    max_attempts: u32,

    /// How long a request may take, all attempts together
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    deadline: u64,

    /// Development only: leave the attestation document out, to see the broker refuse
    #[arg(long, global = true)]
    no_recipient: bool,
}

/// Whether requests are signed; without any of these they are not.
#[derive(Args, Debug)]
#[command(next_help_heading = "Broker")]
pub(super) struct SigningOptions {
    /// Sign requests with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN
    #[arg(long, global = true)]
    sign_with_env_credentials: bool,

    /// Sign requests with the credentials in this JSON file, which is read for each request and may be replaced at any
    /// time: AccessKeyId, SecretAccessKey, SessionToken
    #[arg(long, global = true, value_name = "FILE", env = "ENCLAVE_SAMPLE_CREDENTIALS_FILE")]
    credentials_file: Option<PathBuf>,

    /// The region that requests are signed for [default: AWS_REGION, AWS_DEFAULT_REGION, else us-east-1]
    #[arg(long, global = true)]
    region: Option<String>,
}

impl SigningOptions {
    pub(super) fn credentials(&self) -> Result<Option<CredentialSource>, Failure> {
        let region = self.region.clone().unwrap_or_else(region_from_env);
        match (&self.credentials_file, self.sign_with_env_credentials) {
            (None, false) => Ok(None),
            (None, true) => Ok(Some(Credentials::from_env()?.in_region(region).into())),
            (Some(path), false) => Ok(Some(CredentialSource::File { path: path.clone(), region })),
            (Some(_), true) => Err(Failure::usage(
                "--credentials-file and --sign-with-env-credentials contradict each other",
            )),
        }
    }
}

impl ConnectionOptions {
    /// A client with a new RSA key and a document from the chosen NSM.
    pub(super) fn client(
        &self,
        nsm: &NsmOptions,
        credentials: Option<CredentialSource>,
    ) -> Result<BrokerClient, Failure> {
        let endpoint = self.endpoint.clone().ok_or_else(|| {
            Failure::usage("this command needs --endpoint URL")
                .with_hint("from an enclave to its parent instance: --endpoint vsock://3:8000")
        })?;
        self.client_of(endpoint, self.server_name.as_deref(), nsm, credentials)
    }

    /// The same where no endpoint and no name need be given.
    pub(super) fn client_with_defaults(
        &self,
        endpoint: Endpoint,
        server_name: &str,
        nsm: &NsmOptions,
        credentials: Option<CredentialSource>,
    ) -> Result<BrokerClient, Failure> {
        let endpoint = self.endpoint.clone().unwrap_or(endpoint);
        self.client_of(endpoint, Some(self.server_name.as_deref().unwrap_or(server_name)), nsm, credentials)
    }

    fn client_of(
        &self,
        endpoint: Endpoint,
        server_name: Option<&str>,
        nsm: &NsmOptions,
        credentials: Option<CredentialSource>,
    ) -> Result<BrokerClient, Failure> {
        let security = self.security(server_name)?;
        let key_size = RecipientKeySize::default();
        let recipient = Recipient::new(nsm.open()?, RecipientKey::generate(key_size)?)
            .renewing_key_after(RENEW_KEY_AFTER, key_size);
        let mut client = BrokerClient::new(endpoint, security, Arc::new(recipient))?.retrying(RetryPolicy {
            max_attempts: self.max_attempts,
            deadline: Duration::from_secs(self.deadline),
            ..RetryPolicy::default()
        });
        if let Some(credentials) = credentials {
            client = client.signing_with(credentials);
        }
        if self.no_recipient {
            client = client.omitting_recipient();
        }
        Ok(client)
    }

    fn security(&self, server_name: Option<&str>) -> Result<TransportSecurity, Failure> {
        let pins = || self.key_pin.clone();
        let trust = match (&self.ca, self.key_pin.is_empty()) {
            (Some(ca), true) => TlsTrust::from_ca_file(ca)?,
            (Some(ca), false) => TlsTrust::from_ca_file_and_key_pins(ca, pins())?,
            (None, false) => TlsTrust::from_key_pins(pins())?,
            (None, true) if self.insecure_plaintext_transport => {
                eprintln!(
                    "warning: plaintext transport: nothing shows that the answers come from the broker"
                );
                return Ok(TransportSecurity::InsecurePlaintext);
            }
            (None, true) => {
                return Err(Failure::usage(
                    "nothing vouches for the broker: this command needs --ca FILE or --key-pin PIN",
                )
                .with_hint(
                    "the broker's `init --tls` writes the CA certificate; \
                     for development there is --insecure-plaintext-transport",
                ));
            }
        };
        if self.insecure_plaintext_transport {
            let option = if self.ca.is_some() { "--ca" } else { "--key-pin" };
            return Err(Failure::usage(format!(
                "{option} and --insecure-plaintext-transport contradict each other"
            )));
        }
        Ok(TransportSecurity::Tls(match server_name {
            Some(name) => trust.with_server_name(name),
            None => trust,
        }))
    }
}
