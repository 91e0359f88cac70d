//! Settings that are read at the start alone. Whoever changes one hears once that it takes effect at the next start.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::model::Config;
use crate::model::config::Repository;

/// Setting, and its value in a form that can be compared.
type Values = BTreeMap<&'static str, Value>;

/// What was in force at the start, and what has been said since.
#[derive(Debug)]
pub(super) struct Fixed {
    begun: Values,
    said: Values,
}

impl Fixed {
    /// `repository` as the files of this machine have it.
    pub(super) fn new(config: &Config, repository: &Repository) -> Self {
        Self { begun: values(config, repository), said: Values::new() }
    }

    /// Settings that differ from those at the start, and of which that has not been said yet.
    pub(super) fn news(&mut self, config: &Config, repository: &Repository) -> Vec<&'static str> {
        let mut news = Vec::new();
        for (name, value) in values(config, repository) {
            if self.begun.get(name) == Some(&value) {
                self.said.remove(name);
            } else if self.said.get(name) != Some(&value) {
                self.said.insert(name, value);
                news.push(name);
            }
        }
        news
    }
}

fn values(config: &Config, repository: &Repository) -> Values {
    // How often the remote is asked can be changed at any time.
    let repository = Repository { interval: Repository::default().interval, ..repository.clone() };
    Values::from([("daemon.listen", json!(config.daemon.listen)), ("[repository]", json!(repository))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    #[test]
    fn each_change_is_said_once_and_one_that_was_taken_back_may_be_said_again() {
        let mut config = Config::default();
        let mut fixed = Fixed::new(&config, &config.repository);
        config.repository.interval = Span::seconds(5);
        config.daemon.drain = Span::seconds(5);
        assert!(fixed.news(&config, &config.repository).is_empty());
        config.daemon.listen = "127.0.0.1:9464".into();
        assert_eq!(fixed.news(&config, &config.repository), ["daemon.listen"]);
        config.repository.branch = "next".into();
        assert_eq!(fixed.news(&config, &config.repository), ["[repository]"]);
        assert!(fixed.news(&config, &config.repository).is_empty());
        config.daemon.listen.clear();
        assert!(fixed.news(&config, &config.repository).is_empty());
        config.daemon.listen = "127.0.0.1:9464".into();
        assert_eq!(fixed.news(&config, &config.repository), ["daemon.listen"]);
    }
}
