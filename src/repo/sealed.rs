//! Reads the encrypted secrets of a commit: `follow.rs` gives them along with the policy set, so that both are of one commit.

use super::codes;
use super::revision::{Repository, RevisionError};
use crate::diagnose::Diagnostic;
use crate::model::{Place, Sealed};

/// Most bytes of one file; what is encrypted has 64 KiB at most.
const MOST_BYTES: u64 = 1 << 20;
/// Most files, and most bytes in all of them.
const MOST_FILES: usize = 10_000;
const MOST_TOTAL: u64 = 64 << 20;

impl Repository {
    /// The encrypted secrets of a commit, and those that are refused.
    pub(super) fn sealed(&self, commit: &str) -> Result<(Sealed, Vec<Diagnostic>), RevisionError> {
        let (mut wanted, mut problems, mut total) = (Vec::new(), Vec::new(), 0);
        for entry in self.list(commit, commit)?.into_iter().filter(|entry| Sealed::is_one(&entry.path)) {
            let place = Place::file(entry.path.as_str());
            total += entry.size;
            match entry.mode.as_str() {
                "100644" | "100755" | "100664" => {}
                _ => {
                    problems.push(codes::unreadable(&place, "it is not a regular file; only files of the repository itself are read"));
                    continue;
                }
            }
            if entry.size > MOST_BYTES {
                problems.push(codes::too_large(&place, &format!("{} MiB large", entry.size / (1 << 20))));
            } else if wanted.len() >= MOST_FILES || total > MOST_TOTAL {
                problems.push(codes::unreadable(&place, "there are more than 10,000 secrets, or more than 64 MiB of them"));
                break;
            } else {
                wanted.push(entry);
            }
        }
        let blobs = self.blobs(wanted.iter(), commit)?;
        let named = wanted.iter().filter_map(|entry| Some((entry.path.strip_prefix("secrets/")?, blobs.get(&entry.object)?)));
        let files = named.map(|(name, bytes)| (name.to_owned(), bytes.clone())).collect();
        Ok((Sealed { commit: commit.chars().take(7).collect(), files }, problems))
    }
}
