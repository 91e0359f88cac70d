//! What a message says, before a channel gives it its form: a headline, facts, a text. All of it bounded and without
//! control characters; the markup of a channel is escaped by that channel.

use chrono::{DateTime, SecondsFormat, Utc};

use super::text;
use crate::model::alert::{Alert, Subject};
use crate::model::delivery::{Message, Occasion};
use crate::model::{AlertState, Severity};

/// Most alerts of a summary that are told one by one.
pub(super) const MOST_ALERTS: usize = 20;
const TITLE: usize = 200;
const TEXT: usize = 2000;
const SHORT: usize = 120;

/// A message and where its links lead.
#[derive(Debug, Clone, Copy)]
pub(super) struct Letter<'a> {
    pub(super) message: &'a Message,
    pub(super) base_url: Option<&'a str>,
}

impl<'a> Letter<'a> {
    /// The alert that it is about, where it is about one.
    pub(super) fn alert(&self) -> Option<&'a Alert> {
        match self.message.alerts.as_slice() {
            [alert] if self.message.occasion != Occasion::Summary => Some(alert),
            _ => None,
        }
    }

    /// The worst of what it is about.
    pub(super) fn severity(&self) -> Severity {
        self.message.alerts.iter().map(|alert| alert.severity).max().unwrap_or(Severity::Info)
    }

    /// Whether what it is about is over.
    pub(super) fn is_over(&self) -> bool {
        self.message.occasion == Occasion::Resolved
    }

    /// What happened, in capitals: `CRITICAL`, `RESOLVED`.
    pub(super) fn mark(&self) -> String {
        let severity = self.severity().to_string().to_uppercase();
        match self.message.occasion {
            Occasion::Raised => severity,
            Occasion::Worsened => format!("WORSE, NOW {severity}"),
            Occasion::Repeated => format!("STILL {severity}"),
            Occasion::Escalated => format!("ESCALATED, {severity}"),
            Occasion::Acknowledged => "ACKNOWLEDGED".to_owned(),
            Occasion::Resolved => "RESOLVED".to_owned(),
            Occasion::Summary => "SUMMARY".to_owned(),
            Occasion::Test => "TEST".to_owned(),
        }
    }

    /// One line without the mark: `db-1: DiskSpace of /var: 7 %`.
    pub(super) fn title(&self) -> String {
        match self.alert() {
            Some(alert) => text::line(&format!("{}: {}", alert.key.subject, alert.title), TITLE),
            None if self.message.alerts.is_empty() => {
                let note = if self.message.note.is_empty() { "this channel works" } else { &self.message.note };
                text::line(note, TITLE)
            }
            None => self.counted(),
        }
    }

    /// `[CRITICAL] db-1: DiskSpace of /var: 7 %`
    pub(super) fn headline(&self) -> String {
        format!("[{}] {}", self.mark(), self.title())
    }

    /// `12 alerts: 3 critical, 9 high`
    fn counted(&self) -> String {
        let alerts = &self.message.alerts;
        let mut parts = Vec::new();
        for severity in [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Info] {
            let count = alerts.iter().filter(|alert| alert.severity == severity).count();
            if count > 0 {
                parts.push(format!("{count} {severity}"));
            }
        }
        let noun = if alerts.len() == 1 { "alert" } else { "alerts" };
        format!("{} {noun}: {}", alerts.len(), parts.join(", "))
    }

    /// What is known, as label and value. Values are bounded, without control characters, and not escaped.
    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = Vec::new();
        let mut add = |label, value: &str| {
            let value = text::line(value, SHORT);
            if !value.is_empty() {
                facts.push((label, value));
            }
        };
        if let Some(alert) = self.alert() {
            match &alert.key.subject {
                Subject::Device(name) => add("Device", name),
                Subject::Site(name) => add("Site", name),
                Subject::System => add("About", "rmm itself"),
            }
            if alert.key.subject.device().is_some() {
                add("Site", self.message.site.as_deref().unwrap_or_default());
            }
            add(
                "Type",
                &if alert.key.instance.is_empty() {
                    alert.key.kind.to_string()
                } else {
                    format!("{} {}", alert.key.kind, alert.key.instance)
                },
            );
            add("Severity", &alert.severity.to_string());
            if let Some(value) = alert.value {
                add("Value", &format!("{}{}", number(value), alert.unit.as_deref().map(|unit| format!(" {unit}")).unwrap_or_default()));
            }
            add("Since", &moment(alert.created_at));
            if alert.count > 1 {
                add("Seen", &format!("{} times, last {}", alert.count, moment(alert.last_at)));
            }
            add("Acknowledged", alert.acknowledged_by.as_deref().filter(|_| alert.state == AlertState::Acknowledged).unwrap_or_default());
            if let Some(at) = alert.resolved_at.filter(|_| self.is_over()) {
                let by = alert.resolved_by.as_deref().map(|by| format!(" by {by}")).unwrap_or_default();
                add("Resolved", &format!("{}{by}", moment(at)));
            }
            add("Source", &alert.source);
        }
        add("Sent because of", &self.message.because);
        add("Organization", &self.message.organization);
        facts
    }

    /// What is known beyond the facts; several lines, may be empty.
    pub(super) fn text(&self) -> String {
        let own = match self.alert() {
            Some(alert) => &alert.message,
            // Without alerts the note is the title already.
            None if self.message.alerts.is_empty() => "",
            None => &self.message.note,
        };
        text::lines(own, TEXT)
    }

    /// The alerts of a summary, worst first, one line each; and how many are left out.
    pub(super) fn list(&self) -> (Vec<(&'a Alert, String)>, usize) {
        if self.alert().is_some() {
            return (Vec::new(), 0);
        }
        let mut alerts: Vec<&Alert> = self.message.alerts.iter().collect();
        alerts.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.id.cmp(&b.id)));
        let left = alerts.len().saturating_sub(MOST_ALERTS);
        alerts.truncate(MOST_ALERTS);
        let told = |alert: &'a Alert| {
            let over = if alert.state.is_open() { String::new() } else { format!(" ({})", alert.state) };
            (alert, text::line(&format!("{}: {}: {}{over}", alert.severity, alert.key.subject, alert.title), SHORT))
        };
        (alerts.into_iter().map(told).collect(), left)
    }

    /// The page of the alert, where there is a dashboard.
    pub(super) fn link(&self) -> Option<String> {
        let base = self.base_url?.trim_end_matches('/');
        Some(match self.alert() {
            Some(alert) => format!("{base}/alerts/{}", encoded(&alert.id)),
            None => format!("{base}/alerts"),
        })
    }

    /// The command that takes the alert on; absent where somebody has or it is over.
    pub(super) fn command(&self) -> Option<String> {
        let alert = self.alert().filter(|alert| alert.state != AlertState::Acknowledged && alert.state.is_open())?;
        Some(format!("rmm alerts ack {}", text::line(&alert.id, SHORT)))
    }
}

/// A moment as people and machines read it: `2026-11-21 07:30:12 UTC`.
pub(super) fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// As RFC 3339 wants it.
pub(super) fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// At most two digits behind the point, none where there is nothing.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A step of a path, with everything that is not plain as `%XX`.
pub(super) fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
