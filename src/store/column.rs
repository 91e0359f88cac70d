//! Columns that are more than a number or a text: times, JSON, words of a closed vocabulary. What cannot be read is damage.

use chrono::{DateTime, Utc};
use rusqlite::Row;
use rusqlite::types::Type;
use serde::de::DeserializeOwned;

use super::moment;
use crate::model::Severity;

/// A time as text.
pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<DateTime<Utc>> {
    let text = row.get_ref(column)?.as_str()?;
    moment::from_text(text).ok_or_else(|| unreadable(column, format!("'{}' is not a time", super::clip(text, 40))))
}

/// A time as text, or nothing.
pub(super) fn time_or_null(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<DateTime<Utc>>> {
    if row.get_ref(column)?.as_str_or_null()?.is_some() { time(row, column).map(Some) } else { Ok(None) }
}

/// A document.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str()?).map_err(|e| unreadable(column, e.to_string()))
}

/// A document, or nothing.
pub(super) fn json_or_null<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>> {
    if row.get_ref(column)?.as_str_or_null()?.is_some() { json(row, column).map(Some) } else { Ok(None) }
}

/// A word that `parse` knows.
pub(super) fn word<T>(row: &Row<'_>, column: usize, parse: impl FnOnce(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    parse(text).ok_or_else(|| unreadable(column, format!("'{}' is not known", super::clip(text, 40))))
}

/// A value as a document.
pub(super) fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".into())
}

/// A severity as report writers know it: `Critical`, `High`, `Medium`, `Low`, `Info`.
pub(super) const fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "Info",
        Severity::Low => "Low",
        Severity::Medium => "Medium",
        Severity::High => "High",
        Severity::Critical => "Critical",
    }
}

/// All severities, from the least.
pub(super) const SEVERITIES: [Severity; 5] = [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

/// The severity that the database calls so.
pub(super) fn severity(text: &str) -> Option<Severity> {
    SEVERITIES.into_iter().find(|severity| severity_name(*severity) == text)
}

fn unreadable(column: usize, why: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, why.into())
}
