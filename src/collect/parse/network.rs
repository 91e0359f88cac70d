//! Interfaces, routes, name servers, sockets, shares.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Value, json};

use crate::collect::raw::{Parsed, Raw, unknown};
use crate::model::facts::Status;

/// Most sockets that are kept of each kind.
const MAX_SOCKETS: usize = 1000;

pub(in crate::collect) fn interfaces(raw: &Raw<'_>) -> Parsed {
    let addresses = addresses(raw.block("addresses").unwrap_or_default());
    let mut list = Vec::new();
    for name in raw.names("/sys/class/net/", "/mtu") {
        let at = |rest: &str| raw.first(&format!("/sys/class/net/{name}/{rest}"));
        let state = match at("operstate") {
            Some("up") => "up",
            Some("down" | "lowerlayerdown") => "down",
            _ => "unknown",
        };
        let mut own = addresses.get(name).cloned().unwrap_or_default();
        own.sort();
        list.push(json!({
            "name": name, "mac": at("address").filter(|m| *m != "00:00:00:00:00:00"), "mtu": at("mtu").and_then(|m| m.parse::<u64>().ok()),
            "state": state, "addresses": own,
        }));
    }
    if list.is_empty() { unknown("/sys/class/net cannot be read") } else { Ok(Value::Array(list)) }
}

/// `ip -o addr show`, else `ifconfig -a`: addresses with prefix length by interface.
fn addresses(text: &str) -> BTreeMap<&str, Vec<String>> {
    let mut found: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut current = "";
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        if line.starts_with(|c: char| c.is_ascii_digit()) {
            // 2: eth0    inet 192.0.2.1/24 brd ...
            let (_, name) = (words.next(), words.next().unwrap_or_default());
            if matches!(words.next(), Some("inet" | "inet6"))
                && let Some(address) = words.next()
            {
                let name = name.trim_end_matches(':').split('@').next().unwrap_or(name);
                let host = if address.contains(':') { "/128" } else { "/32" };
                found.entry(name).or_default().push(if address.contains('/') { address.to_owned() } else { format!("{address}{host}") });
            }
            continue;
        }
        if !line.starts_with([' ', '\t']) {
            current = words.next().unwrap_or_default().trim_end_matches(':');
            continue;
        }
        let words: Vec<&str> = words.collect();
        let after = |key: &str| words.iter().position(|w| *w == key).and_then(|i| words.get(i + 1)).copied();
        let named = |key: &str| words.iter().find_map(|w| w.strip_prefix(key));
        match words.first() {
            Some(&"inet") => {
                let address = named("addr:").or_else(|| words.get(1).copied());
                let mask = named("Mask:").or_else(|| after("netmask")).and_then(|m| m.parse::<Ipv4Addr>().ok());
                if let (Some(address), Some(mask)) = (address, mask) {
                    found.entry(current).or_default().push(format!("{address}/{}", u32::from(mask).count_ones()));
                }
            }
            Some(&"inet6") => {
                if let Some(address) = words.iter().find(|w| w.contains('/')) {
                    found.entry(current).or_default().push((*address).to_owned());
                } else if let (Some(address), Some(length)) = (words.get(1), after("prefixlen")) {
                    found.entry(current).or_default().push(format!("{address}/{length}"));
                }
            }
            _ => {}
        }
    }
    found
}

fn hex32(text: &str) -> Option<Ipv4Addr> {
    // The kernel prints the four bytes as one number of the machine; every supported machine is little-endian.
    (text.len() == 8).then(|| u32::from_str_radix(text, 16).ok())?.map(|n| Ipv4Addr::from(n.swap_bytes()))
}

/// 16 bytes in order, as in /proc/net/ipv6_route.
fn hex128(text: &str) -> Option<Ipv6Addr> {
    (text.len() == 32).then(|| u128::from_str_radix(text, 16).ok())?.map(Ipv6Addr::from)
}

pub(in crate::collect) fn routes(raw: &Raw<'_>) -> Parsed {
    let mut list = Vec::new();
    for line in raw.lines("/proc/net/route").iter().skip(1) {
        let w: Vec<&str> = line.split_ascii_whitespace().collect();
        let (Some(destination), Some(gateway), Some(mask)) =
            (w.get(1).and_then(|t| hex32(t)), w.get(2).and_then(|t| hex32(t)), w.get(7).and_then(|t| hex32(t)))
        else {
            continue;
        };
        list.push(json!({
            "destination": format!("{destination}/{}", u32::from(mask).count_ones()),
            "gateway": (!gateway.is_unspecified()).then(|| gateway.to_string()),
            "interface": w[0], "metric": w.get(6).and_then(|m| m.parse::<u64>().ok()),
        }));
    }
    for line in raw.lines("/proc/net/ipv6_route") {
        let w: Vec<&str> = line.split_ascii_whitespace().collect();
        let [destination, length, _, _, gateway, metric, _, _, flags, interface] = w[..] else { continue };
        let (Some(destination), Some(gateway)) = (hex128(destination), hex128(gateway)) else { continue };
        let number = |text| u64::from_str_radix(text, 16).ok();
        // Flag 0x80000000 marks the device's own addresses, 0x200 what is rejected.
        let local = number(flags).is_none_or(|f| f & 0x8000_0200 != 0);
        if local || interface == "lo" || destination.is_multicast() {
            continue;
        }
        list.push(json!({
            "destination": format!("{destination}/{}", number(length).unwrap_or(128)),
            "gateway": (!gateway.is_unspecified()).then(|| gateway.to_string()),
            "interface": interface, "metric": number(metric),
        }));
    }
    Ok(Value::Array(list.into_iter().take(MAX_SOCKETS).collect()))
}

pub(in crate::collect) fn dns(raw: &Raw<'_>) -> Parsed {
    let (mut servers, mut search) = (Vec::new(), Vec::new());
    for line in raw.lines("/etc/resolv.conf") {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("nameserver") => servers.extend(words.next()),
            // The last one counts.
            Some("search" | "domain") => search = words.collect(),
            _ => {}
        }
    }
    Ok(json!({"servers": servers, "search": search}))
}

/// `0100007F:1F90` or 32 digits and a port. IPv6 addresses are four numbers of the machine.
fn socket(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    if address.len() == 8 {
        return Some((hex32(address)?.into(), port));
    }
    if address.len() != 32 || !address.is_ascii() {
        return None;
    }
    let mut bytes = [0; 16];
    for (i, chunk) in bytes.chunks_mut(4).enumerate() {
        let number = u32::from_str_radix(&address[i * 8..i * 8 + 8], 16).ok()?;
        chunk.copy_from_slice(&number.to_le_bytes());
    }
    let address = Ipv6Addr::from(bytes);
    Some((address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4), port))
}

struct Socket {
    protocol: &'static str,
    local: (IpAddr, u16),
    remote: Option<(IpAddr, u16)>,
    state: &'static str,
}

/// States in the kernel's numbers, in the words of `ss`, and in ours.
const STATES: [(&str, &str, &str); 11] = [
    ("01", "ESTAB", "established"),
    ("02", "SYN-SENT", "syn-sent"),
    ("03", "SYN-RECV", "syn-received"),
    ("04", "FIN-WAIT-1", "fin-wait-1"),
    ("05", "FIN-WAIT-2", "fin-wait-2"),
    ("06", "TIME-WAIT", "time-wait"),
    ("07", "UNCONN", "unconnected"),
    ("08", "CLOSE-WAIT", "close-wait"),
    ("09", "LAST-ACK", "last-ack"),
    ("0A", "LISTEN", "listen"),
    ("0B", "CLOSING", "closing"),
];

/// `192.0.2.1:22`, `[2001:db8::1]:22`, `*:22`, `127.0.0.53%lo:53`.
fn shown(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.rsplit_once(':')?;
    let address = address.split('%').next()?.trim_matches(['[', ']']);
    let address = if address == "*" { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { address.parse().ok()? };
    let address = match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    };
    Some((address, port.parse().ok()?))
}

fn sockets(text: &str) -> impl Iterator<Item = Socket> {
    text.lines().filter_map(|line| {
        if let Some(line) = line.strip_prefix("/proc/net/") {
            let (file, rest) = line.split_once(':')?;
            let protocol = if file.starts_with("tcp") { "tcp" } else { "udp" };
            let mut words = rest.split_ascii_whitespace().skip(1);
            let (local, remote, state) = (socket(words.next()?)?, socket(words.next()?)?, words.next()?);
            let state = STATES.iter().find(|s| s.0 == state)?.2;
            return Some(Socket { protocol, local, remote: Some(remote), state });
        }
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let protocol = if *words.first()? == "tcp" { "tcp" } else { "udp" };
        let state = STATES.iter().find(|s| Some(&s.1) == words.get(1))?.2;
        Some(Socket { protocol, local: shown(words.get(4)?)?, remote: words.get(5).and_then(|w| shown(w)), state })
    })
}

const NOT_LISTED: &str = "the sockets could not be listed";

/// Whether the command of a block looked at everything: grep ends with 1 where nothing matched, with 2 where a kernel
/// without IPv6 lacks a file, and with more only where it could not look.
fn listed(raw: &Raw<'_>, block: &str) -> Result<(), Status> {
    if matches!(raw.code(block), Some(0..=2)) { Ok(()) } else { unknown(NOT_LISTED) }
}

pub(in crate::collect) fn listeners(raw: &Raw<'_>) -> Parsed {
    let text = raw.block("listeners").unwrap_or_default();
    listed(raw, "listeners")?;
    // Where there are few sockets, they are all in the other block.
    if text.lines().next() == Some("#connections") && raw.code("connections") != Some(0) {
        return unknown(NOT_LISTED);
    }
    if text.trim().is_empty() && raw.code("connections").is_some() {
        listed(raw, "connections")?;
    }
    let others = raw.block("connections").unwrap_or_default();
    let open = sockets(text).chain(sockets(others)).filter(|s| matches!(s.state, "listen" | "unconnected"));
    let mut list: Vec<_> = open.map(|s| (s.protocol, s.local.1, s.local.0)).take(MAX_SOCKETS).collect();
    list.sort();
    list.dedup();
    let value = |(protocol, port, address): (_, _, IpAddr)| json!({"protocol": protocol, "address": address.to_string(), "port": port, "process": null});
    Ok(Value::Array(list.into_iter().map(value).collect()))
}

pub(in crate::collect) fn connections(raw: &Raw<'_>) -> Parsed {
    listed(raw, "connections")?;
    let list =
        sockets(raw.block("connections").unwrap_or_default()).filter(|s| !matches!(s.state, "listen" | "unconnected")).filter_map(|s| {
            let text = |(address, port)| std::net::SocketAddr::new(address, port).to_string();
            Some(json!({"protocol": s.protocol, "local": text(s.local), "remote": text(s.remote?), "state": s.state}))
        });
    Ok(Value::Array(list.take(MAX_SOCKETS).collect()))
}

pub(in crate::collect) fn shares(raw: &Raw<'_>) -> Parsed {
    let mut list = Vec::new();
    let mut share: Option<&str> = None;
    for line in raw.lines("/etc/samba/smb.conf").iter().map(|l| l.trim()) {
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            share = Some(name).filter(|n| !n.eq_ignore_ascii_case("global"));
        } else if let (Some(name), Some((key, value))) = (share, line.split_once('='))
            && matches!(key.trim().to_ascii_lowercase().as_str(), "path" | "directory")
        {
            list.push(json!({"name": name, "path": value.trim(), "protocol": "smb"}));
        }
    }
    for line in raw.lines("/etc/exports").iter().chain(raw.glob("/etc/exports.d/*.exports").flat_map(|(_, l)| l)) {
        if let Some(path) = line.split_ascii_whitespace().next().filter(|p| p.starts_with('/')) {
            list.push(json!({"name": path, "path": path, "protocol": "nfs"}));
        }
    }
    Ok(Value::Array(list))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_ip_and_from_both_forms_of_ifconfig() {
        let ip = "1: lo    inet 127.0.0.1/8 scope host lo\\ valid_lft forever\n2: eth0@if3    inet6 2001:db8::1/64 scope global\n";
        assert_eq!(addresses(ip)["eth0"], ["2001:db8::1/64"]);
        let busybox = "eth0      Link encap:Ethernet  HWaddr 02:00:00:00:00:01\n          inet addr:192.0.2.7  Bcast:192.0.2.255  Mask:255.255.255.0\n          inet6 addr: fe80::1/64 Scope:Link\n";
        assert_eq!(addresses(busybox)["eth0"], ["192.0.2.7/24", "fe80::1/64"]);
        let tools = "eth0: flags=4163<UP>  mtu 1500\n        inet 192.0.2.7  netmask 255.255.254.0  broadcast 192.0.3.255\n        inet6 fe80::1  prefixlen 64  scopeid 0x20<link>\n";
        assert_eq!(addresses(tools)["eth0"], ["192.0.2.7/23", "fe80::1/64"]);
    }

    #[test]
    fn sockets_are_read_as_ss_shows_them() {
        let text = "tcp LISTEN 0 128 [::]:22 [::]:*\nudp UNCONN 0 0 127.0.0.53%lo:53 0.0.0.0:*\ntcp ESTAB 0 0 [::ffff:192.0.2.1]:22 [::ffff:192.0.2.9]:5000\nnoise\n";
        let all: Vec<Socket> = sockets(text).collect();
        assert_eq!(all.len(), 3);
        assert_eq!((all[0].protocol, all[0].local.1, all[0].state), ("tcp", 22, "listen"));
        assert_eq!(all[1].local.0.to_string(), "127.0.0.53");
        assert_eq!(all[2].remote.unwrap().0.to_string(), "192.0.2.9");
    }

    #[test]
    fn sockets_of_the_kernel_are_addresses_and_ports() {
        assert_eq!(socket("0100007F:1F90"), Some((IpAddr::V4(Ipv4Addr::LOCALHOST), 8080)));
        assert_eq!(socket("00000000000000000000000001000000:0016"), Some((IpAddr::V6(Ipv6Addr::LOCALHOST), 22)));
        for bad in ["", "0100007F", "0100007F:", "zz:1", "0100007F:FFFFF", "\u{e9}00000000000000000000000000000:0016"] {
            assert_eq!(socket(bad), None, "{bad}");
        }
    }
}
