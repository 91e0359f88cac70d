//! What is different where another package manager than apt keeps the packages of a device: the root has them all, and a device
//! keeps one of them. Its packages come from a repository in a folder of the device, and are made there.

use std::path::Path;
use std::process::Command;

use super::packages::Package;
use super::{apk, must, write};

/// Which package manager a device has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Apt,
    Dnf,
    Zypper,
    Pacman,
    /// Only where a program was given: `Kind::is_there`.
    Apk,
}

/// Commands and state of all of them, by name.
const COMMANDS: [(Kind, &[&str]); 4] = [
    (Kind::Apt, &["apt", "apt-cache", "apt-config", "apt-get", "apt-mark", "dpkg", "dpkg-deb", "dpkg-query"]),
    (Kind::Dnf, &["dnf", "dnf-3"]),
    (Kind::Zypper, &["zypper", "needs-restarting"]),
    (Kind::Pacman, &["pacman", "pacman-conf"]),
];

impl Kind {
    /// Whether devices of this kind can be had: no package of Debian has apk, and tests/apk builds it.
    pub(crate) fn is_there(self) -> bool {
        self != Self::Apk || apk::program().is_some()
    }

    /// Makes of the root, which has all of them, a device that has this one.
    pub(super) fn prepare(self, root: &Path) {
        if self == Self::Apt {
            return;
        }
        for (_, commands) in COMMANDS.iter().filter(|(kind, _)| *kind != self) {
            for command in *commands {
                let _ = std::fs::remove_file(root.join("usr/bin").join(command));
            }
        }
        for path in ["var/lib/dpkg", "var/lib/apt", "var/cache/apt", "etc/apt", "etc/dpkg", "etc/yum.repos.d", "etc/zypp/repos.d"] {
            let _ = std::fs::remove_dir_all(root.join(path));
        }
        std::fs::create_dir_all(root.join("srv/repo")).unwrap();
        // Debian's rpm has its database in the home of the user.
        write(&root.join("etc/rpm/macros"), "%_dbpath /var/lib/rpm\n");
        let os = |text: &str| {
            let _ = std::fs::remove_file(root.join("etc/os-release"));
            write(&root.join("etc/os-release"), text);
        };
        let repository = "[test]\nname=Test\nenabled=1\ngpgcheck=0\n";
        match self {
            Self::Apt => {}
            Self::Dnf => {
                os("ID=fedora\nNAME=\"Fedora Linux\"\nVERSION_ID=40\nPRETTY_NAME=\"Fedora Linux 40\"\n");
                write(&root.join("etc/dnf/vars/releasever"), "40\n");
                write(&root.join("etc/yum.repos.d/test.repo"), &format!("{repository}baseurl=file:///srv/repo\n"));
                let plugins = root.join("usr/share/dnf-plugins/usr/lib/python3/dist-packages");
                let target = root.join("usr/lib/python3/dist-packages");
                must(Command::new("cp").arg("-a").arg(plugins.join("dnfpluginscore")).arg(&target));
                for plugin in ["versionlock", "needs_restarting"] {
                    std::fs::create_dir_all(target.join("dnf-plugins")).unwrap();
                    let file = format!("dnf-plugins/{plugin}.py");
                    std::fs::copy(plugins.join(&file), target.join(&file)).unwrap();
                }
                for file in ["versionlock.conf", "versionlock.list"] {
                    write(
                        &root.join("etc/dnf/plugins").join(file),
                        if file.ends_with("conf") { "[main]\nenabled = 1\nlocklist = /etc/dnf/plugins/versionlock.list\n" } else { "" },
                    );
                }
                std::fs::create_dir_all(root.join("var/lib/rpm")).unwrap();
            }
            Self::Zypper => {
                os(
                    "ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\nNAME=\"openSUSE Leap\"\nVERSION_ID=\"15.6\"\nPRETTY_NAME=\"openSUSE Leap 15.6\"\n",
                );
                write(
                    &root.join("etc/zypp/repos.d/test.repo"),
                    &format!("{repository}autorefresh=0\ntype=rpm-md\nbaseurl=dir:///srv/repo\n"),
                );
            }
            Self::Pacman => {
                os("ID=arch\nNAME=\"Arch Linux\"\nPRETTY_NAME=\"Arch Linux\"\nBUILD_ID=rolling\n");
                write(
                    &root.join("etc/pacman.conf"),
                    "[options]\nHoldPkg = pacman glibc\nArchitecture = x86_64\nSigLevel = Never\n\n[test]\nServer = file:///srv/repo\n",
                );
            }
            Self::Apk => {
                os("ID=alpine\nNAME=\"Alpine Linux\"\nVERSION_ID=3.22.1\nPRETTY_NAME=\"Alpine Linux v3.22\"\n");
                apk::prepare(root);
            }
        }
    }

    /// Asks which version of a package is installed.
    pub(super) fn query(self, package: &str) -> Vec<String> {
        let words: &[&str] = match self {
            Self::Apt => &["dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}"],
            Self::Dnf | Self::Zypper => &["rpm", "-q", "--qf", "installed %{VERSION}-%{RELEASE}"],
            Self::Pacman => &["pacman", "-Q"],
            Self::Apk => &["apk", "info", "--installed", "--verbose"],
        };
        words.iter().copied().chain([package]).map(str::to_owned).collect()
    }

    /// The version in the answer.
    pub(super) fn version(self, answer: &str) -> Option<String> {
        let answer = answer.trim();
        match self {
            Self::Pacman => answer.split_once(' ').map(|(_, version)| version.to_owned()),
            Self::Apk => answer.rmatch_indices('-').nth(1).map(|(at, _)| answer[at + 1..].to_owned()),
            _ => answer.strip_prefix("installed ").map(str::to_owned),
        }
    }

    /// How somebody at the console installs a version.
    pub(super) fn install(self, package: &str, version: &str) -> Vec<Vec<String>> {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        match self {
            Self::Apt => {
                vec![words("apt-get update -qq"), words(&format!("apt-get install -y -qq --allow-downgrades {package}={version}"))]
            }
            Self::Dnf => vec![words("dnf -q makecache"), words(&format!("dnf -y -q install {package}-{version}"))],
            Self::Zypper => {
                vec![
                    words("zypper -q -n refresh"),
                    words(&format!("zypper -q -n install --no-recommends --oldpackage {package}={version}")),
                ]
            }
            Self::Pacman => {
                vec![words("pacman -Sy"), words(&format!("pacman -U --noconfirm file:///srv/repo/{package}-{version}-any.pkg.tar.gz"))]
            }
            // Asked for in a version it stays in it, until it is asked for in any.
            Self::Apk => {
                let add = |what: &str| words(&format!("apk add --no-progress {what}"));
                vec![words("apk update --update-cache"), add(&format!("{package}={version}")), add(package)]
            }
        }
    }

    /// Makes a package, and puts it into the repository of the device.
    pub(super) fn publish(self, root: &Path, package: &Package, run: &dyn Fn(&[&str])) {
        match self {
            Self::Apt => panic!("devices with apt have a repository together"),
            Self::Dnf | Self::Zypper => publish_rpm(root, package, run),
            Self::Pacman => publish_pacman(root, package),
            Self::Apk => apk::publish(root, package, run),
        }
    }
}

/// `rmm-lib (>= 2.0-1)` without its parentheses.
pub(super) fn depends(package: &Package) -> String {
    package.depends.replace(['(', ')'], "")
}

fn publish_rpm(root: &Path, package: &Package, run: &dyn Fn(&[&str])) {
    let Package { name, version, postinst, .. } = package;
    let (number, release) = version.split_once('-').unwrap();
    let requires = if package.depends.is_empty() { String::new() } else { format!("Requires: {}\n", depends(package)) };
    let post = if postinst.is_empty() { String::new() } else { format!("%post\n{postinst}\n") };
    let spec = format!(
        "AutoReqProv: no\nName: {name}\nVersion: {number}\nRelease: {release}\nSummary: made for a test\nLicense: none\nBuildArch: noarch\n{requires}\
         %description\nmade for a test\n%install\nmkdir -p %{{buildroot}}/usr/share/{name}\necho {version} >%{{buildroot}}/usr/share/{name}/version\n\
         {post}%files\n/usr/share/{name}\n"
    );
    write(&root.join("tmp/made.spec"), &spec);
    let options = ["--define", "_rpmdir /srv/repo", "--define", "_topdir /tmp/made", "--define", "__os_install_post %{nil}"];
    run(&[&["rpmbuild", "-bb", "--quiet"], &options[..], &["/tmp/made.spec"]].concat());
    if let Some((kind, severity)) = &package.advisory {
        let file = format!("{name}-{version}.noarch.rpm");
        let text = format!(
            "<update from=\"test@example.com\" status=\"stable\" type=\"{kind}\" version=\"1\"><id>TEST-{name}-{version}</id><title>{name}</title>\
             <issued date=\"2026-10-01 00:00:00\"/><severity>{severity}</severity><description>made for a test</description><pkglist>\
             <collection short=\"T\"><name>T</name><package name=\"{name}\" version=\"{number}\" release=\"{release}\" epoch=\"0\" arch=\"noarch\">\
             <filename>{file}</filename></package></collection></pkglist></update>\n"
        );
        write(&root.join(format!("srv/advisories/{name}-{version}")), &text);
    }
    run(&["createrepo_c", "--quiet", "--no-database", "/srv/repo"]);
    if root.join("srv/advisories").exists() {
        let all = "{ echo '<updates>'; cat /srv/advisories/*; echo '</updates>'; } >/tmp/updateinfo.xml";
        run(&["sh", "-c", &format!("{all}; modifyrepo_c --mdtype=updateinfo /tmp/updateinfo.xml /srv/repo/repodata >/dev/null")]);
    }
    run(&["rm", "-r", "/tmp/made.spec", "/tmp/made"]);
}

fn publish_pacman(root: &Path, package: &Package) {
    let Package { name, version, postinst, .. } = package;
    let folder = root.join("srv/repo");
    let tree = tempfile::tempdir().unwrap();
    let needs = depends(package).replace(' ', "");
    let line = if needs.is_empty() { String::new() } else { format!("depend = {needs}\n") };
    let info = format!(
        "pkgname = {name}\npkgver = {version}\npkgdesc = made for a test\nurl = https://example.com\nbuilddate = 1\npackager = Test\nsize = 10\narch = any\n{line}"
    );
    write(&tree.path().join(".PKGINFO"), &info);
    write(&tree.path().join(format!("usr/share/{name}/version")), &format!("{version}\n"));
    let mut members = vec![".PKGINFO", "usr"];
    if !postinst.is_empty() {
        write(&tree.path().join(".INSTALL"), &format!("post_install() {{\n{postinst}\n}}\npost_upgrade() {{\npost_install\n}}\n"));
        members.insert(1, ".INSTALL");
    }
    must(Command::new("chmod").args(["-R", "u=rwX,go=rX"]).arg(tree.path()));
    let file = format!("{name}-{version}-any.pkg.tar.gz");
    let pack = |from: &Path, to: &Path, members: &[&str]| {
        must(Command::new("tar").args(["--owner=0", "--group=0", "-C"]).arg(from).arg("-czf").arg(to).args(members));
    };
    pack(tree.path(), &folder.join(&file), &members);
    let (size, hash) = {
        use sha2::{Digest, Sha256};
        let bytes = std::fs::read(folder.join(&file)).unwrap();
        (bytes.len(), hex::encode(Sha256::digest(&bytes)))
    };
    let depends = if needs.is_empty() { String::new() } else { format!("%DEPENDS%\n{needs}\n\n") };
    // The repository offers one version of a package: the last.
    let entries = root.join("srv/entries");
    write(
        &entries.join(name).join("desc"),
        &format!(
            "%FILENAME%\n{file}\n\n%NAME%\n{name}\n\n%VERSION%\n{version}\n\n%DESC%\nmade for a test\n\n%CSIZE%\n{size}\n\n%ISIZE%\n10\n\n\
             %SHA256SUM%\n{hash}\n\n%ARCH%\nany\n\n{depends}"
        ),
    );
    write(&entries.join(name).join("version"), version);
    let list = tempfile::tempdir().unwrap();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&entries).unwrap().flatten() {
        let version = std::fs::read_to_string(entry.path().join("version")).unwrap();
        let named = format!("{}-{version}", entry.file_name().to_string_lossy());
        std::fs::create_dir(list.path().join(&named)).unwrap();
        std::fs::copy(entry.path().join("desc"), list.path().join(&named).join("desc")).unwrap();
        names.push(named);
    }
    let database = folder.join("test.db");
    let last = std::fs::metadata(&database).and_then(|meta| meta.modified()).ok();
    pack(list.path(), &database, &names.iter().map(String::as_str).collect::<Vec<_>>());
    // pacman takes one of the same second for the one that it has.
    if let Some(last) = last {
        std::fs::File::options().write(true).open(&database).unwrap().set_modified(last + std::time::Duration::from_secs(1)).unwrap();
    }
}
