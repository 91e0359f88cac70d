//! Devices behind a share that do not answer, beside others that are reached directly.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Limits, Request, Round, Visit, collect_fleet};
use crate::access::{SecretError, Secrets};
use crate::model::Platform;
use crate::model::device::{Connection, TransportKind};
use crate::time::SystemClock;
use crate::transport::share::SigningKey;
use crate::transport::{BEHIND_SHARES, Session, SessionOptions, Sessions, Target, TransportError};

/// The key that signs jobs, whatever is asked for.
struct OneKey(SecretString);

impl Secrets for OneKey {
    fn resolve(&self, _: &str) -> Result<SecretString, SecretError> {
        Ok(self.0.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn five_hundred_devices_of_which_two_hundred_are_off_keep_nobody_else_waiting() {
    let share = tempfile::tempdir().unwrap();
    std::fs::create_dir(share.path().join("devices")).unwrap();
    // The runner of the first three hundred is interrupted and says so at once: an answer like any other.
    let runner = async {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            for n in 0..300 {
                let folder = share.path().join(format!("devices/ws-{n}"));
                for job in std::fs::read_dir(folder.join("jobs")).into_iter().flatten().map(|entry| entry.unwrap().path()) {
                    let Some(id) = job.file_name().and_then(|name| name.to_str()?.strip_suffix(".json")).map(str::to_owned) else {
                        continue;
                    };
                    let taken = folder.join("taken").join(format!("{id}.json"));
                    if std::fs::rename(&job, taken).is_ok() {
                        let answer = json!({"format": "rmm.result/1", "id": id, "outcome": "interrupted"}).to_string();
                        std::fs::write(folder.join("results/beside"), answer).unwrap();
                        std::fs::rename(folder.join("results/beside"), folder.join(format!("results/{id}.json"))).unwrap();
                    }
                }
            }
        }
    };
    // Those that are off come first, and one place is all that there is for devices that are reached directly.
    let names: Vec<String> = (0..500).rev().map(|n| format!("ws-{n}")).chain((0..20).map(|n| format!("direct-{n}"))).collect();
    let request = Arc::new(Request::for_paths(["software.os"]));
    let devices = names.into_iter().map(move |name| (name, Arc::clone(&request)));
    let options = SessionOptions { share_timeout: Duration::from_mins(5), ..SessionOptions::default() };
    let (sessions, path) = (Sessions::new(options, Arc::new(OneKey(SigningKey::generate().unwrap()))), share.path().display().to_string());
    let open = move |name: &String| {
        let connection = Connection { transport: Some(TransportKind::Share), share: Some(path.clone()), ..Connection::default() };
        let target = Target { name: name.clone(), address: name.clone(), connection, platform: Some(Platform::Windows) };
        let (sessions, direct) = (sessions.clone(), name.starts_with("direct-"));
        async move {
            let refused = TransportError::Unreachable { address: "192.0.2.1".into(), reason: "no route".into() };
            if direct { Err(refused) } else { sessions.open(&target, &CancellationToken::new()).await }
        }
    };
    let transport = |name: &String| if name.starts_with("direct-") { TransportKind::Winrm } else { TransportKind::Share };
    let (sender, mut receiver) = tokio::sync::mpsc::channel(16);
    let round =
        Round { concurrency: 1, behind_shares: BEHIND_SHARES, limits: Limits::default(), visit: Visit::First, name: |name: &String| name };
    let begun = Instant::now();
    let work = collect_fleet(devices, (open, transport), Arc::new(SystemClock), round, CancellationToken::new(), sender);
    let read = async {
        let mut seen = Vec::new();
        while let Some(one) = receiver.recv().await {
            seen.push((one.device, begun.elapsed(), one.result.map(|_| ()).unwrap_err()));
        }
        seen
    };
    let seen = tokio::select! {
        ((), seen) = async { tokio::join!(work, read) } => seen,
        () = runner => unreachable!(),
    };
    let off = seen.iter().filter(|(.., error)| matches!(error, TransportError::NotFetched { seconds: 300, .. })).count();
    let answered = seen.iter().filter(|(.., error)| matches!(error, TransportError::Lost { .. })).count();
    assert_eq!((seen.len(), off, answered), (520, 200, 300));
    // Each waits its own time, side by side: five minutes for all of them, not for each of a few at a time.
    assert!(begun.elapsed() < Duration::from_mins(7), "{:?}", begun.elapsed());
    let direct = seen.iter().filter(|(name, ..)| name.starts_with("direct-")).map(|(_, at, _)| *at).max().unwrap();
    assert!(direct < Duration::from_secs(5), "those that are reached directly waited {direct:?}");
}

#[tokio::test(start_paused = true)]
async fn more_devices_behind_shares_than_there_are_places_keep_nobody_else_waiting() {
    let request = Arc::new(Request::for_paths(["software.os"]));
    let names = (0..6).map(|n| format!("share-{n}")).chain((0..3).map(|n| format!("direct-{n}")));
    let devices = names.map(move |name| (name, Arc::clone(&request)));
    let open = |name: &String| {
        let wait = if name.starts_with("share-") { Duration::from_mins(5) } else { Duration::from_secs(1) };
        async move {
            tokio::time::sleep(wait).await;
            Err::<Arc<dyn Session>, _>(TransportError::Unreachable { address: "192.0.2.1".into(), reason: "no route".into() })
        }
    };
    let transport = |name: &String| if name.starts_with("share-") { TransportKind::Share } else { TransportKind::Winrm };
    let (sender, mut receiver) = tokio::sync::mpsc::channel(16);
    let round = Round { concurrency: 1, behind_shares: 2, limits: Limits::default(), visit: Visit::First, name: |name: &String| name };
    let begun = Instant::now();
    let work = collect_fleet(devices, (open, transport), Arc::new(SystemClock), round, CancellationToken::new(), sender);
    let read = async {
        let mut seen = Vec::new();
        while let Some(one) = receiver.recv().await {
            seen.push((one.device, begun.elapsed()));
        }
        seen
    };
    let ((), seen) = tokio::join!(work, read);
    assert_eq!(seen.len(), 9);
    let direct: Vec<&str> = seen[..3].iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(direct, ["direct-0", "direct-1", "direct-2"], "those that are reached directly do not wait for the others");
    assert!(seen[2].1 < Duration::from_secs(5), "{:?}", seen[2].1);
    assert!(begun.elapsed() < Duration::from_mins(16), "{:?}", begun.elapsed());
}
