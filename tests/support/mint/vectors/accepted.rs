//! Documents that are unusual and genuine: a verifier that refuses them refuses real enclaves.

use super::super::cbor::{Cbor, bytes};
use super::super::certificate::{AUTHORITY_KEY_IDENTIFIER, SUBJECT_KEY_IDENTIFIER, unknown_extension};
use super::super::key::{ecdsa_sig_value, is_high_s, with_other_s};
use super::super::recipient::{F4, rsa_spki};
use super::super::{COSE_SIGN1, Document};
use super::path::BELOW_THE_ROOT;
use super::{NOW_MS, Vector, accepted};

pub fn vectors() -> Vec<Vector> {
    [forms(), values(), paths(), recipients()].into_iter().flatten().collect()
}

fn forms() -> Vec<Vector> {
    vec![
        accepted("indefinite_map", "The form of all hardware since 2025-09.", |_| ()),
        accepted("definite_map", "The form of hardware until 2025-09.", |d| d.payload.indefinite = false),
        accepted("tag_18", "The published process allows the tag of COSE_Sign1.", |d| {
            d.tags = vec![COSE_SIGN1]
        }),
        accepted("high_s", "Half of all signatures on hardware have an s above half the group order.", |d| {
            d.edit_signature =
                |signature| if is_high_s(&signature) { signature } else { with_other_s(&signature) };
        }),
        accepted("low_s", "The other half.", |d| {
            d.edit_signature =
                |signature| if is_high_s(&signature) { with_other_s(&signature) } else { signature };
        }),
        accepted("null_optionals", "An optional field that is not set is null; none is left out.", |d| {
            d.payload.indefinite = false;
            ["public_key", "user_data", "nonce"].iter().for_each(|field| d.payload.set(field, Cbor::Null));
        }),
        accepted("fields_in_another_order", "A map has no order (RFC 8949 §5.6).", |d| {
            d.payload.fields.reverse()
        }),
    ]
}

fn values() -> Vec<Vector> {
    let timestamp = |what, why, timestamp_ms| {
        accepted(what, why, |d| d.payload.set("timestamp", Cbor::Unsigned(timestamp_ms)))
    };
    vec![
        accepted(
            "empty_user_data_and_nonce",
            "A byte string of no bytes is not null; hardware writes both.",
            |d| {
                d.payload.set("user_data", bytes(&[]));
                d.payload.set("nonce", bytes(&[]));
            },
        ),
        accepted(
            "user_data_and_nonce_of_1024_bytes",
            "Published is 512; hardware writes up to 1,024.",
            |d| {
                d.payload.set("user_data", bytes(&[0xaa; 1024]));
                d.payload.set("nonce", bytes(&[0xbb; 1024]));
            },
        ),
        accepted("17_pcrs", "PCR16 was extended by the application.", |d| d.payload.set_pcr(16, &[0x16; 48])),
        accepted("19_pcrs", "PCR20 to PCR22 were extended by the application.", |d| {
            (20..=22).for_each(|index| d.payload.set_pcr(index, &[0x20; 48]));
        }),
        accepted("pcr_31", "The last register there is.", |d| d.payload.set_pcr(31, &[0x31; 48])),
        accepted("32_pcrs", "As many as there are.", |d| {
            (16..32).for_each(|index| d.payload.set_pcr(index, &[0x16; 48]));
        }),
        accepted("three_pcrs", "Only those of the image.", |d| d.payload.pcrs_mut().truncate(3)),
        timestamp("five_minutes_old", "The oldest that is fresh.", NOW_MS - 300_000),
        timestamp("thirty_seconds_ahead", "The furthest that clocks may differ.", NOW_MS + 30_000),
    ]
}

fn paths() -> Vec<Vector> {
    vec![
        accepted(
            "instance_without_key_identifiers",
            "Until mid-2024 instance certificates had neither; a verifier that insists refuses real chains.",
            |d| {
                d.chain.instance.certificate.remove_extension(SUBJECT_KEY_IDENTIFIER);
                d.chain.instance.certificate.remove_extension(AUTHORITY_KEY_IDENTIFIER);
            },
        ),
        accepted("certificates_of_high_s", "Half of all certificates are signed with a high s.", |d| {
            encode_all(d, |raw| {
                ecdsa_sig_value(&if is_high_s(raw) { raw.to_vec() } else { with_other_s(raw) })
            });
        }),
        accepted("certificates_of_low_s", "The other half.", |d| {
            encode_all(d, |raw| {
                ecdsa_sig_value(&if is_high_s(raw) { with_other_s(raw) } else { raw.to_vec() })
            });
        }),
        accepted("unknown_extension_not_critical", "May be ignored (RFC 5280 §4.2).", |d| {
            d.chain.leaf.certificate.set_extension(unknown_extension(false));
        }),
        accepted("leaf_ending_now", "Both ends of a validity belong to it (RFC 5280 §4.1.2.5).", |d| {
            d.chain.leaf.certificate.not_after = (NOW_MS / 1000) as i64;
        }),
        accepted("leaf_starting_now", "Both ends of a validity belong to it.", |d| {
            d.chain.leaf.certificate.not_before = (NOW_MS / 1000) as i64;
        }),
        accepted(
            "document_older_than_its_leaf",
            "A document may be dated before the leaf that signs it.",
            |d| {
                d.chain.leaf.certificate.not_before = (NOW_MS / 1000) as i64;
                d.payload.set("timestamp", Cbor::Unsigned(NOW_MS - 200_000));
            },
        ),
    ]
}

/// Every signature but the root's, whose certificate is the anchor byte for byte.
fn encode_all(document: &mut Document, encode_signature: fn(&[u8]) -> Vec<u8>) {
    for (level, _) in BELOW_THE_ROOT {
        document.chain.link_mut(level).certificate.encode_signature = encode_signature;
    }
}

/// Documents that KMS would answer.
fn recipients() -> Vec<Vector> {
    [2048, 3072, 4096]
        .map(|bits| {
            accepted(format!("recipient_rsa_{bits}"), "A key that an answer can be encrypted to.", |d| {
                d.payload.set("public_key", bytes(&rsa_spki(bits, F4)));
            })
        })
        .into()
}
