//! What a WinRM endpoint says: bounded XML into a small tree, and what it means. Names count without their prefixes.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

/// Deepest nesting, and most elements of one answer.
const MAX_DEPTH: usize = 40;
const MAX_ELEMENTS: usize = 20_000;
/// Most attributes of all elements of one answer: a few bytes make one, which costs a hundred here.
const MAX_ATTRIBUTES: usize = 3 * MAX_ELEMENTS;

/// Base64 with or without its filler at the end.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// An element with what stands in it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    /// The first element of this name, this one included, in the order of the text.
    pub(super) fn find(&self, name: &str) -> Option<&Self> {
        if self.name == name {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(name))
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All text in it, as one line.
    pub(super) fn words(&self) -> String {
        let mut parts = vec![self.text.split_whitespace().collect::<Vec<_>>().join(" ")];
        parts.extend(self.children.iter().map(Self::words));
        parts.retain(|part| !part.is_empty());
        parts.join(" ")
    }
}

/// Reads an answer. What no endpoint has a reason to send (a document type, entities of its own) is refused.
pub(super) fn parse(xml: &[u8]) -> Result<Element, String> {
    let text = decoded(xml);
    let mut reader = quick_xml::Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    let (mut count, mut attributes) = (0, 0);
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(tag) => {
                count += 1;
                if open.len() >= MAX_DEPTH || count > MAX_ELEMENTS || root.is_some() {
                    return Err("it has too many elements".into());
                }
                open.push(element(&tag, &mut attributes)?);
            }
            Event::Empty(tag) => {
                count += 1;
                if count > MAX_ELEMENTS || root.is_some() {
                    return Err("it has too many elements".into());
                }
                let new = element(&tag, &mut attributes)?;
                close(new, &mut open, &mut root);
            }
            Event::End(_) => {
                let Some(done) = open.pop() else { return Err("an element ends that never began".into()) };
                close(done, &mut open, &mut root);
            }
            Event::Text(piece) => {
                if let Some(last) = open.last_mut() {
                    last.text.push_str(&piece.xml_content(XmlVersion::Implicit1_0));
                }
            }
            Event::CData(piece) => {
                if let Some(last) = open.last_mut() {
                    last.text.push_str(&piece.xml_content(XmlVersion::Implicit1_0));
                }
            }
            Event::GeneralRef(name) => {
                // A letter that XML does not have, such as one of a device's messages, costs no more than itself.
                let letter = name.resolve_char_ref().unwrap_or(Some(char::REPLACEMENT_CHARACTER));
                let Some(last) = open.last_mut() else { continue };
                match letter {
                    Some(letter) => last.text.push(letter),
                    None => last.text.push_str(resolve_predefined_entity(&name).ok_or("it has entities of its own")?),
                }
            }
            Event::DocType(_) => return Err("it has a document type".into()),
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
    if !open.is_empty() {
        return Err("it ends in the middle".into());
    }
    root.ok_or_else(|| "it is empty".into())
}

/// An answer as text: UTF-8 as a rule, else UTF-16, which its first bytes tell.
fn decoded(xml: &[u8]) -> Cow<'_, str> {
    let of: fn([u8; 2]) -> u16 = match xml {
        [0xff, 0xfe, ..] | [b'<', 0, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] | [0, b'<', ..] => u16::from_be_bytes,
        _ => return String::from_utf8_lossy(xml),
    };
    let units = xml.chunks_exact(2).map(|pair| of([pair[0], pair[1]]));
    char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect::<String>().into()
}

fn close(done: Element, open: &mut [Element], root: &mut Option<Element>) {
    match open.last_mut() {
        Some(parent) => parent.children.push(done),
        None => *root = Some(done),
    }
}

/// `count` is that of all attributes so far.
fn element(tag: &BytesStart<'_>, count: &mut usize) -> Result<Element, String> {
    let mut attributes = Vec::new();
    for attribute in tag.attributes() {
        *count += 1;
        if *count > MAX_ATTRIBUTES {
            return Err("it has too many attributes".into());
        }
        let attribute = attribute.map_err(|error| error.to_string())?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| error.to_string())?;
        attributes.push((attribute.key.local_name().as_ref().to_owned(), value.into_owned()));
    }
    Ok(Element { name: tag.local_name().as_ref().to_owned(), attributes, ..Element::default() })
}

/// Whether an answer is one to this very message. It need not say so where it may be `nameless`.
pub(super) fn belongs_to(root: &Element, message: Option<&str>, nameless: bool) -> bool {
    let header = root.children.iter().find(|child| child.name == "Header");
    let related = header.and_then(|found| found.children.iter().find(|child| child.name == "RelatesTo"));
    // The number decides: `uuid:` and `urn:uuid:` stand before it, and its letters are large or small.
    let number = |text: &str| text.trim().rsplit(':').next().unwrap_or_default().to_ascii_lowercase();
    match (related, message) {
        (Some(related), Some(message)) => number(&related.text) == number(message),
        (None, _) => nameless,
        (Some(_), None) => false,
    }
}

/// The name of a shell that was made.
pub(super) fn shell_id(root: &Element) -> Option<String> {
    let named = root.find("ShellId").map(|found| found.text.trim().to_owned());
    let selected = || {
        let set = root.find("SelectorSet")?;
        let selector = set.children.iter().find(|child| child.attribute("Name") == Some("ShellId"))?;
        Some(selector.text.trim().to_owned())
    };
    named.filter(|id| !id.is_empty()).or_else(selected).filter(|id| !id.is_empty())
}

/// The name of a command that was started.
pub(super) fn command_id(root: &Element) -> Option<String> {
    root.find("CommandId").map(|found| found.text.trim().to_owned()).filter(|id| !id.is_empty())
}

/// One answer to `Receive`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    /// Set once the command has ended, with its exit code where the endpoint says it.
    #[allow(clippy::option_option)] // whether it has ended, and then with what
    pub(super) done: Option<Option<i32>>,
}

/// What was printed, and whether the command has ended.
pub(super) fn received(root: &Element) -> Result<Received, String> {
    let body = root.find("ReceiveResponse").ok_or("it is no answer to Receive")?;
    let mut found = Received::default();
    for child in &body.children {
        match child.name.as_str() {
            "Stream" => {
                let into = match child.attribute("Name") {
                    Some("stdout") => &mut found.stdout,
                    Some("stderr") => &mut found.stderr,
                    _ => continue,
                };
                let text: Vec<u8> = child.text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
                let bytes = BASE64.decode(text).map_err(|error| error.to_string())?;
                into.extend(bytes);
            }
            "CommandState" if child.attribute("State").is_some_and(|state| state.ends_with("/Done")) => {
                found.done = Some(child.find("ExitCode").and_then(|code| exit_code(code.text.trim())));
            }
            _ => {}
        }
    }
    Ok(found)
}

/// Codes such as 0xC000013A are written with and without a sign. What is larger is none: cut off it could become the code 0.
fn exit_code(text: &str) -> Option<i32> {
    let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => i64::from_str_radix(digits, 16),
        None => text.parse::<i64>(),
    };
    let number = number.ok()?;
    i32::try_from(number).ok().or_else(|| u32::try_from(number).ok().map(u32::cast_signed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_with_and_without_a_sign_and_is_never_cut_off() {
        let huge = 0xC000_013A_u32.cast_signed();
        for (text, code) in [
            ("0", Some(0)),
            ("3221225786", Some(huge)),
            ("-1073741510", Some(huge)),
            ("0xC000013A", Some(huge)),
            ("4294967295", Some(-1)),
            ("4294967296", None),
            ("-2147483648", Some(i32::MIN)),
            ("-2147483649", None),
            ("99999999999999999999", None),
            ("", None),
            ("0x", None),
            ("1.0", None),
        ] {
            assert_eq!(exit_code(text), code, "{text}");
        }
    }

    #[test]
    fn an_answer_is_bounded_and_brings_no_entities_of_its_own() {
        assert!(parse(b"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>").is_err());
        assert!(parse(b"<a>&x;</a>").is_err());
        assert!(parse("<a>".repeat(50).as_bytes()).is_err());
        assert!(parse(format!("<a>{}</a>", "<b/>".repeat(MAX_ELEMENTS)).as_bytes()).is_err());
        let attributes = "<b k='' l='' m='' n='' o='' p=''/>".repeat(MAX_ATTRIBUTES / 6);
        assert!(parse(format!("<a>{attributes}</a>").as_bytes()).is_ok());
        assert!(parse(format!("<a>{attributes}<b k=''/></a>").as_bytes()).is_err());
        assert!(parse(b"<a><b></a>").is_err());
        assert!(parse(b"<a/><a/>").is_err());
        assert!(parse(b"<a>").is_err());
        assert!(parse(b"").is_err());
        assert!(parse(b"\xff\xfe<a/>").is_err());
        assert_eq!(parse(b"<a>&#0;\xff</a>").unwrap().text, "\u{fffd}\u{fffd}");
        let root = parse("\u{feff}<x:a k='1 &lt; 2'>3 &gt; 2 &#x41;<![CDATA[<b>]]></x:a>".as_bytes()).unwrap();
        assert_eq!((root.name.as_str(), root.text.as_str(), root.attribute("k")), ("a", "3 > 2 A<b>", Some("1 < 2")));
    }

    #[test]
    fn output_comes_in_pieces_and_the_end_with_its_code() {
        let text = "<s:Envelope xmlns:s='s' xmlns:r='r'><s:Body><r:ReceiveResponse><r:Stream Name='stdout' CommandId='1'>aGVs\nbG8=</r:Stream>\
                    <r:Stream Name='stderr' CommandId='1'>b29wcw==</r:Stream><r:Stream Name='stdout' CommandId='1'>IQ==</r:Stream>\
                    <r:Stream Name='stdout' CommandId='1' End='true'/>\
                    <r:CommandState CommandId='1' State='http://schemas.microsoft.com/wbem/wsman/1/windows/shell/CommandState/Done'>\
                    <r:ExitCode>3221225786</r:ExitCode></r:CommandState></r:ReceiveResponse></s:Body></s:Envelope>";
        let found = received(&parse(text.as_bytes()).unwrap()).unwrap();
        let code = 0xC000_013A_u32.cast_signed();
        assert_eq!(found, Received { stdout: b"hello!".to_vec(), stderr: b"oops".to_vec(), done: Some(Some(code)) });
        let negative = text.replace("3221225786", " -1073741510 ").replace("IQ==", "IQ");
        assert_eq!(received(&parse(negative.as_bytes()).unwrap()).unwrap(), found);
        let running = text.replace("/Done", "/Running");
        assert_eq!(received(&parse(running.as_bytes()).unwrap()).unwrap().done, None);
        assert!(received(&parse(b"<a/>").unwrap()).is_err());
        assert!(received(&parse(text.replace("aGVs", "*").as_bytes()).unwrap()).is_err());
    }

    #[test]
    fn an_answer_belongs_to_the_message_that_it_names() {
        let answer = |header: &str| {
            parse(format!("<e><Header>{header}</Header><Body><RelatesTo>uuid:AB-1</RelatesTo></Body></e>").as_bytes()).unwrap()
        };
        let named = answer("<a:RelatesTo xmlns:a='a'> urn:uuid:ab-1 </a:RelatesTo>");
        assert!(belongs_to(&named, Some("uuid:AB-1"), false));
        assert!(!belongs_to(&named, Some("uuid:AB-2"), false) && !belongs_to(&named, Some("uuid:AB-2"), true));
        assert!(!belongs_to(&named, None, true));
        assert!(!belongs_to(&answer(""), Some("uuid:AB-1"), false) && belongs_to(&answer(""), Some("uuid:AB-1"), true));
    }

    #[test]
    fn an_answer_in_utf_16_is_read_with_and_without_a_mark_at_its_beginning() {
        let text = "<?xml version=\"1.0\" encoding=\"utf-16\"?><a k='\u{fc}'>\u{1f600}</a>";
        for mark in ["", "\u{feff}"] {
            let units: Vec<u16> = mark.encode_utf16().chain(text.encode_utf16()).collect();
            for bytes in [
                units.iter().flat_map(|unit| unit.to_le_bytes()).collect::<Vec<u8>>(),
                units.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
            ] {
                let root = parse(&bytes).unwrap();
                assert_eq!((root.text.as_str(), root.attribute("k")), ("\u{1f600}", Some("\u{fc}")));
            }
        }
    }

    #[test]
    fn a_shell_is_named_in_either_way() {
        let by_member = "<b><r:Shell xmlns:r='r'><r:ShellId>AB</r:ShellId></r:Shell></b>";
        let by_selector = "<b><x:ResourceCreated xmlns:x='x'><w:SelectorSet><w:Selector Name='ShellId'>CD</w:Selector></w:SelectorSet></x:ResourceCreated></b>";
        assert_eq!(shell_id(&parse(by_member.as_bytes()).unwrap()).as_deref(), Some("AB"));
        assert_eq!(shell_id(&parse(by_selector.as_bytes()).unwrap()).as_deref(), Some("CD"));
        assert_eq!(shell_id(&parse(b"<b><ShellId/></b>").unwrap()), None);
    }
}
