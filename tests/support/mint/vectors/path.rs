//! Defects of the certificate path (RFC 5280 §6): which certificates, when, by whom, in which form.

use super::super::Document;
use super::super::cbor::Cbor;
use super::super::certificate::{
    BASIC_CONSTRAINTS, DIGITAL_SIGNATURE, ECDSA_WITH_SHA256, KEY_USAGE, ca_constraints, key_usage,
};
use super::super::chain::{Level, machine_name};
use super::super::der;
use super::super::key::Key;
use super::{Layer, NOW_MS, Vector};

const NOW_SECS: i64 = (NOW_MS / 1000) as i64;

const LEVELS: [(Level, &str); 5] = [
    (Level::Root, "root"),
    (Level::Regional, "regional"),
    (Level::Zonal, "zonal"),
    (Level::Instance, "instance"),
    (Level::Leaf, "leaf"),
];
pub(super) const AUTHORITIES: [(Level, &str); 3] =
    [(Level::Regional, "regional"), (Level::Zonal, "zonal"), (Level::Instance, "instance")];

pub fn vectors() -> Vec<Vector> {
    [bundle(), validity(), signatures(), encoding()].into_iter().flatten().collect()
}

pub(super) fn refused(
    defect: impl Into<String>,
    error: &'static str,
    why: impl Into<String>,
    edit: impl FnOnce(&mut Document),
) -> Vector {
    super::refused(Layer::Path, defect, error, why, edit)
}

/// Takes pathLenConstraint out, so that one more CA is no defect of its own.
pub(super) fn lift_path_lengths(document: &mut Document, levels: &[(Level, &str)]) {
    for (level, _) in levels {
        document.chain.link_mut(*level).certificate.set_extension(ca_constraints(None));
    }
}

/// Which certificates are presented, and in which order.
fn bundle() -> Vec<Vector> {
    let missing = [(1, "regional"), (2, "zonal"), (3, "instance")].map(|(index, level)| {
        refused(
            format!("{level}_missing"),
            "path_issuer_name",
            format!("The {level} certificate is left out of the bundle."),
            move |d| drop(d.payload.cabundle_mut().remove(index)),
        )
    });
    let others = vec![
        refused(
            "root_of_another_key",
            "path_untrusted_root",
            "A whole chain under a root of the same name: the anchor is the pinned certificate, never cabundle[0].",
            |d| {
                let other = Key::p384("another root");
                d.chain.root.set_key(other.clone());
                d.chain.root.issuer_key = other.clone();
                d.chain.regional.issuer_key = other;
            },
        ),
        refused(
            "root_missing",
            "path_untrusted_root",
            "The bundle starts with the regional certificate.",
            |d| {
                drop(d.payload.cabundle_mut().remove(0));
            },
        ),
        refused("root_twice", "path_order", "The root stands in the bundle twice.", |d| {
            lift_path_lengths(d, &AUTHORITIES);
            d.payload.cabundle_mut().insert(1, Cbor::Certificate(Level::Root));
        }),
        refused(
            "instance_twice",
            "path_issuer_name",
            "The instance's certificate stands there twice.",
            |d| {
                lift_path_lengths(d, &AUTHORITIES);
                d.payload.cabundle_mut().push(Cbor::Certificate(Level::Instance));
            },
        ),
        refused(
            "leaf_in_the_bundle",
            "path_basic_constraints",
            "The leaf stands among its authorities.",
            |d| {
                lift_path_lengths(d, &AUTHORITIES);
                d.payload.cabundle_mut().push(Cbor::Certificate(Level::Leaf));
            },
        ),
        refused(
            "bundle_reversed",
            "path_untrusted_root",
            "Leaf side first: the published order is root first.",
            |d| {
                d.payload.cabundle_mut().reverse();
            },
        ),
        refused("two_levels_swapped", "path_issuer_name", "Zonal before regional.", |d| {
            d.payload.cabundle_mut().swap(1, 2);
        }),
        refused(
            "root_alone",
            "path_issuer_name",
            "The root is genuine and has nothing to do with the leaf.",
            |d| {
                d.payload.cabundle_mut().truncate(1);
            },
        ),
        refused(
            "authority_of_an_enclave",
            "path_basic_constraints",
            "The enclave's own leaf signs a further leaf: an end entity is no CA.",
            |d| {
                lift_path_lengths(d, &AUTHORITIES);
                let forged = Key::p384("forged");
                let mut link = d.chain.leaf.clone();
                link.certificate.issuer = link.certificate.subject.clone();
                link.certificate.subject =
                    machine_name("i-00000000000000000-enc0000000000000000.eu-central-1.aws");
                link.issuer_key = link.key.clone();
                link.set_key(forged.clone());
                let forged_leaf = link.certificate.sign(&link.issuer_key);
                d.payload.cabundle_mut().push(Cbor::Certificate(Level::Leaf));
                d.payload.set("certificate", Cbor::Bytes(forged_leaf));
                d.signer = forged;
            },
        ),
    ];
    missing.into_iter().chain(others).collect()
}

/// Each level a second too late, and a second too early; the document itself is fresh.
fn validity() -> Vec<Vector> {
    LEVELS
        .into_iter()
        .flat_map(|(level, name)| {
            let expired = refused(
                format!("{name}_expired"),
                "path_expired",
                format!("The {name} certificate ended a second before now, and a second after the document was made."),
                |d| d.chain.link_mut(level).certificate.not_after = NOW_SECS - 1,
            );
            let early = refused(
                format!("{name}_not_yet_valid"),
                "path_not_yet_valid",
                format!("The {name} certificate starts a second after now."),
                |d| d.chain.link_mut(level).certificate.not_before = NOW_SECS + 1,
            );
            [expired, early].map(|vector| match level {
                Level::Root => vector.under_its_own_root(),
                _ => vector,
            })
        })
        .collect()
}

/// Certificates signed by the wrong key, or with the wrong algorithm.
fn signatures() -> Vec<Vector> {
    let forged = [
        (Level::Regional, "regional"),
        (Level::Zonal, "zonal"),
        (Level::Instance, "instance"),
        (Level::Leaf, "leaf"),
    ]
    .map(|(level, name)| {
        refused(
            format!("{name}_signed_by_another_key"),
            "path_validation",
            format!("The {name} certificate is right in every field and signed by a stranger."),
            move |d| d.chain.link_mut(level).issuer_key = Key::p384("stranger"),
        )
    });
    let others = vec![
        refused(
            "leaf_signed_by_itself",
            "path_validation",
            "The leaf's own key in place of the instance's.",
            |d| {
                d.chain.leaf.issuer_key = d.chain.leaf.key.clone();
            },
        ),
        refused(
            "leaf_changed_after_signing",
            "path_validation",
            "One bit of the serial number is another.",
            |d| {
                d.chain.leaf.certificate.edit_der = |mut der| {
                    der[20] ^= 1;
                    der
                };
            },
        ),
        refused("leaf_algorithm_sha256", "path_validation", "Both places say ecdsa-with-SHA256.", |d| {
            d.chain.leaf.certificate.inner_signature_algorithm = ECDSA_WITH_SHA256;
            d.chain.leaf.certificate.outer_signature_algorithm = ECDSA_WITH_SHA256;
        }),
        refused(
            "leaf_algorithms_differ",
            "path_validation",
            "The two places must agree (RFC 5280 §4.1.1.2).",
            |d| {
                d.chain.leaf.certificate.inner_signature_algorithm = ECDSA_WITH_SHA256;
            },
        ),
    ];
    forged.into_iter().chain(others).collect()
}

/// Certificates that are not DER of X.509 v3. They are signed as they stand.
fn encoding() -> Vec<Vector> {
    vec![
        refused("leaf_not_der", "path_malformed_certificate", "Random bytes.", |d| {
            d.chain.leaf.certificate.edit_der = |_| vec![0x17; 600];
        }),
        refused("leaf_in_pem", "path_malformed_certificate", "A PEM header in place of DER.", |d| {
            d.chain.leaf.certificate.edit_der = |_| b"-----BEGIN CERTIFICATE-----\n".to_vec();
        }),
        refused(
            "leaf_trailing_byte",
            "path_malformed_certificate",
            "One byte follows the certificate.",
            |d| {
                d.chain.leaf.certificate.edit_der = |mut der| {
                    der.push(0);
                    der
                };
            },
        ),
        refused(
            "instance_trailing_byte",
            "path_malformed_certificate",
            "One byte follows the certificate.",
            |d| {
                d.chain.instance.certificate.edit_der = |mut der| {
                    der.push(0);
                    der
                };
            },
        ),
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
            "path_validation",
            "TRUE is ff in DER (X.690 §11.1); this one is 01.",
            |d| {
                d.chain.regional.certificate.extension_mut(BASIC_CONSTRAINTS).value =
                    vec![0x30, 0x06, 0x01, 0x01, 0x01, 0x02, 0x01, 0x02];
            },
        ),
        refused(
            "instance_key_usage_malformed",
            "path_malformed_certificate",
            "keyUsage holds no BIT STRING.",
            |d| {
                d.chain.instance.certificate.extension_mut(KEY_USAGE).value = der::null();
            },
        ),
        refused(
            "leaf_key_usage_malformed",
            "path_malformed_certificate",
            "keyUsage holds no BIT STRING.",
            |d| {
                d.chain.leaf.certificate.extension_mut(KEY_USAGE).value = der::null();
            },
        ),
        refused(
            "zonal_basic_constraints_malformed",
            "path_basic_constraints",
            "No SEQUENCE in it: what cannot be read grants nothing.",
            |d| {
                d.chain.zonal.certificate.extension_mut(BASIC_CONSTRAINTS).value = der::boolean(true);
            },
        ),
    ]
}
