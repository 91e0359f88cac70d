//! One change: look again, write the intent, act, look again, record. The journal is the truth.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::blocking;
use super::executor::Executor;
use super::host::LiveHost;
use super::retry;
use super::revealed::{Revealed, revealed};
use crate::access::Secrets as _;
use crate::catalog::SettingDef;
use crate::collect::{Collector, Limits, Request};
use crate::diagnose::{Category, Diagnose as _};
use crate::model::facts::Status;
use crate::model::plan::State;
use crate::model::run::{ChangeState, RunChange};
use crate::model::{Device, Facts, Reboot, Section};
use crate::plan::{Needs, Question, Verdict, evidence, holds_secret, judge};
use crate::script::{ScriptError, SharedHost};
use crate::store::{Step, StoreError};
use crate::transport::{Session, TransportError};

/// What the device's other changes have to know.
pub(super) enum After {
    /// Go on.
    Fine,
    /// Go on, and count the device as failed.
    Failed,
    /// The device is away: nothing further can be done there now.
    DeviceLost(String),
}

/// Answers of one kind of probe, and when the oldest of them was given.
type Answers = (Map<String, Value>, DateTime<Utc>);

/// The work on one device.
pub(super) struct Work<'a> {
    executor: Arc<Executor>,
    device: &'a Device,
    session: Arc<dyn Session>,
    facts: Arc<Facts>,
    /// What this run has really seen, and when: not what was known before.
    observed: BTreeMap<Arc<str>, Section>,
    answers: BTreeMap<Arc<str>, Answers>,
    /// Labels of what was changed in this run, also before it was resumed, for `restart_on`.
    changed: Vec<String>,
}

/// Why a try did not reach its end.
enum Trouble {
    Script(ScriptError),
    Transport(TransportError),
    Unmet(String),
}

impl Trouble {
    fn category(&self) -> Category {
        match self {
            Self::Script(error) => error.category(),
            Self::Transport(error) => error.category(),
            Self::Unmet(_) => Category::Configuration,
        }
    }
    fn text(&self) -> String {
        match self {
            Self::Script(error) => error.to_string(),
            Self::Transport(error) => error.to_string(),
            Self::Unmet(text) => text.clone(),
        }
    }
    fn cancelled(&self) -> bool {
        match self {
            Self::Transport(error) => *error == TransportError::Cancelled,
            Self::Script(error) => error.code() == TransportError::Cancelled.code(),
            Self::Unmet(_) => false,
        }
    }
}

/// What goes on by itself for hours, such as encrypting a disk: as much as can be done now is done, and nobody waits for its end.
fn under_way(verdict: &Verdict) -> bool {
    verdict.state == State::Unknown && verdict.reason.as_deref().is_some_and(|why| why.starts_with("under way: "))
}

impl<'a> Work<'a> {
    pub(super) fn new(executor: Arc<Executor>, device: &'a Device, session: Arc<dyn Session>, facts: Facts, changed: Vec<String>) -> Self {
        Self { executor, device, session, facts: Arc::new(facts), observed: BTreeMap::new(), answers: BTreeMap::new(), changed }
    }

    /// What was observed on the way; newer than what the store has.
    pub(super) fn into_observed(self) -> BTreeMap<Arc<str>, Section> {
        let mut observed = self.observed;
        observed.extend(self.answers.into_iter().map(|(kind, (answers, at))| (kind, Section::new(Value::Object(answers), Status::Ok, at))));
        observed
    }

    /// Carries out one change to a final state, or to one that says what it waits for.
    pub(super) async fn carry_out(&mut self, mut change: RunChange) -> Result<After, StoreError> {
        let fail = |error: String| Step { error: Some(error), ..Step::default() };
        let Some(def) = self.executor.set.catalog.settings.get(&change.change.setting).cloned() else {
            self.executor.step(&change, ChangeState::Failed, fail("the setting is no longer in the catalog".into())).await?;
            return Ok(After::Failed);
        };
        let desired = match self.desired(&change, &def) {
            Ok(desired) => desired,
            Err(error) => {
                self.executor.step(&change, ChangeState::Failed, fail(error)).await?;
                return Ok(After::Failed);
            }
        };
        let mut tries = 0;
        loop {
            tries += 1;
            // It was begun before, and the process died or the device went away in between. Only looking tells how it ended.
            let recovering = change.attempts > 0;
            let trouble = match self.try_once(&mut change, &def, &desired, recovering).await? {
                Ok(after) => return Ok(after),
                Err(trouble) => trouble,
            };
            let text = self.redact(&trouble.text());
            if trouble.cancelled() {
                let next = match change.state {
                    ChangeState::Started => Some(ChangeState::Interrupted),
                    // Nothing is known that was not known before.
                    ChangeState::Interrupted => None,
                    _ => Some(ChangeState::Cancelled),
                };
                if let Some(next) = next {
                    self.executor.step(&change, next, fail("the run was stopped".into())).await?;
                }
                return Ok(After::Fine);
            }
            match trouble.category() {
                Category::Transient if tries < retry::TRIES => {
                    tokio::select! {
                        () = self.executor.abort.cancelled() => {}
                        () = tokio::time::sleep(retry::delay(tries + 1, rand::random())) => {}
                    }
                    let target = super::survey::target(&self.executor.set, self.device);
                    if let Ok(session) = self.executor.sessions.open(&target, &self.executor.abort).await {
                        self.session = session;
                    }
                }
                Category::Transient | Category::Device => {
                    self.executor.step(&change, ChangeState::Queued, fail(text.clone())).await?;
                    return Ok(After::DeviceLost(text));
                }
                Category::Configuration | Category::Fatal => return self.failed(&change, &def, &text).await,
            }
        }
    }

    /// One try. The outer error is the database's; the inner one says why the try did not reach its end.
    async fn try_once(
        &mut self,
        change: &mut RunChange,
        def: &Arc<SettingDef>,
        desired: &Revealed,
        recovering: bool,
    ) -> Result<Result<After, Trouble>, StoreError> {
        let executor = Arc::clone(&self.executor);
        let before = match self.look(change, def).await {
            Ok(verdict) => verdict,
            Err(error) => return Ok(Err(Trouble::Transport(error))),
        };
        let secret = holds_secret(&change.change.desired);
        let seen = evidence(before.observed.as_ref(), secret);
        let restart = change.change.restart;
        match before.state {
            State::Compliant if restart && (recovering || change.change.restart_on.iter().any(|label| self.changed.contains(label))) => {}
            State::Compliant if recovering => {
                executor.step(change, ChangeState::Done, Step { after: Some(seen), ..Step::default() }).await?;
                self.changed.push(change.change.label());
                return Ok(Ok(After::Fine));
            }
            State::Compliant => {
                let error = restart.then(|| "nothing that it depends on was changed".to_owned());
                executor.step(change, ChangeState::Skipped, Step { before: Some(seen), error, ..Step::default() }).await?;
                return Ok(Ok(After::Fine));
            }
            // Somebody has changed the service meanwhile, and nothing asks for a restart: starting it was not in the plan.
            State::Change | State::Report
                if restart && !recovering && !change.change.restart_on.iter().any(|label| self.changed.contains(label)) =>
            {
                let error = Some("the observed value is no longer the one in the plan".to_owned());
                executor.step(change, ChangeState::Stale, Step { before: Some(seen), error, ..Step::default() }).await?;
                return Ok(Ok(After::Fine));
            }
            State::Unknown if under_way(&before) => {
                let why = before.reason.map(|why| self.redact(&why));
                let (state, error) = if recovering { (ChangeState::Done, None) } else { (ChangeState::Skipped, why) };
                executor.step(change, state, Step { error, ..Step::default() }).await?;
                return Ok(Ok(After::Fine));
            }
            State::Unknown | State::Unsupported => {
                let why = before.reason.unwrap_or_else(|| "it could not be observed".into());
                return Ok(Err(Trouble::Unmet(format!("not changed, since its state is {}: {why}", before.state))));
            }
            State::Change | State::Report | State::Held | State::Conflict => {}
        }
        let first = change.before.is_none().then_some(seen);
        // With the secrets in it: the journal is without, and undoing puts back what was there.
        let was = first.clone().or_else(|| change.before.clone());
        *change = executor.step(change, ChangeState::Started, Step { before: first, ..Step::default() }).await?;
        change.before = was;
        if let Err(error) = self.act(change, def, desired, before.observed).await {
            return Ok(Err(Trouble::Script(error)));
        }
        if change.change.reboot == Reboot::Always {
            // The device goes away now; what it looks like afterwards the next collection tells.
            executor.step(change, ChangeState::Done, Step::default()).await?;
            return Ok(Ok(After::DeviceLost("it is restarting".into())));
        }
        let after = match self.look(change, def).await {
            Ok(verdict) => verdict,
            Err(error) => return Ok(Err(Trouble::Transport(error))),
        };
        let seen = evidence(after.observed.as_ref(), secret);
        if after.state == State::Compliant || under_way(&after) {
            executor.step(change, ChangeState::Done, Step { after: Some(seen), ..Step::default() }).await?;
            self.changed.push(change.change.label());
            return Ok(Ok(After::Fine));
        }
        let shown = after.reason.unwrap_or_else(|| if secret { "something else".into() } else { shorten(&seen) });
        Ok(Err(Trouble::Unmet(format!("expected {}, saw {shown}", change.change.to))))
    }

    /// Undoes what a failed change may have done, where its script can, and records the end.
    async fn failed(&mut self, change: &RunChange, def: &Arc<SettingDef>, error: &str) -> Result<After, StoreError> {
        let undo = change.state == ChangeState::Started && def.program.has("rollback") && !holds_secret(&change.change.desired);
        let mut step = Step { error: Some(error.to_owned()), ..Step::default() };
        let mut state = ChangeState::Failed;
        if undo && change.attempts > 1 && change.before.as_ref().is_some_and(super::hidden::is_hidden) {
            step.error = Some(format!("{error}; it is not undone: what was there before held a secret, which is not kept"));
        } else if undo {
            let before = change.before.clone().filter(|v| !v.is_null());
            let (program, key) = (def.program.clone(), change.change.key.clone());
            match self.script(Vec::new(), move |host| program.rollback(host, key.as_deref(), before.as_ref())).await {
                Ok(()) => {
                    let seen = self.look(change, def).await.ok().map(|v| evidence(v.observed.as_ref(), false));
                    let undone = seen.as_ref() == change.before.as_ref();
                    step.after = seen;
                    if undone {
                        state = ChangeState::RolledBack;
                    } else {
                        step.error = Some(format!("{error}; undoing it did not bring back what was there before"));
                    }
                }
                Err(other) => step.error = Some(format!("{error}; undoing it failed too: {}", self.redact(&other.to_string()))),
            }
        }
        self.executor.step(change, state, step).await?;
        Ok(After::Failed)
    }

    /// Looks at everything before anything is done, and leaves out what somebody else has changed since the plan: what
    /// was shown is no longer what would happen. Returns what is left, or everything where the device does not answer.
    ///
    /// Where this run has been at work on the device before, it may itself be why something looks different: then only what
    /// differs from what the run saw last is stale.
    pub(super) async fn leave_out_stale(
        &mut self,
        changes: Vec<RunChange>,
        begun: bool,
    ) -> Result<Result<Vec<RunChange>, (Vec<RunChange>, TransportError)>, StoreError> {
        let mut request = Request::default();
        for change in &changes {
            if let Some(def) = self.executor.set.catalog.settings.get(&change.change.setting) {
                request.merge(super::survey::to_request(&Needs::of(def, change.change.key.as_deref(), &change.change.desired)));
            }
        }
        let setting = |change: &RunChange| self.executor.set.catalog.settings.get(&change.change.setting).cloned();
        let last: Vec<Option<Value>> = changes
            .iter()
            .map(|change| {
                let verdict = self.judge(change, &setting(change)?);
                Some(evidence(verdict.observed.as_ref(), holds_secret(&change.change.desired)))
            })
            .collect();
        if let Err(error) = self.observe(&request).await {
            return Ok(Err((changes, error)));
        }
        let mut fresh = Vec::with_capacity(changes.len());
        for (change, last) in changes.into_iter().zip(last) {
            let verdict = self.executor.set.catalog.settings.get(&change.change.setting).map(|def| self.judge(&change, def));
            let open = verdict.filter(|v| v.state == State::Change && !change.change.restart && change.attempts == 0);
            let stale = open.and_then(|verdict| {
                let seen = evidence(verdict.observed.as_ref(), holds_secret(&change.change.desired));
                // The plan comes from what is kept, which is without secrets.
                let known = |value: &Value| super::hidden::alike(self.executor.secrets.redactor(), &seen, value);
                (!(known(&change.change.observed) || begun && last.as_ref().is_some_and(known))).then_some(seen)
            });
            if let Some(seen) = stale {
                let error = Some("the observed value is no longer the one in the plan".to_owned());
                self.executor.step(&change, ChangeState::Stale, Step { before: Some(seen), error, ..Step::default() }).await?;
            } else {
                fresh.push(change);
            }
        }
        Ok(Ok(fresh))
    }

    /// Observes what the change is about, and judges.
    async fn look(&mut self, change: &RunChange, def: &Arc<SettingDef>) -> Result<Verdict, TransportError> {
        self.observe(&super::survey::to_request(&Needs::of(def, change.change.key.as_deref(), &change.change.desired))).await?;
        Ok(self.judge(change, def))
    }

    async fn observe(&mut self, request: &Request) -> Result<(), TransportError> {
        let executor = Arc::clone(&self.executor);
        let connections = &executor.set.config.connections;
        let limits = Limits { timeout: connections.command_timeout.duration(), max_output: connections.max_output_bytes };
        let seen = Collector::collect(self.session.as_ref(), request, None, executor.clock.as_ref(), &executor.abort, limits).await?;
        let facts = Arc::make_mut(&mut self.facts);
        for (name, section) in seen.sections {
            let fresh = section.data.as_object().filter(|_| section.status == Status::Ok && is_probe(&name));
            let Some(fresh) = fresh else {
                self.observed.insert(Arc::clone(&name), section.clone());
                facts.sections.insert(name, section);
                continue;
            };
            let (answers, at) = self.answers.entry(Arc::clone(&name)).or_insert_with(|| (Map::new(), section.collected_at));
            answers.extend(fresh.clone());
            // The oldest of the answers says how old they are.
            *at = (*at).min(section.collected_at);
            // Answers join those that are known in place: a device may have thousands. The hash is that of before, and
            // nobody asks for it here.
            match facts.sections.get_mut(&name).filter(|old| old.status == Status::Ok && old.data.is_object()) {
                Some(old) => {
                    if let Value::Object(known) = Arc::make_mut(&mut old.data) {
                        known.extend(fresh.clone());
                    }
                }
                None => drop(facts.sections.insert(name, section)),
            }
        }
        Ok(())
    }

    /// Judges by what was observed.
    fn judge(&self, change: &RunChange, def: &Arc<SettingDef>) -> Verdict {
        let (executor, change) = (&self.executor, &change.change);
        let lookup = |name: &str| executor.secrets.resolve(name).ok();
        let platform = self.facts.platform().or(self.device.os);
        let question = Question { def, key: change.key.as_deref(), desired: &change.desired, platform };
        judge(&question, &self.facts, &lookup, chrono::DateTime::UNIX_EPOCH)
    }

    /// Runs the script that changes (or restarts), on a thread that may wait.
    async fn act(&self, change: &RunChange, def: &Arc<SettingDef>, desired: &Revealed, observed: Option<Value>) -> Result<(), ScriptError> {
        let (program, key, restart) = (def.program.clone(), change.change.key.clone(), change.change.restart);
        let (desired, secrets) = desired.clone();
        self.script(secrets, move |host| {
            if restart {
                program.restart(host, key.as_deref(), &desired)
            } else {
                program.apply(host, key.as_deref(), &desired, observed.as_ref())
            }
        })
        .await
    }

    async fn script(
        &self,
        secrets: Vec<SecretString>,
        work: impl FnOnce(&SharedHost) -> Result<(), ScriptError> + Send + 'static,
    ) -> Result<(), ScriptError> {
        let host = LiveHost::new(
            self.device.name.clone(),
            Arc::clone(&self.session),
            Arc::clone(&self.facts),
            self.executor.abort.clone(),
            self.executor.redactor.clone(),
        );
        let host: SharedHost = Arc::new(Mutex::new(host.with_secrets(secrets)));
        let done = blocking::script(move || work(&host)).await;
        done.unwrap_or_else(|| Err(ScriptError::Runtime { message: "the script broke off: this is a defect of rmm".into(), line: 0 }))
    }

    /// The desired value with its secrets, for acting. Key and value are checked once more: a secret may hold what the
    /// setting does not take, and a journal may have been written by an older version.
    fn desired(&self, change: &RunChange, def: &SettingDef) -> Result<Revealed, String> {
        let value =
            revealed(&self.executor.secrets, &change.change.desired).map_err(|name| format!("the secret '{name}' is not at hand"))?;
        if def.check(change.change.key.as_deref(), &value.0).is_empty() {
            Ok(value)
        } else {
            // The words of the check could quote the secret.
            Err("the value is not one that the setting takes".into())
        }
    }

    fn redact(&self, text: &str) -> String {
        self.executor.redactor.redact(text).into_owned()
    }
}

fn is_probe(section: &str) -> bool {
    crate::collect::Request::probe_kinds().any(|kind| kind == section)
}

fn shorten(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if text.chars().count() > 120 { text.chars().take(117).chain("...".chars()).collect() } else { text }
}
