//! kill -9 at any moment: no answered request lacks its record, and store and log open again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/broker/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod broker;
#[path = "support/process.rs"]
#[allow(dead_code, reason = "others use the rest")]
mod process;

use std::collections::HashMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use broker::client::{Client, request};
use broker::enclave::Enclave;
use broker::policy_on_pcr0;
use nitro_key_broker::time::UnixTime;
use process::{BrokerProcess, DataFolder};
use serde_json::{Value, json};

const REQUESTS: usize = 1000;
const CONNECTIONS: usize = 16;

/// Answered requests by their ids, with the status that the caller saw.
type Answered = HashMap<String, u16>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answered_request_lacks_its_record() {
    let enclave = Enclave::new();
    let folder = DataFolder::init();
    let key = folder.create_key(&policy_on_pcr0(&enclave.pcr(0)));
    let mut all_answered = Answered::new();
    let mut killed_amid_requests = 0;
    for (kills, kill_after) in (1..).zip([1, 5, 40, 150, 333, 600, 900, 990]) {
        let process = BrokerProcess::start(&folder);
        let (answered, broken) = requests_until_killed(process, &key, &enclave, kill_after).await;
        assert!(answered.len() >= kill_after, "{} of {kill_after}", answered.len());
        killed_amid_requests += usize::from(broken > 0);
        all_answered.extend(answered);
        check_log(&folder, &all_answered, kills);
        // The chain is whole after each kill: what was torn by those before is set apart.
        folder.run(&["audit", "verify"]);
    }
    assert!(killed_amid_requests >= 6, "the broker was killed amid requests {killed_amid_requests} times");
    assert_eq!(all_answered.values().filter(|status| **status == 500).count(), 0);
}

#[tokio::test]
async fn what_was_sealed_before_the_crash_opens_after_it() {
    let enclave = Enclave::new();
    let folder = DataFolder::init();
    let key = folder.create_key(&policy_on_pcr0(&enclave.pcr(0)));
    let process = BrokerProcess::start(&folder);
    let recipient = enclave.recipient(UnixTime::now());
    let ask = json!({"KeyId": key, "KeySpec": "AES_256", "Recipient": recipient});
    let members = process.connect().await.call("GenerateDataKey", &ask).await.members();
    process.kill();

    // A crash of the machine, and not only of the broker, can tear the last line.
    let mut log = std::fs::OpenOptions::new().append(true).open(folder.audit_log()).unwrap();
    log.write_all(b"{\"eventVersion\":\"1.11\",\"requestID\":\"torn").unwrap();
    drop(log);

    let process = BrokerProcess::start(&folder);
    let ask = json!({"CiphertextBlob": members["CiphertextBlob"], "Recipient": recipient});
    let answer = process.connect().await.call("Decrypt", &ask).await;
    assert_eq!(enclave.open(&answer.members()), enclave.open(&members));
    process.kill();
    assert!(folder.run(&["audit", "verify"]).contains("set apart     41 bytes that are no record"));
    let text = std::fs::read_to_string(folder.audit_log()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(
        serde_json::from_str::<Value>(lines[1]).is_err(),
        "the torn line stays for whoever looks into it"
    );
    assert_eq!(serde_json::from_str::<Value>(lines[2]).unwrap()["requestID"], answer.request_id());
}

#[test]
fn a_key_create_that_is_killed_leaves_a_whole_key_or_none() {
    let folder = DataFolder::init();
    for delay_ms in 0..40 {
        let mut creating = Command::new(process::PROGRAM)
            .arg("--data-dir")
            .arg(folder.path())
            .args(["key", "create"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(delay_ms));
        creating.kill().unwrap();
        creating.wait().unwrap();
    }
    // Every key that is there has its material and policy.
    let before = folder.key_ids();
    let last = folder.create_key(&policy_on_pcr0(&"ab".repeat(48)));
    assert_eq!(folder.key_ids().len(), before.len() + 1);
    for key in before.iter().chain([&last]) {
        folder.run(&["key", "describe", key]);
    }
}

/// Sends requests over many connections and kills the broker once `kill_after` are answered. Yields the answered, and
/// the number of requests that got no answer.
async fn requests_until_killed(
    process: BrokerProcess,
    key: &str,
    enclave: &Enclave,
    kill_after: usize,
) -> (Answered, usize) {
    let (sent, answered_count) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let good = json!({"KeyId": key, "KeySpec": "AES_256", "Recipient": enclave.recipient(UnixTime::now())});
    let refused = json!({"KeyId": key, "KeySpec": "AES_256"});
    let mut tasks = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut client = process.connect().await;
        let (sent, answered_count) = (Arc::clone(&sent), Arc::clone(&answered_count));
        let (good, refused) = (good.to_string(), refused.to_string());
        tasks.push(tokio::spawn(async move {
            let mut answered = Answered::new();
            loop {
                let number = sent.fetch_add(1, Ordering::SeqCst);
                if number >= REQUESTS {
                    return (answered, 0);
                }
                // Refusals are decisions too.
                let body = if number % 4 == 3 { &refused } else { &good };
                match answer(&mut client, body).await {
                    Some((id, status)) => answered.insert(id, status),
                    None => return (answered, 1),
                };
                answered_count.fetch_add(1, Ordering::SeqCst);
            }
        }));
    }
    while answered_count.load(Ordering::SeqCst) < kill_after {
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
    process.kill();
    let (mut answered, mut broken) = (Answered::new(), 0);
    for task in tasks {
        let (ours, lost) = task.await.unwrap();
        answered.extend(ours);
        broken += lost;
    }
    (answered, broken)
}

/// The id and status of an answer whose head arrived: from then on the caller knows.
async fn answer(client: &mut Client, body: &str) -> Option<(String, u16)> {
    let answer = client.try_send(request("GenerateDataKey", body.to_owned())).await.ok()?;
    Some((answer.request_id().to_owned(), answer.status))
}

fn check_log(folder: &DataFolder, answered: &Answered, kills: usize) {
    let text = std::fs::read_to_string(folder.audit_log()).unwrap();
    let records: HashMap<String, Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .map(|record| (record["requestID"].as_str().unwrap().to_owned(), record))
        .collect();
    for (id, status) in answered {
        let record = records.get(id).unwrap_or_else(|| panic!("{id} was answered and is not recorded"));
        let outcome = if *status == 200 { "allowed" } else { "denied" };
        assert_eq!(record["additionalEventData"]["decision"]["outcome"], outcome);
    }
    // The kernel may cut a write short when the process is killed, and the next start sets the piece apart.
    let torn = text.lines().filter(|line| serde_json::from_str::<Value>(line).is_err()).count();
    assert!(torn <= kills, "{torn} torn lines after {kills} kills");
}
