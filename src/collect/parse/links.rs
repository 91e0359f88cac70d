//! Symbolic links of the `links` block, which is the output of `ls -dn`.

use std::collections::BTreeMap;

use crate::collect::raw::Raw;

/// Targets by path.
pub(super) fn all<'a>(raw: &Raw<'a>) -> BTreeMap<&'a str, &'a str> {
    let line = |line: &'a str| {
        // Everything before the name is free of slashes: mode, counts, numbers, date.
        let (path, target) = line.get(line.find(" /")? + 1..)?.split_once(" -> ")?;
        Some((path, target))
    };
    raw.block("links").unwrap_or_default().lines().filter_map(line).collect()
}
