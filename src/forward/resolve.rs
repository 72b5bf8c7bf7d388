//! From a target's name to addresses, anew for each connection.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::target::Target;

/// Addresses of one name that are tried at most; the others are dropped.
const MAX_ADDRESSES: usize = 16;

/// Lookups at a time: each takes a thread, and a name server that is down would take as many as there are connections.
const MAX_LOOKUPS: usize = 32;

/// The metadata service's IPv6 address (EC2 user guide, *Access instance metadata*). The IPv4 one is link-local.
const METADATA_SERVICE_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254);

/// Finds the addresses of a name.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// Every address of `name`, the preferred ones first.
    ///
    /// # Errors
    /// When there is none, or nobody can be asked.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's own resolver: `/etc/hosts`, and the name servers of `/etc/resolv.conf` as it is at that moment.
#[derive(Debug)]
pub struct SystemResolver {
    lookups: Semaphore,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self { lookups: Semaphore::new(MAX_LOOKUPS) }
    }
}

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let _place = self.lookups.acquire().await.map_err(io::Error::other)?;
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// The addresses to try for `target`, in their order. What a name must not lead to is left out.
pub(super) async fn addresses(target: &Target, resolver: &dyn Resolve) -> io::Result<Vec<SocketAddr>> {
    if let Some(address) = target.address() {
        return Ok(vec![address]);
    }
    let resolved = resolver.resolve(target.name().unwrap_or_default()).await?;
    let usable = resolved.into_iter().filter(|address| may_be_named(*address)).collect();
    let in_order = interleave_families(usable).into_iter().take(MAX_ADDRESSES);
    Ok(in_order.map(|address| SocketAddr::new(address, target.port())).collect())
}

/// Whether a name may lead to `address`. Whoever answers for the name could otherwise lead enclaves to the parent's
/// metadata service and so to its credentials. An operator who means such an address writes it instead of a name.
fn may_be_named(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            !(v4.is_link_local() || v4.is_unspecified() || v4.is_multicast() || v4 == Ipv4Addr::BROADCAST)
        }
        IpAddr::V6(v6) => {
            !(v6.is_unicast_link_local()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6 == METADATA_SERVICE_V6)
        }
    }
}

/// IPv6 and IPv4 by turns, beginning with the family that the resolver prefers (RFC 8305 section 4), so that a family
/// without a way out costs one attempt and not all.
fn interleave_families(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let first_is_v6 = addresses.first().is_some_and(IpAddr::is_ipv6);
    let (preferred, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut preferred, mut other) = (preferred.into_iter(), other.into_iter());
    let mut ordered = Vec::new();
    loop {
        let (one, two) = (preferred.next(), other.next());
        if one.is_none() && two.is_none() {
            return ordered;
        }
        ordered.extend(one);
        ordered.extend(two);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(Vec<&'static str>);

    #[async_trait]
    impl Resolve for Fixed {
        async fn resolve(&self, _name: &str) -> io::Result<Vec<IpAddr>> {
            Ok(self.0.iter().map(|address| address.parse().unwrap()).collect())
        }
    }

    async fn resolved(target: &str, answer: Vec<&'static str>) -> Vec<String> {
        let addresses = addresses(&target.parse().unwrap(), &Fixed(answer)).await.unwrap();
        addresses.iter().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn an_address_is_not_resolved() {
        assert_eq!(resolved("192.0.2.1:443", vec!["192.0.2.9"]).await, ["192.0.2.1:443"]);
        assert_eq!(resolved("169.254.169.254:80", vec![]).await, ["169.254.169.254:80"]);
    }

    #[tokio::test]
    async fn families_take_turns() {
        let answer = vec!["2001:db8::1", "2001:db8::2", "192.0.2.1", "2001:db8::3"];
        let ordered = ["[2001:db8::1]:1", "192.0.2.1:1", "[2001:db8::2]:1", "[2001:db8::3]:1"];
        assert_eq!(resolved("name:1", answer).await, ordered);
        assert_eq!(resolved("name:1", vec!["192.0.2.1", "::1"]).await, ["192.0.2.1:1", "[::1]:1"]);
    }

    #[tokio::test]
    async fn a_name_never_leads_to_the_metadata_service() {
        let answer = vec![
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "fd00:ec2::254",
            "fe80::1",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "10.0.0.1",
        ];
        assert_eq!(resolved("name:80", answer).await, ["10.0.0.1:80"]);
    }

    #[tokio::test]
    async fn no_more_than_sixteen_addresses_are_tried() {
        assert_eq!(resolved("name:80", vec!["192.0.2.1"; 100]).await.len(), MAX_ADDRESSES);
    }
}
