//! The five levels of a Nitro chain with the shape that every recorded one has: root → regional → zonal → instance → leaf.

use super::certificate::Attribute::{CommonName, Country, Locality, Organization, OrganizationalUnit, State};
use super::certificate::{
    CRL_SIGN, Certificate, DIGITAL_SIGNATURE, ECDSA_WITH_SHA384, Extension, KEY_CERT_SIGN, NON_REPUDIATION,
    authority_key_identifier, ca_constraints, crl_distribution_point, end_entity_constraints, key_usage,
    name, subject_key_identifier,
};
use super::der;
use super::key::{Key, ecdsa_sig_value};
use super::{INSTANCE_ID, MODULE_ID, REGION};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Root,
    Regional,
    Zonal,
    Instance,
    Leaf,
}

/// A level before it is signed: change any part of it, then issue the chain.
#[derive(Clone)]
pub struct Link {
    /// The private key of this level.
    pub key: Key,
    pub certificate: Certificate,
    /// What signs the certificate: the key of the level above, the root's its own.
    pub issuer_key: Key,
}

#[derive(Clone)]
pub struct Chain {
    pub root: Link,
    pub regional: Link,
    pub zonal: Link,
    pub instance: Link,
    pub leaf: Link,
}

impl Chain {
    /// A chain that is valid at `now_secs`, its periods as long as the real ones and about as far gone.
    pub fn genuine(now_secs: i64) -> Self {
        let root_name = authority_name("aws.nitro-enclaves");
        let regional_name = authority_name(&format!("1c2d3e4f5a6b7c8d.{REGION}.aws.nitro-enclaves"));
        let zonal_cn = format!("9f8e7d6c5b4a3f2e.zonal.{REGION}.aws.nitro-enclaves");
        let zonal_name = name(&[
            CommonName(&zonal_cn),
            OrganizationalUnit("AWS"),
            Organization("Amazon"),
            Country("US"),
            State("WA"),
            Locality("Seattle"),
        ]);
        let instance_name = machine_name(&format!("{INSTANCE_ID}.{REGION}.aws.nitro-enclaves"));
        let leaf_name = machine_name(&format!("{MODULE_ID}.{REGION}.aws"));

        let root_key = Key::p384("root");
        let regional_key = Key::p384("regional");
        let zonal_key = Key::p384("zonal");
        let instance_key = Key::p384("instance");
        let leaf_key = Key::p384("leaf");

        let authority_usage = || key_usage(&[DIGITAL_SIGNATURE, KEY_CERT_SIGN, CRL_SIGN], true);

        Self {
            root: Link::new(
                (&root_key, &root_name),
                (&root_key, &root_name),
                (ROOT_NOT_BEFORE, ROOT_NOT_AFTER),
                vec![ca_constraints(None), subject_key_identifier(&root_key), authority_usage()],
            ),
            regional: Link::new(
                (&root_key, &root_name),
                (&regional_key, &regional_name),
                starting(now_secs - 5 * DAY, 20 * DAY + HOUR),
                vec![
                    ca_constraints(Some(2)),
                    authority_key_identifier(&root_key),
                    subject_key_identifier(&regional_key),
                    authority_usage(),
                    crl_distribution_point("http://crl.invalid/regional.crl"),
                ],
            ),
            zonal: Link::new(
                (&regional_key, &regional_name),
                (&zonal_key, &zonal_name),
                starting(now_secs - 2 * DAY, 5 * DAY + 15 * HOUR),
                vec![
                    ca_constraints(Some(1)),
                    authority_key_identifier(&regional_key),
                    subject_key_identifier(&zonal_key),
                    authority_usage(),
                    crl_distribution_point("http://crl.invalid/zonal.crl"),
                ],
            ),
            instance: Link::new(
                (&zonal_key, &zonal_name),
                (&instance_key, &instance_name),
                starting(now_secs - 6 * HOUR, DAY),
                vec![
                    ca_constraints(Some(0)),
                    key_usage(&[KEY_CERT_SIGN], true),
                    subject_key_identifier(&instance_key),
                    authority_key_identifier(&zonal_key),
                ],
            ),
            leaf: Link::new(
                (&instance_key, &instance_name),
                (&leaf_key, &leaf_name),
                starting(now_secs - 20 * MINUTE, 3 * HOUR + 3),
                vec![end_entity_constraints(), key_usage(&[DIGITAL_SIGNATURE, NON_REPUDIATION], false)],
            ),
        }
    }

    pub fn link_mut(&mut self, level: Level) -> &mut Link {
        match level {
            Level::Root => &mut self.root,
            Level::Regional => &mut self.regional,
            Level::Zonal => &mut self.zonal,
            Level::Instance => &mut self.instance,
            Level::Leaf => &mut self.leaf,
        }
    }

    /// The certificate of one level, signed.
    pub fn issue(&self, level: Level) -> Vec<u8> {
        let link = match level {
            Level::Root => &self.root,
            Level::Regional => &self.regional,
            Level::Zonal => &self.zonal,
            Level::Instance => &self.instance,
            Level::Leaf => &self.leaf,
        };
        link.certificate.sign(&link.issuer_key)
    }
}

impl Link {
    fn new(
        (issuer_key, issuer): (&Key, &[u8]),
        (key, subject): (&Key, &[u8]),
        (not_before, not_after): (i64, i64),
        extensions: Vec<Extension>,
    ) -> Self {
        let certificate = Certificate {
            version: Some(2),
            serial: der::integer(&serial_of(key)),
            inner_signature_algorithm: ECDSA_WITH_SHA384,
            outer_signature_algorithm: ECDSA_WITH_SHA384,
            issuer: issuer.to_vec(),
            not_before,
            not_after,
            subject: subject.to_vec(),
            spki: key.spki(),
            extensions,
            encode_signature: ecdsa_sig_value,
            wrap_signature: der::bit_string,
            edit_der: |der| der,
        };
        Self { key: key.clone(), certificate, issuer_key: issuer_key.clone() }
    }

    /// Gives the level another key, in its certificate too.
    pub fn set_key(&mut self, key: Key) {
        self.certificate.spki = key.spki();
        self.key = key;
    }
}

/// The real root's dates.
const ROOT_NOT_BEFORE: i64 = 1_572_269_285; // 2019-10-28T13:28:05Z
const ROOT_NOT_AFTER: i64 = 2_519_044_085; // 2049-10-28T14:28:05Z

fn starting(not_before: i64, seconds: i64) -> (i64, i64) {
    (not_before, not_before + seconds)
}

/// 16 bytes of the public key with the top bit clear, as long as a real serial number.
fn serial_of(key: &Key) -> Vec<u8> {
    let mut serial = key.point()[1..17].to_vec();
    serial[0] = serial[0] & 0x7f | 0x40;
    serial
}

/// The form of the root's and the regional authority's name.
pub fn authority_name(common_name: &str) -> Vec<u8> {
    name(&[Country("US"), Organization("Amazon"), OrganizationalUnit("AWS"), CommonName(common_name)])
}

/// The form of the instance's and the enclave's name.
pub fn machine_name(common_name: &str) -> Vec<u8> {
    name(&[
        Country("US"),
        State("Washington"),
        Locality("Seattle"),
        Organization("Amazon"),
        OrganizationalUnit("AWS"),
        CommonName(common_name),
    ])
}
