"""Asymmetric and HMAC keys, as boto3 uses them, with OpenSSL on the other side."""

import hashlib
import os
import pathlib
import subprocess
import tempfile
import unittest

import setting
from setting import key, open_envelope, recipient

SIGNED = setting.client(setting.credential("permanent"))
MESSAGE = b"attack at dawn"
SIGNING = (
    ("rsa-signing", "RSASSA_PSS_SHA_256", ("-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest")),
    ("rsa-signing", "RSASSA_PKCS1_V1_5_SHA_256", ()),
    ("ecdsa", "ECDSA_SHA_256", ()),
)


def members(answer):
    metadata = answer.pop("ResponseMetadata")
    assert metadata["HTTPStatusCode"] == 200
    return answer


def openssl(*arguments, **files):
    """Runs OpenSSL with files that arguments name by `{name}`; its exit status and output."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: pathlib.Path(folder, name) for name in files}
        for name, content in files.items():
            paths[name].write_bytes(content)
        command = ["openssl", *(argument.format(**paths) for argument in arguments)]
        result = subprocess.run(command, capture_output=True)
        return result.returncode, result.stdout


def public_key(name):
    return SIGNED.get_public_key(KeyId=key(name)["alias"])["PublicKey"]


class Signatures(unittest.TestCase):
    def test_openssl_accepts_what_is_signed(self):
        for name, algorithm, options in SIGNING:
            with self.subTest(algorithm):
                request = {"KeyId": key(name)["alias"], "SigningAlgorithm": algorithm}
                signed = members(SIGNED.sign(Message=MESSAGE, GrantTokens=[], DryRun=False, **request))
                self.assertEqual(set(signed), {"KeyId", "Signature", "SigningAlgorithm"})
                self.assertEqual(signed["KeyId"], key(name)["arn"])
                status, _ = openssl(
                    *("dgst", "-sha256", "-keyform", "DER", "-verify", "{key}", "-signature", "{signature}"),
                    *options,
                    "{message}",
                    key=public_key(name),
                    signature=signed["Signature"],
                    message=MESSAGE,
                )
                self.assertEqual(status, 0)

                digest = {"Message": hashlib.sha256(MESSAGE).digest(), "MessageType": "DIGEST"}
                verified = members(SIGNED.verify(Signature=signed["Signature"], **digest, **request))
                self.assertEqual(
                    verified, {"KeyId": key(name)["arn"], "SignatureValid": True, "SigningAlgorithm": algorithm}
                )
                with self.assertRaises(SIGNED.exceptions.KMSInvalidSignatureException):
                    SIGNED.verify(Signature=signed["Signature"], Message=b"attack at noon", **request)

    def test_ed25519(self):
        request = {"KeyId": key("ed25519")["arn"], "SigningAlgorithm": "ED25519_SHA_512", "Message": MESSAGE}
        signature = SIGNED.sign(**request)["Signature"]
        self.assertEqual(len(signature), 64)
        self.assertTrue(SIGNED.verify(Signature=signature, **request)["SignatureValid"])
        with self.assertRaises(SIGNED.exceptions.UnsupportedOperationException):
            SIGNED.sign(**request | {"SigningAlgorithm": "ED25519_PH_SHA_512"})

    def test_a_key_for_something_else(self):
        with self.assertRaisesRegex(SIGNED.exceptions.InvalidKeyUsageException, "not valid for Sign"):
            SIGNED.sign(KeyId=key("rsa")["id"], Message=MESSAGE, SigningAlgorithm="RSASSA_PSS_SHA_256")
        with self.assertRaisesRegex(SIGNED.exceptions.InvalidKeyUsageException, "incompatible with key spec"):
            SIGNED.sign(KeyId=key("ecdsa")["id"], Message=MESSAGE, SigningAlgorithm="ECDSA_SHA_384")


class Encryption(unittest.TestCase):
    def test_an_enclave_opens_what_anybody_encrypts_to_the_public_key(self):
        plaintext = os.urandom(32)
        status, ciphertext = openssl(
            *("pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey", "{key}", "-in", "{plaintext}"),
            *("-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256", "-pkeyopt", "rsa_mgf1_md:sha256"),
            key=public_key("rsa"),
            plaintext=plaintext,
        )
        self.assertEqual(status, 0)
        request = {"KeyId": key("rsa")["alias"], "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}
        encrypted = members(SIGNED.encrypt(Plaintext=plaintext, **request))
        for blob in (ciphertext, encrypted["CiphertextBlob"]):
            answer = members(SIGNED.decrypt(CiphertextBlob=blob, Recipient=recipient(), **request))
            self.assertEqual(set(answer), {"CiphertextForRecipient", "EncryptionAlgorithm", "KeyId"})
            self.assertEqual(open_envelope(answer["CiphertextForRecipient"]), plaintext)


class Macs(unittest.TestCase):
    def test_a_mac_is_verified(self):
        request = {"KeyId": key("mac")["alias"], "MacAlgorithm": "HMAC_SHA_256", "Message": MESSAGE}
        made = members(SIGNED.generate_mac(**request))
        self.assertEqual(set(made), {"KeyId", "Mac", "MacAlgorithm"})
        verified = members(SIGNED.verify_mac(Mac=made["Mac"], **request))
        self.assertEqual(verified, {"KeyId": key("mac")["arn"], "MacValid": True, "MacAlgorithm": "HMAC_SHA_256"})
        with self.assertRaises(SIGNED.exceptions.KMSInvalidMacException):
            SIGNED.verify_mac(Mac=made["Mac"][::-1], **request)


class SharedSecrets(unittest.TestCase):
    def test_the_enclave_shares_a_secret_with_a_peer(self):
        status, private = openssl(
            *("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-outform", "DER")
        )
        self.assertEqual(status, 0)
        _, peer = openssl("pkey", "-inform", "DER", "-in", "{key}", "-pubout", "-outform", "DER", key=private)
        request = {"KeyId": key("ecdh")["id"], "KeyAgreementAlgorithm": "ECDH", "PublicKey": peer}
        answer = members(SIGNED.derive_shared_secret(Recipient=recipient(), **request))
        self.assertEqual(set(answer), {"CiphertextForRecipient", "KeyAgreementAlgorithm", "KeyId", "KeyOrigin"})
        status, theirs = openssl(
            *("pkeyutl", "-derive", "-keyform", "DER", "-inkey", "{private}", "-peerform", "DER", "-peerkey", "{peer}"),
            private=private,
            peer=public_key("ecdh"),
        )
        self.assertEqual((status, open_envelope(answer["CiphertextForRecipient"])), (0, theirs))
        with self.assertRaisesRegex(SIGNED.exceptions.ClientError, "without Recipient"):
            SIGNED.derive_shared_secret(**request)


class Metadata(unittest.TestCase):
    def test_each_key_tells_what_it_does(self):
        for name, member, expected in (
            ("rsa", "EncryptionAlgorithms", ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"]),
            ("ecdsa", "SigningAlgorithms", ["ECDSA_SHA_256"]),
            ("ecdh", "KeyAgreementAlgorithms", ["ECDH"]),
            ("mac", "MacAlgorithms", ["HMAC_SHA_256"]),
        ):
            with self.subTest(name):
                metadata = SIGNED.describe_key(KeyId=key(name)["id"])["KeyMetadata"]
                self.assertEqual(metadata[member], expected)
                if name != "mac":
                    answer = members(SIGNED.get_public_key(KeyId=key(name)["id"]))
                    self.assertEqual(answer[member], expected)
        with self.assertRaises(SIGNED.exceptions.UnsupportedOperationException):
            SIGNED.get_public_key(KeyId=key("mac")["id"])

    def test_what_only_symmetric_keys_have_is_refused(self):
        with self.assertRaises(SIGNED.exceptions.UnsupportedOperationException):
            SIGNED.enable_key_rotation(KeyId=key("rsa")["id"])
        with self.assertRaises(SIGNED.exceptions.InvalidKeyUsageException):
            SIGNED.generate_data_key_without_plaintext(KeyId=key("rsa")["id"], KeySpec="AES_256")

    def test_ml_kem(self):
        for call, members_ in (
            (SIGNED.encapsulate, {}),
            (SIGNED.decapsulate, {"SharedSecretCiphertextBlob": b"blob"}),
        ):
            with self.assertRaisesRegex(SIGNED.exceptions.ClientError, "UnsupportedOperationException"):
                call(KeyId=key("rsa")["id"], EncapsulationAlgorithm="ML_KEM", **members_)
