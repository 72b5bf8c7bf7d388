"""What the broker refuses, and that boto3 raises the modelled exception for it."""

import base64
import unittest

import setting
import urllib3
from botocore.exceptions import ClientError
from setting import key, recipient

CREDENTIAL = setting.credential("permanent")
SIGNED = setting.client(CREDENTIAL)
# Sends also what botocore knows to be wrong, as other clients do.
UNCHECKED = setting.client(CREDENTIAL, validate=False)
EXCEPTIONS = UNCHECKED.exceptions
ABSENT = object()
ALTERED = "does not open: it was altered or the encryption context differs"


class Refusals(unittest.TestCase):
    def assert_refused(self, code, message, call, **parameters):
        """`code` is a modelled exception class, or the code of one that the model does not have."""
        expected = ClientError if isinstance(code, str) else code
        with self.assertRaises(expected) as caught:
            call(**{name: value for name, value in parameters.items() if value is not ABSENT})
        error = caught.exception.response["Error"]
        self.assertEqual(error["Code"], code if isinstance(code, str) else code.__name__)
        self.assertRegex(error["Message"], message)
        self.assertEqual(caught.exception.response["ResponseMetadata"]["HTTPStatusCode"], 400)
        record = setting.last_record()
        self.assertEqual(record["errorCode"], error["Code"])
        self.assertEqual(record["requestID"], caught.exception.response["ResponseMetadata"]["RequestId"])


class GenerateDataKey(Refusals):
    def refused(self, code, message, **parameters):
        parameters = {"KeyId": key("app")["id"], "KeySpec": "AES_256", "Recipient": recipient()} | parameters
        self.assert_refused(code, message, UNCHECKED.generate_data_key, **parameters)

    def test_without_recipient(self):
        self.refused(
            "ValidationException",
            "never does: pass Recipient .* or use GenerateDataKeyWithoutPlaintext",
            Recipient=ABSENT,
        )

    def test_key_id(self):
        arn = key("app")["arn"]
        nobody = "00000000-0000-4000-8000-000000000000"
        for key_id, rule in [
            (ABSENT, "not be null"),
            ("", "have length greater than or equal to 1"),
            ("x" * 2049, "have length less than or equal to 2048"),
        ]:
            with self.subTest(rule):
                self.refused("ValidationException", f"'KeyId' failed .* Member must {rule}", KeyId=key_id)
        for key_id, message in [
            (nobody, f"Key '.*{nobody}' does not exist"),
            (arn.replace(key("app")["id"], nobody), f"Key '.*{nobody}' does not exist"),
            ("alias/nobody", "Alias .*alias/nobody does not exist"),
            ("arn:aws:kms:us-east-1:000000000000:alias/nobody", "Alias .*alias/nobody does not exist"),
            (arn.replace("us-east-1", "eu-west-1"), 'region "eu-west-1"'),
            (arn.replace("000000000000", "111122223333"), 'account "111122223333"'),
            ("no key at all", "is no key id, key ARN, alias name or alias ARN"),
        ]:
            with self.subTest(key_id):
                self.refused(EXCEPTIONS.NotFoundException, message, KeyId=key_id)

    def test_exactly_one_size(self):
        self.refused("ValidationException", "either number of bytes or key spec", NumberOfBytes=32)
        self.refused("ValidationException", "either number of bytes or key spec", KeySpec=ABSENT)

    def test_key_spec(self):
        for spec in ("AES_512", "", "aes_256"):
            with self.subTest(spec):
                self.refused("ValidationException", r"'KeySpec' .* enum value set: \[AES_256, AES_128\]", KeySpec=spec)

    def test_number_of_bytes(self):
        for number, rule in [
            (0, "greater than or equal to 1"),
            (-1, "greater than or equal to 1"),
            (1025, "less than or equal to 1024"),
            (100000, "less than or equal to 1024"),
        ]:
            with self.subTest(number):
                self.refused("ValidationException", rule, KeySpec=ABSENT, NumberOfBytes=number)

    def test_grant_tokens(self):
        self.refused(EXCEPTIONS.InvalidGrantTokenException, "was not issued by this broker", GrantTokens=["token"])
        self.refused("ValidationException", "less than or equal to 10", GrantTokens=["token"] * 11)
        self.refused("ValidationException", "greater than or equal to 1", GrantTokens=[""])
        self.refused("ValidationException", "less than or equal to 8192", GrantTokens=["x" * 8193])

    def test_recipient(self):
        document = setting.document("good")
        self.refused("ValidationException", "Recipient.KeyEncryptionAlgorithm", Recipient={})
        self.refused(
            "ValidationException",
            "Recipient.KeyEncryptionAlgorithm",
            Recipient={"AttestationDocument": document},
        )
        self.refused(
            "ValidationException",
            r"enum value set: \[RSAES_OAEP_SHA_256\]",
            Recipient={"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_1", "AttestationDocument": document},
        )
        self.refused(
            "ValidationException",
            "Recipient.AttestationDocument",
            Recipient={"KeyEncryptionAlgorithm": setting.ALGORITHM},
        )
        self.refused(
            "ValidationException",
            "greater than or equal to 1",
            Recipient={"KeyEncryptionAlgorithm": setting.ALGORITHM, "AttestationDocument": b""},
        )
        self.refused(
            "ValidationException",
            "less than or equal to 262144",
            Recipient={"KeyEncryptionAlgorithm": setting.ALGORITHM, "AttestationDocument": bytes(262145)},
        )

    def test_documents(self):
        good = setting.document("good")
        changed = bytearray(good)
        changed[len(good) // 2] ^= 1
        for document, message in [
            (setting.document("stale"), "fails at the step freshness"),
            (setting.document("debug"), "fails at the step debug_mode"),
            (b"no document", "fails at the step cose"),
            (good + b"\0", "fails at the step cose"),
            (good[:-1], "fails at the step cose"),
            (bytes(changed), "fails at the step"),
            (base64.b64encode(good), "fails at the step cose"),
        ]:
            with self.subTest(message):
                self.refused(
                    "ValidationException",
                    message,
                    Recipient={"KeyEncryptionAlgorithm": setting.ALGORITHM, "AttestationDocument": document},
                )

    def test_another_image(self):
        self.refused(
            "AccessDeniedException",
            "not authorized to perform: kms:GenerateDataKey on resource: arn:aws:kms:",
            Recipient=recipient("other_image"),
        )

    def test_a_dry_run_of_what_is_not_allowed(self):
        self.refused("AccessDeniedException", "kms:GenerateDataKey", Recipient=recipient("other_image"), DryRun=True)

    def test_encryption_context(self):
        self.refused("ValidationException", "EncryptionContext", EncryptionContext={"key": "x" * 10000})

    def test_a_disabled_key(self):
        disabled = key("disabled")
        setting.change_database("UPDATE keys SET state = 'Disabled' WHERE key_id = ?", disabled["id"])
        self.refused(EXCEPTIONS.DisabledException, f"^{disabled['arn']} is disabled", KeyId=disabled["alias"])
        setting.change_database("UPDATE keys SET state = 'PendingDeletion' WHERE key_id = ?", disabled["id"])
        self.refused(
            EXCEPTIONS.KMSInvalidStateException, f"^{disabled['arn']} is pending deletion", KeyId=disabled["id"]
        )


class GenerateDataKeyWithoutPlaintext(Refusals):
    def refused(self, code, message, **parameters):
        parameters = {"KeyId": key("app")["id"], "KeySpec": "AES_256"} | parameters
        self.assert_refused(code, message, UNCHECKED.generate_data_key_without_plaintext, **parameters)

    def test_parameters(self):
        self.refused("ValidationException", "'KeyId' .* not be null", KeyId=ABSENT)
        self.refused("ValidationException", "either number of bytes or key spec", NumberOfBytes=1)
        self.refused("ValidationException", "either number of bytes or key spec", KeySpec=ABSENT)
        self.refused("ValidationException", "less than or equal", KeySpec=ABSENT, NumberOfBytes=1025)
        self.refused(EXCEPTIONS.NotFoundException, "Alias .*alias/nobody does not exist", KeyId="alias/nobody")
        self.refused(EXCEPTIONS.InvalidGrantTokenException, "was not issued by this broker", GrantTokens=["token"])

    def test_nobody_may_without_a_statement(self):
        self.assert_refused(
            "AccessDeniedException",
            "User: anonymous is not authorized to perform: kms:GenerateDataKeyWithoutPlaintext",
            setting.client(None).generate_data_key_without_plaintext,
            KeyId=key("app")["id"],
            KeySpec="AES_256",
        )


class Decrypt(Refusals):
    @classmethod
    def setUpClass(cls):
        made = SIGNED.generate_data_key(
            KeyId=key("app")["id"], KeySpec="AES_256", EncryptionContext={"a": "b"}, Recipient=recipient()
        )
        cls.blob = made["CiphertextBlob"]

    def refused(self, code, message, **parameters):
        parameters = {
            "CiphertextBlob": self.blob,
            "EncryptionContext": {"a": "b"},
            "Recipient": recipient(),
        } | parameters
        self.assert_refused(code, message, UNCHECKED.decrypt, **parameters)

    def test_without_recipient(self):
        self.refused("ValidationException", "never does: pass Recipient", Recipient=ABSENT)

    def test_another_image(self):
        self.refused("AccessDeniedException", "kms:Decrypt", Recipient=recipient("other_image"))

    def test_ciphertext(self):
        self.refused("ValidationException", "CiphertextBlob", CiphertextBlob=ABSENT)
        self.refused("ValidationException", "greater than or equal to 1", CiphertextBlob=b"")
        self.refused("ValidationException", "less than or equal to 6144", CiphertextBlob=bytes(6145))
        self.refused(EXCEPTIONS.InvalidCiphertextException, "has 82 to 6144 bytes, found 13", CiphertextBlob=b"no ciphertext")
        self.refused(EXCEPTIONS.InvalidCiphertextException, ALTERED, CiphertextBlob=self.blob[:-1])
        self.refused(EXCEPTIONS.InvalidCiphertextException, ALTERED, CiphertextBlob=self.blob + b"\0")
        for position in range(0, len(self.blob), 7):
            changed = bytearray(self.blob)
            changed[position] ^= 1
            with self.subTest(position):
                self.refused(EXCEPTIONS.InvalidCiphertextException, "CiphertextBlob", CiphertextBlob=bytes(changed))

    def test_another_encryption_context(self):
        for context in ({}, {"a": "c"}, {"A": "b"}, {"a": "b", "c": "d"}):
            with self.subTest(context):
                self.refused(EXCEPTIONS.InvalidCiphertextException, ALTERED, EncryptionContext=context)

    def test_another_key(self):
        self.refused(EXCEPTIONS.IncorrectKeyException, key("other")["arn"], KeyId=key("other")["alias"])
        self.refused(EXCEPTIONS.NotFoundException, "Alias .*alias/nobody does not exist", KeyId="alias/nobody")

    def test_encryption_algorithm(self):
        for algorithm in ("RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "SM2PKE"):
            with self.subTest(algorithm):
                named = {"EncryptionAlgorithm": algorithm, "KeyId": key("app")["id"]}
                self.refused(EXCEPTIONS.InvalidKeyUsageException, algorithm, **named)
                self.refused("ValidationException", "at 'KeyId'", EncryptionAlgorithm=algorithm)
        self.refused("ValidationException", "enum value set", EncryptionAlgorithm="ROT13")

    def test_grant_tokens(self):
        self.refused(EXCEPTIONS.InvalidGrantTokenException, "was not issued by this broker", GrantTokens=["token"])
        self.refused("ValidationException", "less than or equal to 10", GrantTokens=["token"] * 11)

    def test_dry_run_modifiers(self):
        ignore = {"DryRunModifiers": ["IGNORE_CIPHERTEXT"]}
        self.refused("ValidationException", "only allowed when DryRun is true", KeyId=key("app")["id"], **ignore)
        self.refused("ValidationException", "KeyId", CiphertextBlob=ABSENT, DryRun=True, **ignore)
        self.refused("ValidationException", "enum value set", DryRun=True, DryRunModifiers=["IGNORE_POLICY"])
        self.refused("ValidationException", "CiphertextBlob", CiphertextBlob=ABSENT, DryRun=True)
        self.refused(
            "AccessDeniedException",
            "kms:Decrypt",
            KeyId=key("app")["id"],
            Recipient=recipient("other_image"),
            DryRun=True,
            **ignore,
        )


class WrongShapes(unittest.TestCase):
    """Bodies that botocore cannot send; its HTTP stack does, unsigned."""

    def post(self, body, target="TrentService.Decrypt", content_type="application/x-amz-json-1.1"):
        pool = urllib3.PoolManager(ca_certs=setting.SETTING["ca"]) if setting.IS_TLS else urllib3.PoolManager()
        headers = {"X-Amz-Target": target, "Content-Type": content_type}
        response = pool.request("POST", setting.ENDPOINT + "/", body=body, headers=headers, retries=False)
        return response.status, response.json()["__type"]

    def test_bodies_that_are_no_request(self):
        for body in (b"", b"{", b"[]", b"null", b'{"CiphertextBlob": 7}', b'{"CiphertextBlob": "***"}', b"\xff\xfe"):
            with self.subTest(body):
                self.assertEqual(self.post(body), (400, "SerializationException"))

    def test_targets_that_are_no_operation(self):
        known = "TrentService."
        for target in ("", "Decrypt", known, known + "decrypt", known + "MakeKey", "DynamoDB_20120810.GetItem"):
            with self.subTest(target):
                self.assertEqual(self.post(b"{}", target=target), (400, "UnknownOperationException"))
