//! Character devices in user space: the kernel's protocol on `/dev/cuse` (`linux/fuse.h`), as much of it as a device
//! without reading and writing needs. Integers are the machine's own.

use std::fs::File;
use std::io::{self, Read as _, Write as _};

use crate::ioctl::{self, Piece, Step};

/// Where the kernel's module `cuse` has its device.
pub const CUSE_DEVICE: &str = "/dev/cuse";

/// Bytes of a request that are read at once: more than the 8 KiB that the kernel demands, and than any ioctl here has.
const REQUEST_BUFFER_BYTES: usize = 128 * 1024;

/// Longest name of a device (`DEVNAME=` and a final zero are sent with it).
const MAX_NAME_BYTES: usize = 64;

/// `CUSE_UNRESTRICTED_IOCTL`: the device says itself which memory an ioctl means.
const UNRESTRICTED_IOCTL: u32 = 1;
/// `FUSE_IOCTL_COMPAT`: a 32-bit program calls, with a struct of another layout.
const IOCTL_COMPAT: u32 = 1;
/// `FUSE_IOCTL_RETRY`.
const IOCTL_RETRY: u32 = 4;
/// Largest read and write, both unused.
const MAX_TRANSFER_BYTES: u32 = 64 * 1024;

const OPEN: u32 = 14;
const RELEASE: u32 = 18;
const INTERRUPT: u32 = 36;
const IOCTL: u32 = 39;
const INIT: u32 = 4096;

const ENOSYS: i32 = 38;
const EINVAL: i32 = 22;

/// What every request begins with (`struct fuse_in_header`), and what a reply names again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RequestHead {
    opcode: u32,
    unique: u64,
}

/// Makes the device `/dev/NAME` and answers its ioctls until the kernel closes it.
///
/// # Errors
/// When `/dev/cuse` fails, or the name is none.
pub fn serve(cuse: &mut File, name: &str, mut respond: impl FnMut(&[u8]) -> Vec<u8>) -> io::Result<()> {
    let is_name = (1..=MAX_NAME_BYTES).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if !is_name {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a device's name is letters, digits, _ and -",
        ));
    }
    let mut buffer = vec![0; REQUEST_BUFFER_BYTES];
    loop {
        let length = match cuse.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let request = buffer.get(..length).unwrap_or_default();
        if let Some(reply) = reply_to(request, name, &mut respond)? {
            match cuse.write_all(&reply) {
                // The caller was interrupted and does not wait any more.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                written => written?,
            }
        }
    }
}

/// The reply to a whole request; `None` for one that has none.
fn reply_to(
    request: &[u8],
    name: &str,
    respond: impl FnOnce(&[u8]) -> Vec<u8>,
) -> io::Result<Option<Vec<u8>>> {
    let mut fields = Fields(request);
    let head = fields.head().ok_or_else(|| io::Error::other("/dev/cuse yields a request without a head"))?;
    let outcome = match head.opcode {
        INIT => init(&mut fields, name),
        OPEN => Ok(vec![0; 16]),
        RELEASE => Ok(Vec::new()),
        IOCTL => ioctl(&mut fields, respond),
        // Every ioctl is answered at once, so there is nothing to interrupt.
        INTERRUPT => return Ok(None),
        _ => Err(ENOSYS),
    };
    Ok(Some(match outcome {
        Ok(body) => encode_reply(head, 0, &body),
        Err(errno) => encode_reply(head, errno, &[]),
    }))
}

/// `struct cuse_init_in` → `struct cuse_init_out` and the device's properties.
fn init(fields: &mut Fields<'_>, name: &str) -> Result<Vec<u8>, i32> {
    let (major, minor) = (fields.u32().ok_or(EINVAL)?, fields.u32().ok_or(EINVAL)?);
    let mut body = Vec::new();
    // The kernel's version of the protocol again: what is used of it has been the same since the beginning. Then an
    // unused word, flags, largest read and write, and the device's number, which the kernel chooses.
    for word in [major, minor, 0, UNRESTRICTED_IOCTL, MAX_TRANSFER_BYTES, MAX_TRANSFER_BYTES, 0, 0] {
        body.extend(word.to_ne_bytes());
    }
    body.extend([0; 40]);
    body.extend(format!("DEVNAME={name}\0").as_bytes());
    Ok(body)
}

/// `struct fuse_ioctl_in` and what the kernel brought → `struct fuse_ioctl_out` and what it shall do.
fn ioctl(fields: &mut Fields<'_>, respond: impl FnOnce(&[u8]) -> Vec<u8>) -> Result<Vec<u8>, i32> {
    let _handle = fields.u64().ok_or(EINVAL)?;
    let (flags, command) = (fields.u32().ok_or(EINVAL)?, fields.u32().ok_or(EINVAL)?);
    let argument = fields.u64().ok_or(EINVAL)?;
    let (in_size, _out_size) = (fields.u32().ok_or(EINVAL)?, fields.u32().ok_or(EINVAL)?);
    let brought = usize::try_from(in_size).ok().and_then(|size| fields.0.get(..size)).ok_or(EINVAL)?;
    if flags & IOCTL_COMPAT != 0 {
        return Err(ioctl::IoctlError::Unknown.errno());
    }
    match ioctl::step(command, argument, brought, respond) {
        Ok(Step::Done(bytes)) => Ok([ioctl_out(0, 0, 0), bytes].concat()),
        Ok(Step::Retry { read, write }) => {
            let pieces = read.iter().chain(&write).flat_map(|Piece { address, len }| [*address, *len]);
            let mut body = ioctl_out(IOCTL_RETRY, read.len(), write.len());
            body.extend(pieces.flat_map(u64::to_ne_bytes));
            Ok(body)
        }
        Err(error) => Err(error.errno()),
    }
}

fn ioctl_out(flags: u32, read: usize, write: usize) -> Vec<u8> {
    let count = |pieces| u32::try_from(pieces).unwrap_or(u32::MAX);
    const RESULT: u32 = 0;
    [RESULT, flags, count(read), count(write)].map(u32::to_ne_bytes).concat()
}

/// `struct fuse_out_header` and a body.
fn encode_reply(head: RequestHead, errno: i32, body: &[u8]) -> Vec<u8> {
    const HEADER_LEN: usize = 16;
    let length = u32::try_from(HEADER_LEN.saturating_add(body.len())).unwrap_or(u32::MAX);
    let mut reply = Vec::with_capacity(HEADER_LEN + body.len());
    reply.extend(length.to_ne_bytes());
    reply.extend(errno.saturating_neg().to_ne_bytes());
    reply.extend(head.unique.to_ne_bytes());
    reply.extend(body);
    reply
}

/// What is left of a request.
struct Fields<'r>(&'r [u8]);

impl Fields<'_> {
    fn head(&mut self) -> Option<RequestHead> {
        let _length = self.u32()?;
        let (opcode, unique) = (self.u32()?, self.u64()?);
        // Node, user, group, process and padding.
        let _rest: [u8; 24] = self.array()?;
        Some(RequestHead { opcode, unique })
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_ne_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_ne_bytes)
    }

    fn array<const LEN: usize>(&mut self) -> Option<[u8; LEN]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ioctl::NSM_IOCTL_RAW;

    fn request(opcode: u32, body: &[u8]) -> Vec<u8> {
        let mut request = Vec::new();
        request.extend(u32::try_from(40 + body.len()).unwrap().to_ne_bytes());
        request.extend(opcode.to_ne_bytes());
        request.extend(7_u64.to_ne_bytes());
        request.extend([0; 24]);
        request.extend(body);
        request
    }

    fn ioctl_request(flags: u32, command: u32, brought: &[u8]) -> Vec<u8> {
        let mut body = 1_u64.to_ne_bytes().to_vec();
        body.extend([flags, command].map(u32::to_ne_bytes).concat());
        body.extend(0x1000_u64.to_ne_bytes());
        body.extend([u32::try_from(brought.len()).unwrap(), 0].map(u32::to_ne_bytes).concat());
        body.extend(brought);
        request(IOCTL, &body)
    }

    /// Error number and body of the reply.
    fn reply(request: &[u8]) -> (i32, Vec<u8>) {
        let reply = reply_to(request, "nsm", |request| [request, b"!"].concat()).unwrap().unwrap();
        assert_eq!(reply[..4], u32::try_from(reply.len()).unwrap().to_ne_bytes());
        assert_eq!(reply[8..16], 7_u64.to_ne_bytes(), "another request's reply");
        (i32::from_ne_bytes(reply[4..8].try_into().unwrap()), reply[16..].to_vec())
    }

    #[test]
    fn the_device_is_announced_with_its_name() {
        let (errno, body) = reply(&request(INIT, &[7_u32, 41, 0, 1].map(u32::to_ne_bytes).concat()));
        assert_eq!((errno, body.len()), (0, 72 + 12));
        assert_eq!(body[..16], [7_u32, 41, 0, 1].map(u32::to_ne_bytes).concat());
        assert_eq!(&body[72..], b"DEVNAME=nsm\0");
    }

    #[test]
    fn an_ioctl_is_asked_for_its_memory_and_then_answered() {
        let (errno, body) = reply(&ioctl_request(0, NSM_IOCTL_RAW, &[]));
        let words = |words: &[u32]| words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<u8>>();
        let longs = |longs: &[u64]| longs.iter().flat_map(|long| long.to_ne_bytes()).collect::<Vec<u8>>();
        assert_eq!((errno, body), (0, [words(&[0, 4, 1, 0]), longs(&[0x1000, 32])].concat()));

        let raw = longs(&[0x2000, 3, 0x3000, 100]);
        let (errno, body) = reply(&ioctl_request(0, NSM_IOCTL_RAW, &raw));
        let pieces = longs(&[0x1000, 32, 0x2000, 3, 0x1000, 32, 0x3000, 100]);
        assert_eq!((errno, body), (0, [words(&[0, 4, 2, 2]), pieces].concat()));

        let (errno, body) = reply(&ioctl_request(0, NSM_IOCTL_RAW, &[&raw[..], b"abc"].concat()));
        let done = [words(&[0, 0, 0, 0]), longs(&[0x2000, 3, 0x3000, 4]), b"abc!".to_vec()].concat();
        assert_eq!((errno, body), (0, done));
    }

    #[test]
    fn everything_else_has_an_error_number() {
        assert_eq!(reply(&request(OPEN, &[0; 8])), (0, vec![0; 16]));
        assert_eq!(reply(&request(RELEASE, &[0; 24])), (0, vec![]));
        assert_eq!(reply(&request(15, &[0; 40])), (-ENOSYS, vec![]));
        assert_eq!(reply(&ioctl_request(0, 0x5401, &[])), (-25, vec![]));
        assert_eq!(reply(&ioctl_request(IOCTL_COMPAT, NSM_IOCTL_RAW, &[])), (-25, vec![]));
        assert_eq!(reply(&request(IOCTL, &[0; 31])), (-EINVAL, vec![]));
        let mut claims_more = ioctl_request(0, NSM_IOCTL_RAW, &[]);
        claims_more[64] = 1;
        assert_eq!(reply(&claims_more), (-EINVAL, vec![]));
        assert!(reply_to(&request(INTERRUPT, &[0; 8]), "nsm", |_| Vec::new()).unwrap().is_none());
        assert!(reply_to(&[0; 39], "nsm", |_| Vec::new()).is_err());
    }

    #[test]
    fn a_name_is_no_path() {
        let mut nothing = tempfile::tempfile().unwrap();
        for name in ["", "../nsm", "a b", &"x".repeat(65), "nsm\0"] {
            let error = serve(&mut nothing, name, |_| Vec::new()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
        serve(&mut nothing, "nsm_simulated-2", |_| Vec::new()).unwrap();
    }

    proptest! {
        #[test]
        fn arbitrary_requests_never_panic(opcode in prop_oneof![Just(INIT), Just(IOCTL), any::<u32>()], body in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = reply_to(&request(opcode, &body), "nsm", |_| Vec::new());
            let _ = reply_to(&body, "nsm", |_| Vec::new());
        }
    }
}
