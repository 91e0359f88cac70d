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
