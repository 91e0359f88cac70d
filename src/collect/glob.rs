//! Shell patterns of the kind that the collector asks for: `*`, `?` and `[0-9]` within one path component.

/// Whether a path matches a pattern. `*` and `?` do not match a slash; a component that begins with `*` does not match a
/// hidden file.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let mut patterns = pattern.split('/');
    let mut parts = path.split('/');
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if component(pattern.as_bytes(), part.as_bytes()) => {}
            _ => return false,
        }
    }
}

/// Without recursion: of all stars only the last one ever has to take more, so that a pattern costs at most its length times
/// the text's, whatever a device names its files.
fn component(pattern: &[u8], text: &[u8]) -> bool {
    if pattern.first() == Some(&b'*') && text.first() == Some(&b'.') {
        return false;
    }
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            star = Some((p, t));
        } else if let Some(length) = one(&pattern[p..], text[t]) {
            p += length;
            t += 1;
        } else if let Some((after, taken)) = star {
            p = after;
            t = taken + 1;
            star = Some((after, t));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

/// The length of the pattern's first element if it is one that takes this byte.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match *pattern.first()? {
        b'?' => Some(1),
        b'[' => {
            let end = pattern.iter().position(|b| *b == b']')?;
            let hit = match &pattern[1..end] {
                [from, b'-', to] => (from..=to).contains(&&byte),
                set => set.contains(&byte),
            };
            hit.then_some(end + 1)
        }
        literal => (literal == byte).then_some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_in_the_shell() {
        for (pattern, path, expected) in [
            ("/sys/class/net/*/address", "/sys/class/net/eth0/address", true),
            ("/sys/class/net/*/address", "/sys/class/net/eth0/x/address", false),
            ("/etc/cron.d/*", "/etc/cron.d/.placeholder", false),
            ("/sys/class/drm/card[0-9]/device/vendor", "/sys/class/drm/card0/device/vendor", true),
            ("/sys/class/drm/card[0-9]/device/vendor", "/sys/class/drm/card0-DP-1/device/vendor", false),
            ("/etc/*.conf", "/etc/a.conf.bak", false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn many_stars_against_a_long_name_take_no_time() {
        let (pattern, name) = (format!("/{}b", "*a".repeat(12)), format!("/{}", "a".repeat(4000)));
        let start = std::time::Instant::now();
        assert!(!matches(&pattern, &name));
        assert!(matches(&pattern, &(name + "b")));
        assert!(start.elapsed() < std::time::Duration::from_secs(2));
    }
}
