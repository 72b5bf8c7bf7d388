"""boto3 inside an enclave: unchanged code that knows nothing of attestation, through the enclave's proxy."""

import concurrent.futures
import pathlib
import unittest

import boto3
from botocore.exceptions import ClientError

import setting
from setting import key, open_envelope, recipient

# Whatever an application does: the endpoint, the region and credentials come from the environment.
KMS = boto3.client("kms")
CONTEXT = {"Größe": "zwölf", "purpose": "proxy"}


def straight(credential=None):
    return setting.client(credential)


class ThroughTheProxy(unittest.TestCase):
    def test_a_data_key_comes_with_its_plaintext_and_decrypts_again(self):
        for size, length in [({"KeySpec": "AES_256"}, 32), ({"KeySpec": "AES_128"}, 16), ({"NumberOfBytes": 77}, 77)]:
            made = KMS.generate_data_key(KeyId=key("app")["alias"], EncryptionContext=CONTEXT, **size)
            metadata = made.pop("ResponseMetadata")
            self.assertEqual(set(made), {"CiphertextBlob", "KeyId", "Plaintext"})
            self.assertEqual(len(made["Plaintext"]), length)
            self.assertEqual(metadata["RequestId"], setting.last_record()["requestID"])
            opened = KMS.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=CONTEXT)
            self.assertEqual(opened["Plaintext"], made["Plaintext"])
            self.assertEqual((opened["KeyId"], opened["EncryptionAlgorithm"]), (key("app")["arn"], "SYMMETRIC_DEFAULT"))

    def test_random_bytes(self):
        self.assertEqual(len(KMS.generate_random(NumberOfBytes=1024)["Plaintext"]), 1024)

    def test_the_record_names_the_enclave(self):
        KMS.generate_data_key(KeyId=key("app")["id"], KeySpec="AES_256")
        attested = setting.last_record()["additionalEventData"]["recipient"]
        self.assertEqual(attested["attestationDocumentEnclaveImageDigest"], "4b" * 48)

    def test_the_broker_itself_never_shows_plaintext(self):
        for credential in (None, setting.credential("permanent")):
            with self.assertRaises(ClientError) as refused:
                straight(credential).generate_data_key(KeyId=key("app")["alias"], KeySpec="AES_256")
            self.assertNotIn("Plaintext", refused.exception.response)
        made = KMS.generate_data_key(KeyId=key("app")["alias"], KeySpec="AES_256")
        with self.assertRaises(ClientError):
            straight().decrypt(CiphertextBlob=made["CiphertextBlob"])

    def test_what_passed_in_the_clear_is_in_no_record(self):
        made = KMS.generate_data_key(KeyId=key("app")["alias"], KeySpec="AES_256")
        log = pathlib.Path(setting.SETTING["audit_log"]).read_bytes()
        self.assertNotIn(made["Plaintext"], log)
        self.assertNotIn(made["Plaintext"].hex().encode(), log)

    def test_exceptions_are_the_brokers(self):
        with self.assertRaises(KMS.exceptions.NotFoundException) as missing:
            KMS.generate_data_key(KeyId="alias/missing", KeySpec="AES_256")
        answer = missing.exception.response
        self.assertEqual(answer["ResponseMetadata"]["HTTPStatusCode"], 400)
        self.assertEqual(answer["ResponseMetadata"]["RequestId"], setting.last_record()["requestID"])
        setting.change_database("UPDATE keys SET state = 'Disabled' WHERE key_id = ?", key("disabled")["id"])
        with self.assertRaises(KMS.exceptions.DisabledException):
            KMS.generate_data_key(KeyId=key("disabled")["alias"], KeySpec="AES_256")
        made = KMS.generate_data_key(KeyId=key("app")["alias"], KeySpec="AES_256", EncryptionContext=CONTEXT)
        with self.assertRaises(KMS.exceptions.InvalidCiphertextException):
            KMS.decrypt(CiphertextBlob=made["CiphertextBlob"])
        with self.assertRaises(KMS.exceptions.DryRunOperationException):
            KMS.generate_data_key(KeyId=key("app")["alias"], KeySpec="AES_256", DryRun=True)
        for wrong in [{}, {"NumberOfBytes": 2000}, {"KeySpec": "AES_256", "NumberOfBytes": 1}]:
            with self.assertRaises(ClientError) as invalid:
                KMS.generate_data_key(KeyId=key("app")["alias"], **wrong)
            self.assertEqual(invalid.exception.response["Error"]["Code"], "ValidationException")

    def test_a_caller_that_attests_for_itself_opens_for_itself(self):
        made = KMS.generate_data_key(KeyId=key("app")["alias"], KeySpec="AES_256", Recipient=recipient())
        self.assertNotIn("Plaintext", made)
        opened = KMS.decrypt(CiphertextBlob=made["CiphertextBlob"])["Plaintext"]
        self.assertEqual(open_envelope(made["CiphertextForRecipient"]), opened)

    def test_many_callers_at_once_get_each_their_own(self):
        def round_trip(number):
            context = {"number": str(number)}
            made = KMS.generate_data_key(KeyId=key("app")["alias"], KeySpec="AES_256", EncryptionContext=context)
            opened = KMS.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=context)
            self.assertEqual(made["Plaintext"], opened["Plaintext"])
            return made["Plaintext"]

        with concurrent.futures.ThreadPoolExecutor(16) as callers:
            self.assertEqual(len(set(callers.map(round_trip, range(100)))), 100)
