use std::fmt::Write as _;

use super::*;

fn known() -> Known {
    let place = Place { file: "devices.yaml".into(), line: 7, column: 1, length: 1 };
    Known {
        devices: BTreeMap::from([("old".to_owned(), place)]),
        groups: BTreeSet::from(["Web".to_owned(), "DB".to_owned()]),
        sites: BTreeSet::from(["Berlin".to_owned()]),
        create_missing: false,
    }
}

fn read(csv: &str) -> Result<Vec<Device>, Vec<Diagnostic>> {
    import(csv.as_bytes(), "d.csv", &known())
}

/// Code, line and message of each problem.
fn problems(csv: &str) -> Vec<(String, u32, String)> {
    read(csv).unwrap_err().into_iter().map(|p| (p.code, p.place.unwrap().line, p.message)).collect()
}

#[test]
fn a_spreadsheet_export_is_read_with_mark_quotes_and_windows_line_ends() {
    let csv = "\u{feff}Hostname,Address,OS,Site,Groups,Tags,Transport,User,Port,Identity File,custom:Owner,var:ntp\r\n\
               web-1,192.0.2.1,Linux,Berlin,Web; DB,\"a;b\",ssh,admin,2222,~/.ssh/id,\"Kim, \"\"K\"\"\",ntp.example\r\n\r\nweb-2,,,,,,,,,,,\r\n";
    let devices = read(csv).unwrap();
    assert_eq!(devices.len(), 2);
    let web = &devices[0];
    assert_eq!((web.name.as_str(), web.os, web.groups.len(), web.tags.len()), ("web-1", Some(Platform::Linux), 2, 2));
    assert_eq!((web.connection.port, web.connection.identity_files.as_slice()), (Some(2222), &["~/.ssh/id".to_owned()][..]));
    assert_eq!((&web.custom_fields["Owner"], &web.vars["ntp"]), (&Value::from("Kim, \"K\""), &Value::from("ntp.example")));
    assert_eq!(devices[1].place.line, 4);
}

#[test]
fn a_semicolon_as_separator_is_seen_from_the_header() {
    assert_eq!(read("name;groups\na;\"Web;DB\"\n").unwrap()[0].groups, ["Web", "DB"]);
}

#[test]
fn a_broken_line_in_the_middle_is_named_and_the_lines_after_it_are_still_checked() {
    let found = problems("name,port\na,22\nb,\"22\nc,99999\nd,22,x\ne,22\n");
    let expected = [
        ("RMM0203".to_owned(), 3, "a quoted field is not closed on its line".to_owned()),
        ("RMM0203".to_owned(), 4, "'99999' is no port; write a number from 1 to 65535".to_owned()),
        ("RMM0203".to_owned(), 5, "the line has 3 fields, the header has 2".to_owned()),
    ];
    assert_eq!(found, expected);
}

#[test]
fn unknown_columns_have_suggestions() {
    let found = read("name,adress\na,b\n").unwrap_err();
    assert_eq!((found[0].code.as_str(), found[0].advice.as_deref()), ("RMM0202", Some("did you mean 'address'?")));
    assert_eq!(found[0].place.as_ref().unwrap().column, 6);
    assert_eq!(problems("address\nx\n")[0].2, "the column 'name' is missing");
    assert_eq!(problems("name,Hostname\nx,y\n")[0].2, "the column 'Hostname' stands twice");
}

#[test]
fn names_that_exist_already_show_both_lines() {
    let found = read("name\na\nold\na\n").unwrap_err();
    let places: Vec<_> = found.iter().map(|p| (p.place.as_ref().unwrap().to_string(), p.related[0].0.to_string())).collect();
    assert_eq!(places, [("d.csv:3".into(), "devices.yaml:7".to_owned()), ("d.csv:4".to_owned(), "d.csv:2".into())]);
}

#[test]
fn unknown_groups_and_sites_are_errors_unless_they_are_to_be_created() {
    let csv = "name,site,groups\na,Berln,Web;Wbe\n";
    let found = read(csv).unwrap_err();
    assert_eq!(found.iter().map(|p| p.message.as_str()).collect::<Vec<_>>(), ["there is no site 'Berln'", "there is no group 'Wbe'"]);
    let lenient = Known { create_missing: true, ..known() };
    let devices = import(csv.as_bytes(), "d.csv", &lenient).unwrap();
    let (groups, sites) = undeclared(&devices, &lenient);
    assert_eq!(
        (groups.into_iter().collect::<Vec<_>>(), sites.into_iter().collect::<Vec<_>>()),
        (vec!["Wbe".to_owned()], vec!["Berln".to_owned()])
    );
}

#[test]
fn other_encodings_are_named() {
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain("name\n".encode_utf16().flat_map(u16::to_le_bytes)).collect();
    assert!(import(&utf16, "d.csv", &known()).unwrap_err()[0].message.contains("UTF-16"));
    assert!(import(&utf16[2..], "d.csv", &known()).unwrap_err()[0].message.contains("UTF-16"));
    let latin = import(b"name\na\nB\xfcro\n", "d.csv", &known()).unwrap_err();
    assert!(latin[0].message.contains("Latin-1") && latin[0].place.as_ref().unwrap().line == 3);
}

#[test]
fn an_empty_file_and_a_too_large_one_are_refused() {
    assert_eq!(problems("\n\n")[0].0, "RMM0201");
    assert_eq!(import(&vec![b'a'; MAX_BYTES + 1], "d.csv", &known()).unwrap_err()[0].code, "RMM0205");
    let many = (0..=MAX_ROWS).fold(String::from("name\n"), |mut text, i| {
        writeln!(text, "d{i}").unwrap();
        text
    });
    assert_eq!(problems(&many)[0].0, "RMM0205");
}

#[test]
fn names_and_addresses_are_checked() {
    for csv in
        ["name\n*\n", "name,port\n,1\n", "name,address\na,x y\n", "name,os\na,linus\n", "name,transport\na,telnet\n", "name,port\na,0\n"]
    {
        assert_eq!(problems(csv)[0].0, "RMM0203", "{csv}");
    }
}

#[test]
fn an_export_reads_back_and_runs_no_formula() {
    let mut device = Device { name: "a".into(), address: Some("192.0.2.1".into()), ..Device::default() };
    device.groups = vec!["Web".into(), "DB".into()];
    device.custom_fields.insert("note".into(), "=cmd|' /C calc'!A0".into());
    device.custom_fields.insert("sum".into(), "-1, \"2\"".into());
    device.vars.insert("x".into(), "+1".into());
    let csv = export([&device]);
    for line in csv.lines() {
        for field in line.split(',') {
            assert!(!dangerous(field.trim_start_matches('"')), "{field}");
        }
    }
    device.place = Place { file: "d.csv".into(), line: 2, column: 0, length: 0 };
    assert_eq!(import(csv.as_bytes(), "d.csv", &known()).unwrap(), [device]);
}

#[test]
fn the_example_is_valid() {
    let known = Known { create_missing: true, ..Known::default() };
    assert_eq!(import(include_bytes!("../../../examples/devices.csv"), "devices.csv", &known).unwrap().len(), 10);
}

proptest::proptest! {
    #[test]
    fn no_input_makes_the_import_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200), text in "[a-z,;\"\n\r'=]{0,100}") {
        let _ = import(&bytes, "d.csv", &known());
        let _ = import(format!("name,groups\n{text}").as_bytes(), "d.csv", &known());
    }
}
