//! A review as a comment for a pull request: one verdict, a small table with the worst first, everything else folded.

use super::groups::{Group, groups, title, verdict};
use crate::cli::style::{ago, count};
use crate::diagnose::markdown::{Bounded, plain, row};
use crate::plan::review::{How, Review};

/// Finds the comment again, so that a rerun replaces its own.
pub(super) const MARKER: &str = "<!-- rmm-review -->";
/// Lines of the small table.
const TABLE: usize = 15;
/// Room that is kept for the end.
const END: usize = 600;
/// Room that is kept for closing a folded part.
const FOLD: usize = 40;

pub(super) fn render(review: &Review) -> String {
    let mut out = Bounded::default();
    out.reserve(END);
    let mark = if review.passed { "May pass" } else { "Refused" };
    let what = match &review.effects {
        _ if !review.valid => "the new side is not valid.".to_owned(),
        Some(effects) => verdict(effects),
        None => "the old side is not valid, so that nothing could be compared.".to_owned(),
    };
    out.push(&format!("{MARKER}\n### rmm review: {mark}\n\n{}\n", plain(&what)));
    for reason in review.reasons.iter().filter(|_| review.effects.is_some()) {
        out.push(&format!("- refused by `{}`: {}\n", reason.rule, plain(&reason.message)));
    }
    problems(review, &mut out);
    let groups = review.effects.as_ref().map(groups).unwrap_or_default();
    if let Some(effects) = &review.effects {
        table(&groups, &mut out);
        let unmanaged: Vec<&str> = effects.items.iter().filter(|i| i.unmanaged).map(|i| i.device.as_str()).collect();
        if !unmanaged.is_empty() {
            let names = unmanaged.iter().take(20).map(|name| plain(name)).collect::<Vec<_>>().join(", ");
            let more = if unmanaged.len() > 20 { format!(" and {} more", unmanaged.len() - 20) } else { String::new() };
            out.push(&format!("\n**Out of every policy:** {names}{more}\n"));
        }
        if effects.without_facts > 0 {
            let devices = count(effects.without_facts, "affected device", "affected devices");
            out.push(&format!("\n{devices} without facts: what would happen to them is not known.\n"));
        }
        differences(review, &mut out);
        devices(review, &mut out);
        shares(review, &mut out);
    }
    out.release(END);
    if out.left_out() > 0 {
        let line = format!(
            "\n{} lines are left out here, because a comment cannot be longer. `rmm review --format json` has all of them.\n",
            out.left_out()
        );
        out.push(&line);
    }
    out.push(&foot(review));
    out.finish()
}

fn problems(review: &Review, out: &mut Bounded) {
    if review.problems.is_empty() {
        return;
    }
    let new = review.problems.iter().filter(|p| p.new).count();
    let head =
        format!("\n{}, {new} of them new\n\n| | Where | What |\n|---|---|---|\n", count(review.problems.len(), "problem", "problems"));
    out.push(&head);
    let mut sorted: Vec<_> = review.problems.iter().collect();
    sorted.sort_by_key(|p| (p.problem.level, !p.new));
    for p in sorted {
        out.push(&row(&p.problem, if p.new { " (new)" } else { "" }));
    }
}

fn table(groups: &[Group<'_>], out: &mut Bounded) {
    if groups.is_empty() {
        return;
    }
    out.push("\n| Effect | Setting | Observed | Wanted | Devices | Risk | Asked by |\n|---|---|---|---|---:|---|---|\n");
    for group in groups.iter().take(TABLE) {
        let was = group.was.map(|was| format!(" (was {})", plain(was))).unwrap_or_default();
        let reason = group.reason.map(|reason| format!("<br>{}", plain(reason))).unwrap_or_default();
        let restart = group.reboot.filter(|r| *r != crate::model::Reboot::Never).map(|r| format!(", restart {r}")).unwrap_or_default();
        let risk = group.risk.map(|risk| risk.to_string()).unwrap_or_default();
        out.push(&format!(
            "| {}{reason} | {} | {} | {}{was} | {} | {risk}{restart} | {} {} |\n",
            title(group.effect),
            plain(group.setting),
            plain(&group.from()),
            plain(group.to),
            group.devices.len(),
            plain(group.policy),
            plain(&group.place.to_string()),
        ));
    }
    if groups.len() > TABLE {
        out.push(&format!("\n{} more below.\n", groups.len() - TABLE));
    }
}

/// A folded part: its lines as far as there is room.
fn fold(summary: &str, lines: impl Iterator<Item = String>, out: &mut Bounded) {
    out.reserve(FOLD);
    let opened = out.push(&format!("\n<details><summary>{summary}</summary>\n\n"));
    if opened {
        for line in lines {
            out.push(&line);
        }
    }
    out.release(FOLD);
    if opened {
        out.push("\n</details>\n");
    }
}

fn differences(review: &Review, out: &mut Bounded) {
    if review.differences.is_empty() {
        out.push("\nNothing differs in meaning: only order, layout or comments.\n");
        return;
    }
    let summary = format!("What differs: {}", count(review.differences.len(), "difference", "differences"));
    let lines = review.differences.iter().map(|d| {
        let how = match d.how {
            How::Added => "added",
            How::Removed => "removed",
            How::Changed => "changed",
        };
        let member = if d.member.is_empty() { String::new() } else { format!(" {}", plain(&d.member)) };
        let values = super::text::values(d);
        let values = if values.is_empty() { String::new() } else { format!(": {}", plain(&values)) };
        format!("- {how} {} **{}**{member}{values} ({})\n", d.kind, plain(&d.name), plain(&d.place.to_string()))
    });
    fold(&summary, lines, out);
}

fn devices(review: &Review, out: &mut Bounded) {
    let Some(effects) = review.effects.as_ref().filter(|effects| !effects.items.is_empty()) else { return };
    let summary = format!("By device: {}", count(effects.items.len(), "device", "devices"));
    let mut items: Vec<_> = effects.items.iter().collect();
    items.sort_by_key(|item| (!item.unmanaged, item.settings.first().map(|s| s.effect), item.device.clone()));
    let lines = items.into_iter().map(|item| {
        let mut marks = Vec::new();
        for (is, what) in
            [(item.added, "added"), (item.removed, "removed"), (item.unmanaged, "out of every policy"), (item.without_facts, "no facts")]
        {
            if is {
                marks.push(what);
            }
        }
        let settings =
            item.settings.iter().map(|s| format!("{} {} {} -> {}", plain(&s.setting), title(s.effect), plain(&s.from), plain(&s.to)));
        let all: Vec<String> = marks.iter().map(|m| (*m).to_owned()).chain(settings).collect();
        format!("- **{}**: {}\n", plain(&item.device), all.join("; "))
    });
    fold(&summary, lines, out);
}

fn shares(review: &Review, out: &mut Bounded) {
    let Some(effects) = review.effects.as_ref().filter(|effects| !effects.shares.is_empty()) else { return };
    let lines =
        effects.shares.iter().map(|s| format!("- {} {}: {} of {} ({} %)\n", s.kind, plain(&s.name), s.affected, s.devices, s.percent));
    fold("By group and site", lines, out);
}

fn foot(review: &Review) -> String {
    let side = |side: &crate::plan::review::Side| {
        let commit = side.commit.as_ref().map(|commit| format!(" ({})", commit.chars().take(7).collect::<String>())).unwrap_or_default();
        format!("{}{commit}", plain(&side.name))
    };
    let age = review.state.as_ref().map(|state| {
        let oldest =
            state.oldest.map(|oldest| format!(", oldest fact {} old", ago((review.created_at - oldest).num_seconds()))).unwrap_or_default();
        format!("; facts from {}{oldest}", plain(&state.source))
    });
    format!("\n<sub>{} .. {}{}</sub>\n", side(&review.base), side(&review.head), age.unwrap_or_default())
}
