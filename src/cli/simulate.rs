//! `rmm simulate`: writes a policy repository whose devices do not exist, for load tests and demonstrations.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::args::Global;
use super::exit::Exit;
use super::failure::Failure;
use super::style::{count, paint};
use crate::diagnose::Diagnostic;

/// Most devices.
const MOST: u32 = 100_000;

/// Arguments of `rmm simulate`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm simulate 150\n  rmm simulate 10000 load --failures 1 --hangs 1 --flapping 2\n  echo 'sim-0001 CPU=97' >> simulated/control\n\nEvery command works on the folder as on any other: rmm -C simulated collect. Lines of the file `control` say what\ndevices are to do, from the next observation on: METRIC=VALUE, latency=MILLISECONDS, service:NAME=failed, offline, hang."
)]
pub(super) struct SimulateArgs {
    /// Number of devices
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST)))]
    devices: u32,
    /// Folder to write
    #[arg(default_value = "simulated")]
    dir: PathBuf,
    /// Another number is another fleet
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Milliseconds that an answer takes, on average
    #[arg(long, value_name = "MS", default_value_t = 40)]
    latency: u32,
    /// Share of attempts that are refused
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(..=100))]
    failures: u8,
    /// Share of attempts that are never answered
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(..=100))]
    hangs: u8,
    /// Share of devices that are busy every other five minutes
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(..=100))]
    flapping: u8,
}

pub(super) fn run(global: &Global, args: &SimulateArgs) -> Result<Exit, Failure> {
    let dir = &args.dir;
    if std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Failure::usage(format!("the folder {} is not empty", dir.display()), "name another folder, or remove it".to_owned()));
    }
    std::fs::create_dir_all(dir).map_err(|error| failed(dir, &error))?;
    let whole = dir.canonicalize().map_err(|error| failed(dir, &error))?;
    let control = whole.join("control");
    let Some(control) = control.to_str() else {
        return Err(Failure::usage("the path of the folder is not UTF-8".to_owned(), "name another folder".to_owned()));
    };
    let files = [
        ("rmm.toml", SETTINGS.to_owned()),
        ("devices.yaml", devices(args, control)),
        ("policies/simulated.yaml", POLICY.to_owned()),
        ("thresholds/simulated.yaml", THRESHOLDS.to_owned()),
        ("control", CONTROL.to_owned()),
        (".gitignore", ".rmm/\n".to_owned()),
    ];
    for (path, text) in files {
        let path = whole.join(path);
        let written = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&path, text));
        written.map_err(|error| failed(&path, &error))?;
    }
    if !global.quiet {
        let shown = crate::script::quote(&dir.display().to_string()).into_owned();
        let fleet = count(args.devices as usize, "simulated device", "simulated devices");
        super::say(format!("{} {shown}: {fleet}", paint(super::style::Tone::Good, "+")));
        super::say(format!("\nnext: rmm -C {shown} collect, then plan, apply or reconcile; what they do: {shown}/control"));
    }
    Ok(Exit::Done)
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    let problem = Diagnostic::error("RMM0001", format!("{}: {error}", path.display()));
    Failure::new(Exit::Error, problem.advice("check that the folder is writable and has room"))
}

fn devices(args: &SimulateArgs, control: &str) -> String {
    let control = serde_json::Value::from(control);
    let mut text = format!(
        "sites:\n  Simulated:\n    connection:\n      transport: simulated\n      simulation: {{seed: {}, latencyMs: {}, failures: {}, hangs: {}, \
         flapping: {}, control: {control}}}\ngroups:\n  All Simulated:\n    match: {{site: Simulated}}\ndevices:\n",
        args.seed, args.latency, args.failures, args.hangs, args.flapping
    );
    let digits = args.devices.to_string().len().max(4);
    for i in 1..=args.devices {
        let _ = writeln!(text, "  sim-{i:0digits$}: {{os: linux, site: Simulated}}");
    }
    text
}

const SETTINGS: &str = r#"# A simulated fleet, written by `rmm simulate`.

[general]
organization = "Simulated"
default_site = "Simulated"

[connections]
ssh_timeout = "10s"
command_timeout = "30s"
max_concurrent = 100

[limits]
max_percent = 100
"#;

const POLICY: &str = r#"policies:
  Simulated:
    description: What every simulated device should look like.
    targets: ["*"]
    settings:
      Files:
        /etc/motd: {content: "Property of Example Ltd.\n", mode: "0644"}
      Services:
        ssh: {state: running}
    remediate: true
"#;

const THRESHOLDS: &str = r"thresholds:
  CPU: {warning: 80, critical: 95}
  Memory: {warning: 85, critical: 95}
  DiskSpace: {warning: 20, critical: 10}
";

const CONTROL: &str = "\
# What simulated devices do, from their next observation on. `*` is every device; later lines win.
# sim-0001 CPU=97 Memory=91
# sim-0002 DiskSpace=7 service:nginx=failed
# sim-0003 offline
# sim-0004 hang
# * latency=200
";
