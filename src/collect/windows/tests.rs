//! The whole path over a session that answers as a device with Windows would, and what comes of answers that are broken.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::table;
use crate::catalog::facts::fact_pages;
use crate::collect::{Collector, Limits, Observation, Request};
use crate::model::facts::{Facts, Status};
use crate::model::{Category, Platform};
use crate::time::SystemClock;
use crate::transport::{Command, Output, Session, Shell, TransportError};

/// What each part says on a workstation with German Windows. Written after the documentation of the classes, not recorded.
const WINDOWS_11: &str = include_str!("../samples/windows-11.json");

type Spoil = fn(&str) -> String;

/// Answers each part with what stands under its name; keeps what it was asked.
struct Device {
    says: BTreeMap<String, Value>,
    /// How a line is spoilt on its way.
    spoil: Spoil,
    asked: Mutex<Vec<Value>>,
}

impl Device {
    fn new() -> Self {
        Self { says: serde_json::from_str(WINDOWS_11).unwrap(), spoil: str::to_owned, asked: Mutex::default() }
    }

    fn answer(&self, params: &Value) -> String {
        let nonce = params["nonce"].as_str().unwrap();
        let mut out = format!("@{nonce} {}\n", json!({"s": "host", "d": self.says["host"]}));
        for part in params["parts"].as_array().unwrap() {
            let name = part["name"].as_str().unwrap();
            let line = match (self.says.get(name), name.rsplit_once('-').map(|(kind, _)| kind)) {
                (Some(said @ Value::Object(map)), _)
                    if map.contains_key("error") || map.contains_key("unsupported") || map.contains_key("timeout") =>
                {
                    let mut line = said.clone();
                    line["s"] = name.into();
                    line
                }
                (Some(said), _) => json!({"s": name, "d": said}),
                (None, Some("probe-registry")) => json!({"s": name, "d": {"items": registry(&part["asked"])}}),
                (None, Some("probe-files")) => json!({"s": name, "d": {"items": files(&part["asked"])}}),
                (None, _) => continue,
            };
            out += &format!("@{nonce} {line}\r\n");
        }
        (self.spoil)(&format!("{out}@{nonce} done\n"))
    }
}

fn registry(asked: &Value) -> Vec<Value> {
    let one = |(n, one): (usize, &Value)| match one["name"].as_str().unwrap() {
        "EnableMulticast" => json!({"n": n, "exists": true, "kind": "dword", "value": 0}),
        "Denied" => json!({"n": n, "exists": false, "kind": null, "value": null, "error": "Requested registry access is not allowed."}),
        _ => json!({"n": n, "exists": false, "kind": null, "value": null}),
    };
    asked.as_array().unwrap().iter().enumerate().map(one).collect()
}

fn files(asked: &Value) -> Vec<Value> {
    let one = |(n, one): (usize, &Value)| match one["path"].as_str().unwrap() {
        r"C:\a.txt" => {
            json!({"n": n, "type": "file", "size": 3, "sha256": "ab".repeat(32), "owner": "x\\y", "modified": "2026-01-01T00:00:00Z"})
        }
        _ => json!({"n": n, "type": "absent"}),
    };
    asked.as_array().unwrap().iter().enumerate().map(one).collect()
}

#[async_trait::async_trait]
impl Session for Device {
    async fn run(&self, command: Command, _: &CancellationToken) -> Result<Output, TransportError> {
        let sent: Value = serde_json::from_slice(&command.input).unwrap();
        let stdout = self.answer(&sent["params"]).into_bytes();
        self.asked.lock().unwrap().push(sent);
        Ok(Output { stdout, ..Output::default() })
    }

    fn shell(&self) -> Shell {
        Shell::PowerShell
    }
}

async fn collect(device: &Device, request: &Request) -> Observation {
    let cancel = CancellationToken::new();
    Collector::collect(device, request, None, &SystemClock, &cancel, Limits::default()).await.unwrap()
}

async fn facts(device: &Device) -> Facts {
    let observation = collect(device, &Request::full()).await;
    assert_eq!(observation.problems, Vec::<String>::new());
    Facts { sections: observation.sections }
}

#[tokio::test]
async fn the_whole_inventory_comes_in_one_round_trip() {
    let device = Device::new();
    let observation = collect(&device, &Request::full()).await;
    assert_eq!(device.asked.lock().unwrap().len(), 1);
    assert_eq!(observation.sections.len(), Request::full().sections.len());
    for (name, section) in &observation.sections {
        let expected = if table::section(name).is_some() { Status::Ok } else { Status::Unsupported("not observed on Windows".into()) };
        assert_eq!(section.status, expected, "{name}");
    }
}

#[tokio::test]
async fn windows_is_told_in_the_same_facts_as_every_other_system() {
    let facts = facts(&Device::new()).await;
    let rows = [
        ("software.os.family", json!("windows")),
        ("software.os.id", json!("windows")),
        ("software.os.pretty_name", json!("Windows 11 Pro 24H2")),
        ("software.os.version_id", json!("11")),
        ("software.os.kernel", json!("10.0.26100.2314")),
        ("software.os.fqdn", json!("ws-017.example.com")),
        ("software.os.architecture", json!("x86_64")),
        ("software.os.package_manager", json!("winget")),
        ("software.os.role", json!("workstation")),
        ("hardware.system.chassis", json!("laptop")),
        // A hypervisor is there, and yet it is no virtual machine.
        ("hardware.system.virtualization", json!("none")),
        ("hardware.system.serial", json!("7XK2P14")),
        ("hardware.bios.date", json!("03/14/2025")),
        ("hardware.cpu.vendor", json!("Intel")),
        ("hardware.memory.total_gb", json!(15.7)),
        (
            "hardware.memory.modules",
            json!([{"locator": "DIMM A", "size_bytes": 17_179_869_184_u64, "type": "DDR5", "speed_mts": 5200,
            "manufacturer": "80CE000080CE", "part_number": "M425R2GA3BB0-CWMOD"}]),
        ),
        (
            "hardware.disks",
            json!([{"name": "PhysicalDrive0", "model": "KIOXIA KBG50ZNS512G", "vendor": null, "serial": "8CE3_8E10_0123_4567",
            "size_bytes": 512_105_932_800_u64, "rotational": false, "removable": false, "bus": "nvme"}]),
        ),
        ("hardware.volumes.0.mount", json!("C:")),
        ("hardware.volumes.1.mount", json!(r"C:\mnt\data")),
        ("hardware.nics.0", json!({"name": "Ethernet", "mac": "00:e0:4c:68:00:01", "speed_mbps": null, "driver": null})),
        ("hardware.nics.1.speed_mbps", json!(1201)),
        (
            "hardware.usb",
            json!([{"vendor": "046d", "product": "USB-Verbundger\u{e4}t", "serial": null},
            {"vendor": "SanDisk", "product": "USB-Massenspeicherger\u{e4}t", "serial": "4C530001230405118164"}]),
        ),
        ("hardware.monitors", json!([{"name": "DEL DELL U2722DE", "serial": "HJ12"}, {"name": "AUO FA9B", "serial": null}])),
        ("hardware.battery", json!({"present": true, "capacity_percent": 87, "cycles": 112, "health_percent": 94})),
        ("software.hotfixes.KB5046617.installed_on", json!("2026-11-12")),
        ("software.hotfixes.KB5045934.installed_on", Value::Null),
        ("software.packages", json!({"7-Zip 24.08 (x64)": "24.08", "Contoso Agent": "2.1, 2.3"})),
        (
            "software.store_apps",
            json!({
                "Contoso.Till": {"version": "1.10.0.0", "architectures": ["x64"], "publisher": "abcdef0123456", "for_new_users": false, "users": 2},
                "Microsoft.WindowsCalculator": {"version": "2021.2409.0.0", "architectures": ["neutral", "x64"], "publisher": "8wekyb3d8bbwe",
                    "for_new_users": true, "users": 1},
            }),
        ),
        (
            "software.powershell",
            json!({"version": "5.1.26100.2161", "edition": "Desktop", "language_mode": "FullLanguage", "execution_policy": "RemoteSigned", "newer": ["7.4.6"]}),
        ),
        ("software.services.Spooler.state", json!("running")),
        (
            "software.services.RemoteRegistry",
            json!({"state": "stopped", "startup": "disabled", "display": "Remoteregistrierung",
            "account": "NT AUTHORITY\\LocalService", "delayed": false, "path": "C:\\Windows\\system32\\svchost.exe -k localService -p", "code": 1077}),
        ),
        ("software.services.ContosoAgent.state", json!("failed")),
        (
            "software.startup",
            json!([
                r"C:\ProgramData\Microsoft\Windows\Start Menu\Programs\Startup\x.lnk",
                r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run\SecurityHealth = %windir%\system32\SecurityHealthSystray.exe"
            ]),
        ),
        ("software.scheduled.tasks.\\Backup.schedule", json!(["daily 03:00"])),
        ("software.pending_reboot", json!({"required": true, "reasons": ["updates were installed", "files are to be replaced"]})),
        ("software.automatic_updates.mechanism", json!("wsus")),
        ("software.available_updates.KB5034441.severity", json!("high")),
        ("software.updates", json!({"available": 1, "security": 1, "checked_at": "2026-11-10T03:00:12Z"})),
        ("software.features.SMB1Protocol", json!({"name": "SMB1Protocol", "state": "Disabled", "kind": "feature"})),
        ("software.power.sleep_ac_minutes", json!(30)),
        ("software.power.plan_name", json!("Balanced")),
        ("security.users.kim.groups", json!(["Benutzer"])),
        ("security.users.Administrator.locked", json!(true)),
        ("security.local_admins", json!(["Administrator", "EXAMPLE\\Domain Admins", "S-1-5-21-9-9-9-1107"])),
        ("security.password_policy.max_age_days", json!(99_999)),
        ("security.password_policy.lockout_minutes", json!(0)),
        ("security.password_policy.guest_name", json!("Gast")),
        ("security.user_rights.SeDenyNetworkLogonRight.accounts", json!(["S-1-5-21-1-2-3-501"])),
        ("security.user_rights.SeServiceLogonRight.accounts", json!(["S-1-5-80-0", "verwaist"])),
        ("security.user_rights.SeTcbPrivilege.accounts", json!([])),
        ("security.audit_policy.0CCE922B-69AE-11D9-BED3-505054503030.success", json!(true)),
        ("security.firewall.enabled", json!(false)),
        ("security.firewall.profiles.domain.inbound", json!("block")),
        ("security.firewall.profiles.public.inbound", json!("block")),
        ("security.antivirus.name", json!("Microsoft Defender Antivirus")),
        ("security.antivirus.signatures_age_days", json!(1)),
        ("security.disk_encryption.root_encrypted", json!(true)),
        (
            "security.bitlocker.volumes.1",
            json!({"mount": "D:", "device": "x", "protection": "off", "status": "encrypting", "method": "xts-aes-128", "kind": "fixed"}),
        ),
        ("security.tpm", json!({"present": true, "version": "2.0"})),
        ("security.certificates.0123456789ABCDEF0123456789ABCDEF01234567.store", json!("My, Remote Desktop")),
        ("security.certificates.0123456789ABCDEF0123456789ABCDEF01234567.days_left", json!(40)),
        ("security.certificates.AAAA456789ABCDEF0123456789ABCDEF01234567.days_left", json!(-2)),
        (
            "security.time_sync",
            json!({"service": "w32time", "enabled": true, "servers": ["time.windows.com", "ntp.example.com"], "synchronized": true, "type": "NTP"}),
        ),
        (
            "network.interfaces.1",
            json!({"name": "WLAN", "mac": "a0:b3:39:12:f0:c4", "mtu": 1500, "state": "up", "addresses": ["192.0.2.17/24", "fe80::1c2d:3e4f:5061:7283/64"]}),
        ),
        ("network.dns", json!({"servers": ["192.0.2.53", "2001:db8::53"], "search": ["example.com", "branch.example.com"]})),
        (
            "network.routes",
            json!([{"destination": "0.0.0.0/0", "gateway": "192.0.2.254", "interface": "WLAN", "metric": 35},
            {"destination": "192.0.2.0/24", "gateway": null, "interface": "WLAN", "metric": 291},
            {"destination": "fe80::/64", "gateway": null, "interface": "WLAN", "metric": 291}]),
        ),
        (
            "network.listeners",
            json!([{"protocol": "tcp", "address": "::", "port": 445, "process": "System"},
            {"protocol": "tcp", "address": "0.0.0.0", "port": 5985, "process": "System"}, {"protocol": "udp", "address": "0.0.0.0", "port": 5353, "process": "svchost"}]),
        ),
        (
            "network.connections",
            json!([{"protocol": "tcp", "local": "192.0.2.17:50123", "remote": "198.51.100.7:443", "state": "established"}]),
        ),
        ("network.shares.1", json!({"name": "data", "path": "D:\\data", "protocol": "smb", "description": null, "special": false})),
        ("network.firewall_rules.WINRM-HTTP-In-TCP.source", json!("policy")),
        ("network.firewall_rules.WINRM-HTTP-In-TCP.remote_addresses", json!("192.0.2.0/24")),
        ("performance.cpu.user", json!(30_000)),
        ("performance.cpu.per_core.0.idle", json!(90_000)),
        ("performance.cpu.temperature_c", json!(45.1)),
        ("performance.memory.used_percent", json!(50.0)),
        ("performance.volumes.0.used_percent", json!(39.0)),
        (
            "performance.disks.0",
            json!({"name": "PhysicalDrive0", "reads": 1000, "writes": 2000, "read_bytes": 50_000_000, "written_bytes": 60_000_000,
            "read_ms": 3000, "write_ms": 4000, "in_flight": 1}),
        ),
        ("performance.network.0.received_bytes", json!(123_456)),
        ("performance.uptime.seconds", json!(86_400)),
        (
            "performance.gpus",
            json!([{"name": "gpu0", "product": null, "busy_percent": 30.5, "memory_used_bytes": 268_435_456, "memory_total_bytes": null, "temperature_c": null},
            {"name": "gpu1", "product": null, "busy_percent": 0.0, "memory_used_bytes": 0, "memory_total_bytes": null, "temperature_c": null}]),
        ),
    ];
    let root = facts.to_value();
    for (path, expected) in rows {
        let (section, rest) = facts.section(path).unwrap_or_else(|| panic!("{path}"));
        let mut value = &*section.data;
        for part in rest.split('.').filter(|part| !part.is_empty()) {
            value = match value {
                Value::Array(list) => &list[part.parse::<usize>().unwrap()],
                other => other.get(part).unwrap_or_else(|| panic!("{path}: no {part} in {other}")),
            };
        }
        assert_eq!(*value, expected, "{path}");
    }
    assert!(root["software"]["services"].get("CDPUserSvc_3a1f5").is_none(), "its name changes with every session");
}

/// Every section of the table has a page that says so, and holds what the page says.
#[tokio::test]
async fn every_section_on_windows_has_the_members_of_its_page() {
    let pages = fact_pages();
    let facts = facts(&Device::new()).await;
    // Probes of the table of sections that Windows does not have have no page for it.
    for page in pages.values().filter(|page| page.platforms.contains(&Platform::Windows)) {
        if page.category == Category::Probe {
            assert!(table::probe(&page.name).is_some(), "{} is not asked", page.name);
            continue;
        }
        assert!(table::section(&page.name).is_some(), "{} is not observed", page.name);
    }
    for spec in table::SECTIONS {
        let page = &pages[spec.name];
        assert!(page.platforms.contains(&Platform::Windows), "the page of {} does not name Windows", spec.name);
        let data = &*facts.sections[spec.name].data;
        let one = match (data, page.shape.as_str()) {
            // Rules have no names elsewhere.
            (Value::Object(map), "map") => map.values().next(),
            (Value::Object(map), "list") if spec.name == "network.firewall_rules" => map.values().next(),
            (Value::Array(list), "list") => list.first(),
            (Value::Object(_), "object") => Some(data),
            (other, shape) => panic!("{} is not a {shape}: {other}", spec.name),
        };
        let Some(Value::Object(one)) = one else { continue };
        if page.members.is_empty() {
            continue;
        }
        for (member, about) in page.members() {
            let here = about.platforms.is_empty() || about.platforms.contains(&Platform::Windows);
            // What updates tell depends on where they come from.
            let optional = spec.name == "software.available_updates";
            assert!(!here || optional || one.contains_key(&member), "{} has no {member}", spec.name);
        }
        for member in one.keys() {
            assert!(page.members.contains_key(member), "the page of {} has no {member}", spec.name);
        }
    }
}

#[tokio::test]
async fn probes_are_answered_at_their_places_and_what_windows_has_not_is_said() {
    let device = Device::new();
    let mut request = Request::default();
    let key = r"HKLM\SOFTWARE\Policies\Microsoft\Windows NT\DNSClient";
    for name in ["EnableMulticast", "Denied", "", "'; Remove-Item C:\\"] {
        request.add_probe("registry", vec![key.into(), name.into()]);
    }
    request.add_probe("registry", vec![r"HKCU\Software".into(), "x".into()]);
    request.add_probe("files", vec![r"C:\a.txt".into()]);
    request.add_probe("files", vec!["/etc/motd".into()]);
    request.add_probe("sysctl", vec!["kernel.panic".into()]);
    let seen = collect(&device, &request).await.sections;
    let values = &seen["registry"].data;
    let at = |name: &str| &values[format!("{key}\t{name}")];
    assert_eq!(at("EnableMulticast"), &json!({"exists": true, "kind": "dword", "value": 0}));
    assert_eq!(at(""), &json!({"exists": false, "kind": null, "value": null}));
    assert_eq!(at("Denied"), &json!({"error": "Requested registry access is not allowed."}));
    assert!(values["HKCU\\Software\tx"]["error"].as_str().unwrap().contains("HKLM"), "{values}");
    assert_eq!(seen["files"].data[r"C:\a.txt"]["sha256"], "ab".repeat(32));
    assert!(seen["files"].data["/etc/motd"]["error"].as_str().unwrap().contains("no path of Windows"));
    assert!(matches!(seen["sysctl"].status, Status::Unsupported(_)));
    let asked = device.asked.lock().unwrap();
    let script = asked[0]["script"].as_str().unwrap();
    assert!(!script.contains("Remove-Item"), "values are parameters");
    assert_eq!(asked[0]["params"]["parts"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn only_what_is_asked_for_is_sent_and_each_part_has_its_time() {
    let device = Device::new();
    let request = Request::for_paths(["security.tpm.present", "hardware.bios", "hardware.board"]);
    let seen = collect(&device, &request).await;
    assert_eq!(seen.sections.len(), 3);
    let asked = device.asked.lock().unwrap();
    let parts: Vec<(&str, u64)> = asked[0]["params"]["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| (p["name"].as_str().unwrap(), p["seconds"].as_u64().unwrap()))
        .collect();
    assert_eq!(parts, [("tpm", 20), ("machine", 20)]);
    // The script ends by itself before its session is ended.
    assert!(asked[0]["params"]["seconds"].as_u64().unwrap() < Limits::default().timeout.as_secs());
}

#[test]
fn no_part_takes_more_than_half_of_the_time() {
    let longest = |timeout: u64| {
        let mut request = Request::full();
        request.add_probe("registry", vec![r"HKLM\SOFTWARE\x".into(), "y".into()]);
        let command = super::compose(&request, "n0nce", Limits { timeout: Duration::from_secs(timeout), max_output: 1 << 20 });
        let sent: Value = serde_json::from_slice(&command.input).unwrap();
        let parts = sent["params"]["parts"].as_array().unwrap().iter().map(|part| part["seconds"].as_u64().unwrap());
        (parts.max(), sent["params"]["seconds"].as_u64())
    };
    assert_eq!(longest(300), (Some(90), Some(292)));
    assert_eq!(longest(60), (Some(26), Some(52)));
    assert_eq!(longest(10), (Some(2), Some(5)));
}

#[tokio::test]
async fn what_fails_hangs_or_is_absent_costs_nothing_but_itself() {
    let mut device = Device::new();
    device.says.insert("bitlocker".into(), json!({"unsupported": "the module is not there"}));
    device.says.insert("accounts".into(), json!({"timeout": true}));
    device.says.insert("services".into(), json!({"error": "Zugriff verweigert"}));
    device.says.insert("tpm".into(), Value::Null);
    device.says.insert("capabilities".into(), json!({"unsupported": "no DISM"}));
    device.says.remove("os");
    let seen = collect(&device, &Request::full()).await.sections;
    let status = |name: &str| seen[name].status.clone();
    assert_eq!(status("security.disk_encryption"), Status::Unsupported("the module is not there".into()));
    for name in ["security.users", "security.groups", "security.local_admins"] {
        assert_eq!(status(name), Status::Unknown("'accounts' did not end in time".into()));
    }
    assert_eq!(status("software.services"), Status::Unknown("'services': Zugriff verweigert".into()));
    assert_eq!(status("security.tpm"), Status::Unknown("'tpm': it answered nothing".into()));
    assert!(matches!(status("software.os"), Status::Unknown(why) if why.contains("said nothing")));
    assert_eq!(status("software.features"), Status::Ok);
    assert_eq!(status("hardware.cpu"), Status::Ok);
    assert!(seen["security.users"].data.is_null());
}

#[tokio::test]
async fn an_answer_that_is_empty_or_not_ours_is_unknown_and_never_compliant() {
    let spoilt: [(Spoil, &str); 4] = [
        (|_| String::new(), "printed nothing"),
        (|text| text.replace('@', "@x"), "no part of the output"),
        (|text| text.replace(" done", ""), "did not run to its end"),
        (|text| text.replace(r#","d":"#, r#","e":"#), "are damaged"),
    ];
    for (spoil, problem) in spoilt {
        let device = Device { spoil, ..Device::new() };
        let request = Request::categories(&[Category::Security]);
        let seen = collect(&device, &request).await;
        assert!(seen.problems.iter().any(|found| found.contains(problem)), "{problem}: {:?}", seen.problems);
        if problem != "did not run to its end" {
            let observed = seen.sections.values().filter(|section| section.status == Status::Ok).count();
            assert_eq!(observed, 0, "{problem}");
        }
    }
    // Each part answers, with nothing in it.
    let mut device = Device::new();
    for said in device.says.values_mut() {
        *said = json!({});
    }
    let seen = collect(&device, &Request::full()).await;
    let believed: Vec<&str> = seen.sections.iter().filter(|(_, section)| section.status == Status::Ok).map(|(name, _)| &**name).collect();
    assert_eq!(believed, Vec::<&str>::new());
}

#[tokio::test]
async fn where_powershell_is_restricted_that_is_known_and_told_everywhere() {
    let device = Device { spoil: |_| "rmm-language-mode ConstrainedLanguage 5.1.22621.4391\r\n".into(), ..Device::new() };
    let mut request = Request::full();
    request.add_probe("registry", vec![r"HKLM\SOFTWARE\x".into(), "y".into()]);
    let seen = collect(&device, &request).await;
    assert!(seen.problems.iter().any(|problem| problem.contains("ConstrainedLanguage")), "{:?}", seen.problems);
    for (name, section) in &seen.sections {
        if &**name == "software.powershell" {
            assert_eq!((section.status.clone(), &section.data["language_mode"]), (Status::Ok, &json!("ConstrainedLanguage")));
        } else {
            assert!(matches!(&section.status, Status::Unknown(why) if why.contains("App Control")), "{name}: {:?}", section.status);
        }
    }
}

/// Cut at any place, and with any value exchanged for nonsense, an answer is read without harm.
#[tokio::test]
async fn hostile_answers_are_read_without_harm() {
    fn poisoned(value: &Value, poison: &Value) -> Value {
        match value {
            Value::Object(map) => map.iter().map(|(k, v)| (k.clone(), poisoned(v, poison))).collect(),
            Value::Array(list) => list.iter().map(|v| poisoned(v, poison)).collect(),
            _ => poison.clone(),
        }
    }
    for poison in [
        json!(null),
        json!(-1),
        json!(u64::MAX),
        json!(1e300),
        json!("\u{0}\u{1b}[2J"),
        json!("x".repeat(100_000)),
        json!(true),
        json!([[[]]]),
        json!({"a": {"b": []}}),
        json!(""),
        json!("@n0nce {}"),
        json!(18_446_744_073_709_551_615_u64),
    ] {
        let mut device = Device::new();
        for said in device.says.values_mut() {
            *said = poisoned(said, &poison);
        }
        let seen = collect(&device, &Request::full()).await;
        for (name, section) in &seen.sections {
            let text = section.data.to_string();
            assert!(!text.contains("\\u001b") && text.len() < 200_000, "{name}: {} bytes", text.len());
        }
    }
    let device = Device::new();
    let request = Request::full();
    let command = super::compose(&request, "n0nce", Limits::default());
    let sent: Value = serde_json::from_slice(&command.input).unwrap();
    let whole = device.answer(&sent["params"]);
    for end in (0..whole.len()).step_by(whole.len() / 97) {
        let seen = super::observe(&request, "n0nce", &whole.as_bytes()[..end], chrono::Utc::now());
        assert_eq!(seen.sections.len(), request.sections.len());
        assert!(!seen.problems.is_empty());
    }
}

#[test]
fn the_command_is_one_line_that_fits_and_the_rest_is_short_enough_for_one_message() {
    let command = super::compose(&Request::full(), "n0nce", Limits { timeout: Duration::from_mins(5), max_output: 1 << 20 });
    assert!(command.line.len() < 8_191 && command.input.len() < 100_000, "{} {}", command.line.len(), command.input.len());
    let parts: Vec<&str> = table::PARTS.iter().map(|part| part.name).collect();
    for spec in table::SECTIONS {
        assert!(spec.parts.iter().all(|part| parts.contains(part)), "{}", spec.name);
    }
    for name in parts {
        assert!(!super::compose::text(name).is_empty(), "{name}");
        assert!(table::SECTIONS.iter().any(|spec| spec.parts.contains(&name)), "{name} is asked by nobody");
    }
    for file in super::compose::SCRIPTS.files() {
        let name = file.path().file_stem().unwrap().to_str().unwrap();
        let known = table::PARTS.iter().any(|part| part.name == name) || table::PROBES.iter().any(|probe| probe.part == name);
        assert!(known || ["run", "frame"].contains(&name), "{name} is used by nobody");
    }
}

#[tokio::test]
async fn measures_follow_from_two_observations() {
    let mut measurer = crate::collect::measure::Measurer::default();
    let mut device = Device::new();
    let request = Request::categories(&[Category::Performance]);
    let mut sections = collect(&device, &request).await.sections;
    assert!(measurer.measure("ws-017", &sections).iter().any(|one| one.metric == "DiskSpace" && &*one.instance == "C:"));
    // A minute later: one processor worked 30 s of it, the other none.
    let add = |value: &mut Value, more: u64| *value = (value.as_u64().unwrap() + more).into();
    let mut later =
        |part: &str, place: usize, key: &str, more: u64| add(&mut device.says.get_mut(part).unwrap()["items"][place][key], more);
    later("processor-times", 1, "PercentIdleTime", 600_000_000);
    later("processor-times", 2, "PercentIdleTime", 300_000_000);
    later("processor-times", 2, "PercentUserTime", 300_000_000);
    later("disk-counters", 0, "DiskReadsPersec", 600);
    later("links", 0, "received", 6_000_000);
    later("uptime", 0, "Timestamp_Object", 600_000_000);
    let earlier = chrono::Utc::now() - chrono::TimeDelta::seconds(60);
    for section in sections.values_mut() {
        section.collected_at = earlier;
    }
    let mut measurer = crate::collect::measure::Measurer::default();
    measurer.measure("ws-017", &sections);
    let measures = measurer.measure("ws-017", &collect(&device, &request).await.sections);
    let value = |metric: &str, instance: &str| measures.iter().find(|m| m.metric == metric && &*m.instance == instance).map(|m| m.value);
    assert_eq!(value("CPU", ""), Some(25.0));
    assert_eq!((value("CPUCore", "0"), value("CPUCore", "1")), (Some(50.0), Some(0.0)));
    assert!(value("DiskIOPS", "PhysicalDrive0").is_some_and(|iops| (9.0..=10.1).contains(&iops)), "{measures:?}");
    assert!(value("NetworkReceived", "WLAN").is_some_and(|rate| (90_000.0..=101_000.0).contains(&rate)));
    assert_eq!(value("Load", ""), None, "Windows counts none");
}
