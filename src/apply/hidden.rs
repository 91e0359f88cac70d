//! What devices say, without the secrets that are known: a file with a secret in it may be one that an inventory reads,
//! and a log may repeat it. Called before anything of it is kept or thought about.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::access::Redactor;
use crate::model::facts::Status;
use crate::model::{EventRecord, Section};

/// Facts are decided by, and a weak password may be an ordinary word: shorter secrets are looked for in texts for people only.
const LEAST: usize = 12;

/// Takes secrets out of what was observed.
pub fn hide_in_sections(redactor: &Redactor, sections: &mut BTreeMap<Arc<str>, Section>) {
    if redactor.knows_nothing() {
        return;
    }
    for section in sections.values_mut() {
        let status = match &section.status {
            Status::Ok => Status::Ok,
            Status::Unknown(why) => Status::Unknown(redactor.redact(why).into_owned()),
            Status::Unsupported(why) => Status::Unsupported(redactor.redact(why).into_owned()),
        };
        match without(redactor, &section.data) {
            Some(data) => *section = Section::new(data, status, section.collected_at),
            None if status != section.status => *section = Section::new((*section.data).clone(), status, section.collected_at),
            None => {}
        }
    }
}

/// Takes secrets out of a record of a log.
pub fn hide_in_record(redactor: &Redactor, record: &mut EventRecord) {
    for text in [&mut record.message, &mut record.origin] {
        if let Some(hidden) = changed(redactor.redact(text)) {
            *text = hidden;
        }
    }
    if let Some(data) = without(redactor, &record.data) {
        record.data = data;
    }
}

/// Takes secrets out of a value that is to be kept.
pub(super) fn hide_in_value(redactor: &Redactor, value: &mut Value) {
    if let Some(hidden) = without(redactor, value) {
        *value = hidden;
    }
}

/// Whether a secret was taken out of a value, or it looks as if.
pub(super) fn is_hidden(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("(secret "),
        Value::Array(list) => list.iter().any(is_hidden),
        Value::Object(map) => map.values().any(is_hidden),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Whether two observed values are the same as far as they are kept: one may be as the device gave it, the other without secrets.
pub(super) fn alike(redactor: &Redactor, one: &Value, other: &Value) -> bool {
    one == other || without(redactor, one).as_ref().unwrap_or(one) == without(redactor, other).as_ref().unwrap_or(other)
}

fn changed(text: Cow<'_, str>) -> Option<String> {
    match text {
        Cow::Owned(text) => Some(text),
        Cow::Borrowed(_) => None,
    }
}

/// A value without secrets, where it holds any. Names of members stay: what is observed is found by them.
fn without(redactor: &Redactor, value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => changed(redactor.redact_from(text, LEAST)).map(Value::String),
        Value::Array(list) => {
            let mut copy: Option<Vec<Value>> = None;
            for (at, item) in list.iter().enumerate() {
                if let Some(hidden) = without(redactor, item) {
                    copy.get_or_insert_with(|| list.clone())[at] = hidden;
                }
            }
            copy.map(Value::Array)
        }
        Value::Object(map) => {
            let mut copy = None;
            for (name, item) in map {
                if let Some(hidden) = without(redactor, item) {
                    copy.get_or_insert_with(|| map.clone()).insert(name.clone(), hidden);
                }
            }
            copy.map(Value::Object)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_observed_is_kept_without_the_secrets_in_it() {
        let redactor = Redactor::new();
        redactor.learn("app", &"a-long-enough-secret".into());
        redactor.learn("weak", &"fleet".into());
        let at = chrono::DateTime::UNIX_EPOCH;
        let jobs = json!({"cron": [{"user": "fleet", "command": "curl -u a-long-enough-secret x"}], "timers": ["fleet.timer"]});
        let failed = Status::Unknown("cannot read a-long-enough-secret".into());
        let mut sections: BTreeMap<Arc<str>, Section> = BTreeMap::from([
            (Arc::from("software.scheduled"), Section::new(jobs, Status::Ok, at)),
            (Arc::from("software.users"), Section::new(json!(["fleet"]), Status::Ok, at)),
            (Arc::from("network.shares"), Section::new(json!(null), failed, at)),
        ]);
        let users = sections["software.users"].clone();
        hide_in_sections(&redactor, &mut sections);
        let hidden = json!({"cron": [{"user": "fleet", "command": "curl -u (secret app) x"}], "timers": ["fleet.timer"]});
        assert_eq!(sections["software.scheduled"], Section::new(hidden, Status::Ok, at));
        assert_eq!(sections["software.users"], users);
        assert_eq!(sections["network.shares"].status, Status::Unknown("cannot read (secret app)".into()));
    }

    #[test]
    fn a_value_is_the_same_with_and_without_the_secrets_in_it() {
        let redactor = Redactor::new();
        redactor.learn("app", &"a-long-enough-secret".into());
        let (given, kept) = (json!({"line": "token=a-long-enough-secret", "n": 1}), json!({"line": "token=(secret app)", "n": 1}));
        assert!(alike(&redactor, &given, &kept) && alike(&redactor, &kept, &given) && alike(&redactor, &given, &given));
        assert!(!alike(&redactor, &given, &json!({"line": "token=(secret app)", "n": 2})));
        assert!(!alike(&redactor, &given, &json!({"line": "token=another", "n": 1})));
    }

    #[test]
    fn a_fact_that_only_begins_as_a_secret_does_stays() {
        let redactor = Redactor::new();
        redactor.learn("pin", &"debian-backup-2024".into());
        let at = chrono::DateTime::UNIX_EPOCH;
        let section = |cut: &str| Section::new(json!({"id": "debian", "log": cut}), Status::Ok, at);
        let mut sections = BTreeMap::from([(Arc::from("software.os"), section("said: debian-backup"))]);
        hide_in_sections(&redactor, &mut sections);
        assert_eq!(sections["software.os"], section("said: (secret pin)"));
    }
}
