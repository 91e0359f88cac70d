//! Channels over HTTPS: their forms, their keys, what they do with text that wants to be more, and with secrets.

use std::collections::VecDeque;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};

use super::https::{Receiver, Reply};
use super::*;

/// Text that tries everything at once.
const HOSTILE: &str = "</td><script>alert(1)</script> <!channel> <@U123> [x](http://evil) *b* \"quoted\" {{ 7*7 }}\r\nBcc: evil@example.com\u{0}\u{1b}[31m\u{202e}";

fn hostile() -> Message {
    let mut alert = alert("a-1", Severity::Critical, HOSTILE);
    alert.message = HOSTILE.into();
    alert.key.instance = HOSTILE.into();
    alert.key.subject = Subject::Device(HOSTILE.into());
    message(Occasion::Raised, vec![alert])
}

fn critical() -> Message {
    message(Occasion::Raised, vec![alert("a-1", Severity::Critical, "DiskSpace of /var: 7 %")])
}

async fn receiver() -> (Receiver, House) {
    let receiver = Receiver::start().await;
    let house = House::new("");
    receiver.trust(house.dir.path());
    (receiver, house)
}

fn has_control(text: &str) -> bool {
    text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}')
}

#[tokio::test]
async fn a_webhook_gets_json_that_is_signed_with_the_time() {
    let (receiver, house) = receiver().await;
    let toml = format!(
        "[notifications.channels.w]\ntype = \"webhook\"\nurl = \"{}/in?x=1\"\nmethod = \"PUT\"\nca_file = \"ca.pem\"\nsigning_key = {{ secret = \"KEY\" }}\n\
         headers = {{ X-Team = \"ops\", Authorization = {{ secret = \"AUTH\" }} }}\n",
        receiver.url
    );
    send(&house, &toml, &critical(), Some("kim"), None).await.unwrap();
    let asked = receiver.asked().remove(0);
    assert_eq!((asked.method.as_str(), &*asked.path), ("PUT", "/in?x=1"));
    assert_eq!(
        (asked.header("x-team"), asked.header("authorization"), asked.header("content-type")),
        ("ops", "value-of-AUTH", "application/json")
    );
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"value-of-KEY").unwrap();
    mac.update(format!("{}.{}", asked.header("x-rmm-timestamp"), asked.body).as_bytes());
    assert_eq!(asked.header("x-rmm-signature"), format!("v1={}", hex::encode(mac.finalize().into_bytes())));
    assert_eq!(asked.header("x-rmm-timestamp"), noon().timestamp().to_string());
    let body = asked.json();
    assert_eq!(body["schema"], "rmm.notification/1");
    assert_eq!(
        (&body["id"], &body["recipient"], &body["occasion"], &body["severity"]),
        (&json!("d-1"), &json!("kim"), &json!("raised"), &json!("critical"))
    );
    assert_eq!(
        (&body["alert"]["id"], &body["alert"]["about"], &body["alert"]["kind"], &body["alert"]["value"]),
        (&json!("a-1"), &json!("db-1"), &json!("DiskSpace"), &json!(7.0))
    );
    assert_eq!(body["alert"].get("progress"), None, "what the engine keeps for itself");
    assert_eq!(body["link"], "https://rmm.example.com/alerts/a-1");
}

#[tokio::test]
async fn values_in_a_template_stay_values() {
    let (receiver, house) = receiver().await;
    let hook = |body: &str| {
        format!("[notifications.channels.w]\ntype = \"webhook\"\nurl = \"{}\"\nca_file = \"ca.pem\"\nbody = '''{body}'''\n", receiver.url)
    };
    send(&house, &hook(r#"{"text": {{ alert.title }}, "n": {{ alerts | length }}}"#), &hostile(), None, None).await.unwrap();
    let body = receiver.asked().remove(0).json();
    assert_eq!((body["text"].as_str().unwrap(), &body["n"]), (HOSTILE, &json!(1)));
    for (template, why) in [
        ("{\"text\": \"{{ headline }}\"}", "gives no JSON"),
        ("{{ alert.titel.x }}", "template"),
        ("{% for i in range(100000000) %}x{% endfor %}", "template"),
    ] {
        let error = send(&house, &hook(template), &hostile(), None, None).await.unwrap_err();
        assert!(matches!(&error, SendError::Unwritable(text) if text.contains(why)), "{error}");
    }
    assert_eq!(receiver.asked().len(), 1, "nothing was sent that is not right");
}

#[tokio::test]
async fn a_redirect_to_another_host_is_not_followed() {
    let (receiver, house) = receiver().await;
    let other = Receiver::start().await;
    receiver.replies([
        Reply::With(307, vec![("location", format!("{}/steal", other.url))], String::new()),
        Reply::With(307, vec![("location", "/here".into())], String::new()),
    ]);
    let toml = format!("[notifications.channels.w]\ntype = \"webhook\"\nurl = \"{}/\"\nca_file = \"ca.pem\"\n", receiver.url);
    let error = send(&house, &toml, &critical(), None, None).await.unwrap_err();
    assert!(matches!(error, SendError::Refused { .. }), "{error}");
    assert!(other.asked().is_empty());
    send(&house, &toml, &critical(), None, None).await.unwrap();
    assert_eq!(receiver.asked().iter().map(|asked| asked.path.clone()).collect::<Vec<_>>(), ["/", "/", "/here"]);
}

#[tokio::test]
async fn an_authority_that_is_not_trusted_is_not_spoken_to() {
    let (receiver, house) = receiver().await;
    let other = Receiver::start().await;
    let toml = format!("[notifications.channels.w]\ntype = \"webhook\"\nurl = \"{}/\"\nca_file = \"ca.pem\"\n", other.url);
    let error = send(&house, &toml, &critical(), None, None).await.unwrap_err();
    assert!(matches!(&error, SendError::Unreachable { why, .. } if why.contains("certificate")), "{error}");
    assert!(error.may_pass());
    assert!(other.asked().is_empty() && receiver.asked().is_empty());
}

#[tokio::test]
async fn an_answer_without_end_is_read_to_its_bound_only() {
    let (receiver, house) = receiver().await;
    receiver.replies([Reply::With(400, vec![], "x".repeat(8 * 1024 * 1024))]);
    let toml = format!("[notifications.channels.w]\ntype = \"webhook\"\nurl = \"{}/\"\nca_file = \"ca.pem\"\n", receiver.url);
    let error = send(&house, &toml, &critical(), None, None).await.unwrap_err();
    assert!(error.to_string().len() < 500, "{error}");
}

#[tokio::test]
async fn no_secret_is_in_an_error_or_an_answer() {
    let (receiver, house) = receiver().await;
    house.secret("URL", format!("{}/hooks/s3cr3t-path?sig=s3cr3t", receiver.url));
    let toml = "[notifications.channels.t]\ntype = \"teams\"\nurl = { secret = \"URL\" }\nca_file = \"ca.pem\"\n";
    // The other side repeats what it was asked.
    receiver.replies([Reply::With(400, vec![], format!("bad request to {}/hooks/s3cr3t-path?sig=s3cr3t", receiver.url))]);
    let error = send(&house, toml, &critical(), None, None).await.unwrap_err();
    assert!(!error.to_string().contains("s3cr3t") && error.to_string().contains("(secret URL)"), "{error}");
    house.secret("URL", "https://s3cr3t.invalid.example.invalid:1/s3cr3t-path");
    let error = send(&house, toml, &critical(), None, None).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("s3cr3t-path"), "{error:?}");
    house.secret("URL", "not an address with s3cr3t");
    let error = send(&house, toml, &critical(), None, None).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error:?}");
}

#[tokio::test]
async fn teams_gets_a_card_whose_texts_are_texts() {
    let (receiver, house) = receiver().await;
    house.secret("URL", format!("{}/workflow", receiver.url));
    let toml = "[notifications.channels.t]\ntype = \"teams\"\nurl = { secret = \"URL\" }\nca_file = \"ca.pem\"\n";
    send(&house, toml, &hostile(), None, None).await.unwrap();
    let body = receiver.asked().remove(0).json();
    let card = &body["attachments"][0];
    assert_eq!((&body["type"], &card["contentType"]), (&json!("message"), &json!("application/vnd.microsoft.card.adaptive")));
    let content = &card["content"];
    assert_eq!((&content["type"], &content["version"]), (&json!("AdaptiveCard"), &json!("1.4")));
    let shown = content.to_string();
    assert!(!shown.contains("[x](http") && !shown.contains("<script>"), "{shown}");
    assert_eq!(content["actions"][0], json!({"type": "Action.OpenUrl", "title": "Open", "url": "https://rmm.example.com/alerts/a-1"}));
    assert!(shown.contains("rmm alerts ack a"), "the command is there too: {shown}");
}

#[tokio::test]
async fn slack_keeps_what_is_said_about_an_alert_in_one_thread() {
    let (receiver, house) = receiver().await;
    let toml = format!(
        "[notifications.channels.s]\ntype = \"slack\"\ntoken = {{ secret = \"TOKEN\" }}\nchannel = \"#ops\"\nca_file = \"ca.pem\"\napi_url = \"{}/api\"\npeople = {{ kim = \"U0123456\" }}\n",
        receiver.url
    );
    let ok = |ts: &str| Reply::With(200, vec![], json!({"ok": true, "channel": "C1", "ts": ts}).to_string());
    receiver.replies([ok("17.1"), ok("17.2"), ok("17.3")]);
    let first = send(&house, &toml, &hostile(), None, None).await.unwrap();
    assert_eq!(first.receipt.as_deref(), Some("#ops 17.1"));
    let over = message(Occasion::Resolved, critical().alerts);
    let second = send(&house, &toml, &over, None, first.receipt.as_deref()).await.unwrap();
    assert_eq!(second.receipt, first.receipt, "the thread stays the same");
    // Kim is spoken to alone: the thread of the channel is not hers.
    send(&house, &toml, &over, Some("kim"), first.receipt.as_deref()).await.unwrap();
    let asked = receiver.asked();
    assert!(asked.iter().all(|asked| asked.path == "/api/chat.postMessage" && asked.header("authorization") == "Bearer value-of-TOKEN"));
    let bodies: Vec<Value> = asked.iter().map(super::https::Asked::json).collect();
    assert_eq!((bodies[0].get("thread_ts"), bodies[1]["thread_ts"].as_str(), bodies[2].get("thread_ts")), (None, Some("17.1"), None));
    assert_eq!((bodies[1]["channel"].as_str(), bodies[2]["channel"].as_str()), (Some("#ops"), Some("U0123456")));
    let shown = bodies[0].to_string();
    assert!(!shown.contains("<!channel>") && !shown.contains("<@U123>") && shown.contains("&lt;!channel&gt;"), "{shown}");
    let texts = bodies[0]["blocks"].as_array().unwrap().iter().map(|block| block["text"]["text"].as_str().unwrap_or(""));
    assert!(texts.clone().all(|text| !has_control(text) && text.chars().count() <= 3000));
}

#[tokio::test]
async fn slack_says_no_in_its_own_way() {
    let (receiver, house) = receiver().await;
    let toml = format!(
        "[notifications.channels.s]\ntype = \"slack\"\ntoken = {{ secret = \"TOKEN\" }}\nchannel = \"#ops\"\nca_file = \"ca.pem\"\napi_url = \"{}\"\n",
        receiver.url
    );
    let no = |error: &str| Reply::With(200, vec![], json!({"ok": false, "error": error}).to_string());
    receiver.replies([no("channel_not_found"), no("internal_error"), Reply::With(429, vec![("retry-after", "7".into())], String::new())]);
    let mut errors = VecDeque::new();
    for _ in 0..3 {
        errors.push_back(send(&house, &toml, &critical(), None, None).await.unwrap_err());
    }
    assert_eq!(errors.iter().map(SendError::may_pass).collect::<Vec<_>>(), [false, true, true], "{errors:?}");
    assert_eq!(errors[2].retry_after(), Some(std::time::Duration::from_secs(7)));
    house.secret("HOOK", format!("{}/services/x", receiver.url));
    let simple = "[notifications.channels.s]\ntype = \"slack\"\nurl = { secret = \"HOOK\" }\nca_file = \"ca.pem\"\n";
    assert_eq!(send(&house, simple, &critical(), None, None).await.unwrap().receipt, None);
}

#[tokio::test]
async fn pagerduty_has_one_key_for_an_alert_from_its_beginning_to_its_end() {
    let (receiver, house) = receiver().await;
    let toml = format!(
        "[notifications.channels.p]\ntype = \"pagerduty\"\nrouting_key = {{ secret = \"ROUTE\" }}\nca_file = \"ca.pem\"\napi_url = \"{}\"\n",
        receiver.url
    );
    receiver.always(Reply::With(202, vec![], json!({"status": "success"}).to_string()));
    for occasion in [Occasion::Raised, Occasion::Worsened, Occasion::Acknowledged, Occasion::Resolved] {
        send(&house, &toml, &message(occasion, critical().alerts), None, None).await.unwrap();
    }
    let bodies: Vec<Value> = receiver.asked().iter().map(super::https::Asked::json).collect();
    let actions: Vec<&str> = bodies.iter().map(|body| body["event_action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["trigger", "trigger", "acknowledge", "resolve"]);
    assert!(bodies.iter().all(|body| body["dedup_key"] == "rmm-a-1" && body["routing_key"] == "value-of-ROUTE"));
    let payload = &bodies[0]["payload"];
    assert_eq!(
        (&payload["severity"], &payload["source"], &payload["class"], &payload["component"]),
        (&json!("critical"), &json!("db-1"), &json!("DiskSpace"), &json!("/var"))
    );
    // A summary: each alert is what it is now.
    let mut over = alert("a-2", Severity::High, "t");
    over.state = AlertState::Resolved;
    send(&house, &toml, &message(Occasion::Summary, vec![critical().alerts.remove(0), over]), None, None).await.unwrap();
    let more: Vec<(String, String)> = receiver.asked()[4..]
        .iter()
        .map(super::https::Asked::json)
        .map(|b| (b["event_action"].as_str().unwrap().into(), b["dedup_key"].as_str().unwrap().into()))
        .collect();
    assert_eq!(more, [("trigger".to_owned(), "rmm-a-1".to_owned()), ("resolve".into(), "rmm-a-2".into())]);
}

#[tokio::test]
async fn a_text_message_is_short_and_reaches_each_number_once() {
    let (receiver, house) = receiver().await;
    let toml = format!(
        "[notifications.channels.s]\ntype = \"sms\"\naccount = \"AC123\"\ntoken = {{ secret = \"AUTH\" }}\nfrom = \"+4930000000\"\nto = [\"+4930111111\", \"+4930222222\"]\nca_file = \"ca.pem\"\napi_url = \"{}\"\n",
        receiver.url
    );
    let sid = |sid: &str| Reply::With(201, vec![], json!({"sid": sid}).to_string());
    receiver.replies([sid("SM1"), Reply::Status(500), sid("SM2")]);
    let channel = channel(&house, &toml).unwrap();
    let mut long = critical();
    long.alerts[0].message = "word ".repeat(5000);
    let parcel = Parcel { id: "d-1", recipient: None, message: &long, receipt: None, at: noon() };
    let answer = channel.send(&parcel).await.unwrap();
    let [missed] = answer.missed.as_slice() else { panic!("{answer:?}") };
    assert!(missed.recipient == "+4930222222" && missed.error.may_pass(), "{missed:?}");
    // Who has it is not sent it again: what is left is for the other one alone.
    let rest = Parcel { recipient: Some(&missed.recipient), ..parcel };
    assert_eq!(channel.send(&rest).await.unwrap().said, "SM2");
    let asked = receiver.asked();
    let to: Vec<bool> = asked.iter().map(|asked| asked.body.contains("To=%2B4930111111")).collect();
    assert_eq!(to, [true, false, false]);
    assert!(asked.iter().all(|asked| asked.path == "/2010-04-01/Accounts/AC123/Messages.json"));
    let basic = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode("AC123:value-of-AUTH")
    };
    assert_eq!(asked[0].header("authorization"), format!("Basic {basic}"));
    let body = asked[0].body.split('&').find_map(|pair| pair.strip_prefix("Body=")).unwrap();
    assert!(body.starts_with("%5BCRITICAL%5D%20db-1%3A%20DiskSpace") && body.contains("%28cut%29"), "{body}");
    assert!(asked[0].body.len() < 1600);
    let config = config(&toml);
    let options = rmm::model::channel::Options::of(&config.notifications.channels["s"]).unwrap().unwrap();
    assert_eq!(options.min_severity(), Severity::Critical);
}

#[tokio::test]
async fn the_event_log_of_windows_is_not_pretended_elsewhere() {
    let house = House::new("");
    let error = send(&house, "[notifications.channels.e]\ntype = \"eventlog\"\n", &critical(), None, None).await.unwrap_err();
    assert_eq!(error, SendError::Unsupported("the event log of Windows"));
    assert!(!error.may_pass());
}
