//! PagerDuty, Events API v2: trigger, acknowledge and resolve with one `dedup_key` for each alert, so that whatever is
//! sent twice is one incident.

use async_trait::async_trait;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

use super::SendError;
use super::channel::{Answer, Channel, Parcel, Surroundings, key};
use super::http::Http;
use super::letter::{Letter, rfc3339};
use crate::model::channel::PagerDuty;
use crate::model::delivery::{Message, Occasion};
use crate::model::{Alert, AlertState, Severity};

const API: &str = "https://events.pagerduty.com";
/// Most events for one summary.
const MOST_EVENTS: usize = 100;

/// A PagerDuty channel.
pub(super) struct Events {
    options: PagerDuty,
    house: Surroundings,
    http: Http,
}

impl Events {
    pub(super) fn new(options: PagerDuty, house: Surroundings) -> Result<Self, SendError> {
        let http = Http::new(&house, options.ca_file.as_deref(), options.common.timeout())?;
        Ok(Self { options, house, http })
    }

    async fn event(&self, event: Value, parcel: &Parcel<'_>) -> Result<Answer, SendError> {
        let api = self.options.api_url.as_deref().unwrap_or(API).trim_end_matches('/');
        let request = self.http.request(Method::POST, &format!("{api}/v2/enqueue"))?.json(&event);
        let reply = self.http.send(request, &self.house, parcel.at).await?;
        Ok(Answer { said: reply.said, receipt: event["dedup_key"].as_str().map(str::to_owned), ..Answer::default() })
    }
}

#[async_trait]
impl Channel for Events {
    async fn send(&self, parcel: &Parcel<'_>) -> Result<Answer, SendError> {
        let routing = self.house.needed(self.options.routing_key.as_ref(), "routing_key")?;
        let routing = routing.expose_secret();
        let message = parcel.message;
        if message.occasion == Occasion::Test || message.alerts.is_empty() {
            // A test rings nobody for longer than it takes: it is closed at once.
            let letter = Letter { message, base_url: self.house.base_url.as_deref() };
            let dedup = key(parcel.id);
            let trigger = envelope(routing, "trigger", &dedup, Some(payload(&letter, None, parcel)), &letter);
            let answer = self.event(trigger, parcel).await?;
            self.event(envelope(routing, "resolve", &dedup, None, &letter), parcel).await?;
            return Ok(answer);
        }
        let mut last = Answer::default();
        for alert in message.alerts.iter().take(MOST_EVENTS) {
            // Each alert of a summary is an incident of its own; sent again, it is the same one.
            let one = Message { alerts: vec![alert.clone()], occasion: occasion(message.occasion, alert), ..message.clone() };
            let letter = Letter { message: &one, base_url: self.house.base_url.as_deref() };
            let action = action(one.occasion);
            let payload = (action == "trigger").then(|| payload(&letter, Some(alert), parcel));
            let event = envelope(routing, action, &dedup(alert), payload, &letter);
            last = self.event(event, parcel).await?;
        }
        Ok(last)
    }
}

fn envelope(routing: &str, action: &str, dedup: &str, payload: Option<Value>, letter: &Letter<'_>) -> Value {
    let mut event = json!({"routing_key": routing, "event_action": action, "dedup_key": dedup});
    if let Some(payload) = payload {
        event["payload"] = payload;
        event["client"] = "rmm".into();
        if let Some(link) = letter.link() {
            event["client_url"] = link.clone().into();
            event["links"] = json!([{"href": link, "text": "Open in rmm"}]);
        }
    }
    event
}

/// One key for all that is said about an alert.
fn dedup(alert: &Alert) -> String {
    format!("rmm-{}", key(&alert.id))
}

/// What an alert of a summary is now.
fn occasion(told: Occasion, alert: &Alert) -> Occasion {
    match (told, alert.state) {
        (Occasion::Summary, AlertState::Resolved | AlertState::Archived) => Occasion::Resolved,
        (Occasion::Summary, AlertState::Acknowledged) => Occasion::Acknowledged,
        (Occasion::Summary, _) => Occasion::Raised,
        (told, _) => told,
    }
}

const fn action(occasion: Occasion) -> &'static str {
    match occasion {
        Occasion::Resolved => "resolve",
        Occasion::Acknowledged => "acknowledge",
        _ => "trigger",
    }
}

fn payload(letter: &Letter<'_>, alert: Option<&Alert>, parcel: &Parcel<'_>) -> Value {
    let severity = match letter.severity() {
        Severity::Critical => "critical",
        Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "info",
    };
    let mut details: Map<String, Value> = letter.facts().into_iter().map(|(label, value)| (label.to_owned(), value.into())).collect();
    let text = letter.text();
    if !text.is_empty() {
        details.insert("Message".into(), text.into());
    }
    if let Some(command) = letter.command() {
        details.insert("To take it on".into(), command.into());
    }
    if let Some(name) = parcel.recipient {
        details.insert("For".into(), super::text::line(name, 100).into());
    }
    let about = |alert: &Alert| super::text::line(&alert.key.subject.to_string(), 200);
    json!({
        "summary": letter.headline(),
        "source": alert.map_or_else(|| "rmm".to_owned(), about),
        "severity": severity,
        "timestamp": rfc3339(alert.map_or(parcel.at, |alert| alert.last_at)),
        "component": alert.map(|alert| super::text::line(&alert.key.instance, 200)),
        "class": alert.map(|alert| super::text::line(&alert.key.kind, 200)),
        "group": letter.message.site.as_deref().map(|site| super::text::line(site, 200)),
        "custom_details": details,
    })
}
