use aws_lc_rs::digest::{Context, Digest, SHA256, SHA384};

/// Bytes of a SHA-256 digest.
pub const SHA256_LEN: usize = 32;
const SHA384_LEN: usize = 48;

/// SHA-256 of the concatenated parts.
pub fn sha256(parts: &[&[u8]]) -> [u8; SHA256_LEN] {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    to_array(context.finish())
}

/// SHA-384 of the concatenated parts.
pub fn sha384(parts: &[&[u8]]) -> [u8; SHA384_LEN] {
    let mut context = Context::new(&SHA384);
    parts.iter().for_each(|part| context.update(part));
    to_array(context.finish())
}

/// SHA-256 of what comes in pieces.
#[derive(Clone)]
pub struct Sha256(Context);

impl Default for Sha256 {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl Sha256 {
    /// The next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The digest of all pieces.
    pub fn finish(self) -> [u8; SHA256_LEN] {
        to_array(self.0.finish())
    }
}

impl std::fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sha256")
    }
}

/// SHA-384 of what comes in pieces.
#[derive(Clone)]
pub struct Sha384(Context);

impl Default for Sha384 {
    fn default() -> Self {
        Self::new()
    }
}

impl Sha384 {
    /// The digest of nothing so far.
    pub fn new() -> Self {
        Self(Context::new(&SHA384))
    }

    /// The next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The digest of all pieces.
    pub fn finish(self) -> [u8; SHA384_LEN] {
        to_array(self.0.finish())
    }
}

fn to_array<const LEN: usize>(digest: Digest) -> [u8; LEN] {
    let mut array = [0; LEN];
    array.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    array
}
