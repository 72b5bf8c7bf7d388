"""boto3 through a proxy that signs with credentials of its own: the caller's own are not known to the broker."""

import pathlib
import subprocess
import tempfile
import unittest

import boto3

from setting import key, last_record

KMS = boto3.client("kms")


def openssl(*arguments, **options):
    return subprocess.run(["openssl", *arguments], capture_output=True, check=True, **options).stdout


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
                public = openssl(*"pkey -inform DER -pubout -outform DER".split(), input=pair["PrivateKeyPlaintext"])
                self.assertEqual(public, pair["PublicKey"])
                opened = KMS.decrypt(CiphertextBlob=pair["PrivateKeyCiphertextBlob"])
                self.assertEqual(opened["Plaintext"], pair["PrivateKeyPlaintext"])

    def test_a_shared_secret_is_that_of_the_other_party(self):
        with tempfile.TemporaryDirectory() as folder:
            ours, theirs, secret = (pathlib.Path(folder, name) for name in ("ours.der", "theirs.der", "secret"))
            openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-outform", "DER", "-out", ours)
            public = openssl("pkey", "-inform", "DER", "-in", ours, "-pubout", "-outform", "DER")
            theirs.write_bytes(KMS.get_public_key(KeyId=key("ecdh")["alias"])["PublicKey"])
            openssl(
                *("pkeyutl", "-derive", "-keyform", "DER", "-inkey", ours),
                *("-peerform", "DER", "-peerkey", theirs, "-out", secret),
            )
            answer = KMS.derive_shared_secret(
                KeyId=key("ecdh")["arn"], KeyAgreementAlgorithm="ECDH", PublicKey=public
            )
            self.assertEqual(answer["SharedSecret"], secret.read_bytes())
            self.assertNotIn("CiphertextForRecipient", answer)

    def test_operations_without_a_recipient_pass_as_they_are(self):
        described = KMS.describe_key(KeyId=key("managed")["alias"])["KeyMetadata"]
        self.assertEqual(described["Arn"], key("managed")["arn"])
        made = KMS.generate_data_key_without_plaintext(KeyId=key("managed")["alias"], KeySpec="AES_256")
        self.assertNotIn("Plaintext", made)
        sealed = KMS.encrypt(KeyId=key("managed")["alias"], Plaintext=b"a secret")
        self.assertEqual(KMS.decrypt(CiphertextBlob=sealed["CiphertextBlob"])["Plaintext"], b"a secret")
