//! What the engine has to remember about an alert to go on after a restart. Kept with the alert as JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::records::Record;
use crate::model::Severity;

/// Most comings that are remembered; more than any limit of flapping.
pub(super) const MOST_COMINGS: usize = 50;

/// Where the engine stands with one alert.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Progress {
    /// It happened and has no end of its own.
    pub occurred: bool,
    /// It is measured as wrong now. Only while flapping an alert is open without being present.
    pub present: bool,
    /// When that changed.
    pub changed_at: Option<DateTime<Utc>>,
    /// When it came, as far as flapping has to know.
    pub comes: Vec<DateTime<Utc>>,
    /// It comes and goes too often.
    pub flapping: bool,
    /// From when on delays count.
    pub since: Option<DateTime<Utc>>,
    /// The worst that has been told.
    pub worst: Option<Severity>,
    /// Rules that have spoken, by name.
    pub rules: BTreeMap<String, RuleProgress>,
    /// Who has heard of it.
    pub told: Vec<Told>,
    /// The acknowledgement that has been told.
    pub acknowledged: Option<DateTime<Utc>>,
    /// Who hears of it in the summary at the end of the quiet hours, although it is over.
    pub held: Vec<Address>,
    /// When its remedy was asked for.
    pub remedies: Vec<DateTime<Utc>>,
    /// How often during this breach.
    pub attempts: u32,
    /// How often in vain, one time after another, over breaches.
    pub tries: Tries,
    /// That nothing more is tried has been told.
    pub given_up: bool,
    /// Why the remedy is not asked for again has been noted.
    pub remedy_over: bool,
    /// Deliveries that are of no use any more once somebody looks after it.
    pub urging: Vec<String>,
    /// Records of the device's log that the message names, in the order of time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<Record>,
    /// The message without them; absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Tries of a remedy, one after another, none of which has helped for long.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Tries {
    /// How many.
    pub count: u32,
    /// When the last one began.
    pub last: Option<DateTime<Utc>>,
    /// By which definition of the threshold; empty where nothing is known.
    pub of: String,
}

/// A rule that has spoken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RuleProgress {
    /// When it last said so, the first time included.
    pub last: DateTime<Utc>,
    /// The tier of its escalation that is next.
    pub tier: usize,
    /// From when on that tier waits.
    pub tier_from: DateTime<Utc>,
}

/// A channel, and whom within it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Address {
    pub channel: Arc<str>,
    pub recipient: Option<String>,
}

/// Somebody who has heard of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Told {
    #[serde(flatten)]
    pub to: Address,
    /// Because of what.
    pub because: String,
    /// Has not heard yet that it is over.
    pub open: bool,
    /// Messages so far.
    pub messages: u32,
}

impl Progress {
    pub(super) fn told_mut(&mut self, to: &Address) -> &mut Told {
        let at = self.told.iter().position(|told| told.to == *to);
        let at = at.unwrap_or_else(|| {
            self.told.push(Told { to: to.clone(), because: String::new(), open: false, messages: 0 });
            self.told.len() - 1
        });
        &mut self.told[at]
    }

    /// Those who have heard of it and not yet that it is over.
    pub(super) fn listeners(&self) -> Vec<(Address, String)> {
        self.told.iter().filter(|told| told.open).map(|told| (told.to.clone(), told.because.clone())).collect()
    }

    /// It came at this moment.
    pub(super) fn came(&mut self, at: DateTime<Utc>) {
        self.present = true;
        self.changed_at = Some(at);
        self.comes.push(at);
        if self.comes.len() > MOST_COMINGS {
            self.comes.remove(0);
        }
    }

    /// It went at this moment.
    pub(super) fn went(&mut self, at: DateTime<Utc>) {
        self.present = false;
        self.changed_at = Some(at);
    }
}
