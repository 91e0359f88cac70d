//! Values that a shell would run: written literally over SSH and on this machine, or refused. Never run.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::fleet::Fleet;

/// A fleet of one SSH device and this machine, and a word that no command may make a file of.
struct House {
    fleet: Fleet,
    word: String,
}

impl House {
    fn new() -> Self {
        static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let next = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let house = Self { fleet: Fleet::new(1), word: format!("CANARY-{}-{next}", std::process::id()) };
        house.declare(&json!(""));
        house
    }

    /// Both devices, with this as variable and as custom field.
    fn declare(&self, evil: &Value) {
        let local = self.fleet.dir(2);
        std::fs::create_dir_all(&local).unwrap();
        let devices = json!({"devices": {
            "dev-01": {"address": "127.0.1.1", "vars": {"dir": self.fleet.dir(1), "evil": evil}, "customFields": {"evil": evil}},
            "here": {"connection": {"transport": "local"}, "vars": {"dir": local, "evil": evil}, "customFields": {"evil": evil}},
        }});
        let mut text = std::fs::read_to_string(self.fleet.repo().join("devices.yaml")).unwrap();
        text.truncate(text.find("devices:\n").unwrap_or(text.len()));
        self.fleet.file("devices.yaml", &text);
        self.fleet.file("devices/both.json", &devices.to_string());
    }

    fn policy(&self, settings: &Value) {
        let policy = json!({"policies": {"Hostile": {"targets": ["*"], "remediate": true, "settings": settings}}});
        self.fleet.file("policies/hostile.json", &policy.to_string());
    }

    /// What a shell would take for commands. None holds a slash, so that each may be a file name too.
    fn lines(&self) -> Vec<String> {
        let w = &self.word;
        [
            format!("'; touch {w} #"),
            format!("$(touch {w})"),
            format!("`touch {w}`"),
            format!("\"; touch {w}; \""),
            format!("; touch {w} ;"),
            format!("| touch {w} &"),
            format!("' $(touch {w}) '\"'\"'`touch {w}`"),
            format!("\\'; touch {w}"),
            "-rf".into(),
            "--help".into(),
            "-".into(),
            "${HOME} $0 $* !! ~ * ? [a-z]".into(),
            "%s%n%d \\n \\0 \\c &&".into(),
            "a'b\"c\\".into(),
            "EOF".into(),
            " begins and ends with blanks ".into(),
            "ünïcödé \u{202e}".into(),
        ]
        .into()
    }

    #[track_caller]
    fn nothing_was_run(&self) {
        let home = PathBuf::from(std::env::var("HOME").unwrap_or_else(|_| "/root".into()));
        let here = std::env::current_dir().unwrap();
        let places = [home, here, "/".into(), "/root".into(), "/tmp".into(), self.fleet.repo(), self.fleet.sshd.home().into()];
        for place in places.into_iter().chain((1..=2).map(|i| self.fleet.dir(i))) {
            assert!(!place.join(&self.word).exists(), "a value was run in {}", place.display());
        }
    }
}

#[test]
fn hostile_contents_names_and_lines_are_written_literally() {
    let house = House::new();
    let (mut files, mut directories, mut lines) = (Map::new(), Map::new(), Map::new());
    let contents: Vec<String> =
        house.lines().into_iter().chain([format!("a\n'; touch {0}\n$(touch {0})\nEOF\n", house.word), "\t\r\n\u{1}x".into()]).collect();
    for (i, content) in contents.iter().enumerate() {
        files.insert(format!("{{{{ vars.dir }}}}/content-{i}"), json!({"content": content}));
    }
    for (i, name) in house.lines().iter().enumerate() {
        files.insert(format!("{{{{ vars.dir }}}}/f/{name}"), json!({"content": name, "mode": "0600"}));
        directories.insert(format!("{{{{ vars.dir }}}}/d/{name}"), json!({"mode": "0700"}));
        lines.insert(format!("line {i}"), json!({"path": "{{ vars.dir }}/lines", "line": name}));
    }
    directories.insert("{{ vars.dir }}/f".into(), json!({"mode": "0700"}));
    directories.insert("{{ vars.dir }}/d".into(), json!({"mode": "0700"}));
    house.policy(&json!({"Files": files, "Directories": directories, "LineInFile": lines}));
    house.fleet.rmm(&["plan", "--commands"]).ends(0);
    house.nothing_was_run();
    house.fleet.apply(&[]).ends(0);
    house.nothing_was_run();
    for device in 1..=2 {
        for (i, content) in contents.iter().enumerate() {
            assert_eq!(house.fleet.read(device, &format!("content-{i}")).as_ref(), Some(content));
        }
        let written = house.fleet.read(device, "lines").unwrap();
        for name in house.lines() {
            assert_eq!(house.fleet.read(device, &format!("f/{name}")), Some(name.clone()));
            assert!(house.fleet.dir(device).join("d").join(&name).is_dir(), "{name}");
            assert_eq!(written.lines().filter(|l| **l == name).count(), 1, "{name}");
        }
    }
    house.fleet.rmm(&["plan", "--refresh", "always", "--detailed-exitcode"]).ends(0);
    house.fleet.intact();
}

#[test]
fn hostile_variables_and_custom_fields_stay_text() {
    let house = House::new();
    let text = |name: &str| json!({"content": format!("{{{{ {name} }}}}")});
    house.policy(&json!({"Files": {
        "{{ vars.dir }}/by-var": text("vars.evil"), "{{ vars.dir }}/by-field": text("device.customFields.evil"),
    }, "LineInFile": {"line": {"path": "{{ vars.dir }}/by-line", "line": "value={{ vars.evil }}"}}}));
    // A value that looks like a template is not filled in again.
    for evil in [format!("'; touch {0} # $(touch {0}) `touch {0}`", house.word), "{{ 7 * 7 }}".into(), "-n {% for %}".into()] {
        house.declare(&json!(evil));
        house.fleet.apply(&["--refresh", "always"]).ends(0);
        house.nothing_was_run();
        for device in 1..=2 {
            for name in ["by-var", "by-field"] {
                assert_eq!(house.fleet.read(device, name).as_deref(), Some(&*evil));
            }
            assert!(house.fleet.read(device, "by-line").unwrap().lines().any(|l| l == format!("value={evil}")));
        }
    }
    // A line break in a value that has to stay one line is no second line.
    let evil = format!("a\n$(touch {})", house.word);
    house.declare(&json!(evil));
    house.fleet.apply(&["--refresh", "always"]);
    house.nothing_was_run();
    for device in 1..=2 {
        assert!(!house.fleet.read(device, "by-line").unwrap().lines().any(|l| l.starts_with("$(touch")));
        assert_eq!(house.fleet.read(device, "by-var").as_deref(), Some(&*evil));
    }
}

#[test]
fn what_a_setting_does_not_take_is_refused_before_a_device_sees_it() {
    let house = House::new();
    let evil = format!("$(touch {})", house.word);
    let newline = format!("x\ntouch {}", house.word);
    for settings in [
        json!({"Files": {(format!("/tmp/{newline}")): {"content": "x"}}}),
        json!({"Files": {"relative; touch x": {"content": "x"}}}),
        json!({"Files": {"/tmp/x": {"content": "x", "mode": evil}}}),
        json!({"Files": {"/tmp/x": {"content": "x", "owner": evil}}}),
        json!({"Files": {"/tmp/x": {"content": "x", "group": "-R"}}}),
        json!({"LineInFile": {"a": {"path": "/tmp/x", "line": newline}}}),
        json!({"CronJobs": {"a": {"schedule": "@daily", "command": newline}}}),
        json!({"CronJobs": {(evil.clone()): {"schedule": "@daily", "command": "x"}}}),
        json!({"CronJobs": {"a": {"schedule": evil, "command": "x"}}}),
        json!({"CronJobs": {"a": {"schedule": "@daily", "command": "x", "user": evil}}}),
        json!({"Packages": {(evil.clone()): "present"}}),
        json!({"Packages": {"--force": "present"}}),
        json!({"Services": {(evil.clone()): {"state": "running"}}}),
        json!({"Users": {(evil.clone()): {}}}),
        json!({"Groups": {"-x": {}}}),
        json!({"Sysctl": {(evil.clone()): "1"}}),
        json!({"Hostname": evil}),
        json!({"Timezone": "../../etc/passwd"}),
        json!({"KernelModules": {(evil.clone()): "blocked"}}),
    ] {
        house.policy(&settings);
        let said = house.fleet.apply(&[]);
        assert_eq!(said.code, Some(4), "{settings}: {said:?}");
    }
    house.nothing_was_run();
    // A cron command is the one text that a shell is meant to read: cron's, not ours.
    house.policy(&json!({"CronJobs": {"rmm-test-never-written": {"schedule": "0 0 1 1 *", "command": evil}}}));
    house.fleet.rmm(&["plan", "--commands"]).ends(0);
    house.nothing_was_run();
}

#[test]
fn hostile_names_and_addresses_of_devices_run_nothing() {
    let house = House::new();
    house.policy(&json!({"Files": {"{{ vars.dir }}/{{ device.hostname }}": {"content": "{{ device.name }}"}}}));
    for evil in [format!("$(touch {})", house.word), format!("'; touch {} #", house.word), format!("-oProxyCommand=touch {}", house.word)] {
        for device in [
            json!({(evil.clone()): {"address": "127.0.1.1", "vars": {"dir": house.fleet.dir(1)}}}),
            json!({"a": {"address": evil, "vars": {"dir": house.fleet.dir(1)}}}),
        ] {
            house.fleet.file("devices/both.json", &json!({"devices": device}).to_string());
            let said = house.fleet.apply(&["--refresh", "always"]);
            assert!(said.code.is_some(), "{said:?}");
            house.fleet.rmm(&["status"]);
            house.nothing_was_run();
        }
    }
}
