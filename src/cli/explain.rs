//! `rmm explain`: the page behind an error code, a setting, an action or a fact.

use std::fmt::Write as _;

use clap::Args;
use serde_json::{Value, json};

use super::args::Global;
use super::exit::Exit;
use super::failure::Failure;
use super::style::{Tone, paint};
use super::table::{Output, Table, document};
use crate::catalog::facts::{FactPage, fact_page, fact_pages};
use crate::catalog::{Catalog, SettingDef};
use crate::diagnose::{Diagnostic, did_you_mean, page, pages};

/// Arguments of `rmm explain`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm explain RMM0301\n  rmm explain Services\n  rmm explain InstallUpdates\n  rmm explain security.sshd\n  rmm explain settings"
)]
pub(super) struct ExplainArgs {
    /// An error code, a setting, an action, a fact, or one of: settings, actions, facts, codes, where, updates
    pub(super) topic: Option<String>,
}

const WHERE: &str = "# where: an expression over device and facts

A selector's `where` chooses devices by what is known of them:

    targets:
      - {os: linux, where: 'facts.hardware.memory.total_gb < 8 && device.site == \"Berlin\"'}

It is a Rhai expression that gives true or false. `facts` holds the sections that `rmm explain facts` lists; `device`
has name, address, os, site, groups, tags, vars and customFields.

Where it asks for a fact that has not been observed yet, it is not known whether the device is meant: the settings
are shown as unknown, and nothing is changed.

Try it on the command line: rmm eval --device web-1 'facts.hardware.memory.total_gb < 8'
";

const UPDATES: &str = "# Updates: which updates are approved

Among the settings of a policy, for the devices that it targets:

    settings:
      Updates:
        approve:                              # only what matches one of these; where absent, nothing is narrowed
          - {classification: security}        # security, bugfix, feature, driver, other; or a list of them
          - {severity: high, olderThan: 3d}   # all members have to hold; at least this severe
          - {source: 'stable*'}               # suite or repository
          - 'linux-*'                         # a pattern of names
        deny: [KB5034441, 'docker-*']         # never, whatever else is said
        defer: {'postgresql-*': 14d}          # not before

olderThan and defer count from when the update was published, where its source tells that, else from when it was first seen in
the fleet. Where several policies say something, what any of them denies or defers is denied or deferred, and what any of
them approves is approved. The rules hold at all hours: activeHours and AllowUpdates say when something is installed, not what.
An exception for the setting Updates frees a device.

By hand: rmm updates approve, deny, defer, forget. What is denied, in a policy or by hand, is never installed. What a person
approved needs no rule. Where nobody says anything, everything that a device offers is approved.

    rmm updates list        what is offered, what is decided about it, and which line or person says so
";

/// Outside of a repository the built-in catalog; inside, with the team's own settings and actions.
pub(super) fn catalog(global: &Global) -> std::sync::Arc<Catalog> {
    match super::context::root(global) {
        Ok(root) => crate::repo::load(&super::context::load_options(global, &root)).set.map_or_else(Catalog::builtin, |set| set.catalog),
        Err(_) => Catalog::builtin(),
    }
}

pub(super) fn run(global: &Global, args: &ExplainArgs) -> Result<Exit, Failure> {
    let catalog = catalog(global);
    let topic = args.topic.as_deref().unwrap_or("");
    let text = match topic.to_ascii_lowercase().as_str() {
        "" | "help" => overview(),
        "settings" => settings(&catalog).render(global.output)?,
        "actions" => super::explain_action::list(&catalog).render(global.output)?,
        "facts" => facts().render(global.output)?,
        "codes" => codes().render(global.output)?,
        "where" | "selectors" if global.output == Output::Table => WHERE.to_owned(),
        "where" | "selectors" => document(&json!({ "schema": "rmm.page/1", "code": "where", "text": WHERE }), global.output)?,
        "updates" if global.output == Output::Table => UPDATES.to_owned(),
        "updates" => document(&json!({ "schema": "rmm.page/1", "code": "updates", "text": UPDATES }), global.output)?,
        _ => one(global, topic, &catalog)?,
    };
    super::print(&text)?;
    Ok(Exit::Done)
}

fn one(global: &Global, topic: &str, catalog: &Catalog) -> Result<String, Failure> {
    if let Some(page) = page(topic) {
        return if global.output == Output::Table {
            Ok(format!("{}\n", page.text.trim_end()))
        } else {
            document(&json!({ "schema": "rmm.page/1", "code": page.code, "title": page.title, "text": page.text }), global.output)
        };
    }
    let setting = catalog.settings.values().find(|s| s.name.eq_ignore_ascii_case(topic));
    if let Some(setting) = setting {
        return if global.output == Output::Table { Ok(setting_page(setting)) } else { document(&setting_value(setting), global.output) };
    }
    if let Some(action) = catalog.action(topic) {
        return if global.output == Output::Table {
            Ok(super::explain_action::page(action))
        } else {
            document(&super::explain_action::value(action), global.output)
        };
    }
    if let Some(page) = fact_page(topic) {
        return fact_text(global, &page);
    }
    let known: Vec<String> = catalog
        .settings
        .keys()
        .chain(catalog.actions.keys())
        .map(ToString::to_string)
        .chain(fact_pages().keys().cloned())
        .chain(pages().iter().map(|p| p.code.to_owned()))
        .collect();
    let near = did_you_mean(topic, known.iter().map(String::as_str));
    let advice = near.map_or_else(
        || "`rmm explain settings`, `actions`, `facts` and `codes` list what there is".to_owned(),
        |n| format!("did you mean '{n}'?"),
    );
    Err(Failure::new(Exit::Error, Diagnostic::error("RMM0004", format!("there is no page on '{topic}'")).advice(advice)))
}

fn overview() -> String {
    let mut out = String::new();
    for (command, what) in [
        ("rmm explain settings", "what can be set"),
        ("rmm explain actions", "what can be done"),
        ("rmm explain facts", "what can be observed"),
        ("rmm explain codes", "error codes"),
        ("rmm explain where", "expressions in selectors"),
        ("rmm explain updates", "which updates are approved"),
        ("rmm explain Services", "one setting, with examples"),
        ("rmm explain InstallUpdates", "one action, with examples"),
        ("rmm explain RMM0301", "one error code"),
    ] {
        let _ = writeln!(out, "  {command:28}{what}");
    }
    out
}

fn settings(catalog: &Catalog) -> Table {
    let mut table = Table::new("rmm.settings/1", &["SETTING", "PLATFORMS", "KEY", "RISK", "SUMMARY"]);
    for s in catalog.settings.values() {
        let platforms: Vec<String> = s.platforms.iter().map(ToString::to_string).collect();
        let summary = if s.remediable() { s.summary.clone() } else { format!("{} (reports only)", s.summary.trim_end_matches('.')) };
        table.push(vec![json!(s.name), json!(platforms), json!(s.keyed.as_ref().map(|k| &k.name)), json!(s.risk), json!(summary)]);
    }
    table
}

fn facts() -> Table {
    let mut table = Table::new("rmm.factPages/1", &["FACT", "CATEGORY", "SUMMARY"]);
    for page in fact_pages().values() {
        table.push(vec![json!(page.name), json!(page.category), json!(page.summary)]);
    }
    table
}

fn codes() -> Table {
    let mut table = Table::new("rmm.codes/1", &["CODE", "MEANING"]);
    for page in pages() {
        table.push(vec![json!(page.code), json!(page.title)]);
    }
    table
}

fn setting_value(s: &SettingDef) -> Value {
    json!({
        "schema": "rmm.setting/1", "setting": s.name, "summary": s.summary, "description": s.description, "platforms": s.platforms,
        "key": s.keyed.as_ref().map(|k| &k.name), "risk": s.risk, "reboot": s.reboot, "remediable": s.remediable(), "secrets": s.secrets,
        "value": s.value, "examples": s.examples, "file": s.file.to_string(),
    })
}

fn setting_page(s: &SettingDef) -> String {
    let mut out = format!("{}\n{}\n", paint(Tone::Strong, &s.name), s.summary);
    if let Some(description) = &s.description {
        let _ = write!(out, "\n{}\n", description.trim_end());
    }
    let platforms: Vec<String> = s.platforms.iter().map(ToString::to_string).collect();
    let mut row = |name: &str, value: String| {
        let _ = write!(out, "\n  {} {value}", paint(Tone::Dim, format!("{name:10}")));
    };
    row("platforms", platforms.join(", "));
    if let Some(keyed) = &s.keyed {
        row("key", format!("{}{}", keyed.name, keyed.pattern.as_ref().map(|p| format!(", matching {p}")).unwrap_or_default()));
    }
    let elsewhere = s.observe_windows.as_ref().map(|fact| format!("; on Windows {fact}")).unwrap_or_default();
    row("observes", s.probe.as_ref().map_or_else(|| s.observe.clone(), |kind| format!("probe {kind}")) + elsewhere.as_str());
    row("compares", serde_json::to_value(s.compare).ok().and_then(|v| v.as_str().map(|t| t.replace('_', " "))).unwrap_or_default());
    row(
        "changes",
        if s.remediable() {
            let only: Vec<String> = s.reports.iter().map(ToString::to_string).collect();
            let only = if only.is_empty() { String::new() } else { format!("; only reports on {}", only.join(", ")) };
            format!("in phase {}, risk {}, reboot {}{only}", s.phase, s.risk, s.reboot)
        } else {
            "nothing: it only reports".into()
        },
    );
    if s.program.has("rollback") {
        row("undo", "a failed change is rolled back".into());
    }
    let secrets = if s.secrets { "a text may be {secret: NAME}" } else { "refused: what the device answers is stored" };
    row("secrets", secrets.into());
    row("defined in", s.file.to_string());
    out.push_str("\n\nValue (JSON Schema):\n");
    indent(&mut out, &serde_yaml::to_string(&s.value).unwrap_or_default());
    if !s.examples.is_empty() {
        out.push_str("\nExamples:\n");
        for example in &s.examples {
            let mut map = serde_json::Map::new();
            map.insert(s.name.to_string(), example.clone());
            indent(&mut out, &serde_yaml::to_string(&Value::Object(map)).unwrap_or_default());
        }
    }
    out
}

fn fact_text(global: &Global, page: &FactPage) -> Result<String, Failure> {
    if global.output != Output::Table {
        return document(&json!({ "schema": "rmm.factPage/1", "fact": page }), global.output);
    }
    let mut out = format!("{}\n{}\n", paint(Tone::Strong, &page.name), page.summary);
    let platforms: Vec<String> = page.platforms.iter().map(ToString::to_string).collect();
    for (name, value) in [
        ("category", page.category.to_string()),
        ("platforms", platforms.join(", ")),
        ("needs root", page.needs_root.clone()),
        ("shape", page.shape.clone()),
    ] {
        let _ = write!(out, "\n  {} {value}", paint(Tone::Dim, format!("{name:10}")));
    }
    let members = page.members();
    if members.is_empty() {
        out.push('\n');
    } else {
        out.push_str("\n\nMembers:\n");
        let width = members.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, member) in members {
            let only: Vec<String> = member.platforms.iter().map(ToString::to_string).collect();
            let only = if only.is_empty() { String::new() } else { format!(" ({} only)", only.join(", ")) };
            let _ = writeln!(out, "  {name:width$}  {}  {}{only}", paint(Tone::Dim, format!("{:8}", member.kind)), member.description);
        }
    }
    if let Some(note) = &page.note {
        let _ = write!(out, "\n{}\n", note.trim_end());
    }
    out.push_str("\nExample:\n");
    indent(&mut out, &serde_yaml::to_string(&page.example).unwrap_or_default());
    Ok(out)
}

pub(super) fn indent(out: &mut String, text: &str) {
    for line in text.lines() {
        let _ = writeln!(out, "  {line}");
    }
}
