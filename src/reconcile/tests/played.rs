//! A daemon whose time is played. Time stands still while anything is at work (tokio does not let it pass while a thread is busy
//! with the disk) and goes on to the next moment that somebody waits for when nothing is; the wall clock goes with it.
//! Nothing here waits for anything outside of the process: devices are simulated, and messages end in a list.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use crate::access::{Redactor, SecretStore};
use crate::alert::hand::{self, Act};
use crate::model::channel::Options;
use crate::model::run::Actor;
use crate::notify::{Answer, Channel, Opener, Parcel, SendError};
use crate::reconcile::{Sets, Signals, Source, Start, judge};
use crate::repo::LoadOptions;
use crate::store::{AlertFilter, Store};
use crate::time::Clock;
use crate::transport::{SessionOptions, Sessions};

/// The wall clock of the played day.
pub(super) struct Wall {
    start: DateTime<Utc>,
    anchor: Mutex<(DateTime<Utc>, Instant)>,
}

impl Wall {
    fn set(&self, at: DateTime<Utc>) {
        *self.anchor.lock().unwrap() = (at, Instant::now());
    }
}

impl Clock for Wall {
    fn now(&self) -> DateTime<Utc> {
        let (at, since) = *self.anchor.lock().unwrap();
        at + TimeDelta::from_std(since.elapsed()).unwrap()
    }

    fn steady(&self) -> Option<Duration> {
        (self.now() - self.start).to_std().ok()
    }
}

/// Messages, and when they were sent.
type Told = Vec<(DateTime<Utc>, String)>;

/// Where messages end.
struct Ends {
    wall: Arc<Wall>,
    name: &'static str,
    /// From when to when it asks to be left alone.
    refuses: (DateTime<Utc>, DateTime<Utc>),
    told: Arc<Mutex<Told>>,
}

#[async_trait::async_trait]
impl Channel for Ends {
    async fn send(&self, parcel: &Parcel<'_>) -> Result<Answer, SendError> {
        let now = self.wall.now();
        if self.name == "team" && (self.refuses.0..self.refuses.1).contains(&now) {
            return Err(SendError::Later { host: "team".into(), said: "503".into(), after: Some(Duration::from_mins(5)) });
        }
        let to = parcel.recipient.map(|to| format!(">{to}")).unwrap_or_default();
        let mut line = format!("{} {}{to}", parcel.message.occasion, self.name);
        for alert in &parcel.message.alerts {
            write!(line, " {}/{}", alert.key.subject, alert.key.kind).unwrap();
            if parcel.message.alerts.len() > 1 {
                write!(line, "={}", alert.state).unwrap();
            }
        }
        self.told.lock().unwrap().push((now, line));
        Ok(Answer { said: "taken".into(), receipt: None, missed: Vec::new() })
    }
}

/// Something that happens at a moment of the day.
#[derive(Debug, Clone, Copy)]
pub(super) enum Happens {
    /// From now on the control file says this.
    Orders(&'static str),
    /// Somebody takes on the open alert of this kind on this device.
    Acknowledged(&'static str, &'static str),
    /// The daemon is asked to end, and started anew.
    Restarted,
    /// The process dies, and another one is started.
    Killed,
}

/// A day.
pub(super) struct Played {
    folder: tempfile::TempDir,
    wall: Arc<Wall>,
    told: Arc<Mutex<Told>>,
    sessions: Arc<Sessions>,
    refuses: (DateTime<Utc>, DateTime<Utc>),
}

/// What a day was like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Transcript {
    /// What was told to whom, by the minute.
    pub(super) told: String,
    /// The same moments to the millisecond, those of alerts, and of runs.
    pub(super) moments: Vec<DateTime<Utc>>,
    /// Which moments of schedules were claimed.
    pub(super) claimed: Vec<String>,
    /// From when to when which alert lasted.
    pub(super) alerts: String,
    /// What was carried out.
    pub(super) runs: String,
}

/// Writes down what tables keep only the last state of.
const LOG: &str = "CREATE TABLE Claimed (N INTEGER PRIMARY KEY, Name TEXT, Due INTEGER);
    CREATE TRIGGER claimed_first AFTER INSERT ON Schedules BEGIN INSERT INTO Claimed (Name, Due) VALUES (new.Name, new.Due); END;
    CREATE TRIGGER claimed_next AFTER UPDATE OF Due ON Schedules BEGIN INSERT INTO Claimed (Name, Due) VALUES (new.Name, new.Due); END;";

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

impl Played {
    /// With these files, from this moment on.
    pub(super) fn new(start: &str, files: &[(&str, &str)], refuses: (&str, &str)) -> Self {
        // Every commit is synced: in memory that costs nothing.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let start: DateTime<Utc> = start.parse().unwrap();
        let wall = Arc::new(Wall { start, anchor: Mutex::new((start, Instant::now())) });
        for (path, text) in files {
            let path = folder.path().join("repo").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text.replace("CONTROL", folder.path().join("control").to_str().unwrap())).unwrap();
        }
        let secrets = Arc::new(SecretStore::new(folder.path(), Redactor::new()));
        let sessions = Arc::new(Sessions::with_clock(SessionOptions::default(), secrets, Arc::clone(&wall) as _));
        let at = |time: &str| format!("{}T{time}:00Z", start.date_naive()).parse().unwrap();
        Self { refuses: (at(refuses.0), at(refuses.1)), wall, told: Arc::default(), sessions, folder }
    }

    fn at(&self, time: &str) -> DateTime<Utc> {
        let seconds = if time.len() == 5 { ":00" } else { "" };
        format!("{}T{time}{seconds}Z", self.wall.start.date_naive()).parse().unwrap()
    }

    fn store(&self) -> Store {
        Store::open(&self.database(), Arc::clone(&self.wall) as _).unwrap()
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("rmm.db")
    }

    fn sql(&self, work: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<()>) {
        let connection = rusqlite::Connection::open(self.database()).unwrap();
        work(&connection).unwrap();
    }

    /// Plays what happens, in the order of time, up to the end of the day.
    pub(super) fn play(&self, script: &[(&str, Happens)], end: &str) -> Transcript {
        drop(self.store());
        self.sql(|connection| connection.execute_batch(LOG));
        let mut now = self.wall.start;
        let mut script = script;
        loop {
            let runtime = runtime();
            let killed = runtime.block_on(async {
                self.wall.set(now);
                self.live(&mut script, end).await
            });
            now = runtime.block_on(async { self.wall.now() });
            // With everything that was at work in it, as a process dies.
            drop(runtime);
            if !killed {
                break;
            }
        }
        self.wall.set(now);
        self.transcript()
    }

    /// One process. True where it was killed.
    async fn live(&self, script: &mut &[(&str, Happens)], end: &str) -> bool {
        loop {
            let signals = Signals::default();
            let daemon = tokio::spawn(crate::reconcile::run(self.start(), signals.clone()));
            let mut again = false;
            while let Some(((time, happens), rest)) = script.split_first() {
                self.until(time).await;
                *script = rest;
                match happens {
                    Happens::Orders(orders) => self.order(orders),
                    Happens::Acknowledged(device, kind) => self.acknowledge(device, kind),
                    Happens::Killed => return true,
                    Happens::Restarted => {
                        again = true;
                        break;
                    }
                }
            }
            if !again {
                self.until(end).await;
            }
            signals.stop.cancel();
            daemon.await.unwrap().unwrap();
            if !again {
                return false;
            }
        }
    }

    async fn until(&self, time: &str) {
        let left = self.at(time) - self.wall.now();
        tokio::time::sleep(left.to_std().unwrap_or_default()).await;
    }

    fn start(&self) -> Start {
        let root = self.folder.path().join("repo");
        let options = LoadOptions { root: root.clone(), env: None, environment: Vec::new(), now: self.wall.now() };
        let set = judge(crate::repo::load(&options)).unwrap_or_else(|problems| panic!("{problems:#?}"));
        let (wall, told, refuses) = (Arc::clone(&self.wall), Arc::clone(&self.told), self.refuses);
        let open: Opener = Arc::new(move |options, _| {
            let name = match options {
                Options::Email(_) => "mail",
                Options::PagerDuty(_) => "pager",
                _ => "team",
            };
            Ok(Box::new(Ends { wall: Arc::clone(&wall), name, refuses, told: Arc::clone(&told) }) as _)
        });
        Start {
            sets: Arc::new(Sets::new(Source::Folder, options, Arc::new(set), Arc::clone(&self.wall) as _)),
            root,
            store: self.store(),
            secrets: Arc::new(SecretStore::new(self.folder.path(), Redactor::new())),
            redactor: Redactor::new(),
            clock: Arc::clone(&self.wall) as _,
            sessions: Arc::clone(&self.sessions),
            open,
            actor: Actor { user: "rmm".into(), from: "reconcile@played".into() },
            host: "played".into(),
        }
    }

    /// What the control file says. It is as old as the clock says.
    fn order(&self, orders: &str) {
        let new = self.folder.path().join("control.new");
        std::fs::write(&new, orders.replace(';', "\n")).unwrap();
        std::fs::File::options().append(true).open(&new).unwrap().set_modified(self.wall.now().into()).unwrap();
        std::fs::rename(new, self.folder.path().join("control")).unwrap();
    }

    /// As a command does it: another connection writes, and the daemon notices.
    fn acknowledge(&self, device: &str, kind: &str) {
        let store = self.store();
        let open = store.open_alerts().unwrap();
        let alert = open.iter().find(|alert| alert.key.subject.to_string() == device && &*alert.key.kind == kind).unwrap();
        let kim = Actor { user: "kim".into(), from: "cli@desk".into() };
        hand::act(&store, &alert.id, Act::Acknowledge { take_over: false }, None, &kim, self.wall.now()).unwrap();
    }

    fn transcript(&self) -> Transcript {
        let time = |at: DateTime<Utc>| at.format("%H:%M").to_string();
        // What was told within a minute, in a fixed order.
        let (mut moments, mut told): (Vec<_>, Vec<_>) =
            self.told.lock().unwrap().iter().map(|(at, line)| (*at, format!("{} {line}\n", time(*at)))).unzip();
        told.sort();
        let mut claimed = Vec::new();
        self.sql(|connection| {
            let mut statement = connection.prepare("SELECT Name, Due FROM Claimed ORDER BY Due, Name")?;
            let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
            for row in rows {
                let (name, due) = row?;
                claimed.push(format!("{} {name}", time(DateTime::from_timestamp_millis(due).unwrap())));
            }
            Ok(())
        });
        let store = self.store();
        let mut alerts: Vec<String> = Vec::new();
        for alert in store.alerts(&AlertFilter::default()).unwrap() {
            moments.extend([Some(alert.created_at), alert.resolved_at].into_iter().flatten());
            let end = alert.resolved_at.map_or_else(|| "-----".into(), time);
            alerts.push(format!("{}-{end} {}/{} {}\n", time(alert.created_at), alert.key.subject, alert.key.kind, alert.severity));
        }
        alerts.sort();
        let mut runs: Vec<String> = Vec::new();
        for run in store.runs(1000).unwrap() {
            let changes: BTreeSet<String> = store
                .run_changes(&run.id)
                .unwrap()
                .into_iter()
                .map(|row| format!(" {}:{}={}", row.device, row.change.label(), row.state))
                .collect();
            moments.extend([Some(run.started_at), run.finished_at].into_iter().flatten());
            runs.push(format!("{}{}\n", time(run.started_at), changes.into_iter().collect::<String>()));
        }
        runs.sort();
        assert!(store.audit_verify(None).unwrap().is_ok());
        moments.sort_unstable();
        Transcript { told: told.concat(), moments, claimed, alerts: alerts.concat(), runs: runs.concat() }
    }

    /// Times, in seconds since the start of the day, at which devices were last observed whole.
    pub(super) fn inventories(&self) -> Vec<(String, DateTime<Utc>)> {
        let states = self.store().device_states().unwrap();
        states.into_iter().filter_map(|state| Some((state.name, state.last_inventory?))).collect()
    }
}
