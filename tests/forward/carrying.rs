//! What happens to the bytes of a connection.

use std::time::Duration;

use nitro_key_broker::forward::ForwardLimits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, timeout};

use crate::harness::{Echo, SOON, TestForwarder, accepted, ping};

/// Thirty requests at a time took seven seconds there, because a fixed number of workers served whole connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nitro_cli_413_open_connections_do_not_hold_up_others() {
    const CONNECTIONS: usize = 500;
    let echo = Echo::start().await;
    let forwarder = TestForwarder::to(&echo.address.to_string()).await;
    let mut open = Vec::new();
    for number in 0..CONNECTIONS {
        let mut enclave = forwarder.connect().await;
        ping(&mut enclave, &number.to_be_bytes()).await;
        open.push(enclave);
    }
    assert_eq!(forwarder.counter("connections_active", ""), u64::try_from(CONNECTIONS).unwrap());

    let started = Instant::now();
    let pings =
        open.into_iter().map(|mut enclave| tokio::spawn(async move { ping(&mut enclave, b"ping").await }));
    for ping in pings.collect::<Vec<_>>() {
        ping.await.unwrap();
    }
    assert!(started.elapsed() < SOON / 2, "{CONNECTIONS} at once took {:?}", started.elapsed());
    forwarder.wait_for("connections_completed_total", "", 500).await;
    forwarder.wait_for("connections_active", "", 0).await;
}

#[tokio::test]
async fn an_enclave_that_has_sent_all_still_gets_its_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let forwarder = TestForwarder::to(&listener.local_addr().unwrap().to_string()).await;
    let mut enclave = forwarder.connect().await;
    enclave.write_all(b"request").await.unwrap();
    enclave.shutdown().await.unwrap();

    let mut target = accepted(&listener).await;
    let mut request = String::new();
    timeout(SOON, target.read_to_string(&mut request)).await.unwrap().unwrap();
    assert_eq!(request, "request", "and its end was passed on");
    target.write_all(b"answer").await.unwrap();
    drop(target);
    let mut answer = String::new();
    timeout(SOON, enclave.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer, "answer");
    forwarder.wait_for("connections_completed_total", "", 1).await;
}

#[tokio::test]
async fn a_target_that_has_sent_all_still_gets_what_the_enclave_sends() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let forwarder = TestForwarder::to(&listener.local_addr().unwrap().to_string()).await;
    let mut enclave = forwarder.connect().await;
    let mut target = accepted(&listener).await;
    target.write_all(b"banner").await.unwrap();
    target.shutdown().await.unwrap();
    let mut banner = String::new();
    timeout(SOON, enclave.read_to_string(&mut banner)).await.unwrap().unwrap();
    assert_eq!(banner, "banner", "and its end was passed on");

    enclave.write_all(b"still sending").await.unwrap();
    drop(enclave);
    let mut rest = String::new();
    timeout(SOON, target.read_to_string(&mut rest)).await.unwrap().unwrap();
    assert_eq!(rest, "still sending");
    forwarder.wait_for("connections_completed_total", "", 1).await;
}

#[tokio::test]
async fn a_target_that_does_not_read_holds_up_the_enclave_and_takes_no_memory() {
    const LENGTH: usize = 64 * 1024 * 1024;
    /// What two sockets and the forwarder's buffer hold, generously: Linux lets a TCP window grow to 6 MiB
    /// (`tcp_rmem`) and a send buffer to 4 MiB (`tcp_wmem`).
    const IN_BETWEEN: usize = 16 * 1024 * 1024;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let forwarder = TestForwarder::to(&listener.local_addr().unwrap().to_string()).await;
    let mut enclave = forwarder.connect().await;
    let mut target = accepted(&listener).await;

    let mut sent = 0;
    let chunk: Vec<u8> = (0..65_521_u32).map(|number| number.to_le_bytes()[0]).collect();
    let at = |position: usize| &chunk[position % chunk.len()..];
    while let Ok(written) = timeout(Duration::from_millis(500), enclave.write(at(sent))).await {
        sent += written.unwrap();
        assert!(sent < IN_BETWEEN, "nothing holds the enclave up");
    }

    // Once the target reads, all arrives as it was sent.
    let length = LENGTH.min(2 * sent + 1024 * 1024);
    let reading = tokio::spawn(async move {
        let mut received = Vec::new();
        target.read_to_end(&mut received).await.unwrap();
        received
    });
    while sent < length {
        sent += timeout(SOON, enclave.write(at(sent))).await.unwrap().unwrap();
    }
    drop(enclave);
    let received = timeout(SOON, reading).await.unwrap().unwrap();
    assert_eq!(received.len(), sent);
    assert!(received.chunks(chunk.len()).all(|piece| piece == &chunk[..piece.len()]));
    let carried = forwarder.counter("bytes_total", "direction=\"to_target\"");
    assert_eq!(carried, u64::try_from(sent).unwrap());
    assert_eq!(forwarder.counter("bytes_total", "direction=\"to_enclave\""), 0);
}

#[tokio::test]
async fn a_connection_that_stands_still_is_closed_and_one_that_moves_is_not() {
    let echo = Echo::start().await;
    let limits = ForwardLimits { idle_timeout: Duration::from_millis(900), ..ForwardLimits::default() };
    let forwarder = TestForwarder::with_limits(&echo.address.to_string(), limits).await;
    let (mut still, mut moving) = (forwarder.connect().await, forwarder.connect().await);
    ping(&mut still, b"once").await;
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(2700) {
        ping(&mut moving, b"again").await;
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(timeout(SOON, still.read(&mut [0])).await.unwrap().unwrap(), 0, "closed");
    ping(&mut moving, b"still there").await;
    forwarder.wait_for("connections_failed_total", "reason=\"idle\"", 1).await;
    assert_eq!(forwarder.counter("connections_active", ""), 1);
}

#[tokio::test]
async fn a_target_that_goes_on_sending_to_an_enclave_that_is_gone_is_told_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let forwarder = TestForwarder::to(&listener.local_addr().unwrap().to_string()).await;
    let enclave = forwarder.connect().await;
    let mut target = accepted(&listener).await;
    drop(enclave);
    // The end of the enclave's half; that nobody reads any more shows when there is something to read.
    assert_eq!(timeout(SOON, target.read(&mut [0])).await.unwrap().unwrap(), 0);
    let error = timeout(SOON, async {
        loop {
            if let Err(error) = target.write_all(&[0; 1024]).await {
                return error;
            }
            sleep(Duration::from_millis(5)).await;
        }
    });
    let kind = error.await.unwrap().kind();
    assert!(matches!(kind, std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe), "{kind}");
    // The enclave ended its half first, which is an end as TLS has it: not a failure.
    forwarder.wait_for("connections_completed_total", "", 1).await;
}

#[tokio::test]
async fn a_target_that_resets_is_counted_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let forwarder = TestForwarder::to(&listener.local_addr().unwrap().to_string()).await;
    let mut enclave = forwarder.connect().await;
    let mut target = accepted(&listener).await;
    // A reset before the connection carries anything is one more failed attempt to connect.
    target.write_all(b"hello").await.unwrap();
    enclave.read_exact(&mut [0; 5]).await.unwrap();
    target.set_zero_linger().unwrap();
    drop(target);
    assert_eq!(timeout(SOON, enclave.read(&mut [0])).await.unwrap().unwrap(), 0, "closed");
    forwarder.wait_for("connections_failed_total", "reason=\"broken_by_target\"", 1).await;
}
