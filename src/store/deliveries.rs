//! Deliveries: the queue of what is to be sent. A row is claimed before it leaves and finished when its channel has answered.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use super::audit::{self, AuditEvent};
use super::{Failure, Owner, Store, StoreError, column, moment};
use crate::model::{Delivery, DeliveryState};

/// Most bytes of a message.
const MOST_MESSAGE: usize = 4 * 1024 * 1024;
/// Most bytes of an error or a receipt.
const MOST_TEXT: usize = 4000;
/// Most rows of one list.
const MOST_ROWS: usize = 100_000;
/// No channel takes longer: whoever claimed a delivery before that has lost it, whether it lives or not.
const ABANDONED: TimeDelta = TimeDelta::minutes(10);

pub(super) const DELIVERY: &str = "SELECT Id, Channel, Recipient, Alert, Message, State, Attempts, DueAt, CreatedAt, SentAt, Error, Receipt
    FROM Deliveries";

/// What came of a try.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryResult {
    /// Where it stands now: `Sent`, `Pending` (to be tried again) or `Dead`.
    pub state: DeliveryState,
    /// Why it failed.
    pub error: Option<String>,
    /// What the channel answered; one known already stays where absent.
    pub receipt: Option<String>,
    /// When it is tried again; as before where absent.
    pub due_at: Option<DateTime<Utc>>,
    /// When the channel took it.
    pub sent_at: Option<DateTime<Utc>>,
    /// For those whom it did not reach while others got it: a delivery for each, which waits (`Pending`) or is `Dead`.
    pub rest: Vec<Delivery>,
}

/// Which deliveries are asked for; all members must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// In one of these states; in any where empty.
    pub states: Vec<DeliveryState>,
    /// To this channel.
    pub channel: Option<String>,
    /// About this alert.
    pub alert: Option<String>,
    /// At most so many. 0 means as many as one list may have.
    pub limit: usize,
}

/// Adds a delivery within a transaction, unless there is one of that id. Whether it was added.
pub(super) fn insert(tx: &Transaction<'_>, delivery: &Delivery) -> Result<bool, Failure> {
    if delivery.state != DeliveryState::Pending {
        let (name, to) = (delivery.id.clone(), delivery.state.as_str());
        return Err(StoreError::Step { what: "delivery", name, from: "new", to }.into());
    }
    let message = column::to_json(&delivery.message);
    if message.len() > MOST_MESSAGE {
        let what = format!("delivery {}", delivery.id);
        return Err(StoreError::TooLarge { what, size: format!("{} bytes", message.len()), most: MOST_MESSAGE as u64 }.into());
    }
    let added = tx
        .prepare_cached(
            "INSERT INTO Deliveries (Id, Channel, Recipient, Alert, Message, State, Attempts, DueAt, CreatedAt)
         VALUES (?1, ?2, ?3, ?4, ?5, 'Pending', ?6, ?7, ?8) ON CONFLICT (Id) DO NOTHING",
        )?
        .execute(params![
            delivery.id,
            delivery.channel,
            delivery.recipient,
            delivery.alert,
            message,
            delivery.attempts,
            moment::text(delivery.due_at),
            moment::text(delivery.created_at)
        ])?;
    Ok(added == 1)
}

/// Adds what is left of a delivery for one of its recipients, waiting or given up.
fn insert_rest(tx: &Transaction<'_>, rest: &Delivery) -> Result<(), Failure> {
    let waiting = Delivery { state: DeliveryState::Pending, ..rest.clone() };
    if insert(tx, &waiting)? {
        if rest.state != DeliveryState::Pending {
            step(tx, &rest.id, rest.state)?;
        }
        let error = rest.error.as_deref().map(|text| super::clip(text, MOST_TEXT).to_owned());
        tx.prepare_cached("UPDATE Deliveries SET State = ?2, Error = ?3 WHERE Id = ?1")?.execute(params![
            rest.id,
            rest.state.as_str(),
            error
        ])?;
    }
    Ok(())
}

impl Store {
    /// Marks a delivery as on its way and counts the try. False where it no longer waits: somebody else has it, or it is no
    /// longer wanted.
    pub fn claim_delivery(&self, id: &str, now: DateTime<Utc>) -> Result<bool, StoreError> {
        Ok(!self.claim_deliveries(&[id], now)?.is_empty())
    }

    /// The same for many in one transaction. Returns those that it got.
    pub fn claim_deliveries<'a>(&self, ids: &[&'a str], now: DateTime<Utc>) -> Result<Vec<&'a str>, StoreError> {
        let (claimer, steady) = (self.inner.owner.as_str(), self.steady());
        self.write(|tx| {
            let mut statement = tx.prepare_cached(
                "UPDATE Deliveries SET State = 'Sending', Attempts = Attempts + 1, Claimer = ?2, ClaimedAt = ?3, ClaimedSteady = ?4
                 WHERE Id = ?1 AND State = 'Pending'",
            )?;
            let mut got = Vec::with_capacity(ids.len());
            for id in ids {
                if statement.execute(params![id, claimer, moment::text(now), steady])? == 1 {
                    got.push(*id);
                }
            }
            Ok(got)
        })
    }

    /// Records what came of a try. What was taken by its channel is noted with its alert too.
    pub fn finish_delivery(&self, id: &str, result: &DeliveryResult) -> Result<(), StoreError> {
        self.finish_deliveries(&[(id, result.clone())])
    }

    /// The same for many in one transaction.
    pub fn finish_deliveries(&self, results: &[(&str, DeliveryResult)]) -> Result<(), StoreError> {
        self.write(|tx| {
            for (id, result) in results {
                finish(tx, id, result)?;
            }
            Ok(())
        })
    }

    /// Has a dead delivery tried again from `due` on, with all its tries before it.
    pub fn retry_delivery(&self, id: &str, due: DateTime<Utc>, event: AuditEvent) -> Result<(), StoreError> {
        self.write(|tx| {
            step(tx, id, DeliveryState::Pending)?;
            tx.prepare_cached("UPDATE Deliveries SET State = 'Pending', Attempts = 0, DueAt = ?2 WHERE Id = ?1")?
                .execute(params![id, moment::text(due)])?;
            audit::append(tx, &event)?;
            Ok(())
        })
    }

    /// Deliveries that were on their way when their process died, or longer than any channel takes. Of those in `taken` it is known
    /// that they arrived, and what came of them: that is recorded. Of the others nobody knows: they wait again, and are returned.
    /// How long that is, is told by the clock that nobody sets, where there is one.
    pub fn uncertain_deliveries(&self, taken: &BTreeMap<String, DeliveryResult>) -> Result<Vec<Delivery>, StoreError> {
        let (now, steady) = (self.now(), self.steady());
        let known = moment::text(now - ABANDONED)..=moment::text(now + ABANDONED);
        self.write(|tx| {
            let mut statement =
                tx.prepare_cached("SELECT Id, Claimer, ClaimedAt, ClaimedSteady FROM Deliveries WHERE State = 'Sending' ORDER BY Id")?;
            let rows = statement.query_map([], |row| {
                let claimer = row.get::<_, Option<String>>(1)?.map(Owner::named);
                let (at, since): (Option<String>, Option<i64>) = (row.get(2)?, row.get(3)?);
                let here = claimer.as_ref().is_some_and(Owner::is_here);
                let long = match steady.zip(since).filter(|_| here) {
                    Some((now, since)) => now - since >= ABANDONED.num_milliseconds(),
                    None => at.is_none_or(|at| !known.contains(&at)),
                };
                Ok((row.get::<_, String>(0)?, long || claimer.is_none_or(|claimer| claimer.is_gone())))
            })?;
            let mut lost = Vec::new();
            for row in rows {
                let (id, abandoned) = row?;
                if abandoned && let Some(result) = taken.get(&id) {
                    finish(tx, &id, result)?;
                } else if abandoned {
                    tx.prepare_cached(
                        "UPDATE Deliveries SET State = 'Pending', Claimer = NULL, ClaimedAt = NULL, ClaimedSteady = NULL WHERE Id = ?1",
                    )?
                    .execute([&id])?;
                    lost.push(tx.prepare_cached(&format!("{DELIVERY} WHERE Id = ?1"))?.query_row([&id], read)?);
                }
            }
            Ok(lost)
        })
    }

    /// A delivery by its id.
    pub fn delivery(&self, id: &str) -> Result<Option<Delivery>, StoreError> {
        self.read(|c| Ok(c.prepare_cached(&format!("{DELIVERY} WHERE Id = ?1"))?.query_row([id], read).optional()?))
    }

    /// Deliveries, newest first.
    pub fn deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<Delivery>, StoreError> {
        let limit = if filter.limit == 0 { MOST_ROWS } else { filter.limit.min(MOST_ROWS) };
        let states = column::to_json(&filter.states.iter().map(|state| state.as_str()).collect::<Vec<_>>());
        let alert = if filter.alert.is_some() { "Alert = ?3" } else { "?3 IS NULL" };
        self.read(|c| {
            let mut statement = c.prepare_cached(&format!(
                "{DELIVERY} WHERE (?1 = '[]' OR State IN (SELECT value FROM json_each(?1))) AND (?2 IS NULL OR Channel = ?2) AND {alert}
                 ORDER BY CreatedAt DESC, Id DESC LIMIT ?4"
            ))?;
            let rows = statement.query_map(params![states, filter.channel, filter.alert, limit as i64], read)?;
            Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
        })
    }

    /// What a channel answered to the first message about an alert: the thread that later ones belong to.
    pub fn receipts(&self, alert: &str, channel: &str) -> Result<Option<String>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare_cached(
                "SELECT Receipt FROM Deliveries WHERE Alert = ?1 AND Channel = ?2 AND State = 'Sent' AND Receipt IS NOT NULL
                 ORDER BY SentAt, CreatedAt, Id LIMIT 1",
            )?;
            Ok(statement.query_row([alert, channel], |row| row.get(0)).optional()?)
        })
    }
}

/// What came of a delivery that was claimed.
fn finish(tx: &Transaction<'_>, id: &str, result: &DeliveryResult) -> Result<(), Failure> {
    step(tx, id, result.state)?;
    for rest in &result.rest {
        insert_rest(tx, rest)?;
    }
    let short = |text: &Option<String>| text.as_deref().map(|text| super::clip(text, MOST_TEXT).to_owned());
    tx.prepare_cached(
        "UPDATE Deliveries SET State = ?2, Error = ?3, Receipt = coalesce(?4, Receipt), DueAt = coalesce(?5, DueAt),
             SentAt = coalesce(?6, SentAt), Claimer = NULL, ClaimedAt = NULL, ClaimedSteady = NULL WHERE Id = ?1",
    )?
    .execute(params![
        id,
        result.state.as_str(),
        short(&result.error),
        short(&result.receipt),
        result.due_at.map(moment::text),
        result.sent_at.map(moment::text)
    ])?;
    if result.state == DeliveryState::Sent {
        tx.prepare_cached(
            "UPDATE Alerts SET NotificationsSent = json_insert(NotificationsSent, '$[#]', d.Channel)
             FROM Deliveries d WHERE d.Id = ?1 AND AlertId = d.Alert
               AND d.Channel NOT IN (SELECT value FROM json_each(NotificationsSent))",
        )?
        .execute([id])?;
    }
    Ok(())
}

/// Refuses a step that the model does not allow.
fn step(tx: &Transaction<'_>, id: &str, next: DeliveryState) -> Result<(), Failure> {
    let state = tx
        .prepare_cached("SELECT State FROM Deliveries WHERE Id = ?1")?
        .query_row([id], |row| column::word(row, 0, DeliveryState::parse))
        .optional()?
        .ok_or_else(|| StoreError::Missing { what: "delivery", name: id.to_owned() })?;
    if state.may_become(next) {
        return Ok(());
    }
    Err(StoreError::Step { what: "delivery", name: id.to_owned(), from: state.as_str(), to: next.as_str() }.into())
}

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    Ok(Delivery {
        id: row.get(0)?,
        channel: row.get(1)?,
        recipient: row.get(2)?,
        alert: row.get(3)?,
        message: column::json(row, 4)?,
        state: column::word(row, 5, DeliveryState::parse)?,
        attempts: row.get(6)?,
        due_at: column::time(row, 7)?,
        created_at: column::time(row, 8)?,
        sent_at: column::time_or_null(row, 9)?,
        error: row.get(10)?,
        receipt: row.get(11)?,
    })
}
