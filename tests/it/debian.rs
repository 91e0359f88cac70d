//! Real Debian devices: the root of a Debian system made once by debootstrap, cheap copies of it behind SSH servers of their own on
//! the loopback network, and a package repository with a small package in as many versions as a test publishes. Devices with
//! dnf, zypper, pacman and apk are the same with that manager in the place of apt, and a repository in a folder.
//!
//! A device is a folder with a system in it, entered by chroot: its packages, its apt and its SSH server are real; the kernel is
//! this machine's, and what `/proc` says of it is written here. A restart ends everything that runs in the device and comes
//! back with another boot time. It needs root, since chroot does.

mod apk;
mod base;
mod device;
mod kind;
mod packages;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rmm::access::{Redactor, SecretStore};
use rmm::apply::Parts;
use rmm::model::run::Actor;
use rmm::repo::LoadOptions;
use rmm::store::Store;
use rmm::time::Clock;
use rmm::transport::{SessionOptions, Sessions};

use crate::fleet::Said;
use crate::sshd::{is_root, keygen};

pub(crate) use device::Device;
pub(crate) use kind::Kind;
pub(crate) use packages::Package;

/// A fleet of Debian devices with a policy repository, a package repository and the real binary.
pub(crate) struct Debian {
    folder: tempfile::TempDir,
    base: PathBuf,
    managers: Option<PathBuf>,
    packages: Arc<packages::Repository>,
}

impl Debian {
    /// `None`, with the reason on standard error, where this machine or this user cannot have such devices.
    pub(crate) fn new() -> Option<Self> {
        if !is_root() {
            eprintln!("skipped: Debian devices are entered by chroot, which needs root");
            return None;
        }
        let base = promised(base::root())?;
        let folder = tempfile::Builder::new().prefix("fleet").tempdir_in(base.parent().unwrap()).unwrap();
        std::fs::create_dir_all(folder.path().join("home/.ssh")).unwrap();
        std::fs::create_dir_all(folder.path().join("repo")).unwrap();
        keygen(&folder.path().join("home/.ssh/id_ed25519"), "ed25519", "");
        std::fs::write(folder.path().join("home/.ssh/known_hosts"), "").unwrap();
        let packages = Arc::new(packages::Repository::start(&folder.path().join("packages")));
        let debian = Self { folder, base, managers: None, packages };
        debian.file("rmm.toml", "[general]\norganization = \"Test\"\n[limits]\nmax_percent = 100\n");
        Some(debian)
    }

    /// A fleet that may have devices of every kind.
    pub(crate) fn with_managers() -> Option<Self> {
        let mut debian = Self::new()?;
        debian.managers = Some(promised(base::managers())?);
        Some(debian)
    }

    /// A device of this name, switched on, with the package repository as its only source. Nothing of it is installed.
    pub(crate) fn device(&self, name: &str) -> Device {
        self.device_of(Kind::Apt, name)
    }

    /// A device with this package manager.
    pub(crate) fn device_of(&self, kind: Kind, name: &str) -> Device {
        let home = self.folder.path().join("home/.ssh");
        let base = if kind == Kind::Apt { &self.base } else { self.managers.as_ref().unwrap() };
        Device::start(name, kind, base, &self.folder.path().join(name), &home, &self.packages.source())
    }

    /// Puts a version of the package `rmm-demo` into the repository. Devices see it at their next scan.
    pub(crate) fn publish(&self, version: &str) {
        self.publish_package(&Package::new("rmm-demo", version));
    }

    /// Puts any package into the repository.
    pub(crate) fn publish_package(&self, package: &Package) {
        self.packages.add(package);
    }

    /// Takes a version out of the repository, as mirrors do.
    pub(crate) fn withdraw(&self, name: &str, version: &str) {
        self.packages.remove(name, version);
    }

    /// The suite that the repository says it is: `stable-security` makes its updates security updates.
    pub(crate) fn suite(&self, suite: &str) {
        self.packages.suite(suite);
    }

    /// Declares devices and what groups each is in.
    pub(crate) fn declare(&self, devices: &[(&Device, &[&str])]) {
        let mut groups: Vec<&str> = devices.iter().flat_map(|(_, groups)| groups.iter().copied()).collect();
        groups.sort_unstable();
        groups.dedup();
        let mut text = String::from("groups:\n  Fleet: {match: \"*\", connection: {user: root, elevate: none}}\n");
        text.extend(groups.iter().map(|group| format!("  {group}: {{}}\n")));
        text += "devices:\n";
        for (device, groups) in devices {
            let (name, port) = (&device.name, device.port);
            text += &format!("  {name}: {{address: 127.0.0.1, connection: {{port: {port}}}, groups: [{}]}}\n", groups.join(", "));
        }
        self.file("devices.yaml", &text);
    }

    /// The policy repository.
    pub(crate) fn repo(&self) -> PathBuf {
        self.folder.path().join("repo")
    }

    /// Where the keys of the devices are.
    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// What carrying out needs, in this process, with the clock that is given.
    pub(crate) fn parts(&self, clock: Arc<dyn Clock>) -> Parts {
        let options = LoadOptions { root: self.repo(), env: None, environment: Vec::new(), now: clock.now() };
        let loaded = rmm::repo::load(&options);
        assert!(loaded.set.is_some(), "{:#?}", loaded.problems);
        let set = Arc::new(loaded.set.unwrap());
        let store = Store::open(&self.repo().join(".rmm/rmm.db"), Arc::clone(&clock)).unwrap();
        rmm::apply::declare(&set, &store).unwrap();
        let secrets = Arc::new(SecretStore::new(&self.repo(), Redactor::new()));
        let options = SessionOptions {
            ssh_timeout: Duration::from_secs(20),
            home: Some(self.home()),
            agent: Some(PathBuf::new()),
            ..SessionOptions::default()
        };
        Parts {
            set,
            store,
            sessions: Arc::new(Sessions::new(options, Arc::clone(&secrets) as _)),
            secrets,
            redactor: Redactor::new(),
            clock,
            actor: Actor { user: "rmm".into(), from: "reconcile@here".into() },
        }
    }

    /// Asks the database: columns of a row with a space between them. Nothing where there is none yet.
    pub(crate) fn sql(&self, query: &str) -> Vec<String> {
        let path = self.repo().join(".rmm/rmm.db");
        if path.exists() { crate::fleet::sql(&path, query) } else { Vec::new() }
    }

    /// Writes a file of the policy repository.
    pub(crate) fn file(&self, path: &str, text: &str) {
        let path = self.repo().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// The real binary in the repository, with the keys of the devices.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rmm"));
        command.arg("-C").arg(self.repo()).args(args).env("HOME", self.home());
        command.env_remove("SSH_AUTH_SOCK").env("RMM_IN_AUTOMATION", "1").stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub(crate) fn rmm(&self, args: &[&str]) -> Said {
        Said::of(&self.command(args).output().unwrap())
    }
}

/// The root, or nothing with the reason on standard error. Where it was promised to work, not working is a failure.
fn promised(root: Result<PathBuf, String>) -> Option<PathBuf> {
    root.map_err(|why| {
        assert!(std::env::var_os("RMM_TEST_DEBIAN").is_none(), "{why}");
        eprintln!("skipped: {why}");
    })
    .ok()
}

/// Runs a program, which has to end well.
fn must(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?} cannot be started: {e}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}
