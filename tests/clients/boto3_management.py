"""Operations that encrypt for the caller or look after a key, as boto3 sends them, each answer as its model has it."""

import datetime
import json
import os
import subprocess
import unittest

import setting
from setting import key, open_envelope, recipient

SIGNED = setting.client(setting.credential("permanent"))
KEY = key("managed")["id"]


def members(answer):
    metadata = answer.pop("ResponseMetadata")
    assert metadata["HTTPStatusCode"] == 200
    return answer


class Encrypt(unittest.TestCase):
    def test_an_enclave_decrypts_what_was_encrypted(self):
        for length in (1, 32, 4096):
            with self.subTest(length):
                plaintext, context = os.urandom(length), {"Größe": "zwölf"}
                made = members(
                    SIGNED.encrypt(
                        KeyId=key("managed")["alias"],
                        Plaintext=plaintext,
                        EncryptionContext=context,
                        EncryptionAlgorithm="SYMMETRIC_DEFAULT",
                        GrantTokens=[],
                        DryRun=False,
                    )
                )
                self.assertEqual(set(made), {"CiphertextBlob", "EncryptionAlgorithm", "KeyId"})
                self.assertEqual(made["KeyId"], key("managed")["arn"])
                answer = SIGNED.decrypt(
                    CiphertextBlob=made["CiphertextBlob"], EncryptionContext=context, Recipient=recipient()
                )
                self.assertEqual(open_envelope(answer["CiphertextForRecipient"]), plaintext)

    def test_a_dry_run_ends_in_the_exception_that_says_yes(self):
        with self.assertRaises(SIGNED.exceptions.DryRunOperationException):
            SIGNED.encrypt(KeyId=KEY, Plaintext=b"text", DryRun=True)


class ReEncrypt(unittest.TestCase):
    def test_a_ciphertext_gets_a_new_context(self):
        made = SIGNED.encrypt(KeyId=KEY, Plaintext=b"text", EncryptionContext={"v": "1"})
        answer = members(
            SIGNED.re_encrypt(
                CiphertextBlob=made["CiphertextBlob"],
                SourceKeyId=KEY,
                SourceEncryptionContext={"v": "1"},
                SourceEncryptionAlgorithm="SYMMETRIC_DEFAULT",
                DestinationKeyId=key("managed")["alias_arn"],
                DestinationEncryptionContext={"v": "2"},
                DestinationEncryptionAlgorithm="SYMMETRIC_DEFAULT",
            )
        )
        output = SIGNED.meta.service_model.operation_model("ReEncrypt").output_shape
        self.assertEqual(set(answer), set(output.members))
        self.assertEqual(answer["SourceKeyMaterialId"], answer["DestinationKeyMaterialId"])
        opened = SIGNED.decrypt(
            CiphertextBlob=answer["CiphertextBlob"], EncryptionContext={"v": "2"}, Recipient=recipient()
        )
        self.assertEqual(open_envelope(opened["CiphertextForRecipient"]), b"text")
        with self.assertRaises(SIGNED.exceptions.InvalidCiphertextException):
            SIGNED.re_encrypt(CiphertextBlob=answer["CiphertextBlob"], DestinationKeyId=KEY)


class GenerateDataKeyPair(unittest.TestCase):
    def test_a_pair_whose_private_key_only_the_enclave_reads(self):
        answer = members(
            SIGNED.generate_data_key_pair(KeyId=KEY, KeyPairSpec="ECC_NIST_P256", Recipient=recipient())
        )
        self.assertEqual(
            set(answer),
            {"CiphertextForRecipient", "KeyId", "KeyPairSpec", "PrivateKeyCiphertextBlob", "PublicKey"},
        )
        private_key = open_envelope(answer["CiphertextForRecipient"])
        command = ["openssl", "pkey", "-inform", "DER", "-pubout", "-outform", "DER"]
        public_key = subprocess.run(command, input=private_key, capture_output=True, check=True).stdout
        self.assertEqual(public_key, answer["PublicKey"])
        decrypted = SIGNED.decrypt(CiphertextBlob=answer["PrivateKeyCiphertextBlob"], Recipient=recipient())
        self.assertEqual(open_envelope(decrypted["CiphertextForRecipient"]), private_key)

    def test_a_pair_for_later(self):
        answer = members(SIGNED.generate_data_key_pair_without_plaintext(KeyId=KEY, KeyPairSpec="RSA_2048"))
        output = SIGNED.meta.service_model.operation_model("GenerateDataKeyPairWithoutPlaintext").output_shape
        self.assertEqual(set(answer), set(output.members))


class GenerateRandom(unittest.TestCase):
    def test_random_bytes_for_the_enclave(self):
        answer = members(SIGNED.generate_random(NumberOfBytes=100, Recipient=recipient()))
        self.assertEqual(set(answer), {"CiphertextForRecipient"})
        self.assertEqual(len(open_envelope(answer["CiphertextForRecipient"])), 100)

    def test_there_are_no_custom_key_stores(self):
        with self.assertRaises(SIGNED.exceptions.UnsupportedOperationException):
            SIGNED.generate_random(NumberOfBytes=1, CustomKeyStoreId="cks-1234567890abcdef0", Recipient=recipient())


class Management(unittest.TestCase):
    def test_a_key_is_described(self):
        described = members(SIGNED.describe_key(KeyId=key("managed")["alias"]))["KeyMetadata"]
        self.assertEqual((described["KeyId"], described["Arn"]), (KEY, key("managed")["arn"]))
        self.assertEqual((described["KeyState"], described["Enabled"]), ("Enabled", True))
        age = datetime.datetime.now(datetime.timezone.utc) - described["CreationDate"]
        self.assertLess(abs(age), datetime.timedelta(hours=1))
        modelled = SIGNED.meta.service_model.shape_for("KeyMetadata").members
        self.assertLessEqual(set(described), set(modelled))

    def test_a_key_is_disabled_and_enabled(self):
        SIGNED.disable_key(KeyId=KEY)
        try:
            self.assertEqual(SIGNED.describe_key(KeyId=KEY)["KeyMetadata"]["KeyState"], "Disabled")
            with self.assertRaises(SIGNED.exceptions.DisabledException):
                SIGNED.encrypt(KeyId=KEY, Plaintext=b"text")
        finally:
            SIGNED.enable_key(KeyId=KEY)
        SIGNED.encrypt(KeyId=KEY, Plaintext=b"text")

    def test_a_key_from_its_alias_to_its_end(self):
        """What an application and its operators do with a key, in the order of its life."""
        mortal = key("mortal")["id"]
        alias = "alias/mortal-by-api"
        SIGNED.create_alias(AliasName=alias, TargetKeyId=mortal)
        self.assertEqual(SIGNED.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"], mortal)
        made = SIGNED.generate_data_key(KeyId=alias, KeySpec="AES_256", Recipient=recipient())
        data_key = open_envelope(made["CiphertextForRecipient"])

        def decrypt():
            return SIGNED.decrypt(CiphertextBlob=made["CiphertextBlob"], Recipient=recipient())

        self.assertEqual(open_envelope(decrypt()["CiphertextForRecipient"]), data_key)
        self.assertEqual(members(SIGNED.rotate_key_on_demand(KeyId=mortal)), {"KeyId": mortal})
        pages = SIGNED.get_paginator("list_key_rotations").paginate(
            KeyId=mortal, IncludeKeyMaterial="ALL_KEY_MATERIAL", PaginationConfig={"PageSize": 1}
        )
        rotations = list(pages.search("Rotations"))
        self.assertEqual([rotation["KeyMaterialState"] for rotation in rotations], ["NON_CURRENT", "CURRENT"])
        self.assertIsInstance(rotations[1]["RotationDate"], datetime.datetime)
        self.assertEqual(open_envelope(decrypt()["CiphertextForRecipient"]), data_key)
        self.assertFalse(SIGNED.get_key_rotation_status(KeyId=mortal)["KeyRotationEnabled"])
        SIGNED.enable_key_rotation(KeyId=mortal, RotationPeriodInDays=180)
        status = members(SIGNED.get_key_rotation_status(KeyId=mortal))
        self.assertEqual((status["KeyRotationEnabled"], status["RotationPeriodInDays"]), (True, 180))
        self.assertIsInstance(status["NextRotationDate"], datetime.datetime)
        SIGNED.disable_key_rotation(KeyId=mortal)

        SIGNED.disable_key(KeyId=mortal)
        with self.assertRaises(SIGNED.exceptions.DisabledException):
            decrypt()
        scheduled = members(SIGNED.schedule_key_deletion(KeyId=mortal, PendingWindowInDays=7))
        self.assertEqual((scheduled["KeyState"], scheduled["PendingWindowInDays"]), ("PendingDeletion", 7))
        left = scheduled["DeletionDate"] - datetime.datetime.now(datetime.timezone.utc)
        self.assertLess(abs(left - datetime.timedelta(days=7)), datetime.timedelta(hours=1))
        with self.assertRaises(SIGNED.exceptions.KMSInvalidStateException):
            decrypt()
        members(SIGNED.cancel_key_deletion(KeyId=mortal))
        SIGNED.enable_key(KeyId=mortal)
        self.assertEqual(open_envelope(decrypt()["CiphertextForRecipient"]), data_key)

        SIGNED.update_alias(AliasName=alias, TargetKeyId=KEY)
        self.assertEqual(SIGNED.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"], KEY)
        SIGNED.delete_alias(AliasName=alias)
        with self.assertRaises(SIGNED.exceptions.NotFoundException):
            SIGNED.describe_key(KeyId=alias)
        with self.assertRaises(SIGNED.exceptions.AlreadyExistsException):
            SIGNED.create_alias(AliasName=key("managed")["alias"], TargetKeyId=KEY)

    def test_a_description_is_replaced(self):
        SIGNED.update_key_description(KeyId=key("managed")["arn"], Description="zwölf")
        self.assertEqual(SIGNED.describe_key(KeyId=KEY)["KeyMetadata"]["Description"], "zwölf")

    def test_a_policy_is_put_and_read(self):
        before = SIGNED.get_key_policy(KeyId=KEY)["Policy"]
        after = json.dumps(json.loads(before), indent=2)
        SIGNED.put_key_policy(KeyId=KEY, PolicyName="default", Policy=after)
        self.assertEqual(SIGNED.get_key_policy(KeyId=KEY, PolicyName="default")["Policy"], after)
        names = list(SIGNED.get_paginator("list_key_policies").paginate(KeyId=KEY).search("PolicyNames"))
        self.assertEqual(names, ["default"])

        nobody = {"Version": "2012-10-17", "Statement": {
            "Effect": "Deny", "Principal": "*", "Action": "kms:*", "Resource": "*",
        }}
        with self.assertRaises(SIGNED.exceptions.MalformedPolicyDocumentException):
            SIGNED.put_key_policy(KeyId=KEY, Policy=json.dumps(nobody))
        with self.assertRaises(SIGNED.exceptions.NotFoundException):
            SIGNED.get_key_policy(KeyId=key("managed")["alias"])
