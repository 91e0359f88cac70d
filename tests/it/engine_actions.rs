//! What the product itself carries out, on devices behind a real SSH server.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rmm::access::{Redactor, SecretStore};
use rmm::apply::engine_actions::{Errand, Progress, engine_action};
use rmm::apply::{Acted, Allowed, End, Parts};
use rmm::model::run::Actor;
use rmm::repo::{LoadOptions, PolicySet};
use rmm::store::{DeliveryFilter, Store};
use rmm::time::{Clock, SystemClock};
use rmm::transport::{SessionOptions, Sessions};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::sshd::{Sshd, user};

/// A repository with the devices `web-1` and `web-2`, both behind the server, and what carrying out needs.
struct House {
    folder: tempfile::TempDir,
    parts: Parts,
}

fn read(root: &Path) -> PolicySet {
    let options = LoadOptions { root: root.into(), env: None, environment: Vec::new(), now: chrono::Utc::now() };
    let loaded = rmm::repo::load(&options);
    assert!(loaded.set.is_some(), "{:#?}", loaded.problems);
    loaded.set.unwrap()
}

impl House {
    fn new(sshd: &Sshd) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(
            "rmm.toml",
            "[notifications.channels.ops]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:9/\"\n[notifications.channels.chat]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:9/\"\n",
        );
        let connection = format!("connection: {{port: {}, user: {}, elevate: none}}", sshd.port, user());
        let device = format!("{{address: 127.0.0.1, os: linux, groups: [New], {connection}}}");
        write("devices/imported.yaml", &format!("devices:\n  web-1: {device}\n"));
        write(
            "devices.yaml",
            &format!("groups:\n  New: {{}}\n  Production: {{}}\n  Ruled: {{match: {{tag: x}}}}\ndevices:\n  web-2: {device}\n"),
        );
        let made = |name: &str| format!("Files: {{'{}/{name}': {{content: right}}}}", root.display());
        write(
            "policies/p.yaml",
            &format!(
                "policies:\n  Wanted:\n    targets: [Production]\n    settings: {{{}}}\n  Apps:\n    targets: ['*']\n    remediate: true\n    schedule: Daily\n    settings: {{Packages: {{coreutils: present}}, {}}}\n",
                made("made"),
                made("not-asked-for")
            ),
        );
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = Store::open(&root.join(".rmm/rmm.db"), Arc::clone(&clock)).unwrap();
        let secrets = Arc::new(SecretStore::new(root, Redactor::new()));
        let options = SessionOptions {
            ssh_timeout: Duration::from_secs(20),
            home: Some(sshd.home().to_owned()),
            agent: Some(std::path::PathBuf::new()),
            ..SessionOptions::default()
        };
        let set = Arc::new(read(root));
        let parts = Parts {
            set,
            store,
            sessions: Arc::new(Sessions::new(options, Arc::clone(&secrets) as _)),
            secrets,
            redactor: Redactor::new(),
            clock,
            actor: Actor { user: "rmm".into(), from: "reconcile@here".into() },
        };
        Self { folder, parts }
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join(path)
    }

    async fn ask(&self, action: &str, devices: &[&str], params: Value) -> Acted {
        self.ask_as(Allowed::Workflow, action, devices, params, &|_| {}, &CancellationToken::new()).await
    }

    async fn ask_as(
        &self,
        allowed: Allowed,
        action: &str,
        devices: &[&str],
        params: Value,
        on: &(dyn Fn(Progress) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Acted {
        let def = &self.parts.set.catalog.actions[action];
        assert_eq!(def.check(&params), [], "{action} {params}");
        let devices: Vec<_> = devices.iter().map(|name| Arc::clone(&self.parts.set.devices[*name])).collect();
        let errand = Errand {
            parts: &self.parts,
            devices: &devices,
            params: &params,
            allowed,
            because: "workflow Test",
            leased: false,
            once: Some("job-1.1"),
            summary: None,
            group: None,
            on,
        };
        let action = engine_action(action).unwrap();
        // What it would do can be asked at any time.
        assert!(action.preview(&errand).iter().all(|line| !line.is_empty()));
        action.carry_out(&errand, cancel).await.unwrap()
    }
}

/// Some megabytes that do not repeat.
fn content() -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    (0..(18 << 20) + 12_345).map(|_| next()).collect()
}

/// Cut in the middle of the work: the connection breaks, and the transfer goes on by itself where it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_copied_both_ways_though_the_connection_breaks() {
    let sshd = Arc::new(Sshd::start());
    let house = House::new(&sshd);
    let content = content();
    let there = tempfile::tempdir().unwrap();
    let remote = there.path().join("it's a $(file).bin");
    std::fs::create_dir(house.path("files")).unwrap();
    std::fs::write(house.path("files/a.bin"), &content).unwrap();
    let up = json!({"direction": "toDevice", "local": "files/a.bin", "remote": remote.to_str().unwrap()});
    let down = json!({"direction": "fromDevice", "local": "collected/", "remote": remote.to_str().unwrap()});
    let cut = AtomicBool::new(false);
    let calls = AtomicU64::new(0);
    let on = |progress: Progress| {
        assert_eq!(progress.total, content.len() as u64);
        calls.fetch_add(1, Ordering::SeqCst);
        if progress.done > progress.total / 2 && progress.done < progress.total && !cut.swap(true, Ordering::SeqCst) {
            // For a while no connection lives: whatever is in flight breaks.
            let sshd = Arc::clone(&sshd);
            std::thread::spawn(move || {
                let until = Instant::now() + Duration::from_millis(600);
                while Instant::now() < until {
                    sshd.cut();
                }
            });
        }
    };
    let never = CancellationToken::new();
    let acted = house.ask_as(Allowed::Workflow, "FileTransfer", &["web-1"], up.clone(), &on, &never).await;
    assert_eq!(acted.end, End::Done, "{}", acted.message);
    assert!(acted.value["resumedAt"].as_u64().unwrap() > content.len() as u64 / 2, "{}", acted.value);
    assert!(calls.load(Ordering::SeqCst) > 4);
    assert!(std::fs::read(&remote).unwrap() == content);
    assert_eq!(std::fs::read_dir(there.path()).unwrap().count(), 1, "nothing is left beside it");
    let again = house.ask("FileTransfer", &["web-1"], up).await;
    assert_eq!((again.end, &again.value["unchanged"]), (End::Done, &json!(true)));
    cut.store(false, Ordering::SeqCst);
    let acted = house.ask_as(Allowed::Workflow, "FileTransfer", &["web-1"], down, &on, &never).await;
    assert_eq!(acted.end, End::Done, "{}", acted.message);
    assert!(acted.value["resumedAt"].as_u64().unwrap() > 0, "{}", acted.value);
    let collected = house.path("collected/web-1").join("it's a $(file).bin");
    assert!(std::fs::read(collected).unwrap() == content);
    assert_eq!(std::fs::read_dir(house.path("collected/web-1")).unwrap().count(), 1);
}

/// Stopped by a person, and asked for again: by another process, for all that it knows.
#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_was_stopped_goes_on_when_it_is_asked_for_again() {
    let sshd = Sshd::start();
    let house = House::new(&sshd);
    let content = content();
    let there = tempfile::tempdir().unwrap();
    let remote = there.path().join("a.bin");
    std::fs::create_dir(house.path("files")).unwrap();
    std::fs::write(house.path("files/a.bin"), &content).unwrap();
    std::fs::write(&remote, "the old one").unwrap();
    let up = json!({"direction": "toDevice", "local": "files/a.bin", "remote": remote.to_str().unwrap()});
    let down = json!({"direction": "fromDevice", "local": "files/b.bin", "remote": remote.to_str().unwrap()});
    for params in [up, down] {
        let cancel = CancellationToken::new();
        let stop = cancel.clone();
        let on = move |progress: Progress| {
            if progress.done > progress.total / 3 {
                stop.cancel();
            }
        };
        let acted = house.ask_as(Allowed::Workflow, "FileTransfer", &["web-1"], params.clone(), &on, &cancel).await;
        assert_eq!(acted.end, End::Cancelled, "{}", acted.message);
        assert!(!house.path("files/b.bin").exists(), "half a file has no name");
        let acted = house.ask("FileTransfer", &["web-1"], params).await;
        assert_eq!(acted.end, End::Done, "{}", acted.message);
        assert!(acted.value["resumedAt"].as_u64().unwrap() > 0, "{}", acted.value);
    }
    assert!(std::fs::read(&remote).unwrap() == content);
    assert!(std::fs::read(house.path("files/b.bin")).unwrap() == content);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_is_refused_where_it_leads_out_and_fails_where_nothing_is() {
    let sshd = Sshd::start();
    let house = House::new(&sshd);
    let there = tempfile::tempdir().unwrap();
    let remote = |name: &str| there.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(house.path("empty"), "").unwrap();
    std::fs::write(house.path("large"), vec![7; (1 << 20) + 1]).unwrap();
    let up = |local: &str, name: &str| json!({"direction": "toDevice", "local": local, "remote": remote(name), "maxMegabytes": 1});
    assert_eq!(house.ask("FileTransfer", &["web-1"], up("/etc/hostname", "x")).await.end, End::Refused);
    assert_eq!(house.ask("FileTransfer", &["web-1"], up(".rmm/rmm.db", "x")).await.end, End::Refused);
    let acted = house.ask("FileTransfer", &["web-1"], up("large", "x")).await;
    assert!(acted.end == End::Failed && acted.message.contains("maxMegabytes"), "{}", acted.message);
    let acted = house
        .ask("FileTransfer", &["web-1"], json!({"direction": "toDevice", "local": "empty", "remote": there.path().to_str().unwrap()}))
        .await;
    assert!(acted.end == End::Failed && acted.message.contains("something else than a file"), "{}", acted.message);
    assert_eq!(house.ask("FileTransfer", &["web-1"], up("empty", "empty")).await.end, End::Done);
    assert_eq!(std::fs::read(there.path().join("empty")).unwrap(), b"");
    let down = json!({"direction": "fromDevice", "local": "y", "remote": remote("missing")});
    let acted = house.ask("FileTransfer", &["web-1"], down).await;
    assert!(acted.end == End::Failed && acted.message.contains("no such file"), "{}", acted.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_tested_and_observed_and_one_that_is_away_is_unreachable() {
    let mut sshd = Sshd::start();
    let house = House::new(&sshd);
    assert_eq!(house.ask("TestWinRMConnection", &["web-1"], json!({})).await.end, End::Done);
    let acted = house.ask("InvokeInventory", &["web-1"], json!({"full": true})).await;
    assert_eq!(acted.end, End::Done, "{}", acted.message);
    assert!(house.parts.store.facts("web-1", None).unwrap().value("software.os.family").is_some());
    let acted = house.ask("InvokeInventory", &["web-1"], json!({"category": "hardware"})).await;
    assert_eq!((acted.end, acted.message.as_str()), (End::Done, "nothing was due"));
    // Both answer; nothing is asked for.
    let healthy = json!({"minScore": 0});
    let acted = house.ask("TestGroupHealth", &["web-1", "web-2"], healthy.clone()).await;
    assert_eq!(acted.end, End::Done, "{}", acted.message);
    assert_eq!((&acted.value["devices"], &acted.value["offline"]), (&json!(2), &json!(0)));
    assert!(acted.value["score"].as_u64().is_some_and(|score| score > 0 && score <= 100));
    let acted = house.ask("TestGroupHealth", &["web-1", "web-2"], json!({"minScore": 100})).await;
    assert!(acted.end == End::Failed && acted.message.contains("100 is asked for"), "{}", acted.message);
    sshd.stop();
    let acted = house.ask("TestGroupHealth", &["web-1", "web-2"], healthy).await;
    assert_eq!((acted.end, &acted.value["offline"]), (End::Failed, &json!(2)), "{}", acted.message);
    assert_eq!(house.ask("TestWinRMConnection", &["web-1"], json!({})).await.end, End::Unreachable);
    assert_eq!(house.ask("InvokeInventory", &["web-1"], json!({"full": true})).await.end, End::Unreachable);
    assert_eq!(house.ask("ApplyPolicy", &["web-1"], json!({"name": "Wanted"})).await.end, End::Unreachable);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_policy_is_carried_out_and_nothing_of_the_others() {
    let sshd = Sshd::start();
    let house = House::new(&sshd);
    // It reports only, and is for others: asked for by name it is carried out here.
    let acted = house.ask("ApplyPolicy", &["web-1"], json!({"name": "Wanted"})).await;
    assert_eq!(acted.end, End::Done, "{}", acted.message);
    assert_eq!(std::fs::read_to_string(house.path("made")).unwrap(), "right");
    assert_eq!(acted.value["done"], json!(1));
    let again = house.ask("ApplyPolicy", &["web-1"], json!({"name": "Wanted"})).await;
    assert_eq!((again.end, again.message.as_str()), (End::Done, "everything is as it should be"));
    let acted = house.ask("InstallRequiredApps", &["web-1"], json!({})).await;
    assert_eq!((acted.end, acted.message.as_str()), (End::Done, "everything is as it should be"));
    assert!(!house.path("not-asked-for").exists());
    assert_eq!(house.parts.store.leases().unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_sends_the_magic_packet() {
    let sshd = Sshd::start();
    let house = House::new(&sshd);
    let listener = tokio::net::UdpSocket::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let params = json!({"via": "web-2", "mac": "52:54:00:12:34:56", "broadcast": "127.255.255.255", "port": port});
    let acted = house.ask("WakeOnLAN", &["web-1"], params).await;
    assert_eq!(acted.end, End::Done, "{}", acted.message);
    let mut packet = [0; 200];
    let (size, _) = listener.recv_from(&mut packet).await.unwrap();
    assert_eq!(packet[..6], [0xff; 6]);
    assert_eq!(packet[6..size], [0x52, 0x54, 0, 0x12, 0x34, 0x56].repeat(16));
    let acted = house.ask("WakeOnLAN", &["web-1"], json!({"via": "web-1", "mac": "52:54:00:12:34:56"})).await;
    assert!(acted.end == End::Failed && acted.message.contains("cannot wake itself"), "{}", acted.message);
}

#[tokio::test]
async fn a_message_is_queued_once_for_every_channel_of_the_type() {
    let sshd = Sshd::start();
    let house = House::new(&sshd);
    let params = json!({"channel": "Webhook", "message": "The pilot is done", "severity": "high"});
    for _ in 0..2 {
        let acted = house.ask("SendNotification", &[], params.clone()).await;
        assert_eq!((acted.end, &acted.value["channels"]), (End::Done, &json!(["chat", "ops"])));
    }
    let queue = house.parts.store.deliveries(&DeliveryFilter::default()).unwrap();
    assert_eq!(queue.len(), 2);
    assert!(queue.iter().all(|delivery| delivery.message.note == "HIGH: The pilot is done" && delivery.message.because == "workflow Test"));
    let acted = house.ask("SendNotification", &[], json!({"channel": "pager"})).await;
    assert!(acted.end == End::Failed && acted.message.contains("no channel 'pager'"), "{}", acted.message);
}

#[tokio::test]
async fn a_device_moves_in_the_products_file_or_over_those_of_people() {
    let sshd = Sshd::start();
    let house = House::new(&sshd);
    let move_to = json!({"group": "Production", "from": "New"});
    let acted = house.ask("SetDeviceGroup", &["web-1"], move_to.clone()).await;
    assert!(acted.end == End::Done && acted.message.contains("devices/imported.yaml"), "{}", acted.message);
    let acted = house.ask("SetDeviceGroup", &["web-2"], move_to).await;
    assert!(acted.end == End::Done && acted.message.contains("declared at devices.yaml:"), "{}", acted.message);
    let set = read(house.folder.path());
    for device in ["web-1", "web-2"] {
        assert_eq!(set.devices[device].groups, ["Production"], "{device}");
    }
    assert!(std::fs::read_to_string(house.path("devices.yaml")).unwrap().contains("web-2: {address: 127.0.0.1, os: linux, groups: [New]"));
    let acted = house.ask("SetDeviceGroup", &["web-2"], json!({"group": "Ruled"})).await;
    assert!(acted.end == End::Failed && acted.message.contains("decided by its rule"), "{}", acted.message);
}

#[tokio::test]
async fn a_client_is_opened_for_a_person_and_never_for_the_daemon() {
    let sshd = Sshd::start();
    let house = House::new(&sshd);
    let told: Mutex<Vec<End>> = Mutex::default();
    for action in ["StartRDP", "StartRemotePS"] {
        // The last one is what a person asked for, and the daemon took up later.
        for allowed in [Allowed::Unattended, Allowed::Workflow, Allowed::Confirmed] {
            let acted = house.ask_as(allowed, action, &["web-1"], json!({}), &|_| {}, &CancellationToken::new()).await;
            told.lock().unwrap().push(acted.end);
        }
    }
    assert_eq!(*told.lock().unwrap(), [End::Refused; 6]);
}
