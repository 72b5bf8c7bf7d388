//! Changes of a signed request that make it another request.

use proptest::prelude::*;
use proptest::sample::Index;

use crate::request::Request;

/// What changes, by one bit where it has bits.
#[derive(Clone, Debug)]
pub enum Change {
    Method,
    Path,
    BodyBit(Index, u8),
    BodyLonger(u8),
    /// Of a header, the signature's own included.
    HeaderBit(Index, Index, u8),
    HeaderAdded(String),
    /// Of a parameter's name or value, once decoded.
    QueryBit(Index, Index, u8),
    QueryAdded(String),
    QueryShorter(Index),
}

impl Arbitrary for Change {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        let (index, bit) = (any::<Index>, || 0..7_u8);
        prop_oneof![
            1 => Just(Self::Method),
            1 => Just(Self::Path),
            3 => (index(), bit()).prop_map(|(at, bit)| Self::BodyBit(at, bit)),
            1 => any::<u8>().prop_map(Self::BodyLonger),
            8 => (index(), index(), bit()).prop_map(|(header, at, bit)| Self::HeaderBit(header, at, bit)),
            1 => "[a-z]{1,4}".prop_map(Self::HeaderAdded),
            8 => (index(), index(), bit()).prop_map(|(pair, at, bit)| Self::QueryBit(pair, at, bit)),
            1 => "[a-z]{1,4}".prop_map(Self::QueryAdded),
            2 => index().prop_map(Self::QueryShorter),
        ]
        .boxed()
    }
}

impl Change {
    /// The changed request, or nothing where there is nothing to change, or where the change leaves the canonical form
    /// as it is.
    pub fn of(&self, signed: &Request) -> Option<Request> {
        let mut changed = signed.clone();
        match self {
            Self::Method => changed.method = "DELETE".into(),
            Self::Path => changed.path = "/other/path".into(),
            Self::BodyBit(at, bit) => flip(&mut changed.body, *at, *bit)?,
            Self::BodyLonger(byte) => changed.body.push(*byte),
            Self::HeaderBit(header, at, bit) => {
                let index = header.index(changed.headers.len());
                let (name, value) = &mut changed.headers[index];
                *value = flipped(value, *at, *bit).filter(|after| words(after) != words(value))?;
                // The access key id chooses the secret. In this form, it is under no signature.
                let claims_another = name == "authorization"
                    && !value.contains(&format!("={}/", crate::request::ACCESS_KEY_ID));
                if claims_another {
                    return None;
                }
            }
            Self::HeaderAdded(name) => changed.headers.push((format!("my-{name}"), "added".into())),
            Self::QueryBit(pair, at, bit) => {
                let index = (!changed.query.is_empty()).then(|| pair.index(changed.query.len()))?;
                let (name, value) = &mut changed.query[index];
                if let Some(value_after) = flipped(value, *at, *bit) {
                    *value = value_after;
                } else {
                    *name = flipped(name, *at, *bit)?;
                }
            }
            Self::QueryAdded(name) => changed.query.push((format!("a-{name}"), String::new())),
            Self::QueryShorter(pair) => {
                let index = (!changed.query.is_empty()).then(|| pair.index(changed.query.len()))?;
                changed.query.remove(index);
            }
        }
        // A header that nobody signed may be added: it steers nothing. One that is signed has another value then.
        let is_new = |name: &String| !signed.headers.iter().any(|(known, _)| known == name);
        if let Self::HeaderAdded(_) = self
            && is_new(&changed.headers.last()?.0)
        {
            return None;
        }
        Some(changed)
    }
}

fn flip(bytes: &mut [u8], at: Index, bit: u8) -> Option<()> {
    let at = (!bytes.is_empty()).then(|| at.index(bytes.len()))?;
    bytes[at] ^= 1 << bit;
    Some(())
}

/// The text with a bit changed, where it is still one that may stand in a header.
fn flipped(text: &str, at: Index, bit: u8) -> Option<String> {
    let mut bytes = text.as_bytes().to_vec();
    flip(&mut bytes, at, bit)?;
    String::from_utf8(bytes).ok().filter(|text| text.bytes().all(|byte| (b' '..=b'~').contains(&byte)))
}

fn words(text: &str) -> Vec<&str> {
    text.split_ascii_whitespace().collect()
}
