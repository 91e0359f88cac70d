//! What ships with rmm and a new repository gets: policies, monitors and workflows for most machines, and a test of the policies.

use include_dir::{Dir, include_dir};

static POLICIES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/policies");
static MONITORS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/monitors");
static WORKFLOWS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/workflows");

/// The tests that show how the shipped policies are tested: path and text.
pub(super) const EXAMPLE_TESTS: [(&str, &str); 2] = [
    ("tests/linux-baseline.yaml", include_str!("../../policies/tests/linux-baseline.yaml")),
    ("tests/windows-baseline.yaml", include_str!("../../policies/tests/windows-baseline.yaml")),
];

/// Files by their path in a repository.
type Files = Vec<(String, &'static str)>;

/// The folders, and what ships in each.
pub(super) fn folders() -> impl Iterator<Item = (&'static str, Files)> {
    [("policies", &POLICIES), ("monitors", &MONITORS), ("workflows", &WORKFLOWS)].into_iter().map(|(folder, all)| {
        let files = all.files().filter(|file| file.path().extension().is_some_and(|x| x == "yaml"));
        (folder, files.map(|file| (format!("{folder}/{}", file.path().display()), file.contents_utf8().unwrap_or_default())).collect())
    })
}

/// What a file that init writes is for.
pub(super) fn meaning(path: &str) -> &'static str {
    match path {
        "rmm.toml" => "settings of rmm itself",
        ".gitignore" => "keeps the database out of Git",
        "tests/linux-baseline.yaml" | "tests/windows-baseline.yaml" => "what the policies say of a device, as a test: rmm test",
        "policies/linux-baseline.yaml" => "what a Linux machine should look like; it only reports",
        "policies/windows-baseline.yaml" => "what a device with Windows 10 or 11 should look like; it only reports",
        "policies/windows-server-baseline.yaml" => "what a Windows server should look like; it only reports",
        "workflows/maintenance.yaml" => "maintenance in several steps; each begins when a person says so",
        "monitors/linux.yaml" => "what is looked at on a Linux machine; it only alerts",
        _ => "",
    }
}
