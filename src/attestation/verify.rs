use std::sync::Arc;
use std::time::Duration;

use super::error::Error;
use super::evidence::VerifiedEvidence;
use super::memo::{DocumentKey, Memo, MemoSize, PathKey, RememberedDocument};
use super::payload::Payload;
use super::pcr::Pcrs;
use super::trust_anchor::{TrustAnchor, TrustAnchors};
use crate::cose::UnverifiedSign1;
use crate::crypto::sha256;
use crate::metrics::Caches;
use crate::time::UnixTime;
use crate::x509::{PathError, VerifiedPath, verify_path};

/// Bytes of `Recipient.AttestationDocument` at most (KMS API reference, *RecipientInfo*).
const MAX_DOCUMENT_LEN: usize = 262_144;
/// The registers that debug mode zeroes (Nitro Enclaves user guide, *Debug mode*).
const DEBUG_MODE_PCRS: [u8; 3] = [0, 1, 2];

/// What a relying party asks of a document beyond that it is genuine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requirements {
    /// How old a document may be.
    pub max_age: Duration,
    /// How far ahead of the broker's clock its timestamp may be.
    pub max_ahead: Duration,
    /// Whether enclaves in debug mode are accepted. Anyone on their parent instance can read their memory.
    pub allow_debug: bool,
}

impl Default for Requirements {
    fn default() -> Self {
        Self { max_age: Duration::from_secs(300), max_ahead: Duration::from_secs(30), allow_debug: false }
    }
}

/// Verifies one document.
///
/// # Errors
/// The first step that refuses, with what was expected and found; see [`Error::step`].
pub fn verify(
    document: &[u8],
    trust_anchors: &TrustAnchors,
    now: UnixTime,
    requirements: &Requirements,
) -> Result<VerifiedEvidence, Error> {
    check_length(document)?;
    let seen = verify_with(document, trust_anchors, now, requirements, |payload, anchor| {
        verify_path(payload.certificate, &payload.cabundle, anchor.der(), now).map(Arc::new)
    })?;
    Ok(seen.evidence)
}

/// Verifies many documents, and remembers between them the certificate paths and the documents that were genuine.
///
/// The verdict is always that of [`verify`]: what a memo spares is work that comes to the same result at any time.
/// Validity of the path, freshness and debug mode are asked again of a document that is remembered.
#[derive(Debug)]
pub struct Verifier {
    trust_anchors: TrustAnchors,
    requirements: Requirements,
    paths: Memo<PathKey, Arc<VerifiedPath>>,
    documents: Memo<DocumentKey, RememberedDocument>,
}

impl Verifier {
    /// A verifier that remembers nothing yet.
    pub fn new(trust_anchors: TrustAnchors, requirements: Requirements) -> Self {
        Self::with_memo_size(trust_anchors, requirements, MemoSize::default())
    }

    /// As [`Verifier::new`], with room for as many paths and documents as `limit` says.
    pub fn with_memo_size(trust_anchors: TrustAnchors, requirements: Requirements, limit: MemoSize) -> Self {
        let MemoSize { paths, documents } = limit;
        Self { trust_anchors, requirements, paths: Memo::new(paths), documents: Memo::new(documents) }
    }

    /// The roots that evidence may lead to.
    pub fn trust_anchors(&self) -> &TrustAnchors {
        &self.trust_anchors
    }

    /// How much is remembered.
    pub fn memo_size(&self) -> MemoSize {
        MemoSize { paths: self.paths.len(), documents: self.documents.len() }
    }

    /// How often it remembered.
    pub fn caches(&self) -> Caches {
        Caches(vec![
            ("documents", self.documents.counters().clone()),
            ("certificate_paths", self.paths.counters().clone()),
        ])
    }

    /// As [`verify`].
    ///
    /// # Errors
    /// As [`verify`].
    pub fn verify(&self, document: &[u8], now: UnixTime) -> Result<VerifiedEvidence, Error> {
        check_length(document)?;
        let key = DocumentKey::of(document);
        if let Some(seen) = self.documents.get(&key)
            && seen.validity.contains(now)
        {
            judge(seen.evidence.timestamp(), seen.evidence.pcrs(), now, &self.requirements)?;
            return Ok(seen.evidence);
        }
        let seen = verify_with(document, &self.trust_anchors, now, &self.requirements, |payload, anchor| {
            self.find_path(payload, anchor, now)
        })?;
        self.documents.insert(key, seen.clone());
        Ok(seen.evidence)
    }

    fn find_path(
        &self,
        payload: &Payload<'_>,
        anchor: &TrustAnchor,
        now: UnixTime,
    ) -> Result<Arc<VerifiedPath>, PathError> {
        let key = PathKey::of(payload.certificate, &payload.cabundle);
        if let Some(path) = self.paths.get(&key)
            && path.validity.contains(now)
        {
            return Ok(path);
        }
        let path = Arc::new(verify_path(payload.certificate, &payload.cabundle, anchor.der(), now)?);
        self.paths.insert(key, Arc::clone(&path));
        Ok(path)
    }
}

fn check_length(document: &[u8]) -> Result<(), Error> {
    if (1..=MAX_DOCUMENT_LEN).contains(&document.len()) {
        Ok(())
    } else {
        Err(Error::DocumentLength { limit: MAX_DOCUMENT_LEN, actual: document.len() })
    }
}

fn verify_with(
    document: &[u8],
    trust_anchors: &TrustAnchors,
    now: UnixTime,
    requirements: &Requirements,
    path: impl FnOnce(&Payload<'_>, &TrustAnchor) -> Result<Arc<VerifiedPath>, PathError>,
) -> Result<RememberedDocument, Error> {
    let sign1 = UnverifiedSign1::parse(document).map_err(Error::Cose)?;
    let payload = Payload::parse(sign1.unverified_payload()).map_err(Error::Payload)?;
    let anchor = find_anchor(&payload, trust_anchors).map_err(Error::Path)?;
    let path = path(&payload, anchor).map_err(Error::Path)?;
    sign1.verify(&path.leaf_key).map_err(Error::Signature)?;
    judge(payload.timestamp, &payload.pcrs, now, requirements)?;
    Ok(RememberedDocument { evidence: VerifiedEvidence::new(payload, anchor), validity: path.validity })
}

/// What is asked of a genuine document each time, remembered or not.
fn judge(timestamp: UnixTime, pcrs: &Pcrs, now: UnixTime, requirements: &Requirements) -> Result<(), Error> {
    check_freshness(timestamp, now, requirements)?;
    if requirements.allow_debug { Ok(()) } else { refuse_debug_mode(pcrs) }
}

/// The anchor is the configured certificate; that the bundle starts with it only says which one is meant.
fn find_anchor<'t>(
    payload: &Payload<'_>,
    trust_anchors: &'t TrustAnchors,
) -> Result<&'t TrustAnchor, PathError> {
    let root = payload.cabundle.first().copied().unwrap_or_default();
    trust_anchors.find(root).ok_or_else(|| PathError::UntrustedRoot { actual_sha256: sha256(&[root]) })
}

fn check_freshness(timestamp: UnixTime, now: UnixTime, requirements: &Requirements) -> Result<(), Error> {
    let age = Duration::from_millis(now.as_ms().saturating_sub(timestamp.as_ms()));
    let ahead = Duration::from_millis(timestamp.as_ms().saturating_sub(now.as_ms()));
    if age > requirements.max_age {
        return Err(Error::Stale { timestamp, now, age, max_age: requirements.max_age });
    }
    if ahead > requirements.max_ahead {
        return Err(Error::FromTheFuture { timestamp, now, ahead, max_ahead: requirements.max_ahead });
    }
    Ok(())
}

fn refuse_debug_mode(pcrs: &Pcrs) -> Result<(), Error> {
    match DEBUG_MODE_PCRS.into_iter().find(|index| pcrs.get(*index).is_none_or(|pcr| pcr.is_zero())) {
        Some(index) => Err(Error::DebugMode { index }),
        None => Ok(()),
    }
}
