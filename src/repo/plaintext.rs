//! Secrets that stand in a file as they are: private keys, tokens whose form tells them, and texts under keys such as
//! `password`. What only might be one is a warning; the text itself is never repeated.

use std::sync::Arc;

use super::tree::{Node, Tree};
use crate::diagnose::Diagnostic;

/// Ends of keys under which a secret is expected; compared without case, hyphens and underscores.
const KEYS: [&str; 11] =
    ["password", "passwd", "passphrase", "secret", "clientsecret", "token", "apikey", "secretkey", "accesskey", "privatekey", "routingkey"];
/// Forms that only tokens have: how they begin, and how long they are at least.
const TOKENS: [(&str, usize); 12] = [
    ("AKIA", 20),
    ("ghp_", 36),
    ("gho_", 36),
    ("ghs_", 36),
    ("github_pat_", 40),
    ("glpat-", 26),
    ("xoxb-", 30),
    ("xoxp-", 30),
    ("sk_live_", 24),
    ("AGE-SECRET-KEY-1", 50),
    ("https://hooks.slack.com/services/T", 60),
    ("AIzaSy", 39),
];

/// Reports secrets anywhere in a document.
pub(super) fn check(node: &Node, file: &Arc<str>, problems: &mut Vec<Diagnostic>) {
    look("", node, file, problems);
}

fn look(key: &str, node: &Node, file: &Arc<str>, problems: &mut Vec<Diagnostic>) {
    match &node.value {
        // {secret: NAME} is the way out, not a secret.
        Tree::Map(entries) if entries.len() == 1 && entries[0].key == "secret" => {}
        Tree::Map(entries) => entries.iter().for_each(|entry| look(&entry.key, &entry.node, file, problems)),
        Tree::List(items) => items.iter().for_each(|item| look(key, item, file, problems)),
        Tree::Text(text) => {
            let found = if private_key(text) {
                Some(Diagnostic::error("RMM0152", "a private key stands in this file in plain text"))
            } else if token(text) {
                Some(Diagnostic::error("RMM0152", "this looks like a token in plain text"))
            } else if expects_secret(key) && could_be_one(text) {
                Some(Diagnostic::warning("RMM0152", format!("'{key}' is in plain text, for everybody who can read the repository")))
            } else {
                None
            };
            if let Some(problem) = found {
                let advice = "write {secret: NAME} where a secret is taken, and change this one: it stays in the history of the repository";
                problems.push(problem.at(&node.spot.of(file)).advice(advice));
            }
        }
        _ => {}
    }
}

fn private_key(text: &str) -> bool {
    text.split("-----BEGIN ").skip(1).any(|rest| {
        rest.split_once("-----").is_some_and(|(name, body)| name.len() < 40 && name.ends_with("PRIVATE KEY") && body.trim().len() > 32)
    })
}

fn token(text: &str) -> bool {
    text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '=' | ',')).any(|word| {
        let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "-_/:.".contains(c));
        plain && TOKENS.iter().any(|(start, length)| word.starts_with(start) && word.len() >= *length)
    })
}

/// `password`, `smtp_password`, `apiKey`; not `PermitEmptyPasswords`, `passwordMinLength`, `tokenUrl`.
fn expects_secret(key: &str) -> bool {
    let plain: String = key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    KEYS.iter().any(|end| plain.ends_with(end))
}

/// Neither empty nor a word of a vocabulary, a template, a path, an address, a hash, or the name of a secret.
fn could_be_one(text: &str) -> bool {
    let word = text.to_ascii_lowercase();
    let vocabulary = [
        "absent", "present", "required", "optional", "enabled", "disabled", "none", "never", "always", "true", "false", "yes", "no", "on",
        "off", "locked", "prompt", "ask", "changeme", "default",
    ];
    text.len() >= 4
        && !text.contains(char::is_whitespace)
        && !text.contains("{{")
        && !["/", "~", "./", "$", "!", "*", "env:", "file:", "http://", "https://"].iter().any(|start| word.starts_with(start))
        && !vocabulary.contains(&word.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(text: &str) -> Vec<String> {
        let file: Arc<str> = "f.yaml".into();
        let (root, _) = super::super::yaml::parse(&file, text);
        let mut problems = Vec::new();
        check(&root.unwrap(), &file, &mut problems);
        problems.iter().map(|p| format!("{} {}", p.level, p.place.as_ref().unwrap().line)).collect()
    }

    #[test]
    fn secrets_are_found_where_they_stand() {
        let key = "k: |\n  -----BEGIN OPENSSH PRIVATE KEY-----\n  b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ\n  -----END OPENSSH PRIVATE KEY-----\n";
        assert_eq!(levels(key), ["error 2"]);
        assert_eq!(levels(&format!("a: x\nb: ghp_{}\n", "a1B2".repeat(9))), ["error 2"]);
        assert_eq!(levels("smtp_password: hunter22\napiKey: abcd1234\n"), ["warning 1", "warning 2"]);
    }

    #[test]
    fn what_is_none_is_left_alone() {
        for text in [
            "password: {secret: smtp}",
            "password: '{{ vars.password }}'",
            "PasswordMinLength: 12",
            "PermitEmptyPasswords: 'no'",
            "password: '$6$abc$def'",
            "password: '!'",
            "token: /etc/rmm/token",
            "passwd: present",
            "keys: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI kim@example.com']",
            "content: '-----BEGIN PRIVATE KEY----- is how a key begins'",
            "cert: '-----BEGIN CERTIFICATE-----MIIB-----END CERTIFICATE-----'",
            "secret: smtp password of the office",
        ] {
            assert_eq!(levels(text), Vec::<String>::new(), "{text}");
        }
    }
}
