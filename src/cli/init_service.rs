//! `rmm init --service`: a unit for systemd that runs `rmm reconcile`, with as few rights as it needs.

use std::path::{Path, PathBuf};

use super::args::Global;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use crate::diagnose::Diagnostic;
use crate::model::action::Role;

/// Name of the unit.
const NAME: &str = "rmm-reconcile.service";

/// Writes the unit into the folder of the repository's state and says how it is installed; `--service=FILE` names another place,
/// `-` standard output.
pub(super) fn run(global: &Global, file: &str) -> Result<Exit, Failure> {
    let context = Context::open_for_daemon(global)?;
    let root = std::path::absolute(&context.root).unwrap_or_else(|_| context.root.clone());
    let program = std::env::current_exe().map_err(|error| refuse(&format!("the path of this program is not known: {error}")))?;
    let state = super::reconcile::state_of(&std::path::absolute(context.db()).unwrap_or_else(|_| context.db().to_owned()), &root);
    for path in [&root, &program, &state] {
        if path.to_str().is_none_or(|path| path.chars().any(char::is_control)) {
            return Err(refuse(&format!("systemd cannot be given the path {}", path.display())));
        }
    }
    let (roles, user) = (&context.set.config.security.roles, super::context::actor().user);
    if crate::access::require(roles, &user, Role::Operator, "reconcile").is_err() {
        super::say(format!("The account {user} may not start it yet. It takes in rmm.toml: [security.roles] {user} = \"Operator\""));
    }
    let drain = context.set.config.daemon.drain.as_seconds();
    let text = unit(&program, &root, &state, global, drain);
    if file == "-" {
        super::print(&text)?;
        return Ok(Exit::Done);
    }
    let path = if file.is_empty() { state.join(NAME) } else { PathBuf::from(file) };
    let mut options = std::fs::OpenOptions::new();
    // What an administrator has changed in a unit stays.
    options.write(true).create_new(true);
    let written = options.open(&path).and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
    written.map_err(|error| refuse(&format!("{}: {error}", path.display())))?;
    super::say(format!("Written: {}", path.display()));
    super::say(format!(
        "To install it:\n  sudo cp {} /etc/systemd/system/{NAME}\n  sudo systemctl daemon-reload\n  sudo systemctl enable --now {NAME}",
        crate::script::quote(&path.display().to_string())
    ));
    Ok(Exit::Done)
}

fn refuse(why: &str) -> Failure {
    Failure::new(Exit::Error, Diagnostic::error("RMM0668", format!("the unit cannot be written: {why}")))
}

/// A word of a command or a path, as systemd reads it.
fn word(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    format!("\"{escaped}\"")
}

/// A path where systemd does not take quotes.
fn path(path: &Path) -> String {
    path.display().to_string().replace('\\', "\\\\").replace('%', "%%").replace(' ', "\\x20")
}

fn unit(program: &Path, root: &Path, state: &Path, global: &Global, drain: u64) -> String {
    let mut command = vec![word(&program.display().to_string()), "-C".into(), word(&root.display().to_string())];
    if let Some(env) = &global.env {
        command.extend(["--env".into(), word(env)]);
    }
    if let Some(db) = &global.db {
        let db = std::path::absolute(db).unwrap_or_else(|_| db.clone());
        command.extend(["--db".into(), word(&db.display().to_string())]);
    }
    command.push("reconcile".into());
    let user = super::context::actor().user;
    // A folder below /home is hidden from services otherwise; the one that is needed is let in again.
    let home = if root.starts_with("/home") || root.starts_with("/root") || program.starts_with("/home") || program.starts_with("/root") {
        "ProtectHome=read-only"
    } else {
        "ProtectHome=tmpfs"
    };
    format!(
        "# Written by rmm init --service. What it needs is named; everything else is taken away.
[Unit]
Description=rmm reconcile: keeps the fleet as {name} says
Documentation=man:rmm-reconcile(1)
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=300
StartLimitBurst=10

[Service]
Type=notify-reload
NotifyAccess=main
ExecStart={command}
User={user}
WatchdogSec=90
Restart=on-failure
RestartSec=5
TimeoutStartSec=120
TimeoutStopSec={stop}
KillMode=mixed
LimitNOFILE=65536
UMask=0077

# Only the database, its caches and its logs are written.
ReadWritePaths={state}
ProtectSystem=strict
{home}
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
ProcSubset=all
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM

# The device with `transport: local`, this machine, is only observed under these restrictions. To change it by policies too,
# run the unit as root and take out: User, ProtectSystem, ProtectHome, PrivateDevices, ProtectKernelTunables,
# ProtectKernelModules, NoNewPrivileges, CapabilityBoundingSet, RestrictSUIDSGID and the second SystemCallFilter.

[Install]
WantedBy=multi-user.target
",
        name = root.file_name().map(|name| name.to_string_lossy().replace('%', "%%")).unwrap_or_default(),
        command = command.join(" "),
        user = user.replace('%', "%%"),
        stop = drain + 30,
        state = path(state),
    )
}
