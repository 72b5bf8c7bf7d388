//! Certificates that are not X.509 v3 in DER. They are signed as they stand.

use super::super::certificate::{
    AUTHORITY_KEY_IDENTIFIER, BASIC_CONSTRAINTS, CRL_DISTRIBUTION_POINTS, Certificate, DIGITAL_SIGNATURE,
    KEY_USAGE, SUBJECT_KEY_IDENTIFIER, key_usage, unknown_extension,
};
use super::super::chain::Level;
use super::super::der;
use super::Vector;
use super::path::{AUTHORITIES, LEVELS, refused};

pub fn vectors() -> Vec<Vector> {
    [at_every_level(), form(), extensions(), key_usages()].into_iter().flatten().collect()
}

/// A second encoding of each certificate. Of the root there is none: the anchor is compared byte for byte.
fn at_every_level() -> Vec<Vector> {
    LEVELS
        .into_iter()
        .flat_map(|(level, name)| {
            let error = match level {
                Level::Root => "path_untrusted_root",
                _ => "path_malformed_certificate",
            };
            let edit = |defect: &str, why: &str, change: fn(&mut Certificate)| {
                refused(format!("{name}_{defect}"), error, format!("The {name} certificate: {why}"), |d| {
                    change(&mut d.chain.link_mut(level).certificate)
                })
            };
            [
                edit("trailing_byte", "one byte follows it.", |c| {
                    c.edit_der = |mut der| {
                        der.push(0);
                        der
                    };
                }),
                edit("length_not_shortest", "its length takes three bytes, one of them zero.", |c| {
                    c.edit_der = |der| der::lengthen_length(&der);
                }),
                edit("serial_not_shortest", "its serial number starts with a zero too many.", |c| {
                    let content = [&[0], &c.serial[2..]].concat();
                    c.serial = der::tlv(0x02, &content);
                }),
                edit(
                    "bit_string_padding_not_zero",
                    "an unused bit of the signature's BIT STRING is set.",
                    |c| {
                        c.wrap_signature = der::bit_string_with_padding;
                    },
                ),
            ]
        })
        .collect()
}

/// Bytes that are no certificate of version 3.
fn form() -> Vec<Vector> {
    vec![
        refused("leaf_not_der", "path_malformed_certificate", "Random bytes.", |d| {
            d.chain.leaf.certificate.edit_der = |_| vec![0x17; 600];
        }),
        refused("leaf_in_pem", "path_malformed_certificate", "A PEM header in place of DER.", |d| {
            d.chain.leaf.certificate.edit_der = |_| b"-----BEGIN CERTIFICATE-----\n".to_vec();
        }),
        refused(
            "leaf_truncated",
            "path_malformed_certificate",
            "The last byte of the certificate is missing.",
            |d| {
                d.chain.leaf.certificate.edit_der = |mut der| {
                    der.pop();
                    der
                };
            },
        ),
        refused(
            "leaf_of_indefinite_length",
            "path_malformed_certificate",
            "BER's open end has no place in DER.",
            |d| {
                d.chain.leaf.certificate.edit_der = |der| [&[0x30, 0x80], &der[4..], &[0, 0]].concat();
            },
        ),
        refused(
            "leaf_version_1",
            "path_malformed_certificate",
            "X.509 v1 has no extensions and so no keyUsage.",
            |d| {
                d.chain.leaf.certificate.version = None;
            },
        ),
        refused("leaf_extension_twice", "path_malformed_certificate", "keyUsage stands twice.", |d| {
            d.chain.leaf.certificate.extensions.push(key_usage(&[DIGITAL_SIGNATURE], false));
        }),
        refused(
            "regional_boolean_not_der",
            "path_malformed_certificate",
            "TRUE is ff in DER (X.690 §11.1); this one is 01.",
            |d| {
                d.chain.regional.certificate.extension_mut(BASIC_CONSTRAINTS).value =
                    vec![0x30, 0x06, 0x01, 0x01, 0x01, 0x02, 0x01, 0x02];
            },
        ),
    ]
}

/// Extensions that hold something else than their OID says, critical or not.
fn extensions() -> Vec<Vector> {
    let key_identifiers = AUTHORITIES.into_iter().flat_map(|(level, name)| {
        [
            (AUTHORITY_KEY_IDENTIFIER, "authority_key_identifier"),
            (SUBJECT_KEY_IDENTIFIER, "subject_key_identifier"),
        ]
        .map(|(oid, extension)| {
            refused(
                format!("{name}_{extension}_malformed"),
                "path_malformed_certificate",
                format!("The {name} certificate's {extension} is not critical and holds a BOOLEAN."),
                |d| d.chain.link_mut(level).certificate.extension_mut(oid).value = der::boolean(true),
            )
        })
    });
    let others = vec![
        holding("regional_subject_key_identifier_trailing_byte", "One byte follows it.", |d| {
            d.chain.regional.certificate.extension_mut(SUBJECT_KEY_IDENTIFIER).value.push(0);
        }),
        holding("regional_crl_distribution_points_malformed", "An INTEGER in place of a list.", |d| {
            d.chain.regional.certificate.extension_mut(CRL_DISTRIBUTION_POINTS).value = der::integer(&[1]);
        }),
        holding("zonal_basic_constraints_malformed", "No SEQUENCE in it.", |d| {
            d.chain.zonal.certificate.extension_mut(BASIC_CONSTRAINTS).value = der::boolean(true);
        }),
        holding("regional_path_length_negative", "A pathLenConstraint of -1.", |d| {
            d.chain.regional.certificate.extension_mut(BASIC_CONSTRAINTS).value =
                der::sequence(&[der::boolean(true), der::tlv(0x02, &[0xff])]);
        }),
        holding("leaf_path_length_without_ca", "It says nothing without cA (RFC 5280 §4.2.1.9).", |d| {
            d.chain.leaf.certificate.extension_mut(BASIC_CONSTRAINTS).value =
                der::sequence(&[der::integer(&[0])]);
        }),
        holding("instance_unknown_extension_twice", "An extension stands once (RFC 5280 §4.2).", |d| {
            let extensions = &mut d.chain.instance.certificate.extensions;
            extensions.extend([unknown_extension(false), unknown_extension(false)]);
        }),
    ];
    key_identifiers.chain(others).collect()
}

/// keyUsage is a list of named bits in a BIT STRING (RFC 5280 §4.2.1.3).
fn key_usages() -> Vec<Vector> {
    [(Level::Instance, "instance", 0x04, 2), (Level::Leaf, "leaf", 0xc0, 6)]
        .into_iter()
        .flat_map(|(level, name, bits, unused)| {
            let edit = |defect: &str, why, value: Vec<u8>| {
                holding(format!("{name}_key_usage_{defect}"), why, |d| {
                    d.chain.link_mut(level).certificate.extension_mut(KEY_USAGE).value = value;
                })
            };
            [
                edit("malformed", "keyUsage holds no BIT STRING.", der::null()),
                edit("padding_not_zero", "An unused bit is set.", der::tlv(0x03, &[unused, bits | 1])),
                edit(
                    "not_shortest",
                    "Zeros follow the last bit (X.690 §11.2.2).",
                    der::tlv(0x03, &[0, bits]),
                ),
                edit("unused_bits_8", "A byte has eight bits.", der::tlv(0x03, &[8, bits, 0])),
            ]
        })
        .collect()
}

fn holding(defect: impl Into<String>, why: &str, edit: impl FnOnce(&mut super::super::Document)) -> Vector {
    refused(defect, "path_malformed_certificate", why, edit)
}
