//! Actions whose effect must not happen twice: whoever drives them is killed, connections break, two drive at once.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rmm::access::{Redactor, SecretStore};
use rmm::apply::{Acted, Allowed, Ask, End, Listener, Part, Parts};
use rmm::model::ActionCall;
use rmm::model::run::Actor;
use rmm::repo::{LoadOptions, load};
use rmm::store::Store;
use rmm::time::{Clock, SystemClock};
use rmm::transport::{SessionOptions, Sessions};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::fleet::Fleet;
use crate::sshd::{Account, runs, until};

/// Three effects that add up, and one file: each of them is to be seen once.
const COUNT: &str = r#"//! action: Count
//! summary: Counts how often it is carried out.
//! platforms: [linux]
//! parameters: {type: object, additionalProperties: false, required: [dir, round], properties: {dir: {type: string}, round: {type: integer}}}
//! idempotent: false
//! examples: [{dir: /tmp, round: 1}]
fn run(device, params) {
    let add = "sleep 0.03; printf '%s\n' \"$2\" >>\"$1\"; sleep 0.03";
    device.run(["sh", "-c", add, "sh", params.dir + "/first", params.round]);
    device.run_input(["sh", "-c", "sleep 0.03; cat >>\"$1\"", "sh", params.dir + "/second"], "" + params.round + "\n");
    device.write_file(params.dir + "/file", "round " + params.round);
    let last = device.run(["sh", "-c", add + "; wc -l <\"$1\"", "sh", params.dir + "/third", params.round]);
    let text = last.stdout;
    text.trim();
    parse_int(text)
}
"#;

/// Whatever it is told.
const SHELL: &str = r#"//! action: Shell
//! summary: Gives a text to sh.
//! platforms: [linux]
//! parameters: {type: object, additionalProperties: false, required: [text], properties: {text: {type: string}}}
//! idempotent: false
//! examples: [{text: "true"}]
fn run(device, params) { device.try_run(["sh", "-c", params.text]) }
"#;

struct House {
    fleet: Fleet,
    receipts: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        Self::with(|fleet| fleet.declare(|_| String::new()))
    }

    fn with(declare: impl Fn(&Fleet)) -> Self {
        let receipts = tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700)).tempdir().unwrap();
        let fleet = Fleet::with(1, &format!("SetEnv RMM_RECEIPTS={}", receipts.path().display()));
        declare(&fleet);
        fleet.file("scripts/count.rhai", COUNT);
        fleet.file("scripts/shell.rhai", SHELL);
        Self { fleet, receipts }
    }

    fn parts(&self) -> Parts {
        parts(&self.fleet.repo(), self.fleet.sshd.home())
    }

    /// As a process of its own, which may be killed. Its answer is in the file.
    fn drive(&self, action: &str, with: &Value, key: &str) -> (Child, PathBuf) {
        let answer = self.fleet.dir(1).join(format!("answer-{key}-{:08x}", rand::random::<u32>()));
        let told = json!({"repo": self.fleet.repo(), "home": self.fleet.sshd.home(), "action": action, "with": with, "key": key, "answer": answer});
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["once::drives_one_action", "--exact", "--ignored"]).env("RMM_TEST_DRIVE", told.to_string());
        (command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap(), answer)
    }

    /// The lines of a counter.
    fn count(&self, name: &str) -> Vec<String> {
        self.fleet.read(1, name).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    fn dir(&self) -> String {
        self.fleet.dir(1).to_str().unwrap().to_owned()
    }

    /// Process group of what runs, or ran, under a key.
    fn group(&self, key: &str) -> Option<i32> {
        let text = std::fs::read_to_string(self.receipts.path().join(key).join("pid")).ok()?;
        text.split(' ').next()?.parse().ok()
    }
}

fn parts(repo: &Path, home: &Path) -> Parts {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let loaded = load(&LoadOptions { root: repo.into(), env: None, environment: Vec::new(), now: clock.now() });
    let set = Arc::new(loaded.set.unwrap_or_else(|| panic!("{:?}", loaded.problems)));
    let store = Store::open(&repo.join(".rmm/rmm.db"), Arc::clone(&clock)).unwrap();
    rmm::apply::declare(&set, &store).unwrap();
    let redactor = Redactor::new();
    let secrets = Arc::new(SecretStore::new(repo, redactor.clone()));
    let options = SessionOptions {
        ssh_timeout: Duration::from_secs(20),
        command_timeout: Duration::from_mins(1),
        home: Some(home.to_owned()),
        agent: Some(PathBuf::new()),
        ..SessionOptions::default()
    };
    let sessions = Arc::new(Sessions::new(options, Arc::clone(&secrets) as _));
    Parts { set, store, sessions, secrets, redactor, clock, actor: Actor { user: "kim".into(), from: "test".into() } }
}

fn call(action: &str, with: &Value) -> ActionCall {
    let with = with.as_object().unwrap().iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    ActionCall { action: action.into(), with, on: Vec::new() }
}

fn ask<'a>(call: &'a ActionCall, key: &'a str) -> Ask<'a> {
    Ask {
        device: "dev-01",
        call,
        because: "a test",
        allowed: Allowed::Confirmed,
        once: Some(key),
        timeout: None,
        part: Part::Run,
        // Two that drive the same job do not know of one another.
        leased: true,
        on: Listener::default(),
    }
}

async fn act(parts: &Parts, ask: &Ask<'_>) -> Acted {
    rmm::apply::act(parts, ask, &CancellationToken::new()).await.unwrap()
}

#[tokio::test]
#[ignore = "the process that other tests start and kill"]
async fn drives_one_action() {
    let Ok(told) = std::env::var("RMM_TEST_DRIVE") else { return };
    let told: Value = serde_json::from_str(&told).unwrap();
    let text = |name: &str| told[name].as_str().unwrap();
    let parts = parts(Path::new(text("repo")), Path::new(text("home")));
    let call = call(text("action"), &told["with"]);
    let acted = act(&parts, &ask(&call, text("key"))).await;
    let (whole, half) = (text("answer").to_owned(), format!("{}.half", text("answer")));
    std::fs::write(&half, serde_json::to_string(&acted).unwrap()).unwrap();
    std::fs::rename(half, whole).unwrap();
}

fn answer(path: &Path) -> Option<Acted> {
    serde_json::from_str(&std::fs::read_to_string(path).ok()?).unwrap()
}

#[test]
fn whoever_drives_an_action_may_be_killed_at_any_moment_and_every_effect_happens_once() {
    let kills: usize = std::env::var("RMM_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
    let house = House::new();
    let with = |round: usize| json!({"dir": house.dir(), "round": round});
    let begun = Instant::now();
    let (mut child, path) = house.drive("Count", &with(0), "j-0.1");
    assert!(child.wait().unwrap().success());
    let whole = begun.elapsed().min(Duration::from_secs(5));
    assert_eq!(answer(&path).unwrap().end, End::Done);
    let (mut killed, mut round) = (0, 0);
    while killed < kills {
        round += 1;
        let key = format!("j-{round}.1");
        let end = loop {
            let (mut child, path) = house.drive("Count", &with(round), &key);
            if killed < kills && rand::random::<f64>() < 0.8 {
                // The moment of the kill is what is random here; nothing waits for anything.
                std::thread::sleep(whole.mul_f64(rand::random()));
                killed += usize::from(child.try_wait().unwrap().is_none());
                child.kill().unwrap();
            }
            child.wait().unwrap();
            if let Some(acted) = answer(&path) {
                break acted;
            }
        };
        assert_eq!((end.end, end.value), (End::Done, json!(round + 1)), "{}", end.message);
        assert_eq!(end.ran.len(), 4);
        assert_eq!(house.fleet.read(1, "file"), Some(format!("round {round}")));
    }
    let every: Vec<String> = (0..=round).map(|round| round.to_string()).collect();
    for counter in ["first", "second", "third"] {
        assert_eq!(house.count(counter), every, "{counter}");
    }
    house.fleet.intact();
}

/// A command that counts, says where it is, and goes on once it may.
fn gate(house: &House, name: &str) -> Value {
    let dir = house.dir();
    json!({"text": format!("echo x >>{dir}/{name}; until [ -e {dir}/{name}.go ]; do sleep 0.02; done; echo through")})
}

fn open(house: &House, name: &str) {
    std::fs::write(house.fleet.dir(1).join(format!("{name}.go")), "").unwrap();
}

#[tokio::test]
async fn a_connection_that_breaks_ends_nothing_and_the_answer_is_fetched_over_another_one() {
    let house = House::new();
    let (parts, call) = (house.parts(), call("Shell", &gate(&house, "cut")));
    let asked = ask(&call, "j-1.1");
    let work = act(&parts, &asked);
    let cut = async {
        until("the command has begun", || house.count("cut").len() == 1).await;
        house.fleet.sshd.cut();
        until("it is asked for again", || house.fleet.sshd.sign_ins() >= 2).await;
        open(&house, "cut");
    };
    let (acted, ()) = tokio::join!(work, cut);
    assert_eq!((acted.end, &acted.value["stdout"]), (End::Done, &json!("through\n")), "{}", acted.message);
    assert_eq!(house.count("cut"), ["x"]);
    // Much later, by somebody who knows only the key.
    let again = act(&parts, &asked).await;
    assert_eq!((again.end, again.value), (End::Done, acted.value));
    assert_eq!(house.count("cut"), ["x"]);
}

#[tokio::test]
async fn two_who_drive_the_same_attempt_at_once_get_the_same_answer_and_it_happens_once() {
    let house = House::new();
    let call = call("Shell", &gate(&house, "two"));
    let (one, other) = (house.parts(), house.parts());
    let asked = ask(&call, "j-2.1");
    let let_through = async {
        until("both are there", || house.fleet.sshd.sign_ins() >= 2 && house.count("two").len() == 1).await;
        open(&house, "two");
    };
    let (one, other, ()) = tokio::join!(act(&one, &asked), act(&other, &asked), let_through);
    assert_eq!((one.end, other.end), (End::Done, End::Done), "{} {}", one.message, other.message);
    assert_eq!(one.value, other.value);
    assert_eq!(house.count("two"), ["x"]);
    // Another attempt is another key.
    let third = act(&house.parts(), &ask(&call, "j-2.2")).await;
    assert_eq!((third.end, house.count("two").len()), (End::Done, 2));
}

#[tokio::test]
async fn what_is_not_the_same_as_before_or_went_down_in_the_middle_is_left_to_a_person() {
    let house = House::new();
    let parts = house.parts();
    let text = |text: &str| call("Shell", &json!({ "text": text }));
    let dir = house.dir();
    let first = text(&format!("echo x >>{dir}/n"));
    assert_eq!(act(&parts, &ask(&first, "j-3.1")).await.end, End::Done);
    let changed = act(&parts, &ask(&text(&format!("echo y >>{dir}/n")), "j-3.1")).await;
    assert_eq!(changed.end, End::Interrupted, "{}", changed.message);
    assert!(changed.message.contains("another command was carried out before"), "{}", changed.message);
    assert_eq!(house.count("n"), ["x"]);

    let down = call("Shell", &gate(&house, "down"));
    let asked = ask(&down, "j-4.1");
    let kill = async {
        until("the command has begun", || house.count("down").len() == 1).await;
        let group = house.group("j-4.1.1").unwrap();
        rustix::process::kill_process_group(rustix::process::Pid::from_raw(group).unwrap(), rustix::process::Signal::KILL).unwrap();
    };
    let (acted, ()) = tokio::join!(act(&parts, &asked), kill);
    assert_eq!(acted.end, End::Interrupted, "{}", acted.message);
    assert_eq!(act(&parts, &asked).await.end, End::Interrupted);
    assert_eq!(house.count("down"), ["x"]);
}

#[tokio::test]
async fn what_takes_too_long_or_is_stopped_is_ended_on_the_device_too() {
    let house = House::new();
    let parts = house.parts();
    let sleep = |n: u32| format!("sleep {}", 2_000_000 + std::process::id() * 10 + n);
    let text = |text: String| call("Shell", &json!({ "text": text }));
    let late = text(format!("trap '' TERM; {}; true", sleep(1)));
    let asked = Ask { timeout: Some(Duration::from_secs(1)), ..ask(&late, "j-5.1") };
    let acted = act(&parts, &asked).await;
    assert_eq!(acted.end, End::TimedOut, "{}", acted.message);
    assert!(!runs(&sleep(1)));
    assert_eq!(act(&parts, &asked).await.end, End::TimedOut);

    let stopped = text(format!("{}; true", sleep(2)));
    let asked = ask(&stopped, "j-6.1");
    let cancel = CancellationToken::new();
    let stop = async {
        until("the command runs", || runs(&sleep(2))).await;
        cancel.cancel();
    };
    let (acted, ()) = tokio::join!(rmm::apply::act(&parts, &asked, &cancel), stop);
    assert_eq!(acted.unwrap().end, End::Cancelled);
    assert!(!runs(&sleep(2)));
    assert_eq!(act(&parts, &asked).await.end, End::Interrupted);
}

#[tokio::test]
async fn a_device_that_is_not_there_keeps_its_turn() {
    let mut house = House::new();
    let parts = house.parts();
    let call = call("Count", &json!({"dir": house.dir(), "round": 1}));
    let asked = ask(&call, "j-7.1");
    house.fleet.sshd.stop();
    let acted = act(&parts, &asked).await;
    assert_eq!(acted.end, End::Unreachable, "{}", acted.message);
    house.fleet.sshd.restart();
    let acted = act(&parts, &asked).await;
    assert_eq!(acted.end, End::Done, "{}", acted.message);
    assert_eq!(house.count("first"), ["1"]);
}

#[tokio::test]
async fn an_ordinary_user_has_receipts_of_its_own() {
    let account = Account::create("x", "/bin/sh");
    let receipts = std::env::temp_dir().join(format!("rmm-receipts-of-{}", account.name));
    let house = House::with(|fleet| {
        fleet.declare(|_| format!("connection: {{user: {}, port: {}, elevate: none}}", account.name, fleet.sshd.port));
    });
    // The folder of the server's environment is root's.
    let parts = house.parts();
    let refused = act(&parts, &ask(&call("Shell", &json!({"text": "id -un"})), "j-8.1")).await;
    assert_eq!(refused.end, End::Failed);
    assert!(refused.message.contains("receipts cannot be kept"), "{}", refused.message);
    drop(house);
    let house = House::with(|fleet| {
        fleet.declare(|_| format!("connection: {{user: {}, port: {}, elevate: none}}", account.name, fleet.sshd.port));
    });
    std::fs::create_dir(&receipts).unwrap();
    let config = std::fs::read_to_string(house.fleet.sshd.path("config")).unwrap();
    let own = config.replace(house.receipts.path().to_str().unwrap(), receipts.join("r").to_str().unwrap());
    std::fs::write(house.fleet.sshd.path("config"), own).unwrap();
    let chown = Command::new("chown").arg(&account.name).arg(&receipts).status().unwrap();
    assert!(chown.success());
    let mut house = house;
    house.fleet.sshd.stop();
    house.fleet.sshd.restart();
    let parts = house.parts();
    let call = call("Shell", &json!({"text": "id -un; echo $$"}));
    let one = act(&parts, &ask(&call, "j-8.2")).await;
    assert_eq!(one.end, End::Done, "{}", one.message);
    assert!(one.value["stdout"].as_str().unwrap().starts_with(&account.name));
    assert_eq!(act(&parts, &ask(&call, "j-8.2")).await.value, one.value);
    std::fs::remove_dir_all(&receipts).unwrap();
}
