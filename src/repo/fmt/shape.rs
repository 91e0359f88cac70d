//! What order the members of a map have, by the kind of file: read from the JSON Schemas of the types, whose
//! properties stand in the order of the Rust fields.

use serde_json::Value;

use super::super::compile::{FileKind, kind_of};
use super::super::decode::{
    self, ALERTS, DEVICE, ESCALATION, GROUP, HOURS, MAINTENANCE, MONITOR, PERSON, POLICY, QUIET, ROTA, RULE, SITE, TEST, THRESHOLD,
    WORKFLOW,
};

/// What a file holds.
pub(super) struct File {
    /// Keys that wrap definitions.
    sections: Vec<(&'static str, Shape<'static>)>,
    /// What the keys of the file itself are, where nothing is wrapped.
    bare: Shape<'static>,
    /// Keys whose value is one definition, not a map of them.
    single: Vec<(&'static str, Shape<'static>)>,
}

/// What is known of a value: its schema, or nothing.
#[derive(Clone, Copy)]
pub(super) struct Shape<'s>(Option<(&'s Value, &'s Value)>);

/// What a node of the document is.
#[derive(Clone, Copy)]
pub(super) enum Level<'s> {
    /// The file.
    File(&'s File),
    /// A map or list of definitions of this form; their order is the author's.
    Definitions(Shape<'s>),
    /// A value.
    Value(Shape<'s>),
}

/// The shape of a file by its path within the repository.
pub(super) fn of_file(path: &str) -> File {
    let shape = |kind: &'static decode::Kind| Shape(Some((kind.schema(), kind.schema())));
    let file = |sections, bare| File { sections, bare, single: Vec::new() };
    let fleet = || vec![("sites", shape(&SITE)), ("groups", shape(&GROUP)), ("devices", shape(&DEVICE))];
    match kind_of(path) {
        Some(FileKind::Fleet("sites")) => file(fleet(), shape(&SITE)),
        Some(FileKind::Fleet("groups")) => file(fleet(), shape(&GROUP)),
        Some(FileKind::Fleet(_)) => file(fleet(), shape(&DEVICE)),
        Some(FileKind::Policies) => file(vec![("policies", shape(&POLICY))], shape(&POLICY)),
        Some(FileKind::Thresholds) => file(vec![("thresholds", shape(&THRESHOLD))], shape(&THRESHOLD)),
        Some(FileKind::Monitors) => file(vec![("monitors", shape(&MONITOR))], shape(&MONITOR)),
        Some(FileKind::Workflows) => file(vec![("workflows", shape(&WORKFLOW))], shape(&WORKFLOW)),
        Some(FileKind::Notifications) => File {
            sections: vec![
                ("rules", shape(&RULE)),
                ("escalation", shape(&ESCALATION)),
                ("onCall", shape(&ROTA)),
                ("people", shape(&PERSON)),
                ("maintenance", shape(&MAINTENANCE)),
            ],
            single: vec![("businessHours", shape(&HOURS)), ("quietHours", shape(&QUIET)), ("alerts", shape(&ALERTS))],
            ..file(Vec::new(), Shape(None))
        },
        None if path.starts_with("tests/") => file(vec![("tests", shape(&TEST))], shape(&TEST)),
        _ => file(Vec::new(), Shape(None)),
    }
}

impl<'s> Level<'s> {
    /// What stands under this key of a map with these keys.
    pub(super) fn member(self, key: &str, keys: &[String]) -> Self {
        match self {
            Self::Definitions(shape) => Self::Value(shape),
            Self::Value(shape) => Self::Value(shape.member(key)),
            Self::File(file) => {
                if let Some((_, shape)) = file.single.iter().find(|(name, _)| *name == key) {
                    return Self::Value(*shape);
                }
                if let Some((_, shape)) = file.sections.iter().find(|(name, _)| *name == key) {
                    return Self::Definitions(*shape);
                }
                let wrapped = keys.iter().any(|key| file.sections.iter().any(|(name, _)| name == key));
                Self::Value(if wrapped { Shape(None) } else { file.bare })
            }
        }
    }

    /// What the items of a list are.
    pub(super) fn item(self) -> Self {
        match self {
            Self::Definitions(shape) => Self::Value(shape),
            Self::Value(shape) => Self::Value(shape.items()),
            Self::File(file) => Self::Value(file.bare),
        }
    }

    /// The order of the members of a map, for a definition or a part of one. Settings and other free maps have none.
    pub(super) fn order(self) -> Option<Order<'s>> {
        let Self::Value(shape) = self else { return None };
        let (_, schema) = shape.object()?;
        let names: Vec<&str> = schema.get("properties")?.as_object()?.keys().map(String::as_str).collect();
        (!names.is_empty()).then_some(Order(names))
    }

    /// Whether blank lines stand between the entries.
    pub(super) fn spaced(self) -> bool {
        !matches!(self, Self::Value(_))
    }
}

impl<'s> Shape<'s> {
    /// The schema, references followed; of a choice the branch that is an object or a list, as asked for.
    fn branch(self, keyword: &str) -> Option<(&'s Value, &'s Value)> {
        let (root, mut schema) = self.0?;
        // A chain of references is as long as there are definitions at most.
        for _ in 0..64 {
            if schema.get(keyword).is_some() {
                return Some((root, schema));
            }
            let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { break };
            schema = root.pointer(reference.strip_prefix('#')?)?;
        }
        let choice = ["anyOf", "oneOf", "allOf"].into_iter().find_map(|word| schema.get(word)?.as_array())?;
        choice.iter().find_map(|branch| Shape(Some((root, branch))).branch(keyword))
    }

    fn object(self) -> Option<(&'s Value, &'s Value)> {
        self.branch("properties")
    }

    fn member(self, key: &str) -> Self {
        let listed = self.object().and_then(|(root, schema)| {
            let properties = schema.get("properties")?.as_object()?;
            let name = find(properties.keys().map(String::as_str), key)?;
            Some((root, properties.get(name)?))
        });
        let any = || {
            let (root, schema) = self.branch("additionalProperties")?;
            Some((root, schema.get("additionalProperties").filter(|more| more.is_object())?))
        };
        Shape(listed.or_else(any))
    }

    fn items(self) -> Self {
        Shape(self.branch("items").and_then(|(root, schema)| Some((root, schema.get("items")?))))
    }
}

/// A key among those known; `SiteId` is `siteId`, as for the reader.
fn find<'a>(mut known: impl Iterator<Item = &'a str> + Clone, key: &str) -> Option<&'a str> {
    let exact = known.clone().find(|name| *name == key);
    exact.or_else(|| {
        let first = key.chars().next().filter(char::is_ascii_uppercase)?.to_ascii_lowercase();
        known.find(|name| name.starts_with(first) && name[1..] == key[1..])
    })
}

/// The order of members.
pub(super) struct Order<'s>(Vec<&'s str>);

impl Order<'_> {
    /// The place of a key; keys that are not known keep their order at the end.
    pub(super) fn rank(&self, key: &str) -> usize {
        match find(self.0.iter().copied(), key).and_then(|name| self.0.iter().position(|known| *known == name)) {
            Some(place) => place + 2,
            // What a map takes over stands first, and a definition in a list begins with its name.
            None if key == "<<" => 0,
            None if key.eq_ignore_ascii_case("name") => 1,
            None => usize::MAX,
        }
    }
}
