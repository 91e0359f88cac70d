//! The forms in which the value of a secret may stand in a text: as programs and devices write it in their own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use super::SHORTEST;
use crate::model::wiped::json_text;

/// A longer value is a key or a certificate: it is looked for line by line, as it is and as JSON writes it.
const MOST_ENCODED: usize = 1024;
/// Fewer characters of Base64 are looked for nowhere: they could be those of anything.
const LEAST_BASE64: usize = 5;

type Text = Zeroizing<String>;

/// Room for a text in another form: a buffer that grows leaves its first bytes behind.
fn room(text: &str) -> Text {
    Text::new(String::with_capacity(text.len() * 7))
}

/// All of them, each once, without control characters: the search passes over those.
pub(super) fn forms(value: &str) -> Vec<SecretString> {
    if value.len() < SHORTEST {
        return Vec::new();
    }
    let mut forms: Vec<Text> = written(value).into();
    for line in value.lines().filter(|line| line.len() < value.len()).map(str::trim).filter(|line| tells(line)) {
        forms.extend([Text::new(line.to_owned()), json(line)]);
    }
    if value.len() <= MOST_ENCODED {
        forms.extend(encoded(value));
    }
    for form in &mut forms {
        form.retain(|c| !c.is_ascii_control());
    }
    forms.retain(|form| form.len() >= SHORTEST);
    forms.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    forms.dedup();
    forms.iter().map(|form| SecretString::from(form.as_str())).collect()
}

/// Whether a line of a value is one of this value alone: nearly every text has brackets and rules, and every key begins alike.
fn tells(line: &str) -> bool {
    line.len() >= SHORTEST && !line.starts_with("-----") && line.contains(char::is_alphanumeric)
}

/// As it is, with spaces as they are left by whoever puts a text on one line, and as JSON writes it.
fn written(value: &str) -> [Text; 3] {
    let words = value.split_whitespace().collect::<Vec<_>>().join(" ");
    [Text::new(value.to_owned()), words.into(), json(value)]
}

fn encoded(value: &str) -> Vec<Text> {
    let mut forms = vec![json_of_ascii(value), json_of_powershell(value), percent(value, true), percent(value, false)];
    forms.push(percent(value, true).replace("%20", "+").into());
    forms.push(value.replace('\'', "''").into());
    forms.push(value.replace('\'', "'\\''").into());
    let xml = Text::new(value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"));
    forms.push(clixml(&xml));
    for quote in ["&apos;", "&#39;"] {
        forms.push(xml.replace('"', "&quot;").replace('\'', quote).into());
    }
    forms.push(xml);
    let digits = Text::new(hex::encode(value));
    forms.push(digits.to_uppercase().into());
    forms.push(digits);
    let wide: Zeroizing<Vec<u8>> = Zeroizing::new(value.encode_utf16().flat_map(u16::to_le_bytes).collect());
    // As UTF-8 what is none: UTF-16, or the code page of a console, which may have no such letters either.
    forms.push(String::from_utf8_lossy(&wide).into_owned().into());
    for unknown in ['\u{fffd}', '?'] {
        forms.push(value.chars().map(|c| if c.is_ascii() { c } else { unknown }).collect::<String>().into());
    }
    for bytes in [value.as_bytes(), wide.as_slice()] {
        for before in 0..3 {
            let text = part_of_base64(bytes, before);
            if text.len() >= LEAST_BASE64 {
                forms.push(text.replace('+', "-").replace('/', "_").into());
                forms.push(text);
            }
        }
    }
    forms
}

/// What stands between the quotes of a text in JSON.
fn json(value: &str) -> Text {
    let written = json_text(&value);
    let text = std::str::from_utf8(&written).unwrap_or_default();
    Text::new(text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default().to_owned())
}

/// The same where all that is not ASCII is written as a number.
fn json_of_ascii(value: &str) -> Text {
    let text = json(value);
    let mut out = room(&text);
    for c in text.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

/// The same by `ConvertTo-Json` of Windows PowerShell.
fn json_of_powershell(value: &str) -> Text {
    let text = json(value);
    let mut out = room(&text);
    for c in text.chars() {
        if matches!(c, '<' | '>' | '&' | '\'') { out.push_str(&format!("\\u{:04x}", u32::from(c))) } else { out.push(c) }
    }
    out
}

/// As in a URL.
fn percent(value: &str, upper: bool) -> Text {
    let mut out = room(value);
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ if upper => out.push_str(&format!("%{byte:02X}")),
            _ => out.push_str(&format!("%{byte:02x}")),
        }
    }
    out
}

/// As PowerShell writes control characters into CLIXML.
fn clixml(xml: &str) -> Text {
    let mut out = room(xml);
    for c in xml.chars() {
        if c.is_control() { out.push_str(&format!("_x{:04X}_", u32::from(c))) } else { out.push(c) }
    }
    out
}

/// Those characters of Base64 that only these bytes decide, where so many bytes (of three) stand before them.
fn part_of_base64(bytes: &[u8], before: usize) -> Text {
    let mut whole: Zeroizing<Vec<u8>> = Zeroizing::new(Vec::with_capacity(before + bytes.len()));
    whole.resize(before, 0);
    whole.extend_from_slice(bytes);
    let text = Zeroizing::new(STANDARD_NO_PAD.encode(&*whole));
    let (from, to) = ((before * 8).div_ceil(6), whole.len() * 8 / 6);
    Text::new(text.get(from..to).unwrap_or_default().to_owned())
}
