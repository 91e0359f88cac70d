//! One channel as the worker sees it: what sends, what is on its way, and its figures.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::channel::{Channel, Surroundings};
use super::rate::Minute;
use super::{Opener, SendError};
use crate::model::channel::Options;
use crate::model::config::Channel as Declared;
use crate::model::notification::ChannelType;
use crate::model::{Delivery, Severity};

/// Messages on their way to one channel at once. More would not be faster for people, and would turn order around.
const AT_ONCE: usize = 2;

/// How many waiting messages are looked at to find as many as are free: what stands before them may be about the alerts
/// that are on their way.
pub(super) const LOOK_AT: usize = AT_ONCE * 16;

/// Most times that wait to be asked for; of more the first ones count.
const MOST_LATENCIES: usize = 10_000;

/// Figures of a channel.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelCounts {
    /// Its name in `rmm.toml`.
    pub channel: Arc<str>,
    /// What it is; absent where it is no longer declared.
    pub kind: Option<ChannelType>,
    /// On its way now.
    pub in_flight: usize,
    /// Taken by the channel since the start.
    pub sent: u64,
    /// Tries that failed.
    pub failed: u64,
    /// Given up.
    pub dead: u64,
    /// Merged into summaries.
    pub merged: u64,
    /// When it last took one.
    pub last_sent_at: Option<DateTime<Utc>>,
    /// Why the last try failed; absent after one that did not.
    pub last_error: Option<String>,
}

/// One channel.
pub(super) struct Lane {
    declared: Option<Declared>,
    options: Result<Arc<Options>, SendError>,
    sender: Option<Arc<dyn Channel>>,
    open: Opener,
    pub(super) minute: Minute,
    /// What is on its way, by alert and recipient, so that nothing overtakes what is said about the same alert.
    busy: BTreeMap<String, Turn>,
    /// Whether an alert about this channel may be open.
    pub(super) alarmed: bool,
    pub(super) counts: ChannelCounts,
    /// Seconds that each message took that has been sent since somebody asked.
    pub(super) latencies: Vec<f64>,
}

/// Whose turn it is.
type Turn = (Option<String>, Option<String>);

fn turn(delivery: &Delivery) -> Turn {
    (delivery.alert.clone(), delivery.recipient.clone())
}

impl Lane {
    pub(super) fn new(name: Arc<str>, open: Opener) -> Self {
        let counts = ChannelCounts {
            channel: Arc::clone(&name),
            kind: None,
            in_flight: 0,
            sent: 0,
            failed: 0,
            dead: 0,
            merged: 0,
            last_sent_at: None,
            last_error: None,
        };
        Self {
            declared: None,
            options: Err(SendError::NoChannel(name.to_string())),
            sender: None,
            open,
            minute: Minute::default(),
            busy: BTreeMap::new(),
            // An alert of the time before the start may be open.
            alarmed: true,
            counts,
            latencies: Vec::new(),
        }
    }

    /// Takes over what `rmm.toml` says. What is on its way is not touched.
    pub(super) fn declare(&mut self, declared: Option<&Declared>, house: &Surroundings, anew: bool) {
        if !anew && self.declared.as_ref() == declared && (declared.is_none() || self.sender.is_some()) {
            return;
        }
        self.declared = declared.cloned();
        self.counts.kind = declared.and_then(|declared| declared.kind);
        self.sender = None;
        self.options = match declared.and_then(Options::of) {
            Some(Ok(options)) => Ok(Arc::new(options)),
            Some(Err(why)) => Err(SendError::Incomplete(why)),
            None => Err(SendError::NoChannel(self.counts.channel.to_string())),
        };
        // A failure is said when something is to be sent, and looked at again then.
        let _ = self.sender(house);
    }

    /// What sends. Opened again where it could not be: a file may be there by now.
    pub(super) fn sender(&mut self, house: &Surroundings) -> Result<Arc<dyn Channel>, SendError> {
        if let Some(sender) = &self.sender {
            return Ok(Arc::clone(sender));
        }
        let options = Options::clone(self.options.as_deref().map_err(Clone::clone)?);
        let sender: Arc<dyn Channel> = (self.open)(options, house)?.into();
        self.sender = Some(Arc::clone(&sender));
        Ok(sender)
    }

    /// A message has been taken, so long after it was decided on.
    pub(super) fn took(&mut self, time: TimeDelta) {
        if self.latencies.len() < MOST_LATENCIES {
            self.latencies.push(time.max(TimeDelta::zero()).as_seconds_f64());
        }
    }

    pub(super) fn options(&self) -> Option<&Options> {
        self.options.as_deref().ok()
    }

    /// How many more may be on their way.
    pub(super) fn free(&self) -> usize {
        AT_ONCE.saturating_sub(self.busy.len())
    }

    /// Whether it would overtake what is on its way.
    pub(super) fn must_wait(&self, delivery: &Delivery) -> bool {
        self.busy.contains_key(&delivery.id) || (delivery.alert.is_some() && self.busy.values().any(|busy| *busy == turn(delivery)))
    }

    /// Whether the channel does not want it: it is less severe than what it takes.
    pub(super) fn is_below(&self, delivery: &Delivery) -> Option<Severity> {
        let least = self.options()?.min_severity();
        let worst = delivery.message.alerts.iter().map(|alert| alert.severity).max()?;
        (worst < least).then_some(least)
    }

    pub(super) fn begin(&mut self, delivery: &Delivery, now: DateTime<Utc>) {
        self.busy.insert(delivery.id.clone(), turn(delivery));
        self.counts.in_flight = self.busy.len();
        self.minute.count(now);
    }

    pub(super) fn end(&mut self, id: &str) {
        self.busy.remove(id);
        self.counts.in_flight = self.busy.len();
    }
}

/// The lanes of all channels.
pub(super) struct Lanes {
    pub(super) by_name: BTreeMap<Arc<str>, Lane>,
    base_url: Option<Value>,
    open: Opener,
}

impl Lanes {
    /// None yet; channels are opened like this.
    pub(super) fn new(open: Opener) -> Self {
        Self { by_name: BTreeMap::new(), base_url: None, open }
    }

    /// Takes over what `rmm.toml` says.
    pub(super) fn configure(&mut self, channels: &BTreeMap<String, Declared>, house: &Surroundings) {
        let base_url = Some(Value::from(house.base_url.clone()));
        let anew = self.base_url != base_url;
        self.base_url = base_url;
        let names: BTreeSet<Arc<str>> = self.by_name.keys().cloned().chain(channels.keys().map(|name| Arc::from(name.as_str()))).collect();
        for name in names {
            self.of(&name).declare(channels.get(&*name), house, anew);
        }
    }

    /// The lane of a channel, declared or not.
    pub(super) fn of(&mut self, name: &Arc<str>) -> &mut Lane {
        self.by_name.entry(Arc::clone(name)).or_insert_with(|| Lane::new(Arc::clone(name), Arc::clone(&self.open)))
    }
}
