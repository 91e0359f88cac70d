//! `StartRDP`: the remote desktop client of whoever sits here.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{EngineAction, Errand, done, failed};
use crate::apply::Acted;
use crate::apply::survey::target;
use crate::model::Device;
use crate::store::StoreError;

pub(super) struct StartRdp;

/// A program of this computer and its arguments. No shell reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Client {
    pub(super) program: String,
    pub(super) arguments: Vec<String>,
}

impl Client {
    /// As one would type it.
    pub(super) fn shown(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.arguments);
        words.map(|word| crate::script::quote(word)).collect::<Vec<_>>().join(" ")
    }
}

/// The first of these programs that is found in a `PATH`.
pub(super) fn installed<'a>(names: &[&'a str], path: Option<&OsString>) -> Option<&'a str> {
    let folders: Vec<PathBuf> = path.map(|path| std::env::split_paths(path).collect()).unwrap_or_default();
    let there = |name: &str| folders.iter().any(|folder| is_program(&folder.join(name)));
    names.iter().copied().find(|name| there(name))
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file() || path.with_extension("exe").is_file()
}

/// A name or address that no client takes for anything else.
pub(super) fn plain_address(address: &str) -> Result<&str, String> {
    let fine = !address.is_empty()
        && !address.starts_with('-')
        && address.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%' | '[' | ']'));
    if fine { Ok(address) } else { Err(format!("'{}' is not an address that can be handed to a client", address.escape_debug())) }
}

/// The client for an address, by system and what is installed.
fn client(system: &str, path: Option<&OsString>, address: &str, port: u16, user: Option<&str>) -> Result<Client, String> {
    let address = plain_address(address)?;
    let bare = address.trim_start_matches('[').trim_end_matches(']');
    let host = if bare.contains(':') { format!("[{bare}]:{port}") } else { format!("{bare}:{port}") };
    let made = |program: &str, arguments: Vec<String>| Ok(Client { program: program.to_owned(), arguments });
    match system {
        "windows" => return made("mstsc.exe", vec![format!("/v:{host}")]),
        "macos" => {
            let user = user.map(|user| format!("&username=s:{user}")).unwrap_or_default();
            return made("open", vec![format!("rdp://full%20address=s:{host}{user}")]);
        }
        _ => {}
    }
    match installed(&["xfreerdp3", "xfreerdp", "remmina", "rdesktop"], path) {
        Some(program @ ("xfreerdp3" | "xfreerdp")) => {
            let user = user.map(|user| format!("/u:{user}"));
            made(program, std::iter::once(format!("/v:{host}")).chain(user).chain(["+clipboard".to_owned()]).collect())
        }
        Some("remmina") => {
            let user = user.map(|user| format!("{}@", user.replace('\\', "%5C").replace('@', "%40"))).unwrap_or_default();
            made("remmina", vec!["-c".into(), format!("rdp://{user}{host}")])
        }
        Some(program) => {
            let user = user.map(|user| vec!["-u".to_owned(), user.to_owned()]).unwrap_or_default();
            made(program, user.into_iter().chain([host]).collect())
        }
        None => Err("no remote desktop client is installed here: xfreerdp, remmina or rdesktop".into()),
    }
}

fn of(errand: &Errand<'_>, device: &Device) -> Result<Client, String> {
    let port = errand.params["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(3389);
    client(std::env::consts::OS, std::env::var_os("PATH").as_ref(), &target(&errand.parts.set, device).address, port, errand.text("user"))
}

#[async_trait::async_trait]
impl EngineAction for StartRdp {
    fn preview(&self, errand: &Errand<'_>) -> Vec<String> {
        let line = |device: &std::sync::Arc<Device>| {
            of(errand, device).map_or_else(|why| format!("cannot be done: {why}"), |client| client.shown())
        };
        errand.devices.iter().map(line).collect()
    }

    async fn carry_out(&self, errand: &Errand<'_>, _: &CancellationToken) -> Result<Acted, StoreError> {
        let client = match errand.attended("StartRDP").and_then(|()| errand.device()) {
            Ok(device) => of(errand, device),
            Err(refused) => return Ok(*refused),
        };
        let client = match client {
            Ok(client) => client,
            Err(why) => return Ok(failed(why)),
        };
        // The window stays when this command has ended.
        let mut started = std::process::Command::new(&client.program);
        for (name, _) in std::env::vars_os().filter(|(name, _)| crate::model::wiped::is_secret_variable(name)) {
            started.env_remove(name);
        }
        let started = started.args(&client.arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Ok(match started {
            Ok(_) => done(format!("opened: {}", client.shown()), json!({ "command": client.shown() })),
            Err(error) => failed(format!("{} cannot be started: {error}", client.program)),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn each_system_has_its_client() {
        let folder = tempfile::tempdir().unwrap();
        let path = Some(folder.path().as_os_str().to_owned());
        let on = |system: &str, address: &str, user| client(system, path.as_ref(), address, 3389, user).map(|client| client.shown());
        assert_eq!(on("windows", "ws-1", None).unwrap(), "mstsc.exe /v:ws-1:3389");
        assert_eq!(on("macos", "2001:db8::1", Some("kim")).unwrap(), "open 'rdp://full%20address=s:[2001:db8::1]:3389&username=s:kim'");
        assert!(on("linux", "ws-1", None).unwrap_err().contains("no remote desktop client"));
        for (name, shown) in [
            ("rdesktop", "rdesktop -u kim ws-1:3389"),
            ("remmina", "remmina -c rdp://kim@ws-1:3389"),
            ("xfreerdp", "xfreerdp /v:ws-1:3389 /u:kim +clipboard"),
        ] {
            let file = folder.path().join(name);
            std::fs::write(&file, "").unwrap();
            assert_ne!(on("linux", "ws-1", Some("kim")).ok().as_deref(), Some(shown), "not a program yet");
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
            assert_eq!(on("linux", "ws-1", Some("kim")).unwrap(), shown);
        }
        for hostile in ["-x", "a b", "a;b", "", "a/b", "a&b=c"] {
            assert!(on("windows", hostile, None).is_err(), "{hostile}");
        }
    }
}
