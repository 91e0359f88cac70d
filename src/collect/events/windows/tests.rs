use std::sync::Mutex;

use super::*;
use crate::collect::events::{Wanted, fetch as fetch_any};
use crate::model::{Device, Platform};
use crate::transport::Output;

/// Written after the documentation of `Get-WinEvent`, not on a Windows machine.
const SAMPLE: &str = include_str!("../../samples/eventlog.jsonl");

fn known(cursors: &[(&'static str, u64, i64)]) -> BTreeMap<&'static str, Cursor> {
    cursors.iter().map(|(log, number, at)| (*log, Cursor { number: *number, at: *at })).collect()
}

fn all() -> BTreeMap<&'static str, Cursor> {
    known(&[("System", 41870, 1_779_990_000_000), ("Application", 9001, 1_780_000_061_000), ("Security", 700_000, 1_779_999_000_000)])
}

fn part<'a>(fetched: &'a Fetched, source: &str) -> &'a Part {
    fetched.parts.iter().find(|part| &*part.source == source).unwrap()
}

#[test]
fn records_of_all_logs_have_one_form_and_each_log_its_own_place() {
    let fetched = read("ws-017", SAMPLE, &all());
    assert_eq!((fetched.problem.as_deref(), fetched.more), (None, false));
    let system = part(&fetched, "System");
    let seen: Vec<_> = system.records.iter().map(|r| (&*r.origin, r.priority, r.code)).collect();
    assert_eq!(seen, [("EventLog", 3, Some(6008)), ("Service Control Manager", 3, Some(7034)), ("disk", 4, Some(153))]);
    assert_eq!(system.records[1].cursor, "41877@1780000000123");
    assert_eq!((&*system.records[1].source, &system.records[1].data["computer"]), ("System", &json!("WS-017")));
    assert_eq!(system.cursor.as_deref(), Some("41880@1780000060000"));
    // A refused logon is a warning, whatever its level says.
    let refused = &part(&fetched, "Security").records[0];
    assert_eq!((refused.priority, refused.message.lines().next()), (4, Some("An account failed to log on.")));
    assert_eq!(part(&fetched, "Application").cursor.as_deref(), Some("9001@1780000061000"));
}

#[test]
fn without_a_place_only_the_place_is_noted() {
    let text = "{\"log\":\"System\",\"newest\":{\"number\":5,\"at\":50},\"oldest\":{\"number\":1,\"at\":10}}\n\
                {\"log\":\"Security\",\"problem\":\"Attempted to perform an unauthorized operation.\"}\n\
                {\"log\":\"Application\",\"newest\":null,\"oldest\":null}\n";
    let fetched = read("ws-017", text, &known(&[]));
    assert_eq!(fetched.records().count(), 0);
    assert_eq!(part(&fetched, "System").cursor.as_deref(), Some("5@50"));
    assert_eq!(part(&fetched, "Application").cursor, None);
    assert!(fetched.problem.unwrap().contains("the log Security cannot be read: Attempted"));
}

#[test]
fn nothing_is_read_twice_and_an_answer_that_broke_off_loses_nothing() {
    let again = read("ws-017", SAMPLE, &known(&[("System", 41877, 1_780_000_000_123)]));
    assert_eq!(part(&again, "System").records.iter().map(|r| r.code).collect::<Vec<_>>(), [Some(153)]);
    // It ends within the third record.
    let cut = &SAMPLE[..SAMPLE.find("The IO operation").unwrap()];
    let fetched = read("ws-017", cut, &all());
    assert_eq!(part(&fetched, "System").cursor.as_deref(), Some("41877@1780000000123"));
    let nothing = read("ws-017", SAMPLE.lines().next().unwrap(), &all());
    assert_eq!(nothing.parts, Vec::new(), "a line without an end is none");
    let failed = format!("{}\n{{\"log\":\"System\",\"problem\":\"The RPC server is unavailable.\"}}\n", SAMPLE.lines().next().unwrap());
    assert_eq!(part(&read("ws-017", &failed, &all()), "System").cursor.as_deref(), Some("41870@1779990000000"));
}

#[test]
fn as_many_as_are_read_at_once_are_not_all() {
    let mut text = String::from("{\"log\":\"System\",\"newest\":{\"number\":9000,\"at\":9},\"oldest\":{\"number\":1,\"at\":1}}\n");
    for n in 11..11 + MOST {
        text += &format!("{{\"RecordId\":{n},\"Level\":2,\"TimeCreated\":\"2026-05-28T20:26:40Z\"}}\n");
    }
    text += "{\"log\":\"System\",\"done\":true}\n";
    let fetched = read("ws-017", &text, &known(&[("System", 10, 2)]));
    assert!(fetched.more);
    assert_eq!(part(&fetched, "System").cursor.as_deref(), Some("510@1780000000000"));
}

#[test]
fn where_there_was_too_much_for_one_answer_it_goes_on_behind_what_was_told() {
    let text = "{\"log\":\"System\",\"newest\":{\"number\":9000,\"at\":9},\"oldest\":{\"number\":1,\"at\":1},\"known\":null}\n\
                {\"RecordId\":11,\"Level\":2,\"TimeCreated\":\"2026-05-28T20:26:40Z\"}\n\
                {\"log\":\"Security\",\"more\":true}\n{\"log\":\"System\",\"more\":true}\n";
    let fetched = read("ws-017", text, &known(&[("System", 10, 2)]));
    assert!(fetched.more && fetched.problem.is_none());
    assert_eq!(part(&fetched, "System").cursor.as_deref(), Some("11@1780000000000"));
    assert_eq!(fetched.parts.len(), 1);
}

#[test]
fn records_of_which_none_can_be_read_are_not_asked_for_over_and_over() {
    let text = "{\"log\":\"System\",\"newest\":{\"number\":9000,\"at\":9},\"oldest\":{\"number\":1,\"at\":1},\"known\":null}\n\
                {\"log\":\"System\",\"more\":true}\n";
    let fetched = read("ws-017", text, &known(&[("System", 10, 2)]));
    assert!(!fetched.more);
    assert_eq!(part(&fetched, "System").cursor.as_deref(), Some("10@2"));
}

#[test]
fn a_first_record_from_a_clock_that_was_wrong_does_not_make_a_log_a_cleared_one() {
    // What was read last is still there, although the oldest record says that it is younger.
    let text = "{\"log\":\"System\",\"newest\":{\"number\":600,\"at\":1500},\"oldest\":{\"number\":1,\"at\":9000},\
                \"known\":{\"number\":500,\"at\":1000}}\n\
                {\"RecordId\":501,\"Level\":2,\"TimeCreated\":\"2026-05-28T20:26:40Z\"}\n{\"log\":\"System\",\"done\":true}\n";
    let fetched = read("ws-017", text, &known(&[("System", 500, 1000)]));
    assert_eq!((fetched.problem.as_deref(), fetched.records().count()), (None, 1));
    assert_eq!(part(&fetched, "System").cursor.as_deref(), Some("600@1500"));
    // Another record has its number by now.
    let fetched = read("ws-017", &text.replace("\"at\":1000", "\"at\":9100"), &known(&[("System", 500, 1000)]));
    assert!(fetched.problem.unwrap().contains("was cleared"));
}

#[test]
fn a_log_that_was_cleared_is_read_from_its_beginning_and_what_is_gone_is_said() {
    let head = |newest: u64, oldest: u64, at: i64| {
        format!(
            "{{\"log\":\"System\",\"newest\":{{\"number\":{newest},\"at\":{at}}},\"oldest\":{{\"number\":{oldest},\"at\":{at}}}}}\n\
             {{\"RecordId\":{newest},\"Level\":2,\"TimeCreated\":\"2026-05-28T20:26:40Z\"}}\n{{\"log\":\"System\",\"done\":true}}\n"
        )
    };
    let cursor = known(&[("System", 500, 1000)]);
    // Its numbers begin anew, and may have passed the place meanwhile.
    for (newest, oldest) in [(3, 1), (600, 1)] {
        let fetched = read("ws-017", &head(newest, oldest, 2000), &cursor);
        assert_eq!(fetched.records().count(), 1);
        assert!(fetched.problem.unwrap().contains("was cleared"));
    }
    assert!(read("ws-017", &head(9000, 8000, 2000), &cursor).problem.unwrap().contains("overwritten"));
    assert_eq!(read("ws-017", &head(501, 501, 2000), &cursor).problem, None);
}

#[test]
fn nonsense_and_hostile_fields_are_left_out() {
    let text = "Get-WinEvent : nothing\n[1]\n{\"log\":\"../../x\",\"newest\":{\"number\":1,\"at\":1}}\n{\"RecordId\":1}\n\
                {\"log\":\"System\",\"newest\":{\"number\":-4,\"at\":1},\"oldest\":7}\n{\"RecordId\":3,\"TimeCreated\":\"yesterday\"}\n\
                {\"RecordId\":4,\"TimeCreated\":\"2026-05-28T20:26:40Z\",\"ProviderName\":\"a\\u0007b\",\"Keywords\":\"zz\"}\n";
    let fetched = read("ws-017", text, &known(&[("System", 2, 1)]));
    let [one] = &part(&fetched, "System").records[..] else { panic!("{fetched:?}") };
    assert_eq!((&*one.origin, one.priority), ("ab", 6));
    assert_eq!(Cursor::parse("5@x"), None);
    assert_eq!(Cursor::parse("s=1;i=2"), None);
}

/// Answers with the sample, and keeps what it was asked.
struct Recorded(Mutex<Vec<Command>>);

#[async_trait::async_trait]
impl Session for Recorded {
    async fn run(&self, command: Command, _: &CancellationToken) -> Result<Output, TransportError> {
        self.0.lock().unwrap().push(command);
        Ok(Output { stdout: SAMPLE.as_bytes().to_vec(), ..Output::default() })
    }
}

#[tokio::test]
async fn a_windows_device_is_asked_for_its_event_log_with_values_as_data() {
    let session = Recorded(Mutex::default());
    let device = Device { name: "ws-017".into(), os: Some(Platform::Windows), ..Device::default() };
    let wanted = Wanted { units: vec!["disk'; reboot".into()], priority: Priority::Warning };
    let cursors = BTreeMap::from([("System", "41870@1779990000000".to_owned()), ("Security", "1'; x".to_owned())]);
    let fetched = fetch_any(&session, &device, &wanted, &cursors, &CancellationToken::new()).await.unwrap();
    assert_eq!(part(&fetched, "System").records.len(), 3);
    let [asked] = &session.0.lock().unwrap()[..] else { panic!("asked once") };
    assert!(asked.line.starts_with("powershell.exe ") && !asked.line.contains("41870"), "{}", asked.line);
    let sent: serde_json::Value = serde_json::from_slice(&asked.input).unwrap();
    let expected = json!({
        "logs": [{"name": "System", "number": 41870, "at": 1_779_990_000_000_i64}, {"name": "Application"}, {"name": "Security"}],
        "levels": [1, 2, 3], "failures": true, "most": 500, "bytes": 1_048_576, "seconds": 12, "longest": 4096,
    });
    assert_eq!(sent["params"], expected);
    assert!(asked.input.is_ascii() && sent["script"].as_str().unwrap().contains("EventLogReader"));
}
