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
/// `AlgorithmIdentifier` of RSAES-OAEP, RFC 4055 section 4.1: SHA-256, MGF1 with SHA-256, pSourceFunc left to its default.
#[rustfmt::skip]
const RSAES_OAEP_SHA256: [u8; 62] = [
    0x30, 0x3c,
        // id-RSAES-OAEP
        0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x07,
        0x30, 0x2f,
            // [0] hashAlgorithm: id-sha256, NULL
            0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
            // [1] maskGenAlgorithm: id-mgf1 with id-sha256, NULL
            0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08,
                0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
];
/// `id-aes256-CBC`, RFC 3565 section 4.1.
const ID_AES256_CBC: &[u8] = &[0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a];
/// `version` of EnvelopedData and of KeyTransRecipientInfo with a subjectKeyIdentifier, RFC 5652 sections 6.1, 6.2.1.
const VERSION_2: &[u8] = &[0x02, 0x01, 0x02];

const TAG_OCTET_STRING: u8 = 0x04;
const TAG_SEQUENCE: u8 = 0x30;
const TAG_SET: u8 = 0x31;
const TAG_CONTEXT_0: u8 = 0x80;
const TAG_CONTEXT_0_CONSTRUCTED: u8 = 0xa0;
/// The indefinite length and the end-of-contents octets that close it, X.690 sections 8.1.3.6 and 8.1.5.
const INDEFINITE: u8 = 0x80;
const END_OF_CONTENTS: [u8; 2] = [0x00, 0x00];

/// Tag and length of a definite encoding at most.
const MAX_HEAD_LEN: usize = 10;
/// Room for what stands around the recipients and the content, whose segments are at most two.
const FRAMING_LEN: usize = 96;

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
        let recipient_infos = definite(TAG_SET, &[&self.key_trans_recipient_info()]);
        let content_encryption =
            definite(TAG_SEQUENCE, &[ID_AES256_CBC, &definite(TAG_OCTET_STRING, &[self.iv])]);
        let mut ber = Vec::with_capacity(recipient_infos.len() + self.encrypted_content.len() + FRAMING_LEN);
        indefinite(&mut ber, TAG_SEQUENCE, |content_info| {
            content_info.extend_from_slice(ID_ENVELOPED_DATA);
            indefinite(content_info, TAG_CONTEXT_0_CONSTRUCTED, |content| {
                indefinite(content, TAG_SEQUENCE, |enveloped_data| {
                    enveloped_data.extend_from_slice(VERSION_2);
                    enveloped_data.extend_from_slice(&recipient_infos);
                    indefinite(enveloped_data, TAG_SEQUENCE, |encrypted_content_info| {
                        encrypted_content_info.extend_from_slice(ID_DATA);
                        encrypted_content_info.extend_from_slice(&content_encryption);
                        indefinite(encrypted_content_info, TAG_CONTEXT_0_CONSTRUCTED, |encrypted_content| {
                            self.write_content_segments(encrypted_content);
                        });
                    });
                });
            });
        });
        ber
    }

    fn key_trans_recipient_info(&self) -> Vec<u8> {
        definite(
            TAG_SEQUENCE,
            &[
                VERSION_2,
                &definite(TAG_CONTEXT_0, &[self.subject_key_identifier]),
                &RSAES_OAEP_SHA256,
                &definite(TAG_OCTET_STRING, &[self.encrypted_key]),
            ],
        )
    }

    fn write_content_segments(&self, out: &mut Vec<u8>) {
        for segment in self.encrypted_content.chunks(CONTENT_SEGMENT_LEN) {
            write_definite(out, TAG_OCTET_STRING, &[segment]);
        }
    }
}

fn definite(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut encoded = Vec::with_capacity(length + MAX_HEAD_LEN);
    write_definite(&mut encoded, tag, parts);
    encoded
}

/// X.690 section 8.1.3, the length in the fewest octets.
fn write_definite(out: &mut Vec<u8>, tag: u8, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.push(tag);
    match u8::try_from(length) {
        Ok(short @ 0..=0x7f) => out.push(short),
        _ => {
            let octets = length.to_be_bytes();
            let leading_zeros = octets.iter().take_while(|octet| **octet == 0).count();
            // A usize has at most eight octets.
            out.push(0x80 | u8::try_from(octets.len() - leading_zeros).unwrap_or(0));
            out.extend(octets.into_iter().skip(leading_zeros));
        }
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

fn indefinite(out: &mut Vec<u8>, tag: u8, write_content: impl FnOnce(&mut Vec<u8>)) {
    out.extend([tag, INDEFINITE]);
    write_content(out);
    out.extend(END_OF_CONTENTS);
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
