//! Who holds a lease: this process, and whether such a process is still there.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A holder of leases: one process, or one part of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner(String);

static PARTS: AtomicU64 = AtomicU64::new(1);

impl Owner {
    /// This process; every call gives another holder.
    pub fn this_process() -> Self {
        let part = PARTS.fetch_add(1, Ordering::Relaxed);
        let world = world().unwrap_or("-");
        let pid = std::process::id();
        let begun = begun(pid).unwrap_or_else(|| "-".into());
        Self(format!("{world}/{pid}/{begun}/{part}/{:08x}", rand::random::<u32>()))
    }

    /// A holder by a name of the caller's; nothing is known of whether it lives.
    pub fn named(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// As it stands in the database.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a process of this start of this machine: its clock that nobody sets is ours too.
    pub fn is_here(&self) -> bool {
        world().is_some_and(|here| self.0.split('/').next() == Some(here))
    }

    /// Whether the process is certainly gone. Only told of processes that this one would see if they lived: same
    /// start of the same machine, same process namespace, same user. Of all others the time alone decides.
    pub fn is_gone(&self) -> bool {
        let mut parts = self.0.split('/');
        let (Some(of), Some(pid), Some(since)) = (parts.next(), parts.next(), parts.next()) else { return false };
        let (Some(here), Ok(pid)) = (world(), pid.parse::<u32>()) else { return false };
        of == here && since != "-" && begun(pid).is_none_or(|begun| begun != since)
    }
}

/// Start of the machine, process namespace and user.
fn world() -> Option<&'static str> {
    static WORLD: OnceLock<Option<String>> = OnceLock::new();
    WORLD.get_or_init(find_world).as_deref()
}

fn find_world() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    let digits: String = namespace.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    Some(format!("{}:{digits}:{}", boot.trim(), user()?))
}

#[cfg(unix)]
fn user() -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    Some(std::fs::metadata("/proc/self").ok()?.uid())
}

#[cfg(not(unix))]
fn user() -> Option<u32> {
    None
}

/// When a process began, in ticks: tells it from a later one with the same number.
fn begun(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything; field 22 is the 20th after it. A zombie is no longer at work.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18).map(str::to_owned)
}
