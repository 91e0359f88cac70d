use super::Fleet;

#[test]
fn each_setting_says_where_its_value_comes_from() {
    let fleet = Fleet::small();
    fleet.write("rmm.prod.toml", "[connections]\nssh_timeout = \"10s\"\n");
    let show = |args: &[&str]| fleet.rmm_with(&[("RMM_CONNECTIONS__MAX_CONCURRENT", "7")], args).code(0).out;
    let text = show(&["config", "show", "connections", "--env", "prod"]);
    insta::assert_snapshot!(text);
    assert!(show(&["config", "show", "--output", "csv"]).starts_with("key,value,from\n"));
}

#[test]
fn an_unknown_setting_is_a_usage_error_and_an_unknown_variable_a_configuration_error() {
    let fleet = Fleet::small();
    fleet.rmm(&["config", "show", "conections"]).code(3).complains("did you mean 'connections'?");
    fleet
        .rmm_with(&[("RMM_CONNECTIONS__MAX_CONCURENT", "7")], &["config", "show"])
        .code(4)
        .complains("RMM0117")
        .complains("did you mean 'max_concurrent'?");
    fleet.rmm(&["config"]).code(3);
}
