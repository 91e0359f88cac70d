//! `rmm share init`: what a file share needs before devices fetch their jobs from it.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::args::Global;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::style::{Tone, clean, paint};
use crate::access::Secrets as _;
use crate::diagnose::Diagnostic;
use crate::store::AuditEvent;
use crate::transport::share::{KEY_NAME, SigningKey, runner};

/// Arguments of `rmm share`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm share init /mnt/rmm\n  rmm share init /mnt/rmm --runner runner.ps1\n\nThe share is a directory that the operating system has mounted. A device declares\n  connection: {transport: share, share: /mnt/rmm}\nand runs the runner, which takes jobs that carry the signature of this repository's key and no others."
)]
pub(super) struct ShareArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make the folders, the signing key where there is none, and the runner for devices
    Init {
        /// The share, as it is mounted here
        #[arg(value_name = "DIRECTORY")]
        directory: PathBuf,
        /// Where to write the runner
        #[arg(long, value_name = "FILE", default_value = "rmm-runner.ps1")]
        runner: PathBuf,
    },
}

pub(super) fn run(global: &Global, args: &ShareArgs) -> Result<Exit, Failure> {
    let context = Context::open(global)?;
    let What::Init { directory, runner } = &args.what;
    init(&context, directory, runner)
}

fn init(context: &Context, directory: &Path, to: &Path) -> Result<Exit, Failure> {
    let failed =
        |path: &Path, reason: String| Failure::new(Exit::Error, Diagnostic::error("RMM0441", format!("{}: {reason}", path.display())));
    if !directory.is_dir() {
        return Err(failed(directory, "there is no such directory: mount the share first".into()));
    }
    if !context.secrets.has(KEY_NAME) {
        let key = SigningKey::generate().map_err(|reason| failed(directory, reason))?;
        let path = context.secrets.keep_here(KEY_NAME, &key)?;
        super::print(&format!("{} a signing key: {}\n", paint(Tone::Good, "+"), clean(&path.display().to_string())))?;
    }
    let key = context.secrets.resolve(KEY_NAME)?;
    let key = SigningKey::read(&key).map_err(|reason| failed(Path::new(KEY_NAME), reason))?;
    let devices = directory.join("devices");
    std::fs::create_dir_all(&devices).map_err(|error| failed(&devices, error.to_string()))?;
    std::fs::write(to, runner(&key)).map_err(|error| failed(to, error.to_string()))?;
    context.store()?.audit(&AuditEvent {
        at: context.clock.now(),
        user: Some(context.actor.user.clone()),
        action: "share.prepared".into(),
        target: Some(directory.display().to_string()),
        details: json!({"public_key": key.public()}),
        ip: Some(context.actor.from.clone()),
        success: true,
    })?;
    super::print(&format!("{} {}\n", paint(Tone::Good, "+"), clean(&devices.display().to_string())))?;
    super::print(&format!("{} {}, for devices\n", paint(Tone::Good, "+"), clean(&to.display().to_string())))?;
    super::print(
        "\nnext: on each device, as an administrator,\n  powershell -ExecutionPolicy Bypass -File rmm-runner.ps1 -Share \\\\SERVER\\SHARE -Install\n\
         Carry the runner there by a way you trust: it says whose jobs are carried out.\n",
    )?;
    Ok(Exit::Done)
}
