//! Which files of this computer an action may touch: those of the policy repository; others where a person named them.

use std::path::{Component, Path, PathBuf};

use crate::apply::Allowed;

/// Folders of the repository that hold what no action may carry away or overwrite.
const KEPT: [&str; 3] = [".git", ".rmm", "secrets"];

/// The path that is meant. Relative ones begin at the repository. `writing`: its folder may have to be made.
pub(super) fn local_path(root: &Path, text: &str, allowed: Allowed, writing: bool) -> Result<PathBuf, String> {
    let path = Path::new(text);
    if path.is_absolute() && allowed == Allowed::Confirmed {
        return Ok(path.to_owned());
    }
    let mut parts = path.components().peekable();
    let inside = !path.is_absolute() && parts.clone().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !inside {
        return Err(format!("{text} is not below the policy repository; any other path only a person may name, on the command line"));
    }
    while parts.next_if(|part| *part == Component::CurDir).is_some() {}
    let first = parts.next().and_then(|part| part.as_os_str().to_str()).unwrap_or_default();
    if KEPT.iter().any(|kept| kept.eq_ignore_ascii_case(first)) {
        return Err(format!("{first}/ of the policy repository holds what is not for devices"));
    }
    let whole = root.join(path);
    let top = root.canonicalize().map_err(|error| format!("{}: {error}", root.display()))?;
    // A link on the way could lead out of the repository. Of what does not exist yet, the nearest folder that does.
    let mut existing = if writing { whole.parent().unwrap_or(root) } else { &whole };
    loop {
        match existing.canonicalize() {
            Ok(real) if real.starts_with(&top) && !KEPT.iter().any(|kept| real.starts_with(top.join(kept))) => return Ok(whole),
            Ok(_) => return Err(format!("{text} leads out of the policy repository")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && writing => match existing.parent() {
                Some(parent) => existing = parent,
                None => return Err(format!("{text}: {error}")),
            },
            Err(error) => return Err(format!("{text}: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workflow_stays_below_the_repository_and_a_person_need_not() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("fleet");
        std::fs::create_dir_all(root.join("files")).unwrap();
        std::fs::create_dir_all(root.join(".rmm")).unwrap();
        std::fs::write(root.join("files/a"), "a").unwrap();
        std::os::unix::fs::symlink("/etc", root.join("out")).unwrap();
        std::os::unix::fs::symlink(".rmm", root.join("kept")).unwrap();
        let of = |text: &str, allowed, writing| local_path(&root, text, allowed, writing);
        assert_eq!(of("files/a", Allowed::Workflow, false), Ok(root.join("files/a")));
        assert_eq!(of("./files/new/b", Allowed::Workflow, true), Ok(root.join("./files/new/b")));
        for text in
            ["/etc/passwd", "../x", "files/../../x", "out/passwd", ".git/config", ".rmm/rmm.db", "./secrets/x", "kept/rmm.db", "missing"]
        {
            assert!(of(text, Allowed::Workflow, false).is_err(), "{text}");
            if !text.starts_with('/') {
                assert!(of(text, Allowed::Confirmed, false).is_err(), "{text}");
            }
        }
        assert!(of("out/x/y", Allowed::Workflow, true).is_err());
        assert_eq!(of("/etc/passwd", Allowed::Confirmed, false), Ok(PathBuf::from("/etc/passwd")));
    }
}
