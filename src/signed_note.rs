//! Signed notes of C2SP (c2sp.org/signed-note) with Ed25519, and the checkpoints of logs that are written as such
//! (c2sp.org/tlog-checkpoint).
//!
//! ```text
//! note      = text "\n" 1*signature            text ends in a line end
//! signature = "— " name " " base64(key id ‖ signature) "\n"
//! key id    = SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key)[:4]
//! ```

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::crypto::{
    CryptoError, ED25519_PUBLIC_KEY_LEN, ED25519_SEED_LEN, ED25519_SIGNATURE_LEN, Ed25519PrivateKey,
    SHA256_LEN, sha256, verify_ed25519,
};
use crate::merkle::Hash;
use crate::text::shorten;

/// Bytes of a note at most. Ours have some 300; witnesses add a line each.
pub const MAX_NOTE_BYTES: usize = 64 * 1024;
/// Signatures of a note at most. The specification asks for 16 at least; Go's implementation reads 100.
pub const MAX_SIGNATURES: usize = 100;

/// The signature type of Ed25519.
const ED25519_TYPE: u8 = 0x01;
const KEY_ID_LEN: usize = 4;
const SIGNATURE_START: &str = "\u{2014} ";
/// How a private key begins in Go's `sumdb/note`, which others have taken over.
const PRIVATE_KEY_START: &str = "PRIVATE+KEY+";

/// A key to sign notes with: `PRIVATE+KEY+<name>+<key id in hex>+<base64(01 ‖ seed)>`.
pub struct NoteSigner {
    key: Ed25519PrivateKey,
    verifier: NoteVerifier,
}

/// A key to verify notes with: `<name>+<key id in hex>+<base64(01 ‖ public key)>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteVerifier {
    name: String,
    public_key: [u8; ED25519_PUBLIC_KEY_LEN],
}

/// Why a text is no key for notes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteKeyError {
    /// Not of the form.
    #[error("expected {expected}")]
    Form {
        /// The form.
        expected: &'static str,
    },
    /// A name that no signature line can carry.
    #[error("{0:?} is no key name: it is empty or has a space, a plus sign or a control character")]
    Name(String),
    /// The key id is that of another key.
    #[error("the key id is {actual}, that of this key is {expected}: a character was changed")]
    KeyId {
        /// Computed.
        expected: String,
        /// Written.
        actual: String,
    },
    /// Another kind of key.
    #[error("the key is not Ed25519")]
    Algorithm,
    /// A primitive failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// Why a note says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Longer than any note.
    #[error("a note of {actual} bytes, where {MAX_NOTE_BYTES} are read")]
    TooLong {
        /// Bytes.
        actual: usize,
    },
    /// Not the text of a note.
    #[error("not a signed note: {0}")]
    Form(&'static str),
    /// No line is by the key.
    #[error("no signature is by {0}")]
    NotSigned(String),
    /// A line says that it is by the key and is not.
    #[error("the signature by {0} does not verify")]
    BadSignature(String),
    /// The text is no checkpoint.
    #[error("not a checkpoint: {0}")]
    Checkpoint(&'static str),
    /// The checkpoint is of another log.
    #[error("the checkpoint is of the log {actual:?}, expected {expected:?}")]
    Origin {
        /// The log that it should be of.
        expected: String,
        /// The log that it is of.
        actual: String,
    },
}

/// The head of a log's Merkle tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// Leaves of the tree.
    pub size: u64,
    /// Root of the tree (RFC 6962 section 2.1).
    pub root: Hash,
}

impl NoteSigner {
    /// A new random key of this name, and its text.
    ///
    /// # Errors
    /// When the name is none or a primitive fails.
    pub fn generate(name: &str) -> Result<(Self, Zeroizing<String>), NoteKeyError> {
        let seed = Ed25519PrivateKey::generate_seed()?;
        let signer = Self::of(name, &seed)?;
        let material = Zeroizing::new([&[ED25519_TYPE][..], &*seed].concat());
        let encoded = Zeroizing::new(STANDARD.encode(&*material));
        let key_id = hex::encode(signer.verifier.key_id());
        let text = format!("{PRIVATE_KEY_START}{name}+{key_id}+{}", *encoded);
        Ok((signer, Zeroizing::new(text)))
    }

    /// Reads a key's text.
    ///
    /// # Errors
    /// When it is not of the form, or its key id is not that of the key.
    pub fn parse(text: &str) -> Result<Self, NoteKeyError> {
        const FORM: NoteKeyError =
            NoteKeyError::Form { expected: "PRIVATE+KEY+<name>+<key id>+<base64 of the key>" };
        let rest = text.strip_prefix(PRIVATE_KEY_START).ok_or(FORM)?;
        let (name, key_id, key) = split_key(rest).ok_or(FORM)?;
        let seed = Zeroizing::new(ed25519_key(&key)?);
        let signer = Self::of(name, &seed)?;
        signer.verifier.check_key_id(key_id)?;
        Ok(signer)
    }

    fn of(name: &str, seed: &[u8; ED25519_SEED_LEN]) -> Result<Self, NoteKeyError> {
        let key = Ed25519PrivateKey::from_seed(seed)?;
        let verifier = NoteVerifier::new(name, key.public_key()?)?;
        Ok(Self { key, verifier })
    }

    /// The key that verifies what this one signs.
    pub fn verifier(&self) -> &NoteVerifier {
        &self.verifier
    }

    /// A note of `text` with one signature.
    ///
    /// # Errors
    /// When the text is no note's or the primitive fails.
    pub fn sign(&self, text: &str) -> Result<String, CryptoError> {
        if !is_note_text(text) {
            return Err(CryptoError);
        }
        let signature = self.key.sign(text.as_bytes())?;
        let encoded = STANDARD.encode([&self.verifier.key_id()[..], &signature].concat());
        Ok(format!("{text}\n{SIGNATURE_START}{} {encoded}\n", self.verifier.name))
    }
}

impl fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoteSigner").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

impl NoteVerifier {
    /// The key of this name.
    ///
    /// # Errors
    /// When the name is none.
    pub fn new(name: &str, public_key: [u8; ED25519_PUBLIC_KEY_LEN]) -> Result<Self, NoteKeyError> {
        if !is_key_name(name) {
            return Err(NoteKeyError::Name(shorten(name)));
        }
        Ok(Self { name: name.to_owned(), public_key })
    }

    /// Reads a key's text.
    ///
    /// # Errors
    /// When it is not of the form, or its key id is not that of the key.
    pub fn parse(text: &str) -> Result<Self, NoteKeyError> {
        let form = NoteKeyError::Form { expected: "<name>+<key id>+<base64 of the key>" };
        let (name, key_id, key) = split_key(text).ok_or(form)?;
        let verifier = Self::new(name, ed25519_key(&key)?)?;
        verifier.check_key_id(key_id)?;
        Ok(verifier)
    }

    /// The name that signature lines carry.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text of a note that this key has signed. Signatures by other keys are passed over.
    ///
    /// # Errors
    /// When it is no note, this key did not sign it, or a signature that names this key does not verify.
    pub fn open<'n>(&self, note: &'n [u8]) -> Result<&'n str, NoteError> {
        let note = Note::parse(note)?;
        let mut ours =
            note.signatures.iter().filter(|line| line.name == self.name && line.key_id == self.key_id());
        let first = ours.next().ok_or_else(|| NoteError::NotSigned(self.to_string()))?;
        let verifies = |line: &SignatureLine<'_>| {
            let signature: Option<&[u8; ED25519_SIGNATURE_LEN]> = line.signature.as_slice().try_into().ok();
            signature
                .is_some_and(|signature| verify_ed25519(&self.public_key, note.text.as_bytes(), signature))
        };
        if verifies(first) && ours.all(verifies) {
            Ok(note.text)
        } else {
            Err(NoteError::BadSignature(self.to_string()))
        }
    }

    /// The checkpoint in a note that this key has signed. Its origin must be the key's name.
    ///
    /// # Errors
    /// As [`NoteVerifier::open`], and when the text is no checkpoint of that log.
    pub fn open_checkpoint(&self, note: &[u8]) -> Result<Checkpoint, NoteError> {
        let checkpoint = Checkpoint::parse(self.open(note)?)?;
        if checkpoint.origin == self.name {
            Ok(checkpoint)
        } else {
            Err(NoteError::Origin { expected: self.name.clone(), actual: shorten(&checkpoint.origin) })
        }
    }

    fn key_id(&self) -> [u8; KEY_ID_LEN] {
        let digest: [u8; SHA256_LEN] =
            sha256(&[self.name.as_bytes(), b"\n", &[ED25519_TYPE], &self.public_key]);
        digest.first_chunk().copied().unwrap_or_default()
    }

    fn check_key_id(&self, actual: &str) -> Result<(), NoteKeyError> {
        let expected = hex::encode(self.key_id());
        if actual == expected {
            Ok(())
        } else {
            Err(NoteKeyError::KeyId { expected, actual: shorten(actual) })
        }
    }
}

/// The key's text.
impl fmt::Display for NoteVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let material = STANDARD.encode([&[ED25519_TYPE][..], &self.public_key].concat());
        write!(f, "{}+{}+{material}", self.name, hex::encode(self.key_id()))
    }
}

impl Checkpoint {
    /// The text that is signed.
    pub fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// Reads a note's text.
    ///
    /// # Errors
    /// When it has not three lines at least, or they are not what a checkpoint says.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let mut lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
        let mut line = || lines.next().filter(|line| !line.is_empty());
        let origin = line().ok_or(NoteError::Checkpoint("the first line, the origin, is empty"))?;
        let size_text = line().ok_or(NoteError::Checkpoint("the second line, the size, is missing"))?;
        let root = line().ok_or(NoteError::Checkpoint("the third line, the root hash, is missing"))?;
        let size: u64 = size_text.parse().map_err(|_| NoteError::Checkpoint("the size is no number"))?;
        if size.to_string() != size_text {
            return Err(NoteError::Checkpoint("the size has a sign or zeros in front"));
        }
        let root = STANDARD.decode(root).ok().and_then(|root| root.try_into().ok());
        let root = root.ok_or(NoteError::Checkpoint("the root hash is not the base64 of 32 bytes"))?;
        // Extension lines may follow; nothing here rests on them.
        if lines.any(str::is_empty) {
            return Err(NoteError::Checkpoint("an extension line is empty"));
        }
        Ok(Self { origin: origin.to_owned(), size, root })
    }
}

struct Note<'n> {
    text: &'n str,
    signatures: Vec<SignatureLine<'n>>,
}

struct SignatureLine<'n> {
    name: &'n str,
    key_id: [u8; KEY_ID_LEN],
    signature: Vec<u8>,
}

impl<'n> Note<'n> {
    fn parse(note: &'n [u8]) -> Result<Self, NoteError> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLong { actual: note.len() });
        }
        let note = std::str::from_utf8(note).map_err(|_| NoteError::Form("it is not UTF-8"))?;
        if note.chars().any(|character| character < ' ' && character != '\n') {
            return Err(NoteError::Form("it has a control character"));
        }
        let blank = note.rfind("\n\n").ok_or(NoteError::Form("no blank line before signatures"))?;
        let (text, signatures) = note.split_at(blank + 1);
        let signatures = signatures.strip_prefix('\n').and_then(|lines| lines.strip_suffix('\n'));
        let signatures = signatures.ok_or(NoteError::Form("the last line has no end"))?;
        if signatures.split('\n').count() > MAX_SIGNATURES {
            return Err(NoteError::Form("more than 100 signatures"));
        }
        let signatures = signatures.split('\n').map(SignatureLine::parse).collect::<Option<_>>();
        Ok(Self {
            text,
            signatures: signatures.ok_or(NoteError::Form("a signature line is not of its form"))?,
        })
    }
}

impl<'n> SignatureLine<'n> {
    fn parse(line: &'n str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix(SIGNATURE_START)?.split_once(' ')?;
        let decoded = STANDARD.decode(encoded).ok()?;
        let (key_id, signature) = decoded.split_first_chunk::<KEY_ID_LEN>()?;
        (is_key_name(name) && !signature.is_empty()).then(|| Self {
            name,
            key_id: *key_id,
            signature: signature.to_vec(),
        })
    }
}

/// The parts of `<name>+<key id>+<base64(type ‖ key)>`; base64 may have plus signs, too.
fn split_key(text: &str) -> Option<(&str, &str, Zeroizing<Vec<u8>>)> {
    let (name, rest) = text.split_once('+')?;
    let (key_id, encoded) = rest.split_once('+')?;
    Some((name, key_id, Zeroizing::new(STANDARD.decode(encoded).ok()?)))
}

/// Seed or public key behind the type of Ed25519; both have 32 bytes.
fn ed25519_key(typed: &[u8]) -> Result<[u8; ED25519_SEED_LEN], NoteKeyError> {
    let Some((&ED25519_TYPE, key)) = typed.split_first() else { return Err(NoteKeyError::Algorithm) };
    key.try_into().map_err(|_| NoteKeyError::Algorithm)
}

fn is_key_name(name: &str) -> bool {
    let is_allowed = |character: char| !character.is_whitespace() && character != '+' && character >= ' ';
    !name.is_empty() && name.chars().all(is_allowed)
}

fn is_note_text(text: &str) -> bool {
    text.ends_with('\n') && text.chars().all(|character| character >= ' ' || character == '\n')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example of Go's `golang.org/x/mod/sumdb/note`, made by that implementation.
    const GO_SIGNER: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const GO_VERIFIER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const GO_TEXT: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    const GO_SIGNATURE: &str = "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    fn go_note() -> String {
        format!("{GO_TEXT}{GO_SIGNATURE}")
    }

    #[test]
    fn signs_and_verifies_as_go_does() {
        let signer = NoteSigner::parse(GO_SIGNER).unwrap();
        assert_eq!(signer.verifier().to_string(), GO_VERIFIER);
        assert_eq!(signer.sign(GO_TEXT).unwrap(), go_note());
        assert_eq!(NoteVerifier::parse(GO_VERIFIER).unwrap().open(go_note().as_bytes()), Ok(GO_TEXT));
    }

    #[test]
    fn reads_keys_that_are_in_use() {
        let text = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
        assert_eq!(NoteVerifier::parse(text).unwrap().to_string(), text);
    }

    #[test]
    fn a_new_key_reads_back() {
        let (signer, text) = NoteSigner::generate("broker.example/log").unwrap();
        assert_eq!(NoteSigner::parse(&text).unwrap().verifier(), signer.verifier());
        assert!(!format!("{signer:?}").contains("PRIVATE"));
        assert_eq!(NoteSigner::generate("a b").unwrap_err(), NoteKeyError::Name("a b".to_owned()));
    }

    #[test]
    fn other_keys_signatures_are_passed_over_and_wrong_ones_are_not() {
        let (signer, _) = NoteSigner::generate("PeterNeumann").unwrap();
        let other = signer.sign(GO_TEXT).unwrap();
        let other_line = other.strip_prefix(GO_TEXT).unwrap().strip_prefix('\n').unwrap();
        let verifier = NoteVerifier::parse(GO_VERIFIER).unwrap();
        let both = format!("{}{other_line}", go_note());
        assert_eq!(verifier.open(both.as_bytes()), Ok(GO_TEXT));
        assert_eq!(signer.verifier().open(both.as_bytes()), Ok(GO_TEXT));
        assert_eq!(verifier.open(other.as_bytes()), Err(NoteError::NotSigned(GO_VERIFIER.to_owned())));
        let changed = go_note().replace("answer", "answers");
        assert_eq!(verifier.open(changed.as_bytes()), Err(NoteError::BadSignature(GO_VERIFIER.to_owned())));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert_eq!(
            NoteVerifier::parse(&GO_VERIFIER.replace("c74f20a3", "c74f20a4")),
            Err(NoteKeyError::KeyId { expected: "c74f20a3".to_owned(), actual: "c74f20a4".to_owned() })
        );
        assert_eq!(NoteVerifier::parse("name+00000000+AA=="), Err(NoteKeyError::Algorithm));
        assert_eq!(NoteVerifier::parse("+00000000+AA==").unwrap_err(), NoteKeyError::Algorithm);
        assert!(matches!(NoteVerifier::parse("name"), Err(NoteKeyError::Form { .. })));
        assert!(matches!(NoteSigner::parse(GO_VERIFIER), Err(NoteKeyError::Form { .. })));
    }

    #[test]
    fn checkpoints_are_of_the_log_that_signs_them() {
        let (signer, _) = NoteSigner::generate("broker.example/log").unwrap();
        let checkpoint =
            Checkpoint { origin: "broker.example/log".to_owned(), size: 20_852_163, root: [7; 32] };
        let note = signer.sign(&checkpoint.to_text()).unwrap();
        assert_eq!(signer.verifier().open_checkpoint(note.as_bytes()), Ok(checkpoint.clone()));
        let other = Checkpoint { origin: "other".to_owned(), ..checkpoint };
        let note = signer.sign(&other.to_text()).unwrap();
        assert_eq!(
            signer.verifier().open_checkpoint(note.as_bytes()),
            Err(NoteError::Origin { expected: "broker.example/log".to_owned(), actual: "other".to_owned() })
        );
    }

    #[test]
    fn what_is_no_checkpoint_is_refused() {
        let root = STANDARD.encode([7; 32]);
        let refused = |text: &str| Checkpoint::parse(text).unwrap_err().to_string();
        assert_eq!(refused("\n1\n"), "not a checkpoint: the first line, the origin, is empty");
        assert_eq!(refused("o\n"), "not a checkpoint: the second line, the size, is missing");
        assert_eq!(refused("o\n1\n"), "not a checkpoint: the third line, the root hash, is missing");
        assert_eq!(refused("o\n-1\nx\n"), "not a checkpoint: the size is no number");
        assert_eq!(
            refused(&format!("o\n01\n{root}\n")),
            "not a checkpoint: the size has a sign or zeros in front"
        );
        assert_eq!(refused("o\n1\nAAAA\n"), "not a checkpoint: the root hash is not the base64 of 32 bytes");
        assert_eq!(refused(&format!("o\n1\n{root}\n\nx\n")), "not a checkpoint: an extension line is empty");
        assert!(Checkpoint::parse(&format!("o\n1\n{root}\nextension\n")).is_ok());
    }

    proptest! {
        #[test]
        fn any_text_comes_back_and_no_changed_note_opens(
            text in "[ -~\n\u{a1}-\u{2fff}]{0,200}", at in any::<prop::sample::Index>(), flip in 1_u8..,
        ) {
            let text = format!("{text}\n");
            let signer = NoteSigner::parse(GO_SIGNER).unwrap();
            let note = signer.sign(&text).unwrap();
            prop_assert_eq!(signer.verifier().open(note.as_bytes()), Ok(&*text));
            let mut changed = note.into_bytes();
            let at = at.index(changed.len());
            changed[at] ^= flip;
            prop_assert!(signer.verifier().open(&changed).is_err());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in any::<Vec<u8>>(), text in any::<String>()) {
            let verifier = NoteVerifier::parse(GO_VERIFIER).unwrap();
            prop_assert!(verifier.open(&bytes).is_err());
            prop_assert!(verifier.open(text.as_bytes()).is_err());
            let _ = NoteVerifier::parse(&text);
            let _ = NoteSigner::parse(&text);
            let _ = Checkpoint::parse(&text);
        }

        #[test]
        fn almost_notes_never_panic(lines in proptest::collection::vec(
            prop_oneof![Just(String::new()), Just(GO_SIGNATURE.trim().to_owned()), Just("— PeterNeumann ".to_owned()), ".{0,10}"],
            0..8,
        )) {
            let _ = NoteVerifier::parse(GO_VERIFIER).unwrap().open(lines.join("\n").as_bytes());
        }
    }
}
