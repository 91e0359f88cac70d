//! The probe `authorized_keys`.

use serde_json::{Map, Value, json};

use crate::collect::raw::Raw;
use crate::model::facts::Status;

pub(in crate::collect) fn check(user: &str) -> Result<(), &'static str> {
    let legal = !user.is_empty() && user.len() <= 64 && !user.contains([':', '/']) && !user.starts_with('-');
    if legal { Ok(()) } else { Err("it is not the name of a user") }
}

pub(in crate::collect) fn authorized_keys(_: &Raw<'_>, batch: &[&Vec<String>], text: &str, answers: &mut Map<String, Value>) -> Result<(), Status> {
    for args in batch {
        answers.insert(args[0].clone(), json!({"exists": false, "path": null, "file": false, "mode": null, "owner": null, "keys": []}));
    }
    let mut current: Option<String> = None;
    for line in text.lines() {
        if let Some((user, path)) = line.strip_prefix("U|").and_then(|l| l.split_once('|')) {
            current = answers.get_mut(user).map(|answer| {
                *answer = json!({"exists": true, "path": path, "file": false, "mode": null, "owner": null, "keys": []});
                user.to_owned()
            });
            continue;
        }
        let Some(Value::Object(answer)) = current.as_deref().and_then(|user| answers.get_mut(user)) else { continue };
        if line == "denied" {
            answer.insert("error".into(), json!("its content could not be read"));
        } else if let Some(stat) = line.strip_prefix("S|") {
            let fields: Vec<&str> = stat.split('|').collect();
            if let [raw, _, owner] = fields[..]
                && let Ok(bits) = u32::from_str_radix(raw, 16)
            {
                answer.insert("file".into(), json!(bits & 0o170_000 == 0o100_000));
                answer.insert("mode".into(), json!(format!("{:04o}", bits & 0o7777)));
                answer.insert("owner".into(), json!(owner));
            }
        } else if is_key(line)
            && let Some(Value::Array(keys)) = answer.get_mut("keys")
        {
            keys.push(json!(line.trim()));
        }
    }
    Ok(())
}

/// Whether a line holds a key: a type and a body of Base64, perhaps after options.
fn is_key(line: &str) -> bool {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    words.windows(2).any(|pair| {
        let kind = ["ssh-", "ecdsa-", "sk-"].iter().any(|p| pair[0].starts_with(p));
        kind && pair[1].starts_with("AAAA") && pair[1].bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_with_a_key_are_keys() {
        assert!(is_key("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 alice@example.com"));
        assert!(is_key("command=\"ls -l\",no-pty ssh-rsa AAAAB3Nza== x"));
        for other in ["root:$6$salt$hash:19000:0:99999:7:::", "# ssh-rsa", "ssh-rsa", "ssh-rsa not-a-key"] {
            assert!(!is_key(other), "{other}");
        }
    }
}
