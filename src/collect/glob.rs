//! Shell patterns of the kind that the collector asks for: `*`, `?` and `[0-9]` within one path component.

/// Whether a path matches a pattern. `*` and `?` do not match a slash; a component that begins with `*` does not match a
/// hidden file.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let mut patterns = pattern.split('/');
    let mut parts = path.split('/');
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if component(pattern.as_bytes(), part.as_bytes(), true) => {}
            _ => return false,
        }
    }
}

fn component(pattern: &[u8], text: &[u8], first: bool) -> bool {
    match pattern.first() {
        None => text.is_empty(),
        Some(b'*') => {
            if first && text.first() == Some(&b'.') {
                return false;
            }
            (0..=text.len()).any(|skip| component(&pattern[1..], &text[skip..], false))
        }
        Some(b'?') => !text.is_empty() && component(&pattern[1..], &text[1..], false),
        Some(b'[') => {
            let Some(end) = pattern.iter().position(|b| *b == b']') else { return false };
            let set = &pattern[1..end];
            let Some(c) = text.first() else { return false };
            let hit = match set {
                [from, b'-', to] => (from..=to).contains(&c),
                _ => set.contains(c),
            };
            hit && component(&pattern[end + 1..], &text[1..], false)
        }
        Some(p) => text.first() == Some(p) && component(&pattern[1..], &text[1..], false),
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
}
