//! What depends on the time: exceptions, windows, guards, approvals. Put on top of kept verdicts.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::suspended::Suspended;
use super::{Evaluated, PlanOptions, Planner, Unattended};
use crate::catalog::ActionDef;
use crate::model::plan::{Change, DevicePlan, Held, State};
use crate::model::policy::GuardKind;
use crate::model::suspension::Suspension;
use crate::model::{Device, Facts, Phase, Policy, Reboot, Remediate, Risk};

/// What guards look at, of a change or of an action.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deed {
    /// It changes the device.
    pub changes: bool,
    /// It installs, updates or removes software.
    pub updates: bool,
    /// It restarts the device, or may.
    pub reboots: bool,
}

impl Deed {
    /// What an action does.
    pub fn of_action(def: &ActionDef) -> Self {
        Self {
            changes: def.risk != Risk::None || def.guard == Some(GuardKind::AllowChanges),
            updates: def.guard == Some(GuardKind::AllowUpdates),
            reboots: def.reboot != Reboot::Never || def.guard == Some(GuardKind::AllowReboots),
        }
    }

    fn of(change: &Change) -> Self {
        Self { changes: true, updates: change.phase == Phase::Packages, reboots: change.reboot != Reboot::Never }
    }
}

pub(super) fn decide(
    planner: &Planner<'_>,
    device: &Device,
    evaluated: Evaluated,
    options: &PlanOptions,
    now: DateTime<Utc>,
) -> DevicePlan {
    let policies = evaluated.policies.iter().filter_map(|name| planner.policies.get(&**name)).map(|policy| &***policy);
    let guards: Vec<&Policy> = in_force(policies, now).collect();
    let stopped = options.suspended.of_device(&device.name, &evaluated.groups);
    let mut changes = evaluated.changes;
    for change in &mut changes {
        if !matches!(change.state, State::Change | State::Report) {
            continue;
        }
        let Some(policy) = planner.policies.get(&*change.policy) else { continue };
        if let Some(held) = hold(policy, &guards, stopped, device, change, options, now) {
            change.held = Some(held);
            change.state = State::Held;
        }
    }
    // A restart whose causes are all held back has no reason any more.
    let causes: Vec<String> = changes.iter().filter(|c| c.state == State::Change && !c.restart).map(Change::label).collect();
    let mut compliant = evaluated.compliant;
    changes.retain(|c| {
        let keep = !c.restart || c.restart_on.iter().any(|l| causes.contains(l));
        compliant += u32::from(!keep);
        keep
    });
    DevicePlan {
        device: device.name.clone(),
        os: evaluated.os,
        platform: evaluated.platform,
        site: Some(device.site.clone().unwrap_or_else(|| planner.set.config.general.default_site.clone())),
        groups: evaluated.groups,
        facts_at: evaluated.facts_at,
        compliant,
        changes,
    }
}

/// What stands in the way of an action on a device: that it is suspended, or a guard.
pub(super) fn hold_deed(
    planner: &Planner<'_>,
    device: &Device,
    facts: &Facts,
    suspended: &Suspended,
    deed: Deed,
    now: DateTime<Utc>,
) -> Option<Held> {
    let resolution = planner.resolve(device, facts);
    let groups: Vec<String> = resolution.membership.groups.iter().cloned().collect();
    if let Some(suspension) = suspended.of_device(&device.name, &groups) {
        return Some(super::suspended::held(suspension));
    }
    // Where it is not known whether a guard is meant for the device, it is.
    let policies = resolution.policies.iter().copied().chain(resolution.uncertain.iter().map(|(i, _)| *i));
    guarded(in_force(policies.map(|i| &*planner.set.policies[i]), now), deed, now)
}

/// The policies whose guards forbid something at this moment.
fn in_force<'p>(policies: impl Iterator<Item = &'p Policy>, now: DateTime<Utc>) -> impl Iterator<Item = &'p Policy> {
    policies.filter(move |policy| policy.guards.iter().any(|g| !g.allow) && policy.active.is_none_or(|w| w.contains(now)))
}

/// The first of the guards that forbids it.
fn guarded<'p>(guards: impl Iterator<Item = &'p Policy>, deed: Deed, now: DateTime<Utc>) -> Option<Held> {
    let forbids = |guard: &Policy| {
        guard.guards.iter().any(|g| {
            !g.allow
                && match g.kind {
                    GuardKind::AllowChanges => deed.changes,
                    GuardKind::AllowUpdates => deed.updates,
                    GuardKind::AllowReboots => deed.reboots,
                }
        })
    };
    { guards }.find(|guard| forbids(guard)).map(|guard| {
        let until = guard.active.map(|w| w.next_edge(now));
        let reason = format!("{}{}", guard.name, at_local(until, guard.active.map_or(Tz::UTC, |w| w.zone()), now));
        Held { by: guard.name.to_string(), until, reason }
    })
}

/// The first thing that stands in the way, the most lasting one first.
fn hold(
    policy: &Policy,
    guards: &[&Policy],
    stopped: Option<&Suspension>,
    device: &Device,
    change: &Change,
    options: &PlanOptions,
    now: DateTime<Utc>,
) -> Option<Held> {
    let zone = policy.active.map_or(Tz::UTC, |w| w.zone());
    let exception = policy.exceptions.iter().find(|e| e.covers(&device.name, &change.setting, change.key.as_deref(), now, zone));
    if let Some(exception) = exception {
        let until = exception.until.and_then(|d| d.succ_opt()).map(|d| crate::time::local_moment(d.into(), zone));
        let date = exception.until.map(|d| format!(" until {d}")).unwrap_or_default();
        return Some(Held { by: "exception".into(), until, reason: format!("exception{date} ({})", exception.reason) });
    }
    if change.state != State::Change {
        return None;
    }
    if let Some(suspension) = stopped.or_else(|| options.suspended.of_change(&device.name, change)) {
        return Some(super::suspended::held(suspension));
    }
    if let Some(held) = guarded(guards.iter().copied(), Deed::of(change), now) {
        return Some(held);
    }
    if let Some(window) = policy.active.filter(|w| !w.contains(now)) {
        let until = Some(window.next_edge(now));
        return Some(Held { by: "activeHours".into(), until, reason: format!("active hours{}", at_local(until, window.zone(), now)) });
    }
    if policy.remediate == Remediate::Approve && !options.approve {
        return Some(Held { by: "approval".into(), until: None, reason: "waits for approval (--approve)".into() });
    }
    options.unattended.as_ref().and_then(|unattended| unasked(policy, change, unattended, now))
}

/// What stands in the way where nobody can be asked.
fn unasked(policy: &Policy, change: &Change, unattended: &Unattended, now: DateTime<Utc>) -> Option<Held> {
    let permission = |reason: &str| Some(Held { by: "permission".into(), until: None, reason: reason.into() });
    if change.risk == Risk::Destructive && !unattended.destructive {
        return permission("destroys data: rmm apply --allow-destructive, or daemon.allow_destructive");
    }
    if change.reboot == Reboot::Always && !unattended.reboots {
        return permission("restarts the device: rmm apply --allow-destructive, or daemon.allow_reboots");
    }
    let schedule = policy.schedule.as_ref().filter(|_| !unattended.due.contains(&policy.name))?;
    let until = schedule.next(now);
    Some(Held { by: "schedule".into(), until, reason: format!("scheduled{}", at_local(until, schedule.zone(), now)) })
}

/// ` until 22:00 (America/New_York)`, with the date where it is not today.
fn at_local(until: Option<DateTime<Utc>>, zone: Tz, now: DateTime<Utc>) -> String {
    until.map_or_else(String::new, |until| {
        let (local, today) = (until.with_timezone(&zone), now.with_timezone(&zone).date_naive());
        let format = if local.date_naive() == today { "%H:%M" } else { "%F %H:%M" };
        format!(" until {} ({})", local.format(format), zone.name())
    })
}
