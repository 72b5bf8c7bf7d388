"""What the test that runs these files has prepared: a broker, its keys, credentials and documents."""

import json
import os
import pathlib
import sqlite3
import subprocess
import time

import boto3
import botocore
from botocore.config import Config

SETTING = json.loads(pathlib.Path(os.environ["SETTING"]).read_text())
ENDPOINT = SETTING["endpoint"]
IS_TLS = ENDPOINT.startswith("https:")
REGION = "us-east-1"
ALGORITHM = "RSAES_OAEP_SHA_256"


def key(name):
    """The four forms of a key's identifier: id, arn, alias, alias_arn."""
    return SETTING["keys"][name]


def document(name):
    return pathlib.Path(SETTING["documents"][name]).read_bytes()


def recipient(name="good"):
    return {"KeyEncryptionAlgorithm": ALGORITHM, "AttestationDocument": document(name)}


def credential(name):
    return SETTING["credentials"][name]


def client(credential, validate=True, **options):
    """A boto3 client; without a credential it does not sign. `validate=False` lets it send what it knows to be wrong."""
    config = Config(
        retries={"total_max_attempts": 1},
        parameter_validation=validate,
        **({} if credential else {"signature_version": botocore.UNSIGNED}),
    )
    credential = credential or {}
    options.setdefault("region_name", REGION)
    return boto3.session.Session().client(
        "kms",
        endpoint_url=ENDPOINT,
        verify=SETTING["ca"] if IS_TLS else None,
        aws_access_key_id=credential.get("AccessKeyId"),
        aws_secret_access_key=credential.get("SecretAccessKey"),
        aws_session_token=credential.get("SessionToken"),
        config=config,
        **options,
    )


def open_envelope(envelope):
    """The content of a CiphertextForRecipient, opened by OpenSSL with the simulated enclave's private key."""
    command = ["openssl", "cms", "-decrypt", "-inform", "DER", "-keyform", "DER", "-inkey", SETTING["private_key"]]
    return subprocess.run(command, input=envelope, capture_output=True, check=True).stdout


def broker(*arguments):
    """A command of the broker's program on the data directory of the running one."""
    data_dir = pathlib.Path(SETTING["directory"]) / "data"
    subprocess.run([SETTING["program"], "--data-dir", data_dir, *arguments], capture_output=True, check=True)


def change_database(statement, *parameters):
    """Changes what no command of the broker changes yet."""
    with sqlite3.connect(SETTING["database"], timeout=10) as database:
        changed = database.execute(statement, parameters).rowcount
    assert changed == 1, statement
    # The broker asks the store for changes every 25 ms at most.
    time.sleep(0.05)


def last_record():
    return json.loads(pathlib.Path(SETTING["audit_log"]).read_text().splitlines()[-1])
