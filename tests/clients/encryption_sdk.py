"""The AWS Encryption SDK inside an enclave, unchanged, through the enclave's proxy."""

import io
import unittest

import aws_encryption_sdk
from aws_encryption_sdk import (
    CachingCryptoMaterialsManager,
    LocalCryptoMaterialsCache,
    StrictAwsKmsMasterKeyProvider,
)
from aws_encryption_sdk.exceptions import AWSEncryptionSDKClientError

from setting import key

CLIENT = aws_encryption_sdk.EncryptionSDKClient()
CONTEXT = {"purpose": "test"}


def keys(*names):
    return StrictAwsKmsMasterKeyProvider(key_ids=[key(name)["arn"] for name in names])


class EncryptionSdk(unittest.TestCase):
    def test_a_message_is_sealed_and_opened(self):
        for length in [0, 1, 4096, 100_000]:
            plaintext = bytes(length)
            sealed, _ = CLIENT.encrypt(source=plaintext, key_provider=keys("app"), encryption_context=CONTEXT)
            opened, header = CLIENT.decrypt(source=sealed, key_provider=keys("app"))
            self.assertEqual(opened, plaintext)
            self.assertEqual(header.encryption_context["purpose"], "test")

    def test_a_stream_is_sealed_and_opened(self):
        plaintext = bytes(range(256)) * 20_000
        with CLIENT.stream(mode="e", source=io.BytesIO(plaintext), key_provider=keys("app")) as sealing:
            sealed = sealing.read()
        with CLIENT.stream(mode="d", source=io.BytesIO(sealed), key_provider=keys("app")) as opening:
            self.assertEqual(opening.read(), plaintext)

    def test_data_keys_are_cached(self):
        cache = LocalCryptoMaterialsCache(10)
        manager = CachingCryptoMaterialsManager(
            master_key_provider=keys("app"), cache=cache, max_age=60.0, max_messages_encrypted=100
        )
        for _ in range(5):
            sealed, _ = CLIENT.encrypt(source=b"a secret", materials_manager=manager, encryption_context=CONTEXT)
            opened, _ = CLIENT.decrypt(source=sealed, materials_manager=manager)
            self.assertEqual(opened, b"a secret")

    def test_an_altered_message_and_another_key_do_not_open(self):
        sealed, _ = CLIENT.encrypt(source=b"a secret", key_provider=keys("app"))
        altered = sealed[:-100] + bytes([sealed[-100] ^ 1]) + sealed[-99:]
        with self.assertRaises(Exception):
            CLIENT.decrypt(source=altered, key_provider=keys("app"))
        with self.assertRaises(AWSEncryptionSDKClientError):
            CLIENT.decrypt(source=sealed, key_provider=keys("other"))
