use super::Fleet;

#[test]
fn every_kind_of_file_has_a_schema_and_a_place_in_the_catalogue() {
    let fleet = Fleet::nothing();
    let kinds = fleet.rmm(&["schema", "--output", "json"]).code(0).json();
    let items = kinds["items"].as_array().unwrap();
    assert_eq!(items.len(), 8);
    for item in items {
        let schema = fleet.rmm(&["schema", item["kind"].as_str().unwrap()]).code(0).json();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    }
    let catalogue = fleet.rmm(&["schema", "--catalog", "--base-url", "https://example.com/s/"]).code(0).json();
    assert_eq!(catalogue["schemas"].as_array().unwrap().len(), 8);
    assert_eq!(catalogue["schemas"][2]["url"], "https://example.com/s/policies.json");
    fleet.rmm(&["schema", "polices"]).code(3);
}

#[test]
fn the_settings_and_actions_of_a_team_are_part_of_its_schemas() {
    let fleet = Fleet::small();
    fleet.write(
        "scripts/motd.rhai",
        "//! setting: TeamMotd\n//! summary: A text.\n//! platforms: [linux]\n//! value: {type: string}\n//! observe: software.motd\n",
    );
    fleet.write(
        "scripts/restart.rhai",
        "//! action: RestartApp\n//! summary: Restarts it.\n//! platforms: [linux]\n\nfn run(device, params) { device.run([\"app\"]); }\n",
    );
    fleet.rmm(&["schema", "policies"]).code(0).says("TeamMotd");
    fleet.rmm(&["schema", "workflows"]).code(0).says("RestartApp");
    fleet.rmm(&["explain", "RestartApp"]).code(0).says("scripts/restart.rhai");
}
