//! Whether commits are signed by somebody who is trusted on this machine: SSH keys from a file of allowed signers, OpenPGP
//! keys by their fingerprints. `git verify-commit` does the arithmetic, with nothing that the user or the repository has set.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::follow::FollowError;
use super::git::Git;
use crate::model::config;

/// Who is trusted.
#[derive(Debug, Clone)]
pub(super) struct Signers {
    ssh: Option<PathBuf>,
    keys: Option<PathBuf>,
    fingerprints: Vec<String>,
}

impl Signers {
    /// As `[repository]` names them, from `root`. A file that is missing is refused here, not at the first commit.
    pub(super) fn new(settings: &config::Repository, root: &Path) -> Result<Self, FollowError> {
        let refuse = |reason: String| Err(FollowError::Settings { reason });
        let file =
            |name: &Option<String>| name.as_ref().map(|name| std::path::absolute(root.join(name)).unwrap_or_else(|_| root.join(name)));
        let (ssh, keys) = (file(&settings.allowed_signers), file(&settings.trusted_keys));
        for path in ssh.iter().chain(&keys) {
            if !path.is_file() {
                return refuse(format!("the file of trusted keys {} does not exist", path.display()));
            }
        }
        let plain = |text: &String| text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_uppercase();
        let fingerprints: Vec<String> = settings.trusted_fingerprints.iter().map(plain).collect();
        if let Some(bad) = fingerprints.iter().find(|f| !matches!(f.len(), 40 | 64) || !f.bytes().all(|b| b.is_ascii_hexdigit())) {
            return refuse(format!("'{}' is not a whole fingerprint: 40 hexadecimal digits", bad.escape_debug()));
        }
        if keys.is_some() == fingerprints.is_empty() {
            return refuse("trusted_keys and trusted_fingerprints belong together".into());
        }
        if ssh.is_none() && keys.is_none() {
            return refuse("require_signed_commits needs allowed_signers, or trusted_keys with trusted_fingerprints".into());
        }
        Ok(Self { ssh, keys, fingerprints })
    }
}

/// Whether all of these commits are signed; the error names the first that is not. `dir` is where a keyring may be made.
pub(super) fn verify(git: &Git, signers: &Signers, dir: &Path, commits: &[String]) -> Result<(), FollowError> {
    let ring = Keyring::make(dir, signers)?;
    let nobody = "/dev/null".to_owned();
    let ssh = signers.ssh.as_ref().map_or(nobody, |path| path.display().to_string());
    let git = git
        .clone()
        .with(format!("gpg.ssh.allowedSignersFile={ssh}"))
        .with("gpg.ssh.program=ssh-keygen")
        // The signature itself says of which form it is: those that are not trusted have no program.
        .with(format!("gpg.program={}", if ring.is_some() { "gpg" } else { "false" }))
        .with(format!("gpg.openpgp.program={}", if ring.is_some() { "gpg" } else { "false" }))
        .with("gpg.x509.program=false")
        .with("gpg.minTrustLevel=undefined")
        .variable("GNUPGHOME", ring.as_ref().map_or_else(|| PathBuf::from("/nonexistent"), |ring| ring.0.clone()));
    for commit in commits {
        let refused = |reason: &str| FollowError::Unsigned { commit: commit.chars().take(12).collect(), reason: reason.to_owned() };
        let answer = git.ask(&["verify-commit", "--raw", "--end-of-options", commit])?;
        judge(answer.success, &answer.err, signers).map_err(|reason| refused(&reason))?;
    }
    Ok(())
}

/// What the answer of `git verify-commit --raw` comes to.
fn judge(success: bool, said: &str, signers: &Signers) -> Result<(), String> {
    let status =
        |word: &str| said.lines().filter_map(|line| line.strip_prefix("[GNUPG:] ")).find(|line| line.split(' ').next() == Some(word));
    if said.trim().is_empty() {
        return Err("it is not signed".into());
    }
    if said.lines().any(|line| line.starts_with("[GNUPG:] ")) {
        for (word, why) in [
            ("BADSIG", "its signature does not fit it"),
            ("NO_PUBKEY", "it is signed with a key that is not trusted"),
            ("REVKEYSIG", "its key was revoked"),
            ("EXPKEYSIG", "its key has expired"),
            ("EXPSIG", "its signature has expired"),
            ("ERRSIG", "its signature cannot be checked"),
        ] {
            if status(word).is_some() {
                return Err(why.into());
            }
        }
        let signed = status("VALIDSIG").filter(|_| success && status("GOODSIG").is_some());
        let fields: Vec<&str> = signed.map(|line| line.split(' ').collect()).unwrap_or_default();
        // The key that signed, and the one that it belongs to.
        let trusted = [fields.get(1), fields.get(10)].into_iter().flatten().any(|key| signers.fingerprints.iter().any(|f| f == key));
        return if trusted { Ok(()) } else { Err("it is signed with a key that is not trusted".into()) };
    }
    if success && signers.ssh.is_some() && said.starts_with("Good \"git\" signature for ") {
        return Ok(());
    }
    let line = said.lines().next().unwrap_or_default();
    Err(if line.contains("No principal matched") || line.starts_with("Good \"git\" signature with") {
        "it is signed with a key that is not trusted".into()
    } else {
        format!("its signature cannot be accepted ({})", line.chars().filter(|c| !c.is_control()).take(160).collect::<String>())
    })
}

/// A keyring that holds the trusted keys and nothing else. It goes away with this value.
struct Keyring(PathBuf);

impl Keyring {
    fn make(dir: &Path, signers: &Signers) -> Result<Option<Self>, FollowError> {
        use std::os::unix::fs::DirBuilderExt as _;
        let Some(keys) = &signers.keys else { return Ok(None) };
        let failed = |reason: String| FollowError::Settings { reason };
        let ring = Self(dir.join(format!("keyring-{}-{:08x}", std::process::id(), rand::random::<u32>())));
        std::fs::DirBuilder::new().mode(0o700).create(&ring.0).map_err(|e| failed(format!("no room for a keyring: {e}")))?;
        let mut command = Command::new("gpg");
        for (name, _) in std::env::vars_os().filter(|(name, _)| crate::model::wiped::is_secret_variable(name)) {
            command.env_remove(name);
        }
        command.args(["--homedir"]).arg(&ring.0).args(["--batch", "--quiet", "--no-tty", "--no-autostart", "--import"]).arg(keys);
        command.env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let output = command.output().map_err(|e| failed(format!("gpg cannot be run: {e}")))?;
        if output.status.success() {
            return Ok(Some(ring));
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(failed(format!("{} holds no keys that gpg can read: {}", keys.display(), said.lines().next().unwrap_or_default())))
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signers(ssh: bool, fingerprints: &[&str]) -> Signers {
        let fingerprints = fingerprints.iter().map(|f| (*f).to_owned()).collect();
        Signers { ssh: ssh.then(|| PathBuf::from("/x")), keys: None, fingerprints }
    }

    #[test]
    fn only_a_good_signature_by_a_listed_key_counts() {
        let key = "A".repeat(40);
        let valid =
            format!("[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG 1 Kim\n[GNUPG:] VALIDSIG {} 2026-11-21 1 0 4 0 22 10 00 {key}\n", "B".repeat(40));
        assert!(judge(true, &valid, &signers(true, &[&key])).is_ok());
        assert!(judge(true, &valid, &signers(true, &[&"C".repeat(40)])).unwrap_err().contains("not trusted"));
        assert!(judge(false, &valid, &signers(true, &[&key])).is_err());
        assert!(judge(true, &valid.replace("GOODSIG", "EXPKEYSIG"), &signers(true, &[&key])).unwrap_err().contains("expired"));
        assert!(judge(true, "", &signers(true, &[&key])).unwrap_err().contains("not signed"));
        // A name that speaks like the program.
        assert!(judge(false, "Good \"git\" signature for kim\n", &signers(true, &[])).is_err());
        assert!(judge(true, "Good \"git\" signature for kim with ED25519 key SHA256:x\n", &signers(true, &[])).is_ok());
        assert!(judge(true, "Good \"git\" signature for kim with ED25519 key SHA256:x\n", &signers(false, &[])).is_err());
        assert!(
            judge(true, "Good \"git\" signature with ED25519 key SHA256:x\n", &signers(true, &[])).unwrap_err().contains("not trusted")
        );
    }
}
