//! What a device is asked while a file is copied: the same six questions to sh and to PowerShell. No session is opened here.

mod posix;
mod windows;

use std::time::Duration;

use crate::transport::{Command, Output};

#[cfg(test)]
pub(super) use windows::SCRIPTS as WINDOWS;

/// Time for a question about a whole file: reading it for its hash.
const WHOLE: Duration = Duration::from_hours(1);

/// A file on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FarFile {
    pub(super) size: u64,
    pub(super) sha256: String,
}

/// Why a device did not do its part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FarError {
    /// There is no such file.
    Missing,
    /// There is something else in its place: a folder, a device.
    NotAFile,
    /// The piece does not follow what is there.
    OutOfStep,
    /// What has arrived is not what was sent.
    Differs,
    /// In the device's words.
    Other(String),
}

impl FarError {
    /// By the exit codes that both programs use.
    fn of(output: &Output) -> Self {
        match output.code {
            43 => Self::Missing,
            44 => Self::NotAFile,
            45 => Self::OutOfStep,
            46 => Self::Differs,
            code => {
                let words = String::from_utf8_lossy(&output.stderr);
                let words: String = words.trim().chars().filter(|c| !c.is_control()).take(300).collect();
                Self::Other(if words.is_empty() { format!("ended with exit code {code}") } else { words })
            }
        }
    }
}

impl std::fmt::Display for FarError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Missing => "there is no such file on the device",
            Self::NotAFile => "on the device there is something else than a file in that place",
            Self::OutOfStep => "somebody else writes to the same file on the device",
            Self::Differs => "what has arrived is not what was sent: the SHA-256 differs",
            Self::Other(words) => words,
        })
    }
}

/// How a kind of device is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Far {
    Posix,
    Windows,
}

impl Far {
    /// Most bytes of one piece.
    pub(super) fn piece(self) -> u64 {
        match self {
            Self::Posix => 4 << 20,
            Self::Windows => 512 << 10,
        }
    }

    /// Where a file is gathered before it gets its name: beside it, by what it is to be, so that only the same file goes on.
    pub(super) fn part_of(self, path: &str, sha256: &str) -> String {
        let separators: &[char] = if self == Self::Windows { &['/', '\\'] } else { &['/'] };
        let at = path.rfind(separators).map_or(0, |at| at + 1);
        format!("{}.{}.rmm-part-{}", &path[..at], &path[at..], &sha256[..12.min(sha256.len())])
    }

    /// Size and hash of a file.
    pub(super) fn look(self, path: &str) -> Command {
        let command = match self {
            Self::Posix => posix::look(path),
            Self::Windows => windows::look(path),
        };
        Command { timeout: Some(WHOLE), ..command }
    }

    /// How much of a file has been gathered.
    pub(super) fn gathered(self, part: &str) -> Command {
        match self {
            Self::Posix => posix::gathered(part),
            Self::Windows => windows::gathered(part),
        }
    }

    /// Puts a piece at the end of what has been gathered, which must be `at` bytes; begins anew where that is 0.
    pub(super) fn append(self, part: &str, at: u64, piece: Vec<u8>) -> Command {
        match self {
            Self::Posix => posix::append(part, at, piece),
            Self::Windows => windows::append(part, at, &piece),
        }
    }

    /// Gives what was gathered its name, where it is what it should be.
    pub(super) fn finish(self, part: &str, path: &str, sha256: &str) -> Command {
        let command = match self {
            Self::Posix => posix::finish(part, path, sha256),
            Self::Windows => windows::finish(part, path, sha256),
        };
        Command { timeout: Some(WHOLE), ..command }
    }

    /// Forgets what was gathered.
    pub(super) fn forget(self, part: &str) -> Command {
        match self {
            Self::Posix => posix::forget(part),
            Self::Windows => windows::forget(part),
        }
    }

    /// A piece of a file.
    pub(super) fn read(self, path: &str, at: u64, length: u64) -> Command {
        let command = match self {
            Self::Posix => posix::read(path, at, length),
            Self::Windows => windows::read(path, at, length),
        };
        Command { max_output: Some(length * 2 + 4096), ..command }
    }

    /// The answer to [`Far::look`]: two lines.
    pub(super) fn looked(output: &Output) -> Result<FarFile, FarError> {
        let text = answer(output)?;
        let mut lines = text.lines().map(str::trim);
        let size = lines.next().and_then(|line| line.parse().ok());
        let sha256 =
            lines.next().map(str::to_ascii_lowercase).filter(|hash| hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()));
        match (size, sha256) {
            (Some(size), Some(sha256)) => Ok(FarFile { size, sha256 }),
            (Some(_), None) => Err(FarError::Other("the device has no program for SHA-256: sha256sum, shasum or openssl".into())),
            _ => Err(FarError::Other("the device gave no size".into())),
        }
    }

    /// The answer to [`Far::gathered`].
    pub(super) fn number(output: &Output) -> Result<u64, FarError> {
        answer(output)?.trim().parse().map_err(|_| FarError::Other("the device gave no size".into()))
    }

    /// The answer to [`Far::read`].
    pub(super) fn bytes(self, output: Output) -> Result<Vec<u8>, FarError> {
        use base64::Engine as _;
        if output.code != 0 {
            return Err(FarError::of(&output));
        }
        match self {
            Self::Posix => Ok(output.stdout),
            Self::Windows => {
                let text: Vec<u8> = output.stdout.into_iter().filter(|b| !b.is_ascii_whitespace()).collect();
                base64::engine::general_purpose::STANDARD.decode(text).map_err(|_| FarError::Other("a piece arrived damaged".into()))
            }
        }
    }

    /// Nothing but whether it worked.
    pub(super) fn worked(output: &Output) -> Result<(), FarError> {
        if output.code == 0 { Ok(()) } else { Err(FarError::of(output)) }
    }
}

fn answer(output: &Output) -> Result<String, FarError> {
    Far::worked(output)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_lies_beside_its_file() {
        let hash = "0123456789abcdef";
        assert_eq!(Far::Posix.part_of("/srv/a b.bin", hash), "/srv/.a b.bin.rmm-part-0123456789ab");
        assert_eq!(Far::Posix.part_of("/a\\b", hash), "/.a\\b.rmm-part-0123456789ab");
        assert_eq!(Far::Windows.part_of("C:\\Data\\a.bin", hash), "C:\\Data\\.a.bin.rmm-part-0123456789ab");
        assert_eq!(Far::Windows.part_of("C:/Data/a.bin", hash), "C:/Data/.a.bin.rmm-part-0123456789ab");
    }

    #[test]
    fn paths_reach_windows_as_data() {
        let path = "C:\\'; Remove-Item C:\\ #.bin";
        for command in [
            Far::Windows.look(path),
            Far::Windows.gathered(path),
            Far::Windows.append(path, 0, vec![1, 2]),
            Far::Windows.finish(path, path, "00"),
            Far::Windows.forget(path),
            Far::Windows.read(path, 5, 10),
        ] {
            assert!(!command.line.contains("Remove-Item C:"), "{}", command.line);
            let sent: serde_json::Value = serde_json::from_slice(&command.input).unwrap();
            assert!(!sent["script"].as_str().unwrap().contains("Remove-Item C:"));
            assert!(sent["params"].to_string().contains("Remove-Item C:"));
        }
    }

    #[test]
    fn what_a_device_answers_is_checked() {
        let output = |code, text: &str| Output { code, stdout: text.as_bytes().to_vec(), stderr: b"no room\n".to_vec() };
        let hash = "a".repeat(64);
        assert_eq!(Far::looked(&output(0, &format!("12\n{}\n", hash.to_uppercase()))), Ok(FarFile { size: 12, sha256: hash }));
        assert!(Far::looked(&output(0, "12\n\n")).is_err());
        assert_eq!(Far::looked(&output(43, "")), Err(FarError::Missing));
        assert_eq!(Far::worked(&output(1, "")), Err(FarError::Other("no room".into())));
        assert_eq!(Far::Windows.bytes(output(0, "AQID\r\n")), Ok(vec![1, 2, 3]));
        assert!(Far::Windows.bytes(output(0, "!")).is_err());
    }
}
