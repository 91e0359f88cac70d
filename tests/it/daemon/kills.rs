//! `kill -9` of the daemon at random moments, while values cross limits, devices go away and return, policies change and
//! schedules are due: nothing is lost, nobody is told twice, nothing runs twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rmm::model::delivery::{DeliveryState, Occasion};
use rmm::store::{AlertFilter, DeliveryFilter, Store};
use rmm::time::SystemClock;

use super::hook::Hook;
use super::*;

/// What was measured so long before a kill may be in memory alone: half a second that a batch waits for more, and the time that
/// the desk and the disk take for it. Wide enough for a machine that is busy.
const IN_MEMORY: Duration = Duration::from_secs(4);
/// Devices that are told to do something in each life.
const EACH: usize = 4;
const LOCAL: [&str; 2] = ["loc-1", "loc-2"];

const THRESHOLDS: &str = "thresholds:\n  Memory: {critical: 90, targets: [Sim]}\n  DiskSpace: {critical: 10, targets: [Sim]}\n";
const NOTIFICATIONS: &str = "alerts: {wait: 0s}\nrules:\n  All: {channels: [hook]}\n";

/// What devices are told to do.
struct Play {
    yard: Yard,
    /// Orders by device; those of before the last one are over.
    orders: BTreeMap<String, &'static str>,
    /// All that ever had an order.
    troubled: BTreeMap<String, &'static str>,
    next: usize,
    round: usize,
}

impl Play {
    fn new(hook: &Hook, devices: usize) -> Self {
        let yard = Yard::new(&LOCAL);
        let mut text = std::fs::read_to_string(yard.repo().join("devices.yaml")).unwrap();
        for i in 0..devices {
            text += &format!("  sim-{i:04}: {{os: linux, site: Sim}}\n");
        }
        let control = yard.beside("control");
        text += &format!(
            "sites:\n  Sim:\n    connection: {{transport: simulated, simulation: {{seed: 1, latencyMs: 5, control: '{}'}}}}\ngroups:\n  Sim:\n    match: {{site: Sim}}\n",
            control.display()
        );
        yard.file("devices.yaml", &text);
        yard.file("thresholds/t.yaml", THRESHOLDS);
        yard.file("notifications.yaml", NOTIFICATIONS);
        yard.file(
            "rmm.toml",
            &format!(
                "[limits]\nmax_percent = 100\n[monitoring.schedules]\nstatus = \"*/2 * * * * *\"\nmetrics = \"* * * * * *\"\n\
                 cleanup = \"* * * * * *\"\nupdates = \"*/2 * * * * *\"\nspread = \"1s\"\n\
                 [notifications.channels.hook]\ntype = \"webhook\"\nurl = \"{}\"\n",
                hook.url
            ),
        );
        let mut play = Self { yard, orders: BTreeMap::new(), troubled: BTreeMap::new(), next: 0, round: 0 };
        play.tell();
        play.policies();
        play
    }

    /// Devices follow the control file from the next observation on.
    fn tell(&self) {
        let text: String = self.orders.iter().map(|(device, order)| format!("{device} {order}\n")).collect();
        let file = self.yard.beside("control.new");
        std::fs::write(&file, text).unwrap();
        std::fs::rename(file, self.yard.beside("control")).unwrap();
    }

    /// Some more devices get into trouble.
    fn trouble(&mut self) {
        for order in ["Memory=97", "DiskSpace=3", "Memory=95", "offline"].into_iter().take(EACH) {
            let device = format!("sim-{:04}", self.next);
            self.next += 1;
            self.orders.insert(device.clone(), order);
            self.troubled.insert(device, order);
        }
        self.tell();
    }

    /// About half of those in trouble are well again.
    fn relief(&mut self) {
        self.orders.retain(|_, _| rand::random());
        self.tell();
    }

    /// A policy by another value, and one by a schedule.
    fn policies(&mut self) -> String {
        self.round += 1;
        let text = format!("round {}", self.round);
        let file = |name: &str, text: &str| {
            format!("      Files:\n        \"{{{{ vars.dir }}}}/{name}\": {{template: \"{text}\\n\", mode: \"0644\"}}\n")
        };
        self.yard.file(
            "policies/p.yaml",
            &format!(
                "policies:\n  P:\n    targets: [{{device: loc-1}}, {{device: loc-2}}]\n    remediate: true\n    settings:\n{}  Ticking:\n    targets: [{{device: loc-2}}]\n    remediate: true\n    schedule: '* * * * * *'\n    settings:\n{}",
                file("app.conf", &text),
                file("tick.conf", &text)
            ),
        );
        text + "\n"
    }

    fn converged(&self) -> bool {
        let text = Some(format!("round {}\n", self.round));
        LOCAL.iter().all(|device| self.yard.read(device, "app.conf") == text) && self.yard.read("loc-2", "tick.conf") == text
    }

    fn store(&self) -> Store {
        Store::open(&self.yard.repo().join(".rmm/rmm.db"), Arc::new(SystemClock)).unwrap()
    }
}

/// The newest sample, and devices whose facts were observed at a moment of which there is no sample.
fn lost(yard: &Yard) -> Vec<String> {
    yard.sql(
        "SELECT d.DeviceId || ' ' || max(e.value) FROM FactsState f JOIN Devices d ON d.Id = f.Device JOIN json_each(f.Seen) e
         JOIN SectionNames n ON n.Id = e.key AND n.Name = 'performance.memory'
         WHERE d.DeviceId LIKE 'sim-%' GROUP BY d.DeviceId
         HAVING max(e.value) > (SELECT coalesce(max(At), 0) FROM (SELECT At FROM MetricLog WHERE Device = d.Id UNION ALL SELECT At FROM MetricSamples WHERE Device = d.Id))",
    )
}

/// `schedule=NAME due=MOMENT` of every schedule that began, as the logs have it.
fn begun(logs: &[String]) -> Vec<String> {
    let lines = logs.iter().flat_map(|log| log.lines()).filter(|line| line.contains(" begins ") && line.contains("schedule="));
    lines.map(|line| line[line.find("schedule=").unwrap()..].to_owned()).collect()
}

#[test]
fn a_daemon_that_is_killed_at_any_moment_loses_no_alert_tells_nobody_twice_and_runs_no_schedule_twice() {
    let kills: usize = std::env::var("RMM_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(4);
    // How long the receiver takes: whoever dies meanwhile cannot know whether the message has arrived.
    let answer = std::env::var("RMM_ANSWER_MS").ok().and_then(|n| n.parse::<u64>().ok()).unwrap_or(60);
    let hook = Hook::new(Duration::from_millis(answer));
    let mut play = Play::new(&hook, kills * EACH * 2 + 12);
    let (mut logs, mut late, mut unseen) = (Vec::new(), Duration::ZERO, 0);
    for life in 0..kills {
        let daemon = play.yard.daemon();
        let long = Duration::from_millis(2600).mul_f64(rand::random());
        let begun = Instant::now();
        // At random moments of its life, and then the end, at one too.
        let mut moments: Vec<(Duration, usize)> = (0..3).map(|what| (long.mul_f64(rand::random()), what)).collect();
        moments.sort();
        for (at, what) in moments {
            std::thread::sleep(at.saturating_sub(begun.elapsed()));
            match what {
                0 => play.trouble(),
                1 => play.relief(),
                _ => drop(play.policies()),
            }
        }
        std::thread::sleep(long.saturating_sub(begun.elapsed()));
        let killed = chrono::Utc::now().timestamp_millis();
        logs.push(daemon.kill());
        // Some of it is over before anybody looks again.
        if rand::random() {
            play.relief();
        }
        assert_eq!(lost(&play.yard), Vec::<String>::new(), "observed, and its values are gone");
        let newest = play.yard.sql("SELECT coalesce(max(At), 0) FROM MetricLog").first().and_then(|at| at.parse::<i64>().ok()).unwrap_or(0);
        let at_work = logs[life].contains("at work policy_set") && newest >= killed - long.as_millis() as i64;
        if at_work {
            late = late.max(Duration::from_millis((killed - newest).max(0).cast_unsigned()));
        } else {
            unseen += 1;
        }
    }
    assert!(late < IN_MEMORY, "{late:?} of values were in memory alone");

    // The last one settles it all.
    play.trouble();
    let text = play.policies();
    let daemon = play.yard.daemon();
    let sick = |play: &Play| -> BTreeSet<String> { play.orders.keys().cloned().collect() };
    let wanted = sick(&play);
    let open = "SELECT DISTINCT DeviceId FROM Alerts WHERE DeviceId LIKE 'sim-%' AND State IN ('Active', 'Triggered', 'Acknowledged')";
    let opened = || play.yard.sql(open).into_iter().collect::<BTreeSet<_>>();
    if until(|| opened() == wanted).is_none() {
        let alerts = play.yard.sql("SELECT AlertId || ' ' || coalesce(DeviceId, '') || ' ' || AlertType || ' ' || State FROM Alerts");
        panic!("in trouble: {wanted:?}\nopen: {:?}\n{alerts:#?}\n{}", opened(), daemon.log());
    }
    daemon.until("every policy holds", || play.converged());
    daemon.until("everything is told", || play.yard.sql("SELECT Id FROM Deliveries WHERE State IN ('Pending', 'Sending')").is_empty());
    // By itself, whatever became of its policies since.
    daemon.until("every run has ended", || play.yard.sql("SELECT Id FROM Runs WHERE State IN ('running', 'interrupted')").is_empty());
    logs.push(daemon.log());
    let (code, _) = daemon.stop();
    assert_eq!(code, Some(0));
    assert!(play.converged(), "{text}");

    check(&play, &hook, &logs);
    let keys = hook.by_key();
    let (raw, twice) = (keys.values().map(|(_, times)| times).sum::<usize>(), keys.values().filter(|(_, times)| *times > 1).count());
    let claimed = begun(&logs).len();
    eprintln!(
        "{kills} kills: {} alerts, {} messages in {raw} requests ({twice} keys came more than once), {claimed} moments of schedules, {} runs; \
         newest value at most {} ms old at a kill ({unseen} lives were killed before they measured)",
        play.yard.sql("SELECT count(*) FROM Alerts")[0],
        keys.len(),
        play.yard.sql("SELECT count(*) FROM Runs")[0],
        late.as_millis(),
    );
}

/// What holds at the end, however it came about.
#[track_caller]
fn check(play: &Play, hook: &Hook, logs: &[String]) {
    let yard = &play.yard;
    let store = play.store();
    // Every breach that was measured, and nothing else, is an alert, once.
    let alerts = store.alerts(&AlertFilter::default()).unwrap();
    let mut by_key = BTreeMap::new();
    for alert in &alerts {
        assert!(by_key.insert(alert.key.clone(), alert).is_none(), "twice: {:?}", alert.key);
        let device = alert.key.subject.device().unwrap_or_else(|| panic!("{alert:?}"));
        let kind = match play.troubled.get(device) {
            Some(order) if order.starts_with("Memory") => "Memory",
            Some(order) if order.starts_with("DiskSpace") => "DiskSpace",
            Some(_) => "Offline",
            None => panic!("nothing was wrong with {device}: {alert:?}"),
        };
        assert_eq!(&*alert.key.kind, kind);
    }
    let measured = yard.sql(
        "SELECT DISTINCT DeviceId || ' ' || Metric || ' ' || Instance FROM Metrics
         WHERE DeviceId LIKE 'sim-%' AND (Metric = 'Memory' AND Value >= 90 OR Metric = 'DiskSpace' AND Value <= 10)",
    );
    let away = yard.sql("SELECT DISTINCT d.DeviceId || ' Offline ' FROM CheckHistory h JOIN Devices d ON d.Id = h.Device WHERE h.Name = 'Offline' AND NOT h.Up");
    let known: BTreeSet<String> =
        by_key.keys().map(|key| format!("{} {} {}", key.subject.device().unwrap_or_default(), key.kind, key.instance)).collect();
    for breach in measured.iter().chain(&away) {
        assert!(known.contains(breach), "measured, and no alert: {breach}");
    }
    assert!(!measured.is_empty());

    // Each was told once of each occasion, and everything that was decided has arrived.
    let deliveries = store.deliveries(&DeliveryFilter::default()).unwrap();
    let messages = hook.by_key();
    assert_eq!(deliveries.len(), messages.len());
    for delivery in &deliveries {
        assert_eq!(delivery.state, DeliveryState::Sent, "{delivery:?}");
    }
    let mut told: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (taken, _) in messages.values() {
        *told.entry(taken.about()).or_default() += 1;
    }
    for alert in &alerts {
        let of = |occasion: Occasion| told.remove(&(alert.id.clone(), occasion.to_string())).unwrap_or(0);
        let [raised, resolved] = [Occasion::Raised, Occasion::Resolved].map(of);
        let ended = usize::from(!alert.state.is_open());
        assert_eq!((raised, resolved), (1, ended), "{alert:?}");
    }
    assert!(told.is_empty(), "nobody asked for {told:?}");

    // No moment of a schedule has begun twice.
    let moments = begun(logs);
    let unique: BTreeSet<&String> = moments.iter().collect();
    assert_eq!(unique.len(), moments.len(), "{moments:#?}");
    assert!(moments.iter().any(|moment| moment.contains("policy Ticking")), "{moments:#?}");

    // Every change was done, once.
    let wrong = yard.sql(
        "SELECT c.Run || ' ' || c.Seq || ' ' || c.State || ' ' || count(a.LogId) FROM RunChanges c LEFT JOIN AuditLog a ON a.Action = 'change.done'
         AND json_extract(a.Details, '$.run') = c.Run AND json_extract(a.Details, '$.seq') = c.Seq
         GROUP BY c.Run, c.Seq HAVING c.State = 'done' AND count(a.LogId) != 1 OR c.State NOT IN ('done', 'skipped', 'stale')",
    );
    assert_eq!(wrong, Vec::<String>::new());
    yard.rmm(&["audit", "verify"]).ends(0);
    assert_eq!(yard.sql("PRAGMA integrity_check"), ["ok"]);
    assert_eq!(yard.sql("PRAGMA foreign_key_check"), Vec::<String>::new());
}
