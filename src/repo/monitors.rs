//! Monitors: from definitions to [`Monitor`]s that can be carried out.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::decode::MONITOR;
use super::fleet::respell;
use super::kinds::Kinds;
use super::monitor_doc::MonitorDoc;
use super::tree::{Entry, Node};
use crate::diagnose::{Diagnostic, did_you_mean};
use crate::model::Monitor;
use crate::model::monitor::{Check, Events, Http, Service};
use crate::model::threshold::METRICS;
use crate::time::Span;

/// How often, and how long, unless told otherwise.
const EVERY: Span = Span::seconds(300);
const TIMEOUT: Span = Span::seconds(5);
/// No monitor looks more often.
const LEAST: u64 = 5;
/// Longest regular expression.
const LONGEST: usize = 1000;

/// What may stand in a web address for the device.
const PLACEHOLDERS: [&str; 2] = ["device.address", "device.hostname"];

impl Kinds<'_> {
    /// Compiles the monitors of all files.
    pub(super) fn monitors(&mut self, declared: BTreeMap<String, (Arc<str>, Entry)>) -> BTreeMap<String, Arc<Monitor>> {
        let compiled = declared.into_iter().filter_map(|(name, (file, mut entry))| {
            respell(&mut entry.node, &MONITOR);
            Some((name, Arc::new(self.monitor(&file, &entry)?)))
        });
        compiled.collect()
    }

    fn monitor(&mut self, file: &Arc<str>, entry: &Entry) -> Option<Monitor> {
        let node = &entry.node;
        let place = entry.spot.of(file);
        let doc = self.decode::<MonitorDoc>(&MONITOR, file, node)?;
        if METRICS.iter().any(|metric| metric.name == entry.key) || entry.key == "Offline" {
            let message = format!("a monitor cannot be named '{}': alerts of that name come from elsewhere", entry.key);
            self.problem(Diagnostic::error("RMM0640", message).at(&place).advice("give it a name that says what it looks at"));
        }
        let services = doc.services.map(|all| all.into_iter().map(|(name, service)| (name, service.unwrap_or_default())).collect());
        let checks: Vec<Check> = [
            doc.ping.map(Check::Ping),
            doc.tcp.map(Check::Tcp),
            doc.ssh.map(Check::Ssh),
            doc.winrm.map(Check::Winrm),
            doc.http.map(Check::Http),
            services.map(Check::Services),
            doc.events.map(Check::Events),
        ]
        .into_iter()
        .flatten()
        .collect();
        let mut checks = checks.into_iter();
        let (Some(check), None) = (checks.next(), checks.next()) else {
            let message = format!("the monitor '{}' has to say what it looks at, once", entry.key);
            let advice = "give it exactly one of ping, tcp, ssh, winrm, http, services and events";
            // An empty `ping:` is one that is left out.
            self.problem(Diagnostic::error("RMM0640", message).at(&place).advice(advice));
            return None;
        };
        let at = node.get(check.kind()).unwrap_or(node);
        match &check {
            Check::Http(http) => self.address(http, at, file),
            Check::Services(services) => self.services(services, at, file),
            Check::Events(events) => self.events(events, at, file),
            Check::Winrm(winrm) if !winrm.tls && self.config.security.require_https => {
                let problem = Diagnostic::error("RMM0645", format!("the monitor '{}' speaks WinRM over plain HTTP", entry.key));
                let advice = "leave out tls: false; security.require_https forbids it";
                self.problem(problem.at(&at.get("tls").unwrap_or(at).spot.of(file)).advice(advice));
            }
            _ => {}
        }
        let every = doc.every.unwrap_or(EVERY);
        let usual = if matches!(check, Check::Winrm(_)) { self.config.connections.winrm_timeout.min(every) } else { TIMEOUT };
        let timeout = doc.timeout.unwrap_or(usual);
        if every.as_seconds() < LEAST {
            let problem = Diagnostic::error("RMM0641", format!("a monitor looks every {LEAST} s at most, not every {every}"));
            self.problem(problem.at(&node.get("every").unwrap_or(node).spot.of(file)));
        } else if timeout > every || timeout.as_seconds() == 0 {
            let problem = Diagnostic::error("RMM0641", format!("one look may take {timeout}, yet the next one comes after {every}"));
            let place = node.get("timeout").or_else(|| node.get("every")).unwrap_or(node).spot.of(file);
            self.problem(problem.at(&place).advice("let timeout be at least 1s and no longer than every"));
        }
        Some(Monitor {
            name: entry.key.as_str().into(),
            description: doc.description,
            targets: self.selectors(doc.targets, node.get("targets"), file),
            exclude: self.selectors(doc.exclude, node.get("exclude"), file),
            check,
            every,
            timeout,
            confirm: doc.confirm,
            severity: doc.severity.unwrap_or(crate::model::Severity::High),
            place,
        })
    }

    fn address(&mut self, http: &Http, node: &Node, file: &Arc<str>) {
        let place = node.get("url").unwrap_or(node).spot.of(file);
        let mut plain = String::new();
        let mut rest = http.url.as_str();
        while let Some((before, after)) = rest.split_once("{{") {
            plain.push_str(before);
            let (name, after) = after.split_once("}}").unwrap_or((after, ""));
            if !PLACEHOLDERS.contains(&name.trim()) {
                let problem =
                    Diagnostic::error("RMM0642", format!("'{}' cannot stand in the address of a monitor", name.trim().escape_debug()));
                self.problem(problem.at(&place).advice("it may hold {{ device.address }} and {{ device.hostname }}"));
                return;
            }
            plain.push_str("host.example");
            rest = after;
        }
        plain.push_str(rest);
        let parsed = reqwest::Url::parse(&plain);
        let why = match &parsed {
            Err(error) => Some(error.to_string()),
            Ok(url) if !matches!(url.scheme(), "http" | "https") => Some(format!("its scheme is {}, not http or https", url.scheme())),
            Ok(url) if !url.username().is_empty() || url.password().is_some() => Some("it holds a user or a password".to_owned()),
            Ok(_) => None,
        };
        if let Some(why) = why {
            let problem = Diagnostic::error("RMM0642", format!("the address '{}' cannot be asked: {why}", http.url.escape_debug()));
            self.problem(problem.at(&place).advice("write it as https://www.example.org/path"));
        }
        if let Some(status) = http.status.iter().find(|status| !(100..600).contains(*status)) {
            let problem = Diagnostic::error("RMM0642", format!("{status} is no status code of HTTP"));
            self.problem(problem.at(&node.get("status").unwrap_or(node).spot.of(file)));
        }
    }

    fn services(&mut self, services: &BTreeMap<String, Service>, node: &Node, file: &Arc<str>) {
        let at = |name: &str| node.entry(name).map_or_else(|| node.spot.of(file), |entry| entry.spot.of(file));
        if services.is_empty() {
            self.problem(Diagnostic::error("RMM0643", "no service is named").at(&node.spot.of(file)));
        }
        for (name, service) in services {
            if let Some(stem) = name.strip_suffix(".service") {
                let problem = Diagnostic::error("RMM0643", format!("services are named without .service: {stem}"));
                self.problem(problem.at(&at(name)));
            } else if !is_service(name) {
                self.problem(Diagnostic::error("RMM0643", format!("'{}' is no name of a service", name.escape_debug())).at(&at(name)));
            }
            for wanted in &service.depends_on {
                if !is_service(wanted) {
                    self.problem(
                        Diagnostic::error("RMM0643", format!("'{}' is no name of a service", wanted.escape_debug())).at(&at(name)),
                    );
                } else if !services.contains_key(wanted)
                    && let Some(near) = did_you_mean(wanted, services.keys().map(String::as_str))
                {
                    let problem =
                        Diagnostic::warning("RMM0643", format!("'{name}' depends on '{wanted}', which this monitor does not name"));
                    self.problem(problem.at(&at(name)).advice(format!("did you mean '{near}'?")));
                }
            }
            if let Some(circle) = circle(services, name) {
                let problem = Diagnostic::error("RMM0643", format!("services wait for each other in a circle: {}", circle.join(" -> ")));
                self.problem(problem.at(&at(name)).advice("one of them has to start first"));
                // Each member of it would say the same.
                return;
            }
        }
    }

    fn events(&mut self, events: &Events, node: &Node, file: &Arc<str>) {
        for unit in events.units.iter().filter(|unit| !is_service(unit)) {
            let problem = Diagnostic::error("RMM0643", format!("'{}' is no name of a service", unit.escape_debug()));
            self.problem(problem.at(&node.get("units").unwrap_or(node).spot.of(file)));
        }
        let Some(expression) = &events.matches else { return };
        let place = node.get("matches").unwrap_or(node).spot.of(file);
        if expression.len() > LONGEST {
            self.problem(Diagnostic::error("RMM0644", format!("the expression is longer than {LONGEST} characters")).at(&place));
        } else if let Err(error) = regex_lite::Regex::new(expression) {
            let problem = Diagnostic::error("RMM0644", format!("the regular expression cannot be read: {error}"));
            self.problem(problem.at(&place).advice("put a backslash before a character that is meant literally: \\("));
        }
    }
}

fn is_service(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    first && name.len() <= 200 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b":_.@\\-".contains(&b))
}

/// The way from a service back to itself, where there is one.
fn circle(services: &BTreeMap<String, Service>, start: &str) -> Option<Vec<String>> {
    let mut seen = std::collections::BTreeSet::new();
    let mut ways = vec![vec![start.to_owned()]];
    while let Some(way) = ways.pop() {
        let last = way.last().map(String::as_str).unwrap_or_default();
        for next in services.get(last).map_or(&[][..], |service| &service.depends_on) {
            let longer = || way.iter().cloned().chain([next.clone()]).collect::<Vec<_>>();
            if next == start {
                return Some(longer());
            }
            if seen.insert(next.clone()) {
                ways.push(longer());
            }
        }
    }
    None
}
