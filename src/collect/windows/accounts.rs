//! Local accounts and groups.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::answers::Answers;
use super::take::{flag, items, mapped, rid, text};
use crate::collect::raw::{Parsed, unknown};
use crate::model::facts::Status;

/// The number of the group of administrators, whatever it is called.
const ADMINISTRATORS: &str = "S-1-5-32-544";
/// Most memberships of all groups together.
const MOST_MEMBERSHIPS: usize = 20_000;

pub(super) fn users(answers: &Answers) -> Parsed {
    let part = answers.part("accounts")?;
    let mut groups_of = memberships(items(part, "groups"))?;
    let mut seen = BTreeSet::new();
    let one = |user: &Value| {
        let (name, sid) = (text(user, "Name")?, text(user, "SID")?);
        // No two accounts have the same number.
        if !seen.insert(sid.clone()) {
            return None;
        }
        let mut groups = groups_of.remove(sid.as_str()).unwrap_or_default();
        groups.sort();
        groups.dedup();
        let disabled = flag(user, "Disabled");
        let about = json!({
            "uid": rid(&sid), "gid": null, "group": null, "home": null, "shell": null,
            "comment": text(user, "FullName").or_else(|| text(user, "Description")),
            "locked": disabled, "groups": groups, "password_max_days": null, "enabled": disabled.map(|disabled| !disabled),
            "locked_out": flag(user, "Lockout"), "password_expires": flag(user, "PasswordExpires"),
            "password_required": flag(user, "PasswordRequired"), "password_changeable": flag(user, "PasswordChangeable"), "sid": sid,
        });
        Some((name, about))
    };
    let found = mapped(items(part, "users").iter().filter_map(one));
    if found.is_empty() { unknown("no account was told") } else { Ok(Value::Object(found)) }
}

/// Names of the groups that each number is a member of.
fn memberships(groups: &[Value]) -> Result<BTreeMap<&str, Vec<String>>, Status> {
    let told: usize = groups.iter().map(|group| items(group, "members").len()).sum();
    if told > MOST_MEMBERSHIPS {
        return unknown(format!("the groups have more than {MOST_MEMBERSHIPS} members together"));
    }
    let mut found: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for group in groups {
        let Some(name) = text(group, "Name") else { continue };
        for sid in items(group, "members").iter().filter_map(|member| member["sid"].as_str()) {
            found.entry(sid).or_default().push(name.clone());
        }
    }
    Ok(found)
}

pub(super) fn groups(answers: &Answers) -> Parsed {
    let part = answers.part("accounts")?;
    let computer = text(part, "computer").unwrap_or_default();
    let one = |group: &Value| {
        let (name, sid) = (text(group, "Name")?, text(group, "SID")?);
        let members = members(group, &computer);
        let (names, sids): (Vec<String>, Vec<Option<String>>) = members.into_iter().unzip();
        Some((name, json!({"gid": rid(&sid), "members": names, "sid": sid, "sids": sids, "description": text(group, "Description")})))
    };
    let found = mapped(items(part, "groups").iter().filter_map(one));
    if found.is_empty() { unknown("no group was told") } else { Ok(Value::Object(found)) }
}

pub(super) fn local_admins(answers: &Answers) -> Parsed {
    let part = answers.part("accounts")?;
    let computer = text(part, "computer").unwrap_or_default();
    let Some(group) = items(part, "groups").iter().find(|group| group["SID"] == ADMINISTRATORS) else {
        return unknown("the group of administrators was not told");
    };
    Ok(members(group, &computer).into_iter().map(|(name, _)| Value::from(name)).collect())
}

/// Names and numbers of the members of a group, by name. Of a member of a domain that cannot be asked the number may not be known.
fn members(group: &Value, computer: &str) -> Vec<(String, Option<String>)> {
    let one = |member: &Value| Some((name(&text(member, "path")?, computer), text(member, "sid")));
    let mut list: Vec<(String, Option<String>)> = items(group, "members").iter().filter_map(one).collect();
    list.sort();
    list.dedup();
    list
}

/// `WinNT://WORKGROUP/PC-1/kim` is `kim` on PC-1, `WinNT://EXAMPLE/kim` is `EXAMPLE\kim`, and `WinNT://S-1-5-21-...` is all that is
/// left of an account that is gone.
fn name(path: &str, computer: &str) -> String {
    let mut parts = path.trim_start_matches("WinNT://").rsplit('/');
    let name = parts.next().unwrap_or_default();
    match parts.next() {
        Some(domain) if !domain.eq_ignore_ascii_case(computer) => format!("{domain}\\{name}"),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(said: &Value) -> Answers {
        Answers::read(format!("@n0nce {}\n", json!({"s": "accounts", "d": said})).as_bytes(), "n0nce")
    }

    #[test]
    fn groups_with_too_many_members_make_users_unknown_and_each_number_counts_once() {
        let member = json!({"path": "WinNT://PC-1/kim", "sid": "S-1-5-21-1-2-3-1001"});
        let group = |name: &str, count: usize| json!({"Name": name, "SID": "S-1-5-32-545", "members": vec![member.clone(); count]});
        let user = |name: &str| json!({"Name": name, "SID": "S-1-5-21-1-2-3-1001"});
        let mut groups = vec![group("d", 5_000), group("c", 5_000), group("b", 5_000), group("a", 5_000)];
        let said = json!({"computer": "PC-1", "users": [user("kim"), user("eve")], "groups": groups});
        let found = users(&told(&said)).unwrap();
        assert_eq!(found["kim"]["groups"], json!(["a", "b", "c", "d"]));
        assert!(found.get("eve").is_none(), "{found}");
        groups.push(group("e", 1));
        let said = json!({"computer": "PC-1", "users": [user("kim")], "groups": groups});
        assert_eq!(users(&told(&said)), Err(Status::Unknown("the groups have more than 20000 members together".into())));
    }

    #[test]
    fn a_member_whose_number_cannot_be_read_is_a_member() {
        let known = json!({"path": "WinNT://PC-1/kim", "sid": "S-1-5-21-1-2-3-1001"});
        let members = json!([{"path": "WinNT://EXAMPLE/Domain Admins", "sid": null}, known]);
        let said = json!({"computer": "PC-1", "groups": [{"Name": "Administratoren", "SID": ADMINISTRATORS, "members": members}]});
        let answers = told(&said);
        assert_eq!(local_admins(&answers), Ok(json!([r"EXAMPLE\Domain Admins", "kim"])));
        let group = groups(&answers).unwrap()["Administratoren"].clone();
        assert_eq!(group["members"], json!([r"EXAMPLE\Domain Admins", "kim"]));
        assert_eq!(group["sids"], json!([null, "S-1-5-21-1-2-3-1001"]));
    }

    #[test]
    fn a_member_is_named_as_people_write_it() {
        assert_eq!(name("WinNT://WORKGROUP/PC-1/kim", "pc-1"), "kim");
        assert_eq!(name("WinNT://EXAMPLE/Domain Admins", "PC-1"), r"EXAMPLE\Domain Admins");
        assert_eq!(name("WinNT://NT AUTHORITY/Authenticated Users", "PC-1"), r"NT AUTHORITY\Authenticated Users");
        assert_eq!(name("WinNT://S-1-5-21-1-2-3-1107", "PC-1"), "S-1-5-21-1-2-3-1107");
    }
}
