//! Actions that the product carries out itself (`by: engine` in the catalog), a file each. Their heads stand in the catalog
//! with all others; whether somebody has agreed, guards, suspensions and the queue are the caller's matter.
//!
//! Called by `act` and by workflows. An action gets one device, but for those that want all of them ([`EngineAction::whole`]).

mod apply_policy;
mod file_transfer;
mod install_required_apps;
mod invoke_inventory;
mod local_path;
mod narrowed;
mod send_notification;
mod set_device_group;
mod start_rdp;
mod start_remote_ps;
mod test_group_health;
mod test_winrm_connection;
mod transfer;
mod wake_on_lan;

use std::sync::Arc;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Acted, Allowed, Ask, End, Parts};
use crate::diagnose::{Category, Diagnose as _};
use crate::model::Device;
use crate::store::StoreError;
use crate::time::Span;
use crate::transport::TransportError;

/// What an action is asked for with.
#[derive(Clone, Copy)]
pub struct Errand<'a> {
    /// What carrying out needs.
    pub parts: &'a Parts,
    /// The device; all devices of the step for an action that wants them all; none for one that acts on nothing.
    pub devices: &'a [Arc<Device>],
    /// Parameters as the schema of the action has them, secrets and templates resolved.
    pub params: &'a Value,
    /// Who has agreed. What needs a person at this computer is refused to all but a person.
    pub allowed: Allowed,
    /// Why, for people: `workflow PatchTuesday`.
    pub because: &'a str,
    /// Whether the caller holds the lease of the device.
    pub leased: bool,
    /// The key of this attempt: a message that is asked for twice with one key is sent once.
    pub once: Option<&'a str>,
    /// What the workflow has done so far, in a sentence: what a notification says that has no message of its own.
    pub summary: Option<&'a str>,
    /// The group that started the workflow, where one did.
    pub group: Option<&'a str>,
    /// Takes progress; called often.
    pub on: &'a (dyn Fn(Progress) + Send + Sync),
}

/// How far something long has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Device by name.
    pub device: String,
    /// Bytes so far, those of an earlier attempt included.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

/// Whether a device is leased while an action is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leasing {
    /// It changes nothing there.
    Needless,
    /// By the caller.
    Wanted,
    /// It leases the device itself, for a run, unless the caller holds the lease.
    Own,
}

/// One such action.
#[async_trait::async_trait]
pub trait EngineAction: Send + Sync {
    /// Whether it wants all devices of a step at once, and is carried out once.
    fn whole(&self) -> bool {
        false
    }

    /// Whether a device is leased meanwhile.
    fn leasing(&self) -> Leasing {
        Leasing::Needless
    }

    /// What would be done, line by line, as `--dry-run` shows it. Touches nothing.
    fn preview(&self, errand: &Errand<'_>) -> Vec<String>;

    /// Carries it out. Only a failing database is an error.
    async fn carry_out(&self, errand: &Errand<'_>, cancel: &CancellationToken) -> Result<Acted, StoreError>;
}

/// The action of this name in the catalog; `None` for those that are scripts.
pub fn engine_action(name: &str) -> Option<&'static dyn EngineAction> {
    Some(match name {
        "ApplyPolicy" => &apply_policy::ApplyPolicy,
        "FileTransfer" => &file_transfer::FileTransfer,
        "InstallRequiredApps" => &install_required_apps::InstallRequiredApps,
        "InvokeInventory" => &invoke_inventory::InvokeInventory,
        "SendNotification" => &send_notification::SendNotification,
        "SetDeviceGroup" => &set_device_group::SetDeviceGroup,
        "StartRDP" => &start_rdp::StartRdp,
        "StartRemotePS" => &start_remote_ps::StartRemotePs,
        "TestGroupHealth" => &test_group_health::TestGroupHealth,
        "TestWinRMConnection" => &test_winrm_connection::TestConnection,
        "WakeOnLAN" => &wake_on_lan::WakeOnLan,
        _ => return None,
    })
}

impl<'a> Errand<'a> {
    /// What somebody asks for.
    pub(super) fn of(parts: &'a Parts, ask: &Ask<'a>, devices: &'a [Arc<Device>], params: &'a Value) -> Self {
        Self {
            parts,
            devices,
            params,
            allowed: ask.allowed,
            because: ask.because,
            leased: ask.leased,
            once: ask.once,
            summary: None,
            group: None,
            on: ask.on.0,
        }
    }

    /// Has it carried out within its time: what the caller says, else what the head says.
    pub(super) async fn within(
        &self,
        action: &dyn EngineAction,
        usual: Option<Span>,
        ask: &Ask<'_>,
        cancel: &CancellationToken,
    ) -> Result<Acted, StoreError> {
        let stop = cancel.child_token();
        let work = action.carry_out(self, &stop);
        let Some(limit) = ask.timeout.or(usual.map(Span::duration)) else { return work.await };
        tokio::pin!(work);
        tokio::select! {
            acted = &mut work => acted,
            () = tokio::time::sleep(limit) => {
                // It ends by itself once it is told: what it has begun is left in order.
                stop.cancel();
                let acted = work.await?;
                if acted.end != End::Cancelled || cancel.is_cancelled() {
                    return Ok(acted);
                }
                let message = format!("{} took longer than {} s", ask.call.action, limit.as_secs());
                Ok(Acted { end: End::TimedOut, message, ..acted })
            }
        }
    }
}

impl Errand<'_> {
    /// The one device that it is about.
    fn device(&self) -> Result<&Arc<Device>, Box<Acted>> {
        match self.devices {
            [device] => Ok(device),
            all => Err(Box::new(Acted::new(End::Refused, Category::Configuration, format!("it takes one device, not {}", all.len())))),
        }
    }

    /// A parameter that is a text.
    fn text(&self, name: &str) -> Option<&str> {
        self.params[name].as_str()
    }

    /// What needs a person who sits at this computer.
    fn attended(&self, action: &str) -> Result<(), Box<Acted>> {
        // What a person asked for may wait in the queue until the daemon takes it up, where nobody sits.
        if self.allowed == Allowed::Confirmed && self.parts.actor.from.starts_with("cli@") {
            return Ok(());
        }
        Err(Box::new(Acted::refused(action, "it opens a window or a session here, and needs a person who asked for it: rmm run")))
    }
}

/// It was carried out.
fn done(message: impl Into<String>, value: Value) -> Acted {
    Acted { value, ..Acted::new(End::Done, Category::Configuration, message) }
}

/// It was not, and trying again does not help.
fn failed(message: impl Into<String>) -> Acted {
    Acted::new(End::Failed, Category::Configuration, message)
}

/// What follows from an error of the transport.
fn of_transport(parts: &Parts, error: &TransportError) -> Acted {
    let category = error.category();
    let end = match (error, category) {
        (TransportError::Cancelled, _) => End::Cancelled,
        (TransportError::Timeout { .. }, _) => End::TimedOut,
        (_, Category::Device | Category::Transient) => End::Unreachable,
        _ => End::Failed,
    };
    Acted::new(end, category, parts.redactor.redact(&error.to_string()).into_owned())
}

/// Stopped before its end.
fn cancelled() -> Acted {
    Acted::new(End::Cancelled, Category::Transient, "cancelled")
}

#[cfg(test)]
mod tests {
    use crate::catalog::Catalog;
    use crate::catalog::tests::powershell::{parsed, refused};
    use crate::model::action::By;

    #[test]
    fn every_action_by_the_engine_is_carried_out_somewhere_and_no_other() {
        for action in Catalog::builtin().actions.values() {
            assert_eq!(super::engine_action(&action.name).is_some(), action.by == By::Engine, "{}", action.name);
        }
    }

    #[test]
    fn the_powershell_of_these_actions_parses_and_is_for_version_5_1() {
        for text in super::transfer::WINDOWS.into_iter().chain([super::wake_on_lan::POWERSHELL]) {
            assert_eq!(parsed(text), Vec::<String>::new(), "{text}");
            assert_eq!(refused(text), None, "{text}");
        }
    }
}
