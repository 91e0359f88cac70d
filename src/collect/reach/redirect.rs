//! Which redirects are followed: at most so many, to the web only, never from encrypted to open, and never to an address that
//! is nearer to this machine than the one that is monitored. A site cannot have us ask what only we can reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::{Attempt, Policy};

/// How near an address is. Greater is nearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Nearness {
    /// Anywhere.
    Public,
    /// In a network of one's own.
    Private,
    /// This machine.
    Loopback,
    /// On the same wire, where services of the surroundings (such as the one that hands out a cloud's keys) live; and all
    /// that is no address of a host.
    Link,
}

impl Nearness {
    /// Of an address; one of IPv4 that is wrapped into one of IPv6 is what it leads to.
    pub(super) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        let [first, second, third, _] = address.octets();
        if address.is_loopback() {
            Self::Loopback
        } else if address.is_link_local() || address.is_multicast() || first == 0 || first >= 240 {
            Self::Link
        } else if address.is_private() || (first == 100 && second & 0xc0 == 64) || (first, second, third) == (192, 0, 0) {
            Self::Private
        } else {
            Self::Public
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        let part = address.segments();
        let inner = |high: u16, low: u16| {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            Self::of_v4(Ipv4Addr::new(a, b, c, d))
        };
        if address.is_loopback() {
            Self::Loopback
        } else if address.is_unspecified() || address.is_multicast() || address.is_unicast_link_local() {
            Self::Link
        } else if address.is_unique_local() {
            Self::Private
        } else if part[..6] == [0x64, 0xff9b, 0, 0, 0, 0] || part[..6] == [0; 6] {
            inner(part[6], part[7])
        } else if part[0] == 0x2002 {
            inner(part[1], part[2])
        } else {
            Self::Public
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Public => "a public address",
            Self::Private => "an address of a private network",
            Self::Loopback => "this machine",
            Self::Link => "a link-local address",
        }
    }
}

/// The rule for one look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Redirects {
    most: usize,
    /// Nothing nearer is asked.
    nearest: Nearness,
}

impl Redirects {
    /// For an address that is monitored: what it leads to itself may be asked again, wherever that is.
    pub(super) async fn from(url: &str, most: u8) -> Self {
        let mut nearest = Nearness::Public;
        if most > 0
            && let Ok(url) = Url::parse(url)
        {
            nearest = match literal(&url) {
                Some(address) => Nearness::of(address),
                // Where the name is not known, the look itself says so.
                None => match url.host_str() {
                    Some(host) => {
                        let found = tokio::net::lookup_host((host, 0)).await;
                        found.ok().and_then(|found| found.map(|address| Nearness::of(address.ip())).max()).unwrap_or(nearest)
                    }
                    None => nearest,
                },
            };
        }
        Self::new(most, nearest)
    }

    pub(super) fn new(most: u8, nearest: Nearness) -> Self {
        Self { most: usize::from(most), nearest }
    }

    /// Makes a client follow the rule: the policy looks at what is written, the resolver at what names stand for, each time
    /// that a connection is made.
    pub(super) fn govern(self, client: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
        if self.most == 0 {
            return client.redirect(Policy::none());
        }
        client
            .redirect(Policy::custom(move |attempt| match self.refuses(&attempt) {
                Some(why) => attempt.error(why),
                None => attempt.follow(),
            }))
            .dns_resolver(Arc::new(Resolver(self.nearest)))
    }

    fn refuses(self, attempt: &Attempt<'_>) -> Option<String> {
        let (to, was) = (attempt.url(), attempt.previous().last().map(Url::scheme).unwrap_or_default());
        if to.scheme() != was && !(was == "http" && to.scheme() == "https") {
            return Some(format!("it redirects from {was} to {}", to.scheme()));
        }
        if attempt.previous().len() > self.most {
            return Some(format!("it redirects more than {} times", self.most));
        }
        let address = literal(to)?;
        let found = Nearness::of(address);
        (found > self.nearest).then(|| too_near(&address.to_string(), found))
    }
}

fn too_near(host: &str, found: Nearness) -> String {
    format!("it redirects to {host}, {}, which is not followed from farther away", found.words())
}

fn literal(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Knows only addresses that may be asked.
struct Resolver(Nearness);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let nearest = self.0;
        Box::pin(async move {
            let host = name.as_str();
            let all: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
            let near = all.iter().map(|address| Nearness::of(address.ip())).max().unwrap_or(Nearness::Public);
            let good: Vec<SocketAddr> = all.into_iter().filter(|address| Nearness::of(address.ip()) <= nearest).collect();
            if good.is_empty() && near > nearest {
                return Err(too_near(host, near).into());
            }
            Ok(Box::new(good.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_as_near_as_what_they_lead_to() {
        let of = |text: &str| Nearness::of(text.parse().unwrap());
        for public in ["93.184.216.34", "2606:2800:220:1::1", "172.32.0.1", "100.128.0.1", "64:ff9b::5db8:d822"] {
            assert_eq!(of(public), Nearness::Public, "{public}");
        }
        for private in
            ["10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::"]
        {
            assert_eq!(of(private), Nearness::Private, "{private}");
        }
        for here in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "::127.0.0.1"] {
            assert_eq!(of(here), Nearness::Loopback, "{here}");
        }
        for link in ["169.254.169.254", "fe80::1", "0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "ff02::1"] {
            assert_eq!(of(link), Nearness::Link, "{link}");
        }
    }

    #[tokio::test]
    async fn what_is_monitored_says_how_near_it_may_get() {
        for (url, nearest) in [
            ("http://10.0.0.5/", Nearness::Private),
            ("https://[::1]:8443/", Nearness::Loopback),
            ("http://0x7f.1/", Nearness::Loopback),
            ("http://localhost:80/", Nearness::Loopback),
            ("http://8.8.8.8/", Nearness::Public),
        ] {
            assert_eq!(Redirects::from(url, 1).await.nearest, nearest, "{url}");
        }
    }
}
