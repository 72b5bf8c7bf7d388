//! `CiphertextForRecipient`: the CMS EnvelopedData (RFC 5652 section 6) that KMS sends to an enclave, byte for byte.
//!
//! ```text
//! ContentInfo          SEQUENCE, indefinite    { id-envelopedData, [0] EnvelopedData, indefinite }
//! EnvelopedData        SEQUENCE, indefinite    { version 2, RecipientInfos, EncryptedContentInfo }
//! RecipientInfos       SET, definite           { KeyTransRecipientInfo { 2, [0] SKI, RSAES-OAEP, encryptedKey } }
//! EncryptedContentInfo SEQUENCE, indefinite    { id-data, AES-256-CBC, [0] constructed, indefinite { OCTET STRING … } }
//! ```
//!
//! It is BER, not DER: the parser inside kmstool-enclave-cli refuses definite outer layers, and reads an empty
//! plaintext out of a definite constructed `[0]`. So the indefinite layers below are part of the format.

/// Bytes in one OCTET STRING of the encrypted content; KMS splits longer content.
const CONTENT_SEGMENT_LEN: usize = 1000;

/// `id-envelopedData`, RFC 5652 section 6.1, with its tag and length.
const ID_ENVELOPED_DATA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03];
/// `id-data`, RFC 5652 section 4.
const ID_DATA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
/// `id-RSAES-OAEP`, RFC 4055 section 4.1.
const ID_RSAES_OAEP: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x07];
/// `id-mgf1`, RFC 4055 section 2.2.
const ID_MGF1: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08];
/// `id-sha256`, RFC 4055 section 2.1.
const ID_SHA256: &[u8] = &[0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
/// `id-aes256-CBC`, RFC 3565 section 4.1.
const ID_AES256_CBC: &[u8] = &[0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a];
/// `version` of EnvelopedData and of KeyTransRecipientInfo with a subjectKeyIdentifier, RFC 5652 sections 6.1, 6.2.1.
const VERSION_2: &[u8] = &[0x02, 0x01, 0x02];
const NULL: &[u8] = &[0x05, 0x00];

const TAG_OCTET_STRING: u8 = 0x04;
const TAG_SEQUENCE: u8 = 0x30;
const TAG_SET: u8 = 0x31;
const TAG_CONTEXT_0: u8 = 0x80;
const TAG_CONTEXT_0_CONSTRUCTED: u8 = 0xa0;
const TAG_CONTEXT_1_CONSTRUCTED: u8 = 0xa1;
/// The indefinite length and the end-of-contents octets that close it, X.690 sections 8.1.3.6 and 8.1.5.
const INDEFINITE: u8 = 0x80;
const END_OF_CONTENTS: [u8; 2] = [0x00, 0x00];

/// The parts of an envelope for one recipient, all computed already.
#[derive(Clone, Copy, Debug)]
pub struct EnvelopedData<'a> {
    /// SHA-256 of the recipient key's DER SubjectPublicKeyInfo.
    pub subject_key_identifier: &'a [u8; 32],
    /// The content-encryption key under RSAES-OAEP with SHA-256 and MGF1-SHA-256.
    pub encrypted_key: &'a [u8],
    /// The AES-256-CBC initialisation vector.
    pub iv: &'a [u8; 16],
    /// The AES-256-CBC ciphertext, padded by PKCS #7.
    pub encrypted_content: &'a [u8],
}

impl EnvelopedData<'_> {
    /// The envelope in the form described above.
    pub fn to_ber(&self) -> Vec<u8> {
        let encrypted_content_info = indefinite(
            TAG_SEQUENCE,
            &[
                ID_DATA,
                &definite(TAG_SEQUENCE, &[ID_AES256_CBC, &definite(TAG_OCTET_STRING, &[self.iv])]),
                &indefinite(TAG_CONTEXT_0_CONSTRUCTED, &[&self.content_segments()]),
            ],
        );
        let enveloped_data = indefinite(
            TAG_SEQUENCE,
            &[VERSION_2, &definite(TAG_SET, &[&self.key_trans_recipient_info()]), &encrypted_content_info],
        );
        indefinite(
            TAG_SEQUENCE,
            &[ID_ENVELOPED_DATA, &indefinite(TAG_CONTEXT_0_CONSTRUCTED, &[&enveloped_data])],
        )
    }

    fn key_trans_recipient_info(&self) -> Vec<u8> {
        definite(
            TAG_SEQUENCE,
            &[
                VERSION_2,
                &definite(TAG_CONTEXT_0, &[self.subject_key_identifier]),
                &rsaes_oaep_sha256(),
                &definite(TAG_OCTET_STRING, &[self.encrypted_key]),
            ],
        )
    }

    fn content_segments(&self) -> Vec<u8> {
        self.encrypted_content
            .chunks(CONTENT_SEGMENT_LEN)
            .flat_map(|segment| definite(TAG_OCTET_STRING, &[segment]))
            .collect()
    }
}

/// `AlgorithmIdentifier` of RSAES-OAEP, RFC 4055 section 4.1: SHA-256, MGF1 with SHA-256, pSourceFunc left to its default.
fn rsaes_oaep_sha256() -> Vec<u8> {
    let sha256 = definite(TAG_SEQUENCE, &[ID_SHA256, NULL]);
    let mgf1 = definite(TAG_SEQUENCE, &[ID_MGF1, &sha256]);
    let parameters = definite(
        TAG_SEQUENCE,
        &[&definite(TAG_CONTEXT_0_CONSTRUCTED, &[&sha256]), &definite(TAG_CONTEXT_1_CONSTRUCTED, &[&mgf1])],
    );
    definite(TAG_SEQUENCE, &[ID_RSAES_OAEP, &parameters])
}

fn definite(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut encoded = vec![tag];
    encoded.extend(definite_length(content.len()));
    encoded.extend(content);
    encoded
}

fn indefinite(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    [&[tag, INDEFINITE][..], &parts.concat(), &END_OF_CONTENTS].concat()
}

/// X.690 section 8.1.3, in the fewest octets.
fn definite_length(length: usize) -> Vec<u8> {
    let octets: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|octet| *octet == 0).collect();
    match (length, octets.len()) {
        (0..=0x7f, _) => vec![u8::try_from(length).unwrap_or(0)],
        // A usize has at most eight octets.
        (_, count) => [&[0x80 | u8::try_from(count).unwrap_or(0)], &octets[..]].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::EnvelopedData;

    /// Offsets and bytes of the layout recorded from KMS for an RSA-2048 recipient and a 32-byte key.
    #[test]
    fn has_the_recorded_layout() {
        let envelope = EnvelopedData {
            subject_key_identifier: &[0x11; 32],
            encrypted_key: &[0x22; 256],
            iv: &[0x33; 16],
            encrypted_content: &[0x44; 48],
        }
        .to_ber();
        let at = |offset: usize, expected: &str| {
            let expected = hex::decode(expected).unwrap();
            assert_eq!(
                hex::encode(&envelope[offset..offset + expected.len()]),
                hex::encode(expected),
                "at {offset}"
            );
        };
        at(0, "308006092a864886f70d010703a0803080020102");
        at(20, "3182016b30820167020102802011");
        at(65, "303c06092a864886f70d010107302fa00f300d06096086480165030402010500");
        at(97, "a11c301a06092a864886f70d010108300d06096086480165030402010500");
        at(127, "0482010022");
        at(387, "308006092a864886f70d010701301d060960864801650304012a041033");
        at(431, "a080043044");
        at(483, "00000000000000000000");
        assert_eq!(envelope.len(), 493);
    }

    #[test]
    fn splits_long_content_into_segments_of_1000_bytes() {
        let envelope = EnvelopedData {
            subject_key_identifier: &[0; 32],
            encrypted_key: &[0; 256],
            iv: &[0; 16],
            encrypted_content: &[0x44; 1040],
        }
        .to_ber();
        assert_eq!(&envelope[431..437], &[0xa0, 0x80, 0x04, 0x82, 0x03, 0xe8]);
        assert_eq!(&envelope[1437..1440], &[0x04, 40, 0x44]);
        assert_eq!(envelope.len(), 1437 + 42 + 10);
    }
}
