"""Who is calling: a credential, a session, or nobody."""

import datetime
import unittest
from unittest import mock

import botocore.auth
import setting
from botocore.exceptions import ClientError
from setting import credential, key, recipient


def generate(caller, name="app"):
    return caller.generate_data_key(KeyId=key(name)["alias"], KeySpec="AES_256", Recipient=recipient())


class Callers(unittest.TestCase):
    def assert_refused(self, code, caller, name="app"):
        with self.assertRaises(ClientError) as caught:
            generate(caller, name)
        self.assertEqual(caught.exception.response["Error"]["Code"], code)
        self.assertEqual(setting.last_record()["errorCode"], code)

    def test_a_credential(self):
        generate(setting.client(credential("permanent")))
        identity = setting.last_record()["userIdentity"]
        self.assertEqual(identity["arn"], "arn:aws:iam::000000000000:role/parent")
        self.assertEqual(identity["accessKeyId"], credential("permanent")["AccessKeyId"])

    def test_a_session(self):
        generate(setting.client(credential("session")))
        self.assertEqual(setting.last_record()["userIdentity"]["accessKeyId"], credential("session")["AccessKeyId"])

    def test_nobody_may_what_everybody_may(self):
        generate(setting.client(None))
        self.assertEqual(setting.last_record()["userIdentity"]["principalId"], "anonymous")

    def test_nobody_may_not_what_one_may(self):
        self.assert_refused("AccessDeniedException", setting.client(None), "parents-only")
        generate(setting.client(credential("permanent")), "parents-only")
        generate(setting.client(credential("session")), "parents-only")

    def test_an_unknown_credential(self):
        unknown = credential("permanent") | {"AccessKeyId": "AKIAAAAAAAAAAAAAAAAA"}
        self.assert_refused("UnrecognizedClientException", setting.client(unknown))

    def test_a_wrong_secret(self):
        wrong = credential("permanent") | {"SecretAccessKey": credential("session")["SecretAccessKey"]}
        self.assert_refused("InvalidSignatureException", setting.client(wrong))

    def test_a_session_without_its_token(self):
        without = credential("session") | {"SessionToken": None}
        self.assert_refused("UnrecognizedClientException", setting.client(without))

    def test_a_session_with_the_token_of_another(self):
        other = credential("session") | {"SessionToken": credential("expired")["SessionToken"]}
        self.assert_refused("UnrecognizedClientException", setting.client(other))

    def test_a_token_with_a_credential_that_has_none(self):
        surplus = credential("permanent") | {"SessionToken": credential("session")["SessionToken"]}
        self.assert_refused("UnrecognizedClientException", setting.client(surplus))

    def test_an_expired_session(self):
        generate(setting.client(credential("expired")))
        setting.change_database(
            "UPDATE credentials SET expires_at_ms = created_at_ms + 1 WHERE access_key_id = ?",
            credential("expired")["AccessKeyId"],
        )
        self.assert_refused("ExpiredTokenException", setting.client(credential("expired")))

    def test_another_region(self):
        elsewhere = setting.client(credential("permanent"), region_name="eu-central-1")
        self.assert_refused("InvalidSignatureException", elsewhere)

    def test_equal_requests_within_a_second_are_all_served(self):
        """They bear one signature: a broker that took each signature once would refuse the second."""
        caller = setting.client(credential("permanent"))
        signatures = []
        caller.meta.events.register(
            "before-send.kms", lambda request, **_: signatures.append(request.headers["Authorization"])
        )
        now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        with mock.patch.object(botocore.auth, "get_current_datetime", return_value=now):
            for _ in range(3):
                generate(caller)
        self.assertEqual((len(signatures), len(set(signatures))), (3, 1))

    def test_a_clock_that_is_off(self):
        caller = setting.client(credential("permanent"))
        for minutes, is_refused in [(-14, False), (14, False), (-16, True), (16, True)]:
            now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
            with self.subTest(minutes), mock.patch.object(
                botocore.auth, "get_current_datetime", return_value=now.replace(tzinfo=None)
            ):
                if is_refused:
                    self.assert_refused("InvalidSignatureException", caller)
                else:
                    generate(caller)
