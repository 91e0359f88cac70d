//! `rmm devices`: list, show, add, edit, remove, import, export; groups and sites.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::args::Global;
use super::context::Context;
use super::devices_lists as lists;
use super::exit::Exit;
use super::failure::Failure;
use super::style::{Tone, clean, count, paint};
use super::table::Table;
use crate::apply::survey::Survey;
use crate::diagnose::{Diagnostic, did_you_mean};
use crate::model::device::{Elevate, TransportKind};
use crate::model::{Device, Group};
use crate::plan::Scope;
use crate::repo::devices_csv::{self, Known};
use crate::repo::devices_file;
use crate::store::{AuditEvent, Store};

/// Arguments of `rmm devices`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm devices list\n  rmm devices show web-1\n  rmm devices import devices.csv\n  rmm devices add web-9 --address 192.0.2.9 --user admin --elevate\n  rmm devices groups"
)]
pub(super) struct DevicesArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List devices
    #[command(after_help = "Example:\n  rmm devices list 'site=Berlin,os=linux' --output csv")]
    List {
        /// Devices, groups or key=value selectors; all devices without one
        selectors: Vec<String>,
    },
    /// Show one device: declaration, groups, connection, status
    #[command(after_help = "Example:\n  rmm devices show web-1")]
    Show {
        /// Device
        device: String,
    },
    /// Declare a device in devices/imported.yaml
    #[command(
        after_help = "Example:\n  rmm devices add web-9 --address 192.0.2.9 --group 'Web Servers' --create-missing --user admin --elevate"
    )]
    Add {
        /// Unique name
        name: String,
        #[command(flatten)]
        fields: Fields,
        /// Declare groups and the site that the repository does not have
        #[arg(long)]
        create_missing: bool,
    },
    /// Change a device of devices/imported.yaml; what is not given stays
    #[command(after_help = "Example:\n  rmm devices edit web-9 --site Berlin --tag pilot")]
    Edit {
        /// Device
        name: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// Remove a device from devices/imported.yaml; what is known of it stays in the database
    #[command(after_help = "Example:\n  rmm devices remove web-9")]
    Remove {
        /// Device
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Import devices from a CSV file: all of them, or none
    #[command(
        after_help = "Example:\n  rmm devices import devices.csv --dry-run\n\nColumns: name, address, os, site, groups, tags (several joined with ;), transport, user, port, identity_file, custom:NAME, var:NAME"
    )]
    Import {
        /// File
        file: PathBuf,
        /// Show what would be imported, and write nothing
        #[arg(long)]
        dry_run: bool,
        /// Declare groups and sites that the file names and the repository does not have
        #[arg(long)]
        create_missing: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Write devices as CSV, in the form that import reads
    #[command(after_help = "Example:\n  rmm devices export > devices.csv")]
    Export {
        /// Devices, groups or key=value selectors; all devices without one
        selectors: Vec<String>,
    },
    /// List groups with their members
    #[command(after_help = "Example:\n  rmm devices groups")]
    Groups,
    /// List sites
    #[command(after_help = "Example:\n  rmm devices sites")]
    Sites,
}

#[derive(Debug, Default, PartialEq, Eq, Args)]
struct Fields {
    /// Name or address to connect to
    #[arg(long)]
    address: Option<String>,
    /// Site
    #[arg(long)]
    site: Option<String>,
    /// Group; may be repeated
    #[arg(long, value_name = "GROUP")]
    group: Vec<String>,
    /// Tag; may be repeated
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// User to sign in as
    #[arg(long)]
    user: Option<String>,
    /// TCP port
    #[arg(long)]
    port: Option<u16>,
    /// Private key file; may be repeated
    #[arg(long, value_name = "FILE")]
    identity_file: Vec<String>,
    /// Become root through sudo
    #[arg(long)]
    elevate: bool,
    /// This very machine, without a network
    #[arg(long)]
    local: bool,
    /// Custom field NAME=VALUE; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    custom: Vec<String>,
    /// Template variable NAME=VALUE; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    var: Vec<String>,
}

impl Fields {
    /// Puts what was given onto a device.
    fn onto(&self, device: &mut Device) -> Result<(), Failure> {
        let take = |slot: &mut Option<String>, given: &Option<String>| {
            if given.is_some() {
                slot.clone_from(given);
            }
        };
        take(&mut device.address, &self.address);
        take(&mut device.site, &self.site);
        take(&mut device.connection.user, &self.user);
        let lists = [
            (&mut device.groups, &self.group),
            (&mut device.tags, &self.tag),
            (&mut device.connection.identity_files, &self.identity_file),
        ];
        for (slot, given) in lists {
            if !given.is_empty() {
                slot.clone_from(given);
            }
        }
        device.connection.port = self.port.or(device.connection.port);
        if self.elevate {
            device.connection.elevate = Some(Elevate::Sudo);
        }
        if self.local {
            device.connection.transport = Some(TransportKind::Local);
        }
        for (map, given) in [(&mut device.custom_fields, &self.custom), (&mut device.vars, &self.var)] {
            for pair in given {
                let (name, value) = pair
                    .split_once('=')
                    .ok_or_else(|| Failure::usage(format!("'{pair}' is not NAME=VALUE"), "write it with an equals sign"))?;
                map.insert(name.to_owned(), json!(value));
            }
        }
        Ok(())
    }
}

pub(super) fn run(global: &Global, args: DevicesArgs) -> Result<Exit, Failure> {
    let context = Context::open(global)?;
    match args.action {
        Action::List { selectors } => lists::list(global, &context, &selectors),
        Action::Show { device } => lists::show(global, &context, &device),
        Action::Add { name, fields, create_missing } => {
            let mut device = Device { name: name.clone(), ..Device::default() };
            fields.onto(&mut device)?;
            let written = checked(global, &context, || {
                if create_missing && !context.set.devices.contains_key(&name) {
                    let known = Known { create_missing, ..Known::from(&*context.set) };
                    let (groups, sites) = devices_csv::undeclared(std::slice::from_ref(&device), &known);
                    return Ok(devices_file::write_fleet(
                        &context.set.root,
                        std::slice::from_ref(&device),
                        &groups,
                        &with_default(&context, sites),
                    )?);
                }
                declared(&context, &fields)?;
                Ok(devices_file::add_device(&context.set, &device)?)
            })?;
            record(&context, "device.added", &name, json!({ "file": written }))?;
            let quoted = crate::script::quote(&name);
            super::print(&format!("Added {} to {written}. Next: rmm collect {}\n", clean(&name), clean(&quoted)))?;
            Ok(Exit::Done)
        }
        Action::Edit { name, fields } => {
            find(&context, &name)?;
            // What was given is checked before the file is touched.
            fields.onto(&mut Device::default())?;
            declared(&context, &fields)?;
            if fields == Fields::default() {
                return Err(Failure::usage("nothing to change was given", "`rmm devices edit --help` lists what can be changed"));
            }
            let edit = |device: &mut Device| {
                let _ = fields.onto(device);
            };
            let written = checked(global, &context, || Ok(devices_file::edit_device(&context.set, &name, edit)?))?;
            record(&context, "device.edited", &name, json!({ "file": written }))?;
            super::print(&format!("Changed {name} in {written}.\n"))?;
            Ok(Exit::Done)
        }
        Action::Remove { name, yes } => {
            find(&context, &name)?;
            if !yes {
                super::confirm::ask("remove 1 device from the repository", std::slice::from_ref(&name), "--yes")?;
            }
            let written = checked(global, &context, || Ok(devices_file::remove_device(&context.set, &name)?))?;
            record(&context, "device.removed", &name, json!({ "file": written }))?;
            super::print(&format!("Removed {name} from {written}.\n"))?;
            Ok(Exit::Done)
        }
        Action::Import { file, dry_run, create_missing, yes } => import(global, &context, &file, dry_run, create_missing, yes),
        Action::Export { selectors } => {
            let devices = chosen(&context, &context.store()?, &selectors)?;
            super::print(&devices_csv::export(devices.iter().map(|d| &**d)))?;
            Ok(Exit::Done)
        }
        Action::Groups => lists::groups(global, &context),
        Action::Sites => lists::sites(global, &context),
    }
}

/// Writes, and reads the repository again. What makes it invalid is taken back: the next command has to work.
fn checked(global: &Global, context: &Context, change: impl FnOnce() -> Result<PathBuf, Failure>) -> Result<String, Failure> {
    let file = context.root.join(devices_file::IMPORTED);
    let before = std::fs::read(&file).ok();
    let written = change()?;
    if let Err(failure) = Context::open(&Global { quiet: true, ..global.clone() }) {
        let back = before.map_or_else(|| std::fs::remove_file(&file), |bytes| std::fs::write(&file, bytes));
        match back {
            Ok(()) => super::say(format!("{} would not be valid and is as it was:\n", devices_file::IMPORTED)),
            Err(error) => super::say(format!("{} is not valid now and cannot be put back: {error}\n", devices_file::IMPORTED)),
        }
        return Err(failure);
    }
    super::init::write_schemas(context, false)?;
    Ok(relative(context, &written))
}

/// Groups and the site that are given have to be declared.
fn declared(context: &Context, fields: &Fields) -> Result<(), Failure> {
    let group = fields.group.iter().find(|g| !context.set.groups.contains_key(*g));
    let site = fields.site.iter().find(|s| !context.set.sites.contains_key(*s));
    let unknown = group
        .map(|g| ("group", g, context.set.groups.keys().collect::<Vec<_>>()))
        .or_else(|| site.map(|s| ("site", s, context.set.sites.keys().collect())));
    let Some((what, name, known)) = unknown else { return Ok(()) };
    let near = did_you_mean(name, known.into_iter().map(String::as_str));
    let advice = near.map_or_else(
        || format!("`rmm devices {what}s` lists them; declare it in a file under devices/, or add the device with --create-missing"),
        |n| format!("did you mean '{n}'?"),
    );
    Err(Failure::new(Exit::Usage, Diagnostic::error("RMM0108", format!("there is no {what} '{name}'")).advice(advice)))
}

fn record(context: &Context, action: &str, target: &str, details: Value) -> Result<(), Failure> {
    context.store()?.audit(&AuditEvent {
        at: context.clock.now(),
        user: Some(context.actor.user.clone()),
        action: action.to_owned(),
        target: Some(target.to_owned()),
        details,
        ip: Some(context.actor.from.clone()),
        success: true,
    })?;
    Ok(())
}

pub(super) fn find<'a>(context: &'a Context, name: &str) -> Result<&'a Arc<Device>, Failure> {
    context.set.devices.get(name).ok_or_else(|| {
        let near = did_you_mean(name, context.set.devices.keys().map(String::as_str));
        let advice = near.map_or_else(|| "`rmm devices list` lists them".to_owned(), |n| format!("did you mean '{n}'?"));
        Failure::new(Exit::Usage, Diagnostic::error("RMM0310", format!("there is no device '{name}'")).advice(advice))
    })
}

pub(super) fn chosen(context: &Context, store: &Store, selectors: &[String]) -> Result<Vec<Arc<Device>>, Failure> {
    let scope = Scope::parse(&context.set, selectors, &[])?;
    Ok(Survey::new(&context.set, store, &context.secrets, &context.clock).devices(&scope)?)
}

pub(super) fn import(
    global: &Global,
    context: &Context,
    file: &Path,
    dry_run: bool,
    create_missing: bool,
    yes: bool,
) -> Result<Exit, Failure> {
    let batch = read(context, file, create_missing).inspect_err(|failure| {
        if !create_missing && failure.problems.iter().any(|p| p.code == "RMM0108") {
            super::say("Groups and sites that are new are declared with --create-missing.\n");
        }
    })?;
    offer(global, context, &batch, file, dry_run, yes)
}

/// Shows what would be imported, asks, and writes it.
pub(super) fn offer(global: &Global, context: &Context, batch: &Batch, file: &Path, dry_run: bool, yes: bool) -> Result<Exit, Failure> {
    let mut table = Table::new("rmm.import/1", &["DEVICE", "ADDRESS", "SITE", "GROUPS", "TAGS", "USER"]);
    for d in &batch.devices {
        table.push(vec![json!(d.name), json!(d.address), json!(d.site), json!(d.groups), json!(d.tags), json!(d.connection.user)]);
    }
    super::print(&table.render(global.output)?)?;
    for (what, names) in [("group", batch.groups.keys().collect::<Vec<_>>()), ("site", batch.sites.iter().collect())] {
        for name in names {
            super::say(format!("{} new {what}: {}", paint(Tone::Good, "+"), clean(name)));
        }
    }
    let number = count(batch.devices.len(), "device", "devices");
    if dry_run || batch.devices.is_empty() {
        super::say(format!("{number} would be imported; nothing was written."));
        return Ok(Exit::Done);
    }
    if !yes {
        super::confirm::ask(&format!("import {number}"), &batch.devices.iter().map(|d| d.name.clone()).collect::<Vec<_>>(), "--yes")?;
    }
    let mut written = String::new();
    checked(global, context, || {
        written = write(context, batch, file)?;
        Ok(context.root.join(&written))
    })?;
    super::say(format!("Imported {number} into {written}. Next: rmm collect"));
    Ok(Exit::Done)
}

/// Devices to import, checked against the repository.
pub(super) struct Batch {
    pub(super) devices: Vec<Device>,
    pub(super) groups: BTreeMap<String, Group>,
    pub(super) sites: BTreeSet<String>,
}

/// Reads a CSV file: all devices, or all problems.
pub(super) fn read(context: &Context, file: &Path, create_missing: bool) -> Result<Batch, Failure> {
    let name = file.display().to_string();
    let size = std::fs::metadata(file).map(|m| m.len());
    let bytes = match size {
        // The reader refuses what is larger; it need not be in memory for that.
        Ok(size) if size > 64 << 20 => {
            return Err(Failure::usage(format!("{name} has {size} bytes"), "split it into files of at most 16 MiB"));
        }
        _ => std::fs::read(file).map_err(|error| Failure::new(Exit::Error, Diagnostic::error("RMM0001", format!("{name}: {error}"))))?,
    };
    let known = Known { create_missing, ..Known::from(&*context.set) };
    let devices = devices_csv::import(&bytes, &name, &known).map_err(|problems| {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Failure { exit: Exit::InvalidConfiguration, problems, sources: Arc::new(BTreeMap::from([(Arc::from(name.as_str()), text)])) }
    })?;
    let (groups, sites) = devices_csv::undeclared(&devices, &known);
    let groups = groups.into_iter().map(|name| (name.clone(), Group { name, ..Group::default() })).collect();
    Ok(Batch { devices, groups, sites })
}

/// Sites to declare. With the first of them the default site has to be declared too.
pub(super) fn with_default(context: &Context, mut sites: BTreeSet<String>) -> BTreeSet<String> {
    let default = &context.set.config.general.default_site;
    if !sites.is_empty() && !context.set.sites.contains_key(default) {
        sites.insert(default.clone());
    }
    sites
}

/// Writes a batch into the repository and the record, and says where.
pub(super) fn write(context: &Context, batch: &Batch, from: &Path) -> Result<String, Failure> {
    let written = relative(
        context,
        &devices_file::write_whole(&context.set.root, &batch.devices, &batch.groups, &with_default(context, batch.sites.clone()))?,
    );
    record(context, "device.imported", &from.display().to_string(), json!({ "devices": batch.devices.len(), "file": written }))?;
    Ok(written)
}

/// A path within the repository, as people name it.
fn relative(context: &Context, path: &Path) -> String {
    path.strip_prefix(&context.set.root).unwrap_or(path).display().to_string()
}
