"""The AWS Encryption SDK outside of an enclave: it writes what an enclave is to read, and reads nothing itself.

It wants its data keys in the clear, from GenerateDataKey and Decrypt without Recipient, and that is what this broker
never gives. A data key of its own making it has encrypted by Encrypt, which is fine.
"""

import os
import unittest

import botocore.session
import setting
from aws_encryption_sdk import CommitmentPolicy, EncryptionSDKClient
from aws_encryption_sdk.exceptions import DecryptKeyError, GenerateKeyError, MasterKeyProviderError
from aws_encryption_sdk.identifiers import EncryptionKeyType, WrappingAlgorithm
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.kms import StrictAwsKmsMasterKeyProvider
from aws_encryption_sdk.key_providers.raw import RawMasterKeyProvider
from setting import key, open_envelope, recipient

SDK = EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
WITHOUT_RECIPIENT = "never does: pass Recipient"


class OwnKey(RawMasterKeyProvider):
    """A wrapping key that the application holds itself."""

    provider_id = "application"

    def _get_raw_key(self, key_id):
        return WrappingKey(
            wrapping_algorithm=WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING,
            wrapping_key=bytes(range(32)),
            wrapping_key_type=EncryptionKeyType.SYMMETRIC,
        )


def broker_key():
    credential = setting.credential("permanent")
    os.environ |= {
        "AWS_ACCESS_KEY_ID": credential["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": credential["SecretAccessKey"],
        "AWS_ENDPOINT_URL_KMS": setting.ENDPOINT,
        "AWS_CA_BUNDLE": setting.SETTING["ca"],
        "AWS_MAX_ATTEMPTS": "1",
    }
    return StrictAwsKmsMasterKeyProvider(
        key_ids=[key("managed")["arn"]], botocore_session=botocore.session.Session()
    )


class EncryptionSdk(unittest.TestCase):
    def test_a_data_key_in_the_clear_is_refused_with_what_to_do(self):
        with self.assertRaises(GenerateKeyError) as caught:
            SDK.encrypt(source=b"text", key_provider=broker_key())
        self.assertIn(WITHOUT_RECIPIENT, str(caught.exception.__cause__ or caught.exception.__context__))
        self.assertEqual(setting.last_record()["errorCode"], "ValidationException")

    def test_what_it_writes_with_a_key_of_its_own_and_ours_only_an_enclave_reads_by_ours(self):
        both = OwnKey()
        both.add_master_key("own")
        both.add_master_key_provider(broker_key())
        message, header = SDK.encrypt(source=b"text", key_provider=both)

        with self.assertRaises((DecryptKeyError, MasterKeyProviderError)):
            SDK.decrypt(source=message, key_provider=broker_key())
        record = setting.last_record()
        self.assertEqual((record["eventName"], record["errorCode"]), ("Decrypt", "ValidationException"))
        self.assertIn(WITHOUT_RECIPIENT, record["errorMessage"])

        [ours] = [made for made in header.encrypted_data_keys if made.key_provider.provider_id == "aws-kms"]
        answer = setting.client(setting.credential("permanent")).decrypt(
            CiphertextBlob=ours.encrypted_data_key, EncryptionContext=header.encryption_context, Recipient=recipient()
        )
        self.assertEqual(len(open_envelope(answer["CiphertextForRecipient"])), 32)
