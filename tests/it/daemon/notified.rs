//! What the service manager hears and people read: readiness, reloads, the watchdog, the end; the log in its form for programs.

use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex};

use rustix::process::Signal;

use super::*;

/// A service manager, as far as a service speaks to it.
struct Manager {
    path: PathBuf,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Manager {
    fn new(yard: &Yard) -> Self {
        let path = yard.beside("notify.sock");
        let socket = UnixDatagram::bind(&path).unwrap();
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let told = Arc::clone(&heard);
        // Ends with the last word of the test.
        std::thread::spawn(move || {
            let mut bytes = [0; 8192];
            while let Ok(n) = socket.recv(&mut bytes) {
                if &bytes[..n] == b"END" {
                    break;
                }
                told.lock().unwrap().push(String::from_utf8_lossy(&bytes[..n]).into_owned());
            }
        });
        Self { path, heard }
    }

    fn variables(&self) -> [(&str, &str); 2] {
        // Wants to hear something every 0.3 s.
        [("NOTIFY_SOCKET", self.path.to_str().unwrap()), ("WATCHDOG_USEC", "300000")]
    }

    /// Everything that it has heard, but for signs of life.
    fn words(&self) -> Vec<String> {
        self.heard.lock().unwrap().iter().filter(|text| !text.contains("WATCHDOG=1")).cloned().collect()
    }

    fn count(&self, text: &str) -> usize {
        self.heard.lock().unwrap().iter().filter(|heard| heard.lines().any(|line| line.starts_with(text))).count()
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = UnixDatagram::unbound().and_then(|socket| socket.send_to(b"END", &self.path));
    }
}

#[test]
fn the_service_manager_hears_when_it_is_ready_alive_reloads_and_ends() {
    let yard = Yard::new(&["a"]);
    // Nothing is noticed by itself.
    yard.file("rmm.toml", "[daemon]\nwatch = \"poll\"\npoll_interval = \"1d\"\n[limits]\nmax_percent = 100\n");
    yard.wants("one", "true");
    let manager = Manager::new(&yard);
    let daemon = yard.daemon_with(&manager.variables());
    daemon.until("readiness", || manager.count("READY=1") == 1);
    assert!(manager.words().iter().any(|text| text.contains("STATUS=at work: 1 device")), "{:?}", manager.words());
    daemon.until("the first change", || yard.read("a", "app.conf").as_deref() == Some("one\n"));
    let before = manager.count("WATCHDOG=1");
    daemon.until("signs of life", || manager.count("WATCHDOG=1") >= before + 5);

    yard.wants("two", "true");
    let before = manager.count("WATCHDOG=1");
    daemon.until("more of them", || manager.count("WATCHDOG=1") >= before + 5);
    assert_eq!(yard.read("a", "app.conf").as_deref(), Some("one\n"), "nobody has said that anything changed");
    assert_eq!(manager.count("RELOADING=1"), 0);
    daemon.signal(Signal::HUP);
    daemon.until("the change", || yard.read("a", "app.conf").as_deref() == Some("two\n"));
    daemon.until("the end of the reload", || manager.count("READY=1") == 2);
    let words = manager.words();
    let reloading = words.iter().position(|text| text.contains("RELOADING=1")).unwrap();
    assert!(words[reloading].contains("MONOTONIC_USEC="), "{words:?}");
    assert!(words[reloading + 1..].iter().any(|text| text.contains("READY=1")), "{words:?}");

    // What is broken is said, and ends the reload too: a service manager that waits for that would kill it.
    yard.file("policies/p.yaml", "policies: [\n");
    daemon.signal(Signal::HUP);
    daemon.until("the refused reload", || manager.count("READY=1") == 3);
    assert!(manager.words().iter().any(|text| text.contains("last good policy set")), "{:?}", manager.words());

    assert_eq!(daemon.stop().0, Some(0));
    let words = manager.words();
    let last = words.iter().find(|text| text.contains("STOPPING=1")).unwrap_or_else(|| panic!("{words:?}"));
    assert!(last.contains("EXTEND_TIMEOUT_USEC="), "{last}");
}

#[test]
fn a_standby_is_ready_and_alive_too() {
    let yard = Yard::new(&["a"]);
    let first = yard.daemon();
    first.says("at work");
    let manager = Manager::new(&yard);
    let second = yard.daemon_with(&manager.variables());
    second.until("readiness", || manager.count("READY=1") == 1);
    assert!(manager.words()[0].contains("STATUS=standby"), "{:?}", manager.words());
    second.until("signs of life", || manager.count("WATCHDOG=1") >= 5);
    assert_eq!(second.stop().0, Some(0));
}

#[test]
fn every_line_of_the_log_for_programs_is_an_object_of_its_own() {
    let yard = Yard::new(&["a"]);
    yard.file("rmm.toml", "[daemon]\nlog_format = \"json\"\n[limits]\nmax_percent = 100\n");
    yard.wants("one", "true");
    let daemon = yard.daemon();
    daemon.until("the change", || yard.read("a", "app.conf").is_some());
    daemon.says("change done");
    yard.file("policies/q.yaml", "policies: [\n");
    daemon.says("policy set refused");
    let log = daemon.log.clone();
    assert_eq!(daemon.stop().0, Some(0));

    let text = std::fs::read_to_string(log).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    assert!(lines.len() > 5, "{text}");
    for line in &lines {
        let time = line["time"].as_str().unwrap();
        assert!(chrono::DateTime::parse_from_rfc3339(time).is_ok(), "{line}");
        assert!(["error", "warn", "info", "debug"].contains(&line["level"].as_str().unwrap()), "{line}");
        assert!(line["message"].as_str().is_some_and(|message| !message.is_empty()), "{line}");
    }
    let done = lines.iter().find(|line| line["message"] == "change done").unwrap_or_else(|| panic!("{text}"));
    assert_eq!(done["device"], "a");
    assert!(
        lines.iter().any(|line| line["level"] == "error" && line["code"].as_str().is_some_and(|code| code.starts_with("RMM"))),
        "{text}"
    );
    // The same is in the files: the whole in one, and what is about a device in its own.
    let logs = yard.repo().join(".rmm/logs");
    let of_device = std::fs::read_to_string(logs.join("devices/a.log")).unwrap();
    assert!(of_device.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok_and(|line| line["device"] == "a")));
}
