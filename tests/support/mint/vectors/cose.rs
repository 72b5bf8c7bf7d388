//! Defects of the envelope (RFC 9052 §4.2).

use super::super::cbor::{Cbor, bytes};
use super::super::key::ecdsa_sig_value;
use super::super::{COSE_SIGN1, Document, PROTECTED_ES384};
use super::{Layer, Vector};

pub fn vectors() -> Vec<Vector> {
    [headers(), tags(), elements(), signatures(), sizes()].into_iter().flatten().collect()
}

fn refused(defect: &str, error: &'static str, why: &str, edit: impl FnOnce(&mut Document)) -> Vector {
    super::refused(Layer::Cose, defect, error, why, edit)
}

fn headers() -> Vec<Vector> {
    let alg = || vec![(Cbor::Unsigned(1), Cbor::Raw(vec![0x38, 0x22]))];
    vec![
        refused(
            "alg_absent",
            "cose_protected_header",
            "Without alg the verifier would have to guess.",
            |d| {
                d.protected = vec![0xa0];
            },
        ),
        refused(
            "protected_empty",
            "cose_protected_header",
            "An empty byte string stands for no header at all.",
            |d| {
                d.protected = Vec::new();
            },
        ),
        refused(
            "alg_in_unprotected_only",
            "cose_protected_header",
            "The unprotected header is not signed: anyone can write alg there.",
            |d| {
                d.protected = vec![0xa0];
                d.unprotected = Cbor::Map(alg());
            },
        ),
        refused(
            "alg_in_both_headers",
            "cose_unprotected_header",
            "A label may stand in one header only (RFC 9052 §3), and hardware leaves this one empty.",
            |d| d.unprotected = Cbor::Map(alg()),
        ),
        refused("alg_es256", "cose_protected_header", "ES256 is not what the leaf key signs with.", |d| {
            d.protected = vec![0xa1, 0x01, 0x26];
        }),
        refused("alg_es512", "cose_protected_header", "ES512 is not what the leaf key signs with.", |d| {
            d.protected = vec![0xa1, 0x01, 0x38, 0x23];
        }),
        refused(
            "alg_hmac",
            "cose_protected_header",
            "HMAC 256/256 would make the public key a shared secret.",
            |d| {
                d.protected = vec![0xa1, 0x01, 0x05];
            },
        ),
        refused("alg_as_text", "cose_protected_header", "alg is the integer -35, not its name.", |d| {
            d.protected = b"\xa1\x01\x65ES384".to_vec();
        }),
        refused("alg_twice", "cose_protected_header", "A label may stand in a map once.", |d| {
            d.protected = vec![0xa2, 0x01, 0x38, 0x22, 0x01, 0x38, 0x22];
        }),
        refused(
            "alg_not_shortest",
            "cose_protected_header",
            "-35 in three bytes is a second encoding of the same.",
            |d| {
                d.protected = vec![0xa1, 0x01, 0x39, 0x00, 0x22];
            },
        ),
        refused(
            "protected_indefinite_map",
            "cose_protected_header",
            "A second encoding of the same header.",
            |d| {
                d.protected = vec![0xbf, 0x01, 0x38, 0x22, 0xff];
            },
        ),
        refused(
            "protected_trailing_byte",
            "cose_protected_header",
            "One byte follows the map in the byte string.",
            |d| {
                d.protected = [PROTECTED_ES384, &[0x00]].concat();
            },
        ),
        refused(
            "crit",
            "cose_protected_header",
            "crit lists a label that must be understood (RFC 9052 §3.1), and is not.",
            |d| d.protected = vec![0xa2, 0x01, 0x38, 0x22, 0x02, 0x81, 0x19, 0xff, 0xff],
        ),
        refused(
            "crit_in_unprotected",
            "cose_unprotected_header",
            "crit belongs into the protected header (RFC 9052 §3.1), and hardware writes none.",
            |d| d.unprotected = Cbor::Map(vec![(Cbor::Unsigned(2), Cbor::Array(vec![Cbor::Unsigned(1)]))]),
        ),
        refused(
            "content_type_in_protected",
            "cose_protected_header",
            "A label that hardware never writes.",
            |d| {
                d.protected = vec![0xa2, 0x01, 0x38, 0x22, 0x03, 0x18, 0x3c];
            },
        ),
        refused("label_of_text", "cose_protected_header", "A private label beside alg.", |d| {
            d.protected = b"\xa2\x01\x38\x22\x61x\x01".to_vec();
        }),
        refused("alg_ps384", "cose_protected_header", "An RSA signature; the leaf's key is on P-384.", |d| {
            d.protected = vec![0xa1, 0x01, 0x38, 0x25];
        }),
        refused("protected_null", "cose_malformed", "The protected header is null.", |d| {
            d.edit_elements = |elements| elements[0] = Cbor::Null;
        }),
        refused("unprotected_null", "cose_malformed", "The unprotected header is null.", |d| {
            d.unprotected = Cbor::Null;
        }),
        refused("kid_in_protected", "cose_protected_header", "A label that hardware never writes.", |d| {
            d.protected = vec![0xa2, 0x01, 0x38, 0x22, 0x04, 0x41, 0x01];
        }),
        refused(
            "kid_in_unprotected",
            "cose_unprotected_header",
            "Unsigned bytes inside the document.",
            |d| {
                d.unprotected = Cbor::Map(vec![(Cbor::Unsigned(4), bytes(&[1]))]);
            },
        ),
        refused(
            "unprotected_indefinite_map",
            "cose_unprotected_header",
            "A second encoding of the empty header, which no signature covers: anyone could re-encode a document.",
            |d| d.unprotected = Cbor::IndefiniteMap(Vec::new()),
        ),
        refused("unprotected_not_a_map", "cose_malformed", "A header is a map.", |d| {
            d.unprotected = Cbor::Array(Vec::new());
        }),
        refused(
            "protected_not_a_byte_string",
            "cose_malformed",
            "The protected header is wrapped in a bstr.",
            |d| {
                d.edit_elements = |elements| elements[0] = Cbor::Raw(PROTECTED_ES384.to_vec());
            },
        ),
    ]
}

fn tags() -> Vec<Vector> {
    vec![
        refused("tag_17", "cose_tag", "COSE_Mac0: authenticated by a shared key, not signed.", |d| {
            d.tags = vec![17];
        }),
        refused("tag_98", "cose_tag", "COSE_Sign: several signers, another structure.", |d| {
            d.tags = vec![98];
        }),
        refused("tag_18_twice", "cose_malformed", "A tagged COSE_Sign1 inside a tag.", |d| {
            d.tags = vec![COSE_SIGN1, COSE_SIGN1];
        }),
        refused(
            "tag_55799",
            "cose_tag",
            "Self-described CBOR (RFC 8949 §3.4.6): hardware writes no tag.",
            |d| {
                d.tags = vec![55799];
            },
        ),
        refused("tag_55799_around_18", "cose_tag", "Self-described CBOR around a tagged COSE_Sign1.", |d| {
            d.tags = vec![55799, COSE_SIGN1];
        }),
        refused("tag_18_around_55799", "cose_malformed", "A tag inside the tag of COSE_Sign1.", |d| {
            d.tags = vec![COSE_SIGN1, 55799];
        }),
        refused("tag_61_around_18", "cose_tag", "A CBOR Web Token (RFC 8392 §6) is something else.", |d| {
            d.tags = vec![61, COSE_SIGN1];
        }),
        refused(
            "tag_18_not_shortest",
            "cose_malformed",
            "Tag 18 in two bytes is a second encoding of the same.",
            |d| {
                d.edit_bytes = |document| drop(document.splice(0..0, [0xd8, 18]));
            },
        ),
    ]
}

fn elements() -> Vec<Vector> {
    vec![
        refused("empty_input", "document_length", "No bytes at all.", |d| d.edit_bytes = Vec::clear),
        refused("truncated", "cose_malformed", "The last byte is missing.", |d| {
            d.edit_bytes = |document| document.truncate(document.len() - 1);
        }),
        refused("trailing_byte", "cose_malformed", "One byte follows the document.", |d| {
            d.edit_bytes = |document| document.push(0);
        }),
        refused("twice", "cose_malformed", "Two documents, one after the other.", |d| {
            d.edit_bytes = |document| document.extend_from_within(..);
        }),
        refused("three_elements", "cose_array_length", "The signature is left out.", |d| {
            d.edit_elements = |elements| drop(elements.pop());
        }),
        refused("five_elements", "cose_array_length", "A fifth element follows the signature.", |d| {
            d.edit_elements = |elements| elements.push(Cbor::Null);
        }),
        refused("indefinite_array", "cose_malformed", "A second encoding of the same array.", |d| {
            d.edit_bytes = |document| {
                document[0] = 0x9f;
                document.push(0xff);
            };
        }),
        refused("map_in_place_of_array", "cose_malformed", "The structure is an array.", |d| {
            d.edit_bytes = |document| document[0] = 0xa2;
        }),
        refused(
            "payload_detached",
            "cose_malformed",
            "The payload is null: it would come from elsewhere.",
            |d| {
                d.edit_elements = |elements| elements[2] = Cbor::Null;
            },
        ),
        refused(
            "unsigned_emulator",
            "cose_protected_header",
            "QEMU's nitro-enclave machine signs nothing: alg -1, and zeros for signature and certificates.",
            |d| {
                d.protected = vec![0xa1, 0x01, 0x20];
                d.edit_signature = |_| vec![0; 64];
                d.payload.set("certificate", bytes(&[0; 64]));
                d.payload.set("cabundle", Cbor::Array(vec![bytes(&[0; 64])]));
            },
        ),
        refused(
            "payload_not_wrapped",
            "cose_malformed",
            "The payload map stands there without its byte string.",
            |d| {
                d.edit_elements = |elements| elements[2] = Cbor::Map(Vec::new());
            },
        ),
    ]
}

fn signatures() -> Vec<Vector> {
    const LENGTH: &str = "An ES384 signature is 96 bytes (RFC 9053 §2.1).";
    let length = |defect, edit: fn(Vec<u8>) -> Vec<u8>| {
        refused(defect, "cose_signature_length", LENGTH, |d| d.edit_signature = edit)
    };
    vec![
        length("signature_empty", |_| Vec::new()),
        length("signature_47_bytes", |signature| signature[..47].to_vec()),
        length("signature_95_bytes", |signature| signature[..95].to_vec()),
        length("signature_97_bytes", |signature| [&signature[..], &[0]].concat()),
        refused(
            "signature_in_der",
            "cose_signature_length",
            "The certificate's form of a signature, not COSE's.",
            |d| {
                d.edit_signature = |signature| ecdsa_sig_value(&signature);
            },
        ),
        refused("signature_null", "cose_malformed", "The signature is null.", |d| {
            d.edit_elements = |elements| elements[3] = Cbor::Null;
        }),
    ]
}

/// Claims of length, count and depth beyond all reason.
fn sizes() -> Vec<Vector> {
    vec![
        refused("longer_than_kms_allows", "document_length", "One byte more than 262,144.", |d| {
            d.edit_bytes = |document| document.resize(262_145, 0);
        }),
        refused("nested_10000_deep", "cose_malformed", "Ten thousand arrays, one in the other.", |d| {
            d.unprotected = Cbor::Raw(super::nested(0x81));
        }),
        refused("tags_10000_deep", "cose_malformed", "Ten thousand times tag 18.", |d| {
            d.tags = vec![COSE_SIGN1; 10_000];
        }),
        refused(
            "map_of_100000_entries",
            "cose_unprotected_header",
            "An unprotected header of many labels.",
            |d| {
                d.unprotected = Cbor::Map(vec![(Cbor::Unsigned(0), Cbor::Unsigned(0)); 100_000]);
            },
        ),
        refused("array_of_4_gib", "cose_array_length", "An array that claims 2^32 - 1 elements.", |d| {
            d.edit_bytes = |document| drop(document.splice(0..1, super::claiming_4_gib(0x9a)));
        }),
        refused("protected_of_4_gib", "cose_malformed", "A protected header that claims 4 GiB.", |d| {
            d.edit_elements = |elements| elements[0] = Cbor::Raw(super::claiming_4_gib(0x5a));
        }),
        refused(
            "unprotected_of_4_gib",
            "cose_unprotected_header",
            "A map that claims 2^32 - 1 entries.",
            |d| {
                d.unprotected = Cbor::Raw(super::claiming_4_gib(0xba));
            },
        ),
        refused("payload_of_4_gib", "cose_malformed", "A payload that claims 4 GiB.", |d| {
            d.edit_elements = |elements| elements[2] = Cbor::Raw(super::claiming_4_gib(0x5a));
        }),
        refused("payload_of_2_to_the_64", "cose_malformed", "A payload that claims 2^64 - 1 bytes.", |d| {
            d.edit_elements = |elements| elements[2] = Cbor::Raw([vec![0x5b], vec![0xff; 8]].concat());
        }),
        refused("signature_of_4_gib", "cose_malformed", "A signature that claims 4 GiB.", |d| {
            d.edit_elements = |elements| elements[3] = Cbor::Raw(super::claiming_4_gib(0x5a));
        }),
    ]
}
