//! Brings the loopback interface up (rtnetlink(7)); the kernel then gives it its addresses.

use std::io;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netdevice, recv, sendto, socket_with,
};

const LOOPBACK: &str = "lo";

/// struct nlmsghdr: length, type, flags, sequence number, sender.
const HEADER_BYTES: usize = 16;
/// struct ifinfomsg: family, padding, device type, index, flags, mask of the flags to change.
const INTERFACE_BYTES: usize = 16;

const RTM_NEWLINK: u16 = 16;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const IFF_UP: u32 = 1;

pub(super) fn bring_up() -> io::Result<()> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    let index = netdevice::name_to_index(&socket, LOOPBACK)?;
    let kernel = SocketAddrNetlink::new(0, 0);
    sendto(&socket, &set_up(index), SendFlags::empty(), &kernel)?;
    let mut answer = [0; 256];
    let (length, _) = recv(&socket, &mut answer, RecvFlags::empty())?;
    acknowledged(answer.get(..length).unwrap_or_default())
}

/// The request to set the flag IFF_UP of the interface with this index.
fn set_up(index: u32) -> [u8; HEADER_BYTES + INTERFACE_BYTES] {
    let length = u32::try_from(HEADER_BYTES + INTERFACE_BYTES).unwrap_or_default();
    let mut message = [0; HEADER_BYTES + INTERFACE_BYTES];
    let fields: [&[u8]; 9] = [
        &length.to_ne_bytes(),
        &RTM_NEWLINK.to_ne_bytes(),
        &(NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes(),
        &1_u32.to_ne_bytes(),
        &0_u32.to_ne_bytes(),
        &[0; 4],
        &index.to_ne_bytes(),
        &IFF_UP.to_ne_bytes(),
        &IFF_UP.to_ne_bytes(),
    ];
    for (byte, value) in message.iter_mut().zip(fields.concat()) {
        *byte = value;
    }
    message
}

/// An answer is a header and a negative error number, or zero.
fn acknowledged(answer: &[u8]) -> io::Result<()> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidData, "the kernel answered with something else");
    let (header, rest) = answer.split_first_chunk::<HEADER_BYTES>().ok_or_else(invalid)?;
    let [_, _, _, _, type_low, type_high, ..] = *header;
    if u16::from_ne_bytes([type_low, type_high]) != NLMSG_ERROR {
        return Err(invalid());
    }
    match i32::from_ne_bytes(*rest.first_chunk().ok_or_else(invalid)?) {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error.saturating_neg())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_the_kernels_layout() {
        let message = set_up(7);
        assert_eq!(message[..8], [32, 0, 0, 0, 16, 0, 5, 0]);
        assert_eq!(message[20..], [7, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]);
    }

    #[test]
    fn an_answer_is_an_acknowledgement_or_an_error() {
        let answer = |kind: u8, error: i32| {
            let mut bytes = vec![36, 0, 0, 0, kind, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
            bytes.extend(error.to_ne_bytes());
            bytes
        };
        assert!(acknowledged(&answer(2, 0)).is_ok());
        let refused = acknowledged(&answer(2, -1)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        for other in [answer(16, 0), answer(2, 0)[..18].to_vec(), Vec::new()] {
            assert_eq!(acknowledged(&other).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }
}
