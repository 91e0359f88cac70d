//! The log: one main file and one per device beside the database, rotated, never with a secret in it.
//!
//! Events that carry a field `device` go to `.rmm/logs/devices/NAME.log` too.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::access::Redactor;
use crate::model::config::{LogFormat, LogLevel};
use crate::repo::PolicySet;
use crate::time::Clock;

/// Days for which the main log is kept.
const DAYS: usize = 30;
/// A device's log is turned over once when it reaches this size.
const MOST_BYTES: u64 = 1 << 20;

/// How the log looks, and where it goes besides its files.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Form {
    /// An object per line.
    pub(super) json: bool,
    /// Standard error too: of a service that is the journal.
    pub(super) aloud: bool,
}

/// Begins logging into `state_dir/logs`. A folder that cannot be written costs the files, not the work, and not what is said
/// aloud.
pub(super) fn begin(state_dir: &Path, level: LogLevel, form: Form, redactor: Redactor, clock: Arc<dyn Clock>) {
    let folder = state_dir.join("logs");
    let made = std::fs::create_dir_all(folder.join("devices")).is_ok();
    let main = tracing_appender::rolling::Builder::new()
        .rotation(tracing_appender::rolling::Rotation::DAILY)
        .filename_prefix("rmm")
        .filename_suffix("log")
        .max_log_files(DAYS)
        .build(&folder)
        .ok()
        .filter(|_| made);
    set(level, form.json);
    let layer = Lines { main: std::sync::Mutex::new(main), devices: folder.join("devices"), aloud: form.aloud, redactor, clock };
    // A second command in the same process (a test) keeps the first log.
    let _ = tracing_subscriber::registry().with(layer).try_init();
}

/// Whether lines are objects, and how much is logged: they may change while a daemon runs.
static JSON: AtomicBool = AtomicBool::new(false);
static LEVEL: AtomicU8 = AtomicU8::new(LogLevel::Info as u8);

/// How much is logged from now on, and in which form.
fn set(level: LogLevel, json: bool) {
    JSON.store(json, Ordering::Relaxed);
    if LEVEL.swap(level as u8, Ordering::Relaxed) != level as u8 {
        tracing::callsite::rebuild_interest_cache();
    }
}

/// Logs as the policy set in force says, for as long as there is one.
pub(super) async fn follow(mut sets: tokio::sync::watch::Receiver<Arc<PolicySet>>) {
    while sets.changed().await.is_ok() {
        let (level, form) = {
            let config = &sets.borrow_and_update().config;
            (config.general.log_level, config.daemon.log_format)
        };
        set(level, form == LogFormat::Json);
    }
    std::future::pending::<()>().await;
}

fn is_wanted(level: Level) -> bool {
    let most = match LEVEL.load(Ordering::Relaxed) {
        n if n == LogLevel::Debug as u8 => Level::DEBUG,
        n if n == LogLevel::Info as u8 => Level::INFO,
        n if n == LogLevel::Warning as u8 => Level::WARN,
        _ => Level::ERROR,
    };
    level <= most
}

struct Lines {
    main: std::sync::Mutex<Option<tracing_appender::rolling::RollingFileAppender>>,
    devices: PathBuf,
    aloud: bool,
    redactor: Redactor,
    clock: Arc<dyn Clock>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        // Libraries have much to say that is of no use here.
        metadata.target().starts_with("rmm") && is_wanted(*metadata.level())
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let at = self.clock.now().format("%Y-%m-%dT%H:%M:%S%.3fZ");
        let level = event.metadata().level();
        let line = if JSON.load(Ordering::Relaxed) {
            let mut object = serde_json::Map::new();
            object.insert("time".into(), at.to_string().into());
            object.insert("level".into(), level.as_str().to_lowercase().into());
            object.insert("target".into(), event.metadata().target().into());
            for (name, value) in &fields.all {
                // What every line has is not replaced.
                object.entry(name.as_str()).or_insert_with(|| self.redactor.redact(value).into_owned().into());
            }
            format!("{}\n", serde_json::Value::Object(object))
        } else {
            format!("{at} {level:5} {}\n", super::style::clean(&self.redactor.redact(&fields.text)))
        };
        if self.aloud {
            let _ = std::io::stderr().lock().write_all(line.as_bytes());
        }
        // A full disk must not stop the work that is being logged.
        if let Ok(mut main) = self.main.lock()
            && let Some(main) = main.as_mut()
        {
            let _ = main.write_all(line.as_bytes());
        }
        if let Some(device) = fields.device
            && let Some(mut file) = self.device(&device)
        {
            let _ = file.write_all(line.as_bytes());
        }
    }
}

impl Lines {
    fn device(&self, name: &str) -> Option<File> {
        let safe: String =
            name.chars().map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' }).take(100).collect();
        let path = self.devices.join(format!("{safe}.log"));
        if std::fs::metadata(&path).is_ok_and(|m| m.len() > MOST_BYTES) {
            let _ = std::fs::rename(&path, self.devices.join(format!("{safe}.log.1")));
        }
        OpenOptions::new().create(true).append(true).open(path).ok()
    }
}

#[derive(Default)]
struct Fields {
    text: String,
    device: Option<String>,
    all: Vec<(String, String)>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "device" {
            self.device = Some(value.to_owned());
        }
        self.all.push((field.name().to_owned(), value.to_owned()));
        let _ = write!(self.text, "{}{}={value}", if self.text.is_empty() { "" } else { " " }, field.name());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "device" {
            self.device = Some(text.clone());
        }
        self.all.push((field.name().to_owned(), text));
        if field.name() == "message" {
            self.text = format!("{value:?}{}{}", if self.text.is_empty() { "" } else { " " }, self.text);
        } else {
            let _ = write!(self.text, " {}={value:?}", field.name());
        }
    }
}
