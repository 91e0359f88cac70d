//! System, firmware, processors, memory, disks and devices.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::performance::meminfo;
use super::{links, marks};
use crate::collect::raw::{Parsed, Raw, unknown};

/// Texts that vendors leave in for "nothing".
const FILLERS: [&str; 11] = [
    "to be filled by o.e.m.",
    "default string",
    "not specified",
    "none",
    "system serial number",
    "system product name",
    "system manufacturer",
    "system version",
    "unknown",
    "not applicable",
    "0123456789",
];

pub(in crate::collect) fn filled(text: &str) -> Option<&str> {
    let text = text.trim();
    (!text.is_empty() && !FILLERS.contains(&text.to_ascii_lowercase().as_str())).then_some(text)
}

fn dmi<'a>(raw: &Raw<'a>, name: &str) -> Option<&'a str> {
    raw.first(&format!("/sys/class/dmi/id/{name}")).and_then(filled)
}

fn has_dmi(raw: &Raw<'_>) -> bool {
    raw.glob("/sys/class/dmi/id/*").next().is_some()
}

/// Chassis types of the SMBIOS specification that have a name of their own here.
pub(in crate::collect) fn chassis(number: &str) -> &'static str {
    match number.parse::<u32>().unwrap_or(0) {
        3 | 4 | 5 | 6 | 7 | 15 | 16 | 35 => "desktop",
        8 | 9 | 10 | 14 => "laptop",
        11 => "handheld",
        13 => "all-in-one",
        17 | 23 | 25 | 28 | 29 => "server",
        30 => "tablet",
        31 => "convertible",
        32 => "detachable",
        1 => "other",
        _ => "unknown",
    }
}

/// Whether the marks are those of a container.
pub(super) fn contained(marks: &BTreeSet<&str>) -> bool {
    ["/.dockerenv", "/run/.containerenv", "/run/systemd/container"].iter().any(|m| marks.contains(m))
        || (marks.contains("/proc/vz") && !marks.contains("/proc/bc"))
}

fn virtualization(raw: &Raw<'_>) -> &'static str {
    if contained(&marks::all(raw)) {
        return "container";
    }
    let text = ["sys_vendor", "product_name", "bios_vendor", "board_vendor"]
        .map(|n| dmi(raw, n).unwrap_or_default())
        .join("\n")
        .to_ascii_lowercase();
    if let Some(name) = virtualization_of(&text) {
        return name;
    }
    match raw.first("/sys/hypervisor/type") {
        Some("xen") => return "xen",
        Some("kvm") => return "kvm",
        _ => {}
    }
    if raw.block("cpuinfo").unwrap_or_default().lines().any(|l| l == " hypervisor ") { "virtual" } else { "none" }
}

/// The hypervisor that the names in the firmware give away: maker, product, makers of firmware and board, in lower case, a line each.
pub(in crate::collect) fn virtualization_of(text: &str) -> Option<&'static str> {
    let known = [
        ("vmware", "vmware"),
        ("virtualbox", "virtualbox"),
        ("innotek", "virtualbox"),
        ("parallels", "parallels"),
        ("bhyve", "bhyve"),
        ("microsoft corporation\nvirtual machine", "hyperv"),
        ("xen", "xen"),
        ("amazon ec2", "kvm"),
        ("google compute engine", "kvm"),
        ("kvm", "kvm"),
        ("qemu", "kvm"),
        ("openstack", "kvm"),
        ("red hat", "kvm"),
        ("digitalocean", "kvm"),
        ("hetzner", "kvm"),
    ];
    known.into_iter().find(|(needle, _)| text.contains(needle)).map(|(_, name)| name)
}

pub(in crate::collect) fn system(raw: &Raw<'_>) -> Parsed {
    if raw.system == "Darwin" {
        let model = darwin(raw, "hw.model");
        return Ok(
            json!({"vendor": "Apple Inc.", "product": model, "version": null, "serial": null, "uuid": null, "chassis": "unknown", "virtualization": null}),
        );
    }
    let serial = dmi(raw, "product_serial");
    Ok(json!({
        "vendor": dmi(raw, "sys_vendor"),
        "product": dmi(raw, "product_name").or_else(|| marks::value(raw, "model")),
        "version": dmi(raw, "product_version"),
        "serial": serial,
        "uuid": dmi(raw, "product_uuid").map(str::to_ascii_lowercase),
        "chassis": dmi(raw, "chassis_type").map_or("unknown", chassis),
        "virtualization": virtualization(raw),
    }))
}

pub(in crate::collect) fn bios(raw: &Raw<'_>) -> Parsed {
    if !has_dmi(raw) {
        return unknown("the firmware tells nothing (no DMI)");
    }
    Ok(json!({"vendor": dmi(raw, "bios_vendor"), "version": dmi(raw, "bios_version"), "date": dmi(raw, "bios_date")}))
}

pub(in crate::collect) fn board(raw: &Raw<'_>) -> Parsed {
    if !has_dmi(raw) {
        return unknown("the firmware tells nothing (no DMI)");
    }
    Ok(json!({
        "vendor": dmi(raw, "board_vendor"), "product": dmi(raw, "board_name"), "version": dmi(raw, "board_version"), "serial": dmi(raw, "board_serial"),
    }))
}

/// A value of `sysctl` on macOS: `hw.memsize: 17179869184`.
fn darwin<'a>(raw: &Raw<'a>, key: &str) -> Option<&'a str> {
    raw.block("cpuinfo")?.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':').map(str::trim))
}

pub(in crate::collect) fn cpu(raw: &Raw<'_>) -> Parsed {
    if raw.system == "Darwin" {
        let number = |key| darwin(raw, key).and_then(|v| v.parse::<u64>().ok());
        let Some(threads) = number("hw.logicalcpu") else { return unknown("sysctl told nothing of the processor") };
        return Ok(json!({
            "model": darwin(raw, "machdep.cpu.brand_string"), "vendor": darwin(raw, "machdep.cpu.vendor").unwrap_or("Apple"), "architecture": raw.uname[2],
            "sockets": number("hw.packages"), "cores": number("hw.physicalcpu"), "threads": threads, "mhz_max": null,
        }));
    }
    let mut threads = 0_u64;
    let (mut model, mut vendor, mut part) = (None, None, None);
    let (mut socket, mut sockets, mut cores) = ("", BTreeSet::new(), BTreeSet::new());
    for line in raw.block("cpuinfo").unwrap_or_default().lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match key.trim() {
            "processor" => threads += 1,
            "model name" | "cpu model" | "cpu" => model = model.or(Some(value)),
            "vendor_id" | "CPU implementer" => vendor = vendor.or(Some(value)),
            "CPU part" => part = part.or(Some(value)),
            "physical id" => {
                socket = value;
                sockets.insert(value);
            }
            "core id" => {
                cores.insert((socket, value));
            }
            _ => {}
        }
    }
    if threads == 0 {
        return unknown("/proc/cpuinfo cannot be read");
    }
    let vendor = match vendor {
        Some("GenuineIntel") => Some("Intel"),
        Some("AuthenticAMD") => Some("AMD"),
        Some("0x41") => Some("ARM"),
        Some("0xc0") => Some("Ampere"),
        Some("0x61") => Some("Apple"),
        other => other,
    };
    let mhz = raw.number("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq").map(|khz| khz / 1000);
    Ok(json!({
        "model": model.map(str::to_owned).or_else(|| part.map(|p| format!("part {p}"))),
        "vendor": vendor,
        "architecture": raw.uname[2],
        "sockets": sockets.len().max(1),
        "cores": if cores.is_empty() { threads } else { cores.len() as u64 },
        "threads": threads,
        "mhz_max": mhz,
    }))
}

fn gigabytes(bytes: u64) -> f64 {
    (bytes as f64 / 1_073_741_824.0 * 10.0).round() / 10.0
}

pub(in crate::collect) fn memory(raw: &Raw<'_>) -> Parsed {
    let (total, swap) = if raw.system == "Darwin" {
        (darwin(raw, "hw.memsize").and_then(|v| v.parse().ok()), Some(0))
    } else {
        (meminfo(raw, "MemTotal"), meminfo(raw, "SwapTotal"))
    };
    let Some(total) = total.filter(|t| *t > 0) else { return unknown("the size of the memory cannot be read") };
    Ok(
        json!({"total_bytes": total, "total_gb": gigabytes(total), "swap_total_bytes": swap, "modules": modules(raw.block("memory").unwrap_or_default())}),
    )
}

/// The answer of `dmidecode -t 17`; `null` where it was not asked or knows none.
fn modules(text: &str) -> Option<Vec<Value>> {
    let mut list = Vec::new();
    for device in text.split("Memory Device\n").skip(1) {
        let field = |key: &str| device.lines().find_map(|l| l.trim().strip_prefix(key)?.strip_prefix(':').map(str::trim)).and_then(filled);
        let Some(size) = field("Size").and_then(size) else { continue };
        let speed = field("Speed").and_then(|s| s.split(' ').next()?.parse::<u64>().ok());
        list.push(json!({
            "locator": field("Locator"), "size_bytes": size, "type": field("Type"), "speed_mts": speed,
            "manufacturer": field("Manufacturer"), "part_number": field("Part Number"),
        }));
    }
    (!list.is_empty()).then_some(list)
}

fn size(text: &str) -> Option<u64> {
    let (number, unit) = text.split_once(' ')?;
    let factor: u64 = match unit {
        "kB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        "TB" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

pub(in crate::collect) fn disks(raw: &Raw<'_>) -> Parsed {
    let links = links::all(raw);
    let mut list = Vec::new();
    for name in raw.names("/sys/block/", "/size") {
        let at = |rest: &str| raw.first(&format!("/sys/block/{name}/{rest}"));
        let size = at("size").and_then(|s| s.parse::<u64>().ok()).unwrap_or(0).saturating_mul(512);
        if size == 0 || ["loop", "ram", "zram", "dm-", "md", "fd", "sr", "nbd"].iter().any(|p| name.starts_with(p)) {
            continue;
        }
        let target = links.get(format!("/sys/class/block/{name}").as_str()).copied().unwrap_or_default();
        let bus = [
            ("/usb", "usb"),
            ("/nvme", "nvme"),
            ("/virtio", "virtio"),
            ("/ata", "sata"),
            ("/mmc", "mmc"),
            ("/vbd", "xen"),
            ("/host", "scsi"),
        ];
        list.push(json!({
            "name": name, "model": at("device/model"), "vendor": at("device/vendor").filter(|v| !v.starts_with("0x")),
            "serial": at("device/serial").or_else(|| at("serial")), "size_bytes": size,
            "rotational": at("queue/rotational") == Some("1"), "removable": at("removable") == Some("1"),
            "bus": bus.iter().find(|(needle, _)| target.contains(needle)).map(|(_, bus)| bus),
        }));
    }
    Ok(Value::Array(list))
}

pub(in crate::collect) fn gpus(raw: &Raw<'_>) -> Parsed {
    let links = links::all(raw);
    let mut list = Vec::new();
    for card in raw.names("/sys/class/drm/", "/device/vendor") {
        let at = |rest: &str| raw.first(&format!("/sys/class/drm/{card}/device/{rest}"));
        let vendor = match at("vendor").unwrap_or_default() {
            "0x8086" => "Intel",
            "0x10de" => "NVIDIA",
            "0x1002" | "0x1022" => "AMD",
            "0x1af4" => "Red Hat (virtio)",
            "0x15ad" => "VMware",
            "0x1234" => "QEMU",
            "0x102b" => "Matrox",
            "0x1a03" => "ASPEED",
            other => other,
        };
        let driver = links.get(format!("/sys/class/drm/{card}/device/driver").as_str()).and_then(|t| t.rsplit('/').next());
        list.push(json!({"vendor": vendor, "product": at("device"), "driver": driver}));
    }
    Ok(Value::Array(list))
}

pub(in crate::collect) fn nics(raw: &Raw<'_>) -> Parsed {
    let links = links::all(raw);
    let mut list = Vec::new();
    for name in raw.names("/sys/class/net/", "/address") {
        let target = links.get(format!("/sys/class/net/{name}").as_str()).copied().unwrap_or_default();
        if target.contains("/virtual/") || name == "lo" {
            continue;
        }
        let speed = raw.first(&format!("/sys/class/net/{name}/speed")).and_then(|s| s.parse::<i64>().ok()).filter(|s| *s > 0);
        let driver = links.get(format!("/sys/class/net/{name}/device/driver").as_str()).and_then(|t| t.rsplit('/').next());
        list.push(
            json!({"name": name, "mac": raw.first(&format!("/sys/class/net/{name}/address")), "speed_mbps": speed, "driver": driver}),
        );
    }
    Ok(Value::Array(list))
}

pub(in crate::collect) fn usb(raw: &Raw<'_>) -> Parsed {
    let mut list = Vec::new();
    for device in raw.names("/sys/bus/usb/devices/", "/idVendor") {
        let at = |rest: &str| raw.first(&format!("/sys/bus/usb/devices/{device}/{rest}"));
        // Root hubs are the controller itself.
        if device.starts_with("usb") {
            continue;
        }
        list.push(json!({
            "vendor": at("manufacturer").or_else(|| at("idVendor")), "product": at("product").or_else(|| at("idProduct")), "serial": at("serial"),
        }));
    }
    Ok(Value::Array(list))
}

pub(in crate::collect) fn monitors(raw: &Raw<'_>) -> Parsed {
    // The name inside the EDID is binary; the connector is what can be read safely everywhere.
    let connected =
        raw.names("/sys/class/drm/", "/status").filter(|c| raw.first(&format!("/sys/class/drm/{c}/status")) == Some("connected"));
    Ok(Value::Array(connected.map(|name| json!({"name": name.split_once('-').map_or(name, |(_, n)| n), "serial": null})).collect()))
}

pub(in crate::collect) fn battery(raw: &Raw<'_>) -> Parsed {
    let battery = raw.names("/sys/class/power_supply/", "/type").find(|name| {
        let at = |rest: &str| raw.first(&format!("/sys/class/power_supply/{name}/{rest}"));
        at("type") == Some("Battery") && at("scope") != Some("Device")
    });
    let Some(name) = battery else {
        return Ok(json!({"present": false, "capacity_percent": null, "cycles": null, "health_percent": null}));
    };
    let number = |rest: &str| raw.number(&format!("/sys/class/power_supply/{name}/{rest}"));
    let pair = |now, design| Some((number(now)?, number(design).filter(|d| *d > 0)?));
    let health = pair("energy_full", "energy_full_design").or_else(|| pair("charge_full", "charge_full_design"));
    Ok(json!({
        "present": true, "capacity_percent": number("capacity"), "cycles": number("cycle_count").filter(|c| *c > 0),
        "health_percent": health.map(|(now, design)| (now.saturating_mul(100) / design).min(100)),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_modules_are_read_and_empty_slots_are_not_modules() {
        let text = "# dmidecode 3.4\nHandle 0x1100, DMI type 17, 40 bytes\nMemory Device\n\tSize: 16 GB\n\tLocator: DIMM A1\n\tBank Locator: Not Specified\n\tType: DDR4\n\tSpeed: 3200 MT/s\n\tManufacturer: Example\n\tPart Number: EX-16\n\nHandle 0x1101, DMI type 17, 40 bytes\nMemory Device\n\tSize: No Module Installed\n\tLocator: DIMM A2\n";
        let modules = modules(text).unwrap();
        assert_eq!(modules.len(), 1);
        assert_eq!(modules[0]["size_bytes"], 16_u64 << 30);
        assert_eq!(modules[0]["locator"], "DIMM A1");
        assert_eq!(modules[0]["speed_mts"], 3200);
    }
}
