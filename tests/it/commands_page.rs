//! `docs/reference/commands.md` ends with the help of every command, as the program prints it.
//! `RMM_UPDATE_DOCS=1 cargo test commands_page` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

const BEGIN: &str = "<!-- generated: the help of every command -->\n";

fn reference() -> String {
    let mut root = rmm::cli::command().term_width(100);
    root.build();
    let mut out = String::from(BEGIN);
    for name in rmm::cli::command_names() {
        let command = root.find_subcommand_mut(&name).unwrap();
        section(&mut out, command, &format!("rmm {name}"), 3);
    }
    out
}

fn section(out: &mut String, command: &mut clap::Command, name: &str, level: usize) {
    // What is common to all commands stands in the overview once.
    let help = command.clone().mut_args(|arg| if arg.is_global_set() { arg.hide(true) } else { arg }).render_help().to_string();
    let help: String = help.lines().map(|l| format!("{}\n", l.trim_end())).collect();
    writeln!(out, "\n{} {name}\n\n```text\n{}\n```", "#".repeat(level), help.trim_end()).unwrap();
    let names: Vec<String> = command.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    for sub in names.iter().filter(|n| *n != "help") {
        section(out, command.find_subcommand_mut(sub).unwrap(), &format!("{name} {sub}"), level + 1);
    }
}

#[test]
fn the_reference_of_commands_is_what_the_program_prints() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/commands.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (written, old) = page.split_once(BEGIN).expect("the page has a generated part");
    for name in rmm::cli::command_names().iter().filter(|n| *n != "help") {
        assert!(written.contains(&format!("`rmm {name}")), "the overview in commands.md lacks rmm {name}");
    }
    let reference = reference();
    if std::env::var_os("RMM_UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{written}{reference}")).unwrap();
        return;
    }
    let wrong = reference.strip_prefix(BEGIN).unwrap().lines().zip(old.lines()).find(|(new, old)| new != old);
    assert!(format!("{BEGIN}{old}") == reference, "commands.md is old: run RMM_UPDATE_DOCS=1 cargo test commands_page. First: {wrong:?}");
}
