//! Types of alerts that mean something to the engine itself.

use crate::repo::PolicySet;

/// A device cannot be reached. Raised by monitors; what hangs on the device is not told meanwhile.
pub const OFFLINE: &str = "Offline";
/// All devices of a site are offline. Made by the engine.
pub const SITE_UNREACHABLE: &str = "SiteUnreachable";
/// A device is short of disk space and of something else at once. Made by the engine.
pub const RESOURCE_EXHAUSTION: &str = "ResourceExhaustion";

/// A step of a workflow has failed. Raised by whoever drives runs.
pub const WORKFLOW_FAILED: &str = "WorkflowFailed";
/// What a threshold wants done about a breach has not helped. Made by the engine.
pub const REMEDIATION_FAILED: &str = "RemediationFailed";

/// Whether a type that somebody wrote means the type of an alert: its own name, or the metric of its threshold.
pub fn means(written: &str, kind: &str, set: &PolicySet) -> bool {
    same(written, kind) || set.thresholds.get(kind).is_some_and(|threshold| same(written, threshold.metric))
}

/// Whether a type that somebody wrote means this one: case and spaces do not matter.
pub(super) fn same(written: &str, kind: &str) -> bool {
    let plain = |text: &str| text.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect::<String>();
    written.eq_ignore_ascii_case(kind) || plain(written) == plain(kind)
}
