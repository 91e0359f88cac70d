//! `WakeOnLAN`: the magic packet, from here or from a neighbour of the device.

use std::net::Ipv4Addr;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

use super::{EngineAction, Errand, done, failed, of_transport};
use crate::apply::survey::target;
use crate::apply::{Acted, End};
use crate::diagnose::Category;
use crate::model::operation::Operation;
use crate::model::{Device, Facts, Platform};
use crate::store::StoreError;
use crate::transport::Command;

/// Most cards of a device that are woken, and most networks.
const MOST: usize = 16;
/// Cards that no packet from outside reaches.
const VIRTUAL: [&str; 9] = ["lo", "docker", "veth", "br-", "virbr", "tun", "tap", "wg", "cni"];

/// With what a neighbour has: Python or Perl. `$1` and `$2` are their programs, then port, addresses of cards, networks.
const RELAY: &str = r#"p=$1 q=$2; shift 2; if command -v python3 >/dev/null 2>&1; then exec python3 -c "$p" "$@"; elif command -v perl >/dev/null 2>&1; then exec perl -e "$q" -- "$@"; else echo 'neither python3 nor perl is installed' >&2; exit 69; fi"#;
const PYTHON: &str = "import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
sent = 0
for a in sys.argv[3].split(','):
    for m in sys.argv[2].split(','):
        try:
            s.sendto(b'\\xff' * 6 + bytes.fromhex(m) * 16, (a, int(sys.argv[1])))
            sent += 1
        except OSError as e:
            print(a, e, file=sys.stderr)
sys.exit(0 if sent else 1)";
const PERL: &str = "use Socket; my ($port, $macs, $nets) = @ARGV; my $sent = 0;
socket(S, PF_INET, SOCK_DGRAM, 17) or die $!; setsockopt(S, SOL_SOCKET, SO_BROADCAST, 1) or die $!;
for my $a (split /,/, $nets) { for my $m (split /,/, $macs) {
  if (send(S, (chr(255) x 6) . (pack('H*', $m) x 16), 0, pack_sockaddr_in($port, inet_aton($a)))) { $sent++ } else { warn \"$a $!\\n\" }
} }
exit($sent ? 0 : 1)";
pub(super) const POWERSHELL: &str = r"
$socket = New-Object System.Net.Sockets.UdpClient
$socket.EnableBroadcast = $true
$sent = 0
foreach ($net in $p.nets) {
    foreach ($mac in $p.macs) {
        $packet = New-Object System.Collections.Generic.List[byte]
        for ($i = 0; $i -lt 6; $i++) { $packet.Add(255) }
        for ($n = 0; $n -lt 16; $n++) {
            for ($i = 0; $i -lt 12; $i += 2) { $packet.Add([Convert]::ToByte($mac.Substring($i, 2), 16)) }
        }
        $bytes = $packet.ToArray()
        try { $sent += [int]($socket.Send($bytes, $bytes.Length, $net, $p.port) -gt 0) } catch { $last = $_ }
    }
}
$socket.Close()
if ($sent -eq 0) { throw $last }
";

pub(super) struct WakeOnLan;

/// What is sent where.
struct Packets {
    cards: Vec<[u8; 6]>,
    networks: Vec<Ipv4Addr>,
    port: u16,
}

/// `52:54:00:12:34:56`; all zeros and the broadcast address are nobody's.
fn card(text: &str) -> Option<[u8; 6]> {
    let mut address = [0; 6];
    let mut parts = text.split([':', '-']);
    for byte in &mut address {
        *byte = parts.next().filter(|part| part.len() == 2).and_then(|part| u8::from_str_radix(part, 16).ok())?;
    }
    (parts.next().is_none() && address != [0; 6] && address != [0xff; 6]).then_some(address)
}

/// The broadcast address of `192.0.2.17/24`. A network of one or two has none.
fn broadcast(text: &str) -> Option<Ipv4Addr> {
    let (address, length) = text.split_once('/')?;
    let (address, length): (Ipv4Addr, u32) = (address.parse().ok()?, length.parse().ok()?);
    let usable = length > 0 && length < 31 && !address.is_loopback() && !address.is_link_local();
    usable.then(|| Ipv4Addr::from(u32::from(address) | (u32::MAX >> length)))
}

impl Packets {
    fn of(params: &Value, facts: &Facts) -> Result<Self, String> {
        let list = |path: &str| facts.value(path).and_then(Value::as_array).cloned().unwrap_or_default();
        let real = |item: &&Value| item["name"].as_str().is_none_or(|name| !VIRTUAL.iter().any(|begin| name.starts_with(begin)));
        let interfaces = list("network.interfaces");
        let mut cards: Vec<[u8; 6]> = match params["mac"].as_str() {
            Some(mac) => vec![card(mac).ok_or_else(|| format!("{mac} is not the address of a network card"))?],
            None => list("hardware.nics").iter().chain(&interfaces).filter(real).filter_map(|item| card(item["mac"].as_str()?)).collect(),
        };
        cards.sort_unstable();
        cards.dedup();
        cards.truncate(MOST);
        if cards.is_empty() {
            return Err("no network card of the device is known; collect its inventory while it is on, or name one with mac".into());
        }
        let mut networks: Vec<Ipv4Addr> = if let Some(text) = params["broadcast"].as_str() {
            vec![text.parse().map_err(|_| format!("{text} is not an IPv4 address"))?]
        } else {
            let addresses = interfaces.iter().filter(real).flat_map(|item| item["addresses"].as_array().into_iter().flatten());
            addresses.filter_map(|address| broadcast(address.as_str()?)).chain([Ipv4Addr::BROADCAST]).collect()
        };
        networks.sort_unstable();
        networks.dedup();
        networks.truncate(MOST);
        let port = params["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(9);
        Ok(Self { cards, networks, port })
    }

    fn cards(&self) -> Vec<String> {
        self.cards.iter().map(hex::encode).collect()
    }

    fn networks(&self) -> Vec<String> {
        self.networks.iter().map(ToString::to_string).collect()
    }

    fn told(&self) -> String {
        let colons = |card: &[u8; 6]| card.map(|byte| format!("{byte:02x}")).join(":");
        let cards: Vec<String> = self.cards.iter().map(colons).collect();
        format!("magic packet for {} to {}, UDP port {}", cards.join(", "), self.networks().join(", "), self.port)
    }

    /// What a neighbour runs.
    fn relayed(&self, windows: bool) -> Operation {
        if windows {
            let params = json!({ "port": self.port, "macs": self.cards(), "nets": self.networks() });
            return Operation::PowerShell { script: POWERSHELL.into(), params };
        }
        let (port, cards, networks) = (self.port.to_string(), self.cards().join(","), self.networks().join(","));
        let argv = ["sh", "-c", RELAY, "wake", PYTHON, PERL, &port, &cards, &networks].map(str::to_owned).to_vec();
        Operation::Run { argv, input: None }
    }

    /// Sends from here; how many packets went out.
    async fn send(&self) -> std::io::Result<usize> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        socket.set_broadcast(true)?;
        let (mut sent, mut last) = (0, None);
        for network in &self.networks {
            for card in &self.cards {
                let packet: Vec<u8> = [0xff; 6].into_iter().chain(card.iter().copied().cycle().take(96)).collect();
                match socket.send_to(&packet, (*network, self.port)).await {
                    Ok(_) => sent += 1,
                    Err(error) => last = Some(error),
                }
            }
        }
        match last {
            Some(error) if sent == 0 => Err(error),
            _ => Ok(sent),
        }
    }
}

fn is_windows(device: &Device, facts: &Facts) -> bool {
    facts.value("software.os.family").and_then(Value::as_str).map_or(device.os == Some(Platform::Windows), |family| family == "windows")
}

fn neighbour<'a>(errand: &'a Errand<'_>, device: &Device) -> Result<Option<&'a Arc<Device>>, String> {
    let Some(name) = errand.text("via") else { return Ok(None) };
    let set = &errand.parts.set;
    let via = set.devices.get(name).ok_or_else(|| format!("there is no device '{name}'"))?;
    let site = |device: &Device| device.site.clone().unwrap_or_else(|| set.config.general.default_site.clone());
    if via.name == device.name {
        return Err("a device that is off cannot wake itself: name another one with via".into());
    }
    if site(via) != site(device) {
        return Err(format!("{name} is at another site, from which no broadcast gets to {}", device.name));
    }
    Ok(Some(via))
}

#[async_trait::async_trait]
impl EngineAction for WakeOnLan {
    fn preview(&self, errand: &Errand<'_>) -> Vec<String> {
        let line = |device: &Arc<Device>| {
            let facts = errand.parts.store.facts(&device.name, None).unwrap_or_default();
            match (Packets::of(errand.params, &facts), neighbour(errand, device)) {
                (Err(why), _) | (_, Err(why)) => format!("cannot be done: {why}"),
                (Ok(packets), Ok(None)) => packets.told(),
                (Ok(packets), Ok(Some(via))) => format!("{}, sent by {}", packets.told(), via.name),
            }
        };
        errand.devices.iter().map(line).collect()
    }

    async fn carry_out(&self, errand: &Errand<'_>, cancel: &CancellationToken) -> Result<Acted, StoreError> {
        let device = match errand.device() {
            Ok(device) => device,
            Err(refused) => return Ok(*refused),
        };
        let parts = errand.parts;
        let packets = match Packets::of(errand.params, &parts.store.facts(&device.name, None)?) {
            Ok(packets) => packets,
            Err(why) => return Ok(failed(why)),
        };
        let via = match neighbour(errand, device) {
            Ok(via) => via,
            Err(why) => return Ok(failed(why)),
        };
        let value = json!({ "cards": packets.cards.len(), "networks": packets.networks() });
        let Some(via) = via else {
            return Ok(match packets.send().await {
                Ok(sent) => done(format!("{} ({sent} sent)", packets.told()), value),
                Err(error) => failed(format!("no packet could be sent: {error}")),
            });
        };
        let windows = is_windows(via, &parts.store.facts(&via.name, None)?);
        let answer = match parts.sessions.open(&target(&parts.set, via), cancel).await {
            Ok(session) => {
                let rendered = crate::script::render(&packets.relayed(windows), session.shell());
                let command = Command { line: rendered.line, input: rendered.input.unwrap_or_default(), ..Command::default() };
                session.run(command, cancel).await
            }
            Err(error) => Err(error),
        };
        Ok(match answer {
            Err(error) => {
                let acted = of_transport(parts, &error);
                // It is the neighbour that is away; the device itself is meant to be.
                let end = if acted.end == End::Unreachable { End::Failed } else { acted.end };
                Acted { end, category: Category::Transient, message: format!("{}: {}", via.name, acted.message), ..acted }
            }
            Ok(output) if output.code == 0 => done(format!("{}, sent by {}", packets.told(), via.name), value),
            Ok(output) => failed(format!("{} could not send it: {}", via.name, String::from_utf8_lossy(&output.stderr).trim())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::facts::{Section, Status};

    fn facts() -> Facts {
        let mut facts = Facts::default();
        let interfaces = json!([
            {"name": "lo", "mac": "00:00:00:00:00:00", "addresses": ["127.0.0.1/8"]},
            {"name": "eth0", "mac": "52:54:00:aa:bb:cc", "addresses": ["192.0.2.17/24", "2001:db8::1/64"]},
            {"name": "docker0", "mac": "02:42:00:00:00:01", "addresses": ["172.17.0.1/16"]},
        ]);
        facts.sections.insert("network.interfaces".into(), Section::new(interfaces, Status::Ok, chrono::DateTime::UNIX_EPOCH));
        facts
    }

    #[test]
    fn cards_and_networks_are_those_of_the_inventory_without_virtual_ones() {
        let packets = Packets::of(&json!({}), &facts()).unwrap();
        assert_eq!(packets.told(), "magic packet for 52:54:00:aa:bb:cc to 192.0.2.255, 255.255.255.255, UDP port 9");
        let named = Packets::of(&json!({"mac": "AA-BB-CC-00-11-22", "broadcast": "198.51.100.255", "port": 7}), &Facts::default()).unwrap();
        assert_eq!(named.told(), "magic packet for aa:bb:cc:00:11:22 to 198.51.100.255, UDP port 7");
        assert!(Packets::of(&json!({}), &Facts::default()).is_err_and(|why| why.contains("no network card")));
    }

    /// What `send` and both programs of a neighbour send is what a card waits for.
    #[tokio::test]
    async fn a_socket_receives_the_packet_on_the_broadcast_address_of_the_loopback_network() {
        let listener = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let params = json!({"mac": "52:54:00:12:34:56", "broadcast": "127.255.255.255", "port": port});
        let packets = Packets::of(&params, &Facts::default()).unwrap();
        let mut expected = vec![0xff; 6];
        expected.extend([0x52, 0x54, 0, 0x12, 0x34, 0x56].repeat(16));
        let mut buffer = [0; 200];
        assert_eq!(packets.send().await.unwrap(), 1);
        let (size, _) = listener.recv_from(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..size], expected);
        let line = crate::script::render(&packets.relayed(false), crate::model::Shell::Posix).line;
        for hidden in ["", "python3"] {
            // The second time there is only Perl.
            let line = if hidden.is_empty() { line.clone() } else { line.replacen("command -v python3", "command -v no-python", 1) };
            let program = if hidden.is_empty() { "python3" } else { "perl" };
            let there = std::process::Command::new("sh").args(["-c", &format!("command -v {program}")]).output().unwrap().status.success();
            if !there {
                continue;
            }
            let output = tokio::process::Command::new("sh").args(["-c", &line]).output().await.unwrap();
            assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
            let (size, _) = listener.recv_from(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..size], expected, "{program}");
        }
    }
}
