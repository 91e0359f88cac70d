//! `rmm config`: the settings and where each value comes from.

use clap::{Args, Subcommand};
use serde_json::json;

use super::args::Global;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::table::{Table, flatten};
use crate::diagnose::did_you_mean;

/// Arguments of `rmm config`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm config show\n  RMM_CONNECTIONS__MAX_CONCURRENT=50 rmm config show\n  rmm config show --env production connections"
)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show every setting, its value, and where the value comes from
    #[command(after_help = "Example:\n  rmm config show connections")]
    Show {
        /// Only keys that begin with this
        prefix: Option<String>,
    },
}

pub(super) fn run(global: &Global, args: &ConfigArgs) -> Result<Exit, Failure> {
    let context = Context::open(global)?;
    let Action::Show { prefix } = &args.action;
    let value = serde_json::to_value(&context.set.config).unwrap_or_default();
    let mut table = Table::new("rmm.config/1", &["KEY", "VALUE", "FROM"]);
    let mut rows = Vec::new();
    flatten("", &value, &mut rows);
    let known: Vec<String> = rows.iter().map(|(key, _)| key.clone()).collect();
    for (key, value) in rows {
        if prefix.as_ref().is_none_or(|p| key.starts_with(p.as_str())) {
            let from = context.set.origins.get(&key).cloned().unwrap_or_else(|| "default".into());
            let value = if value.is_null() { json!("(none)") } else { value };
            table.push(vec![json!(key), value, json!(from)]);
        }
    }
    if let Some(prefix) = prefix.as_ref().filter(|_| table.is_empty()) {
        let near =
            did_you_mean(prefix, known.iter().map(String::as_str).chain(value.as_object().into_iter().flatten().map(|(k, _)| k.as_str())));
        let advice = near.map_or_else(|| "`rmm config show` lists all of them".to_owned(), |n| format!("did you mean '{n}'?"));
        return Err(Failure::usage(format!("no setting begins with '{prefix}'"), advice));
    }
    super::print(&table.render(global.output)?)?;
    Ok(Exit::Done)
}
