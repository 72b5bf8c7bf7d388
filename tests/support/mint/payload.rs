//! The payload of a document: the nine fields in the order in which hardware writes them.

use super::cbor::{Cbor, bytes, text};
use super::chain::Level;
use super::{INSTANCE_ID, MODULE_ID};

use sha2::{Digest, Sha384};

#[derive(Clone)]
pub struct Payload {
    pub fields: Vec<(Cbor, Cbor)>,
    /// Hardware writes an indefinite-length map since 2025-09, a definite one before.
    pub indefinite: bool,
    /// Bytes after the map.
    pub trailing: Vec<u8>,
}

impl Payload {
    /// An enclave that is not in debug mode, without recipient key, user data and nonce.
    pub fn genuine(timestamp_ms: u64) -> Self {
        let cabundle = [Level::Root, Level::Regional, Level::Zonal, Level::Instance].map(Cbor::Certificate);
        let fields = [
            ("module_id", text(MODULE_ID)),
            ("digest", text("SHA384")),
            ("timestamp", Cbor::Unsigned(timestamp_ms)),
            ("pcrs", Cbor::Map(sixteen_pcrs())),
            ("certificate", Cbor::Certificate(Level::Leaf)),
            ("cabundle", Cbor::Array(cabundle.to_vec())),
            ("public_key", Cbor::Null),
            ("user_data", Cbor::Null),
            ("nonce", Cbor::Null),
        ];
        Self {
            fields: fields.into_iter().map(|(name, value)| (text(name), value)).collect(),
            indefinite: true,
            trailing: Vec::new(),
        }
    }

    /// The map and what trails it.
    pub fn item(&self) -> Cbor {
        if self.indefinite {
            Cbor::IndefiniteMap(self.fields.clone())
        } else {
            Cbor::Map(self.fields.clone())
        }
    }

    /// Replaces the value of the field `name`.
    pub fn set(&mut self, name: &str, value: Cbor) {
        *self.value_mut(name) = value;
    }

    pub fn remove(&mut self, name: &str) {
        let position = self.position(name);
        self.fields.remove(position);
    }

    /// Writes the field `name` twice, with the same value.
    pub fn duplicate(&mut self, name: &str) {
        let field = self.fields[self.position(name)].clone();
        self.fields.push(field);
    }

    /// Gives the field another key.
    pub fn rename(&mut self, name: &str, key: Cbor) {
        let position = self.position(name);
        self.fields[position].0 = key;
    }

    pub fn pcrs_mut(&mut self) -> &mut Vec<(Cbor, Cbor)> {
        match self.value_mut("pcrs") {
            Cbor::Map(entries) => entries,
            _ => panic!("pcrs is no longer a map"),
        }
    }

    pub fn cabundle_mut(&mut self) -> &mut Vec<Cbor> {
        match self.value_mut("cabundle") {
            Cbor::Array(certificates) => certificates,
            _ => panic!("cabundle is no longer an array"),
        }
    }

    /// Sets PCR `index`, appending it when it is new.
    pub fn set_pcr(&mut self, index: u64, value: &[u8]) {
        let entries = self.pcrs_mut();
        match entries.iter_mut().find(|(key, _)| matches!(key, Cbor::Unsigned(n) if *n == index)) {
            Some((_, present)) => *present = bytes(value),
            None => entries.push((Cbor::Unsigned(index), bytes(value))),
        }
    }

    fn value_mut(&mut self, name: &str) -> &mut Cbor {
        let position = self.position(name);
        &mut self.fields[position].1
    }

    fn position(&self, name: &str) -> usize {
        let named = |(key, _): &(Cbor, Cbor)| matches!(key, Cbor::Text(text) if text == name);
        self.fields.iter().position(named).expect("the field is there")
    }
}

/// PCR0–2 and PCR4 set, the rest zero, as on an instance without an IAM role that runs an unsigned image.
fn sixteen_pcrs() -> Vec<(Cbor, Cbor)> {
    (0..16).map(|index| (Cbor::Unsigned(index), bytes(&genuine_pcr(index)))).collect()
}

/// The value that minted documents carry in that PCR.
pub fn genuine_pcr(index: u64) -> [u8; 48] {
    match index {
        0..=2 => Sha384::digest(format!("minted PCR{index}")).into(),
        // SHA-384(48 zero bytes ‖ instance id), as the hypervisor extends it.
        4 => Sha384::new().chain_update([0; 48]).chain_update(INSTANCE_ID).finalize().into(),
        _ => [0; 48],
    }
}
