//! The two places that a review takes facts from: the database, and a state file.

use std::collections::{BTreeMap, BTreeSet};

use super::state_file::{StateError, StateFile};
use super::{Store, StoreError};
use crate::model::Facts;
use crate::plan::review::FactsSource;

impl FactsSource for Store {
    type Error = StoreError;

    fn each(
        &self,
        sections: &[&str],
        members: &BTreeMap<String, BTreeSet<String>>,
        devices: &[&str],
        visit: &(dyn Fn(&str, Facts) + Sync),
    ) -> Result<(), StoreError> {
        self.facts_fleet_map(sections, members, Some(devices), visit, |()| {})
    }

    fn whole(&self, device: &str) -> Option<Facts> {
        self.facts(device, None).ok()
    }
}

impl FactsSource for StateFile {
    type Error = StateError;

    fn each(
        &self,
        sections: &[&str],
        members: &BTreeMap<String, BTreeSet<String>>,
        devices: &[&str],
        visit: &(dyn Fn(&str, Facts) + Sync),
    ) -> Result<(), StateError> {
        let columns = self.columns(sections)?;
        let workers = std::thread::available_parallelism().map_or(1, usize::from).clamp(1, 8);
        let share = devices.len().div_ceil(workers).max(1);
        std::thread::scope(|scope| {
            for part in devices.chunks(share) {
                let columns = &columns;
                scope.spawn(move || {
                    for device in part {
                        let mut facts = Facts::default();
                        for column in columns {
                            column.add(device, members.get(column.name()), &mut facts);
                        }
                        if !facts.sections.is_empty() {
                            visit(device, facts);
                        }
                    }
                });
            }
        });
        Ok(())
    }

    fn whole(&self, _: &str) -> Option<Facts> {
        None
    }
}
