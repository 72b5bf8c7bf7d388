//! Opens a `CiphertextForRecipient` with RustCrypto alone, and only if it has the form that AWS's own C client reads:
//! every byte of the structure is compared, from the outer indefinite lengths to the last end-of-contents.

use aes_gcm::aes::Aes256;
use aes_gcm::aes::cipher::{BlockCipherDecrypt as _, KeyInit as _};
use rsa::pkcs8::EncodePublicKey as _;
use rsa::{Oaep, PrivateKey};
use sha2::{Digest as _, Sha256};

/// Lengths of RSA-2048: the only key size whose envelopes are opened here.
const ENCRYPTED_KEY_LEN: usize = 256;
const SUBJECT_KEY_IDENTIFIER_LEN: usize = 32;
const BLOCK_LEN: usize = 16;
/// Longest OCTET STRING that the ciphertext is cut into.
const SEGMENT_LEN: usize = 1000;

/// The content of `envelope`.
///
/// # Panics
/// When a byte of its structure differs, or it does not open.
pub fn open(envelope: &[u8], private_key: &PrivateKey) -> Vec<u8> {
    let mut rest = Rest(envelope);
    rest.expect("ContentInfo, indefinite", "3080");
    rest.expect("id-envelopedData", "06092a864886f70d010703");
    rest.expect("[0] and EnvelopedData, both indefinite", "a0803080");
    rest.expect("version 2", "020102");
    rest.expect("RecipientInfos and KeyTransRecipientInfo, definite", "3182016b30820167");
    rest.expect("version 2", "020102");
    rest.expect("rid: subjectKeyIdentifier", "8020");
    let spki = private_key.to_public_key().to_public_key_der().unwrap();
    assert_eq!(rest.take(SUBJECT_KEY_IDENTIFIER_LEN), Sha256::digest(spki.as_bytes()).as_slice());
    rest.expect("id-RSAES-OAEP", "303c06092a864886f70d010107");
    rest.expect("hash SHA-256", "302fa00f300d06096086480165030402010500");
    rest.expect("MGF1 with SHA-256", "a11c301a06092a864886f70d010108300d06096086480165030402010500");
    rest.expect("encryptedKey", "04820100");
    let encrypted_key = rest.take(ENCRYPTED_KEY_LEN);
    rest.expect("EncryptedContentInfo, indefinite", "3080");
    rest.expect("id-data", "06092a864886f70d010701");
    rest.expect("aes256-CBC", "301d060960864801650304012a0410");
    let iv = rest.take(BLOCK_LEN);
    rest.expect("[0], constructed and indefinite", "a080");
    let ciphertext = rest.segments();
    rest.expect("end of contents of the five open layers", "00000000000000000000");
    assert!(rest.0.is_empty(), "trailing bytes: {}", hex::encode(rest.0));

    let key = private_key.decrypt(Oaep::<Sha256>::new(), encrypted_key).unwrap();
    decrypt_cbc(&key, iv, &ciphertext)
}

/// What is not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn expect(&mut self, what: &str, expected: &str) {
        let actual = hex::encode(self.take(expected.len() / 2));
        assert_eq!(actual, expected, "{what}");
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at_checked(length).expect("the envelope ends too early");
        self.0 = rest;
        taken
    }

    /// OCTET STRINGs, each of them full but the last.
    fn segments(&mut self) -> Vec<u8> {
        let mut content = Vec::new();
        while self.0[0] != 0 {
            assert_eq!(content.len() % SEGMENT_LEN, 0, "a segment that is not the last is not full");
            self.expect("OCTET STRING", "04");
            let length = self.length();
            assert!((1..=SEGMENT_LEN).contains(&length), "{length}");
            content.extend_from_slice(self.take(length));
        }
        content
    }

    /// A definite length (X.690 8.1.3), in the fewest bytes.
    fn length(&mut self) -> usize {
        match self.take(1)[0] {
            short @ 0..=0x7f => short.into(),
            long => {
                let bytes = self.take(usize::from(long & 0x7f));
                assert!(bytes[0] != 0 && (bytes.len() > 1 || bytes[0] > 0x7f), "not the shortest form");
                bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
            }
        }
    }
}

/// CBC and PKCS #7 (RFC 5652 section 6.3) over the block cipher.
fn decrypt_cbc(key: &[u8], iv: &[u8], ciphertext: &[u8]) -> Vec<u8> {
    let cipher = Aes256::new_from_slice(key).unwrap();
    let mut plaintext = Vec::new();
    let mut previous = iv;
    assert_eq!(ciphertext.len() % BLOCK_LEN, 0);
    for block in ciphertext.chunks(BLOCK_LEN) {
        let mut opened = block.try_into().unwrap();
        cipher.decrypt_block(&mut opened);
        plaintext.extend(opened.iter().zip(previous).map(|(opened, previous)| opened ^ previous));
        previous = block;
    }
    let padding = *plaintext.last().unwrap();
    assert!((1..=BLOCK_LEN).contains(&padding.into()), "padding of {padding}");
    let content = plaintext.len() - usize::from(padding);
    assert!(plaintext[content..].iter().all(|byte| *byte == padding));
    plaintext.truncate(content);
    plaintext
}
