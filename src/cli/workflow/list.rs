//! `rmm workflow list`.

use serde_json::json;

use super::seen::Seen;
use super::{text, words};
use crate::cli::args::Global;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::style::{ago, paint};
use crate::cli::table::{Output, Table};
use crate::store::{RunFilter, Store};

pub(super) fn run(global: &Global, context: &Context, store: &Store) -> Result<Exit, Failure> {
    let now = context.clock.now();
    let people = global.output == Output::Table;
    let columns: &[&str] = if people {
        &["WORKFLOW", "STEPS", "STARTED BY", "NEXT", "LAST RUN"]
    } else {
        &["WORKFLOW", "DESCRIPTION", "STEPS", "TRIGGERS", "NEXT", "CONCURRENCY", "LAST RUN", "LAST STATE", "LAST AT", "LAST ERROR", "PLACE"]
    };
    let mut table = Table::new("rmm.workflows/1", columns);
    for workflow in context.set.workflows.values() {
        let last = store.workflow_runs(&RunFilter { workflow: Some(workflow.name.to_string()), limit: 1, ..RunFilter::default() })?;
        let next = words::next(workflow, now);
        let last = last.first();
        if people {
            let how = match last {
                None => "never".to_owned(),
                Some(run) if run.state.is_final() => {
                    let at = run.finished_at.unwrap_or(run.created_at);
                    format!("{} {} ago", paint(text::of_run(run.state), run.state), ago((now - at).num_seconds()))
                }
                Some(run) => {
                    let where_ = Seen::read(store, &run.id)?.map(|seen| seen.summary(now)).unwrap_or_default();
                    format!("{}: {where_}", paint(text::of_run(run.state), run.state))
                }
            };
            table.push(vec![
                json!(workflow.name),
                json!(workflow.steps.len()),
                json!(words::triggers(workflow)),
                json!(next.map(|at| words::moment(at, now))),
                json!(how),
            ]);
        } else {
            let triggers: Vec<String> = workflow.triggers.iter().map(words::trigger).collect();
            table.push(vec![
                json!(workflow.name),
                json!(workflow.description),
                json!(workflow.steps.len()),
                json!(triggers),
                json!(next),
                json!(workflow.concurrency),
                json!(last.map(|run| &run.id)),
                json!(last.map(|run| run.state)),
                json!(last.map(|run| run.finished_at.unwrap_or(run.created_at))),
                json!(last.and_then(|run| run.error.clone())),
                json!(workflow.place.to_string()),
            ]);
        }
    }
    crate::cli::print(&table.render(global.output)?)?;
    Ok(Exit::Done)
}
