use super::Fleet;

#[test]
fn every_code_setting_action_and_fact_has_its_page() {
    let fleet = Fleet::nothing();
    for (list, column, least) in [("codes", "code", 60), ("settings", "setting", 30), ("actions", "action", 15), ("facts", "fact", 40)] {
        let all = fleet.rmm(&["explain", list, "--output", "json"]).code(0).json();
        let items = all["items"].as_array().unwrap();
        assert!(items.len() >= least, "only {} {list}", items.len());
        let names: Vec<&str> = items.iter().map(|item| item[column].as_str().unwrap()).collect();
        std::thread::scope(|scope| {
            for half in names.chunks(names.len().div_ceil(2)) {
                let fleet = &fleet;
                scope.spawn(move || {
                    for name in half {
                        let page = fleet.rmm(&["explain", name]).code(0);
                        assert!(page.out.lines().count() > 4, "{name}: {}", page.out);
                    }
                });
            }
        });
        // The same data in another form.
        for name in names.iter().step_by(9) {
            fleet.rmm(&["explain", name, "--output", "json"]).code(0).json();
        }
    }
    fleet.rmm(&["explain", "where"]).code(0).says("facts.hardware.memory.total_gb");
    fleet.rmm(&["explain"]).code(0).says("rmm explain settings");
}

#[test]
fn a_setting_is_explained_with_examples() {
    insta::assert_snapshot!(Fleet::nothing().rmm(&["explain", "Timezone"]).code(0).out);
}

#[test]
fn an_unknown_topic_gets_a_suggestion() {
    let fleet = Fleet::nothing();
    fleet.rmm(&["explain", "Servces"]).code(1).complains("did you mean 'Services'?");
    fleet.rmm(&["explain", "qqqqqq"]).code(1).complains("rmm explain settings");
}
