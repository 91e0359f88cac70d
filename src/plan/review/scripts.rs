//! The scripts of a team, compared by their text.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::meaning::{Item, Worth};
use crate::model::Place;

/// The texts of a side by path.
pub type Texts = BTreeMap<Arc<str>, String>;

/// Everything of this kind.
pub(super) fn items(texts: &Texts) -> impl Iterator<Item = Item> {
    texts.iter().filter(|(path, _)| path.starts_with("scripts/") && path.ends_with(".rhai")).map(|(path, text)| {
        let mut item = Item::new("script", path, Place::file(Arc::clone(path)));
        item.members.insert("text".into(), Worth::Opaque(text.clone(), format!("{} lines", text.lines().count())));
        item
    })
}
