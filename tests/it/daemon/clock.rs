//! The clock of the machine, as the daemon sees it, is set forward and back by an hour while it runs, and while it does not.

use std::collections::BTreeSet;

use super::hook::Hook;
use super::*;

/// Set by a library between the process and the system: the clock of this machine stays as it is.
struct Clock {
    file: PathBuf,
    library: PathBuf,
}

impl Clock {
    fn new(yard: &Yard) -> Self {
        let folders = std::fs::read_dir("/usr/lib").unwrap().flatten().map(|entry| entry.path().join("faketime"));
        let mut found = folders.map(|folder| folder.join("libfaketimeMT.so.1")).filter(|library| library.exists());
        let library = found.next().expect("install the package faketime");
        let clock = Self { file: yard.beside("clock"), library };
        clock.set("+0");
        clock
    }

    /// So far from the time of the machine.
    fn set(&self, offset: &str) {
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{offset}\n")).unwrap();
        std::fs::rename(new, &self.file).unwrap();
    }

    fn daemon(&self, yard: &Yard) -> Daemon {
        let (library, file) = (self.library.display().to_string(), self.file.display().to_string());
        yard.daemon_with(&[
            ("LD_PRELOAD", &library),
            ("FAKETIME_TIMESTAMP_FILE", &file),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("DONT_FAKE_MONOTONIC", "1"),
            // Files have the times that they have.
            ("NO_FAKE_STAT", "1"),
        ])
    }
}

/// Moments of schedules that began, as the log has them.
fn begun(log: &str) -> Vec<String> {
    let lines = log.lines().filter(|line| line.contains(" begins ") && line.contains("schedule="));
    lines.map(|line| line[line.find("schedule=").unwrap()..].to_owned()).collect()
}

#[test]
fn a_clock_that_is_set_forward_and_back_by_an_hour_has_nothing_run_or_told_twice() {
    let hook = Hook::new(Duration::ZERO);
    let yard = Yard::new(&["a"]);
    let control = yard.beside("control");
    let mut devices = std::fs::read_to_string(yard.repo().join("devices.yaml")).unwrap();
    for name in ["s-1", "s-2"] {
        devices += &format!(
            "  {name}: {{os: linux, connection: {{transport: simulated, simulation: {{seed: 1, latencyMs: 1, control: '{}'}}}}}}\n",
            control.display()
        );
    }
    yard.file("devices.yaml", &devices);
    yard.file("thresholds/t.yaml", "thresholds:\n  Memory: {critical: 90, targets: [{device: s-1}, {device: s-2}]}\n");
    yard.file("notifications.yaml", "rules:\n  All: {channels: [hook], repeat: 30m}\n");
    yard.file(
        "rmm.toml",
        &format!(
            "[limits]\nmax_percent = 100\n[monitoring.schedules]\nmetrics = \"* * * * * *\"\ncleanup = \"* * * * * *\"\nupdates = \"every 20 min\"\n\
             [notifications.channels.hook]\ntype = \"webhook\"\nurl = \"{}\"\n",
            hook.url
        ),
    );
    yard.file(
        "policies/p.yaml",
        "policies:\n  Half:\n    targets: [{device: a}]\n    remediate: true\n    schedule: every 30 min\n    settings:\n      Files:\n        \"{{ vars.dir }}/app.conf\": {template: \"one\\n\", mode: \"0644\"}\n",
    );
    std::fs::write(&control, "s-1 Memory=97\n").unwrap();
    let clock = Clock::new(&yard);
    // By their keys: a daemon that is killed between a message and its receipt sends it again, and whoever takes it sees that.
    let told = |occasion: &str| hook.by_key().values().filter(|(taken, _)| taken.about().1 == occasion).count();
    let (mut moments, mut logs) = (Vec::new(), String::new());

    let daemon = clock.daemon(&yard);
    daemon.until("the breach is told", || told("raised") == 1);
    daemon.until("a schedule", || !begun(&daemon.log()).is_empty());
    // An hour forward: what was missed comes once, and what is told every half hour is told once more.
    clock.set("+1h");
    daemon.until("it is told again", || told("repeated") == 1);
    daemon.until("what was missed", || {
        let begun = begun(&daemon.log());
        ["policy Half", "updates"].iter().all(|name| begun.iter().filter(|moment| moment.contains(name)).count() == 1)
    });
    daemon.until("the policy", || yard.read("a", "app.conf").is_some());
    std::fs::remove_file(yard.device("a").join("app.conf")).unwrap();
    // Back to where it was, and an hour further: nothing comes again, and what is new is seen as fast as ever.
    clock.set("+0");
    std::fs::write(&control, "s-1 Memory=97\ns-2 Memory=97\n").unwrap();
    daemon.until("another breach", || told("raised") == 2);
    clock.set("-1h");
    std::fs::write(&control, "s-2 Memory=98\n").unwrap();
    daemon.until("the first one is over", || told("resolved") == 1);
    moments.extend(begun(&daemon.log()));
    logs += &daemon.kill();

    // The same over a restart, and forward once more to where it has been.
    let daemon = clock.daemon(&yard);
    daemon.says("at work");
    std::fs::write(&control, "# all is well\n").unwrap();
    daemon.until("the second one is over", || told("resolved") == 2);
    clock.set("+1h");
    // What comes every second comes again, beyond the moments that were.
    let known = begun(&daemon.log()).len();
    daemon.until("new moments", || begun(&daemon.log()).len() > known);
    moments.extend(begun(&daemon.log()));
    logs += &daemon.log();
    assert_eq!(daemon.stop().0, Some(0));

    let unique: BTreeSet<&String> = moments.iter().collect();
    assert_eq!(unique.len(), moments.len(), "{moments:#?}");
    for name in ["policy Half", "updates"] {
        // Where half an hour has come round meanwhile, that moment is one more.
        let of: Vec<&String> = moments.iter().filter(|moment| moment.contains(name)).collect();
        assert!((1..=2).contains(&of.len()), "{of:?}");
    }
    assert_eq!((told("raised"), told("repeated"), told("resolved")), (2, 1, 2), "{:#?}\n{logs}", hook.taken());
    let twice = hook.by_key().values().filter(|(_, times)| *times > 1).count();
    assert!(twice <= 1, "only what was on its way when the daemon was killed comes again");
    yard.rmm(&["audit", "verify"]).ends(0);
    assert_eq!(yard.sql("PRAGMA integrity_check"), ["ok"]);
}
