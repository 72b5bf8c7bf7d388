"""What is there for a request to name: keys, aliases, grants, ciphertexts, made when a recipe first asks for them."""

import contextlib
import functools
import itertools
import json
import pathlib
import subprocess
import tempfile

import setting
from botocore.exceptions import ClientError

from . import samples

CLIENT = setting.client(setting.credential("maker"), validate=False)

ALIAS_NUMBERS = itertools.count()


class NotPrepared(Exception):
    """What a request needs is not there, since this operation or command refused."""

    def __init__(self, what, complaint):
        super().__init__(f"{what}: {complaint}")


def call(operation, **members):
    try:
        return getattr(CLIENT, operation)(**members)
    except ClientError as error:
        raise NotPrepared(operation, error.response["Error"]["Code"]) from error


class Live:
    """Gives what was made before, until it is told to make everything anew."""

    def __init__(self):
        self.made = {}

    @contextlib.contextmanager
    def anew(self):
        """Inside, nothing is used that anybody used before."""
        before, self.made = self.made, {}
        try:
            yield self
        finally:
            self.made = before

    def once(make):
        """Decorates a method so that it makes one thing for each combination of arguments."""

        @functools.wraps(make)
        def made(self, *arguments):
            at = (make.__name__, *arguments)
            if at not in self.made:
                self.made[at] = make(self, *arguments)
            return self.made[at]

        return made

    def keys(self):
        """Every key that there is now."""
        return [made for (name, *_), made in self.made.items() if name in ("key", "key_for", "external")]

    @once
    def key(self):
        """A symmetric key."""
        return create_key(self.policy())

    @once
    def key_for(self, usage, spec):
        """A key of another kind."""
        return create_key(self.policy(), "--key-usage", usage, "--key-spec", spec)

    @once
    def external(self):
        """A key that waits for its material."""
        return create_key(self.policy(), "--origin", "EXTERNAL")

    @once
    def imported(self):
        """An external key with material."""
        key = self.external()
        call("import_key_material", ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE", **self.import_of(key))
        return key

    def import_of_what_was_deleted(self):
        """The members of ImportKeyMaterial for a key that had this material before."""
        with self.anew():
            key, material = self.external(), openssl("rand", "32")
        call("import_key_material", ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE", **self.import_of(key, material))
        material_id = self.material_id(key)
        call("delete_imported_key_material", KeyId=key)
        return {**self.import_of(key, material), "KeyMaterialId": material_id}

    def import_of(self, key, material=None):
        """The members of ImportKeyMaterial for 32 bytes, new ones unless they are given."""
        parameters = call(
            "get_parameters_for_import", KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
        )
        with tempfile.NamedTemporaryFile() as public_key:
            public_key.write(parameters["PublicKey"])
            public_key.flush()
            oaep = ("rsa_padding_mode:oaep", "rsa_oaep_md:sha256", "rsa_mgf1_md:sha256")
            options = [argument for option in oaep for argument in ("-pkeyopt", option)]
            wrapped = openssl(
                *("pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey", public_key.name, *options),
                stdin=material or openssl("rand", "32"),
            )
        return {"KeyId": key, "ImportToken": parameters["ImportToken"], "EncryptedKeyMaterial": wrapped}

    def material_id(self, key):
        return call("describe_key", KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"]

    @once
    def rotated(self):
        """A key with three versions of its material."""
        key = self.key()
        for _ in range(2):
            call("rotate_key_on_demand", KeyId=key)
        return key

    def alias(self):
        """The name of an alias that is not there."""
        return f"alias/conformance-{next(ALIAS_NUMBERS)}"

    def created_alias(self):
        name = self.alias()
        call("create_alias", AliasName=name, TargetKeyId=self.key())
        return name

    @once
    def grant(self):
        return call(
            "create_grant",
            KeyId=self.key(),
            GranteePrincipal=samples.PRINCIPAL,
            RetiringPrincipal=samples.PRINCIPAL,
            Operations=["Decrypt", "Encrypt", "DescribeKey", "GenerateDataKey"],
        )

    def ciphertext(self, context=None):
        made = call("encrypt", KeyId=self.key(), Plaintext=b"text", EncryptionContext=context or {})
        return made["CiphertextBlob"]

    @once
    def signature(self):
        key = self.key_for("SIGN_VERIFY", "ECC_NIST_P256")
        return call("sign", KeyId=key, Message=b"text", SigningAlgorithm="ECDSA_SHA_256")["Signature"]

    @once
    def mac(self):
        key = self.key_for("GENERATE_VERIFY_MAC", "HMAC_256")
        return call("generate_mac", KeyId=key, Message=b"text", MacAlgorithm="HMAC_SHA_256")["Mac"]

    @once
    def public_key(self):
        """Of somebody else, on P-256."""
        private_key = openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-outform", "DER")
        return openssl("pkey", "-inform", "DER", "-pubout", "-outform", "DER", stdin=private_key)

    @once
    def granted_twice(self):
        """A key with two grants."""
        key = self.grant() and self.key()
        call("create_grant", KeyId=key, GranteePrincipal=samples.PRINCIPAL, Operations=["Decrypt"])
        return key

    @once
    def tagged(self):
        """A key with two tags."""
        tags = [{"TagKey": name, "TagValue": "value"} for name in ("name", "other")]
        call("tag_resource", KeyId=self.key(), Tags=tags)
        return self.key()

    def marker(self, operation, **members):
        """Where the second page starts, of a list that has one."""
        return call(operation, Limit=1, **members)["NextMarker"]

    def marker_of_retirable_grants(self):
        with self.anew():
            self.grant()
        self.grant()
        return self.marker("list_retirable_grants", RetiringPrincipal=samples.PRINCIPAL)

    def recipient(self):
        return setting.recipient()

    def policy(self):
        statement = {"Effect": "Allow", "Principal": {"AWS": samples.PRINCIPAL}, "Action": "kms:*", "Resource": "*"}
        return json.dumps({"Version": "2012-10-17", "Statement": statement})


def create_key(policy, *options):
    """A key made by the broker's own command: CreateKey is an operation that is tested here."""
    file = pathlib.Path(setting.SETTING["directory"], "conformance-policy.json")
    file.write_text(policy)
    command = [*setting.SETTING["command"], "key", "create", "--policy", file, *options]
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode != 0:
        raise NotPrepared(" ".join(("key create", *options)), made.stderr)
    return made.stdout.strip().split("/")[1]


def openssl(*arguments, stdin=None):
    return subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, check=True).stdout
