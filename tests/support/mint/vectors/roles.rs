//! Defects of the certificate path: what each level may do (RFC 5280 §4.2.1), and with which key.

use super::super::cbor::Cbor;
use super::super::certificate::{
    BASIC_CONSTRAINTS, CRL_DISTRIBUTION_POINTS, CRL_SIGN, Certificate, DIGITAL_SIGNATURE, Extension,
    KEY_CERT_SIGN, KEY_USAGE, NAME_CONSTRAINTS, NON_REPUDIATION, ca_constraints, end_entity_constraints,
    key_usage, unknown_extension,
};
use super::super::chain::{Level, authority_name, machine_name};
use super::super::der;
use super::super::key::{Key, SECP384R1, SECP521R1, UNKNOWN_CURVE, spki_on};
use super::super::recipient::{F4, rsa_spki};
use super::Vector;
use super::path::{AUTHORITIES, LEVELS, lift_path_lengths, refused};

pub fn vectors() -> Vec<Vector> {
    [authorities(), leaf()].into_iter().flatten().collect()
}

/// What a CA must be allowed to do.
fn authorities() -> Vec<Vector> {
    let by_level = LEVELS[..4].iter().copied().flat_map(|(level, name)| {
        let edit = |defect: &str, error, why: String, change: fn(&mut Certificate)| {
            let vector = refused(format!("{name}_{defect}"), error, why, |d| {
                change(&mut d.chain.link_mut(level).certificate)
            });
            if level == Level::Root { vector.under_its_own_root() } else { vector }
        };
        [
            edit(
                "is_no_ca",
                "path_basic_constraints",
                format!("The {name} certificate says cA FALSE."),
                |c| {
                    c.set_extension(end_entity_constraints());
                },
            ),
            edit(
                "without_basic_constraints",
                "path_basic_constraints",
                format!("The {name} certificate does not say that it is a CA."),
                |c| c.remove_extension(BASIC_CONSTRAINTS),
            ),
            edit(
                "without_key_cert_sign",
                "path_key_usage",
                format!("The {name} key may sign data and CRLs, and no certificates."),
                |c| c.set_extension(key_usage(&[DIGITAL_SIGNATURE, CRL_SIGN], true)),
            ),
            edit(
                "without_key_usage",
                "path_key_usage",
                format!("The {name} certificate has no keyUsage; a conforming CA's has (RFC 5280 §4.2.1.3)."),
                |c| c.remove_extension(KEY_USAGE),
            ),
            edit(
                "with_unknown_critical_extension",
                "path_critical_extension",
                format!("A critical extension of the {name} certificate must be understood or refused."),
                |c| c.set_extension(unknown_extension(true)),
            ),
        ]
    });
    let path_len = [(Level::Root, "root", 2), (Level::Regional, "regional", 1), (Level::Zonal, "zonal", 0)]
        .map(|(level, name, length)| {
            let vector = refused(
                format!("{name}_path_length_exceeded"),
                "path_length",
                format!("The {name} certificate allows one CA fewer than follow it."),
                move |d| d.chain.link_mut(level).certificate.set_extension(ca_constraints(Some(length))),
            );
            if level == Level::Root { vector.under_its_own_root() } else { vector }
        });
    let renamed = LEVELS[..4].iter().copied().map(|(level, name)| {
        let vector = refused(
            format!("{name}_issuer_renamed"),
            "path_issuer_name",
            format!("The {name} certificate is signed by the right key and names another issuer."),
            |d| d.chain.link_mut(level).certificate.issuer = authority_name("another.nitro-enclaves"),
        );
        if level == Level::Root { vector.under_its_own_root() } else { vector }
    });
    let others = vec![
        refused(
            "regional_crl_distribution_points_critical",
            "path_critical_extension",
            "Known, and not looked at: no CRL is fetched.",
            |d| {
                d.chain.regional.certificate.extension_mut(CRL_DISTRIBUTION_POINTS).critical = true;
            },
        ),
        refused(
            "instance_below_an_instance",
            "path_length",
            "A CA below the instance, whose pathlen is 0: every host could mint enclaves of its own.",
            |d| {
                lift_path_lengths(d, &AUTHORITIES[..2]);
                let name = machine_name("i-0123456789abcdef0.eu-central-1.aws.nitro-enclaves.below");
                let mut below = d.chain.instance.clone();
                below.certificate.issuer = below.certificate.subject.clone();
                below.certificate.subject = name.clone();
                below.issuer_key = below.key.clone();
                below.set_key(Key::p384("below the instance"));
                d.payload.cabundle_mut().push(Cbor::Bytes(below.certificate.sign(&below.issuer_key)));
                d.chain.leaf.certificate.issuer = name;
                d.chain.leaf.issuer_key = below.key;
            },
        ),
        refused(
            "name_constraints_violated",
            "path_validation",
            "The zonal certificate permits other names than the leaf's.",
            |d| {
                let subtree = der::sequence(&[der::context(4, &authority_name("another.nitro-enclaves"))]);
                let value = der::sequence(&[der::context(0, &subtree)]);
                d.chain.zonal.certificate.set_extension(Extension {
                    oid: NAME_CONSTRAINTS,
                    critical: true,
                    value,
                });
            },
        ),
    ];
    by_level.chain(path_len).chain(renamed).chain(others).chain(on_another_curve()).collect()
}

/// Each authority with a key on P-256, which signs what stands below it.
fn on_another_curve() -> Vec<Vector> {
    LEVELS[..4]
        .iter()
        .copied()
        .map(|(level, name)| {
            let vector = refused(
                format!("{name}_on_p256"),
                "path_validation",
                format!("Every key of the chain is on P-384; the {name} certificate's is not."),
                |d| {
                    let key = Key::p256(name);
                    d.chain.link_mut(level).set_key(key.clone());
                    let chain = &mut d.chain;
                    match level {
                        Level::Root => {
                            chain.root.issuer_key = key.clone();
                            chain.regional.issuer_key = key;
                        }
                        Level::Regional => chain.zonal.issuer_key = key,
                        Level::Zonal => chain.instance.issuer_key = key,
                        Level::Instance | Level::Leaf => chain.leaf.issuer_key = key,
                    }
                },
            );
            if level == Level::Root { vector.under_its_own_root() } else { vector }
        })
        .collect()
}

/// What the leaf must and must not be.
fn leaf() -> Vec<Vector> {
    vec![
        refused("leaf_is_a_ca", "path_basic_constraints", "An enclave that could issue certificates.", |d| {
            d.chain.leaf.certificate.set_extension(ca_constraints(None));
        }),
        refused("leaf_without_digital_signature", "path_key_usage", "The leaf may not sign data.", |d| {
            d.chain.leaf.certificate.set_extension(key_usage(&[NON_REPUDIATION], false));
        }),
        refused("leaf_may_sign_certificates_only", "path_key_usage", "The leaf may not sign data.", |d| {
            d.chain.leaf.certificate.set_extension(key_usage(&[KEY_CERT_SIGN], false));
        }),
        refused(
            "leaf_may_sign_certificates_too",
            "path_key_usage",
            "keyCertSign is for CAs (RFC 5280 §4.2.1.9).",
            |d| {
                let usage = key_usage(&[DIGITAL_SIGNATURE, KEY_CERT_SIGN], false);
                d.chain.leaf.certificate.set_extension(usage);
            },
        ),
        refused(
            "leaf_without_key_usage",
            "path_key_usage",
            "Hardware always says what the leaf may do.",
            |d| {
                d.chain.leaf.certificate.remove_extension(KEY_USAGE);
            },
        ),
        refused(
            "leaf_with_unknown_critical_extension",
            "path_critical_extension",
            "It must be understood or refused.",
            |d| {
                d.chain.leaf.certificate.set_extension(unknown_extension(true));
            },
        ),
        refused(
            "leaf_issuer_renamed",
            "path_issuer_name",
            "Signed by the instance's key, issued by another name.",
            |d| {
                d.chain.leaf.certificate.issuer =
                    machine_name("i-00000000000000000.eu-central-1.aws.nitro-enclaves");
            },
        ),
        refused("leaf_on_p256", "path_leaf_key", "Every key of the chain is on P-384.", |d| {
            let key = Key::p256("leaf");
            d.chain.leaf.set_key(key.clone());
            d.signer = key;
        }),
        refused("leaf_with_an_rsa_key", "path_leaf_key", "Every key of the chain is on P-384.", |d| {
            d.chain.leaf.certificate.spki = rsa_spki(2048, F4);
        }),
        refused("leaf_on_an_unknown_curve", "path_leaf_key", "A curve that no arc names.", |d| {
            d.chain.leaf.certificate.spki = spki_on(UNKNOWN_CURVE, &d.chain.leaf.key.point());
        }),
        refused(
            "leaf_key_compressed",
            "path_leaf_key",
            "x and the sign of y: a second encoding of the key.",
            |d| {
                let point = d.chain.leaf.key.point();
                let sign = 0x02 | point[96] & 1;
                d.chain.leaf.certificate.spki = spki_on(SECP384R1, &[&[sign], &point[1..49]].concat());
            },
        ),
        refused("leaf_on_p521", "path_leaf_key", "Every key of the chain is on P-384.", |d| {
            d.chain.leaf.certificate.spki = spki_on(SECP521R1, &[&[0x04][..], &[1; 132]].concat());
        }),
        refused(
            "leaf_key_off_the_curve",
            "path_leaf_key",
            "One bit of y is another: no point on P-384.",
            |d| {
                if let Some(last) = d.chain.leaf.certificate.spki.last_mut() {
                    *last ^= 1;
                }
            },
        ),
    ]
}
