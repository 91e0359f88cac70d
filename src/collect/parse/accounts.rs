//! Users, groups, administrators and the rules for passwords, from the device's own files.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::software::assignments;
use crate::collect::raw::{Parsed, Raw, unknown};

/// One line of /etc/passwd.
pub(in crate::collect) struct Account<'a> {
    pub(in crate::collect) name: &'a str,
    uid: u32,
    gid: u32,
    comment: &'a str,
    pub(in crate::collect) home: &'a str,
    shell: &'a str,
}

pub(in crate::collect) fn accounts<'a>(raw: &Raw<'a>) -> Vec<Account<'a>> {
    let line = |line: &&'a str| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, comment, home, shell] = fields[..] else { return None };
        if name.is_empty() || name.starts_with(['+', '-', '#']) {
            return None;
        }
        Some(Account { name, uid: uid.parse().ok()?, gid: gid.parse().ok()?, comment, home, shell })
    };
    raw.lines("/etc/passwd").iter().filter_map(line).collect()
}

fn group_lines<'a>(raw: &Raw<'a>) -> Vec<(&'a str, u32, Vec<&'a str>)> {
    let line = |line: &&'a str| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|n| !n.is_empty() && !n.starts_with(['+', '-', '#']))?;
        let gid = fields.nth(1)?.parse().ok()?;
        let members = fields.next().unwrap_or_default().split(',').filter(|m| !m.is_empty()).collect();
        Some((name, gid, members))
    };
    raw.lines("/etc/group").iter().filter_map(line).collect()
}

pub(in crate::collect) fn users(raw: &Raw<'_>) -> Parsed {
    let accounts = accounts(raw);
    if accounts.is_empty() {
        return unknown("/etc/passwd cannot be read");
    }
    let groups = group_lines(raw);
    let mut member: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut by_gid = BTreeMap::new();
    for (name, gid, members) in &groups {
        by_gid.entry(*gid).or_insert(*name);
        for user in members {
            member.entry(user).or_default().insert(name);
        }
    }
    let shadow: BTreeMap<&str, Vec<&str>> = raw
        .block("shadow")
        .unwrap_or_default()
        .lines()
        .filter_map(|l| l.split_once(':'))
        .map(|(name, rest)| (name, rest.split(':').collect()))
        .collect();
    let mut users = Map::new();
    let sorted: BTreeMap<&str, &Account<'_>> = accounts.iter().rev().map(|a| (a.name, a)).collect();
    for (name, account) in sorted {
        let fields = shadow.get(name);
        let locked = fields.and_then(|f| f.first()).map(|hash| hash.starts_with(['!', '*']));
        let max_days = fields.and_then(|f| f.get(3)?.parse::<i64>().ok());
        let mut groups: BTreeSet<&str> = member.remove(name).unwrap_or_default();
        let own = by_gid.get(&account.gid);
        groups.extend(own);
        users.insert(
            name.to_owned(),
            json!({
                "uid": account.uid, "gid": account.gid, "home": account.home, "shell": account.shell, "comment": account.comment,
                "locked": locked, "group": own, "groups": groups, "password_max_days": max_days,
            }),
        );
    }
    Ok(Value::Object(users))
}

pub(in crate::collect) fn groups(raw: &Raw<'_>) -> Parsed {
    let groups = group_lines(raw);
    if groups.is_empty() {
        return unknown("/etc/group cannot be read");
    }
    let sorted: BTreeMap<&str, Value> =
        groups.into_iter().rev().map(|(name, gid, members)| (name, json!({"gid": gid, "members": members}))).collect();
    Ok(Value::Object(sorted.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
}

/// Root, everybody with user id 0, and the members of the groups that give root by custom.
pub(in crate::collect) fn local_admins(raw: &Raw<'_>) -> Parsed {
    let accounts = accounts(raw);
    if accounts.is_empty() {
        return unknown("/etc/passwd cannot be read");
    }
    let mut admins: BTreeSet<&str> = accounts.iter().filter(|a| a.uid == 0).map(|a| a.name).collect();
    for (name, gid, members) in group_lines(raw) {
        if matches!(name, "sudo" | "wheel" | "admin") {
            admins.extend(members);
            admins.extend(accounts.iter().filter(|a| a.gid == gid).map(|a| a.name));
        }
    }
    Ok(json!(admins))
}

/// `KEY VALUE` of login.defs.
fn login_defs(raw: &Raw<'_>, key: &str) -> Option<i64> {
    let line = |line: &&str| {
        let mut words = line.split_ascii_whitespace();
        (words.next()? == key).then(|| words.next()?.parse().ok())?
    };
    let value = |path: &str| raw.lines(path).iter().filter_map(line).next_back();
    value("/etc/login.defs").or_else(|| value("/usr/etc/login.defs"))
}

const PAM: [&str; 3] = ["/etc/pam.d/common-password", "/etc/pam.d/system-auth", "/etc/pam.d/password-auth"];

/// An option of a PAM module in the password stack: `minlen=12`.
fn pam(raw: &Raw<'_>, modules: &[&str], option: &str) -> Option<i64> {
    PAM.iter().flat_map(|path| raw.lines(path)).find_map(|line| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        if words.next()?.trim_start_matches('-') != "password" {
            return None;
        }
        let words: Vec<&str> = words.collect();
        words.iter().any(|w| modules.iter().any(|m| w.ends_with(m))).then_some(())?;
        words.iter().find_map(|w| w.strip_prefix(option)?.strip_prefix('=')?.parse().ok())
    })
}

pub(in crate::collect) fn password_policy(raw: &Raw<'_>) -> Parsed {
    let mut quality = BTreeMap::new();
    for (_, lines) in raw.glob("/etc/security/pwquality.conf").chain(raw.glob("/etc/security/pwquality.conf.d/*.conf")) {
        quality.extend(assignments(lines));
    }
    let history = assignments(raw.lines("/etc/security/pwhistory.conf"));
    let number = |text: Option<&String>| text.and_then(|t| t.trim().parse::<i64>().ok());
    let min_length = pam(raw, &["pam_pwquality.so", "pam_cracklib.so", "pam_passwdqc.so"], "minlen")
        .or_else(|| number(quality.get("minlen")))
        .or_else(|| pam(raw, &["pam_unix.so"], "minlen"))
        .or_else(|| login_defs(raw, "PASS_MIN_LEN"));
    let remember = pam(raw, &["pam_pwhistory.so", "pam_unix.so"], "remember").or_else(|| number(history.get("remember")));
    Ok(json!({
        "min_length": min_length,
        "max_age_days": login_defs(raw, "PASS_MAX_DAYS"),
        "min_age_days": login_defs(raw, "PASS_MIN_DAYS"),
        "warn_age_days": login_defs(raw, "PASS_WARN_AGE"),
        "history": remember,
    }))
}
