//! What each manager prints is read as it is meant.

use super::*;

fn shown(list: &List) -> Vec<String> {
    list.iter()
        .map(|(name, one)| {
            let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
            let level = one.severity.map_or("-".to_owned(), |level| level.to_string());
            format!("{name} {} {} {} {} {level}", text(&one.installed), one.offered, text(&one.source), one.classification)
        })
        .collect()
}

#[test]
fn apt_tells_security_by_the_suite() {
    let list = apt("=at 1780000000\nListing...\n\
         bash/stable 5.2.15-2+b8 amd64 [upgradable from: 5.2.15-2+b7]\n\
         libssl3/jammy-updates,jammy-security 3.0.2-0ubuntu1.18 amd64 [upgradable from: 3.0.2-0ubuntu1.17]\n\
         libc6/stable-security 2.36-9+deb12u8 amd64 [upgradable from: 2.36-9+deb12u7]\n\
         libc6/stable-security 2.36-9+deb12u9 i386 [upgradable from: 2.36-9+deb12u7]\n\
         local/unknown 2 all [upgradable from: 1]\n\
         nonsense/x\n");
    assert_eq!(
        shown(&list),
        [
            "bash 5.2.15-2+b7 5.2.15-2+b8 stable other -",
            "libc6 2.36-9+deb12u7 2.36-9+deb12u8 stable-security security -",
            "libc6:i386 2.36-9+deb12u7 2.36-9+deb12u9 stable-security security -",
            "libssl3 3.0.2-0ubuntu1.17 3.0.2-0ubuntu1.18 jammy-security security -",
            "local 1 2 - other -",
        ]
    );
}

#[test]
fn dnf_tells_kind_and_severity_by_advisories_of_both_forms() {
    let list = dnf("RHSA-2026:1111 Important/Sec. openssl-libs-1:3.0.7-28.el9.x86_64\n\
         RHBA-2026:2222 bugfix         openssl-libs-1:3.0.7-28.el9.x86_64\n\
         FEDORA-2026-abc enhancement None vim-minimal-9.1.0-1.fc42.x86_64 2026-10-01 00:00:00\n\
         FEDORA-2026-def security Moderate curl-8.9-2.fc42.x86_64 2026-10-01 00:00:00\n\
         =up openssl-libs 1:3.0.7-28.el9 x86_64 baseos\n\n\
         =up vim-minimal 0:9.1.0-1.fc42 x86_64 updates\n\
         =up curl 0:8.9-2.fc42 x86_64 updates\n\
         =up plain (none):2-1 noarch extra\n");
    assert_eq!(
        shown(&list),
        [
            "curl - 8.9-2.fc42 updates security medium",
            "openssl-libs - 1:3.0.7-28.el9 baseos security high",
            "plain - 2-1 extra other -",
            "vim-minimal - 9.1.0-1.fc42 updates feature -",
        ]
    );
}

#[test]
fn yum_breaks_long_lines() {
    let list = yum("Updated Packages\nbash.x86_64   4.2.46-35.el7_9   updates\n\
         a-name-that-is-really-long-for-a-column.noarch\n                     0:1.2-3.el7      epel\n");
    assert_eq!(
        shown(&list),
        ["a-name-that-is-really-long-for-a-column - 1.2-3.el7 epel other -", "bash - 4.2.46-35.el7_9 updates other -"]
    );
}

#[test]
fn zypper_tells_kind_by_the_patches_that_need_a_package() {
    let list = zypper(
        "Information for patch openSUSE-SLE-15.6-2026-1:\n-----\nRepository  : Update\nName        : openSUSE-SLE-15.6-2026-1\n\
         Status      : needed\nCategory    : security\nSeverity    : important\nConflicts   : [3]\n    xz.src < 5.2.4\n    xz.x86_64 < 5.2.4\n\
         Name        : openSUSE-SLE-15.6-2026-2\nCategory    : recommended\nSeverity    : low\nConflicts   : [1]\n    tar.x86_64 < 1.35\n\
         <?xml version='1.0'?>\n<stream>\n<update-status version=\"0.6\">\n<update-list>\n\
         <update name=\"xz\" edition=\"5.2.4-1\" edition-old=\"5.2.3-4\" arch=\"x86_64\" kind=\"package\"><summary>a &amp; b</summary>\
         <source url=\"https://x/\" alias=\"repo-update\"/></update>\n\
         <update name=\"tar\" edition=\"1.35-1\" edition-old=\"1.34-1\" kind=\"package\"/>\n\
         <update name=\"a-patch\" edition=\"1\" kind=\"patch\"/>\n</update-list></update-status></stream>\n",
    );
    assert_eq!(shown(&list), ["tar 1.34-1 1.35-1 - bugfix low", "xz 5.2.3-4 5.2.4-1 repo-update security high"]);
}

#[test]
fn what_is_locked_is_told_as_held() {
    let list = dnf("=lock curl-0:8.8-1.fc42.*\n=lock vim-*-0:9.1*-*.*\n=lock bash\n=up curl 0:8.9-2.fc42 x86_64 updates\n\
         =up vim-minimal 0:9.1.0-1.fc42 x86_64 updates\n=up bash 0:5-1 x86_64 updates\n=up curl-minimal 0:8.9-2 x86_64 updates\n");
    let held: Vec<_> = list.iter().map(|(name, one)| (name.as_str(), one.held == Some(true))).collect();
    assert_eq!(held, [("bash", true), ("curl", true), ("curl-minimal", false), ("vim-minimal", true)]);
    let xml = |names: &[&str]| {
        let one = |name: &&str| format!("<update kind=\"package\" name=\"{name}\" edition=\"2-1\" edition-old=\"1-1\"/>");
        format!("<?xml version='1.0'?>\n<stream><update-list>{}</update-list></stream>\n", names.iter().map(one).collect::<String>())
    };
    let patch = |name: &str| {
        format!("Name        : P\nCategory    : security\nSeverity    : critical\nProvides    : patch:P = 1\nConflicts   : {name} < 2-1\n")
    };
    let text = [patch("python3.11"), "=lock python3*\n".into(), xml(&["python3.11", "broken", "xz"]), xml(&["xz"])].concat();
    let list = zypper(&text);
    let held: Vec<_> = list.iter().map(|(name, one)| (name.as_str(), one.held)).collect();
    assert_eq!(held, [("python3.11", Some(true)), ("xz", Some(false))]);
    assert_eq!(list["python3.11"].severity, Some(Severity::Critical));
    assert_eq!(zypper(&[patch("xz"), xml(&["xz"])].concat())["xz"].classification, Classification::Security);
}

#[test]
fn alpine_and_arch_tell_versions_only() {
    let list = apk("=lock busybox\nInstalled:        Available:\nbusybox-1.36.1-r28    < 1.36.1-r29 \ngcc-libs-extra-2-r0 < 3-r0\n");
    assert_eq!(shown(&list), ["busybox 1.36.1-r28 1.36.1-r29 - other -", "gcc-libs-extra 2-r0 3-r0 - other -"]);
    assert_eq!((list["busybox"].held, list["gcc-libs-extra"].held), (Some(true), Some(false)));
    let list = pacman("linux 6.11.1-1 -> 6.11.2-1 [ignored]\nzlib 1-1 -> 2-1\nwarning: x\n");
    assert_eq!((list["linux"].held, list["zlib"].held, list.len()), (Some(true), Some(false), 2));
}
