"""boto3 in the enclave, unmodified: through the proxy it gets plaintext, straight to the broker it does not."""

import os
import socket
import threading

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

CONTEXT = {"client": "boto3"}
ASK = {"KeyId": "alias/app", "KeySpec": "AES_256", "EncryptionContext": CONTEXT}
# The parent instance, and the port where the broker speaks plain HTTP: boto3 knows of no vsock, and TLS would need TCP.
PARENT = (3, 8446)


def main():
    kms = client(os.environ["AWS_ENDPOINT_URL_KMS"])
    generated = kms.generate_data_key(**ASK)
    if len(generated["Plaintext"]) != 32 or "CiphertextForRecipient" in generated:
        raise SystemExit(f"no plaintext through the proxy: {sorted(generated)}")
    opened = kms.decrypt(CiphertextBlob=generated["CiphertextBlob"], EncryptionContext=CONTEXT)
    if opened["Plaintext"] != generated["Plaintext"]:
        raise SystemExit("Decrypt through the proxy yields another key")

    try:
        answer = client(f"http://127.0.0.1:{relay_to_vsock()}").generate_data_key(**ASK)
    except ClientError as error:
        print("straight to the broker: {Code}: {Message}".format(**error.response["Error"]))
    else:
        raise SystemExit(f"the broker answered a request without Recipient: {sorted(answer)}")


def client(url):
    config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}, read_timeout=120)
    return boto3.client("kms", endpoint_url=url, region_name="us-east-1", config=config)


def relay_to_vsock():
    """Carries one connection from a port of the loopback, which is the result, to the broker."""
    listener = socket.create_server(("127.0.0.1", 0))

    def carry():
        near, _ = listener.accept()
        far = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        far.connect(PARENT)
        threading.Thread(target=copy, args=(far, near), daemon=True).start()
        copy(near, far)

    threading.Thread(target=carry, daemon=True).start()
    return listener.getsockname()[1]


def copy(source, sink):
    while data := source.recv(4096):
        sink.sendall(data)
    sink.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main()
