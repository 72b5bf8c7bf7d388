use std::sync::Arc;

use tokio::task::spawn_blocking;

use crate::crypto::{CryptoError, fill_random};
use crate::keys::{Key, KeyId, KeyKind, KeyOrigin, KeyState, NewMaterial, Realm};
use crate::policy::KeyPolicy;
use crate::root_key::{RootKey, RootKeyError, wrap_material};
use crate::time::UnixTime;

/// What a new key is to be.
#[derive(Debug)]
pub struct NewKey {
    /// What it is for, in words.
    pub description: String,
    /// Where its material comes from; one of origin `EXTERNAL` begins without.
    pub origin: KeyOrigin,
    /// Who may use it for what.
    pub policy: KeyPolicy,
    /// What it is made of, and what it is for.
    pub kind: KeyKind,
}

impl NewKey {
    /// A key with new random material under `root_key`, not yet in any store.
    ///
    /// # Errors
    /// When the random generator or the root key fails.
    pub async fn make(
        self,
        realm: &Realm,
        root_key: &dyn RootKey,
        created_at: UnixTime,
    ) -> Result<Key, RootKeyError> {
        let mut id = [0; 16];
        fill_random(&mut id)?;
        let id = KeyId::from_random_bytes(id);
        let spec = self.kind.spec();
        let (materials, public_key) = match self.origin {
            KeyOrigin::AwsKms => {
                // An RSA key takes long: other requests go on meanwhile.
                let material =
                    spawn_blocking(move || NewMaterial::generate(spec)).await.map_err(|_| CryptoError)??;
                let wrapped = wrap_material(root_key, id, &material).await?;
                (vec![wrapped], material.public_key().map(<[u8]>::to_vec))
            }
            KeyOrigin::External => (Vec::new(), None),
        };
        Ok(Key {
            id,
            arn: realm.key_arn(id),
            state: KeyState::Enabled,
            spec,
            usage: self.kind.usage(),
            origin: self.origin,
            public_key,
            description: self.description,
            created_at,
            deletion_at: None,
            rotation: None,
            policy: Arc::new(self.policy),
            materials,
        })
    }
}

/// The policy of a key that was made without one: its account may do everything, which in KMS hands the question on to
/// identity policies (KMS developer guide, *Default key policy*).
///
/// # Errors
/// Never, as long as a realm has a well-formed account.
pub fn default_key_policy(realm: &Realm) -> Result<KeyPolicy, crate::policy::PolicyError> {
    let text = serde_json::json!({
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [{
            "Sid": "Enable IAM User Permissions",
            "Effect": "Allow",
            "Principal": {"AWS": format!("arn:aws:iam::{}:root", realm.account())},
            "Action": "kms:*",
            "Resource": "*",
        }],
    });
    KeyPolicy::parse(&text.to_string())
}
