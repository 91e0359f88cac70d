//! `rmm import`: what exists becomes files of the repository. Devices of a CSV file go the way of `rmm devices import`, and a
//! device as it is becomes a policy in `import_device.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::args::Global;
use super::context::Context;
use super::devices::{self, Batch};
use super::exit::Exit;
use super::failure::Failure;
use super::style::count;
use crate::apply::survey::Refresh;
use crate::diagnose::Diagnostic;
use crate::repo::ansible::{self, About, Source};

/// Arguments of `rmm import`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm import --from ansible inventory/hosts.ini --dry-run\n  rmm import --from ansible inventory/ --yes\n  rmm import --from csv devices.csv --create-missing\n  rmm import --from-device web-1 --include Services.nginx\n  rmm import --from hardeningkitty finding_list_msft_security_baseline_windows_11_24h2_machine.csv --dry-run\n  rmm import --from dsc windows.dsc.yaml --name Baseline --yes\n\nAll of it is imported, or nothing. Secrets of an inventory are named and left out; dynamic inventories are not run."
)]
pub(super) struct ImportArgs {
    /// What is read
    #[arg(long, value_enum, required_unless_present = "from_device")]
    pub(super) from: Option<From>,
    /// Inventory (a file, or a folder of them), CSV file, hardening list or DSC document
    #[arg(required_unless_present = "from_device", conflicts_with = "from_device")]
    pub(super) file: Option<PathBuf>,
    /// Make a policy that this device meets already, from what is known of it
    #[arg(long, value_name = "DEVICE", conflicts_with_all = ["from", "create_missing"])]
    pub(super) from_device: Option<String>,
    /// Name of the policy and of its file; else that of the device or of the file that is read
    #[arg(long)]
    pub(super) name: Option<String>,
    /// Group that the policy is for; else the device alone, or every Windows device
    #[arg(long, value_name = "GROUP")]
    pub(super) target: Option<String>,
    /// A setting that the baseline does not have, with all its keys or one (Packages, Services.nginx); may be repeated
    #[arg(long, value_name = "SETTING", requires = "from_device")]
    pub(super) include: Vec<String>,
    /// Whether the device is observed first: auto asks for what is older than the health check interval
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    pub(super) refresh: Refresh,
    /// Show what would be imported, and write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Declare groups and sites that a CSV file names and the repository does not have; an inventory brings its own
    #[arg(long)]
    pub(super) create_missing: bool,
    /// Do not ask
    #[arg(long)]
    pub(super) yes: bool,
}

/// What can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum From {
    /// An inventory of Ansible, ini or YAML, with group_vars and host_vars beside it
    Ansible,
    /// A list of devices
    Csv,
    /// A list of HardeningKitty (CSV) as a policy
    Hardeningkitty,
    /// A configuration document of DSC v3 (YAML or JSON) as a policy
    Dsc,
}

/// Largest file of an inventory, most files, deepest folder.
const MAX_BYTES: u64 = 16 << 20;
const MAX_FILES: usize = 10_000;
const MAX_FOLDERS: usize = 8;
/// Values left out that are named without -v.
const SHOWN: usize = 20;

pub(super) fn run(global: &Global, args: ImportArgs) -> Result<Exit, Failure> {
    let context = Context::open(global)?;
    let policy = args.from_device.is_some() || matches!(args.from, Some(From::Hardeningkitty | From::Dsc));
    if !policy && (args.name.is_some() || args.target.is_some()) {
        return Err(Failure::usage("--name and --target are for what becomes a policy", "devices and groups have their own names"));
    }
    match (&args.from_device, args.from, &args.file) {
        (Some(device), ..) => super::import_device::run(global, &context, device, &args),
        (None, Some(From::Csv), Some(file)) => devices::import(global, &context, file, args.dry_run, args.create_missing, args.yes),
        (None, Some(From::Ansible), Some(file)) => inventory(global, &context, file, &args),
        (None, Some(from @ (From::Hardeningkitty | From::Dsc)), Some(file)) => {
            super::import_policy::run(global, &context, from, file, &args)
        }
        (None, ..) => Err(Failure::usage("nothing is named to import", "rmm import --help shows what can be")),
    }
}

fn inventory(global: &Global, context: &Context, file: &Path, args: &ImportArgs) -> Result<Exit, Failure> {
    let sources = gather(file)?;
    let texts: Arc<BTreeMap<Arc<str>, String>> = Arc::new(sources.iter().map(|s| (Arc::clone(&s.path), s.text.clone())).collect());
    let fail = |problems| Failure { exit: Exit::InvalidConfiguration, problems, sources: Arc::clone(&texts) };
    let imported = ansible::read(&sources).map_err(fail)?;
    let mut problems = Vec::new();
    for device in &imported.devices {
        if let Some(known) = context.set.devices.get(&device.name) {
            let problem = Diagnostic::error("RMM0204", format!("the device '{}' exists already", device.name)).at(&device.place);
            problems.push(problem.related(&known.place, "declared here").advice("take it out of the inventory, or out of the repository"));
        }
    }
    let mut groups = BTreeMap::new();
    for (name, group) in imported.groups {
        let Some(known) = context.set.groups.get(&name) else {
            groups.insert(name, group);
            continue;
        };
        // A group that only has a name is the one that is there; one that says more would be lost or would overwrite.
        let says_more = group.parent.is_some() && group.parent != known.parent
            || !group.vars.is_empty() && group.vars != known.vars
            || group.connection != crate::model::device::Connection::default() && group.connection != known.connection;
        if says_more {
            let problem =
                Diagnostic::error("RMM0204", format!("the group '{name}' exists already, and says something else")).at(&group.place);
            problems.push(problem.related(&known.place, "declared here").advice("make the two agree, or rename one of them"));
        }
    }
    if !problems.is_empty() {
        return Err(fail(problems));
    }
    if !imported.left_out.is_empty() && !global.quiet {
        // Of a big inventory the first are shown; -v shows all.
        let shown = if global.verbose > 0 { imported.left_out.len() } else { imported.left_out.len().min(SHOWN) };
        let text = crate::diagnose::render(&imported.left_out[..shown], &|_| None, super::style::colored_errors());
        super::say(text.trim_end());
        let more = imported.left_out.len() - shown;
        let more = if more == 0 { String::new() } else { format!("; {more} more are shown with -v") };
        super::say(format!("{} left out{more}\n", count(imported.left_out.len(), "value", "values")));
    }
    let batch = Batch { devices: imported.devices, groups, sites: BTreeSet::new() };
    devices::offer(global, context, &batch, file, args.dry_run, args.yes)
}

/// The inventory and the files of variables beside it.
fn gather(path: &Path) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    let folder = if path.is_dir() {
        let mut files = entries(path)?;
        files.retain(|file| file.is_file() && !ignored(file));
        for file in &files {
            add(&mut sources, file, About::Inventory)?;
        }
        path.to_owned()
    } else {
        add(&mut sources, path, About::Inventory)?;
        path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
    };
    for (kind, about) in [("group_vars", About::Group as fn(String) -> About), ("host_vars", About::Host)] {
        let dir = folder.join(kind);
        if !dir.is_dir() {
            continue;
        }
        for entry in entries(&dir)? {
            let name = entry.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            if entry.is_dir() {
                below(&mut sources, &entry, &|| about(name.clone()), 0)?;
            } else if !ignored(&entry) {
                let stem = [".yml", ".yaml", ".json"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
                add(&mut sources, &entry, about(stem.to_owned()))?;
            }
        }
    }
    Ok(sources)
}

/// All files below `group_vars/NAME/`.
fn below(sources: &mut Vec<Source>, dir: &Path, about: &dyn Fn() -> About, depth: usize) -> Result<(), Failure> {
    for entry in entries(dir)? {
        if entry.is_dir() && depth < MAX_FOLDERS {
            below(sources, &entry, about, depth + 1)?;
        } else if entry.is_file() && !ignored(&entry) {
            add(sources, &entry, about())?;
        }
    }
    Ok(())
}

fn failed(path: &Path, why: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Error, Diagnostic::error("RMM0001", format!("{}: {why}", path.display())))
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let read = std::fs::read_dir(dir).map_err(|error| failed(dir, error))?;
    let mut entries: Vec<PathBuf> = read.filter_map(Result::ok).map(|entry| entry.path()).collect();
    entries.sort();
    Ok(entries)
}

/// What Ansible itself does not read in a folder: hidden files, copies, settings, compiled files.
fn ignored(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or(".");
    let end = name.rsplit_once('.').map_or("", |(_, end)| end);
    name.starts_with('.') || name.ends_with('~') || matches!(end, "orig" | "cfg" | "retry" | "pyc" | "bak" | "rst" | "md")
}

fn add(sources: &mut Vec<Source>, path: &Path, about: About) -> Result<(), Failure> {
    if sources.len() >= MAX_FILES {
        return Err(failed(path, "the inventory has more than 10,000 files"));
    }
    let file = std::fs::File::open(path).map_err(|error| failed(path, error))?;
    let data = file.metadata().map_err(|error| failed(path, error))?;
    if !data.is_file() {
        return Err(failed(path, "it is not a regular file"));
    }
    if is_program(&data) && about == About::Inventory {
        let failure = Failure::usage(
            format!("{} is a program: dynamic inventories are not run", path.display()),
            "write its answer to a file: ansible-inventory --list --yaml > hosts.yaml",
        );
        return Err(failure);
    }
    let mut text = String::new();
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(|error| failed(path, error))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(failed(path, "it is larger than 16 MiB"));
    }
    sources.push(Source { path: path.display().to_string().into(), text, about });
    Ok(())
}

fn is_program(data: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    data.permissions().mode() & 0o111 != 0
}
