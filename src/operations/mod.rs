//! The KMS operations, one file each. A file holds the operation's members with their modelled constraints, and tells
//! its story once, from the typed request to the response.

mod broker;
mod decrypt;
mod error;
mod generate_data_key;
mod generate_data_key_without_plaintext;
mod members;

use std::future::Future;
use std::net::IpAddr;

use serde::Serialize;

pub use broker::{Broker, BrokerError};
pub use decrypt::Decrypt;
pub use error::OperationError;
pub use generate_data_key::GenerateDataKey;
pub use generate_data_key_without_plaintext::GenerateDataKeyWithoutPlaintext;
pub use members::{MemberError, Members};

use crate::audit::AuditEvent;
use crate::policy::Caller;
use crate::time::UnixTime;

/// One operation of the KMS API: its request members and what it does with them.
pub trait Operation: Sized + Send + Sync {
    /// Its name behind `TrentService.` in `X-Amz-Target`.
    const NAME: &'static str;

    /// The members of its response. No response type of this crate has one for plaintext.
    type Response: Serialize + Send;

    /// Reads its members and checks every constraint of the service model.
    ///
    /// # Errors
    /// The first member that violates one.
    fn parse(members: &Members<'_>) -> Result<Self, MemberError>;

    /// The `requestParameters` of its audit record: nothing secret, nothing bulky.
    fn audit_parameters(&self) -> serde_json::Value;

    /// Carries it out, noting in `event` what the audit record should show.
    ///
    /// # Errors
    /// Why not. Nothing of the key has then left.
    fn run(
        &self,
        broker: &Broker,
        invocation: &Invocation,
        event: &mut AuditEvent,
    ) -> impl Future<Output = Result<Self::Response, OperationError>> + Send;
}

/// What is known about a request beside its members.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Who asks.
    pub caller: Caller,
    /// When.
    pub now: UnixTime,
    /// From where, on a transport that has addresses.
    pub source_ip: Option<IpAddr>,
    /// Whether over TLS.
    pub secure_transport: bool,
}
