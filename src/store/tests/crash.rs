//! Processes: several that write at once, and one that is killed in the middle.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::*;
use crate::store::{AuditEvent, Step};

const PATH: &str = "RMM_STORE_TEST_PATH";
const ROWS: &str = "RMM_STORE_TEST_ROWS";

/// This very test binary, running `writer_process` alone.
fn writer(path: &std::path::Path, rows: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::crash::writer_process", "--nocapture", "--test-threads=1"])
        .env(PATH, path)
        .env(ROWS, rows.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Not a test of its own: what the processes of the tests below do. Says a line after each commit.
#[test]
fn writer_process() {
    let Some(path) = std::env::var_os(PATH) else { return };
    let rows: i64 = std::env::var(ROWS).unwrap().parse().unwrap();
    let store = again(std::path::Path::new(&path)).unwrap();
    let run_id = format!("r-{}", std::process::id());
    let changes: Vec<_> = (1..=rows).map(|seq| run_change(&run_id, seq, "a")).collect();
    store.create_run(&run(&run_id), &changes).unwrap();
    for seq in 1..=rows {
        store.transition(&run_id, seq, ChangeState::Started, &Step::default(), &actor()).unwrap();
        store.put_observations(&[observation("a", Utc::now(), &[("software.os", json!({"n": seq, "text": "x".repeat(5000)}))])]).unwrap();
        store.transition(&run_id, seq, ChangeState::Done, &Step::default(), &actor()).unwrap();
        let at = Utc::now();
        store
            .audit(&AuditEvent { at, user: None, action: "test".into(), target: None, details: Value::Null, ip: None, success: true })
            .unwrap();
        println!("\ncommitted {run_id} {seq}");
    }
}

fn committed(line: &str) -> Option<(String, i64)> {
    let mut words = line.strip_prefix("committed ")?.split(' ');
    Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
}

#[test]
fn after_kill_9_nothing_that_was_committed_is_missing_and_everything_is_whole() {
    let house = house();
    for kill_after in [1, 4, 9] {
        let mut child = writer(&house.path, 100_000);
        let mut last = None;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            last = committed(&line.unwrap()).or(last);
            if last.as_ref().is_some_and(|(_, seq)| *seq >= kill_after) {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let (run, seq) = last.unwrap();
        let store = again(&house.path).unwrap();
        assert_eq!(store.integrity_check().unwrap(), Vec::<String>::new());
        let verified = store.audit_verify(None).unwrap().unwrap();
        assert!(verified.rows > seq * 3);
        let changes = store.run_changes(&run).unwrap();
        assert!(changes[..seq as usize].iter().all(|c| c.state == ChangeState::Done));
        assert!(changes.iter().filter(|c| c.state == ChangeState::Started).count() <= 1);
        assert!(store.facts("a", None).unwrap().value("software.os.n").unwrap().as_i64().unwrap() >= seq);
    }
}

#[test]
fn two_processes_append_to_one_chain() {
    let house = house();
    let mut writers = [writer(&house.path, 20), writer(&house.path, 20)];
    for writer in &mut writers {
        let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        assert_eq!(lines.filter(|line| committed(line.as_ref().unwrap()).is_some()).count(), 20);
        assert!(writer.wait().unwrap().success());
    }
    assert_eq!(house.store.audit_verify(None).unwrap().unwrap().rows, 2 * (1 + 3 * 20));
}
