//! What carrying out needs besides the run itself: put together once, by a command or by the daemon for a policy set.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::survey::Survey;
use super::{ApplyOptions, Event, Executor, Task};
use crate::access::{Redactor, SecretStore};
use crate::collect::Visit;
use crate::model::plan::Plan;
use crate::model::run::Actor;
use crate::repo::PolicySet;
use crate::store::Store;
use crate::time::Clock;
use crate::transport::Sessions;

/// A policy set, the database, sessions, secrets, the clock, and who asks. Cheap to clone.
#[derive(Clone)]
pub struct Parts {
    /// The repository.
    pub set: Arc<PolicySet>,
    /// The database.
    pub store: Store,
    /// Sessions.
    pub sessions: Arc<Sessions>,
    /// Where secrets come from.
    pub secrets: Arc<SecretStore>,
    /// Takes known secrets out of errors.
    pub redactor: Redactor,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Who asks.
    pub actor: Actor,
}

impl Parts {
    /// How a run is carried out where nobody says otherwise.
    pub fn options(&self) -> ApplyOptions {
        ApplyOptions {
            concurrency: self.set.config.connections.max_concurrent,
            per_site: self.set.config.limits.max_per_site,
            max_failures: self.set.config.limits.max_failures,
            stages: Vec::new(),
        }
    }

    /// Goes on with another policy set and the secrets of its commit. Sessions stay open, unless it says otherwise how they are
    /// opened or brings other secrets.
    pub fn take(&mut self, set: Arc<PolicySet>) {
        let old = std::mem::replace(&mut self.set, set);
        let other_secrets = old.sealed != self.set.sealed;
        if other_secrets {
            self.secrets = Arc::new(self.secrets.sealed_in(self.set.sealed.clone()));
        }
        if other_secrets || old.config.connections != self.set.config.connections || old.config.security != self.set.config.security {
            self.sessions = super::renewed(&self.sessions, &self.set, &self.secrets);
        }
    }

    /// Observing and planning with the same sessions.
    pub fn survey(&self) -> Survey<'_> {
        Survey {
            set: &self.set,
            store: &self.store,
            secrets: &self.secrets,
            clock: &self.clock,
            sessions: Arc::clone(&self.sessions),
            visit: Visit::default(),
            sampler: Mutex::default(),
        }
    }

    /// A new run for what a plan changes, and its id. `recorded` is kept with it.
    pub fn begin(&self, plan: &Plan, recorded: Value) -> (String, Task) {
        let run = super::new_run(&self.set, &self.actor, self.clock.now(), rand::random(), recorded);
        let changes = super::from_plan(plan, &run.id);
        (run.id.clone(), Task::Begin(Box::new(run), changes))
    }

    /// What carries out a run. `stop` begins nothing further, `abort` ends what is in flight.
    pub fn executor(
        &self,
        run: &str,
        options: ApplyOptions,
        (stop, abort): (CancellationToken, CancellationToken),
        on: Box<dyn Fn(Event) + Send + Sync>,
    ) -> Arc<Executor> {
        self.executor_of(run, options, (stop, abort), on, false)
    }

    /// The same for a caller that may hold the leases of the devices already.
    pub(super) fn executor_of(
        &self,
        run: &str,
        options: ApplyOptions,
        (stop, abort): (CancellationToken, CancellationToken),
        on: Box<dyn Fn(Event) + Send + Sync>,
        leased: bool,
    ) -> Arc<Executor> {
        Arc::new(Executor {
            set: Arc::clone(&self.set),
            store: self.store.clone(),
            sessions: Arc::clone(&self.sessions),
            secrets: Arc::clone(&self.secrets),
            redactor: self.redactor.clone(),
            clock: Arc::clone(&self.clock),
            actor: self.actor.clone(),
            run: run.to_owned(),
            options,
            stop,
            abort,
            leased,
            crashed: AtomicBool::new(false),
            on,
        })
    }
}
