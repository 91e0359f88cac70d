//! `rmm init`: write a policy repository, create the database, add this machine as first device, take its first health check.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::args::Global;
use super::context::{Context, STATE_DIR, hostname};
use super::exit::Exit;
use super::failure::Failure;
use super::init_pack as pack;
use super::style::{Tone, clean, count, paint};
use super::table::{Output, document};
use crate::apply::survey::{Ask, Survey};
use crate::diagnose::{Diagnose as _, Diagnostic};
use crate::model::Device;
use crate::model::device::TransportKind;
use crate::plan::{PlanOptions, Scope};
use crate::repo::{Kind, devices_file, schema};
use crate::store::{AuditEvent, Status, Store, StoreError};

/// Arguments of `rmm init`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm init my-fleet\n  rmm init my-fleet --site Berlin --import-devices devices.csv\n  rmm init --upgrade\n  rmm init --repair\n  rmm init --service\n\nWhat exists is left as it is; init adds what is missing."
)]
pub(super) struct InitArgs {
    /// Folder; the working directory without one
    pub(super) dir: Option<PathBuf>,
    /// Name of the first site, the default of devices that name none
    #[arg(long, value_name = "NAME")]
    pub(super) site: Option<String>,
    /// Import devices from a CSV file too
    #[arg(long, value_name = "FILE")]
    pub(super) import_devices: Option<PathBuf>,
    /// Bring shipped policies and monitors, and the database, to this version; what you changed is kept
    #[arg(long, conflicts_with_all = ["repair", "site", "import_devices"])]
    pub(super) upgrade: bool,
    /// Check the database, put a damaged one aside, and give back what dead processes held
    #[arg(long, conflicts_with_all = ["site", "import_devices"])]
    pub(super) repair: bool,
    /// Do not add and observe this machine
    #[arg(long)]
    pub(super) no_local_device: bool,
    /// Write a systemd unit that runs `rmm reconcile` here; into .rmm without a file, `-` for standard output
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "",
        conflicts_with_all = ["repair", "upgrade", "site", "import_devices", "no_local_device"])]
    pub(super) service: Option<String>,
}

pub(super) fn run(global: &Global, args: InitArgs) -> Result<Exit, Failure> {
    let dir = args.dir.clone().or_else(|| global.repo.clone()).unwrap_or_else(|| PathBuf::from("."));
    let global = Global { repo: Some(dir.clone()), ..global.clone() };
    if args.repair {
        return repair(&global);
    }
    if args.upgrade {
        return upgrade(&global);
    }
    if let Some(file) = &args.service {
        return super::init_service::run(&global, file);
    }
    std::fs::create_dir_all(&dir).map_err(|e| failed(&dir, &e))?;
    let mut written = Vec::new();
    create(&dir, "rmm.toml", &settings(args.site.as_deref()), &mut written)?;
    ignore_state(&dir, &mut written)?;
    for (folder, files) in pack::folders().filter(|(folder, _)| !has_yaml(&dir.join(folder))) {
        for (path, text) in files {
            create(&dir, &path, text, &mut written)?;
        }
        if folder == "policies" {
            for (path, text) in pack::EXAMPLE_TESTS {
                create(&dir, path, text, &mut written)?;
            }
        }
    }
    for path in &written {
        added(&global, path, pack::meaning(path));
    }
    let mut context = Context::open(&global)?;
    let schemas = write_schemas(&context, false)?;
    if !schemas.is_empty() {
        added(&global, "schemas/", "what editors need to complete and check these files");
    }
    written.extend(schemas);
    let name = hostname();
    if !args.no_local_device && !context.set.devices.values().any(|d| context.set.connection(d).transport == Some(TransportKind::Local)) {
        let mut device = Device { name: name.clone(), site: args.site.clone(), ..Device::default() };
        device.connection.transport = Some(TransportKind::Local);
        // A site has to be declared before a device can stand in it.
        let sites: std::collections::BTreeSet<String> =
            device.site.iter().filter(|s| !context.set.sites.contains_key(*s)).cloned().collect();
        devices_file::write_fleet(
            &context.root,
            std::slice::from_ref(&device),
            &std::collections::BTreeSet::new(),
            &super::devices::with_default(&context, sites),
        )?;
        added(&global, devices_file::IMPORTED, &format!("devices; the first one is this machine, {name}"));
        context = Context::open(&global)?;
    }
    let is_new = !context.db().exists();
    let store = context.store()?;
    note(&context, &store, "repository.initialised", json!({ "written": written }))?;
    let db = context.db().strip_prefix(&context.root).unwrap_or(context.db());
    if is_new {
        added(&global, &db.display().to_string(), "the database: facts, runs, audit record");
    }
    if let Some(file) = &args.import_devices {
        context = import(&global, &context, file)?;
    }
    if context.set.commit.is_none() && !dir.join(".git").exists() {
        say(&global, &format!("{} not a Git repository yet: git init {}", paint(Tone::Dim, "i"), quoted(&dir)));
    }
    if args.no_local_device {
        return Ok(Exit::Done);
    }
    health_check(&global, &context, &store, &dir)
}

fn say(global: &Global, text: &str) {
    if !global.quiet {
        super::say(text);
    }
}

/// A file that is new, and what it is for.
fn added(global: &Global, path: &str, what: &str) {
    say(global, format!("{} {path:30}  {}", paint(Tone::Good, "+"), clean(what)).trim_end());
}

/// Writes the schemas that `# yaml-language-server:` lines name; those that are there only with `refresh`. Says which.
pub(super) fn write_schemas(context: &Context, refresh: bool) -> Result<Vec<String>, Failure> {
    let mut written = Vec::new();
    for kind in Kind::ALL {
        let path = format!("schemas/{}.json", kind.name());
        let full = context.root.join(&path);
        let text = document(&schema(kind, &context.set.catalog), Output::Json)?;
        let old = std::fs::read_to_string(&full).ok();
        if old.is_none() {
            create(&context.root, &path, &text, &mut written)?;
        } else if refresh && old.as_deref() != Some(text.as_str()) {
            std::fs::write(&full, text).map_err(|e| failed(&full, &e))?;
            written.push(path);
        }
    }
    Ok(written)
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    let problem = Diagnostic::error("RMM0001", format!("{}: {error}", path.display()));
    Failure::new(Exit::Error, problem.advice("check that the folder is writable and has room"))
}

/// Writes a file that is not there yet.
fn create(dir: &Path, path: &str, text: &str, written: &mut Vec<String>) -> Result<(), Failure> {
    let full = dir.join(path);
    if let Some(parent) = full.parent() {
        std::fs::create_dir_all(parent).map_err(|e| failed(parent, &e))?;
    }
    let opened = std::fs::OpenOptions::new().write(true).create_new(true).open(&full);
    match opened.and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes())) {
        Ok(()) => {
            written.push(path.to_owned());
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed(&full, &error)),
    }
}

/// `.rmm/` must not be committed.
fn ignore_state(dir: &Path, written: &mut Vec<String>) -> Result<(), Failure> {
    let path = dir.join(".gitignore");
    let line = format!("{STATE_DIR}/");
    let old = match std::fs::read_to_string(&path) {
        Ok(old) => old,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(&path, &error)),
    };
    if old.lines().any(|l| l.trim() == line || l.trim() == STATE_DIR) {
        return Ok(());
    }
    let gap = if old.is_empty() || old.ends_with('\n') { "" } else { "\n" };
    std::fs::write(&path, format!("{old}{gap}{line}\n")).map_err(|e| failed(&path, &e))?;
    written.push(".gitignore".into());
    Ok(())
}

fn has_yaml(dir: &Path) -> bool {
    std::fs::read_dir(dir).is_ok_and(|entries| {
        entries.flatten().any(|e| {
            e.path()
                .extension()
                .is_some_and(|x| x.eq_ignore_ascii_case("yaml") || x.eq_ignore_ascii_case("yml") || x.eq_ignore_ascii_case("json"))
        })
    })
}

fn settings(site: Option<&str>) -> String {
    // A name goes in as a TOML string, quoted by the TOML library.
    let site = toml::Value::String(site.unwrap_or("Main").to_owned());
    format!(
        r#"#:schema ./schemas/config.json
# Settings of rmm itself. `rmm config show` lists all of them with their defaults.

[general]
organization = ""
default_site = {site}
data_retention_days = 90

[connections]
ssh_timeout = "30s"
max_concurrent = 25                   # devices at once, up to 500

[monitoring]
inventory_interval = "24h"
health_check_interval = "5m"

[limits]                              # one apply may touch at most
max_percent = 20                      # of the fleet; never below one device
max_failures = "20%"

[security]
host_key = "strict"                   # or accept-new: record the first key seen
"#
    )
}

/// Groups and sites that the file names are declared with it: a new repository has none.
fn import(global: &Global, context: &Context, file: &Path) -> Result<Context, Failure> {
    let batch = super::devices::read(context, file, true)?;
    let written = super::devices::write(context, &batch, file)?;
    added(global, &written, &count(batch.devices.len(), "device", "devices"));
    Context::open(global)
}

/// A folder as it is typed in a shell.
fn quoted(dir: &Path) -> String {
    crate::script::quote(&dir.display().to_string()).into_owned()
}

/// Observes this machine and says in a few lines what it looks like.
fn health_check(global: &Global, context: &Context, store: &Store, dir: &Path) -> Result<Exit, Failure> {
    let local: Vec<String> = context
        .set
        .devices
        .values()
        .filter(|d| context.set.connection(d).transport == Some(TransportKind::Local))
        .map(|d| d.name.clone())
        .collect();
    let Some(name) = local.first() else { return Ok(Exit::Done) };
    let scope = Scope::parse(&context.set, std::slice::from_ref(name), &[])?;
    let survey = Survey::new(&context.set, store, &context.secrets, &context.clock);
    super::signals::block_on(async |signals| survey.inventory(&scope, &[], Ask::Everything, None, &signals.stop, &|_| {}).await)?;
    let state = store.device_states()?.into_iter().find(|s| &s.name == name);
    if let Some(state) = state.filter(|s| s.status != Status::Online) {
        let problem = Diagnostic::error("RMM0401", format!("{name} could not be observed: {}", state.reason.unwrap_or_default()));
        return Err(Failure::new(Exit::Error, problem));
    }
    let facts = store.facts(name, None)?;
    let text = |path: &str| facts.value(path).and_then(Value::as_str).map(clean);
    let number = |path: &str| facts.value(path).and_then(Value::as_f64);
    let mut out =
        format!("\n{}  {}\n", paint(Tone::Strong, clean(name)), paint(Tone::Dim, text("software.os.pretty_name").unwrap_or_default()));
    let mut row = |what: &str, value: Option<String>| {
        let _ = writeln!(out, "  {}  {}", paint(Tone::Dim, format!("{what:10}")), value.unwrap_or_else(|| "not known".into()));
    };
    row("processor", text("hardware.cpu.model").map(|m| format!("{m}, {} threads", number("hardware.cpu.threads").unwrap_or(0.0))));
    row(
        "memory",
        number("hardware.memory.total_gb").map(|gb| {
            let used = number("performance.memory.used_percent").map(|p| format!(", {p:.0} % in use")).unwrap_or_default();
            format!("{gb:.1} GB{used}")
        }),
    );
    let volumes = facts.value("performance.volumes").and_then(Value::as_array).map(|list| {
        let full = |v: &Value| v["used_percent"].as_f64().unwrap_or(0.0);
        let fullest = list.iter().max_by(|a, b| full(a).total_cmp(&full(b)));
        fullest
            .map_or_else(|| "none".into(), |v| format!("fullest is {}, {:.0} % in use", clean(v["mount"].as_str().unwrap_or("?")), full(v)))
    });
    row("volumes", volumes);
    row("packages", facts.value("software.packages").and_then(Value::as_object).map(|m| super::style::thousands(m.len())));
    row(
        "firewall",
        facts.value("security.firewall.enabled").and_then(Value::as_bool).map(|b| if b { "enabled".into() } else { "disabled".into() }),
    );
    row(
        "reboot",
        facts
            .value("software.pending_reboot.required")
            .and_then(Value::as_bool)
            .map(|b| if b { "pending".into() } else { "not pending".into() }),
    );
    let plan = survey.plan(&Scope::default(), &PlanOptions::default())?;
    out.push('\n');
    out.push_str(&super::plan_text::summary(&plan));
    super::print(&out)?;
    let cd = if dir == Path::new(".") { String::new() } else { format!("cd {} && ", quoted(dir)) };
    say(global, &format!("\nNext: {cd}rmm plan"));
    Ok(Exit::Done)
}

fn note(context: &Context, store: &Store, action: &str, details: Value) -> Result<(), Failure> {
    store.audit(&AuditEvent {
        at: context.clock.now(),
        user: Some(context.actor.user.clone()),
        action: action.to_owned(),
        target: Some(context.root.display().to_string()),
        details,
        ip: Some(context.actor.from.clone()),
        success: true,
    })?;
    Ok(())
}

/// Shipped policies: a file as an earlier version wrote it is replaced, one that was changed gets the new one beside it.
fn upgrade(global: &Global) -> Result<Exit, Failure> {
    let context = Context::open(global)?;
    let backup = context.db().with_extension(format!("before-{}.db", env!("CARGO_PKG_VERSION")));
    if context.db().exists() && !backup.exists() {
        Store::backup_of(context.db(), &backup)?;
    }
    let store = context.store()?;
    let mut changed = Vec::new();
    for (path, ours) in pack::folders().flat_map(|(_, files)| files) {
        let full = context.root.join(&path);
        match std::fs::read_to_string(&full) {
            Ok(theirs) if theirs == ours => {}
            Ok(_) => {
                let beside = PathBuf::from(format!("{}.new", full.display()));
                std::fs::write(&beside, ours).map_err(|e| failed(&beside, &e))?;
                changed.push(format!("{path}.new"));
                super::say(format!("{} {path} differs from the shipped one, which is now {path}.new", paint(Tone::Change, "!")));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                create(&context.root, &path, ours, &mut changed)?;
                super::say(format!("{} {path}", paint(Tone::Good, "+")));
            }
            Err(error) => return Err(failed(&full, &error)),
        }
    }
    for path in write_schemas(&context, true)? {
        say(global, &format!("{} {path}", paint(Tone::Good, "+")));
        changed.push(path);
    }
    note(&context, &store, "repository.upgraded", json!({ "version": env!("CARGO_PKG_VERSION"), "written": changed }))?;
    super::print(&format!("The database and what ships with it are those of rmm {}.\n", env!("CARGO_PKG_VERSION")))?;
    Ok(Exit::Done)
}

/// Checks what can be checked, and mends what can be mended without losing anything.
fn repair(global: &Global) -> Result<Exit, Failure> {
    let context = Context::open(global)?;
    super::restore::permitted(&context, context.db(), "repair the database")?;
    let store = match context.store() {
        Ok(store) => store,
        Err(failure) if failure.problems.iter().any(|p| p.code == damaged_code()) => put_aside(&context)?,
        Err(failure) => return Err(failure),
    };
    let mut store = store;
    let problems = store.integrity_check()?;
    if !problems.is_empty() {
        for problem in problems.iter().take(10) {
            super::say(format!("{} {}", paint(Tone::Bad, "x"), clean(problem)));
        }
        drop(store);
        store = put_aside(&context)?;
    }
    store.forget_verdicts()?;
    super::print(&format!("{} database: whole\n", paint(Tone::Good, "=")))?;
    match store.audit_verify(None)? {
        Ok(verified) => super::print(&format!(
            "{} audit record: {}\n",
            paint(Tone::Good, "="),
            count(usize::try_from(verified.head.rows).unwrap_or(0), "row", "rows")
        ))?,
        Err(broken) => {
            super::print(&format!("{} audit record: broken at row {}: {}\n", paint(Tone::Bad, "x"), broken.row, clean(&broken.why)))?;
        }
    }
    for run in store.unfinished_runs()? {
        super::print(&format!("{} run {} is unfinished: rmm apply --resume {}\n", paint(Tone::Change, "!"), run.id, run.id))?;
    }
    note(&context, &store, "repository.repaired", json!({ "problems": problems.len() }))?;
    Ok(Exit::Done)
}

fn damaged_code() -> &'static str {
    StoreError::Damaged { path: PathBuf::new(), why: String::new() }.code()
}

/// A damaged database is kept under another name: it is evidence, and parts of it may be read.
fn put_aside(context: &Context) -> Result<Store, Failure> {
    let db = context.db().to_path_buf();
    let stamp = context.clock.now().format("%Y%m%d-%H%M%S");
    for suffix in ["", "-wal", "-shm"] {
        let from = PathBuf::from(format!("{}{suffix}", db.display()));
        if from.exists() {
            let to = PathBuf::from(format!("{}.damaged-{stamp}{suffix}", db.display()));
            std::fs::rename(&from, &to).map_err(|e| failed(&from, &e))?;
            super::say(format!("{} {} is damaged and was put aside as {}", paint(Tone::Bad, "x"), from.display(), to.display()));
        }
    }
    // What channels had taken is of messages that the new one does not know.
    let taken = PathBuf::from(format!("{}-taken", db.display()));
    if taken.exists() {
        let to = PathBuf::from(format!("{}.damaged-{stamp}-taken", db.display()));
        std::fs::rename(&taken, &to).map_err(|e| failed(&taken, &e))?;
    }
    let store = context.store()?;
    super::say(format!(
        "{} a new database; facts come back with the next collection, runs and audit record begin anew",
        paint(Tone::Good, "+")
    ));
    Ok(store)
}
