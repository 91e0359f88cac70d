use super::Fleet;

#[test]
fn facts_are_shown_by_path_with_their_evidence_and_their_differences() {
    let fleet = Fleet::small();
    fleet.rmm(&["facts", "here"]).code(1).complains("rmm collect here");
    fleet.rmm(&["collect"]).code(0);
    fleet.rmm(&["facts", "here", "software.os.family"]).code(0).says("linux");
    fleet.rmm(&["facts", "here", "hardware"]).code(0).says("memory:");
    let json = fleet.rmm(&["facts", "here", "hardware.memory", "--output", "json"]).code(0).json();
    assert_eq!(json["schema"], "rmm.facts/1");
    fleet.rmm(&["facts", "here", "--output", "csv"]).code(0).says("hardware.memory.total_bytes,");
    fleet.rmm(&["facts", "here", "--why"]).code(0).says("software.os").says("observed");
    let diff = fleet.rmm(&["facts", "here", "hardware.memory", "--diff", "1d..now"]).code(0).says("+ total_bytes: ");
    assert!(!diff.out.contains("- : null"), "{}", diff.out);
    fleet.rmm(&["facts", "here", "hardware.memory", "--diff", "now..now"]).code(0).says("No difference.");
}

#[test]
fn keys_with_dots_are_found() {
    let fleet = Fleet::small();
    fleet.rmm(&["plan"]).code(0);
    let wanted = fleet.path("wanted.txt");
    fleet.rmm(&["facts", "here", &format!("files.{}", wanted.display())]).code(0).says("type: absent");
    fleet.rmm(&["facts", "here", &format!("files.{}.type", wanted.display())]).code(0).says("absent");
}

#[test]
fn what_is_not_known_says_why() {
    let fleet = Fleet::small();
    fleet.rmm(&["collect"]).code(0);
    fleet.rmm(&["facts", "here", "os"]).code(1).complains("did you mean 'software.os'?");
    fleet.rmm(&["facts", "here", "hardware.memry"]).code(1).complains("did you mean 'hardware.memory'?");
    fleet.rmm(&["facts", "hree"]).code(3).complains("did you mean 'here'?");
    fleet.rmm(&["facts", "here", "--at", "2001-01-01"]).code(1).complains("as of 2001-01-01");
    fleet.rmm(&["facts", "here", "--at", "yesterday"]).code(3).complains("is not a time");
    fleet.rmm(&["facts", "here", "--diff", "7d"]).code(3).complains("--diff");
}
