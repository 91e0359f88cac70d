use super::{About, Imported, Source, range, read};

fn source(path: &str, text: &str, about: About) -> Source {
    Source { path: path.into(), text: text.into(), about }
}

fn ini(text: &str) -> Imported {
    read(&[source("hosts.ini", text, About::Inventory)]).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn names(imported: &Imported) -> Vec<&str> {
    imported.devices.iter().map(|device| device.name.as_str()).collect()
}

#[test]
fn ranges_of_numbers_letters_and_steps_stand_for_names() {
    let all = |pattern: &str| range::expand(pattern).unwrap().join(" ");
    assert_eq!(all("web[01:03].example.com"), "web01.example.com web02.example.com web03.example.com");
    assert_eq!(all("db-[a:c]"), "db-a db-b db-c");
    assert_eq!(all("n[1:9:4]"), "n1 n5 n9");
    assert_eq!(all("r[1:2]-[a:b]"), "r1-a r1-b r2-a r2-b");
    assert_eq!(all("n[8:11]"), "n8 n9 n10 n11");
    for bad in ["w[1:", "w[3:1]", "w[a:3]", "w[01:100]", "w[1:2:0]", "w[1:999999999]"] {
        assert!(range::expand(bad).is_err(), "{bad}");
    }
}

#[test]
fn hosts_groups_children_and_variables_of_an_ini_file_are_taken_over() {
    let imported = ini("\
mail.example.com ansible_port=2222   # alone

[web]
web[01:02] ansible_host=192.0.2.1 http_port=80 motd='hello there'
badwolf.example.com:5309

[db:vars]
ansible_user=postgres
ansible_become=yes
tier=\"gold\"

[db]
db-1

[production:children]
web
db
");
    assert_eq!(names(&imported), ["badwolf.example.com", "db-1", "mail.example.com", "web01", "web02"]);
    let device = |name: &str| imported.devices.iter().find(|d| d.name == name).unwrap();
    assert_eq!(device("mail.example.com").connection.port, Some(2222));
    assert_eq!(device("badwolf.example.com").connection.port, Some(5309));
    assert_eq!(device("web01").address.as_deref(), Some("192.0.2.1"));
    assert_eq!(device("web01").vars["http_port"], 80);
    assert_eq!(device("web01").vars["motd"], "hello there");
    assert_eq!(device("web01").groups, ["web"]);
    let db = &imported.groups["db"];
    assert_eq!(db.parent.as_deref(), Some("production"));
    assert_eq!(db.connection.user.as_deref(), Some("postgres"));
    assert_eq!(db.vars["tier"], "gold");
    assert!(imported.left_out.is_empty(), "{:?}", imported.left_out);
}

#[test]
fn secrets_templates_and_what_has_no_counterpart_are_named_and_left_out() {
    let yaml = "\
all:
  vars:
    ansible_user: deploy
  children:
    web:
      hosts:
        web-1:
          ansible_password: hunter2
          api_token: !vault |
            $ANSIBLE_VAULT;1.1;AES256
            6162
          url: \"https://{{ inventory_hostname }}\"
          db: {name: x, password: hunter2}
          ansible_python_interpreter: /usr/bin/python3
          ansible_ssh_common_args: '-o ProxyJump=ops@jump.example.com'
";
    let imported = read(&[source("hosts.yaml", yaml, About::Inventory)]).unwrap();
    assert_eq!(imported.groups["all"].connection.user.as_deref(), Some("deploy"));
    assert_eq!(imported.groups["web"].parent.as_deref(), Some("all"));
    let web = &imported.devices[0];
    assert_eq!(web.connection.proxy_jump, ["ops@jump.example.com"]);
    assert!(web.vars.is_empty(), "{:?}", web.vars);
    let told: String = imported.left_out.iter().map(|p| format!("{p} {:?}\n", p.advice)).collect();
    for name in ["ansible_password", "api_token", "url", "db", "ansible_python_interpreter"] {
        assert!(told.contains(&format!(": {name} is left out")), "{name} in {told}");
    }
    assert!(!told.contains("hunter2") && !told.contains("6162"), "{told}");
}

#[test]
fn where_groups_disagree_the_device_has_the_value_that_ansible_would_take() {
    let imported = ini("[a]\nh\n[b]\nh\n[a:vars]\nx=1\n[b:vars]\nx=2\n[top:children]\na\n[top:vars]\ny=1\n[other:children]\na\n");
    let device = &imported.devices[0];
    // Farther down wins: a is a child, b is not.
    assert_eq!(device.vars["x"], 1);
    // Of groups equally far down the last by name wins.
    assert_eq!(ini("[a]\nh\n[b]\nh\n[a:vars]\nx=1\n[b:vars]\nx=2\n").devices[0].vars["x"], 2);
    assert!(!device.vars.contains_key("y"));
    // A group with two parents: its hosts are members of the second one by name.
    assert_eq!(imported.groups["a"].parent.as_deref(), Some("top"));
    assert_eq!(device.groups, ["a", "b", "other"]);
}

#[test]
fn files_of_variables_win_over_the_inventory_and_encrypted_ones_are_left_out() {
    let sources = [
        source("hosts", "[web]\nweb-1 x=1\n[web:vars]\ny=1\n", About::Inventory),
        source("group_vars/web.yml", "y: 2\n", About::Group("web".into())),
        source("host_vars/web-1/a.yml", "x: 2\n", About::Host("web-1".into())),
        source("group_vars/all/vault.yml", "$ANSIBLE_VAULT;1.1;AES256\n61\n", About::Group("all".into())),
        source("host_vars/gone.yml", "x: 2\n", About::Host("gone".into())),
    ];
    let imported = read(&sources).unwrap();
    assert_eq!(imported.groups["web"].vars["y"], 2);
    assert_eq!(imported.devices[0].vars["x"], 2);
    assert_eq!(imported.left_out.len(), 2, "{:?}", imported.left_out);
}

#[test]
fn everything_that_is_wrong_is_reported_by_line() {
    let text =
        "[web]\nweb[5:1]\nok stray\n[web:wars]\nx\n[db:vars]\nnothing\n[db]\ndb ansible_port=none\n[a:children]\nb\n[b:children]\na\n";
    let problems = read(&[source("hosts.ini", text, About::Inventory)]).unwrap_err();
    let lines: Vec<u32> = problems.iter().map(|p| p.place.as_ref().unwrap().line).collect();
    assert_eq!(&lines[..4], [2, 3, 4, 7], "{problems:#?}");
    assert!(problems.iter().all(|p| p.code == "RMM0561"));
    let plugin = read(&[source("aws.yml", "plugin: aws_ec2\n", About::Inventory)]).unwrap_err();
    assert!(plugin[0].message.contains("not run"), "{plugin:?}");
}
