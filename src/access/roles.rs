//! Who may do what: the role of an account, as `security.roles` says. Asked by the faces before anything is done, also before the daemon
//! starts; what the daemon then does by itself stands in reviewed files and is asked of nobody.

use std::collections::BTreeMap;

use crate::diagnose::{Category, Diagnose};
use crate::model::action::Role;

/// Somebody may not do what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{user} is {} {has}; to {what} takes {} {needs}", article(*has), article(*needs))]
pub struct Denied {
    /// The account.
    pub user: String,
    /// Its role.
    pub has: Role,
    /// The least role that may.
    pub needs: Role,
    /// What was asked for, in its infinitive.
    pub what: String,
}

fn article(role: Role) -> &'static str {
    if role == Role::Viewer { "a" } else { "an" }
}

impl Diagnose for Denied {
    fn code(&self) -> &'static str {
        "RMM0730"
    }

    fn category(&self) -> Category {
        Category::Configuration
    }

    fn advice(&self) -> Option<String> {
        Some(format!("nothing was done; ask one who is {}, or have security.roles in rmm.toml changed", self.needs))
    }
}

/// The role of an account. While nobody is named everybody who can open the database may do everything; once somebody is, whoever is
/// not named may look.
pub fn role_of(roles: &BTreeMap<String, Role>, user: &str) -> Role {
    if roles.is_empty() { Role::Admin } else { roles.get(user).copied().unwrap_or(Role::Viewer) }
}

/// Whether an account may do something that takes a role.
pub fn require(roles: &BTreeMap<String, Role>, user: &str, needs: Role, what: &str) -> Result<(), Denied> {
    let has = role_of(roles, user);
    if has >= needs { Ok(()) } else { Err(Denied { user: user.to_owned(), has, needs, what: what.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_refused_while_nobody_is_named_and_then_who_is_not() {
        let mut roles = BTreeMap::new();
        assert_eq!(role_of(&roles, "kim"), Role::Admin);
        roles.insert("kim".to_owned(), Role::Operator);
        assert_eq!((role_of(&roles, "kim"), role_of(&roles, "root")), (Role::Operator, Role::Viewer));
        assert_eq!(require(&roles, "kim", Role::Operator, "approve"), Ok(()));
        let denied = require(&roles, "kim", Role::Admin, "approve the step 'Sign-off'").unwrap_err();
        assert_eq!(denied.to_string(), "kim is an Operator; to approve the step 'Sign-off' takes an Admin");
        assert!(require(&roles, "lee", Role::Viewer, "look").is_ok());
        assert_eq!(require(&roles, "lee", Role::Operator, "run Reboot").unwrap_err().has, Role::Viewer);
    }
}
