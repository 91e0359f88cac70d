//! The chain of hashes through the audit: each row's hash covers the hash of the row before and all of its own text.
//!
//! What it shows: a row altered, removed, added or moved; the end cut off, unless [`Head`] was rewritten with it. What it
//! cannot show by itself: that somebody with write access to the file has computed a whole new chain, or has put an
//! older copy in its place. Against that, note the head elsewhere and hand it to [`Store::audit_verify`].

use rusqlite::{OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::{Failure, Store, StoreError};

/// The end of the chain: how many rows, and the hash of the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Number of rows, which is the number of the last.
    pub rows: i64,
    /// Its hash; zeros where there is none.
    pub hash: [u8; 32],
}

impl std::fmt::Display for Head {
    /// `1234:ab12...`, to be noted elsewhere.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.rows, hex::encode(self.hash))
    }
}

impl std::str::FromStr for Head {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let (rows, hash) = text.trim().split_once(':').ok_or(())?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(hash, &mut bytes).map_err(|_| ())?;
        Ok(Self { rows: rows.parse().map_err(|_| ())?, hash: bytes })
    }
}

/// The whole chain was read and is as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Number of rows.
    pub rows: i64,
    /// The end of the chain.
    pub head: Head,
}

/// The chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The first row that is not as it was written.
    pub row: i64,
    /// What is wrong with it.
    pub why: String,
}

/// The texts of a row, in the order in which they are hashed.
pub(super) struct Link<'a> {
    pub(super) id: i64,
    pub(super) at: &'a str,
    pub(super) user: Option<&'a str>,
    pub(super) action: &'a str,
    pub(super) target: Option<&'a str>,
    pub(super) details: Option<&'a str>,
    pub(super) ip: Option<&'a str>,
    pub(super) success: i64,
}

impl Link<'_> {
    /// The row's hash: over the hash before it and a JSON list of the row's columns as they are stored.
    pub(super) fn hash(&self, previous: &[u8; 32]) -> [u8; 32] {
        let columns = (self.id, self.at, self.user, self.action, self.target, self.details, self.ip, self.success);
        let mut hasher = Sha256::new();
        hasher.update(previous);
        hasher.update(serde_json::to_vec(&columns).unwrap_or_default());
        hasher.finalize().into()
    }
}

impl Store {
    /// Reads the whole audit and checks its chain; against `noted`, a head that was written down elsewhere, where given.
    pub fn audit_verify(&self, noted: Option<&Head>) -> Result<Result<Verified, Broken>, StoreError> {
        self.read(|connection| verify(connection, noted))
    }
}

/// The same through any connection.
pub(super) fn verify(connection: &rusqlite::Connection, noted: Option<&Head>) -> Result<Result<Verified, Broken>, Failure> {
    let broken = |row: i64, why: &str| Ok(Err(Broken { row, why: why.to_owned() }));
    let mut statement = connection.prepare_cached(
        "SELECT LogId, Timestamp, User, Action, Target, Details, IPAddress, Success, PreviousHash, Hash FROM AuditLog ORDER BY LogId",
    )?;
    let mut rows = statement.query([])?;
    let mut head = Head { rows: 0, hash: [0; 32] };
    while let Some(row) = rows.next()? {
        let text = |column: usize| -> Result<Option<&str>, Failure> { Ok(row.get_ref(column)?.as_str_or_null()?) };
        let id: i64 = row.get(0)?;
        if id != head.rows + 1 {
            return broken(head.rows + 1, "it is missing");
        }
        let (at, action) = (text(1)?.unwrap_or_default(), text(3)?.unwrap_or_default());
        let link = Link { id, at, user: text(2)?, action, target: text(4)?, details: text(5)?, ip: text(6)?, success: row.get(7)? };
        if row.get_ref(8)?.as_blob().ok() != Some(&head.hash[..]) {
            return broken(id, "it does not continue the row before it");
        }
        let hash = link.hash(&head.hash);
        if row.get_ref(9)?.as_blob().ok() != Some(&hash[..]) {
            return broken(id, "it was altered");
        }
        head = Head { rows: id, hash };
        if let Some(noted) = noted
            && noted.rows == id
            && noted.hash != hash
        {
            return broken(id, "it is not the row whose hash was noted: the chain was written anew");
        }
    }
    let kept: Option<Head> = connection
        .query_row("SELECT Rows, Hash FROM AuditHead WHERE Id = ?1", params![1], |row| Ok(Head { rows: row.get(0)?, hash: row.get(1)? }))
        .optional()?;
    if kept != Some(head) {
        return broken(head.rows + 1, "the end is not the one that was written: rows are missing there");
    }
    if noted.is_some_and(|noted| noted.rows > head.rows) {
        return broken(head.rows + 1, "there were more rows when the head was noted: the end was cut off, or an older copy put here");
    }
    Ok(Ok(Verified { rows: head.rows, head }))
}
