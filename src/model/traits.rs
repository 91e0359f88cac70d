//! Small closed vocabularies: risk, reboot, phase, severity.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How dangerous carrying out a change is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Risk {
    /// Cannot disturb anyone.
    None,
    /// Easily undone.
    #[default]
    Low,
    /// May interrupt a service or lock someone out.
    High,
    /// Destroys data; needs `--allow-destructive`.
    Destructive,
}

/// Whether carrying out a change restarts the device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Reboot {
    /// Never.
    #[default]
    Never,
    /// It may become necessary.
    Maybe,
    /// The change is a restart, or needs one to take effect.
    Always,
}

/// The order of changes on one device: users before packages before files before services before reboot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Groups, users, keys.
    Users,
    /// Software.
    Packages,
    /// Files and directories.
    Files,
    /// Everything of the system itself: kernel, time, firewall.
    #[default]
    System,
    /// Services, after what they depend on.
    Services,
    /// Restarts, last.
    Reboot,
}

/// How much a deviation matters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// For information.
    Info,
    /// Low.
    Low,
    /// Medium, the default.
    #[default]
    Medium,
    /// High.
    High,
    /// Critical.
    Critical,
}

macro_rules! lower_display {
    ($($t:ty { $($v:ident => $s:literal),+ $(,)? })+) => {$(
        impl std::fmt::Display for $t {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(match self { $(Self::$v => $s),+ })
            }
        }
    )+};
}
lower_display! {
    Risk { None => "none", Low => "low", High => "high", Destructive => "destructive" }
    Reboot { Never => "never", Maybe => "maybe", Always => "always" }
    Phase { Users => "users", Packages => "packages", Files => "files", System => "system", Services => "services", Reboot => "reboot" }
    Severity { Info => "info", Low => "low", Medium => "medium", High => "high", Critical => "critical" }
}
pub(crate) use lower_display;
