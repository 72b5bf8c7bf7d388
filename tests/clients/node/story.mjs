// The story of a key, told to a broker by the AWS SDK for JavaScript: one line for each step, as story.rs reads it.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

// Installed under target/, away from this file.
const require = createRequire(`${process.env.NODE_PACKAGES}/`);
const { KMS } = require("@aws-sdk/client-kms");

const { ALIAS: alias, DOCUMENT, POLICY } = process.env;
const policy = readFileSync(POLICY, "utf8");
const attested = {
  Recipient: { KeyEncryptionAlgorithm: "RSAES_OAEP_SHA_256", AttestationDocument: readFileSync(DOCUMENT) },
  EncryptionContext: { story: "javascript" },
};
const kms = new KMS({});

const tell = (step, text) => console.log(step, text);
const tellEnvelope = (step, envelope) => tell(step, Buffer.from(envelope).toString("base64"));

const { KeyId: key, Arn: arn } = (await kms.createKey({ Policy: policy })).KeyMetadata;
tell("created", arn);

await kms.createAlias({ AliasName: alias, TargetKeyId: key });
tell("aliased", (await kms.describeKey({ KeyId: alias })).KeyMetadata.Arn);

await kms.putKeyPolicy({ KeyId: key, Policy: policy });
tell("policies", (await kms.listKeyPolicies({ KeyId: key })).PolicyNames.join(" "));

const generated = await kms.generateDataKey({ KeyId: alias, KeySpec: "AES_256", ...attested });
tellEnvelope("generated", generated.CiphertextForRecipient);

const decrypt = async () =>
  (await kms.decrypt({ CiphertextBlob: generated.CiphertextBlob, ...attested })).CiphertextForRecipient;
tellEnvelope("decrypted", await decrypt());

await kms.rotateKeyOnDemand({ KeyId: key });
tell("rotations", (await kms.listKeyRotations({ KeyId: key })).Rotations.length);
tellEnvelope("decrypted", await decrypt());

await kms.disableKey({ KeyId: key });
tell("state", (await kms.describeKey({ KeyId: key })).KeyMetadata.KeyState);
const refused = await decrypt().then(
  () => "answer",
  (error) => error.name,
);
tell("refused", refused);

tell("state", (await kms.scheduleKeyDeletion({ KeyId: key, PendingWindowInDays: 7 })).KeyState);
