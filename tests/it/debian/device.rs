//! One device: a copy of the base, an SSH server in it, and restarts.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::kind::Kind;
use super::packages::Package;
use super::{must, write};
use crate::sshd::keygen;

/// Takes the place of `shutdown`, `reboot` and `poweroff`: a moment later the machine goes down. What was asked for is recorded.
const SHUTDOWN: &str = r#"#!/bin/sh
printf '%s %s\n' "${0##*/}" "$*" >>/var/log/shutdowns
case "${0##*/} $*" in
*" -c"*) exit 0 ;;
reboot*|*" -r"*) : >/run/comes-back ;;
esac
(sleep 0.3; kill -TERM "$(cat /run/sshd.pid)") >/dev/null 2>&1 </dev/null &
"#;

/// A machine.
pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) port: u16,
    root: PathBuf,
    state: Arc<State>,
    keeper: Option<JoinHandle<()>>,
}

/// What the thread that keeps the machine running shares with the test.
#[derive(Default)]
struct State {
    /// Set where the machine is to stay off for good.
    over: AtomicBool,
    boots: AtomicUsize,
    /// Whether it is switched on.
    on: Mutex<bool>,
    changed: Condvar,
}

impl Device {
    pub(super) fn start(name: &str, kind: Kind, base: &Path, root: &Path, keys: &Path, source: &str) -> Self {
        std::fs::create_dir_all(root).unwrap();
        copy(base, root);
        prepare(name, root, keys, source);
        kind.prepare(root);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        write(
            &root.join("etc/ssh/sshd_config"),
            &format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey /etc/ssh/host\nAuthorizedKeysFile /root/.ssh/authorized_keys\n\
                 PidFile /run/sshd.pid\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
                 PermitRootLogin yes\nMaxStartups 100:1:200\nMaxSessions 50\nUseDNS no\n"
            ),
        );
        let host = std::fs::read_to_string(root.join("etc/ssh/host.pub")).unwrap();
        let known = keys.join("known_hosts");
        let lines = std::fs::read_to_string(&known).unwrap();
        std::fs::write(known, format!("{lines}[127.0.0.1]:{port} {host}")).unwrap();
        let state = Arc::new(State::default());
        *state.on.lock().unwrap() = true;
        let (kept, folder) = (Arc::clone(&state), root.to_owned());
        let keeper = std::thread::spawn(move || keep(&folder, &kept));
        let device = Self { name: name.to_owned(), kind, port, root: root.to_owned(), state, keeper: Some(keeper) };
        device.answers();
        device
    }

    /// Its files.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Runs a program in it, which has to end well.
    pub(crate) fn run(&self, argv: &[&str]) -> String {
        must(entered(&self.root).args(argv))
    }

    /// Runs a line of its shell, with this on its standard input.
    pub(crate) fn sh(&self, line: &str, input: &[u8]) -> Output {
        let mut command = entered(&self.root);
        let mut child =
            command.args(["sh", "-c", line]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A command that reads no input may have ended before it is written.
        let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), input);
        child.wait_with_output().unwrap()
    }

    /// The installed version of a package.
    pub(crate) fn version(&self, package: &str) -> Option<String> {
        let output = entered(&self.root).args(self.kind.query(package)).output().unwrap();
        self.kind.version(&String::from_utf8_lossy(&output.stdout))
    }

    /// Installs a version of a package, as somebody at its console would.
    pub(crate) fn install(&self, package: &str, version: &str) {
        for command in self.kind.install(package, version) {
            self.run(&command.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }

    /// Puts a package into the repository of a device that has one of its own, which is every one that does not have apt.
    pub(crate) fn publish(&self, package: &Package) {
        self.kind.publish(&self.root, package, &|argv| drop(self.run(argv)));
    }

    /// How often it was started.
    pub(crate) fn boots(&self) -> usize {
        self.state.boots.load(Ordering::SeqCst)
    }

    /// What was asked of `shutdown` and its likes, one line each.
    pub(crate) fn shutdowns(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("var/log/shutdowns")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Pulls the plug: everything in it ends at once.
    pub(crate) fn power_off(&self) {
        *self.state.on.lock().unwrap_or_else(PoisonError::into_inner) = false;
        end_all(&self.root);
    }

    /// Switches it on again, and waits until it answers.
    pub(crate) fn power_on(&self) {
        *self.state.on.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.state.changed.notify_all();
        self.answers();
    }

    /// Waits until it was started so many times, and answers.
    pub(crate) fn comes_back(&self, boots: usize) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.boots() < boots {
            assert!(Instant::now() < deadline, "{} was started {} times only", self.name, self.boots());
            std::thread::sleep(Duration::from_millis(5));
        }
        self.answers();
    }

    /// Waits until its SSH server answers.
    pub(crate) fn answers(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < deadline, "{} does not answer: {}", self.name, log(&self.root));
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::SeqCst);
        self.power_off();
        self.state.changed.notify_all();
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

fn log(root: &Path) -> String {
    std::fs::read_to_string(root.join("var/log/sshd")).unwrap_or_default()
}

/// A copy of the base: what only packages write is shared by hard links, since dpkg replaces files and never writes into them.
fn copy(base: &Path, root: &Path) {
    for entry in std::fs::read_dir(base).unwrap().flatten() {
        let name = entry.file_name();
        if ["proc", "sys", "run", "tmp"].iter().any(|own| *own == name) {
            continue;
        }
        let how = if name == "usr" { "-al" } else { "-a" };
        must(Command::new("cp").arg(how).arg("--").arg(entry.path()).arg(root.join(&name)));
    }
    for folder in ["proc", "sys", "run", "tmp"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    std::fs::set_permissions(root.join("tmp"), std::fs::Permissions::from_mode(0o1777)).unwrap();
}

fn prepare(name: &str, root: &Path, keys: &Path, source: &str) {
    write(&root.join("etc/hostname"), &format!("{name}\n"));
    write(&root.join("etc/hosts"), &format!("127.0.0.1 localhost\n127.0.1.1 {name}\n"));
    let _ = std::fs::remove_dir_all(root.join("etc/apt/sources.list.d"));
    write(&root.join("etc/apt/sources.list"), source);
    // Nothing of it is worth more than the time of a test.
    write(&root.join("etc/dpkg/dpkg.cfg.d/fast"), "force-unsafe-io\n");
    write(&root.join("etc/apt/apt.conf.d/test"), "Acquire::Languages \"none\";\nAcquire::http::Proxy \"DIRECT\";\n");
    for file in std::fs::read_dir(root.join("etc/ssh")).unwrap().flatten() {
        if file.file_name().to_string_lossy().starts_with("ssh_host_") {
            std::fs::remove_file(file.path()).unwrap();
        }
    }
    keygen(&root.join("etc/ssh/host"), "ed25519", "");
    std::fs::create_dir_all(root.join("root/.ssh")).unwrap();
    std::fs::copy(keys.join("id_ed25519.pub"), root.join("root/.ssh/authorized_keys")).unwrap();
    for program in ["shutdown", "reboot", "poweroff"] {
        let path = root.join("usr/sbin").join(program);
        let _ = std::fs::remove_file(&path);
        write(&path, SHUTDOWN);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    // What the kernel would say; nothing has to be mounted, so that it works where mounting is not allowed.
    let kernel = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    for path in ["/proc/meminfo", "/proc/cpuinfo", "/proc/loadavg", "/proc/uptime", "/proc/sys/kernel/ostype", "/proc/sys/kernel/osrelease"]
    {
        write(&root.join(path.trim_start_matches('/')), &kernel(path));
    }
    write(&root.join("proc/sys/kernel/hostname"), &format!("{name}\n"));
    write(&root.join("proc/sys/kernel/arch"), &must(Command::new("uname").arg("-m")));
    write(&root.join("proc/mounts"), "/dev/root / ext4 rw,relatime 0 0\n");
    write(&root.join("proc/1/comm"), "init\n");
}

/// A program in the device. Without its own limit a program that closes every file it might have open takes seconds for a million.
fn entered(root: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 1024; exec chroot \"$0\" \"$@\""]).arg(root).env_clear().stdin(Stdio::null());
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C");
    command
}

/// Starts the machine again and again, as long as it comes back.
fn keep(root: &Path, state: &State) {
    while !state.over.load(Ordering::SeqCst) {
        boot(root);
        state.boots.fetch_add(1, Ordering::SeqCst);
        let mut server = serve(root);
        let _ = server.wait();
        end_all(root);
        if root.join("run/comes-back").exists() {
            continue;
        }
        let on = state.on.lock().unwrap_or_else(PoisonError::into_inner);
        // One that ended by itself was turned off from within: it waits for somebody to switch it on.
        let mut on = if *on && !state.over.load(Ordering::SeqCst) { off(on) } else { on };
        while !*on && !state.over.load(Ordering::SeqCst) {
            on = state.changed.wait(on).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn off(mut on: std::sync::MutexGuard<'_, bool>) -> std::sync::MutexGuard<'_, bool> {
    *on = false;
    on
}

/// A fresh `/run`, and another boot time than before.
fn boot(root: &Path) {
    let _ = std::fs::remove_dir_all(root.join("run"));
    std::fs::create_dir_all(root.join("run/sshd")).unwrap();
    let stat = std::fs::read_to_string("/proc/stat").unwrap();
    let path = root.join("proc/stat");
    let btime = |text: &str| text.lines().find_map(|line| line.strip_prefix("btime ")?.parse::<i64>().ok());
    let last = std::fs::read_to_string(&path).ok().and_then(|text| btime(&text));
    let next = last.map_or_else(|| btime(&stat).unwrap_or_default(), |last| last + 60);
    let lines = stat.lines().map(|line| if line.starts_with("btime ") { format!("btime {next}\n") } else { format!("{line}\n") });
    write(&path, &lines.collect::<String>());
}

fn serve(root: &Path) -> Child {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(root.join("var/log/sshd")).unwrap();
    entered(root).args(["/usr/sbin/sshd", "-D", "-e"]).stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

/// Ends every process whose root is the device.
fn end_all(root: &Path) {
    let own = std::fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    loop {
        let inside: Vec<String> = std::fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter(|entry| std::fs::read_link(entry.path().join("root")).is_ok_and(|link| link == own))
            .filter_map(|entry| entry.file_name().into_string().ok())
            // One that has ended, and whose parent has not looked yet, is none.
            .filter(|pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z ")))
            .collect();
        if inside.is_empty() {
            return;
        }
        let _ = Command::new("kill").arg("-KILL").args(&inside).stderr(Stdio::null()).status();
    }
}
