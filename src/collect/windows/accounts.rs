//! Local accounts and groups.

use serde_json::{Value, json};

use super::answers::Answers;
use super::take::{flag, items, mapped, rid, text};
use crate::collect::raw::{Parsed, unknown};

/// The number of the group of administrators, whatever it is called.
const ADMINISTRATORS: &str = "S-1-5-32-544";

pub(super) fn users(answers: &Answers) -> Parsed {
    let part = answers.part("accounts")?;
    let groups = items(part, "groups");
    let of = |sid: &str| {
        let holds = |group: &&Value| items(group, "members").iter().any(|member| member["sid"] == sid);
        let mut names: Vec<String> = groups.iter().filter(holds).filter_map(|group| text(group, "Name")).collect();
        names.sort();
        names
    };
    let one = |user: &Value| {
        let (name, sid) = (text(user, "Name")?, text(user, "SID")?);
        let disabled = flag(user, "Disabled");
        let about = json!({
            "uid": rid(&sid), "gid": null, "group": null, "home": null, "shell": null,
            "comment": text(user, "FullName").or_else(|| text(user, "Description")),
            "locked": disabled, "groups": of(&sid), "password_max_days": null, "enabled": disabled.map(|disabled| !disabled),
            "locked_out": flag(user, "Lockout"), "password_expires": flag(user, "PasswordExpires"),
            "password_required": flag(user, "PasswordRequired"), "password_changeable": flag(user, "PasswordChangeable"), "sid": sid,
        });
        Some((name, about))
    };
    let found = mapped(items(part, "users").iter().filter_map(one));
    if found.is_empty() { unknown("no account was told") } else { Ok(Value::Object(found)) }
}

pub(super) fn groups(answers: &Answers) -> Parsed {
    let part = answers.part("accounts")?;
    let computer = text(part, "computer").unwrap_or_default();
    let one = |group: &Value| {
        let (name, sid) = (text(group, "Name")?, text(group, "SID")?);
        let members = members(group, &computer);
        let (names, sids): (Vec<String>, Vec<String>) = members.into_iter().unzip();
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

/// Names and numbers of the members of a group, by name.
fn members(group: &Value, computer: &str) -> Vec<(String, String)> {
    let one = |member: &Value| Some((name(&text(member, "path")?, computer), text(member, "sid")?));
    let mut list: Vec<(String, String)> = items(group, "members").iter().filter_map(one).collect();
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
    use super::name;

    #[test]
    fn a_member_is_named_as_people_write_it() {
        assert_eq!(name("WinNT://WORKGROUP/PC-1/kim", "pc-1"), "kim");
        assert_eq!(name("WinNT://EXAMPLE/Domain Admins", "PC-1"), r"EXAMPLE\Domain Admins");
        assert_eq!(name("WinNT://NT AUTHORITY/Authenticated Users", "PC-1"), r"NT AUTHORITY\Authenticated Users");
        assert_eq!(name("WinNT://S-1-5-21-1-2-3-1107", "PC-1"), "S-1-5-21-1-2-3-1107");
    }
}
