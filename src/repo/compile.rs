//! From (path, text) pairs to a policy set and everything that is wrong with them. Pure: no file is touched here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use include_dir::{Dir, include_dir};
use sha2::{Digest, Sha256};

use super::check::Checker;
use super::fleet::{self, Document, Fleet};
use super::kinds::{self, Kinds};
use super::members::Members;
use super::policies::{self, Compiler};
use super::set::PolicySet;
use super::tree::Entry;
use super::{codes, config, conflicts, plaintext, toml, yaml};
use crate::catalog::Catalog;
use crate::diagnose::{Diagnostic, Level};
use crate::model::{Config, Place, Policy, Selector};

static PACKS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/policies");

/// What is read, and how.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Folder of the repository: the one that holds `rmm.toml`.
    pub root: PathBuf,
    /// `--env`: the overlay `rmm.ENV.toml`.
    pub env: Option<String>,
    /// Environment variables; only those of the form `RMM_SECTION__KEY` matter.
    pub environment: Vec<(String, String)>,
    /// The present, for exceptions that have ended.
    pub now: DateTime<Utc>,
}

/// What the repository is compiled against.
#[derive(Debug, Clone)]
pub struct World {
    /// Short Git commit.
    pub commit: Option<String>,
    /// The settings; the built-in ones and those of `scripts/` where absent.
    pub catalog: Option<Arc<Catalog>>,
    /// Packs for `import:` by name.
    pub packs: BTreeMap<String, String>,
}

impl Default for World {
    fn default() -> Self {
        Self { commit: None, catalog: None, packs: builtin_packs() }
    }
}

/// A reading of a repository.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The policy set; `None` where any problem is an error.
    pub set: Option<PolicySet>,
    /// Everything that is wrong, by place.
    pub problems: Vec<Diagnostic>,
    /// The texts that were read, for showing the lines that are meant.
    pub sources: Arc<BTreeMap<Arc<str>, String>>,
}

impl Loaded {
    /// Lays over the set what actions have changed of it. Without effect where nothing has.
    pub(super) fn lay_over(&mut self) {
        if let Some(Err(problem)) = self.set.as_mut().map(super::memberships::lay_over) {
            self.set = None;
            self.problems.push(*problem);
        }
    }

    /// The text of a file, for [`crate::diagnose::render`].
    pub fn source(&self, file: &str) -> Option<String> {
        self.sources.get(file).cloned()
    }
}

/// The packs that ship inside the binary, by name.
pub fn builtin_packs() -> BTreeMap<String, String> {
    let yaml = PACKS.files().filter(|file| file.path().extension().is_some_and(|e| e == "yaml"));
    yaml.filter_map(|file| Some((file.path().file_stem()?.to_str()?.to_owned(), file.contents_utf8()?.to_owned()))).collect()
}

/// What a path of the repository is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    Config,
    Overlay,
    Fleet(&'static str),
    Policies,
    Script,
    Thresholds,
    /// `monitors/*.yaml`
    Monitors,
    Workflows,
    Notifications,
}

/// What a path of the repository is for; `None` where it is nobody's business here.
pub(super) fn kind_of(path: &str) -> Option<FileKind> {
    let (folder, name) = path.split_once('/').map_or(("", path), |(folder, _)| (folder, path.rsplit('/').next().unwrap_or(path)));
    let (stem, extension) = name.rsplit_once('.')?;
    if stem.is_empty() || stem.starts_with('.') {
        return None;
    }
    let document = matches!(extension, "yaml" | "yml" | "json");
    match (folder, stem, extension) {
        ("", "rmm", "toml") => Some(FileKind::Config),
        ("", _, "toml") if stem.starts_with("rmm.") => Some(FileKind::Overlay),
        ("", "sites", _) if document => Some(FileKind::Fleet("sites")),
        ("", "groups", _) if document => Some(FileKind::Fleet("groups")),
        ("", "devices", _) | ("devices", ..) if document => Some(FileKind::Fleet("devices")),
        ("policies", ..) if document => Some(FileKind::Policies),
        ("", "notifications", _) if document => Some(FileKind::Notifications),
        ("thresholds", ..) if document => Some(FileKind::Thresholds),
        ("monitors", ..) if document => Some(FileKind::Monitors),
        ("workflows", ..) if document => Some(FileKind::Workflows),
        ("scripts", _, "rhai") => Some(FileKind::Script),
        _ => None,
    }
}

/// Compiles a repository. `files` holds every file that counts, with paths relative to the root and forward slashes.
pub fn compile(files: Vec<(Arc<str>, String)>, options: &LoadOptions, world: World) -> Loaded {
    compile_after(files, options, world, Vec::new())
}

/// The same, after problems that reading the files has found already.
pub(super) fn compile_after(
    mut files: Vec<(Arc<str>, String)>,
    options: &LoadOptions,
    world: World,
    mut problems: Vec<Diagnostic>,
) -> Loaded {
    files.sort_by(|a, b| a.0.cmp(&b.0));
    files.dedup_by(|a, b| a.0 == b.0);
    let overlay = options.env.as_deref().filter(|env| !env.is_empty()).map(|env| format!("rmm.{env}.toml"));
    files.retain(|(path, _)| match kind_of(path) {
        Some(FileKind::Overlay) => Some(&**path) == overlay.as_deref(),
        kind => kind.is_some(),
    });
    let mut hash = Sha256::new();
    let mut add = |part: &str| {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    };
    for (path, text) in &files {
        add(path);
        add(text);
    }
    add(overlay.as_deref().unwrap_or_default());
    for (name, value) in config::overrides(&options.environment) {
        add(name);
        add(value);
    }

    let mut fleet = Fleet::default();
    let mut configs: [Option<(Arc<str>, super::tree::Node)>; 2] = [None, None];
    let mut policy_files = Vec::new();
    let mut scripts = Vec::new();
    let (mut thresholds, mut monitors, mut workflows, mut notifications) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // What a file that cannot be read declares, nobody knows: names that may stand there are not called unknown.
    let mut unread = Unread::default();
    for file in problems.iter().filter(|p| p.level == Level::Error).filter_map(|p| p.place.as_ref()) {
        unread.note(kind_of(&file.file), &file.file, &mut fleet);
    }
    for (path, text) in &files {
        let Some(kind) = kind_of(path) else { continue };
        if kind == FileKind::Script {
            scripts.push((Arc::clone(path), text.clone()));
            continue;
        }
        let is_toml = matches!(kind, FileKind::Config | FileKind::Overlay);
        let (root, found) = if is_toml { toml::parse(path, text) } else { yaml::parse(path, text) };
        problems.extend(found);
        let Some(root) = root else {
            unread.note(Some(kind), path, &mut fleet);
            continue;
        };
        plaintext::check(&root, path, &mut problems);
        match kind {
            FileKind::Config => configs[0] = Some((Arc::clone(path), root)),
            FileKind::Overlay => configs[1] = Some((Arc::clone(path), root)),
            FileKind::Policies => policy_files.push(Document { file: Arc::clone(path), root }),
            FileKind::Fleet(section) => match fleet::misspelt_section(&root).filter(|_| !path.contains('/')) {
                Some((entry, section)) => {
                    fleet.unread = true;
                    problems.push(codes::unknown_key(&entry.key, [section], "this file", &entry.spot.of(path)));
                }
                None => fleet.take(Document { file: Arc::clone(path), root }, section, &mut problems),
            },
            FileKind::Thresholds => {
                thresholds.push((Arc::clone(path), kinds::unwrap(path, root, "thresholds", "threshold", &mut problems)));
            }
            FileKind::Monitors => {
                monitors.push((Arc::clone(path), kinds::unwrap(path, root, "monitors", "monitor", &mut problems)));
            }
            FileKind::Workflows => {
                let before = problems.len();
                workflows.push((Arc::clone(path), kinds::unwrap(path, root, "workflows", "workflow", &mut problems)));
                unread.workflows |= problems.len() > before;
            }
            FileKind::Notifications => notifications.push(Document { file: Arc::clone(path), root }),
            FileKind::Script => {}
        }
    }
    for (wanted, missing) in [(Some("rmm.toml"), "RMM0100"), (overlay.as_deref(), "RMM0119")] {
        if let Some(wanted) = wanted
            && !files.iter().any(|(path, _)| &**path == wanted)
            && !problems.iter().any(|p| p.place.as_ref().is_some_and(|place| &*place.file == wanted))
        {
            let advice = if missing == "RMM0100" { "rmm init writes one" } else { "create it, or name another environment with --env" };
            problems.push(Diagnostic::error(missing, format!("there is no {wanted}")).at(&Place::file(wanted)).advice(advice));
        }
    }
    let layers: Vec<_> = configs.into_iter().flatten().collect();
    let before = problems.len();
    let (config, origins) = config::build(&layers, &options.environment, &mut problems);
    unread.config |= problems.len() > before;

    let catalog = world.catalog.unwrap_or_else(|| {
        if scripts.is_empty() {
            return Catalog::builtin();
        }
        let (catalog, found) = Catalog::with_scripts(&scripts);
        for (path, text) in &scripts {
            let wrong = |p: &Diagnostic| p.level == Level::Error && p.place.as_ref().is_some_and(|place| place.file == *path);
            if found.iter().any(wrong) {
                unread.script(path, text);
            }
        }
        problems.extend(found);
        Arc::new(catalog)
    });

    let file_count = files.len();
    let mut sources: BTreeMap<Arc<str>, String> = files.into_iter().collect();
    let reading = ReadingPolicies { packs: &world.packs, catalog: &catalog, now: options.now };
    let (declared, policy_names) = reading.read(policy_files, &mut unread, &mut sources, &mut add, &mut problems);
    let hash = hex::encode(hash.finalize());

    let site_ids: BTreeMap<String, String> =
        fleet.sites.values().filter_map(|site| Some((site.value.site_id.clone()?, site.value.name.clone()))).collect();
    let before = problems.len();
    check_default_site(&config, &origins, &fleet, &site_ids, &mut problems);
    super::connections::check(&fleet, config.security.require_https, &mut problems);
    let members = Members::new(&fleet, &site_ids, &config.general.default_site);
    let mut checker = Checker { fleet: &fleet, site_ids: &site_ids, members: &members, incomplete: false, problems: &mut problems };
    checker.fleet();
    checker.incomplete =
        checker.problems.len() > before || unread.config || fleet.unread || fleet.broken.values().any(|names| !names.is_empty());
    for (file, entry, policy) in &declared {
        let zone = entry.node.get("timezone").and_then(|node| node.text()).and_then(|name| name.parse::<Tz>().ok()).unwrap_or(Tz::UTC);
        checker.policy(policy, &entry.node, file, zone, options.now);
    }
    let all: Vec<&Policy> = declared.iter().map(|(_, _, policy)| policy).collect();
    conflicts::check(&all, &members, checker.problems);
    let thresholds = kinds::by_name(thresholds, "threshold", checker.problems);
    let monitors = kinds::by_name(monitors, "monitor", checker.problems);
    let workflow_names = { workflows.iter() }.flat_map(|(_, entries)| entries).map(|entry| entry.key.clone()).collect();
    let workflows = kinds::by_name(workflows, "workflow", checker.problems);
    let mut kinds = Kinds {
        checker,
        catalog: &catalog,
        config: &config,
        channels: &config.notifications.channels,
        policies: &policy_names,
        workflows: workflow_names,
        unread: &unread,
        now: options.now,
    };
    let thresholds = kinds.thresholds(thresholds);
    let monitors = kinds.monitors(monitors);
    let workflows = kinds.all_workflows(workflows);
    let notifications = kinds.notifications(notifications);

    // A value that is wrong anyway is not also a secret in the wrong place.
    let wrong: BTreeSet<Place> = { problems.iter() }.filter(|p| p.level == Level::Error).filter_map(|p| p.place.clone()).collect();
    problems.retain(|p| p.level == Level::Error || p.code != "RMM0152" || p.place.as_ref().is_none_or(|place| !wrong.contains(place)));
    problems.sort_by(|a, b| (&a.place, a.level, &a.code).cmp(&(&b.place, b.level, &b.code)));
    problems.dedup();
    let sources = Arc::new(sources);
    if problems.iter().any(|problem| problem.level == Level::Error) {
        return Loaded { set: None, problems, sources };
    }
    let mut policies: Vec<Arc<Policy>> = declared
        .into_iter()
        .map(|(_, _, mut policy)| {
            policy.targets.iter_mut().chain(&mut policy.exclude).for_each(|selector| name_site(selector, &site_ids));
            Arc::new(policy)
        })
        .collect();
    policies.sort_by(|a, b| a.name.cmp(&b.name));
    let mut set = PolicySet {
        name: options.root.file_name().map_or_else(|| "fleet".to_owned(), |name| name.to_string_lossy().into_owned()),
        root: options.root.clone(),
        hash,
        overlay: String::new(),
        sealed: None,
        commit: world.commit,
        config,
        origins,
        sites: fleet.sites.into_iter().map(|(name, site)| (name, site.value)).collect(),
        groups: fleet.groups.into_iter().map(|(name, group)| (name, group.value)).collect(),
        devices: BTreeMap::new(),
        policies,
        thresholds,
        monitors,
        workflows,
        notifications: notifications.rules,
        escalations: notifications.escalations,
        rotas: notifications.rotas,
        people: notifications.people,
        maintenance: notifications.maintenance,
        business_hours: notifications.hours,
        quiet_hours: notifications.quiet,
        alerts: notifications.alerts,
        catalog,
        files: file_count,
    };
    for group in set.groups.values_mut() {
        if let Some(rule) = &mut group.rule {
            name_site(rule, &site_ids);
        }
    }
    let mut members: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for group in set.groups.values() {
        for member in &group.members {
            members.entry(member).or_default().push(&group.name);
        }
    }
    for (name, declared) in fleet.devices {
        let mut device = declared.value;
        let site = device.site.take().unwrap_or_else(|| set.config.general.default_site.clone());
        device.site = Some(site_ids.get(&site).cloned().unwrap_or(site));
        for group in members.get(name.as_str()).into_iter().flatten() {
            if !device.groups.iter().any(|known| known == group) {
                device.groups.push((*group).to_owned());
            }
        }
        set.devices.insert(name, Arc::new(device));
    }
    Loaded { set: Some(set), problems, sources }
}

type DeclaredPolicy = (Arc<str>, Entry, Policy);

/// What declares names and cannot be read, so that nobody is told twice of one mistake.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Unread {
    /// `rmm.toml` or its overlay: channels.
    pub config: bool,
    /// A file of policies.
    pub policies: bool,
    /// A file of workflows.
    pub workflows: bool,
    /// Settings and actions of scripts with mistakes, as [`plain`] spells them.
    scripts: BTreeSet<String>,
}

impl Unread {
    fn note(&mut self, kind: Option<FileKind>, path: &str, fleet: &mut Fleet) {
        match kind {
            Some(FileKind::Config | FileKind::Overlay) => self.config = true,
            Some(FileKind::Fleet(_)) => fleet.unread = true,
            Some(FileKind::Policies) => self.policies = true,
            Some(FileKind::Workflows) => self.workflows = true,
            Some(FileKind::Script) => self.script(path, ""),
            Some(FileKind::Thresholds | FileKind::Monitors | FileKind::Notifications) | None => {}
        }
    }

    /// A script may declare what its head says, or what it is named after.
    fn script(&mut self, path: &str, text: &str) {
        let stem = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".rhai");
        self.scripts.insert(plain(stem));
        let head = text.lines().map_while(|line| line.strip_prefix("//!"));
        self.scripts.extend(head.filter_map(|line| line.split_once(':')).take(1).map(|(_, name)| plain(name)));
    }

    /// Whether a script that cannot be read may declare this setting or action.
    pub(super) fn declares(&self, name: &str) -> bool {
        self.scripts.contains(&plain(name))
    }
}

/// A name without what spellings differ in: `login-banner` is `LoginBanner`.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// What policies are read against.
struct ReadingPolicies<'a> {
    packs: &'a BTreeMap<String, String>,
    catalog: &'a Catalog,
    now: DateTime<Utc>,
}

impl ReadingPolicies<'_> {
    /// Reads the policies of all files and of the packs that they import; and the names of all, also of those with mistakes.
    fn read(
        &self,
        files: Vec<Document>,
        unread: &mut Unread,
        sources: &mut BTreeMap<Arc<str>, String>,
        add: &mut impl FnMut(&str),
        problems: &mut Vec<Diagnostic>,
    ) -> (Vec<DeclaredPolicy>, BTreeSet<String>) {
        let mut parts: Vec<(Arc<str>, Vec<Entry>)> = Vec::new();
        let mut imported: BTreeMap<String, Arc<str>> = BTreeMap::new();
        let Self { packs, catalog, now } = *self;
        for document in files {
            let before = problems.len();
            let file = policies::split(&document.file, document.root, problems);
            unread.policies |= problems.len() > before;
            parts.push((document.file, file.policies));
            for (name, place) in file.imports {
                if packs.contains_key(&name) {
                    imported.entry(name).or_insert_with_key(|name| format!("builtin:policies/{name}.yaml").into());
                } else {
                    let problem = Diagnostic::error("RMM0118", format!("there is no pack '{name}' to import")).at(&place);
                    unread.policies = true;
                    problems.push(problem.advice(codes::suggestion(&name, packs.keys().map(String::as_str), "the packs are")));
                }
            }
        }
        for (name, path) in imported {
            let Some(text) = packs.get(&name) else { continue };
            add(&path);
            add(text);
            sources.insert(Arc::clone(&path), text.clone());
            let (root, found) = yaml::parse(&path, text);
            problems.extend(found);
            if let Some(root) = root {
                let file = policies::split(&path, root, problems);
                parts.push((path, file.policies));
            }
        }
        let mut first: BTreeMap<String, Place> = BTreeMap::new();
        let mut declared = Vec::new();
        for (file, entries) in parts {
            for entry in entries {
                let place = entry.spot.of(&file);
                if let Some(first) = first.get(&entry.key) {
                    problems.push(codes::duplicate_name("policy", &entry.key, &place, first));
                    continue;
                }
                first.insert(entry.key.clone(), place.clone());
                if let Some(why) = fleet::bad_name(&entry.key) {
                    problems.push(codes::wrong_value(format!("a policy cannot be named '{}': {why}", entry.key.escape_debug()), &place));
                }
                let mut entry = entry;
                fleet::respell(&mut entry.node, &super::decode::POLICY);
                let policy = Compiler { file: &file, catalog, unread, now, problems }.policy(&entry);
                if let Some(policy) = policy {
                    declared.push((Arc::clone(&file), entry, policy));
                }
            }
        }
        (declared, first.into_keys().collect())
    }
}

/// A default site that somebody wrote down has to exist, once any site is declared.
fn check_default_site(
    config: &Config,
    origins: &BTreeMap<String, String>,
    fleet: &Fleet,
    ids: &BTreeMap<String, String>,
    problems: &mut Vec<Diagnostic>,
) {
    let name = &config.general.default_site;
    let origin = origins.get("general.default_site").map(String::as_str).unwrap_or_default();
    let broken = fleet.broken.get("sites").is_some_and(|names| names.contains(name));
    if origin == "default" || broken || fleet.sites.is_empty() || fleet.unread || fleet.sites.contains_key(name) || ids.contains_key(name) {
        return;
    }
    let (file, line) = origin.rsplit_once(':').unwrap_or((origin, ""));
    let place = Place { file: file.into(), line: line.parse().unwrap_or(0), column: 0, length: 0 };
    problems.push(codes::unknown_name("site", name, fleet.sites.keys().map(String::as_str), &place));
}

/// A site may be named by its identifier; the set speaks of it by its name.
fn name_site(selector: &mut Selector, ids: &BTreeMap<String, String>) {
    if let Selector::Match(parts) = selector
        && let Some(site) = &mut parts.site
        && let Some(name) = ids.get(site)
    {
        site.clone_from(name);
    }
}
