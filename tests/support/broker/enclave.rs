//! An enclave: a simulated NSM under the development root, a recipient key, and two ways to open what comes back that
//! share no code.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, UNIX_EPOCH};

use aes::cipher::{Array, BlockCipherDecrypt, KeyInit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use enclave_sample::cms::open_enveloped_data;
use enclave_sample::nsm::AttestationRequest;
use enclave_sample::nsm::simulated::{DevelopmentRoot, SimulatedClock, SimulatedEnclave, SimulatedNsm};
use enclave_sample::recipient::{RecipientKey, RecipientKeySize};
use nitro_key_broker::time::UnixTime;
use rsa::pkcs8::DecodePrivateKey;
use serde_json::{Value, json};
use sha2::Sha256;

/// The root of every simulated enclave of this process, made in 2020.
pub fn development_root() -> &'static Arc<DevelopmentRoot> {
    static ROOT: LazyLock<Arc<DevelopmentRoot>> = LazyLock::new(|| {
        let made = UNIX_EPOCH + Duration::from_secs(1_577_836_800);
        Arc::new(DevelopmentRoot::generate(made).unwrap())
    });
    &ROOT
}

pub struct Enclave {
    nsm: SimulatedNsm,
    key: Arc<RecipientKey>,
}

impl Enclave {
    /// The usual simulated enclave. All enclaves made so share one RSA key.
    pub fn new() -> Self {
        Self::measuring(SimulatedEnclave::default())
    }

    pub fn measuring(enclave: SimulatedEnclave) -> Self {
        static KEY: LazyLock<Arc<RecipientKey>> =
            LazyLock::new(|| Arc::new(RecipientKey::generate(RecipientKeySize::Rsa2048).unwrap()));
        let nsm = SimulatedNsm::new(Arc::clone(development_root()), enclave, SimulatedClock::System).unwrap();
        Self { nsm, key: Arc::clone(&KEY) }
    }

    /// The same enclave with another RSA key.
    pub fn with_key(self, key: RecipientKey) -> Self {
        Self { key: Arc::new(key), ..self }
    }

    pub fn key(&self) -> &RecipientKey {
        &self.key
    }

    pub fn module_id(&self) -> String {
        self.nsm.enclave().module_id()
    }

    /// A register in lower-case hexadecimal.
    pub fn pcr(&self, index: u8) -> String {
        hex::encode(self.nsm.enclave().measurements()[&index])
    }

    /// A document made at `now`.
    pub fn document(&self, now: UnixTime) -> Vec<u8> {
        self.attest(&AttestationRequest::with_public_key(self.key.spki_der()), now)
    }

    pub fn attest(&self, request: &AttestationRequest<'_>, now: UnixTime) -> Vec<u8> {
        self.nsm.attest_at(request, UNIX_EPOCH + Duration::from_millis(now.as_ms())).unwrap()
    }

    /// The member `Recipient` with a document made at `now`.
    pub fn recipient(&self, now: UnixTime) -> Value {
        recipient(&self.document(now))
    }

    /// What an answer's `CiphertextForRecipient` holds, after both readers found the same.
    pub fn open(&self, answer: &Value) -> Vec<u8> {
        let envelope = STANDARD.decode(answer["CiphertextForRecipient"].as_str().unwrap()).unwrap();
        let plaintext = open_enveloped_data(&envelope, &self.key).unwrap().to_vec();
        assert_eq!(Envelope::dissect(&envelope).open(&self.rsa_private_key()), plaintext);
        plaintext
    }

    /// The private key as another implementation holds it.
    pub fn rsa_private_key(&self) -> rsa::PrivateKey {
        rsa::PrivateKey::from_pkcs8_der(&self.key.to_pkcs8_der().unwrap()).unwrap()
    }
}

/// The member `Recipient` with this document.
pub fn recipient(document: &[u8]) -> Value {
    json!({
        "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
        "AttestationDocument": STANDARD.encode(document),
    })
}

/// A `CiphertextForRecipient` taken apart at the offsets where KMS puts its parts, for an RSA-2048 recipient.
pub struct Envelope<'e> {
    pub subject_key_identifier: &'e [u8],
    pub encrypted_key: &'e [u8],
    pub iv: &'e [u8],
    pub encrypted_content: Vec<u8>,
}

impl<'e> Envelope<'e> {
    pub fn dissect(bytes: &'e [u8]) -> Self {
        let constant = |offset: usize, expected: &str| {
            let expected = hex::decode(expected).unwrap();
            let actual = &bytes[offset..offset + expected.len()];
            assert_eq!(hex::encode(actual), hex::encode(expected), "at {offset}");
        };
        // ContentInfo, [0] and EnvelopedData of indefinite length, version 2.
        constant(0, "308006092a864886f70d010703a0803080020102");
        // RecipientInfos, KeyTransRecipientInfo version 2, [0] subjectKeyIdentifier.
        constant(20, "3182016b308201670201028020");
        // RSAES-OAEP with SHA-256 and MGF1-SHA-256, then the encrypted key's head.
        constant(65, "303c06092a864886f70d010107302fa00f300d06096086480165030402010500");
        constant(97, "a11c301a06092a864886f70d010108300d06096086480165030402010500");
        constant(127, "04820100");
        // EncryptedContentInfo of indefinite length, id-data, AES-256-CBC, [0] of indefinite length.
        constant(387, "308006092a864886f70d010701301d060960864801650304012a0410");
        constant(431, "a080");

        let mut encrypted_content = Vec::new();
        let mut rest = &bytes[433..];
        while let [0x04, after_tag @ ..] = rest {
            let (length, content) = match after_tag {
                [0x82, high, low, content @ ..] => (usize::from(*high) << 8 | usize::from(*low), content),
                [0x81, length, content @ ..] | [length, content @ ..] => (usize::from(*length), content),
                [] => panic!("the content breaks off"),
            };
            encrypted_content.extend_from_slice(&content[..length]);
            rest = &content[length..];
            assert!(length == 1000 || rest[0] == 0, "only the last segment is shorter than 1,000 bytes");
        }
        // End-of-contents of [0], EncryptedContentInfo, EnvelopedData, [0] and ContentInfo.
        assert_eq!(rest, [0; 10]);
        Self {
            subject_key_identifier: &bytes[33..65],
            encrypted_key: &bytes[131..387],
            iv: &bytes[415..431],
            encrypted_content,
        }
    }

    /// Opens it with RustCrypto's RSA and AES.
    pub fn open(&self, key: &rsa::PrivateKey) -> Vec<u8> {
        let content_encryption_key: [u8; 32] =
            key.oaep_decrypt::<Sha256>(self.encrypted_key).unwrap().try_into().unwrap();
        let cipher = aes::Aes256::new(&Array::from(content_encryption_key));
        let mut plaintext = Vec::new();
        let mut previous = self.iv;
        for block in self.encrypted_content.chunks(16) {
            let mut decrypted = Array::try_from(block).unwrap();
            cipher.decrypt_block(&mut decrypted);
            plaintext.extend(decrypted.iter().zip(previous).map(|(byte, before)| byte ^ before));
            previous = block;
        }
        let padding = usize::from(*plaintext.last().unwrap());
        assert!((1..=16).contains(&padding));
        let content = plaintext.len() - padding;
        assert!(plaintext[content..].iter().all(|byte| usize::from(*byte) == padding));
        plaintext.truncate(content);
        plaintext
    }
}
