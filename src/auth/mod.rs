//! Who is calling?
//!
//! A request with an `Authorization` header, or with the parameters of a presigned one in its query, claims to come from
//! the holder of an access key; one without either comes from the anonymous caller, who gets only what a policy grants
//! to everybody. The way of a signed request:
//!
//! 1. [`sigv4::parse_signed_request`] reads the claim: which access key, which session token, which headers are signed;
//! 2. the credential store finds the secret of that access key, or there is no such caller;
//! 3. [`sigv4::SignedRequest::verify`] holds the claim against the secret, the scope and the time, and yields a
//!    [`sigv4::VerifiedSignature`], which nothing else can make;
//! 4. the session token is compared with the one that was issued.
//!
//! [`authenticate()`] goes that way.

mod authenticate;
pub mod sigv4;

pub use authenticate::{AuthError, Authenticated, authenticate};
