//! The workflow for GitHub Actions: its own YAML is read, and its steps are run as the service would run them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use super::origin::{Origin, Variables, recipe, said};

/// What the service's own program does with what it is asked for: `gh`, with filters run by jq as in the real one.
const GH: &str = r#"#!/bin/sh
set -eu
echo "$*" >> "$STORE/gh.log"
test -n "$GH_TOKEN"
filter=. body='' id='' dir='' name='' previous=''
for word in "$@"; do
  case "$previous" in
    --jq) filter=$word ;;
    --field) body=${word#body=@} ;;
    --dir) dir=$word ;;
    --name) name=$word ;;
  esac
  previous=$word
done
case "$*" in
  "run list --repo team/fleet --workflow Policies --event schedule --branch main --status success "*) jq -r "$filter" "$STORE/runs.json" ;;
  "run download 7 "*) cp "$STORE/$name"/* "$dir" ;;
  "api --paginate repos/team/fleet/issues/12/comments "*) jq -r "$filter" "$STORE/comments.json" ;;
  "api --silent --method POST repos/team/fleet/issues/12/comments "*)
    jq --rawfile body "$body" '. + [{id: (100 + length), user: {login: "github-actions[bot]"}, body: $body}]' "$STORE/comments.json" > "$STORE/new.json"
    mv "$STORE/new.json" "$STORE/comments.json" ;;
  "api --silent --method PATCH repos/team/fleet/issues/comments/"*)
    id=${5##*/}
    jq --rawfile body "$body" --argjson id "$id" 'map(if .id == $id then .body = $body else . end)' "$STORE/comments.json" > "$STORE/new.json"
    mv "$STORE/new.json" "$STORE/comments.json" ;;
  *) echo "gh: not understood: $*" >&2; exit 64 ;;
esac
"#;

/// Actions that may be used, and nothing else of others.
const ACTIONS: [&str; 4] =
    ["actions/checkout@v5", "actions/cache@v4", "actions/upload-artifact@v4", "github/codeql-action/upload-sarif@v4"];

struct Service {
    origin: Origin,
    workflow: Value,
    /// Scripts that were run.
    ran: BTreeSet<String>,
}

/// How a job ended.
#[derive(Default)]
struct Job {
    ok: bool,
    /// What each step said, by its name or action, and whether it ended well.
    steps: BTreeMap<String, (bool, String)>,
    summary: String,
}

impl Job {
    #[track_caller]
    fn step(&self, name: &str) -> &(bool, String) {
        self.steps.get(name).unwrap_or_else(|| panic!("{name} was not run: {:?}", self.steps))
    }
}

impl Service {
    fn new() -> Self {
        let origin = Origin::new();
        origin.stand_in("gh", GH);
        std::fs::write(origin.path("store/runs.json"), "[]").unwrap();
        let other = json!([{"id": 1, "user": {"login": "kim"}, "body": "<!-- rmm-review --> not mine"}]);
        std::fs::write(origin.path("store/comments.json"), other.to_string()).unwrap();
        let workflow = serde_yaml::from_str(&recipe("github.yml")).unwrap();
        Self { origin, workflow, ran: BTreeSet::new() }
    }

    fn comments(&self) -> Vec<Value> {
        serde_json::from_slice(&std::fs::read(self.origin.path("store/comments.json")).unwrap()).unwrap()
    }

    /// What the expressions of the workflow read.
    fn context(&self, event: &str, fork: bool) -> Variables {
        let db = self.origin.path("store/rmm.db").display().to_string();
        let known = [
            ("github.event_name", event),
            ("github.repository", "team/fleet"),
            ("github.token", "token"),
            ("github.event.pull_request.number", "12"),
            ("github.event.pull_request.head.repo.full_name", if fork { "stranger/fleet" } else { "team/fleet" }),
            ("github.event.repository.default_branch", "main"),
            ("vars.RMM_SOURCE", "https://git.example.org/rmm.git"),
            ("vars.RMM_REVISION", "0123abc"),
            ("vars.RMM_DB", db.as_str()),
        ];
        known.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// Runs one job as for an event, where it is meant for it.
    fn run(&mut self, job: &str, event: &str, fork: bool) -> Option<Job> {
        let context = self.context(event, fork);
        let job = self.workflow["jobs"][job].clone();
        let outside = self.origin.path("home");
        if !job["if"].as_str().is_none_or(|condition| holds(condition, &context, &outside)) {
            return None;
        }
        let mut result = Job { ok: true, ..Job::default() };
        let mut folder = None;
        let temp = tempfile::tempdir().unwrap();
        let summary = temp.path().join("summary.md");
        for step in job["steps"].as_array().unwrap() {
            let dir = folder.as_ref().map_or_else(|| outside.clone(), |clone: &tempfile::TempDir| clone.path().to_owned());
            let condition = step["if"].as_str();
            let always = condition.is_some_and(|text| text.contains("!cancelled()"));
            if !(result.ok || always) || !condition.is_none_or(|text| holds(text, &context, &dir)) {
                continue;
            }
            let name = step["name"].as_str().or_else(|| step["uses"].as_str()).unwrap().to_owned();
            let (ok, text) = if let Some(action) = step["uses"].as_str() {
                if action.starts_with("actions/checkout@") {
                    let depth = step["with"]["fetch-depth"].as_u64().unwrap_or(1);
                    folder = Some(self.origin.clone(if event == "pull_request" { "refs/pull/12/merge" } else { "refs/heads/main" }, depth));
                    (true, String::new())
                } else {
                    self.action(action, &step["with"], &dir)
                }
            } else {
                let script = step["run"].as_str().unwrap();
                self.ran.insert(script.to_owned());
                let mut variables: Variables = BTreeMap::new();
                for values in [&self.workflow["env"], &job["env"], &step["env"]] {
                    for (name, value) in values.as_object().into_iter().flatten() {
                        variables.insert(name.clone(), filled(value.as_str().unwrap(), &context));
                    }
                }
                let own =
                    [("GITHUB_WORKFLOW", "Policies"), ("GITHUB_REPOSITORY", "team/fleet"), ("GITHUB_EVENT_NAME", event), ("CI", "true")];
                variables.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
                variables.insert("GITHUB_STEP_SUMMARY".into(), summary.display().to_string());
                variables.insert("RUNNER_TEMP".into(), temp.path().display().to_string());
                let output = self.origin.script(&dir, script, &variables);
                (output.status.success(), said(&output))
            };
            result.ok &= ok;
            result.steps.insert(name, (ok, text));
        }
        result.summary = std::fs::read_to_string(summary).unwrap_or_default();
        Some(result)
    }

    /// What the service's actions do: they keep files.
    fn action(&self, action: &str, with: &Value, dir: &Path) -> (bool, String) {
        assert!(ACTIONS.contains(&action), "{action} is not known");
        let keep = |folder: &str, path: &str| {
            let to = self.origin.path("store").join(folder);
            std::fs::create_dir_all(&to).unwrap();
            std::fs::copy(dir.join(path), to.join(path)).unwrap_or_else(|e| panic!("{action} of {path}: {e}"));
        };
        if let Some(path) = with["sarif_file"].as_str() {
            let log: Value = serde_json::from_slice(&std::fs::read(dir.join(path)).unwrap()).unwrap();
            assert_eq!(log["version"], "2.1.0");
            keep("sarif", path);
        } else if action.starts_with("actions/upload-artifact@") {
            keep(with["name"].as_str().unwrap(), with["path"].as_str().unwrap());
        }
        (true, String::new())
    }
}

/// An expression's operand.
fn operand(text: &str, context: &Variables, dir: &Path) -> String {
    let text = text.trim();
    if let Some(literal) = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
        return literal.to_owned();
    }
    if let Some(file) = text.strip_prefix("hashFiles('").and_then(|text| text.strip_suffix("')")) {
        return if dir.join(file).is_file() { "hash".into() } else { String::new() };
    }
    context.get(text).unwrap_or_else(|| panic!("the expression {text} is not known")).clone()
}

fn holds(condition: &str, context: &Variables, dir: &Path) -> bool {
    let condition = condition.trim().trim_start_matches("${{").trim_end_matches("}}");
    condition.split("&&").all(|term| {
        let sides = |by: &str| term.split_once(by).map(|(a, b)| (operand(a, context, dir), operand(b, context, dir)));
        match (sides("=="), sides("!=")) {
            (Some((a, b)), _) => a == b,
            (_, Some((a, b))) => a != b,
            _ => {
                assert_eq!(term.trim(), "!cancelled()");
                true
            }
        }
    })
}

/// A value with its expressions filled in.
fn filled(text: &str, context: &Variables) -> String {
    match text.strip_prefix("${{").and_then(|rest| rest.strip_suffix("}}")) {
        Some(expression) => operand(expression, context, Path::new("/")),
        None => text.to_owned(),
    }
}

#[test]
fn every_script_of_the_github_workflow_runs_and_a_pull_request_has_one_comment() {
    let mut service = Service::new();
    service.origin.change("topic", "policies/a.yaml", "0640", "0600");
    service.origin.merge("topic", "refs/pull/12/merge");

    // Nothing is known of the fleet before the first scheduled run.
    let early = service.run("review", "pull_request", false).unwrap();
    assert!(!early.ok);
    assert!(early.step("State of the fleet").1.contains("::error::No scheduled run"), "{:?}", early.steps);
    assert!(service.run("check", "schedule", false).is_none() && service.run("review", "schedule", false).is_none());
    assert!(service.run("state", "pull_request", false).is_none(), "a pull request came to the runner that reaches the fleet");

    let state = service.run("state", "schedule", false).unwrap();
    assert!(state.ok, "{:?}", state.steps);
    assert!(service.origin.path("store/fleet-state/fleet.state").is_file());
    std::fs::write(service.origin.path("store/runs.json"), r#"[{"databaseId": 7}]"#).unwrap();

    let check = service.run("check", "pull_request", false).unwrap();
    assert!(check.ok, "{:?}", check.steps);
    assert!(check.summary.contains("<!-- rmm test -->"), "{}", check.summary);
    let junit = std::fs::read_to_string(service.origin.path("store/tests/tests.xml")).unwrap();
    assert!(junit.contains("<testsuite") && junit.contains("failures=\"0\""), "{junit}");
    assert!(service.origin.path("store/sarif/validate.sarif").is_file());

    let review = service.run("review", "pull_request", false).unwrap();
    assert!(review.ok, "{:?}", review.steps);
    assert!(review.summary.contains("0600"), "{}", review.summary);
    let comments = service.comments();
    assert_eq!(comments.len(), 2);
    assert!(comments[1]["body"].as_str().unwrap().starts_with("<!-- rmm-review -->"));
    assert!(comments[1]["body"].as_str().unwrap().contains("0600"));

    // A second push that would take the device out of every policy: refused, and the comment of the service is replaced, no other.
    service.origin.change("topic", "policies/a.yaml", "[All Servers]", "[{tag: other}]");
    service.origin.merge("topic", "refs/pull/12/merge");
    let refused = service.run("review", "pull_request", false).unwrap();
    assert!(!refused.ok && !refused.step("Review").0 && refused.step("Comment").0, "{:?}", refused.steps);
    assert!(refused.step("Review").1.contains("::error"), "{:?}", refused.steps);
    let comments = service.comments();
    assert_eq!(comments.len(), 2);
    assert_eq!(comments[0]["body"], "<!-- rmm-review --> not mine");
    assert!(comments[1]["body"].as_str().unwrap().contains("out of every policy"), "{}", comments[1]["body"]);

    // Of a fork there is the summary, and no comment: its token could not write one.
    std::fs::write(service.origin.path("store/comments.json"), "[]").unwrap();
    let fork = service.run("review", "pull_request", true).unwrap();
    assert!(fork.summary.contains("out of every policy") && !fork.steps.contains_key("Comment"));
    assert_eq!(service.comments().len(), 0);

    let steps = service.workflow["jobs"].as_object().unwrap().values().flat_map(|job| job["steps"].as_array().unwrap());
    let scripts: BTreeSet<String> = steps.filter_map(|step| Some(step["run"].as_str()?.to_owned())).collect();
    assert_eq!(service.ran, scripts, "a script of the workflow was not run");
}

#[test]
fn a_pull_request_with_a_mistake_fails_in_the_github_workflow_with_everything_else_still_told() {
    let mut service = Service::new();
    service.origin.change("typo", "policies/a.yaml", "targets:", "tragets:");
    service.origin.merge("typo", "refs/pull/12/merge");
    let check = service.run("check", "pull_request", false).unwrap();
    assert!(!check.ok && !check.step("Syntax, schema, meaning").0, "{:?}", check.steps);
    let told = &check.step("Syntax, schema, meaning").1;
    assert!(told.contains("::error file=policies/a.yaml,line=3") && told.contains("tragets"), "{told}");
    let sarif = std::fs::read_to_string(service.origin.path("store/sarif/validate.sarif")).unwrap();
    assert!(sarif.contains("RMM0102"), "{sarif}");

    service.origin.change("test", "tests/a.yaml", "type: absent", "type: file");
    service.origin.merge("test", "refs/pull/12/merge");
    service.origin.change("untidy", "policies/a.yaml", "    targets:", "    targets:  ");
    let check = service.run("check", "pull_request", false).unwrap();
    assert!(check.step("Canonical form").0 && check.step("Syntax, schema, meaning").0, "{:?}", check.steps);
    service.origin.merge("untidy", "refs/pull/12/merge");
    let check = service.run("check", "pull_request", false).unwrap();
    assert!(!check.step("Canonical form").0 && check.step("Policy tests").0, "{:?}", check.steps);
}

#[test]
fn rmm_is_built_where_the_runner_does_not_have_it() {
    let service = Service::new();
    std::fs::remove_file(service.origin.path("bin/rmm")).unwrap();
    service.origin.stand_in("cargo", "#!/bin/sh\necho \"$*\" > \"$STORE/cargo.log\"\n");
    let steps = service.workflow["jobs"]["check"]["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["name"] == "Install rmm").unwrap();
    let context = service.context("pull_request", false);
    let env = step["env"].as_object().unwrap().iter();
    let variables = env.map(|(name, value)| (name.clone(), filled(value.as_str().unwrap(), &context))).collect();
    let output = service.origin.script(&service.origin.path("home"), step["run"].as_str().unwrap(), &variables);
    assert!(output.status.success(), "{}", said(&output));
    let asked = std::fs::read_to_string(service.origin.path("store/cargo.log")).unwrap();
    assert_eq!(asked.trim(), "install --locked --git https://git.example.org/rmm.git --rev 0123abc rmm");
}

#[test]
fn the_github_workflow_has_least_rights_and_puts_nothing_foreign_into_a_script() {
    let workflow: Value = serde_yaml::from_str(&recipe("github.yml")).unwrap();
    assert_eq!(workflow["permissions"], json!({}));
    let events: Vec<&String> = workflow["on"].as_object().unwrap().keys().collect();
    assert_eq!(events, ["pull_request", "schedule", "workflow_dispatch"]);
    assert_eq!(workflow["defaults"]["run"]["shell"], "sh -e {0}");
    for (name, job) in workflow["jobs"].as_object().unwrap() {
        let rights = job["permissions"].as_object().unwrap_or_else(|| panic!("{name} does not say what it may"));
        assert_eq!(rights["contents"], "read");
        let writes: Vec<&str> = rights.iter().filter(|(_, right)| *right == "write").map(|(name, _)| name.as_str()).collect();
        let expected: &[&str] = match name.as_str() {
            "check" => &["security-events"],
            "review" => &["pull-requests"],
            _ => &[],
        };
        assert_eq!(writes, expected, "{name}");
        assert!(job["timeout-minutes"].is_u64(), "{name}");
        for step in job["steps"].as_array().unwrap() {
            assert!(!step["run"].as_str().unwrap_or_default().contains("${{"), "an expression in a script of {name}");
            if let Some(action) = step["uses"].as_str() {
                assert!(ACTIONS.contains(&action), "{action}");
                let checkout = action.starts_with("actions/checkout@");
                assert!(!checkout || step["with"]["persist-credentials"] == false, "{name} leaves its token in the clone");
            }
        }
        if job["runs-on"].to_string().contains("self-hosted") {
            assert!(job["if"].as_str().unwrap().contains("!= 'pull_request'"), "{name}");
        }
    }
}
