//! Comparing versions of packages: epochs, digits as numbers, `~` before everything, as the package managers do.

use std::cmp::Ordering;

/// Whether a version lies in a range: comma-separated bounds, all of which must hold, `>=24, <25`; a bare version means
/// exactly it. An epoch or a revision of the observed version counts only where the bound names one too.
pub fn version_matches(version: &str, range: &str) -> Result<bool, String> {
    let mut any = false;
    for bound in range.split(',').map(str::trim).filter(|bound| !bound.is_empty()) {
        any = true;
        let split = bound.find(|c: char| !"<>=!".contains(c)).unwrap_or(bound.len());
        let (operator, wanted) = (&bound[..split], bound[split..].trim());
        if wanted.is_empty() || wanted.contains(char::is_whitespace) {
            return Err(format!("'{bound}' is not a bound of a version such as '>=24'"));
        }
        let order = compare(version, wanted);
        let holds = match operator {
            ">=" => order != Ordering::Less,
            ">" => order == Ordering::Greater,
            "<=" => order != Ordering::Greater,
            "<" => order == Ordering::Less,
            "" | "=" | "==" => order == Ordering::Equal,
            "!=" => order != Ordering::Equal,
            _ => return Err(format!("'{operator}' is not one of >= > <= < = !=")),
        };
        if !holds {
            return Ok(false);
        }
    }
    if any { Ok(true) } else { Err("an empty range of versions".to_owned()) }
}

fn compare(version: &str, wanted: &str) -> Ordering {
    let (version_epoch, version) = epoch(version);
    let (wanted_epoch, wanted) = epoch(wanted);
    if let Some(wanted_epoch) = wanted_epoch {
        let order = version_epoch.unwrap_or(0).cmp(&wanted_epoch);
        if order != Ordering::Equal {
            return order;
        }
    }
    let version = if wanted.contains('-') { version } else { version.rsplit_once('-').map_or(version, |(upstream, _)| upstream) };
    parts(version.as_bytes(), wanted.as_bytes())
}

fn epoch(version: &str) -> (Option<u64>, &str) {
    match version.split_once(':').map(|(epoch, rest)| (epoch.parse(), rest)) {
        Some((Ok(epoch), rest)) => (Some(epoch), rest),
        _ => (None, version),
    }
}

/// Alternating runs of text and digits.
fn parts(mut a: &[u8], mut b: &[u8]) -> Ordering {
    let rank = |c: Option<&u8>| match c {
        Some(b'~') => -1,
        None => 0,
        Some(c) if c.is_ascii_digit() => 0,
        Some(c) if c.is_ascii_alphabetic() => i32::from(*c),
        Some(c) => i32::from(*c) + 256,
    };
    while !a.is_empty() || !b.is_empty() {
        while a.first().is_some_and(|c| !c.is_ascii_digit()) || b.first().is_some_and(|c| !c.is_ascii_digit()) {
            let order = rank(a.first()).cmp(&rank(b.first()));
            if order != Ordering::Equal {
                return order;
            }
            a = a.get(1..).unwrap_or_default();
            b = b.get(1..).unwrap_or_default();
        }
        let order = digits(&mut a, &mut b);
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

fn digits(a: &mut &[u8], b: &mut &[u8]) -> Ordering {
    let take = |text: &mut &[u8]| {
        let end = text.iter().position(|c| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, rest) = text.split_at(end);
        *text = rest;
        let zeros = number.iter().position(|c| *c != b'0').unwrap_or(number.len());
        number[zeros..].to_vec()
    };
    let (a, b) = (take(a), take(b));
    a.len().cmp(&b.len()).then_with(|| a.cmp(&b))
}

#[cfg(test)]
mod tests {
    use super::version_matches;

    #[test]
    fn ranges_hold_as_package_managers_order_versions() {
        for (version, range, expected) in [
            ("24.1-1", ">=24, <25", true),
            ("25.0", ">=24, <25", false),
            ("1:3.0.15-1~deb12u1", ">=3.0", true),
            ("3.0-1", "<=3.0", true),
            ("3.0-2", "=3.0-1", false),
            ("1.10", ">1.9", true),
            ("1.0~rc1", "<1.0", true),
            ("1.0a", ">1.0", true),
            ("2:1.0", ">=1:9", true),
            ("1.001", "=1.1", true),
            ("7", "!=7", false),
        ] {
            assert_eq!(version_matches(version, range), Ok(expected), "{version} in {range}");
        }
    }

    #[test]
    fn a_range_that_is_none_is_an_error() {
        for range in ["", ">=", "=>1", ">= 1 2", ","] {
            assert!(version_matches("1", range).is_err(), "{range}");
        }
    }
}
