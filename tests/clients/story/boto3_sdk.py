"""The story of a key, told to a broker by boto3: one line for each step, as story.rs reads it."""

import base64
import os
import pathlib

import boto3
from botocore.exceptions import ClientError

kms = boto3.client("kms")
alias, policy = os.environ["ALIAS"], pathlib.Path(os.environ["POLICY"]).read_text()
attested = {
    "Recipient": {
        "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
        "AttestationDocument": pathlib.Path(os.environ["DOCUMENT"]).read_bytes(),
    },
    "EncryptionContext": {"story": "boto3"},
}


def tell(step, envelope_or_text):
    is_envelope = isinstance(envelope_or_text, bytes)
    print(step, base64.b64encode(envelope_or_text).decode() if is_envelope else envelope_or_text)


created = kms.create_key(Policy=policy)["KeyMetadata"]
key = created["KeyId"]
tell("created", created["Arn"])

kms.create_alias(AliasName=alias, TargetKeyId=key)
tell("aliased", kms.describe_key(KeyId=alias)["KeyMetadata"]["Arn"])

kms.put_key_policy(KeyId=key, Policy=policy)
tell("policies", *kms.list_key_policies(KeyId=key)["PolicyNames"])

generated = kms.generate_data_key(KeyId=alias, KeySpec="AES_256", **attested)
tell("generated", generated["CiphertextForRecipient"])


def decrypt():
    return kms.decrypt(CiphertextBlob=generated["CiphertextBlob"], **attested)["CiphertextForRecipient"]


tell("decrypted", decrypt())
kms.rotate_key_on_demand(KeyId=key)
tell("rotations", len(kms.list_key_rotations(KeyId=key)["Rotations"]))
tell("decrypted", decrypt())

kms.disable_key(KeyId=key)
tell("state", kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"])
try:
    decrypt()
    tell("refused", "answer")
except ClientError as error:
    tell("refused", error.response["Error"]["Code"])

tell("state", kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)["KeyState"])
