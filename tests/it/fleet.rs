//! A policy repository in a directory of its own, its devices behind one real SSH server, and the real binary.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::sshd::{Sshd, user};

/// Devices `dev-01`, `dev-02`, ... on 127.0.1.1, 127.0.1.2, ... Each has a directory of its own: `{{ vars.dir }}`.
pub(crate) struct Fleet {
    pub(crate) sshd: Sshd,
    folder: tempfile::TempDir,
    devices: usize,
}

/// What a command said and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// The exit code has to be this one.
    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// One of the streams has to hold this.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.out.contains(text) || self.err.contains(text), "not said: {text}\nstdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {} {}", self.out, self.err))
    }
}

impl Fleet {
    pub(crate) fn new(devices: usize) -> Self {
        Self::with(devices, "")
    }

    /// With more lines for the server's configuration.
    pub(crate) fn with(devices: usize, sshd: &str) -> Self {
        let addresses: Vec<String> = (1..=devices).map(|i| format!("127.0.1.{i}")).collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let fleet = Self { sshd: Sshd::with(&addresses, sshd), folder: tempfile::tempdir().unwrap(), devices };
        for i in 1..=devices {
            std::fs::create_dir_all(fleet.dir(i)).unwrap();
        }
        fleet.file("rmm.toml", "[general]\norganization = \"Test\"\ndefault_site = \"Here\"\n[limits]\nmax_percent = 100\n");
        fleet.declare(|_| String::new());
        fleet
    }

    /// Declares the devices again, each with what `more` says of it, in YAML's flow form: `groups: [Pilot]`.
    pub(crate) fn declare(&self, more: impl Fn(usize) -> String) {
        let mut text = format!(
            "groups:\n  Pilot: {{}}\n  Fleet:\n    match: \"*\"\n    connection: {{user: {}, port: {}, elevate: none}}\ndevices:\n",
            user(),
            self.sshd.port
        );
        for i in 1..=self.devices {
            let more = Some(more(i)).filter(|m| !m.is_empty()).map(|m| format!(", {m}")).unwrap_or_default();
            text += &format!("  dev-{i:02}: {{address: 127.0.1.{i}, vars: {{dir: '{}'}}{more}}}\n", self.dir(i).display());
        }
        self.file("devices.yaml", &text);
    }

    /// The one policy of the repository: these settings, indented by six.
    pub(crate) fn policy(&self, settings: &str) {
        self.file(
            "policies/test.yaml",
            &format!("policies:\n  Test:\n    targets: [\"*\"]\n    remediate: true\n    settings:\n{settings}"),
        );
    }

    /// Writes a file of the repository.
    pub(crate) fn file(&self, path: &str, text: &str) {
        let path = self.repo().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.folder.path().join("repo")
    }

    pub(crate) fn db(&self) -> PathBuf {
        self.repo().join(".rmm/rmm.db")
    }

    /// Directory of one device.
    pub(crate) fn dir(&self, device: usize) -> PathBuf {
        self.folder.path().join(format!("devices/{device:02}"))
    }

    /// A file of one device, if it is there.
    pub(crate) fn read(&self, device: usize, name: &str) -> Option<String> {
        std::fs::read_to_string(self.dir(device).join(name)).ok()
    }

    /// The binary, in this repository, with this server's keys.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rmm"));
        command.arg("-C").arg(self.repo()).args(args).env("HOME", self.sshd.home()).env_remove("SSH_AUTH_SOCK").stdin(Stdio::null());
        command
    }

    pub(crate) fn rmm(&self, args: &[&str]) -> Said {
        Said::of(&self.command(args).output().unwrap())
    }

    /// Applies to everything without a question.
    pub(crate) fn apply(&self, more: &[&str]) -> Said {
        self.rmm(&[&["apply", "--auto-approve"], more].concat())
    }

    /// Asks the database.
    pub(crate) fn sql(&self, query: &str) -> Vec<String> {
        sql(&self.db(), query)
    }

    /// States of the changes of the newest run with how many are in each: `done 4`.
    pub(crate) fn states(&self) -> Vec<String> {
        self.sql(
            "SELECT State, count(*) FROM RunChanges WHERE Run = (SELECT Id FROM Runs ORDER BY rowid DESC LIMIT 1) GROUP BY State ORDER BY State",
        )
    }

    /// The database is whole, its audit record too, and no half-written file lies about.
    #[track_caller]
    pub(crate) fn intact(&self) {
        assert_eq!(self.sql("PRAGMA integrity_check"), ["ok"]);
        self.rmm(&["audit", "verify"]).ends(0);
        // The last command of a process that was killed may still be under way on a device: it ends soon, and cleans up.
        let patience = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while !litter(self.folder.path()).is_empty() && std::time::Instant::now() < patience {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert_eq!(litter(self.folder.path()), Vec::<PathBuf>::new());
    }
}

/// Asks a database: columns of a row with a space between them.
pub(crate) fn sql(db: &Path, query: &str) -> Vec<String> {
    let connection = rusqlite::Connection::open(db).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    let mut statement = connection.prepare(query).unwrap();
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| {
        let text = |value: rusqlite::types::ValueRef<'_>| match value {
            rusqlite::types::ValueRef::Integer(n) => n.to_string(),
            rusqlite::types::ValueRef::Text(t) => String::from_utf8_lossy(t).into_owned(),
            other => format!("{other:?}"),
        };
        Ok((0..columns).map(|i| text(row.get_ref(i).unwrap())).collect::<Vec<_>>().join(" "))
    };
    statement.query_map([], row).unwrap().map(Result::unwrap).collect()
}

/// Temporary files below a directory.
fn litter(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(litter(&path));
        } else if path.to_string_lossy().contains("rmm-tmp") {
            found.push(path);
        }
    }
    found
}
