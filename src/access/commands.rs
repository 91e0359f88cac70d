//! Secrets that another program gives: `~/.config/rmm/secrets.toml` names the program for each of them. The file belongs to whoever runs
//! this, and is nowhere near a repository: a commit must not be able to start a program here.
//!
//! ```toml
//! [commands]
//! ws-password = ["op", "read", "op://it/ws/password"]
//! db-password = ["vault", "kv", "get", "-field=password", "it/db"]
//! ```

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long its answer is used again: a fleet asks for the same password 10,000 times.
const KEPT: Duration = Duration::from_mins(5);
/// How long one that failed is not asked again.
const REFUSED: Duration = Duration::from_secs(30);
const MOST_BYTES: u64 = super::secrets::MAX_BYTES;

/// Programs that give secrets, and what they gave lately.
#[derive(Debug, Clone)]
pub(super) struct Commands {
    path: PathBuf,
    asked: Arc<Mutex<HashMap<String, Arc<Mutex<Asked>>>>>,
}

/// What the program of one secret said last, and when.
type Asked = Option<(Instant, Result<SecretString, String>)>;

impl Commands {
    /// In the folder where the user keeps what belongs to `rmm`.
    pub(super) fn new(config: &Path) -> Self {
        Self { path: config.join("secrets.toml"), asked: Arc::default() }
    }

    /// The file that names them.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The program for each secret.
    pub(super) fn all(&self) -> Result<BTreeMap<String, Vec<String>>, String> {
        let file = match std::fs::File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(error.to_string()),
        };
        let meta = file.metadata().map_err(|error| error.to_string())?;
        let user = rustix::process::geteuid().as_raw();
        if meta.uid() != user && meta.uid() != 0 {
            return Err(format!("it belongs to user {}, not to user {user}, and names programs that are started", meta.uid()));
        }
        if meta.mode() & 0o022 != 0 {
            return Err(format!("its mode is {:04o}: others could have a program started; run chmod 600", meta.mode() & 0o7777));
        }
        let mut text = String::new();
        file.take(1 << 20).read_to_string(&mut text).map_err(|error| error.to_string())?;
        parse(&text)
    }

    /// The secret that its program gives; nothing where none is named. Programs of different secrets do not wait for each other.
    pub(super) fn get(&self, name: &str) -> Result<Option<SecretString>, String> {
        let Some(words) = self.all().map_err(|reason| format!("{}: {reason}", self.path.display()))?.remove(name) else { return Ok(None) };
        let asked = Arc::clone(self.asked.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_default());
        off_the_worker(|| {
            let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
            let fresh = |(when, said): &(Instant, Result<SecretString, String>)| when.elapsed() < if said.is_ok() { KEPT } else { REFUSED };
            if asked.as_ref().is_none_or(|known| !fresh(known)) {
                *asked = Some((Instant::now(), answer(&words)));
            }
            asked.as_ref().map(|(_, said)| said.clone()).transpose()
        })
    }
}

/// The programs that a file names. What is wrong with it is told without a word of it: somebody may have written the secret itself there.
fn parse(text: &str) -> Result<BTreeMap<String, Vec<String>>, String> {
    let table: toml::Table = toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        format!("line {} is not TOML", before.matches('\n').count() + 1)
    })?;
    let mut commands = BTreeMap::new();
    for (section, entries) in table {
        let entries = match entries {
            toml::Value::Table(entries) if section == "commands" => entries,
            _ => return Err("it holds something else than a section [commands]".into()),
        };
        for (name, words) in entries {
            let list = words
                .as_array()
                .and_then(|words| words.iter().map(|word| word.as_str().map(str::to_owned)).collect::<Option<Vec<String>>>());
            let list = list.ok_or_else(|| format!("the command of '{name}' is not a list of words, the program first"))?;
            if list.is_empty() {
                return Err(format!("the command of '{name}' is empty"));
            }
            commands.insert(name, list);
        }
    }
    Ok(commands)
}

/// A program takes its time: where a worker of the runtime asks, the others' work goes on elsewhere meanwhile.
fn off_the_worker<T>(work: impl FnOnce() -> T) -> T {
    let many = |handle: &tokio::runtime::Handle| handle.runtime_flavor() == tokio::runtime::RuntimeFlavor::MultiThread;
    if tokio::runtime::Handle::try_current().is_ok_and(|handle| many(&handle)) { tokio::task::block_in_place(work) } else { work() }
}

/// What the program prints, without the last line feed. Its standard error is not shown: it may hold what it should not.
fn answer(words: &[String]) -> Result<SecretString, String> {
    let (program, arguments) = words.split_first().ok_or("the command is empty")?;
    let failed = |reason: String| format!("'{program}' {reason}");
    let mut child = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| crate::model::wiped::is_secret_variable(name)) {
        child.env_remove(name);
    }
    let mut child = child
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|error| failed(format!("cannot be started: {error}")))?;
    let (done, answered) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        std::thread::spawn(move || {
            // As large as it may become: a buffer that grows leaves its first bytes behind.
            let mut bytes = Zeroizing::new(Vec::with_capacity(MOST_BYTES as usize + 1));
            let read = stdout.take(MOST_BYTES + 1).read_to_end(&mut bytes).map(|_| bytes);
            let _ = done.send(read);
        });
    }
    let bytes = match answered.recv_timeout(PATIENCE) {
        Ok(Ok(bytes)) if bytes.len() as u64 <= MOST_BYTES => bytes,
        other => {
            end(&mut child);
            return Err(failed(match other {
                Ok(Ok(_)) => format!("printed more than {MOST_BYTES} bytes"),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("did not answer within {} s", PATIENCE.as_secs()),
            }));
        }
    };
    // It has closed its output; one that goes on all the same is not waited for.
    let begun = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if begun.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(2)),
            Ok(None) => {
                end(&mut child);
                return Err(failed("closed its output and did not end".into()));
            }
            Err(error) => return Err(failed(error.to_string())),
        }
    };
    if !status.success() {
        return Err(failed(format!("ended with {status}")));
    }
    let text = super::secrets::one_value(std::str::from_utf8(&bytes).map_err(|_| failed("did not print UTF-8".into()))?);
    if text.is_empty() { Err(failed("printed nothing".into())) } else { Ok(text.into()) }
}

/// With all that it has started.
fn end(child: &mut std::process::Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use secrecy::ExposeSecret;

    use super::*;

    fn commands(text: &str, mode: u32) -> (tempfile::TempDir, Commands) {
        let folder = tempfile::tempdir().unwrap();
        let commands = Commands::new(folder.path());
        std::fs::write(commands.path(), text).unwrap();
        std::fs::set_permissions(commands.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        (folder, commands)
    }

    #[test]
    fn a_program_gives_a_secret_and_is_asked_once() {
        let (folder, commands) = commands("", 0o600);
        let count = folder.path().join("count");
        let line = format!("printf x >> {0}; printf 'a b\\n'", count.display());
        std::fs::write(commands.path(), format!("[commands]\ndb = [\"sh\", \"-c\", {}]\n", serde_json::to_string(&line).unwrap())).unwrap();
        for _ in 0..2 {
            assert_eq!(commands.get("db").unwrap().unwrap().expose_secret(), "a b");
        }
        assert_eq!(std::fs::read_to_string(count).unwrap(), "x");
        assert!(commands.get("other").unwrap().is_none());
    }

    #[test]
    fn a_program_that_fails_or_says_nothing_gives_none_and_its_words_are_not_shown() {
        let (_folder, commands) =
            commands("[commands]\na = [\"sh\", \"-c\", \"echo hunter2 >&2; exit 3\"]\nb = [\"true\"]\nc = [\"/no/such\"]\n", 0o600);
        let told = |name: &str| commands.get(name).unwrap_err();
        assert_eq!(told("a"), "'sh' ended with exit status: 3");
        assert_eq!(told("b"), "'true' printed nothing");
        assert!(told("c").starts_with("'/no/such' cannot be started"));
    }

    #[test]
    fn what_is_wrong_with_the_file_is_told_without_a_word_of_it() {
        for (text, told) in [
            ("[commands]\na = \"hunter2\"\n", "the command of 'a' is not a list of words"),
            ("[commands]\na = [\"x\", 7]\n", "the command of 'a' is not a list of words"),
            ("[commands]\na = []\n", "the command of 'a' is empty"),
            ("[secrets]\na = \"hunter2\"\n", "something else than a section [commands]"),
            ("commands = \"hunter2\"\n", "something else than a section [commands]"),
            ("[commands]\na = [\"x\"]\nb = hunter2\n", "line 3 is not TOML"),
        ] {
            let (_folder, commands) = commands(text, 0o600);
            let said = commands.get("a").unwrap_err();
            assert!(said.contains(told) && !said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn a_file_that_others_can_write_starts_nothing() {
        let (_folder, commands) = commands("[commands]\na = [\"echo\", \"x\"]\n", 0o622);
        assert!(commands.get("a").unwrap_err().contains("mode is 0622"));
    }
}
