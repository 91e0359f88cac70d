//! The root that all devices are copies of: made once per machine, kept beside the other things that the build has made.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Grows when another root is wanted.
const VERSION: u32 = 1;

/// The root; why there is none.
pub(super) fn root() -> Result<PathBuf, String> {
    let codename = release("VERSION_CODENAME").ok_or("this machine does not say which Debian it is")?;
    if !["/usr/sbin/debootstrap", "/usr/bin/debootstrap"].iter().any(|path| Path::new(path).exists()) {
        return Err("debootstrap is missing: tests/run installs it".into());
    }
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("debian");
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let root = folder.join(format!("{codename}-{VERSION}"));
    let lock = std::fs::File::create(folder.join("lock")).map_err(|e| e.to_string())?;
    lock.lock().map_err(|e| e.to_string())?;
    if root.exists() {
        return Ok(root);
    }
    let fresh = folder.join(format!("{codename}-{VERSION}.new"));
    let _ = std::fs::remove_dir_all(&fresh);
    let mirror = mirror(&codename);
    let output = Command::new("debootstrap")
        .args(["--variant=minbase", "--include=openssh-server", &codename])
        .arg(&fresh)
        .arg(&mirror)
        .env("LC_ALL", "C")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output()
        .map_err(|e| format!("debootstrap cannot be started: {e}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().rev().take(5).collect::<Vec<_>>().join("; ");
        return Err(format!("debootstrap {codename} from {mirror} failed: {last} {}", String::from_utf8_lossy(&output.stderr)));
    }
    for path in ["var/cache/apt/archives", "var/lib/apt/lists", "var/log"] {
        let _ = std::fs::remove_dir_all(fresh.join(path));
    }
    for path in ["var/cache/apt/archives/partial", "var/lib/apt/lists/partial", "var/log/apt"] {
        std::fs::create_dir_all(fresh.join(path)).map_err(|e| e.to_string())?;
    }
    std::fs::rename(&fresh, &root).map_err(|e| e.to_string())?;
    Ok(root)
}

/// A value of os-release.
fn release(key: &str) -> Option<String> {
    let text = std::fs::read_to_string("/etc/os-release").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(line.trim_matches('"').to_owned())
}

/// Where this machine itself has its packages from.
fn mirror(codename: &str) -> String {
    let output = Command::new("apt-get").args(["indextargets", "--format", "$(RELEASE) $(SITE)", "Created-By: Packages"]).output();
    let text = output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    let found = text.lines().find_map(|line| line.strip_prefix(codename)?.strip_prefix(' '));
    found.unwrap_or("http://deb.debian.org/debian").trim_end_matches('/').to_owned()
}
