//! What the operations on multi-Region keys share: that this broker has no such keys.

use super::error::OperationError;
use super::members::{MemberError, Members};
use super::pattern::REGION;

/// The answer of them all.
pub(super) const NO_MULTI_REGION_KEYS: OperationError =
    OperationError::Unsupported("this broker has no multi-Region keys: it lives in one region");

/// A region, the member `name`.
pub(super) fn required_region(name: &str, members: &Members<'_>) -> Result<String, MemberError> {
    let region = members.text_of(name, 1..=32, &REGION)?;
    Ok(region.ok_or_else(|| members.missing(name))?.to_owned())
}
