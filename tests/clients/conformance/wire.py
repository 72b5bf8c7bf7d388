"""How a request gets to the broker, and what comes back: the outcome's name, message and members, as they came."""

import base64
import dataclasses
import datetime
import json

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import setting
import urllib3
from botocore.exceptions import ClientError

from .live import CLIENT

CREDENTIAL = setting.credential("maker")
POOL = urllib3.PoolManager(ca_certs=setting.SETTING["ca"]) if setting.IS_TLS else urllib3.PoolManager()
SIGNER = botocore.auth.SigV4Auth(
    botocore.credentials.Credentials(CREDENTIAL["AccessKeyId"], CREDENTIAL["SecretAccessKey"]), "kms", setting.REGION
)
# The last answer that botocore received, before it took out what the model does not have.
RECEIVED = {}
CLIENT.meta.events.register("response-received.kms", lambda response_dict, **_: RECEIVED.update(response_dict or {}))


@dataclasses.dataclass(frozen=True)
class Outcome:
    # `success`, or the name of an exception.
    name: str
    message: str = ""
    status: int = 200
    # Of a success: the members of the answer before any client looked at them.
    members: object = None


def send(operation, members, is_raw):
    return send_raw(operation, members) if is_raw else send_by_boto3(operation, members)


def send_by_boto3(operation, members):
    method = next(method for method, name in CLIENT.meta.method_to_api_mapping.items() if name == operation)
    try:
        getattr(CLIENT, method)(**members)
    except ClientError as error:
        answer = error.response
        return Outcome(
            answer["Error"]["Code"],
            answer["Error"].get("Message", ""),
            answer["ResponseMetadata"]["HTTPStatusCode"],
        )
    return Outcome("success", members=json.loads(RECEIVED["body"] or b"{}"))


def send_raw(operation, members):
    """By urllib3, signed by botocore: also what botocore's own serializer refuses."""
    headers = {"X-Amz-Target": f"TrentService.{operation}", "Content-Type": "application/x-amz-json-1.1"}
    body = json.dumps(members, default=as_json).encode()
    request = botocore.awsrequest.AWSRequest("POST", f"{setting.ENDPOINT}/", headers=headers, data=body)
    SIGNER.add_auth(request)
    # A connection for each: between two, the broker may close one that it has waited on for long enough.
    headers = {**request.headers, "Connection": "close"}
    answer = POOL.request("POST", request.url, headers=headers, body=body, retries=False)
    received = json.loads(answer.data or b"{}")
    if answer.status == 200:
        return Outcome("success", members=received)
    return Outcome(received["__type"], received.get("message", ""), answer.status)


def as_json(value):
    """As the protocol has blobs and times."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    assert isinstance(value, datetime.datetime), value
    return value.timestamp()
