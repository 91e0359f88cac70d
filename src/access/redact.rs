//! Takes the values of secrets out of any text before it is shown, logged, audited or stored.

mod forms;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use secrecy::{ExposeSecret, SecretString};

use forms::forms;

/// The shortest value that is looked for: replacing every `a` of a text would hide nothing and spoil everything.
const SHORTEST: usize = 4;
/// From this length on a form is found torn by line breaks too, as a console wraps it: of shorter ones that would be chance.
const LOOSE: usize = 8;
/// So much of the beginning of a form at the end of a text is taken for a value that was cut off there.
const BEGINNING: usize = 6;
/// Most characters that a line break within a form has, with what indents the next line.
const MOST_TORN: usize = 16;
/// Words of 64 bits that have one for each pair of bytes.
const PAIRS: usize = 1024;
/// So many forms that begin alike are compared one by one; more are told apart by what follows.
const FEW: usize = 8;
/// Values of a name that are known besides the last one: what was replaced a moment ago may still be in use.
const EARLIER: usize = 3;

/// Knows the values of the secrets that were used, and replaces them by `(secret NAME)`. Cheap to clone; clones share.
#[derive(Clone, Default)]
pub struct Redactor {
    known: Arc<RwLock<Known>>,
}

/// How a value may stand in a text.
struct Form {
    text: SecretString,
    name: Arc<str>,
    /// Whether it is looked for with line breaks in it.
    loose: bool,
}

#[derive(Default)]
struct Known {
    /// The last one at the end.
    values: BTreeMap<Arc<str>, Vec<SecretString>>,
    /// By how they begin, in order: a fleet may have a secret for each device, and every line of the log is looked through.
    forms: HashMap<[u8; SHORTEST], Vec<Form>>,
    /// A bit for each pair of bytes with which one of them begins: hardly a place of a text needs a closer look.
    begins: Vec<u64>,
}

impl Redactor {
    /// One that knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Remembers the value of a secret. What it was before is remembered for a while.
    pub fn learn(&self, name: &str, value: &SecretString) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if known.values.get(name).and_then(|all| all.last()).is_some_and(|last| is(last, value)) {
            return;
        }
        drop(known);
        self.known.write().unwrap_or_else(PoisonError::into_inner).learn(name, value);
    }

    /// Whether there is nothing to look for.
    pub fn knows_nothing(&self) -> bool {
        self.known.read().unwrap_or_else(PoisonError::into_inner).forms.is_empty()
    }

    /// Whether a value is long enough to be looked for.
    pub fn finds(value: &SecretString) -> bool {
        value.expose_secret().len() >= SHORTEST
    }

    /// The text without the values that are known. A value of several lines is found line by line too, and each as it stands in JSON,
    /// XML, a URL, in quotes, as hexadecimal digits and in Base64, also that of UTF-16; torn by line breaks, and cut off at the end.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.redact_from(text, SHORTEST)
    }

    /// The same for values that take so many bytes as they are written there, or more; of one that was cut off so many are there.
    pub fn redact_from<'a>(&self, text: &'a str, least: usize) -> Cow<'a, str> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).redact(text, least)
    }

    /// The same where nothing may be waited for: nothing while values are looked at or learned.
    pub fn try_redact(&self, text: &str) -> Option<String> {
        Some(self.known.try_read().ok()?.redact(text, SHORTEST).into_owned())
    }
}

impl Known {
    fn redact<'a>(&self, text: &'a str, least: usize) -> Cow<'a, str> {
        if self.forms.is_empty() {
            return Cow::Borrowed(text);
        }
        // From, to, and which; those that overlap are one.
        let mut found: Vec<(usize, usize, &str)> = Vec::new();
        for from in 0..text.len() {
            let Some((to, name)) = self.longest(text.as_bytes(), from, least) else { continue };
            match found.last_mut() {
                Some(last) if from < last.1 => last.1 = last.1.max(to),
                _ => found.push((from, to, name)),
            }
        }
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let (mut out, mut rest) = (String::with_capacity(text.len()), 0);
        for (from, to, name) in found {
            out.push_str(text.get(rest..from).unwrap_or_default());
            out.push_str(&format!("(secret {name})"));
            rest = to;
        }
        out.push_str(text.get(rest..).unwrap_or_default());
        Cow::Owned(out)
    }

    fn learn(&mut self, name: &str, value: &SecretString) {
        let name: Arc<str> = name.into();
        let values = self.values.entry(Arc::clone(&name)).or_default();
        let before: Vec<(SecretString, bool)> = values.iter().flat_map(all_of).collect();
        values.retain(|known| !is(known, value));
        values.push(value.clone());
        let gone = values.len().saturating_sub(EARLIER + 1);
        values.drain(..gone);
        let all: Vec<(SecretString, bool)> = values.iter().flat_map(all_of).collect();
        // Each in its place: of a fleet whose secrets are all replaced, looking through everything each time would take long.
        for (text, _) in before {
            let Some(key) = text.expose_secret().as_bytes().first_chunk::<SHORTEST>() else { continue };
            if let Some(alike) = self.forms.get_mut(key) {
                alike.retain(|form| form.name != name);
                if alike.is_empty() {
                    self.forms.remove(key);
                }
            }
        }
        for (text, loose) in all {
            let Some(key) = text.expose_secret().as_bytes().first_chunk::<SHORTEST>().copied() else { continue };
            let (at, bit) = place(key);
            self.begins.resize(PAIRS, 0);
            self.begins[at] |= bit;
            let alike = self.forms.entry(key).or_insert_with(|| Vec::with_capacity(1));
            let order = alike.partition_point(|form| (bytes(form), &*form.name) < (text.expose_secret().as_bytes(), &*name));
            alike.insert(order, Form { text, name: Arc::clone(&name), loose });
        }
    }

    /// The longest form that begins in this place: where it ends, and whose it is.
    fn longest(&self, text: &[u8], from: usize, least: usize) -> Option<(usize, &str)> {
        let key = key(text, from)?;
        let (at, bit) = place(key);
        if self.begins.get(at)? & bit == 0 {
            return None;
        }
        let alike = self.forms.get(&key)?.as_slice();
        let torn = !text.get(from..)?.starts_with(&key);
        let (alike, whole) = if torn { (alike, None) } else { narrowed(alike, text, from) };
        let long = |form: &&Form| bytes(form).len() >= least;
        let ends = alike.iter().filter(long).filter_map(|form| Some((end(text, from, form, least)?, &*form.name)));
        let whole = whole.filter(long).map(|form| (from + bytes(form).len(), &*form.name));
        // Of two secrets with the same value the first by name.
        ends.chain(whole).max_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(a.1)))
    }
}

fn bytes(form: &Form) -> &[u8] {
    form.text.expose_secret().as_bytes()
}

/// Those of the forms that go on as the text does, and the longest of those that end on the way. All have the first bytes of this place.
fn narrowed<'a>(mut alike: &'a [Form], text: &[u8], from: usize) -> (&'a [Form], Option<&'a Form>) {
    let (mut length, mut whole) = (SHORTEST, None);
    while alike.len() > FEW {
        let ended = alike.partition_point(|form| bytes(form).len() <= length);
        if ended > 0 {
            whole = alike.first();
        }
        alike = &alike[ended..];
        // Where a line is broken each has to be looked at.
        let Some(next) = text.get(from + length).filter(|byte| !byte.is_ascii_control()) else { break };
        let begin = alike.partition_point(|form| bytes(form)[length] < *next);
        let end = alike.partition_point(|form| bytes(form)[length] <= *next);
        alike = &alike[begin..end];
        length += 1;
    }
    (alike, whole)
}

/// The forms of a value, and whether each is looked for with line breaks in it.
fn all_of(value: &SecretString) -> Vec<(SecretString, bool)> {
    let value = value.expose_secret();
    let torn = value.contains(|c: char| c.is_ascii_control());
    let loose = |form: SecretString| {
        let long = form.expose_secret().len() >= LOOSE;
        (form, torn || long)
    };
    forms(value).into_iter().map(loose).collect()
}

/// Where the bit of its first two bytes is.
fn place(key: [u8; SHORTEST]) -> (usize, u64) {
    let pair = usize::from(u16::from_be_bytes([key[0], key[1]]));
    (pair / 64, 1 << (pair % 64))
}

fn is(a: &SecretString, b: &SecretString) -> bool {
    a.expose_secret() == b.expose_secret()
}

/// The first bytes from a place on, without what tears them.
fn key(text: &[u8], from: usize) -> Option<[u8; SHORTEST]> {
    if text.get(from)?.is_ascii_control() {
        return None;
    }
    if let Some(key) = text.get(from..)?.first_chunk::<SHORTEST>()
        && !key.iter().any(u8::is_ascii_control)
    {
        return Some(*key);
    }
    let (mut key, mut at) = ([0; SHORTEST], from);
    for byte in &mut key {
        let gap = gap(text, at);
        at += gap;
        *byte = *text.get(at)?;
        at += 1;
    }
    Some(key)
}

/// How long a line break is that begins in this place, with what indents the next line; a zero byte of UTF-16 is one too.
fn gap(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    if !rest.first().is_some_and(u8::is_ascii_control) {
        return 0;
    }
    rest.iter().take(MOST_TORN).take_while(|byte| byte.is_ascii_control() || **byte == b' ').count()
}

/// Where a form ends that begins in this place. So much of it is there at least, where it was cut off.
fn end(text: &[u8], from: usize, form: &Form, least: usize) -> Option<usize> {
    let wanted = form.text.expose_secret().as_bytes();
    let (mut at, mut found) = (from, 0);
    while found < wanted.len() {
        if form.loose && found > 0 {
            let gap = gap(text, at);
            at += gap;
            // A line that is broken at a space has none there.
            if gap > 0 && wanted.get(found) == Some(&b' ') && text.get(at) != Some(&b' ') {
                found += 1;
                continue;
            }
        }
        match text.get(at) {
            Some(byte) if *byte == wanted[found] => {
                at += 1;
                found += 1;
            }
            // Cut off by whoever made the text.
            None if found >= BEGINNING.max(least) => return Some(text.len()),
            _ => return None,
        }
    }
    Some(at)
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knowing(value: &str) -> Redactor {
        let redactor = Redactor::new();
        redactor.learn("db", &value.into());
        redactor
    }

    #[test]
    fn values_are_replaced_by_the_name_of_their_secret() {
        let redactor = Redactor::new();
        redactor.learn("db", &"hunter2".into());
        redactor.learn("long", &"hunter2-and-more".into());
        assert_eq!(redactor.redact("a hunter2 b hunter2-and-more"), "a (secret db) b (secret long)");
        assert!(matches!(redactor.redact("nothing here"), Cow::Borrowed(_)));
        assert_eq!(redactor.redact(""), "");
        assert_eq!(redactor.try_redact("a hunter2 b").as_deref(), Some("a (secret db) b"));
    }

    #[test]
    fn of_values_that_overlap_nothing_is_left() {
        let redactor = Redactor::new();
        redactor.learn("a", &"abcdef-x".into());
        redactor.learn("b", &"x-ghijkl".into());
        assert_eq!(redactor.redact("<abcdef-x-ghijkl>"), "<(secret a)>");
    }

    #[test]
    fn a_value_that_was_replaced_is_known_for_a_while() {
        let redactor = Redactor::new();
        for n in 0..6 {
            redactor.learn("db", &format!("value-number-{n}").into());
        }
        assert_eq!(redactor.redact("value-number-5 value-number-2 value-number-1"), "(secret db) (secret db) value-number-1");
        // Used again, it is the last one again.
        redactor.learn("db", &"value-number-2".into());
        redactor.learn("db", &"value-number-6".into());
        assert_eq!(redactor.redact("value-number-2"), "(secret db)");
    }

    #[test]
    fn a_value_is_found_as_json_writes_it_too() {
        let redactor = knowing("a\"b\\c");
        assert_eq!(redactor.redact(r#"{"x":"a\"b\\c"} a"b\c"#), r#"{"x":"(secret db)"} (secret db)"#);
        assert!(!format!("{redactor:?}").contains("b\\c"));
    }

    #[test]
    fn a_value_is_found_in_the_forms_in_which_programs_write_it() {
        let redactor = knowing("p\u{e4}ss <w\u{f6}rd> & 'more' \"x\\y\"/?+=");
        for text in [
            "p\u{e4}ss &lt;w\u{f6}rd&gt; &amp; 'more' \"x\\y\"/?+=",
            "p\u{e4}ss &lt;w\u{f6}rd&gt; &amp; &apos;more&apos; &quot;x\\y&quot;/?+=",
            "p\u{e4}ss &lt;w\u{f6}rd&gt; &amp; &#39;more&#39; &quot;x\\y&quot;/?+=",
            "p%C3%A4ss%20%3Cw%C3%B6rd%3E%20%26%20%27more%27%20%22x%5Cy%22%2F%3F%2B%3D",
            "p%c3%a4ss%20%3cw%c3%b6rd%3e%20%26%20%27more%27%20%22x%5cy%22%2f%3f%2b%3d",
            "p%C3%A4ss+%3Cw%C3%B6rd%3E+%26+%27more%27+%22x%5Cy%22%2F%3F%2B%3D",
            r#"p\u00e4ss <w\u00f6rd> & 'more' \"x\\y\"/?+="#,
            "p\u{e4}ss \\u003cw\u{f6}rd\\u003e \\u0026 \\u0027more\\u0027 \\\"x\\\\y\\\"/?+=",
            "p\u{e4}ss <w\u{f6}rd> & ''more'' \"x\\y\"/?+=",
            "p\u{e4}ss <w\u{f6}rd> & '\\''more'\\'' \"x\\y\"/?+=",
        ] {
            assert_eq!(redactor.redact(&format!("[{text}]")), "[(secret db)]", "{text}");
        }
    }

    #[test]
    fn a_value_is_found_in_base64_and_in_hexadecimal_digits_wherever_it_begins() {
        use base64::Engine as _;
        use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

        let (value, redactor) = ("hunter2-\u{fc}ber?>\u{ff}", knowing("hunter2-\u{fc}ber?>\u{ff}"));
        for before in ["", "k", "kl", "kim:", "Param($p='"] {
            for after in ["", "x", "' ) -Verbose"] {
                let whole = format!("{before}{value}{after}");
                let wide: Vec<u8> = whole.encode_utf16().flat_map(u16::to_le_bytes).collect();
                for text in [STANDARD.encode(&whole), URL_SAFE_NO_PAD.encode(&whole), STANDARD.encode(&wide)] {
                    let said = redactor.redact(&text).into_owned();
                    // Of the value no more is left than less than six bits at each end.
                    let gone = text.len() + "(secret db)".len() - said.len();
                    assert!(said.contains("(secret db)") && gone * 6 + 12 >= value.len() * 8, "{whole}: {said}");
                }
                let digits = hex::encode(&whole);
                for text in [digits.to_uppercase(), digits] {
                    assert!(redactor.redact(&text).contains("(secret db)"), "{text}");
                }
            }
        }
    }

    #[test]
    fn a_value_is_found_where_a_line_was_broken_within_it_and_where_it_was_cut() {
        let redactor = knowing("marker-7f3a-and more");
        assert_eq!(redactor.redact("x marker-7f\r\n    3a-and\r\n  more y"), "x (secret db) y");
        let wide: String = "marker-7f3a-and more".chars().flat_map(|c| [c, '\0']).collect();
        assert_eq!(redactor.redact(&wide), "(secret db)\0");
        assert_eq!(redactor.redact("said: marker-7f"), "said: (secret db)");
        assert_eq!(redactor.redact("said: mark"), "said: mark");
        // Words that only begin alike.
        assert_eq!(redactor.redact("marker-7f is another"), "marker-7f is another");
        assert_eq!(knowing("abcd").redact("ab\ncd"), "ab\ncd");
        assert_eq!(knowing("ab\ncd").redact("<ab\ncd>"), "<(secret db)>");
    }

    #[test]
    fn a_value_is_found_where_its_letters_were_taken_for_others() {
        let redactor = knowing("m\u{e4}rker-7f3a");
        let wide: Vec<u8> = "<m\u{e4}rker-7f3a>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(redactor.redact(&String::from_utf8_lossy(&wide)), "<\0(secret db)\0>\0");
        assert_eq!(redactor.redact(&String::from_utf8_lossy(b"<m\xe4rker-7f3a>")), "<(secret db)>");
        assert_eq!(redactor.redact("<m?rker-7f3a>"), "<(secret db)>");
    }

    #[test]
    fn a_value_of_several_lines_is_found_whole_and_line_by_line() {
        let redactor = knowing("first line\nab\nthird line\n");
        assert_eq!(redactor.redact("<first line\nab\nthird line>"), "<(secret db)>");
        assert_eq!(redactor.redact("third line; first line"), "(secret db); (secret db)");
        assert_eq!(redactor.redact("first line_x000A_ab_x000A_third line_x000A_"), "(secret db)");
    }

    #[test]
    fn what_every_text_of_a_format_has_is_no_secret() {
        let key = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIMnP\n-----END PRIVATE KEY-----\n";
        let redactor = knowing(key);
        assert_eq!(redactor.redact("no -----BEGIN PRIVATE KEY----- in it"), "no -----BEGIN PRIVATE KEY----- in it");
        assert_eq!(redactor.redact("MC4CAQAwBQYDK2VwBCIEIMnP"), "(secret db)");
        assert_eq!(redactor.redact(&format!("<{}>", key.trim_end())), "<(secret db)>");
        let redactor = knowing("{\n    \"user\": {\n        \"token\": \"hunter2-and-more\"\n    },\n    \"n\": [\n    ]\n}");
        let text = "{\n    \"a\": {\n    },\n    \"b\": [\n    ]\n}";
        assert_eq!(redactor.redact(text), text);
        assert_eq!(redactor.redact("\"token\": \"hunter2-and-more\""), "(secret db)");
    }

    #[test]
    fn of_a_value_that_was_cut_off_as_much_is_there_as_is_looked_for() {
        let redactor = knowing("debian-backup-2024");
        assert_eq!(redactor.redact("said: debian"), "said: (secret db)");
        assert_eq!(redactor.redact_from("debian", 12), "debian");
        assert_eq!(redactor.redact_from("said: debian-backup", 12), "said: (secret db)");
    }

    #[test]
    fn very_short_values_do_not_spoil_the_text() {
        let redactor = knowing("a");
        assert_eq!(redactor.redact("banana"), "banana");
        assert!(!Redactor::finds(&"a".into()) && Redactor::finds(&"abcd".into()));
    }

    #[test]
    fn among_the_secrets_of_many_devices_each_is_found() {
        let redactor = Redactor::new();
        for n in 0..2_000 {
            redactor.learn(&format!("device-{n}"), &format!("{n:08x}-of-this-device").into());
        }
        let line = "a line of the log that holds no secret at all, as nearly all of them ".repeat(20);
        assert!(matches!(redactor.redact(&line), Cow::Borrowed(_)));
        assert_eq!(redactor.redact("000005dc-of-this-device"), "(secret device-1500)");
    }

    #[test]
    fn secrets_that_begin_alike_are_told_apart() {
        let redactor = Redactor::new();
        for n in 0..2_000 {
            redactor.learn(&format!("device-{n}"), &format!("https://hooks.example.com/{n:06}").into());
        }
        let line = "see https://hooks.example.com/ or https://hooks.example.com/x for more ".repeat(20);
        assert!(matches!(redactor.redact(&line), Cow::Borrowed(_)));
        redactor.learn("all", &"https://hooks.example.com".into());
        redactor.learn("same", &"https://hooks.example.com".into());
        let text = "https://hooks.example.com/001500 https://hooks.example.com/x https://hooks.\n  example.com/000007 https://hooks.exam";
        assert_eq!(redactor.redact(text), "(secret device-1500) (secret all)/x (secret device-7) (secret all)");
    }
}
