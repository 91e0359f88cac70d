//! The pipeline for GitLab CI: its own YAML is read, and its jobs are run as the service would run them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::origin::{Origin, Variables, recipe, said};

/// The service's API, behind the program that asks it.
const CURL: &str = r#"#!/bin/sh
set -eu
method=GET output=/dev/stdout data='' token='' url='' previous=''
for word in "$@"; do
  case "$previous" in
    --output) output=$word ;;
    --request) method=$word ;;
    --data) data=${word#@} ;;
    --header) case "$word" in *TOKEN*) token=$word ;; esac ;;
  esac
  previous=$word url=$word
done
echo "$method $url" >> "$STORE/curl.log"
api=https://gitlab.example.org/api/v4
case "$token $method $url" in
  "JOB-TOKEN: job GET $api/projects/5/jobs/artifacts/main/raw/fleet.state?job=state") cp "$STORE/fleet.state" "$output" ;;
  "PRIVATE-TOKEN: secret GET $api/user") echo '{"id": 41}' > "$output" ;;
  "PRIVATE-TOKEN: secret GET $api/projects/5/merge_requests/12/notes?per_page=100&sort=asc") cat "$STORE/notes.json" > "$output" ;;
  "PRIVATE-TOKEN: secret POST $api/projects/5/merge_requests/12/notes")
    jq --slurpfile new "$data" '. + [{id: (200 + length), author: {id: 41}, body: $new[0].body}]' "$STORE/notes.json" > "$STORE/new.json"
    mv "$STORE/new.json" "$STORE/notes.json" ;;
  "PRIVATE-TOKEN: secret PUT $api/projects/5/merge_requests/12/notes/"*)
    jq --slurpfile new "$data" --argjson id "${url##*/}" 'map(if .id == $id then .body = $new[0].body else . end)' "$STORE/notes.json" > "$STORE/new.json"
    mv "$STORE/new.json" "$STORE/notes.json" ;;
  *) echo "curl: not understood: $token $method $url" >&2; exit 22 ;;
esac
"#;

/// What stands at the top of a pipeline and is no job.
const SECTIONS: [&str; 3] = ["workflow", "default", "variables"];

struct Service {
    origin: Origin,
    pipeline: Value,
    /// Lines that were reached.
    ran: BTreeSet<String>,
}

struct Job {
    code: i32,
    text: String,
    clone: tempfile::TempDir,
}

impl Service {
    fn new() -> Self {
        let origin = Origin::new();
        origin.stand_in("curl", CURL);
        let other = json!([{"id": 1, "author": {"id": 3}, "body": "<!-- rmm-review --> not mine"}]);
        std::fs::write(origin.path("store/notes.json"), other.to_string()).unwrap();
        Self { origin, pipeline: serde_yaml::from_str(&recipe("gitlab.yml")).unwrap(), ran: BTreeSet::new() }
    }

    fn notes(&self) -> Vec<Value> {
        serde_json::from_slice(&std::fs::read(self.origin.path("store/notes.json")).unwrap()).unwrap()
    }

    fn merge_request(base: &str) -> Variables {
        let own = [
            ("CI_PIPELINE_SOURCE", "merge_request_event"),
            ("CI_DEFAULT_BRANCH", "main"),
            ("CI_PROJECT_ID", "5"),
            ("CI_MERGE_REQUEST_IID", "12"),
            ("CI_MERGE_REQUEST_DIFF_BASE_SHA", base),
            ("CI_API_V4_URL", "https://gitlab.example.org/api/v4"),
            ("CI_JOB_TOKEN", "job"),
            ("REVIEW_TOKEN", "secret"),
        ];
        own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// Runs a job where its rules and those of the pipeline say so.
    fn run(&mut self, name: &str, reference: &str, variables: &Variables) -> Option<Job> {
        let job = self.pipeline[name].clone();
        if !meant(&self.pipeline["workflow"]["rules"], variables) || !meant(&job["rules"], variables) {
            return None;
        }
        let mut all = variables.clone();
        for (name, value) in self.pipeline["variables"].as_object().unwrap() {
            all.insert(name.clone(), value.as_str().unwrap().to_owned());
        }
        let clone = self.origin.clone(reference, all["GIT_DEPTH"].parse().unwrap());
        let lines: Vec<&str> = job["script"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
        // As the runner does, in one shell; each line is noted when it is reached.
        let noted = |(at, line): (usize, &&str)| format!("echo {at} >> \"$STORE/reached\"\n{line}\n");
        let script: String = lines.iter().enumerate().map(noted).collect();
        let reached = self.origin.path("store/reached");
        let _ = std::fs::remove_file(&reached);
        let output = self.origin.script(clone.path(), &script, &all);
        for at in std::fs::read_to_string(&reached).unwrap().lines() {
            self.ran.insert(lines[at.parse::<usize>().unwrap()].to_owned());
        }
        Some(Job { code: output.status.code().unwrap(), text: said(&output), clone })
    }

    /// Every file that a job keeps has to be there.
    fn artifacts(&self, name: &str, job: &Job) {
        let kept = &self.pipeline[name]["artifacts"];
        let reports = kept["reports"].as_object().into_iter().flat_map(|map| map.values());
        for file in kept["paths"].as_array().into_iter().flatten().chain(reports) {
            let file = file.as_str().unwrap();
            assert!(job.clone.path().join(file).is_file(), "{name} made no {file}: {}", job.text);
        }
    }
}

fn meant(rules: &Value, variables: &Variables) -> bool {
    let operand = |text: &str| match text.trim().strip_prefix('$') {
        Some(name) => variables.get(name).cloned().unwrap_or_default(),
        None => text.trim().trim_matches('"').to_owned(),
    };
    rules.as_array().unwrap().iter().any(|rule| {
        let (a, b) = rule["if"].as_str().unwrap().split_once("==").unwrap();
        operand(a) == operand(b)
    })
}

fn branch(origin: &Origin) -> Variables {
    let db = origin.path("store/rmm.db").display().to_string();
    let own = [("CI_PIPELINE_SOURCE", "schedule"), ("CI_DEFAULT_BRANCH", "main"), ("CI_COMMIT_BRANCH", "main"), ("RMM_DB", db.as_str())];
    own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn every_line_of_the_gitlab_pipeline_runs_and_a_merge_request_has_one_comment() {
    let mut service = Service::new();
    let base = service.origin.git(&service.origin.path("work"), &["rev-parse", "main"]);
    let request = Service::merge_request(&base);
    assert!(service.run("state", "main", &request).is_none(), "a merge request came to the runner that reaches the fleet");
    let branch = branch(&service.origin);
    assert!(service.run("review", "main", &branch).is_none());
    let state = service.run("state", "refs/heads/main", &branch).unwrap();
    assert_eq!(state.code, 0, "{}", state.text);
    service.artifacts("state", &state);
    std::fs::copy(state.clone.path().join("fleet.state"), service.origin.path("store/fleet.state")).unwrap();

    service.origin.change("topic", "policies/a.yaml", "0640", "0600");
    let check = service.run("check", "refs/heads/topic", &request).unwrap();
    assert_eq!(check.code, 0, "{}", check.text);
    service.artifacts("check", &check);
    let review = service.run("review", "refs/heads/topic", &request).unwrap();
    assert_eq!(review.code, 0, "{}", review.text);
    service.artifacts("review", &review);
    let notes = service.notes();
    assert_eq!(notes.len(), 2);
    assert!(notes[1]["body"].as_str().unwrap().starts_with("<!-- rmm-review -->") && notes[1]["body"].as_str().unwrap().contains("0600"));

    // With merged results it is compared with the target branch of now.
    service.origin.change("topic", "policies/a.yaml", "[All Servers]", "[{tag: other}]");
    service.origin.merge("topic", "refs/merge-requests/12/merge");
    let mut merged = Service::merge_request("0000000000000000000000000000000000000000");
    merged.insert("CI_MERGE_REQUEST_TARGET_BRANCH_SHA".into(), base.clone());
    let refused = service.run("review", "refs/merge-requests/12/merge", &merged).unwrap();
    assert_eq!(refused.code, 6, "{}", refused.text);
    let notes = service.notes();
    assert_eq!(notes.len(), 2);
    assert_eq!(notes[0]["body"], "<!-- rmm-review --> not mine");
    assert!(notes[1]["body"].as_str().unwrap().contains("out of every policy"), "{}", notes[1]["body"]);

    // Without a token there is no comment; the exit code says the same.
    merged.remove("REVIEW_TOKEN");
    let before = service.notes();
    assert_eq!(service.run("review", "refs/merge-requests/12/merge", &merged).unwrap().code, 6);
    assert_eq!(service.notes(), before);

    let jobs = service.pipeline.as_object().unwrap().iter().filter(|(name, _)| !SECTIONS.contains(&name.as_str()));
    let lines = jobs.flat_map(|(_, job)| job["script"].as_array().unwrap()).map(|line| line.as_str().unwrap().to_owned());
    assert_eq!(service.ran, lines.collect(), "a line of the pipeline was not run");
}

#[test]
fn a_merge_request_with_a_mistake_fails_in_the_gitlab_pipeline_and_is_shown_in_the_diff() {
    let mut service = Service::new();
    let base = service.origin.git(&service.origin.path("work"), &["rev-parse", "main"]);
    let request = Service::merge_request(&base);
    service.origin.change("typo", "policies/a.yaml", "targets:", "tragets:");
    let check = service.run("check", "refs/heads/typo", &request).unwrap();
    assert_ne!(check.code, 0, "{}", check.text);
    let report: Value = serde_json::from_slice(&std::fs::read(check.clone.path().join("code-quality.json")).unwrap()).unwrap();
    assert_eq!(report.as_array().unwrap().len(), 1, "{report}");
    assert_eq!(report[0]["check_name"], "RMM0102");
    assert_eq!(report[0]["location"], json!({"path": "policies/a.yaml", "lines": {"begin": 3}}), "{report}");
    service.origin.change("test", "tests/a.yaml", "type: absent", "type: absent, mode: \"0640\"");
    assert_eq!(service.run("check", "refs/heads/test", &request).unwrap().code, 0);
    service.origin.change("failing", "tests/a.yaml", "changes:", "reports:");
    let check = service.run("check", "refs/heads/failing", &request).unwrap();
    assert_ne!(check.code, 0);
    let junit = std::fs::read_to_string(check.clone.path().join("tests.xml")).unwrap();
    assert!(junit.contains("failures=\"1\""), "{junit}");
    service.origin.change("untidy", "policies/a.yaml", "    targets:", "    targets:  ");
    assert_ne!(service.run("check", "refs/heads/untidy", &request).unwrap().code, 0);
}

#[test]
fn only_protected_branches_come_to_the_gitlab_runner_that_reaches_the_fleet() {
    let pipeline: Value = serde_yaml::from_str(&recipe("gitlab.yml")).unwrap();
    assert_eq!(pipeline["variables"]["GIT_DEPTH"], "1");
    for (name, job) in pipeline.as_object().unwrap().iter().filter(|(name, _)| !SECTIONS.contains(&name.as_str())) {
        let rules = job["rules"].to_string();
        assert_eq!(job["tags"].to_string().contains("rmm"), name == "state");
        assert_eq!(rules.contains("merge_request_event"), name != "state", "{rules}");
    }
}
