//! The raw answer of one device as the parsers see it: files by path, blocks by name.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;

use super::frames::Frames;
use super::glob;
use super::script::FILES;
use crate::model::facts::Status;

/// Most colons of a line at which its path is looked for, and the longest path (the kernel's own bound).
const MAX_COLONS: usize = 16;
const MAX_PATH: usize = 4096;

/// A parsed section, or why there is none.
pub(super) type Parsed = Result<serde_json::Value, Status>;

/// Not observed, and why.
pub(super) fn unknown<T>(reason: impl Into<String>) -> Result<T, Status> {
    Err(Status::Unknown(reason.into()))
}

/// What stands before the first special character of a pattern.
fn fixed(pattern: &str) -> &str {
    pattern.split(['*', '?', '[']).next().unwrap_or(pattern)
}

/// Texts of the blocks, made UTF-8.
pub(super) struct Texts<'a> {
    blocks: BTreeMap<&'a str, (i32, Cow<'a, str>)>,
}

impl<'a> Texts<'a> {
    pub(super) fn new(frames: &'a Frames<'a>) -> Self {
        let blocks = frames.blocks.iter().map(|(name, b)| (name.as_str(), (b.code, String::from_utf8_lossy(b.bytes))));
        Self { blocks: blocks.collect() }
    }
}

/// Raw answer of one device.
pub(super) struct Raw<'a> {
    texts: &'a Texts<'a>,
    files: BTreeMap<&'a str, Vec<&'a str>>,
    /// `Linux`, `Darwin`.
    pub(super) system: &'a str,
    /// Node name, kernel release, machine.
    pub(super) uname: [&'a str; 3],
    /// Whether the script ran as root.
    pub(super) root: bool,
}

impl<'a> Raw<'a> {
    /// Sorts the answer; `patterns` are the files that were asked for.
    pub(super) fn new(texts: &'a Texts<'a>, patterns: &[&str]) -> Self {
        let mut raw = Self { texts, files: BTreeMap::new(), system: "", uname: [""; 3], root: false };
        let patterns: Vec<(&str, &str)> = patterns.iter().map(|p| (fixed(p), *p)).collect();
        for (_, block) in FILES {
            if let Some((_, text)) = texts.blocks.get(block) {
                raw.read_files(text, &patterns);
            }
        }
        let mut words = raw.block("host").unwrap_or_default().split_whitespace();
        raw.system = words.next().unwrap_or_default();
        raw.uname = [(); 3].map(|()| words.next().unwrap_or_default());
        raw.root = words.next() == Some("0");
        raw
    }

    /// Lines `PATH:TEXT`. A path may hold a colon: it ends at the first one that makes it a path that was asked for.
    /// `patterns` come with what stands before their first special character.
    fn read_files(&mut self, text: &'a str, patterns: &[(&str, &str)]) {
        let mut last: Option<&'a str> = None;
        for line in text.split('\n') {
            let known = last.filter(|path| line.strip_prefix(path).is_some_and(|rest| rest.starts_with(':')));
            let path = known.or_else(|| {
                let near: Vec<&str> = patterns.iter().filter(|(fixed, _)| line.starts_with(fixed)).map(|(_, p)| *p).collect();
                let ends = line.match_indices(':').map(|(at, _)| at).take(MAX_COLONS).take_while(|at| *at <= MAX_PATH);
                ends.map(|at| &line[..at]).find(|path| near.iter().any(|p| glob::matches(p, path)))
            });
            if let Some(path) = path {
                last = Some(path);
                self.files.entry(path).or_default().push(&line[path.len() + 1..]);
            }
        }
    }

    /// What a block printed, if it ran to its end.
    pub(super) fn block(&self, name: &str) -> Option<&'a str> {
        self.texts.blocks.get(name).map(|(_, text)| text.as_ref())
    }

    /// Exit code of a block.
    pub(super) fn code(&self, name: &str) -> Option<i32> {
        self.texts.blocks.get(name).map(|(code, _)| *code)
    }

    /// The lines of a file; none where it is absent, empty or may not be read.
    pub(super) fn lines(&self, path: &str) -> &[&'a str] {
        self.files.get(path).map_or(&[], Vec::as_slice)
    }

    /// The first line of a file without white space around it, if it has one that is not empty.
    pub(super) fn first(&self, path: &str) -> Option<&'a str> {
        self.lines(path).first().map(|line| line.trim()).filter(|line| !line.is_empty())
    }

    /// The first line of a file as a number.
    pub(super) fn number(&self, path: &str) -> Option<u64> {
        self.first(path)?.parse().ok()
    }

    /// Files whose path matches a pattern, by path.
    pub(super) fn glob<'s>(&'s self, pattern: &'s str) -> impl Iterator<Item = (&'a str, &'s [&'a str])> {
        let prefix = fixed(pattern);
        self.files
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |(path, _)| path.starts_with(prefix))
            .filter(move |(path, _)| glob::matches(pattern, path))
            .map(|(path, lines)| (*path, lines.as_slice()))
    }

    /// The directory names that stand for the `*` of a pattern such as `/sys/class/net/*/address`.
    pub(super) fn names<'s>(&'s self, before: &'s str, after: &'s str) -> impl Iterator<Item = &'a str> + 's {
        self.files
            .range::<str, _>((Bound::Included(before), Bound::Unbounded))
            .take_while(move |(path, _)| path.starts_with(before))
            .filter_map(move |(path, _)| path.strip_prefix(before)?.strip_suffix(after).filter(|name| !name.contains('/')))
    }

    /// The files of one directory, by path.
    pub(super) fn below<'s>(&'s self, directory: &'s str) -> impl Iterator<Item = (&'a str, &'s [&'a str])> {
        self.files
            .range::<str, _>((Bound::Included(directory), Bound::Unbounded))
            .take_while(move |(path, _)| path.starts_with(directory))
            .map(|(path, lines)| (*path, lines.as_slice()))
    }
}
