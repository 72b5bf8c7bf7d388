"""Key material that OpenSSL makes and wraps, imported as the KMS developer guide shows it."""

import datetime
import os
import pathlib
import subprocess
import tempfile
import unittest

import setting
from setting import key, open_envelope, recipient

SIGNED = setting.client(setting.credential("permanent"))
KEY = key("external")["arn"]


def openssl(*arguments, stdin=b""):
    return subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, check=True).stdout


def oaep(public_key, digest, plaintext):
    """RSAES-OAEP to a DER SubjectPublicKeyInfo, the same digest in MGF1."""
    with tempfile.TemporaryDirectory() as directory:
        file = pathlib.Path(directory, "wrapping-key.der")
        file.write_bytes(public_key)
        options = ["rsa_padding_mode:oaep", f"rsa_oaep_md:{digest}", f"rsa_mgf1_md:{digest}"]
        flags = [flag for option in options for flag in ("-pkeyopt", option)]
        return openssl(
            "pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey", str(file), *flags, stdin=plaintext
        )


def aes_key_wrap(public_key, digest, material):
    """An AES key under RSA, and the material under the AES key (RFC 5649)."""
    aes_key = os.urandom(32)
    wrapped = openssl(
        "enc", "-id-aes256-wrap-pad", "-K", aes_key.hex(), "-iv", "A65959A6", stdin=material
    )
    return oaep(public_key, digest, aes_key) + wrapped


WRAPPINGS = {
    "RSAES_OAEP_SHA_1": ("RSA_2048", oaep, "sha1"),
    "RSAES_OAEP_SHA_256": ("RSA_3072", oaep, "sha256"),
    "RSA_AES_KEY_WRAP_SHA_1": ("RSA_2048", aes_key_wrap, "sha1"),
    "RSA_AES_KEY_WRAP_SHA_256": ("RSA_4096", aes_key_wrap, "sha256"),
}


def import_material(material, algorithm, **options):
    spec, wrap, digest = WRAPPINGS[algorithm]
    parameters = SIGNED.get_parameters_for_import(
        KeyId=KEY, WrappingAlgorithm=algorithm, WrappingKeySpec=spec
    )
    return SIGNED.import_key_material(
        KeyId=KEY,
        ImportToken=parameters["ImportToken"],
        EncryptedKeyMaterial=wrap(parameters["PublicKey"], digest, material),
        **options,
    )


class Imports(unittest.TestCase):
    def test_material_comes_goes_and_comes_again(self):
        self.assertEqual(SIGNED.describe_key(KeyId=KEY)["KeyMetadata"]["KeyState"], "PendingImport")
        material = openssl("rand", "32")
        ids = {
            import_material(material, algorithm, ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE")["KeyMaterialId"]
            for algorithm in WRAPPINGS
        }
        self.assertEqual(len(ids), 1)
        made = SIGNED.generate_data_key(KeyId=KEY, KeySpec="AES_256", Recipient=recipient())

        SIGNED.delete_imported_key_material(KeyId=KEY)
        with self.assertRaisesRegex(SIGNED.exceptions.KMSInvalidStateException, "is pending import"):
            SIGNED.decrypt(CiphertextBlob=made["CiphertextBlob"], Recipient=recipient())
        with self.assertRaises(SIGNED.exceptions.IncorrectKeyMaterialException):
            import_material(os.urandom(32), "RSAES_OAEP_SHA_256", ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE")

        valid_to = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) + datetime.timedelta(days=9)
        import_material(material, "RSAES_OAEP_SHA_256", ExpirationModel="KEY_MATERIAL_EXPIRES", ValidTo=valid_to)
        metadata = SIGNED.describe_key(KeyId=KEY)["KeyMetadata"]
        self.assertEqual(metadata["ValidTo"], valid_to)
        opened = SIGNED.decrypt(CiphertextBlob=made["CiphertextBlob"], Recipient=recipient())
        self.assertEqual(
            open_envelope(opened["CiphertextForRecipient"]), open_envelope(made["CiphertextForRecipient"])
        )


if __name__ == "__main__":
    unittest.main()
