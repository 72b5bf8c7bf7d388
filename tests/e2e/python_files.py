"""Prints the files of Python that boto3 takes to ask KMS, one a line, as `FILE<tab>NAME IN THE GUEST`.

The list comes from what is imported after a success and an error, so that a ramdisk of them is small.
"""

import http.server
import os
import sys
import threading

import boto3
import botocore
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

SITE = os.path.dirname(os.path.dirname(botocore.__file__))
STANDARD = os.path.dirname(os.__file__)
GUEST_SITE = "usr/lib/python-site"
GUEST_STANDARD = f"usr/lib/python{sys.version_info.major}.{sys.version_info.minor}"
# What botocore reads beside modules.
DATA = ["_retry.json", "endpoints.json", "partitions.json", "sdk-default-configuration.json", "kms"]


class Answers(http.server.BaseHTTPRequestHandler):
    statuses = [200, 400]

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"Plaintext": "AAAA", "CiphertextBlob": "AAAA", "__type": "AccessDeniedException"}'
        self.send_response(self.statuses.pop(0))
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    server = http.server.HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})
    url = f"http://127.0.0.1:{server.server_port}"
    kms = boto3.client("kms", endpoint_url=url, region_name="us-east-1", config=config)
    kms.generate_data_key(KeyId="x", KeySpec="AES_256")
    try:
        kms.decrypt(CiphertextBlob=b"x")
    except ClientError:
        pass

    print(f"{os.path.realpath(sys.executable)}\tbin/python3")
    for _, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and file != __file__:
            show(file, getattr(module, "__cached__", None))
    for encoding in ["idna", "utf_8", "ascii", "latin_1"]:
        module = __import__(f"encodings.{encoding}", fromlist=["x"])
        show(module.__file__, module.__cached__)
    for entry in DATA:
        path = os.path.join(os.path.dirname(botocore.__file__), "data", entry)
        path = path if os.path.exists(path) else path + ".gz"
        for file in [path] if os.path.isfile(path) else [os.path.join(at, f) for at, _, fs in os.walk(path) for f in fs]:
            show(file)


def show(file, compiled=None):
    """The compiled form in the place of a module's source: a guest that emulates has no time to compile."""
    for folder, guest in [(SITE, GUEST_SITE), (STANDARD, GUEST_STANDARD)]:
        if file.startswith(folder + os.sep):
            name = os.path.join(guest, os.path.relpath(file, folder))
            if compiled and os.path.exists(compiled):
                print(f"{compiled}\t{name}c")
            else:
                print(f"{file}\t{name}")
            return
    raise SystemExit(f"{file} is neither in {SITE} nor in {STANDARD}")


main()
