//! Which operations there are.

use super::{Api, ApiError};
use crate::audit::AuditEvent;
use crate::json::Json;
use crate::operations::{Invocation, Operation};

macro_rules! operations {
    ($($operation:ident),* $(,)?) => {
        use crate::operations::{$($operation),*};

        const NAMES: &[&str] = &[$($operation::NAME),*];

        impl Api {
            /// Carries out the operation of this name.
            pub(super) async fn dispatch(
                &self,
                name: &str,
                members: &Json,
                invocation: &Invocation,
                event: &mut AuditEvent,
            ) -> Result<Vec<u8>, ApiError> {
                match name {
                    $($operation::NAME => self.run::<$operation>(members, invocation, event).await,)*
                    other => Err(ApiError::unknown_operation(other)),
                }
            }
        }
    };
}

operations! {
    CancelKeyDeletion,
    ConnectCustomKeyStore,
    CreateAlias,
    CreateCustomKeyStore,
    CreateGrant,
    CreateKey,
    Decapsulate,
    Decrypt,
    DeleteAlias,
    DeleteCustomKeyStore,
    DeleteImportedKeyMaterial,
    DeriveSharedSecret,
    DescribeCustomKeyStores,
    DescribeKey,
    DisableKey,
    DisableKeyRotation,
    DisconnectCustomKeyStore,
    EnableKey,
    EnableKeyRotation,
    Encapsulate,
    Encrypt,
    GenerateDataKey,
    GenerateDataKeyPair,
    GenerateDataKeyPairWithoutPlaintext,
    GenerateDataKeyWithoutPlaintext,
    GenerateMac,
    GenerateRandom,
    GetKeyLastUsage,
    GetKeyPolicy,
    GetKeyRotationStatus,
    GetParametersForImport,
    GetPublicKey,
    ImportKeyMaterial,
    ListAliases,
    ListGrants,
    ListKeyPolicies,
    ListKeyRotations,
    ListKeys,
    ListResourceTags,
    ListRetirableGrants,
    PutKeyPolicy,
    ReEncrypt,
    ReplicateKey,
    RetireGrant,
    RevokeGrant,
    RotateKeyOnDemand,
    ScheduleKeyDeletion,
    Sign,
    TagResource,
    UntagResource,
    UpdateAlias,
    UpdateCustomKeyStore,
    UpdateKeyDescription,
    UpdatePrimaryRegion,
    Verify,
    VerifyMac,
}

/// `name` as one of the list: what a caller sends becomes no label and no span's name.
pub(super) fn known_operation(name: &str) -> Option<&'static str> {
    NAMES.iter().find(|known| **known == name).copied()
}

#[cfg(test)]
mod tests {
    use super::{NAMES, known_operation};

    #[test]
    fn only_operations_of_kms_have_names() {
        assert_eq!(NAMES.len(), 56);
        assert!(NAMES.is_sorted(), "out of order");
        assert_eq!(known_operation("Decrypt"), Some("Decrypt"));
        for hostile in ["", "decrypt", "Decrypt ", "Decrypt\n", "TrentService.Decrypt", "Shred"] {
            assert_eq!(known_operation(hostile), None, "{hostile:?}");
        }
    }
}
