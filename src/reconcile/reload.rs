//! Has the repository read again when its files have changed, when the branch is to be asked, or when somebody says so; tells
//! everybody where what was read is refused.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::blocking::blocking;
use super::desk::DeskWay;
use super::error::ReconcileError;
use super::fixed::Fixed;
use super::sets::{Reloaded, Sets};
use super::vitals::Vitals;
use super::{service, watcher};
use crate::diagnose::Diagnostic;
use crate::model::Severity;
use crate::model::alert::{AlertKey, Finding, Signal, Subject};
use crate::model::config::Repository;
use crate::repo::PolicySet;

/// Type of the alert.
const KIND: &str = "Repository";
/// Most problems that the alert names.
const MOST: usize = 10;

/// Works until `stop`.
pub(super) async fn run(
    sets: Arc<Sets>,
    root: PathBuf,
    desk: DeskWay,
    vitals: Arc<Vitals>,
    asked: Arc<Notify>,
    stop: CancellationToken,
) -> Result<(), ReconcileError> {
    let of = Arc::clone(&sets);
    let mut local = blocking(move || of.local()).await;
    let fixed = Fixed::new(&sets.current().config, &local);
    let mut reloader = Reloader { sets: Arc::clone(&sets), desk, vitals, stop: stop.clone(), fixed };
    let changed = Arc::new(Notify::new());
    let follows = sets.follows();
    if follows {
        // What is in force from the start may have been refused something since; a folder is read once it is watched.
        changed.notify_one();
    }
    let watching = async {
        if follows {
            std::future::pending::<()>().await;
        } else {
            watching(&sets, root, &stop, &changed).await;
        }
    };
    let reading = async {
        loop {
            let by_hand = tokio::select! {
                () = stop.cancelled() => return,
                () = asked.notified() => true,
                () = changed.notified() => false,
                () = tokio::time::sleep(local.interval.duration()), if follows => false,
            };
            reloader.begin(by_hand).await;
            let of = Arc::clone(&sets);
            local = blocking(move || of.local()).await;
            reloader.notice(&local);
        }
    };
    tokio::join!(reading, async {
        tokio::select! {
            () = watching => {}
            () = stop.cancelled() => {}
        }
    });
    Ok(())
}

/// Watches the folder, in the way that the set in force asks for.
async fn watching(sets: &Sets, root: PathBuf, stop: &CancellationToken, changed: &Arc<Notify>) {
    let way = |set: &PolicySet| (set.config.daemon.watch, set.config.daemon.poll_interval.duration());
    let mut changes = sets.subscribe();
    while !stop.is_cancelled() {
        let now = way(&changes.borrow_and_update());
        let poll = watcher::polls(&root, now.0).then_some(now.1);
        let other = async {
            while changes.changed().await.is_ok() {
                if way(&changes.borrow_and_update()) != now {
                    return;
                }
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = watcher::watch(root.clone(), poll, stop.clone(), Arc::clone(changed)) => return,
            () = other => {}
        }
    }
}

struct Reloader {
    sets: Arc<Sets>,
    desk: DeskWay,
    vitals: Arc<Vitals>,
    stop: CancellationToken,
    fixed: Fixed,
}

impl Reloader {
    async fn begin(&self, by_hand: bool) {
        if by_hand {
            service::reloading();
        }
        self.once().await;
        if by_hand {
            service::ready("at work");
        }
    }

    /// Says what of the new settings takes effect only later.
    fn notice(&mut self, local: &Repository) {
        for setting in self.fixed.news(&self.sets.current().config, local) {
            tracing::warn!("{setting} has changed: that takes effect at the next start");
        }
    }

    async fn once(&self) {
        let (sets, stop) = (Arc::clone(&self.sets), self.stop.clone());
        let reloaded = blocking(move || sets.reload(&|| stop.is_cancelled(), None)).await;
        if self.stop.is_cancelled() {
            return;
        }
        let reading = self.sets.reading();
        let at = reading.at.unwrap_or_default();
        self.vitals.figures.reload_seconds.observe(reading.took.as_secs_f64());
        let took = reading.took.as_millis() as u64;
        let signal = match reloaded {
            Reloaded::Same => cleared(at),
            Reloaded::New(set) => {
                tracing::info!(policy_set = set.hash, commit = set.commit.as_deref().unwrap_or("-"), took, "policy set in force");
                self.vitals.figures.reloads.inc();
                service::status(&format!(
                    "at work: {} devices, policy set {}",
                    set.devices.len(),
                    set.commit.as_deref().unwrap_or(&set.hash)
                ));
                cleared(at)
            }
            Reloaded::Refused(problems) => {
                self.vitals.figures.reloads_refused.inc();
                let current = self.sets.current();
                let held = current.commit.as_deref().unwrap_or(&current.hash);
                for problem in problems.iter().take(MOST) {
                    tracing::error!(code = problem.code, took, "policy set refused: {}", line(problem));
                }
                service::status("at work with the last good policy set: what was read since is refused");
                raised(&problems, held, at)
            }
        };
        self.desk.signals(vec![signal]).await;
    }
}

fn key() -> AlertKey {
    AlertKey { subject: Subject::System, kind: KIND.into(), instance: "".into() }
}

fn line(problem: &Diagnostic) -> String {
    let place = problem.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
    format!("{place}{} ({})", problem.message, problem.code)
}

fn cleared(at: chrono::DateTime<chrono::Utc>) -> Signal {
    Signal::Cleared { key: key(), at, reason: "what was read is valid".into() }
}

fn raised(problems: &[Diagnostic], held: &str, at: chrono::DateTime<chrono::Utc>) -> Signal {
    let first = problems.first().map(line).unwrap_or_default();
    let mut message: Vec<String> = problems.iter().take(MOST).map(line).collect();
    if problems.len() > MOST {
        message.push(format!("and {} more: rmm validate", problems.len() - MOST));
    }
    message.push(format!("The last good policy set, {held}, stays in force."));
    Signal::Raised(Finding {
        key: key(),
        severity: Severity::High,
        title: format!("The policy repository is refused: {first}"),
        message: message.join("\n"),
        source: "reconcile".into(),
        value: None,
        unit: None,
        at,
    })
}
