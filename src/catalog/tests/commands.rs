//! Exactly which commands settings run, on which kind of system.

use super::*;

const APT: &str = "env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold";

#[test]
fn packages_are_installed_and_removed_by_the_devices_own_manager() {
    let on = |facts, desired, observed: Option<Value>| commands(facts, "Packages", Some("nginx"), desired, observed);
    assert_eq!(on(debian(), json!("present"), None), [format!("{APT} -- nginx")]);
    assert_eq!(on(debian(), json!({"version": "=1.22.1-9"}), None), [format!("{APT} --allow-downgrades -- nginx=1.22.1-9")]);
    assert_eq!(
        on(debian(), json!({"version": ">=24"}), Some(json!("23"))),
        [format!("{APT} -- nginx"), "apt-get update --quiet".into(), format!("{APT} -- nginx")]
    );
    assert_eq!(
        on(debian(), json!("absent"), Some(json!("1"))),
        ["env DEBIAN_FRONTEND=noninteractive apt-get remove --yes --quiet -- nginx"]
    );
    assert_eq!(on(fedora(), json!({"version": "1.24-1"}), None), ["dnf --assumeyes install -- nginx-1.24-1"]);
    assert_eq!(on(fedora(), json!({"version": ">=1.24"}), Some(json!("1.20"))), ["dnf --assumeyes --refresh upgrade -- nginx"]);
    assert_eq!(on(alpine(), json!("present"), None), ["apk add --no-progress --update-cache --quiet -- nginx"]);
    assert_eq!(on(alpine(), json!("absent"), Some(json!("1"))), ["apk del --no-progress -- nginx"]);
    assert_eq!(
        on(os("suse", "systemd", "zypper", "none"), json!("present"), None),
        ["zypper --non-interactive install --no-recommends -- nginx"]
    );
    assert_eq!(on(os("arch", "systemd", "pacman", "none"), json!("present"), None), ["pacman --sync --noconfirm --needed -- nginx"]);
    assert_eq!(on(os("centos", "sysv", "yum", "none"), json!("absent"), Some(json!("1"))), ["yum --assumeyes remove -- nginx"]);
    assert_eq!(undoing(fedora(), "Packages", Some("nginx"), None), ["dnf --assumeyes remove -- nginx"]);
    assert_eq!(undoing(fedora(), "Packages", Some("nginx"), Some(json!("1.20-3"))), ["dnf --assumeyes install -- nginx-1.20-3"]);
}

#[test]
fn services_are_switched_by_the_devices_own_manager() {
    let on = |facts, desired, observed: Option<Value>| commands(facts, "Services", Some("ssh"), desired, observed);
    let stopped = || Some(json!({"state": "stopped", "startup": "disabled"}));
    let running = || Some(json!({"state": "running", "startup": "enabled"}));
    let up = || json!({"state": "running", "startup": "enabled"});
    let down = || json!({"state": "stopped", "startup": "disabled"});
    assert_eq!(on(debian(), up(), stopped()), ["systemctl enable -- ssh.service", "systemctl start -- ssh.service"]);
    assert!(on(debian(), up(), running()).is_empty(), "settings may run twice");
    assert_eq!(on(debian(), up(), Some(json!({"state": "running", "startup": "disabled"}))), ["systemctl enable -- ssh.service"]);
    assert_eq!(on(debian(), down(), running()), ["systemctl stop -- ssh.service", "systemctl disable -- ssh.service"]);
    assert_eq!(on(debian(), json!({"startup": "masked"}), running()), ["systemctl mask -- ssh.service"]);
    assert_eq!(on(alpine(), up(), stopped()), ["rc-update add ssh default", "rc-service -- ssh start"]);
    assert_eq!(on(alpine(), down(), running()), ["rc-service -- ssh stop", "rc-update --all del ssh"]);
    assert_eq!(on(os("old", "sysv", "yum", "none"), json!({"state": "stopped"}), running()), ["service ssh stop"]);
    assert_eq!(
        undoing(debian(), "Services", Some("ssh"), running()),
        ["systemctl unmask -- ssh.service", "systemctl enable -- ssh.service", "systemctl start -- ssh.service"]
    );
}

#[test]
fn a_service_that_is_not_installed_is_stopped_already() {
    let services = setting("Services");
    assert_eq!(services.program.compliant(None, &json!({"state": "stopped", "startup": "disabled"})), Ok(true));
    assert_eq!(services.program.compliant(None, &json!({"state": "running"})), Ok(false));
    assert_eq!(
        services
            .program
            .compliant(Some(&json!({"state": "failed", "startup": "masked"})), &json!({"state": "stopped", "startup": "disabled"})),
        Ok(true)
    );
}

/// Every account is in a group of its own, which nobody lists.
#[test]
fn the_own_group_of_an_account_is_neither_missed_nor_taken_away() {
    let users = setting("Users");
    let seen = json!({"uid": 1000, "gid": 1000, "group": "kim", "home": "/home/kim", "shell": "/bin/sh", "comment": "", "locked": false, "groups": ["adm", "kim"]});
    for (groups, right) in [(json!(["adm"]), true), (json!(["kim", "adm"]), true), (json!([]), false), (json!(["adm", "sudo"]), false)] {
        assert_eq!(users.program.compliant(Some(&seen), &json!({"groups": groups})), Ok(right), "{groups}");
    }
    let change = |facts, groups| commands(facts, "Users", Some("kim"), json!({"groups": groups}), Some(seen.clone()));
    assert_eq!(change(debian(), json!(["sudo"])), ["usermod --groups sudo -- kim"]);
    assert_eq!(change(alpine(), json!(["wheel"])), ["delgroup kim adm", "addgroup kim wheel"]);
    let undone = undoing(debian(), "Users", Some("kim"), Some(seen));
    assert!(undone.iter().any(|line| line.contains("--groups adm ")), "{undone:?}");
}

#[test]
fn accounts_are_made_changed_and_removed() {
    let user = |facts, desired, observed: Option<Value>| commands(facts, "Users", Some("kim"), desired, observed);
    let seen = || {
        Some(json!({"uid": 1000, "gid": 1000, "home": "/home/kim", "shell": "/bin/sh", "comment": "", "locked": false, "groups": ["a"]}))
    };
    assert_eq!(
        user(debian(), json!({"uid": 1200, "shell": "/bin/bash", "comment": "Kim L.", "groups": ["sudo", "adm"]}), None),
        ["useradd --create-home --uid 1200 --shell /bin/bash --comment 'Kim L.' --groups sudo,adm -- kim"]
    );
    assert_eq!(user(debian(), json!({"home": "/srv/kim", "locked": true}), seen()), ["usermod --home /srv/kim -- kim", "passwd -l kim"]);
    assert_eq!(user(debian(), json!("absent"), seen()), ["userdel -- kim"]);
    assert_eq!(user(debian(), json!({"state": "absent", "removeHome": true}), seen()), ["userdel --remove -- kim"]);
    assert_eq!(
        user(alpine(), json!({"shell": "/bin/ash", "groups": ["wheel"]}), None),
        ["adduser -D -s /bin/ash -- kim", "addgroup kim wheel"]
    );
    assert_eq!(user(alpine(), json!({"groups": ["b"]}), seen()), ["delgroup kim a", "addgroup kim b"]);
    assert_eq!(undoing(debian(), "Users", Some("kim"), None), ["userdel -- kim"]);
    let users = setting("Users");
    assert_eq!(users.program.risk(&json!({"state": "absent", "removeHome": true})), Ok(Some(crate::model::Risk::Destructive)));
    let group = |facts, desired, observed: Option<Value>| commands(facts, "Groups", Some("ops"), desired, observed);
    assert_eq!(
        group(debian(), json!({"gid": 1500, "members": ["kim"]}), None),
        ["groupadd --gid 1500 -- ops", "gpasswd --members kim ops"]
    );
    assert_eq!(group(alpine(), json!({"members": ["b"]}), Some(json!({"gid": 1, "members": ["a"]}))), ["delgroup a ops", "addgroup b ops"]);
    assert_eq!(group(debian(), json!("absent"), Some(json!({"gid": 1, "members": []}))), ["groupdel -- ops"]);
}

#[test]
fn kernel_parameters_run_and_last() {
    assert_eq!(
        commands(debian(), "Sysctl", Some("net.ipv4.ip_forward"), json!(0), None),
        [
            "sysctl -w net.ipv4.ip_forward=0",
            "mkdir -p /etc/sysctl.d",
            "write /etc/sysctl.d/60-rmm-net.ipv4.ip_forward.conf 0644 root:root <<< # Written by rmm; changes here are undone.\nnet.ipv4.ip_forward = 0\n",
        ]
    );
    let sysctl = setting("Sysctl");
    let seen = |runtime: &str, configured: Option<&str>| json!({"runtime": runtime, "configured": configured});
    assert_eq!(sysctl.program.compliant(Some(&seen("4096\t87380\t629", Some("4096 87380 629"))), &json!("4096 87380 629")), Ok(true));
    assert_eq!(sysctl.program.compliant(Some(&seen("0", None)), &json!(0)), Ok(false));
    assert_eq!(sysctl.program.describe(Some(&seen("0", None)), &json!(0)), Ok(Some(("0 (configured: nothing)".into(), "0".into()))));
    assert_eq!(
        undoing(debian(), "Sysctl", Some("a.b"), Some(seen("1", None))),
        ["rm -f -- /etc/sysctl.d/60-rmm-a.b.conf", "sysctl -w a.b=1"]
    );
}

#[test]
fn an_option_of_the_ssh_server_is_tested_before_it_is_used() {
    let all = commands(debian(), "SshdConfig", Some("PermitRootLogin"), json!("no"), Some(json!("yes")));
    let file = "/etc/ssh/sshd_config.d/10-rmm-PermitRootLogin.conf";
    assert_eq!(
        all[1..],
        [
            format!("rm -f -- {file}.rmm-before"),
            format!("cp -p -- {file} {file}.rmm-before"),
            format!("write {file} 0600 root:root <<< # Written by rmm; changes here are undone.\nPermitRootLogin no\n"),
            "mkdir -p -m 0755 /run/sshd".to_owned(),
            "/usr/sbin/sshd -t".to_owned(),
            format!("rm -f -- {file}.rmm-before"),
            "systemctl try-reload-or-restart -- ssh.service".to_owned(),
        ]
    );
    let sshd = setting("SshdConfig");
    assert_eq!(sshd.member("PermitRootLogin", &json!("no")), Ok("permitrootlogin".to_owned()));
    assert_eq!(sshd.program.compliant(Some(&json!("without-password")), &json!("prohibit-password")), Ok(true));
    assert_eq!(sshd.program.compliant(Some(&json!("60")), &json!("1m")), Ok(true));
    assert_eq!(sshd.program.compliant(Some(&json!("4")), &json!(4)), Ok(true));
}

/// A device whose sshd refuses: what was changed has to be as before.
#[derive(Default)]
struct Refusing(Vec<Vec<String>>);

impl crate::script::Host for Refusing {
    fn perform(&mut self, operation: &crate::model::Operation) -> Result<crate::model::operation::Reply, crate::script::HostError> {
        let crate::model::Operation::Run { argv, .. } = operation else { return Ok(crate::model::operation::Reply::default()) };
        self.0.push(argv.clone());
        let refused = argv[0] == "/usr/sbin/sshd";
        Ok(crate::model::operation::Reply {
            code: if refused { 255 } else { 0 },
            stderr: if refused { "Bad option".into() } else { String::new() },
            ..Default::default()
        })
    }

    fn fact(&self, _: &str) -> Option<Value> {
        None
    }
}

#[test]
fn what_sshd_refuses_is_taken_back_and_never_loaded() {
    let host = Arc::new(Mutex::new(Refusing::default()));
    let shared: SharedHost = host.clone();
    let error = setting("SshdConfig").program.apply(&shared, Some("Banner"), &json!("x"), None).unwrap_err();
    assert_eq!(error.code(), "RMM0604");
    assert_eq!(error.to_string(), "/usr/sbin/sshd ended with exit code 255: Bad option");
    let file = "/etc/ssh/sshd_config.d/10-rmm-Banner.conf";
    assert_eq!(host.lock().unwrap().0.last().unwrap().join(" "), format!("mv -f -- {file}.rmm-before {file}"));
}

#[test]
fn the_rest_of_the_system_is_set_in_its_own_way() {
    let on = |name: &str, key: Option<&str>, desired: Value, observed: Option<Value>| commands(debian(), name, key, desired, observed);
    assert_eq!(on("Timezone", None, json!("Europe/Berlin"), None), ["timedatectl set-timezone Europe/Berlin"]);
    assert_eq!(on("Hostname", None, json!("web-2"), None), ["hostnamectl set-hostname -- web-2"]);
    assert_eq!(on("Firewall", None, json!("Enabled"), None), ["ufw allow 22/tcp", "ufw --force enable"]);
    assert_eq!(
        commands(fedora(), "Firewall", None, json!("Enabled"), None),
        ["firewall-offline-cmd --add-port=22/tcp", "systemctl enable --now -- firewalld.service"]
    );
    assert_eq!(on("PendingReboot", None, json!(false), Some(json!(true))), ["shutdown -r +1 'Restart asked for by installed updates'"]);
    assert_eq!(
        on("KernelModules", Some("cramfs"), json!("blocked"), Some(json!({"loaded": true}))),
        [
            "rm -f -- /etc/modules-load.d/60-rmm-cramfs.conf",
            "mkdir -p /etc/modprobe.d",
            "write /etc/modprobe.d/60-rmm-cramfs.conf 0644 root:root <<< # Written by rmm; changes here are undone.\ninstall cramfs /bin/false\nblacklist cramfs\n",
            "modprobe -r -- cramfs",
        ]
    );
    assert_eq!(
        on("Directories", Some("/srv/a b"), json!({"mode": "750", "owner": "root"}), None),
        ["mkdir -p -- '/srv/a b'", "own '/srv/a b' root 0750"]
    );
    assert_eq!(on("Directories", Some("/srv/a"), json!({"state": "absent", "recurse": true}), None), ["rm -rf -- /srv/a"]);
    assert_eq!(on("Files", Some("/etc/x"), json!({"mode": "0600"}), Some(json!({"type": "file", "mode": "0644"}))), ["own /etc/x '' 0600"]);
    assert_eq!(on("Files", Some("/etc/x"), json!({"template": "a\n", "owner": "root"}), None), ["write /etc/x - root:- <<< a\n"]);
    assert_eq!(undoing(debian(), "Files", Some("/etc/x"), Some(json!({"type": "absent"}))), ["rm -f -- /etc/x"]);
}

#[test]
fn a_per_cent_sign_in_a_cron_job_stays_one() {
    let job = json!({"schedule": "0 2 * * *", "command": "backup $(date +%F)"});
    assert_eq!(
        commands(debian(), "CronJobs", Some("backup"), job.clone(), None),
        ["write /etc/cron.d/backup 0644 root:root <<< # Written by rmm; changes here are undone.\n0 2 * * * root backup $(date +\\%F)\n"]
    );
    assert_eq!(setting("CronJobs").member("backup", &job), Ok("/etc/cron.d/backup".to_owned()));
}
