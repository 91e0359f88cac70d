//! Recordings of what Windows itself writes, in checkouts of other projects and in folders of one's own: found, decoded, told.
//!
//! None of them stands in this repository. The tests beside the parsers call this; `tests/windows-output` runs them by hand.

use std::path::{Path, PathBuf};

/// Largest file that is looked at, in bytes.
const LARGEST: u64 = 512 << 20;

/// What a recording is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What `secedit` writes: exports, and the templates in backups of group policies.
    SecurityPolicy,
    /// What `auditpol /backup` writes, and the same in backups of group policies.
    AuditPolicy,
    /// The class of installed updates, as `wmic qfe` shows it.
    Hotfixes,
    /// Rules of the firewall as the registry keeps them.
    FirewallRules,
    /// Standard error of PowerShell as XML.
    Errors,
    /// Records of the logs System, Application and Security.
    Events,
}

impl Kind {
    /// Whether a file may be one, by its name: of the others nothing is read.
    fn may_be(self, path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let extension = path.extension().and_then(|end| end.to_str()).unwrap_or_default().to_ascii_lowercase();
        let of: &[&str] = match self {
            Self::SecurityPolicy => &["inf", "cfg", "txt", ""],
            Self::AuditPolicy => &["csv", "txt", ""],
            // XP had other columns, and rmm does not manage it.
            Self::Hotfixes => return extension == "txt" && !name.starts_with("xp_"),
            Self::FirewallRules => &["reg", "pol", "json", "txt"],
            Self::Errors => &["xml", "py", "txt"],
            Self::Events => &["json"],
        };
        of.contains(&&*extension)
    }

    /// Whether a text is one.
    fn is(self, text: &str) -> bool {
        let line = |wanted: &str| text.lines().any(|line| line.trim() == wanted);
        match self {
            Self::SecurityPolicy => line("[System Access]") || line("[Privilege Rights]"),
            Self::AuditPolicy => text.contains("-505054503030},"),
            Self::Hotfixes => text.lines().take(4).any(|line| line.contains("HotFixID") && line.contains("InstalledOn")),
            Self::FirewallRules => text.contains("|Action=") && text.contains("|Dir="),
            Self::Errors => text.contains("#< CLIXML") || text.contains("IzwgQ0xJWE1M"),
            Self::Events => text.starts_with('{') && text.contains("\"Channel\"") && text.contains("\"EventID\""),
        }
    }
}

/// What came of a recording.
pub(crate) enum Took {
    /// So many records, and each is what it is when it is read by other means.
    Records(usize),
    /// Nothing, and rightly so: why.
    Nothing(String),
}

/// One file.
pub(crate) struct Recording {
    /// Where it stands in its checkout.
    pub(crate) name: String,
    /// As PowerShell reads a text: by the mark at its beginning, else as UTF-8.
    pub(crate) text: String,
}

/// A project that keeps recordings, as it was when its licence was looked up.
struct Source {
    /// What only this one has.
    mark: &'static str,
    project: &'static str,
    licence: &'static str,
    /// Version and language of Windows; nothing where the names of the files tell them.
    windows: &'static str,
}

const fn source(mark: &'static str, project: &'static str, licence: &'static str, windows: &'static str) -> Source {
    Source { mark, project, licence, windows }
}

const SOURCES: &[Source] = &[
    source("validation/_listupdates.vbs", "bitsadmin/wesng", "BSD-3-Clause", ""),
    source("inspec-core.gemspec", "inspec/inspec", "Apache-2.0", "version not told, English, shortened by its keepers"),
    source("Windows/Group Policy Objects", "nsacyber/Windows-Secure-Host-Baseline", "CC0-1.0", "Windows 10, English"),
    source("convertgpotodsc", "microsoft/BaselineManagement", "MIT", "version not told, English"),
    source("source/SecurityPolicyDsc.psd1", "dsccommunity/SecurityPolicyDsc", "MIT", "version not told, English"),
    source("AuditPolicyDsc.psd1", "dsccommunity/AuditPolicyDsc", "MIT", "version not told, English"),
    source("lib/puppet/type/local_security_policy.rb", "ayohrling/local_security_policy", "Apache-2.0", "version not told, English"),
    source("datasets/atomic/windows", "OTRF/Security-Datasets", "MIT", "version not told, English"),
    source("tests/tests_pypsrp", "jborean93/pypsrp", "MIT", "version not told, English"),
    source("winrm/tests/conftest.py", "diyan/pywinrm", "MIT", "version not told, English"),
];

/// Shows each recording of a kind in the folders of `RMM_WINDOWS_OUTPUT`, one a line, to `take`, and prints what came of it. Fails
/// where any is read otherwise than by other means.
pub(crate) fn each(kind: Kind, take: impl Fn(&Recording) -> Result<Took, String>) {
    let folders = std::env::var("RMM_WINDOWS_OUTPUT").expect("run tests/windows-output: it says in RMM_WINDOWS_OUTPUT what to read");
    let (mut seen, mut wrong) = (0, 0);
    for root in folders.lines().filter(|line| !line.is_empty()).map(Path::new) {
        let source = SOURCES.iter().find(|source| root.join(source.mark).exists());
        let mut files = Vec::new();
        walk(root, &mut files);
        files.sort();
        for path in files.iter().filter(|path| kind.may_be(path)) {
            let Some(text) = decoded(&std::fs::read(path).unwrap_or_default()).filter(|text| kind.is(text)) else { continue };
            let name = path.strip_prefix(root).unwrap_or(path).display().to_string();
            let recording = Recording { name, text };
            let (came, told) = match take(&recording) {
                Ok(Took::Records(number)) => ("taken", format!("{number} records")),
                Ok(Took::Nothing(why)) => ("refused", why),
                Err(why) => ("DIFFERS", why),
            };
            seen += 1;
            wrong += usize::from(came == "DIFFERS");
            println!("{came:7} {kind:?} | {told} | {} | {}", whose(root, source, &recording.name), recording.name);
        }
    }
    println!("{kind:?}: {seen} recordings, {wrong} differ");
    assert_eq!(wrong, 0, "recordings are read otherwise than by other means");
}

/// Project, licence, and version and language of Windows.
fn whose(root: &Path, source: Option<&Source>, name: &str) -> String {
    let Some(source) = source else { return format!("{}, of your own", root.display()) };
    let windows = if source.windows.is_empty() {
        let stem = Path::new(name).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        format!("Windows {}", stem.replace('_', " "))
    } else {
        source.windows.to_owned()
    };
    format!("{}, {} | {windows}", source.project, source.licence)
}

/// All files below a folder, or a file itself. Links are not followed.
fn walk(place: &Path, files: &mut Vec<PathBuf>) {
    let Ok(about) = std::fs::symlink_metadata(place) else { return };
    if about.is_file() && about.len() <= LARGEST {
        files.push(place.to_owned());
    } else if about.is_dir() && place.file_name().is_none_or(|name| name != ".git") {
        for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
            walk(&entry.path(), files);
        }
    }
}

/// A text as PowerShell reads it. Registry policies are UTF-16 behind a head of eight bytes.
fn decoded(bytes: &[u8]) -> Option<String> {
    let wide = |bytes: &[u8]| {
        let units = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect::<String>()
    };
    match bytes {
        [] => None,
        [0xff, 0xfe, rest @ ..] | [b'P', b'R', b'e', b'g', _, _, _, _, rest @ ..] => Some(wide(rest)),
        _ => Some(String::from_utf8_lossy(bytes).trim_start_matches('\u{feff}').to_owned()),
    }
}
