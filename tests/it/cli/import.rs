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
