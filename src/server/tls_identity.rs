//! A private certification authority and a server certificate of it, for a quick start without a PKI.
//!
//! Clients pin the authority's certificate and nothing else, so no other name or authority can stand in. Both keys are
//! P-256 (ECDSA with SHA-256), which every TLS client knows.

use std::fmt;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls::pki_types::ServerName;
use zeroize::Zeroizing;

use crate::time::UnixTime;

/// The names of a server certificate unless others are given.
pub const DEFAULT_NAMES: [&str; 4] = ["localhost", "127.0.0.1", "::1", "nitro-key-broker"];

/// Ten years: clients have the authority's certificate built in, and enclave images are measured with it.
pub const CA_VALIDITY: Duration = Duration::from_secs(3653 * DAY);

/// 397 days: what section 6.3.2 of the CA/Browser Forum's Baseline Requirements recommended as the maximum until March
/// 2026. Clients hold only public authorities to the shorter terms since.
pub const SERVER_VALIDITY: Duration = Duration::from_secs(397 * DAY);

/// A client's clock may be behind by this much.
const BACKDATE: Duration = Duration::from_secs(3600);

const DAY: u64 = 24 * 60 * 60;

/// An authority and a server certificate of it, in PEM. The server certificate's chain is itself alone.
pub struct TlsIdentity {
    /// What clients pin.
    pub ca_certificate_pem: String,
    /// What signs further server certificates; belongs off the broker's host, or nowhere.
    pub ca_key_pem: Zeroizing<String>,
    /// What the server shows.
    pub server_certificate_pem: String,
    /// The server's private key (PKCS#8).
    pub server_key_pem: Zeroizing<String>,
    /// When the server certificate ends.
    pub server_not_after: UnixTime,
}

/// Leaves the keys out.
impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity")
            .field("ca_certificate_pem", &self.ca_certificate_pem)
            .field("server_certificate_pem", &self.server_certificate_pem)
            .field("server_not_after", &self.server_not_after)
            .finish_non_exhaustive()
    }
}

/// Makes an authority valid for [`CA_VALIDITY`] and a server certificate for `names`, DNS names and IP addresses,
/// valid for [`SERVER_VALIDITY`]; both begin an hour before `now`.
///
/// # Errors
/// When there is no name, or one that is neither a DNS name nor an IP address, or a key cannot be made.
pub fn mint(names: &[impl AsRef<str>], now: UnixTime) -> Result<TlsIdentity, MintError> {
    let names: Vec<String> = names.iter().map(|name| name.as_ref().to_owned()).collect();
    if names.is_empty() {
        return Err(MintError::NoNames);
    }
    if let Some(name) = names.iter().find(|name| ServerName::try_from(name.as_str()).is_err()) {
        return Err(MintError::InvalidName(name.clone()));
    }

    let ca_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let ca_params = ca_params(now)?;
    let ca_certificate = ca_params.self_signed(&ca_key)?;

    let server_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let ca = Issuer::from_params(&ca_params, &ca_key);
    let server_certificate = server_params(names, now)?.signed_by(&server_key, &ca)?;

    Ok(TlsIdentity {
        ca_certificate_pem: ca_certificate.pem(),
        ca_key_pem: Zeroizing::new(ca_key.serialize_pem()),
        server_certificate_pem: server_certificate.pem(),
        server_key_pem: Zeroizing::new(server_key.serialize_pem()),
        server_not_after: now.saturating_add(SERVER_VALIDITY),
    })
}

/// Why no identity was made.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// A server certificate without a name fits no client.
    #[error("a server certificate needs at least one name")]
    NoNames,
    /// Neither a DNS name nor an IP address.
    #[error("{0:?} is neither a DNS name nor an IP address")]
    InvalidName(String),
    /// X.509 has no such date.
    #[error("{0} is past the last date of X.509")]
    DateOutOfRange(UnixTime),
    /// rcgen or aws-lc-rs failed.
    #[error("cannot make the certificate")]
    Certificate(#[from] rcgen::Error),
}

fn ca_params(now: UnixTime) -> Result<CertificateParams, MintError> {
    let mut params = params(Vec::new(), now, CA_VALIDITY)?;
    // The date tells authorities apart when a client pins the old and the new one during a change.
    let common_name = format!("nitro-key-broker private CA {now}");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn server_params(names: Vec<String>, now: UnixTime) -> Result<CertificateParams, MintError> {
    let mut params = params(names, now, SERVER_VALIDITY)?;
    params.distinguished_name.push(DnType::CommonName, "nitro-key-broker");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn params(names: Vec<String>, now: UnixTime, validity: Duration) -> Result<CertificateParams, MintError> {
    let calendar = |time: UnixTime| time.to_calendar().ok_or(MintError::DateOutOfRange(time));
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = calendar(now.saturating_sub(BACKDATE))?;
    params.not_after = calendar(now.saturating_add(validity))?;
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT_NAMES, MintError, mint};
    use crate::time::UnixTime;

    #[test]
    fn refuses_names_that_no_client_could_ask_for() {
        let now = UnixTime::from_secs(1_767_472_867);
        assert_eq!(mint(&[""; 0], now).unwrap_err(), MintError::NoNames);
        for bad in ["", "two words", "a..b", "https://localhost", "::1%eth0"] {
            assert_eq!(mint(&["localhost", bad], now).unwrap_err(), MintError::InvalidName(bad.into()));
        }
        let end = UnixTime::from_ms(u64::MAX);
        assert!(matches!(mint(&DEFAULT_NAMES, end).unwrap_err(), MintError::DateOutOfRange(_)));
    }

    #[test]
    fn keys_stay_out_of_debug() {
        let identity = mint(&DEFAULT_NAMES, UnixTime::from_secs(1_767_472_867)).unwrap();
        assert!(!format!("{identity:?}").contains("PRIVATE KEY"));
        assert_eq!(identity.server_not_after.to_string(), "2027-02-04T20:41:07Z");
    }
}
