//! Defects of the payload: its syntax (RFC 8949) and the published limits of its nine fields.

use super::super::cbor::{Cbor, bytes, text};
use super::super::chain::Level;
use super::super::{Document, INSTANCE_ID, MODULE_ID};
use super::{Layer, Vector};

const FIELDS: [&str; 9] = [
    "module_id",
    "digest",
    "timestamp",
    "pcrs",
    "certificate",
    "cabundle",
    "public_key",
    "user_data",
    "nonce",
];
/// The fields that must hold something; the other three may be null.
const REQUIRED: [&str; 6] = ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"];

pub fn vectors() -> Vec<Vector> {
    [presence(), types(), encoding(), scalars(), pcrs(), certificates(), optional_fields(), sizes()]
        .into_iter()
        .flatten()
        .collect()
}

fn refused(
    defect: impl Into<String>,
    error: &'static str,
    why: impl Into<String>,
    edit: impl FnOnce(&mut Document),
) -> Vector {
    super::refused(Layer::Payload, defect, error, why, edit)
}

fn presence() -> Vec<Vector> {
    let absent = FIELDS.map(|field| {
        refused(
            format!("{field}_absent"),
            "payload_missing_field",
            format!("All nine fields are always present; {field} is not."),
            move |d| d.payload.remove(field),
        )
    });
    let null = REQUIRED.map(|field| {
        refused(
            format!("{field}_null"),
            "payload_malformed",
            format!("Only public_key, user_data and nonce may be null; {field} is."),
            move |d| d.payload.set(field, Cbor::Null),
        )
    });
    let duplicate = FIELDS.map(|field| {
        refused(
            format!("{field}_twice"),
            "payload_duplicate_field",
            format!("{field} stands twice: two readers could read two documents."),
            move |d| d.payload.duplicate(field),
        )
    });
    let others = vec![
        refused("unknown_field", "payload_unknown_field", "A tenth field that nobody would look at.", |d| {
            d.payload.fields.push((text("extra"), Cbor::Unsigned(1)));
        }),
        refused(
            "field_in_other_case",
            "payload_unknown_field",
            "Names are compared exactly: Nonce is not nonce.",
            |d| {
                d.payload.rename("nonce", text("Nonce"));
            },
        ),
        refused("field_named_by_number", "payload_malformed", "A field is named by a text string.", |d| {
            d.payload.rename("nonce", Cbor::Unsigned(8));
        }),
        refused(
            "field_named_by_bytes",
            "payload_malformed",
            "A field is named by a text string, not by bytes.",
            |d| {
                d.payload.rename("nonce", bytes(b"nonce"));
            },
        ),
        refused("empty_map", "payload_missing_field", "A map with nothing in it.", |d| {
            d.payload.fields.clear()
        }),
    ];
    absent.into_iter().chain(null).chain(duplicate).chain(others).collect()
}

fn types() -> Vec<Vector> {
    let of_wrong_type = [
        ("module_id", "bytes", bytes(b"i-0123456789abcdef0-enc0123456789abcdef")),
        ("digest", "bytes", bytes(b"SHA384")),
        ("timestamp", "text", text("2026-11-24T12:00:00Z")),
        ("timestamp", "negative", Cbor::Raw(vec![0x20])),
        ("timestamp", "float", Cbor::Raw(vec![0xfb, 0x42, 0x79, 0xa1, 0x85, 0x1b, 0xc0, 0, 0])),
        ("pcrs", "array", Cbor::Array(vec![bytes(&[1; 48])])),
        ("certificate", "text", text("-----BEGIN CERTIFICATE-----")),
        ("cabundle", "bytes", bytes(&[0x30, 0])),
        ("public_key", "text", text("-----BEGIN PUBLIC KEY-----")),
        ("user_data", "text", text("user data")),
        ("nonce", "text", text("nonce")),
        ("nonce", "undefined", Cbor::Raw(vec![0xf7])),
    ];
    of_wrong_type
        .into_iter()
        .map(|(field, kind, value)| {
            let why = format!("{field} is of another type than published.");
            refused(format!("{field}_as_{kind}"), "payload_malformed", why, |d| d.payload.set(field, value))
        })
        .collect()
}

fn encoding() -> Vec<Vector> {
    vec![
        refused("trailing_byte", "payload_malformed", "One signed byte follows the map.", |d| {
            d.payload.trailing = vec![0];
        }),
        refused("empty", "payload_malformed", "The payload is an empty byte string, signed as such.", |d| {
            d.payload.fields.clear();
            d.payload.indefinite = false;
            d.edit_elements = |elements| elements[2] = bytes(&[]);
        }),
        refused("not_a_map", "payload_malformed", "An array of what should be a map's fields.", |d| {
            d.payload.fields.clear();
            d.payload.indefinite = false;
            d.edit_elements = |elements| elements[2] = bytes(&[0x80]);
        }),
        refused("timestamp_not_shortest", "payload_malformed", "A small number in nine bytes.", |d| {
            d.payload.set("timestamp", Cbor::Raw(vec![0x1b, 0, 0, 0, 0, 0, 0, 0, 1]));
        }),
        refused("nonce_not_shortest", "payload_malformed", "A length of one in two bytes.", |d| {
            d.payload.set("nonce", Cbor::Raw(vec![0x58, 1, 0]));
        }),
        refused(
            "nonce_in_chunks",
            "payload_malformed",
            "An indefinite-length byte string: a second encoding.",
            |d| {
                d.payload.set("nonce", Cbor::Raw(vec![0x5f, 0x41, 0, 0xff]));
            },
        ),
        refused("nonce_longer_than_input", "payload_malformed", "Claims four gigabytes.", |d| {
            d.payload.set("nonce", Cbor::Raw(vec![0x5a, 0xff, 0xff, 0xff, 0xff]));
        }),
        refused("nonce_tagged", "payload_malformed", "A tag in front of the value.", |d| {
            d.payload.set("nonce", Cbor::Raw(vec![0xc0, 0x41, 0]));
        }),
        refused("break_missing", "payload_malformed", "The indefinite map never ends.", |d| {
            let Cbor::IndefiniteMap(_) = d.payload.item() else { unreachable!("hardware's form") };
            let whole = d.payload.item().encode(&d.chain);
            let entries = whole[1..whole.len() - 1].to_vec();
            d.payload.fields.clear();
            d.payload.indefinite = false;
            d.payload.trailing = entries;
            d.edit_elements = |elements| open_map(elements);
        }),
        refused("map_shorter_than_claimed", "payload_malformed", "The map claims a tenth entry.", |d| {
            d.payload.indefinite = false;
            d.edit_elements = |elements| {
                let Cbor::Bytes(payload) = &mut elements[2] else { unreachable!("a byte string") };
                payload[0] = 0xaa;
            };
        }),
    ]
}

/// Turns the empty definite map in front of the payload into the head of an indefinite one.
fn open_map(elements: &mut [Cbor]) {
    let Cbor::Bytes(payload) = &mut elements[2] else { unreachable!("a byte string") };
    payload[0] = 0xbf;
}

fn scalars() -> Vec<Vector> {
    let module_id = |defect, value: &str, why| {
        let value = text(value);
        refused(defect, "payload_module_id", why, |d| d.payload.set("module_id", value))
    };
    vec![
        module_id(
            "module_id_129_bytes",
            &format!("{MODULE_ID}{}", "0".repeat(129 - MODULE_ID.len())),
            "Real ones have 39 bytes; 128 are accepted.",
        ),
        module_id("module_id_empty", "", "At least one character is published."),
        module_id("module_id_without_enclave", INSTANCE_ID, "An instance, not an enclave in it."),
        module_id(
            "module_id_of_a_nitrotpm",
            "i-0123456789abcdef0-tpm0000000000000000",
            "NitroTPM documents pass the same signature and chain checks; they attest an instance, not an enclave.",
        ),
        module_id(
            "module_id_with_a_line_break",
            "i-0123456789abcdef0-enc0123\nadmin",
            "It would reach the logs.",
        ),
        refused(
            "nitrotpm",
            "payload_nitrotpm",
            "A whole NitroTPM document: nitrotpm_pcrs in place of pcrs.",
            |d| {
                d.payload.rename("pcrs", text("nitrotpm_pcrs"));
                d.payload.set("module_id", text("i-0123456789abcdef0-tpm0000000000000000"));
            },
        ),
        refused("digest_one_byte_too_long", "payload_digest", "The value is exactly SHA384.", |d| {
            d.payload.set("digest", text("SHA384\0"));
        }),
        refused("digest_sha256", "payload_digest", "The only digest published is SHA384.", |d| {
            d.payload.set("digest", text("SHA256"));
        }),
        refused("digest_in_lower_case", "payload_digest", "The value is exactly SHA384.", |d| {
            d.payload.set("digest", text("sha384"));
        }),
        refused("timestamp_zero", "payload_timestamp", "A timestamp is greater than zero.", |d| {
            d.payload.set("timestamp", Cbor::Unsigned(0));
        }),
        refused(
            "timestamp_beyond_64_bits",
            "payload_malformed",
            "A big number in place of an unsigned integer.",
            |d| {
                d.payload.set("timestamp", Cbor::Raw(vec![0xc2, 0x49, 1, 0, 0, 0, 0, 0, 0, 0, 0]));
            },
        ),
    ]
}

fn pcrs() -> Vec<Vector> {
    let absent = [0, 1, 2].map(|index| {
        refused(
            format!("pcr{index}_absent"),
            "payload_missing_pcr",
            format!("PCR{index} says what the enclave runs; leaving it out is not zeroing it."),
            |d| drop(d.payload.pcrs_mut().remove(index)),
        )
    });
    let length = |length: usize, why| {
        let value = vec![1; length];
        refused(format!("pcr_of_{length}_bytes"), "payload_length", why, move |d| {
            d.payload.set_pcr(5, &value)
        })
    };
    let others = vec![
        refused("pcrs_empty", "payload_missing_pcr", "Without PCRs nothing is measured.", |d| {
            d.payload.pcrs_mut().clear();
        }),
        refused("pcr_index_32", "payload_pcr_index", "Indices run from 0 to 31.", |d| {
            d.payload.set_pcr(32, &[1; 48])
        }),
        refused("pcr_index_255", "payload_pcr_index", "Indices run from 0 to 31.", |d| {
            d.payload.set_pcr(255, &[1; 48])
        }),
        refused("pcr_index_2_to_the_32", "payload_pcr_index", "Cut to 32 bits this would be PCR0.", |d| {
            d.payload.set_pcr(1 << 32, &[1; 48]);
        }),
        refused("pcr_index_as_text", "payload_malformed", "An index is an integer.", |d| {
            d.payload.pcrs_mut().push((text("16"), bytes(&[1; 48])));
        }),
        refused("pcr_index_negative", "payload_malformed", "An index is not negative.", |d| {
            d.payload.pcrs_mut().push((Cbor::Raw(vec![0x20]), bytes(&[1; 48])));
        }),
        refused(
            "pcr_index_not_shortest",
            "payload_malformed",
            "PCR0 a second time, its index in two bytes.",
            |d| {
                d.payload.pcrs_mut().push((Cbor::Raw(vec![0x18, 0]), bytes(&[1; 48])));
            },
        ),
        refused(
            "pcr_twice",
            "payload_pcr_index",
            "PCR0 twice, with two values: which one would a policy see?",
            |d| {
                d.payload.pcrs_mut().push((Cbor::Unsigned(0), bytes(&[1; 48])));
            },
        ),
        length(0, "An empty PCR."),
        length(32, "A published length, of another digest than SHA384."),
        length(64, "A published length, of another digest than SHA384."),
        length(47, "A SHA-384 value is 48 bytes."),
        length(49, "A SHA-384 value is 48 bytes."),
        refused("pcrs_indefinite", "payload_malformed", "Nested items are definite.", |d| {
            let pcrs = d.payload.pcrs_mut().clone();
            d.payload.set("pcrs", Cbor::IndefiniteMap(pcrs));
        }),
        refused("pcr_null", "payload_malformed", "A PCR holds a value.", |d| {
            d.payload.pcrs_mut()[5].1 = Cbor::Null;
        }),
        refused("pcrs_33", "payload_pcr_count", "33 PCRs: one has no index left.", |d| {
            (0..33).for_each(|index| d.payload.set_pcr(index, &[1; 48]));
        }),
    ];
    absent.into_iter().chain(others).collect()
}

fn certificates() -> Vec<Vector> {
    vec![
        refused("certificate_empty", "payload_length", "A certificate is 1 to 1,024 bytes.", |d| {
            d.payload.set("certificate", bytes(&[]));
        }),
        refused("certificate_1025_bytes", "payload_length", "A certificate is 1 to 1,024 bytes.", |d| {
            d.payload.set("certificate", bytes(&[0x30; 1025]));
        }),
        refused("cabundle_empty", "payload_cabundle_count", "Nothing would lead to the root.", |d| {
            d.payload.cabundle_mut().clear();
        }),
        refused("cabundle_entry_empty", "payload_length", "A certificate is 1 to 1,024 bytes.", |d| {
            d.payload.cabundle_mut().push(bytes(&[]));
        }),
        refused("cabundle_entry_1025_bytes", "payload_length", "A certificate is 1 to 1,024 bytes.", |d| {
            d.payload.cabundle_mut().push(bytes(&[0x30; 1025]));
        }),
        refused("cabundle_entry_null", "payload_malformed", "An entry is a byte string.", |d| {
            d.payload.cabundle_mut().push(Cbor::Null);
        }),
        refused(
            "cabundle_of_9",
            "payload_cabundle_count",
            "One more than is accepted; real bundles hold four.",
            |d| {
                let instance = Cbor::Certificate(Level::Instance);
                d.payload.cabundle_mut().extend(vec![instance; 5]);
            },
        ),
        refused("cabundle_of_200", "payload_cabundle_count", "Work for whoever builds paths from it.", |d| {
            let instance = Cbor::Certificate(Level::Instance);
            d.payload.cabundle_mut().extend(vec![instance; 196]);
        }),
        refused("cabundle_indefinite", "payload_malformed", "Nested items are definite.", |d| {
            d.payload.set("cabundle", Cbor::Raw(vec![0x9f, 0x41, 0x30, 0xff]));
        }),
    ]
}

fn optional_fields() -> Vec<Vector> {
    ["public_key", "user_data", "nonce"]
        .map(|field| {
            refused(
                format!("{field}_1025_bytes"),
                "payload_length",
                format!("The longest {field} that hardware emits is 1,024 bytes."),
                move |d| d.payload.set(field, bytes(&[1; 1025])),
            )
        })
        .into()
}

/// Claims of length, count and depth beyond all reason.
fn sizes() -> Vec<Vector> {
    let text_of_4_gib = ["module_id", "digest"].map(|field| {
        refused(format!("{field}_of_4_gib"), "payload_malformed", "Claims 4 GiB.", |d| {
            d.payload.set(field, Cbor::Raw(super::claiming_4_gib(0x7a)));
        })
    });
    let bytes_of_4_gib = ["certificate", "public_key", "user_data"].map(|field| {
        refused(format!("{field}_of_4_gib"), "payload_malformed", "Claims 4 GiB.", |d| {
            d.payload.set(field, Cbor::Raw(super::claiming_4_gib(0x5a)));
        })
    });
    let others = vec![
        refused("nested_10000_deep", "payload_malformed", "Ten thousand arrays, one in the other.", |d| {
            d.payload.set("user_data", Cbor::Raw(super::nested(0x81)));
        }),
        refused(
            "nested_10000_deep_in_a_key",
            "payload_malformed",
            "The name of a field is a text string.",
            |d| {
                d.payload.rename("nonce", Cbor::Raw(super::nested(0x81)));
            },
        ),
        refused("maps_nested_10000_deep", "payload_malformed", "Ten thousand maps without an end.", |d| {
            d.payload.set("pcrs", Cbor::Raw([&[0xa1, 0x00][..], &super::nested(0xbf)].concat()));
        }),
        refused("tags_10000_deep", "payload_malformed", "Ten thousand tags in front of a value.", |d| {
            d.payload.set("nonce", Cbor::Raw(super::nested(0xc0)));
        }),
        refused(
            "cabundle_of_4_gib",
            "payload_cabundle_count",
            "An array that claims 2^32 - 1 entries.",
            |d| {
                d.payload.set("cabundle", Cbor::Raw(super::claiming_4_gib(0x9a)));
            },
        ),
        refused("pcrs_of_4_gib", "payload_malformed", "A map that claims 2^32 - 1 entries, and ends.", |d| {
            d.payload.set("pcrs", Cbor::Raw(super::claiming_4_gib(0xba)));
        }),
        refused("map_of_4_gib", "payload_malformed", "A payload that claims 2^32 - 1 fields.", |d| {
            d.payload.indefinite = false;
            d.edit_elements = |elements| {
                let Cbor::Bytes(payload) = &mut elements[2] else { unreachable!("a byte string") };
                payload.splice(0..1, super::claiming_4_gib(0xba));
            };
        }),
        refused("map_of_100000_entries", "payload_unknown_field", "Work for whoever collects them.", |d| {
            d.payload.fields = vec![(text(""), Cbor::Null); 100_000];
        }),
        refused("pcrs_of_100000_entries", "payload_length", "Work for whoever collects them.", |d| {
            d.payload.set("pcrs", Cbor::Map(vec![(Cbor::Unsigned(0), bytes(&[])); 100_000]));
        }),
        refused(
            "pcrs_of_5000_registers",
            "payload_pcr_index",
            "Registers of the right length, all the same.",
            |d| {
                d.payload.set("pcrs", Cbor::Map(vec![(Cbor::Unsigned(0), bytes(&[1; 48])); 5_000]));
            },
        ),
    ];
    text_of_4_gib.into_iter().chain(bytes_of_4_gib).chain(others).collect()
}
