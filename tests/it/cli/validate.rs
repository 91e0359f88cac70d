use super::Fleet;

fn broken() -> Fleet {
    let fleet = Fleet::small();
    fleet.write("devices/more.yaml", "devices:\n  web-1: {addres: 192.0.2.1, groups: [All Server]}\n");
    fleet.write("policies/b.yaml", "policies:\n  B:\n    tragets: [All Servers]\n    settings: {Servces: {}, PasswordMaxAge: ten}\n");
    fleet
}

#[test]
fn every_problem_of_every_file_is_shown_at_its_line() {
    let fleet = broken();
    insta::assert_snapshot!(fleet.rmm(&["validate"]).code(4).out);
    fleet.rmm(&["plan"]).code(4).complains("did you mean 'targets'?").complains("did you mean 'address'?");
}

#[test]
fn programs_get_the_problems_in_their_form() {
    let fleet = broken();
    let json = fleet.rmm(&["validate", "--output", "json"]).code(4).json();
    assert_eq!((json["valid"].as_bool(), json["schema"].as_str()), (Some(false), Some("rmm.problems/1")));
    let n = json["problems"].as_array().unwrap().len();
    let csv = fleet.rmm(&["validate", "--output", "csv"]).code(4).out;
    assert_eq!(csv.lines().count(), n + 1, "{csv}");
    let jsonl = fleet.rmm(&["validate", "--output", "jsonl"]).code(4).out;
    assert_eq!(jsonl.lines().count(), n + 1, "{jsonl}");
    fleet.rmm(&["validate", "--output", "yaml"]).code(4).says("valid: false");
    let github = fleet.rmm(&["validate", "--format", "github"]).code(4).out;
    assert!(github.contains("::error file=policies/b.yaml,line=3,col=5,title=RMM0102::unknown key 'tragets'"), "{github}");
}

#[test]
fn a_valid_repository_is_summed_up() {
    let fleet = Fleet::small();
    assert_eq!(fleet.rmm(&["validate"]).code(0).out, "Valid: 3 files, 1 device, 1 policy, 1 setting\n");
    assert_eq!(fleet.rmm(&["validate", ".", "--format", "github"]).code(0).out, "");
}
