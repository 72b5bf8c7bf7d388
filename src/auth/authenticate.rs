use subtle::ConstantTimeEq;

use super::sigv4::{RawRequest, Scope, SigV4Error, SignatureWindow, parse_signed_request};
use crate::crypto::sha256;
use crate::operations::Broker;
use crate::policy::{Caller, PrincipalArn};
use crate::root_key::RootKeyError;
use crate::store::{Credential, StoreError, credential_wrapping_context};
use crate::time::UnixTime;

/// The signing name of KMS.
const SERVICE: &str = "kms";

/// Who sent a request, once proven.
#[derive(Clone, Debug)]
pub struct Authenticated {
    /// The caller.
    pub caller: Caller,
    /// The access key that signed; `None` for the anonymous caller.
    pub access_key_id: Option<String>,
}

/// Why a request that claims to be signed is from nobody.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The signature or its form.
    #[error(transparent)]
    SigV4(#[from] SigV4Error),
    /// No such access key, or another session token than was issued with it. Which one is not told.
    #[error("The security token included in the request is invalid.")]
    UnknownCredential,
    /// The credential's time is over.
    #[error("The security token included in the request is expired")]
    Expired,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The secret cannot be unwrapped.
    #[error(transparent)]
    RootKey(#[from] RootKeyError),
}

/// Finds out who sent `request`: nobody in particular when it is unsigned, else the principal of its access key.
///
/// # Errors
/// When it claims to be signed and that does not hold.
pub async fn authenticate(
    broker: &Broker,
    request: RawRequest<'_>,
    window: &SignatureWindow,
    now: UnixTime,
) -> Result<Authenticated, AuthError> {
    let Some(signed) = parse_signed_request(request)? else {
        return Ok(Authenticated { caller: Caller::Anonymous, access_key_id: None });
    };
    let credential =
        broker.store().find_credential(signed.access_key_id()).await?.ok_or(AuthError::UnknownCredential)?;
    let secret = unwrap_secret(broker, &credential).await?;
    let scope = Scope { region: broker.realm().region(), service: SERVICE };
    let signature = signed.verify(&secret, &scope, window, now)?;
    let token_sha256 = signature.session_token().map(|token| sha256(&[token.expose().as_bytes()]));
    if !is_issued_token(credential.session_token_sha256.as_ref(), token_sha256.as_ref()) {
        return Err(AuthError::UnknownCredential);
    }
    if credential.expires_at.is_some_and(|expires_at| now > expires_at) {
        return Err(AuthError::Expired);
    }
    Ok(Authenticated {
        caller: caller(&credential.principal),
        access_key_id: Some(signature.access_key_id().to_owned()),
    })
}

async fn unwrap_secret(
    broker: &Broker,
    credential: &Credential,
) -> Result<zeroize::Zeroizing<Vec<u8>>, RootKeyError> {
    let context = credential_wrapping_context(&credential.access_key_id, &credential.principal);
    broker.root_key().unwrap_key(&context, &credential.wrapped_secret).await
}

/// A credential with a session needs its token; one without must come without.
fn is_issued_token(issued: Option<&[u8; 32]>, sent: Option<&[u8; 32]>) -> bool {
    match (issued, sent) {
        (None, None) => true,
        (Some(issued), Some(sent)) => bool::from(issued.ct_eq(sent)),
        _ => false,
    }
}

fn caller(principal: &PrincipalArn) -> Caller {
    Caller::Principal { arn: principal.clone() }
}
