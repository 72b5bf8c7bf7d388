use super::Invocation;
use super::broker::Broker;
use super::error::OperationError;
use super::members::{MemberError, Members};
use crate::attestation::{AttestedRecipient, VerifiedEvidence};
use crate::audit::AuditEvent;
use crate::metrics::Stage;
use crate::text::shorten;

/// The request member `Recipient`, as it came (KMS API reference, *RecipientInfo*).
///
/// Operations that KMS has it for answer to its key and to nobody else. Others take it beyond KMS, so that a key policy
/// can demand an enclave for them, too.
pub(super) struct Recipient {
    attestation_document: Vec<u8>,
}

impl Recipient {
    /// Bytes of `AttestationDocument` (KMS API reference, *RecipientInfo*).
    const DOCUMENT_LEN: std::ops::RangeInclusive<usize> = 1..=262_144;

    pub(super) fn parse(members: &Members<'_>) -> Result<Option<Self>, MemberError> {
        let Some(recipient) = members.structure("Recipient")? else { return Ok(None) };
        let algorithm = recipient.one_of("KeyEncryptionAlgorithm", &[("RSAES_OAEP_SHA_256", ())])?;
        let document = recipient.blob("AttestationDocument", Self::DOCUMENT_LEN)?;
        algorithm.ok_or_else(|| recipient.missing("KeyEncryptionAlgorithm"))?;
        let document = document.ok_or_else(|| recipient.missing("AttestationDocument"))?;
        Ok(Some(Self { attestation_document: document }))
    }

    /// The enclave behind it, its evidence verified completely and its key fit to encrypt to.
    pub(super) fn attest(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> Result<AttestedRecipient, OperationError> {
        let document = &self.attestation_document;
        if let Some(text) = file_name(document) {
            return Err(OperationError::FileNameForDocument { text });
        }
        broker.in_stage(Stage::VerifyDocument, || {
            let attested = broker
                .verifier()
                .verify(document, invocation.now)
                .inspect(|evidence| event.set_recipient(evidence))
                .and_then(VerifiedEvidence::into_recipient);
            broker.metrics().attested(attested.as_ref().map(|_| ()).map_err(|error| error.step().name()));
            attested.map_err(|error| {
                event.explain("failedStep", error.step().name());
                event.explain("failedCheck", error.code());
                OperationError::Attestation(error)
            })
        })
    }
}

/// As [`Recipient::attest`], of a request that need not have one.
pub(super) fn attest_if_sent(
    recipient: Option<&Recipient>,
    broker: &Broker,
    invocation: &Invocation,
    event: &mut AuditEvent,
) -> Result<Option<AttestedRecipient>, OperationError> {
    recipient.map(|recipient| recipient.attest(broker, invocation, event)).transpose()
}

/// The text that the AWS CLI sends when it was told to read a file in a way that it does not understand.
fn file_name(document: &[u8]) -> Option<String> {
    const LONGEST_PATH: usize = 4096;
    let text = std::str::from_utf8(document).ok().filter(|text| text.len() <= LONGEST_PATH)?;
    let names_a_file = ["fileb://", "file://"].iter().any(|scheme| text.starts_with(scheme));
    names_a_file.then(|| shorten(text))
}
