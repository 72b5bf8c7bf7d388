//! The ioctl of `/dev/nsm`: a `struct nsm_raw` (`linux/nsm.h`) names a buffer with the request and one for the response.
//!
//! A device in user space cannot reach into the caller's memory; it tells the kernel which pieces to bring and to write.
//! So one call comes three times: with nothing, with the struct, and with struct and request.

use thiserror::Error;

/// `_IOWR(0x0A, 0, struct nsm_raw)`.
pub const NSM_IOCTL_RAW: u32 = 0xc020_0a00;

/// Bytes of `struct nsm_raw`: address and length of the request, address and length of the response.
pub const RAW_LEN: usize = 32;

/// Longest request (`NSM_REQUEST_MAX_SIZE` of the kernel's driver).
pub const MAX_REQUEST_BYTES: u64 = 0x1000;

/// Longest response (`NSM_RESPONSE_MAX_SIZE` of the kernel's driver).
pub const MAX_RESPONSE_BYTES: u64 = 0x3000;

/// A piece of the caller's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where it begins.
    pub address: u64,
    /// Bytes of it.
    pub len: u64,
}

/// What to do about an ioctl as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Bring these pieces, make these writable, and come again.
    Retry {
        /// To be read.
        read: Vec<Piece>,
        /// To be written.
        write: Vec<Piece>,
    },
    /// Write these bytes to the pieces made writable, one after the other.
    Done(Vec<u8>),
}

/// Why an ioctl is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum IoctlError {
    /// Another ioctl than that of an NSM.
    #[error("not an ioctl of this device")]
    Unknown,
    /// The request is empty or too long.
    #[error("the request is empty or longer than an NSM takes")]
    RequestLength,
    /// The response does not fit.
    #[error("the response does not fit into the buffer for it")]
    ResponseLength,
    /// The kernel brought something else than it was asked for.
    #[error("the kernel brought something else than it was asked for")]
    Protocol,
}

impl IoctlError {
    /// The error number that the caller sees.
    pub fn errno(self) -> i32 {
        match self {
            // ENOTTY, EMSGSIZE, EIO (asm-generic/errno.h)
            Self::Unknown => 25,
            Self::RequestLength | Self::ResponseLength => 90,
            Self::Protocol => 5,
        }
    }
}

/// Takes the next step of an ioctl whose argument is at `argument`; `brought` is what the kernel brought so far.
///
/// # Errors
/// When the ioctl cannot be carried out.
pub fn step(
    command: u32,
    argument: u64,
    brought: &[u8],
    respond: impl FnOnce(&[u8]) -> Vec<u8>,
) -> Result<Step, IoctlError> {
    if command != NSM_IOCTL_RAW {
        return Err(IoctlError::Unknown);
    }
    let raw = Piece { address: argument, len: RAW_LEN as u64 };
    if brought.is_empty() {
        return Ok(Step::Retry { read: vec![raw], write: Vec::new() });
    }
    let (struct_bytes, request) = brought.split_first_chunk::<RAW_LEN>().ok_or(IoctlError::Protocol)?;
    let (request_piece, response_piece) = pieces(struct_bytes);
    if !(1..=MAX_REQUEST_BYTES).contains(&request_piece.len) {
        return Err(IoctlError::RequestLength);
    }
    if request.is_empty() {
        // A caller that offers more room than any response needs is asked for no more than that.
        let len = response_piece.len.min(MAX_RESPONSE_BYTES);
        let write = vec![raw, Piece { len, ..response_piece }];
        return Ok(Step::Retry { read: vec![raw, request_piece], write });
    }
    if request.len() as u64 != request_piece.len {
        return Err(IoctlError::Protocol);
    }
    let response = respond(request);
    if response.len() as u64 > response_piece.len.min(MAX_RESPONSE_BYTES) {
        return Err(IoctlError::ResponseLength);
    }
    let written = Piece { len: response.len() as u64, ..response_piece };
    Ok(Step::Done([encode(request_piece, written).as_slice(), &response].concat()))
}

fn pieces(raw: &[u8; RAW_LEN]) -> (Piece, Piece) {
    let mut words =
        raw.chunks_exact(8).map(|word| word.try_into().map(u64::from_ne_bytes).unwrap_or_default());
    let mut piece =
        || Piece { address: words.next().unwrap_or_default(), len: words.next().unwrap_or_default() };
    (piece(), piece())
}

fn encode(request: Piece, response: Piece) -> Vec<u8> {
    [request.address, request.len, response.address, response.len].map(u64::to_ne_bytes).concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ARGUMENT: u64 = 0x7ffd_0000;
    const REQUEST: Piece = Piece { address: 0x1000, len: 3 };
    const RESPONSE: Piece = Piece { address: 0x2000, len: 4096 };
    const RAW: Piece = Piece { address: ARGUMENT, len: 32 };

    fn next(brought: &[u8]) -> Result<Step, IoctlError> {
        step(NSM_IOCTL_RAW, ARGUMENT, brought, |request| [request, b"!"].concat())
    }

    #[test]
    fn a_call_comes_three_times() {
        assert_eq!(next(&[]), Ok(Step::Retry { read: vec![RAW], write: vec![] }));
        let raw = encode(REQUEST, RESPONSE);
        let everything = Step::Retry { read: vec![RAW, REQUEST], write: vec![RAW, RESPONSE] };
        assert_eq!(next(&raw), Ok(everything));
        let done = [&encode(REQUEST, Piece { len: 4, ..RESPONSE })[..], b"abc!"].concat();
        assert_eq!(next(&[&raw[..], b"abc"].concat()), Ok(Step::Done(done)));
    }

    #[test]
    fn what_no_nsm_takes_is_refused() {
        assert_eq!(step(0x5401, ARGUMENT, &[], |_| Vec::new()), Err(IoctlError::Unknown));
        let with = |request: u64, response: u64| {
            encode(Piece { len: request, ..REQUEST }, Piece { len: response, ..RESPONSE })
        };
        for length in [0, MAX_REQUEST_BYTES + 1, u64::MAX] {
            assert_eq!(next(&with(length, 4096)), Err(IoctlError::RequestLength));
        }
        assert_eq!(next(&[&with(3, 3)[..], b"abc"].concat()), Err(IoctlError::ResponseLength));
        assert_eq!(next(&[&with(3, 9)[..], b"ab"].concat()), Err(IoctlError::Protocol));
        assert_eq!(next(&with(3, 9)[..31]), Err(IoctlError::Protocol));
        let Ok(Step::Retry { write, .. }) = next(&with(3, u64::MAX)) else { panic!("not tried again") };
        assert_eq!(write[1].len, MAX_RESPONSE_BYTES);
    }

    proptest! {
        #[test]
        fn arbitrary_input_never_panics(command in any::<u32>(), argument: u64, brought in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = step(command, argument, &brought, |_| Vec::new());
            let _ = step(NSM_IOCTL_RAW, argument, &brought, |_| Vec::new());
        }
    }
}
