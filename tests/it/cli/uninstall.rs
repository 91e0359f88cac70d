use super::Fleet;

#[test]
fn the_database_goes_after_a_confirmation_and_the_repository_stays() {
    let fleet = Fleet::small();
    fleet.rmm(&["collect"]).code(0);
    fleet.rmm(&["uninstall"]).code(6).complains("RMM0304").complains("--yes");
    assert!(fleet.path(".rmm/rmm.db").exists());
    fleet.rmm(&["apply", "--auto-approve"]).code(0);
    fleet.rmm(&["uninstall", "--yes", "--keep-audit", "record.jsonl"]).code(0).says("untouched");
    assert!(!fleet.path(".rmm").exists());
    assert!(fleet.read("record.jsonl").contains("\"change.done\""));
    fleet.rmm(&["validate"]).code(0);
    fleet.rmm(&["uninstall", "--yes"]).code(0).says("Nothing to remove");
}

#[test]
fn a_repository_that_is_not_valid_can_be_left_too() {
    let fleet = Fleet::small();
    fleet.rmm(&["collect"]).code(0);
    fleet.write("policies/b.yaml", "x: [");
    fleet.rmm(&["uninstall", "--yes"]).code(0);
    assert!(!fleet.path(".rmm").exists());
}
