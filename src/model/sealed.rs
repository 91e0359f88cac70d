//! The encrypted secrets of one commit, as they lie in its folder `secrets`. Nothing is decrypted here: `access::vault` does that.

use std::collections::BTreeMap;

/// Files of `secrets/`, read from a commit.
#[derive(Debug, Clone, Default)]
pub struct Sealed {
    /// Short commit, for messages.
    pub commit: String,
    /// What each file holds, by its name.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl PartialEq for Sealed {
    /// The same secrets, whichever commit they are of.
    fn eq(&self, other: &Self) -> bool {
        self.files == other.files
    }
}

impl Eq for Sealed {}

impl Sealed {
    /// Whether a path from the root of the repository is one of these files: an encrypted secret, for whom they are encrypted, or
    /// what is known of them. The key that a passphrase opens is none of them: keys are the machine's.
    pub fn is_one(path: &str) -> bool {
        let Some(name) = path.strip_prefix("secrets/").filter(|name| !name.contains('/') && !name.starts_with('.')) else { return false };
        matches!(name, "recipients.txt" | "index.toml") || name.strip_suffix(".age").is_some_and(|stem| stem != "identity")
    }
}

#[cfg(test)]
mod tests {
    use super::Sealed;

    #[test]
    fn keys_and_what_lies_deeper_or_elsewhere_are_no_secrets_of_a_commit() {
        for path in ["secrets/db.age", "secrets/recipients.txt", "secrets/index.toml"] {
            assert!(Sealed::is_one(path), "{path}");
        }
        for path in
            ["secrets/identity.age", "secrets/a/db.age", "secrets/.db.age", "secrets/notes.txt", "db.age", "policies/secrets/db.age"]
        {
            assert!(!Sealed::is_one(path), "{path}");
        }
    }
}
