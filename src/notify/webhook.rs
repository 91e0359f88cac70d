//! A request of your own: JSON unless a template says otherwise, signed where there is a key.

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::Sha256;

use super::SendError;
use super::channel::{Answer, Channel, Parcel, Surroundings, key};
use super::http::Http;
use super::letter::{Letter, rfc3339};
use crate::model::channel::{Method, Webhook};

/// Work that a template may do.
const FUEL: u64 = 200_000;
/// Largest body.
const MOST_BODY: usize = 1024 * 1024;
/// Header with the key that is the same in every try.
pub const KEY_HEADER: &str = "Idempotency-Key";
/// Header with the seconds since 1970 at which it was signed.
pub const TIME_HEADER: &str = "X-RMM-Timestamp";
/// Header with the signature: `v1=` and the HMAC-SHA256 of `TIMESTAMP.BODY` in hex.
pub const SIGNATURE_HEADER: &str = "X-RMM-Signature";

/// A webhook.
pub(super) struct Hook {
    options: Webhook,
    house: Surroundings,
    http: Http,
}

impl Hook {
    pub(super) fn new(options: Webhook, house: Surroundings) -> Result<Self, SendError> {
        let http = Http::new(&house, options.ca_file.as_deref(), options.common.timeout())?;
        Ok(Self { options, house, http })
    }

    fn content_type(&self) -> &str {
        self.options.content_type.as_deref().unwrap_or("application/json")
    }

    fn body(&self, parcel: &Parcel<'_>) -> Result<String, SendError> {
        let letter = Letter { message: parcel.message, base_url: self.house.base_url.as_deref() };
        let document = document(parcel, &letter);
        let Some(template) = &self.options.body else { return Ok(document.to_string()) };
        let form = self.content_type().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_json = form.ends_with("json");
        let escape = match form.as_str() {
            _ if is_json => AutoEscape::Json,
            "text/html" | "text/xml" | "application/xml" => AutoEscape::Html,
            _ => AutoEscape::None,
        };
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_auto_escape_callback(move |_| escape.clone());
        let wrong = |error: minijinja::Error| SendError::Unwritable(format!("the template of the body: {error}"));
        let body = environment.render_str(template, minijinja::Value::from(Serde(document))).map_err(wrong)?;
        if body.len() > MOST_BODY {
            return Err(SendError::Unwritable(format!("the template of the body gives more than {MOST_BODY} bytes")));
        }
        if is_json && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&body) {
            let hint = "values are quoted by themselves: write {\"text\": {{ headline }}}";
            return Err(SendError::Unwritable(format!("the template of the body gives no JSON ({error}); {hint}")));
        }
        Ok(body)
    }

    fn headers(&self, parcel: &Parcel<'_>, body: &str) -> Result<HeaderMap, SendError> {
        let mut headers = HeaderMap::new();
        let bad = |name: &str| SendError::Unwritable(format!("the header '{}' has a value that cannot be sent", name.escape_debug()));
        for (name, value) in &self.options.headers {
            let known: HeaderName = name.parse().map_err(|_| bad(name))?;
            let mut value = HeaderValue::from_str(self.house.hidden(value)?.expose_secret()).map_err(|_| bad(name))?;
            value.set_sensitive(true);
            headers.insert(known, value);
        }
        let mut set = |name: &'static str, value: &str| -> Result<(), SendError> {
            let known: HeaderName = name.parse().map_err(|_| bad(name))?;
            headers.insert(known, HeaderValue::from_str(value).map_err(|_| bad(name))?);
            Ok(())
        };
        set("content-type", self.content_type())?;
        set(KEY_HEADER, &key(parcel.id))?;
        let time = parcel.at.timestamp();
        set(TIME_HEADER, &time.to_string())?;
        if let Some(name) = &self.options.signing_key {
            let secret = self.house.secret(name)?;
            let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
                .map_err(|_| SendError::Incomplete("'signing_key' cannot be used".into()))?;
            mac.update(format!("{time}.").as_bytes());
            mac.update(body.as_bytes());
            set(SIGNATURE_HEADER, &format!("v1={}", hex::encode(mac.finalize().into_bytes())))?;
        }
        Ok(headers)
    }
}

#[async_trait]
impl Channel for Hook {
    async fn send(&self, parcel: &Parcel<'_>) -> Result<Answer, SendError> {
        let url = self.options.url.as_ref().ok_or_else(|| SendError::Incomplete("'url' is missing".into()))?;
        let url = self.house.hidden(url)?;
        let body = self.body(parcel)?;
        let headers = self.headers(parcel, &body)?;
        let method = match self.options.method {
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Patch => reqwest::Method::PATCH,
        };
        let request = self.http.request(method, url.expose_secret())?.headers(headers).body(body);
        let reply = self.http.send(request, &self.house, parcel.at).await?;
        Ok(Answer { said: reply.said, ..Answer::default() })
    }
}

/// What a receiver gets, and what a template can use. Minor versions only add.
fn document(parcel: &Parcel<'_>, letter: &Letter<'_>) -> Value {
    let message = parcel.message;
    let alerts: Vec<Value> = { message.alerts.iter() }
        .map(|alert| {
            let mut value = serde_json::to_value(alert).unwrap_or_default();
            if let Some(map) = value.as_object_mut() {
                // How the engine keeps its place is nobody else's business.
                map.shift_remove("progress");
                map.insert("about".into(), alert.key.subject.to_string().into());
                map.insert("kind".into(), alert.key.kind.as_ref().into());
                map.insert("instance".into(), alert.key.instance.as_ref().into());
            }
            value
        })
        .collect();
    json!({
        "schema": "rmm.notification/1",
        "id": parcel.id,
        "occasion": message.occasion,
        "severity": letter.severity(),
        "headline": letter.headline(),
        "text": letter.text(),
        "sentAt": rfc3339(parcel.at),
        "recipient": parcel.recipient,
        "organization": message.organization,
        "site": message.site,
        "because": message.because,
        "note": message.note,
        "link": letter.link(),
        "command": letter.command(),
        "alert": alerts.first(),
        "alerts": alerts,
    })
}
