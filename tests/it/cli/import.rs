use std::collections::BTreeMap;

use super::Fleet;

const INI: &str = "\
# Servers of the shop
mail.example.com

[web]
web[01:03].example.com  ansible_user=deploy http_port=8080
192.0.2.50:2222         ; the odd one

[db]
db-[a:b] ansible_host=192.0.2.10 ansible_ssh_private_key_file=~/.ssh/db ansible_password=hunter2

[shop:children]
web
db

[shop:vars]
ansible_become=true
region='eu central'
";

fn repository() -> Fleet {
    let fleet = Fleet::nothing();
    fleet.write("rmm.toml", "");
    fleet
}

#[test]
fn an_ini_inventory_becomes_devices_and_groups_that_validate_and_are_canonical() {
    let fleet = repository();
    fleet.write("ansible/hosts.ini", &INI.replace("         ; the odd one", ""));
    fleet.write("ansible/group_vars/web.yml", "---\nhttp_port: 80\nsite_title: 'It''s ours'\ndb_password: hunter2\n");
    fleet.write("ansible/host_vars/db-a/main.yml", "role: primary\n");
    fleet.write("ansible/host_vars/db-b.yml", "$ANSIBLE_VAULT;1.1;AES256\n6162\n");
    let args = ["import", "--from", "ansible", "ansible/hosts.ini"];
    fleet.rmm(&args).code(6).says("web02.example.com").complains("needs a confirmation");
    assert!(!fleet.path("devices/imported.yaml").exists());
    let done =
        fleet.rmm(&[&args[..], &["--yes"]].concat()).code(0).complains("ansible_password is left out").complains("Imported 7 devices");
    assert!(!done.err.contains("hunter2"), "{}", done.err);
    let written = fleet.read("devices/imported.yaml");
    assert!(!written.contains("hunter2") && !written.contains("6162"), "{written}");
    fleet.rmm(&["validate"]).code(0).says("7 devices");
    fleet.rmm(&["fmt", "--check"]).code(0);
    let shown = fleet.rmm(&["devices", "show", "db-a", "--output", "json"]).code(0).json();
    assert_eq!(shown["address"], "192.0.2.10");
    assert_eq!(shown["vars"], serde_json::json!({"region": "eu central", "role": "primary"}));
    assert_eq!(shown["connection"]["elevate"], "sudo");
    assert_eq!(shown["connection"]["identityFiles"], serde_json::json!(["~/.ssh/db"]));
    assert_eq!(shown["groups"], serde_json::json!(["db", "shop"]));
    let web = fleet.rmm(&["devices", "show", "web01.example.com", "--output", "json"]).code(0).json();
    assert_eq!(web["vars"]["http_port"], 8080);
    assert_eq!(web["vars"]["site_title"], "It's ours");
    // A second time everything exists already, and nothing is overwritten.
    fleet.rmm(&[&args[..], &["--yes"]].concat()).code(4).complains("RMM0204").complains("hosts.ini:5");
    assert_eq!(fleet.read("devices/imported.yaml"), written);
}

#[test]
fn a_yaml_inventory_is_read_with_its_nested_groups() {
    let fleet = repository();
    let inventory = "\
all:
  hosts:
    bastion.example.com:
  children:
    berlin:
      vars: {ansible_user: ops, timezone: Europe/Berlin}
      children:
        berlin_web:
          hosts:
            b-web[1:2]: {ansible_port: 2200}
    ungrouped: {}
";
    fleet.write("hosts.yml", inventory);
    fleet.rmm(&["import", "--from", "ansible", "hosts.yml", "--yes"]).code(0).complains("Imported 3 devices");
    fleet.rmm(&["validate"]).code(0);
    let shown = fleet.rmm(&["devices", "show", "b-web2", "--output", "json"]).code(0).json();
    assert_eq!(shown["connection"]["port"], 2200);
    assert_eq!(shown["connection"]["user"], "ops");
    assert_eq!(shown["groups"], serde_json::json!(["berlin", "berlin_web"]));
}

#[test]
fn every_mistake_of_an_inventory_is_reported_and_nothing_is_written() {
    let fleet = repository();
    fleet.write("hosts.ini", "[web]\nweb[9:1]\nweb-1 stray\n[web:wars]\n");
    let wrong = fleet.rmm(&["import", "--from", "ansible", "hosts.ini", "--yes"]).code(4);
    let wrong = wrong.complains("hosts.ini:2").complains("hosts.ini:3").complains("hosts.ini:4");
    assert_eq!(wrong.out, "");
    assert!(!fleet.path("devices").exists());
}

#[test]
fn a_program_is_not_run_as_an_inventory() {
    use std::os::unix::fs::PermissionsExt as _;
    let fleet = repository();
    fleet.write("inventory.sh", "#!/bin/sh\ntouch ran\n");
    std::fs::set_permissions(fleet.path("inventory.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    fleet.rmm(&["import", "--from", "ansible", "inventory.sh", "--yes"]).code(3).complains("dynamic inventories are not run");
    assert!(!fleet.path("ran").exists());
}

#[test]
fn a_csv_file_goes_the_same_way_as_with_devices_import() {
    let csv = "name,address,groups\nweb-1,192.0.2.1,Web\n";
    let written = |args: &[&str]| {
        let fleet = repository();
        fleet.write("devices.csv", csv);
        fleet.rmm(&[args, &["devices.csv", "--create-missing", "--yes"]].concat()).code(0);
        fleet.read("devices/imported.yaml")
    };
    assert_eq!(written(&["import", "--from", "csv"]), written(&["devices", "import"]));
}

/// A repository without policies that has this machine as a device, named so that no fact holds its name.
fn machine() -> Fleet {
    let fleet = repository();
    fleet.write(
        "devices.yaml",
        "groups:\n  Pilots: {}\n\ndevices:\n  reference-1:\n    groups: [Pilots]\n    connection: {transport: local}\n",
    );
    fleet
}

/// States of the policy's settings in a plan from what is known.
fn states(fleet: &Fleet, policy: &str) -> BTreeMap<String, String> {
    let plan = fleet.rmm(&["plan", "--compliant", "--refresh", "never", "--output", "json"]).code(0).json();
    let changes = plan["devices"].as_array().unwrap().iter().flat_map(|device| device["changes"].as_array().unwrap().clone());
    let own = changes.filter(|change| change["policy"] == policy);
    own.map(|c| {
        let key = c["key"].as_str().map(|key| format!(".{key}")).unwrap_or_default();
        (format!("{}{key}", c["setting"].as_str().unwrap()), c["state"].as_str().unwrap().to_owned())
    })
    .collect()
}

#[test]
fn this_machine_becomes_a_policy_that_it_meets() {
    let fleet = machine();
    fleet.write("probe.txt", "x\n");
    let file = format!("Files.{}", fleet.path("probe.txt").display());
    let args = ["import", "--from-device", "reference-1", "--include", &file, "--include", "Packages", "--include", "Users.root"];
    fleet.rmm(&args).code(6).says("Users.root").complains("needs a confirmation");
    fleet.rmm(&[&args[..], &["--dry-run"]].concat()).code(0).complains("nothing was written");
    assert!(!fleet.path("policies").exists());
    fleet.rmm(&[&args[..], &["--yes"]].concat()).code(0).complains("Wrote").complains("policies/reference-1.yaml");
    let text = fleet.read("policies/reference-1.yaml");
    assert!(text.contains("remediate: false") && text.contains("device: reference-1"), "{text}");
    fleet.rmm(&["validate"]).code(0).says("1 policy");
    fleet.rmm(&["fmt", "--check"]).code(0);
    let states = states(&fleet, "reference-1");
    assert!(states.contains_key(&file) && states.contains_key("Users.root"), "{states:?}");
    assert!(states.keys().any(|label| label.starts_with("Packages.")), "{states:?}");
    assert!(states.values().all(|state| state == "compliant"), "{states:?}");
    // Every value of the file is in the plan.
    assert_eq!(fleet.rmm(&["validate", "--format", "json"]).json()["valid"], true);
    fleet.rmm(&["audit", "list"]).code(0).says("policy.imported");
    // What is there is never written over.
    fleet.rmm(&[&args[..], &["--yes"]].concat()).code(6).complains("RMM0563").complains("exists already");
    assert_eq!(fleet.read("policies/reference-1.yaml"), text);
    // And what changes afterwards is found.
    std::fs::set_permissions(fleet.path("probe.txt"), std::os::unix::fs::PermissionsExt::from_mode(0o601)).unwrap();
    fleet.rmm(&["plan", "--refresh", "always"]).code(0).says("probe.txt").says("report only");
}

#[test]
fn a_policy_of_a_device_is_for_a_group_where_one_is_named() {
    let fleet = machine();
    let args = ["import", "--from-device", "reference-1", "--include", "Users.root", "--yes"];
    fleet.rmm(&[&args[..], &["--target", "Pilot"]].concat()).code(3).complains("did you mean 'Pilots'?");
    fleet.rmm(&[&args[..], &["--target", "Pilots", "--name", "Gold Image"]].concat()).code(0);
    let text = fleet.read("policies/gold-image.yaml");
    assert!(text.contains("Gold Image:") && text.contains("Pilots"), "{text}");
    fleet.rmm(&["fmt", "--check"]).code(0);
    assert!(states(&fleet, "Gold Image").values().all(|state| state == "compliant"));
    // A second import finds what the first one sets, and says so.
    fleet
        .rmm(&["import", "--from-device", "reference-1", "--include", "Users.root", "--dry-run", "-v"])
        .complains("Users.root: Gold Image sets it already");
}

#[test]
fn what_an_import_from_a_device_cannot_do_is_said() {
    let fleet = machine();
    let import = |more: &[&str]| fleet.rmm(&[&["import", "--from-device", "reference-1"], more].concat());
    import(&["--include", "Sevices"]).code(3).complains("did you mean 'Services'?");
    import(&["--include", "AuthorizedKeys.root"]).code(3).complains("RMM0563");
    import(&["--refresh", "never"]).code(1).complains("RMM0311");
    fleet.rmm(&["import", "--from-device", "reference-2"]).code(3).complains("did you mean 'reference-1'?");
    fleet.rmm(&["import", "--from-device", "reference-1", "devices.csv"]).code(3);
    fleet.rmm(&["import", "devices.csv"]).code(3);
    assert!(!fleet.path("policies").exists());
    // A name that looks like a path stays a name.
    import(&["--name", "../../x", "--include", "Users.root", "--yes"]).code(0).complains("policies/x.yaml");
    assert!(fleet.read("policies/x.yaml").contains("../../x:"));
}
