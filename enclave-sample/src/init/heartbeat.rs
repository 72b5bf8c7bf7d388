//! How nitro-cli learns that an enclave runs: the enclave connects to the parent instance, sends one byte and gets it
//! back.

use std::io::{self, Read, Write};
use std::time::Duration;

use vsock::VsockStream;

/// The parent instance, as every enclave sees it.
pub const PARENT_CID: u32 = 3;

/// Where nitro-cli listens while it starts an enclave.
pub const HEARTBEAT_PORT: u32 = 9000;

const HEARTBEAT: u8 = 0xb7;

/// nitro-cli answers at once or is not there.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Sends it to the parent instance. Connecting takes as long as the kernel lets it, two seconds.
pub(super) fn send() -> io::Result<()> {
    let mut stream = VsockStream::connect_with_cid_port(PARENT_CID, HEARTBEAT_PORT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    exchange(&mut stream)
}

fn exchange(stream: &mut (impl Read + Write)) -> io::Result<()> {
    stream.write_all(&[HEARTBEAT])?;
    let mut answer = [0];
    stream.read_exact(&mut answer)?;
    if answer == [HEARTBEAT] {
        Ok(())
    } else {
        let [answer] = answer;
        let problem = format!("the parent answered {answer:#04x}, expected {HEARTBEAT:#04x}");
        Err(io::Error::new(io::ErrorKind::InvalidData, problem))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;

    fn parent_answers(answer: &'static [u8]) -> Result<(), String> {
        let (mut enclave, mut parent) = UnixStream::pair().unwrap();
        let parent = thread::spawn(move || {
            let mut byte = [0];
            parent.read_exact(&mut byte).unwrap();
            assert_eq!(byte, [0xb7]);
            parent.write_all(answer).unwrap();
        });
        let result = exchange(&mut enclave).map_err(|error| error.to_string());
        parent.join().unwrap();
        result
    }

    #[test]
    fn the_byte_goes_there_and_back() {
        assert_eq!(parent_answers(&[0xb7]), Ok(()));
        assert_eq!(parent_answers(&[0xb8]), Err("the parent answered 0xb8, expected 0xb7".to_owned()));
        assert!(parent_answers(&[]).is_err());
    }
}
