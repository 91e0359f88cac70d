//! A device on the other side, played: first through the directory, then over a real Samba server by `device.py`, which checks
//! signatures with OpenSSL.

use std::path::{Path, PathBuf};
use std::process::{Child, Command as Program, Stdio};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;
use crate::time::SystemClock;

struct House {
    share: tempfile::TempDir,
    key: Arc<SigningKey>,
}

impl House {
    fn new() -> Self {
        let share = tempfile::tempdir().unwrap();
        std::fs::create_dir(share.path().join("devices")).unwrap();
        Self { share, key: Arc::new(SigningKey::read(&SigningKey::generate().unwrap()).unwrap()) }
    }

    fn session(&self, fetch: Duration) -> ShareSession {
        let times = Times { fetch, command: Duration::from_mins(1) };
        ShareSession::new(self.share.path(), "WS-1", Arc::clone(&self.key), times, 1 << 20, Arc::new(SystemClock), Absent::default())
    }

    fn folder(&self) -> PathBuf {
        self.share.path().join("devices/ws-1")
    }

    fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        for name in ["jobs", "taken", "results"] {
            let entries = std::fs::read_dir(self.folder().join(name)).unwrap();
            found.extend(entries.map(|entry| format!("{name}/{}", entry.unwrap().file_name().display())));
        }
        found
    }

    /// Fetches the one job, as soon as it is there.
    fn fetch(&self) -> (String, Value) {
        loop {
            let jobs = std::fs::read_dir(self.folder().join("jobs"));
            let job = jobs.ok().and_then(|mut jobs| {
                jobs.find_map(|entry| Some(entry.ok()?.path()).filter(|path| path.extension() == Some("json".as_ref())))
            });
            let Some(job) = job else {
                std::thread::yield_now();
                continue;
            };
            let name = job.file_name().unwrap().to_str().unwrap().to_owned();
            let taken = self.folder().join("taken").join(&name);
            std::fs::rename(&job, &taken).unwrap();
            let outer: Value = serde_json::from_slice(&std::fs::read(&taken).unwrap()).unwrap();
            let body = STANDARD.decode(outer["body"].as_str().unwrap()).unwrap();
            return (name.strip_suffix(".json").unwrap().to_owned(), serde_json::from_slice(&body).unwrap());
        }
    }

    fn answer(&self, id: &str, text: &str) {
        let results = self.folder().join("results");
        std::fs::write(results.join("beside"), text).unwrap();
        std::fs::rename(results.join("beside"), results.join(format!("{id}.json"))).unwrap();
    }
}

fn command(line: &str) -> Command {
    Command { line: line.into(), input: b"in".to_vec().into(), ..Command::default() }
}

/// Runs a command while the device does its part.
fn with_device(house: &House, device: impl FnOnce(&House) + Send) -> Result<Output, TransportError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| device(house));
        let session = house.session(Duration::from_hours(1));
        runtime.block_on(session.run(command("work"), &CancellationToken::new()))
    })
}

#[test]
fn a_job_is_fetched_answered_and_cleared_away() {
    let house = House::new();
    let output = with_device(&house, |house| {
        let (id, job) = house.fetch();
        assert_eq!((job["device"].as_str(), job["line"].as_str()), (Some("ws-1"), Some("work")));
        assert_eq!(STANDARD.decode(job["input"].as_str().unwrap()).unwrap(), b"in");
        assert!(job["expires"].as_i64().unwrap() - job["created"].as_i64().unwrap() == 3_600_000);
        let stderr = STANDARD.encode("#< CLIXML\r\n<Objs><S S=\"Error\">no such thing_x000D__x000A_</S></Objs>");
        let answer = json!({"format": "rmm.result/1", "id": id, "outcome": "done", "code": 3, "stdout": STANDARD.encode("o\u{fc}t"), "stderr": stderr});
        // As Windows PowerShell writes it where it is told UTF-8.
        house.answer(&id, &format!("\u{feff}{answer}"));
    });
    assert_eq!(output.unwrap(), Output { code: 3, stdout: "o\u{fc}t".into(), stderr: "no such thing\n".into() });
    assert_eq!(house.files(), Vec::<String>::new());
}

#[test]
fn what_came_of_a_job_is_told_as_other_transports_tell_it() {
    for (answer, code) in [
        (json!({"outcome": "timeout"}), "RMM0405"),
        (json!({"outcome": "too-much"}), "RMM0406"),
        (json!({"outcome": "interrupted"}), "RMM0408"),
        (json!({"outcome": "refused", "reason": "it has expired"}), "RMM0410"),
        (json!({"outcome": "done", "stdout": "%%%"}), "RMM0410"),
        (json!({"outcome": "done", "stdout": STANDARD.encode(vec![0; (1 << 20) + 1])}), "RMM0406"),
        (json!({"outcome": "done", "id": "j-another"}), "RMM0410"),
        (json!({"outcome": "hm"}), "RMM0410"),
        (json!("no answer"), "RMM0410"),
        (json!({"outcome": "done", "stdout": "x".repeat(4 << 20)}), "RMM0408"),
    ] {
        let house = House::new();
        let error = with_device(&house, |house| {
            let (id, _) = house.fetch();
            let mut answer = answer.clone();
            if let Some(members) = answer.as_object_mut() {
                members.entry("format").or_insert(json!("rmm.result/1"));
                members.entry("id").or_insert(json!(id));
            }
            house.answer(&id, &answer.to_string());
        });
        assert_eq!(
            crate::diagnose::Diagnose::code(&error.unwrap_err()),
            code,
            "{}",
            answer.to_string().chars().take(100).collect::<String>()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_fetches_is_taken_back() {
    let house = House::new();
    let error = house.session(Duration::from_mins(15)).run(command("work"), &CancellationToken::new()).await.unwrap_err();
    assert_eq!(error, TransportError::NotFetched { share: house.folder().display().to_string(), seconds: 900 });
    assert_eq!(house.files(), Vec::<String>::new());
    let cancel = CancellationToken::new();
    let session = house.session(Duration::from_mins(15));
    let (error, ()) = tokio::join!(session.run(command("work"), &cancel), async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        cancel.cancel();
    });
    assert_eq!((error.unwrap_err(), house.files()), (TransportError::Cancelled, Vec::new()));
    // One that did not fetch its last job has less time for the next.
    let session = house.session(Duration::from_mins(15));
    for seconds in [900, 90] {
        let error = session.run(command("work"), &CancellationToken::new()).await.unwrap_err();
        assert!(matches!(error, TransportError::NotFetched { seconds: told, .. } if told == seconds), "{error}");
    }
}

#[test]
fn links_and_pipes_on_the_share_lead_nowhere() {
    let elsewhere = tempfile::tempdir().unwrap();
    let precious = elsewhere.path().join("precious");
    std::fs::write(&precious, "kept").unwrap();
    let house = House::new();
    // The folder of jobs is somewhere else: nothing is written there.
    std::fs::create_dir_all(house.folder()).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), house.folder().join("jobs")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let session = house.session(Duration::ZERO);
    let error = runtime.block_on(session.run(command("work"), &CancellationToken::new())).unwrap_err();
    assert!(matches!(error, TransportError::Lost { .. }), "{error}");
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 1);
    std::fs::remove_file(house.folder().join("jobs")).unwrap();
    // What is to be stopped is a link, and the answer a pipe.
    for name in ["jobs", "taken", "results"] {
        std::fs::create_dir_all(house.folder().join(name)).unwrap();
    }
    std::os::unix::fs::symlink(&precious, house.folder().join("taken/j-1.stop")).unwrap();
    runtime.block_on(session.folder.stop("j-1"));
    assert_eq!(std::fs::read_to_string(&precious).unwrap(), "kept");
    assert!(Program::new("mkfifo").arg(house.folder().join("results/j-1.json")).status().unwrap().success());
    assert!(runtime.block_on(session.folder.look("j-1", 100)).unwrap_err().to_string().contains("not a regular file"));
    // Or a link, or a folder.
    std::os::unix::fs::symlink(&precious, house.folder().join("results/j-2.json")).unwrap();
    std::fs::create_dir(house.folder().join("results/j-3.json")).unwrap();
    for id in ["j-2", "j-3"] {
        assert!(runtime.block_on(session.folder.look(id, 100)).is_err(), "{id}");
        runtime.block_on(session.folder.clear(id));
    }
    assert_eq!(std::fs::read_to_string(&precious).unwrap(), "kept");
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_goes_away_takes_the_job_back() {
    let house = House::new();
    let session = house.session(Duration::from_mins(15));
    {
        let (work, cancel) = (command("work"), CancellationToken::new());
        let waiting = session.run(work, &cancel);
        tokio::pin!(waiting);
        tokio::select! {
            _ = &mut waiting => panic!("nobody answers"),
            () = tokio::time::sleep(Duration::from_secs(3)) => {}
        }
        assert_eq!(house.files().len(), 1);
    }
    while !house.files().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_fetched_is_stopped_where_it_does_not_answer() {
    let house = House::new();
    let session = house.session(Duration::from_mins(15));
    let cancel = CancellationToken::new();
    let error = tokio::join!(session.run(command("work"), &cancel), async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        house.fetch();
    });
    assert!(matches!(error.0.unwrap_err(), TransportError::Lost { .. }));
    assert_eq!(house.files().iter().filter(|file| Path::new(file).extension() == Some("stop".as_ref())).count(), 1, "{:?}", house.files());
}

#[tokio::test]
async fn a_share_that_is_not_mounted_is_not_filled_in_its_place() {
    let house = House::new();
    std::fs::remove_dir(house.share.path().join("devices")).unwrap();
    let error = house.session(Duration::from_secs(1)).run(command("work"), &CancellationToken::new()).await.unwrap_err();
    assert!(error.to_string().contains("is it mounted?"), "{error}");
    assert_eq!(std::fs::read_dir(house.share.path()).unwrap().count(), 0);
}

#[test]
fn names_of_devices_become_names_of_folders() {
    let folder = |device: &str| Folder::new(Path::new("/s"), device).device().to_owned();
    assert_eq!(folder("WS-1.Example"), "ws-1.example");
    for device in ["../x", "a/b", "", ".", "caf\u{e9}", "-x", "a ."] {
        let name = folder(device);
        assert!(name.starts_with("x-") && name.len() == 34, "{device}: {name}");
    }
    assert_ne!(folder("../x"), folder("../y"));
}

#[test]
fn the_runner_holds_the_public_key_and_parses() {
    let house = House::new();
    let text = runner(&house.key);
    assert!(text.contains(&format!("$publicKey = '{}'", house.key.public())) && !text.contains("@PUBLIC_KEY@"));
    assert_eq!(STANDARD.decode(house.key.public()).unwrap().len(), 64);
    assert_eq!(crate::catalog::tests::powershell::parsed(&text), Vec::<String>::new());
    assert_eq!(crate::catalog::tests::powershell::refused(&text), None);
}

/// A Samba server on a free port, for one user.
struct Samba {
    server: Child,
    device: Option<Child>,
    state: tempfile::TempDir,
}

impl Samba {
    fn start(share: &Path) -> (Self, u16) {
        let state = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let user = String::from_utf8(Program::new("id").arg("-un").output().unwrap().stdout).unwrap();
        let (user, at) = (user.trim(), state.path().display());
        let config = format!(
            "[global]\nserver role = standalone server\nsmb ports = {port}\ninterfaces = 127.0.0.1/8\nbind interfaces only = yes\n\
             disable netbios = yes\nload printers = no\nlog level = 0\nlog file = {at}/log\nmap to guest = bad user\nguest account = {user}\n\
             private dir = {at}\nlock directory = {at}\nstate directory = {at}\ncache directory = {at}\npid directory = {at}\n\
             ncalrpc dir = {at}/rpc\nserver min protocol = SMB3\n[rmm]\npath = {}\nread only = no\nguest ok = yes\nforce user = {user}\n",
            share.display()
        );
        let file = state.path().join("smb.conf");
        std::fs::write(&file, config).unwrap();
        let server = Program::new("/usr/sbin/smbd")
            .args(["--foreground", "--no-process-group", "--configfile"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("smbd: {error}; tests/run installs it"));
        (Self { server, device: None, state }, port)
    }

    fn device(&mut self, port: u16, key: &SigningKey, more: &[&str]) {
        let log = std::fs::File::create(self.state.path().join("device")).unwrap();
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/transport/share/device.py");
        let child = Program::new("python3")
            .arg(program)
            .args([port.to_string(), "ws-1".to_owned(), key.public()])
            .args(more)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.device = Some(child);
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.state.path().join("device")).unwrap_or_default()
    }
}

impl Drop for Samba {
    fn drop(&mut self) {
        for child in [Some(&mut self.server), self.device.as_mut()].into_iter().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[tokio::test]
async fn over_a_real_samba_server_signed_jobs_are_carried_out_once_and_others_refused() {
    let house = House::new();
    let (mut samba, port) = Samba::start(house.share.path());
    samba.device(port, &house.key, &[]);
    let session = house.session(Duration::from_mins(2));
    let cancel = CancellationToken::new();
    for i in 0..5 {
        let output = session.run(command(&format!("echo {i}")), &cancel).await.unwrap_or_else(|error| panic!("{error}: {}", samba.said()));
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("echo {i} with in"));
    }
    // A stranger's signature: refused on the device.
    let stranger =
        House { share: tempfile::tempdir().unwrap(), key: Arc::new(SigningKey::read(&SigningKey::generate().unwrap()).unwrap()) };
    let times = Times { fetch: Duration::from_mins(2), command: Duration::from_mins(1) };
    let theirs =
        ShareSession::new(house.share.path(), "ws-1", Arc::clone(&stranger.key), times, 1 << 20, Arc::new(SystemClock), Absent::default());
    let error = theirs.run(command("echo x"), &cancel).await.unwrap_err().to_string();
    assert!(error.contains("its signature is wrong"), "{error}");
    // For another device, expired, and a copy of what was carried out.
    let job = |device: &str, expires_in: i64| Job {
        id: job::new_id(chrono::Utc::now()),
        device: device.into(),
        created: chrono::Utc::now().timestamp_millis(),
        expires: chrono::Utc::now().timestamp_millis() + expires_in,
        line: "echo y".into(),
        input: b"".to_vec().into(),
        timeout_ms: 1000,
        max_output: 1000,
    };
    let mut told = Vec::new();
    let good = job("ws-1", 60_000);
    for job in [&job("ws-2", 60_000), &job("ws-1", -1), &good, &good] {
        session.folder.put(&job.id, job.signed(&house.key).unwrap()).await.unwrap();
        let answer = loop {
            if let Look::Answered(text) = session.folder.look(&job.id, 1 << 20).await.unwrap() {
                break Answer::read(&text, &job.id, 1 << 20);
            }
            tokio::task::yield_now().await;
        };
        session.folder.clear(&job.id).await;
        told.push(match answer {
            Answer::Done(_) => "done".to_owned(),
            Answer::Refused(reason) => reason,
            other => format!("{other:?}"),
        });
    }
    assert_eq!(told, ["it is for another device", "it has expired", "done", "it was carried out before"], "{}", samba.said());
}
