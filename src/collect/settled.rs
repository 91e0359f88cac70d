//! What a device need not say twice. Some blocks only repeat what stands in files (packages, accounts, unit files, the
//! effective configuration of sshd). Where a device is observed again and again, the script first asks for a stamp of
//! those files: device, inode, size, times of content and of metadata, hashed. As long as it is the same, the blocks are
//! not produced again but taken from here, and parsed like any other: what is reported was true at this observation.
//!
//! Only callers that come back hand a [`Kept`] in; a single collection pays nothing for it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use super::frames::{Block, Frames};
use super::script;

/// Most bytes that are kept for all devices together; those that come later are asked for everything each time.
const MAX_TOTAL: usize = 64 << 20;
/// Most bytes of one device's blocks before they are compressed.
const MAX_DEVICE: usize = 4 << 20;

/// The block that carries the stamp.
pub(super) const STAMP: &str = "stamp";
/// The stamp of no file at all: SHA-256 of nothing. A `stat` that knows other options gives this.
const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Seconds for which every file has to have been left alone. One that is written again within the same tick of its
/// clock has the same stamp, and some systems only tell whole seconds.
const REST: i32 = 2;

/// A block that repeats what stands in files.
struct Repeats {
    /// Name of the block.
    block: &'static str,
    /// The files, and the directories where one may appear; shell patterns.
    files: &'static [&'static str],
    /// A shell test: only where it holds do the files tell everything.
    only: &'static str,
}

/// The files that are read as they are stand for themselves: their patterns come from the request.
const PLAIN: &str = "files-etc";

const REPEATS: &[Repeats] = &[
    Repeats {
        block: "packages",
        files: &[
            "/var/lib/dpkg/status",
            "/lib/apk/db/installed",
            "/usr/lib/apk/db/installed",
            "/var/lib/pacman/local",
            "/var/lib/rpm/rpmdb.sqlite",
            "/var/lib/rpm/rpmdb.sqlite-wal",
            "/var/lib/rpm/Packages",
            "/var/lib/rpm/Packages.db",
            "/usr/lib/sysimage/rpm/rpmdb.sqlite",
            "/usr/lib/sysimage/rpm/rpmdb.sqlite-wal",
            "/usr/lib/sysimage/rpm/Packages.db",
        ],
        only: "",
    },
    Repeats {
        block: "services",
        files: &[
            "/etc/systemd/system",
            "/etc/systemd/system/*.wants",
            "/etc/systemd/system/*.requires",
            "/etc/systemd/system/*.service",
            "/usr/lib/systemd/system",
            "/usr/lib/systemd/system/*.service",
            "/lib/systemd/system/*.service",
            "/etc/init.d",
            "/etc/init.d/*",
            "/etc/rc.d/init.d",
            "/etc/rc.d/init.d/*",
            "/etc/rc[2345].d",
            "/etc/rc.d/rc[2345].d",
            "/etc/runlevels/*",
        ],
        // A service manager that runs knows more than its files.
        only: "[ ! -d /run/systemd/system ] && [ ! -d /run/openrc ] && [ ! -d /lib/rc/init.d/started ]",
    },
    Repeats { block: "shadow", files: &["/etc/shadow"], only: "" },
    Repeats {
        block: "sshd",
        files: &["/usr/sbin/sshd", "/etc/ssh", "/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d", INCLUDED, CRYPTO_POLICY],
        only: "",
    },
];

/// What sshd's configuration may include and still be covered by the files above.
const INCLUDED: &str = "/etc/ssh/sshd_config.d/*.conf";
const CRYPTO_POLICY: &str = "/etc/crypto-policies/back-ends/opensshserver.config";

/// What one device said last time in these blocks.
#[derive(Debug, PartialEq, Eq)]
pub struct Settled {
    stamp: String,
    /// The shell text that asked: another request covers other files.
    asked: String,
    /// Exit code and length of each block, in the order in which they stand in `text`.
    blocks: BTreeMap<String, (i32, usize)>,
    /// Compressed.
    text: Vec<u8>,
}

/// What devices said, by device. Lives as long as its owner, who observes again and again.
#[derive(Debug, Default)]
pub struct Kept {
    devices: Mutex<HashMap<String, Arc<Settled>>>,
}

impl Kept {
    /// What this device said.
    pub fn of(&self, device: &str) -> Option<Arc<Settled>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner).get(device).cloned()
    }

    /// Remembers it in place of what was known.
    pub(super) fn put(&self, device: &str, settled: Option<Arc<Settled>>) {
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        devices.remove(device);
        if let Some(settled) = settled
            && devices.values().map(|s| s.text.len()).sum::<usize>() + settled.text.len() <= MAX_TOTAL
        {
            devices.insert(device.to_owned(), settled);
        }
    }
}

/// The part of a script that asks for the stamp, and which blocks it covers.
pub(super) struct Question {
    covered: BTreeSet<&'static str>,
    /// Shell text, without what was known.
    text: String,
    /// Seconds for which the files have to have been left alone.
    rest: i32,
}

impl Question {
    /// For a script with these blocks and these plain files.
    pub(super) fn new(files: &BTreeSet<&'static str>, blocks: &BTreeSet<&'static str>) -> Self {
        let mut covered = BTreeSet::new();
        let mut text = String::from("set --");
        let plain: Vec<&str> = files.iter().copied().filter(|path| script::files_block(path) == PLAIN).collect();
        if !plain.is_empty() {
            covered.insert(PLAIN);
            let _ = write!(text, " {}", plain.join(" "));
        }
        text.push('\n');
        for repeats in REPEATS.iter().filter(|r| blocks.contains(r.block)) {
            covered.insert(repeats.block);
            let test = if repeats.only.is_empty() { String::new() } else { format!("{} && ", repeats.only) };
            let _ = writeln!(text, "{test}set -- \"$@\" {}", repeats.files.join(" "));
        }
        // -L: what a link leads to is what is read. %d: another disk in the same place is another file.
        text.push_str("H=$(t stat -L -c '%n %d %i %s %f %y %z' \"$@\" | t sha256sum)\nH=${H%% *}\n");
        Self { covered, text, rest: REST }
    }

    /// The shell text. `known` is what the device said when the very same was asked.
    pub(super) fn ask(&self, known: Option<&Settled>) -> String {
        let mut text = self.text.clone();
        let stamp = known.filter(|known| known.asked == self.text).map_or("", |known| &known.stamp);
        // Only a stamp that is not known yet has to prove itself: two processes that a quiet device is spared.
        let _ = writeln!(
            text,
            "O=$H\n[ \"$H\" = '{stamp}' ] || {{\nH=\nD=$(date +%s)\nfor z in $(t stat -L -c %Z \"$@\"); do\n\
             [ \"$z\" -lt $((D - {})) ] || O=young\ndone\n}}",
            self.rest
        );
        let _ = writeln!(text, "b {STAMP}\nprintf '%s\\n' \"$O\"\ne {STAMP} 0");
        text
    }

    /// A block of the script, left out where the stamp is the same.
    pub(super) fn guard(&self, name: &str, known: Option<&Settled>, block: &str) -> String {
        let Some(covered) = self.covered.get(name).filter(|_| known.is_some_and(|k| k.blocks.contains_key(name))) else {
            return block.to_owned();
        };
        let only = REPEATS.iter().find(|r| r.block == *covered).map_or("", |r| r.only);
        let test = if only.is_empty() { String::new() } else { format!(" && {only}") };
        format!("if [ -n \"$H\" ]{test}; then\ns {name}\nelse\n{block}fi\n")
    }

    /// What the device has said, to be kept. `None` where it gave no stamp that could be trusted.
    pub(super) fn keep(&self, frames: &Frames<'_>) -> Option<Settled> {
        let stamp = std::str::from_utf8(frames.blocks.get(STAMP)?.bytes).ok()?.trim();
        if stamp.len() != 64 || stamp == NOTHING || !stamp.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let mut blocks = BTreeMap::new();
        let mut text = ZlibEncoder::new(Vec::new(), Compression::fast());
        let whole = |name: &&&str| **name != "sshd" || includes_are_covered(frames);
        for name in self.covered.iter().filter(whole) {
            // One that did not end well may do better next time; grep says 2 where one of many files is absent.
            let Some(block) = frames.blocks.get(*name).filter(|b| b.code == 0 || (*name == PLAIN && b.code <= 2)) else { continue };
            blocks.insert((*name).to_owned(), (block.code, block.bytes.len()));
            text.write_all(block.bytes).ok()?;
        }
        let total: usize = blocks.values().map(|(_, length)| length).sum();
        let text = text.finish().ok().filter(|_| total <= MAX_DEVICE && total > 0)?;
        Some(Settled { stamp: stamp.to_owned(), asked: self.text.clone(), blocks, text })
    }
}

/// Whether sshd reads nothing but files that the stamp covers.
fn includes_are_covered(frames: &Frames<'_>) -> bool {
    let Some(files) = frames.blocks.get(PLAIN) else { return false };
    let text = String::from_utf8_lossy(files.bytes);
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("/etc/ssh/sshd_config")).peekable();
    lines.peek().is_some()
        && lines.all(|line| {
            let setting = line.split_once(':').map_or("", |(_, setting)| setting).trim_start();
            let mut words = setting.split([' ', '\t', '=', '"']).filter(|word| !word.is_empty());
            let includes = words.next().is_some_and(|word| word.eq_ignore_ascii_case("include"));
            !includes || words.all(|path| [INCLUDED, "sshd_config.d/*.conf", CRYPTO_POLICY].contains(&path))
        })
}

impl Settled {
    /// The text of all its blocks.
    pub(super) fn unpack(&self) -> Vec<u8> {
        let total = self.blocks.values().map(|(_, length)| length).sum();
        let mut text = Vec::with_capacity(total);
        // Our own bytes in our own memory; one that cannot be read is damaged like any other.
        let _ = ZlibDecoder::new(&*self.text).take(total as u64).read_to_end(&mut text);
        text
    }

    /// Puts the blocks that the device did not repeat where they would have been.
    pub(super) fn fill<'a>(&self, text: &'a [u8], frames: &mut Frames<'a>) {
        let mut from = 0;
        for (name, (code, length)) in &self.blocks {
            if frames.same.remove(name)
                && let Some(bytes) = text.get(from..from + length)
            {
                frames.blocks.insert(name.clone(), Block { code: *code, bytes });
            }
            from += length;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::super::frames;
    use super::*;

    /// A device that reads the files of one folder, asked by the very shell text.
    struct Asked {
        question: Question,
        pattern: &'static str,
    }

    impl Asked {
        fn new(folder: &Path) -> Self {
            let pattern: &'static str = Box::leak(format!("{}/*", folder.display()).into_boxed_str());
            // The files of these tests have just been written.
            Self { question: Question { rest: -60, ..Question::new(&BTreeSet::from([pattern]), &BTreeSet::new()) }, pattern }
        }

        fn answer(&self, known: Option<&Settled>) -> Vec<u8> {
            let block = format!("b files-etc\nt grep -sH '' {}\ne files-etc $?\n", self.pattern);
            let mut body = self.question.ask(known);
            body += &self.question.guard(PLAIN, known, &block);
            let text = script::framed("n0nce", &body);
            Command::new("/bin/sh").args(["-c", &text]).output().unwrap().stdout
        }
    }

    #[test]
    fn what_stands_in_unchanged_files_is_said_once() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("motd"), "hello\n").unwrap();
        let asked = Asked::new(folder.path());

        let first = asked.answer(None);
        let first_frames = frames::read(&first, "n0nce");
        assert!(first_frames.finished && first_frames.same.is_empty());
        let known = asked.question.keep(&first_frames).unwrap();

        let second = asked.answer(Some(&known));
        let mut second_frames = frames::read(&second, "n0nce");
        assert_eq!(second_frames.same, BTreeSet::from([PLAIN.to_owned()]));
        let text = known.unpack();
        known.fill(&text, &mut second_frames);
        assert_eq!(second_frames.blocks[PLAIN], first_frames.blocks[PLAIN]);
        assert!(second_frames.same.is_empty());
    }

    #[test]
    fn any_change_of_a_file_makes_the_device_say_everything_again() {
        let folder = tempfile::tempdir().unwrap();
        let motd = folder.path().join("motd");
        std::fs::write(&motd, "hello\n").unwrap();
        let asked = Asked::new(folder.path());
        let changes: [(&str, &dyn Fn()); 4] = [
            ("as long as before, with the old time", &|| {
                let before = std::fs::metadata(&motd).unwrap().modified().unwrap();
                std::fs::write(&motd, "HELLO\n").unwrap();
                std::fs::File::options().write(true).open(&motd).unwrap().set_modified(before).unwrap();
            }),
            ("another file", &|| std::fs::write(folder.path().join("issue"), "x\n").unwrap()),
            ("exchanged", &|| {
                std::fs::write(folder.path().join("new"), "HELLO\n").unwrap();
                std::fs::rename(folder.path().join("new"), &motd).unwrap();
            }),
            ("gone", &|| std::fs::remove_file(&motd).unwrap()),
        ];
        for (what, change) in changes {
            let before = asked.answer(None);
            let known = asked.question.keep(&frames::read(&before, "n0nce")).unwrap();
            change();
            let after = asked.answer(Some(&known));
            let after = frames::read(&after, "n0nce");
            assert!(after.same.is_empty() && after.blocks.contains_key(PLAIN), "{what}");
        }
    }

    #[test]
    fn a_file_that_has_just_been_written_is_not_trusted_to_stay() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("motd"), "hello\n").unwrap();
        let mut asked = Asked::new(folder.path());
        asked.question.rest = 3600;
        let answer = asked.answer(None);
        let frames = frames::read(&answer, "n0nce");
        assert!(frames.blocks.contains_key(PLAIN));
        assert_eq!(asked.question.keep(&frames), None);
        assert_eq!(Question::new(&BTreeSet::new(), &BTreeSet::new()).rest, REST);
    }

    #[test]
    fn a_device_without_a_stamp_is_asked_for_everything_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let asked = Asked::new(&folder.path().join("absent"));
        let answer = asked.answer(None);
        let frames = frames::read(&answer, "n0nce");
        assert_eq!(std::str::from_utf8(frames.blocks[STAMP].bytes).unwrap().trim(), NOTHING);
        assert_eq!(asked.question.keep(&frames), None);
        for damaged in ["", "x", "e3b0"] {
            let answer = format!("@n begin stamp\n{damaged}\n\n@n end stamp 0\n@n begin files-etc\nx\n\n@n end files-etc 0\n");
            assert_eq!(asked.question.keep(&frames::read(answer.as_bytes(), "n")), None);
        }
    }

    #[test]
    fn a_stamp_of_other_files_counts_for_nothing() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(one.path().join("motd"), "one\n").unwrap();
        let (one, two) = (Asked::new(one.path()), Asked::new(two.path()));
        let answer = one.answer(None);
        let known = one.question.keep(&frames::read(&answer, "n0nce")).unwrap();
        assert!(!two.question.ask(Some(&known)).contains(&known.stamp));
    }

    #[test]
    fn what_the_device_calls_the_same_but_nobody_knows_is_not_made_up() {
        let known = Settled { stamp: String::new(), asked: String::new(), blocks: BTreeMap::new(), text: Vec::new() };
        let mut frames = frames::read(b"@n same packages\n@n done\n", "n");
        let text = known.unpack();
        known.fill(&text, &mut frames);
        assert!(frames.blocks.is_empty() && frames.same.contains("packages"));
    }

    #[test]
    fn an_include_elsewhere_keeps_sshd_from_being_taken_as_settled() {
        let covered = |config: &str| {
            let text = format!("@n begin files-etc\n{config}\n@n end files-etc 0\n");
            includes_are_covered(&frames::read(text.as_bytes(), "n"))
        };
        assert!(covered("/etc/ssh/sshd_config:Include /etc/ssh/sshd_config.d/*.conf\n/etc/ssh/sshd_config:Port 22\n"));
        assert!(covered("/etc/ssh/sshd_config:#Include /opt/x\n"));
        assert!(!covered("/etc/ssh/sshd_config:Include /opt/sshd/*.conf\n"));
        assert!(!covered("/etc/ssh/sshd_config.d/a.conf: include=\"/opt/x\"\n"));
        assert!(!covered("/etc/passwd:root:x\n"));
    }

    #[test]
    fn what_all_devices_say_is_bounded() {
        let kept = Kept::default();
        let of =
            |bytes: usize| Arc::new(Settled { stamp: String::new(), asked: String::new(), blocks: BTreeMap::new(), text: vec![0; bytes] });
        kept.put("a", Some(of(MAX_TOTAL - 10)));
        kept.put("b", Some(of(20)));
        assert!(kept.of("a").is_some() && kept.of("b").is_none());
        kept.put("a", None);
        kept.put("b", Some(of(20)));
        assert!(kept.of("a").is_none() && kept.of("b").is_some());
    }
}
