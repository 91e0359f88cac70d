//! Files of a simulated device: a few that every one has, and those that were written.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Most bytes that one device keeps.
const MOST: usize = 1 << 20;

/// A written file.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) content: Vec<u8>,
    pub(super) mode: String,
    pub(super) owner: String,
    pub(super) group: String,
}

impl File {
    fn of(content: &str) -> Self {
        Self { content: content.as_bytes().to_vec(), mode: "644".into(), owner: "root".into(), group: "root".into() }
    }
}

/// Files by path; `None` is one that was removed.
#[derive(Debug, Default)]
pub(super) struct Files {
    own: BTreeMap<String, Option<File>>,
}

impl Files {
    pub(super) fn get(&self, path: &str) -> Option<File> {
        match self.own.get(path) {
            Some(own) => own.clone(),
            None => match path {
                "/etc/hostname" | "/etc/motd" | "/etc/issue" => Some(File::of("a simulated device\n")),
                "/etc/passwd" | "/etc/group" => Some(File::of("root:x:0:0:root:/root:/bin/sh\n")),
                "/etc/shadow" => Some(File { mode: "640".into(), group: "shadow".into(), ..File::of("root:*:19000::::::\n") }),
                _ => None,
            },
        }
    }

    pub(super) fn put(&mut self, path: &str, file: File) -> Result<(), &'static str> {
        let kept: usize = self.own.values().flatten().map(|file| file.content.len()).sum();
        if kept + file.content.len() > MOST {
            return Err("no space left on device");
        }
        self.own.insert(path.to_owned(), Some(file));
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &str) {
        self.own.insert(path.to_owned(), None);
    }

    /// As the probe of files prints it.
    pub(super) fn probe(&self, paths: &[String]) -> String {
        use sha2::Digest as _;
        let (mut found, mut errors, mut digests) = (String::new(), String::new(), String::new());
        for path in paths {
            if let Some(file) = self.get(path) {
                let bits = 0o100_000 | u32::from_str_radix(&file.mode, 8).unwrap_or(0o644);
                let _ = writeln!(found, "S|{bits:x}|{}|{}|{}|{}|{path}", file.mode, file.owner, file.group, file.content.len());
                let _ = writeln!(digests, "{}  {path}", hex::encode(sha2::Sha256::digest(&file.content)));
            } else {
                let _ = writeln!(errors, "stat: cannot statx '{path}': No such file or directory");
            }
        }
        format!("{found}E\n{}\nL\nH\n{digests}", errors.trim_end())
    }

    /// As the probe of lines prints it; arguments in threes.
    pub(super) fn lines(&self, arguments: &[String]) -> String {
        let mut out = String::new();
        for (i, three) in arguments.chunks_exact(3).enumerate() {
            let Some(file) = self.get(&three[0]) else {
                let _ = writeln!(out, "{i}|absent");
                continue;
            };
            let text = String::from_utf8_lossy(&file.content);
            let present = !three[2].is_empty() && text.lines().any(|line| line == three[2]);
            let expression = if three[1].is_empty() { None } else { Some(regex_lite::Regex::new(&three[1])) };
            let (code, matching): (u8, Vec<&str>) = match &expression {
                None => (0, Vec::new()),
                Some(Ok(expression)) => {
                    let matching: Vec<&str> = text.lines().filter(|line| expression.is_match(line)).collect();
                    (u8::from(matching.is_empty()), matching)
                }
                Some(Err(_)) => (2, Vec::new()),
            };
            let first = matching.first().unwrap_or(&"");
            let _ = writeln!(out, "{i}|seen|{}|{code}|{}|{first}", u8::from(!present), matching.len());
        }
        out
    }
}
