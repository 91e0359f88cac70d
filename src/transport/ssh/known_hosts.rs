//! The file of known host keys: plain and hashed names, patterns, `[host]:port`, revoked keys, authorities.
//!
//! Parsed once and kept until the file changes. Stricter than usual in one point: a host that is known by any key is
//! *changed* when it offers another, whatever its algorithm, or else a thief would only have to choose a new algorithm.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Digest;

use super::pattern;

/// What the files say about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the host's.
    Known,
    /// Nothing is known about the host.
    Unknown,
    /// The host has another one.
    Changed { known: String, place: String },
    /// The key is revoked.
    Revoked { place: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    None,
    Authority,
    Revoked,
}

#[derive(Debug)]
enum Names {
    Patterns(Vec<String>),
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
}

#[derive(Debug)]
struct Entry {
    line: usize,
    marker: Marker,
    names: Names,
    algorithm: String,
    blob: Vec<u8>,
}

/// One file, parsed.
#[derive(Debug, Default)]
pub(super) struct KnownFile {
    path: PathBuf,
    entries: Vec<Entry>,
    /// Entries by plain name.
    plain: HashMap<String, Vec<usize>>,
    /// Entries that have to be tried one by one.
    other: Vec<usize>,
}

/// `ssh-ed25519 SHA256:...`
pub(super) fn fingerprint(algorithm: &str, blob: &[u8]) -> String {
    format!("{algorithm} SHA256:{}", BASE64_STANDARD_NO_PAD.encode(sha2::Sha256::digest(blob)))
}

/// The name under which a host stands in the files.
pub(super) fn host_name(host: &str, port: u16) -> String {
    let host = host.to_lowercase();
    if port == 22 { host } else { format!("[{host}]:{port}") }
}

impl KnownFile {
    fn parse(path: &Path, text: &str) -> Self {
        let mut file = Self { path: path.to_owned(), ..Self::default() };
        for (number, line) in text.lines().enumerate() {
            let mut words = line.split_ascii_whitespace().peekable();
            let marker = match words.peek() {
                Some(&"@cert-authority") => Marker::Authority,
                Some(&"@revoked") => Marker::Revoked,
                Some(w) if w.starts_with('#') || w.starts_with('@') => continue,
                _ => Marker::None,
            };
            if marker != Marker::None {
                words.next();
            }
            let (Some(names), Some(algorithm), Some(key)) = (words.next(), words.next(), words.next()) else { continue };
            let (Some(names), Ok(blob)) = (Names::parse(names), BASE64_STANDARD.decode(key)) else { continue };
            let index = file.entries.len();
            match &names {
                Names::Patterns(list) if list.iter().all(|p| !p.contains(['*', '?', '!'])) => {
                    for name in list {
                        file.plain.entry(name.clone()).or_default().push(index);
                    }
                }
                _ => file.other.push(index),
            }
            file.entries.push(Entry { line: number + 1, marker, names, algorithm: algorithm.to_owned(), blob });
        }
        file
    }

    fn matching(&self, name: &str) -> impl Iterator<Item = &Entry> {
        let plain = self.plain.get(name).into_iter().flatten();
        let other = self.other.iter().filter(move |i| self.entries[**i].names.matches(name));
        plain.chain(other).map(|i| &self.entries[*i])
    }
}

impl Names {
    fn parse(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix("|1|") {
            let (salt, hash) = rest.split_once('|')?;
            return Some(Self::Hashed { salt: BASE64_STANDARD.decode(salt).ok()?, hash: BASE64_STANDARD.decode(hash).ok()? });
        }
        Some(Self::Patterns(text.split(',').map(str::to_lowercase).collect()))
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Patterns(list) => pattern::list_matches(list.iter().map(String::as_str), name),
            Self::Hashed { salt, hash } => {
                Hmac::<sha1::Sha1>::new_from_slice(salt).is_ok_and(|mac| mac.chain_update(name.as_bytes()).verify_slice(hash).is_ok())
            }
        }
    }
}

/// What all files together know about one host. Looked up once per connection.
#[derive(Debug, Clone)]
pub(super) struct HostKeys {
    /// The file that was read first, and into which keys are recorded.
    pub(super) file: PathBuf,
    name: String,
    known: Vec<(String, Vec<u8>, String)>,
    revoked: Vec<(Vec<u8>, String)>,
    authorities: Vec<Vec<u8>>,
}

impl HostKeys {
    /// Algorithms of the known keys, by name.
    pub(super) fn algorithms(&self) -> impl Iterator<Item = &str> {
        self.known.iter().map(|(algorithm, ..)| algorithm.as_str())
    }

    /// Authorities whose certificates this host may show.
    pub(super) fn authorities(&self) -> &[Vec<u8>] {
        &self.authorities
    }

    pub(super) fn judge(&self, blob: &[u8]) -> Verdict {
        if let Some((_, place)) = self.revoked.iter().find(|(b, _)| b == blob) {
            return Verdict::Revoked { place: place.clone() };
        }
        match self.known.first() {
            None => Verdict::Unknown,
            Some(_) if self.known.iter().any(|(_, b, _)| b == blob) => Verdict::Known,
            Some(first) => {
                let (algorithm, known, place) = self.known.iter().find(|(a, ..)| *a == algorithm_of(blob)).unwrap_or(first);
                Verdict::Changed { known: fingerprint(algorithm, known), place: place.clone() }
            }
        }
    }
}

/// The algorithm that a key names itself.
pub(super) fn algorithm_of(blob: &[u8]) -> &str {
    let length = blob.first_chunk::<4>().map_or(0, |l| u32::from_be_bytes(*l) as usize);
    blob.get(4..4 + length.min(64)).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or("unknown")
}

type Stamp = Option<(SystemTime, u64)>;

/// The files, parsed once.
#[derive(Debug, Default)]
pub(super) struct KnownHosts {
    files: Mutex<HashMap<PathBuf, (Stamp, Arc<KnownFile>)>>,
    writing: Mutex<()>,
}

impl KnownHosts {
    fn file(&self, path: &Path) -> std::io::Result<Arc<KnownFile>> {
        let stamp = match std::fs::metadata(path) {
            Ok(meta) => Some((meta.modified()?, meta.len())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => return Err(e),
        };
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, file)) = files.get(path)
            && *known == stamp
        {
            return Ok(Arc::clone(file));
        }
        let text = if stamp.is_some() { String::from_utf8_lossy(&std::fs::read(path)?).into_owned() } else { String::new() };
        let file = Arc::new(KnownFile::parse(path, &text));
        files.insert(path.to_owned(), (stamp, Arc::clone(&file)));
        Ok(file)
    }

    /// What the files know about a host; the first is where keys are recorded.
    pub(super) fn host(&self, paths: &[PathBuf], host: &str, port: u16) -> Result<HostKeys, (PathBuf, std::io::Error)> {
        let name = host_name(host, port);
        let mut keys = HostKeys {
            file: paths.first().cloned().unwrap_or_default(),
            name: name.clone(),
            known: Vec::new(),
            revoked: Vec::new(),
            authorities: Vec::new(),
        };
        for path in paths {
            let file = self.file(path).map_err(|e| (path.clone(), e))?;
            for entry in file.matching(&name) {
                let place = format!("{}:{}", file.path.display(), entry.line);
                match entry.marker {
                    Marker::None => keys.known.push((entry.algorithm.clone(), entry.blob.clone(), place)),
                    Marker::Revoked => keys.revoked.push((entry.blob.clone(), place)),
                    Marker::Authority => keys.authorities.push(entry.blob.clone()),
                }
            }
        }
        Ok(keys)
    }

    /// Records the first key seen of a host, unless somebody else did meanwhile: then that one counts.
    pub(super) fn record(&self, keys: &HostKeys, blob: &[u8]) -> std::io::Result<Verdict> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(parent) = keys.file.parent().filter(|p| !p.exists()) {
            use std::os::unix::fs::DirBuilderExt;
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        }
        let mut options = std::fs::OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.read(true).append(true).create(true).open(&keys.file)?;
        // Held until the file is closed, against other processes.
        file.lock()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let now = KnownFile::parse(&keys.file, &String::from_utf8_lossy(&bytes));
        let mut fresh = keys.clone();
        fresh.known = now
            .matching(&keys.name)
            .filter(|e| e.marker == Marker::None)
            .map(|e| (e.algorithm.clone(), e.blob.clone(), format!("{}:{}", keys.file.display(), e.line)))
            .collect();
        let verdict = fresh.judge(blob);
        if verdict != Verdict::Unknown {
            return Ok(verdict);
        }
        let gap = if bytes.is_empty() || bytes.ends_with(b"\n") { "" } else { "\n" };
        let line = format!("{gap}{} {} {}\n", keys.name, algorithm_of(blob), BASE64_STANDARD.encode(blob));
        file.seek(SeekFrom::End(0))?;
        // One write: a reader sees the whole line or nothing of it.
        file.write_all(line.as_bytes())?;
        file.sync_data()?;
        Ok(Verdict::Known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(tag: &[u8]) -> Vec<u8> {
        [&[0, 0, 0, 11], b"ssh-ed25519".as_slice(), tag].concat()
    }

    fn text(name: &str, tag: &[u8]) -> String {
        format!("{name} ssh-ed25519 {}\n", BASE64_STANDARD.encode(blob(tag)))
    }

    fn keys(content: &str, host: &str, port: u16) -> HostKeys {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("known_hosts");
        std::fs::write(&path, content).unwrap();
        KnownHosts::default().host(&[path], host, port).unwrap()
    }

    #[test]
    fn names_ports_patterns_and_negations_are_matched() {
        let content = [text("web,[db]:2222", b"a"), text("*.example.org,!bad.example.org", b"b")].concat();
        assert_eq!(keys(&content, "WEB", 22).judge(&blob(b"a")), Verdict::Known);
        assert_eq!(keys(&content, "web", 2222).judge(&blob(b"a")), Verdict::Unknown);
        assert_eq!(keys(&content, "db", 2222).judge(&blob(b"a")), Verdict::Known);
        assert_eq!(keys(&content, "db", 22).judge(&blob(b"a")), Verdict::Unknown);
        assert_eq!(keys(&content, "x.example.org", 22).judge(&blob(b"b")), Verdict::Known);
        assert_eq!(keys(&content, "bad.example.org", 22).judge(&blob(b"b")), Verdict::Unknown);
    }

    #[test]
    fn a_hashed_name_is_found() {
        // Salt of twenty zero bytes.
        let salt = [0_u8; 20];
        let hash = Hmac::<sha1::Sha1>::new_from_slice(&salt).unwrap().chain_update(b"web").finalize().into_bytes();
        let name = format!("|1|{}|{}", BASE64_STANDARD.encode(salt), BASE64_STANDARD.encode(hash));
        assert_eq!(keys(&text(&name, b"a"), "web", 22).judge(&blob(b"a")), Verdict::Known);
        assert_eq!(keys(&text(&name, b"a"), "other", 22).judge(&blob(b"a")), Verdict::Unknown);
    }

    #[test]
    fn a_changed_key_and_a_revoked_key_are_told_with_their_places() {
        let content = [text("web", b"a"), format!("@revoked * {}", text("", b"r").trim_start())].concat();
        let Verdict::Changed { known, place } = keys(&content, "web", 22).judge(&blob(b"b")) else { panic!("not changed") };
        assert_eq!(known, fingerprint("ssh-ed25519", &blob(b"a")));
        assert!(place.ends_with("known_hosts:1"), "{place}");
        assert!(matches!(keys(&content, "web", 22).judge(&blob(b"r")), Verdict::Revoked { .. }));
    }

    #[test]
    fn a_recorded_key_is_known_afterwards_and_another_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".ssh").join("known_hosts");
        let hosts = KnownHosts::default();
        let before = hosts.host(std::slice::from_ref(&path), "web", 2222).unwrap();
        assert_eq!(hosts.record(&before, &blob(b"a")).unwrap(), Verdict::Known);
        assert!(matches!(hosts.record(&before, &blob(b"b")).unwrap(), Verdict::Changed { .. }));
        assert_eq!(hosts.host(std::slice::from_ref(&path), "web", 2222).unwrap().judge(&blob(b"a")), Verdict::Known);
        assert_eq!(std::fs::read_to_string(path).unwrap(), text("[web]:2222", b"a"));
    }
}
