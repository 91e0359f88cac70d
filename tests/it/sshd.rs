//! A real OpenSSH server on a free port of the loopback network, with keys of its own, ended with the test.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server. Its directory is a home directory too: keys and `known_hosts` are in `.ssh` there.
pub(crate) struct Sshd {
    child: Child,
    directory: tempfile::TempDir,
    pub(crate) port: u16,
}

fn run(command: &mut Command) {
    let output =
        command.output().unwrap_or_else(|e| panic!("{command:?} cannot be started: {e}; run tests/run, it installs what is missing"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Makes a key pair.
pub(crate) fn keygen(path: &Path, kind: &str, passphrase: &str) {
    run(Command::new("ssh-keygen").args(["-q", "-t", kind, "-N", passphrase, "-C", "test", "-f"]).arg(path));
}

impl Sshd {
    /// On 127.0.0.1.
    pub(crate) fn start() -> Self {
        Self::with(&["127.0.0.1"], "")
    }

    /// On these addresses, with more lines for its configuration.
    pub(crate) fn with(addresses: &[&str], more: &str) -> Self {
        assert!(Path::new("/usr/sbin/sshd").exists(), "/usr/sbin/sshd is missing: run tests/run, it installs openssh-server");
        // Privilege separation wants it; a system without a running server does not have it.
        if is_root() {
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let directory = tempfile::Builder::new().prefix("rmm-sshd").tempdir().unwrap();
        let root = directory.path();
        std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::create_dir(root.join(".ssh")).unwrap();
        keygen(&root.join("host"), "ed25519", "");
        keygen(&root.join(".ssh/id_ed25519"), "ed25519", "");
        std::fs::copy(root.join(".ssh/id_ed25519.pub"), root.join("authorized_keys")).unwrap();
        // Another process may take the port between the question and the start: then another one is tried.
        for _ in 0..20 {
            let port = TcpListener::bind((addresses[0], 0)).unwrap().local_addr().unwrap().port();
            // sshd listens on 16 addresses at most.
            let listen = match addresses.len() {
                0..=16 => addresses.iter().map(|a| format!("ListenAddress {a}:{port}\n")).collect(),
                _ => format!("ListenAddress 0.0.0.0:{port}\n"),
            };
            let r = root.display();
            let config = format!(
                "{more}\n{listen}HostKey {r}/host\nAuthorizedKeysFile {r}/authorized_keys\nPidFile none\nStrictModes no\n\
                 UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n\
                 MaxStartups 500:1:1000\nMaxSessions 50\nUseDNS no\nLogLevel VERBOSE\n"
            );
            std::fs::write(root.join("config"), config).unwrap();
            let mut child = Command::new("/usr/sbin/sshd")
                .args(["-D", "-f"])
                .arg(root.join("config"))
                .arg("-E")
                .arg(root.join("log"))
                .stdin(Stdio::null())
                .spawn()
                .unwrap();
            let deadline = Instant::now() + Duration::from_secs(20);
            while child.try_wait().unwrap().is_none() {
                if TcpStream::connect((addresses[0], port)).is_ok() {
                    let server = Self { child, directory, port };
                    server.trust(addresses);
                    return server;
                }
                assert!(Instant::now() < deadline, "sshd does not answer");
                std::thread::yield_now();
            }
        }
        panic!("sshd does not start: {}", std::fs::read_to_string(root.join("log")).unwrap_or_default());
    }

    pub(crate) fn home(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home().join(name)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// How often somebody signed in.
    pub(crate) fn sign_ins(&self) -> usize {
        self.log().lines().filter(|l| l.contains("Accepted publickey for ")).count()
    }

    /// Writes the host's key into `known_hosts`.
    pub(crate) fn trust(&self, addresses: &[&str]) {
        let key = std::fs::read_to_string(self.path("host.pub")).unwrap();
        let lines: String = addresses.iter().map(|a| format!("[{a}]:{} {key}", self.port)).collect();
        std::fs::write(self.path(".ssh/known_hosts"), lines).unwrap();
    }

    /// Lets another key in.
    pub(crate) fn authorize(&self, public: &Path) {
        let mut file = std::fs::OpenOptions::new().append(true).open(self.path("authorized_keys")).unwrap();
        file.write_all(&std::fs::read(public).unwrap()).unwrap();
    }

    /// The server goes away, connections and all.
    pub(crate) fn stop(&mut self) {
        self.cut();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// It comes back, with the same port and keys.
    pub(crate) fn restart(&mut self) {
        let config = std::fs::read_to_string(self.path("config")).unwrap();
        let address = config.lines().find_map(|l| l.strip_prefix("ListenAddress ")).unwrap().to_owned();
        self.child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-f"])
            .arg(self.path("config"))
            .arg("-E")
            .arg(self.path("log"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(&address).is_err() {
            assert!(Instant::now() < deadline, "sshd does not come back");
            std::thread::yield_now();
        }
    }

    /// Ends the processes that serve connections, and leaves the one that listens.
    pub(crate) fn cut(&self) {
        for child in children(self.child.id()) {
            let _ = Command::new("kill").args(["-KILL", &child.to_string()]).status();
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.cut();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn is_root() -> bool {
    Command::new("id").arg("-u").output().unwrap().stdout == b"0\n"
}

/// The user who runs the tests.
pub(crate) fn user() -> String {
    String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap().trim().to_owned()
}

fn children(parent: u32) -> Vec<u32> {
    processes(|_, stat| stat.rsplit_once(')').and_then(|(_, r)| r.split_ascii_whitespace().nth(1)) == Some(&parent.to_string()))
}

fn processes(wanted: impl Fn(&str, &str) -> bool) -> Vec<u32> {
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|e| e.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| {
            let read = |what: &str| std::fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
            wanted(&String::from_utf8_lossy(&read("cmdline")).replace('\0', " "), &String::from_utf8_lossy(&read("stat")))
        })
        .collect()
}

/// Whether a process exists whose words are exactly these.
pub(crate) fn runs(words: &str) -> bool {
    !processes(|cmdline, _| cmdline.trim_end() == words).is_empty()
}

/// Waits until something holds, for a bounded time.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A user for one test, removed with it. Only root can make one.
pub(crate) struct Account {
    pub(crate) name: String,
    sudoers: Option<PathBuf>,
}

impl Account {
    pub(crate) fn create(password: &str, shell: &str) -> Self {
        static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        assert!(is_root(), "this test makes a user and needs root");
        let next = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("rmmtest{}x{next}", std::process::id());
        // The account files are locked while they are written, also by tests in other processes.
        let lock = std::fs::File::create("/tmp/rmm-test-accounts.lock").unwrap();
        lock.lock().unwrap();
        run(Command::new("useradd").args(["-M", "-d", "/", "-s", shell, &name]));
        let mut child = Command::new("chpasswd").stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(format!("{name}:{password}\n").as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
        Self { name, sudoers: None }
    }

    /// Lets the user become root through sudo; `tag` is `NOPASSWD:` or nothing.
    pub(crate) fn with_sudo(mut self, tag: &str) -> Self {
        assert!(Path::new("/usr/bin/sudo").exists(), "sudo is missing: run tests/run, it installs it");
        let path = PathBuf::from(format!("/etc/sudoers.d/{}", self.name));
        std::fs::write(&path, format!("Defaults:{0} timestamp_timeout=5\n{0} ALL=(ALL) {tag} ALL\n", self.name)).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o440)).unwrap();
        self.sudoers = Some(path);
        self
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if let Some(path) = &self.sudoers {
            let _ = std::fs::remove_file(path);
        }
        if let Ok(lock) = std::fs::File::create("/tmp/rmm-test-accounts.lock") {
            let _ = lock.lock();
            let _ = Command::new("userdel").args(["-f", &self.name]).stderr(Stdio::null()).status();
        }
    }
}
