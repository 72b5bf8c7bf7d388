"""The commands of the AWS CLI, as people type them."""

import base64
import json
import os
import pathlib
import subprocess
import sys
import unittest

import setting
from setting import credential, key, open_envelope

AWS = pathlib.Path(sys.executable).with_name("aws")
DOCUMENT = setting.SETTING["documents"]["good"]
RECIPIENT = f"KeyEncryptionAlgorithm={setting.ALGORITHM},AttestationDocument@=fileb://{DOCUMENT}"


def kms(*arguments, caller="permanent"):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_MAX_ATTEMPTS": "1"}
    environment |= {"AWS_ENDPOINT_URL_KMS": setting.ENDPOINT, "AWS_DEFAULT_REGION": setting.REGION}
    environment |= {"AWS_CA_BUNDLE": setting.SETTING["ca"], "AWS_EC2_METADATA_DISABLED": "true"}
    options = ["--output", "json"]
    if caller is None:
        options.append("--no-sign-request")
    else:
        environment["AWS_ACCESS_KEY_ID"] = credential(caller)["AccessKeyId"]
        environment["AWS_SECRET_ACCESS_KEY"] = credential(caller)["SecretAccessKey"]
        if token := credential(caller)["SessionToken"]:
            environment["AWS_SESSION_TOKEN"] = token
    return subprocess.run([AWS, *options, "kms", *arguments], env=environment, capture_output=True, text=True)


class AwsCli(unittest.TestCase):
    def answer(self, *arguments, **options):
        result = kms(*arguments, **options)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        answer = json.loads(result.stdout)
        self.assertNotIn("Plaintext", answer)
        return answer

    def assert_refused(self, code, message, *arguments, **options):
        result = kms(*arguments, **options)
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(result.stdout, "")
        self.assertIn(f"An error occurred ({code}) when calling the", result.stderr)
        self.assertRegex(result.stderr, message)

    def test_generate_a_data_key_and_decrypt_it_later(self):
        context = "--encryption-context", '{"Größe": "zwölf"}'
        made = self.answer(
            "generate-data-key", "--key-id", "alias/app", "--key-spec", "AES_256", "--recipient", RECIPIENT, *context
        )
        self.assertEqual(set(made), {"CiphertextBlob", "CiphertextForRecipient", "KeyId"})
        blob = pathlib.Path(setting.SETTING["directory"], "cli.ciphertext")
        blob.write_bytes(base64.b64decode(made["CiphertextBlob"]))
        for caller in ("permanent", "session", None):
            answer = self.answer(
                "decrypt", "--ciphertext-blob", f"fileb://{blob}", "--recipient", RECIPIENT, *context, caller=caller
            )
            self.assertEqual(set(answer), {"CiphertextForRecipient", "EncryptionAlgorithm", "KeyId"})
            opened = [open_envelope(base64.b64decode(a["CiphertextForRecipient"])) for a in (made, answer)]
            self.assertEqual(opened[0], opened[1])
            self.assertEqual(len(opened[0]), 32)

    def test_a_recipient_in_json_is_encoded_twice(self):
        # CLI v1 takes a blob in JSON for text, and encodes it once more.
        document = base64.b64encode(setting.document("good")).decode()
        recipient = {"KeyEncryptionAlgorithm": setting.ALGORITHM, "AttestationDocument": document}
        self.assert_refused(
            "ValidationException",
            "Recipient.AttestationDocument",
            *("generate-data-key", "--key-id", "alias/app", "--key-spec", "AES_256"),
            *("--recipient", json.dumps(recipient)),
        )

    def test_a_key_that_nobody_reads(self):
        made = self.answer(
            "generate-data-key-without-plaintext", "--key-id", key("app")["alias_arn"], "--key-spec", "AES_128"
        )
        self.assertEqual(set(made), {"CiphertextBlob", "KeyId", "KeyMaterialId"})

    def test_text_encrypted_by_the_parent_is_read_by_the_enclave(self):
        made = self.answer("encrypt", "--key-id", "alias/managed", "--plaintext", "fileb://" + setting.SETTING["ca"])
        self.assertEqual(set(made), {"CiphertextBlob", "EncryptionAlgorithm", "KeyId"})
        moved = self.answer(
            *("re-encrypt", "--ciphertext-blob", self.blob_file(made), "--destination-key-id", "alias/managed"),
            *("--destination-encryption-context", "version=2"),
        )
        answer = self.answer(
            *("decrypt", "--ciphertext-blob", self.blob_file(moved), "--encryption-context", "version=2"),
            *("--recipient", RECIPIENT),
        )
        opened = open_envelope(base64.b64decode(answer["CiphertextForRecipient"]))
        self.assertEqual(opened, pathlib.Path(setting.SETTING["ca"]).read_bytes())

    def test_signatures_and_macs(self):
        message = "--message", "fileb://" + setting.SETTING["ca"]
        request = "--key-id", "alias/ecdsa", "--signing-algorithm", "ECDSA_SHA_256", *message
        signed = self.answer("sign", *request)
        signature = self.blob_file(signed, "Signature")
        self.assertTrue(self.answer("verify", *request, "--signature", signature)["SignatureValid"])
        self.assert_refused(
            "KMSInvalidSignatureException",
            "not one of this message",
            *("verify", *request, "--message-type", "RAW", "--signature", "fileb://" + DOCUMENT),
        )
        request = "--key-id", "alias/mac", "--mac-algorithm", "HMAC_SHA_256", *message
        made = self.answer("generate-mac", *request)
        self.assertTrue(self.answer("verify-mac", *request, "--mac", self.blob_file(made, "Mac"))["MacValid"])

    def test_a_public_key_and_a_shared_secret(self):
        shown = self.answer("get-public-key", "--key-id", "alias/ecdh")
        self.assertEqual((shown["KeySpec"], shown["KeyUsage"]), ("ECC_NIST_P384", "KEY_AGREEMENT"))
        answer = self.answer(
            *("derive-shared-secret", "--key-id", "alias/ecdh", "--key-agreement-algorithm", "ECDH"),
            *("--public-key", self.blob_file(shown, "PublicKey"), "--recipient", RECIPIENT),
        )
        self.assertEqual(len(open_envelope(base64.b64decode(answer["CiphertextForRecipient"]))), 48)

    def test_random_bytes(self):
        answer = self.answer("generate-random", "--number-of-bytes", "32", "--recipient", RECIPIENT)
        self.assertEqual(len(open_envelope(base64.b64decode(answer["CiphertextForRecipient"]))), 32)
        self.assert_refused("ValidationException", "pass Recipient", "generate-random", "--number-of-bytes", "32")

    def test_a_key_is_looked_after(self):
        key_id = "--key-id", key("managed")["id"]
        policy = self.answer("get-key-policy", *key_id)["Policy"]
        for command in (
            ("update-key-description", *key_id, "--description", "looked after"),
            ("put-key-policy", *key_id, "--policy", policy),
            ("disable-key", *key_id),
            ("enable-key", *key_id),
        ):
            result = kms(*command)
            self.assertEqual((result.returncode, result.stderr, result.stdout), (0, "", ""), command)
        described = self.answer("describe-key", *key_id)["KeyMetadata"]
        self.assertEqual((described["Description"], described["Enabled"]), ("looked after", True))
        self.assertEqual(self.answer("list-key-policies", *key_id), {"PolicyNames": ["default"]})

    def blob_file(self, answer, member="CiphertextBlob"):
        file = pathlib.Path(setting.SETTING["directory"], f"{self.id()}.{member}")
        file.write_bytes(base64.b64decode(answer[member]))
        return f"fileb://{file}"

    def test_a_file_that_the_cli_did_not_read(self):
        self.assert_refused(
            "ValidationException",
            f"holds the text \"fileb://{DOCUMENT}\" .* write --recipient .*,AttestationDocument@=fileb://FILE",
            "generate-data-key",
            *("--key-id", "alias/app"),
            *("--key-spec", "AES_256"),
            *("--recipient", RECIPIENT.replace("@=", "=")),
        )

    def test_without_recipient(self):
        self.assert_refused(
            "ValidationException",
            "pass Recipient",
            *("generate-data-key", "--key-id", "alias/app", "--key-spec", "AES_256"),
        )

    def test_a_dry_run(self):
        self.assert_refused(
            "DryRunOperationException",
            "would have succeeded",
            *("generate-data-key", "--key-id", "alias/app", "--key-spec", "AES_256"),
            *("--recipient", RECIPIENT, "--dry-run"),
        )

    def test_grant_tokens(self):
        self.assert_refused(
            "InvalidGrantTokenException",
            "not issued",
            *("generate-data-key", "--key-id", "alias/app", "--key-spec", "AES_256"),
            *("--recipient", RECIPIENT, "--grant-tokens", "one", "two"),
        )

    def test_nobody(self):
        arguments = "--key-spec", "AES_256", "--recipient", RECIPIENT
        self.answer("generate-data-key", "--key-id", "alias/app", *arguments, caller=None)
        self.assert_refused(
            "AccessDeniedException",
            "User: anonymous is not authorized",
            "generate-data-key",
            *("--key-id", "alias/parents-only"),
            *arguments,
            caller=None,
        )
