//! What is told about decisions: explanations and replays agree with the decisions themselves.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

#[path = "../support/generated_policies.rs"]
mod generated_policies;
#[path = "../support/mint/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod mint;

mod differences;
mod explanations;
mod records;
mod sample_log;
mod who_can;

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use generated_policies::{Described, IMAGES};
use nitro_key_broker::attestation::{self, AttestedRecipient, Requirements, TrustAnchors, VerifiedEvidence};
use nitro_key_broker::encryption_context::EncryptionContext;
use nitro_key_broker::policy::{
    AttachedPolicy, Caller, Grant, GrantConstraint, GrantId, GrantOperation, GrantTerms, IdentityPolicy,
    KeyPolicy, Particulars, PolicyName, PrincipalArn, Question,
};
use nitro_key_broker::time::UnixTime;
use proptest::prelude::*;

/// When every enclave of these tests attested itself.
const NOW_SECS: u64 = 1_767_398_400;

/// Enclaves whose PCR0 and PCR3 are of the generated world.
static RECIPIENTS: LazyLock<HashMap<(&'static str, &'static str), AttestedRecipient>> = LazyLock::new(|| {
    let images = IMAGES.iter().flat_map(|pcr0| IMAGES.iter().map(move |pcr3| (*pcr0, *pcr3)));
    images.map(|(pcr0, pcr3)| ((pcr0, pcr3), recipient(pcr0, pcr3))).collect()
});

fn recipient(pcr0: &str, pcr3: &str) -> AttestedRecipient {
    let mut document =
        mint::Document::with_public_key(NOW_SECS * 1000, &mint::recipient::rsa_spki(2048, &[1, 0, 1]));
    document.payload.set_pcr(0, &hex::decode(pcr0).unwrap());
    document.payload.set_pcr(3, &hex::decode(pcr3).unwrap());
    let root = include_bytes!("../../testdata/attestation/root.pem");
    let anchors = TrustAnchors::only_configured(root, std::path::Path::new("root.pem")).unwrap();
    let now = UnixTime::from_secs(NOW_SECS);
    attestation::verify(&document.mint(), &anchors, now, &Requirements::default())
        .and_then(VerifiedEvidence::into_recipient)
        .unwrap()
}

/// What a question borrows.
struct Borrowed {
    caller: Caller,
    context: EncryptionContext,
    aliases: Vec<String>,
    tags: BTreeMap<String, String>,
    new_grant: GrantTerms,
}

impl Borrowed {
    fn of(described: &Described) -> Self {
        let aliases = described.values.iter().find(|(key, _)| *key == "kms:ResourceAliases");
        Self {
            caller: described.caller(),
            context: described.encryption_context(),
            aliases: aliases.map(|(_, aliases)| aliases.clone()).unwrap_or_default(),
            tags: BTreeMap::from([("Team".to_owned(), "blue".to_owned())]),
            new_grant: terms(None),
        }
    }

    /// The described request as the broker would ask about it, its evidence verified.
    fn question<'b>(&'b self, described: &'b Described) -> Question<'b> {
        let one = |key| {
            let found = described.values.iter().find(|(name, _)| *name == key);
            found.map(|(_, values)| values[0].as_str())
        };
        let pcrs = one("kms:RecipientAttestation:PCR0").zip(one("kms:RecipientAttestation:PCR3"));
        let is_create_grant = described.action == "kms:CreateGrant";
        Question {
            resource_account: generated_policies::ACCOUNT,
            encryption_context: &self.context,
            resource_aliases: &self.aliases,
            request_alias: one("kms:RequestAlias"),
            tags: &self.tags,
            recipient: pcrs.map(|(pcr0, pcr3)| {
                RECIPIENTS.iter().find(|((zero, three), _)| (*zero, *three) == (pcr0, pcr3)).unwrap().1
            }),
            secure_transport: one("aws:SecureTransport") == Some("true"),
            source_ip: one("aws:SourceIp").map(|address| address.parse().unwrap()),
            user_agent: Some("aws-cli/1.45"),
            region: "eu-central-1",
            new_grant: is_create_grant.then_some(&self.new_grant),
            particulars: Particulars {
                rotation_period_days: one("kms:RotationPeriodInDays").map(|days| days.parse().unwrap()),
                ..Particulars::default()
            },
            ..Question::new(
                &self.caller,
                described.action,
                described.resource,
                UnixTime::from_secs(described.now_secs),
            )
        }
    }
}

fn terms(constraint: Option<GrantConstraint>) -> GrantTerms {
    GrantTerms {
        grantee: PrincipalArn::parse("arn:aws:iam::111122223333:role/team/worker").unwrap(),
        retiring: Some(PrincipalArn::parse("arn:aws:iam::111122223333:user/alice").unwrap()),
        operations: [GrantOperation::Decrypt, GrantOperation::GenerateDataKey, GrantOperation::CreateGrant]
            .into_iter()
            .collect(),
        constraint,
    }
}

/// Two grants of one key, of which one asks for the encryption context.
fn grants() -> Vec<Arc<Grant>> {
    let app = EncryptionContext::new(BTreeMap::from([("App".to_owned(), "wallet".to_owned())])).unwrap();
    [Some(GrantConstraint::EncryptionContextEquals(app)), None]
        .into_iter()
        .zip(1_u8..)
        .map(|(constraint, number)| {
            let operations = if number == 1 {
                GrantOperation::ALL.into_iter().collect()
            } else {
                [GrantOperation::Encrypt].into_iter().collect()
            };
            Arc::new(Grant {
                id: GrantId::from_bytes([number; 32]),
                resource: generated_policies::KEY_ARN.into(),
                name: None,
                terms: GrantTerms { operations, ..terms(constraint) },
                issuing_account: generated_policies::ACCOUNT.into(),
                created_at: UnixTime::from_secs(NOW_SECS - 60),
            })
        })
        .collect()
}

/// A key policy, identity policies and grants out of the generated world.
fn policies() -> impl Strategy<Value = (KeyPolicy, Vec<AttachedPolicy>, Vec<Arc<Grant>>)> {
    let identity = prop::collection::vec(generated_policies::identity_policy(), 0..3);
    (generated_policies::key_policy(), identity, prop::sample::subsequence(grants(), 0..=2)).prop_map(
        |(key, identity, grants)| {
            let attached = identity.iter().zip(["one", "two"]).map(|(policy, name)| AttachedPolicy {
                name: PolicyName::parse(name).unwrap(),
                policy: IdentityPolicy::parse(&policy.to_string()).unwrap(),
            });
            (KeyPolicy::parse(&key.to_string()).unwrap(), attached.collect(), grants)
        },
    )
}
