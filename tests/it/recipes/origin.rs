//! A policy repository on a server: a bare Git repository with a main branch, changes to it, and shallow clones.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The server, what it keeps, and its stand-ins.
pub(super) struct Origin {
    dir: tempfile::TempDir,
}

/// Variables of a job.
pub(super) type Variables = BTreeMap<String, String>;

pub(super) fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the recipes.
pub(super) fn recipe(name: &str) -> String {
    std::fs::read_to_string(project().join("examples/ci").join(name)).unwrap()
}

pub(super) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

impl Origin {
    /// A repository with one device (this machine), one policy and one test on main.
    pub(super) fn new() -> Self {
        let origin = Self { dir: tempfile::tempdir().unwrap() };
        for folder in ["bin", "store", "home", "work"] {
            std::fs::create_dir(origin.path(folder)).unwrap();
        }
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_rmm"), origin.path("bin/rmm")).unwrap();
        origin.git(origin.dir.path(), &["init", "-q", "--bare", "server.git"]);
        // As both services do: a commit can be asked for by its hash.
        origin.git(&origin.server(), &["config", "uploadpack.allowAnySHA1InWant", "true"]);
        let work = origin.path("work");
        origin.git(&work, &["init", "-q"]);
        origin.git(&work, &["remote", "add", "origin", &origin.url()]);
        let wanted = origin.path("wanted.txt");
        origin.write("rmm.toml", "[limits]\nmax_percent = 100\n");
        origin.write(".gitignore", ".rmm/\n");
        origin.write(
            "devices.yaml",
            "groups:\n  All Servers: {}\n\ndevices:\n  here:\n    groups: [All Servers]\n    connection: {transport: local}\n",
        );
        origin.write(
            "policies/a.yaml",
            &format!(
                "policies:\n  Notice:\n    targets: [All Servers]\n    settings:\n      Files:\n        {0}: {{content: \"hello\\n\", mode: \"0640\"}}\n    remediate: true\n",
                wanted.display()
            ),
        );
        origin.write(
            "tests/a.yaml",
            &format!(
                "tests:\n  - name: A server without the notice gets it\n    device: {{hostname: web-1, os: linux, groups: [All Servers]}}\n    facts: {{files: {{{0}: {{type: absent}}}}}}\n    expect:\n      changes: [{{setting: Files, key: {0}}}]\n",
                wanted.display()
            ),
        );
        origin.rmm(&["fmt"]);
        origin.rmm(&["validate"]);
        origin.commit();
        origin.git(&work, &["push", "-q", "origin", "HEAD:refs/heads/main"]);
        origin
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// A file of the working tree that changes are made in.
    pub(super) fn write(&self, path: &str, text: &str) {
        let full = self.path("work").join(path);
        std::fs::create_dir_all(full.parent().unwrap()).unwrap();
        std::fs::write(full, text).unwrap();
    }

    pub(super) fn server(&self) -> PathBuf {
        self.path("server.git")
    }

    /// With a scheme: a plain path would be cloned whole, however deep a clone is asked for.
    pub(super) fn url(&self) -> String {
        format!("file://{}", self.server().display())
    }

    /// A program that stands in for one of the service's.
    pub(super) fn stand_in(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let file = self.path("bin").join(name);
        std::fs::write(&file, script).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A command with nothing of this process's surroundings but the search path, our programs first in it.
    pub(super) fn command(&self, program: &str, dir: &Path) -> Command {
        let mut command = Command::new(program);
        let path = std::env::var("PATH").unwrap_or_default();
        command.current_dir(dir).env_clear().stdin(Stdio::null()).env("PATH", format!("{}:{path}", self.path("bin").display()));
        command.env("HOME", self.path("home")).env("STORE", self.path("store")).env("USER", "runner");
        command.envs([("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_AUTHOR_NAME", "Tester"), ("GIT_AUTHOR_EMAIL", "tester@example.org")]);
        command.envs([("GIT_COMMITTER_NAME", "Tester"), ("GIT_COMMITTER_EMAIL", "tester@example.org")]);
        command
    }

    pub(super) fn git(&self, dir: &Path, args: &[&str]) -> String {
        let mut command = self.command("git", dir);
        let output = command.args(["-c", "init.defaultBranch=main", "-c", "commit.gpgsign=false"]).args(args).output().unwrap();
        assert!(output.status.success(), "git {args:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn rmm(&self, args: &[&str]) {
        let output = self.command("rmm", &self.path("work")).args(args).output().unwrap();
        assert!(output.status.success(), "rmm {args:?}: {}", said(&output));
    }

    fn commit(&self) {
        self.git(&self.path("work"), &["add", "-A", "."]);
        self.git(&self.path("work"), &["commit", "-q", "-m", "step"]);
    }

    /// A branch from main on which this text of the policy (or another file) is replaced; its commit.
    pub(super) fn change(&self, branch: &str, file: &str, from: &str, to: &str) -> String {
        let work = self.path("work");
        self.git(&work, &["checkout", "-q", "-B", branch, "main"]);
        let text = std::fs::read_to_string(work.join(file)).unwrap();
        assert!(text.contains(from), "no {from:?} in {text}");
        self.write(file, &text.replace(from, to));
        self.commit();
        self.git(&work, &["push", "-q", "--force", "origin", &format!("HEAD:refs/heads/{branch}")]);
        self.git(&work, &["rev-parse", "HEAD"])
    }

    /// What merging the branch into main would give, on the server under this reference.
    pub(super) fn merge(&self, branch: &str, reference: &str) {
        let work = self.path("work");
        self.git(&work, &["checkout", "-q", "--detach", "main"]);
        self.git(&work, &["merge", "-q", "--no-ff", "-m", "merge", branch]);
        self.git(&work, &["push", "-q", "--force", "origin", &format!("HEAD:{reference}")]);
    }

    /// A clone as a runner makes it: only this reference, only so deep.
    pub(super) fn clone(&self, reference: &str, depth: u64) -> tempfile::TempDir {
        let clone = tempfile::tempdir_in(self.dir.path()).unwrap();
        self.git(clone.path(), &["init", "-q"]);
        self.git(clone.path(), &["remote", "add", "origin", &self.url()]);
        let depth = format!("--depth={depth}");
        let fetch: &[&str] = if depth == "--depth=0" { &[] } else { &[&depth] };
        self.git(clone.path(), &[&["fetch", "-q"], fetch, &["origin", reference]].concat());
        self.git(clone.path(), &["checkout", "-q", "--detach", "FETCH_HEAD"]);
        clone
    }

    /// Runs a script as a runner does.
    pub(super) fn script(&self, dir: &Path, script: &str, variables: &Variables) -> Output {
        let file = self.path("step.sh");
        std::fs::write(&file, script).unwrap();
        self.command("sh", dir).arg("-e").arg(file).envs(variables).output().unwrap()
    }
}
