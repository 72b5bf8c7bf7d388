"""For each operation a request that succeeds, with as few members as that takes, made from what is there."""

from . import samples

RECIPES = {
    "CancelKeyDeletion": lambda live: {"KeyId": pending_deletion(live)},
    "ConnectCustomKeyStore": lambda live: {"CustomKeyStoreId": samples.KEY_STORE},
    "CreateAlias": lambda live: {"AliasName": live.alias(), "TargetKeyId": live.key()},
    "CreateCustomKeyStore": lambda live: {"CustomKeyStoreName": "store"},
    "CreateGrant": lambda live: {
        "KeyId": live.key(),
        "GranteePrincipal": samples.PRINCIPAL,
        "Operations": ["Decrypt"],
    },
    "CreateKey": lambda live: {"Policy": live.policy()},
    "Decapsulate": lambda live: {
        "KeyId": live.key(),
        "SharedSecretCiphertextBlob": bytes(1088),
        "EncapsulationAlgorithm": "ML_KEM",
    },
    "Decrypt": lambda live: {"CiphertextBlob": live.ciphertext(), "Recipient": live.recipient()},
    "DeleteAlias": lambda live: {"AliasName": live.created_alias()},
    "DeleteCustomKeyStore": lambda live: {"CustomKeyStoreId": samples.KEY_STORE},
    "DeleteImportedKeyMaterial": lambda live: {"KeyId": live.imported()},
    "DeriveSharedSecret": lambda live: {
        "KeyId": live.key_for("KEY_AGREEMENT", "ECC_NIST_P256"),
        "KeyAgreementAlgorithm": "ECDH",
        "PublicKey": live.public_key(),
        "Recipient": live.recipient(),
    },
    "DescribeCustomKeyStores": lambda live: {},
    "DescribeKey": lambda live: {"KeyId": live.key()},
    "DisableKey": lambda live: {"KeyId": live.key()},
    "DisableKeyRotation": lambda live: {"KeyId": live.key()},
    "DisconnectCustomKeyStore": lambda live: {"CustomKeyStoreId": samples.KEY_STORE},
    "EnableKey": lambda live: {"KeyId": live.key()},
    "EnableKeyRotation": lambda live: {"KeyId": live.key()},
    "Encapsulate": lambda live: {"KeyId": live.key(), "EncapsulationAlgorithm": "ML_KEM"},
    "Encrypt": lambda live: {"KeyId": live.key(), "Plaintext": b"text"},
    "GenerateDataKey": lambda live: {"KeyId": live.key(), "KeySpec": "AES_256", "Recipient": live.recipient()},
    "GenerateDataKeyPair": lambda live: {
        "KeyId": live.key(),
        "KeyPairSpec": "ECC_NIST_P256",
        "Recipient": live.recipient(),
    },
    "GenerateDataKeyPairWithoutPlaintext": lambda live: {"KeyId": live.key(), "KeyPairSpec": "ECC_NIST_P256"},
    "GenerateDataKeyWithoutPlaintext": lambda live: {"KeyId": live.key(), "KeySpec": "AES_256"},
    "GenerateMac": lambda live: {
        "KeyId": live.key_for("GENERATE_VERIFY_MAC", "HMAC_256"),
        "Message": b"text",
        "MacAlgorithm": "HMAC_SHA_256",
    },
    "GenerateRandom": lambda live: {"NumberOfBytes": 32, "Recipient": live.recipient()},
    "GetKeyLastUsage": lambda live: {"KeyId": live.key()},
    "GetKeyPolicy": lambda live: {"KeyId": live.key()},
    "GetKeyRotationStatus": lambda live: {"KeyId": live.key()},
    "GetParametersForImport": lambda live: {
        "KeyId": live.external(),
        "WrappingAlgorithm": "RSAES_OAEP_SHA_256",
        "WrappingKeySpec": "RSA_2048",
    },
    "GetPublicKey": lambda live: {"KeyId": live.key_for("SIGN_VERIFY", "ECC_NIST_P256")},
    "ImportKeyMaterial": lambda live: {
        **live.import_of(live.external()),
        "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
    },
    "ListAliases": lambda live: {"Limit": 1000},
    "ListGrants": lambda live: {"KeyId": live.granted_twice()},
    "ListKeyPolicies": lambda live: {"KeyId": live.key()},
    "ListKeyRotations": lambda live: {"KeyId": live.rotated()},
    "ListKeys": lambda live: {"Limit": 1000},
    "ListResourceTags": lambda live: {"KeyId": live.tagged()},
    "ListRetirableGrants": lambda live: {"RetiringPrincipal": samples.PRINCIPAL},
    "PutKeyPolicy": lambda live: {"KeyId": live.key(), "Policy": live.policy()},
    "ReEncrypt": lambda live: {"CiphertextBlob": live.ciphertext(), "DestinationKeyId": live.key()},
    "ReplicateKey": lambda live: {"KeyId": live.key(), "ReplicaRegion": "eu-west-1"},
    "RetireGrant": lambda live: {"GrantId": live.grant()["GrantId"], "KeyId": live.key()},
    "RevokeGrant": lambda live: {"GrantId": live.grant()["GrantId"], "KeyId": live.key()},
    "RotateKeyOnDemand": lambda live: {"KeyId": live.key()},
    "ScheduleKeyDeletion": lambda live: {"KeyId": live.key()},
    "Sign": lambda live: {
        "KeyId": live.key_for("SIGN_VERIFY", "ECC_NIST_P256"),
        "Message": b"text",
        "SigningAlgorithm": "ECDSA_SHA_256",
    },
    "TagResource": lambda live: {"KeyId": live.key(), "Tags": [{"TagKey": "name", "TagValue": "value"}]},
    "UntagResource": lambda live: {"KeyId": live.key(), "TagKeys": ["name"]},
    "UpdateAlias": lambda live: {"AliasName": live.created_alias(), "TargetKeyId": live.key()},
    "UpdateCustomKeyStore": lambda live: {"CustomKeyStoreId": samples.KEY_STORE},
    "UpdateKeyDescription": lambda live: {"KeyId": live.key(), "Description": "a sample"},
    "UpdatePrimaryRegion": lambda live: {"KeyId": live.key(), "PrimaryRegion": "eu-west-1"},
    "Verify": lambda live: {
        "KeyId": live.key_for("SIGN_VERIFY", "ECC_NIST_P256"),
        "Message": b"text",
        "Signature": live.signature(),
        "SigningAlgorithm": "ECDSA_SHA_256",
    },
    "VerifyMac": lambda live: {
        "KeyId": live.key_for("GENERATE_VERIFY_MAC", "HMAC_256"),
        "Message": b"text",
        "MacAlgorithm": "HMAC_SHA_256",
        "Mac": live.mac(),
    },
}

# Those after which nothing is as it was: each of their requests that may succeed gets keys of its own.
USES_UP = {
    "CancelKeyDeletion",
    "CreateAlias",
    "DeleteAlias",
    "DeleteImportedKeyMaterial",
    "DisableKey",
    "ImportKeyMaterial",
    "RetireGrant",
    "RevokeGrant",
    "RotateKeyOnDemand",
    "ScheduleKeyDeletion",
    "UpdateAlias",
}

# Members of an answer that the recipe's request does not get, and why.
NOT_IN_THE_ANSWER = {
    ("Decrypt", "Plaintext"): "never",
    ("Decrypt", "KeyMaterialId"): "not with Recipient, as in KMS",
    ("DeriveSharedSecret", "SharedSecret"): "never",
    ("GenerateDataKey", "Plaintext"): "never",
    ("GenerateDataKey", "KeyMaterialId"): "not with Recipient, as in KMS",
    ("GenerateDataKeyPair", "PrivateKeyPlaintext"): "never",
    ("GenerateDataKeyPair", "KeyMaterialId"): "not with Recipient, as in KMS",
    ("GenerateRandom", "Plaintext"): "never",
    ("GetKeyRotationStatus", "RotationPeriodInDays"): "not while rotation is off, as in KMS",
    ("GetKeyRotationStatus", "NextRotationDate"): "not while rotation is off, as in KMS",
    ("GetKeyRotationStatus", "OnDemandRotationStartDate"): "a rotation on demand is over when it is answered",
    ("GetPublicKey", "EncryptionAlgorithms"): "not of a key that signs",
    ("GetPublicKey", "KeyAgreementAlgorithms"): "not of a key that signs",
    ("GetPublicKey", "EncapsulationAlgorithms"): "not of a key that signs",
    ("ListAliases", "NextMarker"): "not on the last page",
    ("ListGrants", "NextMarker"): "not on the last page",
    ("ListKeyPolicies", "NextMarker"): "not on the last page",
    ("ListKeyRotations", "NextMarker"): "not on the last page",
    ("ListKeys", "NextMarker"): "not on the last page",
    ("ListResourceTags", "NextMarker"): "not on the last page",
    ("ListRetirableGrants", "NextMarker"): "not on the last page",
}

# Operations whose answers name the key by its ARN, however the request did.
NAMED_BY_ARN = {
    "CancelKeyDeletion",
    "Decrypt",
    "DeriveSharedSecret",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateMac",
    "GetKeyRotationStatus",
    "GetParametersForImport",
    "GetPublicKey",
    "ReEncrypt",
    "ScheduleKeyDeletion",
    "Sign",
    "Verify",
    "VerifyMac",
}


def pending_deletion(live):
    from .live import call

    key = live.key()
    call("schedule_key_deletion", KeyId=key)
    return key
