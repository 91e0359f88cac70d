//! What was seen last of each device, in memory: whether it answers, what its facts hash to, what was measured. Tells what
//! has changed without asking the database.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::model::Section;
use crate::store::Status;

/// One device.
#[derive(Debug, Default)]
struct Seen {
    status: Option<Status>,
    at: Option<DateTime<Utc>>,
    /// Number of a section, and the beginning of its hash; sorted.
    sections: Vec<(u16, u64)>,
}

/// All devices.
#[derive(Debug, Default)]
pub(super) struct Hot {
    devices: HashMap<Arc<str>, Seen>,
    names: HashMap<Arc<str>, u16>,
}

/// What an observation has told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Facts that do not change by themselves are other ones than before, or are seen for the first time.
    pub(super) changed: bool,
    /// It answers, and did not before.
    pub(super) returned: bool,
}

impl Hot {
    /// What the database knows at the start.
    pub(super) fn status(&mut self, device: &str, status: Status) {
        self.devices.entry(device.into()).or_default().status = Some(status);
    }

    /// A device has answered.
    pub(super) fn answered<'a>(
        &mut self,
        device: &Arc<str>,
        sections: impl Iterator<Item = (&'a Arc<str>, &'a Section)>,
        at: DateTime<Utc>,
    ) -> News {
        let mut news = News::default();
        let seen = self.devices.entry(Arc::clone(device)).or_default();
        news.returned = seen.status.replace(Status::Online).is_some_and(|before| before == Status::Offline);
        seen.at = Some(at);
        for (name, section) in sections {
            // These differ every time.
            if name.starts_with("performance.") || &**name == "network.connections" {
                continue;
            }
            let next = u16::try_from(self.names.len()).unwrap_or(u16::MAX);
            let id = match self.names.get(name) {
                Some(id) => *id,
                None => *self.names.entry(Arc::clone(name)).or_insert(next),
            };
            let hash = section.hash.first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk));
            match seen.sections.binary_search_by_key(&id, |(id, _)| *id) {
                Ok(i) if seen.sections[i].1 == hash => {}
                Ok(i) => {
                    seen.sections[i].1 = hash;
                    news.changed = true;
                }
                Err(i) => {
                    seen.sections.insert(i, (id, hash));
                    news.changed = true;
                }
            }
        }
        news
    }

    /// A device has not answered.
    pub(super) fn silent(&mut self, device: &Arc<str>, status: Status) {
        self.devices.entry(Arc::clone(device)).or_default().status = Some(status);
    }

    /// Forgets devices that are no longer declared.
    pub(super) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.devices.retain(|name, _| keep(name));
    }

    /// How many devices are in this status.
    pub(super) fn count(&self, status: Status) -> usize {
        self.devices.values().filter(|seen| seen.status == Some(status)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::facts;

    fn section(value: u64) -> Section {
        Section::new(value.into(), facts::Status::Ok, DateTime::UNIX_EPOCH)
    }

    #[test]
    fn only_what_differs_is_news_and_what_changes_by_itself_is_none() {
        let (mut hot, device): (Hot, Arc<str>) = (Hot::default(), "ws-1".into());
        let mut seen = |name: &str, value: u64| {
            let (name, section): (Arc<str>, Section) = (name.into(), section(value));
            hot.answered(&device, std::iter::once((&name, &section)), DateTime::UNIX_EPOCH).changed
        };
        assert!(seen("software.os", 1));
        assert!(!seen("software.os", 1));
        assert!(!seen("performance.cpu", 1));
        assert!(seen("files", 1));
        assert!(seen("software.os", 2));
    }

    #[test]
    fn a_device_that_was_away_returns_once() {
        let (mut hot, device): (Hot, Arc<str>) = (Hot::default(), "ws-1".into());
        let answers = |hot: &mut Hot| hot.answered(&device, std::iter::empty(), DateTime::UNIX_EPOCH).returned;
        assert!(!answers(&mut hot), "nothing was known of it");
        hot.silent(&"ws-1".into(), Status::Offline);
        assert!(answers(&mut hot));
        assert!(!answers(&mut hot));
    }
}
