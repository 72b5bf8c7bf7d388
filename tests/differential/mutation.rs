//! Changes of a genuine document: of single bits, of its encoding, of its fields, of its certificates.
//!
//! Only a change outside the signed payload can leave the document genuine. Whatever is done to the payload breaks the
//! signature; it is done all the same, since a decoder or a path validation that errs does so before the signature is
//! looked at.

use crate::certificate;
use crate::document::{
    Document, array, byte_string, envelope, in_chunks, map, text_string, with_longest_head,
};
use crate::signature;

/// Cases of single bits and pieces in each document and region.
const SAMPLES: usize = 40;

/// A class and a changed document of it.
pub type Mutated = (String, Vec<u8>);

/// All changes of `document`; `other` is a genuine one of another enclave.
pub fn all(document: &[u8], other: &[u8]) -> Vec<Mutated> {
    let (document, other) = (Document::read(document), Document::read(other));
    let mut mutated = Vec::new();
    bits(&document, &mut mutated);
    pieces(&document, &other, &mut mutated);
    envelopes(&document, &mut mutated);
    signatures(&document, &mut mutated);
    fields(&document, &mut mutated);
    values(&document, &mut mutated);
    paths(&document, &other, &mut mutated);
    certificates(&document, &mut mutated);
    // What is so already is no change.
    mutated.retain(|(_, bytes)| *bytes != document.bytes);
    mutated
}

/// One bit of each region in turn.
fn bits(document: &Document, mutated: &mut Vec<Mutated>) {
    const LEVELS: [&str; 5] = ["root", "regional", "zonal", "instance", "leaf"];
    let mut random = Random(1);
    let envelope_head = 0..document.payload.start;
    let in_payload = document.payload.clone();
    let regions =
        [("envelope", envelope_head), ("payload", in_payload), ("signature", document.signature.clone())];
    let certificates = LEVELS.into_iter().zip(document.certificate_ranges.iter().cloned());
    for (region, range) in regions.into_iter().chain(certificates) {
        for _ in 0..SAMPLES {
            let mut bytes = document.bytes.clone();
            bytes[range.start + random.below(range.len())] ^= 1 << random.below(8);
            mutated.push((format!("bit_of_{region}"), bytes));
        }
    }
}

/// Pieces cut out, put in, written over.
fn pieces(document: &Document, other: &Document, mutated: &mut Vec<Mutated>) {
    let mut random = Random(2);
    let bytes = &document.bytes;
    for _ in 0..SAMPLES {
        let at = random.below(bytes.len());
        let until = bytes.len().min(at + 1 + random.below(64));
        let from = random.below(other.bytes.len() - 64);
        let piece = &other.bytes[from..from + until - at];
        let (before, after) = (&bytes[..at], &bytes[until..]);
        mutated.push(("piece_cut_out".to_owned(), [before, after].concat()));
        mutated.push(("piece_twice".to_owned(), [&bytes[..until], &bytes[at..]].concat()));
        mutated.push(("piece_of_another".to_owned(), [before, piece, after].concat()));
        mutated.push(("truncated".to_owned(), before.to_vec()));
    }
    for tail in [&[0x00][..], &[0xff], &[0xf6], bytes] {
        mutated.push(("trailing_bytes".to_owned(), [bytes, tail].concat()));
    }
}

/// Other encodings of what the signature covers, or does not.
fn envelopes(document: &Document, mutated: &mut Vec<Mutated>) {
    let (payload, signature) = (byte_string(document.payload()), byte_string(document.signature()));
    let plain = &document.bytes[..];
    let protected = &[0x44, 0xa1, 0x01, 0x38, 0x22][..];
    let with_headers = |protected: &[u8], unprotected: &[u8]| {
        [&[0x84], protected, unprotected, &payload, &signature].concat()
    };
    let mut add = |class: &str, bytes: Vec<u8>| mutated.push((class.to_owned(), bytes));

    add("tag_17", [&[0xd1], plain].concat());
    add("tag_18", [&[0xd2], plain].concat());
    add("tag_18_twice", [&[0xd2, 0xd2], plain].concat());
    add("tag_18_longer", [&[0xd8, 0x12], plain].concat());
    add("tag_61_around_18", [&[0xd8, 0x3d, 0xd2], plain].concat());
    add("tag_98", [&[0xd8, 0x62], plain].concat());
    add("tag_55799", [&[0xd9, 0xd9, 0xf7], plain].concat());
    add("array_longer_head", [&[0x98, 0x04], &plain[1..]].concat());
    add("array_indefinite", [&[0x9f], &plain[1..], &[0xff]].concat());
    add("array_of_five", [&[0x85], &plain[1..], &[0xf6]].concat());
    add("protected_longer_head", with_headers(&with_longest_head(protected), &[0xa0]));
    add("protected_in_chunks", with_headers(&in_chunks(&protected[1..]), &[0xa0]));
    add("protected_as_map", with_headers(&protected[1..], &[0xa0]));
    add("protected_empty", with_headers(&[0x40], &[0xa0]));
    add("alg_in_unprotected_only", with_headers(&[0x40], &[0xa1, 0x01, 0x38, 0x22]));
    add("alg_es256", with_headers(&[0x43, 0xa1, 0x01, 0x26], &[0xa0]));
    add("alg_in_both_headers", with_headers(protected, &[0xa1, 0x01, 0x38, 0x22]));
    add("kid_in_unprotected", with_headers(protected, &[0xa1, 0x04, 0x41, 0x31]));
    add("unprotected_indefinite", with_headers(protected, &[0xbf, 0xff]));
    add("unprotected_longer_head", with_headers(protected, &[0xb8, 0x00]));
    add("unprotected_null", with_headers(protected, &[0xf6]));
    add("payload_longer_head", envelope(&with_longest_head(&payload), &signature));
    add("payload_in_chunks", envelope(&in_chunks(document.payload()), &signature));
    add("payload_detached", envelope(&[0xf6], &signature));
    add("payload_as_text", envelope(&[&[0x7a], &payload[1..]].concat(), &signature));
    add("signature_longer_head", envelope(&payload, &with_longest_head(&signature)));
    add("signature_in_chunks", envelope(&payload, &in_chunks(document.signature())));
}

/// Other signatures, one of which is as genuine as the first.
fn signatures(document: &Document, mutated: &mut Vec<Mutated>) {
    let (r, s) = document.signature().split_at(signature::SCALAR_LEN);
    let zero = [0; signature::SCALAR_LEN];
    let order = &signature::ORDER[..];
    let mut add = |class: &str, parts: &[&[u8]]| {
        mutated.push((class.to_owned(), document.with_signature(&parts.concat())));
    };
    add("signature_other_s", &[r, &signature::negated(s)]);
    add("signature_negated_r", &[&signature::negated(r), s]);
    add("signature_swapped", &[s, r]);
    add("signature_r_zero", &[&zero, s]);
    add("signature_s_zero", &[r, &zero]);
    add("signature_zeros", &[&zero, &zero]);
    add("signature_r_is_the_order", &[order, s]);
    add("signature_s_is_the_order", &[r, order]);
    add("signature_empty", &[]);
    add("signature_95_bytes", &[r, &s[1..]]);
    add("signature_97_bytes", &[r, s, &[0]]);
    add("signature_padded", &[&[0], r, &[0], s]);
    add("signature_in_der", &[&signature::der(r, s)]);
}

/// Fields dropped, repeated, moved, renamed, emptied.
fn fields(document: &Document, mutated: &mut Vec<Mutated>) {
    let fields = &document.fields;
    let mut add = |class: &str, bytes: Vec<u8>| mutated.push((class.to_owned(), bytes));
    for (index, (name, value)) in fields.iter().enumerate() {
        let mut without = fields.clone();
        without.remove(index);
        add(&format!("{name}_absent"), document.with_fields(&without));

        let twice = [&fields[..], &fields[index..=index]].concat();
        add(&format!("{name}_twice"), document.with_fields(&twice));

        let mut first = without;
        first.insert(0, fields[index].clone());
        if index > 0 {
            add("field_moved_to_the_front", document.with_fields(&first));
        }

        let mut renamed = fields.clone();
        renamed[index].0 = name.to_uppercase();
        add("field_in_other_case", document.with_fields(&renamed));

        // An optional field is null in most documents.
        if value != &[0xf6] {
            add(&format!("{name}_null"), document.with_field(name, &[0xf6]));
            add("value_longer_head", document.with_field(name, &with_longest_head(value)));
            add("value_tagged", document.with_field(name, &[&[0xc1], &value[..]].concat()));
        }
        add("value_undefined", document.with_field(name, &[0xf7]));
        add("value_false", document.with_field(name, &[0xf4]));
    }
    let unknown = [&fields[..], &[("extra".to_owned(), vec![0xf6])]].concat();
    add("unknown_field", document.with_fields(&unknown));
    add("map_of_the_other_form", document.with_payload(&map(fields, !document.indefinite)));
    add("map_longer_head", document.with_payload(&with_longest_head(&map(fields, false))));
    add("map_with_break_missing", {
        let indefinite = map(fields, true);
        document.with_payload(&indefinite[..indefinite.len() - 1])
    });
    add("payload_trailing_byte", document.with_payload(&[document.payload(), &[0xf6]].concat()));
    add("payload_wrapped_twice", document.with_payload(&byte_string(document.payload())));
}

/// Values of another type or beyond a limit.
fn values(document: &Document, mutated: &mut Vec<Mutated>) {
    let mut add = |class: &str, field: &str, value: &[u8]| {
        mutated.push((class.to_owned(), document.with_field(field, value)));
    };
    let register = |index: &[u8], value: &[u8]| [index, &byte_string(value)].concat();
    let registers = |entries: &[Vec<u8>]| {
        let head = u8::try_from(entries.len()).unwrap();
        [&[0xa0 | head][..], &entries.concat()].concat()
    };
    let pcr = |index: u8| register(&[index], &[index + 1; 48]);
    let image = [pcr(0), pcr(1), pcr(2)];

    add("module_id_empty", "module_id", &text_string(""));
    add("module_id_as_bytes", "module_id", &byte_string(b"i-0-enc0"));
    add("module_id_not_of_an_enclave", "module_id", &text_string("i-0123456789abcdef0-tpm0000000000000000"));
    add("module_id_not_utf8", "module_id", &[0x62, 0xc3, 0x28]);
    add(
        "module_id_in_chunks",
        "module_id",
        &[0x7f, 0x63, b'i', b'-', b'0', 0x65, b'-', b'e', b'n', b'c', b'0', 0xff],
    );
    add("digest_sha256", "digest", &text_string("SHA256"));
    add("digest_in_lower_case", "digest", &text_string("sha384"));
    add("timestamp_zero", "timestamp", &[0x00]);
    add("timestamp_negative", "timestamp", &[0x20]);
    add("timestamp_as_text", "timestamp", &text_string("1700000000000"));
    add("timestamp_as_float", "timestamp", &[0xfb, 0x42, 0x78, 0xbc, 0xfe, 0x56, 0x80, 0x00, 0x00]);
    add("timestamp_all_ones", "timestamp", &[&[0x1b], &[0xff; 8][..]].concat());
    add("pcrs_empty", "pcrs", &[0xa0]);
    add("pcrs_as_array", "pcrs", &[0x80]);
    add("pcr0_absent", "pcrs", &registers(&image[1..]));
    add("pcr_index_31", "pcrs", &registers(&[&image[..], &[register(&[0x18, 31], &[1; 48])]].concat()));
    add("pcr_index_32", "pcrs", &registers(&[&image[..], &[register(&[0x18, 32], &[1; 48])]].concat()));
    add("pcr_index_negative", "pcrs", &registers(&[&image[..], &[register(&[0x20], &[1; 48])]].concat()));
    add(
        "pcr_index_as_text",
        "pcrs",
        &registers(&[&image[..], &[register(&text_string("3"), &[1; 48])]].concat()),
    );
    add("pcr_twice", "pcrs", &registers(&[&image[..], &image[..1]].concat()));
    for length in [0, 32, 47, 49, 64] {
        let class = format!("pcr_of_{length}_bytes");
        add(&class, "pcrs", &registers(&[&image[..], &[register(&[3], &vec![1; length])]].concat()));
    }
    add("cabundle_empty", "cabundle", &[0x80]);
    add("cabundle_as_bytes", "cabundle", &byte_string(&[1; 8]));
    add("cabundle_indefinite", "cabundle", &[0x9f, 0x41, 0x00, 0xff]);
    add("cabundle_of_nine", "cabundle", &array((0..9).map(|_| byte_string(&[0x30, 0x00]))));
    add("certificate_empty", "certificate", &byte_string(&[]));
    add("certificate_as_text", "certificate", &text_string("certificate"));
    for field in ["public_key", "user_data", "nonce"] {
        add(&format!("{field}_as_text"), field, &text_string("text"));
        for length in [0, 512, 513, 1024, 1025] {
            add(&format!("{field}_of_{length}_bytes"), field, &byte_string(&vec![7; length]));
        }
    }
}

/// The certificates of a genuine path, in another order or number, or some of another path.
fn paths(document: &Document, other: &Document, mutated: &mut Vec<Mutated>) {
    let own: Vec<&[u8]> = document.certificates().collect();
    let others: Vec<&[u8]> = other.certificates().collect();
    let [root, regional, zonal, instance, leaf] = own[..] else { panic!("five certificates") };
    let mut add = |class: &str, path: &[&[u8]]| {
        mutated.push((class.to_owned(), document.with_certificates(path)));
    };
    add("path_reversed", &[instance, zonal, regional, root, leaf]);
    add("path_root_last", &[regional, zonal, instance, root, leaf]);
    add("path_two_swapped", &[root, zonal, regional, instance, leaf]);
    add("path_root_twice", &[root, root, regional, zonal, instance, leaf]);
    add("path_instance_twice", &[root, regional, zonal, instance, instance, leaf]);
    add("path_leaf_in_the_bundle", &[root, regional, zonal, instance, leaf, leaf]);
    add("path_without_root", &[regional, zonal, instance, leaf]);
    add("path_without_regional", &[root, zonal, instance, leaf]);
    add("path_without_zonal", &[root, regional, instance, leaf]);
    add("path_without_instance", &[root, regional, zonal, leaf]);
    add("path_root_alone", &[root, leaf]);
    add("path_of_no_bundle", &[leaf]);
    add("path_leaf_is_the_instance", &[root, regional, zonal, instance]);
    add("path_leaf_is_the_root", &[root, root]);
    add("path_of_another", &[&others[..4], &[leaf]].concat());
    add("path_leaf_of_another", &[&own[..4], &others[4..]].concat());
    add("path_instance_of_another", &[root, regional, zonal, others[3], leaf]);
    add("path_and_another", &[&own[..4], &others[1..4], &[leaf]].concat());
    add("path_under_another", &[&others[..4], &own[1..4], &[leaf]].concat());
}

/// The encoding of one certificate of the path.
fn certificates(document: &Document, mutated: &mut Vec<Mutated>) {
    let own: Vec<&[u8]> = document.certificates().collect();
    for level in 0..own.len() {
        for (class, changed) in certificate::changes(own[level]) {
            let mut path = own.clone();
            path[level] = &changed;
            // The root is compared byte for byte, the others are parsed: so the classes are two.
            let of = if level == 0 { "root" } else { "certificate" };
            mutated.push((format!("der_of_{of}_{class}"), document.with_certificates(&path)));
        }
    }
}

/// SplitMix64: the same numbers on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }
}
