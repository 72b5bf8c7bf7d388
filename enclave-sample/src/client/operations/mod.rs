//! The five operations that answer to an attested recipient: one file for each, with its request, its answer, and
//! what the answer must be to be believed.

mod data_key_pair;
mod decrypt;
mod derive_shared_secret;
mod generate_data_key;
mod generate_random;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

pub use self::data_key_pair::{DataKeyPair, GenerateDataKeyPair, KeyPairSpec};
pub use self::decrypt::{Decrypt, Decrypted};
pub use self::derive_shared_secret::{DeriveSharedSecret, SharedSecret};
pub use self::generate_data_key::{DataKey, DataKeyLength, GenerateDataKey, InvalidLength};
pub use self::generate_random::GenerateRandom;
use super::error::ClientError;
use super::wire::{Blob, Presence};
use crate::cms;
use crate::recipient::RecipientKey;

/// An operation whose answer is encrypted to the recipient. A request reads and writes as the JSON of the service
/// model, without `Recipient`, which the client adds.
pub trait Operation: Serialize + DeserializeOwned + sealed::Sealed {
    /// The operation's name in the service model.
    const NAME: &'static str;
    /// The member that the operation answers with where there is no recipient.
    const PLAINTEXT_MEMBER: &'static str;
    /// What the request is for.
    type Answer;
}

/// What only the client needs to know of an operation.
pub(in crate::client) mod sealed {
    use super::super::error::ClientError;
    use super::{DeserializeOwned, Envelope, Operation};

    pub trait Sealed {
        type Response: DeserializeOwned;

        /// Opens `response`, and believes it if it is one to this request.
        fn accept(
            &self,
            response: Self::Response,
            envelope: Envelope<'_>,
        ) -> Result<Self::Answer, ClientError>
        where
            Self: Operation;
    }
}

/// Opens the envelope of an answer.
pub struct Envelope<'a> {
    key: &'a RecipientKey,
}

impl<'a> Envelope<'a> {
    pub(in crate::client) fn to(key: &'a RecipientKey) -> Self {
        Self { key }
    }

    /// The secret, unless something of it came in the clear as `member`.
    fn open(
        &self,
        in_the_clear: Presence,
        member: &'static str,
        envelope: Option<Blob>,
    ) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        if in_the_clear == Presence::Present {
            return Err(ClientError::PlaintextReleased { member });
        }
        let Blob(envelope) =
            envelope.ok_or(ClientError::MissingMember { member: "CiphertextForRecipient" })?;
        Ok(cms::open_enveloped_data(&envelope, self.key)?)
    }
}

fn check_length(plaintext: &[u8], expected: usize) -> Result<(), ClientError> {
    match plaintext.len() {
        actual if actual == expected => Ok(()),
        actual => Err(ClientError::PlaintextLength { expected, actual }),
    }
}

/// A key ARN answers to itself and to the key id it ends in. An alias can stand for any key, its ARN for any of the
/// same account and region.
fn check_same_key(asked: &str, answered: &str) -> Result<(), ClientError> {
    let is_same = if let Some((account, _)) = asked.split_once(":alias/") {
        answered.split_once(":key/").is_some_and(|(prefix, _)| prefix == account)
    } else {
        asked.starts_with("alias/")
            || asked == answered
            || answered.rsplit_once(":key/").is_some_and(|(_, key_id)| key_id == asked)
    };
    if is_same {
        Ok(())
    } else {
        Err(ClientError::OtherKey { asked: asked.to_owned(), answered: answered.to_owned() })
    }
}

/// What the request says, or what stands for its absence, and what the answer says must be one.
fn check_same_value(member: &'static str, asked: &str, answered: Option<String>) -> Result<(), ClientError> {
    let answered = answered.ok_or(ClientError::MissingMember { member })?;
    if answered == asked {
        return Ok(());
    }
    let answered = answered.chars().filter(|character| !character.is_control()).take(64).collect();
    Err(ClientError::OtherValue { member, asked: asked.to_owned(), answered })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_must_be_about_the_key_asked_for() {
        const ARN: &str = "arn:aws:kms:us-east-1:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        for asked in [
            ARN,
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "alias/files",
            "arn:aws:kms:us-east-1:000000000000:alias/files",
        ] {
            assert!(check_same_key(asked, ARN).is_ok(), "{asked}");
        }
        for asked in [
            "90ab",
            "arn:aws:kms:us-east-1:000000000000:key/other",
            "",
            "arn:aws:kms:eu-west-1:000000000000:alias/files",
            "arn:aws:kms:us-east-1:111111111111:alias/files",
        ] {
            assert!(matches!(check_same_key(asked, ARN), Err(ClientError::OtherKey { .. })), "{asked}");
        }
        assert!(check_same_key("alias/files", "arn:aws:kms:us-east-1:000000000000:alias/files").is_ok());
    }

    #[test]
    fn a_value_of_the_request_must_come_back() {
        let error = |answered: Option<&str>| {
            check_same_value("KeyPairSpec", "RSA_2048", answered.map(str::to_owned)).unwrap_err().to_string()
        };
        assert!(check_same_value("KeyPairSpec", "RSA_2048", Some("RSA_2048".to_owned())).is_ok());
        assert_eq!(error(None), "the broker's answer has no KeyPairSpec");
        assert_eq!(error(Some("RSA\n_4096")), "asked with KeyPairSpec RSA_2048, the answer has RSA_4096");
    }
}
