//! Looks step by step whether a device can be managed: each step says what it saw, or what to do. Changes nothing on the device.

use std::time::{Duration, Instant};

use base64::Engine as _;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::diagnose::Diagnose as _;
use crate::model::device::{TransportKind, WinrmScheme};
use crate::model::operation::Operation;
use crate::script::render;
use crate::time::Clock;
use crate::transport::{self, Command, Output, Session, Sessions, Shell, Target, TransportError};

/// Clocks that differ by more have Kerberos refuse.
const MOST_SKEW: i64 = 300;
/// A certificate that ends within this is told.
const SOON: i64 = 30 * 86_400;
/// Time for one of the small commands.
const TIME: Duration = Duration::from_mins(1);

/// Asked without the bootstrap, which a restricted language mode does not let run.
const PROBE: &str = "\"version $($PSVersionTable.PSVersion)\"; \"edition $($PSVersionTable.PSEdition)\"; \
                     \"mode $($ExecutionContext.SessionState.LanguageMode)\"";

/// Says back what it is given, who it is and what time it is.
const SCRIPT: &str = r"$who = [Security.Principal.WindowsIdentity]::GetCurrent()
$admin = (New-Object Security.Principal.WindowsPrincipal $who).IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)
$now = [DateTime]::UtcNow.ToString('yyyy-MM-ddTHH:mm:ssZ', [Globalization.CultureInfo]::InvariantCulture)
ConvertTo-Json -Compress -InputObject @{ said = $p.said; admin = $admin; user = $who.Name; now = $now }";

/// Letters of several scripts: what comes back shows whether they survive both ways.
const SAID: &str = "gr\u{fc}n \u{4e16}\u{754c} \u{1f600} \"quoted\" 'text'";

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It works, with something to know.
    Notice,
    /// The device cannot be managed like this.
    Bad,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What was looked at.
    pub name: &'static str,
    /// How it went.
    pub verdict: Verdict,
    /// What was seen.
    pub found: String,
    /// What to do.
    pub advice: Option<String>,
    /// Code of the error, where there is one.
    pub code: Option<&'static str>,
    /// How long it took.
    pub took: Duration,
}

/// What looking needs.
pub struct Doctor<'a> {
    /// Where sessions come from.
    pub sessions: &'a Sessions,
    /// The clock that the device's is compared with.
    pub clock: &'a dyn Clock,
    /// Time for a name, a connection, a handshake.
    pub limit: Duration,
}

impl Doctor<'_> {
    /// Looks until something is bad; every step is told as soon as it is done.
    pub async fn examine(&self, target: &Target, cancel: &CancellationToken, tell: &mut (dyn FnMut(Step) + Send)) {
        let mut steps = Steps { tell, begun: Instant::now() };
        let kind = target.transport();
        let direct = match kind {
            TransportKind::Winrm => true,
            // A name of ~/.ssh/config or a jump host is known to the sign-in alone.
            TransportKind::Ssh => target.connection.proxy_jump.is_empty(),
            TransportKind::Local | TransportKind::Share | TransportKind::Simulated => false,
        };
        if direct && !self.network(target, kind, &mut steps).await {
            return;
        }
        let session = match self.sessions.open(target, cancel).await {
            Ok(session) => session,
            Err(error) => return steps.failed("signing in", &error),
        };
        let user = target.connection.user.as_deref().unwrap_or("the usual user");
        steps.good("signing in", format!("over {kind} as {user}"));
        match session.shell() {
            Shell::PowerShell => self.windows(&*session, cancel, &mut steps).await,
            Shell::Posix => self.posix(&*session, cancel, &mut steps).await,
        }
    }

    /// Name, connection, certificate. Over SSH a name that is not found may still be an alias.
    async fn network(&self, target: &Target, kind: TransportKind, steps: &mut Steps<'_>) -> bool {
        match transport::addresses(target, self.limit).await {
            Ok(found) => {
                let shown: Vec<String> = found.iter().take(4).map(|address| address.ip().to_string()).collect();
                steps.good("name", format!("{} is {}", target.address, shown.join(", ")));
            }
            Err(_) if kind == TransportKind::Ssh => {
                steps.notice("name", format!("{} is no name of the network; it may stand in ~/.ssh/config", target.address), None);
                return true;
            }
            Err(error) => {
                steps.failed("name", &error);
                return false;
            }
        }
        match transport::connect(target, self.limit).await {
            Ok(address) => steps.good("connection", format!("{address} answers")),
            Err(_) if kind == TransportKind::Ssh && target.connection.port.is_none() => {
                steps.notice("connection", "port 22 does not answer; ~/.ssh/config may name another".into(), None);
                return true;
            }
            Err(error) => {
                steps.failed("connection", &error);
                return false;
            }
        }
        if kind == TransportKind::Winrm && target.connection.scheme.unwrap_or_default() == WinrmScheme::Https {
            match transport::certificate(target, self.limit).await {
                Ok(shown) => {
                    let end = DateTime::from_timestamp(shown.not_after, 0).unwrap_or_default();
                    let left = shown.not_after - self.clock.now().timestamp();
                    let found =
                        format!("{}, signed by {}, until {}, SHA-256 {}", shown.subject, shown.issuer, end.date_naive(), shown.fingerprint);
                    if left < SOON {
                        steps.notice("certificate", found, Some(format!("renew it: {} days are left", left / 86_400)));
                    } else {
                        steps.good("certificate", found);
                    }
                }
                Err(error) => {
                    steps.failed("certificate", &error);
                    return false;
                }
            }
        } else if kind == TransportKind::Winrm {
            steps.notice("certificate", "none: messages are sealed with the keys of the sign-in".into(), None);
        }
        true
    }

    async fn windows(&self, session: &dyn Session, cancel: &CancellationToken, steps: &mut Steps<'_>) {
        let utf16: Vec<u8> = PROBE.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let encoded = base64::engine::general_purpose::STANDARD.encode(utf16);
        let line = format!("powershell.exe -NoProfile -NonInteractive -EncodedCommand {encoded}");
        let output = match session.run(Command { line, timeout: Some(TIME), ..Command::default() }, cancel).await {
            Ok(output) => output,
            Err(error) => return steps.failed("shell", &error),
        };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let member = |name: &str| text.lines().find_map(|line| line.trim().strip_prefix(name)).map(str::trim).unwrap_or_default();
        let (version, mode) = (member("version "), member("mode "));
        if output.code != 0 || version.is_empty() {
            let advice = "see on the device whether powershell.exe can be started by this user; AppLocker and virus scanners may forbid it";
            return steps.bad("shell", ended(&output), advice);
        }
        steps.good("shell", format!("PowerShell {version} {}", member("edition ")));
        if mode != "FullLanguage" {
            let advice = "an AppLocker or App Control policy restricts PowerShell: allow the scripts of this user, or manage the device by other means";
            return steps.bad("language mode", format!("{mode}, FullLanguage is needed"), advice);
        }
        steps.good("language mode", mode.to_owned());
        let rendered = render(&Operation::PowerShell { script: SCRIPT.into(), params: json!({ "said": SAID }) }, Shell::PowerShell);
        let command = Command { line: rendered.line, input: rendered.input.unwrap_or_default(), timeout: Some(TIME), ..Command::default() };
        let output = match session.run(command, cancel).await {
            Ok(output) => output,
            Err(error) => return steps.failed("running scripts", &error),
        };
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        if answer["said"] != SAID {
            let advice = "something between here and PowerShell changes what is sent: see the device's own logs";
            return steps.bad("running scripts", ended(&output), advice);
        }
        steps.good("running scripts", "letters of all kinds come back as they were sent".into());
        let user = answer["user"].as_str().unwrap_or("the user");
        if answer["admin"] == true {
            steps.good("rights", format!("{user} is an administrator"));
        } else {
            let advice = "facts may be missing and changes refused: make the user an administrator of the device; a local one also needs \
                          LocalAccountTokenFilterPolicy = 1";
            steps.notice("rights", format!("{user} is no administrator here"), Some(advice.into()));
        }
        let told = answer["now"].as_str().and_then(|text| text.parse::<DateTime<Utc>>().ok());
        self.compare(told, steps);
    }

    async fn posix(&self, session: &dyn Session, cancel: &CancellationToken, steps: &mut Steps<'_>) {
        let line = "uname -srm; id -u; date -u +%s; cat".to_owned();
        let command = Command { line, input: SAID.as_bytes().to_vec().into(), timeout: Some(TIME), ..Command::default() };
        let output = match session.run(command, cancel).await {
            Ok(output) => output,
            Err(error) => return steps.failed("shell", &error),
        };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines = text.splitn(4, '\n');
        let (system, id, now, said) = (lines.next(), lines.next(), lines.next(), lines.next());
        if output.code != 0 || said != Some(SAID) {
            return steps.bad("shell", ended(&output), "see on the device what its shell does when somebody signs in");
        }
        steps.good("shell", system.unwrap_or_default().to_owned());
        let command = Command { line: "id -u".into(), elevate: true, timeout: Some(TIME), ..Command::default() };
        match session.run(command, cancel).await {
            Ok(risen) if risen.stdout == b"0\n" => {
                steps.good("rights", if id == Some("0") { "root".into() } else { "root, where it is needed".into() });
            }
            Ok(_) => steps.notice(
                "rights",
                "not root".into(),
                Some("facts may be missing and changes refused: set connection.elevate: sudo, or sign in as root".into()),
            ),
            Err(error) => return steps.failed("rights", &error),
        }
        let told = now.and_then(|text| DateTime::from_timestamp(text.trim().parse().ok()?, 0));
        self.compare(told, steps);
    }

    fn compare(&self, told: Option<DateTime<Utc>>, steps: &mut Steps<'_>) {
        let Some(told) = told else {
            return steps.notice("clock", "the device does not tell its time".into(), None);
        };
        let apart = (told - self.clock.now()).num_seconds();
        let found = match apart {
            -5..=5 => "as here".to_owned(),
            6.. => format!("{apart} s ahead"),
            _ => format!("{} s behind", -apart),
        };
        if apart.abs() < MOST_SKEW {
            steps.good("clock", found);
        } else {
            let advice = "set its clock, or this one's: Kerberos refuses, and times in reports are wrong";
            steps.notice("clock", found, Some(advice.into()));
        }
    }
}

/// How a command ended that did not answer as it should.
fn ended(output: &Output) -> String {
    let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).split_whitespace().collect::<Vec<_>>().join(" ");
    let said = [words(&output.stdout), words(&output.stderr)].join(" ");
    let said: String = said.trim().chars().take(300).collect();
    format!("ended with {}{}{said}", output.code, if said.is_empty() { ", and said nothing" } else { ": " })
}

/// Tells steps, each with its time.
struct Steps<'a> {
    tell: &'a mut (dyn FnMut(Step) + Send),
    begun: Instant,
}

impl Steps<'_> {
    fn step(&mut self, name: &'static str, verdict: Verdict, found: String, advice: Option<String>, code: Option<&'static str>) {
        let took = self.begun.elapsed();
        (self.tell)(Step { name, verdict, found, advice, code, took });
        self.begun = Instant::now();
    }

    fn good(&mut self, name: &'static str, found: String) {
        self.step(name, Verdict::Good, found, None, None);
    }

    fn notice(&mut self, name: &'static str, found: String, advice: Option<String>) {
        self.step(name, Verdict::Notice, found, advice, None);
    }

    fn bad(&mut self, name: &'static str, found: String, advice: &str) {
        self.step(name, Verdict::Bad, found, Some(advice.to_owned()), None);
    }

    fn failed(&mut self, name: &'static str, error: &TransportError) {
        self.step(name, Verdict::Bad, error.to_string(), error.advice(), Some(error.code()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::powershell::{parsed, refused};

    #[test]
    fn what_is_asked_in_powershell_parses_and_the_first_question_is_one_that_a_restricted_powershell_answers() {
        for script in [PROBE, SCRIPT] {
            assert_eq!((parsed(script), refused(script)), (Vec::new(), None), "{script}");
        }
        for forbidden in ["New-Object", "::", "&"] {
            assert!(!PROBE.contains(forbidden), "{forbidden}");
        }
    }
}
