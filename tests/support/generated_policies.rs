//! Policies and requests made at random out of a small world, so that they meet often: a few principals, images, contexts
//! and names, and every kind of operator.

use nitro_key_broker::encryption_context::EncryptionContext;
use nitro_key_broker::policy::{Caller, ConditionKey, PrincipalArn, RequestFacts};
use nitro_key_broker::time::UnixTime;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

pub const ACCOUNT: &str = "111122223333";
pub const KEY_ARN: &str = "arn:aws:kms:eu-central-1:111122223333:key/0f9d7a0c-6d5e-4c0a-9b1e-2f3a4b5c6d7e";
pub const OTHER_KEY_ARN: &str =
    "arn:aws:kms:eu-central-1:111122223333:key/11111111-6d5e-4c0a-9b1e-2f3a4b5c6d7e";
pub const IMAGES: [&str; 3] = [
    "ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01",
    "bb01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01",
    "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
];
pub const CALLERS: [&str; 7] = [
    "anonymous",
    "arn:aws:iam::111122223333:user/alice",
    "arn:aws:iam::111122223333:role/team/worker",
    "arn:aws:sts::111122223333:assumed-role/worker/i-0abc",
    "arn:aws:iam::111122223333:root",
    "arn:aws:iam::444455556666:role/worker",
    "arn:aws:sts::111122223333:federated-user/bob",
];
pub const ACTIONS: [&str; 7] = [
    "kms:Decrypt",
    "kms:GenerateDataKey",
    "kms:Encrypt",
    "kms:ReEncryptFrom",
    "kms:PutKeyPolicy",
    "kms:DescribeKey",
    "kms:EnableKeyRotation",
];

/// A request in the world of the policies.
#[derive(Clone, Debug)]
pub struct Described {
    pub caller: &'static str,
    pub action: &'static str,
    pub resource: &'static str,
    /// Condition keys with their values as texts; of those that follow from others the encryption context alone.
    pub values: Vec<(&'static str, Vec<String>)>,
    pub encryption_context: Vec<(&'static str, &'static str)>,
    pub now_secs: u64,
}

impl Described {
    pub fn caller(&self) -> Caller {
        match self.caller {
            "anonymous" => Caller::Anonymous,
            arn => Caller::Principal { arn: PrincipalArn::parse(arn).unwrap() },
        }
    }

    pub fn encryption_context(&self) -> EncryptionContext {
        let pairs = self.encryption_context.iter();
        let pairs = pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        EncryptionContext::new(pairs.collect()).unwrap()
    }

    pub fn facts(&self) -> RequestFacts {
        let now = UnixTime::from_secs(self.now_secs);
        let mut facts = RequestFacts::new(self.caller(), self.action, self.resource, now).unwrap();
        facts.encryption_context = self.encryption_context();
        for (key, texts) in &self.values {
            let key = ConditionKey::parse(key).unwrap();
            facts.set(key, texts.iter().map(String::as_str)).unwrap();
        }
        facts
    }
}

/// A request. Every key may be absent.
pub fn described() -> impl Strategy<Value = Described> {
    let images = prop::option::weighted(0.7, (select(IMAGES.to_vec()), select(IMAGES.to_vec())));
    let context = prop::sample::subsequence(vec![("App", "wallet"), ("Tenant", "a"), ("app", "x")], 0..=3);
    let names = prop::sample::subsequence(vec!["alias/app", "alias/old", "alias/team/x"], 0..=3);
    let address = prop::option::of(select(vec!["203.0.113.9", "203.0.114.1", "2001:db8::1"]));
    (
        (select(CALLERS.to_vec()), select(ACTIONS.to_vec()), select(vec![KEY_ARN, OTHER_KEY_ARN])),
        images,
        context,
        (names, any::<bool>(), any::<bool>(), address),
        prop::option::of(select(vec![90_u32, 365])),
        select(vec![1_767_398_399_u64, 1_767_398_400, 1_767_398_401]),
    )
        .prop_map(
            |(who, images, context, (aliases, is_named_by_alias, tls, address), days, now_secs)| {
                let (caller, action, resource) = who;
                let mut values = vec![
                    ("kms:KeySpec", vec!["SYMMETRIC_DEFAULT".to_owned()]),
                    ("kms:KeyUsage", vec!["ENCRYPT_DECRYPT".to_owned()]),
                    ("aws:SecureTransport", vec![tls.to_string()]),
                    ("aws:RequestedRegion", vec!["eu-central-1".to_owned()]),
                ];
                if let Some((pcr0, pcr3)) = images {
                    values.push(("kms:RecipientAttestation:PCR0", vec![pcr0.to_owned()]));
                    values.push(("kms:RecipientAttestation:PCR3", vec![pcr3.to_owned()]));
                }
                if is_named_by_alias && let Some(first) = aliases.first() {
                    values.push(("kms:RequestAlias", vec![(*first).to_owned()]));
                }
                if !aliases.is_empty() {
                    values.push((
                        "kms:ResourceAliases",
                        aliases.iter().map(|name| (*name).to_owned()).collect(),
                    ));
                }
                if let Some(address) = address {
                    values.push(("aws:SourceIp", vec![address.to_owned()]));
                }
                if let Some(days) = days {
                    values.push(("kms:RotationPeriodInDays", vec![days.to_string()]));
                }
                Described { caller, action, resource, values, encryption_context: context, now_secs }
            },
        )
}

/// A key policy of one to four statements.
pub fn key_policy() -> impl Strategy<Value = Value> {
    prop::collection::vec(statement(true), 1..5).prop_map(document)
}

/// An identity policy of one to three statements.
pub fn identity_policy() -> impl Strategy<Value = Value> {
    prop::collection::vec(statement(false), 1..4).prop_map(document)
}

fn document(statements: Vec<Value>) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn statement(has_principal: bool) -> impl Strategy<Value = Value> {
    let effect = prop_oneof![3 => Just("Allow"), 1 => Just("Deny")];
    (effect, principals(), actions(), resources(), conditions()).prop_map(
        move |(effect, principals, (actions_name, actions), (resources_name, resources), conditions)| {
            let mut statement = Map::from_iter([
                ("Effect".to_owned(), json!(effect)),
                (actions_name.to_owned(), actions),
                (resources_name.to_owned(), resources),
            ]);
            if has_principal {
                let (name, principals) = match principals {
                    ("NotPrincipal", named) if effect == "Deny" => ("NotPrincipal", named),
                    (_, named) => ("Principal", named),
                };
                statement.insert(name.to_owned(), principals);
            }
            if !conditions.is_empty() {
                statement.insert("Condition".to_owned(), Value::Object(conditions));
            }
            Value::Object(statement)
        },
    )
}

fn principals() -> impl Strategy<Value = (&'static str, Value)> {
    let named = vec![
        "arn:aws:iam::111122223333:user/alice",
        "arn:aws:iam::111122223333:role/team/worker",
        "arn:aws:sts::111122223333:assumed-role/worker/i-0abc",
        "arn:aws:iam::111122223333:root",
        "111122223333",
        "arn:aws:iam::444455556666:role/worker",
    ];
    let listed = prop::sample::subsequence(named, 1..=3).prop_map(|named| json!({"AWS": named}));
    prop_oneof![
        3 => Just(("Principal", json!("*"))),
        4 => listed.clone().prop_map(|named| ("Principal", named)),
        1 => listed.prop_map(|named| ("NotPrincipal", named)),
    ]
}

fn actions() -> impl Strategy<Value = (&'static str, Value)> {
    let some = prop::sample::subsequence(
        vec!["kms:Decrypt", "kms:Generate*", "kms:Encrypt", "kms:ReEncrypt*", "kms:D?crypt", "kms:Put*"],
        1..=3,
    );
    prop_oneof![
        3 => Just(("Action", json!("kms:*"))),
        1 => Just(("Action", json!("*"))),
        4 => some.clone().prop_map(|some| ("Action", json!(some))),
        1 => some.prop_map(|some| ("NotAction", json!(some))),
    ]
}

fn resources() -> impl Strategy<Value = (&'static str, Value)> {
    prop_oneof![
        5 => Just(("Resource", json!("*"))),
        2 => Just(("Resource", json!([KEY_ARN]))),
        1 => Just(("Resource", json!("arn:aws:kms:*:111122223333:key/0f9d*"))),
        1 => Just(("NotResource", json!(OTHER_KEY_ARN))),
    ]
}

/// None to three conditions, of one key and operator each.
fn conditions() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::vec(condition(), 0..4).prop_map(|single| {
        let mut conditions = Map::new();
        for (operator, key, values) in single {
            let keys = conditions.entry(operator).or_insert_with(|| json!({}));
            keys[key] = values;
        }
        conditions
    })
}

fn condition() -> impl Strategy<Value = (String, &'static str, Value)> {
    let case = select(vec!["StringEquals", "StringEqualsIgnoreCase", "StringNotEquals", "StringLike"]);
    let if_exists = prop_oneof![3 => Just(""), 1 => Just("IfExists")];
    let digests = prop::sample::subsequence(IMAGES.to_vec(), 1..=2);
    let pcr = select(vec![
        "kms:RecipientAttestation:PCR0",
        "kms:RecipientAttestation:ImageSha384",
        "kms:RecipientAttestation:PCR3",
        "kms:RecipientAttestation:PCR8",
    ]);
    let text_keys: Vec<(&'static str, Vec<&'static str>)> = vec![
        ("kms:EncryptionContext:App", vec!["wallet", "w*", "WALLET"]),
        ("kms:EncryptionContext:Tenant", vec!["a", "b", "?"]),
        ("kms:RequestAlias", vec!["alias/app", "alias/*"]),
        ("kms:KeySpec", vec!["SYMMETRIC_DEFAULT", "RSA_2048"]),
        ("kms:CallerAccount", vec!["111122223333", "444455556666"]),
        ("aws:RequestedRegion", vec!["eu-central-1", "us-east-1"]),
    ];
    let text = (select(text_keys), case.clone(), if_exists.clone()).prop_flat_map(
        |((key, values), operator, if_exists)| {
            // A pattern under an operator for whole strings never matches, and is refused of some keys.
            let values: Vec<_> = values
                .into_iter()
                .filter(|value| operator == "StringLike" || !value.contains(['*', '?']))
                .collect();
            let most = values.len();
            prop::sample::subsequence(values, 1..=most)
                .prop_map(move |values| (format!("{operator}{if_exists}"), key, json!(values)))
        },
    );
    let set_keys: Vec<(&'static str, Vec<&'static str>)> = vec![
        ("kms:EncryptionContextKeys", vec!["App", "Tenant", "Other"]),
        ("kms:ResourceAliases", vec!["alias/app", "alias/old"]),
    ];
    let set = (
        select(set_keys),
        select(vec!["ForAllValues:", "ForAnyValue:"]),
        select(vec!["StringEquals", "StringNotEquals"]),
    )
        .prop_flat_map(|((key, values), set, operator)| {
            prop::sample::subsequence(values, 1..=2)
                .prop_map(move |values| (format!("{set}{operator}"), key, json!(values)))
        });
    let null_of = select(vec![
        "kms:RecipientAttestation:PCR0",
        "kms:EncryptionContext:App",
        "kms:RequestAlias",
        "aws:SourceIp",
    ]);
    let date = select(vec!["DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals"]);
    let number = select(vec![
        "NumericEquals",
        "NumericNotEquals",
        "NumericLessThan",
        "NumericGreaterThanEquals",
        "NumericLessThanIfExists",
    ]);
    let arns = vec![
        "arn:aws:iam::111122223333:user/alice",
        "arn:aws:iam::*:role/worker",
        "arn:aws:iam::111122223333:*",
    ];
    prop_oneof![
        5 => (case, if_exists, pcr, digests).prop_map(|(operator, if_exists, key, values)| {
            (format!("{operator}{if_exists}"), key, json!(values))
        }),
        4 => text,
        2 => set,
        2 => (null_of, any::<bool>())
            .prop_map(|(key, absent)| ("Null".to_owned(), key, json!(absent.to_string()))),
        1 => (select(vec!["Bool", "BoolIfExists"]), any::<bool>())
            .prop_map(|(operator, wanted)| (operator.to_owned(), "aws:SecureTransport", json!(wanted.to_string()))),
        1 => date.prop_map(|operator| (operator.to_owned(), "aws:CurrentTime", json!("2026-01-03T00:00:00Z"))),
        1 => (number, select(vec![90, 180, 365]))
            .prop_map(|(operator, days)| (operator.to_owned(), "kms:RotationPeriodInDays", json!(days.to_string()))),
        1 => (select(vec!["IpAddress", "NotIpAddress"]), select(vec!["203.0.113.0/24", "2001:db8::/32"]))
            .prop_map(|(operator, range)| (operator.to_owned(), "aws:SourceIp", json!(range))),
        1 => (select(vec!["ArnLike", "ArnNotLike", "ArnEquals"]), select(arns))
            .prop_map(|(operator, arn)| (operator.to_owned(), "aws:PrincipalArn", json!(arn))),
    ]
}
