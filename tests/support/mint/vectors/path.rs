//! Defects of the certificate path (RFC 5280 §6): which certificates, when, by whom, in which form.

use super::super::Document;
use super::super::cbor::{Cbor, bytes};
use super::super::certificate::{ECDSA_WITH_SHA256, ECDSA_WITH_SHA512, SHA384_WITH_RSA, ca_constraints};
use super::super::chain::{Level, machine_name};
use super::super::key::{Key, ORDER, ecdsa_sig_value};
use super::{Layer, NOW_MS, Vector};

const NOW_SECS: i64 = (NOW_MS / 1000) as i64;

pub(super) const LEVELS: [(Level, &str); 5] = [
    (Level::Root, "root"),
    (Level::Regional, "regional"),
    (Level::Zonal, "zonal"),
    (Level::Instance, "instance"),
    (Level::Leaf, "leaf"),
];
pub(super) const BELOW_THE_ROOT: [(Level, &str); 4] = [
    (Level::Regional, "regional"),
    (Level::Zonal, "zonal"),
    (Level::Instance, "instance"),
    (Level::Leaf, "leaf"),
];
pub(super) const AUTHORITIES: [(Level, &str); 3] =
    [(Level::Regional, "regional"), (Level::Zonal, "zonal"), (Level::Instance, "instance")];

pub fn vectors() -> Vec<Vector> {
    [bundle(), validity(), signatures(), algorithms()].into_iter().flatten().collect()
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
        refused(
            "unsigned_emulator_with_es384",
            "path_untrusted_root",
            "What QEMU's nitro-enclave machine makes, its header changed to the one that is expected.",
            |d| {
                d.edit_signature = |_| vec![0; 96];
                d.payload.set("certificate", bytes(&[0; 64]));
                d.payload.set("cabundle", Cbor::Array(vec![bytes(&[0; 64])]));
            },
        ),
        refused("root_twice", "path_order", "The root stands in the bundle twice.", |d| {
            lift_path_lengths(d, &AUTHORITIES);
            d.payload.cabundle_mut().insert(1, Cbor::Certificate(Level::Root));
        }),
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
    let twice =
        [(1, Level::Regional, "regional"), (2, Level::Zonal, "zonal"), (3, Level::Instance, "instance")].map(
            |(index, level, name)| {
                refused(
                    format!("{name}_twice"),
                    "path_issuer_name",
                    format!("The {name} certificate stands in the bundle twice."),
                    |d| {
                        lift_path_lengths(d, &AUTHORITIES);
                        d.payload.cabundle_mut().insert(index, Cbor::Certificate(level));
                    },
                )
            },
        );
    missing.into_iter().chain(twice).chain(others).chain(swapped()).collect()
}

/// Every pair of neighbours in the other order.
fn swapped() -> Vec<Vector> {
    vec![
        refused("root_and_regional_swapped", "path_untrusted_root", "Regional before root.", |d| {
            d.payload.cabundle_mut().swap(0, 1);
        }),
        refused("two_levels_swapped", "path_issuer_name", "Zonal before regional.", |d| {
            d.payload.cabundle_mut().swap(1, 2);
        }),
        refused("zonal_and_instance_swapped", "path_issuer_name", "Instance before zonal.", |d| {
            d.payload.cabundle_mut().swap(2, 3);
        }),
        refused("instance_and_leaf_swapped", "path_issuer_name", "The leaf in place of its issuer.", |d| {
            d.payload.cabundle_mut()[3] = Cbor::Certificate(Level::Leaf);
            d.payload.set("certificate", Cbor::Certificate(Level::Instance));
        }),
    ]
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
    let forged = BELOW_THE_ROOT.map(|(level, name)| {
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
        refused("leaf_signature_of_zeros", "path_validation", "r = s = 0 is no signature.", |d| {
            d.chain.leaf.certificate.encode_signature = |_| ecdsa_sig_value(&[0; 96]);
        }),
        refused("leaf_signature_r_is_the_order", "path_validation", "r is not below the group order.", |d| {
            d.chain.leaf.certificate.encode_signature = |raw| ecdsa_sig_value(&[&ORDER, &raw[48..]].concat());
        }),
        refused("leaf_signature_s_is_the_order", "path_validation", "s is not below the group order.", |d| {
            d.chain.leaf.certificate.encode_signature = |raw| ecdsa_sig_value(&[&raw[..48], &ORDER].concat());
        }),
        refused(
            "leaf_signature_not_in_der",
            "path_validation",
            "COSE's form of a signature, r ‖ s.",
            |d| {
                d.chain.leaf.certificate.encode_signature = <[u8]>::to_vec;
            },
        ),
        refused("leaf_signature_trailing_byte", "path_validation", "A byte follows r and s.", |d| {
            d.chain.leaf.certificate.encode_signature = |raw| [&ecdsa_sig_value(raw)[..], &[0]].concat();
        }),
        refused("leaf_signature_empty", "path_validation", "A BIT STRING of no bits.", |d| {
            d.chain.leaf.certificate.encode_signature = |_| Vec::new();
        }),
    ];
    forged.into_iter().chain(others).collect()
}

/// Certificates whose signatures hold, and are made with another algorithm than ecdsa-with-SHA384 (RFC 5758 §3.2).
fn algorithms() -> Vec<Vector> {
    let sha256 = BELOW_THE_ROOT.map(|(level, name)| {
        refused(
            format!("{name}_algorithm_sha256"),
            "path_validation",
            format!("The {name} certificate is signed with SHA-256, rightly in every other respect."),
            move |d| {
                let certificate = &mut d.chain.link_mut(level).certificate;
                certificate.inner_signature_algorithm = ECDSA_WITH_SHA256;
                certificate.outer_signature_algorithm = ECDSA_WITH_SHA256;
            },
        )
    });
    let others = vec![
        refused("leaf_algorithm_sha512", "path_validation", "Both places say ecdsa-with-SHA512.", |d| {
            d.chain.leaf.certificate.inner_signature_algorithm = ECDSA_WITH_SHA512;
            d.chain.leaf.certificate.outer_signature_algorithm = ECDSA_WITH_SHA512;
        }),
        refused("leaf_algorithm_rsa", "path_validation", "Both places say sha384WithRSAEncryption.", |d| {
            d.chain.leaf.certificate.inner_signature_algorithm = SHA384_WITH_RSA;
            d.chain.leaf.certificate.outer_signature_algorithm = SHA384_WITH_RSA;
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
    sha256.into_iter().chain(others).collect()
}
