//! What most commands begin with: the repository read, the database open, who asks.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::Global;
use super::exit::Exit;
use super::failure::Failure;
use crate::access::{Redactor, SecretStore};
use crate::diagnose::{Diagnostic, Level};
use crate::model::action::Role;
use crate::model::run::Actor;
use crate::repo::follow::Follower;
use crate::repo::{LoadOptions, PolicySet};
use crate::store::Store;
use crate::time::{Clock, SystemClock};

/// Folder of the database, keys and caches within a repository.
pub(super) const STATE_DIR: &str = ".rmm";

/// A command's surroundings.
pub(super) struct Context {
    /// Root of the repository.
    pub(super) root: PathBuf,
    /// The repository, read and valid.
    pub(super) set: Arc<PolicySet>,
    /// The clock.
    pub(super) clock: Arc<dyn Clock>,
    /// Where secrets come from.
    pub(super) secrets: Arc<SecretStore>,
    /// Takes known secrets out of texts.
    pub(super) redactor: Redactor,
    /// Who asks.
    pub(super) actor: Actor,
    /// `[repository]` as the files of this machine have it.
    pub(super) local: crate::model::config::Repository,
    db: PathBuf,
}

impl Context {
    /// Reads the repository. Problems that forbid going on end the command with all of them; warnings are shown.
    /// Where a branch is followed, its commit that is in force is the policy set.
    pub(super) fn open(global: &Global) -> Result<Self, Failure> {
        let mut context = Self::open_here(global)?;
        if let Some(follower) = context.follower()? {
            context.take_followed(global, &follower)?;
        }
        Ok(context)
    }

    /// The same for the daemon: also where nothing has been fetched yet.
    pub(super) fn open_for_daemon(global: &Global) -> Result<Self, Failure> {
        let mut context = Self::open_here(global)?;
        if let Some(follower) = context.follower()?
            && follower.good().is_some()
        {
            context.take_followed(global, &follower)?;
        }
        Ok(context)
    }

    /// The branch that is followed, where one is.
    pub(super) fn follower(&self) -> Result<Option<Follower>, Failure> {
        let state = super::reconcile::state_of(&self.db, &self.root);
        Ok(Follower::open(&self.local, &self.root, &state)?)
    }

    fn take_followed(&mut self, global: &Global, follower: &Follower) -> Result<(), Failure> {
        let Some(good) = follower.good() else {
            let problem = Diagnostic::error("RMM0666", format!("nothing of {} is in force here yet", follower.shown()));
            return Err(Failure::new(Exit::Error, problem.advice("fetch it: rmm reconcile --once")));
        };
        let loaded = follower.load(&good, &load_options(global, &self.root), &self.local)?;
        let sources = loaded.sources.clone();
        let set = crate::reconcile::judge(loaded);
        self.take(Arc::new(set.map_err(|problems| Failure { exit: Exit::InvalidConfiguration, problems, sources })?));
        Ok(())
    }

    /// Goes on with this policy set and the secrets of its commit.
    pub(super) fn take(&mut self, set: Arc<PolicySet>) {
        self.secrets = Arc::new(self.secrets.sealed_in(set.sealed.clone()));
        self.set = set;
    }

    fn open_here(global: &Global) -> Result<Self, Failure> {
        let root = root(global)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let loaded = crate::repo::load(&load_options(global, &root));
        let sources = loaded.sources;
        let (warnings, errors): (Vec<_>, Vec<_>) = loaded.problems.into_iter().partition(|p| p.level != Level::Error);
        let Some(set) = loaded.set.filter(|_| errors.is_empty()) else {
            return Err(Failure { exit: Exit::InvalidConfiguration, problems: errors, sources });
        };
        if !global.quiet && !warnings.is_empty() {
            super::say(format!("{}; `rmm validate` shows them", super::style::count(warnings.len(), "warning", "warnings")));
        }
        let redactor = Redactor::new();
        let _ = super::KNOWN.set(redactor.clone());
        let secrets = Arc::new(SecretStore::unlocked_by(&root, redactor.clone(), super::secrets::unlock()));
        let db = global.db.clone().unwrap_or_else(|| root.join(STATE_DIR).join("rmm.db"));
        let local = set.config.repository.clone();
        Ok(Self { root, set: Arc::new(set), clock, secrets, redactor, actor: actor(), local, db })
    }

    /// Opens the database, creating it where there is none yet.
    pub(super) fn store(&self) -> Result<Store, Failure> {
        let store = self.open_store(false)?;
        crate::apply::declare(&self.set, &store)?;
        Ok(store)
    }

    /// The same for the daemon, which says what it does to standard error too; nothing is declared before it is its turn.
    pub(super) fn daemon_store(&self, aloud: bool) -> Result<Store, Failure> {
        self.open_store(aloud)
    }

    fn open_store(&self, aloud: bool) -> Result<Store, Failure> {
        let store = Store::open(&self.db, Arc::clone(&self.clock))?;
        let state = self.db.parent().unwrap_or(&self.root);
        let json = self.set.config.daemon.log_format == crate::model::config::LogFormat::Json;
        let form = super::logs::Form { json, aloud };
        super::logs::begin(state, self.set.config.general.log_level, form, self.redactor.clone(), Arc::clone(&self.clock));
        Ok(store)
    }

    /// What observing, planning and carrying out need, with sessions of its own.
    pub(super) fn parts(&self, store: &Store) -> crate::apply::Parts {
        crate::apply::Parts {
            set: Arc::clone(&self.set),
            store: store.clone(),
            sessions: crate::apply::sessions(&self.set, &self.secrets),
            secrets: Arc::clone(&self.secrets),
            redactor: self.redactor.clone(),
            clock: Arc::clone(&self.clock),
            actor: self.actor.clone(),
        }
    }

    /// Records that somebody looked, where `security.audit_all_actions` asks for that.
    pub(super) fn audit_read(
        &self,
        store: &Store,
        action: &str,
        scope: &crate::plan::Scope,
        details: serde_json::Value,
    ) -> Result<(), Failure> {
        if self.set.config.security.audit_all_actions {
            let scope = scope.to_string();
            store.audit(&crate::store::AuditEvent {
                at: self.clock.now(),
                user: Some(self.actor.user.clone()),
                action: action.to_owned(),
                target: Some(if scope.is_empty() { "*".into() } else { scope }),
                details,
                ip: Some(self.actor.from.clone()),
                success: true,
            })?;
        }
        Ok(())
    }

    /// Refuses what the role of the account does not permit, and writes that down. `what` is an infinitive.
    pub(super) fn may(&self, store: &Store, needs: Role, what: &str, target: Option<&str>) -> Result<(), Failure> {
        let Err(denied) = crate::access::require(&self.set.config.security.roles, &self.actor.user, needs, what) else { return Ok(()) };
        store.audit(&crate::store::AuditEvent {
            at: self.clock.now(),
            user: Some(self.actor.user.clone()),
            action: "access.refused".into(),
            target: target.map(str::to_owned),
            details: serde_json::json!({ "what": what, "has": denied.has, "needs": needs }),
            ip: Some(self.actor.from.clone()),
            success: false,
        })?;
        Err(denied.into())
    }

    /// Path of the database.
    pub(super) fn db(&self) -> &Path {
        &self.db
    }
}

/// Root of the repository: as told, else the nearest parent that holds rmm.toml.
pub(super) fn root(global: &Global) -> Result<PathBuf, Failure> {
    let start = match &global.repo {
        Some(dir) => dir.clone(),
        None => std::env::current_dir().map_err(|error| {
            Failure::new(Exit::Error, Diagnostic::error("RMM0001", format!("the working directory cannot be read: {error}")))
        })?,
    };
    crate::repo::find_root(&start).map_err(|error| Failure { exit: Exit::InvalidConfiguration, ..error.into() })
}

/// How the repository is read.
pub(super) fn load_options(global: &Global, root: &Path) -> LoadOptions {
    LoadOptions {
        root: root.to_path_buf(),
        env: global.env.clone(),
        environment: std::env::vars().filter(|(name, _)| name.starts_with("RMM_")).collect(),
        now: SystemClock.now(),
    }
}

/// The account that runs the process, and the machine it runs on.
pub(super) fn actor() -> Actor {
    // By the number that the system knows, not by a variable that anybody can set. Root may say who became root.
    let before = std::env::var("SUDO_USER").ok().filter(|v| !v.is_empty() && rustix::process::getuid().is_root());
    let user = before.unwrap_or_else(account);
    Actor { user, from: format!("cli@{}", hostname()) }
}

/// Name of the account of this process.
fn account() -> String {
    let id = rustix::process::getuid().as_raw().to_string();
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = accounts.lines().find(|line| line.split(':').nth(2) == Some(id.as_str())).and_then(|line| line.split(':').next());
    name.map_or_else(|| format!("uid {id}"), str::to_owned)
}

/// This machine's name.
pub(super) fn hostname() -> String {
    let read = |path: &str| std::fs::read_to_string(path).ok().map(|s| s.trim().to_owned()).filter(|s| !s.is_empty());
    read("/proc/sys/kernel/hostname")
        .or_else(|| read("/etc/hostname"))
        .or_else(|| {
            std::process::Command::new("hostname").output().ok().and_then(|o| String::from_utf8(o.stdout).ok()).map(|s| s.trim().to_owned())
        })
        .filter(|s| !s.is_empty())
        .unwrap_or_else(|| "localhost".into())
}
