//! Too many connections, the end of the forwarder, its counters over HTTP, and configurations it does not start with.

use std::sync::Arc;
use std::time::Duration;

use nitro_key_broker::forward::{
    ForwardConfig, ForwardError, ForwardLimits, Forwarder, Route, SystemResolver,
};
use nitro_key_broker::server::ListenAddress;
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use crate::harness::{Echo, SOON, TestForwarder, ping, try_ping};

#[tokio::test]
async fn one_connection_too_many_is_closed_and_counted() {
    let echo = Echo::start().await;
    let limits = ForwardLimits {
        max_connections: 2,
        place_timeout: Duration::from_millis(200),
        ..ForwardLimits::default()
    };
    let forwarder = TestForwarder::with_limits(&echo.address.to_string(), limits).await;
    let (mut first, mut second) = (forwarder.connect().await, forwarder.connect().await);
    ping(&mut first, b"1").await;
    ping(&mut second, b"2").await;
    let mut third = forwarder.connect().await;
    assert_eq!(timeout(SOON, third.read(&mut [0])).await.unwrap().unwrap(), 0, "closed");
    assert_eq!(forwarder.counter("connections_refused_total", ""), 1);

    // A place that comes free in time is taken.
    let waiting = forwarder.connect();
    drop(first);
    let mut fourth = waiting.await;
    ping(&mut fourth, b"4").await;
    ping(&mut second, b"2").await;
}

#[tokio::test]
async fn at_shutdown_open_connections_end_by_themselves() {
    let echo = Echo::start().await;
    let forwarder = TestForwarder::to(&echo.address.to_string()).await;
    let socket = forwarder.socket();
    let mut enclave = forwarder.connect().await;
    ping(&mut enclave, b"before").await;
    let running = forwarder.shut_down();
    while UnixStream::connect(&socket).await.is_ok() {
        sleep(Duration::from_millis(5)).await;
    }
    ping(&mut enclave, b"after").await;
    assert!(!running.is_finished());
    drop(enclave);
    timeout(SOON / 2, running).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_connection_that_does_not_end_is_broken_off_when_the_drain_is_over() {
    let echo = Echo::start().await;
    let limits = ForwardLimits { drain_timeout: Duration::from_millis(300), ..ForwardLimits::default() };
    let forwarder = TestForwarder::with_limits(&echo.address.to_string(), limits).await;
    let mut enclave = forwarder.connect().await;
    ping(&mut enclave, b"before").await;
    timeout(SOON / 2, forwarder.shut_down()).await.unwrap().unwrap();
    assert!(try_ping(&mut enclave, b"after").await.is_err());
}

#[tokio::test]
async fn counters_are_served_to_this_host() {
    let echo = Echo::start().await;
    let forwarder = TestForwarder::to(&echo.address.to_string()).await;
    ping(&mut forwarder.connect().await, b"seven b").await;
    let request = |line: &str| format!("{line} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    let answer = forwarder.http(&request("GET /metrics")).await;
    let (head, page) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{head}");
    assert!(page.contains("# TYPE nitro_key_broker_forward_connections_accepted_total counter\n"), "{page}");
    let bytes = format!("target=\"{}\",direction=\"to_enclave\"}} 7\n", echo.address);
    assert!(page.contains(&bytes), "{page}");

    assert!(forwarder.http(&request("GET /")).await.starts_with("HTTP/1.1 404 "));
    let refused = forwarder.http(&request("DELETE /metrics")).await;
    assert!(refused.starts_with("HTTP/1.1 405 ") && refused.contains("allow: GET, HEAD\r\n"), "{refused}");
}

#[tokio::test]
async fn impossible_configurations_do_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let listen = ListenAddress::Unix { path: folder.path().join("socket"), mode: 0o600 };
    let route = || Route { listen: listen.clone(), target: "localhost:1".parse().unwrap() };
    let bind = async |routes, limits, metrics: Option<&str>| {
        let metrics = metrics.map(|address| address.parse().unwrap());
        let config = ForwardConfig { routes, limits, metrics };
        match Forwarder::bind(config, Arc::new(SystemResolver::default())).await {
            Ok(_) => panic!("it started"),
            Err(error) => error,
        }
    };
    let default = ForwardLimits::default;
    assert!(matches!(bind(vec![], default(), None).await, ForwardError::NoRoutes));
    let none = ForwardLimits { max_connections: 0, ..default() };
    let error = bind(vec![route()], none, None).await;
    assert!(matches!(error, ForwardError::LimitIsZero { name: "max_connections" }), "{error}");
    let none = ForwardLimits { idle_timeout: Duration::ZERO, ..default() };
    let error = bind(vec![route()], none, None).await;
    assert!(matches!(error, ForwardError::LimitIsZero { name: "idle_timeout" }), "{error}");
    for everywhere in ["0.0.0.0:0", "[::]:0"] {
        let error = bind(vec![route()], default(), Some(everywhere)).await;
        assert!(matches!(error, ForwardError::MetricsNotOnLoopback { .. }), "{error}");
    }
    let error = bind(vec![route(), route()], default(), None).await;
    assert!(matches!(error, ForwardError::Bind(_)), "{error}");
    assert!(!folder.path().join("socket").exists(), "what was bound before is closed");
}
