//! The enclave's reader of CMS envelopes, with one recipient key.
//!
//! CBC is malleable, so an altered envelope may open to another plaintext. What must hold is that the plaintext is the
//! one under the known content-encryption key, as a second reader of BER finds iv and ciphertext in the envelope.

use std::sync::LazyLock;

use enclave_sample::cms::open_enveloped_data;
use enclave_sample::recipient::RecipientKey;
use nitro_key_broker::crypto::aes256_cbc_encrypt;

/// The content-encryption key of every seed: the bytes 0 to 31.
pub const CONTENT_ENCRYPTION_KEY: [u8; 32] = {
    let mut key = [0; 32];
    let mut at = 0;
    while at < 32 {
        key[at] = at as u8;
        at += 1;
    }
    key
};

/// A key for this alone.
pub static RECIPIENT: LazyLock<RecipientKey> =
    LazyLock::new(|| RecipientKey::from_pkcs8_der(include_bytes!("recipient_key.pkcs8.der")).unwrap());

pub fn run(input: &[u8]) {
    match open_enveloped_data(input, &RECIPIENT) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(plaintext) => {
            let (iv, content) = iv_and_content(input).expect("what opens is BER to another reader too");
            let iv = iv.try_into().expect("16 bytes");
            let expected = aes256_cbc_encrypt(&CONTENT_ENCRYPTION_KEY, iv, &plaintext).unwrap();
            assert_eq!(expected, content, "the plaintext is not that of the content");
        }
    }
}

/// Iv and ciphertext of a ContentInfo, wherever their octets are segmented.
pub fn iv_and_content(input: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (content_info, rest) = Node::read(input, 0)?;
    let enveloped_data = content_info.child(1)?.child(0)?;
    let recipients = enveloped_data.children()?.iter().position(|child| child.identifier == 0x31)?;
    let encrypted_content_info = enveloped_data.child(recipients + 1)?;
    let iv = encrypted_content_info.child(1)?.child(1)?.octets();
    rest.is_empty().then(|| Some((iv, encrypted_content_info.child(2)?.octets())))?
}

struct Node {
    identifier: u8,
    contents: Contents,
}

enum Contents {
    Octets(Vec<u8>),
    Children(Vec<Node>),
}

impl Node {
    fn read(input: &[u8], depth: usize) -> Option<(Self, &[u8])> {
        let (identifier, input) = input.split_first()?;
        let (length, mut input) = read_length(input)?;
        if identifier & 0x20 == 0 {
            let (octets, rest) = input.split_at_checked(length?)?;
            return Some((
                Self { identifier: *identifier, contents: Contents::Octets(octets.to_vec()) },
                rest,
            ));
        }
        let mut children = Vec::new();
        let rest = match length {
            Some(length) => {
                let (mut inside, rest) = input.split_at_checked(length)?;
                while !inside.is_empty() {
                    let (child, after) = (depth < 64).then(|| Self::read(inside, depth + 1))??;
                    children.push(child);
                    inside = after;
                }
                rest
            }
            None => loop {
                if let Some(rest) = input.strip_prefix(&[0, 0]) {
                    break rest;
                }
                let (child, after) = (depth < 64).then(|| Self::read(input, depth + 1))??;
                children.push(child);
                input = after;
            },
        };
        Some((Self { identifier: *identifier, contents: Contents::Children(children) }, rest))
    }

    fn children(&self) -> Option<&[Self]> {
        match &self.contents {
            Contents::Octets(_) => None,
            Contents::Children(children) => Some(children),
        }
    }

    fn child(&self, at: usize) -> Option<&Self> {
        self.children()?.get(at)
    }

    fn octets(&self) -> Vec<u8> {
        match &self.contents {
            Contents::Octets(octets) => octets.clone(),
            Contents::Children(segments) => segments.iter().flat_map(Self::octets).collect(),
        }
    }
}

/// A length, `None` inside for the indefinite one.
fn read_length(input: &[u8]) -> Option<(Option<usize>, &[u8])> {
    let (first, input) = input.split_first()?;
    match first {
        0x00..=0x7f => Some((Some(usize::from(*first)), input)),
        0x80 => Some((None, input)),
        _ => {
            let (octets, rest) = input.split_at_checked(usize::from(first & 0x7f))?;
            let length = octets.iter().try_fold(0_usize, |length, octet| {
                length.checked_mul(256)?.checked_add(usize::from(*octet))
            })?;
            Some((Some(length), rest))
        }
    }
}
