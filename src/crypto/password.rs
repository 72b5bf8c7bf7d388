use std::fmt;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};

use super::{CryptoError, fill_random};

/// RFC 9106 section 4, the second recommended option: 64 MiB, three passes.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
/// One lane more would be one thread more: as it is, a guess costs one core for as long.
const LANES: u32 = 1;
/// RFC 9106 section 4: 128 bits of salt.
const SALT_LEN: usize = 16;
/// RFC 9106 section 4: a tag of 256 bits.
const TAG_LEN: usize = 32;

/// What is kept of a password: Argon2id (RFC 9106) with its salt and cost, in the PHC string format.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Hashes a password under a fresh salt. Takes 64 MiB and a good part of a second: not for a thread that others wait
    /// for.
    ///
    /// # Errors
    /// When there is no salt or no memory.
    pub fn new(password: &[u8]) -> Result<Self, CryptoError> {
        let mut salt = [0; SALT_LEN];
        fill_random(&mut salt)?;
        let hash: phc::PasswordHash =
            argon2()?.hash_password_with_salt(password, &salt).map_err(|_| CryptoError)?;
        Ok(Self(hash.to_string()))
    }

    /// What [`PasswordHash::as_str`] gave.
    ///
    /// # Errors
    /// When it is no Argon2 hash.
    pub fn parse(text: &str) -> Result<Self, CryptoError> {
        let hash = phc::PasswordHash::new(text).map_err(|_| CryptoError)?;
        let is_complete = hash.hash.is_some() && hash.salt.is_some();
        if hash.algorithm.as_str() == "argon2id" && is_complete {
            Ok(Self(text.to_owned()))
        } else {
            Err(CryptoError)
        }
    }

    /// The PHC string.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the hash of this password. Takes as long as [`PasswordHash::new`], whatever the answer.
    pub fn verify(&self, password: &[u8]) -> bool {
        let (Ok(hash), Ok(argon2)) = (phc::PasswordHash::new(&self.0), argon2()) else { return false };
        argon2.verify_password(password, &hash).is_ok()
    }
}

/// Does the work of [`PasswordHash::verify`] where there is no hash to hold the password against, so that time does not tell
/// who has one.
pub fn verify_no_password(password: &[u8]) {
    let mut tag = [0; TAG_LEN];
    if let Ok(argon2) = argon2() {
        let _ = argon2.hash_password_into(password, &[0; SALT_LEN], &mut tag);
    }
    std::hint::black_box(tag);
}

fn argon2() -> Result<Argon2<'static>, CryptoError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(TAG_LEN)).map_err(|_| CryptoError)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Leaves out the hash, which passwords can be guessed against.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_of_its_password_alone_and_survives_being_written() {
        let hash = PasswordHash::new(b"correct horse battery staple").unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=65536,t=3,p=1$"), "{}", hash.as_str());
        let read = PasswordHash::parse(hash.as_str()).unwrap();
        assert!(read.verify(b"correct horse battery staple"));
        assert!(!read.verify(b"correct horse battery stapl"));
        assert!(!read.verify(b""));
        assert_ne!(PasswordHash::new(b"correct horse battery staple").unwrap(), hash);
        assert_eq!(format!("{hash:?}"), "PasswordHash(..)");
    }

    #[test]
    fn what_is_no_argon2id_hash_is_refused() {
        for text in [
            "",
            "x",
            "$argon2id$v=19$m=65536,t=3,p=1",
            "$argon2d$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert_eq!(PasswordHash::parse(text), Err(CryptoError), "{text}");
        }
    }
}
