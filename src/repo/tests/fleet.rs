use super::*;

#[test]
fn sites_groups_and_devices_may_stand_in_one_file_or_several() {
    let set = good(&[
        (
            "devices.yaml",
            "sites: {Berlin: {siteId: b1}}\ngroups:\n  Web: {parent: All, members: [ws-2]}\n  All:\ndevices:\n  ws-1: {site: b1, groups: [Web]}\n",
        ),
        ("devices/more.yaml", "ws-2:\n  address: 192.0.2.2\n"),
        ("devices/wrapped.json", "{\"devices\": {\"ws-3\": {}}}"),
    ]);
    assert_eq!(set.devices.keys().collect::<Vec<_>>(), ["ws-1", "ws-2", "ws-3"]);
    assert_eq!(set.devices["ws-1"].site.as_deref(), Some("Berlin"));
    assert_eq!(set.devices["ws-3"].site.as_deref(), Some("Main"));
    assert_eq!(set.devices["ws-2"].groups, ["Web"]);
    assert_eq!(set.devices["ws-2"].place.to_string(), "devices/more.yaml:1");
}

#[test]
fn the_nearest_connection_and_the_nearest_variable_win() {
    let text = "sites: {B: {connection: {user: site, port: 1}, vars: {a: 1, b: 1, c: 1, d: 1}}}
groups:
  Parent: {connection: {port: 2, knownHosts: p}, vars: {a: 2, b: 2, c: 2}}
  First: {parent: Parent, connection: {port: 3}, vars: {a: 3, b: 3}}
devices: {x: {site: B, groups: [First], vars: {a: 4}}}
";
    let set = good(&[("devices.yaml", text)]);
    let device = &set.devices["x"];
    let connection = set.connection(device);
    assert_eq!((connection.user.as_deref(), connection.port, connection.known_hosts.as_deref()), (Some("site"), Some(3), Some("p")));
    assert_eq!(json!(set.vars(device, [])), json!({"a": 4, "b": 3, "c": 2, "d": 1}));
}

#[test]
fn an_unknown_key_of_a_device_and_of_its_connection_have_places_and_suggestions() {
    let (spot, message, advice) = one(&[("devices.yaml", "devices:\n  ws-1:\n    adress: 192.0.2.1\n")]);
    assert_eq!((spot.as_str(), message.as_str()), ("RMM0102 devices.yaml:3:5", "unknown key 'adress'"));
    assert_eq!(advice, "did you mean 'address'?");
    let (spot, _, advice) = one(&[("devices.yaml", "ws-1: {connection: {identityFile: x}}\n")]);
    assert_eq!((spot.as_str(), advice.as_str()), ("RMM0102 devices.yaml:1:21", "did you mean 'identityFiles'?"));
}

#[test]
fn wrong_values_of_a_device_say_what_is_expected() {
    for (text, spot, message) in [
        ("ws-1: {os: linus}", "RMM0103 devices.yaml:1:12", "expected 'linux', 'windows' or 'macos', found text 'linus'"),
        ("ws-1: {groups: Web}", "RMM0103 devices.yaml:1:16", "expected a list, found text 'Web'"),
        ("ws-1: {connection: {port: abc}}", "RMM0103 devices.yaml:1:27", "expected a whole number, found text 'abc'"),
        ("ws-1: {connection: {port: 70000}}", "RMM0103 devices.yaml:1:27", "expected a number of at most 65535, found number 70000"),
        ("ws-1: 5", "RMM0103 devices.yaml:1:7", "expected a map that describes the device 'ws-1', found number 5"),
        ("ws-1: {connection: {password: hunter}}", "RMM0103 devices.yaml:1:31", "expected {secret: NAME}, found a plain value"),
        ("ws-1: {address: 'a b'}", "RMM0103 devices.yaml:1:17", "an address cannot hold spaces or control characters"),
    ] {
        let (found, words, _) = one(&[("devices.yaml", text)]);
        assert_eq!((found.as_str(), words.as_str()), (spot, message), "{text}");
    }
}

#[test]
fn all_problems_of_all_files_are_reported_in_one_run() {
    let files = [
        ("devices.yaml", "a: {os: x, prot: 1}\nb: {site: 5}\n"),
        ("policies/p.yaml", "P: {settings: {Timezon: UTC}}\n"),
        ("rmm.toml", "x = 1\n"),
    ];
    let expected = ["RMM0103 devices.yaml:1:9", "RMM0102 devices.yaml:1:12", "RMM0103 devices.yaml:2:11"];
    let policies = ["RMM0113 policies/p.yaml:1:1", "RMM0109 policies/p.yaml:1:16", "RMM0102 rmm.toml:1:1"];
    assert_eq!(spots(&read(&files)), [expected, policies].concat());
}

#[test]
fn a_name_that_is_declared_twice_shows_both_places() {
    let loaded = read(&[("devices/a.yaml", "x:\nws-1:\n"), ("devices/b.yaml", "ws-1:\n")]);
    assert_eq!(spots(&loaded), ["RMM0107 devices/b.yaml:1:1"]);
    assert_eq!(loaded.problems[0].related[0].0.to_string(), "devices/a.yaml:2");
}

#[test]
fn unknown_names_have_suggestions() {
    let text = "groups: {Web: {parent: Webs, members: [ws-9]}}\nsites: {Berlin: }\ndevices: {ws-1: {groups: [Wep], site: Berlim}}\n";
    let loaded = read(&[("devices.yaml", text)]);
    let expected = ["RMM0108 devices.yaml:1:24", "RMM0108 devices.yaml:1:40", "RMM0108 devices.yaml:3:27", "RMM0108 devices.yaml:3:39"];
    assert_eq!(spots(&loaded), expected);
    assert!(loaded.problems.iter().all(|p| p.advice.as_deref().unwrap().starts_with("did you mean")), "{:?}", loaded.problems);
}

#[test]
fn groups_that_contain_one_another_are_shown_as_a_circle() {
    let (spot, message, _) = one(&[("devices.yaml", "groups:\n  A: {parent: B}\n  B: {parent: A}\n  C: {parent: B}\n")]);
    assert_eq!((spot.as_str(), message.as_str()), ("RMM0111 devices.yaml:2:15", "groups contain one another in a circle: A > B > A"));
    assert_eq!(one(&[("devices.yaml", "groups:\n  A: {match: {group: B}}\n  B: {match: A}\n")]).0, "RMM0111 devices.yaml:2:14");
    assert_eq!(one(&[("devices.yaml", "groups:\n  A: {parent: B}\n  B: {match: B}\n")]).0, "RMM0111 devices.yaml:3:14");
}

#[test]
fn a_misspelt_section_is_no_device() {
    let (spot, _, advice) = one(&[("devices.yaml", "device:\n  ws-1: {address: x}\n")]);
    assert_eq!((spot.as_str(), advice.as_str()), ("RMM0102 devices.yaml:1:1", "did you mean 'devices'?"));
    assert_eq!(one(&[("devices.yaml", "devices: {}\nsite: {}\n")]).0, "RMM0102 devices.yaml:2:1");
}

#[test]
fn an_item_of_a_list_needs_a_name() {
    assert_eq!(one(&[("sites.json", "{\"sites\": [{\"siteId\": \"x\"}]}")]).0, "RMM0113 sites.json:1:12");
}

#[test]
fn the_spelling_of_exports_is_accepted() {
    let set = good(&[("sites.yaml", "sites: [{SiteId: s1, Name: One, DirectConnect: true}]")]);
    assert_eq!((set.sites["One"].site_id.as_deref(), set.sites["One"].direct_connect), (Some("s1"), Some(true)));
}

#[test]
fn ten_thousand_misspelt_names_are_all_reported() {
    use std::fmt::Write as _;
    let mut text = String::from("groups: {Web: }\ndevices:\n");
    for i in 0..10_000 {
        writeln!(text, "  ws-{i}: {{groups: [Weeb]}}").unwrap();
    }
    assert_eq!(read(&[("devices.yaml", &text)]).problems.len(), 10_000);
}
