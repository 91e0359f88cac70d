//! What an action is besides its script: who carries it out, and what it takes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who carries an action out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum By {
    /// Its script, on the device.
    #[default]
    Script,
    /// The product itself: it acts on what the product knows, not on the device.
    Engine,
}

/// What an action acts on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ActsOn {
    /// Devices: it needs a target.
    #[default]
    Device,
    /// Devices taken together: it is carried out once for all of them, such as a judgement of a whole group.
    Group,
    /// Nothing in particular: a notification.
    Nothing,
}

/// What somebody has to be allowed to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Role {
    /// Look, and change nothing.
    Viewer,
    /// Run actions, approve, acknowledge.
    #[default]
    Operator,
    /// Everything.
    Admin,
}

super::traits::lower_display! {
    By { Script => "script", Engine => "engine" }
    ActsOn { Device => "device", Group => "group", Nothing => "nothing" }
    Role { Viewer => "Viewer", Operator => "Operator", Admin => "Admin" }
}
