"""What an operation answers for a key that is disabled, or whose deletion is scheduled.

From the KMS developer guide, *Key states of AWS KMS keys*. Where the guide leaves a choice, all that it allows.
"""

from .model import Case

DISABLED = ("DisabledException",)
INVALID = ("KMSInvalidStateException",)
EITHER = (*DISABLED, *INVALID)
FINE = ("success",)

USES_MATERIAL = (DISABLED, EITHER)
CHANGES_KEY = (FINE, INVALID)
LOOKS = (FINE, FINE)

# Operation: (with a disabled key, with one pending deletion).
ANSWERS = {
    "CreateAlias": CHANGES_KEY,
    "CreateGrant": USES_MATERIAL,
    "Decrypt": USES_MATERIAL,
    "DeleteAlias": LOOKS,
    "DeleteImportedKeyMaterial": LOOKS,
    "DeriveSharedSecret": USES_MATERIAL,
    "DescribeKey": LOOKS,
    "DisableKey": CHANGES_KEY,
    "DisableKeyRotation": USES_MATERIAL,
    "EnableKey": CHANGES_KEY,
    "EnableKeyRotation": USES_MATERIAL,
    "Encrypt": USES_MATERIAL,
    "GenerateDataKey": USES_MATERIAL,
    "GenerateDataKeyPair": USES_MATERIAL,
    "GenerateDataKeyPairWithoutPlaintext": USES_MATERIAL,
    "GenerateDataKeyWithoutPlaintext": USES_MATERIAL,
    "GenerateMac": USES_MATERIAL,
    "GetKeyPolicy": LOOKS,
    "GetKeyRotationStatus": LOOKS,
    # A key that waits for its material cannot be disabled.
    "GetParametersForImport": (None, INVALID),
    "ImportKeyMaterial": (None, INVALID),
    "ListGrants": LOOKS,
    "ListKeyPolicies": LOOKS,
    "ListKeyRotations": LOOKS,
    "ListResourceTags": LOOKS,
    "PutKeyPolicy": LOOKS,
    "ReEncrypt": USES_MATERIAL,
    "RetireGrant": LOOKS,
    "RevokeGrant": LOOKS,
    "RotateKeyOnDemand": USES_MATERIAL,
    "ScheduleKeyDeletion": CHANGES_KEY,
    "Sign": USES_MATERIAL,
    "TagResource": CHANGES_KEY,
    "UntagResource": CHANGES_KEY,
    "UpdateAlias": CHANGES_KEY,
    "UpdateKeyDescription": CHANGES_KEY,
    "Verify": USES_MATERIAL,
    "VerifyMac": USES_MATERIAL,
}


def cases_of(operation):
    if operation in ANSWERS:
        states = (("Disabled", "a disabled key"), ("PendingDeletion", "a key pending deletion"))
        for (state, what), answers in zip(states, ANSWERS[operation], strict=True):
            if answers is not None:
                yield Case(operation, (), what, "|".join(answers), key_state=state)
