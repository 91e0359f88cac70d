//! Takes the values of secrets out of any text before it is shown, logged, audited or stored.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use secrecy::{ExposeSecret, SecretString};

use crate::model::wiped::json_text;

/// The shortest value that is looked for: replacing every `a` of a text would hide nothing and spoil everything.
const SHORTEST: usize = 4;

/// Knows the values of the secrets that were used, and replaces them by `(secret NAME)`. Cheap to clone; clones share.
#[derive(Clone, Default)]
pub struct Redactor {
    /// How each of them may stand in a text.
    known: Arc<RwLock<BTreeMap<String, Vec<SecretString>>>>,
}

impl Redactor {
    /// One that knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Remembers the value of a secret. An earlier value of the same name is forgotten.
    pub fn learn(&self, name: &str, value: &SecretString) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), forms(value.expose_secret()));
    }

    /// The text without the values that are known. A value of several lines is found line by line too, and each as JSON writes it.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut values: Vec<(&str, &str)> =
            known.iter().flat_map(|(name, forms)| forms.iter().map(move |form| (form.expose_secret(), name.as_str()))).collect();
        // The longest first: a secret may contain another one.
        values.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then(a.cmp(b)));
        let mut out = Cow::Borrowed(text);
        for (value, name) in values {
            if out.contains(value) {
                out = Cow::Owned(out.replace(value, &format!("(secret {name})")));
            }
        }
        out
    }
}

/// How a value may stand in a text: as it is, line by line, and each of these as JSON writes it.
fn forms(value: &str) -> Vec<SecretString> {
    let mut forms: Vec<SecretString> = Vec::new();
    let lines = value.lines().filter(|line| line.len() < value.len());
    for part in std::iter::once(value).chain(lines).filter(|part| part.len() >= SHORTEST) {
        forms.push(part.into());
        let written = json_text(&part);
        let written = std::str::from_utf8(&written).unwrap_or_default();
        let inner = written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        forms.extend(inner.filter(|inner| *inner != part).map(SecretString::from));
    }
    forms
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_replaced_by_the_name_of_their_secret() {
        let redactor = Redactor::new();
        redactor.learn("db", &"hunter2".into());
        redactor.learn("long", &"hunter2-and-more".into());
        assert_eq!(redactor.redact("a hunter2 b hunter2-and-more"), "a (secret db) b (secret long)");
        assert!(matches!(redactor.redact("nothing here"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_value_is_found_as_json_writes_it_too() {
        let redactor = Redactor::new();
        redactor.learn("db", &"a\"b\\c".into());
        assert_eq!(redactor.redact(r#"{"x":"a\"b\\c"} a"b\c"#), r#"{"x":"(secret db)"} (secret db)"#);
        assert!(!format!("{redactor:?}").contains("b\\c"));
    }

    #[test]
    fn very_short_values_do_not_spoil_the_text() {
        let redactor = Redactor::new();
        redactor.learn("pin", &"a".into());
        assert_eq!(redactor.redact("banana"), "banana");
    }
}
