//! The certificates of a simulated document: root → regional → zonal → instance → leaf, each with the names, validity
//! and extensions that the same level has on real hardware, in the same order and encoding.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rcgen::string::PrintableString;
use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue, Issuer, KeyPair,
    PKCS_ECDSA_P384_SHA384, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;

use super::root::DevelopmentRoot;
use super::{SimulatedEnclave, SimulatedNsmError};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// The AWS root runs from 2019-10-28T13:28:05Z to 2049-10-28T14:28:05Z: thirty years and an hour.
pub(super) const ROOT_VALIDITY: Duration = Duration::from_hours(10_958 * 24 + 1);
const REGIONAL_VALIDITY: Duration = Duration::from_hours(20 * 24 + 1);
const ZONAL_VALIDITY: Duration = Duration::from_hours(5 * 24 + 18);
const INSTANCE_VALIDITY: Duration = DAY;
const LEAF_VALIDITY: Duration = Duration::from_secs(3 * 3600 + 3);

/// How long before the first document each level was issued.
const REGIONAL_AGE: Duration = Duration::from_hours(3 * 24);
const ZONAL_AGE: Duration = DAY;
const INSTANCE_AGE: Duration = HOUR;
const LEAF_AGE: Duration = Duration::from_secs(2);

/// The certificates and the leaf's signing key.
#[derive(Debug)]
pub(super) struct CertificateChain {
    /// Root, regional, zonal, instance: the order of `cabundle`.
    cabundle: [CertificateDer<'static>; 4],
    leaf: CertificateDer<'static>,
    leaf_key: EcdsaKeyPair,
    leaf_validity: Validity,
}

impl CertificateChain {
    /// Issues a chain whose leaf begins just before `at`.
    pub(super) fn mint(
        root: &DevelopmentRoot,
        enclave: &SimulatedEnclave,
        at: SystemTime,
    ) -> Result<Self, SimulatedNsmError> {
        let SimulatedEnclave { instance_id, region, .. } = enclave;
        let suffix = format!("{region}.aws.nitro-enclaves");

        let root_name = name_from_country_to_common(NameStyle::Short, "aws.nitro-enclaves")?;
        let root_issuer = Authority { name: root_name, key: root.key() };

        let regional_key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384)?;
        let regional_name =
            name_from_country_to_common(NameStyle::Short, &format!("{}.{suffix}", random_hex()?))?;
        let regional = root_issuer.issue(&Subject {
            name: regional_name.clone(),
            key: &regional_key,
            serial: random_serial()?,
            validity: Validity::aged(at, REGIONAL_AGE, REGIONAL_VALIDITY)?,
            extensions: intermediate_extensions(2, root.key(), &regional_key)?,
        })?;
        let regional_issuer = Authority { name: regional_name, key: &regional_key };

        let zonal_key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384)?;
        let zonal_name = name_from_common_to_locality(&format!("{}.zonal.{suffix}", random_hex()?))?;
        let zonal = regional_issuer.issue(&Subject {
            name: zonal_name.clone(),
            key: &zonal_key,
            serial: random_serial()?,
            validity: Validity::aged(at, ZONAL_AGE, ZONAL_VALIDITY)?,
            extensions: intermediate_extensions(1, &regional_key, &zonal_key)?,
        })?;
        let zonal_issuer = Authority { name: zonal_name, key: &zonal_key };

        let instance_key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384)?;
        let instance_name = name_from_country_to_common(NameStyle::Long, &format!("{instance_id}.{suffix}"))?;
        let instance = zonal_issuer.issue(&Subject {
            name: instance_name.clone(),
            key: &instance_key,
            serial: random_serial()?,
            validity: Validity::aged(at, INSTANCE_AGE, INSTANCE_VALIDITY)?,
            extensions: instance_extensions(&zonal_key, &instance_key),
        })?;
        let instance_issuer = Authority { name: instance_name, key: &instance_key };

        let leaf_key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384)?;
        let leaf_validity = Validity::aged(at, LEAF_AGE, LEAF_VALIDITY)?;
        let leaf = instance_issuer.issue(&Subject {
            name: name_from_country_to_common(
                NameStyle::Long,
                &format!("{}.{region}.aws", enclave.module_id()),
            )?,
            key: &leaf_key,
            serial: leaf_serial(enclave, leaf_validity)?,
            validity: leaf_validity,
            extensions: leaf_extensions(),
        })?;

        let root_certificate = CertificateDer::from(root.certificate_der().to_vec());
        Ok(Self {
            cabundle: [root_certificate, regional, zonal, instance],
            leaf,
            leaf_key: EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, leaf_key.serialized_der())
                .map_err(|_| SimulatedNsmError::Cryptography)?,
            leaf_validity,
        })
    }

    /// Whether a document made at `at` can still be signed by this leaf.
    pub(super) fn serves(&self, at: SystemTime) -> bool {
        // A document outlives its making by its freshness: a leaf in its last quarter of an hour is not used.
        let margin_end = at.checked_add(Duration::from_mins(15));
        self.leaf_validity.contains(at) && margin_end.is_some_and(|end| self.leaf_validity.contains(end))
    }

    pub(super) fn cabundle(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.cabundle.iter().map(AsRef::as_ref)
    }

    pub(super) fn leaf(&self) -> &[u8] {
        &self.leaf
    }

    pub(super) fn leaf_key(&self) -> &EcdsaKeyPair {
        &self.leaf_key
    }
}

/// The self-signed certificate of `key`.
pub(super) fn root_certificate(
    key: &KeyPair,
    validity: Validity,
) -> Result<CertificateDer<'static>, SimulatedNsmError> {
    let name = name_from_country_to_common(NameStyle::Short, "aws.nitro-enclaves")?;
    Authority { name: name.clone(), key }.issue(&Subject {
        name,
        key,
        serial: random_serial()?,
        validity,
        extensions: vec![
            basic_constraints(BasicConstraints::CaWithoutPathLength),
            subject_key_identifier(key),
            key_usage(KeyUsage::SIGN_CERTIFICATES_AND_CRLS, Critical::Yes),
        ],
    })
}

/// PEM armour (RFC 7468), 64 characters a line.
pub(super) fn certificate_pem(certificate: &CertificateDer<'_>) -> String {
    let body = BASE64.encode(certificate);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for (position, character) in body.chars().enumerate() {
        if position > 0 && position % 64 == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem.push_str("\n-----END CERTIFICATE-----\n");
    pem
}

/// A certificate's validity, both ends included, in whole seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Validity {
    not_before_secs: u64,
    not_after_secs: u64,
}

impl Validity {
    pub(super) fn starting(from: SystemTime, length: Duration) -> Result<Self, SimulatedNsmError> {
        let not_before_secs = from.duration_since(UNIX_EPOCH).map_err(|_| SimulatedNsmError::Time)?.as_secs();
        let not_after_secs = not_before_secs.checked_add(length.as_secs()).ok_or(SimulatedNsmError::Time)?;
        Ok(Self { not_before_secs, not_after_secs })
    }

    fn aged(at: SystemTime, age: Duration, length: Duration) -> Result<Self, SimulatedNsmError> {
        Self::starting(at.checked_sub(age).ok_or(SimulatedNsmError::Time)?, length)
    }

    fn contains(self, at: SystemTime) -> bool {
        at.duration_since(UNIX_EPOCH).is_ok_and(|since_epoch| {
            (self.not_before_secs..=self.not_after_secs).contains(&since_epoch.as_secs())
        })
    }
}

fn calendar(secs: u64) -> Result<OffsetDateTime, SimulatedNsmError> {
    let secs = i64::try_from(secs).map_err(|_| SimulatedNsmError::Time)?;
    OffsetDateTime::from_unix_timestamp(secs).map_err(|_| SimulatedNsmError::Time)
}

struct Subject<'a> {
    name: DistinguishedName,
    key: &'a KeyPair,
    serial: SerialNumber,
    validity: Validity,
    extensions: Vec<CustomExtension>,
}

struct Authority<'a> {
    name: DistinguishedName,
    key: &'a KeyPair,
}

impl Authority<'_> {
    fn issue(&self, subject: &Subject<'_>) -> Result<CertificateDer<'static>, SimulatedNsmError> {
        let mut issuer = CertificateParams::default();
        issuer.distinguished_name = self.name.clone();

        let mut params = CertificateParams::default();
        params.not_before = calendar(subject.validity.not_before_secs)?;
        params.not_after = calendar(subject.validity.not_after_secs)?;
        params.serial_number = Some(subject.serial.clone());
        params.distinguished_name = subject.name.clone();
        // rcgen has an order and criticalities of its own, so every extension is given as it stands on the wire.
        params.custom_extensions = subject.extensions.clone();
        Ok(params.signed_by(subject.key, &Issuer::from_params(&issuer, self.key))?.into())
    }
}

/// Whether a name carries state and locality.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NameStyle {
    /// C, O, OU, CN: root and regional.
    Short,
    /// C, ST, L, O, OU, CN: instance and leaf.
    Long,
}

/// Real names say `O=Amazon, OU=AWS`. These must not be taken for them by someone who reads a certificate.
const ORGANIZATION: &str = "nitro-key-broker";
const ORGANIZATIONAL_UNIT: &str = "Development";

fn name_from_country_to_common(
    style: NameStyle,
    common_name: &str,
) -> Result<DistinguishedName, SimulatedNsmError> {
    let mut name = DistinguishedName::new();
    name.push(DnType::CountryName, country()?);
    if style == NameStyle::Long {
        name.push(DnType::StateOrProvinceName, utf8("Washington"));
        name.push(DnType::LocalityName, utf8("Seattle"));
    }
    name.push(DnType::OrganizationName, utf8(ORGANIZATION));
    name.push(DnType::OrganizationalUnitName, utf8(ORGANIZATIONAL_UNIT));
    name.push(DnType::CommonName, utf8(common_name));
    Ok(name)
}

/// The zonal certificates' order: CN first.
fn name_from_common_to_locality(common_name: &str) -> Result<DistinguishedName, SimulatedNsmError> {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, utf8(common_name));
    name.push(DnType::OrganizationalUnitName, utf8(ORGANIZATIONAL_UNIT));
    name.push(DnType::OrganizationName, utf8(ORGANIZATION));
    name.push(DnType::CountryName, country()?);
    name.push(DnType::StateOrProvinceName, utf8("WA"));
    name.push(DnType::LocalityName, utf8("Seattle"));
    Ok(name)
}

fn country() -> Result<DnValue, SimulatedNsmError> {
    Ok(DnValue::PrintableString(PrintableString::try_from("US")?))
}

fn utf8(text: &str) -> DnValue {
    DnValue::Utf8String(text.to_owned())
}

fn random_hex() -> Result<String, SimulatedNsmError> {
    let mut bytes = [0; 8];
    rand::fill(&mut bytes)?;
    Ok(hex::encode(bytes))
}

fn random_serial() -> Result<SerialNumber, SimulatedNsmError> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes)?;
    Ok(SerialNumber::from_slice(&bytes))
}

/// As hardware does: the enclave's number, four zero bytes, and the moment of issue in seconds, which is three seconds
/// after notBefore.
fn leaf_serial(enclave: &SimulatedEnclave, validity: Validity) -> Result<SerialNumber, SimulatedNsmError> {
    let issued_secs = validity.not_before_secs.checked_add(3).ok_or(SimulatedNsmError::Time)?;
    let mut serial = enclave.enclave_number.to_be_bytes().to_vec();
    serial.extend_from_slice(&issued_secs.to_be_bytes());
    Ok(SerialNumber::from_slice(&serial))
}

fn intermediate_extensions(
    path_length: u8,
    issuer: &KeyPair,
    subject: &KeyPair,
) -> Result<Vec<CustomExtension>, SimulatedNsmError> {
    Ok(vec![
        basic_constraints(BasicConstraints::Ca { path_length }),
        authority_key_identifier(issuer),
        subject_key_identifier(subject),
        key_usage(KeyUsage::SIGN_CERTIFICATES_AND_CRLS, Critical::Yes),
        crl_distribution_point(&format!("http://crl.nitro-enclaves.invalid/crl/{}.crl", random_hex()?)),
    ])
}

fn instance_extensions(issuer: &KeyPair, subject: &KeyPair) -> Vec<CustomExtension> {
    vec![
        basic_constraints(BasicConstraints::Ca { path_length: 0 }),
        key_usage(KeyUsage::SIGN_CERTIFICATES, Critical::Yes),
        subject_key_identifier(subject),
        authority_key_identifier(issuer),
    ]
}

fn leaf_extensions() -> Vec<CustomExtension> {
    vec![basic_constraints(BasicConstraints::EndEntity), key_usage(KeyUsage::SIGN_DOCUMENTS, Critical::No)]
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Critical {
    Yes,
    No,
}

enum BasicConstraints {
    CaWithoutPathLength,
    Ca { path_length: u8 },
    EndEntity,
}

/// RFC 5280, section 4.2.1.9.
fn basic_constraints(constraints: BasicConstraints) -> CustomExtension {
    const CA: [u8; 3] = [0x01, 0x01, 0xff];
    let content = match constraints {
        BasicConstraints::CaWithoutPathLength => tlv(0x30, &CA),
        BasicConstraints::Ca { path_length } => tlv(0x30, &[&CA[..], &[0x02, 0x01, path_length]].concat()),
        BasicConstraints::EndEntity => tlv(0x30, &[]),
    };
    extension(&[2, 5, 29, 19], Critical::Yes, content)
}

/// A keyUsage BIT STRING (RFC 5280, section 4.2.1.3): the number of unused bits and the bits, first usage highest.
struct KeyUsage([u8; 2]);

impl KeyUsage {
    /// digitalSignature, keyCertSign, cRLSign.
    const SIGN_CERTIFICATES_AND_CRLS: Self = Self([1, 0b1000_0110]);
    /// keyCertSign.
    const SIGN_CERTIFICATES: Self = Self([2, 0b0000_0100]);
    /// digitalSignature, nonRepudiation.
    const SIGN_DOCUMENTS: Self = Self([6, 0b1100_0000]);
}

fn key_usage(usage: KeyUsage, critical: Critical) -> CustomExtension {
    extension(&[2, 5, 29, 15], critical, tlv(0x03, &usage.0))
}

fn subject_key_identifier(key: &KeyPair) -> CustomExtension {
    extension(&[2, 5, 29, 14], Critical::No, tlv(0x04, &key_identifier(key)))
}

fn authority_key_identifier(issuer: &KeyPair) -> CustomExtension {
    extension(&[2, 5, 29, 35], Critical::No, tlv(0x30, &tlv(0x80, &key_identifier(issuer))))
}

/// RFC 7093, method 1: the leftmost 160 bits of SHA-256 over the public key.
fn key_identifier(key: &KeyPair) -> Vec<u8> {
    digest(&SHA256, key.public_key_raw()).as_ref().iter().copied().take(20).collect()
}

/// RFC 5280, section 4.2.1.13: one distribution point with one URI as its full name.
fn crl_distribution_point(uri: &str) -> CustomExtension {
    let full_name = tlv(0xa0, &tlv(0x86, uri.as_bytes()));
    extension(&[2, 5, 29, 31], Critical::No, tlv(0x30, &tlv(0x30, &tlv(0xa0, &full_name))))
}

fn extension(oid: &[u64], critical: Critical, content: Vec<u8>) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(oid, content);
    extension.set_criticality(critical == Critical::Yes);
    extension
}

/// A DER element whose content is at most 127 bytes, which all of the above are.
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    debug_assert!(content.len() < 128, "short form only");
    let mut element = vec![tag, content.len() as u8];
    element.extend_from_slice(content);
    element
}
