use chrono::TimeDelta;

use super::*;
use crate::access::{SecretError, Secrets};
use crate::model::device::{Connection, TransportKind};
use crate::time::FixedClock;
use crate::transport::Sessions;

struct NoSecrets;

impl Secrets for NoSecrets {
    fn resolve(&self, name: &str) -> Result<secrecy::SecretString, SecretError> {
        panic!("a simulated device asks for the secret {name}")
    }
}

fn target(name: &str, simulation: Simulation) -> Target {
    let connection = Connection { transport: Some(TransportKind::Simulated), simulation: Some(simulation), ..Connection::default() };
    Target { name: name.into(), address: name.into(), connection, platform: None }
}

fn fleet() -> (Arc<FixedClock>, Sessions) {
    let clock = Arc::new(FixedClock::new("2026-11-21T07:30:00Z".parse().unwrap()));
    (Arc::clone(&clock), Sessions::with_clock(SessionOptions::default(), Arc::new(NoSecrets), clock))
}

fn command(line: &str) -> Command {
    Command { line: line.into(), ..Command::default() }
}

async fn run(sessions: &Sessions, target: &Target, command: Command) -> Result<Output, TransportError> {
    let cancel = CancellationToken::new();
    sessions.open(target, &cancel).await?.run(command, &cancel).await
}

#[tokio::test]
async fn a_written_file_is_there_and_another_device_does_not_have_it() {
    let (_, sessions) = fleet();
    let [one, two] = ["a", "b"].map(|name| target(name, Simulation::default()));
    let operation = crate::model::operation::Operation::WriteFile {
        path: "/etc/it's here".into(),
        content: "x\n".into(),
        mode: Some("0600".into()),
        owner: Some("root".into()),
        group: None,
    };
    let rendered = crate::script::render(&operation, crate::model::Shell::Posix);
    let write = Command { line: rendered.line, input: rendered.input.unwrap(), ..Command::default() };
    assert_eq!(run(&sessions, &one, write).await.unwrap().code, 0);
    let read = command(r"cat -- '/etc/it'\''s here'");
    assert_eq!(run(&sessions, &one, read.clone()).await.unwrap().stdout, b"x\n");
    assert_eq!(run(&sessions, &two, read).await.unwrap().code, 64);
}

#[tokio::test]
async fn what_is_not_simulated_is_refused_in_words() {
    let (_, sessions) = fleet();
    let device = target("a", Simulation::default());
    for (line, word) in [("dnf install -y nginx", "dnf"), ("cat /etc/motd | sh", "shell text"), ("$(reboot)", "shell text")] {
        let output = run(&sessions, &device, command(line)).await.unwrap();
        assert_eq!(output.code, 64);
        assert!(String::from_utf8_lossy(&output.stderr).contains(word), "{line}");
    }
}

#[tokio::test]
async fn services_are_stopped_and_started() {
    let (_, sessions) = fleet();
    let device = target("a", Simulation::default());
    assert_eq!(run(&sessions, &device, command("systemctl stop -- nginx.service")).await.unwrap().code, 0);
    assert_eq!(run(&sessions, &device, command("systemctl restart -- nginx.service")).await.unwrap().code, 0);
    assert_eq!(run(&sessions, &device, command("systemctl start -- absent.service")).await.unwrap().code, 64);
}

#[tokio::test]
async fn failures_and_hangs_come_as_often_as_they_are_told_and_the_same_each_time() {
    let simulation = Simulation { failures: 20, seed: 7, ..Simulation::default() };
    let (_, sessions) = fleet();
    let mut outcomes = Vec::new();
    for i in 0..400 {
        outcomes.push(sessions.open(&target(&format!("d-{i}"), simulation.clone()), &CancellationToken::new()).await.is_ok());
    }
    let refused = outcomes.iter().filter(|ok| !**ok).count();
    assert!((50..110).contains(&refused), "{refused}");
    let (_, again) = fleet();
    for (i, ok) in outcomes.iter().enumerate() {
        assert_eq!(again.open(&target(&format!("d-{i}"), simulation.clone()), &CancellationToken::new()).await.is_ok(), *ok);
    }
}

#[tokio::test]
async fn a_device_that_hangs_is_given_up_in_time_or_when_nobody_waits_any_more() {
    let (_, sessions) = fleet();
    let device = target("a", Simulation { hangs: 100, ..Simulation::default() });
    let waiting = Command { timeout: Some(Duration::from_millis(20)), ..command("true") };
    assert_eq!(run(&sessions, &device, waiting.clone()).await.unwrap_err(), TransportError::Timeout { seconds: 0 });
    let cancel = CancellationToken::new();
    let session = sessions.open(&device, &cancel).await.unwrap();
    cancel.cancel();
    assert_eq!(session.run(waiting, &cancel).await.unwrap_err(), TransportError::Cancelled);
}

#[tokio::test]
async fn the_control_file_is_obeyed_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control");
    std::fs::write(&path, "# none yet\n").unwrap();
    let (_, sessions) = fleet();
    let simulation = Simulation { control: Some(path.to_str().unwrap().into()), ..Simulation::default() };
    let device = target("sim-1", simulation.clone());
    assert!(run(&sessions, &device, command("true")).await.is_ok());
    std::fs::write(&path, "* latency=0\nsim-1 offline  # gone\n").unwrap();
    assert!(matches!(run(&sessions, &device, command("true")).await, Err(TransportError::Unreachable { .. })));
    assert!(run(&sessions, &target("sim-2", simulation), command("true")).await.is_ok());
}

#[test]
fn orders_are_metrics_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control");
    std::fs::write(&path, "* cpu=50\na CPU=97 DiskSpace=7 service:nginx=failed nonsense=1 Memory=x\n").unwrap();
    let control = Control::default();
    let of = |device: &str| control.of(path.to_str(), device);
    assert_eq!(of("b").metrics, std::collections::BTreeMap::from([("CPU", 50.0)]));
    assert_eq!(of("a").metrics, std::collections::BTreeMap::from([("CPU", 97.0), ("DiskSpace", 7.0)]));
    assert_eq!(of("a").services["nginx"], "failed");
}

#[test]
fn a_machine_counts_on_and_is_busy_as_ordered() {
    let start = "2026-11-21T07:30:00Z".parse().unwrap();
    let mut machine = Machine::new("a", &Simulation::default());
    machine.advance(start, &Orders::default(), &Simulation::default());
    let before = machine.counters;
    let mut orders = Orders::default();
    orders.metrics.insert("CPU", 97.0);
    machine.advance(start + TimeDelta::seconds(300), &orders, &Simulation::default());
    let after = machine.counters;
    let (busy, idle) = (after.busy - before.busy, after.idle - before.idle);
    assert!((busy / (busy + idle) - 0.97).abs() < 0.001);
    assert!((busy + idle - 300.0 * 100.0 * f64::from(machine.cores)).abs() < 1.0);
    // A clock that is set back: the counters are those of that moment, and nothing breaks.
    machine.advance(start - TimeDelta::hours(1), &Orders::default(), &Simulation::default());
    assert!(machine.counters.busy < before.busy);
}
