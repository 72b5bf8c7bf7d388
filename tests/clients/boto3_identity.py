"""An account's users as boto3 signs for them: keys made, tagged and listed under identity policies."""

import json
import pathlib
import unittest
import uuid

import setting
from botocore.exceptions import ClientError
from setting import credential, key, open_envelope, recipient

ADMIN = setting.client(credential("admin"))
USER = setting.client(credential("user"))
STRANGER = setting.client(credential("stranger"))
ROOT = setting.client(credential("root"))


def members(answer):
    metadata = answer.pop("ResponseMetadata")
    assert metadata["HTTPStatusCode"] == 200
    return answer


class Identity(unittest.TestCase):
    def assert_denied(self, why, call, **parameters):
        with self.assertRaises(ClientError) as caught:
            call(**parameters)
        error = caught.exception.response["Error"]
        self.assertEqual(error["Code"], "AccessDeniedException")
        self.assertTrue(error["Message"].endswith(why), error["Message"])

    def test_a_key_from_its_making_to_its_end(self):
        made = members(
            ADMIN.create_key(
                Description="of boto3",
                KeySpec="SYMMETRIC_DEFAULT",
                KeyUsage="ENCRYPT_DECRYPT",
                Origin="AWS_KMS",
                Tags=[{"TagKey": "Team", "TagValue": "blue"}],
                MultiRegion=False,
                BypassPolicyLockoutSafetyCheck=False,
            )
        )["KeyMetadata"]
        modelled = ADMIN.meta.service_model.shape_for("KeyMetadata").members
        self.assertLessEqual(set(made), set(modelled))
        self.assertEqual((made["KeyState"], made["Description"]), ("Enabled", "of boto3"))
        key_id = made["KeyId"]

        # The user's policy asks for the tag: it may use this key and not the one that is tagged otherwise.
        sealed = USER.generate_data_key(KeyId=made["Arn"], KeySpec="AES_256", Recipient=recipient())
        decrypted = USER.decrypt(CiphertextBlob=sealed["CiphertextBlob"], Recipient=recipient())
        self.assertEqual(
            open_envelope(sealed["CiphertextForRecipient"]), open_envelope(decrypted["CiphertextForRecipient"])
        )
        ADMIN.tag_resource(KeyId=key_id, Tags=[{"TagKey": "Team", "TagValue": "red"}])
        no_policy = "because no identity-based policy allows the kms:Decrypt action"
        self.assert_denied(no_policy, USER.decrypt, CiphertextBlob=sealed["CiphertextBlob"], Recipient=recipient())
        tags = ADMIN.get_paginator("list_resource_tags").paginate(KeyId=key_id).search("Tags")
        self.assertEqual(list(tags), [{"TagKey": "Team", "TagValue": "red"}])
        ADMIN.untag_resource(KeyId=key_id, TagKeys=["Team"])
        self.assertEqual(ADMIN.list_resource_tags(KeyId=key_id)["Tags"], [])

        alias = f"alias/admin/{uuid.uuid4()}"
        ADMIN.create_alias(AliasName=alias, TargetKeyId=key_id)
        of_key = ADMIN.list_aliases(KeyId=key_id)["Aliases"]
        self.assertEqual([(one["AliasName"], one["TargetKeyId"]) for one in of_key], [(alias, key_id)])
        ADMIN.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)

    def test_keys_of_other_kinds(self):
        for spec, usage in [("ECC_NIST_P256", "SIGN_VERIFY"), ("HMAC_256", "GENERATE_VERIFY_MAC")]:
            made = ADMIN.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]
            self.assertEqual((made["KeySpec"], made["KeyUsage"]), (spec, usage))
        with self.assertRaises(ADMIN.exceptions.UnsupportedOperationException):
            ADMIN.create_key(MultiRegion=True)
        with self.assertRaises(ADMIN.exceptions.TagException):
            ADMIN.create_key(Tags=[{"TagKey": "aws:x", "TagValue": ""}])

    def test_lists(self):
        pages = ADMIN.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 2})
        keys = list(pages.search("Keys"))
        self.assertIn({"KeyId": key("app")["id"], "KeyArn": key("app")["arn"]}, keys)
        self.assertEqual(len({one["KeyId"] for one in keys}), len(keys))
        pages = ADMIN.get_paginator("list_aliases").paginate(PaginationConfig={"PageSize": 2})
        aliases = {one["AliasName"]: one for one in pages.search("Aliases")}
        self.assertEqual(aliases["alias/app"]["AliasArn"], key("app")["alias_arn"])
        modelled = ADMIN.meta.service_model.shape_for("AliasListEntry").members
        self.assertEqual(set(aliases["alias/app"]), set(modelled))
        for call in (USER.list_keys, USER.list_aliases):
            self.assert_denied("action", call)
        self.assertEqual(len(ROOT.list_keys(Limit=1)["Keys"]), 1)

    def test_a_deny_in_an_identity_policy(self):
        self.assert_denied(
            "with an explicit deny in an identity-based policy", USER.disable_key, KeyId=key("app")["id"]
        )

    def test_another_account(self):
        made = ADMIN.create_key(
            Policy=json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": {
                        "Effect": "Allow",
                        "Principal": {"AWS": ["000000000000", "444455556666"]},
                        "Action": "kms:*",
                        "Resource": "*",
                    },
                }
            )
        )["KeyMetadata"]
        self.assertEqual(STRANGER.describe_key(KeyId=made["Arn"])["KeyMetadata"]["KeyId"], made["KeyId"])
        with self.assertRaises(STRANGER.exceptions.NotFoundException):
            STRANGER.describe_key(KeyId=made["KeyId"])
        not_open = "action is not open to callers of another account"
        self.assert_denied(not_open, STRANGER.schedule_key_deletion, KeyId=made["Arn"])
        self.assert_denied(not_open, STRANGER.list_keys)

    def test_policies_change_while_the_broker_runs(self):
        policy = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "kms:ListKeys", "Resource": "*"}}
        principal = "arn:aws:iam::000000000000:role/later"
        caller = setting.client(credential("later"))
        self.assert_denied("action", caller.list_keys)
        file = pathlib.Path(setting.SETTING["directory"]) / "later.json"
        file.write_text(json.dumps(policy))
        setting.broker("principal", "policy", "put", principal, "list", str(file))
        caller.list_keys()
        setting.broker("principal", "policy", "delete", principal, "list")
        self.assert_denied("action", caller.list_keys)
