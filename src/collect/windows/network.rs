//! Interfaces, name servers, routes, sockets, shares.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use serde_json::{Value, json};

use super::answers::Answers;
use super::hardware::{mac, names};
use super::take::{MOST, count, listed, number, text};
use crate::collect::raw::{Parsed, unknown};

/// Most connections that are told.
const MOST_CONNECTIONS: usize = 1_000;
/// From here on ports are given to programs that ask for any.
const ANY_PORT: u64 = 49_152;

/// An address without the zone that it is valid in.
fn address(text: &str) -> Option<IpAddr> {
    text.split('%').next()?.parse().ok()
}

pub(super) fn interfaces(answers: &Answers) -> Parsed {
    let all = listed(answers.part("links")?, "items")?;
    let one = |link: &Value| {
        let mut addresses: Vec<String> = names(link, "addresses")
            .iter()
            .filter_map(|text| {
                let (text, length) = text.rsplit_once('/')?;
                Some(format!("{}/{}", address(text)?, length.parse::<u8>().ok()?))
            })
            .collect();
        addresses.sort();
        let state = match count(link, "state") {
            Some(1) => "up",
            Some(2 | 5 | 6 | 7) => "down",
            _ => "unknown",
        };
        json!({
            "name": text(link, "name"), "mac": text(link, "mac").as_deref().and_then(mac), "mtu": count(link, "mtu"),
            "state": state, "addresses": addresses,
        })
    };
    let mut list: Vec<Value> = all.iter().map(one).collect();
    list.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
    if list.is_empty() { unknown("no interface was told") } else { Ok(Value::Array(list)) }
}

pub(super) fn dns(answers: &Answers) -> Parsed {
    let part = answers.part("links")?;
    let mut servers: Vec<String> = Vec::new();
    let mut search: Vec<String> = Vec::new();
    let add = |list: &mut Vec<String>, one: String| {
        if !one.is_empty() && !list.contains(&one) && list.len() < 100 {
            list.push(one);
        }
    };
    for name in text(part, "search").unwrap_or_default().split([',', ' ']) {
        add(&mut search, name.to_owned());
    }
    for key in ["domain", "leased"] {
        add(&mut search, text(part, key).unwrap_or_default());
    }
    let links = listed(part, "items")?;
    if links.is_empty() {
        return unknown("no interface was told");
    }
    for link in links.iter().filter(|link| count(link, "state") == Some(1)) {
        for server in names(link, "servers").iter().filter_map(|text| address(text)) {
            // What Windows tells where IPv6 has no server at all.
            let made_up = matches!(server, IpAddr::V6(v6) if v6.segments()[..7] == [0xfec0, 0, 0, 0xffff, 0, 0, 0]);
            if !made_up {
                add(&mut servers, server.to_string());
            }
        }
        add(&mut search, text(link, "suffix").unwrap_or_default());
    }
    Ok(json!({"servers": servers, "search": search}))
}

pub(super) fn routes(answers: &Answers) -> Parsed {
    let part = answers.part("routes")?;
    let told = listed(part, "items")?;
    if told.is_empty() {
        // Those to itself are always there.
        return unknown("no route was told");
    }
    let mut list: Vec<Value> = told
        .iter()
        .filter_map(|route| {
            let destination = text(route, "DestinationPrefix")?;
            let (network, length) = destination.split_once('/')?;
            let (network, length) = (address(network)?, length.parse::<u8>().ok()?);
            let gateway = text(route, "NextHop").and_then(|hop| address(&hop)).filter(|hop| !hop.is_unspecified());
            let host = length == if network.is_ipv4() { 32 } else { 128 };
            // 0 is the store of what is kept for the next start.
            let kept = count(route, "Store") == Some(0);
            if kept || network.is_multicast() || network.is_loopback() || (host && gateway.is_none()) {
                return None;
            }
            let metric = count(route, "RouteMetric").map(|own| own.saturating_add(count(route, "InterfaceMetric").unwrap_or(0)));
            Some(json!({
                "destination": format!("{network}/{length}"), "gateway": gateway.map(|hop| hop.to_string()),
                "interface": text(route, "InterfaceAlias"), "metric": metric,
            }))
        })
        .collect();
    list.sort_by_cached_key(ToString::to_string);
    list.dedup();
    Ok(Value::Array(list))
}

/// States of a connection by the numbers of Windows.
fn state(number: u64) -> &'static str {
    match number {
        1 => "closed",
        2 => "listen",
        3 => "syn-sent",
        4 => "syn-received",
        5 => "established",
        6 => "fin-wait-1",
        7 => "fin-wait-2",
        8 => "close-wait",
        9 => "closing",
        10 => "last-ack",
        11 => "time-wait",
        _ => "unknown",
    }
}

/// Address and port at these places of a list.
fn socket(list: &[Value], at: usize) -> Option<(IpAddr, u16)> {
    Some((address(list.get(at)?.as_str()?)?, u16::try_from(number(list.get(at + 1)?)?).ok()?))
}

pub(super) fn listeners(answers: &Answers) -> Parsed {
    let part = answers.part("sockets")?;
    for key in ["tcp", "udp"] {
        listed(part, key)?;
    }
    let process = |list: &[Value], at: usize| list.get(at).and_then(super::take::own);
    let mut found: BTreeSet<(&str, u16, IpAddr, Option<String>)> = BTreeSet::new();
    for list in rows(part, "tcp").filter(|list| list.get(4).and_then(number) == Some(2)) {
        if let Some((address, port)) = socket(list, 0) {
            found.insert(("tcp", port, address, process(list, 5)));
        }
    }
    for list in rows(part, "udp") {
        if let Some((address, port)) = socket(list, 0).filter(|(_, port)| u64::from(*port) < ANY_PORT) {
            found.insert(("udp", port, address, process(list, 2)));
        }
    }
    if found.is_empty() {
        return unknown("no socket was told");
    }
    let one = |(protocol, port, address, process): (&str, u16, IpAddr, Option<String>)| json!({"protocol": protocol, "address": address.to_string(), "port": port, "process": process});
    Ok(found.into_iter().map(one).collect())
}

pub(super) fn connections(answers: &Answers) -> Parsed {
    let part = answers.part("sockets")?;
    listed(part, "tcp")?;
    let one = |list: &[Value]| {
        // 2 listens, 100 is bound and not yet connected.
        let number = list.get(4).and_then(number).filter(|number| !matches!(number, 2 | 100))?;
        let text = |(address, port)| SocketAddr::new(address, port).to_string();
        Some(json!({"protocol": "tcp", "local": text(socket(list, 0)?), "remote": text(socket(list, 2)?), "state": state(number)}))
    };
    Ok(rows(part, "tcp").filter_map(one).take(MOST_CONNECTIONS).collect())
}

/// A list of lists.
fn rows<'v>(part: &'v Value, key: &str) -> impl Iterator<Item = &'v [Value]> {
    let whole = part.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    // One row alone comes without the brackets around it.
    let single = whole.first().is_some_and(|first| !first.is_array()).then_some(whole);
    let many = if single.is_some() { &[][..] } else { whole };
    single.into_iter().chain(many.iter().filter_map(Value::as_array).map(Vec::as_slice)).take(MOST)
}

pub(super) fn shares(answers: &Answers) -> Parsed {
    /// Set where Windows made the share itself.
    const SPECIAL: u64 = 0x8000_0000;
    let part = answers.part("shares")?;
    let one = |share: &Value| {
        // Kinds: 0 a directory, 1 a printer, 3 the one for calls between processes.
        let kind = count(share, "Type").filter(|kind| kind % 0x100 == 0)?;
        Some(json!({
            "name": text(share, "Name")?, "path": text(share, "Path"), "protocol": "smb", "description": text(share, "Description"),
            "special": kind & SPECIAL != 0,
        }))
    };
    let told = listed(part, "items")?;
    if told.is_empty() {
        // Windows has some itself wherever it has any.
        return unknown("no share was told");
    }
    let mut list: Vec<Value> = told.iter().filter_map(one).collect();
    list.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
    Ok(Value::Array(list))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::facts::Status;

    #[test]
    fn a_list_of_sockets_that_is_cut_is_no_list_of_listeners() {
        let told = |udp: Vec<Value>| {
            let said = json!({"s": "sockets", "d": {"tcp": [["0.0.0.0", 5985, "0.0.0.0", 0, 2, "System"]], "udp": udp}});
            listeners(&Answers::read(format!("@n0nce {said}\n").as_bytes(), "n0nce"))
        };
        let one = json!(["0.0.0.0", 53, "dns"]);
        assert_eq!(told(vec![one.clone()]).unwrap().as_array().map(Vec::len), Some(2));
        let many = (0..2_000).map(|port| json!(["0.0.0.0", port, "dns"])).collect();
        assert_eq!(told(many).unwrap().as_array().map(Vec::len), Some(2_001), "listeners are told whole");
        assert!(matches!(told(vec![one; MOST + 1]), Err(Status::Unknown(why)) if why.contains("more than")));
    }
}
