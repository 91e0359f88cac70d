//! Devices with apk, where `RMM_APK` names a program that was built from its sources (`tests/apk` does that): linked statically, since
//! it is put into a root as it is. Packages and lists are in the format that Alpine publishes, which apk 2 and 3 both read; the list
//! is signed as Alpine's is, and comes from a server, since apk keeps no copy of what lies in a folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::kind::depends;
use super::packages::{Package, listen};
use super::{must, write};

/// Name of the key that the list is signed with.
const KEY: &str = "test.rsa.pub";

/// The program that was given.
pub(super) fn program() -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("RMM_APK").filter(|path| !path.is_empty())?);
    assert!(path.is_file(), "RMM_APK: {} is no file: tests/apk builds one", path.display());
    Some(path)
}

/// Puts apk into the device, without any package, and with the folder `/srv/repo` behind a server.
pub(super) fn prepare(root: &Path) {
    std::fs::copy(program().unwrap(), root.join("usr/sbin/apk")).unwrap();
    let keys = root.join("etc/apk/keys");
    std::fs::create_dir_all(&keys).unwrap();
    must(Command::new("openssl").args(["genpkey", "-algorithm", "RSA", "-out"]).arg(key(root)));
    must(Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(key(root)).arg("-out").arg(keys.join(KEY)));
    must(Command::new("chroot").arg(root).args(["/usr/sbin/apk", "add", "--initdb"]));
    let folder = root.join("srv/repo");
    let port = listen(move |file| std::fs::read(folder.join(file)).ok());
    write(&root.join("etc/apk/repositories"), &format!("http://127.0.0.1:{port}\n"));
}

fn key(root: &Path) -> PathBuf {
    root.join("srv/key.pem")
}

/// Makes a package, and puts it into the repository of the device.
pub(super) fn publish(root: &Path, package: &Package, run: &dyn Fn(&[&str])) {
    let Package { name, version, postinst, .. } = package;
    let made = tempfile::tempdir().unwrap();
    let (control, data) = (made.path().join("control"), made.path().join("data"));
    let text = format!("{version}\n");
    let file = data.join(format!("usr/share/{name}/version"));
    write(&file, &text);
    must(Command::new("chmod").args(["-R", "u=rwX,go=rX"]).arg(&data));
    // Every file carries its hash.
    let hash = must(Command::new("sha1sum").arg(&file));
    let hash = format!("--pax-option=APK-TOOLS.checksum.SHA1:={}", hash.split(' ').next().unwrap());
    let tar = made.path().join("data.tar.gz");
    must(packed(&data, &tar).args(["--format=posix", &hash, "-z", "usr"]));
    let data = std::fs::read(tar).unwrap();
    let datahash = {
        use sha2::{Digest, Sha256};
        hex::encode(Sha256::digest(&data))
    };
    let needs = depends(package).replace(' ', "");
    let needs = if needs.is_empty() { needs } else { format!("depend = {}\n", needs.replace(',', "\ndepend = ")) };
    let info = format!(
        "pkgname = {name}\npkgver = {version}\npkgdesc = made for a test\nurl = https://example.com\nbuilddate = 1\npackager = Test\n\
         size = {}\narch = noarch\norigin = {name}\nlicense = none\n{needs}datahash = {datahash}\n",
        text.len()
    );
    write(&control.join(".PKGINFO"), &info);
    let mut members = vec![".PKGINFO"];
    if !postinst.is_empty() {
        members.extend([".post-install", ".post-upgrade"]);
        for script in &members[1..] {
            write(&control.join(script), &format!("#!/bin/sh\nset -e\n{postinst}\n"));
        }
        must(Command::new("chmod").arg("755").args(members[1..].iter().map(|script| control.join(script))));
    }
    let folder = root.join("srv/repo");
    std::fs::write(folder.join(format!("{name}-{version}.apk")), [begin(&control, &members), data].concat()).unwrap();
    run(&["sh", "-c", "cd /srv/repo && apk index --allow-untrusted --no-warnings -o /tmp/list.tar.gz *.apk"]);
    let list = root.join("tmp/list.tar.gz");
    let signature = format!(".SIGN.RSA256.{KEY}");
    must(Command::new("openssl").args(["dgst", "-sha256", "-sign"]).arg(key(root)).arg("-out").arg(control.join(&signature)).arg(&list));
    let list = [begin(&control, &[signature.as_str()]), std::fs::read(list).unwrap()].concat();
    std::fs::write(folder.join("APKINDEX.tar.gz"), list).unwrap();
}

/// A compressed archive without its end: what follows goes on with it.
fn begin(folder: &Path, members: &[&str]) -> Vec<u8> {
    let tar = folder.with_extension("tar");
    must(packed(folder, &tar).args(["--format=ustar", "--blocking-factor=1"]).args(members));
    let length = std::fs::metadata(&tar).unwrap().len();
    std::fs::File::options().write(true).open(&tar).unwrap().set_len(length - 1024).unwrap();
    must(Command::new("gzip").args(["--no-name", "--force"]).arg(&tar));
    std::fs::read(folder.with_extension("tar.gz")).unwrap()
}

fn packed(folder: &Path, to: &Path) -> Command {
    let mut command = Command::new("tar");
    command.args(["--owner=0", "--group=0", "-c", "-C"]).arg(folder).arg("-f").arg(to);
    command
}
