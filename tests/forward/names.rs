//! From a name to a target that answers.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nitro_key_broker::forward::{ForwardLimits, Resolve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use crate::harness::{Echo, SOON, Script, TestForwarder, accepted, free_address, ping};

fn addresses(texts: &[&str]) -> io::Result<Vec<IpAddr>> {
    Ok(texts.iter().map(|text| text.parse().unwrap()).collect())
}

/// A listener on 127.0.0.1 and one on 127.0.0.2 of the same port.
async fn two_hosts() -> (TcpListener, TcpListener, u16) {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = first.local_addr().unwrap().port();
        if let Ok(second) = TcpListener::bind(("127.0.0.2", port)).await {
            return (first, second, port);
        }
    }
}

#[tokio::test]
async fn nitro_cli_553_a_name_is_resolved_anew_for_each_connection() {
    let (first, second, port) = two_hosts().await;
    let moves = Script::new([addresses(&["127.0.0.1"]), addresses(&["127.0.0.2"])]);
    let target = format!("balancer.example:{port}");
    let forwarder = TestForwarder::with(&target, ForwardLimits::default(), moves).await;
    for host in [&first, &second, &second] {
        let mut enclave = forwarder.connect().await;
        enclave.write_all(b"hello").await.unwrap();
        let mut hello = [0; 5];
        accepted(host).await.read_exact(&mut hello).await.unwrap();
        assert_eq!(&hello, b"hello");
    }
}

#[tokio::test]
async fn nitro_cli_553_an_address_that_is_down_does_not_fail_the_connection() {
    let (first, second, port) = two_hosts().await;
    drop(first);
    let both = Script::new([addresses(&["127.0.0.1", "127.0.0.2"])]);
    let forwarder =
        TestForwarder::with(&format!("balancer.example:{port}"), ForwardLimits::default(), both).await;
    let mut enclave = forwarder.connect().await;
    accepted(&second).await.write_all(b"here").await.unwrap();
    let mut answer = [0; 4];
    timeout(SOON, enclave.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(forwarder.counter("connect_retries_total", ""), 0, "within one round");
}

/// `localhost` is in /etc/hosts, which only the system's own resolver reads; nobody outside is asked.
#[tokio::test]
async fn nitro_cli_623_names_are_resolved_as_the_system_does() {
    let echo = Echo::start().await;
    let forwarder = TestForwarder::to(&format!("localhost:{}", echo.address.port())).await;
    ping(&mut forwarder.connect().await, b"by /etc/hosts").await;
}

#[tokio::test]
async fn nitro_cli_648_a_name_that_does_not_resolve_yet_stops_nothing() {
    let echo = Echo::start().await;
    let not_yet = || Err(io::Error::other("no such name"));
    let late = Script::new([not_yet(), not_yet(), addresses(&["127.0.0.1"])]);
    let target = format!("late.example:{}", echo.address.port());
    let forwarder = TestForwarder::with(&target, ForwardLimits::default(), late).await;
    ping(&mut forwarder.connect().await, b"after two failures").await;
    assert_eq!(forwarder.counter("connect_rounds_failed_total", "reason=\"resolve\""), 2);
    assert_eq!(forwarder.counter("connect_retries_total", ""), 2);
    assert_eq!(forwarder.counter("connections_failed_total", ""), 0);
}

/// An address is what the operator wrote, so no resolver is asked about it.
#[tokio::test]
async fn nitro_cli_716_an_address_needs_no_resolver() {
    struct Unreachable;
    #[async_trait]
    impl Resolve for Unreachable {
        async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
            panic!("asked for {name}")
        }
    }
    let echo = Echo::start().await;
    let target = echo.address.to_string();
    let forwarder = TestForwarder::with(&target, ForwardLimits::default(), Arc::new(Unreachable)).await;
    ping(&mut forwarder.connect().await, b"straight").await;
}

#[tokio::test]
async fn a_resolver_that_never_answers_costs_one_connection_its_patience() {
    struct Silent;
    #[async_trait]
    impl Resolve for Silent {
        async fn resolve(&self, _name: &str) -> io::Result<Vec<IpAddr>> {
            std::future::pending().await
        }
    }
    let limits = ForwardLimits {
        resolve_timeout: Duration::from_millis(50),
        connect_patience: Duration::from_millis(400),
        ..ForwardLimits::default()
    };
    let forwarder = TestForwarder::with("silent.example:1", limits, Arc::new(Silent)).await;
    let mut enclave = forwarder.connect().await;
    assert_eq!(timeout(SOON, enclave.read(&mut [0])).await.unwrap().unwrap(), 0, "closed");
    forwarder.wait_for("connections_failed_total", "reason=\"resolve\"", 1).await;
    assert!(forwarder.counter("connect_rounds_failed_total", "reason=\"resolve\"") >= 2);
}

#[tokio::test]
async fn a_target_that_restarts_is_waited_for() {
    let address = free_address().await;
    let forwarder = TestForwarder::to(&address.to_string()).await;
    let mut enclave = forwarder.connect().await;
    enclave.write_all(b"early").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let _echo = Echo::start_on(address).await;
    let mut back = [0; 5];
    timeout(SOON, enclave.read_exact(&mut back)).await.unwrap().unwrap();
    assert_eq!(&back, b"early", "what was sent while the target was down is not lost");
    assert!(forwarder.counter("connect_rounds_failed_total", "reason=\"connect\"") >= 1);
    assert!(forwarder.counter("connect_retries_total", "") >= 1);
}

#[tokio::test]
async fn a_target_that_stays_down_fails_the_connection_when_patience_is_over() {
    let limits = ForwardLimits { connect_patience: Duration::from_millis(500), ..ForwardLimits::default() };
    let forwarder = TestForwarder::with_limits(&free_address().await.to_string(), limits).await;
    let started = Instant::now();
    let mut enclave = forwarder.connect().await;
    assert_eq!(timeout(SOON, enclave.read(&mut [0])).await.unwrap().unwrap(), 0, "closed");
    assert!(started.elapsed() < SOON / 2, "{:?}", started.elapsed());
    forwarder.wait_for("connections_failed_total", "reason=\"connect\"", 1).await;
    assert_eq!(forwarder.counter("connections_active", ""), 0);
}
