//! What changes every moment: processor time, memory in use, counters of disks and network.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answers::Answers;
use super::hardware::{all_volumes, page_files};
use super::take::{count, items, listed, tenth, text};
use crate::collect::raw::{Parsed, unknown};

/// Units of 100 ns in a tick of 1/100 s, and in a millisecond.
const TICK: u64 = 100_000;
const MILLISECOND: u64 = 10_000;

pub(super) fn cpu(answers: &Answers) -> Parsed {
    let part = answers.part("processor-times")?;
    // `0,3`: the fourth processor of the first group. Sums of groups and of all are left out.
    let mut cores: Vec<((u32, u32), &Value)> = listed(part, "items")?
        .iter()
        .filter_map(|one| {
            let name = text(one, "Name")?;
            let (group, core) = name.split_once(',')?;
            Some(((group.trim().parse().ok()?, core.trim().parse().ok()?), one))
        })
        .collect();
    cores.sort_by_key(|(place, _)| *place);
    if cores.is_empty() {
        return unknown("no counter of a processor was told");
    }
    let ticks = |one: &Value, key: &str| count(one, key).unwrap_or(0) / TICK;
    let sum = |key: &str| cores.iter().map(|(_, one)| ticks(one, key)).fold(0, u64::saturating_add);
    let per_core: Vec<Value> = cores
        .iter()
        .map(|(_, one)| {
            json!({
                "user": ticks(one, "PercentUserTime"), "nice": 0, "system": ticks(one, "PercentPrivilegedTime"),
                "idle": ticks(one, "PercentIdleTime"), "iowait": 0, "steal": 0,
            })
        })
        .collect();
    let mhz: Vec<u64> = cores.iter().filter_map(|(_, one)| count(one, "ProcessorFrequency")).filter(|mhz| *mhz > 0).collect();
    // Tenths of a kelvin.
    let heat = items(part, "heat").iter().filter_map(|zone| Some(tenth(count(zone, "CurrentTemperature")? as f64 / 10.0 - 273.15)));
    let heat = heat.filter(|degrees| (-50.0..200.0).contains(degrees)).max_by(f64::total_cmp);
    Ok(json!({
        "load_1": null, "load_5": null, "load_15": null, "cores": cores.len(),
        "user": sum("PercentUserTime"), "nice": 0, "system": sum("PercentPrivilegedTime"), "idle": sum("PercentIdleTime"),
        "iowait": 0, "steal": 0, "per_core": per_core, "mhz": if mhz.is_empty() { Value::Null } else { json!(mhz) },
        "temperature_c": heat,
    }))
}

pub(super) fn memory(answers: &Answers) -> Parsed {
    let part = answers.part("memory-use")?;
    let system = &part["system"];
    let kilobytes = |key: &str| count(system, key).map(|number| number.saturating_mul(1024));
    let counters = items(part, "counters").first().unwrap_or(&Value::Null);
    let total = kilobytes("TotalVisibleMemorySize").filter(|total| *total > 0);
    let available = count(counters, "AvailableBytes").or_else(|| kilobytes("FreePhysicalMemory"));
    let (Some(total), Some(available)) = (total, available) else { return unknown("the memory was not told") };
    let cached =
        ["CacheBytes", "ModifiedPageListBytes", "StandbyCacheCoreBytes", "StandbyCacheNormalPriorityBytes", "StandbyCacheReserveBytes"];
    Ok(json!({
        "total_bytes": total,
        "available_bytes": available,
        "used_percent": tenth(total.saturating_sub(available) as f64 * 100.0 / total as f64),
        "cached_bytes": cached.iter().filter_map(|key| count(counters, key)).fold(0, u64::saturating_add),
        "swap_used_bytes": page_files(part, "CurrentUsage"),
        "swap_total_bytes": page_files(part, "AllocatedBaseSize"),
    }))
}

pub(super) fn volumes(answers: &Answers) -> Parsed {
    let one = |v: super::hardware::Volume| {
        let used = v.size.saturating_sub(v.free);
        let percent = if v.size == 0 { 0.0 } else { tenth(used as f64 * 100.0 / v.size as f64) };
        json!({"mount": v.mount, "size_bytes": v.size, "used_bytes": used, "available_bytes": v.free, "used_percent": percent})
    };
    Ok(all_volumes(answers)?.into_iter().map(one).collect())
}

pub(super) fn disks(answers: &Answers) -> Parsed {
    let part = answers.part("disk-counters")?;
    let mut list: Vec<(u32, Value)> = listed(part, "items")?
        .iter()
        .filter_map(|one| {
            // `0 C: D:`; the sum of all has no number.
            let index: u32 = text(one, "Name")?.split(' ').next()?.parse().ok()?;
            let counted = |key: &str| count(one, key).unwrap_or(0);
            let disk = json!({
                "name": format!("PhysicalDrive{index}"), "reads": counted("DiskReadsPersec"), "writes": counted("DiskWritesPersec"),
                "read_bytes": counted("DiskReadBytesPersec"), "written_bytes": counted("DiskWriteBytesPersec"),
                "read_ms": counted("PercentDiskReadTime") / MILLISECOND, "write_ms": counted("PercentDiskWriteTime") / MILLISECOND,
                "in_flight": counted("CurrentDiskQueueLength"),
            });
            Some((index, disk))
        })
        .collect();
    list.sort_by_key(|(index, _)| *index);
    if list.is_empty() { unknown("no counter of a disk was told") } else { Ok(list.into_iter().map(|(_, disk)| disk).collect()) }
}

pub(super) fn network(answers: &Answers) -> Parsed {
    let part = answers.part("links")?;
    // Kinds by the numbers of IANA: 24 is the loopback, 131 a tunnel.
    let real = |link: &&Value| !matches!(count(link, "type"), Some(24 | 131));
    let one = |link: &Value| {
        let counted = |key: &str| count(link, key).unwrap_or(0);
        Some(json!({
            "name": text(link, "name")?, "received_bytes": counted("received"), "sent_bytes": counted("sent"),
            "received_errors": counted("received_errors"), "sent_errors": counted("sent_errors"),
            "received_dropped": counted("received_dropped"), "sent_dropped": counted("sent_dropped"),
        }))
    };
    let list: Vec<Value> = listed(part, "items")?.iter().filter(real).filter_map(one).collect();
    if list.is_empty() { unknown("no interface was told") } else { Ok(Value::Array(list)) }
}

pub(super) fn uptime(answers: &Answers) -> Parsed {
    let part = answers.part("uptime")?;
    let seconds = listed(part, "items")?.first().and_then(|one| {
        let passed = count(one, "Timestamp_Object")?.checked_sub(count(one, "SystemUpTime")?)?;
        passed.checked_div(count(one, "Frequency_Object")?)
    });
    seconds.map_or_else(|| unknown("the time since the start was not told"), |seconds| Ok(json!({"seconds": seconds})))
}

/// Adapters by the number that Windows gave them at its start, in its order; what they are called is told elsewhere only.
pub(super) fn gpus(answers: &Answers) -> Parsed {
    let part = answers.part("gpu-use")?;
    let mut adapters: BTreeMap<String, (Option<f64>, Option<u64>)> = BTreeMap::new();
    for engine in listed(part, "engines")? {
        let Some(adapter) = text(engine, "Name").and_then(|name| Some(name.split_once(' ')?.0.to_owned())) else { continue };
        let Some(percent) = engine["Percent"].as_f64().filter(|percent| *percent >= 0.0) else { continue };
        // It is as busy as the busiest of its engines.
        let busy = &mut adapters.entry(adapter).or_default().0;
        *busy = Some(busy.unwrap_or(0.0).max(percent.min(100.0)));
    }
    for memory in items(part, "memory") {
        if let Some(adapter) = text(memory, "Name") {
            adapters.entry(adapter).or_default().1 = count(memory, "DedicatedUsage");
        }
    }
    let list = adapters.values().enumerate().map(|(i, (busy, memory))| {
        json!({
            "name": format!("gpu{i}"), "product": null, "busy_percent": busy.map(tenth), "memory_used_bytes": memory,
            "memory_total_bytes": null, "temperature_c": null,
        })
    });
    Ok(list.collect())
}
