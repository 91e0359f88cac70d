use super::*;

fn with_env(environment: &[(&str, &str)]) -> Loaded {
    let mut options = options();
    options.environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    load_with(&[], &options)
}

#[test]
fn an_unknown_key_of_the_configuration_has_a_suggestion() {
    let (spot, message, advice) = one(&[("rmm.toml", "[connections]\nmax_concurent = 3\n")]);
    assert_eq!((spot.as_str(), message.as_str()), ("RMM0102 rmm.toml:2:1", "unknown key 'max_concurent'"));
    assert_eq!(advice, "did you mean 'max_concurrent'?");
}

#[test]
fn a_wrong_type_says_what_is_expected_and_what_was_found() {
    let (spot, message, _) = one(&[("rmm.toml", "[connections]\nmax_concurrent = \"many\"\n")]);
    assert_eq!((spot.as_str(), message.as_str()), ("RMM0103 rmm.toml:2:18", "expected a whole number, found text 'many'"));
    let (spot, message, _) = one(&[("rmm.toml", "[connections]\nmax_concurrent = 501\n")]);
    assert_eq!((spot.as_str(), message.as_str()), ("RMM0103 rmm.toml:2:18", "expected a number of at most 500, found number 501"));
    let (_, message, advice) = one(&[("rmm.toml", "[general]\nlog_level = \"warnin\"\n")]);
    assert_eq!(message, "expected 'debug', 'info', 'warning' or 'error', found text 'warnin'");
    assert_eq!(advice, "did you mean 'warning'?");
}

#[test]
fn a_duration_that_only_the_type_refuses_has_its_place_too() {
    assert_eq!(one(&[("rmm.toml", "[connections]\nssh_timeout = \"99999d\"\n")]).0, "RMM0103 rmm.toml:2:15");
    let (_, message, _) = one(&[("rmm.toml", "[connections]\nssh_timeout = \"soon\"\n")]);
    assert_eq!(message, "expected a duration such as 90s, 5m, 24h, 7d or a number of seconds, found text 'soon'");
}

#[test]
fn overlay_and_environment_win_in_that_order_and_origins_say_so() {
    let mut options = options();
    options.env = Some("production".into());
    options.environment = vec![("RMM_CONNECTIONS__MAX_CONCURRENT".into(), "50".into()), ("RMM_DB".into(), "x".into())];
    let base = "[connections]\nmax_concurrent = 10\nssh_timeout = \"5s\"\n[general]\norganization = \"A\"\n";
    let files = [("rmm.toml", base), ("rmm.production.toml", "[general]\norganization = \"B\"\n"), ("rmm.test.toml", "= broken")];
    let set = load_with(&files, &options).set.unwrap();
    assert_eq!((set.config.connections.max_concurrent, set.config.general.organization.as_str()), (50, "B"));
    assert_eq!(set.origins["connections.max_concurrent"], "environment RMM_CONNECTIONS__MAX_CONCURRENT");
    assert_eq!(set.origins["general.organization"], "rmm.production.toml:2");
    assert_eq!(set.origins["connections.ssh_timeout"], "rmm.toml:3");
    assert_eq!(set.origins["limits.max_percent"], "default");
}

#[test]
fn a_missing_overlay_is_an_error() {
    let mut options = options();
    options.env = Some("prodution".into());
    assert_eq!(spots(&load_with(&[], &options)), ["RMM0119 rmm.prodution.toml:0:0"]);
}

#[test]
fn an_unknown_variable_is_named_and_its_value_is_not_shown() {
    let loaded = with_env(&[("RMM_CONNECTIONS__MAX_CONCURENT", "hunter2")]);
    assert_eq!(loaded.problems[0].code, "RMM0117");
    assert!(loaded.problems[0].message.contains("RMM_CONNECTIONS__MAX_CONCURENT"));
    let wrong = with_env(&[("RMM_CONNECTIONS__MAX_CONCURRENT", "hunter2")]);
    let text = format!("{:?}{:?}", loaded.problems, wrong.problems);
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_variable_that_looks_like_a_number_may_be_a_text() {
    assert_eq!(with_env(&[("RMM_GENERAL__ORGANIZATION", "42")]).set.unwrap().config.general.organization, "42");
}

#[test]
fn a_repository_without_rmm_toml_is_none() {
    let loaded = compile(Vec::new(), &options(), World::default());
    assert_eq!(spots(&loaded), ["RMM0100 rmm.toml:0:0"]);
}

#[test]
fn a_default_site_that_somebody_wrote_has_to_exist() {
    let files = [("rmm.toml", "[general]\ndefault_site = \"Berln\"\n"), ("sites.yaml", "Berlin: {}\n")];
    let (spot, _, advice) = one(&files);
    assert_eq!((spot.as_str(), advice.as_str()), ("RMM0108 rmm.toml:2:0", "did you mean 'Berlin'?"));
}
