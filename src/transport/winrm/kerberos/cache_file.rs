//! Where the ticket cache lies, and that nobody else could read or exchange it.

use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use zeroize::Zeroizing;

/// Largest cache. One ticket has 64 KiB at most, and a few KiB as a rule.
const MOST: u64 = 4 << 20;

/// The path in a name such as `FILE:/tmp/krb5cc_0`. Caches that lie elsewhere than in a file are not read.
pub(in crate::transport::winrm) fn path(name: &str) -> Result<String, String> {
    let user = rustix::process::getuid().as_raw().to_string();
    let effective = rustix::process::geteuid().as_raw().to_string();
    let mut path = match name.split_once(':') {
        Some(("FILE", path)) => path.to_owned(),
        Some((kind, _)) if !kind.contains('/') => {
            return Err(format!(
                "{kind}: is not read, only files are: run kinit -c FILE:PATH, and name that as KRB5CCNAME or connection.ticketCache"
            ));
        }
        _ => name.to_owned(),
    };
    // Of krb5.conf.
    for (word, value) in [("%{uid}", user.as_str()), ("%{USERID}", &user), ("%{euid}", &effective), ("%{TEMP}", "/tmp"), ("%{null}", "")] {
        path = path.replace(word, value);
    }
    if path.contains("%{") { Err("it is not known what its name stands for".into()) } else { Ok(path) }
}

/// The name of the cache of whoever runs this: `KRB5CCNAME`, else what `krb5.conf` says, else a file in `/tmp`.
pub(in crate::transport::winrm) fn usual() -> String {
    let named = |variable| std::env::var(variable).ok().filter(|value| !value.is_empty());
    if let Some(name) = named("KRB5CCNAME") {
        return name;
    }
    let files = named("KRB5_CONFIG").unwrap_or_else(|| "/etc/krb5.conf".into());
    let configured = files.split(':').filter_map(|file| std::fs::read_to_string(file).ok()).find_map(|text| configured(&text));
    configured.unwrap_or_else(|| "FILE:/tmp/krb5cc_%{uid}".into())
}

/// `default_ccache_name` in the text of a `krb5.conf`.
fn configured(text: &str) -> Option<String> {
    let mut section = "";
    text.lines().map(str::trim).find_map(|line| {
        if line.starts_with('[') {
            section = line;
        }
        let (name, value) = line.split_once('=')?;
        let found = section == "[libdefaults]" && name.trim() == "default_ccache_name";
        found.then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// The bytes of a cache, where it belongs to whoever runs this and nobody else may look into it.
pub(in crate::transport::winrm) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    // Not blocking: a named pipe in its place must not stop everything. What was opened is what is judged.
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = std::fs::OpenOptions::new().read(true).custom_flags(nonblocking).open(path).map_err(|error| error.to_string())?;
    let meta = file.metadata().map_err(|error| error.to_string())?;
    if !meta.is_file() || meta.len() > MOST {
        return Err("it is not a file, or larger than 4 MiB".into());
    }
    let user = rustix::process::geteuid().as_raw();
    if meta.uid() != user {
        return Err(format!("it belongs to user {}, not to user {user}", meta.uid()));
    }
    let mode = meta.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(format!("its mode is {mode:04o}, others may use it: run chmod 600"));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(meta.len()).unwrap_or_default()));
    file.take(MOST).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn only_a_cache_in_a_file_has_a_path() {
        let user = rustix::process::getuid().as_raw();
        for (name, expected) in [
            ("FILE:/tmp/krb5cc_%{uid}", format!("/tmp/krb5cc_{user}")),
            ("/run/user/%{USERID}/cc", format!("/run/user/{user}/cc")),
            ("/a/b:c", "/a/b:c".into()),
            ("~/cc", "~/cc".into()),
        ] {
            assert_eq!(path(name).unwrap(), expected);
        }
        for name in ["KCM:", "DIR:/tmp/x", "KEYRING:persistent:0", "MEMORY:a", "FILE:/tmp/%{username}"] {
            assert!(path(name).is_err(), "{name}");
        }
        assert!(path("KCM:0").unwrap_err().starts_with("KCM: is not read"));
    }

    #[test]
    fn the_name_in_krb5_conf_is_that_of_its_section() {
        let text =
            "# x\n[realms]\n default_ccache_name = wrong\n[libdefaults]\n\tdefault_realm = A\n default_ccache_name = FILE:/run/cc_%{uid}\n";
        assert_eq!(configured(text).as_deref(), Some("FILE:/run/cc_%{uid}"));
        assert_eq!(configured("[libdefaults]\n# default_ccache_name\n"), None);
    }

    #[test]
    fn a_cache_that_others_may_read_and_what_is_no_file_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cc");
        std::fs::write(&path, b"x").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(read(&path).unwrap_err(), "its mode is 0640, others may use it: run chmod 600");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read(&path).unwrap().as_slice(), b"x");
        assert!(read(folder.path()).unwrap_err().contains("not a file"));
        assert!(read(&folder.path().join("none")).unwrap_err().contains("No such file"));
        std::fs::File::options().write(true).open(&path).unwrap().set_len(MOST + 1).unwrap();
        assert!(read(&path).unwrap_err().contains("larger"));
    }
}
