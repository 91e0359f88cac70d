//! `StartRemotePS`: `Enter-PSSession` in this terminal.

use std::ffi::OsString;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::start_rdp::{Client, installed, plain_address};
use super::{EngineAction, Errand, done, failed};
use crate::apply::Acted;
use crate::apply::survey::target;
use crate::model::Device;
use crate::model::device::{TransportKind, WinrmScheme};
use crate::store::StoreError;

pub(super) struct StartRemotePs;

/// How the device is entered.
struct Door<'a> {
    /// Over SSH; else over WinRM.
    ssh: bool,
    /// WinRM over HTTPS.
    tls: bool,
    address: &'a str,
    port: Option<u16>,
    user: Option<&'a str>,
}

/// A text in PowerShell's single quotes. Its quotes, all five of them, are the only thing that means anything there.
fn quoted(text: &str) -> String {
    let doubled: String =
        text.chars().flat_map(|c| if matches!(c, '\'' | '\u{2018}'..='\u{201b}') { vec![c, c] } else { vec![c] }).collect();
    format!("'{doubled}'")
}

fn client(system: &str, path: Option<&OsString>, door: &Door<'_>) -> Result<Client, String> {
    let address = plain_address(door.address)?;
    let known: &[&str] = if system == "windows" { &["pwsh.exe", "powershell.exe"] } else { &["pwsh"] };
    let program = installed(known, path).ok_or("PowerShell is not installed here (pwsh)")?;
    if door.ssh && program == "powershell.exe" {
        return Err("a session over SSH needs PowerShell 7 here (pwsh)".into());
    }
    let mut command = format!("Enter-PSSession -{} {}", if door.ssh { "HostName" } else { "ComputerName" }, quoted(address));
    if let Some(port) = door.port {
        command += &format!(" -Port {port}");
    }
    if door.tls {
        command += " -UseSSL";
    }
    match door.user {
        Some(user) if door.ssh => command += &format!(" -UserName {}", quoted(user)),
        Some(user) => command += &format!(" -Credential {}", quoted(user)),
        None => {}
    }
    Ok(Client { program: program.to_owned(), arguments: vec!["-NoExit".into(), "-Command".into(), command] })
}

fn of(errand: &Errand<'_>, device: &Device) -> Result<Client, String> {
    let target = target(&errand.parts.set, device);
    let ssh = match target.transport() {
        TransportKind::Ssh => true,
        TransportKind::Winrm | TransportKind::Share => false,
        TransportKind::Local | TransportKind::Simulated => return Err("this very computer needs no remote session".into()),
    };
    let user = errand.text("user").or(target.connection.user.as_deref());
    let port = target.connection.port;
    let tls = !ssh && target.connection.scheme.unwrap_or_default() == WinrmScheme::Https;
    client(std::env::consts::OS, std::env::var_os("PATH").as_ref(), &Door { ssh, tls, address: &target.address, port, user })
}

#[async_trait::async_trait]
impl EngineAction for StartRemotePs {
    fn preview(&self, errand: &Errand<'_>) -> Vec<String> {
        let line = |device: &std::sync::Arc<Device>| {
            of(errand, device).map_or_else(|why| format!("cannot be done: {why}"), |client| client.shown())
        };
        errand.devices.iter().map(line).collect()
    }

    async fn carry_out(&self, errand: &Errand<'_>, cancel: &CancellationToken) -> Result<Acted, StoreError> {
        let client = match errand.attended("StartRemotePS").and_then(|()| errand.device()) {
            Ok(device) => of(errand, device),
            Err(refused) => return Ok(*refused),
        };
        let client = match client {
            Ok(client) => client,
            Err(why) => return Ok(failed(why)),
        };
        let mut child = tokio::process::Command::new(&client.program);
        for (name, _) in std::env::vars_os().filter(|(name, _)| crate::model::wiped::is_secret_variable(name)) {
            child.env_remove(name);
        }
        let child = child.args(&client.arguments).kill_on_drop(true).spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) => return Ok(failed(format!("{} cannot be started: {error}", client.program))),
        };
        let ended = tokio::select! {
            ended = child.wait() => ended,
            () = cancel.cancelled() => return Ok(super::cancelled()),
        };
        Ok(match ended {
            Ok(_) => done("the session is over", json!({ "command": client.shown() })),
            Err(error) => failed(format!("{}: {error}", client.program)),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_session_goes_the_way_the_device_is_managed() {
        let folder = tempfile::tempdir().unwrap();
        let path = Some(folder.path().as_os_str().to_owned());
        let door = |ssh, address| Door { ssh, tls: !ssh, address, port: ssh.then_some(2222), user: Some("EXAMPLE\\kim") };
        assert!(client("linux", path.as_ref(), &door(true, "ws-1")).unwrap_err().contains("not installed"));
        for name in ["pwsh", "powershell.exe"] {
            std::fs::write(folder.path().join(name), "").unwrap();
            std::fs::set_permissions(folder.path().join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let made = client("linux", path.as_ref(), &door(true, "ws-1")).unwrap();
        assert_eq!(made.arguments[2], "Enter-PSSession -HostName 'ws-1' -Port 2222 -UserName 'EXAMPLE\\kim'");
        let made = client("windows", path.as_ref(), &door(false, "ws-1")).unwrap();
        assert_eq!(
            (made.program.as_str(), made.arguments[2].as_str()),
            ("powershell.exe", "Enter-PSSession -ComputerName 'ws-1' -UseSSL -Credential 'EXAMPLE\\kim'")
        );
        assert!(client("windows", path.as_ref(), &door(true, "ws-1")).is_err());
        assert!(client("linux", path.as_ref(), &door(true, "x'; Remove-Item C:\\ #")).is_err());
        assert_eq!(quoted("it's \u{2019}"), "'it''s \u{2019}\u{2019}'");
    }
}
