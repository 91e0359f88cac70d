//! Conversations as servers of different versions and vendors hold them, word for word in their forms: what they mean does not depend on
//! the form. The texts are written here after the protocol; `tests/winrm/recordings` replays recordings of real servers.

use std::time::Duration;

use base64::Engine as _;
use rmm::diagnose::{Category, Diagnose};
use rmm::model::device::WinrmAuth;
use rmm::transport::{Output, SessionOptions, Sessions, TransportError};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::endpoint::{Endpoint, Given, PASSWORD, sessions, sessions_with, target};
use super::{ask, line, open, said};

const SHELL: &str = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell";
const TRANSFER: &str = "http://schemas.xmlsoap.org/ws/2004/09/transfer";

/// How a server writes the same.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Style {
    /// Windows Server 2012 and newer.
    Modern,
    /// Windows Server 2008: no shell in the answer to Create, names with `uuid:`, apostrophes.
    Old,
    /// OMI: other prefixes, and each text on a line of its own.
    Omi,
    /// No prefixes, attributes in another order, comments, a byte order mark.
    Bare,
}

const STYLES: [Style; 4] = [Style::Modern, Style::Old, Style::Omi, Style::Bare];

impl Style {
    fn envelope(self, action: &str, body: &str) -> String {
        let names = format!(
            "xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" \
             xmlns:x=\"{TRANSFER}\" xmlns:w=\"http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd\" xmlns:rsp=\"{SHELL}\""
        );
        let text = format!(
            "<s:Envelope xml:lang=\"en-US\" {names}><s:Header><a:Action>{action}</a:Action><a:MessageID>uuid:5825BEA8-76AB</a:MessageID>\
             <a:To>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:To><a:RelatesTo>?</a:RelatesTo></s:Header>\
             <s:Body>{body}</s:Body></s:Envelope>"
        );
        match self {
            Self::Modern => text,
            Self::Old => format!("<?xml version='1.0'?>\r\n{}\r\n", text.replace('"', "'")),
            Self::Omi => {
                let text = text.replace("xmlns:rsp=", "xmlns:p=").replace("rsp:", "p:");
                let text = text.replace("s:Envelope", "SOAP-ENV:Envelope").replace("s:Header", "SOAP-ENV:Header");
                let text = text.replace("s:Body", "SOAP-ENV:Body").replace("xmlns:s=", "xmlns:SOAP-ENV=").replace("w:", "wsman:");
                text.replace('>', ">\n    ").replace("</", "\n  </")
            }
            Self::Bare => {
                let text = ["s:", "a:", "x:", "w:", "rsp:"]
                    .iter()
                    .fold(text, |text, prefix| text.replace(&format!("<{prefix}"), "<").replace(&format!("</{prefix}"), "</"));
                format!("\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?><!-- 10.0.20348 -->{text}")
            }
        }
    }

    fn created(self) -> Value {
        let id = if self == Self::Old { "uuid:739990FF-1492" } else { "62DE33F0-8674" };
        let mut body = format!(
            "<x:ResourceCreated><a:Address>http://ws-1:5985/wsman</a:Address><a:ReferenceParameters><w:ResourceURI>{SHELL}/cmd\
             </w:ResourceURI><w:SelectorSet><w:Selector Name=\"ShellId\">{id}</w:Selector></w:SelectorSet></a:ReferenceParameters>\
             </x:ResourceCreated>"
        );
        if self == Self::Modern {
            body += &format!(
                "<rsp:Shell xmlns:rsp=\"{SHELL}\"><rsp:ShellId>{id}</rsp:ShellId><rsp:ResourceUri>{SHELL}/cmd</rsp:ResourceUri>\
                 <rsp:Owner>EXAMPLE\\kim</rsp:Owner><rsp:ClientIP>192.0.2.1</rsp:ClientIP><rsp:IdleTimeOut>PT7200.000S</rsp:IdleTimeOut>\
                 <rsp:InputStreams>stdin</rsp:InputStreams><rsp:OutputStreams>stdout stderr</rsp:OutputStreams></rsp:Shell>"
            );
        }
        self.answer("Create", &format!("{TRANSFER}/CreateResponse"), &body)
    }

    fn started(self) -> Value {
        let body = "<rsp:CommandResponse><rsp:CommandId>D37A8327-79AD</rsp:CommandId></rsp:CommandResponse>";
        self.answer("Command", &format!("{SHELL}/CommandResponse"), body)
    }

    /// Streams, and the code where the command has ended.
    fn received(self, streams: &[(&str, &[u8])], ends: bool, code: Option<&str>) -> Value {
        let mut body = String::from("<rsp:ReceiveResponse>");
        for (name, bytes) in streams {
            let text = base64::engine::general_purpose::STANDARD.encode(bytes);
            body += &format!("<rsp:Stream Name=\"{name}\" CommandId=\"D37A8327-79AD\">{text}</rsp:Stream>");
        }
        if ends {
            body += "<rsp:Stream Name=\"stdout\" CommandId=\"D37A8327-79AD\" End=\"true\"></rsp:Stream>\
                     <rsp:Stream CommandId=\"D37A8327-79AD\" End=\"TRUE\" Name=\"stderr\" xsi:nil=\"true\"/>";
        }
        // Windows Server 2008 and OMI do not tell the state of a command that goes on.
        if let Some(code) = code {
            body += &format!("<rsp:CommandState CommandId=\"D37A8327-79AD\" State=\"{SHELL}/CommandState/Done\"><rsp:ExitCode>{code}");
            body += "</rsp:ExitCode></rsp:CommandState>";
        } else if self == Self::Modern {
            body += &format!("<rsp:CommandState CommandId=\"D37A8327-79AD\" State=\"{SHELL}/CommandState/Running\"></rsp:CommandState>");
        }
        body += "</rsp:ReceiveResponse>";
        self.answer("Receive", &format!("{SHELL}/ReceiveResponse"), &body)
    }

    fn answer(self, to: &str, action: &str, body: &str) -> Value {
        json!({"action": to, "body": self.envelope(action, body)})
    }

    fn fault(self, to: &str, code: &str, subcode: &str, words: &str) -> Value {
        let body = format!(
            "<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>{subcode}</s:Value></s:Subcode></s:Code>\
             <s:Reason><s:Text xml:lang=\"\">{words}</s:Text></s:Reason><s:Detail>\
             <w:FaultDetail>http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/InvalidValue</w:FaultDetail>\
             <f:WSManFault xmlns:f=\"http://schemas.microsoft.com/wbem/wsman/1/wsmanfault\" Code=\"{code}\" Machine=\"ws-1.example.com\">\
             <f:Message><f:ProviderFault provider=\"Shell cmd plugin\" path=\"%systemroot%\\system32\\winrscmd.dll\">{words}\
             </f:ProviderFault></f:Message></f:WSManFault></s:Detail></s:Fault>"
        );
        let mut answer = self.answer(to, "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault", &body);
        answer["status"] = json!("500 Internal Server Error");
        answer
    }

    /// A command that says something on both streams, cut in the middle of a letter, after a time without a word.
    fn conversation(self) -> Vec<Value> {
        vec![
            self.created(),
            self.started(),
            self.fault("Receive", "2150858793", "w:TimedOut", "Zeit abgelaufen."),
            self.received(&[("stdout", b"gr\xc3"), ("stderr", b"ow")], false, None),
            self.received(&[], false, None),
            self.received(&[("stdout", b"\xbcn"), ("stdout", b"\r\n"), ("stderr", b"eh")], false, None),
            self.received(&[], true, Some("4294967295")),
        ]
    }
}

fn with(mut conversation: Vec<Value>, member: &str, value: &str) -> Vec<Value> {
    for answer in &mut conversation {
        answer[member] = json!(value);
    }
    conversation
}

fn meant() -> Output {
    Output { code: -1, stdout: "gr\u{fc}n\r\n".into(), stderr: "oweh".into() }
}

/// What comes of a conversation, and the sessions in which it was held.
async fn held(given: Given, conversation: Vec<Value>, more: Value) -> (Result<Output, TransportError>, Endpoint, Sessions) {
    let tls = given.tls;
    let mut config = json!({"replay": conversation});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let endpoint = Endpoint::start_with(given, config, &[]);
    let sessions = sessions(PASSWORD);
    let mut target = target(&endpoint);
    if tls {
        target.connection.ca_file = Some(endpoint.path("ca.pem"));
        target.connection.auth = Some(WinrmAuth::Basic);
    }
    let ran = match sessions.open(&target, &CancellationToken::new()).await {
        Ok(session) => ask(&session, line("whatever")).await,
        Err(error) => Err(error),
    };
    (ran, endpoint, sessions)
}

async fn over_ntlm(conversation: Vec<Value>) -> Result<Output, TransportError> {
    held(Given::default(), conversation, json!({})).await.0
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_mean_the_same_in_the_form_of_every_server() {
    for style in STYLES {
        assert_eq!(over_ntlm(style.conversation()).await, Ok(meant()), "{style:?}");
    }
    for (member, value) in
        [("charset", "utf-16"), ("charset", "utf-16-le"), ("how", "chunked"), ("how", "continue"), ("how", "blank"), ("how", "pieces")]
    {
        let conversation = with(Style::Modern.conversation(), member, value);
        assert_eq!(over_ntlm(conversation).await, Ok(meant()), "{value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_closes_the_connection_behind_each_answer_is_followed_over_others() {
    for (how, tls) in [("close", false), ("close", true), ("to the end", true)] {
        let conversation = with(Style::Modern.conversation(), "how", how);
        let (ran, endpoint, _sessions) = held(Given { tls, ..Given::default() }, conversation, json!({})).await;
        assert_eq!(ran, Ok(meant()), "{how}");
        let log = endpoint.log();
        assert_eq!((log.actions("Create"), log.actions("Command"), log.actions("Receive")), (1, 1, 5), "nothing is asked twice");
        assert_eq!(log.count("connected"), 8, "one to an answer, and one more");
        assert_eq!(log.count("clear"), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_has_lapsed_is_made_anew_once() {
    let mut conversation = Style::Modern.conversation();
    let lapse = json!({"action": "Signal", "how": "lapse"});
    conversation.push(lapse.clone());
    let (ran, endpoint, _sessions) = held(Given::default(), conversation.clone(), json!({})).await;
    assert_eq!(ran, Ok(meant()));
    assert_eq!((endpoint.log().count("connected"), endpoint.log().count("signed in")), (2, 2));
    assert_eq!(endpoint.log().actions("Signal"), 2);

    conversation.push(lapse);
    let (ran, endpoint, _sessions) = held(Given::default(), conversation, json!({})).await;
    assert_eq!(ran, Ok(meant()), "the command had ended");
    assert_eq!(endpoint.log().actions("Signal"), 2, "no third attempt");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_happen_twice_is_not_asked_again_because_somebody_says_in_clear_that_nobody_is_signed_in() {
    for action in ["Command", "Send", "Receive"] {
        let lapse = json!({"action": action, "how": "lapse"});
        let next = Style::Modern.received(&[("stdout", b"the second piece")], true, Some("0"));
        let conversation = vec![Style::Modern.created(), lapse, Style::Modern.started(), next];
        let (ran, endpoint, _sessions) = held(Given::default(), conversation, json!({})).await;
        let error = ran.unwrap_err();
        assert_eq!(error.code(), "RMM0408", "whether it has happened is not known: {error}");
        assert_eq!(endpoint.log().actions(action), 1, "{action}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_that_is_not_made_in_time_is_not_a_command_that_took_too_long() {
    let silence = json!({"action": "Create", "how": "silence"});
    let gone = Style::Modern.fault("Command", "2150858843", "w:InvalidSelectors", "The shell was not found on the server.");
    for conversation in [vec![silence.clone()], vec![Style::Modern.created(), gone, silence]] {
        let endpoint = Endpoint::start_with(Given::default(), json!({"replay": conversation}), &[]);
        let sessions = sessions_with(SessionOptions { winrm_timeout: Duration::from_secs(2), ..SessionOptions::default() }, PASSWORD);
        let session = sessions.open(&target(&endpoint), &CancellationToken::new()).await.unwrap();
        let error = ask(&session, line("whatever")).await.unwrap_err();
        assert_eq!(error.code(), "RMM0401", "nothing has run: {error}");
        assert!(error.to_string().contains("no shell within 2 s"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_write_how_a_command_ended_is_read() {
    for (written, code) in
        [("0", 0), ("3221225477", 0xC000_0005_u32.cast_signed()), ("-1073741510", 0xC000_013A_u32.cast_signed()), (" 7 ", 7)]
    {
        let answer = Style::Modern.received(&[], true, Some(written));
        let ran = over_ntlm(vec![Style::Modern.created(), Style::Modern.started(), answer]).await;
        assert_eq!(ran, Ok(Output { code, stdout: Vec::new(), stderr: Vec::new() }), "{written}");
    }
    let mut nameless = Style::Omi.received(&[], false, Some("0"));
    nameless["body"] =
        json!(nameless["body"].as_str().unwrap().replace("<p:ExitCode>", "<p:Other>").replace("</p:ExitCode>", "</p:Other>"));
    let error = over_ntlm(vec![Style::Omi.created(), Style::Omi.started(), nameless]).await.unwrap_err();
    assert!(error.to_string().contains("did not say how the command ended"), "no code is not the code 0: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_servers_refuse_is_told_with_its_number_and_its_reason() {
    let faults = [
        ("Create", "2150859173", "w:QuotaLimit", "Zu viele Shells.", "RMM0416", Category::Transient, "Zu viele Shells."),
        ("Create", "5", "w:AccessDenied", "Access is denied.", "RMM0415", Category::Configuration, "Access is denied."),
        ("Create", "2150858752", "w:EncodingLimit", "Too large.", "RMM0415", Category::Configuration, "Too large."),
        (
            "Command",
            "2147942402",
            "w:InternalError",
            "The system cannot find the file specified.",
            "RMM0415",
            Category::Configuration,
            "0x80070002",
        ),
        (
            "Receive",
            "995",
            "w:InternalError",
            "L'op\u{e9}ration a \u{e9}t\u{e9} abandonn\u{e9}e.",
            "RMM0408",
            Category::Transient,
            "op\u{e9}ration a \u{e9}t\u{e9} abandonn\u{e9}e. (995)",
        ),
        ("Receive", "2150858843", "w:InvalidSelectors", "No such shell.", "RMM0408", Category::Transient, "No such shell. (0x8033805B)"),
        ("Create", "2150858793", "w:TimedOut", "Zeit abgelaufen.", "RMM0401", Category::Device, "no shell: Zeit abgelaufen."),
        ("Create", "2150859237", "w:InternalError", "Too many users.", "RMM0416", Category::Transient, "Too many users."),
        ("Create", "2150859180", "w:AccessDenied", "No remote shells.", "RMM0415", Category::Configuration, "0x803381AC"),
        ("Command", "2150859174", "w:InternalError", "15 operations.", "RMM0416", Category::Transient, "15 operations."),
    ];
    for style in STYLES {
        // The form of a fault is the same for all: the first five show it.
        let some = if style == Style::Modern { faults.len() } else { 5 };
        for (to, number, subcode, words, code, category, shown) in faults.into_iter().take(some) {
            let mut conversation = vec![style.created(), style.started(), style.fault(to, number, subcode, words)];
            conversation.retain(|answer| answer["action"] != to || answer["status"].is_string());
            let error = over_ntlm(conversation).await.unwrap_err();
            assert_eq!((error.code(), error.category()), (code, category), "{style:?} {to} {number}: {error}");
            assert!(error.to_string().contains(shown), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_whose_operations_are_used_up_is_replaced_and_the_command_runs_once() {
    let done = |text: &[u8]| Style::Modern.received(&[("stdout", text)], true, Some("0"));
    let full = Style::Modern.fault("Command", "2150859174", "w:InternalError", "At most 15 concurrent operations.");
    let conversation = vec![
        Style::Modern.created(),
        Style::Modern.started(),
        done(b"one"),
        full,
        Style::Modern.created(),
        Style::Modern.started(),
        done(b"two"),
    ];
    let endpoint = Endpoint::start_with(Given::default(), json!({"replay": conversation}), &[]);
    let sessions = sessions(PASSWORD);
    let session = open(&sessions, &endpoint).await.unwrap();
    for text in ["one", "two"] {
        assert_eq!(said(&session, line(text)).await.0, text);
    }
    let log = endpoint.log();
    assert_eq!((log.actions("Create"), log.actions("Command"), log.actions("Delete")), (2, 3, 1));
    assert_eq!(log.count("connected"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_may_have_begun_is_not_said_to_have_failed_and_does_not_go_on() {
    let late = Style::Modern.fault("Command", "2150858793", "w:TimedOut", "Zeit abgelaufen.");
    let (ran, endpoint, _sessions) = held(Given::default(), vec![Style::Modern.created(), late], json!({})).await;
    let error = ran.unwrap_err();
    assert_eq!(error.code(), "RMM0408", "whether it has begun is not known: {error}");
    assert!(error.to_string().contains("Zeit abgelaufen. (0x80338029)"), "{error}");
    assert_eq!((endpoint.log().actions("Command"), endpoint.log().actions("Delete")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_names_other_messages_is_taken_where_messages_are_counted() {
    // As it was recorded: each answer says that it is one to a message of somebody else's.
    let conversation = with(Style::Modern.conversation(), "how", "verbatim");
    assert_eq!(over_ntlm(conversation).await, Ok(meant()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_answers_in_the_place_of_winrm_is_told_apart_from_it() {
    let page = "<!DOCTYPE html><html><body><h1>Service Unavailable&nbsp;</h1></body></html>";
    for (status, headers, words) in [
        ("503 Service Unavailable", json!({}), "503"),
        ("400 Bad Request", json!({}), "400"),
        ("302 Found", json!({"Location": "https://proxy.example.com/"}), "302"),
        ("407 Proxy Authentication Required", json!({"Proxy-Authenticate": "Basic realm=\"proxy\""}), "407"),
        ("200 OK", json!({}), "200"),
        (
            "401 Unauthorized",
            json!({"WWW-Authenticate": "Basic realm=\"WSMAN, here\", Digest qop=\"auth,auth-int\", nonce=\"x\""}),
            "it offers Basic, Digest",
        ),
    ] {
        let greeting = json!({"greeting": {"status": status, "headers": headers, "body": page}});
        let (ran, endpoint, _sessions) = held(Given::default(), Vec::new(), greeting).await;
        let error = ran.unwrap_err();
        assert!(matches!(error.code(), "RMM0401" | "RMM0412"), "{error}");
        assert!(error.to_string().contains(words), "{status}: {error}");
        assert_eq!(endpoint.log().count("clear"), 0, "nothing was said to it");
    }
    for (status, tls) in [("503 Service Unavailable", false), ("503 Service Unavailable", true), ("502 Bad Gateway", true)] {
        let answer = json!({"action": "Command", "status": status, "body": page, "how": "clear"});
        let (ran, ..) = held(Given { tls, ..Given::default() }, vec![Style::Modern.created(), answer], json!({})).await;
        let error = ran.unwrap_err();
        assert_eq!(error.code(), "RMM0408", "{error}");
        assert!(error.to_string().contains(&status[..3]), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_in_clear_is_told_and_not_believed() {
    let mut fault = Style::Modern.fault("Command", "2150858843", "w:InvalidSelectors", "No such shell.");
    fault["how"] = json!("clear");
    let (ran, endpoint, _sessions) = held(Given::default(), vec![Style::Modern.created(), fault], json!({})).await;
    let error = ran.unwrap_err();
    assert_eq!(error.code(), "RMM0417");
    assert!(error.to_string().contains("No such shell."), "{error}");
    assert_eq!(endpoint.log().actions("Create"), 1, "no other shell is made because of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_powershell_says_on_standard_error_is_read_whatever_it_is_wrapped_in() {
    let xml = |inner: &str| format!("<Objs Version=\"1.1.0.1\" xmlns=\"http://schemas.microsoft.com/powershell/2004/04\">{inner}</Objs>");
    let progress = "<Obj S=\"progress\" RefId=\"0\"><TN RefId=\"0\"><T>System.Management.Automation.PSCustomObject</T><T>System.Object</T></TN>\
                    <MS><I64 N=\"SourceId\">1</I64><PR N=\"Record\"><AV>Module werden vorbereitet.</AV><AI>0</AI><Nil /><PI>-1</PI><PC>-1</PC>\
                    <T>Completed</T><SR>-1</SR><SD> </SD></PR></MS></Obj>";
    let error = "<S S=\"Error\">Get-Item : Der Pfad &quot;X:\\&quot; wurde nicht gefunden_x002E__x000D__x000A_</S>";
    let text = format!("#< CLIXML\r\n{}{}#< CLIXML\r\n{}", xml(progress), xml(error), xml("<S S=\"warning\">W\u{e4}hlen_x000A_</S>"));
    let (one, two) = text.as_bytes().split_at(text.find('\u{e4}').unwrap() + 1);
    let conversation = vec![
        Style::Modern.created(),
        Style::Modern.started(),
        Style::Modern.received(&[("stderr", one)], false, None),
        Style::Modern.received(&[("stderr", two)], true, Some("1")),
    ];
    let output = over_ntlm(conversation).await.unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "Get-Item : Der Pfad \"X:\\\" wurde nicht gefunden.\nW\u{e4}hlen\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_that_is_left_where_no_connection_is_is_ended_over_a_new_one() {
    let endpoint = Endpoint::start(Given { mode: "stumble", ..Given::default() });
    let sessions = sessions(PASSWORD);
    let session = open(&sessions, &endpoint).await.unwrap();
    // The connection breaks, and so does the one that should have ended the shell.
    assert_eq!(ask(&session, line("drop")).await.unwrap_err().code(), "RMM0408");
    sessions.close_all().await;
    assert_eq!(endpoint.log().count("shell"), 1);
    endpoint.log().assert_no_shell_is_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_that_was_not_ended_at_once_is_asked_to_end_again() {
    let endpoint = Endpoint::start(Given { mode: "busy", ..Given::default() });
    let sessions = sessions(PASSWORD);
    let session = open(&sessions, &endpoint).await.unwrap();
    assert_eq!(said(&session, line("echo x")).await.0, "x\r\n");
    // The first attempt is answered with a fault, the connection of the second breaks.
    sessions.close_all().await;
    assert_eq!(endpoint.log().actions("Delete"), 3);
    endpoint.log().assert_no_shell_is_left();
}
