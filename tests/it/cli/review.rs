//! `rmm review` and `rmm state export`: real Git repositories, bare and shallow ones too, and the real binary.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{Ended, Fleet, ended, rmm};

/// Runs git with nothing of the surroundings that could change what it does.
fn git(dir: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    command.current_dir(dir).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1"), ("HOME", "/nonexistent")]);
    command.args(["-c", "user.name=Tester", "-c", "user.email=tester@example.org", "-c", "init.defaultBranch=main"]);
    command.args(["-c", "protocol.file.allow=always", "-c", "commit.gpgsign=false"]);
    let output = command.args(args).output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn commit(dir: &Path) {
    git(dir, &["add", "-A", "."]);
    git(dir, &["commit", "-q", "--allow-empty", "-m", "step"]);
}

/// The small fleet in Git, observed once, with the file as wanted: compliant.
fn reviewed() -> Fleet {
    let fleet = Fleet::small();
    fleet.write(".gitignore", ".rmm/\nwanted.txt\n*.state\n");
    git(fleet.dir.path(), &["init", "-q"]);
    commit(fleet.dir.path());
    fleet.rmm(&["apply", "--auto-approve"]).code(0);
    git(fleet.dir.path(), &["checkout", "-q", "-b", "topic"]);
    fleet
}

impl Fleet {
    fn policy(&self, from: &str, to: &str) {
        let text = self.read("policies/a.yaml");
        assert!(text.contains(from), "{from} in {text}");
        self.write("policies/a.yaml", &text.replace(from, to));
        commit(self.dir.path());
    }

    fn review(&self) -> Value {
        self.rmm(&["review", "main..topic", "--format", "json"]).json()
    }
}

fn in_dir(dir: &Path, args: &[&str]) -> Ended {
    ended(rmm(dir, args))
}

#[test]
fn a_changed_value_is_shown_with_its_line_and_what_it_does_to_the_device() {
    let fleet = reviewed();
    fleet.policy("0640", "0600");
    let text = fleet.rmm(&["review", "main..HEAD"]).code(0);
    text.says("~ policy Notice").says("policies/a.yaml:7").says("newly changed").says("1 of 1 device affected (100 %)").says("May pass");
    let review = fleet.review();
    assert_eq!(review["schema"], "rmm.review/1");
    assert_eq!(review["differences"].as_array().unwrap().len(), 1);
    let difference = &review["differences"][0];
    assert_eq!(difference["how"], "changed");
    assert!(difference["to"].as_str().unwrap().contains("0600"), "{difference}");
    assert_eq!(difference["place"]["line"], 7);
    let impact = &review["effects"]["items"][0]["settings"][0];
    assert_eq!(
        (impact["effect"].as_str(), impact["before"].as_str(), impact["after"].as_str()),
        (Some("change"), Some("compliant"), Some("change"))
    );
    assert_eq!(review["effects"]["affected"], 1);
}

#[test]
fn order_comments_layout_and_moved_files_are_no_difference() {
    let fleet = reviewed();
    let text = fleet.read("policies/a.yaml");
    std::fs::remove_file(fleet.path("policies/a.yaml")).unwrap();
    let moved = text.replace(
        "    targets: [All Servers]\n    remediate: true\n",
        "    remediate: true # carried out\n    targets:\n      - All Servers\n",
    );
    fleet.write("policies/deep/b.yaml", &format!("# about it\n{moved}"));
    commit(fleet.dir.path());
    let review = fleet.review();
    assert_eq!(review["differences"], serde_json::json!([]));
    assert_eq!(review["effects"]["affected"], 0);
    fleet.rmm(&["review", "main..HEAD"]).code(0).says("only order, layout or comments").says("No effect on any of 1 device");
}

#[test]
fn the_working_tree_is_reviewed_where_no_head_is_named_and_is_never_touched() {
    let fleet = reviewed();
    let text = fleet.read("policies/a.yaml").replace("0640", "0600");
    fleet.write("policies/a.yaml", &text);
    fleet.rmm(&["review", "main"]).code(0).says("working tree").says("newly changed");
    fleet.rmm(&["review"]).code(0).says("main (").says("newly changed");
    let before = git(fleet.dir.path(), &["status", "--porcelain"]);
    fleet.rmm(&["review", "main..topic"]).code(0).says("No effect");
    assert_eq!(git(fleet.dir.path(), &["status", "--porcelain"]), before);
    assert_eq!(fleet.read("policies/a.yaml"), text);
}

#[test]
fn a_device_that_falls_out_of_every_policy_refuses_the_change() {
    let fleet = reviewed();
    fleet.policy("targets: [All Servers]", "targets: [{tag: other}]");
    let text = fleet.rmm(&["review", "main..HEAD"]).code(6);
    text.says("out of every policy").says("no longer managed").says("Refused:").says("unmanaged");
    assert_eq!(fleet.review()["effects"]["unmanaged"], 1);
}

#[test]
fn the_rule_is_the_one_of_the_old_side() {
    let fleet = reviewed();
    fleet.write("rmm.toml", "[limits]\nmax_percent = 100\n[review]\nfailOn = ['change']\nmaxPercent = 50\n");
    commit(fleet.dir.path());
    git(fleet.dir.path(), &["branch", "-f", "main"]);
    fleet.write("rmm.toml", "[limits]\nmax_percent = 100\n[review]\nfail_on = []\n");
    fleet.policy("0640", "0600");
    let ended = fleet.rmm(&["review", "main..HEAD"]).code(6);
    ended.says("(change)").says("(max-percent)").says("review.fail_on");
}

#[test]
fn problems_of_the_new_side_end_with_4_and_say_which_are_new() {
    let fleet = reviewed();
    fleet.policy("targets: [All Servers]", "targets: [All Servers, Nobody]");
    fleet.rmm(&["review", "main..HEAD"]).code(4).says("New problems").says("RMM0108").says("Nobody");
    let review = fleet.review();
    assert_eq!((&review["valid"], &review["problems"][0]["new"]), (&Value::Bool(false), &Value::Bool(true)));
    git(fleet.dir.path(), &["checkout", "-q", "-b", "next"]);
    fleet.policy("0640", "0600");
    let review = fleet.rmm(&["review", "topic..next", "--format", "json"]).code(4).json();
    assert_eq!(review["problems"][0]["new"], false);
    git(fleet.dir.path(), &["checkout", "-q", "-b", "mended"]);
    fleet.policy("All Servers, Nobody", "All Servers");
    fleet.rmm(&["review", "topic..mended"]).code(6).says("base-invalid");
}

#[test]
fn groups_thresholds_and_scripts_are_compared_by_what_they_hold() {
    let fleet = reviewed();
    fleet.write(
        "devices.yaml",
        &fleet.read("devices.yaml").replace("All Servers: {}", "All Servers: {description: Everything}\n  Pilot: {members: [here]}"),
    );
    commit(fleet.dir.path());
    let review = fleet.review();
    let lines: Vec<String> = review["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| format!("{} {} {} {}", d["how"], d["kind"], d["name"], d["place"]["line"]))
        .collect();
    assert!(lines.contains(&"\"added\" \"group\" \"Pilot\" 3".to_owned()), "{lines:?}");
    assert!(lines.contains(&"\"added\" \"group\" \"All Servers\" 2".to_owned()), "{lines:?}");
    assert_eq!(review["effects"]["affected"], 0);
}

#[test]
fn bare_repositories_sub_folders_and_shallow_clones_can_be_reviewed() {
    let outer = tempfile::tempdir().unwrap();
    let fleet = reviewed();
    fleet.rmm(&["state", "export", "--out", "fleet.state"]).code(0);
    let state = fleet.path("fleet.state");
    let state = state.to_str().unwrap();
    // The policy repository as a folder of a larger one.
    let (mono, bare, shallow) = (outer.path().join("mono"), outer.path().join("bare.git"), outer.path().join("shallow"));
    std::fs::create_dir_all(mono.join("it/fleet/policies")).unwrap();
    for file in ["rmm.toml", "devices.yaml", "policies/a.yaml"] {
        std::fs::copy(fleet.path(file), mono.join("it/fleet").join(file)).unwrap();
    }
    std::fs::write(mono.join("other.txt"), "not ours").unwrap();
    git(&mono, &["init", "-q"]);
    commit(&mono);
    git(&mono, &["checkout", "-q", "-b", "topic"]);
    let policy = mono.join("it/fleet/policies/a.yaml");
    std::fs::write(&policy, std::fs::read_to_string(&policy).unwrap().replace("0640", "0600")).unwrap();
    commit(&mono);
    let args = ["review", "main..topic", "--state", state];
    in_dir(&mono.join("it/fleet"), &args).code(0).says("newly changed");
    let sarif = in_dir(&mono.join("it/fleet"), &["review", "main..topic", "--state", state, "--format", "github"]).code(0);
    sarif.says("file=it/fleet/policies/a.yaml,line=7");

    git(outer.path(), &["clone", "-q", "--bare", mono.to_str().unwrap(), bare.to_str().unwrap()]);
    in_dir(&bare, &args).code(0).says("newly changed");
    in_dir(&bare, &["review", "main..topic", "--state", state, "--folder", "it/fleet"]).code(0).says("newly changed");
    in_dir(&bare, &["review", "main", "--state", state]).code(3).complains("bare repository");

    let url = format!("file://{}", mono.to_str().unwrap());
    git(outer.path(), &["clone", "-q", "--depth", "1", "--branch", "topic", &url, shallow.to_str().unwrap()]);
    let here = shallow.join("it/fleet");
    in_dir(&here, &["review", "origin/main..HEAD", "--state", state])
        .code(3)
        .complains("shallow clone")
        .complains("git fetch --depth=1 origin main");
    git(&shallow, &["fetch", "-q", "--depth=1", "origin", "main:refs/remotes/origin/main"]);
    in_dir(&here, &["review", "origin/main..HEAD", "--state", state]).code(0).says("newly changed");
    in_dir(&here, &["review", "origin/main...HEAD", "--state", state]).code(3).complains("--unshallow");
}

#[test]
fn what_could_be_taken_for_an_option_is_refused_and_links_are_not_followed() {
    let fleet = reviewed();
    for range in ["--output=/tmp/x..HEAD", "main..--exec=x", "nothing..HEAD", "main\u{1}..HEAD"] {
        fleet.rmm(&["review", "--", range]).code(3).complains("RMM0551");
    }
    std::os::unix::fs::symlink("/etc/passwd", fleet.path("policies/b.yaml")).unwrap();
    commit(fleet.dir.path());
    let ended = fleet.rmm(&["review", "main..HEAD"]).code(4);
    ended.says("symbolic link");
    // Variables that lead Git elsewhere have no say.
    let variables = [("GIT_DIR", "/nonexistent"), ("GIT_EXTERNAL_DIFF", "false"), ("GIT_CONFIG_COUNT", "1")];
    fleet.rmm_with(&variables, &["review", "main..main"]).code(0);
}

#[test]
fn a_repository_cannot_start_programs_through_git() {
    let fleet = reviewed();
    let ran = fleet.path("ran");
    let run = format!("touch {}", ran.display());
    for (key, value) in [("core.fsmonitor", &run), ("diff.evil.textconv", &run), ("filter.evil.smudge", &run), ("core.pager", &run)] {
        git(fleet.dir.path(), &["config", key, value]);
    }
    fleet.write(".gitattributes", "*.yaml diff=evil\n");
    fleet.write("policies/c.yaml", "policies: {}\n");
    git(fleet.dir.path(), &["-c", "core.fsmonitor=false", "add", "-A"]);
    git(fleet.dir.path(), &["-c", "core.fsmonitor=false", "commit", "-q", "-m", "step"]);
    let _ = std::fs::remove_file(&ran);
    fleet.rmm(&["review", "main..HEAD"]).code(0);
    assert!(!ran.exists());
}

/// Validates against the official schema.
#[track_caller]
fn is_sarif(text: &str) {
    let mut schema: Value = serde_json::from_str(include_str!("../fixtures/sarif-schema-2.1.0.json")).unwrap();
    // A pattern of the official schema is no regular expression by the strict rules; the members are none that we write.
    for owner in ["run", "toolComponent"] {
        schema["definitions"][owner]["properties"]["language"].as_object_mut().unwrap().remove("pattern").unwrap();
    }
    let log: Value = serde_json::from_str(text).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(&log).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let results = log["runs"][0]["results"].as_array().unwrap();
    assert!(!results.is_empty());
    for result in results {
        assert!(result["locations"][0]["physicalLocation"]["region"]["startLine"].as_u64().unwrap() > 0);
        assert!(result["partialFingerprints"]["rmm/v1"].is_string());
    }
    let mut prints: Vec<&Value> = results.iter().map(|r| &r["partialFingerprints"]["rmm/v1"]).collect();
    let all = prints.len();
    prints.sort_by_key(|print| print.as_str());
    prints.dedup();
    assert_eq!(prints.len(), all);
}

#[test]
fn sarif_is_valid_by_the_official_schema_and_its_fingerprints_survive_moved_lines() {
    let fleet = reviewed();
    fleet.policy("0640", "0600");
    let first = fleet.rmm(&["review", "main..HEAD", "--format", "sarif"]).code(0);
    is_sarif(&first.out);
    fleet.policy("policies:\n", "# one\n# more\npolicies:\n");
    let second = fleet.rmm(&["review", "main..HEAD", "--format", "sarif"]).code(0);
    let print = |ended: &Ended| ended.json()["runs"][0]["results"][0]["partialFingerprints"]["rmm/v1"].clone();
    assert_eq!(print(&first), print(&second));
    fleet.policy("targets: [All Servers]", "targets: [Nobody]");
    is_sarif(&fleet.rmm(&["review", "main..HEAD", "--format", "sarif"]).code(4).out);
    is_sarif(&fleet.rmm(&["validate", "--format", "sarif"]).code(4).out);
    fleet.rmm(&["validate", "--format", "github"]).code(4).says("::error file=policies/a.yaml,line=5");
    fleet.rmm(&["validate", "--format", "markdown"]).code(4).says("<!-- rmm-validate -->").says("RMM0108");
}

#[test]
fn a_comment_holds_no_markup_of_the_repository_and_ends_within_its_bound() {
    let fleet = reviewed();
    let many: String =
        (0..3000).map(|i| format!("        /srv/{i}: {{content: \"</details> @team [x](http://e.example)\\n\"}}\n")).collect();
    fleet.policy("        '", &format!("{many}        '"));
    let ended = fleet.rmm(&["review", "main..HEAD", "--report", "markdown:comment.md", "--report", "json:all.json"]).code(0);
    ended.says("cannot be told").says("and 2800 more");
    let comment = fleet.read("comment.md");
    assert!(comment.starts_with("<!-- rmm-review -->\n"), "{}", &comment[..200]);
    assert!(comment.chars().count() <= 60_000, "{}", comment.chars().count());
    assert!(comment.contains("left out here"));
    assert_eq!(comment.matches("<details>").count(), comment.matches("</details>").count());
    assert!(!comment.contains("@team") && !comment.contains("[x]("));
    assert_eq!(serde_json::from_str::<Value>(&fleet.read("all.json")).unwrap()["differences"].as_array().unwrap().len(), 3000);
}

#[test]
fn a_state_file_gives_the_same_review_as_the_database_and_holds_no_identifiers() {
    let fleet = reviewed();
    fleet.policy("0640", "0600");
    let by_database = fleet.review();
    fleet.rmm(&["state", "export", "--out", "fleet.state"]).code(0).complains("Exported 1 device");
    let by_file = fleet.rmm(&["review", "main..topic", "--state", "fleet.state", "--format", "json"]).code(0).json();
    assert_eq!(by_database["effects"], by_file["effects"]);
    assert_eq!(by_file["state"]["source"], "fleet.state");
    let unpacked = Command::new("gzip").args(["-dc"]).arg(fleet.path("fleet.state")).output().unwrap();
    let text = String::from_utf8(unpacked.stdout).unwrap();
    let header: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(header["schema"], "rmm.state/1");
    assert!(text.contains("\"here\"") && !text.contains("machine_id\":"), "identifiers");
    assert!(!header["sections"].as_array().unwrap().iter().any(|s| s["name"].as_str().unwrap().starts_with("performance.")));
    assert_eq!(std::fs::metadata(fleet.path("fleet.state")).unwrap().permissions().mode() & 0o777, 0o600);
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    hex::encode(<[u8; 32]>::from(sha2::Sha256::digest(bytes)))
}

/// A gzip member with this text.
fn packed(text: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_state_file_that_is_cut_off_altered_foreign_newer_or_a_bomb_is_refused() {
    let fleet = reviewed();
    fleet.policy("0640", "0600");
    fleet.rmm(&["state", "export", "--out", "good.state"]).code(0);
    let good = std::fs::read(fleet.path("good.state")).unwrap();
    let refused = |name: &str, bytes: &[u8], why: &str| {
        let path: PathBuf = fleet.path(name);
        std::fs::write(&path, bytes).unwrap();
        fleet.rmm(&["review", "main..HEAD", "--state", name]).code(1).complains("RMM0552").complains(why);
    };
    refused("cut.state", &good[..good.len() - 10], "cut off");
    let mut longer = good.clone();
    longer.extend(b"more");
    refused("longer.state", &longer, "more in it");
    let mut altered = good.clone();
    let middle = altered.len() / 2;
    altered[middle..middle + 8].fill(7);
    refused("altered.state", &altered, "not what its header says");
    refused("text.state", b"hello", "not a state file");
    refused("empty.state", b"", "not a state file");
    refused("newer.state", &packed(b"{\"schema\":\"rmm.state/2\"}\n"), "rmm.state/2");
    refused("lacks.state", &packed(b"{\"schema\":\"rmm.state/1\"}\n"), "lacks members");
    // A header that unpacks to very much, and a section that is larger than it says.
    refused("bomb.state", &packed(&vec![b' '; 8 * 1024 * 1024]), "not a state file");
    let bomb = packed(&vec![b' '; 64 * 1024 * 1024]);
    let head = |size: u64| {
        let header = serde_json::json!({"schema": "rmm.state/1", "exportedAt": "2026-11-21T00:00:00Z", "version": "0", "devices": 1, "hash": "",
            "sections": [{"name": "software.os", "packed": bomb.len(), "size": size, "sha256": sha256(&bomb)}]});
        [packed(header.to_string().as_bytes()), bomb.clone()].concat()
    };
    refused("section.state", &head(10), "not what its header says");
    refused("claims.state", &head(1 << 40), "too large");
    fleet.rmm(&["review", "main..HEAD", "--state", "none.state"]).code(1).complains("none.state");
}

#[test]
fn without_any_state_it_says_how_to_get_one() {
    let fleet = reviewed();
    std::fs::remove_dir_all(fleet.path(".rmm")).unwrap();
    fleet.rmm(&["review", "main..HEAD"]).code(1).complains("RMM0553").complains("rmm state export");
    fleet.rmm(&["review", "main..HEAD", "--report", "html:x"]).code(3);
}

#[test]
fn devices_that_were_never_observed_are_counted_as_not_known() {
    let fleet = reviewed();
    fleet.write("devices.yaml", &format!("{}  away:\n    groups: [All Servers]\n", fleet.read("devices.yaml")));
    commit(fleet.dir.path());
    let review = fleet.review();
    let item = &review["effects"]["items"][0];
    assert_eq!((item["device"].as_str(), &item["added"], &item["withoutFacts"]), (Some("away"), &Value::Bool(true), &Value::Bool(true)));
    assert_eq!(item["settings"][0]["effect"], "unknown");
    assert_eq!(review["effects"]["withoutFacts"], 1);
}
