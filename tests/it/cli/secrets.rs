//! `rmm secrets`. What it writes is read by another implementation of the format, `age` of Debian, and the other way round.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Ended, Fleet, ended, rmm};

const VALUE: &str = "p\u{e4}ss '\"$(x)` w\u{f6}rd";

/// A repository, and a home directory in it.
struct Safe(Fleet);

impl Safe {
    fn new() -> Self {
        Self(Fleet::small())
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = rmm(self.0.dir.path(), args);
        command.env("HOME", self.0.path("home")).env("RMM_IN_AUTOMATION", "1");
        command
    }

    fn rmm(&self, args: &[&str]) -> Ended {
        ended(self.command(args))
    }

    fn set(&self, args: &[&str], value: &str) -> Ended {
        fed(self.command(&[&["secrets", "set"], args].concat()), value)
    }

    fn key(&self) -> String {
        self.0.path("home/.config/rmm/key.txt").display().to_string()
    }

    fn public_key(&self) -> String {
        self.0.read("home/.config/rmm/key.txt").lines().next().unwrap().replace("# public key: ", "")
    }
}

fn fed(mut command: Command, input: &str) -> Ended {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap_or_else(|error| panic!("{program}: {error}; tests/run installs it"));
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Files under a folder that hold a text.
fn holding(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            found.extend(holding(&entry.path(), text));
        } else if String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()).contains(text) {
            found.push(entry.path().display().to_string());
        }
    }
    found
}

#[test]
fn a_secret_is_set_used_and_read_by_another_program() {
    let safe = Safe::new();
    safe.rmm(&["secrets", "init"]).code(0).says("secrets/recipients.txt: 1 recipient");
    assert_eq!(std::fs::metadata(safe.key()).unwrap().permissions().mode() & 0o777, 0o600);
    safe.set(&["db"], &format!("{VALUE}\n")).code(0).says("+ secrets/db.age for 1 recipient");
    assert_eq!(safe.rmm(&["secrets", "get", "db"]).code(0).out, VALUE);
    assert_eq!(output("age", &["-d", "-i", &safe.key(), safe.0.path("secrets/db.age").to_str().unwrap()]), VALUE);
    // And what age writes is read here.
    let plain = safe.0.path("home/plain");
    std::fs::write(&plain, "from age").unwrap();
    let other = safe.0.path("secrets/other.age");
    output("age", &["-a", "-r", &safe.public_key(), "-o", other.to_str().unwrap(), plain.to_str().unwrap()]);
    assert_eq!(safe.rmm(&["secrets", "get", "other"]).code(0).out, "from age");
}

#[test]
fn ssh_keys_and_several_recipients() {
    let safe = Safe::new();
    safe.rmm(&["secrets", "init"]).code(0);
    safe.set(&["db"], VALUE).code(0);
    std::fs::create_dir_all(safe.0.path("other/.ssh")).unwrap();
    for (kind, file) in [("ed25519", "id_ed25519"), ("rsa", "id_rsa")] {
        let key = safe.0.path(&format!("other/.ssh/{file}"));
        output("ssh-keygen", &["-q", "-t", kind, "-N", "", "-C", kind, "-f", key.to_str().unwrap()]);
        let as_other = |args: &[&str]| {
            let mut command = safe.command(args);
            command.env("HOME", "/nowhere").env("RMM_SECRETS_KEY", &key);
            ended(command)
        };
        as_other(&["secrets", "get", "db"]).code(1).complains("RMM0808").complains("none of the keys fits");
        let public = safe.0.read(&format!("other/.ssh/{file}.pub"));
        safe.rmm(&["secrets", "recipients", "add", &public]).code(0).says("1 secret encrypted anew");
        assert_eq!(as_other(&["secrets", "get", "db"]).code(0).out, VALUE);
        // One who can read them can go on keeping them.
        as_other(&["secrets", "rotate"]).code(0).says("1 secret encrypted anew");
        safe.rmm(&["secrets", "recipients", "remove", kind]).code(0).says("1 secret encrypted anew");
        as_other(&["secrets", "get", "db"]).code(1).complains("RMM0808");
    }
    let only = safe.public_key();
    safe.rmm(&["secrets", "recipients", "remove", &only]).code(1).complains("names nobody to encrypt for");
    assert_eq!(safe.rmm(&["secrets", "get", "db"]).code(0).out, VALUE);
}

#[test]
fn a_passphrase_opens_the_key_in_the_repository() {
    let safe = Safe::new();
    let with = |passphrase: &str, args: &[&str]| {
        let mut command = safe.command(args);
        command.env("RMM_SECRETS_PASSPHRASE", passphrase);
        ended(command)
    };
    safe.rmm(&["secrets", "init", "--passphrase"]).code(3).complains("no passphrase, and no terminal to ask on");
    with("correct horse", &["secrets", "init", "--passphrase"]).code(0).says("secrets/identity.age");
    // A list of recipients that was lost is no reason to lose the key too.
    let (key, list) = (safe.0.read("secrets/identity.age"), safe.0.read("secrets/recipients.txt"));
    std::fs::remove_file(safe.0.path("secrets/recipients.txt")).unwrap();
    with("another", &["secrets", "init", "--passphrase"]).code(1).complains("it exists already");
    assert_eq!(safe.0.read("secrets/identity.age"), key);
    safe.0.write("secrets/recipients.txt", &list);
    // Setting needs no key: it is encrypted for a public one.
    safe.set(&["db"], VALUE).code(0);
    assert_eq!(with("correct horse", &["secrets", "get", "db"]).code(0).out, VALUE);
    with("battery staple", &["secrets", "get", "db"]).code(1).complains("the passphrase is wrong");
    safe.rmm(&["secrets", "get", "db"]).code(1).complains("its passphrase was not given");
    safe.set(&["identity"], "x").code(1).complains("RMM0805");
    // Nearly everybody has a key of SSH; that it is for something else is no reason not to ask.
    let key = safe.0.path("home/.ssh/id_ed25519");
    std::fs::create_dir_all(key.parent().unwrap()).unwrap();
    output("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", key.to_str().unwrap()]);
    assert_eq!(with("correct horse", &["secrets", "get", "db"]).code(0).out, VALUE);
    safe.rmm(&["secrets", "get", "db"]).code(1).complains("its passphrase was not given");
    // One that fits needs no passphrase, be the given one right or wrong.
    with("correct horse", &["secrets", "recipients", "add", &safe.0.read("home/.ssh/id_ed25519.pub")]).code(0);
    assert_eq!(with("battery staple", &["secrets", "get", "db"]).code(0).out, VALUE);
}

#[test]
fn the_list_says_where_from_how_old_and_what_for() {
    let safe = Safe::new();
    safe.rmm(&["secrets", "init"]).code(0);
    safe.set(&["db", "--rotate-every", "90d"], "a").code(0);
    safe.set(&["old", "--rotate-every", "30d"], "b").code(0);
    let index = safe.0.read("secrets/index.toml");
    let (head, old) = index.split_once("[old]").unwrap();
    let year = regex_lite::Regex::new(r#"changed = "\d{4}"#).unwrap();
    safe.0.write("secrets/index.toml", &format!("{head}[old]{}", year.replace(old, "changed = \"2024")));
    safe.0.write(
        "devices.yaml",
        "groups:\n  All Servers: {}\ndevices:\n  here:\n    groups: [All Servers]\n    connection: {transport: local, sudoPassword: {secret: db}}\n  \
         far: {connection: {password: {secret: far-password}}}\n",
    );
    safe.0.write(
        "policies/a.yaml",
        "policies:\n  Notice:\n    targets: [All Servers]\n    settings:\n      Files:\n        /tmp/a: {content: {secret: \"{{ vars.which }}\"}, mode: \"0600\"}\n",
    );
    let list = safe.rmm(&["secrets", "list"]).code(0);
    assert!(!list.out.contains("vars.which"), "{}", list.out);
    let line = |name: &str| {
        list.out.lines().find(|line| line.starts_with(name)).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(line("db ").contains("secrets 0 s ago in 8") && line("db ").ends_with("device here"), "{}", list.out);
    assert!(line("old ").contains(" due"), "{}", list.out);
    assert!(line("far-password").contains("missing") && line("far-password").ends_with("device far"), "{}", list.out);
    assert!(list.err.contains("1 secret is without a value") && list.err.contains("1 secret is to be replaced"), "{}", list.err);
    let json = safe.rmm(&["secrets", "list", "--output", "json"]).code(0).json();
    assert_eq!(json["schema"], "rmm.secrets/1");
    safe.rmm(&["secrets", "remove", "db"]).code(0).complains("still named by device here");
    safe.rmm(&["secrets", "remove", "db"]).code(1).complains("RMM0812");
}

#[test]
fn a_program_of_this_machine_gives_a_secret_and_the_environment_wins() {
    let safe = Safe::new();
    safe.0.write("home/.config/rmm/secrets.toml", "[commands]\ndb = [\"printf\", \"%s\", \"from a program\"]\n");
    std::fs::set_permissions(safe.0.path("home/.config/rmm/secrets.toml"), std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(safe.rmm(&["secrets", "get", "db"]).code(0).out, "from a program");
    let mut command = safe.command(&["secrets", "get", "db"]);
    command.env("RMM_SECRET_DB", "from the environment");
    assert_eq!(ended(command).code(0).out, "from the environment");
    std::fs::set_permissions(safe.0.path("home/.config/rmm/secrets.toml"), std::fs::Permissions::from_mode(0o666)).unwrap();
    safe.rmm(&["secrets", "get", "db"]).code(1).complains("RMM0811").complains("others could have a program started");
}

#[test]
fn a_damaged_file_a_key_of_others_and_a_private_key_among_the_recipients_are_refused() {
    let safe = Safe::new();
    safe.set(&["db"], "x").code(1).complains("RMM0807").complains("rmm secrets init");
    safe.rmm(&["secrets", "init"]).code(0);
    safe.rmm(&["secrets", "init"]).code(1).complains("recipients already");
    safe.set(&["db"], VALUE).code(0);
    let sealed = safe.0.read("secrets/db.age");
    for damaged in [sealed.replacen('A', "B", 40), sealed[..sealed.len() / 2].to_owned(), "nothing".into(), String::new()] {
        safe.0.write("secrets/db.age", &damaged);
        let said = safe.rmm(&["secrets", "get", "db"]).code(1);
        assert!(said.err.contains("RMM0809") || said.err.contains("RMM0808"), "{}", said.err);
        // Encrypting anew reads everything first: nothing is lost because one file is broken.
        safe.rmm(&["secrets", "rotate"]).code(1);
        assert_eq!(safe.0.read("secrets/db.age"), damaged);
    }
    safe.0.write("secrets/db.age", &sealed);
    let secret_key = safe.0.read("home/.config/rmm/key.txt").lines().nth(1).unwrap().to_owned();
    let before = safe.0.read("secrets/recipients.txt");
    safe.rmm(&["secrets", "recipients", "add", &secret_key]).code(3).complains("this is a private key");
    safe.0.write("secrets/recipients.txt", &format!("{before}\nage1nonsense\n"));
    safe.rmm(&["secrets", "rotate"]).code(1).complains("RMM0807").complains("recipients.txt:6");
    safe.0.write("secrets/recipients.txt", &before);
    std::fs::set_permissions(safe.key(), std::fs::Permissions::from_mode(0o644)).unwrap();
    // A key of a usual place is passed over, with the reason; one that was named is refused.
    safe.rmm(&["secrets", "get", "db"]).code(1).complains("RMM0808").complains("its mode is 0644");
    let mut named = safe.command(&["secrets", "get", "db"]);
    named.env("RMM_SECRETS_KEY", safe.key());
    ended(named).code(1).complains("RMM0810").complains("chmod 600");
}

#[test]
fn a_value_stands_nowhere_but_where_it_is_wanted() {
    let safe = Safe::new();
    let marker = format!("marker-{}-w\u{f6}rd", std::process::id());
    let wanted = safe.0.path("home/wanted.txt");
    safe.0.write(
        "policies/a.yaml",
        &format!(
            "policies:\n  Notice:\n    targets: [All Servers]\n    remediate: true\n    settings:\n      Files:\n        '{}': {{content: {{secret: app}}, mode: \"0600\"}}\n",
            wanted.display()
        ),
    );
    safe.0.write("rmm.toml", "[general]\nlog_level = \"debug\"\n[limits]\nmax_percent = 100\n");
    safe.rmm(&["secrets", "init"]).code(0);
    safe.set(&["app"], &marker).code(0);
    let mut said = Vec::new();
    for args in [
        &["plan", "-o", "saved.rmmplan"][..],
        &["apply", "--yes"],
        &["plan"],
        &["audit", "list"],
        &["secrets", "list"],
        &["facts", "here"],
        &["why", "here"],
        &["secrets", "rotate"],
    ] {
        let ended = safe.rmm(args);
        said.push(format!("{args:?}: {}{}", ended.out, ended.err));
    }
    assert_eq!(std::fs::read_to_string(&wanted).unwrap(), marker);
    std::fs::remove_file(&wanted).unwrap();
    assert_eq!(said.iter().filter(|said| said.contains(&marker)).collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(holding(safe.0.dir.path(), &marker), Vec::<String>::new());
    safe.rmm(&["audit", "list", "--output", "json"]).code(0).says("secrets.set").says("secrets.rotated");
}

#[test]
fn programs_get_no_secret_of_the_environment_and_nothing_shows_what_they_say_of_one() {
    let safe = Safe::new();
    let with = |args: &[&str]| {
        let mut command = safe.command(args);
        command.env("RMM_SECRET_DB", "marker-of-db").env("RMM_SECRETS_PASSPHRASE", "marker-of-all").env("OTHER", "is there");
        ended(command)
    };
    let said = with(&["exec", "here", "--", "env"]).code(0).says("OTHER=is there");
    assert!(!said.out.contains("marker-of"), "{}", said.out);
    // What somebody has put into a command is on record without it.
    safe.rmm(&["secrets", "init"]).code(0);
    safe.set(&["app"], "marker-of-app").code(0);
    safe.rmm(&["exec", "here", "--", "echo", "marker-of-app"]).code(0).says("(secret app)");
    assert_eq!(holding(&safe.0.path(".rmm"), "marker-of-app"), Vec::<String>::new());
    // An empty variable is none.
    let mut command = safe.command(&["secrets", "get", "db"]);
    command.env("RMM_SECRET_DB", "");
    ended(command).code(1).complains("RMM0801");
}

#[test]
fn files_of_editors_on_windows_are_read_as_they_are_meant() {
    let safe = Safe::new();
    safe.rmm(&["secrets", "init"]).code(0);
    safe.set(&["db"], &format!("\u{feff}{VALUE}\r\n")).code(0);
    for file in ["home/.config/rmm/key.txt", "secrets/recipients.txt", "secrets/db.age"] {
        let text = safe.0.read(file).replace('\n', "\r\n");
        std::fs::write(safe.0.path(file), format!("\u{feff}{text}")).unwrap();
        assert_eq!(safe.rmm(&["secrets", "get", "db"]).code(0).out, VALUE, "{file}");
    }
    safe.rmm(&["secrets", "rotate"]).code(0).says("1 secret encrypted anew for 1 recipient");
    assert_eq!(safe.rmm(&["secrets", "get", "db"]).code(0).out, VALUE);
    safe.set(&["pin"], "123").code(0).complains("too short");
}

#[test]
fn what_is_set_while_everything_is_encrypted_anew_is_not_lost() {
    let safe = Safe::new();
    safe.rmm(&["secrets", "init"]).code(0);
    for n in 0..20 {
        safe.set(&[&format!("s-{n}")], "old").code(0);
    }
    let rotate = || safe.command(&["secrets", "rotate"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut rotating: Vec<_> = (0..4).map(|_| rotate()).collect();
    for n in 0..20 {
        safe.set(&[&format!("s-{n}")], &format!("new {n}")).code(0);
    }
    assert!(rotating.iter_mut().all(|child| child.wait().unwrap().success()));
    for n in 0..20 {
        assert_eq!(safe.rmm(&["secrets", "get", &format!("s-{n}")]).code(0).out, format!("new {n}"));
    }
    // One that was killed leaves at most this behind.
    safe.0.write("secrets/.s-0.age.0123abcd", "-----BEGIN AGE ENCRYPTED FILE-----");
    safe.rmm(&["secrets", "rotate"]).code(0);
    let left = holding(&safe.0.path("secrets"), "BEGIN AGE").len();
    assert_eq!(left, 20, "no file but the secrets themselves");
}
