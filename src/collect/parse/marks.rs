//! What the `exists` block says: files that stand there, commands (`+name`), values (`=key value`).

use std::collections::BTreeSet;

use crate::collect::raw::Raw;

/// All marks.
pub(super) fn all<'a>(raw: &Raw<'a>) -> BTreeSet<&'a str> {
    raw.block("exists").unwrap_or_default().lines().collect()
}

/// The value of a key.
pub(super) fn value<'a>(raw: &Raw<'a>, key: &str) -> Option<&'a str> {
    let value = raw.block("exists")?.lines().find_map(|line| line.strip_prefix('=')?.strip_prefix(key)?.strip_prefix(' '))?;
    Some(value.trim_matches(['\0', ' '])).filter(|v| !v.is_empty())
}
