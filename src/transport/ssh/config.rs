//! The part of `~/.ssh/config` that says how to reach a host. `Match` blocks are left out; `Include` is followed.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::pattern;
use crate::transport::TransportError;

/// Included files may include others, this deep.
const DEEPEST: usize = 16;
/// A larger file is no configuration.
const LARGEST: u64 = 4 * 1024 * 1024;

/// What the file says about one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct HostSettings {
    pub(super) host_name: Option<String>,
    pub(super) host_key_alias: Option<String>,
    pub(super) user: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) identity_files: Vec<String>,
    pub(super) identities_only: bool,
    pub(super) proxy_jump: Vec<String>,
    pub(super) known_hosts: Vec<String>,
}

#[derive(Debug)]
struct Line {
    /// Patterns of the `Host` lines that enclose it; `None` for a `Match`.
    hosts: Vec<Option<Vec<String>>>,
    key: String,
    values: Vec<String>,
    place: String,
}

/// The file, read once.
#[derive(Debug, Default)]
pub(super) struct SshConfig {
    lines: Vec<Line>,
}

impl SshConfig {
    /// Reads the file; one that is not there is empty. Relative includes are those of `directory`.
    pub(super) fn read(path: &Path, home: &Path) -> Result<Self, TransportError> {
        let mut config = Self::default();
        config.add(path, home, &[], 0)?;
        Ok(config)
    }

    fn add(&mut self, path: &Path, home: &Path, enclosing: &[Option<Vec<String>>], depth: usize) -> Result<(), TransportError> {
        let setup = |reason: String| TransportError::Setup { what: path.display().to_string(), reason };
        let text = match std::fs::metadata(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            Ok(meta) if meta.len() > LARGEST => return Err(setup("it is too large".into())),
            _ => std::fs::read_to_string(path).map_err(|e| setup(e.to_string()))?,
        };
        let mut hosts = enclosing.to_vec();
        for (number, line) in text.lines().enumerate() {
            let place = format!("{}:{}", path.display(), number + 1);
            let mut words = words(line).ok_or_else(|| setup(format!("line {}: a quote is not closed", number + 1)))?;
            if words.is_empty() {
                continue;
            }
            let key = words.remove(0).to_lowercase();
            match key.as_str() {
                "host" | "match" => {
                    hosts.truncate(enclosing.len());
                    hosts.push((key == "host").then(|| words.iter().map(|w| w.to_lowercase()).collect()));
                }
                "include" if depth >= DEEPEST => return Err(setup("the includes are too deep".into())),
                "include" => {
                    for word in &words {
                        for file in included(word, home) {
                            self.add(&file, home, &hosts, depth + 1)?;
                        }
                    }
                }
                _ => self.lines.push(Line { hosts: hosts.clone(), key, values: words, place }),
            }
        }
        Ok(())
    }

    /// What holds for a host, the first value of each kind.
    pub(super) fn host(&self, host: &str) -> Result<HostSettings, TransportError> {
        let name = host.to_lowercase();
        let applies =
            |hosts: &Option<Vec<String>>| hosts.as_ref().is_some_and(|h| pattern::list_matches(h.iter().map(String::as_str), &name));
        let mut found = HostSettings::default();
        let (mut jump, mut only) = (None, None);
        for line in self.lines.iter().filter(|l| l.hosts.iter().all(applies)) {
            let Some(value) = line.values.first() else { continue };
            let value = || value.clone();
            match line.key.as_str() {
                "hostname" => {
                    found.host_name.get_or_insert_with(|| value().replace("%h", host).replace("%%", "%"));
                }
                "hostkeyalias" => {
                    found.host_key_alias.get_or_insert_with(value);
                }
                "user" => {
                    found.user.get_or_insert_with(value);
                }
                "port" if found.port.is_none() => {
                    let bad = |_| TransportError::Setup { what: line.place.clone(), reason: format!("'{}' is not a port", value()) };
                    found.port = Some(value().parse().map_err(bad)?);
                }
                "identityfile" => found.identity_files.push(value()),
                "identitiesonly" => {
                    only.get_or_insert_with(|| value().eq_ignore_ascii_case("yes"));
                }
                "proxyjump" => {
                    jump.get_or_insert_with(value);
                }
                "userknownhostsfile" if found.known_hosts.is_empty() => found.known_hosts.clone_from(&line.values),
                _ => {}
            }
        }
        found.identities_only = only.unwrap_or(false);
        let jump = jump.filter(|j| !j.eq_ignore_ascii_case("none")).unwrap_or_default();
        found.proxy_jump = jump.split(',').map(str::trim).filter(|j| !j.is_empty()).map(str::to_owned).collect();
        found.identity_files.retain(|f| !f.eq_ignore_ascii_case("none"));
        Ok(found)
    }
}

/// The words of a line: `Key value`, `Key=value`, quotes, comments. `None` where a quote is not closed.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() && !rest.starts_with('#') {
        if let Some(quoted) = rest.strip_prefix('"') {
            let end = quoted.find('"')?;
            words.push(quoted[..end].to_owned());
            rest = &quoted[end + 1..];
        } else {
            let first = words.is_empty();
            let end = rest.find(|c: char| c.is_whitespace() || (first && c == '=')).unwrap_or(rest.len());
            words.push(rest[..end].to_owned());
            rest = &rest[end..];
        }
        rest = rest.trim_start();
        if words.len() == 1 {
            rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
        }
    }
    Some(words)
}

/// The files that an `Include` names; a pattern in the last part of the path is followed, in order.
fn included(word: &str, home: &Path) -> Vec<PathBuf> {
    let path = match word.strip_prefix("~/") {
        Some(rest) => home.join(rest),
        None => home.join(".ssh").join(word),
    };
    let (Some(directory), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str())) else { return Vec::new() };
    if !name.contains(['*', '?']) {
        return vec![path];
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|e| e.file_name().to_str().is_some_and(|n| !n.starts_with('.') && pattern::matches(name, n)))
        .map(|e| e.path())
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(files: &[(&str, &str)]) -> (tempfile::TempDir, SshConfig) {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join(".ssh/conf.d")).unwrap();
        for (name, text) in files {
            std::fs::write(home.path().join(".ssh").join(name), text).unwrap();
        }
        let config = SshConfig::read(&home.path().join(".ssh/config"), home.path()).unwrap();
        (home, config)
    }

    #[test]
    fn the_first_value_wins_and_identity_files_add_up() {
        let (_home, config) = config(&[(
            "config",
            "# all\nHost web* !web9\n  HostName = %h.example.org\n  User deploy\n  Port 2222\n  IdentityFile \"~/a key\"\n\
             Match user x\n  User nobody\nHost *\n  User other\n  IdentityFile ~/b\n  ProxyJump gate,inner:23\n",
        )]);
        let web = config.host("web1").unwrap();
        assert_eq!(web.host_name.as_deref(), Some("web1.example.org"));
        assert_eq!(web.user.as_deref(), Some("deploy"));
        assert_eq!(web.port, Some(2222));
        assert_eq!(web.identity_files, ["~/a key", "~/b"]);
        assert_eq!(web.proxy_jump, ["gate", "inner:23"]);
        assert_eq!(config.host("web9").unwrap().user.as_deref(), Some("other"));
    }

    #[test]
    fn includes_are_followed_and_stay_within_their_host() {
        let (_home, config) = config(&[
            ("config", "Host a\n  Include conf.d/*\nHost *\n  User last\n"),
            ("conf.d/1", "User first\n"),
            ("conf.d/2", "Host b\n  User never\n"),
        ]);
        assert_eq!(config.host("a").unwrap().user.as_deref(), Some("first"));
        assert_eq!(config.host("b").unwrap().user.as_deref(), Some("last"));
    }

    #[test]
    fn a_bad_port_names_the_line() {
        let (_home, config) = config(&[("config", "\nPort many\n")]);
        let error = config.host("a").unwrap_err().to_string();
        assert!(error.contains(".ssh/config:2: 'many' is not a port"), "{error}");
    }
}
