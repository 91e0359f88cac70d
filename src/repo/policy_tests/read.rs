//! The part that touches the disk: the files below `tests/`, and the facts files that they name.

use std::path::{Component, Path};
use std::sync::Arc;

use super::super::codes;
use super::super::load::Reader;
use super::super::set::PolicySet;
use super::{Tests, compile_tests};
use crate::model::{Facts, Place};

/// Folder of the tests.
const FOLDER: &str = "tests";
/// Folder below it that holds facts and no tests.
const SAMPLES: &str = "samples";
/// How deep folders are followed.
const MAX_FOLDERS: usize = 8;

/// Reads the tests of a repository that was read and found valid.
pub fn load_tests(set: &PolicySet) -> Tests {
    let mut reader = Reader::new(&set.root);
    let folder = set.root.join(FOLDER);
    match std::fs::symlink_metadata(&folder) {
        Ok(data) if data.is_dir() => walk(&mut reader, &set.root, FOLDER, 0),
        Ok(data) if data.is_symlink() => reader.problems.push(codes::linked_folder(&Place::file(FOLDER))),
        _ => {}
    }
    let Reader { files, problems, .. } = reader;
    let mut tests = compile_tests(files, &|path| sample(&set.root, path), set);
    tests.problems.splice(0..0, problems);
    tests
}

fn walk(reader: &mut Reader<'_>, root: &Path, path: &str, depth: usize) {
    let entries = match std::fs::read_dir(root.join(path)) {
        Ok(entries) => entries,
        Err(error) => return reader.problems.push(codes::unreadable(&Place::file(path), &error.to_string())),
    };
    let mut entries: Vec<_> = entries.filter_map(Result::ok).collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
        let child = format!("{path}/{name}");
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            if depth < MAX_FOLDERS && name != SAMPLES {
                walk(reader, root, &child, depth + 1);
            }
        } else if matches!(name.rsplit_once('.'), Some((_, "yaml" | "yml" | "json"))) {
            reader.file(&child);
        } else if kind.is_symlink() && entry.path().is_dir() {
            reader.problems.push(codes::linked_folder(&Place::file(child)));
        }
    }
}

/// The text of a facts file: inside the repository, without links on the way, bounded.
fn sample(root: &Path, path: &str) -> Result<String, String> {
    let relative = Path::new(path);
    let inside = relative.components().all(|part| match part {
        // What begins with a dot is the product's own, or Git's.
        Component::Normal(name) => !name.to_string_lossy().starts_with('.'),
        _ => false,
    });
    if path.is_empty() || !inside {
        return Err("only files of the repository itself are read".into());
    }
    let mut folder = root.to_path_buf();
    for part in relative.parent().into_iter().flat_map(Path::components) {
        folder.push(part);
        if std::fs::symlink_metadata(&folder).is_ok_and(|data| data.is_symlink()) {
            return Err("it lies behind a symbolic link; only files of the repository itself are read".into());
        }
    }
    text(root, path)
}

fn text(root: &Path, path: &str) -> Result<String, String> {
    let mut reader = Reader::new(root);
    reader.file(path);
    match (reader.files.pop(), reader.problems.pop()) {
        (Some((_, text)), _) => Ok(text),
        (None, Some(problem)) => Err(problem.message.trim_start_matches("cannot be read: ").to_owned()),
        (None, None) => Err("it cannot be read".into()),
    }
}

/// Facts from a file that somebody names on the command line, wherever it is: a nested document, or what
/// `rmm facts --output json` writes. Bounded like every file.
pub fn read_facts(file: &Path) -> Result<Facts, String> {
    let full = std::path::absolute(file).map_err(|error| error.to_string())?;
    let name = full.file_name().and_then(|name| name.to_str()).ok_or("it has no name")?;
    let folder = full.parent().unwrap_or(&full);
    let shown: Arc<str> = file.display().to_string().into();
    super::ready::facts_of(&shown, &text(folder, name)?)
}
