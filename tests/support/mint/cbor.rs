//! CBOR as a tree that may hold what no encoder would write: duplicate keys, odd types, raw bytes.

use minicbor::Encoder;

use super::chain::{Chain, Level};

#[derive(Clone)]
pub enum Cbor {
    Unsigned(u64),
    Text(String),
    Bytes(Vec<u8>),
    Null,
    Array(Vec<Cbor>),
    Map(Vec<(Cbor, Cbor)>),
    IndefiniteMap(Vec<(Cbor, Cbor)>),
    /// A byte string with the certificate of that level, issued when it is written.
    Certificate(Level),
    /// These bytes as they are, well-formed or not.
    Raw(Vec<u8>),
}

pub fn text(value: &str) -> Cbor {
    Cbor::Text(value.to_owned())
}

pub fn bytes(value: &[u8]) -> Cbor {
    Cbor::Bytes(value.to_vec())
}

impl Cbor {
    /// The encoding, each head in its shortest form; `chain` issues the certificates.
    pub fn encode(&self, chain: &Chain) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new());
        self.write(chain, &mut encoder);
        encoder.into_writer()
    }

    fn write(&self, chain: &Chain, encoder: &mut Encoder<Vec<u8>>) {
        match self {
            Self::Unsigned(value) => drop(encoder.u64(*value).unwrap()),
            Self::Text(value) => drop(encoder.str(value).unwrap()),
            Self::Bytes(value) => drop(encoder.bytes(value).unwrap()),
            Self::Null => drop(encoder.null().unwrap()),
            Self::Certificate(level) => drop(encoder.bytes(&chain.issue(*level)).unwrap()),
            Self::Raw(raw) => encoder.writer_mut().extend(raw),
            Self::Array(items) => {
                encoder.array(items.len() as u64).unwrap();
                items.iter().for_each(|item| item.write(chain, encoder));
            }
            Self::Map(entries) => {
                encoder.map(entries.len() as u64).unwrap();
                write_entries(entries, chain, encoder);
            }
            Self::IndefiniteMap(entries) => {
                encoder.begin_map().unwrap();
                write_entries(entries, chain, encoder);
                encoder.end().unwrap();
            }
        }
    }
}

fn write_entries(entries: &[(Cbor, Cbor)], chain: &Chain, encoder: &mut Encoder<Vec<u8>>) {
    for (key, value) in entries {
        key.write(chain, encoder);
        value.write(chain, encoder);
    }
}
