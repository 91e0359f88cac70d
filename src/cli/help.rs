//! `rmm help`: help on a command, or on exit codes.

use clap::Args;

use super::exit::{Exit, TABLE};
use super::failure::Failure;
use crate::diagnose::did_you_mean;

/// Arguments of `rmm help`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  rmm help plan\n  rmm help exit-codes")]
pub(super) struct HelpArgs {
    /// A command (and its subcommand), or exit-codes
    pub(super) topic: Vec<String>,
}

pub(super) fn run(args: &HelpArgs) -> Result<Exit, Failure> {
    let mut command = super::command();
    if args.topic.first().is_some_and(|t| t == "exit-codes") {
        let mut out = String::new();
        for (_, code, meaning) in TABLE {
            out += &format!("{code:>4}  {meaning}\n");
        }
        super::print(&out)?;
        return Ok(Exit::Done);
    }
    command.build();
    for word in &args.topic {
        let names: Vec<String> = command.get_subcommands().map(|c| c.get_name().to_owned()).collect();
        let Some(next) = command.find_subcommand(word).cloned() else {
            let near = did_you_mean(word, names.iter().map(String::as_str));
            let advice = near.map_or_else(|| "`rmm --help` lists the commands".into(), |n| format!("did you mean '{n}'?"));
            return Err(Failure::usage(format!("there is no command '{word}'"), advice));
        };
        command = next;
    }
    // Help on a command is what its --help says.
    let words = ["rmm"].into_iter().chain(args.topic.iter().map(String::as_str)).chain(["--help"]);
    let text = match super::command().try_get_matches_from(words) {
        Err(help) if !help.use_stderr() => help.render(),
        _ => command.render_long_help(),
    };
    super::print(&if super::style::colored() { text.ansi().to_string() } else { text.to_string() })?;
    Ok(Exit::Done)
}
