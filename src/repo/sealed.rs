//! Reads the encrypted secrets of a commit: `follow.rs` gives them along with the policy set, so that both are of one commit.

use std::path::Path;

use super::codes;
use super::revision::{Repository, RevisionError};
use crate::diagnose::Diagnostic;
use crate::model::{Place, Sealed};

/// Most bytes of one file; what is encrypted has 64 KiB at most.
const MOST_BYTES: u64 = 1 << 20;
/// Most files, and most bytes in all of them.
const MOST_FILES: usize = 10_000;
const MOST_TOTAL: u64 = 64 << 20;

/// Those that lie in a folder; what cannot be read, or is no file, is none.
fn in_folder(folder: &Path) -> Sealed {
    let names = std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let read = |name: String| {
        let path = folder.join(&name);
        let meta = std::fs::symlink_metadata(&path).ok()?;
        let bytes = (meta.is_file() && meta.len() <= MOST_BYTES).then(|| std::fs::read(path).ok()).flatten()?;
        Some((name, bytes))
    };
    let files = names.filter(|name| Sealed::is_one(&format!("secrets/{name}"))).take(MOST_FILES).filter_map(read).collect();
    Sealed { commit: "working tree".into(), files }
}

impl Repository {
    /// The encrypted secrets of one side of a review: of a commit, or of the working tree.
    pub fn secrets_of(&self, commit: Option<&str>) -> Result<Sealed, RevisionError> {
        match commit {
            Some(commit) => Ok(self.sealed(commit)?.0),
            None => Ok(in_folder(&self.root().join("secrets"))),
        }
    }

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
