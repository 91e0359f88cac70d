//! Every command through the real binary, in a repository of its own: what it prints, and its exit code.

mod alerts;
mod apply;
mod audit;
mod backup;
mod collect;
mod config;
mod devices;
mod doctor;
mod eval;
mod exec;
mod explain;
mod facts;
mod fmt;
mod general;
mod import;
mod import_policy;
mod init;
mod plan;
mod review;
mod schema;
mod schema_lines;
mod secrets;
mod simulate;
mod status;
mod test;
mod uninstall;
mod validate;
mod why;
mod windows_changes;
mod winrm_secrets;
mod workflow;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A repository in a directory that goes away with it.
struct Fleet {
    dir: tempfile::TempDir,
}

/// How a command ended.
struct Ended {
    code: i32,
    out: String,
    err: String,
}

impl Ended {
    /// Fails the test unless the command ended with this code.
    #[track_caller]
    fn code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "standard output:\n{}\nstandard error:\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    fn says(self, text: &str) -> Self {
        assert!(self.out.contains(text), "no {text:?} in standard output:\n{}\nstandard error:\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    fn complains(self, text: &str) -> Self {
        assert!(self.err.contains(text), "no {text:?} in standard error:\n{}\nstandard output:\n{}", self.err, self.out);
        self
    }

    #[track_caller]
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.out))
    }
}

/// `rmm` with nothing of this process's surroundings but the search path.
fn rmm(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rmm"));
    command.current_dir(dir).args(args).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("USER", "tester").stdin(Stdio::null());
    command
}

fn ended(mut command: Command) -> Ended {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

impl Fleet {
    /// An empty directory.
    fn nothing() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// One group, this machine as `here` in it, a policy that wants one file, and one that only reports.
    fn small() -> Self {
        let fleet = Self::nothing();
        fleet.write("rmm.toml", "[limits]\nmax_percent = 100\n");
        fleet.write(
            "devices.yaml",
            "groups:\n  All Servers: {}\ndevices:\n  here:\n    groups: [All Servers]\n    connection: {transport: local}\n",
        );
        let wanted = fleet.path("wanted.txt");
        fleet.write(
            "policies/a.yaml",
            &format!(
                "policies:\n  Notice:\n    targets: [All Servers]\n    remediate: true\n    settings:\n      Files:\n        '{}': {{content: \"hello\\n\", mode: \"0640\"}}\n",
                wanted.display()
            ),
        );
        fleet
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let full = self.path(path);
        std::fs::create_dir_all(full.parent().unwrap()).unwrap();
        std::fs::write(full, text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap()
    }

    fn rmm(&self, args: &[&str]) -> Ended {
        ended(rmm(self.dir.path(), args))
    }

    /// With environment variables.
    fn rmm_with(&self, variables: &[(&str, &str)], args: &[&str]) -> Ended {
        let mut command = rmm(self.dir.path(), args);
        command.envs(variables.iter().copied());
        ended(command)
    }

    /// Text without what differs from run to run: the directory, ids, times and ages.
    fn stable(&self, text: &str) -> String {
        let real = self.dir.path().canonicalize().unwrap();
        let name = real.file_name().unwrap().to_str().unwrap().to_owned();
        let mut text = text.replace(real.to_str().unwrap(), "DIR").replace(self.dir.path().to_str().unwrap(), "DIR").replace(&name, "NAME");
        for (pattern, by) in [
            (r"r-\d{8}-\d{6}-[0-9a-f]{4}", "RUN"),
            (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?Z?", "TIME"),
            (r"\b\d+ (s|min) (old|ago)", "AGE $2"),
            (r"\b[0-9a-f]{64}\b", "HASH"),
            (r"in \d+\.\d s", "in TIME"),
            (r" +\n", "\n"),
        ] {
            text = regex_lite::Regex::new(pattern).unwrap().replace_all(&text, by).into_owned();
        }
        text
    }
}
