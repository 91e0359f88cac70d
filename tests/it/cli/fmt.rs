use super::{Fleet, ended, rmm};

const UNTIDY: &str = "A:\n    settings: {Timezone: UTC}   # ours\n    # whom\n    targets: \"*\"\n";
const TIDY: &str = "A:\n  # whom\n  targets: \"*\"\n  settings: {Timezone: UTC} # ours\n";

fn untidy() -> Fleet {
    let fleet = Fleet::small();
    fleet.write("policies/a.yaml", UNTIDY);
    fleet.write("devices.yaml", "devices:\n  here: {connection: {transport: local}}\n");
    fleet
}

#[test]
fn files_are_put_into_canonical_form_and_the_second_time_changes_nothing() {
    let fleet = untidy();
    fleet.write("notes/other.yaml", "a:    1\n");
    fleet.rmm(&["fmt"]).code(0).says("policies/a.yaml").complains("1 file formatted, 1 unchanged");
    assert_eq!(fleet.read("policies/a.yaml"), TIDY);
    assert_eq!(fleet.read("notes/other.yaml"), "a:    1\n");
    let again = fleet.rmm(&["fmt", "--check"]).code(0);
    assert_eq!(again.out, "");
    fleet.rmm(&["validate"]).code(0);
}

#[test]
fn checking_names_the_files_shows_the_difference_and_writes_nothing() {
    let fleet = untidy();
    let check = fleet.rmm(&["fmt", "--check"]).code(1).says("~ policies/a.yaml").says("-    targets: \"*\"").says("+  targets: \"*\"");
    assert!(!check.out.contains("devices.yaml"), "{}", check.out);
    fleet.rmm(&["fmt", "--diff"]).code(0).says("+  targets: \"*\"");
    assert_eq!(fleet.read("policies/a.yaml"), UNTIDY);
    let json = fleet.rmm(&["fmt", "--check", "--output", "json"]).code(1).json();
    assert_eq!(json["schema"], "rmm.fmt/1");
    assert_eq!(json["items"][1], serde_json::json!({"file": "policies/a.yaml", "state": "would change"}));
}

#[test]
fn a_file_that_is_not_valid_is_reported_at_its_line_and_the_others_are_done() {
    let fleet = untidy();
    fleet.write("policies/b.yaml", "B:\n  targets: [x\n");
    fleet.rmm(&["fmt"]).code(4).says("policies/a.yaml").complains("RMM0101").complains("policies/b.yaml");
    assert_eq!(fleet.read("policies/a.yaml"), TIDY);
    assert_eq!(fleet.read("policies/b.yaml"), "B:\n  targets: [x\n");
}

#[test]
fn a_link_is_refused_and_a_mode_is_kept() {
    use std::os::unix::fs::PermissionsExt as _;
    let fleet = untidy();
    std::os::unix::fs::symlink(fleet.path("policies/a.yaml"), fleet.path("policies/link.yaml")).unwrap();
    fleet.rmm(&["fmt", "policies/link.yaml"]).code(3).complains("symbolic link");
    std::fs::set_permissions(fleet.path("policies/a.yaml"), std::fs::Permissions::from_mode(0o640)).unwrap();
    fleet.rmm(&["fmt", "policies"]).code(0);
    assert_eq!(fleet.read("policies/a.yaml"), TIDY);
    assert_eq!(std::fs::metadata(fleet.path("policies/a.yaml")).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(fleet.path("policies/link.yaml").is_symlink());
}

#[test]
fn standard_input_is_formatted_as_the_file_it_stands_for() {
    let fleet = untidy();
    let through = |args: &[&str]| {
        let mut command = rmm(fleet.dir.path(), args);
        command.stdin(std::fs::File::open(fleet.path("policies/a.yaml")).unwrap());
        ended(command)
    };
    assert_eq!(through(&["fmt", "-", "--stdin-path", "policies/a.yaml"]).code(0).out, TIDY);
    assert!(through(&["fmt", "-"]).code(0).out.starts_with("A:\n  settings: {Timezone: UTC} # ours\n"));
    through(&["fmt", "-", "--check"]).code(1);
}

#[test]
fn what_the_product_writes_and_ships_is_in_canonical_form() {
    let fleet = Fleet::nothing();
    fleet
        .write("devices.csv", "name,address,groups,tags,custom:note\nweb-1,192.0.2.1,Web;Berlin,a;b,\"x: y # z\"\nweb-2,192.0.2.2,Web,,\n");
    fleet.rmm(&["init", ".", "--site", "Berlin", "--import-devices", "devices.csv"]);
    fleet.rmm(&["fmt", "--check"]).code(0);
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    fleet.rmm(&["fmt", "--check", examples]).code(0);
    let policies = concat!(env!("CARGO_MANIFEST_DIR"), "/policies");
    fleet.rmm(&["fmt", "--check", policies]).code(0);
}

#[test]
fn a_line_of_a_file_does_not_become_a_command_of_a_build_log() {
    let fleet = Fleet::small();
    fleet.write("thresholds/t.yaml", "CPU:\n  description: |\n    ::set-output name=a::b\n    ##[error]x\n  warning:   80\n");
    let ended = fleet.rmm(&["fmt", "--check"]).code(1).says("warning: 80");
    assert!(!ended.out.lines().any(|line| line.trim_start().starts_with("::") || line.contains("##[")), "{}", ended.out);
}
