//! The worker: exactly one delivery each, order, back-off, dead letters, the limit of a minute, and a restart.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::https::{Receiver, Reply};
use super::*;

fn hook(name: &str, receiver: &Receiver, more: &str) -> String {
    format!("[notifications.channels.{name}]\ntype = \"webhook\"\nurl = \"{}/{name}\"\nca_file = \"ca.pem\"\n{more}\n", receiver.url)
}

fn house(receiver: &Receiver, toml: &str) -> House {
    let house = House::new(toml);
    receiver.trust(house.dir.path());
    house
}

#[tokio::test]
async fn a_receiver_that_fails_three_times_and_then_takes_it_has_it_once() {
    let receiver = Receiver::start().await;
    receiver.replies([500, 500, 500].map(Reply::Status));
    let house = house(&receiver, &hook("a", &receiver, ""));
    house.queue(vec![raised("d-1", "a", "a-1")]);
    house.play(10).await;
    let done = house.delivery("d-1");
    assert_eq!((done.state, done.attempts, done.error), (DeliveryState::Sent, 4, None));
    let asked = receiver.asked();
    assert_eq!(asked.len(), 4);
    assert!(asked.iter().all(|asked| asked.header("Idempotency-Key") == "d-1"), "the key is the same in every try");
    // About 10 s, 20 s and 40 s, a fifth more or less.
    let waited = (house.clock.now() - noon()).num_seconds();
    assert!((56..=84).contains(&waited), "{waited} s");
}

#[tokio::test]
async fn a_receiver_that_never_answers_holds_up_nobody_else() {
    let receiver = Receiver::start().await;
    let dumb = Receiver::start().await;
    dumb.always(Reply::Never);
    let house = House::new(&(hook("good", &receiver, "") + &*hook("dumb", &dumb, "timeout = 300").replace("ca.pem", "dumb.pem")));
    dumb.trust(house.dir.path());
    std::fs::rename(house.dir.path().join("ca.pem"), house.dir.path().join("dumb.pem")).unwrap();
    receiver.trust(house.dir.path());
    let dumb_ones = (0..50).map(|i| raised(&format!("b-{i:02}"), "dumb", &format!("a-{i}")));
    let good_ones = (0..20).map(|i| raised(&format!("g-{i:02}"), "good", &format!("a-{i}")));
    house.queue(dumb_ones.chain(good_ones).collect());
    let stop = CancellationToken::new();
    let running = tokio::spawn(Arc::clone(&house.worker).run(stop.clone()));
    receiver.arrived(20).await;
    dumb.arrived(2).await;
    stop.cancel();
    running.abort();
    let _ = running.await;
    assert_eq!(receiver.asked().len(), 20);
    assert_eq!(dumb.asked().len(), 2, "only a few are on their way to one channel");
    assert!(house.in_state(DeliveryState::Dead).is_empty());
}

#[tokio::test]
async fn a_receiver_that_answers_too_late_is_asked_again_with_the_same_key() {
    let receiver = Receiver::start().await;
    receiver.replies([Reply::Never]);
    let house = house(&receiver, &hook("a", &receiver, "timeout = 1"));
    house.queue(vec![raised("d-1", "a", "a-1")]);
    house.worker.settle().await.unwrap();
    let waiting = house.delivery("d-1");
    assert_eq!((waiting.state, waiting.attempts), (DeliveryState::Pending, 1));
    assert!(waiting.error.unwrap().contains("RMM0623"));
    house.play(3).await;
    assert_eq!(house.delivery("d-1").state, DeliveryState::Sent);
    assert_eq!(receiver.asked().iter().map(|asked| asked.header("Idempotency-Key").to_owned()).collect::<Vec<_>>(), ["d-1", "d-1"]);
}

#[tokio::test]
async fn what_is_said_about_an_alert_arrives_in_the_order_in_which_it_was_decided() {
    let receiver = Receiver::start().await;
    receiver.replies([Reply::Status(500)]);
    let house = house(&receiver, &hook("a", &receiver, ""));
    let of = |id: &str, alert_id: &str, occasion, seconds| delivery(id, "a", Some(alert(alert_id, Severity::High, "t")), occasion, seconds);
    house.queue(vec![
        of("d-1", "a-1", Occasion::Raised, 0),
        of("d-2", "a-1", Occasion::Resolved, 1),
        of("d-3", "a-2", Occasion::Raised, 2),
    ]);
    house.worker.settle().await.unwrap();
    house.clock.set(noon() + TimeDelta::seconds(2));
    house.play(10).await;
    let order: Vec<String> = receiver.asked().iter().map(|asked| asked.json()["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(order, ["d-1", "d-3", "d-1", "d-2"], "the end waits for the beginning, and nothing else does");
}

#[tokio::test]
async fn a_refusal_is_final_and_becomes_an_alert_that_ends_with_the_next_message() {
    let receiver = Receiver::start().await;
    receiver.replies([Reply::With(404, vec![], "no such hook".into())]);
    let house = house(&receiver, &hook("a", &receiver, ""));
    house.queue(vec![raised("d-1", "a", "a-1")]);
    house.play(5).await;
    let dead = house.delivery("d-1");
    assert_eq!((dead.state, dead.attempts), (DeliveryState::Dead, 1));
    assert_eq!(dead.error.unwrap(), "RMM0625: 127.0.0.1 refused: 404 Not Found: no such hook");
    let signals = std::mem::take(&mut *house.signals.lock().unwrap());
    let [Signal::Raised(finding)] = signals.as_slice() else { panic!("{signals:?}") };
    assert_eq!((finding.key.subject.clone(), &*finding.key.kind, &*finding.key.instance), (Subject::System, "Notification", "a"));
    assert!(finding.message.contains("rmm notify retry d-1"), "{}", finding.message);

    house.queue(vec![raised("d-2", "a", "a-2")]);
    house.play(5).await;
    let signals = house.signals.lock().unwrap().clone();
    assert!(matches!(signals.as_slice(), [Signal::Cleared { key, .. }] if *key == finding.key), "{signals:?}");
}

#[tokio::test]
async fn a_dead_letter_about_its_own_channel_raises_nothing() {
    let receiver = Receiver::start().await;
    receiver.always(Reply::Status(403));
    let house = house(&receiver, &hook("a", &receiver, ""));
    let mut about = alert("a-9", Severity::High, "a notification to a was given up");
    about.key = AlertKey { subject: Subject::System, kind: "Notification".into(), instance: "a".into() };
    house.queue(vec![delivery("d-1", "a", Some(about), Occasion::Raised, 0)]);
    house.play(5).await;
    assert_eq!(house.delivery("d-1").state, DeliveryState::Dead);
    assert!(house.signals.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_never_taken_is_given_up_after_its_tries() {
    let receiver = Receiver::start().await;
    receiver.always(Reply::Status(503));
    let house = house(&receiver, &hook("a", &receiver, "tries = 5"));
    house.queue(vec![raised("d-1", "a", "a-1")]);
    house.play(20).await;
    assert_eq!((house.delivery("d-1").state, receiver.asked().len()), (DeliveryState::Dead, 5));
    // Twelve tries and a day, unless told otherwise.
    house.worker.configure(&config(&hook("a", &receiver, "give_up_after = \"2m\"")));
    house.queue(vec![delivery("d-2", "a", Some(alert("a-2", Severity::Low, "t")), Occasion::Raised, 0)]);
    let before = house.clock.now();
    house.play(20).await;
    assert_eq!(house.delivery("d-2").state, DeliveryState::Dead);
    assert!(house.clock.now() - before < TimeDelta::minutes(10));
}

#[tokio::test]
async fn a_pause_that_is_asked_for_is_kept() {
    let receiver = Receiver::start().await;
    receiver.replies([Reply::With(429, vec![("retry-after", "300".into())], "slow down".into())]);
    let house = house(&receiver, &hook("a", &receiver, ""));
    house.queue(vec![raised("d-1", "a", "a-1")]);
    assert_eq!(house.worker.settle().await.unwrap(), Some(noon() + TimeDelta::seconds(300)));
}

#[tokio::test]
async fn a_storm_becomes_a_few_messages_and_one_summary() {
    let receiver = Receiver::start().await;
    let house = house(&receiver, &hook("a", &receiver, "rate_per_minute = 5"));
    house.queue((0..100).map(|i| raised(&format!("d-{i:03}"), "a", &format!("a-{i:03}"))).collect());
    house.worker.settle().await.unwrap();
    let asked = receiver.asked();
    assert_eq!(asked.len(), 5, "as many as a minute takes");
    let summary = asked.last().unwrap().json();
    assert_eq!((summary["occasion"].as_str().unwrap(), summary["alerts"].as_array().unwrap().len()), ("summary", 96));
    assert_eq!(summary["note"], "96 messages were merged into this one.");
    // Nothing is lost: each alert was told once.
    let mut told: Vec<String> =
        asked.iter().flat_map(|a| a.json()["alerts"].as_array().unwrap().clone()).map(|a| a["id"].as_str().unwrap().to_owned()).collect();
    told.sort();
    assert_eq!(told, (0..100).map(|i| format!("a-{i:03}")).collect::<Vec<_>>());
    // What comes later in the same minute waits for its end.
    house.queue(vec![raised("d-200", "a", "a-200"), raised("d-201", "a", "a-201")]);
    assert_eq!(house.worker.settle().await.unwrap(), Some(noon() + TimeDelta::seconds(60)));
    house.clock.set(noon() + TimeDelta::seconds(60));
    house.worker.settle().await.unwrap();
    assert_eq!(receiver.asked().len(), 7);
    assert_eq!(house.worker.counts()[0].merged, 96);
}

#[tokio::test]
async fn a_channel_takes_nothing_below_its_severity() {
    let receiver = Receiver::start().await;
    let house = house(&receiver, &hook("a", &receiver, "min_severity = \"high\""));
    let of = |id: &str, severity| delivery(id, "a", Some(alert(id, severity, "t")), Occasion::Raised, 0);
    house.queue(vec![of("d-1", Severity::Medium), of("d-2", Severity::High), of("d-3", Severity::Info)]);
    house.play(3).await;
    let states = ["d-1", "d-2", "d-3"].map(|id| house.delivery(id).state);
    assert_eq!(states, [DeliveryState::Cancelled, DeliveryState::Sent, DeliveryState::Cancelled]);
    assert_eq!(receiver.asked().len(), 1);
}

#[tokio::test]
async fn a_channel_that_is_not_declared_gives_a_dead_letter_that_can_be_retried() {
    let receiver = Receiver::start().await;
    let house = house(&receiver, "");
    house.queue(vec![raised("d-1", "a", "a-1")]);
    house.play(3).await;
    let dead = house.delivery("d-1");
    assert_eq!((dead.state, dead.error.as_deref()), (DeliveryState::Dead, Some("RMM0621: there is no channel 'a' in rmm.toml")));
    house.worker.configure(&config(&hook("a", &receiver, "")));
    let event = rmm::store::AuditEvent {
        at: noon(),
        user: None,
        action: "notify.retried".into(),
        target: None,
        details: serde_json::Value::Null,
        ip: None,
        success: true,
    };
    house.store.retry_delivery("d-1", house.clock.now(), event).unwrap();
    house.play(3).await;
    assert_eq!(house.delivery("d-1").state, DeliveryState::Sent);
}

#[tokio::test]
async fn after_a_crash_what_was_on_its_way_goes_again_with_the_same_key_and_nothing_else() {
    let receiver = Receiver::start().await;
    let house = house(&receiver, &hook("a", &receiver, ""));
    house.queue(vec![raised("d-1", "a", "a-1"), raised("d-2", "a", "a-2")]);
    // A process claims one and dies before it hears the answer: ten minutes later nobody waits for it any more.
    assert!(house.store.claim_delivery("d-1", noon()).unwrap());
    house.worker.settle().await.unwrap();
    assert_eq!(house.delivery("d-1").state, DeliveryState::Sending, "it belongs to another");
    house.clock.set(noon() + TimeDelta::minutes(11));
    assert_eq!(house.worker.recover().unwrap(), 1);
    house.worker.settle().await.unwrap();
    let keys: Vec<String> = receiver.asked().iter().map(|asked| asked.header("Idempotency-Key").to_owned()).collect();
    assert_eq!(keys, ["d-2", "d-1"]);
}

#[tokio::test]
async fn what_a_channel_had_taken_before_a_crash_does_not_go_again() {
    let receiver = Receiver::start().await;
    let house = house(&receiver, &hook("a", &receiver, ""));
    house.queue(vec![raised("d-1", "a", "a-1"), raised("d-2", "a", "a-2")]);
    for id in ["d-1", "d-2"] {
        assert!(house.store.claim_delivery(id, noon()).unwrap());
    }
    // The channel has answered for the first one; the process dies before its record, and in the middle of a line.
    let (state, receipt, sent_at) = (DeliveryState::Sent, Some("r-1".to_owned()), Some(noon()));
    let result = rmm::store::DeliveryResult { state, error: None, receipt, due_at: None, sent_at, rest: Vec::new() };
    let file = house.dir.path().join("rmm.db-taken");
    std::fs::write(
        &file,
        format!("{{\"id\":\"d-0\",\"re\n{}\n{{\"id\":\"d-2\",\"resu", serde_json::json!({"id": "d-1", "result": result})),
    )
    .unwrap();
    house.clock.set(noon() + TimeDelta::minutes(11));
    assert_eq!(house.worker.recover().unwrap(), 1);
    house.worker.settle().await.unwrap();
    let keys: Vec<String> = receiver.asked().iter().map(|asked| asked.header("Idempotency-Key").to_owned()).collect();
    assert_eq!(keys, ["d-2"]);
    let first = house.delivery("d-1");
    assert_eq!((first.state, first.receipt.as_deref(), first.sent_at), (DeliveryState::Sent, Some("r-1"), Some(noon())));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "", "everything has its record");
}

#[tokio::test]
async fn a_message_leaves_within_milliseconds_of_being_queued() {
    let receiver = Receiver::start().await;
    let house = house(&receiver, &hook("a", &receiver, ""));
    let wake = Arc::new(tokio::sync::Notify::new());
    let worker = Worker::new(Parts {
        store: house.store.clone(),
        clock: Arc::clone(&house.clock) as _,
        secrets: Arc::new(house.secrets.clone()),
        redactor: house.secrets.redactor.clone(),
        root: house.dir.path().to_path_buf(),
        host: "h".into(),
        wake: Arc::clone(&wake),
        signals: Arc::new(|_| {}),
    });
    worker.configure(&config(&hook("a", &receiver, "")));
    let stop = CancellationToken::new();
    let running = tokio::spawn(worker.run(stop.clone()));
    let mut times = Vec::new();
    for i in 0..21 {
        let begun = std::time::Instant::now();
        house.queue(vec![raised(&format!("d-{i}"), "a", &format!("a-{i}"))]);
        wake.notify_one();
        receiver.arrived(i + 1).await;
        times.push(begun.elapsed());
    }
    stop.cancel();
    assert_eq!(running.await.unwrap(), 0, "what was on its way has arrived");
    times.sort();
    assert!(times[10] < Duration::from_millis(500), "median {:?}", times[10]);
    println!("from the queue to the receiver: median {:?}, slowest {:?}", times[10], times[20]);
    assert_eq!(house.in_state(DeliveryState::Sent).len(), 21);
}

#[tokio::test]
async fn a_clock_that_is_set_back_keeps_no_message_waiting() {
    let receiver = Receiver::start().await;
    let house = house(&receiver, &hook("a", &receiver, ""));
    house.worker.settle().await.unwrap();
    house.clock.set(noon() - TimeDelta::hours(1));
    house.queue(vec![raised("d-1", "a", "a-1")]);
    assert_eq!(house.delivery("d-1").due_at, noon(), "queued a moment before");
    house.worker.settle().await.unwrap();
    assert_eq!(house.delivery("d-1").state, DeliveryState::Sent);
}

#[tokio::test]
async fn a_receiver_that_says_yes_and_breaks_off_has_it_once() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = [0; 16 * 1024];
        let _ = stream.read(&mut seen).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\ntaken").await.unwrap();
        stream.shutdown().await.unwrap();
        // What is not read yet would end the connection before the answer has arrived.
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    });
    let house = House::new(&format!("[notifications.channels.a]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:{port}/\"\n"));
    house.queue(vec![raised("d-1", "a", "a-1")]);
    house.worker.settle().await.unwrap();
    asked.await.unwrap();
    let delivery = house.delivery("d-1");
    assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Sent, 1));
}
