//! The policy set in force. A new one is read beside it and takes its place whole; what is not valid changes nothing but
//! what is said of it. Runs keep the set with which they began.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, Utc};
use tokio::sync::watch;

use crate::diagnose::{Diagnose, Diagnostic, Level};
use crate::model::config;
use crate::repo::follow::{FollowError, Follower};
use crate::repo::{LoadOptions, PolicySet};
use crate::time::Clock;

/// Where policy sets come from.
pub enum Source {
    /// A folder of this machine.
    Folder,
    /// A branch, fetched into a repository of the daemon's own. The settings are those of this machine.
    Branch(Box<Follower>, config::Repository),
}

/// What came of reading again.
#[derive(Debug, Clone)]
pub enum Reloaded {
    /// Nothing has changed.
    Same,
    /// Another set is in force.
    New(Arc<PolicySet>),
    /// What was read is refused; the last good set stays in force.
    Refused(Vec<Diagnostic>),
}

/// How the last reading went.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// When.
    pub at: Option<DateTime<Utc>>,
    /// How long it took.
    pub took: Duration,
    /// Why it was refused; empty where it was not.
    pub problems: Vec<Diagnostic>,
    /// How many readings there were.
    pub count: u64,
    /// How many of them were refused.
    pub refused: u64,
}

/// The set in force, and how it is read again.
pub struct Sets {
    source: Source,
    root: PathBuf,
    env: Option<String>,
    environment: Vec<(String, String)>,
    clock: Arc<dyn Clock>,
    current: watch::Sender<Arc<PolicySet>>,
    reading: Mutex<Reading>,
    local: Mutex<Local>,
}

/// `[repository]` as the files of this machine had it when they were last read, and how they looked then.
#[derive(Debug, Default)]
struct Local(Vec<Option<(u64, SystemTime)>>, config::Repository);

impl Sets {
    /// With the set that is in force at the start. `options` say how it was read.
    pub fn new(source: Source, options: LoadOptions, first: Arc<PolicySet>, clock: Arc<dyn Clock>) -> Self {
        let LoadOptions { root, env, environment, .. } = options;
        let local = match &source {
            Source::Folder => config::Repository::default(),
            Source::Branch(_, settings) => settings.clone(),
        };
        let sets = Self {
            source,
            root,
            env,
            environment,
            clock,
            current: watch::Sender::new(first),
            reading: Mutex::default(),
            local: Mutex::default(),
        };
        *sets.local.lock().unwrap_or_else(PoisonError::into_inner) = Local(sets.stamps(), local);
        sets
    }

    /// The set in force.
    pub fn current(&self) -> Arc<PolicySet> {
        Arc::clone(&self.current.borrow())
    }

    /// Tells of every change.
    pub fn subscribe(&self) -> watch::Receiver<Arc<PolicySet>> {
        self.current.subscribe()
    }

    /// Whether a branch is followed.
    pub fn follows(&self) -> bool {
        matches!(self.source, Source::Branch(..))
    }

    /// `[repository]` as the files of this machine have it by now; as before where they cannot be read. Blocking.
    pub fn local(&self) -> config::Repository {
        if !self.follows() {
            return self.current().config.repository.clone();
        }
        let stamps = self.stamps();
        let mut local = self.local.lock().unwrap_or_else(PoisonError::into_inner);
        if local.0 != stamps {
            local.0 = stamps;
            if let Ok(set) = judge(crate::repo::load(&self.options())) {
                local.1 = set.config.repository;
            }
        }
        local.1.clone()
    }

    /// How the files of this machine look in which `[repository]` may stand.
    fn stamps(&self) -> Vec<Option<(u64, SystemTime)>> {
        let overlay = self.env.iter().map(|env| format!("rmm.{env}.toml"));
        let look = |name: String| {
            let data = std::fs::metadata(self.root.join(name)).ok()?;
            Some((data.len(), data.modified().ok()?))
        };
        std::iter::once("rmm.toml".to_owned()).chain(overlay).map(look).collect()
    }

    /// How the last reading went.
    pub fn reading(&self) -> Reading {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn options(&self) -> LoadOptions {
        LoadOptions { root: self.root.clone(), env: self.env.clone(), environment: self.environment.clone(), now: self.clock.now() }
    }

    /// Reads again. Blocking: disk, and with a branch the network. One at a time.
    pub fn reload(&self, cancelled: &dyn Fn() -> bool, accepted: Option<&str>) -> Reloaded {
        let begun = Instant::now();
        let read = match &self.source {
            Source::Folder => judge(crate::repo::load(&self.options())),
            Source::Branch(follower, settings) => self.follow(follower, settings, cancelled, accepted),
        };
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        reading.at = Some(self.clock.now());
        reading.took = begun.elapsed();
        reading.count += 1;
        match read {
            Ok(set) => {
                reading.problems.clear();
                self.take(set)
            }
            Err(problems) => {
                reading.refused += 1;
                reading.problems.clone_from(&problems);
                Reloaded::Refused(problems)
            }
        }
    }

    /// Takes what came into force while this daemon waited for another one: of a folder what it holds, of a branch what the other
    /// one has accepted. Without the network; what cannot be taken leaves everything as it is. Blocking.
    pub fn catch_up(&self) {
        let read = match &self.source {
            Source::Folder => judge(crate::repo::load(&self.options())).ok(),
            Source::Branch(follower, settings) => {
                let overlay = crate::repo::memberships::hash(&self.root);
                let same = self.current().overlay == overlay;
                let known = |good: &String| same && self.current().commit.as_deref().is_some_and(|short| good.starts_with(short));
                let good = follower.good().filter(|good| !known(good));
                good.and_then(|good| judge(follower.load(&good, &self.options(), settings).ok()?).ok())
            }
        };
        if let Some(set) = read {
            self.take(set);
        }
    }

    fn take(&self, set: PolicySet) -> Reloaded {
        let set = Arc::new(set);
        let mut new = false;
        self.current.send_if_modified(|current| {
            // Another secret is another state to converge to, whatever the policies say.
            new = current.hash != set.hash || current.sealed != set.sealed;
            // The same content under another commit is no change, but it is called so from now on.
            let renamed = !new && current.commit != set.commit;
            if new || renamed {
                *current = Arc::clone(&set);
            }
            new
        });
        if new { Reloaded::New(set) } else { Reloaded::Same }
    }

    fn follow(
        &self,
        follower: &Follower,
        settings: &config::Repository,
        cancelled: &dyn Fn() -> bool,
        accepted: Option<&str>,
    ) -> Result<PolicySet, Vec<Diagnostic>> {
        let one = |error: FollowError| vec![error.diagnostic()];
        let head = follower.fetch(cancelled).map_err(one)?;
        follower.check(&head, accepted).map_err(one)?;
        let current = self.current();
        let overlay = crate::repo::memberships::hash(&self.root);
        if follower.good().as_deref() == Some(&head)
            && current.commit.as_deref().is_some_and(|short| head.starts_with(short))
            && current.overlay == overlay
        {
            return Ok((*current).clone());
        }
        let set = judge(follower.load(&head, &self.options(), settings).map_err(one)?)?;
        follower.accept(&head).map_err(one)?;
        Ok(set)
    }
}

/// The set, or the errors that stand against it.
pub fn judge(loaded: crate::repo::Loaded) -> Result<PolicySet, Vec<Diagnostic>> {
    let errors: Vec<Diagnostic> = loaded.problems.into_iter().filter(|problem| problem.level == Level::Error).collect();
    match loaded.set {
        Some(set) if errors.is_empty() => Ok(set),
        _ => Err(errors),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SystemClock;

    #[test]
    fn who_has_waited_takes_what_is_in_force_by_now_unless_it_is_not_valid() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("rmm.toml", "[general]\norganization = \"Example\"\n");
        write("devices.yaml", "devices: {a: {os: linux}}\n");
        let options = LoadOptions { root: folder.path().into(), env: None, environment: Vec::new(), now: SystemClock.now() };
        let first = Arc::new(judge(crate::repo::load(&options)).unwrap());
        let sets = Sets::new(Source::Folder, options, first, Arc::new(SystemClock));
        write("devices.yaml", "devices: {a: {os: linux}, b: {os: linux}}\n");
        sets.catch_up();
        assert_eq!(sets.current().devices.len(), 2);
        write("devices.yaml", "devices: [\n");
        sets.catch_up();
        assert_eq!(sets.current().devices.len(), 2);
    }
}
