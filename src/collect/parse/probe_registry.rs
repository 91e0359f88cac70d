//! The probe `registry`: what it may be asked for. Its answers are read in `windows/`.

use serde_json::{Map, Value};

use crate::collect::raw::Raw;
use crate::model::facts::Status;

/// The hives that a key may begin with. That of the user who happens to sign in is none of them.
const HIVES: [&str; 4] = ["HKLM\\", "HKU\\", "HKCR\\", "HKCC\\"];

/// The longest name of a part of a key that Windows knows.
const LONGEST: usize = 255;

/// What is wrong with a key.
pub(in crate::collect) fn check(key: &str) -> Result<(), &'static str> {
    let Some(rest) = HIVES.iter().find_map(|hive| key.strip_prefix(hive)) else {
        return Err("it does not begin with HKLM\\, HKU\\, HKCR\\ or HKCC\\");
    };
    if rest.split('\\').any(str::is_empty) {
        return Err("a part of it is empty");
    }
    if rest.split('\\').any(|part| part == "*" || part.chars().count() > LONGEST) {
        return Err("a part of it is * or longer than 255 characters");
    }
    Ok(())
}

/// What is wrong with a key below the registry of a user.
pub(in crate::collect) fn check_user(key: &str) -> Result<(), &'static str> {
    if key.split('\\').any(|part| part.is_empty() || part == "*" || part.chars().count() > LONGEST) {
        return Err("it is not a path of keys, or a part of it is longer than 255 characters");
    }
    Ok(())
}

/// What is wrong with the name of something of Windows that no path is: a preference, a program.
pub(in crate::collect) fn check_name(name: &str) -> Result<(), &'static str> {
    let odd = |c: char| c.is_control() || r#"\/:*?"<>|"#.contains(c);
    if name.is_empty() || name.len() > LONGEST || name.chars().any(odd) { Err("it is not a name") } else { Ok(()) }
}

/// What is wrong with a namespace of CIM.
pub(in crate::collect) fn check_namespace(name: &str) -> Result<(), &'static str> {
    let part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if name.len() <= LONGEST && name.split('\\').all(part) { Ok(()) } else { Err("it is not a namespace such as root\\cimv2") }
}

/// Answer of a device that does not run Windows.
pub(in crate::collect) fn elsewhere(_: &Raw<'_>, _: &[&Vec<String>], _: &str, _: &mut Map<String, Value>) -> Result<(), Status> {
    Err(Status::Unsupported("there is a registry on Windows only".into()))
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn a_key_is_one_of_the_machine_and_whole() {
        for key in [r"HKLM\SOFTWARE\Policies", r"HKU\.DEFAULT\Control Panel", r"HKCR\.txt", r"HKLM\SOFTWARE\a/b"] {
            assert_eq!(check(key), Ok(()), "{key}");
        }
        for key in [r"HKCU\Software", r"HKLM", r"HKLM\", r"HKLM\a\\b", r"HKLM\a\", r"HKU\*\Software", r"HKLM:\SOFTWARE", ""] {
            assert!(check(key).is_err(), "{key}");
        }
    }
}
