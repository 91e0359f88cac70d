//! The frames around each block of raw output: begin and end lines that carry the request's nonce, which no file on the
//! device can know. A block counts only between its own begin and end; everything else is damage.

use std::collections::{BTreeMap, BTreeSet};

/// One intact block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block<'a> {
    /// Exit code of its last command.
    pub(super) code: i32,
    /// What it printed.
    pub(super) bytes: &'a [u8],
}

/// What was found between frames.
#[derive(Debug, Default)]
pub(super) struct Frames<'a> {
    /// Intact blocks by name.
    pub(super) blocks: BTreeMap<String, Block<'a>>,
    /// Names of blocks that began but have no matching end, or came twice.
    pub(super) damaged: Vec<String>,
    /// Names of blocks that the device did not send because their files are as they were.
    pub(super) same: BTreeSet<String>,
    /// Whether the script's last line arrived.
    pub(super) finished: bool,
}

enum Mark<'a> {
    Begin(&'a str),
    End(&'a str, i32),
    Same(&'a str),
    Done,
}

fn mark<'a>(line: &'a [u8], nonce: &str) -> Option<Mark<'a>> {
    let line = std::str::from_utf8(line).ok()?;
    let rest = line.strip_prefix('@')?.strip_prefix(nonce)?.strip_prefix(' ')?;
    let mut words = rest.split(' ');
    let found = match (words.next()?, words.next(), words.next()) {
        ("begin", Some(name), None) => Mark::Begin(name),
        ("end", Some(name), Some(code)) => Mark::End(name, code.parse().ok()?),
        ("same", Some(name), None) => Mark::Same(name),
        ("done", None, None) => Mark::Done,
        _ => return None,
    };
    words.next().is_none().then_some(found)
}

/// Cuts raw output into its blocks.
pub(super) fn read<'a>(raw: &'a [u8], nonce: &str) -> Frames<'a> {
    let mut frames = Frames::default();
    let mut open: Option<(&str, usize)> = None;
    let mut at = 0;
    for line in raw.split_inclusive(|b| *b == b'\n') {
        let start = at;
        at += line.len();
        let whole = line.ends_with(b"\n");
        // Nearly every line is content: one byte decides.
        if line.first() != Some(&b'@') || !whole {
            continue;
        }
        match mark(&line[..line.len() - 1], nonce) {
            Some(Mark::Begin(name)) => {
                if let Some((lost, _)) = open.replace((name, at)) {
                    frames.damaged.push(lost.to_owned());
                }
            }
            Some(Mark::End(name, code)) => match open.take() {
                Some((begun, from)) if begun == name => {
                    // The end frame begins with a line break of its own.
                    let to = start.saturating_sub(1).max(from);
                    if frames.blocks.insert(name.to_owned(), Block { code, bytes: &raw[from..to] }).is_some() {
                        frames.damaged.push(name.to_owned());
                    }
                }
                Some((begun, _)) => frames.damaged.extend([begun.to_owned(), name.to_owned()]),
                None => frames.damaged.push(name.to_owned()),
            },
            // Between the frames of a block it is content.
            Some(Mark::Same(name)) if open.is_none() => {
                frames.same.insert(name.to_owned());
            }
            Some(Mark::Same(_)) | None => {}
            Some(Mark::Done) => frames.finished = open.is_none(),
        }
    }
    frames.damaged.extend(open.map(|(name, _)| name.to_owned()));
    for name in &frames.damaged {
        frames.blocks.remove(name);
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: &str = "n0nce";

    #[test]
    fn a_block_is_what_stands_between_its_own_frames() {
        let raw = b"noise\n@n0nce begin a\none\n@other end a 0\ntwo\n@n0nce end a 3\n@n0nce begin b\n\n@n0nce end b 0\n@n0nce done\n";
        let frames = read(raw, N);
        assert_eq!(frames.blocks["a"], Block { code: 3, bytes: b"one\n@other end a 0\ntwo" });
        assert_eq!(frames.blocks["b"], Block { code: 0, bytes: b"" });
        assert!(frames.finished && frames.damaged.is_empty());
    }

    #[test]
    fn a_block_that_is_cut_doubled_or_interleaved_does_not_count() {
        for raw in [
            &b"@n0nce begin a\nx\n"[..],
            b"@n0nce begin a\nx\n@n0nce end a 0",
            b"@n0nce begin a\nx\n@n0nce end a 0\n@n0nce begin a\ny\n@n0nce end a 0\n",
            b"@n0nce begin a\nx\n@n0nce begin b\ny\n@n0nce end a 0\n",
            b"@n0nce end a 0\n",
        ] {
            let frames = read(raw, N);
            assert!(frames.blocks.is_empty(), "{}", String::from_utf8_lossy(raw));
            assert!(!frames.damaged.is_empty() && !frames.finished);
        }
    }
}
