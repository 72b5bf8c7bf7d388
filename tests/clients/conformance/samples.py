"""Values that are valid for a shape of the model."""

import copy
import datetime
import re

PRINCIPAL = "arn:aws:iam::000000000000:role/maker"
KEY_STORE = "cks-1234567890abcdef0"
CONTEXT = {"name": "value"}

# By operation and path, where what is valid depends on the rest of the request.
BY_PATH = {
    ("CreateKey", "Policy"): lambda live: live.policy(),
    ("CreateKey", "KeySpec"): "SYMMETRIC_DEFAULT",
    ("CreateKey", "CustomerMasterKeySpec"): "SYMMETRIC_DEFAULT",
    ("CreateKey", "KeyUsage"): "ENCRYPT_DECRYPT",
    ("CreateKey", "MultiRegion"): False,
    ("GetKeyPolicy", "PolicyName"): "default",
    ("PutKeyPolicy", "PolicyName"): "default",
    ("ImportKeyMaterial", "ValidTo"): lambda live: datetime.datetime.now(datetime.timezone.utc)
    + datetime.timedelta(days=30),
    ("ImportKeyMaterial", "ExpirationModel"): "KEY_MATERIAL_DOES_NOT_EXPIRE",
    ("ListAliases", "KeyId"): lambda live: live.key(),
    ("ListGrants", "GrantId"): lambda live: live.grant()["GrantId"],
    ("ListGrants", "GranteePrincipal"): PRINCIPAL,
    ("ListRetirableGrants", "RetiringPrincipal"): PRINCIPAL,
    ("RetireGrant", "GrantToken"): lambda live: live.grant()["GrantToken"],
    ("ListAliases", "Marker"): lambda live: live.marker("list_aliases"),
    ("ListGrants", "Marker"): lambda live: live.marker("list_grants", KeyId=live.granted_twice()),
    ("ListKeyRotations", "Marker"): lambda live: live.marker("list_key_rotations", KeyId=live.rotated()),
    ("ListKeys", "Marker"): lambda live: live.marker("list_keys"),
    ("ListResourceTags", "Marker"): lambda live: live.marker("list_resource_tags", KeyId=live.tagged()),
    ("ListRetirableGrants", "Marker"): lambda live: live.marker_of_retirable_grants(),
    ("Decrypt", "KeyId"): lambda live: live.key(),
    ("ReEncrypt", "SourceKeyId"): lambda live: live.key(),
    ("ScheduleKeyDeletion", "PendingWindowInDays"): 7,
    ("Sign", "MessageType"): "RAW",
    ("Verify", "MessageType"): "RAW",
    ("DeleteImportedKeyMaterial", "KeyMaterialId"): lambda live: live.material_id(live.imported()),
}
# By the member's name, whatever operation.
BY_MEMBER = {
    "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
    "SourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
    "DestinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
    "GrantTokens": lambda live: [live.grant()["GrantToken"]],
    "Recipient": lambda live: live.recipient(),
    "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
    "AttestationDocument": lambda live: live.recipient()["AttestationDocument"],
    "Constraints": {"EncryptionContextSubset": CONTEXT},
}
# By the shape's name: patterns and structures.
BY_SHAPE = {
    "AliasNameType": "alias/sample",
    "AccountIdType": "000000000000",
    "BackingKeyIdType": "0" * 64,
    "CloudHsmClusterIdType": "cluster-abcdefghijk",
    "EncryptionContextType": CONTEXT,
    "GrantConstraintSourceArnType": "arn:aws:s3:us-east-1:000000000000:bucket/name",
    "GrantNameType": "name",
    "KeyIdType": "alias/sample",
    "PolicyNameType": "default",
    "PrincipalIdType": PRINCIPAL,
    "RegionType": "eu-west-1",
    "ServicePrincipalType": "service.amazonaws.com",
    "Tag": {"TagKey": "name", "TagValue": "value"},
    "XksKeyIdType": "sample",
    "XksProxyAuthenticationAccessKeyIdType": "ABCDEFGHIJKLMNOPQRST",
    "XksProxyAuthenticationRawSecretAccessKeyType": "a" * 43,
    "XksProxyUriEndpointType": "https://a.test",
    "XksProxyUriPathType": "/a/kms/xks/v1",
    "XksProxyVpcEndpointServiceNameType": "com.amazonaws.vpce.us-east-1.vpce-svc-0",
}
# What may not stand beside the member, and what a request must have with it.
INSTEAD_OF = {
    "EncryptionContextEquals": ("EncryptionContextSubset",),
    "GrantToken": ("GrantId", "KeyId"),
    "NumberOfBytes": ("KeySpec",),
    "GranteeServicePrincipal": ("GranteePrincipal",),
    "RetiringServicePrincipal": ("RetiringPrincipal",),
    "CustomerMasterKeySpec": ("KeySpec",),
}
TOGETHER_WITH = {
    ("Decrypt", "EncryptionContext"): lambda live: {"CiphertextBlob": live.ciphertext(CONTEXT)},
    ("Decrypt", "DryRunModifiers"): lambda live: {"KeyId": live.key(), "DryRun": True},
    ("ReEncrypt", "SourceEncryptionContext"): lambda live: {"CiphertextBlob": live.ciphertext(CONTEXT)},
    ("ReEncrypt", "DryRunModifiers"): lambda live: {"SourceKeyId": live.key(), "DryRun": True},
    ("ImportKeyMaterial", "ValidTo"): lambda live: {"ExpirationModel": "KEY_MATERIAL_EXPIRES"},
    ("ImportKeyMaterial", "KeyMaterialId"): lambda live: live.import_of_what_was_deleted(),
}
# What comes of a valid member where it is no answer.
EXPECTED = {
    ("Decrypt", "DryRunModifiers"): "DryRunOperationException",
    ("ReEncrypt", "DryRunModifiers"): "DryRunOperationException",
}


def sample(operation, path, shape, live):
    """A valid value of a member, made from what is there where that is needed."""
    for table, key in ((BY_PATH, (operation, *path)), (BY_MEMBER, path[-1]), (BY_SHAPE, shape.name)):
        if key in table:
            value = table[key]
            return value(live) if callable(value) else copy.deepcopy(value)
    return simplest(shape)


def simplest(shape):
    """The first that the shape alone allows."""
    if shape.name in BY_SHAPE:
        return copy.deepcopy(BY_SHAPE[shape.name])
    if names := getattr(shape, "enum", ()):
        return names[0]
    match shape.type_name:
        case "structure":
            return {name: simplest(shape.members[name]) for name in shape.required_members}
        case "list":
            return [simplest(shape.member)]
        case "map":
            return {"name": simplest(shape.value)}
        case "boolean":
            return True
        case "timestamp":
            return datetime.datetime.now(datetime.timezone.utc)
        case _:
            return of_size(shape, max(shape.metadata.get("min", 1), 1))


def of_size(shape, size, must_match=True):
    """A value of a length, or a number; None where no valid one was found."""
    match shape.type_name:
        case "integer":
            return size
        case "blob":
            return b"a" * size
        case "list":
            return [simplest(shape.member)] * size
    pattern = shape.metadata.get("pattern")
    known = BY_SHAPE.get(shape.name, "")
    cut = (known[:size], known[:1] + known[len(known) - size + 1 :], "a" * size) if size else ("",)
    longer = size - len(known)
    stretched = (known + known[-1:] * longer, known[:1] + "a" * longer + known[1:])
    for value in (*stretched, *cut):
        if len(value) == size and (not pattern or re.fullmatch(pattern, value)):
            return value
    return None if must_match else "a" * size


def outside_of_pattern(shape):
    """A value of an allowed length that the pattern does not match."""
    sizes = range(shape.metadata.get("min", 1) or 1, shape.metadata.get("max", 1) + 1)
    for size in (sizes[0], sizes[-1]):
        for character in ("\u0000", "!", "a"):
            if not re.fullmatch(shape.metadata["pattern"], character * size):
                return character * size
    raise AssertionError(f"everything is in the pattern of {shape}")
