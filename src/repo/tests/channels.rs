//! Channels of rmm.toml: keys by type, overlays, the environment, secrets in plain text.

use std::sync::Arc;

use super::super::{LoadOptions, Loaded, World, compile};
use crate::diagnose::Level;
use crate::model::channel::Options;

fn load(files: &[(&str, &str)], env: Option<&str>, environment: &[(&str, &str)]) -> Loaded {
    let options = LoadOptions {
        root: "/fleet".into(),
        env: env.map(str::to_owned),
        environment: environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        now: "2026-11-21T12:00:00Z".parse().unwrap(),
    };
    compile(files.iter().map(|(path, text)| (Arc::from(*path), (*text).to_owned())).collect(), &options, World::default())
}

fn told(loaded: &Loaded) -> Vec<String> {
    let place =
        |p: &crate::diagnose::Diagnostic| p.place.as_ref().map(|at| format!("{}:{}:{}", at.file, at.line, at.column)).unwrap_or_default();
    loaded.problems.iter().map(|p| format!("{} {} {} {}", place(p), p.code, p.message, p.advice.as_deref().unwrap_or_default())).collect()
}

#[test]
fn each_type_has_its_own_keys_and_says_what_is_meant() {
    let text = "[notifications.channels.a]\ntype = \"email\"\nserver = \"mail.example.com\"\nfrom = \"a@example.com\"\nto = \"b@example.com\"\nsevrer = 1\n\
                [notifications.channels.b]\ntype = \"slack\"\nserver = \"x\"\nurl = { secret = \"X\" }\n\
                [notifications.channels.c]\ntype = \"syslog\"\naddress = \"ftp:x\"\nfacility = \"deamon\"\n";
    let told = told(&load(&[("rmm.toml", text)], None, &[]));
    assert_eq!(told.len(), 4, "{told:#?}");
    assert!(told[0].starts_with("rmm.toml:6:1 RMM0102 unknown key 'sevrer' did you mean 'server'?"), "{told:#?}");
    assert!(told[1].starts_with("rmm.toml:9:1 RMM0102 unknown key 'server'"), "{told:#?}");
    assert!(told[2].starts_with("rmm.toml:13:11 RMM0103") && told[2].contains("udp:HOST:514"), "{told:#?}");
    assert!(told[3].starts_with("rmm.toml:14:12 RMM0103") && told[3].contains("did you mean 'daemon'?"), "{told:#?}");
}

#[test]
fn a_secret_in_plain_text_is_an_error_that_does_not_repeat_it() {
    let text = "[notifications.channels.a]\ntype = \"email\"\nserver = \"mail.example.com\"\npassword = \"hunter2-plain\"\n\
                [notifications.channels.b]\ntype = \"teams\"\nurl = \"https://example.com/hook?sig=hunter2-plain\"\n\
                [notifications.channels.c]\ntype = \"webhook\"\nurl = \"https://rmm:hunter2-plain@example.com/\"\nheaders = { Authorization = \"hunter2-plain\" }\n\
                [notifications.channels.d]\ntype = \"pagerduty\"\nrouting_key = 20000000000000001\n";
    let loaded = load(&[("rmm.toml", text)], None, &[("RMM_NOTIFICATIONS__CHANNELS__A__PASSWORD", "hunter2-plain")]);
    let told = told(&loaded);
    assert!(loaded.set.is_none());
    assert!(!told.concat().contains("hunter2-plain") && !told.concat().contains("20000000000000001"), "{told:#?}");
    let places: Vec<&str> = told.iter().filter(|line| line.contains("RMM0152")).map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(places, ["rmm.toml:4:12", "rmm.toml:7:7", "rmm.toml:11:29", "rmm.toml:14:15"], "{told:#?}");
}

#[test]
fn what_is_missing_is_a_warning_because_another_file_may_bring_it() {
    let base = "[notifications.channels.ops]\ntype = \"email\"\nserver = \"mail.example.com\"\n";
    let loaded = load(&[("rmm.toml", base)], None, &[]);
    assert!(loaded.set.is_some());
    assert!(loaded.problems.iter().all(|p| p.level == Level::Warning && p.code == "RMM0620"), "{:#?}", loaded.problems);
    assert_eq!(loaded.problems.len(), 2, "'from' and 'to'");

    let overlay = "[notifications.channels.ops]\nfrom = \"rmm@example.com\"\nport = 2525\n";
    let variables = [("RMM_NOTIFICATIONS__CHANNELS__OPS__TO", "ops@example.com")];
    let loaded = load(&[("rmm.toml", base), ("rmm.production.toml", overlay)], Some("production"), &variables);
    assert_eq!(loaded.problems, Vec::new());
    let config = loaded.set.unwrap().config;
    let Some(Ok(Options::Email(email))) = Options::of(&config.notifications.channels["ops"]) else { panic!() };
    assert_eq!(
        (email.server.as_str(), email.port, email.to.0.as_slice()),
        ("mail.example.com", Some(2525), &["ops@example.com".to_owned()][..])
    );

    let variables = [("RMM_NOTIFICATIONS__CHANNELS__OPS__SEVRER", "x")];
    let told = told(&load(&[("rmm.toml", base)], None, &variables));
    assert!(told.iter().any(|line| line.starts_with("environment:0:0 RMM0102 unknown key 'sevrer'")), "{told:#?}");
}

#[test]
fn addresses_are_encrypted_and_templates_can_be_read() {
    let hook = |more: &str| format!("[notifications.channels.w]\ntype = \"webhook\"\n{more}\n");
    for (more, place) in [
        ("url = \"http://example.com/\"", "rmm.toml:3:7 RMM0103"),
        ("url = \"ftp://example.com/\"", "rmm.toml:3:7 RMM0103"),
        ("url = \"https://x/\"\nbody = \"{{ headline\"", "rmm.toml:4:8 RMM0103"),
        ("url = \"https://x/\"\nheaders = { \"a b\" = \"x\" }", "rmm.toml:4:11 RMM0103"),
        ("url = \"https://x/\"\nmethod = \"GET\"", "rmm.toml:4:10 RMM0103"),
    ] {
        let told = told(&load(&[("rmm.toml", &hook(more))], None, &[]));
        assert!(told.len() == 1 && told[0].starts_with(place), "{more}: {told:#?}");
    }
    for url in ["http://127.0.0.1:9/", "http://localhost/", "https://example.com:8443/x?y=z"] {
        assert_eq!(told(&load(&[("rmm.toml", &hook(&format!("url = \"{url}\"")))], None, &[])), Vec::<String>::new(), "{url}");
    }
    let told = told(&load(&[("rmm.toml", "[notifications]\nbase_url = \"http://rmm.example.com\"\n")], None, &[]));
    assert!(told[0].starts_with("rmm.toml:2:1 RMM0103 base_url cannot be used"), "{told:#?}");
}

#[test]
fn the_schema_of_rmm_toml_knows_the_keys_of_each_type() {
    let schema = super::super::schema(super::super::Kind::Config, &crate::catalog::Catalog::builtin());
    let validator = jsonschema::validator_for(&schema).unwrap();
    let channel = |channel: serde_json::Value| serde_json::json!({"notifications": {"channels": {"x": channel}}});
    for good in [
        serde_json::json!({"type": "email", "server": "x", "to": ["a@b"], "rate_per_minute": 5}),
        serde_json::json!({"type": "sms", "account": "AC1", "token": {"secret": "T"}}),
        serde_json::json!({"server": "an overlay need not repeat the type"}),
    ] {
        assert!(validator.is_valid(&channel(good.clone())), "{good}");
    }
    for bad in [
        serde_json::json!({"type": "email", "sevrer": "x"}),
        serde_json::json!({"type": "sms", "token": "plain"}),
        serde_json::json!({"type": "webhook", "method": "GET"}),
    ] {
        assert!(!validator.is_valid(&channel(bad.clone())), "{bad}");
    }
}
