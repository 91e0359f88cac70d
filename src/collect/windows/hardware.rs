//! System, firmware, processors, memory, disks and devices.

use serde_json::{Value, json};

use super::answers::Answers;
use super::take::{characters, count, flag, items, listed, number, own, tenth, text};
use crate::collect::parse::hardware::{chassis, filled, virtualization_of};
use crate::collect::raw::{Parsed, unknown};

/// A text that its maker filled in.
fn told(value: &Value, key: &str) -> Option<String> {
    text(value, key).filter(|text| filled(text).is_some())
}

pub(super) fn system(answers: &Answers) -> Parsed {
    let machine = answers.part("machine")?;
    let (system, product, bios) = (&machine["system"], &machine["product"], &machine["bios"]);
    let (vendor, model) = (told(system, "Manufacturer"), told(system, "Model"));
    if vendor.is_none() && model.is_none() {
        return unknown("the firmware tells neither maker nor model");
    }
    let kind = items(machine, "enclosure").first().and_then(|enclosure| items(enclosure, "ChassisTypes").first().and_then(number));
    let board = items(machine, "board").first().unwrap_or(&Value::Null);
    let names = [vendor.clone(), model.clone(), told(bios, "Manufacturer"), told(board, "Manufacturer")];
    let names = names.map(Option::unwrap_or_default).join("\n").to_ascii_lowercase();
    // That a hypervisor is there says nothing: Windows itself runs on one where it isolates its secrets.
    Ok(json!({
        "vendor": vendor,
        "product": model,
        "version": told(product, "Version").or_else(|| told(system, "SystemFamily")),
        "serial": told(product, "IdentifyingNumber").or_else(|| told(bios, "SerialNumber")),
        "uuid": told(product, "UUID").map(|uuid| uuid.to_ascii_lowercase()),
        "chassis": kind.map_or("unknown", |kind| chassis(&kind.to_string())),
        "virtualization": virtualization_of(&names).unwrap_or("none"),
    }))
}

pub(super) fn bios(answers: &Answers) -> Parsed {
    let bios = &answers.part("machine")?["bios"];
    let version = told(bios, "SMBIOSBIOSVersion");
    if version.is_none() {
        return unknown("the firmware tells no version");
    }
    // As Linux shows it: month first.
    let date = text(bios, "ReleaseDate").and_then(|moment| chrono::NaiveDate::parse_from_str(moment.get(..10)?, "%Y-%m-%d").ok());
    Ok(json!({"vendor": told(bios, "Manufacturer"), "version": version, "date": date.map(|date| date.format("%m/%d/%Y").to_string())}))
}

pub(super) fn board(answers: &Answers) -> Parsed {
    let machine = answers.part("machine")?;
    let Some(board) = items(machine, "board").first() else { return unknown("the firmware tells nothing of the board") };
    Ok(json!({
        "vendor": told(board, "Manufacturer"), "product": told(board, "Product"), "version": told(board, "Version"),
        "serial": told(board, "SerialNumber"),
    }))
}

pub(super) fn cpu(answers: &Answers) -> Parsed {
    let part = answers.part("processors")?;
    let all = listed(part, "items")?;
    let Some(first) = all.first() else { return unknown("no processor was told") };
    let vendor = match text(first, "Manufacturer").as_deref() {
        Some("GenuineIntel") => Some("Intel".to_owned()),
        Some("AuthenticAMD") => Some("AMD".to_owned()),
        other => other.map(str::to_owned),
    };
    let architecture = match count(first, "Architecture") {
        Some(0) => Some("i686"),
        Some(5) => Some("arm"),
        Some(9) => Some("x86_64"),
        Some(12) => Some("aarch64"),
        _ => None,
    };
    let sum = |key: &str| all.iter().filter_map(|one| count(one, key)).fold(0, u64::saturating_add);
    Ok(json!({
        "model": text(first, "Name").map(|name| name.split_whitespace().collect::<Vec<_>>().join(" ")),
        "vendor": vendor,
        "architecture": architecture,
        "sockets": all.len(),
        "cores": sum("NumberOfCores"),
        "threads": sum("NumberOfLogicalProcessors"),
        "mhz_max": all.iter().filter_map(|one| count(one, "MaxClockSpeed")).max(),
    }))
}

/// Megabytes of all page files.
pub(super) fn page_files(part: &Value, key: &str) -> u64 {
    let megabytes = items(part, "pagefiles").iter().filter_map(|one| count(one, key)).fold(0, u64::saturating_add);
    megabytes.saturating_mul(1 << 20)
}

/// Kinds of memory by the numbers of the SMBIOS specification.
fn memory_kind(number: u64) -> Option<&'static str> {
    Some(match number {
        20 => "DDR",
        21 | 22 => "DDR2",
        24 => "DDR3",
        26 => "DDR4",
        27 => "LPDDR",
        28 => "LPDDR2",
        29 => "LPDDR3",
        30 => "LPDDR4",
        34 => "DDR5",
        35 => "LPDDR5",
        _ => return None,
    })
}

pub(super) fn memory(answers: &Answers) -> Parsed {
    let part = answers.part("memory")?;
    let Some(total) = count(part, "total").filter(|total| *total > 0) else { return unknown("the memory was not told") };
    let modules: Vec<Value> = items(part, "modules")
        .iter()
        .map(|one| {
            json!({
                "locator": text(one, "DeviceLocator"),
                "size_bytes": count(one, "Capacity"),
                "type": count(one, "SMBIOSMemoryType").and_then(memory_kind),
                "speed_mts": count(one, "ConfiguredClockSpeed").or_else(|| count(one, "Speed")).filter(|speed| *speed > 0),
                "manufacturer": told(one, "Manufacturer"),
                "part_number": told(one, "PartNumber"),
            })
        })
        .collect();
    Ok(json!({
        "total_bytes": total,
        "total_gb": tenth(total as f64 / f64::from(1 << 30)),
        "swap_total_bytes": page_files(part, "AllocatedBaseSize"),
        "modules": modules,
    }))
}

/// Buses by the numbers of the storage management interface.
fn bus(number: u64) -> Option<&'static str> {
    Some(match number {
        1 => "scsi",
        2 | 3 | 11 => "sata",
        6 => "fibre",
        7 => "usb",
        8 => "raid",
        9 => "iscsi",
        10 => "sas",
        12 | 13 => "mmc",
        14..=16 => "virtual",
        17 => "nvme",
        _ => return None,
    })
}

pub(super) fn disks(answers: &Answers) -> Parsed {
    let part = answers.part("disks")?;
    let kinds = items(part, "kinds");
    let mut list: Vec<(u64, Value)> = listed(part, "items")?
        .iter()
        .filter_map(|disk| {
            // A reader without a card has no size.
            let (index, size) = (count(disk, "Index")?, count(disk, "Size")?);
            let kind = kinds.iter().find(|kind| count(kind, "DeviceId") == Some(index));
            let of = |key: &str| kind.and_then(|kind| count(kind, key));
            let media = text(disk, "MediaType").unwrap_or_default();
            let by_interface = match text(disk, "InterfaceType").as_deref() {
                Some("USB") => Some("usb"),
                Some("IDE") => Some("sata"),
                Some("SCSI") => Some("scsi"),
                _ => None,
            };
            let serial = told(disk, "SerialNumber").or_else(|| kind.and_then(|kind| told(kind, "SerialNumber")));
            Some((
                index,
                json!({
                    "name": format!("PhysicalDrive{index}"),
                    "model": told(disk, "Model"),
                    "vendor": kind.and_then(|kind| told(kind, "Manufacturer")).or_else(|| {
                        told(disk, "Manufacturer").filter(|vendor| !vendor.starts_with('('))
                    }),
                    "serial": serial.map(|serial| serial.trim_end_matches('.').to_owned()),
                    "size_bytes": size,
                    "rotational": match of("MediaType") { Some(3) => Some(true), Some(4 | 5) => Some(false), _ => None },
                    "removable": media.to_ascii_lowercase().starts_with("removable"),
                    "bus": of("BusType").and_then(bus).or(by_interface),
                }),
            ))
        })
        .collect();
    list.sort_by_key(|(index, _)| *index);
    Ok(list.into_iter().map(|(_, disk)| disk).collect())
}

/// A volume that has a letter or a folder.
pub(super) struct Volume {
    pub(super) mount: String,
    pub(super) device: Option<String>,
    pub(super) fs: Option<String>,
    pub(super) size: u64,
    pub(super) free: u64,
}

/// Volumes of disks, by their place.
pub(super) fn all_volumes(answers: &Answers) -> Result<Vec<Volume>, crate::model::facts::Status> {
    let mut list: Vec<Volume> = listed(answers.part("volumes")?, "items")?
        .iter()
        .filter_map(|one| {
            let mount = text(one, "DriveLetter").or_else(|| text(one, "Name").filter(|name| !name.starts_with(r"\\?\")))?;
            let (size, free) = (count(one, "Capacity")?, count(one, "FreeSpace")?);
            let mount = mount.trim_end_matches('\\').to_owned();
            Some(Volume { mount, device: text(one, "DeviceID"), fs: text(one, "FileSystem"), size, free })
        })
        .collect();
    list.sort_by(|a, b| a.mount.cmp(&b.mount));
    if list.is_empty() { Err(crate::model::facts::Status::Unknown("no volume was told".into())) } else { Ok(list) }
}

pub(super) fn volumes(answers: &Answers) -> Parsed {
    let all = all_volumes(answers)?;
    Ok(all.into_iter().map(|v| json!({"mount": v.mount, "device": v.device, "fs": v.fs, "size_bytes": v.size})).collect())
}

pub(super) fn gpus(answers: &Answers) -> Parsed {
    let part = answers.part("gpus")?;
    let one = |gpu: &Value| json!({"vendor": told(gpu, "AdapterCompatibility"), "product": text(gpu, "Name"), "driver": text(gpu, "DriverVersion")});
    Ok(listed(part, "items")?.iter().map(one).collect())
}

/// `00-1A-2B-3C-4D-5E` or `001A2B3C4D5E` as everywhere else.
pub(super) fn mac(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect::<String>().to_ascii_lowercase();
    let pairs: Vec<&str> = (0..digits.len() / 2).map(|i| &digits[i * 2..i * 2 + 2]).collect();
    (pairs.len() == 6 && pairs.iter().any(|pair| *pair != "00")).then(|| pairs.join(":"))
}

pub(super) fn nics(answers: &Answers) -> Parsed {
    let part = answers.part("nics")?;
    let one = |nic: &Value| {
        // Without a cable some drivers tell the largest number there is.
        let connected = count(nic, "MediaConnectState") == Some(1);
        let speed = count(nic, "Speed").filter(|speed| connected && *speed > 0 && *speed < 10_000_000_000_000);
        let driver = text(nic, "DriverName").and_then(|path| Some(path.rsplit('\\').next()?.to_owned()));
        json!({
            "name": text(nic, "Name"), "mac": text(nic, "PermanentAddress").as_deref().and_then(mac),
            "speed_mbps": speed.map(|speed| speed / 1_000_000), "driver": driver,
        })
    };
    let mut list: Vec<Value> = listed(part, "items")?.iter().map(one).collect();
    list.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
    Ok(Value::Array(list))
}

pub(super) fn usb(answers: &Answers) -> Parsed {
    let part = answers.part("usb")?;
    let mut list: Vec<(String, Value)> = listed(part, "items")?
        .iter()
        .filter_map(|one| {
            let id = text(one, "PNPDeviceID")?;
            let hub = text(one, "Service").is_some_and(|service| service.to_ascii_lowercase().starts_with("usbhub"));
            if hub || id.contains("&MI_") || flag(one, "Present") == Some(false) {
                return None;
            }
            // USB\VID_046D&PID_C534\SERIAL; what Windows made up for want of a number holds an ampersand.
            let serial = id.split('\\').nth(2).filter(|serial| !serial.contains('&')).map(str::to_owned);
            let number = |mark: &str| id.split(mark).nth(1)?.get(..4).map(str::to_ascii_lowercase);
            let device = json!({
                "vendor": told(one, "Manufacturer").filter(|vendor| !vendor.starts_with('(')).or_else(|| number("VID_")),
                "product": text(one, "Name").or_else(|| number("PID_")),
                "serial": serial,
            });
            Some((id, device))
        })
        .collect();
    list.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(list.into_iter().map(|(_, device)| device).collect())
}

pub(super) fn monitors(answers: &Answers) -> Parsed {
    let part = answers.part("monitors")?;
    let one = |monitor: &Value| {
        if flag(monitor, "Active") == Some(false) {
            return None;
        }
        let (maker, model) = (characters(monitor, "ManufacturerName"), characters(monitor, "UserFriendlyName"));
        let model = model.or_else(|| characters(monitor, "ProductCodeID"));
        let name: Vec<String> = [maker, model].into_iter().flatten().collect();
        Some(json!({"name": name.join(" "), "serial": characters(monitor, "SerialNumberID").filter(|serial| serial != "0")}))
    };
    Ok(listed(part, "items")?.iter().filter_map(one).collect())
}

pub(super) fn battery(answers: &Answers) -> Parsed {
    let part = answers.part("battery")?;
    let Some(first) = listed(part, "items")?.first() else {
        return Ok(json!({"present": false, "capacity_percent": null, "cycles": null, "health_percent": null}));
    };
    let more =
        |class: &str, key: &str| part["more"].get(class).and_then(|_| items(&part["more"], class).first()).and_then(|one| count(one, key));
    let made = more("BatteryStaticData", "DesignedCapacity").filter(|made| *made > 0);
    let full = more("BatteryFullChargedCapacity", "FullChargedCapacity").filter(|full| *full > 0);
    Ok(json!({
        "present": true,
        "capacity_percent": count(first, "EstimatedChargeRemaining").map(|percent| percent.min(100)),
        "cycles": more("BatteryCycleCount", "CycleCount").filter(|cycles| *cycles > 0),
        "health_percent": made.zip(full).map(|(made, full)| (full.saturating_mul(100) / made).min(100)),
    }))
}

/// Names of a list, for those that hold nothing else.
pub(super) fn names(value: &Value, key: &str) -> Vec<String> {
    items(value, key).iter().filter_map(own).collect()
}
