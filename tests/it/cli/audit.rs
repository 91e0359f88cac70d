use super::Fleet;

#[test]
fn who_did_what_is_listed_exported_and_proved() {
    let fleet = Fleet::small();
    fleet.rmm(&["audit", "list"]).code(0).says("(none)");
    fleet.rmm(&["apply", "--auto-approve"]).code(0);
    let listed = fleet.rmm(&["audit", "list"]).code(0).says("run.started").says("change.done");
    assert!(!listed.out.contains("tester"), "USER can be set by anybody: {}", listed.out);
    assert_eq!(fleet.rmm(&["audit", "list", "--limit", "1", "--output", "csv"]).code(0).out.lines().count(), 2);
    fleet.rmm(&["audit", "list", "--limit", "0"]).code(3);
    fleet.rmm(&["audit", "list", "--since", "soon"]).code(3);
    fleet.rmm(&["audit", "list", "--user", "nobody"]).code(0).says("(none)");
    let exported = fleet.rmm(&["audit", "export"]).code(0).out;
    let row: serde_json::Value = serde_json::from_str(exported.lines().last().unwrap()).unwrap();
    assert_eq!(row["action"], "run.done");
    let proof = fleet.rmm(&["audit", "verify"]).code(0).says("The record is whole");
    let head = proof.out.lines().find_map(|l| l.strip_prefix("Head: ")).unwrap().to_owned();
    fleet.rmm(&["audit", "verify", "--head", &head]).code(0);
    let later = format!("9{head}");
    fleet.rmm(&["audit", "verify", "--head", &later]).code(1).complains("RMM0520");
    fleet.rmm(&["audit", "verify", "--head", "x"]).code(3);
}
