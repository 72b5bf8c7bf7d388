//! `enclave-sample proxy`

use clap::Args;
use enclave_sample::client::{BrokerClient, ClientError};
use enclave_sample::proxy::{LoopbackAddress, Proxy};
use tokio::signal::unix::{SignalKind, signal};

use super::failure::Failure;
use super::output::print;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Where SDKs in the enclave find it: a loopback address, whose answers are in the clear; port 0 lets the kernel
    /// choose
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8000")]
    listen: LoopbackAddress,
}

pub(super) async fn run(client: BrokerClient, arguments: Arguments) -> Result<(), Failure> {
    let cannot = |what: &str, error: std::io::Error| Failure::failed(format!("cannot {what}: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| cannot("wait for signals", error))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| cannot("wait for signals", error))?;
    let proxy = Proxy::bind(arguments.listen, client)
        .await
        .map_err(|error| cannot("listen", error))?
        .reporting(report);
    let address = proxy.local_address().map_err(|error| cannot("listen", error))?;
    print(format!("listening on http://{address}\n").as_bytes())?;
    proxy
        .serve(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
        .await;
    Ok(())
}

fn report(operation: &str, error: &ClientError) {
    eprintln!("{operation}: {error}");
}
