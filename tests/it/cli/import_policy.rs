//! Lists of others as policies, through the real binary.

use super::Fleet;

const LIST: &str = "\
ID,Category,Name,Method,MethodArgument,RegistryPath,RegistryItem,ClassName,Namespace,Property,DefaultValue,RecommendedValue,Operator,Severity
1,Network,Multicast names,Registry,,HKLM:\\Software\\Policies\\Microsoft\\Windows NT\\DNSClient,EnableMulticast,,,,1,0,=,Medium
2,Rights,Debug programs,accesschk,SeDebugPrivilege,,,,,,,BUILTIN\\Administrators,=,Medium
3,Other,Language mode,LanguageMode,,,,,,,FullLanguage,ConstrainedLanguage,=,Low
4,Accounts,Account lockout threshold,accountpolicy,,,,,,,Never,5,<=!0,Low
";

fn repository() -> Fleet {
    let fleet = Fleet::nothing();
    fleet.write("rmm.toml", "");
    fleet.write("finding_list_ours.csv", LIST);
    fleet
}

#[test]
fn a_hardening_list_becomes_a_policy_that_only_reports() {
    let fleet = repository();
    let args = ["import", "--from", "hardeningkitty", "finding_list_ours.csv"];
    fleet
        .rmm(&[&args[..], &["--dry-run"]].concat())
        .code(0)
        .says("SeDebugPrivilege")
        .complains("warning[RMM0571]: 3 Language mode")
        .complains("finding_list_ours.csv:4")
        .complains("3 of 4 controls expressed")
        .complains("policies/ours.yaml would have 3 settings");
    assert!(!fleet.path("policies/ours.yaml").exists());
    fleet.rmm(&args).code(6).complains("needs a confirmation");
    fleet.rmm(&[&args[..], &["--yes"]].concat()).code(0).complains("Wrote 3 settings into policies/ours.yaml");
    let text = fleet.read("policies/ours.yaml");
    assert!(text.starts_with("# yaml-language-server: $schema=../schemas/policies.json\n"), "{text}");
    assert!(text.contains("# 2 Debug programs\n") && text.contains("remediate: false"), "{text}");
    fleet.rmm(&["validate"]).code(0);
    fleet.rmm(&["fmt", "--check"]).code(0);
    // Never over another one.
    fleet.rmm(&[&args[..], &["--yes"]].concat()).code(6).complains("RMM0563");
    fleet.rmm(&[&args[..], &["--yes", "--name", "Second"]].concat()).code(0);
    fleet.rmm(&["audit", "list", "--output", "json"]).code(0).says("policy.imported");
}

#[test]
fn what_was_left_out_is_told_to_programs_too() {
    let fleet = repository();
    let told = fleet.rmm(&["import", "--from", "hardeningkitty", "finding_list_ours.csv", "--dry-run", "--output", "json"]).code(0).json();
    assert_eq!(
        (told["schema"].as_str(), told["controls"].as_u64(), told["expressed"].as_u64()),
        (Some("rmm.imported/1"), Some(4), Some(3))
    );
    assert_eq!(told["leftOut"][0]["line"].as_u64(), Some(4));
    assert_eq!(told["settings"][0]["key"].as_str(), Some("HKLM\\SOFTWARE\\Policies\\Microsoft\\Windows NT\\DNSClient!EnableMulticast"));
}

#[test]
fn a_group_may_be_named_and_has_to_exist() {
    let fleet = repository();
    fleet.write("devices.yaml", "groups: {Laptops: {members: []}}\n");
    let args = ["import", "--from", "hardeningkitty", "finding_list_ours.csv", "--yes", "--target"];
    fleet.rmm(&[&args[..], &["Laptop"]].concat()).code(3).complains("did you mean 'Laptops'?");
    fleet.rmm(&[&args[..], &["Laptops"]].concat()).code(0);
    assert!(fleet.read("policies/ours.yaml").contains("targets: [\"Laptops\"]"), "{}", fleet.read("policies/ours.yaml"));
    fleet.rmm(&["import", "--from", "csv", "x.csv", "--name", "A"]).code(3).complains("what becomes a policy");
}

#[test]
fn a_document_of_dsc_becomes_a_policy() {
    let fleet = repository();
    fleet.write(
        "web.dsc.yaml",
        "resources:\n- {name: print, type: Microsoft.Windows/Service, properties: {name: Spooler, status: Stopped, startType: Disabled}}\n\
         - {name: key, type: Microsoft.Windows/Registry, properties: {keyPath: 'HKLM\\Software\\X', _exist: true}}\n",
    );
    fleet
        .rmm(&["import", "--from", "dsc", "web.dsc.yaml", "--yes"])
        .code(0)
        .complains("warning[RMM0573]: key (Microsoft.Windows/Registry): it is about a key as a whole")
        .complains("1 of 2 controls expressed")
        .complains("Wrote 1 setting into policies/web.yaml");
    fleet.rmm(&["validate"]).code(0);
    fleet.write("other.yaml", "a: 1\n");
    fleet.rmm(&["import", "--from", "dsc", "other.yaml"]).code(4).complains("RMM0572");
    fleet.rmm(&["import", "--from", "hardeningkitty", "other.yaml"]).code(4).complains("RMM0570");
    let wide: Vec<u8> = LIST.encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(fleet.path("wide.csv"), wide).unwrap();
    fleet.rmm(&["import", "--from", "hardeningkitty", "wide.csv"]).code(4).complains("the file is written in UTF-16").complains("iconv");
    // A pipe that nobody writes to is not waited for.
    let made = std::process::Command::new("mkfifo").arg(fleet.path("pipe.csv")).status().unwrap();
    assert!(made.success());
    fleet.rmm(&["import", "--from", "hardeningkitty", "pipe.csv"]).code(1).complains("not a regular file");
}
