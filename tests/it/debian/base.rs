//! The roots that all devices are copies of: made once per machine, kept beside the other things that the build has made.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Grows when another root is wanted.
const VERSION: u32 = 1;

/// What the other root has beside: the package managers of other systems, and what makes packages for them.
const MANAGERS: [&str; 5] = ["dnf", "zypper", "pacman-package-manager", "rpm", "createrepo-c"];
/// Commands of dnf that are a package of their own, which does not want to be installed beside zypper.
const DNF_PLUGINS: &str = "dnf-plugins-core";

/// The root of a Debian device; why there is none.
pub(super) fn root() -> Result<PathBuf, String> {
    let (codename, folder) = place()?;
    once(&folder, &format!("{codename}-{VERSION}"), |fresh| debootstrap(&codename, fresh))
}

/// The root of devices with other package managers, all of them side by side; why there is none.
pub(super) fn managers() -> Result<PathBuf, String> {
    let base = root()?;
    let (codename, folder) = place()?;
    once(&folder, &format!("{codename}-managers-{VERSION}"), |fresh| install_managers(&codename, &base, fresh))
}

/// Which Debian, and where its roots are.
fn place() -> Result<(String, PathBuf), String> {
    let codename = release("VERSION_CODENAME").ok_or("this machine does not say which Debian it is")?;
    if !["/usr/sbin/debootstrap", "/usr/bin/debootstrap"].iter().any(|path| Path::new(path).exists()) {
        return Err("debootstrap is missing: tests/run installs it".into());
    }
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("debian");
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    Ok((codename, folder))
}

/// The root of this name, made where it is not there yet. Tests run side by side: the first one makes it.
fn once(folder: &Path, name: &str, make: impl FnOnce(&Path) -> Result<(), String>) -> Result<PathBuf, String> {
    let root = folder.join(name);
    let lock = std::fs::File::create(folder.join(format!("{name}.lock"))).map_err(|e| e.to_string())?;
    lock.lock().map_err(|e| e.to_string())?;
    if root.exists() {
        return Ok(root);
    }
    let fresh = folder.join(format!("{name}.new"));
    let _ = std::fs::remove_dir_all(&fresh);
    make(&fresh)?;
    for path in ["var/cache/apt/archives", "var/lib/apt/lists", "var/log"] {
        let _ = std::fs::remove_dir_all(fresh.join(path));
    }
    for path in ["var/cache/apt/archives/partial", "var/lib/apt/lists/partial", "var/log/apt"] {
        std::fs::create_dir_all(fresh.join(path)).map_err(|e| e.to_string())?;
    }
    std::fs::rename(&fresh, &root).map_err(|e| e.to_string())?;
    Ok(root)
}

fn debootstrap(codename: &str, fresh: &Path) -> Result<(), String> {
    let mirror = mirror(codename);
    let output = Command::new("debootstrap")
        .args(["--variant=minbase", "--include=openssh-server", codename])
        .arg(fresh)
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
    Ok(())
}

/// A copy of the Debian root with them installed, without what nobody reads.
fn install_managers(codename: &str, base: &Path, fresh: &Path) -> Result<(), String> {
    let told = |what: &str, output: std::io::Result<Output>| {
        let output = output.map_err(|e| format!("{what}: {e}"))?;
        let last = String::from_utf8_lossy(&output.stderr).lines().rev().take(5).collect::<Vec<_>>().join("; ");
        if output.status.success() { Ok(()) } else { Err(format!("{what} failed: {last}")) }
    };
    told("copying the root", Command::new("cp").arg("-a").arg("--").arg(base).arg(fresh).output())?;
    let file = |path: &str, text: &str| std::fs::write(fresh.join(path), text).map_err(|e| format!("{path}: {e}"));
    let mirror = mirror(codename);
    file("etc/apt/sources.list", &format!("deb {mirror} {codename} main\n"))?;
    file("etc/apt/apt.conf.d/made", "Acquire::Languages \"none\";\n")?;
    let unread = ["doc", "man", "locale", "info"].map(|folder| format!("path-exclude=/usr/share/{folder}/*\n")).concat();
    file("etc/dpkg/dpkg.cfg.d/made", &format!("force-unsafe-io\n{unread}"))?;
    for path in ["/etc/resolv.conf", "/etc/hosts"] {
        let _ = std::fs::copy(path, fresh.join(path.trim_start_matches('/')));
    }
    let inside = |words: &[&str]| {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -n 1024; exec chroot \"$0\" \"$@\""]).arg(fresh).args(words);
        told(&words.join(" "), command.env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive").output())
    };
    inside(&["apt-get", "update", "-qq"])?;
    inside(&[&["apt-get", "install", "-y", "-qq", "--no-install-recommends"], &MANAGERS[..]].concat())?;
    inside(&[
        "sh",
        "-c",
        &format!(
            "cd /var/cache/apt/archives && apt-get download -qq {DNF_PLUGINS} && dpkg-deb -x {DNF_PLUGINS}_*.deb /usr/share/dnf-plugins"
        ),
    ])
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
