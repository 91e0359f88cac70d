//! The daemon as it is: the real binary, real files, real Git, signals of the system. [`Yard`] is a repository whose devices are
//! this machine under several names, each with a folder of its own; [`Daemon`] is one process.

mod away;
mod breaker;
mod clock;
mod figures;
pub(crate) mod hook;
mod kills;
mod large;
mod notified;
mod once;
mod reload;
mod service;
mod signed;
mod storm;
mod suspend;
mod workflows;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::fleet::Said;

/// A process that does nothing for so long has failed. Far more than any test needs, also on a machine that is busy.
const PATIENCE: Duration = Duration::from_mins(1);

/// A policy repository, and folders that stand for devices.
pub(crate) struct Yard {
    folder: tempfile::TempDir,
}

impl Yard {
    /// With these devices, and limits out of the way.
    pub(crate) fn new(devices: &[&str]) -> Self {
        let yard = Self { folder: tempfile::tempdir().unwrap() };
        yard.file("rmm.toml", "[limits]\nmax_percent = 100\n");
        let mut text = String::from("devices:\n");
        for name in devices {
            let dir = yard.device(name);
            std::fs::create_dir_all(&dir).unwrap();
            text += &format!("  {name}: {{os: linux, vars: {{dir: '{}'}}, connection: {{transport: local}}}}\n", dir.display());
        }
        yard.file("devices.yaml", &text);
        yard
    }

    /// The repository.
    pub(crate) fn repo(&self) -> PathBuf {
        self.folder.path().join("repo")
    }

    /// Anything beside it.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder of a device.
    pub(crate) fn device(&self, name: &str) -> PathBuf {
        self.folder.path().join("devices").join(name)
    }

    /// A file of a device, if it is there.
    pub(crate) fn read(&self, device: &str, name: &str) -> Option<String> {
        std::fs::read_to_string(self.device(device).join(name)).ok()
    }

    /// Writes a file of the repository.
    pub(crate) fn file(&self, path: &str, text: &str) {
        let path = self.repo().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// The one policy: a file `app.conf` on every device with this text, carried out or not.
    pub(crate) fn wants(&self, text: &str, remediate: &str) {
        self.file("policies/p.yaml", &policy(text, remediate));
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rmm"));
        command.arg("-C").arg(self.repo()).args(args).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.folder.path()).stdin(Stdio::null());
        command
    }

    pub(crate) fn rmm(&self, args: &[&str]) -> Said {
        Said::of(&self.command(args).output().unwrap())
    }

    /// One round.
    pub(crate) fn once(&self) -> Said {
        self.rmm(&["reconcile", "--once"])
    }

    /// Asks the database; first column of each row.
    pub(crate) fn sql(&self, query: &str) -> Vec<String> {
        let Ok(connection) = rusqlite::Connection::open(self.repo().join(".rmm/rmm.db")) else { return Vec::new() };
        connection.busy_timeout(Duration::from_secs(10)).unwrap();
        let Ok(mut statement) = connection.prepare(query) else { return Vec::new() };
        let rows = statement.query_map([], |row| row.get::<_, rusqlite::types::Value>(0)).unwrap();
        rows.map(|value| match value.unwrap() {
            rusqlite::types::Value::Text(text) => text,
            rusqlite::types::Value::Integer(number) => number.to_string(),
            other => format!("{other:?}"),
        })
        .collect()
    }

    /// Starts the daemon.
    pub(crate) fn daemon(&self) -> Daemon {
        self.daemon_with(&[])
    }

    pub(crate) fn daemon_with(&self, variables: &[(&str, &str)]) -> Daemon {
        let log = self.folder.path().join(format!("daemon-{:08x}.log", rand::random::<u32>()));
        let mut command = self.command(&["reconcile"]);
        command.envs(variables.iter().copied());
        Daemon::of(command, &log)
    }
}

/// A policy that wants `app.conf` on every device.
pub(crate) fn policy(text: &str, remediate: &str) -> String {
    format!(
        "policies:\n  P:\n    targets: \"*\"\n    remediate: {remediate}\n    settings:\n      Files:\n        \"{{{{ vars.dir }}}}/app.conf\": {{template: \"{text}\\n\", mode: \"0644\"}}\n"
    )
}

/// A daemon. It is killed where the test does not end it.
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts one. What it says is written into a file.
    pub(crate) fn of(mut command: Command, log: &Path) -> Self {
        let file = std::fs::File::create(log).unwrap();
        Self { child: command.stdout(Stdio::null()).stderr(file).spawn().unwrap(), log: log.to_owned() }
    }

    /// What it has said so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it has said this.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) {
        self.until(text, || self.log().contains(text));
    }

    /// Waits for something that it brings about. Returns how long that took.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, holds: impl FnMut() -> bool) -> Duration {
        until(holds).unwrap_or_else(|| panic!("in vain: {what}\n{}", self.log()))
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Asks it to end, and waits. Its exit code, and how long it took.
    #[track_caller]
    pub(crate) fn stop(mut self) -> (Option<i32>, Duration) {
        let begun = Instant::now();
        self.signal(rustix::process::Signal::TERM);
        let mut code = None;
        let ended = until(|| {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        assert!(ended.is_some(), "it does not end\n{}", self.log());
        (code.and_then(|code| code.code()), begun.elapsed())
    }

    /// Kills it. What it had said.
    pub(crate) fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.log()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something holds; `None` where patience ends. What another process does shows in no other way.
fn until(mut holds: impl FnMut() -> bool) -> Option<Duration> {
    let begun = Instant::now();
    while !holds() {
        if begun.elapsed() > PATIENCE {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Some(begun.elapsed())
}

/// Runs a program that has to succeed. What it says on standard output.
#[track_caller]
pub(crate) fn run(dir: &Path, program: &str, args: &[&str], variables: &[(&str, &str)]) -> String {
    let output = Command::new(program).args(args).current_dir(dir).envs(variables.iter().copied()).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
