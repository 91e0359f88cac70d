//! What changes every moment: load, memory in use, counters of disks and network.

use serde_json::{Value, json};

use super::mounts;
use crate::collect::raw::{Parsed, Raw, unknown};

/// Rounds to one decimal, so that the same value prints the same everywhere.
fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

pub(in crate::collect) fn cpu(raw: &Raw<'_>) -> Parsed {
    let load: Vec<f64> = raw.first("/proc/loadavg").unwrap_or_default().split(' ').take(3).map_while(|w| w.parse().ok()).collect();
    let [load_1, load_5, load_15] = load[..] else { return unknown("/proc/loadavg cannot be read") };
    let mut total = None;
    let mut per_core = Vec::new();
    for line in raw.lines("/proc/stat") {
        let mut words = line.split_ascii_whitespace();
        let Some(name) = words.next().filter(|w| w.starts_with("cpu")) else { continue };
        let ticks: Vec<u64> = words.map_while(|w| w.parse().ok()).collect();
        let tick = |i: usize| ticks.get(i).copied().unwrap_or(0);
        if ticks.len() < 4 {
            return unknown("/proc/stat cannot be read");
        }
        let core = json!({
            "user": tick(0), "nice": tick(1), "system": tick(2), "idle": tick(3), "iowait": tick(4), "steal": tick(7),
        });
        if name == "cpu" { total = Some(core) } else { per_core.push(core) }
    }
    let Some(Value::Object(total)) = total else { return unknown("/proc/stat cannot be read") };
    let mut out = serde_json::Map::new();
    out.insert("load_1".into(), json!(load_1));
    out.insert("load_5".into(), json!(load_5));
    out.insert("load_15".into(), json!(load_15));
    out.insert("cores".into(), json!(per_core.len()));
    out.extend(total);
    out.insert("per_core".into(), Value::Array(per_core));
    let mut mhz: Vec<(u32, u64)> = raw
        .glob("/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq")
        .filter_map(|(path, lines)| {
            let cpu = path.split('/').nth(5)?.strip_prefix("cpu")?.parse().ok()?;
            Some((cpu, lines.first()?.trim().parse::<u64>().ok()? / 1000))
        })
        .collect();
    mhz.sort_unstable();
    let mhz: Vec<u64> = mhz.into_iter().map(|(_, mhz)| mhz).collect();
    out.insert("mhz".into(), if mhz.is_empty() { Value::Null } else { json!(mhz) });
    out.insert("temperature_c".into(), json!(temperature(raw)));
    Ok(Value::Object(out))
}

/// The processor package's own sensor; without one the warmest zone, as the kernel reports it in thousandths.
fn temperature(raw: &Raw<'_>) -> Option<f64> {
    let zones: Vec<(bool, f64)> = raw
        .names("/sys/class/thermal/", "/type")
        .filter_map(|zone| {
            let kind = raw.first(&format!("/sys/class/thermal/{zone}/type"))?;
            let value: f64 = raw.first(&format!("/sys/class/thermal/{zone}/temp"))?.parse().ok()?;
            let value = tenth(value / 1000.0);
            (-50.0..200.0).contains(&value).then_some((kind.contains("pkg_temp") || kind.starts_with("cpu"), value))
        })
        .collect();
    let hottest = |package: bool| zones.iter().filter(|(p, _)| *p || !package).map(|(_, v)| *v).max_by(f64::total_cmp);
    hottest(true).or_else(|| hottest(false))
}

/// A value of /proc/meminfo in bytes.
pub(in crate::collect) fn meminfo(raw: &Raw<'_>, key: &str) -> Option<u64> {
    raw.lines("/proc/meminfo").iter().find_map(|line| {
        let rest = line.strip_prefix(key)?.strip_prefix(':')?.trim();
        rest.strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    })
}

pub(in crate::collect) fn memory(raw: &Raw<'_>) -> Parsed {
    let Some(total) = meminfo(raw, "MemTotal").filter(|t| *t > 0) else { return unknown("/proc/meminfo cannot be read") };
    let get = |key| meminfo(raw, key);
    let cached = get("Cached").unwrap_or(0).saturating_add(get("SReclaimable").unwrap_or(0));
    // Kernels before 3.14 have no MemAvailable; free and cached together are what it stands for.
    let Some(available) = get("MemAvailable").or_else(|| Some(get("MemFree")?.saturating_add(cached))) else {
        return unknown("/proc/meminfo cannot be read");
    };
    let swap_total = get("SwapTotal").unwrap_or(0);
    Ok(json!({
        "total_bytes": total,
        "available_bytes": available,
        "used_percent": tenth(total.saturating_sub(available) as f64 * 100.0 / total as f64),
        "cached_bytes": cached,
        "swap_used_bytes": swap_total.saturating_sub(get("SwapFree").unwrap_or(0)),
        "swap_total_bytes": swap_total,
    }))
}

pub(in crate::collect) fn volumes(raw: &Raw<'_>) -> Parsed {
    let list: Vec<Value> = mounts::volumes(raw)?
        .into_iter()
        .map(|v| {
            let used = v.size.saturating_sub(v.free);
            // As df counts: what only root may use is neither used nor available.
            let base = used.saturating_add(v.available);
            let percent = if base == 0 { 0.0 } else { tenth(used as f64 * 100.0 / base as f64) };
            json!({"mount": v.mount, "size_bytes": v.size, "used_bytes": used, "available_bytes": v.available, "used_percent": percent})
        })
        .collect();
    Ok(Value::Array(list))
}

/// Adapters that tell how busy they are: AMD's driver in the kernel's files, NVIDIA's by its own program, a line each.
pub(in crate::collect) fn gpus(raw: &Raw<'_>) -> Parsed {
    let mut list = Vec::new();
    for card in raw.names("/sys/class/drm/", "/device/gpu_busy_percent") {
        let at = |rest: &str| raw.number(&format!("/sys/class/drm/{card}/device/{rest}"));
        let sensors = format!("/sys/class/drm/{card}/device/hwmon/hwmon*/temp1_input");
        let heat = raw.glob(&sensors).find_map(|(_, lines)| lines.first()?.trim().parse::<f64>().ok());
        list.push(json!({
            "name": card, "product": null, "busy_percent": at("gpu_busy_percent"), "memory_used_bytes": at("mem_info_vram_used"),
            "memory_total_bytes": at("mem_info_vram_total"), "temperature_c": heat.map(|heat| tenth(heat / 1000.0)),
        }));
    }
    for line in raw.block("gpus").unwrap_or_default().lines() {
        // The name comes last: it may hold a comma.
        let words: Vec<&str> = line.splitn(6, ',').map(str::trim).collect();
        let [index, busy, used, total, heat, product] = words[..] else { continue };
        let Ok(index) = index.parse::<u16>() else { continue };
        // `[N/A]` where the adapter does not tell.
        let mebibytes = |text: &str| text.parse::<u64>().ok().and_then(|number| number.checked_mul(1024 * 1024));
        list.push(json!({
            "name": format!("nvidia{index}"), "product": product, "busy_percent": busy.parse::<u64>().ok(),
            "memory_used_bytes": mebibytes(used), "memory_total_bytes": mebibytes(total), "temperature_c": heat.parse::<f64>().ok(),
        }));
    }
    Ok(Value::Array(list))
}

pub(in crate::collect) fn disks(raw: &Raw<'_>) -> Parsed {
    let mut list = Vec::new();
    for line in raw.lines("/proc/diskstats") {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let Some(name) = words.get(2) else { continue };
        if ["loop", "ram", "zram", "fd"].iter().any(|p| name.strip_prefix(p).is_some_and(|n| n.starts_with(|c: char| c.is_ascii_digit()))) {
            continue;
        }
        let n: Vec<u64> = words[3..].iter().map_while(|w| w.parse().ok()).collect();
        if n.len() < 11 {
            return unknown("/proc/diskstats cannot be read");
        }
        // Sectors of this file are 512 bytes, whatever the disk's own are.
        list.push(json!({
            "name": name, "reads": n[0], "writes": n[4],
            "read_bytes": n[2].saturating_mul(512), "written_bytes": n[6].saturating_mul(512),
            "read_ms": n[3], "write_ms": n[7], "in_flight": n[8],
        }));
    }
    Ok(Value::Array(list))
}

pub(in crate::collect) fn network(raw: &Raw<'_>) -> Parsed {
    let mut list = Vec::new();
    for line in raw.lines("/proc/net/dev").iter().skip(2) {
        let Some((name, rest)) = line.split_once(':') else { continue };
        let n: Vec<u64> = rest.split_ascii_whitespace().map_while(|w| w.parse().ok()).collect();
        if n.len() < 12 {
            return unknown("/proc/net/dev cannot be read");
        }
        list.push(json!({
            "name": name.trim(), "received_bytes": n[0], "sent_bytes": n[8], "received_errors": n[2],
            "sent_errors": n[10], "received_dropped": n[3], "sent_dropped": n[11],
        }));
    }
    if list.is_empty() { unknown("/proc/net/dev cannot be read") } else { Ok(Value::Array(list)) }
}

pub(in crate::collect) fn uptime(raw: &Raw<'_>) -> Parsed {
    let seconds = raw.first("/proc/uptime").and_then(|line| line.split(['.', ' ']).next()?.parse::<u64>().ok());
    seconds.map_or_else(|| unknown("/proc/uptime cannot be read"), |seconds| Ok(json!({ "seconds": seconds })))
}
