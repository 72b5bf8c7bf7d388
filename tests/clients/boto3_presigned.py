"""Requests presigned by botocore: signed by one who has the credential, sent by one who has not."""

import base64
import datetime
import hashlib
import json
import unittest
from unittest import mock

import boto3
import botocore.auth
import setting
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session
from setting import credential, key, recipient

CONTENT_TYPE = "application/x-amz-json-1.1"


def members():
    sent = recipient()
    sent["AttestationDocument"] = base64.b64encode(sent["AttestationDocument"]).decode()
    return json.dumps({"KeyId": key("app")["alias"], "KeySpec": "AES_256", "Recipient": sent}).encode()


def presign(caller, body, expires=60, age=0, operation="GenerateDataKey"):
    """A request of the query form. The signer moves a body into the query, so it gets the body's hash instead."""
    request = AWSRequest(
        "POST",
        f"{setting.ENDPOINT}/",
        headers={
            "Content-Type": CONTENT_TYPE,
            "X-Amz-Target": f"TrentService.{operation}",
            "X-Amz-Content-SHA256": hashlib.sha256(body).hexdigest(),
        },
    )
    credentials = Credentials(caller["AccessKeyId"], caller["SecretAccessKey"], caller.get("SessionToken"))
    now = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=age)
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=now.replace(tzinfo=None)):
        SigV4QueryAuth(credentials, "kms", setting.REGION, expires=expires).add_auth(request)
    return request.url, dict(request.headers.items())


def send(url, headers, body):
    request = AWSRequest("POST", url, headers=headers, data=body).prepare()
    response = URLLib3Session(verify=setting.SETTING["ca"] if setting.IS_TLS else False).send(request)
    return response.status_code, json.loads(response.content)


class Presigned(unittest.TestCase):
    def assert_refused(self, code, answer):
        status, error = answer
        self.assertEqual((status, error["__type"]), (400, code), error)
        self.assertEqual(setting.last_record()["errorCode"], code)
        return error["message"]

    def test_whoever_has_the_url_gets_a_data_key_for_the_enclave(self):
        for name in ["permanent", "session"]:
            with self.subTest(name):
                body = members()
                url, headers = presign(credential(name), body)
                for _ in range(2):
                    status, answer = send(url, headers, body)
                    self.assertEqual(status, 200, answer)
                    envelope = base64.b64decode(answer["CiphertextForRecipient"])
                    self.assertEqual(len(setting.open_envelope(envelope)), 32)
                identity = setting.last_record()["userIdentity"]
                self.assertEqual(identity["accessKeyId"], credential(name)["AccessKeyId"])

    def test_it_expires(self):
        body = members()
        status, answer = send(*presign(credential("permanent"), body, expires=3600, age=1800), body)
        self.assertEqual(status, 200, answer)
        expired = send(*presign(credential("permanent"), body, expires=60, age=90), body)
        self.assertIn("signature expired", self.assert_refused("InvalidSignatureException", expired))

    def test_another_body_is_not_what_was_signed(self):
        url, headers = presign(credential("permanent"), members())
        other = json.dumps({"KeyId": key("app")["alias"]}).encode()
        message = self.assert_refused("InvalidSignatureException", send(url, headers, other))
        self.assertIn(hashlib.sha256(other).hexdigest(), message)
        headers["X-Amz-Content-SHA256"] = hashlib.sha256(other).hexdigest()
        self.assert_refused("InvalidSignatureException", send(url, headers, other))

    def test_another_operation_is_not_what_was_signed(self):
        body = json.dumps({"KeyId": key("app")["alias"]}).encode()
        url, headers = presign(credential("permanent"), body, operation="DescribeKey")
        headers["X-Amz-Target"] = "TrentService.DisableKey"
        self.assert_refused("InvalidSignatureException", send(url, headers, body))

    def test_a_session_needs_its_token(self):
        body = members()
        without = credential("session") | {"SessionToken": None}
        self.assert_refused("UnrecognizedClientException", send(*presign(without, body), body))
        other = credential("session") | {"SessionToken": credential("expired")["SessionToken"]}
        self.assert_refused("UnrecognizedClientException", send(*presign(other, body), body))

    def test_generate_presigned_url_leaves_no_body(self):
        """boto3 puts the members into the query, where no service of the JSON protocol looks for them."""
        caller = credential("permanent")
        client = boto3.session.Session().client(
            "kms",
            endpoint_url=setting.ENDPOINT,
            region_name=setting.REGION,
            aws_access_key_id=caller["AccessKeyId"],
            aws_secret_access_key=caller["SecretAccessKey"],
            config=Config(signature_version="v4-query"),
        )
        url = client.generate_presigned_url("describe_key", Params={"KeyId": key("app")["alias"]}, HttpMethod="POST")
        self.assertIn("KeyId=alias%2Fapp&X-Amz-Algorithm=", url)
        headers = {"Content-Type": CONTENT_TYPE, "X-Amz-Target": "TrentService.DescribeKey"}
        # The signature holds. What is missing is JSON.
        message = self.assert_refused("SerializationException", send(url, headers, b""))
        self.assertIn("the request body is not JSON", message)
