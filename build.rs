//! Rebuilds when a file that is embedded appears or disappears.

fn main() {
    for dir in ["src/catalog", "src/diagnose/codes", "policies"] {
        println!("cargo:rerun-if-changed={dir}");
    }
}
