//! `SetDeviceGroup`: a device comes into a group, and leaves another.
//!
//! A device of the file that the product writes is changed there. Files that people write, and a repository that is followed from a
//! remote, are left alone: there the membership is laid over what is declared (`repo::memberships`), and the answer says so.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{EngineAction, Errand, done, failed};
use crate::apply::Acted;
use crate::model::Device;
use crate::repo::PolicySet;
use crate::repo::devices_file::{self, IMPORTED};
use crate::repo::memberships::{self, MEMBERSHIPS};
use crate::store::{AuditEvent, StoreError};

/// The files are read, changed and replaced: one at a time.
static WRITING: Mutex<()> = Mutex::new(());

pub(super) struct SetDeviceGroup;

/// Where a membership is written down.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Book {
    /// `devices/imported.yaml`.
    Imported,
    /// Laid over what is declared.
    Overlay,
}

/// The group that is left, where the device is in it.
fn left<'a>(errand: &Errand<'a>) -> Option<&'a str> {
    errand.params["from"].as_str().or(errand.group).filter(|from| Some(*from) != errand.params["group"].as_str())
}

fn book(set: &PolicySet, device: &Device, from: Option<&str>) -> Book {
    let listed = from.is_some_and(|from| set.groups.get(from).is_some_and(|group| group.members.contains(&device.name)));
    let followed = set.config.repository.remote.is_some();
    if &*device.place.file == IMPORTED && !followed && !listed && set.overlay.is_empty() { Book::Imported } else { Book::Overlay }
}

/// Why a group cannot be entered or left.
fn ruled(set: &PolicySet, group: &str) -> Result<(), String> {
    match set.groups.get(group) {
        None => Err(format!("there is no group '{group}'")),
        Some(group) if group.rule.is_some() => Err(format!("who is in {} is decided by its rule, match", group.name)),
        Some(_) => Ok(()),
    }
}

fn change(errand: &Errand<'_>, device: &Device, group: &str) -> Result<Book, String> {
    let set = &errand.parts.set;
    let from = left(errand);
    ruled(set, group)?;
    from.map_or(Ok(()), |from| ruled(set, from))?;
    let _one = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let book = book(set, device, from);
    let written = match book {
        Book::Imported => devices_file::edit_device(set, &device.name, |declared| {
            declared.groups.retain(|known| Some(known.as_str()) != from);
            if !declared.groups.iter().any(|known| known == group) {
                declared.groups.push(group.to_owned());
            }
        }),
        Book::Overlay => memberships::move_device(&set.root, &device.name, group, from),
    };
    written.map(|_| book).map_err(|error| error.to_string())
}

#[async_trait::async_trait]
impl EngineAction for SetDeviceGroup {
    fn preview(&self, errand: &Errand<'_>) -> Vec<String> {
        let group = errand.text("group").unwrap_or_default();
        let from = left(errand);
        let line = |device: &Arc<Device>| {
            let file = if book(&errand.parts.set, device, from) == Book::Imported { IMPORTED } else { MEMBERSHIPS };
            let out = from.map(|from| format!(" and out of {from}")).unwrap_or_default();
            format!("move {} into {group}{out}, in {file}", device.name)
        };
        errand.devices.iter().map(line).collect()
    }

    async fn carry_out(&self, errand: &Errand<'_>, _: &CancellationToken) -> Result<Acted, StoreError> {
        let device = match errand.device() {
            Ok(device) => device,
            Err(refused) => return Ok(*refused),
        };
        let (parts, group) = (errand.parts, errand.text("group").unwrap_or_default());
        let is_in = |group: &str| {
            device.groups.iter().any(|known| known == group)
                || parts.set.groups.get(group).is_some_and(|group| group.members.contains(&device.name))
        };
        let from = left(errand);
        let value = json!({ "group": group, "from": from });
        if is_in(group) && !from.is_some_and(is_in) {
            return Ok(done(format!("{} is in {group} already", device.name), value));
        }
        let book = match change(errand, device, group) {
            Ok(book) => book,
            Err(why) => return Ok(failed(why)),
        };
        let file = if book == Book::Imported { IMPORTED } else { MEMBERSHIPS };
        parts.store.audit(&AuditEvent {
            at: parts.clock.now(),
            user: Some(parts.actor.user.clone()),
            action: "device.moved".into(),
            target: Some(device.name.clone()),
            details: json!({ "group": group, "from": from, "file": file, "because": errand.because }),
            ip: Some(parts.actor.from.clone()),
            success: true,
        })?;
        let told = match book {
            Book::Imported => format!("{} is in {group} now, in {file}", device.name),
            Book::Overlay => format!(
                "{} is in {group} now, on this machine: {file}. It is declared at {}; commit it there, so that everybody sees it",
                device.name, device.place
            ),
        };
        Ok(done(told, value))
    }
}
