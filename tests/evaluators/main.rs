//! Generated policies, put to the broker and to published evaluators of IAM policies. They agree but for differences that are
//! known, each with its reason in [`differences`]; one that is not known fails, and so does a known one that no longer shows.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

#[path = "../support/generated_policies.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod generated_policies;

mod differences;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use differences::DIFFERENCES;
use generated_policies::Described;
use nitro_key_broker::policy::{
    Caller, ConditionKey, ContextValue, ContextValues, IdentityPolicy, PolicyRequest, PrincipalArn, Verdict,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

/// Policies, each with a request.
const PAIRS: usize = 3000;

/// Names the built program, where it is not where `make peers` puts it.
const PROGRAM_ENV: &str = "NITRO_KEY_BROKER_IAM_PEERS";

const PEERS: [&str; 2] = ["scratchstack-aspen", "iam-rs"];

/// A policy, a request and what is made of it.
struct Pair {
    policy: Value,
    described: Described,
    /// By the names of condition keys, each value with its type.
    context: Map<String, Value>,
    ours: &'static str,
}

#[test]
fn decisions_agree_with_published_evaluators() {
    let pairs = pairs();
    let answers = ask_peers(&pairs);
    let mut report = Vec::new();
    let mut unexplained = Vec::new();
    for peer in PEERS {
        let mut agreed = BTreeMap::<&str, usize>::new();
        let mut seen = BTreeMap::<&str, usize>::new();
        for (pair, answer) in pairs.iter().zip(&answers) {
            let theirs = answer[peer].as_str().unwrap();
            if theirs == pair.ours {
                *agreed.entry(pair.ours).or_default() += 1;
                continue;
            }
            let difference = DIFFERENCES
                .iter()
                .find(|difference| difference.peer == peer && (difference.applies)(pair, theirs));
            match difference {
                Some(difference) => *seen.entry(difference.name).or_default() += 1,
                None => unexplained.push(format!("{peer} says {theirs}, the broker {}: {pair}", pair.ours)),
            }
        }
        report
            .push(format!("{peer}: of {} pairs, agreed {agreed:?}, known differences {seen:?}", pairs.len()));
        for difference in DIFFERENCES.iter().filter(|difference| difference.peer == peer) {
            assert!(
                seen.contains_key(difference.name),
                "{peer} agrees where it did not ({}: {}): take the difference off the list",
                difference.name,
                difference.why,
            );
        }
        for verdict in ["allow", "deny", "silent"] {
            assert!(agreed.get(verdict).is_some_and(|count| *count >= 150), "{report:?}");
        }
    }
    println!("{}", report.join("\n"));
    let few: Vec<&String> = unexplained.iter().take(8).collect();
    assert!(unexplained.is_empty(), "{report:#?}\n{} differences are not known: {few:#?}", unexplained.len());
}

impl std::fmt::Display for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { policy, described, context, ours: _ } = self;
        let statements = &policy["Statement"];
        write!(f, "{} {} under {statements} with {}", described.action, described.resource, json!(context))
    }
}

/// The same pairs at every run.
fn pairs() -> Vec<Pair> {
    let mut runner = TestRunner::deterministic();
    let strategy = (generated_policies::identity_policy(), generated_policies::described());
    (0..PAIRS)
        .map(|_| {
            let (policy, mut described) = strategy.new_tree(&mut runner).unwrap().current();
            // Identity policies speak of whom they are attached to, and that is always somebody.
            if described.caller == "anonymous" {
                described.caller = generated_policies::CALLERS[1];
            }
            Pair { context: context(&described), ours: verdict(&policy, &described), policy, described }
        })
        .collect()
}

fn verdict(policy: &Value, described: &Described) -> &'static str {
    let facts = described.facts();
    let request = PolicyRequest {
        caller: &facts.caller,
        action: described.action,
        resource: described.resource,
        context: &facts,
    };
    match IdentityPolicy::parse(&policy.to_string()).unwrap().evaluate(&request) {
        Verdict::Allowed { .. } => "allow",
        Verdict::ExplicitlyDenied { .. } => "deny",
        Verdict::NotAllowed { .. } => "silent",
        other => panic!("{other:?}"),
    }
}

/// Every key that generated policies ask about, as the broker's conditions see it.
fn context(described: &Described) -> Map<String, Value> {
    use nitro_key_broker::policy::RequestContext;
    let facts = described.facts();
    let Caller::Principal { arn } = &facts.caller else { panic!("anonymous") };
    let mut context = Map::from_iter([
        ("aws:PrincipalArn".to_owned(), json!({"text": PrincipalArn::principal_arn(arn)})),
        ("kms:CallerAccount".to_owned(), json!({"text": arn.account()})),
    ]);
    for name in [
        "kms:RecipientAttestation:PCR0",
        "kms:RecipientAttestation:ImageSha384",
        "kms:RecipientAttestation:PCR3",
        "kms:EncryptionContext:App",
        "kms:EncryptionContext:Tenant",
        "kms:EncryptionContextKeys",
        "kms:RequestAlias",
        "kms:ResourceAliases",
        "kms:KeySpec",
        "kms:RotationPeriodInDays",
        "aws:RequestedRegion",
        "aws:SecureTransport",
        "aws:SourceIp",
        "aws:CurrentTime",
    ] {
        let text = |value: &ContextValue<'_>| match value {
            ContextValue::Text(text) => text.clone().into_owned(),
            other => panic!("{other:?}"),
        };
        let value = match facts.values(&ConditionKey::parse(name).unwrap()) {
            ContextValues::Absent => continue,
            ContextValues::Many(values) if values.is_empty() => continue,
            ContextValues::Many(values) => json!({"texts": values.iter().map(text).collect::<Vec<_>>()}),
            ContextValues::One(ContextValue::Flag(flag)) => json!({"bool": flag}),
            ContextValues::One(ContextValue::Number(number)) => json!({"number": number}),
            ContextValues::One(ContextValue::Time(time)) => json!({"time": time.to_string()}),
            ContextValues::One(ContextValue::Address(address)) => json!({"address": address.to_string()}),
            ContextValues::One(value) => json!({"text": text(&value)}),
        };
        context.insert(name.to_owned(), value);
    }
    context
}

fn ask_peers(pairs: &[Pair]) -> Vec<Value> {
    let built = PathBuf::from(env!("CARGO_BIN_EXE_nitro-key-broker"));
    let target = built.ancestors().nth(2).unwrap();
    let program = std::env::var_os(PROGRAM_ENV)
        .map_or_else(|| target.join("differential/release/iam-peers"), PathBuf::from);
    assert!(program.exists(), "{} is not there: `make peers` builds it", program.display());
    let mut process = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut requests = process.stdin.take().unwrap();
    let mut answers = BufReader::new(process.stdout.take().unwrap());
    let answered = pairs
        .iter()
        .map(|pair| {
            let request = json!({
                "policy": pair.policy,
                "principal": pair.described.caller,
                "action": pair.described.action,
                "resource": pair.described.resource,
                "context": pair.context,
            });
            writeln!(requests, "{request}").unwrap();
            let mut answer = String::new();
            answers.read_line(&mut answer).unwrap();
            let answer: Value = serde_json::from_str(&answer).unwrap();
            assert!(answer.get("error").is_none(), "{answer} to {request}");
            answer
        })
        .collect();
    drop(requests);
    assert!(process.wait().unwrap().success());
    answered
}
