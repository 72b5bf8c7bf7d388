//! What the operations on custom key stores share: their members, and that this broker has no such stores.

use super::error::OperationError;
use super::members::{MemberError, Members};
use super::pattern::{
    ACCOUNT_ID, CLOUD_HSM_CLUSTER_ID, XKS_ACCESS_KEY_ID, XKS_PROXY_URI_ENDPOINT, XKS_PROXY_URI_PATH,
    XKS_SECRET_ACCESS_KEY, XKS_VPC_SERVICE_NAME,
};

/// The answer of them all.
pub(super) const NO_CUSTOM_KEY_STORES: OperationError =
    OperationError::Unsupported("this broker has no custom key stores: its keys lie in its own store");

/// The member `CustomKeyStoreId`, which must be there.
pub(super) fn required_id(members: &Members<'_>) -> Result<String, MemberError> {
    members.required_string("CustomKeyStoreId", 1..=64).map(str::to_owned)
}

/// Checks the members that CreateCustomKeyStore and UpdateCustomKeyStore have in common. Nothing of them is kept: two
/// of them are secrets.
pub(super) fn check_connection(members: &Members<'_>) -> Result<(), MemberError> {
    const CONNECTIVITIES: [(&str, ()); 2] = [("PUBLIC_ENDPOINT", ()), ("VPC_ENDPOINT_SERVICE", ())];
    members.text_of("CloudHsmClusterId", 19..=24, &CLOUD_HSM_CLUSTER_ID)?;
    members.secret_text_of("KeyStorePassword", 7..=32, None)?;
    members.text_of("XksProxyUriEndpoint", 10..=128, &XKS_PROXY_URI_ENDPOINT)?;
    members.text_of("XksProxyUriPath", 10..=128, &XKS_PROXY_URI_PATH)?;
    members.text_of("XksProxyVpcEndpointServiceName", 20..=64, &XKS_VPC_SERVICE_NAME)?;
    members.text_of("XksProxyVpcEndpointServiceOwner", 12..=12, &ACCOUNT_ID)?;
    members.one_of("XksProxyConnectivity", &CONNECTIVITIES)?;
    let Some(credential) = members.structure("XksProxyAuthenticationCredential")? else { return Ok(()) };
    let required = |name, length, pattern| {
        let text = credential.secret_text_of(name, length, Some(pattern))?;
        text.map(drop).ok_or_else(|| credential.missing(name))
    };
    required("AccessKeyId", 20..=30, &XKS_ACCESS_KEY_ID)?;
    required("RawSecretAccessKey", 43..=64, &XKS_SECRET_ACCESS_KEY)
}
