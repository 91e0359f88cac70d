//! Inventories in the YAML form, and the files of `group_vars/` and `host_vars/`.

use std::sync::Arc;

use super::super::tree::{Node, Tree};
use super::super::yaml;
use super::{About, Inventory, Source, Vars};
use crate::diagnose::Diagnostic;
use crate::model::Place;

/// What an encrypted file or value begins with.
pub(super) const VAULT: &str = "$ANSIBLE_VAULT;";

/// Whether an inventory is YAML: by its name, else by how it begins.
pub(super) fn looks_like(path: &str, text: &str) -> bool {
    let extension = path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map(|(_, extension)| extension);
    match extension {
        Some("yml" | "yaml" | "json") => true,
        Some("ini" | "cfg") => false,
        _ => text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#')).is_some_and(|line| {
            line == "---" || line.starts_with('{') || line.strip_suffix(':').is_some_and(|name| !name.contains([' ', '[', '=']))
        }),
    }
}

/// Blanks out the tags that only Ansible knows; columns stay.
fn without_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let tag = ["!vault-encrypted", "!vault", "!unsafe"].into_iter().find_map(|tag| Some((line.find(&format!(": {tag} "))? + 2, tag)));
        match tag {
            Some((start, tag)) if !line[..start].contains(['"', '\'', '#']) => {
                out.push_str(&line[..start]);
                out.push_str(&" ".repeat(tag.len()));
                out.push_str(&line[start + tag.len()..]);
            }
            _ => out.push_str(line),
        }
    }
    out
}

fn parse(source: &Source, into: &mut Inventory) -> Option<Node> {
    let (root, problems) = yaml::parse(&source.path, &without_tags(&source.text));
    into.problems.extend(problems);
    root
}

pub(super) fn inventory(source: &Source, into: &mut Inventory) {
    if source.text.starts_with(VAULT) {
        return into.wrong("the inventory is encrypted; decrypt it first", &Place::file(Arc::clone(&source.path)));
    }
    let Some(root) = parse(source, into) else { return };
    if let Tree::Map(groups) = &root.value {
        for entry in groups {
            if entry.key == "plugin" {
                into.wrong("this is the configuration of a plugin; dynamic inventories are not run", &entry.spot.of(&source.path));
                return;
            }
            group(&source.path, None, &entry.key, &entry.spot.of(&source.path), &entry.node, into);
        }
    } else {
        into.wrong("expected a map from group to its hosts", &root.spot.of(&source.path));
    }
}

/// Reads a group; the depth is bounded by that of the document.
fn group(file: &Arc<str>, parent: Option<&str>, name: &str, at: &Place, node: &Node, into: &mut Inventory) {
    into.group(name, at);
    if let Some(parent) = parent {
        into.child(parent, name, at);
    }
    if !node.is_map_or_null() {
        return into.wrong(format!("expected a map that describes the group '{}'", name.escape_debug()), &node.spot.of(file));
    }
    for entry in node.entries() {
        let here = entry.spot.of(file);
        if !entry.node.is_map_or_null() {
            into.wrong(format!("expected a map under '{}'", entry.key.escape_debug()), &entry.node.spot.of(file));
            continue;
        }
        match entry.key.as_str() {
            "hosts" => {
                for host in entry.node.entries() {
                    let at = host.spot.of(file);
                    if !host.node.is_map_or_null() {
                        into.wrong(format!("expected the variables of '{}'", host.key.escape_debug()), &host.node.spot.of(file));
                    }
                    into.hosts(&host.key, name, &vars(file, &host.node), &at);
                }
            }
            "vars" => {
                let vars = vars(file, &entry.node);
                into.group(name, at).vars.extend(vars);
            }
            "children" => {
                for child in entry.node.entries() {
                    group(file, Some(name), &child.key, &child.spot.of(file), &child.node, into);
                }
            }
            other => into.wrong(format!("a group has hosts, vars and children, not '{}'", other.escape_debug()), &here),
        }
    }
}

fn vars(file: &Arc<str>, node: &Node) -> Vars {
    node.entries().iter().map(|entry| (entry.key.clone(), (entry.node.to_json(), entry.spot.of(file)))).collect()
}

/// A file of `group_vars/` or `host_vars/`. Its values win over those of the inventory.
pub(super) fn variables(source: &Source, into: &mut Inventory, left_out: &mut Vec<Diagnostic>) {
    let (name, known) = match &source.about {
        About::Inventory => return,
        About::Group(name) => (name, name == "all" || into.groups.contains_key(name)),
        About::Host(name) => (name, into.hosts.contains_key(name)),
    };
    let at = Place::file(Arc::clone(&source.path));
    let note = |why: &str| Diagnostic::warning("RMM0562", why.to_owned()).at(&at);
    if !known {
        left_out.push(note("the inventory names no such host or group"));
        return;
    }
    if source.text.starts_with(VAULT) {
        left_out.push(note("the file is encrypted and left out").advice(super::vars::ADVICE));
        return;
    }
    let Some(root) = parse(source, into) else { return };
    if !root.is_map_or_null() {
        return into.wrong("expected a map from variable to value", &root.spot.of(&source.path));
    }
    let found = vars(&source.path, &root);
    match &source.about {
        About::Host(_) => into.hosts.entry(name.clone()).or_default().vars.extend(found),
        _ => into.group(name, &at).vars.extend(found),
    }
}
