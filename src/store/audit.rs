//! The audit: who did what, when, to what, from where, and whether it worked. Appended to, never changed.

use chrono::{DateTime, Utc};
use rusqlite::{Transaction, params};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::chain::Link;
use super::{Failure, Store, StoreError, moment};

/// Most bytes of the details of one row; of larger ones the beginning and the hash are kept.
const MOST_DETAILS: usize = 100 * 1024;
/// Most bytes of any other text of a row.
const MOST_TEXT: usize = 1024;
/// Most rows of one list.
const MOST_ROWS: usize = 100_000;

/// Something that is to be remembered. Secrets are redacted before.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEvent {
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub user: Option<String>,
    /// What: `change.done`, `run.started`, `device.imported`.
    pub action: String,
    /// To what: a device, a run, a file.
    pub target: Option<String>,
    /// Parameters and result.
    pub details: Value,
    /// From where: an address or `cli@HOST`.
    pub ip: Option<String>,
    /// Whether it worked.
    pub success: bool,
}

/// A row of the audit.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRow {
    /// Number, without gaps from 1.
    pub id: i64,
    /// What is remembered.
    pub event: AuditEvent,
    /// Its place in the chain.
    pub hash: [u8; 32],
}

/// Which rows are asked for; all members must hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AuditFilter {
    /// From then on.
    pub from: Option<DateTime<Utc>>,
    /// Before then.
    pub until: Option<DateTime<Utc>>,
    /// By this user.
    pub user: Option<String>,
    /// This action, or all that begin with it and a dot: `change` for `change.done`.
    pub action: Option<String>,
    /// On this target.
    pub target: Option<String>,
    /// Numbers above this one, for reading on.
    pub after: Option<i64>,
    /// At most so many: the newest, or with `after` the next ones. 0 means as many as one list may have.
    pub limit: usize,
}

/// The first row since a moment. Left to itself, SQLite looks through all rows for it. Where a clock was set back, an earlier row may
/// follow: what is read from this one on is compared still.
pub(super) const FIRST_SINCE: &str = "SELECT min(LogId) FROM AuditLog INDEXED BY idx_audit_timestamp WHERE Timestamp >= ?1";

/// The statement of a list: `oldest` first or last, and whether a target is given, for which there is an index.
pub(super) fn listing(oldest: bool, target: bool) -> String {
    let order = if oldest { "ASC" } else { "DESC" };
    let on = if target { "Target = ?6" } else { "?6 IS NULL" };
    format!(
        "SELECT LogId, Timestamp, User, Action, Target, Details, IPAddress, Success, Hash FROM AuditLog
         WHERE LogId > ?1 AND (?2 IS NULL OR Timestamp >= ?2) AND (?3 IS NULL OR Timestamp < ?3)
           AND (?4 IS NULL OR User = ?4) AND (?5 IS NULL OR Action = ?5 OR substr(Action, 1, length(?5) + 1) = ?5 || '.')
           AND {on}
         ORDER BY LogId {order} LIMIT ?7"
    )
}

/// Appends a row within a transaction that holds the write lock: nobody else can take the same place in the chain.
pub(super) fn append(tx: &Transaction<'_>, event: &AuditEvent) -> Result<i64, Failure> {
    let (rows, previous): (i64, [u8; 32]) =
        tx.prepare_cached("SELECT Rows, Hash FROM AuditHead WHERE Id = 1")?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let at = moment::text(event.at);
    let details = (!event.details.is_null()).then(|| bounded(&event.details));
    let short = |text: &Option<String>| text.as_ref().map(|text| super::clip(text, MOST_TEXT).to_owned());
    let (user, target, ip) = (short(&event.user), short(&event.target), short(&event.ip));
    let link = Link {
        id: rows + 1,
        at: &at,
        user: user.as_deref(),
        action: super::clip(&event.action, MOST_TEXT),
        target: target.as_deref(),
        details: details.as_deref(),
        ip: ip.as_deref(),
        success: i64::from(event.success),
    };
    let hash = link.hash(&previous);
    tx.prepare_cached(
        "INSERT INTO AuditLog (LogId, Timestamp, User, Action, Target, Details, IPAddress, Success, PreviousHash, Hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![link.id, link.at, link.user, link.action, link.target, link.details, link.ip, link.success, previous, hash])?;
    Ok(link.id)
}

fn bounded(details: &Value) -> String {
    let text = details.to_string();
    if text.len() <= MOST_DETAILS {
        return text;
    }
    let digest: [u8; 32] = Sha256::digest(&text).into();
    json!({
        "truncated": true,
        "bytes": text.len(),
        "sha256": hex::encode(digest),
        // Quotes double at most when they become a string within a string.
        "beginning": super::clip(&text, MOST_DETAILS / 2 - 200),
    })
    .to_string()
}

impl Store {
    /// Appends a row and returns its number. It is on the disk when this returns.
    pub fn audit(&self, event: &AuditEvent) -> Result<i64, StoreError> {
        self.write(|tx| append(tx, event))
    }

    /// Appends rows in one transaction: all or none.
    pub fn audit_all(&self, events: &[AuditEvent]) -> Result<(), StoreError> {
        self.write(|tx| events.iter().try_for_each(|event| append(tx, event).map(drop)))
    }

    /// Rows by number, oldest first.
    pub fn audit_list(&self, filter: &AuditFilter) -> Result<Vec<AuditRow>, StoreError> {
        let limit = if filter.limit == 0 { MOST_ROWS } else { filter.limit.min(MOST_ROWS) };
        self.read(|connection| {
            let (from, until) = (filter.from.map(moment::text), filter.until.map(moment::text));
            let after = match (filter.after, &from) {
                (Some(after), _) => after,
                (None, None) => 0,
                (None, Some(from)) => {
                    let first: Option<i64> = connection.prepare_cached(FIRST_SINCE)?.query_row([from], |row| row.get(0))?;
                    let Some(first) = first else { return Ok(Vec::new()) };
                    first - 1
                }
            };
            let mut statement = connection.prepare_cached(&listing(filter.after.is_some(), filter.target.is_some()))?;
            let rows =
                statement.query_map(params![after, from, until, filter.user, filter.action, filter.target, limit as i64], |row| {
                    let details: Option<String> = row.get(5)?;
                    Ok(AuditRow {
                        id: row.get(0)?,
                        event: AuditEvent {
                            at: moment::from_text(row.get_ref(1)?.as_str()?).unwrap_or_default(),
                            user: row.get(2)?,
                            action: row.get(3)?,
                            target: row.get(4)?,
                            details: details.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default(),
                            ip: row.get(6)?,
                            success: row.get::<_, i64>(7)? != 0,
                        },
                        hash: row.get(8)?,
                    })
                })?;
            let mut rows = rows.collect::<Result<Vec<_>, rusqlite::Error>>()?;
            if filter.after.is_none() {
                rows.reverse();
            }
            Ok(rows)
        })
    }
}
