//! The program under observation, and its page of counters.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Lines};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};

use std::time::{Duration, Instant};

use hyper::Request;
use serde_json::Value;

use crate::broker::client::{Answer, Client};
use crate::process::{DataFolder, PROGRAM};
use crate::tools::run_script;

/// A running `serve` with a listener for scrapers, killed when dropped.
pub struct ObservedBroker {
    child: Child,
    log: tempfile::NamedTempFile,
    output: Lines<BufReader<ChildStdout>>,
    kms: SocketAddr,
    monitor: SocketAddr,
    _own_folder: Option<DataFolder>,
}

/// Samples of one scrape.
pub struct Page(Vec<Sample>);

pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl ObservedBroker {
    /// A broker with a data directory of its own, which nobody has put anything into.
    pub fn start_alone() -> Self {
        let folder = DataFolder::init();
        let mut broker = Self::start(&folder);
        broker._own_folder = Some(folder);
        broker
    }

    pub fn start(folder: &DataFolder) -> Self {
        Self::start_with(folder, &[], &[])
    }

    pub fn start_with(folder: &DataFolder, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut child = Command::new(PROGRAM)
            .arg("--data-dir")
            .arg(folder.path())
            .args(["serve", "--listen", "http://127.0.0.1:0", "--metrics", "http://127.0.0.1:0"])
            .arg("--trust-anchor")
            .arg(folder.root_pem())
            .args(arguments)
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(log.reopen().unwrap())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut address = |prefix: &str| {
            let line = output.next().unwrap_or_else(|| panic!("no line {prefix}")).unwrap();
            line.strip_prefix(prefix).unwrap_or_else(|| panic!("{line}")).parse().unwrap()
        };
        let (kms, monitor) = (address("listening on http://"), address("monitoring on http://"));
        Self { child, log, output, kms, monitor, _own_folder: None }
    }

    pub async fn connect(&self) -> Client {
        Client::over_tcp(self.kms).await
    }

    pub fn address(&self) -> SocketAddr {
        self.kms
    }

    /// A connection to the listener for scrapers.
    pub async fn monitor(&self) -> Client {
        Client::over_tcp(self.monitor).await
    }

    /// What the listener for scrapers answers to GET.
    pub async fn get(&self, path: &str, accept: &str) -> Answer {
        let request = Request::get(path).header("host", "monitor").header("accept", accept);
        self.monitor().await.send(request.body(Default::default()).unwrap()).await
    }

    /// The counters as Prometheus's parser reads them.
    pub async fn scrape(&self) -> Page {
        let answer = self.get("/metrics", "*/*").await;
        assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
        Page::read("prometheus", &answer.body)
    }

    /// Waits for the first round of housekeeping, before which the broker knows of no keys.
    pub async fn first_round(&self) {
        let until = Instant::now() + Duration::from_secs(20);
        let last_round = "nitro_key_broker_housekeeping_last_round_timestamp_seconds";
        while self.scrape().await.sum(last_round, &[]) == 0.0 {
            assert!(Instant::now() < until, "no round of housekeeping");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end, and yields what it said on standard error.
    pub fn wait(mut self) -> String {
        let succeeded = self.child.wait().unwrap().success();
        let said = std::fs::read_to_string(self.log.path()).unwrap();
        assert!(succeeded, "{said}");
        assert!(self.output.next().is_none(), "more on standard output");
        said
    }
}

impl Drop for ObservedBroker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Page {
    pub fn read(format: &str, page: &[u8]) -> Self {
        let families = run_script("read_metrics.py", &[format], page);
        let samples = families.as_array().unwrap().iter().flat_map(|family| {
            assert_ne!(family["help"], "", "{family}");
            assert_ne!(family["type"], "unknown", "{family}");
            family["samples"].as_array().unwrap().iter().map(Sample::of).collect::<Vec<_>>()
        });
        Self(samples.collect())
    }

    pub fn samples(&self) -> &[Sample] {
        &self.0
    }

    /// The sum of all samples of this name with these labels among theirs.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |sample: &&Sample| {
            let has = |(label, value): &(&str, &str)| sample.labels.get(*label).is_some_and(|is| is == value);
            sample.name == name && labels.iter().all(has)
        };
        self.0.iter().filter(fits).map(|sample| sample.value).sum()
    }
}

impl Sample {
    fn of(sample: &Value) -> Self {
        let labels = sample["labels"].as_object().unwrap().iter();
        Self {
            name: sample["name"].as_str().unwrap().to_owned(),
            labels: labels.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect(),
            value: sample["value"].as_str().unwrap().parse().unwrap(),
        }
    }
}
