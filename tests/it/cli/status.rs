use super::Fleet;

#[test]
fn a_fresh_repository_says_what_comes_first() {
    let fleet = Fleet::small();
    insta::assert_snapshot!(fleet.stable(&fleet.rmm(&["status"]).code(0).out));
    fleet.rmm(&["collect"]).code(0);
    fleet.rmm(&["status"]).code(0).says("1 online").says("1 to change");
}

#[test]
fn programs_get_the_numbers_in_their_form() {
    let fleet = Fleet::small();
    let json = fleet.rmm(&["status", "--output", "json"]).code(0).json();
    assert_eq!((json["devices"].as_u64(), json["neverObserved"].as_u64()), (Some(1), Some(1)));
    fleet.rmm(&["status", "--output", "csv"]).code(0).says("status.unknown,1");
    assert_eq!(fleet.rmm(&["status", "--output", "jsonl"]).code(0).out.lines().count(), 1);
    fleet.rmm(&["status", "nobody"]).code(3);
}

#[test]
fn what_was_never_observed_has_no_age() {
    let fleet = Fleet::small();
    fleet.rmm(&["collect", "--category", "performance"]).code(0);
    let status = fleet.rmm(&["status"]).code(0);
    assert!(!status.out.contains(" old"), "{}", status.out);
    let json = fleet.rmm(&["status", "--output", "json"]).code(0).json();
    assert!(json["oldestFacts"].is_null() && json["neverObserved"] == 0, "{json}");
}
