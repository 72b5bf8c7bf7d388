"""A key lent by grants, as boto3 does it, each answer as its model has it."""

import datetime
import unittest

import setting
from setting import key, open_envelope, recipient

PARENT = setting.client(setting.credential("permanent"))
WORKER = setting.client(setting.credential("worker"))
LENDER = "arn:aws:iam::000000000000:role/parent"
GRANTEE = "arn:aws:iam::000000000000:role/worker"
KEY = key("managed")["id"]


def create(**changes):
    members = {"KeyId": KEY, "GranteePrincipal": GRANTEE, "Operations": ["GenerateDataKey", "Decrypt"], **changes}
    return PARENT.create_grant(**members)


def generate(**changes):
    members = {"KeyId": KEY, "KeySpec": "AES_256", "Recipient": recipient(), **changes}
    return WORKER.generate_data_key(**members)


class Grants(unittest.TestCase):
    def tearDown(self):
        for page in PARENT.get_paginator("list_grants").paginate(KeyId=KEY):
            for grant in page["Grants"]:
                PARENT.revoke_grant(KeyId=KEY, GrantId=grant["GrantId"])

    def refused(self):
        with self.assertRaises(PARENT.exceptions.ClientError) as raised:
            generate()
        self.assertEqual(raised.exception.response["Error"]["Code"], "AccessDeniedException")

    def test_a_key_is_lent_and_taken_back(self):
        self.refused()
        made = create(Name="story")
        self.assertEqual(set(made) - {"ResponseMetadata"}, {"GrantId", "GrantToken"})
        for tokens in ([], [made["GrantToken"]]):
            answer = generate(GrantTokens=tokens)
            data_key = open_envelope(answer["CiphertextForRecipient"])
            opened = WORKER.decrypt(CiphertextBlob=answer["CiphertextBlob"], Recipient=recipient())
            self.assertEqual(open_envelope(opened["CiphertextForRecipient"]), data_key)
        with self.assertRaises(WORKER.exceptions.ClientError) as raised:
            WORKER.generate_data_key(KeyId=KEY, KeySpec="AES_256")
        self.assertIn("never", str(raised.exception))

        again = create(Name="story")
        self.assertEqual(again["GrantId"], made["GrantId"])
        self.assertNotEqual(again["GrantToken"], made["GrantToken"])
        PARENT.revoke_grant(KeyId=key("managed")["arn"], GrantId=made["GrantId"])
        self.refused()
        with self.assertRaises(WORKER.exceptions.InvalidGrantTokenException):
            generate(GrantTokens=[again["GrantToken"]])
        with self.assertRaises(PARENT.exceptions.NotFoundException):
            PARENT.revoke_grant(KeyId=KEY, GrantId=made["GrantId"])

    def test_a_constraint_binds_the_context(self):
        create(Constraints={"EncryptionContextSubset": {"Tenant": "a"}})
        generate(EncryptionContext={"Tenant": "a", "More": "b"})
        self.refused()

    def test_grants_are_listed_by_paginators(self):
        made = [create(RetiringPrincipal=GRANTEE)["GrantId"] for _ in range(7)]
        create(GranteePrincipal=LENDER)
        pages = list(PARENT.get_paginator("list_grants").paginate(
            KeyId=KEY, GranteePrincipal=GRANTEE, PaginationConfig={"PageSize": 3}))
        self.assertEqual([len(page["Grants"]) for page in pages], [3, 3, 1])
        grants = [grant for page in pages for grant in page["Grants"]]
        self.assertEqual([grant["GrantId"] for grant in grants], sorted(made))
        modelled = PARENT.meta.service_model.shape_for("GrantListEntry").members
        for grant in grants:
            self.assertLessEqual(set(grant), set(modelled))
            self.assertEqual(grant["KeyId"], key("managed")["arn"])
            self.assertEqual(grant["IssuingAccount"], "arn:aws:iam::000000000000:root")
            age = datetime.datetime.now(datetime.timezone.utc) - grant["CreationDate"]
            self.assertLess(abs(age), datetime.timedelta(minutes=10))
        retirable = WORKER.get_paginator("list_retirable_grants").paginate(
            RetiringPrincipal=GRANTEE, PaginationConfig={"PageSize": 3})
        self.assertEqual([grant["GrantId"] for page in retirable for grant in page["Grants"]], sorted(made))
        with self.assertRaises(PARENT.exceptions.InvalidMarkerException):
            PARENT.list_grants(KeyId=KEY, Marker="nowhere")

    def test_a_grant_is_retired_by_token_or_by_id(self):
        by_token, by_id = create(RetiringPrincipal=GRANTEE), create(Operations=["Decrypt", "RetireGrant"])
        with self.assertRaises(WORKER.exceptions.DryRunOperationException):
            WORKER.retire_grant(GrantToken=by_token["GrantToken"], DryRun=True)
        WORKER.retire_grant(GrantToken=by_token["GrantToken"])
        WORKER.retire_grant(KeyId=key("managed")["arn"], GrantId=by_id["GrantId"])
        self.assertEqual(PARENT.list_grants(KeyId=KEY)["Grants"], [])
        with self.assertRaises(WORKER.exceptions.InvalidGrantTokenException):
            WORKER.retire_grant(GrantToken=by_token["GrantToken"])
        with self.assertRaises(WORKER.exceptions.InvalidGrantIdException):
            WORKER.retire_grant(KeyId=KEY, GrantId="none")

    def test_refusals_are_modelled(self):
        with self.assertRaises(PARENT.exceptions.InvalidArnException):
            create(GranteePrincipal="worker")
        with self.assertRaises(PARENT.exceptions.DryRunOperationException):
            create(DryRun=True)
        with self.assertRaises(PARENT.exceptions.NotFoundException):
            create(KeyId="00000000-0000-4000-8000-000000000000")
        with self.assertRaises(PARENT.exceptions.ClientError) as raised:
            create(Operations=["Sign"])
        self.assertEqual(raised.exception.response["Error"]["Code"], "ValidationException")

    def test_the_record_has_the_id_and_not_the_token(self):
        made = create()
        record = setting.last_record()
        self.assertEqual(record["responseElements"], {"grantId": made["GrantId"], "keyId": key("managed")["arn"]})
        self.assertNotIn(made["GrantToken"], str(record))
