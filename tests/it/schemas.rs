//! `schemas/` is what `rmm init` writes and what editors read: generated from the types and the catalog.
//! `RMM_UPDATE_DOCS=1 cargo test schemas` writes them anew.

use std::path::Path;

use rmm::catalog::Catalog;
use rmm::repo::{Kind, schema};

#[test]
fn the_schemas_are_those_of_the_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    for kind in Kind::ALL {
        let name = kind.name();
        let path = folder.join(format!("{name}.json"));
        let text = serde_json::to_string_pretty(&schema(kind, &Catalog::builtin())).unwrap() + "\n";
        if std::env::var_os("RMM_UPDATE_DOCS").is_some() {
            std::fs::write(&path, text).unwrap();
            continue;
        }
        let old = std::fs::read_to_string(&path).unwrap();
        assert!(old == text, "schemas/{name}.json is old: run RMM_UPDATE_DOCS=1 cargo test schemas");
    }
}

#[test]
fn what_ships_keeps_to_the_schema_that_it_names() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = ["policies", "monitors"].into_iter().flat_map(|folder| std::fs::read_dir(project.join(folder)).unwrap());
    for entry in entries {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let named = text.lines().next().unwrap().strip_prefix("# yaml-language-server: $schema=").unwrap();
        let schema = std::fs::read_to_string(project.join("policies").join(named)).unwrap();
        let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
        let document: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        jsonschema::validator_for(&schema).unwrap().validate(&document).unwrap();
    }
}

fn validator(kind: Kind) -> jsonschema::Validator {
    let schema = schema(kind, &Catalog::builtin());
    jsonschema::meta::validate(&schema).unwrap_or_else(|e| panic!("{}: {e}", kind.name()));
    jsonschema::validator_for(&schema).unwrap()
}

#[test]
fn every_schema_keeps_to_the_metaschema_and_takes_what_the_program_takes() {
    for (kind, text) in [
        (Kind::Policies, "P: {targets: '*', settings: {WindowsFirewall: Enabled, PasswordMinLength: 12, AllowReboots: false}}"),
        (Kind::Policies, "policies: {P: {targets: [A], settings: {Services: {sshd: {state: running, restartOn: [Files./etc/x]}}}}}"),
        (Kind::Policies, "P: {targets: '*', settings: {Timezone: '{{ vars.zone }}', Packages: {curl: present}}}"),
        (Kind::Thresholds, "CPU: {warning: 80, critical: 95%, for: 10m, overrides: [{targets: [DB], warning: 90}]}"),
        (Kind::Thresholds, "thresholds: {Root: {metric: DiskSpace, warning: 20, remediate: ClearTemp}}"),
        (Kind::Monitors, "monitors: {Web: {targets: [A], http: {url: 'https://x/', expires: 21d}, every: 1m, confirm: {failures: 3}}}"),
        (Kind::Monitors, "Db: {services: {postgresql: {restart: 3, dependsOn: [net]}, cron: }, severity: critical}"),
        (Kind::Workflows, "W: {trigger: 'Schedule: Daily', steps: [{name: A, action: Install-Updates -Group Pilot, delay: 24h}]}"),
        (Kind::Workflows, "W: {steps: [{name: A, action: ServiceControl, with: {name: nginx, state: restart}}, {name: B, approval: {}}]}"),
        (Kind::Workflows, "W: {trigger: {schedule: {cron: 0 2 * * *}}, steps: [{name: A, action: Reboot, on: '*', onFailure: {run: X}}]}"),
        (Kind::Notifications, "rules: [{name: A, condition: {severity: '>= High'}, channels: [Teams], delay: 300}]"),
        (Kind::Devices, "devices: {a: {address: 192.0.2.1}}"),
        (Kind::Config, "{general: {organization: X}, notifications: {channels: {a: {type: email, server: smtp.example.com}}}}"),
    ] {
        let document: serde_json::Value = serde_yaml::from_str(text).unwrap();
        let errors: Vec<String> = validator(kind).iter_errors(&document).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{text}: {errors:?}");
    }
}

#[test]
fn every_schema_rejects_what_the_program_refuses() {
    for (kind, text) in [
        (Kind::Policies, "P: {targets: '*', settings: {WindowsFirewall: Enabld}}"),
        (Kind::Policies, "P: {targets: '*', settings: {PasswordMinLength: many}}"),
        (Kind::Policies, "P: {targets: '*', settings: {PasswordMinLenght: 12}}"),
        (Kind::Policies, "P: {targets: '*', settings: {Services: {sshd: {state: runing}}}}"),
        (Kind::Policies, "P: {settings: {}}"),
        (Kind::Thresholds, "CPU: {warnung: 80}"),
        (Kind::Thresholds, "CPU: {warning: high}"),
        (Kind::Thresholds, "X: {metric: Memroy, warning: 80}"),
        (Kind::Monitors, "A: {pin: {}}"),
        (Kind::Monitors, "A: {tcp: {port: high}}"),
        (Kind::Monitors, "A: {services: {x: {restarts: 3}}}"),
        (Kind::Workflows, "W: {steps: [{name: A, action: Instal-Updates}]}"),
        (Kind::Workflows, "W: {steps: [{name: A, action: ServiceControl, with: {name: nginx, state: kick}}]}"),
        (Kind::Workflows, "W: {steps: [{name: A, action: ServiceControl}]}"),
        (Kind::Workflows, "W: {steps: [{action: Reboot}]}"),
        (Kind::Notifications, "rules: {A: {channels: []}}"),
        (Kind::Notifications, "rulez: []"),
        (Kind::Devices, "devices: {a: {adress: 192.0.2.1}}"),
        (Kind::Config, "{general: {organisation: X}}"),
        (Kind::Config, "{notifications: {channels: {a: {type: pigeon}}}}"),
    ] {
        let document: serde_json::Value = serde_yaml::from_str(text).unwrap();
        assert!(!validator(kind).is_valid(&document), "the schema of {} takes {text}", kind.name());
    }
}

#[test]
fn the_policies_of_the_examples_keep_to_their_schema() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart/policies");
    let validator = validator(Kind::Policies);
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let document: serde_json::Value = serde_yaml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let errors: Vec<String> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", path.display());
    }
}
