//! Text messages through Twilio: short, and one for each number.

use async_trait::async_trait;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::Value;

use super::SendError;
use super::channel::{Answer, Channel, Missed, Parcel, Surroundings};
use super::http::Http;
use super::letter::{Letter, encoded};
use super::text;
use crate::model::channel::Sms;

const API: &str = "https://api.twilio.com";
/// Twilio takes no longer text.
const LONGEST: usize = 1600;
/// A text message is paid by the piece: what is known beyond the headline has to be short.
const MESSAGE: usize = 300;

/// A channel for text messages.
pub(super) struct TextMessage {
    options: Sms,
    house: Surroundings,
    http: Http,
}

impl TextMessage {
    pub(super) fn new(options: Sms, house: Surroundings) -> Result<Self, SendError> {
        let http = Http::new(&house, options.ca_file.as_deref(), options.common.timeout())?;
        Ok(Self { options, house, http })
    }
}

#[async_trait]
impl Channel for TextMessage {
    async fn send(&self, parcel: &Parcel<'_>) -> Result<Answer, SendError> {
        let token = self.house.needed(self.options.token.as_ref(), "token")?;
        let api = self.options.api_url.as_deref().unwrap_or(API).trim_end_matches('/');
        let url = format!("{api}/2010-04-01/Accounts/{}/Messages.json", encoded(&self.options.account));
        let letter = Letter { message: parcel.message, base_url: self.house.base_url.as_deref() };
        let body = short(&letter);
        let own = parcel.recipient.map(|name| vec![self.options.common.address(name).to_owned()]);
        let numbers = own.as_ref().unwrap_or(&self.options.to.0);
        if numbers.is_empty() {
            return Err(SendError::Unwritable("there is nobody to send it to: 'to' is empty".into()));
        }
        let user = self.options.api_key.as_deref().unwrap_or(&self.options.account);
        let mut said = Vec::new();
        let mut missed: Vec<Missed> = Vec::new();
        for number in numbers {
            let sent = match self.form(number, &body) {
                Ok(form) => {
                    let request = self
                        .http
                        .request(Method::POST, &url)?
                        .basic_auth(user, Some(token.expose_secret()))
                        .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                        .body(form);
                    self.http.send(request, &self.house, parcel.at).await
                }
                Err(error) => Err(error),
            };
            match sent {
                Ok(reply) => {
                    let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
                    said.push(text::line(answer["sid"].as_str().unwrap_or(&reply.said), 64));
                }
                // The others hear of it all the same. What may pass is worth another try for this number alone.
                Err(error) => missed.push(Missed { recipient: number.clone(), error }),
            }
        }
        if said.is_empty() {
            // Nobody has it: as long as it may pass for one of them, it is tried again for all.
            let at = missed.iter().position(|one| one.error.may_pass()).unwrap_or_default();
            return Err(missed.swap_remove(at).error);
        }
        Ok(Answer { said: said.join(" "), receipt: None, missed })
    }
}

impl TextMessage {
    fn form(&self, number: &str, body: &str) -> Result<String, SendError> {
        let plain = number.strip_prefix('+').unwrap_or(number);
        if plain.len() < 4 || plain.len() > 20 || !plain.chars().all(|c| c.is_ascii_digit()) {
            return Err(SendError::Unwritable(format!("'{}' is not a telephone number such as +4930123456", text::line(number, 40))));
        }
        let sender = match (&self.options.messaging_service, &self.options.from) {
            (Some(service), _) => ("MessagingServiceSid", service.as_str()),
            (None, Some(from)) => ("From", from.as_str()),
            (None, None) => return Err(SendError::Incomplete("'from' is missing".into())),
        };
        let form = [("To", number), ("Body", body), sender].map(|(name, value)| format!("{name}={}", encoded(value)));
        Ok(form.join("&"))
    }
}

/// Headline, what is known in short, and what to do.
fn short(letter: &Letter<'_>) -> String {
    let mut parts = vec![letter.headline()];
    let message = text::line(&letter.text(), MESSAGE);
    if !message.is_empty() {
        parts.push(message);
    }
    let (list, left) = letter.list();
    parts.extend(list.into_iter().take(5).map(|(_, line)| line));
    if left > 0 {
        parts.push(format!("and {left} more"));
    }
    parts.extend(letter.link().or_else(|| letter.command()));
    text::clip(parts.join("\n"), LONGEST)
}
