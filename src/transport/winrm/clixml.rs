//! What PowerShell writes to standard error when nobody sits before it: records as XML. Errors and warnings become text; progress
//! is left out. Pure.

use super::answer::{Element, parse};

/// How such a text begins.
const MARK: &str = "#< CLIXML";
/// How its XML ends.
const END: &str = "</Objs>";

/// Standard error as people read it. What is no such XML, or damaged, stays as it is.
pub(crate) fn readable(stderr: Vec<u8>) -> Vec<u8> {
    if !stderr.windows(MARK.len()).any(|window| window == MARK.as_bytes()) {
        return stderr;
    }
    // A program in between may have printed in another code page.
    let text = String::from_utf8_lossy(&stderr);
    let mut out = String::new();
    for (n, part) in text.split(MARK).enumerate() {
        let mut rest = part;
        // Behind a mark stands XML, or several of them. What a program has printed stands before the next mark, or behind an end.
        while n > 0
            && rest.trim_start().starts_with("<Objs")
            && let Some(end) = rest.find(END)
        {
            let (xml, behind) = rest.split_at(end + END.len());
            let Ok(root) = parse(xml.trim().as_bytes()) else { return stderr };
            records(&root, &mut out);
            rest = behind;
        }
        if !rest.trim().is_empty() {
            out.push_str(rest);
        }
    }
    out.into_bytes()
}

fn records(root: &Element, out: &mut String) {
    for child in &root.children {
        let Some(stream @ ("Error" | "error" | "Warning" | "warning")) = child.attribute("S") else { continue };
        if child.name == "S" {
            out.push_str(&letters(&child.text));
            // An error comes in lines that end; a warning is one without its end.
            if stream.eq_ignore_ascii_case("warning") && !out.ends_with('\n') {
                out.push('\n');
            }
        } else if let Some(shown) = child.children.iter().find(|member| member.name == "ToString") {
            // A whole record, from a PowerShell that PowerShell has started.
            out.push_str(&letters(&shown.text));
            out.push('\n');
        }
    }
}

/// Control characters and the like are written as `_x000D_`.
fn letters(text: &str) -> String {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let code = rest.strip_prefix("_x").and_then(|after| {
            let digits = after.get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
            let unit = u16::from_str_radix(digits, 16).ok()?;
            Some((unit, after[4..].strip_prefix('_')?))
        });
        if let Some((unit, after)) = code {
            units.push(unit);
            rest = after;
        } else {
            units.extend(letter.encode_utf16(&mut [0; 2]).iter());
            rest = &rest[letter.len_utf8()..];
        }
    }
    String::from_utf16_lossy(&units).replace('\r', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        String::from_utf8(readable(text.as_bytes().to_vec())).unwrap()
    }

    #[test]
    fn errors_become_text_and_progress_is_left_out() {
        let text = "#< CLIXML\r\n<Objs Version=\"1.1.0.1\" xmlns=\"http://schemas.microsoft.com/powershell/2004/04\">\
                    <Obj S=\"progress\" RefId=\"0\"><TN RefId=\"0\"><T>System.Management.Automation.PSCustomObject</T></TN>\
                    <MS><I64 N=\"SourceId\">1</I64><S N=\"Activity\">Preparing</S></MS></Obj>\
                    <S S=\"Error\">Get-Item : not &lt;found&gt;_x000D__x000A_</S><S S=\"Error\">_xD83D__xDE00_ _x005F_x_x000A_</S>\
                    <S S=\"verbose\">never mind</S></Objs>";
        assert_eq!(read(text), "Get-Item : not <found>\n\u{1f600} _x\n");
        assert_eq!(read(&format!("before\n{text}after\n")), "before\nGet-Item : not <found>\n\u{1f600} _x\nafter\n");
        assert_eq!(read("#< CLIXML\r\n<Objs Version=\"1.1.0.1\"><Obj S=\"progress\" RefId=\"0\"/></Objs>"), "");
    }

    #[test]
    fn several_of_them_and_marks_in_a_row_are_all_read() {
        let one = |text: &str| format!("<Objs><S S=\"Error\">{text}_x000A_</S></Objs>");
        assert_eq!(read(&format!("#< CLIXML\r\n#< CLIXML\r\n{}{}\r\n", one("a"), one("b"))), "a\nb\n");
        assert_eq!(read(&format!("#< CLIXML\r\n{}#< CLIXML\r\n{}said\n", one("a"), one("b"))), "a\nb\nsaid\n");
        let record = "<Objs><Obj S=\"Error\" RefId=\"0\"><TN><T>System.Management.Automation.ErrorRecord</T></TN><ToString>no such \
                      thing</ToString><Props><S N=\"Name\">x</S></Props></Obj></Objs>";
        assert_eq!(read(&format!("#< CLIXML\r\n{record}")), "no such thing\n");
    }

    #[test]
    fn a_warning_is_a_line_of_its_own() {
        let text = "#< CLIXML\r\n<Objs><S S=\"warning\">old &lt;b&gt;</S><S S=\"Error\">no_x000A_</S><S S=\"Warning\">new</S></Objs>";
        assert_eq!(read(text), "old <b>\nno\nnew\n");
    }

    #[test]
    fn what_is_none_of_it_stays_as_it_is() {
        for text in ["", "plain\n", "#< CLIXML\r\n<Objs><S></Objs>"] {
            assert_eq!(read(text), text);
        }
        assert_eq!(read("#< CLIXML\r\n<Objs><S S=\"Error\">cut"), "\r\n<Objs><S S=\"Error\">cut");
        assert_eq!(readable(vec![0xff, 1]), [0xff, 1]);
        assert_eq!(readable(b"\xff\n#< CLIXML\r\n<Objs><S S='Error'>no</S></Objs>".to_vec()), "\u{fffd}\nno".as_bytes());
        assert_eq!(letters("_x00_x _xZZZZ_ _"), "_x00_x _xZZZZ_ _");
    }
}
