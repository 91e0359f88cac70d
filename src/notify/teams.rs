//! Microsoft Teams: an adaptive card through a workflow ("When a Teams webhook request is received").

use async_trait::async_trait;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::channel::{Answer, Channel, Parcel, Surroundings, key};
use super::http::Http;
use super::letter::Letter;
use super::{SendError, text};
use crate::model::Severity;
use crate::model::channel::Teams;

/// A Teams channel.
pub(super) struct Card {
    options: Teams,
    house: Surroundings,
    http: Http,
}

impl Card {
    pub(super) fn new(options: Teams, house: Surroundings) -> Result<Self, SendError> {
        let http = Http::new(&house, options.ca_file.as_deref(), options.common.timeout())?;
        Ok(Self { options, house, http })
    }
}

#[async_trait]
impl Channel for Card {
    async fn send(&self, parcel: &Parcel<'_>) -> Result<Answer, SendError> {
        let url = self.house.needed(self.options.url.as_ref(), "url")?;
        let letter = Letter { message: parcel.message, base_url: self.house.base_url.as_deref() };
        let content = card(&letter, parcel.recipient);
        let envelope = json!({"type": "message", "attachments": [
            {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": content}
        ]});
        let request =
            self.http.request(reqwest::Method::POST, url.expose_secret())?.header("Idempotency-Key", key(parcel.id)).json(&envelope);
        let reply = self.http.send(request, &self.house, parcel.at).await?;
        Ok(Answer { said: reply.said, ..Answer::default() })
    }
}

/// The card. Texts of devices are escaped: a card reads Markdown.
fn card(letter: &Letter<'_>, recipient: Option<&str>) -> Value {
    let colour = match letter.severity() {
        _ if letter.is_over() => "good",
        Severity::Critical | Severity::High => "attention",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "accent",
    };
    let block = |shown: String| json!({"type": "TextBlock", "text": shown, "wrap": true});
    let mut body = vec![
        json!({"type": "TextBlock", "text": text::markdown(&letter.mark()), "weight": "bolder", "color": colour, "wrap": true}),
        json!({"type": "TextBlock", "text": text::markdown(&letter.title()), "size": "large", "weight": "bolder", "wrap": true}),
    ];
    if let Some(name) = recipient {
        body.push(block(format!("For {}", text::markdown(&text::line(name, 100)))));
    }
    let message = letter.text();
    if !message.is_empty() {
        // Two spaces and a line feed are a new line.
        body.push(block(text::markdown(&message).replace('\n', "  \n")));
    }
    let (list, left) = letter.list();
    if !list.is_empty() {
        let mut lines: Vec<String> = list.iter().map(|(_, line)| format!("- {}", text::markdown(line))).collect();
        if left > 0 {
            lines.push(format!("- and {left} more"));
        }
        body.push(block(lines.join("\n")));
    }
    let facts: Vec<Value> = letter.facts().iter().map(|(label, value)| json!({"title": label, "value": text::markdown(value)})).collect();
    body.push(json!({"type": "FactSet", "facts": facts}));
    let mut actions = Vec::new();
    if let Some(link) = letter.link() {
        actions.push(json!({"type": "Action.OpenUrl", "title": "Open", "url": link}));
        if letter.command().is_some() {
            actions.push(json!({"type": "Action.OpenUrl", "title": "Acknowledge", "url": format!("{link}?action=acknowledge")}));
        }
    }
    if let Some(command) = letter.command() {
        body.push(
            json!({"type": "TextBlock", "text": format!("To take it on: {}", text::markdown(&command)), "wrap": true, "isSubtle": true}),
        );
    }
    json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
        "fallbackText": text::markdown(&letter.headline()), "msteams": {"width": "Full"}, "body": body, "actions": actions,
    })
}
