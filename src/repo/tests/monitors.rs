//! Monitors: what is accepted, and where mistakes are found.

use super::*;
use crate::model::monitor::{Check, Confirm, Priority};
use crate::model::{Selector, Severity};

fn compiled(text: &str) -> Loaded {
    let files = [("rmm.toml", ""), ("devices.yaml", "groups: {Web: {}}\ndevices: {a: {groups: [Web]}}"), ("monitors/m.yaml", text)];
    compile(files.iter().map(|(path, text)| (Arc::from(*path), (*text).to_owned())).collect(), &options(), World::default())
}

#[test]
fn every_kind_of_check_is_read_with_its_defaults() {
    let text = "
monitors:
  Answers: {ping: {}, confirm: {failures: 3, successes: 2}, every: 1m, severity: critical}
  Database: {tcp: {port: 5432}}
  Login: {ssh: {}}
  Remote: {winrm: {tls: false}}
  Shop:
    targets: [Web]
    http: {url: 'https://{{ device.address }}/health', status: [200, 204], contains: ok, within: 2s, expires: 21d}
  Workers:
    services:
      app: {restart: 3, dependsOn: [db], startup: enabled}
      db:
  Logins: {events: {units: [sshd], priority: warning, matches: 'Failed \\w+', rate: {count: 5, within: 10m}}}
";
    let loaded = compiled(text);
    assert_eq!(loaded.problems, Vec::new());
    let set = loaded.set.unwrap();
    let kinds: Vec<(&str, &str)> = set.monitors.values().map(|m| (&*m.name, m.check.kind())).collect();
    assert_eq!(
        kinds,
        [
            ("Answers", "ping"),
            ("Database", "tcp"),
            ("Login", "ssh"),
            ("Logins", "events"),
            ("Remote", "winrm"),
            ("Shop", "http"),
            ("Workers", "services")
        ]
    );
    let answers = &set.monitors["Answers"];
    assert_eq!(
        (answers.every.as_seconds(), answers.confirm, answers.severity),
        (60, Confirm { failures: 3, successes: 2 }, Severity::Critical)
    );
    let shop = &set.monitors["Shop"];
    assert_eq!((shop.every.as_seconds(), shop.timeout.as_seconds(), &shop.targets[..]), (300, 5, &[Selector::Name("Web".into())][..]));
    assert!(matches!(&shop.check, Check::Http(http) if http.verify && http.expires.unwrap().as_seconds() == 21 * 86_400));
    let Check::Services(services) = &set.monitors["Workers"].check else { panic!() };
    assert_eq!((services["app"].restarts_per_day, services["db"].restarts_per_day), (3, 0));
    assert!(matches!(&set.monitors["Logins"].check, Check::Events(events) if events.priority == Priority::Warning));
}

#[test]
fn mistakes_in_monitors_are_found_where_they_stand() {
    for (text, spot, says) in [
        ("A: {every: 1m}", "RMM0640 1:1", "has to say what it looks at, once"),
        ("A: {ping: {}, tcp: {port: 1}}", "RMM0640 1:1", "exactly one of"),
        ("CPU: {ping: {}}", "RMM0640 1:1", "cannot be named 'CPU'"),
        ("A: {ping: {}, every: 1s}", "RMM0641 1:22", "every 5 s at most"),
        ("A: {ping: {}, every: 10s, timeout: 1m}", "RMM0641 1:36", "yet the next one comes after 10s"),
        ("A: {http: {url: 'ftp://x/'}}", "RMM0642 1:17", "not http or https"),
        ("A: {http: {url: 'https://{{ vars.x }}/'}}", "RMM0642 1:17", "'vars.x' cannot stand"),
        ("A: {http: {url: 'https://bob:pw@x/'}}", "RMM0642 1:17", "a user or a password"),
        ("A: {http: {url: 'https://x/', status: [700]}}", "RMM0642 1:39", "no status code"),
        ("A: {services: {}}", "RMM0643 1:15", "no service is named"),
        ("A: {services: {nginx.service: }}", "RMM0643 1:16", "without .service: nginx"),
        ("A: {services: {a: {dependsOn: [b]}, b: {dependsOn: [a]}}}", "RMM0643 1:16", "a -> b -> a"),
        ("A: {services: {'-x': }}", "RMM0643 1:16", "no name of a service"),
        ("A: {events: {matches: '('}}", "RMM0644 1:23", "cannot be read"),
        ("A: {pin: {}}", "RMM0102 1:5", "did you mean 'ping'?"),
        ("A: {targets: [Wbe], ping: {}}", "RMM0108 1:15", "there is no group 'Wbe'"),
    ] {
        let loaded = compiled(text);
        let all = spots(&loaded);
        assert_eq!(all.len(), 1, "{text}: {:#?}", loaded.problems);
        let problem = &loaded.problems[0];
        let found = format!("{}; {}", problem.message, problem.advice.clone().unwrap_or_default());
        assert_eq!(all[0].replace(" monitors/m.yaml:", " "), spot, "{text}");
        assert!(found.contains(says), "{text}: {found}");
    }
}

#[test]
fn what_the_settings_say_of_winrm_holds_for_its_monitors() {
    let monitors = "Plain: {winrm: {tls: false}}\nSafe: {winrm: {}, every: 20s}\nOften: {winrm: {}}\n";
    let with = |settings: &str| {
        let files = [("rmm.toml", settings), ("devices.yaml", "devices: {a: {}}"), ("monitors/m.yaml", monitors)];
        compile(files.iter().map(|(path, text)| (Arc::from(*path), (*text).to_owned())).collect(), &options(), World::default())
    };
    let set = with("[connections]\nwinrm_timeout = \"40s\"\n").set.unwrap();
    assert_eq!((set.monitors["Safe"].timeout.as_seconds(), set.monitors["Often"].timeout.as_seconds()), (20, 40));
    let refused = with("[security]\nrequire_https = true\n");
    let found: Vec<_> = refused.problems.iter().map(|p| format!("{} {}", p.code, p.place.as_ref().unwrap())).collect();
    assert_eq!(found, ["RMM0645 monitors/m.yaml:1"]);
}
