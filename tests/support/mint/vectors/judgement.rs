//! Documents of the right form under the right root that are refused all the same: by their signature, age, mode or key.

use super::super::cbor::{Cbor, bytes};
use super::super::key::{Key, ORDER};
use super::super::recipient::{
    F4, rsa_pss_spki, rsa_public_key, rsa_spki, rsa_spki_with_even_modulus, rsa_spki_with_parameters,
};
use super::{Layer, NOW_MS, Vector, refused};

pub fn vectors() -> Vec<Vector> {
    [signature(), freshness(), debug_mode(), recipient_key()].into_iter().flatten().collect()
}

fn signature() -> Vec<Vector> {
    let mismatch = |defect, why, edit: fn(&mut super::Document)| {
        refused(Layer::Signature, defect, "signature_mismatch", why, edit)
    };
    vec![
        mismatch("zeros", "96 zero bytes: r = s = 0 is no signature, whatever the key.", |d| {
            d.edit_signature = |signature| vec![0; signature.len()];
        }),
        mismatch("all_ones", "r and s above the group order.", |d| {
            d.edit_signature = |signature| vec![0xff; signature.len()];
        }),
        mismatch("r_zero", "r is not between 1 and n - 1.", |d| {
            d.edit_signature = |signature| [&[0; 48], &signature[48..]].concat();
        }),
        mismatch("s_zero", "s is not between 1 and n - 1.", |d| {
            d.edit_signature = |signature| [&signature[..48], &[0; 48]].concat();
        }),
        mismatch("r_is_the_order", "r is not between 1 and n - 1.", |d| {
            d.edit_signature = |signature| [&ORDER, &signature[48..]].concat();
        }),
        mismatch("s_is_the_order", "s is not between 1 and n - 1.", |d| {
            d.edit_signature = |signature| [&signature[..48], &ORDER].concat();
        }),
        mismatch("r_above_the_order", "r is not between 1 and n - 1.", |d| {
            d.edit_signature = |signature| [&[0xff; 48], &signature[48..]].concat();
        }),
        mismatch("s_above_the_order", "s is not between 1 and n - 1.", |d| {
            d.edit_signature = |signature| [&signature[..48], &[0xff; 48]].concat();
        }),
        mismatch("of_ones", "r = s = 1: the least that is in range.", |d| {
            d.edit_signature = |_| {
                let one: Vec<u8> = [vec![0; 47], vec![1]].concat();
                [&one[..], &one].concat()
            };
        }),
        mismatch("by_another_key", "A well-formed signature by a stranger.", |d| {
            d.signer = Key::p384("stranger")
        }),
        mismatch("by_the_instance", "Signed by the key that issued the leaf, not by the leaf's.", |d| {
            d.signer = d.chain.instance.key.clone();
        }),
        mismatch("r_and_s_swapped", "The halves in the wrong order.", |d| {
            d.edit_signature = |mut signature| {
                signature.rotate_left(48);
                signature
            };
        }),
        mismatch("one_bit_changed", "The lowest bit of s.", |d| {
            d.edit_signature = |mut signature| {
                signature[95] ^= 1;
                signature
            };
        }),
        mismatch("payload_changed_after_signing", "One bit of PCR4.", |d| {
            d.edit_elements = |elements| {
                let Cbor::Bytes(payload) = &mut elements[2] else { unreachable!("a byte string") };
                // PCR4 holds the bytes 298 to 345.
                payload[300] ^= 1;
            };
        }),
        mismatch(
            "of_a_counter_signature",
            "Signed with the context of another structure (RFC 9052 §4.4).",
            |d| {
                d.context = "CounterSignature";
            },
        ),
        mismatch("of_a_cose_sign", "Signed as one of several signers: the context is Signature.", |d| {
            d.context = "Signature";
        }),
    ]
}

fn freshness() -> Vec<Vector> {
    let at = |defect, error, why, timestamp_ms| {
        refused(Layer::Freshness, defect, error, why, |d| {
            d.payload.set("timestamp", Cbor::Unsigned(timestamp_ms));
        })
    };
    vec![
        at(
            "one_hour_old",
            "stale",
            "Its leaf is valid: only its own timestamp says how old it is.",
            NOW_MS - 3_600_000,
        ),
        at("one_millisecond_too_old", "stale", "Five minutes are allowed.", NOW_MS - 300_001),
        at("from_1970", "stale", "One millisecond after the epoch.", 1),
        at("in_seconds", "stale", "A timestamp in seconds lies in January 1970.", NOW_MS / 1000),
        at(
            "one_millisecond_too_far_ahead",
            "from_the_future",
            "Thirty seconds are allowed.",
            NOW_MS + 30_001,
        ),
        at("one_hour_ahead", "from_the_future", "It would stay fresh for an hour.", NOW_MS + 3_600_000),
        at(
            "at_the_end_of_time",
            "from_the_future",
            "The largest timestamp there is: an age of it overflows.",
            u64::MAX,
        ),
    ]
}

fn debug_mode() -> Vec<Vector> {
    let zeroed = |defect, why, indices: &[u64]| {
        refused(Layer::DebugMode, defect, "debug_mode", why, |d| {
            indices.iter().for_each(|index| d.payload.set_pcr(*index, &[0; 48]));
        })
    };
    vec![
        zeroed("three_pcrs_zero", "What a debug enclave's document looks like.", &[0, 1, 2]),
        zeroed("pcr0_zero", "No image measures to zero.", &[0]),
        zeroed("pcr1_zero", "No kernel measures to zero.", &[1]),
        zeroed("pcr2_zero", "No application measures to zero.", &[2]),
    ]
}

fn recipient_key() -> Vec<Vector> {
    let holding = |defect, error, why, public_key: &[u8]| {
        let public_key = bytes(public_key);
        refused(Layer::RecipientKey, defect, error, why, |d| d.payload.set("public_key", public_key))
    };
    let trailing = [rsa_spki(2048, F4), vec![0]].concat();
    vec![
        refused(
            Layer::RecipientKey,
            "absent",
            "recipient_key_absent",
            "public_key is null: genuine, and nobody to encrypt to.",
            |_| (),
        ),
        holding("empty", "recipient_key_not_rsa", "Zero bytes, as real documents have.", &[]),
        holding(
            "of_32_raw_bytes",
            "recipient_key_not_rsa",
            "An X25519 key, as real documents have.",
            &[7; 32],
        ),
        holding(
            "in_pem",
            "recipient_key_not_rsa",
            "PEM, as real documents have.",
            b"-----BEGIN PUBLIC KEY-----\n",
        ),
        holding(
            "of_1024_bytes",
            "recipient_key_not_rsa",
            "The longest public_key, no key at all.",
            &[1; 1024],
        ),
        holding("on_p256", "recipient_key_not_rsa", "An elliptic-curve key.", &Key::p256("recipient").spki()),
        holding("on_p384", "recipient_key_not_rsa", "An elliptic-curve key.", &Key::p384("recipient").spki()),
        holding(
            "without_spki",
            "recipient_key_not_rsa",
            "PKCS#1's bare RSAPublicKey.",
            &rsa_public_key(2048),
        ),
        holding("for_pss", "recipient_key_not_rsa", "A key that may only sign.", &rsa_pss_spki(2048)),
        holding(
            "without_parameters",
            "recipient_key_not_rsa",
            "rsaEncryption comes with NULL (RFC 8017 A.1): a second encoding of the key.",
            &rsa_spki_with_parameters(2048, &[]),
        ),
        holding(
            "with_other_parameters",
            "recipient_key_not_rsa",
            "An OCTET STRING in the place of NULL.",
            &rsa_spki_with_parameters(2048, &[0x04, 0x00]),
        ),
        holding(
            "with_null_of_one_byte",
            "recipient_key_not_rsa",
            "NULL has no content (X.690 8.8).",
            &rsa_spki_with_parameters(2048, &[0x05, 0x01, 0x00]),
        ),
        holding("trailing_byte", "recipient_key_not_rsa", "One byte follows the key.", &trailing),
        holding("rsa_1024", "recipient_key_modulus", "Within reach of factoring.", &rsa_spki(1024, F4)),
        holding("rsa_2047", "recipient_key_modulus", "A bit short.", &rsa_spki(2047, F4)),
        holding("rsa_4097", "recipient_key_modulus", "A bit beyond what is accepted.", &rsa_spki(4097, F4)),
        holding(
            "exponent_1",
            "recipient_key_exponent",
            "Encryption to it changes nothing.",
            &rsa_spki(2048, &[1]),
        ),
        holding(
            "exponent_3",
            "recipient_key_exponent",
            "Below what FIPS 186-5 allows.",
            &rsa_spki(2048, &[3]),
        ),
        holding("exponent_even", "recipient_key_exponent", "It has no inverse.", &rsa_spki(2048, &[1, 0, 2])),
        holding(
            "exponent_of_34_bits",
            "recipient_key_exponent",
            "Work for the broker.",
            &rsa_spki(2048, &[3, 0, 0, 0, 1]),
        ),
        holding(
            "exponent_of_2048_bits",
            "recipient_key_exponent",
            "More work for the broker.",
            &rsa_spki(2048, &[0x7f; 256]),
        ),
        holding(
            "modulus_even",
            "recipient_key_not_rsa",
            "Two is a factor.",
            &rsa_spki_with_even_modulus(2048),
        ),
    ]
}
