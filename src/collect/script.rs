//! Composes the one shell script that asks a device for everything in a request. Only what is asked for is sent.

use std::collections::BTreeSet;
use std::fmt::Write;

use include_dir::{Dir, include_dir};
use rand::Rng;

use super::sections::{self, Probe};
use super::settled::{Question, Settled};
use super::{CollectError, Request};

/// The shell fragments, one per block.
static FRAGMENTS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/catalog/collectors");

/// Plain files are read by one command per tree: where a path begins, and the block. The last one takes the rest.
pub(super) const FILES: [(&str, &str); 3] = [("/proc/", "files-proc"), ("/sys/", "files-sys"), ("/", "files-etc")];

/// The block that a file is read in.
pub(super) fn files_block(path: &str) -> &'static str {
    FILES.iter().find(|(prefix, _)| path.starts_with(prefix)).map_or("files-etc", |(_, block)| block)
}

/// A fresh nonce: 128 random bits in hex.
pub fn nonce() -> String {
    hex::encode(rand::rng().random::<[u8; 16]>())
}

/// A text as one word of a POSIX shell, whatever it holds.
pub(super) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn fragment(name: &str) -> &'static str {
    FRAGMENTS.get_file(format!("{name}.sh")).and_then(include_dir::File::contents_utf8).unwrap_or_default()
}

/// The text of a fragment without its comment lines.
fn push_fragment(out: &mut String, name: &str) {
    for line in fragment(name).lines().filter(|l| !l.trim_start().starts_with('#') && !l.trim().is_empty()) {
        out.push_str(line);
        out.push('\n');
    }
}

/// All files and blocks that a request needs: patterns of files, names of blocks.
pub(super) fn needs(request: &Request) -> (BTreeSet<&'static str>, BTreeSet<&'static str>) {
    let mut files = BTreeSet::new();
    let mut blocks = BTreeSet::new();
    let specs = request.sections.iter().filter_map(|name| sections::section(name));
    for spec in specs {
        files.extend(spec.files);
        blocks.extend(spec.blocks);
    }
    for probe in request.probes.keys().filter_map(|kind| sections::probe(kind)) {
        files.extend(probe.files);
        blocks.extend(probe.blocks);
    }
    (files, blocks)
}

/// The shell text for `/bin/sh`. The arguments of probes stand in it as quoted words, never as shell text.
///
/// Everything is one function that the last line calls: a text that was cut on its way does nothing.
pub fn script(request: &Request, nonce: &str) -> Result<String, CollectError> {
    compose(request, nonce, None)
}

/// The same; with a question, for a device that is asked again and again.
pub(super) fn compose(request: &Request, nonce: &str, again: Option<(&Question, Option<&Settled>)>) -> Result<String, CollectError> {
    request.check()?;
    let (files, blocks) = needs(request);
    let mut out = String::with_capacity(16_384);
    out.push_str("b host\nhost\ne host $?\n");
    if let Some((question, known)) = again {
        out.push_str(&question.ask(known));
    }
    let guarded = |name: &str, block: String| match again {
        Some((question, known)) => question.guard(name, known, &block),
        None => block,
    };
    for (_, block) in FILES {
        let patterns: Vec<&str> = files.iter().copied().filter(|path| files_block(path) == block).collect();
        if !patterns.is_empty() {
            let text = format!("b {block}\nt grep -sH '' {}\ne {block} $?\n", patterns.join(" "));
            out.push_str(&guarded(block, text));
        }
    }
    for block in blocks {
        let mut text = format!("b {block}\n");
        push_fragment(&mut text, block);
        let _ = writeln!(text, "e {block} $?");
        out.push_str(&guarded(block, text));
    }
    for (kind, all) in &request.probes {
        if let Some(probe) = sections::probe(kind) {
            push_probe(&mut out, probe, all);
        }
    }
    Ok(framed(nonce, &out))
}

/// The whole script around these blocks.
pub(super) fn framed(nonce: &str, blocks: &str) -> String {
    let mut out = String::with_capacity(blocks.len() + 4096);
    push_fragment(&mut out, "prelude");
    let _ = write!(out, "N={}\nmain() {{\n{blocks}}}\nmain </dev/null\nfinish\n", quote(nonce));
    out
}

/// One call per batch of arguments: short enough for a command line, and one bad batch does not cost the others.
fn push_probe(out: &mut String, probe: &Probe, all: &BTreeSet<Vec<String>>) {
    if all.is_empty() || probe.fragment.is_empty() {
        return;
    }
    push_fragment(out, probe.fragment);
    for (index, batch) in batches(all).into_iter().enumerate() {
        let block = batch_block(probe.kind, index);
        let _ = writeln!(out, "b {block}\n{} \\", probe.fragment.replace('-', "_"));
        for args in batch {
            let words: Vec<String> = args.iter().map(|arg| quote(arg)).collect();
            let _ = writeln!(out, "{} \\", words.join(" "));
        }
        let _ = writeln!(out, "2>/dev/null\ne {block} $?");
    }
}

/// Name of the block of one batch of a probe.
pub(super) fn batch_block(kind: &str, index: usize) -> String {
    format!("probe-{kind}-{index}")
}

/// Arguments in groups of at most 500 and about 60 KB.
pub(super) fn batches(all: &BTreeSet<Vec<String>>) -> Vec<Vec<&Vec<String>>> {
    let mut batches: Vec<Vec<&Vec<String>>> = Vec::new();
    let mut bytes = usize::MAX;
    for args in all {
        let size: usize = args.iter().map(|a| a.len() + 4).sum();
        match batches.last_mut() {
            Some(batch) if batch.len() < 500 && bytes + size < 60_000 => batch.push(args),
            _ => {
                batches.push(vec![args]);
                bytes = 0;
            }
        }
        bytes += size;
    }
    batches
}
