//! `rmm notify` through the real binary.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::https::{Receiver, Reply};
use super::*;

fn rmm(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rmm"));
    command.current_dir(dir).args(args).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("RMM_SECRET_TOKEN", "s3cr3t-token").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn fleet() -> (Receiver, tempfile::TempDir) {
    let receiver = Receiver::start().await;
    let dir = tempfile::tempdir().unwrap();
    receiver.trust(dir.path());
    let toml = format!(
        "[notifications.channels.chat]\ntype = \"webhook\"\nurl = \"{}/hook\"\nca_file = \"ca.pem\"\nheaders = {{ Authorization = {{ secret = \"TOKEN\" }} }}\n\n\
         [notifications.channels.half]\ntype = \"email\"\nserver = \"mail.example.com\"\n",
        receiver.url
    );
    std::fs::write(dir.path().join("rmm.toml"), toml).unwrap();
    (receiver, dir)
}

/// Runs it beside the receiver, which lives in this process.
async fn run(dir: &tempfile::TempDir, args: &[&'static str]) -> Output {
    let (dir, args) = (dir.path().to_path_buf(), args.to_vec());
    tokio::task::spawn_blocking(move || rmm(&dir, &args)).await.unwrap()
}

#[tokio::test]
async fn a_test_is_really_sent_and_the_answer_is_shown() {
    let (receiver, dir) = fleet().await;
    receiver.replies([
        Reply::With(200, vec![], "thank you for s3cr3t-token".into()),
        Reply::With(403, vec![], "s3cr3t-token is not allowed".into()),
    ]);
    let good = run(&dir, &["notify", "test", "Chat", "--to", "kim"]).await;
    assert_eq!(good.status.code(), Some(0), "{}", text(&good.stderr));
    assert!(text(&good.stdout).starts_with("chat (webhook) took it after "), "{}", text(&good.stdout));
    assert!(text(&good.stdout).contains("200 OK: thank you for (secret TOKEN)"), "{}", text(&good.stdout));
    let asked = receiver.asked().remove(0);
    assert_eq!(
        (asked.header("authorization"), &asked.json()["occasion"], &asked.json()["recipient"]),
        ("s3cr3t-token", &json!("test"), &json!("kim"))
    );

    let bad = run(&dir, &["notify", "test", "chat"]).await;
    assert_eq!(bad.status.code(), Some(1));
    assert!(text(&bad.stderr).contains("RMM0625") && text(&bad.stderr).contains("(secret TOKEN) is not allowed"), "{}", text(&bad.stderr));
    let audit = text(&run(&dir, &["audit", "list", "--action", "notify", "--output", "json"]).await.stdout);
    assert_eq!(audit.matches("notify.tested").count(), 2, "{audit}");
    // Nowhere: not in the audit, not in the log, not in the database.
    let mut files = vec![dir.path().join(".rmm")];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(12).any(|part| part == b"s3cr3t-token"), "{}", path.display());
        }
    }
    let wrong = run(&dir, &["notify", "test", "chatt"]).await;
    assert!(text(&wrong.stderr).contains("did you mean 'chat'?"), "{}", text(&wrong.stderr));
    let half = run(&dir, &["notify", "test", "half"]).await;
    assert!(text(&half.stderr).contains("RMM0620") && text(&half.stderr).contains("'from' is missing"), "{}", text(&half.stderr));
}

#[tokio::test]
async fn what_was_given_up_is_listed_and_can_be_retried() {
    let (_receiver, dir) = fleet().await;
    std::fs::create_dir_all(dir.path().join(".rmm")).unwrap();
    let store = Store::open(&dir.path().join(".rmm/rmm.db"), Arc::new(rmm::time::SystemClock)).unwrap();
    store
        .commit_alerts(&AlertBatch {
            deliveries: vec![raised("d-1", "chat", "a-1"), raised("d-2", "chat", "a-2")],
            ..AlertBatch::default()
        })
        .unwrap();
    assert!(store.claim_delivery("d-1", noon()).unwrap());
    let dead = rmm::store::DeliveryResult {
        state: DeliveryState::Dead,
        error: Some("RMM0625: no".into()),
        receipt: None,
        due_at: None,
        sent_at: None,
        rest: Vec::new(),
    };
    store.finish_delivery("d-1", &dead).unwrap();

    let listed: Value =
        serde_json::from_slice(&run(&dir, &["notify", "list", "--state", "dead", "--output", "json"]).await.stdout).unwrap();
    let [row] = listed["items"].as_array().unwrap().as_slice() else { panic!("{listed}") };
    assert_eq!(
        (&row["id"], &row["tries"], &row["error"], &row["about"]),
        (&json!("d-1"), &json!(1), &json!("RMM0625: no"), &json!("db-1: DiskSpace of /var: 7 %"))
    );
    let both = text(&run(&dir, &["notify", "list"]).await.stdout);
    assert!(both.contains("d-1") && both.contains("d-2") && both.contains("pending"), "{both}");

    let channels: Value = serde_json::from_slice(&run(&dir, &["notify", "channels", "--output", "json"]).await.stdout).unwrap();
    let chat = &channels["items"][0];
    assert_eq!((&chat["channel"], &chat["sends"], &chat["waiting"], &chat["dead"]), (&json!("chat"), &json!("yes"), &json!(1), &json!(1)));
    assert!(channels["items"][1]["sends"].as_str().unwrap().starts_with("no: 'from' is missing"), "{channels}");

    let retried = run(&dir, &["notify", "retry", "--all-dead"]).await;
    assert_eq!(text(&retried.stdout), "1 message will be tried again by the daemon.\n");
    assert_eq!(store.delivery("d-1").unwrap().unwrap().state, DeliveryState::Pending);
    let again = run(&dir, &["notify", "retry", "d-2", "d-9"]).await;
    assert_eq!(again.status.code(), Some(1), "one waits already, the other does not exist");
    let audit = text(&run(&dir, &["audit", "list", "--action", "notify.retried", "--output", "json"]).await.stdout);
    assert_eq!(audit.matches("notify.retried").count(), 1, "{audit}");
}
