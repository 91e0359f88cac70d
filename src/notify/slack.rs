//! Slack: as a bot, with a thread for each alert; or through an incoming webhook, without threads.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::channel::{Answer, Channel, Parcel, Surroundings, key};
use super::http::Http;
use super::letter::Letter;
use super::{SendError, text};
use crate::model::Severity;
use crate::model::channel::Slack;
use crate::model::delivery::Occasion;

const API: &str = "https://slack.com/api";
/// Errors of the API that pass by themselves.
const PASSING: [&str; 6] = ["ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"];

/// A Slack channel.
pub(super) struct Post {
    options: Slack,
    house: Surroundings,
    http: Http,
}

impl Post {
    pub(super) fn new(options: Slack, house: Surroundings) -> Result<Self, SendError> {
        let http = Http::new(&house, options.ca_file.as_deref(), options.common.timeout())?;
        Ok(Self { options, house, http })
    }

    async fn as_bot(&self, parcel: &Parcel<'_>, letter: &Letter<'_>) -> Result<Answer, SendError> {
        let token = self.house.needed(self.options.token.as_ref(), "token")?;
        let api = self.options.api_url.as_deref().unwrap_or(API).trim_end_matches('/');
        let channel = match parcel.recipient {
            Some(name) => self.options.common.address(name),
            None => self.options.channel.as_deref().ok_or_else(|| SendError::Incomplete("'channel' is missing".into()))?,
        };
        let mut body = message(letter);
        body["channel"] = channel.into();
        body["unfurl_links"] = false.into();
        body["unfurl_media"] = false.into();
        // The same in every try; Slack hands it back with the message.
        body["metadata"] = json!({"event_type": "rmm_delivery", "event_payload": {"id": key(parcel.id)}});
        // A thread belongs to the channel that it stands in: `CHANNEL THREAD`.
        let thread = parcel.receipt.and_then(|receipt| receipt.split_once(' ')).filter(|(asked, _)| *asked == channel);
        if let Some((_, ts)) = thread {
            body["thread_ts"] = ts.into();
            // What got worse and what is over is seen outside of the thread too.
            body["reply_broadcast"] =
                matches!(parcel.message.occasion, Occasion::Worsened | Occasion::Escalated | Occasion::Resolved).into();
        }
        let request = self.http.request(Method::POST, &format!("{api}/chat.postMessage"))?.bearer_auth(token.expose_secret()).json(&body);
        let reply = self.http.send(request, &self.house, parcel.at).await?;
        let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        if !reply.whole && answer.is_null() {
            // Slack says no with the same status: only its words tell.
            return Err(SendError::Unreachable { host: "Slack".to_owned(), why: "the answer was cut off".to_owned() });
        }
        if answer["ok"] != true {
            let said = text::line(answer["error"].as_str().unwrap_or("an answer that is none"), 200);
            let host = "Slack".to_owned();
            return Err(if PASSING.contains(&said.as_str()) {
                SendError::Later { host, said, after: Some(Duration::from_secs(30)) }
            } else {
                SendError::Refused { host, said }
            });
        }
        let root = thread.map(|(_, ts)| ts.to_owned()).or_else(|| answer["ts"].as_str().map(str::to_owned));
        Ok(Answer { said: "ok".into(), receipt: root.map(|ts| format!("{channel} {}", text::line(&ts, 64))), ..Answer::default() })
    }

    async fn by_webhook(&self, parcel: &Parcel<'_>, letter: &Letter<'_>) -> Result<Answer, SendError> {
        let url = self.house.needed(self.options.url.as_ref(), "url")?;
        let mut body = message(letter);
        if let Some(name) = parcel.recipient {
            let address = self.options.common.address(name);
            let member = address.starts_with(['U', 'W']) && address.len() > 6 && address.chars().all(|c| c.is_ascii_alphanumeric());
            let mention = if member { format!("<@{address}>") } else { text::mrkdwn(&text::line(name, 100)) };
            if let Some(blocks) = body["blocks"].as_array_mut() {
                blocks.insert(1, json!({"type": "section", "text": {"type": "mrkdwn", "text": format!("For {mention}")}}));
            }
        }
        let request = self.http.request(Method::POST, url.expose_secret())?.json(&body);
        let reply = self.http.send(request, &self.house, parcel.at).await?;
        Ok(Answer { said: reply.said, ..Answer::default() })
    }
}

#[async_trait]
impl Channel for Post {
    async fn send(&self, parcel: &Parcel<'_>) -> Result<Answer, SendError> {
        let letter = Letter { message: parcel.message, base_url: self.house.base_url.as_deref() };
        if self.options.url.is_some() { self.by_webhook(parcel, &letter).await } else { self.as_bot(parcel, &letter).await }
    }
}

/// Text for the notification, blocks for the eye. `plain_text` needs no escape but for `&<>`, mrkdwn does.
fn message(letter: &Letter<'_>) -> Value {
    let sign = match letter.severity() {
        _ if letter.is_over() => ":large_green_circle:",
        Severity::Critical => ":red_circle:",
        Severity::High => ":large_orange_circle:",
        Severity::Medium => ":large_yellow_circle:",
        Severity::Low | Severity::Info => ":large_blue_circle:",
    };
    let mrkdwn = |shown: String| json!({"type": "mrkdwn", "text": shown});
    let title = format!("{sign} *{}*  {}", letter.mark(), text::mrkdwn(&letter.title()));
    let mut blocks = vec![json!({"type": "section", "text": mrkdwn(title)})];
    let body = letter.text();
    if !body.is_empty() {
        // A section holds 3000 characters; what is escaped may grow.
        blocks.push(json!({"type": "section", "text": mrkdwn(text::clip(text::mrkdwn(&body), 2900))}));
    }
    let (list, left) = letter.list();
    if !list.is_empty() {
        let mut lines: Vec<String> = list.iter().map(|(_, line)| format!("- {}", text::mrkdwn(line))).collect();
        if left > 0 {
            lines.push(format!("- and {left} more"));
        }
        blocks.push(json!({"type": "section", "text": mrkdwn(text::clip(lines.join("\n"), 2900))}));
    }
    // A section takes ten fields.
    let facts: Vec<Value> =
        letter.facts().iter().take(10).map(|(label, value)| mrkdwn(format!("*{label}*\n{}", text::mrkdwn(value)))).collect();
    if !facts.is_empty() {
        blocks.push(json!({"type": "section", "fields": facts}));
    }
    if let Some(link) = letter.link() {
        let button = |label: &str, url: String| json!({"type": "button", "text": {"type": "plain_text", "text": label}, "url": url});
        let mut buttons = vec![button("Open", link.clone())];
        if letter.command().is_some() {
            buttons.push(button("Acknowledge", format!("{link}?action=acknowledge")));
        }
        blocks.push(json!({"type": "actions", "elements": buttons}));
    }
    if let Some(command) = letter.command() {
        blocks.push(json!({"type": "context", "elements": [mrkdwn(format!("To take it on: `{}`", text::html(&command)))]}));
    }
    json!({"text": text::mrkdwn(&letter.headline()), "blocks": blocks})
}
