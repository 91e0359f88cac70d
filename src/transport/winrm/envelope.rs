//! What is said to a WinRM endpoint: SOAP envelopes of WS-Management, with everything that varies escaped.

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use quick_xml::escape::escape;
use zeroize::Zeroizing;

/// The type of an envelope in clear.
pub(super) const KIND: &str = "application/soap+xml";
pub(super) const CONTENT_TYPE: &str = "application/soap+xml;charset=UTF-8";
/// Largest envelope that an answer may be: what the oldest servers allow.
const MAX_ENVELOPE: usize = 153_600;
/// Largest piece of standard input in one envelope, before it is written in Base64.
pub(super) const PIECE: usize = 96 * 1024;
/// Longest that an endpoint holds a request back before it says that there is nothing yet.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

const SHELL: &str = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell";
const TRANSFER: &str = "http://schemas.xmlsoap.org/ws/2004/09/transfer";

/// Writes the envelopes of one endpoint.
#[derive(Debug)]
pub(super) struct Writer {
    /// `https://host:5986/wsman`
    to: String,
}

/// The parts of a header that differ.
struct Head<'a> {
    action: String,
    options: &'a [(&'a str, &'a str)],
    shell: Option<&'a str>,
}

impl Writer {
    pub(super) fn new(to: String) -> Self {
        Self { to }
    }

    fn envelope(&self, head: &Head<'_>, body: &str) -> String {
        let id = rand::random::<u128>();
        let mut text = String::with_capacity(body.len() + 2048);
        let _ = write!(
            text,
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\
             <s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" \
             xmlns:w=\"http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd\" xmlns:p=\"http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd\" \
             xmlns:rsp=\"{SHELL}\"><s:Header><a:To>{to}</a:To><a:ReplyTo><a:Address s:mustUnderstand=\"true\">\
             http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>\
             <a:Action s:mustUnderstand=\"true\">{action}</a:Action>\
             <w:MaxEnvelopeSize s:mustUnderstand=\"true\">{MAX_ENVELOPE}</w:MaxEnvelopeSize><a:MessageID>uuid:{uuid}</a:MessageID>\
             <w:Locale xml:lang=\"en-US\" s:mustUnderstand=\"false\"/><p:DataLocale xml:lang=\"en-US\" s:mustUnderstand=\"false\"/>\
             <w:OperationTimeout>PT{patience}S</w:OperationTimeout>\
             <w:ResourceURI s:mustUnderstand=\"true\">{SHELL}/cmd</w:ResourceURI>",
            to = escape(self.to.as_str()),
            action = head.action,
            uuid = uuid(id),
            patience = PATIENCE.as_secs(),
        );
        if let Some(shell) = head.shell {
            let _ = write!(text, "<w:SelectorSet><w:Selector Name=\"ShellId\">{}</w:Selector></w:SelectorSet>", escape(shell));
        }
        if !head.options.is_empty() {
            text.push_str("<w:OptionSet s:mustUnderstand=\"true\">");
            for (name, value) in head.options {
                let _ = write!(text, "<w:Option Name=\"{name}\">{value}</w:Option>");
            }
            text.push_str("</w:OptionSet>");
        }
        let _ = write!(text, "</s:Header><s:Body>{body}</s:Body></s:Envelope>");
        text
    }

    /// A shell that ends by itself when nobody has used it for `idle`.
    pub(super) fn create(&self, idle: Duration) -> String {
        let head = Head {
            action: format!("{TRANSFER}/Create"),
            options: &[("WINRS_NOPROFILE", "TRUE"), ("WINRS_CODEPAGE", "65001")],
            shell: None,
        };
        let body = format!(
            "<rsp:Shell><rsp:InputStreams>stdin</rsp:InputStreams><rsp:OutputStreams>stdout stderr</rsp:OutputStreams>\
             <rsp:IdleTimeOut>PT{}S</rsp:IdleTimeOut></rsp:Shell>",
            idle.as_secs()
        );
        self.envelope(&head, &body)
    }

    /// Starts a command line, its standard input a pipe.
    pub(super) fn command(&self, shell: &str, line: &str) -> String {
        let head = Head {
            action: format!("{SHELL}/Command"),
            options: &[("WINRS_CONSOLEMODE_STDIN", "FALSE"), ("WINRS_SKIP_CMD_SHELL", "FALSE")],
            shell: Some(shell),
        };
        self.envelope(&head, &format!("<rsp:CommandLine><rsp:Command>{}</rsp:Command></rsp:CommandLine>", escape(line)))
    }

    /// A piece of standard input; `last` closes it.
    pub(super) fn send(&self, shell: &str, command: &str, piece: &[u8], last: bool) -> String {
        let head = Head { action: format!("{SHELL}/Send"), options: &[], shell: Some(shell) };
        let data = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(piece));
        let end = if last { " End=\"true\"" } else { "" };
        let command = escape(command);
        let mut body = Zeroizing::new(String::with_capacity(data.len() + command.len() + 200));
        let _ = write!(body, "<rsp:Send><rsp:Stream Name=\"stdin\" CommandId=\"{command}\"{end}>{}</rsp:Stream></rsp:Send>", data.as_str());
        self.envelope(&head, &body)
    }

    /// Asks for what was printed since.
    pub(super) fn receive(&self, shell: &str, command: &str) -> String {
        let head = Head { action: format!("{SHELL}/Receive"), options: &[], shell: Some(shell) };
        let command = escape(command);
        let body = format!("<rsp:Receive><rsp:DesiredStream CommandId=\"{command}\">stdout stderr</rsp:DesiredStream></rsp:Receive>");
        self.envelope(&head, &body)
    }

    /// Ends a command, also one that has ended: only then its place in the shell is free.
    pub(super) fn terminate(&self, shell: &str, command: &str) -> String {
        let head = Head { action: format!("{SHELL}/Signal"), options: &[], shell: Some(shell) };
        let command = escape(command);
        self.envelope(&head, &format!("<rsp:Signal CommandId=\"{command}\"><rsp:Code>{SHELL}/signal/terminate</rsp:Code></rsp:Signal>"))
    }

    /// Ends a shell and all that runs in it.
    pub(super) fn delete(&self, shell: &str) -> String {
        let head = Head { action: format!("{TRANSFER}/Delete"), options: &[], shell: Some(shell) };
        self.envelope(&head, "")
    }
}

/// What a message is called that was written here. Everything that stands before its name is escaped, so that there is no other.
pub(super) fn message_id(envelope: &str) -> Option<&str> {
    let (_, rest) = envelope.split_once("<a:MessageID>")?;
    rest.split_once("</a:MessageID>").map(|(id, _)| id)
}

fn uuid(id: u128) -> String {
    let hex = format!("{id:032X}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::super::answer::parse;
    use super::*;

    #[test]
    fn whatever_a_command_line_holds_it_stays_text() {
        let writer = Writer::new("https://[::1]:5986/wsman?a=1&b=2".into());
        let line = "echo \"<a>\" & dir 'x' </rsp:Command><evil/>";
        let text = writer.command("A&\"<", line);
        let root = parse(text.as_bytes()).unwrap();
        assert_eq!(root.find("Command").unwrap().text, line);
        assert_eq!(root.find("Selector").unwrap().text, "A&\"<");
        assert_eq!(root.find("To").unwrap().text, "https://[::1]:5986/wsman?a=1&b=2");
        assert!(root.find("evil").is_none());
    }

    #[test]
    fn the_largest_piece_of_input_fits_an_envelope() {
        let writer = Writer::new(format!("https://{}:5986/wsman", "x".repeat(253)));
        let text = writer.send(&"s".repeat(64), &"c".repeat(64), &vec![b'x'; PIECE], true);
        assert!(text.len() < MAX_ENVELOPE, "{}", text.len());
        assert!(text.contains(" End=\"true\""));
        assert!(!writer.send("s", "c", b"x", false).contains("End="));
    }

    #[test]
    fn every_message_has_another_id() {
        let writer = Writer::new("x".into());
        let id = |text: String| parse(text.as_bytes()).unwrap().find("MessageID").unwrap().text.clone();
        let text = writer.delete("s");
        assert_eq!(message_id(&text).unwrap(), id(text.clone()));
        let (a, b) = (id(text), id(writer.delete("s")));
        assert_ne!(a, b);
        assert_eq!(a.len(), "uuid:".len() + 36);
    }
}
