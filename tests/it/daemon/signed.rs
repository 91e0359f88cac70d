//! A branch that is followed: real Git, real keys. What is not a continuation, or not signed by a trusted key, changes nothing.

use super::*;

/// A remote with a work tree, and a folder that follows it.
pub(super) struct Team {
    pub(super) yard: Yard,
    variables: Vec<(String, String)>,
}

impl Team {
    pub(super) fn new() -> Self {
        let yard = Yard::new(&["a"]);
        let work = yard.beside("work");
        std::fs::create_dir_all(work.join("policies")).unwrap();
        // What is declared comes from the remote; the folder here holds rmm.toml alone.
        for file in ["rmm.toml", "devices.yaml"] {
            std::fs::rename(yard.repo().join(file), work.join(file)).unwrap();
        }
        let home = yard.beside("home");
        std::fs::create_dir(&home).unwrap();
        let variables = [
            ("HOME", home.display().to_string()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
            ("GIT_AUTHOR_NAME", "Kim".into()),
            ("GIT_AUTHOR_EMAIL", "kim@example.com".into()),
            ("GIT_COMMITTER_NAME", "Kim".into()),
            ("GIT_COMMITTER_EMAIL", "kim@example.com".into()),
            ("GNUPGHOME", yard.beside("gnupg").display().to_string()),
        ];
        let team = Self { yard, variables: variables.map(|(name, value)| (name.to_owned(), value)).to_vec() };
        team.git(&["init", "--quiet", "--initial-branch=main"]);
        team
    }

    #[track_caller]
    fn run(&self, program: &str, args: &[&str]) -> String {
        let variables: Vec<(&str, &str)> = self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        run(&self.yard.beside("work"), program, args, &variables)
    }

    #[track_caller]
    fn git(&self, args: &[&str]) -> String {
        self.run("git", args)
    }

    /// A commit that wants this text, with these options of Git's.
    #[track_caller]
    pub(super) fn commit(&self, text: &str, options: &[&str]) -> String {
        std::fs::write(self.yard.beside("work").join("policies/p.yaml"), policy(text, "true")).unwrap();
        self.git(&["add", "-A"]);
        self.git(&[options, &["commit", "--quiet", "-m", text]].concat());
        self.git(&["rev-parse", "HEAD"])
    }

    /// `rmm.toml` of the machine that follows.
    pub(super) fn follow(&self, more: &str) {
        let remote = self.yard.beside("work").display().to_string();
        self.yard.file("rmm.toml", &format!("[repository]\nremote = \"file://{remote}\"\ninterval = \"1s\"\n{more}"));
    }

    fn key(&self, name: &str) -> PathBuf {
        let path = self.yard.beside(name);
        self.run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path.to_str().unwrap()]);
        path
    }

    pub(super) fn has(&self, text: &str) -> bool {
        self.yard.read("a", "app.conf").as_deref() == Some(&format!("{text}\n"))
    }
}

/// Options of Git's that sign with this SSH key.
fn signing(key: &Path) -> Vec<String> {
    vec![
        "-c".into(),
        "gpg.format=ssh".into(),
        "-c".into(),
        format!("user.signingKey={}", key.display()),
        "-c".into(),
        "commit.gpgSign=true".into(),
    ]
}

fn strs(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

#[test]
fn a_branch_is_followed_and_what_was_rewritten_is_not() {
    let team = Team::new();
    team.follow("");
    team.commit("one", &[]);
    team.yard.once().ends(0);
    assert!(team.has("one"));
    // Every other command speaks of the commit that is in force.
    team.yard.rmm(&["devices", "list"]).ends(0).says("a");
    let daemon = team.yard.daemon();
    daemon.says("at work");
    let second = team.commit("two", &[]);
    daemon.until("the second commit", || team.has("two"));
    team.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    let other = team.commit("three", &[]);
    daemon.says("RMM0664");
    assert!(team.has("two"), "{second} stays in force");
    assert_eq!(daemon.stop().0, Some(0));
    // A person may say that it was meant.
    team.yard.rmm(&["reconcile", "--once", "--accept-history", &other]).ends(0);
    assert!(team.has("three"));
}

/// Encrypts a value for the key of the machine that follows, in the work tree of the remote.
#[track_caller]
fn seal(team: &Team, value: &str) {
    let plain = team.yard.beside("plain");
    std::fs::write(&plain, value).unwrap();
    let mut command = team.yard.command(&["secrets", "set", "token", "--from-file", plain.to_str().unwrap()]);
    command.arg("-C").arg(team.yard.beside("work"));
    crate::fleet::Said::of(&command.output().unwrap()).ends(0);
}

/// A commit of the work tree that wants the secret in a file.
#[track_caller]
fn push(team: &Team, mode: &str) {
    let text =
        policy("", "true").replace("{template: \"\\n\", mode: \"0644\"}", &format!("{{content: {{secret: token}}, mode: \"{mode}\"}}"));
    assert!(text.contains("secret: token"), "{text}");
    std::fs::write(team.yard.beside("work").join("policies/p.yaml"), text).unwrap();
    team.git(&["add", "-A"]);
    team.git(&["commit", "--quiet", "-m", "next"]);
}

#[test]
fn encrypted_secrets_are_those_of_the_commit_in_force_and_keys_those_of_the_machine() {
    let team = Team::new();
    let init = |folder: &std::path::Path| {
        let mut command = team.yard.command(&["secrets", "init"]);
        command.arg("-C").arg(folder);
        crate::fleet::Said::of(&command.output().unwrap())
    };
    init(&team.yard.beside("work")).ends(0);
    seal(&team, "first");
    team.follow("");
    // What lies in the folder of the machine is of nobody's commit.
    let here = team.yard.repo().join("secrets");
    std::fs::create_dir_all(&here).unwrap();
    std::fs::write(here.join("token.age"), "not of the commit").unwrap();
    push(&team, "0644");
    team.yard.once().ends(0);
    assert_eq!(team.yard.read("a", "app.conf").as_deref(), Some("first"));
    team.yard.rmm(&["secrets", "get", "token"]).ends(0).says("first");
    team.yard.rmm(&["secrets", "list"]).ends(0).says("token").says("secrets");
    // Nothing is changed where it would count for nothing.
    team.yard.rmm(&["secrets", "remove", "token"]).ends(1).says("RMM0813").says("clone");
    team.yard.rmm(&["secrets", "rotate"]).ends(1).says("RMM0813");
    assert!(here.join("token.age").exists());

    // The value alone is another: no policy has changed, and the daemon converges to it all the same.
    let daemon = team.yard.daemon();
    daemon.says("at work");
    seal(&team, "second");
    push(&team, "0644");
    daemon.until("the second value", || team.yard.read("a", "app.conf").as_deref() == Some("second"));

    // A commit that is refused brings no secrets either: those of the last good one stay.
    seal(&team, "third");
    std::fs::write(team.yard.beside("work").join("devices.yaml"), "devices: [\n").unwrap();
    push(&team, "0600");
    daemon.says("policy set refused");
    assert_eq!(daemon.stop().0, Some(0));
    team.yard.rmm(&["secrets", "get", "token"]).ends(0).says("second");
    assert_eq!(team.yard.read("a", "app.conf").as_deref(), Some("second"));
}

#[test]
fn only_commits_signed_with_a_trusted_ssh_key_take_effect() {
    let team = Team::new();
    let (kim, eve) = (team.key("kim"), team.key("eve"));
    let public = std::fs::read_to_string(kim.with_extension("pub")).unwrap();
    std::fs::write(team.yard.beside("allowed"), format!("kim@example.com namespaces=\"git\" {public}")).unwrap();
    team.follow(&format!("require_signed_commits = true\nallowed_signers = \"{}\"\n", team.yard.beside("allowed").display()));
    let (by_kim, by_eve) = (signing(&kim), signing(&eve));

    team.commit("unsigned", &[]);
    team.yard.once().ends(1).says("RMM0665").says("not signed");
    team.commit("one", &strs(&by_kim));
    team.yard.once().ends(0);
    assert!(team.has("one"));

    // A stranger's key; and what a trusted person puts on top of it does not heal it.
    team.commit("two", &strs(&by_eve));
    team.yard.once().ends(0).says("not trusted");
    assert!(team.has("one"));
    team.commit("three", &strs(&by_kim));
    team.yard.once().ends(0).says("not trusted");
    assert!(team.has("one"));

    // What is followed has no say in what is trusted.
    team.git(&["reset", "--quiet", "--hard", "HEAD~2"]);
    std::fs::write(
        team.yard.beside("work").join("rmm.toml"),
        "[repository]\nrequire_signed_commits = false\n[limits]\nmax_percent = 100\n",
    )
    .unwrap();
    team.commit("four", &[]);
    team.yard.once().ends(0).says("not signed");
    assert!(team.has("one"));
}

#[test]
fn only_commits_signed_with_a_trusted_openpgp_key_take_effect() {
    let team = Team::new();
    let home = team.yard.beside("gnupg");
    {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new().mode(0o700).create(&home).unwrap();
    }
    for name in ["kim", "eve"] {
        let user = format!("{name}@example.com");
        team.run(
            "gpg",
            &[
                "--batch",
                "--quiet",
                "--passphrase",
                "",
                "--pinentry-mode",
                "loopback",
                "--quick-gen-key",
                &user,
                "ed25519",
                "sign",
                "never",
            ],
        );
    }
    let fingerprint = |name: &str| {
        let listed = team.run("gpg", &["--batch", "--with-colons", "--list-keys", &format!("{name}@example.com")]);
        listed.lines().find_map(|line| line.strip_prefix("fpr:")).unwrap().trim_matches(':').to_owned()
    };
    // Both keys are in the file; only one is trusted.
    let exported = team.run("gpg", &["--batch", "--armor", "--export"]);
    std::fs::write(team.yard.beside("keys.asc"), exported).unwrap();
    let (kim, eve) = (fingerprint("kim"), fingerprint("eve"));
    team.follow(&format!(
        "require_signed_commits = true\ntrusted_keys = \"{}\"\ntrusted_fingerprints = [\"{kim}\"]\n",
        team.yard.beside("keys.asc").display()
    ));
    let signed = |key: &str| vec!["-c".to_owned(), format!("user.signingKey={key}"), "-c".into(), "commit.gpgSign=true".into()];
    team.commit("one", &strs(&signed(&kim)));
    team.yard.once().ends(0);
    assert!(team.has("one"));
    team.commit("two", &strs(&signed(&eve)));
    team.yard.once().ends(0).says("not trusted");
    assert!(team.has("one"));
    // The agent that signed would outlive the test.
    let _ = Command::new("gpgconf").arg("--homedir").arg(&home).args(["--kill", "all"]).status();
}

#[test]
fn a_remote_that_is_gone_leaves_the_last_good_commit_in_force() {
    let team = Team::new();
    team.follow("");
    team.commit("one", &[]);
    team.yard.once().ends(0);
    std::fs::rename(team.yard.beside("work"), team.yard.beside("gone")).unwrap();
    std::fs::remove_file(team.yard.device("a").join("app.conf")).unwrap();
    team.yard.file("rmm.toml", &std::fs::read_to_string(team.yard.repo().join("rmm.toml")).unwrap());
    let daemon = team.yard.daemon();
    daemon.says("RMM0663");
    let open = "SELECT 1 FROM Alerts WHERE AlertType = 'Repository' AND State IN ('Triggered', 'Active')";
    daemon.until("an alert", || !team.yard.sql(open).is_empty());
}
