"""The operations on data keys with every parameter of their models, as boto3 sends them."""

import unittest

import setting
from setting import key, open_envelope, recipient

SIGNED = setting.client(setting.credential("permanent"))
CONTEXTS = [
    {"purpose": "test"},
    {"Größe": "zwölf", "鍵": "🔑", "quote": '"\\', "empty": ""},
    {f"key {number}": str(number) for number in range(50)},
]


class GenerateDataKey(unittest.TestCase):
    def test_the_answer_has_exactly_the_members_of_an_attested_answer(self):
        answer = SIGNED.generate_data_key(KeyId=key("app")["id"], KeySpec="AES_256", Recipient=recipient())
        metadata = answer.pop("ResponseMetadata")
        self.assertEqual(set(answer), {"CiphertextBlob", "CiphertextForRecipient", "KeyId"})
        self.assertEqual(answer["KeyId"], key("app")["arn"])
        self.assertEqual(metadata["HTTPStatusCode"], 200)
        self.assertEqual(metadata["RequestId"], setting.last_record()["requestID"])

    def test_a_key_is_named_in_four_forms(self):
        for form, name in key("app").items():
            with self.subTest(form):
                answer = SIGNED.generate_data_key(KeyId=name, KeySpec="AES_128", Recipient=recipient())
                self.assertEqual(answer["KeyId"], key("app")["arn"])

    def test_the_data_key_has_the_length_asked_for(self):
        sizes = [({"KeySpec": "AES_256"}, 32), ({"KeySpec": "AES_128"}, 16)]
        sizes += [({"NumberOfBytes": length}, length) for length in (1, 24, 1023, 1024)]
        for size, length in sizes:
            with self.subTest(size):
                answer = SIGNED.generate_data_key(KeyId=key("app")["alias"], Recipient=recipient(), **size)
                self.assertEqual(len(open_envelope(answer["CiphertextForRecipient"])), length)

    def test_every_data_key_is_another(self):
        opened = set()
        for _ in range(5):
            answer = SIGNED.generate_data_key(KeyId=key("app")["id"], KeySpec="AES_256", Recipient=recipient())
            opened.add(open_envelope(answer["CiphertextForRecipient"]))
        self.assertEqual(len(opened), 5)

    def test_a_dry_run_ends_in_the_exception_that_says_yes(self):
        with self.assertRaises(SIGNED.exceptions.DryRunOperationException):
            SIGNED.generate_data_key(
                KeyId=key("app")["id"], KeySpec="AES_256", Recipient=recipient(), DryRun=True
            )
        answer = SIGNED.generate_data_key(
            KeyId=key("app")["id"], KeySpec="AES_256", Recipient=recipient(), DryRun=False
        )
        self.assertIn("CiphertextForRecipient", answer)

    def test_an_empty_list_of_grant_tokens_is_no_grant_token(self):
        answer = SIGNED.generate_data_key(
            KeyId=key("app")["id"], KeySpec="AES_256", Recipient=recipient(), GrantTokens=[]
        )
        self.assertIn("CiphertextForRecipient", answer)


class GenerateDataKeyWithoutPlaintext(unittest.TestCase):
    def test_the_answer_has_no_key_in_it(self):
        answer = SIGNED.generate_data_key_without_plaintext(KeyId=key("app")["id"], KeySpec="AES_256")
        del answer["ResponseMetadata"]
        self.assertEqual(set(answer), {"CiphertextBlob", "KeyId", "KeyMaterialId"})
        self.assertEqual(answer["KeyId"], key("app")["arn"])
        self.assertRegex(answer["KeyMaterialId"], "^[0-9a-f]{64}$")

    def test_an_enclave_decrypts_it_later(self):
        for size, length in [({"KeySpec": "AES_128"}, 16), ({"NumberOfBytes": 77}, 77)]:
            for context in CONTEXTS:
                with self.subTest(size=size, context=context):
                    made = SIGNED.generate_data_key_without_plaintext(
                        KeyId=key("app")["alias_arn"], EncryptionContext=context, **size
                    )
                    answer = SIGNED.decrypt(
                        CiphertextBlob=made["CiphertextBlob"], EncryptionContext=context, Recipient=recipient()
                    )
                    self.assertEqual(len(open_envelope(answer["CiphertextForRecipient"])), length)

    def test_a_dry_run_ends_in_the_exception_that_says_yes(self):
        with self.assertRaises(SIGNED.exceptions.DryRunOperationException):
            SIGNED.generate_data_key_without_plaintext(KeyId=key("app")["id"], NumberOfBytes=1, DryRun=True)


class Decrypt(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.context = CONTEXTS[1]
        made = SIGNED.generate_data_key(
            KeyId=key("app")["id"], KeySpec="AES_256", EncryptionContext=cls.context, Recipient=recipient()
        )
        cls.blob = made["CiphertextBlob"]
        cls.data_key = open_envelope(made["CiphertextForRecipient"])

    def decrypt(self, **parameters):
        parameters = {
            "CiphertextBlob": self.blob,
            "EncryptionContext": self.context,
            "Recipient": recipient(),
        } | parameters
        return SIGNED.decrypt(**parameters)

    def test_the_answer_has_exactly_the_members_of_an_attested_answer(self):
        answer = self.decrypt()
        del answer["ResponseMetadata"]
        self.assertEqual(set(answer), {"CiphertextForRecipient", "EncryptionAlgorithm", "KeyId"})
        self.assertEqual(answer["KeyId"], key("app")["arn"])
        self.assertEqual(answer["EncryptionAlgorithm"], "SYMMETRIC_DEFAULT")
        self.assertEqual(open_envelope(answer["CiphertextForRecipient"]), self.data_key)

    def test_a_key_may_be_named_in_four_forms(self):
        for form, name in key("app").items():
            with self.subTest(form):
                answer = self.decrypt(KeyId=name, EncryptionAlgorithm="SYMMETRIC_DEFAULT")
                self.assertEqual(open_envelope(answer["CiphertextForRecipient"]), self.data_key)

    def test_the_order_of_the_encryption_context_does_not_matter(self):
        answer = self.decrypt(EncryptionContext=dict(reversed(self.context.items())))
        self.assertEqual(open_envelope(answer["CiphertextForRecipient"]), self.data_key)

    def test_a_dry_run_ends_in_the_exception_that_says_yes(self):
        with self.assertRaises(SIGNED.exceptions.DryRunOperationException):
            self.decrypt(DryRun=True)

    def test_a_dry_run_needs_no_ciphertext_with_the_modifier(self):
        with self.assertRaises(SIGNED.exceptions.DryRunOperationException):
            SIGNED.decrypt(
                KeyId=key("app")["id"],
                Recipient=recipient(),
                DryRun=True,
                DryRunModifiers=["IGNORE_CIPHERTEXT"],
            )
