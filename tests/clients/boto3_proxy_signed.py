"""boto3 through a proxy that signs with credentials of its own: the caller's own are not known to the broker."""

import subprocess
import unittest

import boto3

from setting import key, last_record

KMS = boto3.client("kms")


class AsTheProxysPrincipal(unittest.TestCase):
    def test_a_key_that_only_the_parent_may_use_is_used(self):
        made = KMS.generate_data_key(KeyId=key("parents-only")["alias"], KeySpec="AES_256")
        opened = KMS.decrypt(CiphertextBlob=made["CiphertextBlob"], KeyId=key("parents-only")["arn"])
        self.assertEqual(made["Plaintext"], opened["Plaintext"])
        self.assertEqual(last_record()["userIdentity"]["arn"], "arn:aws:iam::000000000000:role/parent")

    def test_a_key_pair_comes_with_its_private_half(self):
        for spec in ["RSA_2048", "ECC_NIST_P256", "ECC_SECG_P256K1", "ECC_NIST_EDWARDS25519"]:
            with self.subTest(spec):
                pair = KMS.generate_data_key_pair(KeyId=key("parents-only")["alias"], KeyPairSpec=spec)
                self.assertNotIn("CiphertextForRecipient", pair)
                command = ["openssl", "pkey", "-inform", "DER", "-pubout", "-outform", "DER"]
                public = subprocess.run(command, input=pair["PrivateKeyPlaintext"], capture_output=True, check=True)
                self.assertEqual(public.stdout, pair["PublicKey"])
                opened = KMS.decrypt(CiphertextBlob=pair["PrivateKeyCiphertextBlob"])
                self.assertEqual(opened["Plaintext"], pair["PrivateKeyPlaintext"])

    def test_operations_without_a_recipient_pass_as_they_are(self):
        described = KMS.describe_key(KeyId=key("managed")["alias"])["KeyMetadata"]
        self.assertEqual(described["Arn"], key("managed")["arn"])
        made = KMS.generate_data_key_without_plaintext(KeyId=key("managed")["alias"], KeySpec="AES_256")
        self.assertNotIn("Plaintext", made)
        sealed = KMS.encrypt(KeyId=key("managed")["alias"], Plaintext=b"a secret")
        self.assertEqual(KMS.decrypt(CiphertextBlob=sealed["CiphertextBlob"])["Plaintext"], b"a secret")
