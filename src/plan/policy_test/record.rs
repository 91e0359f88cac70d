//! A test from a real device: what its policies look at, without what tells whose it is, and the plan of that moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, SubsecRound as _, Utc};
use serde_json::{Map, Value, json};

use super::super::{PlanOptions, Planner};
use super::anonymous::{Anonymous, HOSTNAME};
use super::plan_of;
use crate::model::facts::{Lookup, Status};
use crate::model::plan::{Change, DevicePlan, State};
use crate::model::policy_test::{Described, Entry, Expect, Expected, PolicyTest, ReadyTest, TestDevice};
use crate::model::{Device, Facts, Section};

/// Members of `software.os` that say what a device is, and not which one.
const SYSTEM: [&str; 9] = ["family", "id", "id_like", "name", "pretty_name", "version_id", "init", "package_manager", "is_root"];

/// A recorded test.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The test.
    pub test: PolicyTest,
    /// Settings that come out differently than on the device, because of what had to be taken out.
    pub differs: Vec<String>,
    /// Whether the name of the device stays, since the plan depends on it.
    pub named: bool,
}

/// Records. `taken` are names that other tests have.
pub fn record(planner: &Planner<'_>, device: &Device, facts: &Facts, now: DateTime<Utc>, taken: &BTreeSet<String>) -> Recorded {
    let now = now.trunc_subsecs(0);
    let oldest = now - planner.set.config.monitoring.inventory_interval.delta() * 2;
    let mut fresh = facts.clone();
    // What is too old to be evidence is no evidence in the test either.
    fresh.sections.retain(|_, section| section.collected_at >= oldest);
    let options = PlanOptions { compliant: true, ..PlanOptions::default() };
    let real = planner.decide(device, planner.evaluate(device, &fresh, &options, now), &options, now);
    let name = title(&real, now, taken);
    let mut best: Option<Recorded> = None;
    for (whole, hostname) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut anonymous = Anonymous::new(planner.set, device, &fresh, !hostname);
        let clean = anonymous.facts(&looked_at(planner, &real, &fresh, whole, true));
        let core = anonymous.facts(&looked_at(planner, &real, &fresh, false, false));
        let try_out = |facts: &Facts| attempt(planner, device, facts, &real, hostname, now, &name);
        let candidate = smaller(planner, clean, &core, try_out);
        if best.as_ref().is_none_or(|best| candidate.differs.len() < best.differs.len()) {
            best = Some(candidate);
        }
        if best.as_ref().is_some_and(|best| best.differs.is_empty()) {
            break;
        }
    }
    best.unwrap_or_else(|| attempt(planner, device, &Facts::default(), &real, false, now, &name))
}

/// `Debian 12 in All Servers, as observed on 2026-11-21`
fn title(plan: &DevicePlan, now: DateTime<Utc>, taken: &BTreeSet<String>) -> String {
    let system = plan.os.clone().or_else(|| plan.platform.map(|os| os.to_string())).unwrap_or_else(|| "A device".into());
    let groups = if plan.groups.is_empty() { String::new() } else { format!(" in {}", plan.groups.join(", ")) };
    let name = format!("{system}{groups}, as observed on {}", now.format("%F"));
    let mut free = name.clone();
    for n in 2.. {
        if !taken.contains(&free) {
            break;
        }
        free = format!("{name} ({n})");
    }
    free
}

/// The test from these facts, with what its own plan says.
fn attempt(
    planner: &Planner<'_>,
    device: &Device,
    facts: &Facts,
    real: &DevicePlan,
    hostname: bool,
    now: DateTime<Utc>,
    name: &str,
) -> Recorded {
    let site = device.site.clone().filter(|site| *site != planner.set.config.general.default_site);
    let described = Described {
        hostname: Some(if hostname { device.name.clone() } else { HOSTNAME.to_owned() }),
        os: real.platform.filter(|_| facts.platform().is_none()),
        site: site.clone(),
        groups: device.groups.clone(),
        tags: device.tags.clone(),
        vars: device.vars.clone(),
        ..Described::default()
    };
    let own = Device {
        name: described.hostname.clone().unwrap_or_default(),
        os: described.os,
        site: device.site.clone(),
        groups: device.groups.clone(),
        tags: device.tags.clone(),
        vars: device.vars.clone(),
        ..Device::default()
    };
    let mut test = PolicyTest {
        name: name.to_owned(),
        description: None,
        device: TestDevice::Described(described),
        facts: document(facts),
        facts_from: None,
        facts_age: None,
        at: Some(now.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
        approve: false,
        expect: Expect::default(),
    };
    // From the document, not from the facts it came of: the test is what is written.
    let facts = Arc::new(Facts::from_value(&test.facts, now));
    let place = crate::model::Place::default();
    let ready = ReadyTest { test: test.clone(), device: Arc::new(own), facts, at: now, place, places: BTreeMap::new() };
    let (plan, _) = plan_of(planner, &ready);
    test.expect = expect(&plan);
    let states = |plan: &DevicePlan| plan.changes.iter().map(|c| (c.label(), c.state)).collect::<BTreeMap<_, _>>();
    let (wanted, got) = (states(real), states(&plan));
    let labels: BTreeSet<&String> = wanted.keys().chain(got.keys()).collect();
    let differs = labels.into_iter().filter(|label| wanted.get(*label) != got.get(*label)).cloned().collect();
    Recorded { test, differs, named: hostname }
}

/// Members of observed files that few verdicts look at.
const DETAILS: [&[&str]; 2] = [&["sha256", "size"], &["sha256"]];
/// Maps with more entries than this are too long to read.
const LONG: usize = 8;

/// The same test from less, where the plan is the same: what nobody looks at only stands in the way of reading.
fn smaller(planner: &Planner<'_>, facts: Facts, core: &Facts, attempt: impl Fn(&Facts) -> Recorded) -> Recorded {
    let mut best = attempt(&facts);
    let mut facts = facts;
    let mut keep = |facts: &mut Facts, name: &Arc<str>, data: Option<Value>| {
        let Some(section) = facts.sections.get(name) else { return false };
        let mut less = facts.clone();
        if let Some(data) = data {
            less.sections.insert(Arc::clone(name), Section::new(data, section.status.clone(), section.collected_at));
        } else {
            less.sections.remove(name);
        }
        let tried = attempt(&less);
        let same = tried.test.expect == best.test.expect && tried.differs == best.differs;
        if same {
            best = tried;
            *facts = less;
        }
        same
    };
    let said: BTreeSet<String> = super::anonymous::said(planner.set).lines().map(str::to_owned).collect();
    for name in facts.sections.keys().cloned().collect::<Vec<_>>() {
        // What only scripts ask for matters in few cases.
        let own = core.sections.get(&name).map(|section| (*section.data).clone());
        if facts.sections.get(&name).is_some_and(|section| section.status == Status::Ok && Some(&*section.data) != own.as_ref()) {
            keep(&mut facts, &name, own);
        }
        let long = facts.sections.get(&name).and_then(|section| section.data.as_object()).filter(|map| map.len() > LONG);
        if let Some(map) = long.filter(|_| name.contains('.')) {
            let named = map.iter().filter(|(key, _)| said.contains(*key)).map(|(key, value)| (key.clone(), value.clone())).collect();
            keep(&mut facts, &name, Some(Value::Object(named)));
        }
    }
    let name: Arc<str> = "files".into();
    let paths: Vec<String> = facts.sections.get(&name).and_then(|s| s.data.as_object()).into_iter().flat_map(Map::keys).cloned().collect();
    for path in paths {
        for details in DETAILS {
            let Some(mut data) = facts.sections.get(&name).map(|section| (*section.data).clone()) else { continue };
            let Some(file) = data.get_mut(&path).and_then(Value::as_object_mut).filter(|file| file.contains_key("sha256")) else {
                continue;
            };
            for detail in details {
                file.shift_remove(*detail);
            }
            if keep(&mut facts, &name, Some(data)) {
                break;
            }
        }
    }
    best
}

/// What a plan says, as a test expects it.
fn expect(plan: &DevicePlan) -> Expect {
    let mut expect = Expect { only: true, ..Expect::default() };
    for change in plan.changes.iter().filter(|change| change.state != State::Compliant) {
        let expected = match change.state {
            State::Unknown | State::Unsupported => Expected::Label(change.label()),
            _ => Expected::Entry(Box::new(Entry {
                setting: change.label(),
                from: Some(json!(change.from)),
                to: Some(json!(change.to)),
                by: change.held.as_ref().map(|held| held.by.clone()),
                ..Entry::default()
            })),
        };
        expect.list_mut(change.state).push(expected);
    }
    if expect.lists().next().is_none() {
        return Expect { nothing: true, ..Expect::default() };
    }
    expect
}

/// The facts that verdicts and targets look at, and with `scripts` what the scripts of the settings ask for: single members,
/// or with `whole` the sections that hold them.
fn looked_at(planner: &Planner<'_>, plan: &DevicePlan, facts: &Facts, whole: bool, scripts: bool) -> Facts {
    let mut kept = Facts::default();
    if let Some(section) = facts.sections.get("software.os") {
        keep(&mut kept, "software.os", section, &[], None);
        for member in SYSTEM {
            if let Some(value) = section.data.get(member).filter(|value| !value.is_null() && value.as_array().is_none_or(|l| !l.is_empty()))
            {
                keep(&mut kept, "software.os", section, &[member], Some(value));
            }
        }
    }
    for change in &plan.changes {
        let Some(def) = planner.set.catalog.settings.get(&change.setting) else { continue };
        let member = member(def, change);
        look(&mut kept, facts, &def.observe, member.as_deref(), whole);
        for (path, member) in asked(def.program.text()).into_iter().filter(|_| scripts) {
            look(&mut kept, facts, &path, member.as_deref(), whole);
        }
    }
    for expression in planner.selectors.expressions() {
        for path in paths(expression) {
            look(&mut kept, facts, &path, None, whole);
        }
    }
    kept
}

fn member(def: &crate::catalog::SettingDef, change: &Change) -> Option<String> {
    let key = change.key.as_deref()?;
    if def.keyed.as_ref().is_some_and(|keyed| keyed.by.is_some()) {
        return None;
    }
    if def.program.has("probes") { def.member(key, &super::super::placeholders(&change.desired)).ok() } else { Some(key.to_owned()) }
}

/// The facts that a script asks for by name: `device.fact("software.services", "sshd")`.
fn asked(script: &str) -> Vec<(String, Option<String>)> {
    let text =
        |rest: &str| rest.strip_prefix('"').and_then(|rest| rest.split_once('"')).map(|(text, rest)| (text.to_owned(), rest.to_owned()));
    let of = |rest: &str| {
        let (path, rest) = text(rest)?;
        let member = rest.strip_prefix(',').and_then(|rest| text(rest.trim_start())).map(|(member, _)| member);
        Some((path, member))
    };
    script.split(".fact(").skip(1).filter_map(of).collect()
}

/// `software.os.family`, from each `facts.software.os.family` of an expression.
fn paths(expression: &str) -> Vec<String> {
    let of = |rest: &str| {
        let path: String = rest.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '.')).collect();
        path.trim_end_matches('.').to_owned()
    };
    expression.split("facts.").skip(1).map(of).collect()
}

/// Copies what stands at a path. A section that was observed and lacks it stays an observed section.
fn look(kept: &mut Facts, facts: &Facts, path: &str, member: Option<&str>, whole: bool) {
    let Some((section, rest)) = facts.section(path) else { return };
    let name = path[..path.len() - rest.len()].trim_end_matches('.');
    if whole || section.status != Status::Ok || !section.data.is_object() {
        kept.sections.insert(name.into(), section.clone());
        return;
    }
    keep(kept, name, section, &[], None);
    let mut steps: Vec<&str> = rest.split('.').filter(|step| !step.is_empty()).chain(member).collect();
    // An expression may go on into a text, `facts.a.b.len`: the deepest thing that exists is what it looks at.
    while member.is_none() && !steps.is_empty() && facts.value(&format!("{name}.{}", steps.join("."))).is_none() {
        steps.pop();
    }
    if let Lookup::Found(value, _) = facts.lookup(path, member) {
        keep(kept, name, section, &steps, Some(value));
    } else if member.is_none() && !steps.is_empty() {
        keep(kept, name, section, &steps, facts.value(&format!("{name}.{}", steps.join("."))));
    }
}

/// Puts a value at a way into a section, which is made where it is missing.
fn keep(kept: &mut Facts, name: &str, section: &Section, steps: &[&str], value: Option<&Value>) {
    if section.status != Status::Ok {
        kept.sections.insert(name.into(), section.clone());
        return;
    }
    let old = kept.sections.get(name).map_or_else(|| Value::Object(Map::new()), |section| (*section.data).clone());
    let mut data = old;
    if let Some(value) = value {
        let mut at = &mut data;
        for step in steps {
            if !at.is_object() {
                *at = Value::Object(Map::new());
            }
            let Some(map) = at.as_object_mut() else { return };
            at = map.entry(*step).or_insert(Value::Null);
        }
        *at = value.clone();
    }
    kept.sections.insert(name.into(), Section::new(data, Status::Ok, section.collected_at));
}

/// The facts as a test gives them. What could not be observed says why.
fn document(facts: &Facts) -> Map<String, Value> {
    let mut root = match facts.to_value() {
        Value::Object(root) => root,
        _ => Map::new(),
    };
    for (name, section) in &facts.sections {
        let reason = match &section.status {
            Status::Ok => continue,
            Status::Unknown(why) => json!({ "unknown": why }),
            Status::Unsupported(why) => json!({ "unsupported": why }),
        };
        match name.split_once('.') {
            Some((category, member)) => {
                let category = root.entry(category).or_insert_with(|| Value::Object(Map::new()));
                if let Some(category) = category.as_object_mut() {
                    category.insert(member.to_owned(), reason);
                }
            }
            None => {
                root.insert(name.to_string(), reason);
            }
        }
    }
    root
}
